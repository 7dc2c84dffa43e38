// offers.ts: the offers that Mesos has lent us, and when each must go back.
//
// Think of a cloakroom: every coat has a ticket, and nothing stays past closing time. An offer is open until it is taken
// for a group of placements, rescinded, held too long, or void because the subscription ended. A taken group waits for its
// instances to say yes or no; then one ACCEPT launches those that said yes.
//
// What goes back is kept from us for a while, so that others have their turn; when nobody waits here we ask for nothing at
// all (SUPPRESS). Whoever begins to wait has everything offered again (REVIVE), though not as often as we like.

import type { LaunchPlan, Placement } from '../../mesos/match.ts';
import type { CallAnswer, Offer } from '../../mesos/protocol.ts';
import { acceptCall } from '../../mesos/task-info.ts';
import { Book } from '../../schedules/book.ts';
import { aboutTasks } from '../about.ts';
import { call, count, type Effect, log, tell } from '../effects.ts';
import { type InstanceKey, parseTaskId, type TaskId } from '../model/ids.ts';
import { type Step, step, stepWith } from '../step.ts';
import type { Chosen } from './placement.ts';

export type OffersMessage =
  | { readonly type: 'subscribed'; readonly framework_id: string }
  | { readonly type: 'disconnected' }
  | { readonly type: 'offered'; readonly offered: readonly Offer[] }
  | { readonly type: 'rescinded'; readonly rescinded: readonly string[] }
  | {
      readonly type: 'taken';
      readonly taken: readonly { readonly group: string; readonly chosen: readonly Chosen[] }[];
    }
  /** An instance's word on its grant: the plan to launch, or undefined for no. */
  | {
      readonly type: 'answered';
      readonly answered: readonly {
        readonly group: string;
        readonly place: number;
        readonly task_id: TaskId;
        readonly plan: LaunchPlan | undefined;
      }[];
    }
  /** Instances that said yes and are being killed: kept back if their ACCEPT has not left. */
  | { readonly type: 'revoked'; readonly revoked: readonly TaskId[] }
  /** How the ACCEPT of a group went. */
  | { readonly type: 'sent'; readonly sent: readonly { readonly tag: string; readonly answer: CallAnswer }[] }
  | { readonly type: 'needed'; readonly needed: boolean }
  | { readonly type: 'due' };

type Group = {
  /** Each is struck out when its instance has answered. */
  readonly chosen: (Chosen | undefined)[];
  readonly offer_ids: readonly string[];
  readonly agreed: Placement[];
  missing: number;
  readonly since: number;
  /** Set when an offer of the group was rescinded: nothing of it can be launched. */
  void: boolean;
};
export type OffersState = {
  readonly framework_id: string | undefined;
  /** Since when each open offer is held. */
  readonly open: Book<string, number>;
  readonly groups: Book<string, Group>;
  /** Groups whose ACCEPT has left and is not answered. */
  readonly sent: Book<string, readonly Placement[]>;
  readonly needed: boolean;
  readonly suppressed: boolean;
  /** Something that we gave back is being kept from us for a while. */
  readonly filtered: boolean;
  readonly revived_at: number;
  /** A REVIVE waits for its time. */
  readonly reviving: boolean;
  readonly armed: boolean;
};
export type OffersLimits = {
  readonly hold_ms: number;
  readonly offers_max: number;
  readonly refuse_seconds: number;
  /** Between two REVIVEs that ask for what we gave back a moment ago. */
  readonly revive_interval_ms: number;
};

export const newOffers = (): OffersState => ({
  framework_id: undefined,
  open: new Book(),
  groups: new Book(),
  sent: new Book(),
  needed: false,
  suppressed: false,
  filtered: false,
  revived_at: -Infinity,
  reviving: false,
  armed: false,
});

export const offers = (limits: OffersLimits) => {
  const handle = transitionOf(limits);
  return (state: OffersState, message: OffersMessage, now: number): Step<OffersState, Effect> => {
    const before = state.open.size;
    const next = withFilters(handle(state, message, now), limits);
    const after = next.state.open.size;
    return after === before
      ? next
      : stepWith(next.state, [...next.effects, count('horae_offers_open', undefined, after)]);
  };
};

/** What goes back with a filter is hidden from us until the filter ends, or we ask for everything again. */
function withFilters(next: Step<OffersState, Effect>, limits: OffersLimits): Step<OffersState, Effect> {
  if (next.state.filtered || limits.refuse_seconds === 0) return next;
  const hidden = next.effects.some(
    effect => effect.type === 'call' && (effect.call.type === 'DECLINE' || effect.call.type === 'ACCEPT'),
  );
  return hidden ? stepWith({ ...next.state, filtered: true }, next.effects) : next;
}

const transitionOf =
  (limits: OffersLimits) =>
  (state: OffersState, message: OffersMessage, now: number): Step<OffersState, Effect> => {
    switch (message.type) {
      case 'subscribed':
        return stepWith({ ...state, framework_id: message.framework_id, suppressed: false, filtered: false }, []);

      case 'disconnected': {
        // Everything that was lent is void. What had agreed but was not sent is surely not launched; what was sent will be
        // answered `unknown` or `unsent` by the link itself.
        const effects: Effect[] = [];
        if (state.open.size > 0)
          effects.push(tell({ to: 'placement', message: { type: 'rescinded', rescinded: [...state.open.keys()] } }));
        state.open.clear();
        for (const group of state.groups.values()) group.void = true;
        return stepWith(state, effects);
      }

      case 'offered': {
        const kept: Offer[] = [];
        const beyond: string[] = [];
        for (const offer of message.offered) {
          if (state.open.size >= limits.offers_max) beyond.push(offer.id.value);
          else {
            state.open.set(offer.id.value, now);
            kept.push(offer);
          }
        }
        const effects: Effect[] = [count('horae_offers_received_total', undefined, message.offered.length)];
        if (kept.length > 0) effects.push(tell({ to: 'placement', message: { type: 'offered', offered: kept } }));
        if (beyond.length > 0)
          effects.push(
            decline(beyond, limits),
            log('warn', { offers: beyond.length, limit: limits.offers_max }, 'more offers than we hold: declined'),
          );
        const { armed, arming } = rest(state, now, limits);
        return stepWith({ ...state, armed }, [...effects, ...arming]);
      }

      case 'rescinded': {
        const open = message.rescinded.filter(id => state.open.delete(id));
        for (const group of state.groups.values())
          if (group.offer_ids.some(id => message.rescinded.includes(id))) group.void = true;
        const effects = [count('horae_offers_rescinded_total', undefined, message.rescinded.length)];
        return open.length === 0
          ? stepWith(state, effects)
          : stepWith(state, [...effects, tell({ to: 'placement', message: { type: 'rescinded', rescinded: open } })]);
      }

      case 'taken': {
        for (const { group, chosen } of message.taken) {
          const offer_ids = chosen[0]?.placement.offer_ids ?? [];
          const gone = offer_ids.some(id => !state.open.has(id));
          for (const id of offer_ids) state.open.delete(id);
          state.groups.set(group, {
            chosen: [...chosen],
            offer_ids,
            agreed: [],
            missing: chosen.length,
            since: now,
            void: gone,
          });
        }
        const { armed, arming } = rest(state, now, limits);
        return stepWith({ ...state, armed }, arming);
      }

      case 'answered': {
        const effects: Effect[] = [];
        for (const { group: name, place, task_id, plan } of message.answered) {
          const group = state.groups.get(name);
          const one = group?.chosen[place];
          // The group waited too long for this answer and was closed without it.
          if (group === undefined || one?.task_id !== task_id) {
            if (plan !== undefined) effects.push(drop(task_id, 'its answer came too late'));
            continue;
          }
          group.chosen[place] = undefined;
          group.missing -= 1;
          if (plan !== undefined) group.agreed.push({ ...one.placement, plan });
          if (group.missing === 0) {
            state.groups.delete(name);
            effects.push(...close(state, name, group, limits));
          }
        }
        return stepWith(state, effects);
      }

      case 'revoked': {
        const effects: Effect[] = [];
        for (const task_id of message.revoked) {
          const group = [...state.groups.values()].find(one => one.agreed.some(({ plan }) => plan.task_id === task_id));
          if (group === undefined) {
            // Its ACCEPT is on its way: the KILL may follow.
            effects.push(tell({ to: 'instance', key: instanceOf(task_id), message: { type: 'due' } }));
            continue;
          }
          group.agreed.splice(
            group.agreed.findIndex(({ plan }) => plan.task_id === task_id),
            1,
          );
          effects.push(drop(task_id, 'it was killed before it was launched'));
        }
        return stepWith(state, effects);
      }

      case 'sent': {
        const effects: Effect[] = [];
        for (const { tag, answer } of message.sent) {
          const launched = state.sent.get(tag) ?? [];
          state.sent.delete(tag);
          if (answer.type === 'accepted') continue;
          // Still ours by Mesos's books, perhaps. And what is declined cannot be accepted any more by a call that is late.
          const [first] = launched;
          if (first !== undefined && answer.type !== 'unsent') effects.push(decline(first.offer_ids, limits));
          if (answer.type === 'unknown')
            effects.push(
              tell({
                to: 'framework',
                message: {
                  type: 'doubt',
                  doubt: launched.map(one => ({ task_id: one.plan.task_id, agent_id: one.agent_id })),
                },
              }),
              log(
                'warn',
                { ...aboutTasks(launched.map(({ plan }) => plan.task_id)), message: answer.message },
                'an ACCEPT may or may not have arrived: asking Mesos',
              ),
            );
          else
            for (const one of launched)
              effects.push(
                drop(
                  one.plan.task_id,
                  answer.type === 'refused'
                    ? `refused with ${answer.status}: ${answer.message}`
                    : `not sent: ${answer.message}`,
                ),
              );
        }
        return stepWith(state, effects);
      }

      case 'needed': {
        if (!message.needed) return step({ ...state, needed: false, reviving: false });
        if (state.suppressed) return revive({ ...state, needed: true }, now);
        if (!state.filtered || state.reviving) return step({ ...state, needed: true });
        const at = state.revived_at + limits.revive_interval_ms;
        if (now >= at) return revive({ ...state, needed: true }, now);
        const arming = tell({
          to: 'timetable',
          message: { type: 'armed', armed: [{ to: 'offers', key: 'revive', at }] },
        });
        return step({ ...state, needed: true, reviving: true }, arming);
      }

      case 'due': {
        const old = [...state.open].filter(([, since]) => now - since >= limits.hold_ms).map(([id]) => id);
        for (const id of old) state.open.delete(id);
        const effects: Effect[] = [];
        // Whoever has not answered by now is gone (killed, put aside): the others need not wait for it.
        for (const [name, group] of state.groups) {
          if (now - group.since < limits.hold_ms) continue;
          state.groups.delete(name);
          effects.push(...close(state, name, group, limits));
        }
        if (old.length > 0)
          effects.push(decline(old, limits), tell({ to: 'placement', message: { type: 'rescinded', rescinded: old } }));
        // Idle for a whole holding time: let others have what we do not need.
        const suppressed = !state.needed && old.length > 0 && state.open.size === 0;
        if (suppressed && !state.suppressed) effects.push(call({ type: 'SUPPRESS' }));
        const { armed, arming } = rest({ ...state, armed: false }, now, limits);
        const next = { ...state, armed, suppressed: state.suppressed || suppressed };
        const due = state.reviving && now >= state.revived_at + limits.revive_interval_ms;
        const revived = due ? revive(next, now) : step<OffersState, Effect>(next);
        return stepWith(revived.state, [...effects, ...revived.effects, ...arming]);
      }
    }
  };

/** Everything may be offered to us again, at once. */
const revive = (state: OffersState, now: number): Step<OffersState, Effect> =>
  step({ ...state, suppressed: false, filtered: false, revived_at: now, reviving: false }, call({ type: 'REVIVE' }));

/** All instances of a group have answered. */
function close(state: OffersState, name: string, group: Group, limits: OffersLimits): readonly Effect[] {
  // Declining an offer that is gone does no harm, and the others of the group must not stay with us unused.
  if (group.void || state.framework_id === undefined)
    return [
      decline(group.offer_ids, limits),
      ...group.agreed.map(one => drop(one.plan.task_id, 'its offer was taken back')),
    ];
  const [first, ...others] = group.agreed;
  if (first === undefined) return [decline(group.offer_ids, { ...limits, refuse_seconds: 0 })];
  state.sent.set(name, group.agreed);
  return [
    call(
      acceptCall([first, ...others], { framework_id: state.framework_id, refuse_seconds: limits.refuse_seconds }),
      name,
    ),
  ];
}

const drop = (task_id: TaskId, why: string): Effect =>
  tell({ to: 'instance', key: instanceOf(task_id), message: { type: 'dropped', task_id, why } });

function instanceOf(task_id: TaskId): InstanceKey {
  const key = parseTaskId(task_id)?.instance;
  if (key === undefined) throw new Error(`a placement of ${task_id}: expected a task id of ours`);
  return key;
}

const decline = (ids: readonly string[], limits: OffersLimits): Effect =>
  call({
    type: 'DECLINE',
    decline: { offer_ids: ids.map(value => ({ value })), filters: { refuse_seconds: limits.refuse_seconds } },
  });

/** Arms the timer for whatever has been held longest. Offers and groups are added in order of time: the first of each. */
function rest(state: OffersState, now: number, limits: OffersLimits): { armed: boolean; arming: readonly Effect[] } {
  const [offer] = state.open.values();
  const [group] = state.groups.values();
  const oldest = Math.min(offer ?? Infinity, group?.since ?? Infinity);
  if (state.armed || oldest === Infinity) return { armed: state.armed, arming: [] };
  return {
    armed: true,
    arming: [
      tell({
        to: 'timetable',
        message: { type: 'armed', armed: [{ to: 'offers', key: '', at: Math.max(now, oldest + limits.hold_ms) }] },
      }),
    ],
  };
}
