// zookeeper-reading.ts: what is in the tree, fetched: the newest snapshot and the segments after it.
//
// Many nodes are asked for at once, since one after the other would cost a round trip each; they come back in order.
// Whoever does not write may find that the writer has just dropped what it was about to read: then it starts again from
// the snapshot that has taken its place.

import type { ZooKeeper } from '../zookeeper/zookeeper.ts';
import { JournalError, type RecordEnvelope, type Restored, type Schemas } from './journal.ts';
import { type Delta, fold, presentAll, refuseNewerShape, type Segment, slot, unpackSegment } from './records.ts';
import type { Shelf } from './shelf.ts';
import {
  checkSum,
  type Mark,
  type Places,
  pieceName,
  readNames,
  type Sealed,
  type SegmentName,
  unpackMark,
  unseal,
} from './zookeeper-tree.ts';

/** A node that was named and is not there: the writer has dropped it meanwhile. */
export class Vanished extends Error {
  override readonly name = 'Vanished';
}

/** A segment as it lies there: packed, and how much room it takes. */
export type Stored = { readonly name: string; readonly first: number; readonly last: number; readonly packed: Buffer };
export type Found = {
  readonly mark: Mark;
  /** Segments after the mark, in order, without a gap. */
  readonly tail: readonly Stored[];
  /** Sequence number of the last record; 0 for an empty journal. */
  readonly position: number;
  /** Whatever lies below `segments` and `snapshots`, whether it counts or not. */
  readonly names: { readonly segments: readonly string[]; readonly snapshots: readonly string[] };
};

const gets_at_once = 24;
const gentle_gets_at_once = 4;
const reads_max = 10;

/**
 * What lies on `shelf` is not fetched again. Throws Vanished when the writer was quicker each time, JournalError `corrupt`, or
 * what ZooKeeper says.
 */
export async function readTree(zk: ZooKeeper, places: Places, shelf?: Shelf): Promise<Found> {
  for (let read = 1; ; read++) {
    try {
      return await readOnce(zk, places, shelf);
    } catch (error) {
      if (!(error instanceof Vanished) || read === reads_max) throw error;
    }
  }
}

async function readOnce(zk: ZooKeeper, places: Places, shelf: Shelf | undefined): Promise<Found> {
  const mark = await readMark(zk, places);
  const names = await namesIn(zk, places.segments);
  const { segments } = readNames(names);
  const after = segments.filter(segment => segment.first > mark.position);
  const tail = await inOrder(after, async segment => shelf?.find(segment.name) ?? fetchSegment(zk, places, segment));
  let position = mark.position;
  for (const { name, first, last } of tail) {
    if (first !== position + 1) {
      // The snapshot may have moved on between our looks; if it has not, something is missing.
      if ((await readMark(zk, places)).position !== mark.position) throw new Vanished(name);
      throw new JournalError(
        'corrupt',
        `${places.segments}/${name} follows record ${position}: expected none to be missing`,
      );
    }
    position = last;
  }
  return { mark, tail, position, names: { segments: names, snapshots: await namesIn(zk, places.snapshots) } };
}

export async function readMark(zk: ZooKeeper, { snapshots }: Places): Promise<Mark> {
  const found = await zk.get(snapshots);
  if (found === undefined) throw new JournalError('corrupt', `${snapshots} is missing: expected a complete tree`);
  return unpackMark(found.data, snapshots);
}

async function namesIn(zk: ZooKeeper, path: string): Promise<readonly string[]> {
  const names = await zk.children(path);
  if (names === undefined) throw new JournalError('corrupt', `${path} is missing: expected a complete tree`);
  return names;
}

/** Fetches what the shelf lacks, a few at a time: whoever reads to be ready one day must not be in anybody's way. */
export async function fillShelf(zk: ZooKeeper, places: Places, shelf: Shelf): Promise<void> {
  const mark = await readMark(zk, places);
  shelf.clear(mark.position);
  const { segments } = readNames(await namesIn(zk, places.segments));
  const lacking = segments.filter(({ name, first }) => first > mark.position && shelf.find(name) === undefined);
  for await (const stored of ahead(lacking, segment => fetchSegment(zk, places, segment), gentle_gets_at_once))
    shelf.put(stored);
}

/** Throws Vanished when it, or a piece of it, is not there. */
export async function fetchSegment(zk: ZooKeeper, places: Places, { name, first }: SegmentName): Promise<Stored> {
  const path = `${places.segments}/${name}`;
  const sealed = await fetchSealed(zk, path);
  const packed = sealed.pieces === 0 ? sealed.body : await fetchPieces(zk, path, sealed);
  if (sealed.records === 0) throw new JournalError('corrupt', `${path} holds no records: expected at least one`);
  return { name, first, last: first + sealed.records - 1, packed };
}

async function fetchSealed(zk: ZooKeeper, path: string): Promise<Sealed> {
  const node = await zk.get(path);
  if (node === undefined) throw new Vanished(path);
  return unseal(node.data, path);
}

async function fetchPieces(zk: ZooKeeper, path: string, { pieces, crc }: Sealed): Promise<Buffer> {
  const bodies = await inOrder(
    Array.from({ length: pieces }, (_, piece) => pieceName(path, piece)),
    async piece => (await fetchSealed(zk, piece)).body,
  );
  const whole = Buffer.concat(bodies);
  checkSum(whole, crc, path);
  return whole;
}

/** The records of a snapshot, a chunk at a time, in order. */
export async function* chunksOf(zk: ZooKeeper, places: Places, mark: Mark): AsyncGenerator<readonly RecordEnvelope[]> {
  const base = `${places.snapshots}/${mark.name}`;
  const indexes = Array.from({ length: mark.pieces }, (_, piece) => piece);
  let parts: Buffer[] = [];
  for await (const sealed of ahead(indexes, piece => fetchSealed(zk, pieceName(base, piece)))) {
    parts.push(sealed.body);
    if (sealed.pieces > 0) continue; // More of this chunk is to come.
    const chunk = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    parts = [];
    yield unpackSegment(chunk, base).records;
  }
  if (parts.length > 0) throw new JournalError('corrupt', `${base} ends within a chunk: expected a complete snapshot`);
}

/** The state, from what was found. Throws Vanished when the writer has made another snapshot meanwhile. */
export async function restoreFrom(
  zk: ZooKeeper,
  places: Places,
  found: Pick<Found, 'mark' | 'tail' | 'position'>,
  schemas: Schemas,
): Promise<Restored> {
  const delta: Delta = new Map();
  for (const stored of found.tail) {
    const { records } = segmentOf(stored, places);
    for (const { kind, schema } of records)
      refuseNewerShape(schemas, kind, schema, `${places.segments}/${stored.name}`);
    fold(delta, records);
  }
  const records: RecordEnvelope[] = [];
  for await (const chunk of chunksOf(zk, places, found.mark))
    for (const record of chunk) if (delta.size === 0 || !delta.has(slot(record))) records.push(record);
  for (const record of delta.values()) if (record.body !== undefined) records.push(record);
  const { good, poison } = presentAll(schemas, records);
  return { position: found.position, records: good, poison };
}

/** Throws JournalError `corrupt` when it is not what its name and its seal say. */
export function segmentOf({ name, first, last, packed }: Stored, { segments }: Places): Segment {
  const segment = unpackSegment(packed, `${segments}/${name}`);
  if (segment.first !== first || segment.records.length !== last - first + 1)
    throw new JournalError(
      'corrupt',
      `${segments}/${name} holds ${segment.records.length} records from ${segment.first}: expected ${first} to ${last}`,
    );
  return segment;
}

/** `work` on each item, several at once; results in order. */
export async function inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for await (const result of ahead(items, work)) results.push(result);
  return results;
}

export async function* ahead<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  at_once = gets_at_once,
): AsyncGenerator<R> {
  const under_way: Promise<R>[] = [];
  let next = 0;
  for (let index = 0; index < items.length; index++) {
    while (next < items.length && under_way.length < at_once) {
      const begun = work(items[next++]!);
      // It is heard when its turn comes, or never, when one before it has failed; until then it must not count as unheard.
      begun.catch(() => undefined);
      under_way.push(begun);
    }
    yield await under_way.shift()!;
  }
}
