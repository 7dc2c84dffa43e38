// board.ts: all jobs as rows, kept up to date for as long as somebody looks.
//
// Sorting and searching 50,000 jobs is cheap when a row is at hand and dear when it must be made of a job, its counters and
// its runs. So rows are made once, and again only for jobs of which a record was committed. Nobody looking: no board.

import { type JobKey, roleOf } from '../../actors/model/ids.ts';
import type { FeedBatch, JobView, Views } from '../../actors/model/views.ts';
import type { Counters, ListWatch } from './messages.ts';
import {
  addTo,
  belongs,
  countersOf,
  firstOf,
  order,
  type Row,
  rowOf,
  sameRow,
  searchText,
  searchWords,
} from './rows.ts';

export interface Board {
  /** Grows with every change that a list could show. */
  version(): number;
  /** Whether every job has its row. */
  complete(): boolean;
  /** Makes rows for further jobs, while there are some; call it until `complete`. */
  build(): void;
  /** Remembers whose rows may have changed. */
  note(batch: FeedBatch): void;
  /** Makes the rows anew that `note` spoke of, and says which jobs those were. */
  refresh(): ReadonlySet<JobKey>;
  /** Looks again at jobs for what no record speaks of: when they are due next. */
  glance(keys: Iterable<JobKey>): void;
  window(
    watch: ListWatch,
    sees: Sees,
  ): { readonly total: number; readonly rows: readonly Row[]; readonly counters: Counters };
}
/** Which job roles somebody may see; undefined = all of them. */
export type Sees = ((role: string) => boolean) | undefined;

/** Jobs turned into rows in one go: about ten milliseconds' worth. */
const rows_per_build = 1_000;

type Entry = { row: Row; text: string; record: JobView['record'] };

export function createBoard(views: Views): Board {
  const entries = new Map<JobKey, Entry>();
  /** In key order; undefined when jobs came or went since it was made. */
  let sorted: readonly Entry[] | undefined = [];
  const counters = { ...countersOf([]) };
  let dirty = new Set<JobKey>();
  /** Jobs whose rows were made since the last glance: the timetable may have said its word after their records. */
  const recent = new Set<JobKey>();
  let version = 0;
  let built_to: JobKey | undefined;
  let complete = false;

  const set = (key: JobKey, view: JobView | undefined) => {
    const before = entries.get(key);
    if (view === undefined) {
      if (before === undefined) return;
      entries.delete(key);
      addTo(counters, before.row, -1);
      sorted = undefined;
      version++;
      return;
    }
    const made = rowOf(view);
    const row = before !== undefined && sameRow(before.row, made) ? before.row : made;
    if (before === undefined) {
      entries.set(key, { row, text: searchText(view), record: view.record });
      sorted = undefined;
    } else {
      const text = before.record === view.record ? before.text : searchText(view);
      if (before.row === row && before.text === text) {
        before.record = view.record;
        return;
      }
      addTo(counters, before.row, -1);
      Object.assign(before, { row, text, record: view.record });
    }
    addTo(counters, row, 1);
    version++;
  };

  const inOrder = (): readonly Entry[] => {
    sorted ??= [...entries.values()].sort((a, b) => (a.row.key < b.row.key ? -1 : 1));
    return sorted;
  };

  return {
    version: () => version,
    complete: () => complete,
    build() {
      const page = views.jobs(rows_per_build, built_to);
      for (const view of page) set(view.key, view);
      built_to = page.at(-1)?.key ?? built_to;
      complete = page.length < rows_per_build;
    },
    note({ changes }) {
      for (const { kind, key } of changes) {
        const job = jobOf(kind, key);
        if (job !== undefined) dirty.add(job);
      }
    },
    refresh() {
      const changed = dirty;
      dirty = new Set();
      for (const key of changed) {
        set(key, views.job(key));
        recent.add(key);
      }
      return changed;
    },
    glance(keys) {
      for (const key of keys) recent.add(key);
      for (const key of recent) set(key, views.job(key));
      recent.clear();
    },
    window(watch, sees) {
      const { search, filter, sort, descending, offset, limit } = watch;
      const words = searchWords(search);
      const cut = <T>(found: readonly T[]): readonly T[] => found.slice(offset, offset + limit);
      const all = inOrder();
      if (sort === 'key' && !descending && words.length === 0 && filter === 'all' && sees === undefined)
        return { total: all.length, rows: cut(all).map(entry => entry.row), counters: { ...counters } };
      const visible: Row[] = [];
      const rows: Row[] = [];
      const test = belongs[filter];
      for (const { row, text } of all) {
        if (sees !== undefined && !sees(roleOf(row.key))) continue;
        if (sees !== undefined) visible.push(row);
        if (test(row) && words.every(word => text.includes(word))) rows.push(row);
      }
      if (sort === 'key' && descending) rows.reverse();
      return {
        total: rows.length,
        rows: cut(sort === 'key' ? rows : firstOf(rows, offset + limit, order(sort, descending))),
        counters: sees === undefined ? { ...counters } : countersOf(visible),
      };
    },
  };
}

const of_no_job: ReadonlySet<string> = new Set(['meta', 'framework', 'audit', 'letter', 'place', 'sent-letter']);

/** The job that a record is about: job keys have three parts, and every key of a job's records begins with its own. */
function jobOf(kind: string, key: string): JobKey | undefined {
  if (of_no_job.has(kind)) return undefined;
  const first = key.indexOf('/');
  const second = key.indexOf('/', first + 1);
  const third = key.indexOf('/', second + 1);
  return third < 0 ? key : key.slice(0, third);
}
