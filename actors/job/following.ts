// following.ts: runs that start because runs of parents have ended.
//
// Tokens lie on the edges until a run can take them: as long as the overlap policy would have a start wait, or the job is
// paused, nothing is taken, and what nobody has taken is still whole when the process dies. A set that comes to nothing,
// because a parent failed or the job is disabled, is told, and passed on: those that follow this job hear of a run that was
// skipped, so that their own sets stay in step.

import { type JoinRule, nextSet } from '../../schedules/join.ts';
import { arrive } from '../../schedules/overlap.ts';
import type { Effect } from '../effects.ts';
import type { Cause, ParentRun } from '../model/reasons.ts';
import type { TokenRecord, WaitingStart } from '../model/records.ts';
import { admit, outcomeOf, overlapRule } from '../trigger/gate.ts';
import type { TriggerSettings, TriggerState } from '../trigger/trigger.ts';
import { isWell, takenOff } from './tokens.ts';

/** Results of parents that one run is given, in characters, all together; further ones are left out. */
const results_max = 32_768;

const nothing: readonly Effect[] = [];

/** Takes every set that is complete and may be taken. `why`: none of them is to run, for this reason. */
export function advanceJoin(
  state: TriggerState,
  now: number,
  settings: TriggerSettings,
  why?: string,
): { state: TriggerState; effects: readonly Effect[] } {
  const { job } = state.jobs;
  const { parents } = job;
  if (parents === undefined || state.closed || state.record.paused !== undefined) return { state, effects: nothing };
  const lying = state.reign.kin.tokens(state.key);
  // An edge without tokens is not there: most looks end here, however many parents there are.
  if (lying.size < parents.length) return { state, effects: nothing };
  const edges = parents.map(parent => (lying.get(parent) ?? []).map(token => ({ well: isWell(token), token })));
  const rule: JoinRule = { join: job.join ?? 'each', rule: job.trigger_rule ?? 'all_success' };
  let moved = state;
  const effects: Effect[] = [];
  for (let from = 0; ; from++) {
    const set = nextSet(rule, edges, from);
    if (set === undefined) break;
    // Those that come to nothing too: whoever follows this job must hear of its sets in their order.
    if (why === undefined && mustWait(moved, settings)) break;
    const turned_down = why ?? (set.runs ? (job.enabled ? undefined : 'disabled') : 'parents');
    const taken = set.taken.map(edge => edge.map(one => one.token));
    const joined = (moved.record.joined ?? 0) + 1;
    const run = `${state.jobs.incarnation}.d.${joined.toString(36)}`;
    const start: WaitingStart = { run, cause: causeOf(taken), since: now };
    for (const tokens of taken) for (const token of tokens) effects.push(takenOff(state.key, token));
    moved = { ...moved, record: { ...moved.record, joined } };
    if (turned_down !== undefined) effects.push(...outcomeOf(moved, start, 'skipped', turned_down, now));
    else {
      const admitted = admit(moved, start, now, settings);
      moved = admitted.state;
      effects.push(...admitted.effects);
    }
    // One run under `latest` has taken all there was.
    if (rule.join === 'latest') break;
  }
  return { state: moved, effects };
}

/** Whether the next set is to wait where it lies: its start would wait, and would supersede none that does. */
function mustWait(state: TriggerState, settings: TriggerSettings): boolean {
  const { overlap, join } = state.jobs.job;
  if (overlap.policy !== 'buffer-all' && !(overlap.policy === 'buffer-one' && join === 'latest')) return false;
  const rule = overlapRule(overlap, settings);
  return arrive(rule, state.active.length, state.record.waiting.length).action !== 'start';
}

function causeOf(taken: readonly (readonly TokenRecord[])[]): Cause {
  let room = results_max;
  let at = 0;
  let count = 0;
  const parents = taken.map((tokens): ParentRun => {
    const { order: _, soft: __, result, ...run } = tokens.at(-1)!;
    at = Math.max(at, run.at);
    count += tokens.length;
    if (result === undefined || result.length > room) return run;
    room -= result.length;
    return { ...run, result };
  });
  return { type: 'dependency', at, parents, ...(count > parents.length ? { taken: count } : {}) };
}
