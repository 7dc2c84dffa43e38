// tellings.ts: what happened to a job, put so that it can be told: the words of each event.
//
// Each of these stands beside the decision that it tells of, in the same step.

import { type Effect, notice } from '../effects.ts';
import { instanceKey, type JobKey, taskId } from '../model/ids.ts';
import { inWords } from '../model/reasons.ts';
import type { FinishedRun, JobRecord, TallyRecord } from '../model/records.ts';
import type { TriggerState } from '../trigger/trigger.ts';
import type { JobState } from './job.ts';
import type { ActiveRun } from './runs.ts';

/** A run that is over. Whoever was killed was killed by somebody who knows. */
export function told(
  { key, record: jobs }: Pick<JobState, 'key' | 'record'>,
  { over }: Pick<ActiveRun, 'over'>,
  finished: FinishedRun,
  tally: TallyRecord,
): readonly Effect[] {
  const { outcome, run, ended_at: at } = finished;
  if (outcome === 'killed' || jobs.job.service) return [];
  const event = outcome === 'failed' ? 'failed' : 'succeeded';
  // The one that failed first, or did last what the run did.
  const [index, last] = [...over].find(([, one]) => one.outcome === outcome) ?? [];
  if (index === undefined || last === undefined) return [];
  const failed = [...over.values()].filter(one => one.outcome === 'failed').length;
  const others = failed > 1 ? ` (and ${failed - 1} more of its ${finished.instances} instances failed)` : '';
  const task = taskId(instanceKey(key, run, index), last.attempt);
  const limit = jobs.job.max_task_failures;
  return [
    notice(key, {
      event,
      at,
      jobs,
      of: run,
      reason: inWords(last.reason) + others,
      run,
      // Without an agent it never had a place, and there is no task.
      ...(last.agent_id === undefined ? {} : { task, agent_id: last.agent_id }),
      ...(last.hostname === undefined ? {} : { host: last.hostname }),
      attempt: last.attempt,
      ...(limit > 0 ? { attempts: Math.max(limit, last.attempt) } : {}),
      tally,
    }),
  ];
}

export function deleted({ key, record: jobs, tally }: JobState, by: string, at: number): Effect {
  return notice(key, { event: 'deleted', at, jobs, of: `${jobs.incarnation}`, reason: `by ${by}`, ...given(tally) });
}

/** Somebody has switched it off. Chronos told of that only when it did so itself. */
export function disabled(before: JobState, after: JobState, by: string, at: number): readonly Effect[] {
  const { key, record: jobs, tally } = after;
  if (!before.record.job.enabled || jobs.job.enabled || jobs.origin?.dialect === 'chronos') return [];
  const of = `${jobs.incarnation}.v${jobs.version}`;
  return [notice(key, { event: 'disabled', at, jobs, of, reason: `by ${by}`, ...given(tally) })];
}

/** It failed too often in a row. */
export function restsByItself({ key, jobs }: Pick<TriggerState, 'key' | 'jobs'>, why: string, at: number): Effect {
  return notice(key, { event: 'disabled', at, jobs, of: `${jobs.incarnation}.p${at.toString(36)}`, reason: why });
}

export function missed(
  { key, jobs }: { readonly key: JobKey; readonly jobs: JobRecord },
  schedule: string,
  verdict: { readonly from: number; readonly to: number; readonly count: number; readonly why?: string },
  at: number,
): Effect {
  const { from, to, count, why } = verdict;
  const when =
    count === 1
      ? `the target of ${new Date(to).toISOString()}`
      : `${count} targets from ${new Date(from).toISOString()} to ${new Date(to).toISOString()}`;
  const reason = `${when} passed${why === undefined ? '' : ` (${why})`}`;
  return notice(key, { event: 'missed', at, jobs, of: `${jobs.incarnation}.${schedule}.${to.toString(36)}`, reason });
}

const given = (tally: TallyRecord | undefined): { readonly tally?: TallyRecord } =>
  tally === undefined ? {} : { tally };
