// statistics.ts: how long runs take and what became of each attempt: of one job, and of those that take longest.
//
// Counts and durations stand in the job's tally, so they are there after any restart; percentiles are worked out when somebody
// asks. Over all jobs that is done some hundred at a time, with a turn for everybody else in between.

import { setImmediate as turn } from 'node:timers/promises';
import { z } from 'zod';
import { type Figures, figuresOf, percentiles } from '../../../actors/model/durations.ts';
import { type JobKey, parseTaskId, splitInstanceKey } from '../../../actors/model/ids.ts';
import type { FinishedAttempt, TallyRecord } from '../../../actors/model/records.ts';
import { permits } from '../../credentials.ts';
import { nextPage, page_query, readCursor } from '../cursor.ts';
import { iso, isoOf, jobPath, present, runPath } from '../resources.ts';
import {
  type Exchange,
  job_path,
  keyOfPath,
  limit_query,
  limitOf,
  noSuchJob,
  not_found,
  type Reply,
  type Route,
} from '../route.ts';
import { count, end_reason, instant, links } from '../shapes.ts';

/** What jobs can be ordered by. */
const figures = [...percentiles, 'mean', 'max'] as const;
type Figure = (typeof figures)[number];

const duration = z.number().min(0).describe('Milliseconds.');
const durations = z
  .object({
    count: count.describe('Runs that succeeded.'),
    mean_ms: duration,
    max_ms: duration,
    p50_ms: duration,
    p75_ms: duration,
    p95_ms: duration,
    p98_ms: duration,
    p99_ms: duration,
  })
  .describe('Of runs that succeeded, from the first process to the end of the last.');
export const statistics = z.object({
  job: z.string(),
  successes: count,
  failures: count,
  failures_since_success: count,
  last_success_at: instant.optional(),
  last_failure_at: instant.optional(),
  durations: durations.optional(),
  links,
});
export const slowest_jobs = z.object({
  ordered_by: z.string(),
  jobs: z.array(z.object({ job: z.string(), durations, links })),
  total: count.describe('Jobs of which a run has succeeded.'),
});
export const attempt_page = z.object({
  attempts: z.array(
    z.looseObject({
      run: z.string(),
      task_id: z.string(),
      index: count,
      attempt: count,
      agent_id: z.string().optional(),
      hostname: z.string().optional(),
      waiting_at: instant.optional(),
      assigned_at: instant.optional(),
      started_at: instant.optional(),
      ended_at: instant,
      ran_ms: duration.optional(),
      elements: count.optional().describe('Elements that it said it had done with.'),
      outcome: z.enum(['finished', 'failed', 'killed', 'lost']),
      reason: end_reason,
      links,
    }),
  ),
  next: z.string().optional(),
});

export const statistics_routes: readonly Route[] = [
  {
    method: 'GET',
    path: `${job_path}/statistics`,
    id: 'getStatistics',
    tag: 'runs',
    summary: "How often a job's runs succeeded and failed, and how long they took",
    description:
      'Of all runs since the job was made; a replacement forgets nothing. Durations are those of runs that succeeded, from the first process to the end, to two digits that count.',
    permission: 'read',
    answers: { 200: { description: 'Counts and durations.', schema: 'Statistics' }, ...not_found },
    handle: ofJob,
  },
  {
    method: 'GET',
    path: `${job_path}/attempts`,
    id: 'listAttempts',
    tag: 'runs',
    summary: 'Attempts of a job that are over, newest first: where, when, how they ended, and their logs',
    permission: 'read',
    query: page_query,
    answers: { 200: { description: 'A page of attempts.', schema: 'AttemptPage' }, ...not_found },
    handle: attempts,
  },
  {
    method: 'GET',
    path: '/api/v1/statistics',
    id: 'listSlowest',
    tag: 'runs',
    summary: 'The jobs that take longest',
    description: 'Only those whose role the sender may read, and of which a run has succeeded.',
    permission: 'read',
    query: z.strictObject({
      percentile: z.enum(figures).optional().describe('What to order by; p95 when left out.'),
      limit: limit_query.describe('Jobs at most; 100 when left out.'),
    }),
    answers: { 200: { description: 'Jobs, the slowest first.', schema: 'SlowestJobs' } },
    handle: slowest,
  },
];

/** What a tally record says never changes. */
const known = new WeakMap<TallyRecord, Figures>();
export function figuresIn(tally: TallyRecord | undefined): Figures | undefined {
  if (tally?.durations === undefined) return undefined;
  let found = known.get(tally);
  if (found === undefined) {
    found = figuresOf(tally.durations);
    known.set(tally, found);
  }
  return found;
}

function ofJob(exchange: Exchange): Reply {
  const key = keyOfPath(exchange);
  const view = exchange.services.views.job(key);
  if (view === undefined) throw noSuchJob(key);
  const { tally } = view;
  const body = {
    job: key,
    successes: tally?.successes ?? 0,
    failures: tally?.failures ?? 0,
    failures_since_success: tally?.failures_since_success ?? 0,
    last_success_at: isoOf(tally?.last_success_at),
    last_failure_at: isoOf(tally?.last_failure_at),
    durations: figuresIn(tally),
    links: { job: jobPath(key), attempts: `${jobPath(key)}/attempts` },
  };
  return { status: 200, body: present(body) };
}

function attempts(exchange: Exchange): Reply {
  const key = keyOfPath(exchange);
  const { history, views } = exchange.services;
  const limit = limitOf(exchange);
  const before = readCursor(exchange.query.before, text => text.startsWith(`${key}/`));
  const page = history.page('finished-attempt', `${key}/`, limit, before);
  if (page.rows.length === 0 && views.job(key) === undefined) throw noSuchJob(key);
  const rows = page.rows.map(({ body }) => attempt(key, body as FinishedAttempt));
  return { status: 200, body: { attempts: rows, ...nextPage(`${jobPath(key)}/attempts`, limit, page.next) } };
}

function attempt(key: JobKey, row: FinishedAttempt) {
  const { task_id, index, started_at, ended_at, waiting_at, assigned_at, away_at: _, killed_at: __, ...rest } = row;
  const run = splitInstanceKey(parseTaskId(task_id)!.instance).run;
  const logs = `${runPath(key, run)}/logs/${index}`;
  return present({
    run,
    task_id,
    index,
    ...rest,
    waiting_at: isoOf(waiting_at),
    assigned_at: isoOf(assigned_at),
    started_at: isoOf(started_at),
    ended_at: iso(ended_at),
    ran_ms: started_at === undefined ? undefined : Math.max(0, ended_at - started_at),
    links: {
      run: runPath(key, run),
      stdout: `${logs}/stdout?attempt=${row.attempt}`,
      stderr: `${logs}/stderr?attempt=${row.attempt}`,
    },
  });
}

const jobs_per_turn = 500;

async function slowest(exchange: Exchange): Promise<Reply> {
  const limit = limitOf(exchange);
  const by = (exchange.query.percentile ?? 'p95') as Figure;
  const found: { readonly job: JobKey; readonly durations: Figures }[] = [];
  const { views } = exchange.services;
  for (let after: JobKey | undefined; ; await turn()) {
    const page = views.jobs(jobs_per_turn, after);
    for (const { key, record, tally } of page) {
      const durations = permits(exchange.who, 'read', record.job.role) ? figuresIn(tally) : undefined;
      if (durations !== undefined) found.push({ job: key, durations });
    }
    after = page.at(-1)?.key;
    if (page.length < jobs_per_turn) break;
  }
  found.sort((a, b) => b.durations[`${by}_ms`] - a.durations[`${by}_ms`] || (a.job < b.job ? -1 : 1));
  const jobs = found.slice(0, limit).map(one => ({ ...one, links: { job: jobPath(one.job) } }));
  return { status: 200, body: { ordered_by: by, jobs, total: found.length } };
}
