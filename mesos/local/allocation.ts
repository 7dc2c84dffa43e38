// allocation.ts: who is offered what an agent has to lend.
//
// Only agents whose spare resources changed are looked at, and all that one look finds goes to a framework in a single
// OFFERS event. With several frameworks the one that holds least is asked first.

import type { Instant } from '../../schedules/clock.ts';
import type { Filters, Offer } from '../protocol.ts';
import { type Amount, contains, nothing, resourcesOf, thousandthsOf } from './amounts.ts';
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
    if (agent.status !== 'connected' || !allocatable(agent.free)) continue;
    const taker = takerOf(master, agent, turn.now);
    if (taker === undefined) continue;
    const { framework, role } = taker;
    const offer: HeldOffer = {
      id: `${master.options.ids_prefix}-O${master.next_offer++}`,
      framework,
      agent,
      role,
      amount: agent.free,
    };
    agent.free = nothing;
    master.spare.delete(agent);
    master.offers.set(offer.id, offer);
    framework.offers.add(offer);
    agent.offers.add(offer);
    const { offer_timeout_ms } = master.options;
    if (offer_timeout_ms > 0) master.alarms.set(turn.now + offer_timeout_ms, { type: 'offer-timeout', offer });
    const list = offered.get(framework);
    if (list === undefined) offered.set(framework, [onWire(offer)]);
    else list.push(onWire(offer));
  }
  for (const [framework, offers] of offered) say(turn, framework, { type: 'OFFERS', offers: { offers } });
}

const allocatable = (amount: Amount) =>
  thousandthsOf(amount, 'cpus') >= allocatable_cpus_thousandths_min ||
  thousandthsOf(amount, 'mem') >= allocatable_mem_thousandths_min;

function takerOf(master: Master, agent: Agent, now: Instant): { framework: Framework; role: string } | undefined {
  let taker: { framework: Framework; role: string } | undefined;
  for (const framework of master.frameworks.values()) {
    if (framework.stream === undefined) continue;
    if (taker !== undefined && holding(taker.framework) <= holding(framework)) continue;
    const role = framework.roles.find(role => !framework.suppressed.has(role) && !refuses(framework, role, agent, now));
    if (role !== undefined) taker = { framework, role };
  }
  return taker;
}

const holding = (framework: Framework) => framework.tasks.size + framework.offers.size;

/** A filter holds for what was refused, or less of it: an agent that has more to lend is offered again. */
function refuses(framework: Framework, role: string, agent: Agent, now: Instant): boolean {
  const filter = framework.filters.get(filterKey(role, agent));
  return filter !== undefined && now < filter.until && contains(filter.amount, agent.free);
}

const filterKey = (role: string, agent: Agent) => `${role} ${agent.info.id}`;

function onWire(offer: HeldOffer): Offer {
  const { info, executors } = offer.agent;
  const executor_ids = [...executors.values()]
    .filter(executor => executor.framework === offer.framework)
    .map(executor => ({ value: executor.id }));
  return {
    id: { value: offer.id },
    framework_id: { value: offer.framework.id },
    agent_id: { value: info.id },
    hostname: info.hostname,
    ...(info.url === undefined ? {} : { url: info.url }),
    resources: resourcesOf(offer.amount, offer.role),
    ...(info.attributes === undefined || info.attributes.length === 0 ? {} : { attributes: info.attributes }),
    ...(executor_ids.length === 0 ? {} : { executor_ids }),
    allocation_info: { role: offer.role },
  };
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
  const seconds = filters?.refuse_seconds;
  const refuse_ms =
    seconds === undefined || !(seconds >= 0) ? refuse_ms_default : Math.min(seconds * 1000, refuse_ms_max);
  if (refuse_ms > 0) {
    const filter = { until: turn.now + refuse_ms, amount: left };
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
