// journal.ts: what a home for records must do, whatever it is built on.
//
// The journal is the scheduler's memory in time. It takes batches of records, in order, and says when a batch will
// survive the machine's death; later it gives back what is still true. Records come in two sorts. *State* is what lives
// (jobs, cursors, live runs and instances): the newest record of a key replaces the older ones, and a deletion removes it.
// *History* is what has been (outcomes, finished runs, audit): appended, kept for a time, then dropped.

/** Record kinds that are state: the newest body of a (kind, key) is what is true. */
export const state_kinds = [
  'meta',
  'framework',
  'job',
  'trigger',
  'run',
  'instance',
  'tally',
  'calendar',
  'token',
  'update',
  'notice',
  'letter',
  'place',
] as const;
/** Record kinds that are history: rows that are added and never changed. Keys sort in the order in which pages show them. */
// biome-ignore format: a list of names
export const history_kinds = ['outcome', 'missed', 'finished-run', 'finished-attempt', 'finished-update', 'update-event', 'sent-letter', 'audit'] as const;
export type StateKind = (typeof state_kinds)[number];
export type HistoryKind = (typeof history_kinds)[number];
export type RecordKind = StateKind | HistoryKind;

/** One change as the actors emit it. `body` undefined = the key is deleted (state kinds only). */
export type Change = { readonly kind: RecordKind; readonly key: string; readonly body: unknown | undefined };

/** One record as it is stored: `schema` is the version of the body's shape, `sequence` its place in the journal. */
export type RecordEnvelope = Change & { readonly schema: number; readonly sequence: number };

/** How bodies of one kind have changed shape: `version` now, and how to bring version n to n + 1. */
export type KindSchema = {
  readonly version: number;
  readonly upgrades: { readonly [from: number]: (body: unknown) => unknown };
  /** Throws, or returns false, when a body is not of the present shape: the record is then quarantined. */
  readonly valid?: (body: unknown) => boolean;
};
export type Schemas = { readonly [kind in RecordKind]?: KindSchema };

/** A record that could not be read: kept aside as it was, shown to people, never fed to an actor. */
export type Poison = { readonly kind: string; readonly key: string; readonly schema: number; readonly reason: string };

export type Restored = {
  /** Sequence number of the last durable record; 0 for an empty journal. */
  readonly position: number;
  /** State records only, one per live key. */
  readonly records: Iterable<RecordEnvelope>;
  readonly poison: readonly Poison[];
};

/**
 * `fenced`: another writer has a newer epoch: stop acting. `unknown`: the batch may or may not be there. `full`: no space;
 * nothing of the batch is there. `corrupt`: what is stored cannot be read. `locked`: another process has it open.
 * `newer`: written by a newer version of Horae. `foreign`: not a journal of ours. `io`: the device failed.
 */
export type JournalErrorCode = 'fenced' | 'unknown' | 'full' | 'corrupt' | 'locked' | 'newer' | 'foreign' | 'io';
export class JournalError extends Error {
  override readonly name = 'JournalError';
  readonly code: JournalErrorCode;
  constructor(code: JournalErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface Journal {
  /**
   * Takes the writer's place under `epoch`, which must be larger than every one before, and returns it. Left out, it is
   * one more than the last: a journal on one machine counts its own lives, in a cluster the election does. Throws JournalError.
   */
  open(epoch?: number): Promise<number>;
  /** The state as of the last durable batch. Called once, after `open` and before the first `append`. */
  restore(): Promise<Restored>;
  /**
   * Appends changes in order, all or nothing, and resolves with the sequence number of the last one when they are
   * durable: on the device, not in its cache. At most one append is in flight; batches are the caller's business.
   * After a rejection the journal is dead: every later call rejects too (fail-stop).
   */
  append(changes: readonly Change[]): Promise<number>;
  /**
   * Committed records after `position`, in order and before `follow` returns, then each batch as it commits. Throws a
   * RangeError when records after `position` have been folded away: whoever asks must start again from the state.
   */
  follow(position: number, batch: (records: readonly RecordEnvelope[], position: number) => void): () => void;
  /** Folds the state into a snapshot, so that restoring need not read every segment; then drops segments it covers. */
  snapshot(): Promise<void>;
  /** Drops what is past its retention. */
  compact(now: number): Promise<void>;
  close(): Promise<void>;
}

export type HistoryPage = {
  readonly rows: readonly { readonly key: string; readonly body: unknown }[];
  /** Pass as `before` to get the page after this one; absent at the end. */
  readonly next?: string;
};
/** How long rows of a kind are kept. Rows whose keys share their first `group_parts` parts (between `/`) are one group. */
export type KindRetention = {
  /** Rows older than this, by the instant of their commit, are dropped; left out = no limit. */
  readonly age_ms_max?: number;
  /** Rows kept per group, newest (largest key) first; left out = no limit. */
  readonly rows_max?: number;
  /** 3 (left out) = per job, `role/environment/name`; 0 = the whole kind is one group. */
  readonly group_parts?: number;
};
export type Retention = { readonly [kind in HistoryKind]?: KindRetention };

/** Reading what has been. Never blocks the writer. */
export interface History {
  /** Rows of `kind` whose key begins with `prefix`, newest (largest key) first, below `before` when given. */
  page(kind: HistoryKind, prefix: string, limit: number, before?: string): HistoryPage;
  get(kind: HistoryKind, key: string): unknown | undefined;
  count(kind: HistoryKind, prefix: string): number;
}
