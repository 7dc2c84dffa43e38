// agent-protocol.ts: what an executor and its agent say to each other, as far as this executor says and hears it.
//
// The v1 executor API of Mesos. Calls go each in a POST of its own and are answered 202; SUBSCRIBE is answered by a stream of
// events that never ends. Nothing is queued for an executor that does not listen, and LAUNCH is never repeated.

import type { FrameworkInfo, Id, KillPolicy, TaskInfo, TaskStatus } from '../protocol.ts';

export type AgentEvent =
  | {
      readonly type: 'SUBSCRIBED';
      readonly subscribed: {
        readonly executor_info: { readonly executor_id: Id };
        readonly framework_info: FrameworkInfo;
        readonly agent_info: { readonly hostname: string; readonly id?: Id };
        readonly container_id?: Id;
      };
    }
  | { readonly type: 'LAUNCH'; readonly launch: { readonly task: TaskInfo } }
  | {
      readonly type: 'LAUNCH_GROUP';
      readonly launch_group: { readonly task_group: { readonly tasks: readonly TaskInfo[] } };
    }
  | { readonly type: 'KILL'; readonly kill: { readonly task_id: Id; readonly kill_policy?: KillPolicy } }
  /** The agent has the update on its disk; the scheduler may not have heard of it yet. */
  | { readonly type: 'ACKNOWLEDGED'; readonly acknowledged: { readonly task_id: Id; readonly uuid: string } }
  | { readonly type: 'MESSAGE'; readonly message: { readonly data: string } }
  /** May come first of all, when there is nothing left to do. */
  | { readonly type: 'SHUTDOWN' }
  | { readonly type: 'ERROR'; readonly error: { readonly message: string } }
  | { readonly type: 'HEARTBEAT' };

export type AgentCall =
  | {
      readonly type: 'SUBSCRIBE';
      readonly subscribe: {
        readonly unacknowledged_tasks: readonly TaskInfo[];
        readonly unacknowledged_updates: readonly { readonly status: TaskStatus }[];
      };
    }
  | { readonly type: 'UPDATE'; readonly update: { readonly status: TaskStatus } }
  | { readonly type: 'MESSAGE'; readonly message: { readonly data: string } };
