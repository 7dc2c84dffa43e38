// runs.ts: the native API's routes for runs: start, list, read, kill; and what became of a job's targets.

import type { JobKey } from '../../../actors/model/ids.ts';
import type { JobView, PendingReason, RunView, TaskReports } from '../../../actors/model/views.ts';
import { nextPage, page_query, readCursor } from '../cursor.ts';
import { refusedBy } from '../problems.ts';
import { finishedRun, jobPath, liveRun, outcomeResource, runPath, waitingRun } from '../resources.ts';
import {
  command,
  type Exchange,
  idempotency,
  job_path,
  keyOfPath,
  limitOf,
  noBody,
  noSuchJob,
  noSuchRun,
  problem,
  type Reply,
  type Route,
  requestOf,
  unexpected,
} from '../route.ts';
import type { RunResource } from '../schemas.ts';

const not_found = { 404: problem('There is no such job or run.') };

export const run_routes: readonly Route[] = [
  {
    method: 'POST',
    path: `${job_path}/runs`,
    id: 'startRun',
    tag: 'runs',
    summary: 'Start a run now',
    description: "Under the job's overlap policy. With an Idempotency-Key the same key always names the same run.",
    permission: 'operate',
    headers: idempotency,
    answers: {
      202: { description: 'Recorded; Location names the run.', schema: 'RunStarted' },
      409: problem('The overlap policy wants no second run, or the job has been put aside.'),
      ...not_found,
    },
    handle: start,
  },
  {
    method: 'GET',
    path: `${job_path}/runs`,
    id: 'listRuns',
    tag: 'runs',
    summary: 'List runs: those that live, then those that are over, newest first',
    permission: 'read',
    query: page_query,
    answers: { 200: { description: 'A page of runs.', schema: 'RunPage' }, ...not_found },
    handle: list,
  },
  {
    method: 'GET',
    path: `${job_path}/runs/:run`,
    id: 'getRun',
    tag: 'runs',
    summary: 'Read a run',
    permission: 'read',
    answers: { 200: { description: 'The run.', schema: 'Run' }, ...not_found },
    handle: read,
  },
  {
    method: 'DELETE',
    path: `${job_path}/runs/:run`,
    id: 'killRun',
    tag: 'runs',
    summary: 'Kill a run',
    description: 'One that waits for another to end will not start.',
    permission: 'operate',
    answers: { 202: { description: 'The kill is recorded and under way.', schema: 'Killing' }, ...not_found },
    handle: exchange => kill(exchange, exchange.params.run),
  },
  {
    method: 'POST',
    path: `${job_path}/kill`,
    id: 'killAllRuns',
    tag: 'runs',
    summary: 'Kill every run of a job, active or waiting',
    description:
      'Backfills under way end where they are. What comes due later starts as ever: pause the job to keep it still.',
    permission: 'operate',
    answers: { 202: { description: 'The kills are recorded and under way.', schema: 'Killing' }, ...not_found },
    handle: exchange => kill(exchange, undefined),
  },
  {
    method: 'GET',
    path: `${job_path}/outcomes`,
    id: 'listOutcomes',
    tag: 'runs',
    summary: "What became of the job's targets, newest first",
    permission: 'read',
    query: page_query,
    answers: { 200: { description: 'A page of outcomes.', schema: 'OutcomePage' }, ...not_found },
    handle: outcomes,
  },
];

async function start(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const key = keyOfPath(exchange);
  const answer = await command(exchange, { type: 'start-run', key, request: requestOf(exchange) });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'started' && answer.type !== 'waiting' && answer.type !== 'existing') throw unexpected(answer);
  const self = runPath(key, answer.run);
  return {
    status: 202,
    headers: { location: self },
    body: { job: key, run: answer.run, result: answer.type, links: { self, job: jobPath(key) } },
  };
}

async function kill(exchange: Exchange, run: string | undefined): Promise<Reply> {
  await noBody(exchange);
  const key = keyOfPath(exchange);
  const what = run === undefined ? ({ type: 'kill-all', key } as const) : ({ type: 'kill-run', key, run } as const);
  const answer = await command(exchange, what);
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'killing') throw unexpected(answer);
  return { status: 202, body: { job: key, killing: answer.count } };
}

async function read(exchange: Exchange): Promise<Reply> {
  const key = keyOfPath(exchange);
  const run = exchange.params.run ?? '';
  const { views, reports } = exchange.services;
  const job = views.job(key);
  const live = views.run(key, run);
  if (live !== undefined) {
    const told = await toldOf(reports, [live]);
    return { status: 200, body: liveRun(key, live, waitsOf(views.pending(key)), told) };
  }
  const start = job?.trigger?.waiting.find(each => each.run === run);
  if (start !== undefined) return { status: 200, body: waitingRun(key, start, job!.record.job.instances) };
  const over = views.finished_run(key, run);
  if (over === undefined) throw noSuchRun(key, run);
  return { status: 200, body: finishedRun(key, over) };
}

/**
 * Live runs first, then history. The cursor of the first part is the run where the page before ended (`l`), that of the
 * second the history's own (`h`). A run that ends between two pages may be met again in the second part, never missed.
 */
async function list(exchange: Exchange): Promise<Reply> {
  const key = keyOfPath(exchange);
  const { views, reports } = exchange.services;
  const limit = limitOf(exchange);
  const job = views.job(key);
  const cursor = cursorOf(exchange, key);
  const runs: RunResource[] = [];
  if (cursor.part === 'l') {
    const told = await toldOf(reports, job?.runs ?? []);
    const live = job === undefined ? [] : liveRuns(job, views.pending(key), told);
    const from = live.findIndex(run => cursor.after !== undefined && run.run === cursor.after) + 1;
    runs.push(...live.slice(from, from + limit));
    if (from + limit < live.length) return page(exchange, limit, runs, `l${runs.at(-1)!.run}`);
  }
  const before = cursor.part === 'h' ? cursor.after : undefined;
  // Even a full page asks for one row, to know whether there is anything to go on with.
  const rest = views.finished_runs(key, Math.max(1, limit - runs.length), before);
  if (job === undefined && runs.length === 0 && rest.rows.length === 0) throw noSuchJob(key);
  if (runs.length === limit)
    return page(exchange, limit, runs, rest.rows.length > 0 ? `l${runs.at(-1)!.run}` : undefined);
  runs.push(...rest.rows.map(row => finishedRun(key, row)));
  return page(exchange, limit, runs, rest.next === undefined ? undefined : `h${rest.next}`);
}

/** What is known of the tasks of these runs, on whichever node. */
export async function toldOf(reports: TaskReports, runs: readonly RunView[]): Promise<Pick<TaskReports, 'of'>> {
  if (reports.told === undefined) return reports;
  return reports.told(
    runs.flatMap(({ instances }) =>
      instances.flatMap(({ task_id, record }) =>
        task_id === undefined || !('hostname' in record) || record.status === 'over' ? [] : [task_id],
      ),
    ),
  );
}

function liveRuns(job: JobView, pending: readonly PendingReason[], reports: Pick<TaskReports, 'of'>): RunResource[] {
  const waits = waitsOf(pending);
  const live = [
    ...(job.trigger?.waiting.map(start => waitingRun(job.key, start, job.record.job.instances)) ?? []),
    ...job.runs.map(run => liveRun(job.key, run, waits, reports)),
  ];
  return live.sort((a, b) => (a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : 0));
}

const waitsOf = (pending: readonly PendingReason[]) => {
  const words = new Map(pending.map(reason => [reason.instance, reason.summary]));
  return (instance: string) => words.get(instance);
};

function outcomes(exchange: Exchange): Reply {
  const key = keyOfPath(exchange);
  const { views } = exchange.services;
  const limit = limitOf(exchange);
  const { after } = cursorOf(exchange, key);
  const { rows, next } = views.outcomes(key, limit, after);
  if (rows.length === 0 && views.job(key) === undefined) throw noSuchJob(key);
  const link = nextPage(`${jobPath(key)}/outcomes`, limit, next === undefined ? undefined : `h${next}`);
  return { status: 200, body: { outcomes: rows.map(outcomeResource), ...link } };
}

function page(exchange: Exchange, limit: number, runs: readonly RunResource[], next: string | undefined): Reply {
  return { status: 200, body: { runs, ...nextPage(`${jobPath(keyOfPath(exchange))}/runs`, limit, next) } };
}

/** A run that lives (`l`), or a row of the history (`h`). */
function cursorOf({ query }: Exchange, key: JobKey): { part: 'l' | 'h'; after?: string } {
  const text = readCursor(query.before, text => text.startsWith('l') || text.startsWith(`h${key}/`));
  if (text === undefined) return { part: 'l' };
  return { part: text.startsWith('l') ? 'l' : 'h', after: text.slice(1) };
}
