// projection.ts: what the scheduler is known to have decided, ready to be read.
//
// Think of the departures board in a station: those who run the trains never stop to answer questions, they call out
// each change once, and everybody reads the board. The board is told every committed batch, in order, and keeps what
// lives in maps by kind, so that a listing, a page or a feed costs the actors nothing. What has been is not on the board:
// it is read from the history.

import {
  type InstanceKey,
  instanceKey,
  type JobKey,
  type RunId,
  roleOf,
  splitInstanceKey,
  splitRunKey,
  splitTokenKey,
  taskId,
  tokenKey,
} from '../actors/model/ids.ts';
import {
  type CalendarRecord,
  type FinishedRun,
  firstRecord,
  type InstanceRecord,
  type JobRecord,
  type OutcomeRow,
  type RunRecord,
  sortable,
  type TallyRecord,
  type TokenRecord,
  type TriggerRecord,
} from '../actors/model/records.ts';
import type { FinishedUpdate, UpdateEvent, UpdateRecord } from '../actors/model/updates.ts';
import type {
  FeedBatch,
  FeedChange,
  InstanceView,
  JobView,
  Pending,
  PendingReason,
  RunView,
  Views,
} from '../actors/model/views.ts';
import { Graph } from '../schedules/graph.ts';
import type { History } from './journal/journal.ts';
import { LetterBoard } from './letter-board.ts';

export type ProjectionInputs = {
  readonly history: History;
  /** State records as the journal restored them, in any order. */
  readonly restored?: Iterable<FeedChange>;
  /** Position of the last restored record. */
  readonly position?: number;
  /** The timetable's word on when a job is due next. */
  readonly nextAt?: (key: JobKey) => number | undefined;
  /** Who waits for an offer, and why, as placement last saw it. */
  readonly pending?: Pending;
  /** Why a job was put aside after crashing, if it was. */
  readonly quarantined?: (key: JobKey) => string | undefined;
};

export type InstanceStatus = InstanceRecord['status'];

export interface Projection extends Views {
  /** Takes one committed batch, which ends at `position`. */
  commit(changes: readonly FeedChange[], position: number): void;
  /** Takes a whole state as of `position`, in the place of what was: for whoever has missed too much to be told it. */
  replace(records: readonly FeedChange[], position: number): void;
  /** How many live instances stand in each status, kept as changes come: for metrics. */
  instance_counts(): Readonly<Record<InstanceStatus, number>>;
}

/** Updates that are over, of one job, in one reading; fewer are kept. */
const finished_updates_max = 1_000;
/** Finished runs whose place in the history is remembered, so that reading one just ended is one lookup. */
const recent_runs_max = 20_000;
/** How far back one reading of a run looks through the rows of its job. */
const rows_scanned_max = 20_000;
const rows_per_page = 500;

type LiveRun = {
  record: RunRecord | undefined;
  readonly instances: Map<number, InstanceRecord>;
  /** Of the instances that the run's record speaks of, those that have a record of their own. */
  recorded: number;
};
type Entry = {
  readonly key: JobKey;
  record: JobRecord | undefined;
  tally: TallyRecord | undefined;
  trigger: TriggerRecord | undefined;
  update?: UpdateRecord | undefined;
  readonly runs: Map<RunId, LiveRun>;
};

export function createProjection(inputs: ProjectionInputs): Projection {
  const { history, nextAt, pending, quarantined } = inputs;
  const entries = new Map<JobKey, Entry>();
  /** Keys of the jobs that exist, in order: what cursors walk along. */
  let sorted: JobKey[] = [];
  const calendars = new Map<string, CalendarRecord>();
  const letters = new LetterBoard();
  const graph = new Graph();
  const tokens = new Map<JobKey, Map<JobKey, TokenRecord[]>>();
  const recent = new Map<string, string>();
  const listeners = new Set<(batch: FeedBatch) => void>();
  const counts: Record<InstanceStatus, number> = {
    pending: 0,
    assigned: 0,
    starting: 0,
    running: 0,
    unreachable: 0,
    awaiting: 0,
    killing: 0,
    over: 0,
  };
  let last = inputs.position ?? 0;

  const entryOf = (key: JobKey): Entry => {
    let entry = entries.get(key);
    if (entry === undefined) {
      entry = { key, record: undefined, tally: undefined, trigger: undefined, runs: new Map() };
      entries.set(key, entry);
    }
    return entry;
  };
  const runOf = (entry: Entry, run: RunId): LiveRun => {
    let live = entry.runs.get(run);
    if (live === undefined) {
      live = { record: undefined, instances: new Map(), recorded: 0 };
      entry.runs.set(run, live);
    }
    return live;
  };
  /** Drops a run of which nothing is left, and a job of which nothing is left. */
  const tidy = (entry: Entry, run?: RunId) => {
    const live = run === undefined ? undefined : entry.runs.get(run);
    if (live !== undefined && live.record === undefined && live.instances.size === 0) entry.runs.delete(run!);
    if (
      entry.record === undefined &&
      entry.tally === undefined &&
      entry.trigger === undefined &&
      entry.update === undefined &&
      entry.runs.size === 0
    )
      entries.delete(entry.key);
  };

  const apply = ({ kind, key, body }: FeedChange, restoring: boolean) => {
    switch (kind) {
      case 'instance': {
        const { job, run, index } = splitInstanceKey(key);
        const entry = entryOf(job);
        const live = runOf(entry, run);
        const { instances } = live;
        const before = instances.get(index);
        if (before !== undefined) counts[before.status]--;
        if ((before === undefined) !== (body === undefined) && index < (live.record?.instances ?? 0)) {
          const more = body === undefined ? -1 : 1;
          live.recorded += more;
          counts.pending -= more;
        }
        if (body === undefined) {
          instances.delete(index);
          tidy(entry, run);
        } else {
          const record = body as InstanceRecord;
          counts[record.status]++;
          instances.set(index, record);
        }
        return;
      }
      case 'run': {
        const { job, run } = splitRunKey(key);
        const entry = entryOf(job);
        const live = runOf(entry, run);
        counts.pending -= unrecorded(live);
        const { record: before } = live;
        live.record = body as RunRecord | undefined;
        if (live.record?.instances !== before?.instances) live.recorded = recordedOf(live);
        counts.pending += unrecorded(live);
        if (body === undefined) tidy(entry, run);
        return;
      }
      case 'trigger': {
        const entry = entryOf(key);
        entry.trigger = body as TriggerRecord | undefined;
        if (body === undefined) tidy(entry);
        return;
      }
      case 'update': {
        const entry = entryOf(key);
        entry.update = body as UpdateRecord | undefined;
        if (body === undefined) tidy(entry);
        return;
      }
      case 'tally': {
        const entry = entryOf(key);
        entry.tally = body as TallyRecord | undefined;
        if (body === undefined) tidy(entry);
        return;
      }
      case 'job': {
        const entry = entryOf(key);
        const known = entry.record !== undefined;
        entry.record = body as JobRecord | undefined;
        graph.set(key, parentsOf(body as Partial<JobRecord> | undefined));
        if (body === undefined) {
          if (known) sorted.splice(placeOf(sorted, key), 1);
          tidy(entry);
        } else if (!known) {
          // Restored records are sorted once at the end: 50,000 insertions one by one would be a second of moving.
          if (restoring) sorted.push(key);
          else sorted.splice(placeOf(sorted, key), 0, key);
        }
        return;
      }
      case 'token': {
        const { child, parent, run } = splitTokenKey(key);
        const edges = tokens.get(child);
        const rest = (edges?.get(parent) ?? []).filter(one => one.run !== run);
        if (body !== undefined) rest.push(body as TokenRecord);
        if (restoring) rest.sort((one, other) => one.order - other.order);
        if (rest.length > 0) tokens.set(child, (edges ?? new Map()).set(parent, rest));
        else edges?.delete(parent);
        if (edges?.size === 0) tokens.delete(child);
        return;
      }
      case 'calendar':
        if (body === undefined) calendars.delete(key);
        else calendars.set(key, body as CalendarRecord);
        return;
      case 'notice':
      case 'letter':
      case 'place':
        letters.apply({ kind, key, body });
        return;
      case 'finished-run': {
        const run = (body as FinishedRun).run;
        const job = key.split('/', 3).join('/');
        recent.set(`${job}/${run}`, key);
        if (recent.size > recent_runs_max) recent.delete(recent.keys().next().value!);
        return;
      }
    }
  };

  /** Everything that is on the board, as the deletions that would clear it. */
  const present = (): FeedChange[] => {
    const all: FeedChange[] = [];
    const add = (kind: string, key: string) => void all.push({ kind, key, body: undefined });
    for (const { key, record, tally, trigger, update, runs } of entries.values()) {
      for (const [run, live] of runs) {
        for (const index of live.instances.keys()) add('instance', instanceKey(key, run, index));
        if (live.record !== undefined) add('run', `${key}/${run}`);
      }
      if (trigger !== undefined) add('trigger', key);
      if (update !== undefined) add('update', key);
      if (tally !== undefined) add('tally', key);
      if (record !== undefined) add('job', key);
    }
    for (const [child, edges] of tokens)
      for (const [parent, lying] of edges) for (const { run } of lying) add('token', tokenKey(child, parent, run));
    for (const name of calendars.keys()) add('calendar', name);
    for (const [kind, key] of letters.present()) add(kind, key);
    return all;
  };

  const commit = (changes: readonly FeedChange[], position: number) => {
    for (const change of changes) apply(change, false);
    last = position;
    for (const listener of listeners) listener({ position, changes });
  };

  for (const change of inputs.restored ?? []) apply(change, true);
  sorted = sorted.sort(compare);

  return {
    position: () => last,
    commit,
    replace(records, position) {
      const kept = new Set(records.map(({ kind, key }) => `${kind} ${key}`));
      const gone = present().filter(({ kind, key }) => !kept.has(`${kind} ${key}`));
      commit([...gone, ...records], position);
    },
    job(key) {
      const entry = entries.get(key);
      return entry?.record === undefined ? undefined : new JobWindow(entry, entry.record, nextAt, quarantined);
    },
    jobs(limit, after) {
      let from = 0;
      if (after !== undefined) {
        from = placeOf(sorted, after);
        if (sorted[from] === after) from++;
      }
      return sorted.slice(from, from + limit).map(key => {
        const entry = entries.get(key)!;
        return new JobWindow(entry, entry.record!, nextAt, quarantined);
      });
    },
    job_count: () => sorted.length,
    run(key, run) {
      const live = entries.get(key)?.runs.get(run);
      return live?.record === undefined ? undefined : runView(key, live, live.record);
    },
    finished_updates: key =>
      history.page('finished-update', `${key}/`, finished_updates_max).rows.map(row => row.body as FinishedUpdate),
    update_events(key, { id, created_at }, limit, before) {
      const page = history.page('update-event', `${key}/${sortable(created_at)}.${id}/`, limit, before);
      const rows = page.rows.map(row => row.body as UpdateEvent);
      return page.next === undefined ? { rows } : { rows, next: page.next };
    },
    finished_runs(key, limit, before) {
      const page = history.page('finished-run', `${key}/`, limit, before);
      const rows = page.rows.map(row => row.body as FinishedRun);
      return page.next === undefined ? { rows } : { rows, next: page.next };
    },
    finished_run(key, run) {
      const known = recent.get(`${key}/${run}`);
      if (known !== undefined) {
        const body = history.get('finished-run', known);
        if (body !== undefined) return body as FinishedRun;
      }
      let before: string | undefined;
      for (let scanned = 0; scanned < rows_scanned_max; scanned += rows_per_page) {
        const page = history.page('finished-run', `${key}/`, rows_per_page, before);
        const row = page.rows.find(each => (each.body as FinishedRun).run === run);
        if (row !== undefined) return row.body as FinishedRun;
        if (page.next === undefined) return undefined;
        before = page.next;
      }
      return undefined;
    },
    outcomes(key, limit, before) {
      const page = history.page('outcome', `${key}/`, limit, before);
      const rows = page.rows.map(row => row.body as OutcomeRow);
      return page.next === undefined ? { rows } : { rows, next: page.next };
    },
    children: key => graph.children(key),
    descendants: key => graph.descendants(key),
    tokens: key => tokens.get(key) ?? new Map(),
    calendars: () => [...calendars].sort(([a], [b]) => compare(a, b)).map(([name, record]) => ({ name, record })),
    calendar: name => calendars.get(name),
    letters: () => letters.letters(),
    letter: id => letters.letter(id),
    letter_counts: () => letters.counts(),
    pending(key) {
      const reasons: PendingReason[] = [];
      for (const [run, live] of entries.get(key)?.runs ?? [])
        for (const [index, { status }] of instancesOf(live)) {
          const reason = status === 'pending' ? pending?.why(instanceKey(key, run, index)) : undefined;
          if (reason !== undefined) reasons.push(reason);
        }
      return reasons;
    },
    pending_page(limit, after, sees) {
      let total = 0;
      // The least of those beyond the cursor, in order: a hundred thousand that wait are not sorted for a page of a hundred.
      const page: InstanceKey[] = [];
      let more = false;
      for (const key of pending?.keys() ?? []) {
        if (sees !== undefined && !sees(roleOf(key))) continue;
        total++;
        if (after !== undefined && key <= after) continue;
        if (page.length >= limit) {
          more = true;
          if (key > page.at(-1)!) continue;
          page.pop();
        }
        page.splice(placeOf(page, key), 0, key);
      }
      const rows = page.flatMap(key => pending?.why(key) ?? []);
      return more ? { rows, total, next: page.at(-1)! } : { rows, total };
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    instance_counts: () => counts,
  };
}

/**
 * A job as it is seen: the parts that are dear (its runs, its next instant) are put together when somebody looks at
 * them. Each record in it is immutable, but which records it shows follows the board: read it at once, do not keep it.
 */
class JobWindow implements JobView {
  readonly key: JobKey;
  readonly record: JobRecord;
  readonly #entry: Entry;
  readonly #nextAt: ProjectionInputs['nextAt'];
  readonly #quarantined: ProjectionInputs['quarantined'];

  constructor(
    entry: Entry,
    record: JobRecord,
    nextAt: ProjectionInputs['nextAt'],
    quarantined: ProjectionInputs['quarantined'],
  ) {
    this.key = entry.key;
    this.record = record;
    this.#entry = entry;
    this.#nextAt = nextAt;
    this.#quarantined = quarantined;
  }
  get tally() {
    return this.#entry.tally;
  }
  get trigger() {
    return this.#entry.trigger;
  }
  get update() {
    return this.#entry.update;
  }
  get next_at() {
    return this.#nextAt?.(this.key);
  }
  get quarantined() {
    return this.#quarantined?.(this.key);
  }
  get runs(): readonly RunView[] {
    const runs: RunView[] = [];
    for (const live of this.#entry.runs.values())
      if (live.record !== undefined) runs.push(runView(this.key, live, live.record));
    return runs;
  }
}

/** Instances that wait for their first place have no record of their own, but for those of services: how many. */
const unrecorded = ({ record, recorded }: LiveRun): number =>
  record === undefined || record.cause.type === 'service' ? 0 : record.instances - recorded;

function recordedOf({ record, instances }: LiveRun): number {
  let count = 0;
  for (const index of instances.keys()) if (index < (record?.instances ?? 0)) count++;
  return count;
}

/** Every instance of a run, those that its record alone speaks of among them. */
function instancesOf(live: LiveRun): Iterable<readonly [number, InstanceRecord]> {
  const { record, instances } = live;
  if (record === undefined || unrecorded(live) === 0) return instances;
  const waits = firstRecord(record.created_at);
  const all = new Map(instances);
  for (let index = 0; index < record.instances; index++) if (!all.has(index)) all.set(index, waits);
  return all;
}

function runView(job: JobKey, live: LiveRun, record: RunRecord): RunView {
  const instances: InstanceView[] = [];
  for (const [index, one] of instancesOf(live)) {
    const key: InstanceKey = `${job}/${record.run}/${index}`;
    // A pending instance is between attempts: the one before is over, the next has not been given to Mesos.
    const task_id = one.status === 'pending' || one.attempt < 1 ? undefined : taskId(key, one.attempt);
    instances.push(task_id === undefined ? { key, index, record: one } : { key, index, task_id, record: one });
  }
  instances.sort((a, b) => a.index - b.index);
  return { record, instances };
}

/** Whoever is being deleted follows nobody any more. A record that says nothing of its job is somebody else's mistake to find. */
const parentsOf = (record: Partial<JobRecord> | undefined): readonly JobKey[] =>
  record?.deleting === true ? [] : (record?.job?.parents ?? []);

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Where `key` stands in `sorted`, or would stand. */
function placeOf(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
