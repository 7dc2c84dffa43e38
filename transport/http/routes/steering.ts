// steering.ts: the routes that say what a job does of itself: pause it, let it go on, run what it did in the past again.

import { z } from 'zod';
import { overlap_policies } from '../../../actors/model/job.ts';
import { parseTime } from '../../../schedules/iso8601.ts';
import type { Problem } from '../../../schedules/problem.ts';
import { document_types } from '../body.ts';
import { invalid, refusedBy } from '../problems.ts';
import { jobPath } from '../resources.ts';
import {
  command,
  type Exchange,
  idempotency,
  job_path,
  jsonBody,
  keyOfPath,
  noBody,
  not_found,
  problem,
  type Reply,
  type Route,
  requestOf,
  unexpected,
} from '../route.ts';

const refusals = {
  ...not_found,
  422: problem('The request is wrong: every problem in it.'),
};

export const pause_request = z.strictObject({
  note: z.string().min(1).max(1_024).describe('Why, for whoever wonders why nothing happens.'),
});
export const backfill_request = z.strictObject({
  from: z.string().max(64).describe('ISO 8601 instant: the first that counts.'),
  to: z.string().max(64).describe('ISO 8601 instant that has passed: the last that counts.'),
  schedule: z.string().max(16).optional().describe('Id of one schedule; all of them when left out.'),
  overlap: z
    .strictObject({ policy: z.enum(overlap_policies), max: z.int().min(1).max(10_000).optional() })
    .optional()
    .describe('How its runs stand to each other and to others; `buffer-all`, one after the other, when left out.'),
  limit: z.int().min(1).max(10_000).optional().describe('Targets at most, from the first on; 1000 when left out.'),
});

/** `found`: the job as it is, for an answer. */
export function steeringRoutes(found: (exchange: Exchange, status: number) => Reply): readonly Route[] {
  return [
    {
      method: 'POST',
      path: `${job_path}/pause`,
      id: 'pauseJob',
      tag: 'jobs',
      summary: 'Pause a job: nothing starts by itself, and targets that pass are told as skipped',
      permission: 'operate',
      body: { schema: 'PauseRequest', types: document_types },
      answers: { 200: { description: 'As it is now.', schema: 'Job' }, ...refusals },
      async handle(exchange) {
        const { note } = read(pause_request, await jsonBody(exchange, document_types));
        return await steer(exchange, { type: 'pause', key: keyOfPath(exchange), note }, found);
      },
    },
    {
      method: 'POST',
      path: `${job_path}/resume`,
      id: 'resumeJob',
      tag: 'jobs',
      summary: 'Let a paused job go on from now',
      permission: 'operate',
      answers: { 200: { description: 'As it is now.', schema: 'Job' }, ...refusals },
      async handle(exchange) {
        await noBody(exchange);
        return await steer(exchange, { type: 'resume', key: keyOfPath(exchange) }, found);
      },
    },
    {
      method: 'POST',
      path: `${job_path}/backfill`,
      id: 'backfillJob',
      tag: 'runs',
      summary: 'Start runs for targets of the past',
      description:
        'Under an overlap policy of its own. Its outcomes stand beside those that the targets had; its progress is in the job.',
      permission: 'operate',
      headers: idempotency,
      body: { schema: 'BackfillRequest', types: document_types },
      answers: { 202: { description: 'Recorded, and under way.', schema: 'BackfillStarted' }, ...refusals },
      handle: backfill,
    },
  ];
}

async function steer(
  exchange: Exchange,
  what: Parameters<typeof command>[1],
  found: (exchange: Exchange, status: number) => Reply,
): Promise<Reply> {
  const answer = await command(exchange, what);
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'changed' && answer.type !== 'unchanged') throw unexpected(answer);
  return found(exchange, 200);
}

async function backfill(exchange: Exchange): Promise<Reply> {
  const key = keyOfPath(exchange);
  const { from, to, ...rest } = read(backfill_request, await jsonBody(exchange, document_types));
  const problems: Problem[] = [];
  const instant = (name: string, text: string): number => {
    const time = parseTime(text, `/${name}`);
    if (!time.ok) problems.push(...time.problems);
    return time.ok ? time.value.wall - (time.value.offset_ms ?? 0) : 0;
  };
  const range = { from: instant('from', from), to: instant('to', to) };
  if (problems.length > 0) throw invalid(problems);
  const request = requestOf(exchange).replace(/[^A-Za-z0-9_-]/g, '_');
  const answer = await command(exchange, { type: 'backfill', key, ...range, ...defined(rest), request });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'backfilling') throw unexpected(answer);
  const links = { job: jobPath(key), outcomes: `${jobPath(key)}/outcomes` };
  return { status: 202, body: { job: key, backfill: answer.backfill, targets: answer.targets, links } };
}

function defined({ schedule, overlap, limit }: Omit<z.infer<typeof backfill_request>, 'from' | 'to'>) {
  return {
    ...(schedule === undefined ? {} : { schedule }),
    ...(limit === undefined ? {} : { limit }),
    ...(overlap === undefined
      ? {}
      : { overlap: { policy: overlap.policy, ...(overlap.max === undefined ? {} : { max: overlap.max }) } }),
  };
}

/** A small document, or every problem in it. */
export function read<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(issue => ({
    place: issue.path.map(part => `/${String(part)}`).join(''),
    message: issue.message,
    expected: issue.message.replace(/^Invalid.*: /, ''),
  }));
  throw invalid(problems);
}
