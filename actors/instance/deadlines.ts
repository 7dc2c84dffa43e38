// deadlines.ts: until when an instance may be where it is: its job's time-outs, as instants.
//
// Every instant follows from records alone, so whoever takes over waits for the same moment, and what has passed meanwhile is
// past at once. An instance that is being killed has no deadline: it goes already, and Mesos says when.

import { givenUpAt } from '../model/partition.ts';
import type { TimeLimit } from '../model/reasons.ts';
import type { InstanceSettings, InstanceState } from './instance.ts';

export type Deadline = { readonly which: TimeLimit; readonly limit_ms: number; readonly at: number };

/** The first that will pass; undefined when it may stay for ever. */
export function deadlineOf(
  { job: { timeouts }, record: at, cause, run_created_at }: InstanceState,
  times: Pick<InstanceSettings, 'call_back_ms'>,
): Deadline | undefined {
  if (at === undefined || at.status === 'over' || at.status === 'killing') return undefined;
  if (timeouts === undefined && at.status !== 'awaiting') return undefined;
  let first: Deadline | undefined;
  const within = (which: TimeLimit, from: number, limit_ms: number | undefined) => {
    if (limit_ms === undefined || from + limit_ms >= (first?.at ?? Number.POSITIVE_INFINITY)) return;
    first = { which, limit_ms, at: from + limit_ms };
  };
  within('total', run_created_at, timeouts?.total_ms);
  if (at.status === 'awaiting') {
    within('call-back', at.since, timeouts?.call_back_ms ?? times.call_back_ms);
    return first;
  }
  const started_at = at.status === 'pending' ? undefined : at.started_at;
  // A run that is caught up is due when it is made up for, not when it was missed.
  const due_at = cause.type === 'target' && cause.caught_up !== true ? cause.at : run_created_at;
  if (started_at !== undefined) within('run', started_at, timeouts?.run_ms);
  else if (at.begun !== true) within('start', due_at, timeouts?.start_ms);
  return first;
}

/** When it wants to be woken while it is where it is: its deadline, or when whoever is out of reach is given up. */
export function wakeAt(state: InstanceState, times: Pick<InstanceSettings, 'call_back_ms'>): number | undefined {
  const at = state.record;
  const deadline = deadlineOf(state, times)?.at;
  const given_up = at?.status === 'unreachable' ? givenUpAt(state.job, at.since) : undefined;
  if (deadline === undefined || given_up === undefined) return deadline ?? given_up;
  return Math.min(deadline, given_up);
}
