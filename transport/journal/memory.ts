// memory.ts: a journal that lives as long as the process, for simulations and tests.
//
// It keeps every record ever appended, packed as the other homes pack them, so that what is restored has been through
// the same encoding as what comes back from a disk and shares no object with the living. Because nothing is thrown away,
// a test can ask for the journal that a crash would have left after any record, again and again.

import {
  type History,
  type HistoryKind,
  type Journal,
  JournalError,
  type RecordEnvelope,
  type Restored,
  type Retention,
  type Schemas,
} from './journal.ts';
import { type Delta, envelopes, fold, isHistory, packSegment, present, presentAll, unpackSegment } from './records.ts';
import { expired } from './retention.ts';

export type MemoryJournal = Journal &
  History & {
    /** Sequence number of the last durable record. */
    durable(): number;
    /** Sequence number of the last record handed over, whether its flush has been let through or not. */
    written(): number;
    /**
     * The journal as the next process finds it when this one dies with exactly `records` records on the device: by
     * default all that are durable. Not opened yet; this journal is left as it is. `changed` replaces options.
     */
    crash(records?: number, changed?: MemoryOptions): MemoryJournal;
  };

export type MemoryOptions = {
  readonly schemas?: Schemas;
  readonly retention?: Retention;
  /** The instant with which history rows are stamped; left out, time stands still at 0. */
  readonly now?: () => number;
  /** Stands between writing a batch and calling it durable: a test withholds it, or rejects to play a failing device. */
  readonly flush?: (flushed: Promise<unknown>) => Promise<unknown>;
};

/** One record as it lies on the imagined device. */
type Stored = { readonly at: number; readonly history: boolean; readonly bytes: Uint8Array };
type Row = { readonly key: string; readonly at: number; readonly body: unknown };

export const memoryJournal = (options: MemoryOptions = {}): MemoryJournal => holding([], 0, options);

function holding(log: Stored[], last_epoch: number, options: MemoryOptions): MemoryJournal {
  const schemas = options.schemas ?? {};
  const retention = options.retention ?? {};
  const now = options.now ?? (() => 0);
  const flush = options.flush ?? (flushed => flushed);
  const followers = new Set<(records: readonly RecordEnvelope[], position: number) => void>();
  const history = new Map<HistoryKind, Map<string, Row>>();
  const sorted = new Map<HistoryKind, string[]>();
  let epoch = last_epoch;
  let opened = false;
  let dead: JournalError | undefined;
  let durable = log.length;
  let folded = 0;
  let appending = false;

  const read = (from: number, to: number): RecordEnvelope[] => {
    const records: RecordEnvelope[] = [];
    for (let index = from; index < to; index++)
      records.push(...unpackSegment(log[index]!.bytes, `record ${index + 1}`).records);
    return records;
  };
  const addRows = (from: number, to: number) => {
    for (let index = from; index < to; index++) {
      if (!log[index]!.history) continue;
      const [record] = read(index, index + 1);
      const kind = record!.kind as HistoryKind;
      let rows = history.get(kind);
      if (rows === undefined) {
        rows = new Map();
        history.set(kind, rows);
      }
      const upgraded = present(schemas, record!);
      if (!('reason' in upgraded)) rows.set(record!.key, { key: record!.key, at: log[index]!.at, body: upgraded.body });
      sorted.delete(kind);
    }
  };
  const keysOf = (kind: HistoryKind): readonly string[] => {
    let keys = sorted.get(kind);
    if (keys === undefined) {
      keys = [...(history.get(kind)?.keys() ?? [])].sort();
      sorted.set(kind, keys);
    }
    return keys;
  };
  const alive = () => {
    if (dead !== undefined) throw dead;
    if (!opened) throw new Error('the journal is not open: expected open() first');
  };
  const die = (error: unknown): JournalError => {
    dead ??= error instanceof JournalError ? error : new JournalError('io', `the journal has failed: ${error}`, error);
    return dead;
  };

  return {
    async open(wanted = epoch + 1) {
      if (dead !== undefined) throw dead;
      if (opened) throw new JournalError('locked', 'this journal is already open: expected to be opened once');
      if (wanted <= epoch)
        throw new JournalError('fenced', `epoch ${wanted} is not above ${epoch}, which another writer has had`);
      try {
        addRows(0, durable);
      } catch (error) {
        throw die(error);
      }
      epoch = wanted;
      opened = true;
      return epoch;
    },
    async restore(): Promise<Restored> {
      alive();
      try {
        const delta: Delta = new Map();
        fold(delta, read(0, durable));
        const { good, poison } = presentAll(schemas, delta.values());
        return { position: durable, records: good.filter(record => record.body !== undefined), poison };
      } catch (error) {
        throw die(error);
      }
    },
    async append(changes) {
      alive();
      if (appending) throw new Error('invalid second append: expected the first to have ended');
      if (changes.length === 0) return durable;
      appending = true;
      try {
        const at = now();
        for (const record of envelopes(changes, durable + 1, schemas))
          log.push({
            at,
            history: isHistory(record.kind),
            bytes: packSegment({ first: record.sequence, at, records: [record] }),
          });
        await flush(Promise.resolve());
        if (dead !== undefined) throw dead;
      } catch (error) {
        throw die(error);
      } finally {
        appending = false;
      }
      const before = durable;
      durable = log.length;
      addRows(before, durable);
      if (followers.size > 0) {
        const { good } = presentAll(schemas, read(before, durable));
        for (const follower of followers) follower(good, durable);
      }
      return durable;
    },
    follow(position, batch) {
      alive();
      if (position < folded || position > durable)
        throw new RangeError(`cannot follow from position ${position}: expected ${folded} to ${durable}`);
      if (position < durable) batch(presentAll(schemas, read(position, durable)).good, durable);
      followers.add(batch);
      return () => followers.delete(batch);
    },
    async snapshot() {
      alive();
      folded = durable;
    },
    async compact(at) {
      alive();
      for (const [kind, rows] of history) {
        const newest_first = keysOf(kind)
          .toReversed()
          .map(key => rows.get(key)!);
        for (const key of expired(newest_first, retention[kind] ?? {}, at)) rows.delete(key);
        sorted.delete(kind);
      }
    },
    async close() {
      dead ??= new JournalError('io', 'the journal is closed');
      followers.clear();
    },
    page(kind, prefix, limit, before) {
      const rows: { key: string; body: unknown }[] = [];
      const keys = keysOf(kind);
      for (let index = keys.length - 1; index >= 0; index--) {
        const key = keys[index]!;
        if (!key.startsWith(prefix) || (before !== undefined && key >= before)) continue;
        if (rows.length === limit) return { rows, next: rows.at(-1)!.key };
        rows.push({ key, body: history.get(kind)!.get(key)!.body });
      }
      return { rows };
    },
    get: (kind, key) => history.get(kind)?.get(key)?.body,
    count: (kind, prefix) => keysOf(kind).filter(key => key.startsWith(prefix)).length,
    durable: () => durable,
    written: () => log.length,
    crash(records = durable, changed = {}) {
      if (!Number.isInteger(records) || records < 0 || records > log.length)
        throw new RangeError(`cannot crash after ${records} records: expected 0 to ${log.length}`);
      return holding(log.slice(0, records), epoch, { ...options, ...changed });
    },
  };
}
