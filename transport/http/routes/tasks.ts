// tasks.ts: the route by which whoever does the work of an async task says that it is done.

import { z } from 'zod';
import { parseTaskId, roleOf, splitInstanceKey } from '../../../actors/model/ids.ts';
import { document_types } from '../body.ts';
import { authorize } from '../guard.ts';
import { Refused, refusedBy } from '../problems.ts';
import { jobPath, runPath } from '../resources.ts';
import { command, type Exchange, jsonBody, problem, type Reply, type Route, unexpected } from '../route.ts';
import { read } from './steering.ts';

export const completion = z.strictObject({
  status_code: z
    .int()
    .min(-2_147_483_648)
    .max(2_147_483_647)
    .describe('0: it went well. Anything else: it failed, and is tried again where the job says so.'),
});
export const completed = z.object({ job: z.string(), task: z.string(), links: z.record(z.string(), z.string()) });

export const task_routes: readonly Route[] = [
  {
    method: 'POST',
    path: '/api/v1/tasks/:task/complete',
    id: 'completeTask',
    tag: 'runs',
    summary: 'Report that the work of an async task is done',
    description:
      'The id is what its command finds in HORAE_TASK_ID. Word that comes before the command has ended counts when it has. The same word twice is no mistake while the run lives; other word, or of an attempt that is behind it, is refused.',
    permission: 'operate',
    body: { schema: 'Completion', types: document_types },
    answers: {
      202: { description: 'Recorded.', schema: 'Completed' },
      404: problem('There is no such job, or this is no task of ours.'),
      409: problem(
        'Nobody waits for word of this task: it is over, another attempt has taken its place, or its job is not async.',
      ),
    },
    handle: complete,
  },
];

async function complete(exchange: Exchange): Promise<Reply> {
  const { task = '' } = exchange.params;
  const { status_code } = read(completion, await jsonBody(exchange, document_types));
  const instance = parseTaskId(task)?.instance;
  if (instance === undefined)
    throw new Refused(
      'not-found',
      `"${task.slice(0, 255)}" is no task id: expected role:environment:name:run:instance:attempt`,
    );
  const { job: key, run } = splitInstanceKey(instance);
  authorize(exchange.who, 'operate', roleOf(key));
  const answer = await command(exchange, { type: 'complete-task', key, task_id: task, status_code });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'completed') throw unexpected(answer);
  return { status: 202, body: { job: key, task, links: { run: runPath(key, run), job: jobPath(key) } } };
}
