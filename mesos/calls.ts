// calls.ts: the calls that a scheduler makes, each with what a real master needs to see in it.
//
// Small as they are, each of these has a trap that a recording taught us: the framework id that a resubscription must carry
// twice, the agent id without which an unreachable task is "unknown", the update that must not be acknowledged.

import type {
  Call,
  FrameworkInfo,
  FrameworkTerms,
  OfferConstraints,
  OperationStatus,
  Subscribe,
  TaskStatus,
} from './protocol.ts';

/** A task, and the agent that has it. Without its agent a master can say far less of a task: always give it when known. */
export type TaskAt = { readonly task_id: string; readonly agent_id?: string | undefined };

/** Subscribes; with `info.id` as the framework that we were before. Mesos wants that id in both places, alike. */
export const subscribeCall = (
  info: FrameworkInfo,
  suppressed_roles: readonly string[] = [],
  offer_constraints?: OfferConstraints,
): Subscribe => ({
  type: 'SUBSCRIBE',
  ...(info.id === undefined ? {} : { framework_id: info.id }),
  subscribe: termsOf(info, suppressed_roles, offer_constraints),
});

/**
 * Changes what a subscribed framework said of itself: name, roles, capabilities, time-out, constraints. User, principal and
 * checkpoint can never change (400). What is left out is taken back: suppressed roles and constraints are said again each time.
 */
export const updateFrameworkCall = (
  info: FrameworkInfo,
  suppressed_roles: readonly string[] = [],
  offer_constraints?: OfferConstraints,
): Call => ({ type: 'UPDATE_FRAMEWORK', update_framework: termsOf(info, suppressed_roles, offer_constraints) });

/** Ends the framework for ever: its tasks are killed, its id is dead. Nothing but a person's word should lead here. */
export const teardownCall = (): Call => ({ type: 'TEARDOWN' });

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

/** Says something to an executor of ours. It may arrive or not: nobody answers. */
export const messageCall = (executor_id: string, agent_id: string, data: Uint8Array): Call => ({
  type: 'MESSAGE',
  message: {
    agent_id: { value: agent_id },
    executor_id: { value: executor_id },
    data: Buffer.from(data).toString('base64'),
  },
});

/** We shall be gone from these agents in time. Words only: the master shows them to the operator and does nothing. */
export const acceptInverseOffersCall = (inverse_offer_ids: readonly string[], refuse_seconds: number): Call => ({
  type: 'ACCEPT_INVERSE_OFFERS',
  accept_inverse_offers: {
    inverse_offer_ids: inverse_offer_ids.map(value => ({ value })),
    filters: { refuse_seconds },
  },
});

/** We shall not. Asked again after `refuse_seconds`. */
export const declineInverseOffersCall = (inverse_offer_ids: readonly string[], refuse_seconds: number): Call => ({
  type: 'DECLINE_INVERSE_OFFERS',
  decline_inverse_offers: {
    inverse_offer_ids: inverse_offer_ids.map(value => ({ value })),
    filters: { refuse_seconds },
  },
});

/**
 * Tells Mesos that the status of an operation is safely ours; sent again until then. Undefined for one that nobody waits to
 * have acknowledged. The event wraps the uuid in a message, the call wants it bare.
 */
export const acknowledgeOperationCall = ({ operation_id, agent_id, uuid }: OperationStatus): Call | undefined =>
  uuid === undefined || operation_id === undefined
    ? undefined
    : {
        type: 'ACKNOWLEDGE_OPERATION_STATUS',
        acknowledge_operation_status: {
          ...(agent_id === undefined ? {} : { agent_id: { value: agent_id.value } }),
          uuid: uuid.value,
          operation_id: { value: operation_id.value },
        },
      };

/** Asks what became of these operations; of all that the master knows when none is named. */
export const reconcileOperationsCall = (
  operations: readonly { readonly operation_id: string; readonly agent_id?: string | undefined }[] = [],
): Call => ({
  type: 'RECONCILE_OPERATIONS',
  reconcile_operations: {
    operations: operations.map(({ operation_id, agent_id }) => ({
      operation_id: { value: operation_id },
      ...(agent_id === undefined ? {} : { agent_id: { value: agent_id } }),
    })),
  },
});

const taskAt = ({ task_id, agent_id }: TaskAt) => ({
  task_id: { value: task_id },
  ...(agent_id === undefined ? {} : { agent_id: { value: agent_id } }),
});

const termsOf = (
  framework_info: FrameworkInfo,
  suppressed_roles: readonly string[],
  offer_constraints: OfferConstraints | undefined,
): FrameworkTerms => ({
  framework_info,
  ...(suppressed_roles.length === 0 ? {} : { suppressed_roles }),
  ...(offer_constraints === undefined ? {} : { offer_constraints }),
});
