// tasks.ts: what Chronos's clients do to tasks: kill them, forget those that wait, complete them.
//
// A run that waits for its place, or for another run to end, was "queued" to Chronos, and one that has its place "running". They
// name a task as it found itself in mesos_task_id; Mesos's own id is understood as well.

import { ownWords, wordsOf } from '../../../actors/model/command-line.ts';
import {
  chronosTaskId,
  type JobKey,
  parseChronosTaskId,
  parseTaskId,
  roleOf,
  splitInstanceKey,
} from '../../../actors/model/ids.ts';
import type { Job } from '../../../actors/model/job.ts';
import type { Cause } from '../../../actors/model/reasons.ts';
import type { JobView, RunView } from '../../../actors/model/views.ts';
import { authorize } from '../guard.ts';
import { Refused, refusedBy } from '../problems.ts';
import { command, type Exchange, jsonBody, noBody, type Reply, unexpected } from '../route.ts';
import { jobNamed, jobOf, named, pagesOf } from './answers.ts';
import { chronosName, isDataJob } from './document.ts';

/** Runs of a job that have their place; those that are queued stay. */
export async function killRunning(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const view = jobOf(exchange);
  await kill(
    exchange,
    view,
    view.runs.filter(run => !isQueued(run)).map(run => run.record.run),
  );
  return { status: 204 };
}

/** Whatever is queued, of every job, is not to be. */
export async function forgetQueued(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  for (const page of pagesOf(exchange))
    for (const view of page) {
      const waiting = view.trigger?.waiting.map(one => one.run) ?? [];
      // Those behind an active run first, or they would move up.
      await kill(exchange, view, [...waiting, ...view.runs.filter(isQueued).map(run => run.record.run)]);
    }
  return { status: 204 };
}

async function kill(exchange: Exchange, { key }: JobView, runs: readonly string[]): Promise<void> {
  for (const run of runs) {
    const answer = await command(exchange, { type: 'kill-run', key, run });
    // It may have ended while we were at it, and its job with it.
    if (answer.type === 'refused' && answer.code === 'not-found') continue;
    if (answer.type === 'refused') throw named(refusedBy(answer));
    if (answer.type !== 'killing') throw unexpected(answer);
  }
}

/** Chronos said 204 to whatever id it was given, and then waited for ever. */
export async function complete(exchange: Exchange): Promise<Reply> {
  const id = exchange.params.task ?? '';
  const body = await jsonBody(exchange, ['application/json']);
  const given = typeof body === 'object' && body !== null ? (body as { statusCode?: unknown }).statusCode : undefined;
  const status_code = typeof given === 'string' && /^\s*-?\d+\s*$/.test(given) ? Number(given) : given;
  if (typeof status_code !== 'number' || !Number.isInteger(status_code) || Math.abs(status_code) > 2 ** 31 - 1)
    throw new Refused('malformed', `statusCode is ${JSON.stringify(given)?.slice(0, 80)}: expected a whole number`);
  const { key, task_id } = taskNamed(exchange, id);
  const answer = await command(exchange, { type: 'complete-task', key, task_id, status_code });
  if (answer.type === 'refused') throw named(refusedBy(answer));
  if (answer.type !== 'completed') throw unexpected(answer);
  return { status: 204 };
}

/** Counted with the task while it lives; a task that is over has been counted. */
export async function progress(exchange: Exchange): Promise<Reply> {
  const body = await jsonBody(exchange, ['application/json']);
  const view = jobOf(exchange);
  const name = (exchange.params.name ?? '').slice(0, 200);
  if (!isDataJob(view))
    throw new Refused('malformed', `Job '${name}' processes no data: expected dataProcessingJobType true`);
  const given =
    typeof body === 'object' && body !== null
      ? (body as { numAdditionalElementsProcessed?: unknown }).numAdditionalElementsProcessed
      : undefined;
  if (typeof given !== 'number' || !Number.isSafeInteger(given) || given < 0)
    throw new Refused(
      'malformed',
      `numAdditionalElementsProcessed is ${JSON.stringify(given)?.slice(0, 80)}: expected a whole number from 0 on`,
    );
  const { key, task_id } = taskNamed(exchange, exchange.params.task ?? '');
  if (key !== view.key) throw new Refused('not-found', `Job '${name}' has no such task`);
  const answer = await command(exchange, { type: 'progress', key, task_id, elements: given });
  if (answer.type === 'refused') throw named(refusedBy(answer));
  if (answer.type !== 'progressed') throw unexpected(answer);
  return { status: 204 };
}

type Named = { readonly key: JobKey; readonly task_id: string };

/** Of the runs that are not over. Whoever names a task may do something to its job. */
function taskNamed(exchange: Exchange, id: string): Named {
  const instance = parseTaskId(id)?.instance;
  if (instance !== undefined) {
    const { job: key } = splitInstanceKey(instance);
    authorize(exchange.who, 'operate', roleOf(key));
    return { key, task_id: id };
  }
  const read = parseChronosTaskId(id);
  if (read === undefined)
    throw new Refused('not-found', `there is no task '${id.slice(0, 255)}': expected ct:DUE:ATTEMPT:JOB:ARGUMENTS`);
  const view = jobNamed(exchange, read.name);
  const found = view?.runs.flatMap(run => tasksOf(view, run)).find(task => task.id === id || `${id}:` === task.id);
  if (view === undefined || found === undefined)
    throw new Refused('not-found', `Task '${id.slice(0, 255)}' is none that lives: it is over, or never was`);
  return { key: view.key, task_id: found.task_id };
}

/** The present attempts of a run, by both of their names. */
function tasksOf({ key, record }: JobView, { record: run, instances }: RunView): { id: string; task_id: string }[] {
  const job = run.job ?? record.job;
  return instances.flatMap(({ task_id, record: { attempt } }) =>
    task_id === undefined ? [] : [{ id: nameOfTask({ key }, run, job, attempt), task_id }],
  );
}

/** As an attempt of that run found itself in mesos_task_id. */
export function nameOfTask(
  { key }: Pick<JobView, 'key'>,
  { cause, created_at }: { readonly cause: Cause; readonly created_at: number },
  job: Job,
  attempt: number,
): string {
  const words = wordsOf(cause, ownWords(job));
  const due = 'at' in cause ? cause.at : created_at;
  return chronosTaskId({ due, attempt, name: chronosName(key), words });
}

export const isQueued = ({ instances }: RunView): boolean => instances.every(one => one.record.status === 'pending');
