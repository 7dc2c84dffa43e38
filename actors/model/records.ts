// records.ts: what the journal holds: the shape of every record's body, by kind.
//
// State is what lives; history is what has been. Each prefix of the journal is a state from which a restored tree goes on,
// and each body stands alone: nothing here needs another record of the same commit in order to be understood.

import type { CalendarRule } from '../../schedules/calendar.ts';
import type { Cursor } from '../../schedules/catch-up.ts';
import type { Durations } from './durations.ts';
import type { InstanceKey, JobKey, RunId, RunKey, TaskId } from './ids.ts';
import type { Job, Overlap } from './job.ts';
import type { LetterRecord, NoticeRecord, PlaceRecord, SentLetter } from './notices.ts';
import type { Ranges } from './ranges.ts';
import type { Cause, EndReason, ParentRun, TimeLimit } from './reasons.ts';
import type { FinishedUpdate, UpdateEvent, UpdateRecord, Variant } from './updates.ts';

/** kind `job`, key JobKey. */
export type JobRecord = {
  readonly job: Job;
  /** Counts the lives of this key; part of every run id. */
  readonly incarnation: number;
  /** From 1; grows with every accepted change. What `If-Match` compares. */
  readonly version: number;
  readonly created_at: number;
  readonly updated_at: number;
  /** The document as a dialect was given it, opaque here, so that it reads back as written. */
  readonly origin?: { readonly dialect: string; readonly document: unknown };
  /** The version since which attempts run what they run now. An instance of a service that is older is replaced. */
  readonly launch_version?: number;
  /** Set while the job is being deleted: its runs are being killed, nothing new starts. */
  readonly deleting?: boolean;
  /** What is to become of those that follow it, while it is being deleted and they do. */
  readonly orphans?: Orphans;
};

/** They follow nobody in its place; are deleted with it; run when it would have: by its schedules, or after its parents. */
export type Orphans = (typeof orphan_policies)[number];
export const orphan_policies = ['detach', 'delete', 'reschedule'] as const;

/** kind `trigger`, key JobKey: how far each schedule has been decided, and which starts wait for an active run to end. */
export type TriggerRecord = {
  /** By schedule id. `text` is the definition the cursor belongs to, accepted at `since`: another definition starts anew. */
  readonly cursors: Readonly<Record<string, Cursor & { readonly text: string; readonly since: number }>>;
  readonly waiting: readonly WaitingStart[];
  /** Runs by hand that ended lately: whoever repeats such a request is told of that run. */
  readonly ended?: readonly RunId[];
  readonly paused?: Paused;
  /** Failed runs in a row that a resumption has forgiven: only what comes on top of them pauses the job again. */
  readonly forgiven?: number;
  /** Those under way, and the latest of those that are over. */
  readonly backfills?: readonly BackfillRecord[];
  /** It was told that its schedules have nothing left to start. */
  readonly exhausted?: true;
  /** Sets of tokens that have been taken: numbers the runs that came of them. */
  readonly joined?: number;
  /** By name, the version of each calendar under whose days everything up to now has been decided. */
  readonly calendars?: Readonly<Record<string, number>>;
};
/** Why nothing starts by itself, since when, and by whom: `horae` when the job failed too often. */
export type Paused = { readonly since: number; readonly note: string; readonly by: string };
export type BackfillRecord = {
  readonly id: string;
  readonly from: number;
  readonly to: number;
  readonly by: string;
  readonly since: number;
  readonly overlap: Overlap;
  /** Targets that it is for, and those that have had their turn. */
  readonly targets: number;
  readonly told: number;
  /** The last of them, by schedule id. */
  readonly places: Readonly<Record<string, number>>;
  readonly over_at?: number;
  /** Who ended it before all of its targets had had their turn. */
  readonly ended_by?: string;
};
export type WaitingStart = {
  readonly run: RunId;
  readonly cause: Cause;
  readonly since: number;
  /** It was told that it is late. */
  readonly late?: true;
};

/** kind `run`, key RunKey: a run that is not over. */
export type RunRecord = {
  readonly run: RunId;
  readonly cause: Cause;
  readonly instances: number;
  readonly created_at: number;
  /** Set when the run is being killed, and by whom. */
  readonly killing?: { readonly by: string; readonly at: number /** Without grace. */; readonly at_once?: true };
  /** What was told of it that is not to be told again; of instances that wait, the latest since when. */
  readonly told?: {
    readonly late?: true;
    readonly long_running?: true;
    readonly waiting_since?: number;
  };
  /** The job as this run knows it and its version, written when the job is replaced while the run is active. */
  readonly job?: Job;
  readonly version?: number;
  /** Of a service that is, or was, being updated: indexes below `instances` that are not to be there. */
  readonly without?: Ranges;
  /** Instances that run something else than the job's document. */
  readonly others?: readonly Variant[];
};

/**
 * kind `instance`, key InstanceKey: where one instance of an active run stands. One without a record, of a run that is
 * no service, waits for its first place since the run began (`firstRecord`): to write that down for each would be most of
 * what some runs write.
 */
export type InstanceRecord =
  | {
      readonly status: 'pending';
      readonly attempt: number;
      readonly failures: number;
      readonly since: number;
      readonly not_before?: number;
      /** An earlier attempt came to run: its beginning was in time. Kept where the job has a start time-out. */
      readonly begun?: true;
    }
  | ({ readonly status: 'assigned' | 'starting' | 'running' | 'unreachable' } & Attempted)
  | ({
      readonly status: 'killing';
      readonly by: string /** The kill gives no grace. */;
      readonly at_once?: true;
      readonly replace: boolean;
      /** It is killed because it took longer than this: it has failed. */
      readonly timed_out?: { readonly which: TimeLimit; readonly limit_ms: number };
    } & Attempted)
  /** Its command has ended well since `since`, and somebody is to report that its work has. Mesos has no task of it. */
  | ({
      readonly status: 'awaiting' /** What its command left for those that follow. */;
      readonly result?: string;
    } & Attempted)
  | {
      readonly status: 'over';
      readonly attempt: number;
      readonly failures: number;
      readonly since: number;
      readonly outcome: RunOutcome;
      readonly reason: EndReason;
      /** Where the last attempt ran: its sandbox is there. */
      readonly agent_id?: string;
      readonly hostname?: string;
      /** What the task left for those that follow. */
      readonly result?: string;
    };
export const firstRecord = (since: number): Extract<InstanceRecord, { status: 'pending' }> => ({
  status: 'pending',
  attempt: 1,
  failures: 0,
  since,
});
export type Attempted = {
  readonly attempt: number;
  readonly failures: number;
  readonly since: number;
  readonly agent_id: string;
  readonly hostname: string;
  readonly ports?: Readonly<Record<string, number>>;
  /** Version of the job that this attempt runs. */
  readonly version: number;
  readonly started_at?: number;
  /** How long it had waited for its place. */
  readonly waited_ms?: number;
  /** When it got it, once `since` says something else. */
  readonly assigned_at?: number;
  /** When its agent was last cut off, once it is back. */
  readonly away_at?: number;
  /** Its health checks said last that it is not well; nobody is sent to it. */
  readonly unhealthy?: true;
  readonly snooze?: Snooze;
  /** See `pending`. */
  readonly begun?: true;
  /** Its work was reported as done while its command still ran; it counts when that has ended well. */
  readonly called_back?: { readonly status_code: number; readonly by: string };
  /** Elements that it has said it is done with. */
  readonly elements?: number;
};
/** Its health checks were to pause (`over`: to go on). `heard`: the executor has said that they do. */
export type Snooze = {
  readonly by: string;
  readonly since: number;
  readonly until?: number;
  readonly over?: true;
  readonly heard?: true;
};
export type RunOutcome = 'succeeded' | 'failed' | 'killed';

/** kind `tally`, key JobKey: counters of a job that survive its runs. */
export type TallyRecord = {
  readonly successes: number;
  readonly failures: number;
  readonly failures_since_success: number;
  readonly last_success_at?: number;
  readonly last_failure_at?: number;
  /** How long the runs that succeeded took, from the first process to the end of the last. */
  readonly durations?: Durations;
  /** The latest wishes that it be taken for a success: whoever repeats one changes nothing. */
  readonly marked?: readonly string[];
};

/**
 * kind `token`, key `<child>/<parent>/<run>`: a run of the parent that has ended, waiting to be taken by a run of the
 * child. Left by the parent in the step in which the run ends, taken by the child in the step in which its own begins.
 */
export type TokenRecord = ParentRun & {
  /** Its place on the edge: the smallest goes first. */
  readonly order: number;
  /** It failed, and its job says that this does not matter. */
  readonly soft?: true;
};

/** kind `calendar`, key its name: rules that schedules may name. */
export type CalendarRecord = {
  readonly rules: readonly CalendarRule[];
  readonly description?: string;
  readonly version: number;
  readonly updated_at: number;
  /** What it was until lately: for triggers that had not heard of the change when the process died. */
  readonly earlier?: readonly {
    readonly version: number;
    readonly rules: readonly CalendarRule[];
    readonly until: number;
  }[];
};

/** kind `framework`, key `id`. */
export type FrameworkRecord = { readonly framework_id: string; readonly stored_at: number };

/** kind `meta`, key `incarnations`: the last incarnation number given out. */
export type IncarnationsRecord = { readonly last: number };

// --- history ------------------------------------------------------------------------------------------------------------

/** kind `finished-run`, key `<JobKey>/<creation instant, sortable>/<run>`. */
export type FinishedRun = {
  readonly run: RunId;
  readonly cause: Cause;
  readonly instances: number;
  readonly created_at: number;
  readonly ended_at: number;
  readonly started_at?: number;
  readonly outcome: RunOutcome;
  readonly by?: string;
  /** How each instance ended; the first hundred of them. */
  readonly results: readonly {
    readonly index: number;
    readonly attempts: number;
    readonly failures: number;
    readonly outcome: RunOutcome;
    readonly reason: EndReason;
    readonly agent_id?: string;
    readonly hostname?: string;
    /** What the task left for those that follow. */
    readonly result?: string;
  }[];
};
/** kind `finished-attempt`, key `<JobKey>/<end instant, sortable>/<task id>`. */
export type FinishedAttempt = {
  readonly task_id: TaskId;
  readonly index: number;
  readonly attempt: number;
  readonly agent_id?: string;
  readonly hostname?: string;
  readonly waiting_at?: number;
  readonly assigned_at?: number;
  readonly started_at?: number;
  /** When its agent was last cut off. */
  readonly away_at?: number;
  /** When it was to be killed. */
  readonly killed_at?: number;
  readonly ended_at: number;
  readonly outcome: 'finished' | 'failed' | 'killed' | 'lost';
  readonly reason: EndReason;
  readonly elements?: number;
};
/** kind `outcome`, key `<JobKey>/<to instant, sortable>/<schedule id>`: what became of a target, or of `count` in a row. */
export type OutcomeRow = {
  readonly schedule: string;
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** There were too many to count: at least `count`. */
  readonly at_least?: true;
  readonly outcome: 'ran' | 'caught-up' | 'missed' | 'superseded' | 'skipped' | 'backfilled';
  /** A backfill's row: it stands beside the one of the target itself. */
  readonly backfill?: string;
  readonly why?: string;
  readonly run?: RunId;
  readonly decided_at: number;
  readonly late_ms?: number;
};
/** kind `missed`, key `<to instant, sortable>/<JobKey>/<schedule id>`: an outcome `missed` once more, all jobs' together. */
export type MissedRow = OutcomeRow & { readonly job: JobKey };
/** kind `audit`, key `<instant, sortable>/<request id>`. */
export type AuditRow = {
  readonly at: number;
  readonly principal: string;
  readonly command: string;
  readonly target: string;
  readonly request_id: string;
  readonly result: string;
  /** Of what no record tells: the command that was run in a task, and how it went. */
  readonly detail?: string;
};

/** Records are plain JSON with keys in one order: equal text is equal meaning. */
export const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** An instant as 11 digits of base 36, so that keys sort as instants do. */
export const sortable = (instant: number): string => Math.max(0, Math.floor(instant)).toString(36).padStart(11, '0');

export type Bodies = {
  readonly meta: IncarnationsRecord;
  readonly framework: FrameworkRecord;
  readonly job: JobRecord;
  readonly trigger: TriggerRecord;
  readonly run: RunRecord;
  readonly instance: InstanceRecord;
  readonly tally: TallyRecord;
  readonly calendar: CalendarRecord;
  readonly token: TokenRecord;
  readonly update: UpdateRecord;
  readonly notice: NoticeRecord;
  readonly letter: LetterRecord;
  readonly place: PlaceRecord;
  readonly 'sent-letter': SentLetter;
  readonly 'finished-update': FinishedUpdate;
  readonly 'update-event': UpdateEvent;
  readonly 'finished-run': FinishedRun;
  readonly 'finished-attempt': FinishedAttempt;
  readonly outcome: OutcomeRow;
  readonly missed: MissedRow;
  readonly audit: AuditRow;
};
export type Keys = { readonly job: JobKey; readonly run: RunKey; readonly instance: InstanceKey };
