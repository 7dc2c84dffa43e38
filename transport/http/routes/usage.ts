// usage.ts: the route that tells what one instance of a run uses, and has used.

import { z } from 'zod';
import { taskId } from '../../../actors/model/ids.ts';
import { Refused } from '../problems.ts';
import { iso, jobPath, runPath } from '../resources.ts';
import { type Exchange, problem, type Reply, type Route, run_instance_path } from '../route.ts';
import { attempt_query, attemptAsked } from './logs.ts';

export const usage_routes: readonly Route[] = [
  {
    method: 'GET',
    path: `${run_instance_path}/usage`,
    id: 'getUsage',
    tag: 'runs',
    summary: 'Read what an instance uses, and has used',
    description:
      'CPU seconds since it began, memory and disk, as a series of bounded length, from the agent on which it runs; of ended ones for a while. `since` is `agent` where the series holds all its life, and `watched` on agents that tell the moment alone: then it begins when it is first asked for.',
    permission: 'read',
    query: z.strictObject({ attempt: attempt_query }),
    answers: {
      200: { description: 'The series.', schema: 'Usage' },
      404: problem('There is no such job, run or instance, or its agent knows nothing of it (any more).'),
      502: problem('The agent on which it ran does not answer.'),
    },
    handle: usage,
  },
];

async function usage(exchange: Exchange): Promise<Reply> {
  const { wanted, found } = attemptAsked(exchange);
  const { key, run, index } = wanted;
  const { number, agent_id } = found;
  const told =
    number < 1 || agent_id === undefined
      ? undefined
      : await exchange.services.usages.of(agent_id, taskId(`${key}/${run}/${index}`, number));
  if (told === undefined)
    throw new Refused(
      'not-found',
      'nothing is known (any more) of what this attempt uses: it has no place, or ended long ago',
    );
  return {
    status: 200,
    body: {
      job: key,
      run,
      index,
      attempt: number,
      since: told.since,
      limits: told.limits,
      points: told.points.map(point => ({ ...point, at: iso(point.at) })),
      links: { run: runPath(key, run), job: jobPath(key) },
    },
  };
}
