// master.ts: the whole of a Mesos master, as one function from what reaches it to what it says.
//
// A pawnbroker's counter. Agents bring what they have, frameworks borrow it, and the books say at every moment who holds
// what. Nothing here reads a clock or rolls dice: instants come with the input, and ids from counters behind a prefix that
// is given. So a conversation can be replayed to the letter, by a test or by a simulation.
//
// The state is changed where it stands rather than copied: a thousand agents with ten thousand tasks would otherwise be
// copied with every launch. Whoever owns a Master hands it to this function alone, one input after the other.

import type { Instant } from '../../schedules/clock.ts';
import type { CallOnWire, Id, TaskState } from '../protocol.ts';
import { allocate, decline, filterEnded, offerTimedOut, revive, suppress } from './allocation.ts';
import { accept } from './launches.ts';
import {
  type Agent,
  armAllocation,
  type Framework,
  keyOf,
  type Master,
  order,
  sayStatus,
  stateFor,
  type Task,
  type Turn,
  toldState,
} from './master-state.ts';
import { agentGone, agentRegistered, agentTimedOut } from './membership.ts';
import type { MasterInput, MasterOutput } from './messages.ts';
import { acknowledgeOperation, reconcileOperations, resendOperation } from './operations.ts';
import { answerInverse, operate } from './operator.ts';
import {
  framework_messages,
  heartbeat,
  otherPrincipal,
  removeFramework,
  streamClosed,
  subscribe,
  updateFramework,
} from './subscriptions.ts';
import { acknowledge, executorEnded, executorMessage, send, updated } from './updates.ts';

export function transition(master: Master, input: MasterInput, now: Instant): readonly MasterOutput[] {
  const turn: Turn = { master, now, outputs: [], said: undefined };
  switch (input.type) {
    case 'subscribe':
      subscribe(turn, input.stream, input.request);
      break;
    case 'call':
      called(turn, input.stream, input.call, input.caller);
      break;
    case 'stream-closed':
      streamClosed(turn, input.stream);
      break;
    case 'agent-registered':
      agentRegistered(turn, input.agent, input.tasks, input.executors ?? []);
      break;
    case 'agent-gone':
      agentGone(turn, input.agent);
      break;
    case 'updates':
      for (const update of input.updates) updated(turn, input.agent, update);
      break;
    case 'operator':
      operate(turn, input.wish);
      break;
    case 'executor-ended':
      executorEnded(turn, input.agent, input.ended);
      break;
    case 'executor-said':
      executorMessage(turn, input.agent, input.message);
      break;
    case 'woken':
      // Whatever was asked for has been granted: what is still to come must be asked for anew.
      master.wake_at = undefined;
      ring(turn);
      break;
  }
  const { next } = master.alarms;
  if (next !== undefined && (master.wake_at === undefined || next < master.wake_at)) {
    master.wake_at = next;
    turn.outputs.push({ type: 'wake', at: next });
  }
  return turn.outputs;
}

/** Everything that was to happen by now. */
function ring(turn: Turn): void {
  const { alarms } = turn.master;
  for (let due = alarms.ring(turn.now); due !== undefined; due = alarms.ring(turn.now)) {
    const alarm = due.what;
    switch (alarm.type) {
      case 'allocate':
        turn.master.allocation_armed = false;
        allocate(turn);
        break;
      case 'heartbeat':
        heartbeat(turn, alarm.framework, alarm.subscription);
        break;
      case 'failover':
        if (alarm.framework.stream === undefined && alarm.framework.subscription === alarm.subscription)
          removeFramework(turn, alarm.framework);
        break;
      case 'filter':
        filterEnded(turn, alarm);
        break;
      case 'offer-timeout':
        offerTimedOut(turn, alarm.offer);
        break;
      case 'resend-operation':
        resendOperation(turn, alarm);
        break;
      case 'inverse-filter':
        if (alarm.agent.unavailability !== undefined) armAllocation(turn);
        break;
      case 'resend':
        send(turn, alarm.task);
        break;
      case 'agent-timeout':
        agentTimedOut(turn, alarm.agent, alarm.absence);
        break;
    }
  }
}

function called(turn: Turn, stream: string | undefined, call: CallOnWire, caller: string | undefined): undefined {
  const framework = turn.master.frameworks.get(call.framework_id.value);
  const no = (status: number, text: string) => {
    turn.outputs.push({ type: 'answer', status, text });
    return undefined;
  };
  if (framework === undefined) return no(400, framework_messages.unknown);
  const principal = framework.info?.principal;
  if (caller !== undefined && principal !== undefined && caller !== principal)
    return no(400, otherPrincipal(caller, principal));
  if (framework.stream === undefined) return no(403, framework_messages.not_subscribed);
  if (stream === undefined) return no(400, framework_messages.no_stream);
  if (stream !== framework.stream) return no(400, framework_messages.otherStream(stream, framework.id));
  if (call.type === 'UPDATE_FRAMEWORK') {
    const wrong = updateFramework(turn, framework, call.update_framework);
    if (wrong !== undefined) return no(400, wrong);
    turn.outputs.push({ type: 'answer', status: 200, text: '' });
    return undefined;
  }
  turn.outputs.push({ type: 'answer', status: 202, text: '' });
  switch (call.type) {
    case 'TEARDOWN':
      removeFramework(turn, framework);
      break;
    case 'ACCEPT':
      accept(turn, framework, call.accept);
      break;
    case 'DECLINE':
      for (const { value } of call.decline.offer_ids) decline(turn, framework, value, call.decline.filters);
      break;
    case 'REVIVE':
      revive(turn, framework, call.revive?.roles);
      break;
    case 'SUPPRESS':
      suppress(framework, call.suppress?.roles);
      break;
    case 'KILL':
      kill(turn, framework, call.kill);
      break;
    case 'SHUTDOWN':
      shutdown(turn, framework, call.shutdown);
      break;
    case 'ACKNOWLEDGE':
      acknowledge(turn, framework, call.acknowledge);
      break;
    case 'RECONCILE':
      if (call.reconcile.tasks.length === 0) reconcileAll(turn, framework);
      else for (const task of call.reconcile.tasks) reconcile(turn, framework, task);
      break;
    case 'ACKNOWLEDGE_OPERATION_STATUS':
      acknowledgeOperation(framework, call.acknowledge_operation_status);
      break;
    case 'RECONCILE_OPERATIONS':
      reconcileOperations(turn, framework, call.reconcile_operations);
      break;
    case 'ACCEPT_INVERSE_OFFERS':
      answerInverse(turn, framework, call.accept_inverse_offers);
      break;
    case 'DECLINE_INVERSE_OFFERS':
      answerInverse(turn, framework, call.decline_inverse_offers);
      break;
    case 'MESSAGE':
      message(turn, framework, call.message);
      break;
  }
}

type Kill = Extract<CallOnWire, { type: 'KILL' }>['kill'];

function kill(turn: Turn, framework: Framework, { task_id, agent_id, kill_policy }: Kill): void {
  const task = framework.tasks.get(task_id.value);
  if (task === undefined || task.agent.status === 'unreachable') {
    reconcile(turn, framework, { task_id, agent_id });
    return;
  }
  if (agent_id !== undefined && agent_id.value !== task.agent.info.id) return; // As Mesos: passed over.
  if (task.ended) return; // Its end is on the way.
  const grace_ns = kill_policy?.grace_period?.nanoseconds;
  order(turn, task.agent, {
    type: 'kill',
    framework_id: framework.id,
    task_id: task.id,
    ...(grace_ns === undefined ? {} : { grace_ms: grace_ns / 1e6 }),
    ...(kill_policy === undefined ? {} : { kill_policy }),
  });
}

/** Ends an executor: all its tasks, at once. */
function shutdown(
  turn: Turn,
  framework: Framework,
  { executor_id, agent_id }: { executor_id: Id; agent_id: Id },
): void {
  const agent = turn.master.agents.get(agent_id.value);
  if (agent === undefined) return;
  if (agent.executors.get(keyOf(framework.id, executor_id.value))?.custom === true) {
    const about = { framework_id: framework.id, executor_id: executor_id.value };
    order(turn, agent, { type: 'shutdown', ...about, framework_over: false });
    return;
  }
  for (const task of agent.tasks.values())
    if (task.framework === framework && task.executor_id === executor_id.value && !task.ended)
      order(turn, agent, { type: 'kill', framework_id: framework.id, task_id: task.id, grace_ms: 0 });
}

type Message = Extract<CallOnWire, { type: 'MESSAGE' }>['message'];

/** For a custom executor that is there; nobody else listens, and an agent that is away keeps no messages. */
function message(turn: Turn, framework: Framework, { agent_id, executor_id, data }: Message): void {
  const agent = turn.master.agents.get(agent_id.value);
  if (agent?.status !== 'connected') return;
  if (agent.executors.get(keyOf(framework.id, executor_id.value))?.custom !== true) return;
  order(turn, agent, { type: 'message', framework_id: framework.id, executor_id: executor_id.value, data });
}

const reconciled = { reason: 'REASON_RECONCILIATION' } as const;

function reconcile(
  turn: Turn,
  framework: Framework,
  { task_id, agent_id }: { readonly task_id: Id; readonly agent_id?: Id | undefined },
): void {
  const task = framework.tasks.get(task_id.value);
  if (task !== undefined && task.agent.status !== 'unreachable') {
    sayLatest(turn, framework, task);
    return;
  }
  const { awaited_agents, gone_agents } = turn.master;
  // It may be theirs: only they can tell.
  if (agent_id === undefined ? awaited_agents.size > 0 : awaited_agents.has(agent_id.value)) return;
  const agent = agent_id === undefined ? undefined : turn.master.agents.get(agent_id.value);
  const about = (state: TaskState, message: string, agent?: Agent) =>
    sayStatus(turn, framework, {
      task_id,
      state: stateFor(framework, state),
      message: `Reconciliation: ${message}`,
      ...reconciled,
      ...(agent_id === undefined ? {} : { agent_id }),
      ...(agent === undefined ? {} : { unreachable_time: { nanoseconds: agent.unreachable_at * 1e6 } }),
    });
  if (agent_id !== undefined && gone_agents.has(agent_id.value)) about('TASK_GONE_BY_OPERATOR', 'Task is gone');
  else if (agent === undefined) about('TASK_UNKNOWN', 'Task is unknown');
  else if (agent.status === 'unreachable') about('TASK_UNREACHABLE', 'Task is unreachable', agent);
  else about('TASK_GONE', 'Task is unknown to the agent');
}

/** Every task that is not over and not out of reach. */
function reconcileAll(turn: Turn, framework: Framework): void {
  for (const task of framework.tasks.values())
    if (!task.ended && task.agent.status !== 'unreachable') sayLatest(turn, framework, task);
}

function sayLatest(turn: Turn, framework: Framework, task: Task): void {
  sayStatus(turn, framework, {
    task_id: { value: task.id },
    state: toldState(task),
    message: 'Reconciliation: Latest task state',
    ...reconciled,
    agent_id: { value: task.agent.info.id },
  });
}
