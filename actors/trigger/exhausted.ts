// exhausted.ts: a job whose schedules have nothing left to start, told once.
//
// That it was told stands in the trigger's record: the last run may end, and the process die before anybody has heard of it.

import { type Effect, notice, record } from '../effects.ts';
import { type Step, stepWith } from '../step.ts';
import type { TriggerState } from './trigger.ts';
import { lookOf } from './verdicts.ts';

/** The same step, and the word of it where this is the moment. */
export function tellingExhausted(after: Step<TriggerState, Effect>, now: number): Step<TriggerState, Effect> {
  const { state } = after;
  const { record: kept, jobs, key } = state;
  if (!mayEnd(state)) return kept.exhausted === true ? noting(after, undefined) : after;
  if (state.closed || !jobs.job.enabled || kept.paused !== undefined) return after;
  const busy = state.active.length > 0 || kept.waiting.length > 0;
  if (busy && kept.exhausted !== true) return after;
  const left = state.schedules.some(armed => lookOf(state, armed) !== undefined);
  if (left) return kept.exhausted === true ? noting(after, undefined) : after;
  if (kept.exhausted === true || busy) return after;
  // There a job whose last run failed was still thought to have something before it.
  if (jobs.origin?.dialect === 'chronos' && state.failures > 0) return after;
  const reason = `its ${state.schedules.length === 1 ? 'schedule has' : 'schedules have'} no further target`;
  const of = `${jobs.incarnation}.x${now.toString(36)}`;
  return noting(after, notice(key, { event: 'exhausted', at: now, jobs, of, reason }));
}

/** Whether it could ever come to an end: what is asked of every trigger at every turn must cost nothing. */
function mayEnd({ schedules, jobs }: TriggerState): boolean {
  if (schedules.length === 0 || jobs.job.parents !== undefined) return false;
  for (const { schedule } of schedules)
    if (schedule.timing.kind === 'reboot' || (schedule.count === undefined && schedule.bounds.to === Infinity))
      return false;
  return true;
}

function noting({ state, effects }: Step<TriggerState, Effect>, word: Effect | undefined): Step<TriggerState, Effect> {
  const { exhausted: _, ...rest } = state.record;
  const kept = word === undefined ? rest : { ...rest, exhausted: true as const };
  const noted = record('trigger', state.key, kept);
  return stepWith({ ...state, record: kept }, [...effects, noted, ...(word === undefined ? [] : [word])]);
}
