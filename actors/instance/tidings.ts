// tidings.ts: what an instance tells its job of how it fares, beside that it is over.
//
// A job of ten thousand copies need not hear of each: it wants to know when its run began, and when a replaced instance is
// back. A service that was ever changed may be under an update, which looks at how each of its instances fares.

import { type Effect, tell } from '../effects.ts';
import type { Attempted } from '../model/records.ts';
import type { InstanceState } from './instance.ts';

const isWatched = ({ job, version }: InstanceState): boolean => job.service && version > 1;

/** It runs. `again`: its agent was away, and it has run before. */
export function tellRunning(state: InstanceState, at: Attempted, again: boolean): readonly Effect[] {
  const { job_key, run, index } = state;
  const wanted = isWatched(state) || (!again && (index === 0 || at.attempt > 1));
  if (!wanted) return [];
  const { version, failures } = at;
  return [tell({ to: 'job', key: job_key, message: { type: 'instance-running', run, index, version, failures } })];
}

/** It has lost what it had reached. `failed`: by its own fault. */
export function tellStumbled(state: InstanceState, at: Attempted, failed: boolean, why: string): readonly Effect[] {
  if (!isWatched(state)) return [];
  const { job_key, run, index } = state;
  const { version } = at;
  return [tell({ to: 'job', key: job_key, message: { type: 'instance-stumbled', run, index, version, failed, why } })];
}
