// operations.ts: what can be done with offered resources beside launching on them, and how that turns out.
//
// RESERVE, CREATE, DESTROY and UNRESERVE stand in an ACCEPT, before or behind launches, and are carried out in their order: a
// task may use the volume that the operation before it made. Launches are answered with task statuses; these only when they
// carry an id, by an UPDATE_OPERATION_STATUS that wants to be acknowledged.

import type { Call, Operation, OperationStatus, Resource } from './protocol.ts';

/** Keeps resources for a role: each is given as it shall be, with its reservation (reservations.ts). */
export const reserveOperation = (resources: readonly Resource[], id?: string): Operation => ({
  type: 'RESERVE',
  ...idOf(id),
  reserve: { resources },
});

/** Gives reserved resources back: each is given as it is, with its reservation. */
export const unreserveOperation = (resources: readonly Resource[], id?: string): Operation => ({
  type: 'UNRESERVE',
  ...idOf(id),
  unreserve: { resources },
});

/** Makes persistent volumes of reserved disk. */
export const createOperation = (volumes: readonly Resource[], id?: string): Operation => ({
  type: 'CREATE',
  ...idOf(id),
  create: { volumes },
});

/** Deletes persistent volumes and what is in them. */
export const destroyOperation = (volumes: readonly Resource[], id?: string): Operation => ({
  type: 'DESTROY',
  ...idOf(id),
  destroy: { volumes },
});

/** One ACCEPT of offers of one agent and role, with these operations in their order. */
export const operateCall = (
  offer_ids: readonly string[],
  operations: readonly Operation[],
  refuse_seconds: number,
): Extract<Call, { type: 'ACCEPT' }> => ({
  type: 'ACCEPT',
  accept: { offer_ids: offer_ids.map(value => ({ value })), operations, filters: { refuse_seconds } },
});

/**
 * What became of an operation. `done`: its resources are as asked. `refused`: nothing has changed. `under-way`: ask again.
 * `not-known`: the agent is away, or nobody has heard of it; it may have been carried out, and offers will tell.
 */
export type OperationFate = 'done' | 'refused' | 'under-way' | 'not-known';

/** What a status of an operation means. One that Mesos has not yet is `not-known`, never a guess. */
export function fateOfOperation({ state }: Pick<OperationStatus, 'state'>): OperationFate {
  switch (state) {
    case 'OPERATION_FINISHED':
      return 'done';
    case 'OPERATION_FAILED':
    case 'OPERATION_ERROR':
    case 'OPERATION_DROPPED':
      return 'refused';
    case 'OPERATION_PENDING':
    case 'OPERATION_RECOVERING':
      return 'under-way';
    case 'OPERATION_UNREACHABLE':
    case 'OPERATION_GONE_BY_OPERATOR':
    case 'OPERATION_UNKNOWN':
      return 'not-known';
    default:
      return unheardOf(state);
  }
}

/** The type says that no other state exists; a newer master may say otherwise. */
const unheardOf = (_state: never): OperationFate => 'not-known';

const idOf = (id: string | undefined) => (id === undefined ? {} : { id: { value: id } });
