// exporter.ts: history is written to Cassandra as it comes, and what was missed later, while nobody waits for it.
//
// Two ways lead there. What is committed is put in a line, of bounded length, and written within moments. When the line is
// too long, because Cassandra is away, or when we have only just begun, we are *behind*: then the history itself, which is on
// disk, is gone through from where we know that everything was written. That place is kept in Cassandra, because it tells what
// that Cassandra has: another node that leads, or the same one after a restart, goes on from it, and in an empty one all of
// the history that is kept is written. Rows are named by task and instant, so one that is written twice is there once.

import { instanceKey, type JobKey, splitInstanceKey, taskId } from '../../actors/model/ids.ts';
import type { Attempted, FinishedAttempt, InstanceRecord } from '../../actors/model/records.ts';
import type { FeedChange, Views } from '../../actors/model/views.ts';
import type { Clock, Wake } from '../../schedules/clock.ts';
import type { History } from '../journal/journal.ts';
import type { Row } from './layout.ts';
import { type Context, type Elements, elementsOf, rowOfTask, rowsOfAttempt } from './rows.ts';
import { Refusal, type Store } from './store.ts';

export type ExporterOptions = {
  /** A connection to Cassandra, with the tables there. */
  readonly open: () => Promise<Store>;
  readonly views: Pick<Views, 'job' | 'jobs' | 'run' | 'finished_run' | 'finished_runs' | 'subscribe'>;
  readonly history: Pick<History, 'page'>;
  /** When history has everything from before. */
  readonly caught_up: Promise<void>;
  /** Entries that may wait in line. */
  readonly waiting_max: number;
  /** Writes under way at once. */
  readonly in_flight_max: number;
  readonly clock: Clock;
  /** Told of each row. */
  readonly counted: (answer: 'written' | 'expired' | 'refused') => void;
  readonly log: Log;
};
type Log = Readonly<Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>>;

export interface Exporter {
  /** How far we are. */
  state(): ExporterState;
  /** Writes what is in line, if Cassandra is there, for a short while; then ends. */
  close(): Promise<void>;
}
export type ExporterState = {
  readonly connected: boolean;
  /** Something is not written that was committed before the line began. */
  readonly behind: boolean;
  readonly waiting: number;
  /** How old the oldest is that may not be written. */
  readonly lag_ms: number;
};

/** What is to be written of a task. */
type Entry = { readonly heard_at: number; readonly rows: readonly Row[] };
/** Where the way through the history has come to. `lost`: the line was given up meanwhile, so it is to be gone once more. */
type Walk = { readonly since: number; readonly begun_at: number; before: string | undefined; lost: boolean };

const rows_per_page = 200;
/** An attempt ends, by the clock of whoever led, before it is committed; and clocks of nodes differ. */
const slack_ms = 600_000;
/** What was answered for may be gone with a Cassandra that died: it keeps the last seconds in memory unless told otherwise. */
const slack_again_ms = 60_000;
const cursor_interval_ms = 5_000;
const pause_ms_min = 500;
const pause_ms_max = 30_000;
const closing_ms_max = 3_000;
/** Tasks of which it is remembered that they run, or what they have done; the history tells it again when they end. */
const tasks_max = 100_000;

export function openExporter(options: ExporterOptions): Exporter {
  const { views, history, clock, log, waiting_max, in_flight_max } = options;
  let line: Entry[] = [];
  let behind = true;
  /** Since when there is something that is not written and not in line. */
  let behind_since = clock.now();
  let cursor: number | undefined;
  let kept: number | undefined;
  let walk: Walk | undefined;
  /** All was written once, by us: what we heard since is as our own clock says. */
  let was_whole = false;
  let store: Store | undefined;
  let closing = false;
  let stir: () => void = () => undefined;
  const running = new Set<string>();
  /** How many elements tasks have done with, where that is not written: the last that each has said. */
  const counted = new Map<string, Elements>();

  const contextOf = (job: JobKey, run: string): Context => ({
    job: views.job(job)?.record,
    run: views.run(job, run)?.record ?? views.finished_run(job, run),
  });
  const enter = (entry: Entry, elements?: Elements) => {
    if (elements !== undefined) {
      if (counted.size >= tasks_max) counted.clear();
      counted.set(elements.task_id, elements);
    }
    if (entry.rows.length > 0) {
      if (line.length >= waiting_max) giveUpLine(line[0]!);
      line.push(entry);
    }
    stir();
  };
  /** It is all on disk: the way through the history finds it again. */
  const giveUpLine = (oldest: Entry) => {
    if (walk !== undefined) walk.lost = true;
    if (!behind) behind_since = cursor ?? oldest.heard_at;
    behind = true;
    line = [];
    running.clear();
  };
  const hear = ({ kind, key, body }: FeedChange) => {
    if (body === undefined) return;
    if (kind === 'finished-attempt') {
      const attempt = body as FinishedAttempt;
      const { job, run } = whose(key, attempt);
      const context = contextOf(job, run);
      running.delete(attempt.task_id);
      const entry = { heard_at: clock.now(), rows: rowsOfAttempt(attempt, context) };
      enter(entry, elementsOf(attempt.task_id, attempt.elements, context));
    }
    if (kind === 'instance') hearInstance(key, body as InstanceRecord);
  };
  const hearInstance = (key: string, record: InstanceRecord) => {
    if (!isUnderWay(record)) return;
    const { job, run } = splitInstanceKey(key);
    const rows = firstWord(key, record, () => contextOf(job, run));
    const elements =
      record.elements === undefined
        ? undefined
        : elementsOf(taskId(key, record.attempt), record.elements, contextOf(job, run));
    if (rows.length > 0 || elements !== undefined) enter({ heard_at: clock.now(), rows }, elements);
  };
  /** That a task runs: once, however often its record changes. */
  const firstWord = (key: string, record: UnderWay, context: () => Context): readonly Row[] => {
    const task_id = taskId(key, record.attempt);
    if (running.has(task_id)) return [];
    if (running.size >= tasks_max) running.clear();
    running.add(task_id);
    const row = rowOfTask(task_id, record.started_at, record.agent_id, context());
    return row === undefined ? [] : [row];
  };

  // --- writing -------------------------------------------------------------------------------------------------------

  const write = async (to: Store, entries: readonly Entry[]): Promise<void> => {
    const rows = entries.flatMap(({ rows: each }) => each);
    await abreast(rows, in_flight_max, row => accepted(row.id, async () => options.counted(await to.write(row))));
  };
  /** One after the other: each is read before it is changed. */
  const writeCounted = async (to: Store): Promise<void> => {
    for (const [task_id, elements] of counted) {
      await accepted(task_id, () => to.count(elements));
      // Unless more was said meanwhile.
      if (counted.get(task_id) === elements) counted.delete(task_id);
    }
  };
  const accepted = async (task: string, writing: () => Promise<void>) => {
    try {
      await writing();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      options.counted('refused');
      log.error({ task, error: error.message }, 'Cassandra refuses a row of history: it is left out');
    }
  };
  const drain = async (to: Store): Promise<void> => {
    while (line.length > 0) {
      const taken = line;
      const some = taken.slice(0, rows_per_page);
      await write(to, some);
      // Unless the line was given up meanwhile.
      taken.splice(0, some.length);
      if (!behind) cursor = line[0]?.heard_at ?? clock.now();
      await keepCursor(to, cursor_interval_ms);
    }
    if (!behind) cursor = clock.now();
    await writeCounted(to);
  };

  const catchUp = async (to: Store): Promise<void> => {
    // One that broke off goes on where it was.
    const slack = was_whole ? slack_again_ms : slack_ms;
    walk ??= { since: (cursor ?? 0) - slack, begun_at: clock.now(), before: undefined, lost: false };
    const here = walk;
    const causes = causesOf(views);
    for (;;) {
      if (closing) throw new Error('it is being closed');
      const page = history.page('finished-attempt', '', rows_per_page, here.before);
      const entries: Entry[] = [];
      let next = page.next;
      for (const { key, body } of page.rows) {
        const attempt = body as FinishedAttempt;
        const { job, run, at } = whose(key, attempt);
        if (at < here.since) {
          // What is older of this job is written; the next one's newest come first again.
          next = `${job}/`;
          break;
        }
        const context: Context = { job: views.job(job)?.record, run: causes(job, run) };
        entries.push({ heard_at: at, rows: rowsOfAttempt(attempt, context) });
        const elements = elementsOf(attempt.task_id, attempt.elements, context);
        if (elements !== undefined) counted.set(elements.task_id, elements);
      }
      await write(to, entries);
      await writeCounted(to);
      if (next === undefined) break;
      here.before = next;
      await breath();
    }
    await writeRunning(to);
    walk = undefined;
    was_whole = true;
    behind = here.lost;
    cursor = here.begun_at;
    behind_since = here.begun_at;
    if (!behind)
      log.info({ since: new Date(Math.max(0, here.since)).toISOString() }, 'the history in Cassandra is whole');
  };
  /** Tasks that were running before anybody listened. */
  const writeRunning = async (to: Store): Promise<void> => {
    for (let after: string | undefined; ; ) {
      const page = views.jobs(rows_per_page, after);
      const entries = page.flatMap(({ key, record: job, runs }) =>
        runs.flatMap(({ record: run, instances }) =>
          instances.flatMap(({ index, record: at }): Entry[] => {
            if (!isUnderWay(at)) return [];
            const rows = firstWord(instanceKey(key, run.run, index), at, () => ({ job, run }));
            return rows.length === 0 ? [] : [{ heard_at: at.started_at, rows }];
          }),
        ),
      );
      try {
        await write(to, entries);
      } catch (error) {
        running.clear(); // They have not been told after all.
        throw error;
      }
      if (page.length < rows_per_page) return;
      after = page.at(-1)!.key;
      await breath();
    }
  };

  const keepCursor = async (to: Store, age_ms_min: number): Promise<void> => {
    if (cursor === undefined || cursor - (kept ?? 0) < age_ms_min) return;
    await to.keepCursor(cursor);
    kept = cursor;
  };

  // --- its life ------------------------------------------------------------------------------------------------------

  const live_on = async (): Promise<void> => {
    await options.caught_up;
    let failures = 0;
    while (!closing) {
      try {
        store = await options.open();
        cursor ??= await store.cursor();
        log.info({ behind, waiting: line.length }, 'Cassandra is there: history is written to it');
        while (!closing) {
          if (behind) await catchUp(store);
          await drain(store);
          failures = 0;
          await keepCursor(store, cursor_interval_ms);
          if (!behind) await stirred(cursor_interval_ms);
        }
        await drain(store);
        await keepCursor(store, 1);
      } catch (error) {
        failures++;
        if (!behind) behind_since = cursor ?? clock.now();
        behind = true;
        const fields = { error: wordsOf(error), behind, waiting: line.length };
        if (failures === 1 && !closing)
          log.warn(fields, 'Cassandra takes nothing: history waits on this disk, and is written later');
        await store?.close().catch(closed => log.warn({ error: wordsOf(closed) }, 'the connection did not end well'));
        store = undefined;
        if (!closing) await paused(Math.min(pause_ms_max, pause_ms_min * 2 ** Math.min(10, failures - 1)));
      }
    }
    await store?.close();
    store = undefined;
  };
  /** Resolves when something is in line, or so much later. */
  const stirred = (ms: number) => {
    if (line.length > 0 || counted.size > 0 || closing) return Promise.resolve();
    return paused(ms, true);
  };
  const paused = (ms: number, may_stir = false) =>
    new Promise<void>(resolve => {
      let wake: Wake | undefined;
      const over = () => {
        wake?.cancel();
        stir = () => undefined;
        end = () => undefined;
        resolve();
      };
      wake = clock.wakeAt(clock.now() + ms, over);
      if (may_stir) stir = over;
      end = over;
    });
  let end: () => void = () => undefined;

  const state = (): ExporterState => {
    const oldest = behind ? behind_since : line[0]?.heard_at;
    return {
      connected: store !== undefined,
      behind,
      waiting: line.length,
      lag_ms: oldest === undefined ? 0 : Math.max(0, clock.now() - oldest),
    };
  };
  const unsubscribe = views.subscribe(({ changes }) => {
    for (const change of changes)
      try {
        hear(change);
      } catch (error) {
        // Whoever commits must not hear of it.
        options.counted('refused');
        log.error(
          { kind: change.kind, key: change.key, error: wordsOf(error) },
          'a record cannot be told to Cassandra',
        );
      }
  });
  const life = live_on();
  return {
    state,
    async close() {
      unsubscribe();
      closing = true;
      end();
      let late: Wake | undefined;
      await Promise.race([
        life,
        new Promise<void>(resolve => {
          late = clock.wakeAt(clock.now() + closing_ms_max, resolve);
        }),
      ]);
      late?.cancel();
      await store?.close().catch(() => undefined);
    },
  };
}

/** It has begun, and Mesos has a task of it. */
type UnderWay = Extract<InstanceRecord, Attempted> & { readonly started_at: number };
const isUnderWay = (at: InstanceRecord): at is UnderWay =>
  at.status !== 'pending' && at.status !== 'over' && at.status !== 'awaiting' && at.started_at !== undefined;

/** From the key of a finished attempt: `role/environment/name/instant/task`, and from the task its run. */
function whose(
  key: string,
  { task_id }: FinishedAttempt,
): { readonly job: JobKey; readonly run: string; readonly at: number } {
  const [role, environment, name, instant = ''] = key.split('/');
  const run = task_id.split(':')[3] ?? '';
  return { job: `${role}/${environment}/${name}`, run, at: Number.parseInt(instant, 36) };
}

/** Why runs were: of one job after the other, newest first, each page of its finished runs read once. */
function causesOf(views: ExporterOptions['views']): (job: JobKey, run: string) => Context['run'] {
  let now: { job: JobKey; known: Map<string, Context['run']>; before: string | undefined; over: boolean } | undefined;
  return (job, run) => {
    if (now?.job !== job) now = { job, known: new Map(), before: undefined, over: false };
    const active = views.run(job, run)?.record;
    if (active !== undefined) return active;
    while (!now.known.has(run) && !now.over) {
      const { rows, next } = views.finished_runs(job, rows_per_page, now.before);
      for (const row of rows) now.known.set(row.run, row);
      now.before = next;
      now.over = next === undefined;
    }
    return now.known.get(run);
  };
}

/** Each of them, so many at a time; rejects with the first that fails, when those under way have ended. */
async function abreast<T>(items: readonly T[], at_once: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const walk = async () => {
    while (next < items.length) await work(items[next++]!);
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(at_once, items.length) }, walk));
  for (const one of ends) if (one.status === 'rejected') throw one.reason;
}

const breath = () => new Promise<void>(resolve => setImmediate(resolve));
const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
