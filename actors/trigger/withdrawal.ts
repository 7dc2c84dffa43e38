// withdrawal.ts: starts that wait behind an active run, taken back because somebody killed them.
//
// A person who kills a run does not ask where it stands, so a start that waits is a run that can be killed like any other:
// it ends as one that was, and its target, if it had one, is told as skipped. Who kills all of a job's runs wants it to be
// still: what waits goes too, and backfills end where they are.

import { audit } from '../audit.ts';
import { type Effect, record, reply, tell } from '../effects.ts';
import type { CommandEnvelope } from '../model/commands.ts';
import { refusal } from '../model/reasons.ts';
import { type Step, step, stepWith } from '../step.ts';
import { endBackfills } from './backfill.ts';
import { dropped } from './gate.ts';
import type { TriggerState } from './trigger.ts';

/** `killed`: active runs that the job has killed on the same command; they are part of the answer. */
export function withdrawn(
  state: TriggerState,
  envelope: CommandEnvelope,
  killed: number,
  now: number,
): Step<TriggerState, Effect> {
  const { command, principal, request_id } = envelope;
  const { name } = principal;
  if (command.type !== 'kill-run' && command.type !== 'kill-all')
    throw new Error(`the trigger of ${state.key} was asked to withdraw by "${command.type}": expected a kill`);
  const { waiting } = state.record;
  const starts = command.type === 'kill-all' ? waiting : waiting.filter(one => one.run === command.run);
  if (command.type === 'kill-run' && starts.length === 0) {
    // It started while the command was on its way here; the job has heard of it by now.
    if (state.active.includes(command.run))
      return step(state, tell({ to: 'job', key: state.key, message: { type: 'kill-started', envelope } }));
    const text = `job ${state.key} has no active run ${command.run}`;
    return step(state, audit(envelope, now, 'not-found'), reply(request_id, refusal('not-found', text)));
  }
  const emptied = dropped(state, starts, 'skipped', 'killed', now, name);
  const ended =
    command.type === 'kill-all' ? endBackfills(emptied.state, name, now) : { state: emptied.state, effects: [] };
  const moved = starts.length > 0 || ended.state !== emptied.state;
  const next = moved ? ended.state : state;
  return stepWith(next, [
    ...(moved ? [record('trigger', state.key, next.record)] : []),
    ...emptied.effects,
    ...ended.effects,
    audit(envelope, now, 'killing'),
    reply(request_id, { type: 'killing', key: state.key, count: killed + starts.length }),
  ]);
}
