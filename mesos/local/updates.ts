// updates.ts: what becomes of a task's updates between its agent and its framework.
//
// A registered letter per update: the postman comes back after 10, 20, 40 seconds until somebody signs, and carries no
// later letter of the same task before that. What a task held is free the moment its last update arrives, signed or not.

import { type Call, terminal_states } from '../protocol.ts';
import {
  type Agent,
  type Executor,
  type Framework,
  keyOf,
  order,
  release,
  say,
  type Task,
  type Turn,
} from './master-state.ts';
import type { AgentUpdate, ExecutorEnd, ExecutorMessage } from './messages.ts';

/** An agent tells of a task. */
export function updated(turn: Turn, agent_id: string, { framework_id, status, stray }: AgentUpdate): void {
  const agent = turn.master.agents.get(agent_id);
  if (turn.master.gone_agents.has(agent_id)) return; // Nobody listens to the dead.
  if (agent === undefined)
    throw new Error(`update of task ${status.task_id.value} from agent ${agent_id}, which never registered`);
  if (stray === true) {
    const framework = turn.master.frameworks.get(framework_id);
    if (framework !== undefined) say(turn, framework, { type: 'UPDATE', update: { status } });
    return;
  }
  // Most are in the framework's own book, without a key to be made for the agent's.
  const known = turn.master.frameworks.get(framework_id)?.tasks.get(status.task_id.value);
  const task = known?.agent === agent ? known : agent.tasks.get(keyOf(framework_id, status.task_id.value));
  const { uuid } = status;
  if (uuid === undefined) throw new Error(`update ${status.state} of task ${status.task_id.value} has no uuid`);
  const forget = () => order(turn, agent, { type: 'acknowledge', framework_id, task_id: status.task_id.value, uuid });
  if (task === undefined) {
    forget(); // Its end was signed for already.
    return;
  }
  if (turn.master.frameworks.get(framework_id) !== task.framework) {
    // The framework was removed and nobody is left to sign.
    forget();
    if (!terminal_states.has(status.state)) return;
    end(turn, task, status.state === 'TASK_FINISHED');
    forgetTask(task);
    return;
  }
  if (task.pending.some(known => known.uuid === uuid)) return;
  if (status.state === 'TASK_KILLING' && !task.framework.wants_killing) {
    forget();
    return;
  }
  // As long as it is, and no longer: a list that is pushed to makes room for a dozen.
  task.pending = [...task.pending, status];
  if (task.pending.length === 1) {
    task.sent = 0;
    send(turn, task);
  }
  if (terminal_states.has(status.state) && !task.ended) end(turn, task, status.state === 'TASK_FINISHED');
}

/** A task is over: what it held is free, and a group that lost a member by anything but success goes with it. */
export function end(turn: Turn, task: Task, finished: boolean): void {
  const { agent, executor, framework } = task;
  task.ended = true;
  release(turn, agent, task.amount);
  if (executor === undefined) return;
  executor.tasks.delete(task);
  if (executor.custom) return; // What becomes of it and of its other tasks is its own business.
  if (executor.tasks.size > 0) {
    // The rule of Mesos's default executor, kept here for every kind of agent.
    if (!finished)
      for (const other of executor.tasks)
        order(turn, agent, { type: 'kill', framework_id: framework.id, task_id: other.id });
    return;
  }
  executorGone(turn, agent, executor, 0);
}

function executorGone(turn: Turn, agent: Agent, executor: Executor, status: number): void {
  agent.executors.delete(keyOf(executor.framework.id, executor.id));
  release(turn, agent, executor.amount);
  say(turn, executor.framework, {
    type: 'FAILURE',
    failure: { agent_id: { value: agent.info.id }, executor_id: { value: executor.id }, status },
  });
}

/** A custom executor has ended, with the status that waitpid gave. What became of its tasks is told as updates. */
export function executorEnded(turn: Turn, agent_id: string, { framework_id, executor_id, status }: ExecutorEnd): void {
  const agent = turn.master.agents.get(agent_id);
  const executor = agent?.executors.get(keyOf(framework_id, executor_id));
  if (agent !== undefined && executor !== undefined) executorGone(turn, agent, executor, status);
}

/** Bytes from an executor to its framework: once, and nobody knows whether they arrive. */
export function executorMessage(
  turn: Turn,
  agent_id: string,
  { framework_id, executor_id, data }: ExecutorMessage,
): void {
  const framework = turn.master.frameworks.get(framework_id);
  if (framework === undefined) return;
  const message = { agent_id: { value: agent_id }, executor_id: { value: executor_id }, data };
  say(turn, framework, { type: 'MESSAGE', message });
}

/** Sends the oldest update of a task and arranges for the next time. */
export function send(turn: Turn, task: Task): void {
  const status = task.pending[0];
  if (status === undefined || task.framework.stream === undefined || task.agent.status !== 'connected') return;
  say(turn, task.framework, { type: 'UPDATE', update: { status } });
  const { resend_ms, resend_ms_max } = turn.master.options;
  const pause_ms = Math.min(resend_ms * 2 ** task.sent, resend_ms_max);
  task.sent++;
  unarm(turn, task);
  task.resend = turn.master.alarms.set(turn.now + pause_ms, { type: 'resend', task });
}

/** Nobody waits for a signature any more. */
function unarm({ master }: Turn, task: Task): void {
  if (task.resend !== undefined) master.alarms.cancel(task.resend);
  task.resend = undefined;
}

type Acknowledge = Extract<Call, { type: 'ACKNOWLEDGE' }>['acknowledge'];

export function acknowledge(turn: Turn, framework: Framework, { task_id, agent_id, uuid }: Acknowledge): void {
  const task = framework.tasks.get(task_id.value);
  const status = task?.pending[0];
  if (task === undefined || status?.uuid !== uuid || task.agent.info.id !== agent_id.value) return;
  task.pending = task.pending.slice(1);
  task.acknowledged = status.state;
  unarm(turn, task);
  order(turn, task.agent, { type: 'acknowledge', framework_id: framework.id, task_id: task.id, uuid });
  if (terminal_states.has(status.state)) forgetTask(task);
  else if (task.pending.length > 0) {
    task.sent = 0;
    send(turn, task);
  }
}

/** Strikes a task from the books. */
export function forgetTask(task: Task): void {
  task.framework.tasks.delete(task.id);
  task.agent.tasks.delete(keyOf(task.framework.id, task.id));
}
