// membership.ts: how agents come, go out of sight and come back.
//
// An agent that cannot be heard has not stopped working. For a while nothing is said about its tasks, then that they are
// out of reach, and when it returns, that they run, without anybody having asked.

import { Book, Roll } from '../../schedules/book.ts';
import { terminal_states } from '../protocol.ts';
import { takeBack } from './allocation.ts';
import { amountOf, nothing } from './amounts.ts';
import { enter, holderOf } from './launches.ts';
import {
  type Agent,
  type Executor,
  freeOf,
  keyOf,
  order,
  say,
  sayStatus,
  stateFor,
  type Task,
  type Turn,
  toldState,
  wantAllocation,
} from './master-state.ts';
import type { AgentInfo, ReportedExecutor, ReportedTask } from './messages.ts';
import { frameworkOf } from './subscriptions.ts';
import { end, forgetTask, send } from './updates.ts';

/** An agent comes or comes back, and says what it has. What it says counts: it alone knows what runs there. */
export function agentRegistered(
  turn: Turn,
  info: AgentInfo,
  reported: readonly ReportedTask[],
  executors: readonly ReportedExecutor[],
): void {
  const total = amountOf(info.resources);
  if (!total.ok) throw new Error(`agent ${info.id} cannot register: ${total.message}`);
  if (turn.master.gone_agents.has(info.id)) return; // As Mesos: told to go away, and not asked what it has.
  turn.master.awaited_agents.delete(info.id);
  const was_known = turn.master.agents.has(info.id) && turn.master.agents.get(info.id)?.status !== 'unreachable';
  const agent = agentOf(turn, info);
  takeBack(turn, agent.offers, 'rescind');
  const was_unreachable = agent.status === 'unreachable';
  const held = agent.held_orders;
  agent.info = info;
  agent.total = total.amount;
  agent.status = 'connected';
  agent.absence++;
  agent.held_orders = [];
  const missing = new Set(agent.tasks.values());
  const ended: { task: Task; finished: boolean }[] = [];
  for (const report of reported) {
    const task = adopt(turn, agent, report);
    missing.delete(task);
    const last = report.pending.at(-1)?.state ?? report.state;
    if (terminal_states.has(last) && !task.ended) ended.push({ task, finished: last === 'TASK_FINISHED' });
  }
  for (const task of missing) lost(turn, task);
  adoptExecutors(turn, agent, executors);
  agent.free = freeOf(agent);
  for (const { task, finished } of ended) end(turn, task, finished);
  turn.master.spare.add(agent);
  for (const task of agent.tasks.values()) {
    if (turn.master.frameworks.get(task.framework.id) !== task.framework) {
      abandon(turn, task);
      continue;
    }
    if (was_unreachable && !task.ended) sayBack(turn, task);
    task.sent = 0;
    send(turn, task);
  }
  for (const late of held) order(turn, agent, late);
  // What is new is offered without waiting for the next round; what was only out of hearing, with it.
  if (was_known) {
    wantAllocation(turn, agent);
    return;
  }
  turn.master.dirty.add(agent);
  turn.master.alarms.set(turn.now, { type: 'allocate' });
}

function agentOf(turn: Turn, info: AgentInfo): Agent {
  const known = turn.master.agents.get(info.id);
  if (known !== undefined) return known;
  const agent: Agent = {
    info,
    total: nothing,
    free: nothing,
    overdrawn: false,
    offers: new Roll(),
    tasks: new Book(),
    executors: new Book(),
    status: 'connected',
    absence: 0,
    unreachable_at: 0,
    held_orders: [],
    draining: false,
    unavailability: undefined,
    inverse_offers: new Set(),
    inverse_filters: new Map(),
  };
  turn.master.agents.set(info.id, agent);
  return agent;
}

/** Brings the books of one task in line with what its agent says. */
function adopt(turn: Turn, agent: Agent, report: ReportedTask): Task {
  const amount = amountOf(report.resources);
  if (!amount.ok) throw new Error(`task ${report.task_id} cannot be adopted: ${amount.message}`);
  let task = agent.tasks.get(keyOf(report.framework_id, report.task_id));
  if (task === undefined) {
    const framework = frameworkOf(turn.master, report.framework_id);
    let executor: Executor | undefined;
    if (report.executor !== undefined) {
      const own = amountOf(report.executor.resources ?? []);
      if (!own.ok) throw new Error(`executor of task ${report.task_id} cannot be adopted: ${own.message}`);
      executor = holderOf(agent, framework, report.executor, own.amount);
    }
    task = enter(framework, agent, { task_id: { value: report.task_id } }, amount.amount, report.executor_id, executor);
  }
  task.pending = [...report.pending];
  task.acknowledged = report.state;
  return task;
}

/** Custom executors live without tasks too, and die while nobody looks. */
function adoptExecutors(turn: Turn, agent: Agent, reported: readonly ReportedExecutor[]): void {
  const known = new Set<string>();
  for (const { framework_id, executor } of reported) {
    const own = amountOf(executor.resources ?? []);
    if (!own.ok) throw new Error(`executor ${executor.executor_id.value} cannot be adopted: ${own.message}`);
    const framework = frameworkOf(turn.master, framework_id);
    holderOf(agent, framework, executor, own.amount);
    known.add(keyOf(framework_id, executor.executor_id.value));
    if (turn.master.frameworks.get(framework_id) !== framework) {
      const about = { framework_id, executor_id: executor.executor_id.value };
      order(turn, agent, { type: 'shutdown', ...about, framework_over: true });
    }
  }
  for (const [key, executor] of agent.executors)
    if (executor.custom && executor.tasks.size === 0 && !known.has(key)) agent.executors.delete(key);
}

/** The agent is back without it. Whether it ever ran we know from what it told before. */
function lost(turn: Turn, task: Task): void {
  if (!task.ended) {
    sayStatus(turn, task.framework, {
      task_id: { value: task.id },
      state: stateFor(task.framework, toldState(task) === 'TASK_STAGING' ? 'TASK_DROPPED' : 'TASK_GONE'),
      message: 'Reconciliation: Task is unknown to the agent',
      reason: 'REASON_RECONCILIATION',
      agent_id: { value: task.agent.info.id },
    });
    end(turn, task, false);
  }
  forgetTask(task);
}

/** The framework of this task was removed while its agent was away. */
function abandon(turn: Turn, task: Task): void {
  const about = { framework_id: task.framework.id, task_id: task.id };
  for (const { uuid } of task.pending)
    if (uuid !== undefined) order(turn, task.agent, { type: 'acknowledge', ...about, uuid });
  task.pending = [];
  if (task.ended) forgetTask(task);
  else if (task.executor?.custom !== true) order(turn, task.agent, { type: 'kill', ...about });
}

function sayBack(turn: Turn, task: Task): void {
  sayStatus(turn, task.framework, {
    task_id: { value: task.id },
    state: toldState(task),
    message: 'Unreachable agent re-reregistered',
    reason: 'REASON_AGENT_REREGISTERED',
    agent_id: { value: task.agent.info.id },
  });
}

/** The connection to an agent broke. */
export function agentGone(turn: Turn, id: string): void {
  const agent = turn.master.agents.get(id);
  if (agent === undefined || agent.status !== 'connected') return;
  takeBack(turn, agent.offers, 'rescind');
  agent.status = 'gone';
  agent.absence++;
  turn.master.spare.delete(agent);
  for (const task of [...agent.tasks.values()]) if (unkept(task)) diedWith(turn, task);
  turn.master.alarms.set(turn.now + turn.master.options.agent_timeout_ms, {
    type: 'agent-timeout',
    agent,
    absence: agent.absence,
  });
}

/** Whether its framework asked for no checkpoints, or did not say. */
const unkept = ({ framework: { info } }: Task) => info !== undefined && info.checkpoint !== true;

/** Who asked for no checkpoints loses a task with the agent's process, at once, and hears the old word for it. */
function diedWith(turn: Turn, task: Task): void {
  const { agent, executor } = task;
  if (!task.ended)
    sayStatus(turn, task.framework, {
      task_id: { value: task.id },
      state: 'TASK_LOST',
      message: `Agent ${agent.info.hostname} disconnected`,
      reason: 'REASON_AGENT_DISCONNECTED',
      agent_id: { value: agent.info.id },
    });
  executor?.tasks.delete(task);
  if (executor !== undefined) agent.executors.delete(keyOf(task.framework.id, executor.id));
  forgetTask(task);
}

/** It has been away for too long: nobody knows what has become of its tasks. */
export function agentTimedOut(turn: Turn, agent: Agent, absence: number): void {
  if (agent.status !== 'gone' || agent.absence !== absence) return;
  agent.status = 'unreachable';
  agent.unreachable_at = turn.now;
  agent.held_orders = []; // As Mesos: what was to be killed there must be killed again when it is back.
  for (const task of agent.tasks.values()) {
    if (task.ended) continue;
    sayStatus(turn, task.framework, {
      task_id: { value: task.id },
      state: stateFor(task.framework, 'TASK_UNREACHABLE'),
      message: 'health check timed out',
      reason: 'REASON_AGENT_REMOVED',
      agent_id: { value: agent.info.id },
      unreachable_time: { nanoseconds: turn.now * 1e6 },
    });
  }
  for (const framework of turn.master.frameworks.values())
    say(turn, framework, { type: 'FAILURE', failure: { agent_id: { value: agent.info.id } } });
}
