// sandboxes.ts: the route that tells which sandboxes of ended tasks went, when and why.

import { z } from 'zod';
import { parseTaskId } from '../../../actors/model/ids.ts';
import { permits } from '../../credentials.ts';
import { iso, jobPath } from '../resources.ts';
import { type Exchange, limit_query, limitOf, type Reply, type Route } from '../route.ts';

export const sandbox_routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/sandboxes/swept',
    id: 'listSweptSandboxes',
    tag: 'system',
    summary: 'Sandboxes of ended tasks that are gone, newest first',
    description:
      'When each went, why (`age`, `count`: there were too many, `disk`: it was in the way), and what it took; only those of jobs whose role the sender may read. On a Mesos cluster agents sweep by themselves (--gc_delay) and tell nobody: then `kept_by` is `mesos`, and there are no rows.',
    permission: 'read',
    query: z.strictObject({ limit: limit_query.describe('Rows; 100 when left out.') }),
    answers: { 200: { description: 'The book, as far as it goes back.', schema: 'SweptSandboxes' } },
    handle: swept,
  },
];

export const swept_sandboxes = z.object({
  kept_by: z.enum(['horae', 'mesos']),
  free_bytes: z.number().optional().describe('Of the disk under the sandboxes.'),
  total_bytes: z.number().optional(),
  rules: z
    .object({
      sandboxes_max: z.int(),
      days: z.number(),
      free_percent: z.number().describe('Of the disk, to be free; below it the oldest go.'),
    })
    .optional(),
  swept: z.array(
    z.object({
      at: z.string(),
      why: z.enum(['age', 'count', 'disk']),
      ended_at: z.string().describe('When something was changed in it last.'),
      bytes: z.number(),
      tasks: z.array(
        z.object({
          job: z.string(),
          run: z.string(),
          index: z.int(),
          attempt: z.int(),
          links: z.object({ job: z.string() }),
        }),
      ),
    }),
  ),
});

async function swept(exchange: Exchange): Promise<Reply> {
  const { sweeping } = exchange.services;
  if (sweeping === undefined) return { status: 200, body: { kept_by: 'mesos', swept: [] } };
  const rows: unknown[] = [];
  for (const { at, why, ended_at, bytes, tasks } of sweeping.swept()) {
    if (rows.length === limitOf(exchange)) break;
    const seen = tasks.flatMap(text => {
      const task = parseTaskId(text);
      if (task === undefined) return [];
      const parts = task.instance.split('/');
      const job = parts.slice(0, 3).join('/');
      if (!permits(exchange.who, 'read', parts[0]!)) return [];
      return [{ job, run: parts[3]!, index: Number(parts[4]), attempt: task.attempt, links: { job: jobPath(job) } }];
    });
    if (seen.length > 0) rows.push({ at: iso(at), why, ended_at: iso(ended_at), bytes, tasks: seen });
  }
  return { status: 200, body: { kept_by: 'horae', ...(await sweeping.disk()), rules: sweeping.rules, swept: rows } };
}
