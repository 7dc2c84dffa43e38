// placement.ts: instances that wait for a place, and the hosts on which there is room.
//
// Both sides of the counter in one actor: who waits, and what is offered. A step of priority is so much time of waiting, told
// in advance: so whoever waits long enough goes before anybody who comes later, and nobody starves. When
// there is something of each, mesos/match.ts chooses, many at a time. A chosen host's offers are used up; each choice goes
// to its instance, which may have been killed meanwhile, and the offers actor sends the ACCEPT when all have answered.
//
// Like the timetable, it keeps its maps in place: thousands may wait, and a copy for each message would be most of the work.

import { type Host, hostKeyOf, hostOf } from '../../mesos/hosts.ts';
import { type LaunchPlan, match, type Placement } from '../../mesos/match.ts';
import type { Offer } from '../../mesos/protocol.ts';
import { byHost } from '../../mesos/task-info.ts';
import type { WhyNot } from '../../mesos/why-not.ts';
import { Book } from '../../schedules/book.ts';
import { count, type Effect, tell } from '../effects.ts';
import type { Requirements } from '../instance/launch.ts';
import type { InstanceKey, TaskId } from '../model/ids.ts';
import { type Step, step, stepWith } from '../step.ts';

export type Wanted = {
  readonly key: InstanceKey;
  readonly task_id: TaskId;
  readonly since: number;
  readonly requirements: Requirements;
  /** When it last found no place in a round that a limit ended. */
  readonly had_turn_at?: number;
};
/** A place that was chosen for a task. */
export type Chosen = { readonly task_id: TaskId; readonly placement: Placement };
export type Granted = {
  readonly group: string;
  /** Its place among the choices of the group. */
  readonly place: number;
  readonly task_id: TaskId;
  readonly agent_id: string;
  readonly hostname: string;
  readonly ports: Readonly<Record<string, number>>;
  /** What the place has room for: the plan that was matched, of the group that is asked for if nothing has changed meanwhile. */
  readonly matched: LaunchPlan;
};
export type PlacementMessage =
  | { readonly type: 'wanted'; readonly wanted: readonly Wanted[] }
  | { readonly type: 'withdrawn'; readonly withdrawn: readonly InstanceKey[] }
  | { readonly type: 'offered'; readonly offered: readonly Offer[] }
  | { readonly type: 'rescinded'; readonly rescinded: readonly string[] }
  /** Preemption found victims whose going makes room for these, or none. The asking is of a later day; the shape is agreed. */
  | {
      readonly type: 'room-made';
      readonly room_made: readonly { readonly key: InstanceKey; readonly agent_id: string | undefined }[];
    };

export type PlacementState = {
  readonly waiting: Book<InstanceKey, Wanted>;
  readonly offers: Book<string, Offer>;
  readonly hosts: Book<string, Host>;
  /** Names the groups of choices that go into one ACCEPT. */
  readonly groups: number;
  /** Whether the offers actor knows that somebody waits. */
  readonly needing: boolean;
};
export type PlacementLimits = {
  readonly placements_max: number;
  /** By how much longer one must have waited to go before another whose priority is higher by one. */
  readonly priority_step_ms: number;
};

export const newPlacement = (): PlacementState => ({
  waiting: new Book(),
  offers: new Book(),
  hosts: new Book(),
  groups: 0,
  needing: false,
});

export const placement =
  (limits: PlacementLimits) =>
  (state: PlacementState, message: PlacementMessage, now: number): Step<PlacementState, Effect> => {
    switch (message.type) {
      case 'wanted':
        for (const one of message.wanted) state.waiting.set(one.key, one);
        return asking(choose(state, limits, now), message.wanted);
      case 'withdrawn':
        for (const key of message.withdrawn) state.waiting.delete(key);
        return needs(state, []);
      case 'offered':
        for (const offer of message.offered) {
          state.offers.set(offer.id.value, offer);
          const [first, ...others] = state.hosts.get(hostKeyOf(offer))?.offers ?? [];
          state.hosts.set(hostKeyOf(offer), hostOf(first === undefined ? [offer] : [first, ...others, offer]));
        }
        return choose(state, limits, now);
      case 'rescinded':
        for (const id of message.rescinded) forget(state, id);
        return step(state);
      case 'room-made':
        return step(state);
    }
  };

function forget(state: PlacementState, id: string): void {
  const offer = state.offers.get(id);
  if (offer === undefined) return;
  state.offers.delete(id);
  const key = hostKeyOf(offer);
  const [first, ...others] = state.hosts.get(key)?.offers.filter(other => other.id.value !== id) ?? [];
  if (first === undefined) state.hosts.delete(key);
  else state.hosts.set(key, hostOf([first, ...others]));
}

function choose(state: PlacementState, limits: PlacementLimits, now: number): Step<PlacementState, Effect> {
  if (state.waiting.size === 0 || state.hosts.size === 0) return needs(state, []);
  const order = inOrder(state.waiting, limits.priority_step_ms);
  // Thousands may wait of which a few find a place: the plan that all instances of a job share stands for each of them.
  const plans = order.map(one => one.requirements.plan);
  const { placements, why, reached } = match([...state.hosts.values()], plans, { ...limits, now });
  const effects: Effect[] = [count('horae_placement_attempts_total', undefined, reached)];
  let { groups } = state;
  for (const together of byHost(placements)) {
    const group = `g${groups++}`;
    for (const id of together[0].offer_ids) forget(state, id);
    const chosen = together.map((placement): Chosen => ({ task_id: order[placement.index]!.task_id, placement }));
    effects.push(tell({ to: 'offers', message: { type: 'taken', taken: [{ group, chosen }] } }));
    for (const [place, placement] of together.entries()) {
      const wanted = order[placement.index]!;
      state.waiting.delete(wanted.key);
      effects.push(grant(wanted, group, place, placement));
    }
  }
  if (placements.length > 0) effects.push(count('horae_placements_total', undefined, placements.length));
  for (const not of why.values()) effects.push(count('horae_vetoes_total', { code: not.code }));
  effects.push({ type: 'note-pending', waiting: state.waiting, why });
  if (reached < order.length) {
    // A limit ended the round. Whoever had a turn and found nothing goes behind those who had none, and there is another.
    for (const one of order.slice(0, reached)) {
      if (!state.waiting.delete(one.key)) continue;
      state.waiting.set(one.key, { ...one, had_turn_at: now });
    }
    if (placements.length > 0) effects.push(tell({ to: 'placement', message: { type: 'wanted', wanted: [] } }));
  }
  return needs({ ...state, groups }, effects);
}

function grant(wanted: Wanted, group: string, place: number, { plan, agent_id, hostname, ports }: Placement): Effect {
  const { key, task_id } = wanted;
  const granted: Granted = { group, place, task_id, agent_id, hostname, ports, matched: plan };
  return tell({ to: 'instance', key, message: { type: 'granted', granted } });
}

/** Tells the offers actor when the answer to "does anybody wait?" changes: it suppresses and revives by it. */
function needs(state: PlacementState, effects: readonly Effect[]): Step<PlacementState, Effect> {
  const needing = state.waiting.size > 0;
  if (needing === state.needing) return stepWith(state, effects);
  return stepWith({ ...state, needing }, [
    ...effects,
    tell({ to: 'offers', message: { type: 'needed', needed: needing } }),
  ]);
}

/** Somebody new waits beside others: what these were refused may be right for him, and is asked for again. */
function asking(next: Step<PlacementState, Effect>, wanted: readonly Wanted[]): Step<PlacementState, Effect> {
  const { state, effects } = next;
  const told = effects.some(effect => effect.type === 'tell' && effect.message.type === 'needed');
  if (told || !wanted.some(one => state.waiting.has(one.key))) return next;
  return stepWith(state, [...effects, tell({ to: 'offers', message: { type: 'needed', needed: true } })]);
}

/** Whoever came first, as if those of higher priority had come that much earlier; a Map keeps the order of arrival. */
function inOrder(waiting: ReadonlyMap<InstanceKey, Wanted>, priority_step_ms: number): readonly Wanted[] {
  const all = [...waiting.values()];
  const first = all[0]?.requirements.priority;
  if (all.every(one => one.requirements.priority === first)) return all;
  const came = ({ since, had_turn_at, requirements }: Wanted) =>
    (had_turn_at ?? since) - requirements.priority * priority_step_ms;
  return all.sort((a, b) => came(a) - came(b));
}

/** A reason in words, for people. */
export function inWords(why: WhyNot): string {
  switch (why.code) {
    case 'no-offers':
      return 'no agent offers anything at the moment';
    case 'not-reached':
      return 'its turn has not come yet';
    case 'no-fit': {
      const parts = Object.entries(why.short).map(
        ([name, one]) =>
          `${name}: needs ${one.needs}, ${one.hosts_excluded} of ${why.hosts} hosts have less (most: ${one.nearest.has} on ${one.nearest.hostname})`,
      );
      for (const one of why.constraints)
        parts.push(
          `constraint ${one.constraint.join(' ')}: ${one.hosts_excluded} of ${why.hosts} hosts do not satisfy it`,
        );
      if (why.leaving !== undefined)
        parts.push(`${why.leaving.hosts_excluded} of ${why.hosts} hosts go into maintenance before it would be over`);
      return parts.length === 0 ? `no single one of ${why.hosts} hosts has everything` : parts.join('; ');
    }
  }
}
