// allocation.ts: who is offered what an agent has to lend.
//
// Only agents whose spare resources changed are looked at, and all that one look finds goes to a framework in a single
// OFFERS event. With several frameworks the one that holds least is asked first.

import type { Instant } from '../../schedules/clock.ts';
import type { Filters, Offer } from '../protocol.ts';
import { type Amount, contains, holdsScalar, lendable, nothing, resourcesOf, subtract } from './amounts.ts';
import {
  type Agent,
  type Framework,
  type HeldOffer,
  type Master,
  release,
  say,
  type Turn,
  wantAllocation,
  withdraw,
} from './master-state.ts';
import { satisfies } from './offer-constraints.ts';
import { askBack } from './operator.ts';

/** What Mesos holds to be worth offering: one of the two. */
const allocatable_cpus_thousandths_min = 10;
const allocatable_mem_thousandths_min = 32_000;
const refuse_ms_default = 5_000;
const refuse_ms_max = 365 * 86_400_000;

/** Offers what the changed agents have to lend. */
export function allocate(turn: Turn): void {
  const { master } = turn;
  const offered = new Map<Framework, Offer[]>();
  for (const agent of master.dirty) {
    master.dirty.delete(agent);
    if (agent.status !== 'connected' || agent.draining) continue;
    // Once for most agents; again where some of it is reserved for others than who took the first part.
    for (let taker = takerOf(master, agent, turn.now); taker !== undefined; taker = takerOf(master, agent, turn.now)) {
      const offer = lend(turn, agent, taker);
      const list = offered.get(taker.framework);
      if (list === undefined) offered.set(taker.framework, [onWire(offer)]);
      else list.push(onWire(offer));
    }
  }
  for (const [framework, offers] of offered) say(turn, framework, { type: 'OFFERS', offers: { offers } });
  if (master.maintained.size > 0) askBack(turn);
}

type Taker = { readonly framework: Framework; readonly role: string; readonly amount: Amount };

function lend({ master, now }: Turn, agent: Agent, { framework, role, amount }: Taker): HeldOffer {
  const id = `${master.options.ids_prefix}-O${master.next_offer++}`;
  const offer: HeldOffer = { id, framework, agent, role, amount };
  agent.free = amount === agent.free ? nothing : subtract(agent.free, amount);
  if (agent.free.size === 0) master.spare.delete(agent);
  master.offers.set(offer.id, offer);
  framework.offers.add(offer);
  agent.offers.add(offer);
  const { offer_timeout_ms } = master.options;
  if (offer_timeout_ms > 0) master.alarms.set(now + offer_timeout_ms, { type: 'offer-timeout', offer });
  return offer;
}

const allocatable = (amount: Amount) =>
  amount.size > 0 &&
  (holdsScalar(amount, 'cpus', allocatable_cpus_thousandths_min) ||
    holdsScalar(amount, 'mem', allocatable_mem_thousandths_min));

function takerOf(master: Master, agent: Agent, now: Instant): Taker | undefined {
  let taker: Taker | undefined;
  if (!allocatable(agent.free)) return undefined;
  for (const framework of master.frameworks.values()) {
    if (framework.stream === undefined) continue;
    if (taker !== undefined && holding(taker.framework) <= holding(framework)) continue;
    for (const role of framework.roles) {
      if (framework.suppressed.has(role) || refuses(framework, role, agent, now)) continue;
      if (framework.constraints !== undefined && !satisfies(framework.constraints, role, agent.info)) continue;
      const amount = lendable(agent.free, role);
      if (amount !== agent.free && !allocatable(amount)) continue;
      taker = { framework, role, amount };
      break;
    }
  }
  return taker;
}

const holding = (framework: Framework) => framework.tasks.size + framework.offers.size;

/** A filter holds for what was refused, or less of it: an agent that has more to lend is offered again. */
function refuses(framework: Framework, role: string, agent: Agent, now: Instant): boolean {
  const filter = framework.filters.get(filterKey(role, agent));
  return filter !== undefined && now < filter.until && contains(filter.amount, lendable(agent.free, role));
}

const filterKey = (role: string, agent: Agent) => `${role} ${agent.info.id}`;

function onWire(offer: HeldOffer): Offer {
  const { info, executors, unavailability } = offer.agent;
  const executor_ids = [...executors.values()]
    .filter(executor => executor.framework === offer.framework)
    .map(executor => ({ value: executor.id }));
  return {
    id: { value: offer.id },
    framework_id: { value: offer.framework.id },
    agent_id: { value: info.id },
    hostname: info.hostname,
    ...(info.url === undefined ? {} : { url: info.url }),
    resources: resourcesOf(offer.amount, offer.role, offer.framework.refined),
    ...(info.attributes === undefined || info.attributes.length === 0 ? {} : { attributes: info.attributes }),
    ...(executor_ids.length === 0 ? {} : { executor_ids }),
    ...(unavailability === undefined ? {} : { unavailability }),
    allocation_info: { role: offer.role },
  };
}

/** Until when a refusal holds. */
export function refusedUntil(now: Instant, filters: Filters | undefined): Instant {
  const seconds = filters?.refuse_seconds;
  return now + (seconds === undefined || !(seconds >= 0) ? refuse_ms_default : Math.min(seconds * 1000, refuse_ms_max));
}

/** Returns what a framework did not use of an agent, and does not offer it to that framework again for a while. */
export function refuse(
  turn: Turn,
  framework: Framework,
  role: string,
  agent: Agent,
  left: Amount,
  filters?: Filters,
): void {
  if (left.size === 0) return;
  const wished = refusedUntil(turn.now, filters);
  if (wished > turn.now) {
    // As Mesos: a refusal outlives the next round of allocation, or it would be none.
    const until = Math.max(wished, turn.now + turn.master.options.allocation_interval_ms);
    const filter = { until, amount: left };
    const key = filterKey(role, agent);
    framework.filters.set(key, filter);
    turn.master.alarms.set(filter.until, { type: 'filter', framework, key, filter, agent });
  }
  release(turn, agent, left);
}

/** Returns an offer that is no longer wanted; offers that are not the framework's are passed over, as Mesos does. */
export function decline(turn: Turn, framework: Framework, offer_id: string, filters?: Filters): void {
  const offer = turn.master.offers.get(offer_id);
  if (offer?.framework === framework) refuse(turn, framework, offer.role, offer.agent, withdraw(turn, offer), filters);
}

/** Offers again what was refused or never offered. */
export function revive(turn: Turn, framework: Framework, roles: readonly string[] | undefined): void {
  const meant = roles === undefined || roles.length === 0 ? framework.roles : roles;
  for (const role of meant) framework.suppressed.delete(role);
  if (meant === framework.roles) framework.filters.clear();
  else
    for (const key of framework.filters.keys())
      if (meant.includes(key.slice(0, key.indexOf(' ')))) framework.filters.delete(key);
  for (const agent of turn.master.spare) turn.master.dirty.add(agent);
  allocate(turn);
}

export function suppress(framework: Framework, roles: readonly string[] | undefined): void {
  const meant = roles === undefined || roles.length === 0 ? framework.roles : roles;
  for (const role of meant) if (framework.roles.includes(role)) framework.suppressed.add(role);
}

/** A refusal has run out. */
export function filterEnded(
  turn: Turn,
  alarm: { framework: Framework; key: string; filter: unknown; agent: Agent },
): void {
  if (alarm.framework.filters.get(alarm.key) !== alarm.filter) return;
  alarm.framework.filters.delete(alarm.key);
  if (turn.master.spare.has(alarm.agent)) wantAllocation(turn, alarm.agent);
}

/** Held for too long: somebody else may want it. */
export function offerTimedOut(turn: Turn, offer: HeldOffer): void {
  if (turn.master.offers.get(offer.id) === offer) takeBack(turn, [offer], 'rescind');
}

/** Takes back every offer of a framework or an agent, with or without a word. */
export function takeBack(turn: Turn, offers: Iterable<HeldOffer>, word: 'rescind' | 'silent'): void {
  for (const offer of [...offers]) {
    if (word === 'rescind') say(turn, offer.framework, { type: 'RESCIND', rescind: { offer_id: { value: offer.id } } });
    release(turn, offer.agent, withdraw(turn, offer));
  }
}
