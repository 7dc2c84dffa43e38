// records.ts: how records look while they are stored, and how they come back.
//
// A segment is the records of one commit, packed as one value: the names of their fields are written once per segment
// rather than once per record (msgpackr's inline record structures), so that an instance costs some 75 bytes and every
// segment can still be read by itself. A body is kept exactly as it was written, with the version of its shape; it is
// brought up to date when somebody reads it. So a record that cannot be brought up to date is never lost: it stays where
// it is, as it is, and is reported.

import { Packr } from 'msgpackr';
import {
  type Change,
  history_kinds,
  JournalError,
  type KindSchema,
  type Poison,
  type RecordEnvelope,
  type RecordKind,
  type Schemas,
  state_kinds,
} from './journal.ts';

/** The records of one commit, in order; the first has sequence number `first`, the next one more, and so on. */
export type Segment = { readonly first: number; readonly at: number; readonly records: readonly RecordEnvelope[] };

/** The layout that `packSegment` writes. A larger one was written by a newer version of Horae. */
export const layout_version = 1;
/** A history row's key is an lmdb key, which ends at 1,978 bytes; the same limit holds for every key in every home. */
export const key_bytes_max = 1_900;

const all_kinds: ReadonlySet<string> = new Set<string>([...state_kinds, ...history_kinds]);
const kinds_of_history: ReadonlySet<string> = new Set<string>(history_kinds);
export const isHistory = (kind: RecordKind): boolean => kinds_of_history.has(kind);

/** Shape version 1, with nothing to upgrade and nothing to check: what a kind without a schema of its own has. */
const plain: KindSchema = { version: 1, upgrades: {} };
const schemaOf = (schemas: Schemas, kind: RecordKind): KindSchema => schemas[kind] ?? plain;

const packr = new Packr({ useRecords: true });

/** Numbers the changes of one commit from `first`. Throws when a change is none that a journal can take. */
export function envelopes(changes: readonly Change[], first: number, schemas: Schemas): RecordEnvelope[] {
  return changes.map(({ kind, key, body }, index) => {
    if (!all_kinds.has(kind)) throw new Error(`invalid record kind "${kind}" of key "${key}": expected one of ours`);
    if (key === '' || (key.length * 3 > key_bytes_max && Buffer.byteLength(key) > key_bytes_max))
      throw new Error(`invalid key "${key.slice(0, 80)}" of a ${kind} record: expected 1 to ${key_bytes_max} bytes`);
    if (body === undefined && isHistory(kind))
      throw new Error(`invalid deletion of ${kind} "${key}": history is only added to, and dropped by its retention`);
    return { kind, key, body, schema: schemaOf(schemas, kind).version, sequence: first + index };
  });
}

/**
 * `[layout, first, at, kind names, their schema versions, rows]`; a row is a kind's index, the key, the body, and a
 * deletion is the index's complement (`~index`) and the key. Records of a snapshot have gaps in their numbering, so
 * there `sequences` holds a number for each.
 */
export function packSegment({ first, at, records }: Segment, numbered = false): Uint8Array {
  const kinds: string[] = [];
  const versions: number[] = [];
  const rows: unknown[] = [];
  const indexes = new Map<string, number>();
  for (const { kind, schema, key, body } of records) {
    const name = `${kind} ${schema}`;
    let index = indexes.get(name);
    if (index === undefined) {
      index = kinds.push(kind) - 1;
      versions.push(schema);
      indexes.set(name, index);
    }
    if (body === undefined) rows.push(~index, key);
    else rows.push(index, key, body);
  }
  const sequences = numbered ? records.map(record => record.sequence) : null;
  return packr.pack([layout_version, first, at, kinds, versions, sequences, rows]);
}

/** Reads a segment back. Throws JournalError: `corrupt` when it is none, `newer` when its layout is not known here. */
export function unpackSegment(bytes: Uint8Array, place: string): Segment {
  let value: unknown;
  try {
    value = packr.unpack(bytes);
  } catch (error) {
    throw new JournalError('corrupt', `${place} cannot be decoded: expected a segment`, error);
  }
  if (!Array.isArray(value) || typeof value[0] !== 'number')
    throw new JournalError('corrupt', `${place} is not a segment: expected [layout, first, at, ...]`);
  if (value[0] > layout_version)
    throw new JournalError('newer', `${place} has layout ${value[0]}: expected at most ${layout_version}`);
  const [, first, at, kinds, versions, sequences, rows] = value as [
    number,
    number,
    number,
    RecordKind[],
    number[],
    number[] | null,
    unknown[],
  ];
  if (!Array.isArray(kinds) || !Array.isArray(versions) || !Array.isArray(rows))
    throw new JournalError('corrupt', `${place} is not a segment: expected kinds, versions and rows`);
  const records: RecordEnvelope[] = [];
  for (let row = 0; row < rows.length; ) {
    const tag = rows[row] as number;
    const index = tag < 0 ? ~tag : tag;
    const kind = kinds[index];
    const schema = versions[index];
    const key = rows[row + 1] as string;
    if (kind === undefined || schema === undefined || typeof key !== 'string')
      throw new JournalError('corrupt', `${place} has no kind ${index} or no key in row ${row}`);
    const body = tag < 0 ? undefined : rows[row + 2];
    row += tag < 0 ? 2 : 3;
    records.push({ kind, key, body, schema, sequence: sequences?.[records.length] ?? first + records.length });
  }
  return { first, at, records };
}

/** Throws JournalError `newer` when only a newer version of Horae can have written bodies of this kind and shape. */
export function refuseNewerShape(schemas: Schemas, kind: string, version: number, place: string): void {
  const known = all_kinds.has(kind) ? schemaOf(schemas, kind as RecordKind).version : 0;
  if (version > known)
    throw new JournalError(
      'newer',
      `${place} has ${kind} records of shape ${version}: this version of Horae knows ${known === 0 ? 'none' : `shapes up to ${known}`}; start the newer one`,
    );
}

/**
 * Brings a stored record to the present shape of its kind. A record that cannot be brought there is poison. Throws
 * JournalError `newer` for a kind or a shape that only a newer version of Horae knows: going on without it would lose it.
 */
export function present(schemas: Schemas, record: RecordEnvelope): RecordEnvelope | Poison {
  const { kind, key } = record;
  refuseNewerShape(schemas, kind, record.schema, `${kind} "${key}"`);
  const schema = schemaOf(schemas, kind);
  if (record.body === undefined) return record;
  const poison = (reason: string): Poison => ({ kind, key, schema: record.schema, reason });
  try {
    let body: unknown = record.body;
    for (let version = record.schema; version < schema.version; version++) {
      const upgrade = schema.upgrades[version];
      if (upgrade === undefined) return poison(`no upgrade from shape ${version} to ${version + 1}`);
      body = upgrade(body);
    }
    if (schema.valid !== undefined && !schema.valid(body)) return poison(`not of shape ${schema.version}`);
    return { kind, key, body, schema: schema.version, sequence: record.sequence };
  } catch (error) {
    return poison(error instanceof Error ? error.message : String(error));
  }
}
export const isPoison = (read: RecordEnvelope | Poison): read is Poison => 'reason' in read;

/** Brings many records to their present shapes, and sets the poison apart. */
export function presentAll(
  schemas: Schemas,
  records: Iterable<RecordEnvelope>,
): { readonly good: RecordEnvelope[]; readonly poison: Poison[] } {
  const good: RecordEnvelope[] = [];
  const poison: Poison[] = [];
  for (const record of records) {
    const read = present(schemas, record);
    if (isPoison(read)) poison.push(read);
    else good.push(read);
  }
  return { good, poison };
}

/** What identifies a record of state among all others. */
export const slot = (record: Change): string => `${record.kind} ${record.key}`;

/** The newest record of every slot, deletions included: what happened to the state over a stretch of the journal. */
export type Delta = Map<string, RecordEnvelope>;
export function fold(delta: Delta, records: readonly RecordEnvelope[]): void {
  for (const record of records) if (!isHistory(record.kind)) delta.set(slot(record), record);
}
