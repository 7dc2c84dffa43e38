// commands.ts: every write there is, whoever asks for it, and what may be answered.
//
// REST, the Chronos dialect, the console and the command line all end here: one command, one principal, one audit row.

import type { CalendarSubmission } from './calendar.ts';
import type { InstanceKey, JobKey, RunId, TaskId } from './ids.ts';
import type { Job, Overlap } from './job.ts';
import type { Ranges } from './ranges.ts';
import type { Refusal } from './reasons.ts';
import type { Orphans } from './records.ts';
import type { Instructions, UpdateStatus } from './updates.ts';

export type Principal = { readonly name: string };

export type Command =
  /** `create`: 409 when the key exists. `replace`: 404 when it does not. `upsert`: either (Chronos). */
  | {
      readonly type: 'submit';
      readonly mode: 'create' | 'replace' | 'upsert';
      readonly job: Job;
      readonly origin?: { readonly dialect: string; readonly document: unknown };
      /** Refuse unless the stored version is this one. */
      readonly if_version?: number;
    }
  /** `orphans`: what becomes of jobs that follow it; refused when there are some and nothing is said. */
  | { readonly type: 'delete'; readonly key: JobKey; readonly if_version?: number; readonly orphans?: Orphans }
  /** Its last run is to be taken for a success: those that follow it go on. `request`: the same one counts once. */
  | { readonly type: 'mark-success'; readonly key: JobKey; readonly request: string }
  /** Runs of parents that wait are forgotten: of all, or of one. */
  | { readonly type: 'clear-tokens'; readonly key: JobKey; readonly parent?: JobKey }
  /** Starts a run now, under the job's overlap policy. `request` makes it idempotent: the same one names the same run. */
  | {
      readonly type: 'start-run';
      readonly key: JobKey;
      readonly request: string;
      /** Words for its command, in place of the job's own. */
      readonly arguments?: readonly string[];
    }
  | { readonly type: 'kill-run'; readonly key: JobKey; readonly run: RunId }
  /** Every active run of the job. */
  | { readonly type: 'kill-all'; readonly key: JobKey }
  | { readonly type: 'set-enabled'; readonly key: JobKey; readonly enabled: boolean }
  /** Nothing starts by itself until the job is resumed. */
  | { readonly type: 'pause'; readonly key: JobKey; readonly note: string }
  | { readonly type: 'resume'; readonly key: JobKey }
  | SnoozeCommand
  | CompleteCommand
  | ProgressCommand
  /** Runs for targets of a past range, ends included. `request` makes it idempotent. */
  | {
      readonly type: 'backfill';
      readonly key: JobKey;
      readonly from: number;
      readonly to: number;
      /** Every one of the job's when left out. */
      readonly schedule?: string;
      /** `buffer-all`, one after the other, when left out. */
      readonly overlap?: Overlap;
      /** Targets at most. */
      readonly limit?: number;
      readonly request: string;
    }
  /** Brings a service to another document, some instances at a time. `request`: the same one names the same update. */
  | {
      readonly type: 'start-update';
      readonly key: JobKey;
      readonly job: Job;
      readonly how: Instructions;
      /** Instances that it may touch; all of them when left out. */
      readonly only?: Ranges;
      readonly message?: string;
      readonly request: string;
      readonly if_version?: number;
    }
  /** `update`: that one; the active one, whichever it is, when left out. */
  | {
      readonly type: 'steer-update';
      readonly key: JobKey;
      readonly update?: string;
      readonly what: 'pause' | 'resume' | 'abort' | 'rollback' | 'pulse';
      readonly message?: string;
    };

/** The health checks of an instance pause until then, or until they are told to go on. */
export type SnoozeCommand =
  | { readonly type: 'snooze'; readonly key: JobKey; readonly index: number; readonly until?: number }
  | { readonly type: 'wake'; readonly key: JobKey; readonly index: number };

/** Somebody runs a command in a task, has, or wanted to and may not: for the record, and nothing else. */
export type SessionCommand = SessionNote<'begin-session'> | SessionNote<'end-session'> | SessionNote<'refuse-session'>;
type SessionNote<T extends string> = {
  readonly type: T;
  readonly key: JobKey;
  /** Of what is refused as much as was named. */
  readonly instance: InstanceKey;
  /** What was typed, and how it went. */
  readonly detail: string;
};

/** Somebody has done something to a node that no record of a job tells: for the record, and nothing else. */
export type OperatorCommand = {
  readonly type: 'set-log-level';
  readonly node: string;
  readonly detail: string;
};

/** The work of an async task is done: well when `status_code` is 0. */
export type CompleteCommand = {
  readonly type: 'complete-task';
  readonly key: JobKey;
  readonly task_id: TaskId;
  readonly status_code: number;
};

/** So many further elements have been done with. */
export type ProgressCommand = {
  readonly type: 'progress';
  readonly key: JobKey;
  readonly task_id: TaskId;
  readonly elements: number;
};

/** Writes that concern no single job. */
export type CalendarCommand =
  | {
      readonly type: 'put-calendar';
      readonly name: string;
      readonly calendar: CalendarSubmission;
      /** Refuse unless the stored version is this one; 0: unless there is none. */
      readonly if_version?: number;
    }
  | { readonly type: 'delete-calendar'; readonly name: string };

/** A letter that could not be delivered: it is tried again at once, or, once it was given up, forgotten. */
export type LetterCommand = { readonly type: 'retry-letter' | 'delete-letter'; readonly letter: string };

type Anything = Command | CalendarCommand | SessionCommand | OperatorCommand | LetterCommand;
export type CommandEnvelope<C extends Anything = Anything> = {
  readonly command: C;
  readonly principal: Principal;
  /** Unique per request; names the audit row. */
  readonly request_id: string;
};

/** Leaves when what it says is durable. */
export type Answer =
  | { readonly type: 'created' | 'replaced' | 'unchanged' | 'changed'; readonly key: JobKey; readonly version: number }
  | { readonly type: 'deleted'; readonly key: JobKey }
  /**
   * `started`: a run with this id is recorded. `waiting`: it starts when the active one ends. `existing`: this request was
   * answered before.
   */
  | { readonly type: 'started' | 'waiting' | 'existing'; readonly key: JobKey; readonly run: RunId }
  /** The backfill is recorded and under way, for so many targets; or this request began it before. */
  | { readonly type: 'backfilling'; readonly key: JobKey; readonly backfill: string; readonly targets: number }
  | { readonly type: 'calendar-stored' | 'calendar-deleted'; readonly name: string; readonly version: number }
  | { readonly type: 'letter-retrying' | 'letter-deleted'; readonly letter: string }
  /** So many tokens were there, and are not any more. */
  | { readonly type: 'cleared'; readonly key: JobKey; readonly count: number }
  /** Where the update stands now. `finished`: there is none of that id (any more), which is all that a pulse wants to know. */
  | {
      readonly type: 'update';
      readonly key: JobKey;
      readonly update: string;
      readonly status?: UpdateStatus;
      readonly result: 'started' | 'existing' | 'changed' | 'unchanged' | 'finished';
    }
  /** The kill is recorded and under way; `count` runs are affected. */
  | { readonly type: 'killing'; readonly key: JobKey; readonly count: number }
  /** The wish is recorded, and its executor is being told. */
  | { readonly type: 'snoozing' | 'waking'; readonly key: JobKey; readonly index: number; readonly until?: number }
  /** It is on record. `key`: of the job that it was done to, if it was one. */
  | { readonly type: 'noted'; readonly key?: JobKey }
  /** What was reported of the task is recorded. */
  | { readonly type: 'completed'; readonly key: JobKey; readonly task_id: TaskId }
  /** It is counted; so many in all. */
  | { readonly type: 'progressed'; readonly key: JobKey; readonly task_id: TaskId; readonly elements: number }
  | Refusal;

/** The one door for writes. Resolves when the answer is durable; never rejects. */
export type Submit = (envelope: CommandEnvelope) => Promise<Answer>;
