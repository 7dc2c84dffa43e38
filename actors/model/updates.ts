// updates.ts: the vocabulary of rolling updates: how one may go about its work, where it can stand, and what is kept of it.
//
// An update brings the instances of a service, some at a time and in order, from what they are to what they shall be, and
// back again when that goes wrong. Its statuses and the ways between them are a closed table; whoever moves by another way
// has a bug.

import type { RunId } from './ids.ts';
import type { Job } from './job.ts';
import type { Ranges } from './ranges.ts';

export const update_statuses = [
  'ROLLING_FORWARD',
  'ROLLING_BACK',
  'ROLL_FORWARD_PAUSED',
  'ROLL_BACK_PAUSED',
  'ROLL_FORWARD_AWAITING_PULSE',
  'ROLL_BACK_AWAITING_PULSE',
  'ROLLED_FORWARD',
  'ROLLED_BACK',
  'ABORTED',
  'ERROR',
  'FAILED',
] as const;
export type UpdateStatus = (typeof update_statuses)[number];

/** Where an update may go from where it stands. One that stands nowhere in here is over. */
export const update_transitions: Readonly<Record<UpdateStatus, readonly UpdateStatus[]>> = {
  ROLLING_FORWARD: [
    ...(['ROLLING_BACK', 'ROLL_FORWARD_PAUSED', 'ROLL_FORWARD_AWAITING_PULSE', 'ROLLED_FORWARD'] as const),
    ...(['ABORTED', 'FAILED', 'ERROR'] as const),
  ],
  ROLLING_BACK: ['ROLL_BACK_PAUSED', 'ROLL_BACK_AWAITING_PULSE', 'ROLLED_BACK', 'ABORTED', 'ERROR', 'FAILED'],
  ROLL_FORWARD_PAUSED: ['ROLLING_BACK', 'ROLLING_FORWARD', 'ROLL_FORWARD_AWAITING_PULSE', 'ABORTED', 'ERROR'],
  ROLL_BACK_PAUSED: ['ROLLING_BACK', 'ROLL_BACK_AWAITING_PULSE', 'ABORTED', 'ERROR'],
  ROLL_FORWARD_AWAITING_PULSE: ['ROLLING_BACK', 'ROLLING_FORWARD', 'ROLL_FORWARD_PAUSED', 'ABORTED', 'ERROR'],
  ROLL_BACK_AWAITING_PULSE: ['ROLLING_BACK', 'ROLL_BACK_PAUSED', 'ABORTED', 'ERROR'],
  ROLLED_FORWARD: [],
  ROLLED_BACK: [],
  ABORTED: [],
  ERROR: [],
  FAILED: [],
};
export const isOver = (status: UpdateStatus): boolean => update_transitions[status].length === 0;

export type Strategy =
  /** So many at a time: one that is done makes room for the next. */
  | { readonly type: 'queue'; readonly size: number }
  /** Groups, one after the other. `autopause`: a person says when the next begins. The last of `sizes` repeats. */
  | { readonly type: 'batch'; readonly size: number; readonly autopause?: boolean }
  | { readonly type: 'variable-batch'; readonly sizes: readonly number[]; readonly autopause?: boolean };

/** How an update goes about its work. */
export type Instructions = {
  readonly strategy: Strategy;
  /** An instance is done when it has run, and been well, for so long. */
  readonly watch_ms: number;
  /** Failures of one instance that are borne; one more, and it has failed. */
  readonly max_per_shard_failures: number;
  /** Instances that may fail; one more, and the update has. */
  readonly max_total_failures: number;
  readonly rollback_on_failure: boolean;
  /** Nothing further is done unless somebody says so at least this often. */
  readonly pulse_interval_ms?: number;
  /** An instance that does not come to run for so long has failed. */
  readonly progress_deadline_ms: number;
};

/** Instances that run another document than the job's present one, and its version. */
export type Variant = { readonly job: Job; readonly version: number; readonly indexes: Ranges };
/** Which instances of a service there are, and what they run where that is not the job's document. */
export type Shape = { readonly instances: number; readonly without?: Ranges; readonly others?: readonly Variant[] };

/** An instance on its way. `since`: when it was taken up, or lost what it had reached. */
export type Flight = {
  readonly index: number;
  readonly since: number;
  readonly failures: number;
  readonly why?: string;
};

/** kind `update`, key JobKey: the update of a job that is not over. */
export type UpdateRecord = {
  /** `<incarnation>.<version that it makes>` */
  readonly id: string;
  readonly status: UpdateStatus;
  readonly by: string;
  readonly message?: string;
  readonly created_at: number;
  readonly changed_at: number;
  /** What names the wish: whoever repeats it is told of this update. */
  readonly request: string;
  readonly how: Instructions;
  /** The run whose instances these are. */
  readonly run: RunId;
  readonly before: {
    readonly job: Job;
    readonly version: number;
    readonly launch_version?: number;
    readonly origin?: { readonly dialect: string; readonly document: unknown };
  };
  readonly after: { readonly job: Job; readonly version: number };
  /** The run as it was found. */
  readonly found: Shape;
  /** The new document is one that processes can notice, so what runs by the old one is written down as such. */
  readonly renewed: boolean;
  /** Who takes part: created first, then changed, then removed. */
  readonly plan: { readonly create: Ranges; readonly change: Ranges; readonly remove: Ranges };
  /** How many of the plan, in order, have been taken up. */
  readonly taken: number;
  /** Set when it rolls back: the taken ones are undone in reverse order, and so many of them have been taken up. */
  readonly rolled?: number;
  readonly flights: readonly Flight[];
  /** Who failed, in this direction. */
  readonly failed: readonly number[];
  /** How many had been taken up when it paused by itself the last time. */
  readonly autopaused?: number;
  readonly pulsed_at?: number;
  /** Rows of its history that have been written. */
  readonly events: number;
};

/** kind `finished-update`, key `<JobKey>/<creation instant, sortable>/<id>`. */
export type FinishedUpdate = Omit<
  UpdateRecord,
  'found' | 'renewed' | 'flights' | 'autopaused' | 'pulsed_at' | 'request'
> & { readonly ended_at: number };

export const instance_actions = [
  'INSTANCE_UPDATING',
  'INSTANCE_UPDATED',
  'INSTANCE_UPDATE_FAILED',
  'INSTANCE_ROLLING_BACK',
  'INSTANCE_ROLLED_BACK',
  'INSTANCE_ROLLBACK_FAILED',
] as const;
export type InstanceAction = (typeof instance_actions)[number];
/** kind `update-event`, key `<JobKey>/<creation instant, sortable>.<id>/<number, sortable>`: the update's own diary. */
export type UpdateEvent =
  | {
      readonly at: number;
      readonly status: UpdateStatus;
      readonly by?: string;
      readonly message?: string;
    }
  | {
      readonly at: number;
      readonly index: number;
      readonly action: InstanceAction;
      readonly message?: string;
    };
