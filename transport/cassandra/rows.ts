// rows.ts: from what is on record of an attempt to the rows that Chronos would have written of it.

import { ownWords, wordsOf } from '../../actors/model/command-line.ts';
import { chronosTaskId, type JobKey, parseTaskId, splitInstanceKey } from '../../actors/model/ids.ts';
import type { Job } from '../../actors/model/job.ts';
import { type Cause, inWords } from '../../actors/model/reasons.ts';
import type { FinishedAttempt, JobRecord } from '../../actors/model/records.ts';
import { chronosName } from '../http/chronos/document.ts';
import type { Row } from './layout.ts';

/** What its job and its run add to an attempt; what is not known any more is left out. */
export type Context = {
  readonly job: JobRecord | undefined;
  readonly run: { readonly cause: Cause; readonly created_at: number; readonly job?: Job } | undefined;
};

/** How many elements a task says that it has done with. */
export type Elements = { readonly job_name: string; readonly task_id: string; readonly elements: number };

const states = { finished: 'TASK_FINISHED', failed: 'TASK_FAILED', killed: 'TASK_KILLED', lost: 'TASK_LOST' } as const;

/** That it ran, if it did, and how it ended. */
export function rowsOfAttempt(attempt: FinishedAttempt, context: Context): readonly Row[] {
  const { task_id, started_at, ended_at, outcome, reason, agent_id } = attempt;
  const about = aboutTask(task_id, context);
  if (about === undefined) return [];
  const ended: Row = {
    ...about,
    // After its beginning, whatever clocks said: two words of one instant would be one row, and the last is what it is.
    ts: started_at === undefined ? ended_at : Math.max(ended_at, started_at + 1),
    task_state: states[outcome],
    slave_id: agent_id,
    ...(outcome === 'finished' ? {} : { message: inWords(reason), is_failure: true }),
  };
  return started_at === undefined ? [ended] : [rowOfRunning(about, started_at, agent_id), ended];
}

/** That a task runs. */
export function rowOfTask(task_id: string, started_at: number, agent_id: string, context: Context): Row | undefined {
  const about = aboutTask(task_id, context);
  return about === undefined ? undefined : rowOfRunning(about, started_at, agent_id);
}

export function elementsOf(task_id: string, elements: number | undefined, context: Context): Elements | undefined {
  if (elements === undefined || elements === 0) return undefined;
  const about = aboutTask(task_id, context);
  return about === undefined ? undefined : { job_name: about.job_name, task_id: about.id, elements };
}

type About = Pick<Row, 'id' | 'job_name' | 'job_owner' | 'job_schedule' | 'job_parents' | 'attempt'>;

const rowOfRunning = (about: About, ts: number, slave_id: string | undefined): Row => ({
  ...about,
  ts,
  task_state: 'TASK_RUNNING',
  slave_id,
});

function aboutTask(task_id: string, { job: record, run }: Context): About | undefined {
  const read = parseTaskId(task_id);
  if (read === undefined) return undefined;
  const { job: key } = splitInstanceKey(read.instance);
  const job = run?.job ?? record?.job;
  return {
    id: nameOf(task_id, key, read.attempt, run, job),
    job_name: chronosName(key),
    job_owner: job?.owner,
    job_schedule: record === undefined ? undefined : scheduleOf(record),
    job_parents: record?.job.parents?.map(chronosName),
    attempt: read.attempt - 1,
  };
}

/** As Chronos named it, if its job is one that Chronos could have had; of others several could share such a name. */
function nameOf(task_id: string, key: JobKey, attempt: number, run: Context['run'], job: Job | undefined): string {
  const name = chronosName(key);
  if (name === key || run === undefined) return task_id;
  const words = wordsOf(run.cause, job === undefined ? [] : ownWords(job));
  const due = 'at' in run.cause ? run.cause.at : run.created_at;
  return chronosTaskId({ due, attempt, name, words });
}

/** As it was posted to Chronos's API; else the texts of its schedules. */
function scheduleOf({ job, origin }: JobRecord): string | undefined {
  const posted = (origin?.document as { readonly schedule?: unknown } | undefined)?.schedule;
  if (origin?.dialect === 'chronos' && typeof posted === 'string') return posted;
  const texts = job.schedules.flatMap(({ iso8601, cron }) => iso8601 ?? cron ?? []);
  return texts.length === 0 ? undefined : texts.join('; ');
}
