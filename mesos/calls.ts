// calls.ts: the calls that a scheduler makes, each with what a real master needs to see in it.
//
// Small as they are, each of these has a trap that a recording taught us: the framework id that a resubscription must carry
// twice, the agent id without which an unreachable task is "unknown", the update that must not be acknowledged.

import type { Call, FrameworkInfo, Subscribe, TaskStatus } from './protocol.ts';

/** A task, and the agent that has it. Without its agent a master can say far less of a task: always give it when known. */
export type TaskAt = { readonly task_id: string; readonly agent_id?: string | undefined };

/** Subscribes; with `info.id` as the framework that we were before. Mesos wants that id in both places, alike. */
export const subscribeCall = (info: FrameworkInfo, suppressed_roles: readonly string[] = []): Subscribe => ({
  type: 'SUBSCRIBE',
  ...(info.id === undefined ? {} : { framework_id: info.id }),
  subscribe: { framework_info: info, ...(suppressed_roles.length === 0 ? {} : { suppressed_roles }) },
});

/**
 * Tells Mesos that a status is safely ours; until then it sends it again and holds back the task's next one. Undefined for
 * statuses that nobody waits to have acknowledged: they have no uuid.
 */
export const acknowledgeCall = ({ task_id, agent_id, uuid }: TaskStatus): Call | undefined =>
  uuid === undefined || agent_id === undefined
    ? undefined
    : {
        type: 'ACKNOWLEDGE',
        acknowledge: { agent_id: { value: agent_id.value }, task_id: { value: task_id.value }, uuid },
      };

/** Gives offers back for `refuse_seconds`; 0 = they may come again at once. */
export const declineCall = (offer_ids: readonly string[], refuse_seconds: number): Call => ({
  type: 'DECLINE',
  decline: { offer_ids: offer_ids.map(value => ({ value })), filters: { refuse_seconds } },
});

/** Kills a task, with a grace period other than its own where one is given. */
export const killCall = (task: TaskAt, grace_ms?: number): Call => ({
  type: 'KILL',
  kill: {
    ...taskAt(task),
    ...(grace_ms === undefined ? {} : { kill_policy: { grace_period: { nanoseconds: grace_ms * 1_000_000 } } }),
  },
});

/** Asks for the state of these tasks, one by one. */
export const reconcileCall = (tasks: readonly [TaskAt, ...TaskAt[]]): Call => ({
  type: 'RECONCILE',
  reconcile: { tasks: tasks.map(taskAt) },
});

/** Asks for the state of every live task that the master knows: those of unreachable agents are not among them. */
export const reconcileAllCall = (): Call => ({ type: 'RECONCILE', reconcile: { tasks: [] } });

/** No more offers, please: there is no work. Offers in hand stay ours until declined. */
export const suppressCall = (roles: readonly string[] = []): Call =>
  roles.length === 0 ? { type: 'SUPPRESS' } : { type: 'SUPPRESS', suppress: { roles } };

/** Offers again, please, and those that we had refused as well. */
export const reviveCall = (roles: readonly string[] = []): Call =>
  roles.length === 0 ? { type: 'REVIVE' } : { type: 'REVIVE', revive: { roles } };

/** Ends an executor and all that it runs, without a grace period. */
export const shutdownCall = (executor_id: string, agent_id: string): Call => ({
  type: 'SHUTDOWN',
  shutdown: { executor_id: { value: executor_id }, agent_id: { value: agent_id } },
});

const taskAt = ({ task_id, agent_id }: TaskAt) => ({
  task_id: { value: task_id },
  ...(agent_id === undefined ? {} : { agent_id: { value: agent_id } }),
});
