// views.ts: what can be read, and the feed of changes.
//
// Reads never queue behind decisions: they look at a projection that committed records feed, and at the history in lmdb.
// The same changes, in the same order, reach REST cursors, WebSocket and SSE: `{position, kind, key, body}`.

import type { TaskUsage } from '../../mesos/agent-usage.ts';
import type { Swept } from '../../mesos/local/sandbox-sweep.ts';
import type { Session, SessionEnd, SessionPiece, SessionWish } from '../../mesos/sessions.ts';
import type { HeardReport } from '../../mesos/task-reports.ts';
import type { Instant } from '../../schedules/clock.ts';
import type { InstanceKey, JobKey, RunId } from './ids.ts';
import type { ChannelName, LetterRecord } from './notices.ts';
import type {
  CalendarRecord,
  FinishedRun,
  InstanceRecord,
  JobRecord,
  OutcomeRow,
  RunRecord,
  TallyRecord,
  TokenRecord,
  TriggerRecord,
} from './records.ts';
import type { FinishedUpdate, UpdateEvent, UpdateRecord } from './updates.ts';

export type InstanceView = {
  readonly key: InstanceKey;
  readonly index: number;
  readonly task_id?: string;
  readonly record: InstanceRecord;
};
export type RunView = { readonly record: RunRecord; readonly instances: readonly InstanceView[] };
export type JobView = {
  readonly key: JobKey;
  readonly record: JobRecord;
  readonly tally?: TallyRecord;
  readonly trigger?: TriggerRecord;
  /** The update that is not over. */
  readonly update?: UpdateRecord;
  /** The next target, from the timetable; absent when nothing is armed. */
  readonly next_at?: number;
  readonly runs: readonly RunView[];
  /** Set when the entity crashed twice on a message and was put aside. */
  readonly quarantined?: string;
};

/** Why an instance waits, as placement last saw it. Codes and data are mesos/match.ts's. */
export type PendingReason = {
  readonly instance: InstanceKey;
  readonly since: number;
  readonly summary: string;
  readonly why: unknown;
};

/** Who waits for a place, and why, as it is at this moment. */
export type Pending = {
  /** In no order. */
  readonly keys: () => Iterable<InstanceKey>;
  /** undefined when it does not wait (any more). */
  readonly why: (key: InstanceKey) => PendingReason | undefined;
};
export type PendingPage = {
  readonly rows: readonly PendingReason[];
  /** All that wait, on whichever page. */
  readonly total: number;
  /** What the next page comes after; absent at the end. */
  readonly next?: InstanceKey;
};

/** Of each channel: notices that wait to be put into a letter, letters that wait for their receiver, those that were given up. */
export type LetterCounts = Readonly<
  Record<ChannelName, { readonly notices: number; readonly pending: number; readonly dead: number }>
>;

/** One committed change. `body` undefined = the key is gone. Kinds are those of the journal. */
export type FeedChange = { readonly kind: string; readonly key: string; readonly body: unknown | undefined };
export type FeedBatch = { readonly position: number; readonly changes: readonly FeedChange[] };

export interface Views {
  /** Position of the last committed record that these views include. */
  position(): number;
  job(key: JobKey): JobView | undefined;
  /** Jobs in key order, after `after` when given, at most `limit`. */
  jobs(limit: number, after?: JobKey): readonly JobView[];
  job_count(): number;
  run(key: JobKey, run: RunId): RunView | undefined;
  /** Updates of a job that are over, newest first; as many as are kept. */
  finished_updates(key: JobKey): readonly FinishedUpdate[];
  /** What happened in one of its updates, newest first. */
  update_events(
    key: JobKey,
    update: Pick<UpdateRecord, 'id' | 'created_at'>,
    limit: number,
    before?: string,
  ): { readonly rows: readonly UpdateEvent[]; readonly next?: string };
  /** Finished runs of a job, newest first. */
  finished_runs(
    key: JobKey,
    limit: number,
    before?: string,
  ): { readonly rows: readonly FinishedRun[]; readonly next?: string };
  finished_run(key: JobKey, run: RunId): FinishedRun | undefined;
  outcomes(
    key: JobKey,
    limit: number,
    before?: string,
  ): { readonly rows: readonly OutcomeRow[]; readonly next?: string };
  /** The jobs that follow this one. */
  children(key: JobKey): Iterable<JobKey> & { readonly size: number };
  /** All that follow it, and all that follow those. */
  descendants(key: JobKey): ReadonlySet<JobKey>;
  /** Runs of its parents that wait before a job, by parent, those that go first first. */
  tokens(key: JobKey): ReadonlyMap<JobKey, readonly TokenRecord[]>;
  /** Calendars in the order of their names. */
  calendars(): readonly { readonly name: string; readonly record: CalendarRecord }[];
  calendar(name: string): CalendarRecord | undefined;
  /** Letters that were not delivered yet, and those that were given up, newest first. */
  letters(): readonly LetterRecord[];
  letter(id: string): LetterRecord | undefined;
  letter_counts(): LetterCounts;
  /** A job's instances that wait for a place. */
  pending(key: JobKey): readonly PendingReason[];
  /** Of all jobs, in the order of their keys, after `after` when given; `sees`: of which job roles, all when left out. */
  pending_page(limit: number, after?: InstanceKey, sees?: (role: string) => boolean): PendingPage;
  /** Called with every batch committed from now on. Returns the way to stop. */
  subscribe(listener: (batch: FeedBatch) => void): () => void;
}

/** What executors say of tasks beside their states. It is in nobody's records: a node that does not lead has heard nothing. */
export interface TaskReports {
  /** The last that was heard here of a task; undefined when there is none (any more). */
  of(task_id: string): HeardReport | undefined;
  /** The same of these tasks, from whoever has heard it: in a cluster the leader. Left out: it is this node. */
  readonly told?: (task_ids: readonly string[]) => Promise<Pick<TaskReports, 'of'>>;
}

/** What became of the sandboxes of ended tasks, where it is known: whoever runs the agents sweeps them. */
export interface Sweeping {
  /** Newest first. */
  readonly swept: () => readonly Swept[];
  readonly disk: () => Promise<{ readonly free_bytes: number; readonly total_bytes: number }>;
  readonly rules: { readonly sandboxes_max: number; readonly days: number; readonly free_percent: number };
}

/** What tasks use: known to the agents on which they run. */
export interface Usages {
  /** undefined when the agent knows nothing of the task (any more). */
  of(agent_id: string, task_id: string): Promise<TaskUsage | undefined>;
}

export type { Session, SessionEnd, SessionPiece, SessionWish };
/** Commands in running tasks: begun by whoever knows the agents. */
export interface TaskSessions {
  /** undefined when its agent runs no such task (any more). Rejects with words when it cannot be. */
  open(agent_id: string, task_id: string, wish: SessionWish): Promise<Session | undefined>;
}

/** The output of tasks: opened by whoever runs the agents, which alone knows where sandboxes are and what may be read. */
export interface Sandboxes {
  /**
   * `stdout` of a task, or another file by its path in the sandbox, which has one character for each byte (Latin-1): names of
   * files need not be text. undefined when there is none (any more).
   */
  open(agent_id: string, task_id: string, name: string): Promise<SandboxFile | undefined>;
  /** What is in a folder of it, `''` being the sandbox itself, in the order of the bytes of the names after `after`. */
  list(
    agent_id: string,
    task_id: string,
    folder: string,
    page: { readonly after: string; readonly limit: number },
  ): Promise<readonly SandboxEntry[] | undefined>;
}
export type SandboxEntry = {
  /** One character for each byte. */
  readonly name: string;
  /** As `ls -l` writes it: `-rw-r--r--`. */
  readonly mode: string;
  readonly size: number;
  readonly modified_at: Instant;
  readonly user: string;
};
/** An open file, which may still grow. */
export interface SandboxFile {
  /** Its size in bytes at this moment. */
  size(): Promise<number>;
  /** Up to `length` bytes from `position`, good until the next are read; fewer at its end, none beyond it. */
  read(position: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}
