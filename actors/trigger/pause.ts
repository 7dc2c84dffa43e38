// pause.ts: a job that rests until somebody lets it go on, and why.
//
// Paused is not disabled: it is said with a note and an instant, by a person or by the job's own failures, and every target
// that passes meanwhile is told as skipped. Runs that are active go on; runs by hand and backfills still start.

import { audit } from '../audit.ts';
import { type Effect, log, record, reply } from '../effects.ts';
import { restsByItself } from '../job/tellings.ts';
import type { CommandEnvelope } from '../model/commands.ts';
import type { Paused } from '../model/records.ts';
import { type Step, stepWith } from '../step.ts';
import { dropWaiting } from './gate.ts';
import type { TriggerState } from './trigger.ts';

/** Paused from now on. Starts that wait because of a target are dropped, and told. */
export function paused(
  state: TriggerState,
  why: Paused,
  now: number,
): { state: TriggerState; effects: readonly Effect[] } {
  const { state: emptied, effects } = dropWaiting(state, 'paused', now);
  const first = state.record.paused;
  const since = first === undefined ? why.since : first.since;
  return {
    state: { ...emptied, record: { ...emptied.record, paused: { ...why, since } } },
    effects: [...effects, log('warn', { job: state.key, by: why.by, note: why.note }, 'job paused')],
  };
}

/** Goes on from now on: failures are counted anew. */
export function resumed(state: TriggerState): TriggerState {
  const { paused: _, forgiven: __, ...kept } = state.record;
  return { ...state, record: state.failures === 0 ? kept : { ...kept, forgiven: state.failures } };
}

/**
 * What the job counts is heard: one that failed too often in a row is paused. The count is the job's own and outlives both,
 * so that it is heard at the next start if the pause was lost on the way here.
 */
export function counted(
  state: TriggerState,
  failures: number,
  now: number,
): { state: TriggerState; effects: readonly Effect[] } {
  const heard = failures === state.failures ? state : { ...state, failures };
  const { forgiven = 0, ...rest } = state.record;
  // Fewer than were forgiven: there was a success in between, and nothing is left to forgive.
  if (failures < forgiven) return { state: { ...heard, record: rest }, effects: [] };
  const limit = state.jobs.job.pause_on_failure;
  const in_row = failures - forgiven;
  if (limit === undefined || in_row < limit || state.record.paused !== undefined) return { state: heard, effects: [] };
  const note = `${in_row} ${in_row === 1 ? 'run' : 'runs in a row'} failed: pause_on_failure is ${limit}`;
  const rests = paused(heard, { since: now, note, by: 'horae' }, now);
  return { state: rests.state, effects: [...rests.effects, restsByItself(state, note, now)] };
}

/** What a command for a job's pause leaves behind: its record, its audit row, its answer. */
export function answered(
  state: TriggerState,
  effects: readonly Effect[],
  envelope: CommandEnvelope,
  type: 'changed' | 'unchanged',
  now: number,
): Step<TriggerState, Effect> {
  const answer = { type, key: state.key, version: state.jobs.version } as const;
  return stepWith(state, [
    ...(type === 'changed' ? [record('trigger', state.key, state.record)] : []),
    ...effects,
    audit(envelope, now, type),
    reply(envelope.request_id, answer),
  ]);
}
