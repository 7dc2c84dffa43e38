// messages.ts: what the page and the feed say to each other.
//
// A socket watches one thing at a time, like somebody who looks at one page: a window of the job list, or one job. The page
// says what it watches; the feed answers with the whole picture (`fresh`), then with what differs from what it sent before.
// Every frame is one msgpack value.

import type { Figures } from '../../actors/model/durations.ts';
import type { RunId } from '../../actors/model/ids.ts';
import type { Job } from '../../actors/model/job.ts';
import type { Cause } from '../../actors/model/reasons.ts';
import type {
  BackfillRecord,
  FinishedRun,
  InstanceRecord,
  OutcomeRow,
  Paused,
  TallyRecord,
  WaitingStart,
} from '../../actors/model/records.ts';
import type { UpdateEvent, UpdateStatus } from '../../actors/model/updates.ts';
import { bad, good, type Result } from '../../schedules/problem.ts';
import type { Row } from './rows.ts';

export const filters = ['all', 'running', 'waiting', 'failing', 'disabled', 'service', 'scheduled'] as const;
export type Filter = (typeof filters)[number];
export const sorts = ['key', 'state', 'next', 'last'] as const;
export type Sort = (typeof sorts)[number];

export const window_rows_max = 200;
const search_length_max = 200;
const job_key_length_max = 256;

export type ListWatch = {
  readonly watch: 'list';
  /** Chosen by the page; comes back in every answer, so that one to an older question is known for what it is. */
  readonly id: number;
  readonly search: string;
  readonly filter: Filter;
  readonly sort: Sort;
  readonly descending: boolean;
  readonly offset: number;
  readonly limit: number;
};
export type JobWatch = { readonly watch: 'job'; readonly id: number; readonly key: string };
export type Watch = ListWatch | JobWatch;

export type Counters = { readonly [filter in Filter]: number };

type Answer = {
  readonly id: number;
  /** The scheduler's clock, so that the page counts down to the scheduler's instants and not to its own. */
  readonly at: number;
  readonly position: number;
  /** true: forget what was known. */
  readonly fresh?: true;
};
export type ListFrame = Answer & {
  readonly type: 'list';
  /** Jobs that match search and filter. */
  readonly total?: number;
  readonly offset?: number;
  readonly counters?: Counters;
  /** Keys of the window in order. */
  readonly keys?: readonly string[];
  /** Rows of the window that are new or changed. */
  readonly rows: readonly Row[];
};
export type JobParts = {
  /** null: there is no such job (any more). */
  readonly head?: JobHead | null;
  readonly schedules?: readonly ScheduleWords[];
  readonly runs?: readonly RunDetail[];
  /** The active update, or the one that ended last; null: there is none. */
  readonly update?: UpdateDetail | null;
  readonly finished?: readonly FinishedRun[];
  readonly outcomes?: readonly OutcomeRow[];
  /** null: it follows nobody, and nobody follows it. */
  readonly kin?: Kin | null;
  readonly pending?: readonly {
    readonly run: RunId;
    readonly index: number;
    readonly since: number;
    readonly summary: string;
  }[];
};
export type Kin = {
  readonly join: 'each' | 'latest';
  readonly trigger_rule: string;
  readonly parents: readonly Relative[];
  readonly parents_count: number;
  readonly children: readonly Relative[];
  readonly children_count: number;
};
/** `waiting`: runs of the parent that lie on the edge. State and last outcome are those of a job that may be seen. */
export type Relative = {
  readonly key: string;
  readonly waiting: number;
  readonly state?: Row['state'];
  readonly last_outcome?: Row['last_outcome'];
  readonly last_at?: Row['last_at'];
};
export type JobFrame = Answer & { readonly type: 'job'; readonly key: string; readonly parts: JobParts };
export type Beat = { readonly type: 'beat'; readonly at: number };
/** Who leads a cluster, when the page comes and whenever it changes. Where there is one node, nothing is said. */
export type ClusterFrame = {
  readonly type: 'cluster';
  readonly at: number;
  /** The node that the page is talking to. */
  readonly node: string;
  readonly leader: { readonly id: string; readonly url: string } | null;
};
/** Letters to people, as far as the page may see them: whenever there are others than before; none are there at first. */
export type LettersFrame = {
  readonly type: 'letters';
  readonly at: number;
  /** Given up. */
  readonly dead: number;
  readonly pending: number;
};
export type Frame = ListFrame | JobFrame | Beat | ClusterFrame | LettersFrame;

export type UpdateDetail = {
  readonly id: string;
  readonly status: UpdateStatus;
  readonly over: boolean;
  readonly by: string;
  readonly message?: string;
  readonly created_at: number;
  readonly to_version: number;
  /** Instances that take part in the present direction, and those that are done. */
  readonly total: number;
  readonly done: number;
  readonly under_way: readonly number[];
  readonly failed: readonly number[];
  /** The newest first. */
  readonly events: readonly UpdateEvent[];
};
export type JobHead = {
  readonly row: Row;
  readonly job: Job;
  readonly version: number;
  readonly etag: string;
  readonly created_at: number;
  readonly updated_at: number;
  readonly dialect?: string;
  readonly tally?: Omit<TallyRecord, 'durations'>;
  /** How long its runs took that succeeded. */
  readonly durations?: Figures;
  /** The oldest starts that wait for an active run to end. */
  readonly waiting: readonly WaitingStart[];
  readonly waiting_count: number;
  readonly paused?: Paused;
  /** The latest, the newest first. */
  readonly backfills: readonly Backfill[];
};
/** How far it is: not where each schedule stands. */
export type Backfill = Omit<BackfillRecord, 'places'>;
export type ScheduleWords = {
  readonly id: string;
  readonly text: string;
  readonly words: string;
  readonly upcoming: readonly number[];
};
export type RunDetail = {
  readonly run: RunId;
  readonly cause: Cause;
  readonly created_at: number;
  readonly killing_by?: string;
  readonly instance_count: number;
  /** How often each instance may be tried again; absent where there is no end to it. */
  readonly retries_max?: number;
  readonly statuses: { readonly [status in InstanceRecord['status']]?: number };
  /** The first instances by index. */
  readonly instances: readonly { readonly index: number; readonly record: InstanceRecord }[];
};

/** Reads what a page sent: a decoded msgpack value of any shape. */
export function readWatch(input: unknown): Result<Watch> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return refuse('', 'an object');
  const given = input as Readonly<Record<string, unknown>>;
  const { watch, id } = given;
  if (!isCount(id, 2 ** 31)) return refuse('/id', 'a whole number from 0 on');
  if (watch === 'job') {
    const { key } = given;
    if (typeof key !== 'string' || key.length > job_key_length_max) return refuse('/key', 'role/environment/name');
    return good({ watch, id, key });
  }
  if (watch !== 'list') return refuse('/watch', 'list or job');
  const { search, filter, sort, descending, offset, limit } = given;
  if (typeof search !== 'string' || search.length > search_length_max)
    return refuse('/search', `a text of at most ${search_length_max} characters`);
  const known_filter = filters.find(each => each === filter);
  if (known_filter === undefined) return refuse('/filter', filters.join(', '));
  const known_sort = sorts.find(each => each === sort);
  if (known_sort === undefined) return refuse('/sort', sorts.join(', '));
  if (typeof descending !== 'boolean') return refuse('/descending', 'true or false');
  if (!isCount(offset, 2 ** 31)) return refuse('/offset', 'a whole number from 0 on');
  if (!isCount(limit, window_rows_max)) return refuse('/limit', `a whole number up to ${window_rows_max}`);
  return good({ watch, id, search, filter: known_filter, sort: known_sort, descending, offset, limit });
}

const isCount = (value: unknown, max: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
const refuse = (place: string, expected: string) => bad({ place, message: `${place} will not do`, expected });
