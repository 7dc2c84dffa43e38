// executor-state.ts: what an agent knows of the custom executors in its house, and of the tasks that they were given.
//
// An executor is a lodger with a trade of his own: the agent lets him in, hands him work through the letter box, and keeps
// every word of his until the framework has signed for it. The lodger may go out of earshot and come back; what he holds is
// his until he leaves. His tasks stay in the book after him, until their last word is signed for.

import type { Instant } from '../../schedules/clock.ts';
import {
  type ExecutorInfo,
  type FrameworkInfo,
  type KillPolicy,
  type TaskInfo,
  type TaskState,
  type TaskStatus,
  terminal_states,
} from '../protocol.ts';
import type { ExecutorNote } from './executor-notes.ts';
import type { ExecutorCall, ExecutorEvent } from './executor-protocol.ts';
import type { Limitation } from './limits/ward.ts';
import type { AgentInfo, AgentOrder, AgentUpdate } from './messages.ts';

export type HouseOptions = {
  readonly agent: AgentInfo;
  /** Of the agent's own door, told to every subscriber. */
  readonly port: number;
  readonly boot: string;
  /** How long an executor may take from its launch to its first SUBSCRIBE: what it fetches counts. */
  readonly registration_timeout_ms: number;
  /** How long a returning agent takes nothing but subscriptions. */
  readonly recovery_ms: number;
  /** How long an executor may take to come back to it. */
  readonly reregistration_timeout_ms: number;
  /** From SHUTDOWN to SIGKILL, where the executor asks for nothing else. */
  readonly shutdown_grace_ms: number;
  /** A fresh UUID, as text and as the bytes of an update's. */
  readonly newId: () => string;
  readonly newUuid: () => string;
};
export const house_defaults = {
  registration_timeout_ms: 60_000,
  recovery_ms: 2_000,
  // Five times what executors are told to wait at most: a machine under load must not cost anybody his life.
  reregistration_timeout_ms: 10_000,
  shutdown_grace_ms: 5_000,
} as const;

export type Task = {
  readonly id: string;
  readonly framework_id: string;
  readonly info: TaskInfo;
  readonly executor: Executor;
  /** The last state that was told of it, signed for or not. */
  state: TaskState;
  /** The last state that was signed for; TASK_STAGING when none was. */
  acknowledged: TaskState;
  /** Told and not signed for, oldest first. */
  pending: TaskStatus[];
  /** Of every update that was taken, so that one that comes again is known. */
  readonly seen: Set<string>;
  ended: boolean;
};

export type Executor = {
  readonly id: string;
  readonly framework_id: string;
  readonly framework: FrameworkInfo;
  readonly info: ExecutorInfo;
  /** This run of it: the same id may come back as another. */
  readonly container_id: string;
  readonly at: Instant;
  /** Of the machine, when it was started: after another one nothing of it can be left. */
  readonly boot: string;
  /** registering: was started, or not heard of since the agent came back. terminating: is to go, or is being killed. */
  phase: 'registering' | 'running' | 'terminating';
  /** The stream it listens on; undefined while it does not. */
  stream: string | undefined;
  /** Its process, once there is one. */
  pid: number | undefined;
  /** Lived already when the agent came back. */
  readonly recovered: boolean;
  /** Whether it was ever given a task. */
  delivered: boolean;
  /** Not delivered yet, in order; a group lies in one envelope. */
  queue: { readonly tasks: Task[]; readonly group: boolean }[];
  /** Kills that came while the agent waited for it to come back. */
  held: { readonly task_id: string; readonly kill_policy: KillPolicy | undefined }[];
  /** Given to it or waiting for it, and not ended. */
  readonly live: Map<string, Task>;
  /** Ids of tasks that ended under it, the latest of them: what still comes of these is known and thrown away. */
  readonly ended: Set<string>;
  /** Nobody is left to hear of its tasks. */
  framework_over: boolean;
  /** Why it is killed, when its tasks are to be told another reason than that it ended. */
  killed_for: 'registration' | 'reregistration' | undefined;
};

/** One of which no more is known than this: just started, or read from the notebook. */
export const freshExecutor = (
  known: Pick<Executor, 'framework_id' | 'framework' | 'info' | 'container_id' | 'at' | 'boot' | 'recovered'>,
): Executor => ({
  ...known,
  id: known.info.executor_id.value,
  phase: 'registering',
  stream: undefined,
  pid: undefined,
  delivered: false,
  queue: [],
  held: [],
  live: new Map(),
  ended: new Set(),
  framework_over: false,
  killed_for: undefined,
});

export type House = {
  readonly options: HouseOptions;
  /** By framework and executor id. */
  readonly executors: Map<string, Executor>;
  /** By framework and task id. */
  readonly tasks: Map<string, Task>;
  /** Still waiting for executors to come back. */
  recovering: boolean;
};

export type HouseInput =
  | {
      readonly type: 'launch';
      readonly framework_id: string;
      readonly framework: FrameworkInfo;
      readonly executor: ExecutorInfo;
      readonly tasks: readonly TaskInfo[];
      readonly group: boolean;
    }
  | {
      readonly type: 'kill';
      readonly framework_id: string;
      readonly task_id: string;
      readonly kill_policy?: KillPolicy;
    }
  | Extract<AgentOrder, { type: 'shutdown' | 'message' | 'acknowledge' }>
  /** Answered; `stream` is open when the answer to a SUBSCRIBE is 200. */
  | { readonly type: 'call'; readonly call: ExecutorCall; readonly stream: string }
  | { readonly type: 'stream-closed'; readonly stream: string }
  | { readonly type: 'started'; readonly container_id: string; readonly pid: number | undefined }
  /** `status` as waitpid has it. `launch_failure`: why it never began. */
  | {
      readonly type: 'exited';
      readonly container_id: string;
      readonly status: number;
      readonly launch_failure?: string;
      /** It ended, or never began, while the agent was away: in the words of the agent that comes back. */
      readonly never_began?: boolean;
      /** The limit that it had broken. */
      readonly limitation?: Limitation;
    }
  | { readonly type: 'woken'; readonly alarm: HouseAlarm };

export type HouseAlarm =
  | { readonly type: 'registration' | 'grace'; readonly container_id: string }
  | { readonly type: 'recovered' }
  | { readonly type: 'reregistration' };

/** In the order in which it is to be done. */
export type HouseOutput =
  | { readonly type: 'note'; readonly notes: readonly ExecutorNote[] }
  | { readonly type: 'start'; readonly executor: Executor }
  | { readonly type: 'destroy'; readonly container_id: string }
  /** Nothing of this run is needed any more. */
  | { readonly type: 'gone'; readonly container_id: string }
  | { readonly type: 'answer'; readonly status: number; readonly text: string }
  | { readonly type: 'events'; readonly stream: string; readonly events: readonly ExecutorEvent[] }
  | { readonly type: 'close'; readonly stream: string }
  | { readonly type: 'updates'; readonly updates: readonly AgentUpdate[] }
  | { readonly type: 'message'; readonly framework_id: string; readonly executor_id: string; readonly data: string }
  | { readonly type: 'ended'; readonly framework_id: string; readonly executor_id: string; readonly status: number }
  | { readonly type: 'wake'; readonly at: Instant; readonly alarm: HouseAlarm };

export const createHouse = (options: HouseOptions): House => ({
  options,
  executors: new Map(),
  tasks: new Map(),
  recovering: false,
});

export const keyOf = (framework_id: string, id: string): string => `${framework_id} ${id}`;

export function newTask(executor: Executor, info: TaskInfo): Task {
  return {
    id: info.task_id.value,
    framework_id: executor.framework_id,
    info,
    executor,
    state: 'TASK_STAGING',
    acknowledged: 'TASK_STAGING',
    pending: [],
    seen: new Set(),
    ended: false,
  };
}

/** One input on its way through: the house, the instant, and what has come of it so far. */
export type HouseTurn = { readonly house: House; readonly now: Instant; readonly outputs: HouseOutput[] };

/** Puts something through the letter box; lost when nobody listens. */
export function say(turn: HouseTurn, executor: Executor, ...events: readonly ExecutorEvent[]): void {
  if (executor.stream !== undefined && events.length > 0)
    turn.outputs.push({ type: 'events', stream: executor.stream, events });
}

/** A word of a task, kept until it is signed for. */
export function tell(turn: HouseTurn, task: Task, status: TaskStatus): void {
  const { executor } = task;
  task.state = status.state;
  task.pending.push(status);
  if (status.uuid !== undefined) task.seen.add(status.uuid);
  if (terminal_states.has(status.state)) {
    task.ended = true;
    over(executor, task.id);
  }
  turn.outputs.push(
    { type: 'note', notes: [{ type: 'update', framework_id: task.framework_id, task: task.id, status }] },
    { type: 'updates', updates: [{ framework_id: task.framework_id, status }] },
  );
}

/** A task of it is over. As many as a real agent are remembered, and some more. */
export function over(executor: Executor, task_id: string): void {
  executor.live.delete(task_id);
  executor.ended.add(task_id);
  const [oldest] = executor.ended;
  if (executor.ended.size > ended_max && oldest !== undefined) executor.ended.delete(oldest);
}
const ended_max = 500;

/** What the agent has to say of a task by itself. */
export function tellAsAgent(
  turn: HouseTurn,
  task: Task,
  state: TaskState,
  reason: string,
  message: string,
  more: Pick<TaskStatus, 'limitation'> = {},
): void {
  const { agent, newUuid } = turn.house.options;
  tell(turn, task, {
    task_id: { value: task.id },
    state,
    message,
    source: 'SOURCE_AGENT',
    reason,
    agent_id: { value: agent.id },
    executor_id: { value: task.executor.id },
    timestamp: turn.now / 1000,
    uuid: newUuid(),
    ...more,
  });
}

/** Frameworks of before partition awareness know one word for all of these. */
export const stateFor = (executor: Executor, state: TaskState): TaskState =>
  (executor.framework.capabilities ?? []).some(({ type }) => type === 'PARTITION_AWARE') ? state : 'TASK_LOST';
