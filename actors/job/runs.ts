// runs.ts: the runs of a job that are not over: how their instances are brought into the world, and how they are ended.

import { type Effect, type JobBirth, record, tell } from '../effects.ts';
import { instanceKey, type RunId, runKey } from '../model/ids.ts';
import type { InstanceRecord, RunRecord } from '../model/records.ts';
import { type Step, stepWith } from '../step.ts';
import { configOf, wants } from '../update/update-plan.ts';
import type { JobState } from './job.ts';

export type OverRecord = Extract<InstanceRecord, { status: 'over' }>;
export type ActiveRun = {
  readonly record: RunRecord;
  readonly over: ReadonlyMap<number, OverRecord>;
  /** Instances there have been; more than the record says when a service has shrunk. All of them must end. */
  readonly size: number;
  /** Indexes below that which have no instance, nor ever had one: an update is to make them, or was. */
  readonly unborn?: ReadonlySet<number>;
  /** Instances that were found over and begun again, with the attempt that was their last then. */
  readonly revived?: ReadonlyMap<number, number>;
  readonly started_at?: number;
};

export function restoredRun(record: RunRecord, instances: JobBirth['runs'][number]['instances']): ActiveRun {
  const started = instances.flatMap(({ record: at }) =>
    'started_at' in at && at.started_at !== undefined ? [at.started_at] : [],
  );
  const size = Math.max(record.instances, ...instances.map(one => one.index + 1));
  const known = new Set(record.without === undefined ? [] : instances.map(one => one.index));
  const unborn =
    record.without === undefined
      ? []
      : Array.from({ length: size }, (_, index) => index).filter(index => !known.has(index) && !wants(record, index));
  return {
    record,
    over: overOf(instances),
    size,
    ...(unborn.length === 0 ? {} : { unborn: new Set(unborn) }),
    ...(started.length === 0 ? {} : { started_at: Math.min(...started) }),
  };
}

const overOf = (instances: JobBirth['runs'][number]['instances']): ReadonlyMap<number, OverRecord> =>
  new Map(instances.flatMap(({ index, record: at }) => (at.status === 'over' ? [[index, at] as const] : [])));

export function killRuns(
  state: JobState,
  runs: readonly RunId[],
  by: string,
  now: number,
  grace = true,
): Step<JobState, Effect> {
  let next = state;
  const effects: Effect[] = [];
  for (const id of runs) {
    const run = next.runs.get(id);
    if (run === undefined) continue;
    const before = run.record.killing;
    // Again only if it is in more of a hurry than before.
    if (before !== undefined && (grace || before.at_once === true)) continue;
    const killing: RunRecord = {
      ...run.record,
      killing: { ...(before ?? { by, at: now }), ...(grace ? {} : { at_once: true }) },
    };
    next = { ...next, runs: with_(next.runs, id, { ...run, record: killing }) };
    effects.push(record('run', runKey(state.key, id), killing));
    for (let index = 0; index < run.size; index++)
      if (lives(run, index)) effects.push(killInstance(state, id, index, by, grace));
  }
  return stepWith(next, effects);
}

export function spawnInstance(state: JobState, run: RunRecord, index: number, at: InstanceRecord | undefined): Effect {
  return {
    type: 'spawn-instance',
    state: {
      key: instanceKey(state.key, run.run, index),
      job_key: state.key,
      run: run.run,
      index,
      cause: run.cause,
      ...configOf(run, index, state.record),
      run_created_at: run.created_at,
      record: at,
    },
  };
}

/** Whether there is such an instance: begun, and not over. */
export const lives = ({ over, size, unborn }: ActiveRun, index: number): boolean =>
  index < size && !over.has(index) && unborn?.has(index) !== true;

/** Every instance that there has been is over. */
export const isEveryoneOver = ({ over, size, unborn }: ActiveRun): boolean => over.size + (unborn?.size ?? 0) >= size;

export const killInstance = (state: JobState, run: RunId, index: number, by: string, grace = true): Effect =>
  tell({
    to: 'instance',
    key: instanceKey(state.key, run, index),
    message: { type: 'kill', by, replace: false, grace },
  });
export const with_ = <K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> =>
  new Map(map).set(key, value);
