// messages.ts: what the master, its agents and its streams say to each other inside the house.
//
// Only the framework's side of this Mesos is the real wire format (`../protocol.ts`). Between master and agents there is
// no wire: they live in one process, and these are the facts and orders that pass between them.

import type { Instant } from '../../schedules/clock.ts';
import type {
  Attribute,
  CallOnWire,
  Event,
  ExecutorInfo,
  FrameworkInfo,
  KillPolicy,
  Resource,
  Subscribe,
  TaskInfo,
  TaskState,
  TaskStatus,
  Unavailability,
  Url,
} from '../protocol.ts';

/** What an agent is, told at every registration. Its id is its own and survives restarts. */
export type AgentInfo = {
  readonly id: string;
  readonly hostname: string;
  readonly url?: Url;
  readonly resources: readonly Resource[];
  readonly attributes?: readonly Attribute[];
  /** Whether it keeps what is reserved and which volumes there are. */
  readonly keeps_reservations?: boolean;
};

/** A task that an agent has when it registers: what it holds, what was acknowledged last, what still waits for that. */
export type ReportedTask = {
  readonly framework_id: string;
  readonly task_id: string;
  readonly executor_id: string;
  readonly resources: readonly Resource[];
  /** Present for a task of a group: what the executor itself holds. */
  readonly executor?: ExecutorInfo;
  /** The state of the last update that was acknowledged; TASK_STAGING when none was. */
  readonly state: TaskState;
  /** Updates that nobody acknowledged yet, oldest first. */
  readonly pending: readonly TaskStatus[];
};

export type AgentUpdate = {
  readonly framework_id: string;
  readonly status: TaskStatus;
  /** Of a task that the agent was never given: an executor made it up. Passed on once, and nobody waits for a signature. */
  readonly stray?: true;
};

/** A custom executor that lives on an agent, with tasks or without: it holds its own resources until it ends. */
export type ReportedExecutor = { readonly framework_id: string; readonly executor: ExecutorInfo };

/** `status`: what waitpid gave. */
export type ExecutorEnd = { readonly framework_id: string; readonly executor_id: string; readonly status: number };
/** `data` is base64. */
export type ExecutorMessage = { readonly framework_id: string; readonly executor_id: string; readonly data: string };

/** What an operator does to agents. */
export type OperatorWish =
  | { readonly type: 'maintain'; readonly agents: readonly string[]; readonly unavailability?: Unavailability }
  | { readonly type: 'drain'; readonly agents: readonly string[]; readonly grace_ms_max?: number }
  | { readonly type: 'reactivate' | 'mark-gone'; readonly agents: readonly string[] };

/** What reaches the master. One at a time, each with the instant at which it did. */
export type MasterInput =
  /** Answered; when the answer is 200, `stream` is open and gets events. */
  | { readonly type: 'subscribe'; readonly stream: string; readonly request: Subscribe }
  /** Answered. `stream` is what the caller says his stream is. */
  | {
      readonly type: 'call';
      readonly stream: string | undefined;
      readonly call: CallOnWire;
      /** The principal who authenticated himself, where that is asked for. */
      readonly caller?: string;
    }
  /** The other end of a stream went away. */
  | { readonly type: 'stream-closed'; readonly stream: string }
  | {
      readonly type: 'agent-registered';
      readonly agent: AgentInfo;
      readonly tasks: readonly ReportedTask[];
      readonly executors?: readonly ReportedExecutor[];
    }
  /** The connection to an agent broke: its tasks may well live on. */
  | { readonly type: 'agent-gone'; readonly agent: string }
  | { readonly type: 'updates'; readonly agent: string; readonly updates: readonly AgentUpdate[] }
  | { readonly type: 'operator'; readonly wish: OperatorWish }
  | { readonly type: 'executor-ended'; readonly agent: string; readonly ended: ExecutorEnd }
  | { readonly type: 'executor-said'; readonly agent: string; readonly message: ExecutorMessage }
  /** The instant named by the last `wake` has come. */
  | { readonly type: 'woken' };

export type MasterOutput =
  /** Exactly one for every subscribe and call. */
  | { readonly type: 'answer'; readonly status: number; readonly text: string }
  | { readonly type: 'events'; readonly stream: string; readonly events: readonly Event[] }
  /** End of the body: nothing follows on this stream. */
  | { readonly type: 'close'; readonly stream: string }
  | { readonly type: 'order'; readonly agent: string; readonly order: AgentOrder }
  /** Say `woken` at this instant; takes the place of every earlier wish. */
  | { readonly type: 'wake'; readonly at: Instant };

export type Launch = {
  readonly task: TaskInfo;
  readonly executor_id: string;
  /** Present for a task of a group. */
  readonly executor?: ExecutorInfo;
};

/** What the master wants of an agent. An agent does not answer; what comes of it arrives as updates. */
export type AgentOrder =
  | { readonly type: 'launch'; readonly framework_id: string; readonly launches: readonly Launch[] }
  /** For a custom executor, which is started with the first task that it gets. A group is delivered in one piece. */
  | {
      readonly type: 'launch-on-executor';
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
      /** From the KILL call; otherwise the task's own policy counts. */
      readonly grace_ms?: number;
      /** Because the agent is drained, which is told as the reason; no longer than this, whatever the task's own policy. */
      readonly draining?: true;
      readonly grace_ms_max?: number;
      /** The KILL call's policy as it stood there, for a custom executor. */
      readonly kill_policy?: KillPolicy;
    }
  /** What the agent has from now on, and has to say when it registers: some of it was reserved, or made a volume. */
  | { readonly type: 'keep'; readonly resources: readonly Resource[] }
  /** Ends a custom executor: asked first, made to when its grace period is over. */
  | {
      readonly type: 'shutdown';
      readonly framework_id: string;
      readonly executor_id: string;
      /** Its framework was removed: nobody will hear of its tasks any more. */
      readonly framework_over: boolean;
    }
  /** Bytes for a custom executor; lost when it does not listen. */
  | {
      readonly type: 'message';
      readonly framework_id: string;
      readonly executor_id: string;
      /** base64 */
      readonly data: string;
    }
  /** The framework has this update for good: forget it, and the task with it when it was the last. */
  | {
      readonly type: 'acknowledge';
      readonly framework_id: string;
      readonly task_id: string;
      readonly uuid: string;
    };

/** An agent as its master's shell sees it. */
export interface LocalAgent {
  readonly id: string;
  obey(order: AgentOrder): void;
}
