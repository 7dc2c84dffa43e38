// executor-protocol.ts: the calls and events of the Mesos v1 executor API, as they stand in its JSON.
//
// Between an agent and an executor of the framework's own: the agent says what is to be done, the executor what became of
// it. No stream id here: a call belongs to whoever's ids it carries.

import type {
  Attribute,
  ExecutorInfo,
  FrameworkInfo,
  Id,
  KillPolicy,
  Resource,
  TaskInfo,
  TaskStatus,
} from '../protocol.ts';

/** What a call is about; every call carries whose it is. */
export type ExecutorCall = { readonly executor_id: Id; readonly framework_id: Id } & (
  | {
      readonly type: 'SUBSCRIBE';
      readonly subscribe: {
        /** Tasks of which the agent has acknowledged nothing yet. */
        readonly unacknowledged_tasks: readonly TaskInfo[];
        /** Updates that the agent has not acknowledged, oldest first. */
        readonly unacknowledged_updates: readonly { readonly status: TaskStatus }[];
      };
    }
  | { readonly type: 'UPDATE'; readonly update: { readonly status: TaskStatus } }
  | { readonly type: 'MESSAGE'; readonly message: { readonly data: string } }
  | { readonly type: 'HEARTBEAT' }
);

export type ExecutorEvent =
  | {
      readonly type: 'SUBSCRIBED';
      readonly subscribed: {
        readonly executor_info: ExecutorInfo;
        readonly framework_info: FrameworkInfo;
        readonly agent_info: {
          readonly hostname: string;
          readonly port: number;
          readonly resources: readonly Resource[];
          readonly attributes?: readonly Attribute[];
          readonly id: Id;
        };
        readonly container_id: Id;
      };
    }
  | { readonly type: 'LAUNCH'; readonly launch: { readonly task: TaskInfo } }
  | {
      readonly type: 'LAUNCH_GROUP';
      readonly launch_group: { readonly task_group: { readonly tasks: readonly TaskInfo[] } };
    }
  | { readonly type: 'KILL'; readonly kill: { readonly task_id: Id; readonly kill_policy?: KillPolicy } }
  | { readonly type: 'ACKNOWLEDGED'; readonly acknowledged: { readonly task_id: Id; readonly uuid: string } }
  | { readonly type: 'MESSAGE'; readonly message: { readonly data: string } }
  | { readonly type: 'SHUTDOWN' };
