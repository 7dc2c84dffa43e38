// executor-house.ts: an agent's side of the executor API, as one function from what reaches it to what is to be done.
//
// The agent decides little: it passes on. But it remembers, so that whoever is killed, agent or executor, no word is lost
// and no task is given twice. The state is changed where it stands, like the master's, by this function alone.
//
// Kept from Mesos to the letter, because executors are written against it: an ACKNOWLEDGED says that the agent has the
// update, not that the framework has; nothing is said again to an executor that was away; nothing escalates but SHUTDOWN.
// Different: an impossible SUBSCRIBE is refused, where Mesos's agent aborts; tasks wait for an executor that is away for a
// moment, and so do kills while the agent waits for it after a restart.

import type { Instant } from '../../schedules/clock.ts';
import { type KillPolicy, type TaskStatus, terminal_states } from '../protocol.ts';
import { durationText } from './executor-environment.ts';
import { infoForExecutor } from './executor-infos.ts';
import { intentOf } from './executor-notes.ts';
import type { ExecutorCall, ExecutorEvent } from './executor-protocol.ts';
import {
  type Executor,
  freshExecutor,
  type House,
  type HouseInput,
  type HouseOutput,
  type HouseTurn,
  keyOf,
  newTask,
  say,
  stateFor,
  type Task,
  tell,
  tellAsAgent,
} from './executor-state.ts';

export const executor_messages = {
  recovering: 'Agent has not finished recovery',
  no_framework: 'Framework cannot be found',
  no_executor: 'Executor cannot be found',
  not_subscribed: 'Executor is not subscribed',
} as const;

export function transition(house: House, input: HouseInput, now: Instant): readonly HouseOutput[] {
  const turn: HouseTurn = { house, now, outputs: [] };
  switch (input.type) {
    case 'launch':
      launch(turn, input);
      break;
    case 'kill':
      kill(turn, house.tasks.get(keyOf(input.framework_id, input.task_id)), input.kill_policy);
      break;
    case 'shutdown': {
      const executor = house.executors.get(keyOf(input.framework_id, input.executor_id));
      if (executor === undefined) break;
      if (input.framework_over) executor.framework_over = true;
      shutdown(turn, executor);
      break;
    }
    case 'message': {
      const executor = house.executors.get(keyOf(input.framework_id, input.executor_id));
      if (executor?.phase === 'running') say(turn, executor, { type: 'MESSAGE', message: { data: input.data } });
      break;
    }
    case 'acknowledge':
      acknowledged(turn, input.framework_id, input.task_id, input.uuid);
      break;
    case 'call':
      called(turn, input.call, input.stream);
      break;
    case 'stream-closed':
      for (const executor of house.executors.values())
        if (executor.stream === input.stream) executor.stream = undefined;
      break;
    case 'started': {
      const executor = byContainer(house, input.container_id);
      if (executor !== undefined) executor.pid = input.pid;
      break;
    }
    case 'exited': {
      const executor = byContainer(house, input.container_id);
      if (executor !== undefined) exited(turn, executor, input);
      break;
    }
    case 'woken':
      woken(turn, input.alarm);
      break;
  }
  return turn.outputs;
}

/** After a restart: executors that live have a while to come back. Nobody to wait for, nothing to do. */
export function beginRecovery(house: House, now: Instant): readonly HouseOutput[] {
  if (house.executors.size === 0) return [];
  house.recovering = true;
  const { recovery_ms, reregistration_timeout_ms } = house.options;
  return [
    { type: 'wake', at: now + recovery_ms, alarm: { type: 'recovered' } },
    { type: 'wake', at: now + reregistration_timeout_ms, alarm: { type: 'reregistration' } },
  ];
}

function byContainer(house: House, container_id: string): Executor | undefined {
  for (const executor of house.executors.values()) if (executor.container_id === container_id) return executor;
  return undefined;
}

// --- work comes -----------------------------------------------------------------------------------------------------

function launch(turn: HouseTurn, order: Extract<HouseInput, { type: 'launch' }>): void {
  const { house, now, outputs } = turn;
  const { options } = house;
  const key = keyOf(order.framework_id, order.executor.executor_id.value);
  const known = house.executors.get(key);
  const executor: Executor =
    known ??
    freshExecutor({
      framework_id: order.framework_id,
      framework: order.framework,
      info: order.executor,
      container_id: options.newId(),
      at: now,
      boot: options.boot,
      recovered: false,
    });
  // A second copy of a task is the one thing that must never be; the master refuses such ids already.
  const tasks = order.tasks
    .filter(({ task_id }) => !house.tasks.has(keyOf(order.framework_id, task_id.value)))
    .map(info => newTask(executor, info));
  if (tasks.length === 0) return;
  for (const task of tasks) {
    house.tasks.set(keyOf(task.framework_id, task.id), task);
    executor.live.set(task.id, task);
  }
  const { container_id } = executor;
  if (known === undefined) {
    house.executors.set(key, executor);
    outputs.push({ type: 'note', notes: [intentOf(executor)] });
  }
  outputs.push({ type: 'note', notes: tasks.map(({ info }) => ({ type: 'task', container_id, task: info })) });
  if (executor.phase === 'terminating') {
    for (const task of tasks)
      tellAsAgent(
        turn,
        task,
        stateFor(executor, 'TASK_DROPPED'),
        'REASON_EXECUTOR_TERMINATED',
        'Executor is terminating',
      );
    return;
  }
  executor.queue.push({ tasks, group: order.group });
  if (known === undefined) {
    outputs.push(
      { type: 'start', executor },
      {
        type: 'wake',
        at: now + options.registration_timeout_ms,
        alarm: { type: 'registration', container_id },
      },
    );
  } else deliver(turn, executor);
}

/** Hands over what waits, if there is somebody to take it. */
function deliver(turn: HouseTurn, executor: Executor): void {
  if (executor.phase !== 'running' || executor.stream === undefined || executor.queue.length === 0) return;
  if (!executor.delivered) {
    executor.delivered = true;
    turn.outputs.push({ type: 'note', notes: [{ type: 'delivered', container_id: executor.container_id }] });
  }
  const events = executor.queue.splice(0).flatMap(({ tasks, group }): ExecutorEvent[] => {
    const infos = tasks.map(({ info }) => infoForExecutor(info));
    return group
      ? [{ type: 'LAUNCH_GROUP', launch_group: { task_group: { tasks: infos } } }]
      : infos.map(task => ({ type: 'LAUNCH', launch: { task } }));
  });
  say(turn, executor, ...events);
}

function kill(turn: HouseTurn, task: Task | undefined, kill_policy: KillPolicy | undefined): void {
  if (task === undefined || task.ended) return;
  const { executor } = task;
  const envelope = executor.queue.find(({ tasks }) => tasks.includes(task));
  if (envelope !== undefined) {
    // A group that has lost a member before it was handed over is not handed over at all.
    const { group } = envelope;
    const killed = group ? envelope.tasks.splice(0) : envelope.tasks.splice(envelope.tasks.indexOf(task), 1);
    executor.queue = executor.queue.filter(({ tasks }) => tasks.length > 0);
    const message = group
      ? 'A task within the task group was killed before delivery to the executor'
      : 'Killed before delivery to the executor';
    for (const each of killed) tellAsAgent(turn, each, 'TASK_KILLED', 'REASON_TASK_KILLED_DURING_LAUNCH', message);
    return;
  }
  if (executor.phase === 'registering') executor.held.push({ task_id: task.id, kill_policy });
  else if (executor.phase === 'running') say(turn, executor, killEvent(task.id, kill_policy));
}

const killEvent = (task_id: string, kill_policy: KillPolicy | undefined): ExecutorEvent => ({
  type: 'KILL',
  kill: { task_id: { value: task_id }, ...(kill_policy === undefined ? {} : { kill_policy }) },
});

/** Asks it to go, and sees to it that it does. */
function shutdown(turn: HouseTurn, executor: Executor): void {
  if (executor.phase === 'terminating') return;
  terminate(turn, executor);
  say(turn, executor, { type: 'SHUTDOWN' });
  const grace_ns = executor.info.shutdown_grace_period?.nanoseconds;
  const grace_ms = grace_ns === undefined ? turn.house.options.shutdown_grace_ms : grace_ns / 1e6;
  const { container_id } = executor;
  turn.outputs.push({ type: 'wake', at: turn.now + grace_ms, alarm: { type: 'grace', container_id } });
}

function terminate(turn: HouseTurn, executor: Executor): void {
  executor.phase = 'terminating';
  turn.outputs.push({ type: 'note', notes: [{ type: 'terminating', container_id: executor.container_id }] });
}

function destroy(turn: HouseTurn, executor: Executor, killed_for: Executor['killed_for']): void {
  terminate(turn, executor);
  executor.killed_for = killed_for;
  turn.outputs.push({ type: 'destroy', container_id: executor.container_id });
}

function acknowledged(turn: HouseTurn, framework_id: string, task_id: string, uuid: string): void {
  const { tasks } = turn.house;
  const task = tasks.get(keyOf(framework_id, task_id));
  const first = task?.pending[0];
  if (task === undefined || first?.uuid !== uuid) return;
  task.pending.shift();
  task.acknowledged = first.state;
  turn.outputs.push({ type: 'note', notes: [{ type: 'acknowledged', framework_id, task: task_id, uuid }] });
  if (terminal_states.has(first.state)) tasks.delete(keyOf(framework_id, task_id));
}

// --- the executor speaks --------------------------------------------------------------------------------------------

function called(turn: HouseTurn, call: ExecutorCall, stream: string): undefined {
  const { house, outputs } = turn;
  const answer = (status: number, text: string) => {
    outputs.push({ type: 'answer', status, text });
    return undefined;
  };
  // Asked of nobody: it says only that somebody is there.
  if (call.type === 'HEARTBEAT') return answer(202, '');
  if (house.recovering && call.type !== 'SUBSCRIBE') return answer(503, executor_messages.recovering);
  const { value: framework_id } = call.framework_id;
  const executor = house.executors.get(keyOf(framework_id, call.executor_id.value));
  if (executor === undefined) {
    for (const other of house.executors.values())
      if (other.framework_id === framework_id) return answer(400, executor_messages.no_executor);
    return answer(400, executor_messages.no_framework);
  }
  if (call.type === 'SUBSCRIBE') {
    subscribe(turn, executor, call.subscribe, stream);
    return undefined;
  }
  if (executor.phase === 'registering') return answer(403, executor_messages.not_subscribed);
  if (call.type === 'MESSAGE') {
    const { data } = call.message;
    outputs.push({ type: 'message', framework_id, executor_id: executor.id, data });
  } else for (const { to, event } of update(turn, executor, call.update.status)) say(turn, to, event);
  return answer(202, '');
}

type Subscribe = Extract<ExecutorCall, { type: 'SUBSCRIBE' }>['subscribe'];

function subscribe(turn: HouseTurn, executor: Executor, subscribe: Subscribe, stream: string): void {
  const { house, outputs } = turn;
  const { framework_id } = executor;
  const queued = new Set(executor.queue.flatMap(({ tasks }) => tasks));
  for (const { status } of subscribe.unacknowledged_updates) {
    const task = house.tasks.get(keyOf(framework_id, status.task_id.value));
    if (task === undefined || !queued.has(task) || terminal_states.has(status.state)) continue;
    const text = `Unacknowledged update ${status.state} of task ${task.id}, which was not launched yet`;
    outputs.push({ type: 'answer', status: 400, text: `${text}: only a terminal state can be told of it` });
    return;
  }
  if (executor.stream !== undefined) outputs.push({ type: 'close', stream: executor.stream });
  executor.stream = stream;
  outputs.push({ type: 'answer', status: 200, text: '' });
  if (executor.phase === 'terminating') {
    say(turn, executor, { type: 'SHUTDOWN' });
    return;
  }
  executor.phase = 'running';
  const acknowledgements = subscribe.unacknowledged_updates.flatMap(({ status }) => update(turn, executor, status));
  const known = new Set(subscribe.unacknowledged_tasks.map(({ task_id }) => task_id.value));
  const waiting = new Set(executor.queue.flatMap(({ tasks }) => tasks));
  for (const task of [...executor.live.values()])
    if (task.state === 'TASK_STAGING' && !waiting.has(task) && !known.has(task.id))
      tellAsAgent(
        turn,
        task,
        stateFor(executor, 'TASK_DROPPED'),
        'REASON_AGENT_RESTARTED',
        'Task launched during agent restart',
      );
  if (!executor.delivered && executor.live.size === 0) {
    // Started for tasks that were killed before it came: it is not even welcomed.
    shutdown(turn, executor);
    return;
  }
  say(turn, executor, subscribedEvent(house, executor));
  for (const { to, event } of acknowledgements) say(turn, to, event);
  for (const { task_id, kill_policy } of executor.held.splice(0))
    if (executor.live.has(task_id)) say(turn, executor, killEvent(task_id, kill_policy));
  deliver(turn, executor);
}

function subscribedEvent({ options }: House, executor: Executor): ExecutorEvent {
  const { agent, port } = options;
  return {
    type: 'SUBSCRIBED',
    subscribed: {
      executor_info: infoForExecutor(executor.info),
      framework_info: { ...executor.framework, id: { value: executor.framework_id } },
      agent_info: {
        hostname: agent.hostname,
        port,
        resources: agent.resources,
        ...(agent.attributes === undefined ? {} : { attributes: agent.attributes }),
        id: { value: agent.id },
      },
      container_id: { value: executor.container_id },
    },
  };
}

/** Takes an update; gives back who is to be told that it was taken. */
function update(
  turn: HouseTurn,
  executor: Executor,
  status: TaskStatus,
): readonly { to: Executor; event: ExecutorEvent }[] {
  const { house, outputs } = turn;
  const { framework_id } = executor;
  // Of another agent: a real one drops it without a word, and so do we.
  if (status.agent_id !== undefined && status.agent_id.value !== house.options.agent.id) return [];
  const { task_id } = status;
  const uuid = status.uuid ?? '';
  const task = house.tasks.get(keyOf(framework_id, task_id.value));
  if (task === undefined && !executor.ended.has(task_id.value)) {
    outputs.push({ type: 'updates', updates: [{ framework_id, status: filled(turn, status), stray: true }] });
    return [];
  }
  const owner = task?.executor ?? executor;
  if (task !== undefined && !task.ended && !task.seen.has(uuid)) {
    owner.queue = owner.queue
      .map(envelope => ({ ...envelope, tasks: envelope.tasks.filter(each => each !== task) }))
      .filter(({ tasks }) => tasks.length > 0);
    tell(turn, task, filled(turn, status, owner));
  }
  return owner.framework_over ? [] : [{ to: owner, event: { type: 'ACKNOWLEDGED', acknowledged: { task_id, uuid } } }];
}

const loopback = [{ ip_addresses: [{ protocol: 'IPv4', ip_address: '127.0.0.1' }] }];

/** What the agent adds: where it came from, and the container, of which it alone knows. */
function filled({ house, now }: HouseTurn, status: TaskStatus, owner?: Executor): TaskStatus {
  const { agent } = house.options;
  const container = owner === undefined ? undefined : containerStatus(owner, status.container_status);
  return {
    ...status,
    agent_id: { value: agent.id },
    timestamp: status.timestamp ?? now / 1000,
    ...(container === undefined ? {} : { container_status: container }),
  };
}

function containerStatus(executor: Executor, said: unknown): object {
  return {
    network_infos: loopback,
    ...(typeof said === 'object' ? said : {}),
    container_id: { value: executor.container_id },
    ...(executor.pid === undefined ? {} : { executor_pid: executor.pid }),
  };
}

// --- ends -----------------------------------------------------------------------------------------------------------

function exited(turn: HouseTurn, executor: Executor, exit: Extract<HouseInput, { type: 'exited' }>): void {
  const { house, outputs } = turn;
  const { framework_id, id: executor_id, container_id } = executor;
  house.executors.delete(keyOf(framework_id, executor_id));
  if (executor.stream !== undefined) outputs.push({ type: 'close', stream: executor.stream });
  executor.stream = undefined;
  outputs.push({ type: 'ended', framework_id, executor_id, status: exit.status });
  const { registration_timeout_ms, reregistration_timeout_ms } = house.options;
  const { limitation } = exit;
  for (const task of [...executor.live.values()]) {
    if (limitation !== undefined)
      tellAsAgent(turn, task, 'TASK_FAILED', limitation.reason, limitation.message, {
        limitation: { resources: limitation.resources },
      });
    else if (exit.launch_failure !== undefined)
      tellAsAgent(
        turn,
        task,
        'TASK_FAILED',
        'REASON_CONTAINER_LAUNCH_FAILED',
        `Failed to launch container: ${exit.launch_failure}`,
      );
    else if (exit.never_began === true)
      tellAsAgent(
        turn,
        task,
        stateFor(executor, 'TASK_DROPPED'),
        'REASON_AGENT_RESTARTED',
        'Task launched during agent restart: its executor never started',
      );
    else if (executor.killed_for === 'registration')
      tellAsAgent(
        turn,
        task,
        'TASK_FAILED',
        'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
        `Executor did not register within ${durationText(registration_timeout_ms)}`,
      );
    else if (executor.killed_for === 'reregistration')
      tellAsAgent(
        turn,
        task,
        stateFor(executor, 'TASK_GONE'),
        'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
        `Executor did not reregister within ${durationText(reregistration_timeout_ms)}`,
      );
    else tellAsAgent(turn, task, 'TASK_FAILED', 'REASON_EXECUTOR_TERMINATED', 'Executor terminated');
  }
  // Last: whoever reads the notebook up to here finds an executor that is gone, and tells of its tasks.
  outputs.push({ type: 'note', notes: [{ type: 'ended', container_id }] }, { type: 'gone', container_id });
}

function woken(turn: HouseTurn, alarm: Extract<HouseInput, { type: 'woken' }>['alarm']): void {
  const { house } = turn;
  if (alarm.type === 'recovered') {
    house.recovering = false;
    return;
  }
  if (alarm.type === 'reregistration') {
    // One that was to go already has had its time and more.
    for (const executor of house.executors.values())
      if (executor.recovered && executor.phase !== 'running')
        destroy(turn, executor, executor.phase === 'registering' ? 'reregistration' : undefined);
    return;
  }
  const executor = byContainer(house, alarm.container_id);
  if (executor === undefined) return;
  if (alarm.type === 'grace') turn.outputs.push({ type: 'destroy', container_id: executor.container_id });
  else if (executor.phase === 'registering') destroy(turn, executor, 'registration');
}
