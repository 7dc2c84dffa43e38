// master-state.ts: what the master knows, and the few moves that keep its books straight.
//
// Three ledgers: frameworks, agents, and offers between them; tasks hang on both their framework and their agent. Every
// thousandth of a cpu is in exactly one place: free on its agent, on offer to a framework, held by a task or its executor.

import { Book, Roll } from '../../schedules/book.ts';
import type { Instant } from '../../schedules/clock.ts';
import type {
  Event,
  ExecutorInfo,
  FrameworkInfo,
  OfferConstraints,
  OperationStatus,
  TaskState,
  TaskStatus,
  Unavailability,
} from '../protocol.ts';
import { type Alarm, Alarms } from './alarms.ts';
import { type Amount, add, contains, leftOf, nothing, subtract } from './amounts.ts';
import type { AgentInfo, AgentOrder, MasterOutput } from './messages.ts';

export type MasterOptions = {
  /** Stands at the front of every id this master gives. Must differ from that of every master before it. */
  readonly ids_prefix: string;
  readonly hostname: string;
  readonly port: number;
  readonly heartbeat_ms: number;
  /** How long freed resources are gathered before they are offered: 0 means until the next turn. */
  readonly allocation_interval_ms: number;
  /** Allocations happen at this instant, and whole intervals before and after it. */
  readonly allocation_phase_ms: Instant;
  /** How long an offer may be held before it is rescinded: 0 for ever. */
  readonly offer_timeout_ms: number;
  /** How long an agent may be away before its tasks are declared unreachable. */
  readonly agent_timeout_ms: number;
  /** The pause before an unacknowledged update is sent again; doubled each time up to the maximum. */
  readonly resend_ms: number;
  readonly resend_ms_max: number;
  /** Agents of the master before this one, as a registry would remember them. */
  readonly awaited_agents: readonly string[];
  /** Removed frameworks that are remembered and refused. */
  readonly removed_frameworks_max: number;
};

export const master_defaults = {
  hostname: '127.0.0.1',
  port: 0,
  heartbeat_ms: 15_000,
  allocation_interval_ms: 0,
  allocation_phase_ms: 0,
  offer_timeout_ms: 0,
  agent_timeout_ms: 75_000,
  resend_ms: 10_000,
  resend_ms_max: 600_000,
  awaited_agents: [],
  removed_frameworks_max: 50,
} as const;

export type Framework = {
  readonly id: string;
  /** Absent while the framework is known only from the tasks that a returning agent told of. */
  info: FrameworkInfo | undefined;
  roles: readonly string[];
  partition_aware: boolean;
  wants_killing: boolean;
  /** Knows reservations refined. */
  refined: boolean;
  /** From which agents it wants offers; undefined for all. */
  constraints: OfferConstraints | undefined;
  /** The present subscription; undefined while nobody is subscribed. */
  stream: string | undefined;
  /** Counts subscriptions, so that an alarm of an earlier one is known. */
  subscription: number;
  readonly suppressed: Set<string>;
  /** By `role agent`: what this framework does not want to see, or less of it, until then. */
  readonly filters: Book<string, Filter>;
  readonly offers: Roll<HeldOffer>;
  readonly tasks: Book<string, Task>;
  /** Operations that it named and has not signed for, by their names. */
  readonly operations: Map<string, PendingOperation>;
};
export type Filter = { readonly until: Instant; readonly amount: Amount };

export type Agent = {
  info: AgentInfo;
  total: Amount;
  free: Amount;
  /** Came back with less than its tasks hold: what they give back may not all be free again. */
  overdrawn: boolean;
  readonly offers: Roll<HeldOffer>;
  /** By framework and task id, also those of frameworks that were removed and still run here. */
  readonly tasks: Book<string, Task>;
  /** By framework and executor id. */
  readonly executors: Book<string, Executor>;
  status: 'connected' | 'gone' | 'unreachable';
  /** Counts comings and goings, so that an alarm of an earlier absence is known. */
  absence: number;
  unreachable_at: Instant;
  /** Kills that wait for a gone agent to come back. */
  held_orders: AgentOrder[];
  /** Nothing of it is offered, and what runs on it is on its way out. */
  draining: boolean;
  /** When it is going to be away. */
  unavailability: Unavailability | undefined;
  readonly inverse_offers: Set<HeldInverseOffer>;
  /** By framework: until when it is not asked again to give this agent back. */
  readonly inverse_filters: Map<string, Instant>;
};

/**
 * The executor of a group of tasks holds its own resources until the last of them has ended; a custom one, which the
 * framework brought along, until it ends itself.
 */
export type Executor = {
  readonly id: string;
  readonly framework: Framework;
  readonly amount: Amount;
  /** As told at launch: a second group may join only when it says the same. */
  readonly info: ExecutorInfo;
  readonly custom: boolean;
  readonly tasks: Set<Task>;
};

export type Task = {
  readonly id: string;
  readonly framework: Framework;
  readonly agent: Agent;
  readonly amount: Amount;
  readonly executor_id: string;
  readonly executor: Executor | undefined;
  /** The state last acknowledged by the framework. */
  acknowledged: TaskState;
  /** Updates on their way, oldest first: the first is sent again until acknowledged, the others wait behind it. */
  pending: readonly TaskStatus[];
  /** How often the first of them has been sent, and what will send it again. */
  sent: number;
  resend?: Alarm<MasterAlarm> | undefined;
  /** Whether its last update has come: its resources are free, only the framework may still have to hear of it. */
  ended: boolean;
};

export type HeldOffer = {
  readonly id: string;
  readonly framework: Framework;
  readonly agent: Agent;
  readonly role: string;
  readonly amount: Amount;
};

/** A framework was asked to give an agent back, and has not answered. */
export type HeldInverseOffer = { readonly id: string; readonly framework: Framework; readonly agent: Agent };

export type PendingOperation = {
  readonly id: string;
  readonly status: OperationStatus;
  readonly agent: Agent;
  /** How often it has been sent. */
  sent: number;
};

type MasterAlarm =
  | { readonly type: 'allocate' }
  | { readonly type: 'heartbeat' | 'failover'; readonly framework: Framework; readonly subscription: number }
  | {
      readonly type: 'filter';
      readonly framework: Framework;
      readonly key: string;
      readonly filter: Filter;
      readonly agent: Agent;
    }
  | { readonly type: 'resend'; readonly task: Task }
  | { readonly type: 'offer-timeout'; readonly offer: HeldOffer }
  | {
      readonly type: 'resend-operation';
      readonly framework: Framework;
      readonly pending: PendingOperation;
      readonly sent: number;
    }
  | { readonly type: 'inverse-filter'; readonly agent: Agent }
  | { readonly type: 'agent-timeout'; readonly agent: Agent; readonly absence: number };

export type Master = {
  readonly options: MasterOptions;
  readonly frameworks: Map<string, Framework>;
  readonly streams: Map<string, Framework>;
  /** Ids of frameworks that were torn down, oldest first. */
  readonly removed: Set<string>;
  readonly agents: Map<string, Agent>;
  readonly offers: Book<string, HeldOffer>;
  readonly inverse_offers: Map<string, HeldInverseOffer>;
  /** Agents with an unavailability. */
  readonly maintained: Set<Agent>;
  /** Ids of agents that an operator gave up for good. */
  readonly gone_agents: Set<string>;
  /** Agents that an earlier master knew and that have not come to this one. Of what may be theirs nothing is said. */
  readonly awaited_agents: Set<string>;
  /** Agents with something to lend that nobody has been asked about since it changed. */
  readonly dirty: Roll<Agent>;
  /** Agents with something to lend. */
  readonly spare: Roll<Agent>;
  readonly alarms: Alarms<MasterAlarm>;
  allocation_armed: boolean;
  /** The wake last asked for. */
  wake_at: Instant | undefined;
  next_framework: number;
  next_offer: number;
  next_operation: number;
};

export function createMaster(options: Partial<MasterOptions> & { ids_prefix: string }): Master {
  return {
    options: { ...master_defaults, ...options },
    frameworks: new Map(),
    streams: new Map(),
    removed: new Set(),
    agents: new Map(),
    offers: new Book(),
    inverse_offers: new Map(),
    maintained: new Set(),
    gone_agents: new Set(),
    awaited_agents: new Set(options.awaited_agents),
    dirty: new Roll(),
    spare: new Roll(),
    alarms: new Alarms(),
    allocation_armed: false,
    wake_at: undefined,
    next_framework: 0,
    next_offer: 0,
    next_operation: 0,
  };
}

/** One input on its way through: the master, the instant, and what has come of it so far. */
export type Turn = {
  readonly master: Master;
  readonly now: Instant;
  readonly outputs: MasterOutput[];
  /** The event lists of this turn, by stream: one turn says everything to a stream in one breath. */
  said: Map<string, Event[]> | undefined;
};

/** Says something to a framework; nobody hears it when it is not subscribed. */
export function say(turn: Turn, framework: Framework, event: Event): void {
  if (framework.stream === undefined) return;
  const said = turn.said?.get(framework.stream);
  if (said !== undefined) {
    said.push(event);
    return;
  }
  const events = [event];
  turn.said ??= new Map();
  turn.said.set(framework.stream, events);
  turn.outputs.push({ type: 'events', stream: framework.stream, events });
}

/** A status that the master makes up itself: no uuid, nothing to acknowledge. */
export function sayStatus(turn: Turn, framework: Framework, status: Omit<TaskStatus, 'source' | 'timestamp'>): void {
  say(turn, framework, {
    type: 'UPDATE',
    update: { status: { ...status, source: 'SOURCE_MASTER', timestamp: turn.now / 1000 } },
  });
}

/** Closes a stream after what has been said to it. */
export function closeStream(turn: Turn, framework: Framework): void {
  if (framework.stream === undefined) return;
  turn.master.streams.delete(framework.stream);
  turn.said?.delete(framework.stream);
  turn.outputs.push({ type: 'close', stream: framework.stream });
  framework.stream = undefined;
}

/** Frameworks of before partition awareness know one word for all of these. */
export const stateFor = (framework: Framework, state: TaskState): TaskState =>
  framework.partition_aware ? state : 'TASK_LOST';

export const order = (turn: Turn, agent: Agent, order: AgentOrder): void => {
  if (agent.status === 'connected') turn.outputs.push({ type: 'order', agent: agent.info.id, order });
  else agent.held_orders.push(order);
};

/** Gives resources back to an agent; they are offered with the next allocation. */
export function release(turn: Turn, agent: Agent, amount: Amount): void {
  if (amount.size === 0) return;
  agent.free = agent.overdrawn ? freeOf(agent) : add(agent.free, amount);
  turn.master.spare.add(agent);
  wantAllocation(turn, agent);
}

export function wantAllocation(turn: Turn, agent: Agent): void {
  turn.master.dirty.add(agent);
  armAllocation(turn);
}

/** With the next round of allocation something may be said that could not be before. */
export function armAllocation({ master, now }: Pick<Turn, 'master' | 'now'>): void {
  if (master.allocation_armed) return;
  master.allocation_armed = true;
  const { allocation_interval_ms: interval_ms, allocation_phase_ms } = master.options;
  const since_ms = interval_ms === 0 ? 0 : (now - allocation_phase_ms) % interval_ms;
  master.alarms.set(now + interval_ms - since_ms, { type: 'allocate' });
}

/** Takes an offer off the table. Its resources go back to the agent unless somebody takes them: the caller decides. */
export function withdraw(turn: Turn, offer: HeldOffer): Amount {
  turn.master.offers.delete(offer.id);
  offer.framework.offers.delete(offer);
  offer.agent.offers.delete(offer);
  return offer.amount;
}

/** What an agent can lend beside what is held and on offer. */
export function freeOf(agent: Agent): Amount {
  let used: Amount = nothing;
  for (const task of agent.tasks.values()) if (!task.ended) used = add(used, task.amount);
  for (const executor of agent.executors.values()) used = add(used, executor.amount);
  for (const offer of agent.offers) used = add(used, offer.amount);
  agent.overdrawn = !contains(agent.total, used);
  return agent.overdrawn ? leftOf(agent.total, used) : subtract(agent.total, used);
}

export const keyOf = (framework_id: string, id: string): string => `${framework_id} ${id}`;

/** What the framework has been told of a task, or is being told: never more than that. */
export const toldState = (task: Task): TaskState => task.pending[0]?.state ?? task.acknowledged;
