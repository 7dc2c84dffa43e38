// lmdb-history.ts: what has been, as rows in lmdb.
//
// A row's key is the record's key, so that pages come out in order and a job's rows stand together; its value is the
// instant of its commit in eight bytes, which retention reads without decoding the rest, and then the packed body.
// Rows are put in the transaction of the segment that brought them, and read without ever waiting for a writer.

import type { Database, RootDatabase } from 'lmdb';
import { Packr } from 'msgpackr';
import { asJournalError } from './directory.ts';
import {
  type History,
  type HistoryKind,
  type HistoryPage,
  history_kinds,
  type RecordEnvelope,
  type Retention,
  type Schemas,
} from './journal.ts';
import { isPoison, present } from './records.ts';
import { retentionCount } from './retention.ts';

export type LmdbHistory = History & {
  readonly tables: readonly Rows[];
  /** Puts a row; to be called inside a transaction. */
  readonly put: (record: RecordEnvelope, at: number) => void;
  /** Drops rows past their retention, a few at a time, each few in a transaction of their own. */
  readonly compact: (
    now: number,
    retention: Retention,
    transact: (writes: () => void) => Promise<void>,
  ) => Promise<void>;
};

type Rows = Database<Buffer, Buffer>;
const at_bytes = 8;
/** Rows looked at between two breaths: about a millisecond. */
const rows_per_slice = 2_000;
const packr = new Packr({ useRecords: true });

export function lmdbHistory(
  root: RootDatabase,
  path: string,
  schemas: Schemas,
  poisoned: (kind: HistoryKind, key: string, reason: string) => void,
): LmdbHistory {
  const tables = new Map<HistoryKind, Rows>(
    history_kinds.map(kind => [
      kind,
      root.openDB<Buffer, Buffer>({ name: `history ${kind}`, keyEncoding: 'binary', encoding: 'binary' }),
    ]),
  );
  const table = (kind: HistoryKind): Rows => tables.get(kind)!;

  /** undefined for a row that cannot be read: it stays where it is, and is reported. */
  const bodyOf = (kind: HistoryKind, key: string, value: Buffer): unknown | undefined => {
    try {
      const [schema, body] = packr.unpack(value.subarray(at_bytes)) as [number, unknown];
      const read = present(schemas, { kind, key, body, schema, sequence: 0 });
      if (!isPoison(read)) return read.body;
      poisoned(kind, key, read.reason);
    } catch (error) {
      poisoned(kind, key, error instanceof Error ? error.message : String(error));
    }
    return undefined;
  };
  const reading = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      throw asJournalError(error, path);
    }
  };

  return {
    tables: [...tables.values()],
    put({ kind, key, schema, body }, at) {
      const packed = packr.pack([schema, body]);
      const value = Buffer.allocUnsafe(at_bytes + packed.length);
      value.writeDoubleBE(at, 0);
      value.set(packed, at_bytes);
      table(kind as HistoryKind).put(Buffer.from(key), value);
    },
    page(kind, prefix, limit, before): HistoryPage {
      return reading(() => {
        const rows: { key: string; body: unknown }[] = [];
        // Downwards from just above the last key that can begin with the prefix; lmdb-js includes `start` and not `end`.
        const above = Buffer.concat([Buffer.from(prefix), Buffer.from([0xff])]);
        const upper = before === undefined ? above : lesser(Buffer.from(before), above);
        const lowest = Buffer.from(prefix);
        for (const entry of table(kind).getRange({ start: upper, reverse: true, snapshot: false })) {
          if (entry.key.compare(upper) >= 0) continue;
          if (entry.key.compare(lowest) < 0) break;
          if (rows.length === limit) return { rows, next: rows.at(-1)!.key };
          const key = entry.key.toString();
          const body = bodyOf(kind, key, entry.value);
          if (body !== undefined) rows.push({ key, body });
        }
        return { rows };
      });
    },
    get(kind, key) {
      return reading(() => {
        const value = table(kind).getBinary(Buffer.from(key));
        return value === undefined ? undefined : bodyOf(kind, key, value);
      });
    },
    count(kind, prefix) {
      return reading(() => {
        const end = Buffer.concat([Buffer.from(prefix), Buffer.from([0xff])]);
        return prefix === ''
          ? table(kind).getKeysCount()
          : table(kind).getKeysCount({ start: Buffer.from(prefix), end });
      });
    },
    async compact(now, retention, transact) {
      for (const kind of history_kinds) {
        const limits = retention[kind];
        if (limits === undefined) continue;
        const gone = retentionCount(limits, now);
        let below: Buffer | undefined;
        do {
          const slice = reading(() => sliceBelow(table(kind), below));
          const keys = slice.filter(row => gone(row.key.toString(), row.at)).map(row => row.key);
          if (keys.length > 0)
            await transact(() => {
              for (const key of keys) table(kind).remove(key);
            });
          below = slice.at(-1)?.key;
          await new Promise<void>(resolve => setImmediate(resolve));
        } while (below !== undefined);
      }
    },
  };
}

/** The next rows below a key, newest first, with the instants of their commits. */
function sliceBelow(rows: Rows, below: Buffer | undefined): { key: Buffer; at: number }[] {
  const slice: { key: Buffer; at: number }[] = [];
  const start = below === undefined ? {} : { start: below };
  for (const { key, value } of rows.getRange({ ...start, reverse: true, limit: rows_per_slice + 1 }))
    if (below === undefined || key.compare(below) < 0) slice.push({ key, at: value.readDoubleBE(0) });
  return slice;
}

const lesser = (a: Buffer, b: Buffer): Buffer => (a.compare(b) < 0 ? a : b);
