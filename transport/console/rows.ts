// rows.ts: a job as one line of a list: what somebody wants to know who looks at hundreds of them. Pure.

import type { Job, ScheduleDocument } from '../../actors/model/job.ts';
import type { RunOutcome } from '../../actors/model/records.ts';
import type { JobView } from '../../actors/model/views.ts';
import type { Counters, Filter, Sort } from './messages.ts';

export type RowKind = 'service' | 'cron' | 'interval' | 'mixed' | 'dependent' | 'once';
/**
 * In the order of the column: what needs a person comes first. `done`: over, with nothing to come. `stopped`: a service
 * without a run.
 */
export const row_states = [
  'quarantined',
  'failed',
  'waiting',
  'killing',
  'running',
  'paused',
  'scheduled',
  'done',
  'stopped',
  'disabled',
  'deleting',
] as const;
export type RowState = (typeof row_states)[number];

export type Row = {
  readonly key: string;
  readonly kind: RowKind;
  readonly state: RowState;
  readonly description?: string;
  /** The first schedule as written, and how many more there are. */
  readonly schedule?: string;
  readonly schedules_more?: number;
  /** The first schedule in words; only on rows that are shown. */
  readonly words?: string;
  readonly enabled: boolean;
  /** Failed since it last succeeded, or failing to stay up. */
  readonly failing: boolean;
  /** Instances that run, of those that live. */
  readonly running: number;
  readonly live: number;
  /** Instances without a place, and starts behind an active run. */
  readonly waiting: number;
  readonly runs: number;
  readonly next_at?: number;
  readonly last_outcome?: RunOutcome;
  readonly last_at?: number;
  readonly successes: number;
  readonly failures: number;
  readonly failures_in_a_row: number;
  readonly quarantined?: string;
};

const description_length_max = 160;

export function rowOf(view: JobView): Row {
  const { record, tally, trigger, next_at, runs, quarantined } = view;
  const { job } = record;
  let running = 0;
  let live = 0;
  let placeless = 0;
  let flapping = false;
  let killing = runs.length > 0;
  for (const run of runs) {
    if (run.record.killing === undefined) killing = false;
    live += run.record.instances;
    for (const { record: one } of run.instances) {
      if (one.status === 'running') running++;
      if (one.status === 'pending') placeless++;
      if (job.service && one.status === 'pending' && one.failures > 0) flapping = true;
    }
  }
  const waiting_starts = trigger?.waiting.length ?? 0;
  const failures_in_a_row = tally?.failures_since_success ?? 0;
  const last = lastOf(tally?.last_success_at, tally?.last_failure_at);
  const failing = failures_in_a_row > 0 || flapping || quarantined !== undefined;
  const state = (): RowState => {
    if (quarantined !== undefined) return 'quarantined';
    if (record.deleting === true) return 'deleting';
    if (killing) return 'killing';
    if (running > 0) return 'running';
    if (runs.length > 0 || waiting_starts > 0) return 'waiting';
    if (!job.enabled) return 'disabled';
    if (job.service) return 'stopped';
    if (trigger?.paused !== undefined) return 'paused';
    if (failing) return 'failed';
    // It will run, and when is for its parents to say.
    return next_at === undefined && job.parents === undefined ? 'done' : 'scheduled';
  };
  const [first, ...more] = job.schedules;
  return {
    key: view.key,
    kind: kindOf(job),
    state: state(),
    ...(job.description === undefined ? {} : { description: job.description.slice(0, description_length_max) }),
    ...(first === undefined ? {} : { schedule: textOf(first) }),
    ...(more.length === 0 ? {} : { schedules_more: more.length }),
    enabled: job.enabled,
    failing,
    running,
    live,
    waiting: placeless + waiting_starts,
    runs: runs.length,
    // What passes while it is paused is no run.
    ...(next_at === undefined || trigger?.paused !== undefined ? {} : { next_at }),
    ...(last === undefined ? {} : { last_outcome: last.outcome, last_at: last.at }),
    successes: tally?.successes ?? 0,
    failures: tally?.failures ?? 0,
    failures_in_a_row,
    ...(quarantined === undefined ? {} : { quarantined }),
  };
}

export const textOf = (schedule: ScheduleDocument): string => schedule.cron ?? schedule.iso8601 ?? '';

function kindOf(job: Job): RowKind {
  if (job.service) return 'service';
  if (job.parents !== undefined) return 'dependent';
  if (job.schedules.length === 0) return 'once';
  const crons = job.schedules.filter(one => one.cron !== undefined).length;
  return crons === 0 ? 'interval' : crons === job.schedules.length ? 'cron' : 'mixed';
}

function lastOf(succeeded: number | undefined, failed: number | undefined) {
  if (succeeded === undefined && failed === undefined) return undefined;
  return (failed ?? -Infinity) > (succeeded ?? -Infinity)
    ? ({ outcome: 'failed', at: failed! } as const)
    : ({ outcome: 'succeeded', at: succeeded! } as const);
}

/** Whether two rows would be shown alike. */
export function sameRow(a: Row, b: Row): boolean {
  const names = Object.keys(a) as (keyof Row)[];
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name]);
}

export const belongs: { readonly [filter in Filter]: (row: Row) => boolean } = {
  all: () => true,
  running: row => row.running > 0,
  waiting: row => row.waiting > 0,
  failing: row => row.failing,
  disabled: row => !row.enabled,
  service: row => row.kind === 'service',
  scheduled: row => row.schedule !== undefined,
};

export function countersOf(rows: Iterable<Row>): Counters {
  const counters = { all: 0, running: 0, waiting: 0, failing: 0, disabled: 0, service: 0, scheduled: 0 };
  for (const row of rows) addTo(counters, row, 1);
  return counters;
}

const filter_tests = Object.entries(belongs) as [Filter, (row: Row) => boolean][];
export function addTo(counters: { [filter in Filter]: number }, row: Row, amount: 1 | -1): void {
  for (const [filter, test] of filter_tests) if (test(row)) counters[filter] += amount;
}

/** What a search looks through: lower case, so that it need not be made so at every keystroke. */
export function searchText(view: JobView): string {
  const { description = '', owner = '', labels } = view.record.job;
  return [view.key, description.slice(0, 500), owner, ...Object.entries(labels).flat()].join('\n').toLowerCase();
}

/** Every word of a search has to be there. */
export const searchWords = (search: string): readonly string[] => search.toLowerCase().split(/\s+/).filter(Boolean);

/** Order of a column; rows come in key order and stay so where a column does not tell them apart. */
export function order(sort: Exclude<Sort, 'key'>, descending: boolean): (a: Row, b: Row) => number {
  const sign = descending ? -1 : 1;
  const value = (row: Row): number | undefined => {
    switch (sort) {
      case 'state':
        return row_states.indexOf(row.state);
      case 'next':
        return row.next_at;
      case 'last':
        return row.last_at;
    }
  };
  return (a, b) => {
    const left = value(a);
    const right = value(b);
    // Rows without a value stand at the end, whichever way the others go.
    if (left === undefined || right === undefined) return left === right ? 0 : left === undefined ? 1 : -1;
    return sign * (left - right);
  };
}

/**
 * The first `count` rows in an order, as sorting all of them would give them: a list of which a screenful is seen is not sorted
 * whole ten times a second.
 */
export function firstOf(rows: readonly Row[], count: number, compare: (a: Row, b: Row) => number): readonly Row[] {
  const kept: Row[] = [];
  const cut = () => {
    kept.sort(compare);
    kept.length = Math.min(kept.length, count);
  };
  let last: Row | undefined;
  for (const row of rows) {
    // What is told apart by nothing stays as it came, so one that comes later does not go before.
    if (last !== undefined && compare(row, last) >= 0) continue;
    kept.push(row);
    if (kept.length < 2 * count) continue;
    cut();
    last = kept.at(-1);
  }
  cut();
  return kept;
}
