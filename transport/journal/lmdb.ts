// lmdb.ts: the journal's home on one machine, in a directory of its own.
//
// Each commit is one lmdb transaction: a segment (the records of the batch, packed, with a checksum) and the history rows
// among them. lmdb writes pages to the file, waits until the device has them, and only then writes the page that makes
// them count; so whatever moment the power goes, the transaction is there whole or not at all. That is lmdb's plain mode;
// its quicker ones (a memory map that is written to, a sync that comes later) are left off, because a full device would
// end them with a signal, or a crash would take back what had been acknowledged.
//
// State is what the newest snapshot holds, overlaid with the segments after it. A snapshot is made beside the running
// work, in small slices: it copies the chunks of the one before, less the records that later segments replaced, and adds
// those. It counts from the moment its name is entered; until then the old one stands.

import { statSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type Database, open as openLmdb, type RootDatabase } from 'lmdb';
import { asJournalError, type Claim, claimDirectory, refuseWithoutRoom } from './directory.ts';
import {
  type Change,
  type History,
  type Journal,
  JournalError,
  type RecordEnvelope,
  type Restored,
  type Retention,
  type Schemas,
} from './journal.ts';
import { type LmdbHistory, lmdbHistory } from './lmdb-history.ts';
import {
  type Delta,
  envelopes,
  fold,
  isHistory,
  packSegment,
  presentAll,
  refuseNewerShape,
  type Segment,
  slot,
  unpackSegment,
} from './records.ts';

export type LmdbOptions = {
  /** The directory: empty, absent, or one of ours. */
  readonly path: string;
  readonly schemas: Schemas;
  readonly retention: Retention;
  /** The instant with which segments and history rows are stamped. */
  readonly now: () => number;
  /** Largest size in bytes of what is stored; reached, the next append ends with `full`. */
  readonly map_size?: number;
  /** A snapshot is made by itself when this many segments have come since the last; left out = only when asked for. */
  readonly segments_per_snapshot?: number;
  /** Stands between lmdb saying that a batch is on the device and `append` resolving: a test withholds it. */
  readonly flush?: (flushed: Promise<unknown>) => Promise<unknown>;
  readonly log?: JournalLog;
};
export interface JournalLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

type Follower = (records: readonly RecordEnvelope[], position: number) => void;
type Bytes = Database<Buffer, Buffer>;
/** What `meta` says of the newest complete snapshot: the state after `position`, in chunks 0 to `chunks` - 1. */
type Snapshot = { readonly position: number; readonly chunks: number };
type Opened = {
  readonly claim: Claim;
  readonly root: RootDatabase;
  /** Under `epoch` the number of the writer whose place it is, as the entry's version too: every write asks for it. */
  readonly meta: Database<unknown, string>;
  readonly segments: Bytes;
  readonly snapshots: Bytes;
  readonly history: LmdbHistory;
  readonly epoch: number;
};

const map_size_default = 16 * 2 ** 30;
const records_per_chunk = 1_000;
/** Chunks that may wait for lmdb while the next are made. */
const chunks_waiting_max = 8;
const segments_per_deletion = 500;
const crc_bytes = 4;

export function lmdbJournal(options: LmdbOptions): Journal & History {
  const { path, schemas, retention, now, segments_per_snapshot = Number.POSITIVE_INFINITY } = options;
  const map_size = options.map_size ?? map_size_default;
  const flush = options.flush ?? (flushed => flushed);
  const followers = new Set<Follower>();
  let opened: Opened | undefined;
  let dead: JournalError | undefined;
  let position = 0;
  let snapshot: Snapshot = { position: 0, chunks: 0 };
  let segments_since = 0;
  /** The newest version of each kind's shape that was ever stored here. */
  let shapes = new Map<string, number>();
  let appending: Promise<number> | undefined;
  /** Snapshots and compactions, one after the other. */
  let housekeeping: Promise<void> = Promise.resolve();

  const alive = (): Opened => {
    if (dead !== undefined) throw dead;
    if (opened === undefined) throw new Error('the journal is not open: expected open() first');
    return opened;
  };
  const die = (error: unknown): JournalError => {
    dead ??= asJournalError(error, path);
    return dead;
  };

  const appendBatch = async (changes: readonly Change[]): Promise<number> => {
    const here = alive();
    try {
      refuseOverfull(here, map_size);
      const first = position + 1;
      const at = now();
      const records = envelopes(changes, first, schemas);
      const segment = sealed({ first, at, records });
      refuseWithoutRoom(path, segment.length);
      const shapes_grown = addShapes(shapes, records);
      await flush(
        transact(here, () => {
          if (shapes_grown) here.meta.put('shapes', Object.fromEntries(shapes));
          here.segments.put(segmentKey(here.epoch, first), segment);
          for (const record of records) if (isHistory(record.kind)) here.history.put(record, at);
        }),
      );
      position += records.length;
      segments_since++;
      for (const follower of followers) follower(records, position);
    } catch (error) {
      throw die(error);
    }
    if (segments_since >= segments_per_snapshot) {
      segments_since = 0;
      keepHouse(takeSnapshot).catch(die);
    }
    return position;
  };

  const keepHouse = (work: (here: Opened) => Promise<void>): Promise<void> => {
    const done = housekeeping.then(() => work(alive()));
    housekeeping = done.catch(die).then(() => {});
    return done.catch(error => {
      throw die(error);
    });
  };

  const takeSnapshot = async (here: Opened): Promise<void> => {
    const before = snapshot;
    const upto = position;
    segments_since = 0;
    if (upto === before.position) return;
    const delta = await deltaBetween(here, before.position, upto);
    const waiting: Promise<void>[] = [];
    let chunks = 0;
    let chunk: RecordEnvelope[] = [];
    const write = async () => {
      alive(); // A journal that is closed or dead leaves its snapshot half made; the old one stands.
      const bytes = sealed({ first: 0, at: 0, records: chunk }, true);
      refuseWithoutRoom(path, bytes.length);
      const key = chunkKey(upto, chunks++);
      chunk = [];
      const written = transact(here, () => here.snapshots.put(key, bytes));
      written.catch(() => {}); // It is awaited below; until then its failure must not count as unheard.
      waiting.push(written);
      if (waiting.length >= chunks_waiting_max) await Promise.all(waiting.splice(0));
      await breath();
    };
    const keep = async (records: Iterable<RecordEnvelope>) => {
      for (const record of records) if (chunk.push(record) >= records_per_chunk) await write();
    };
    for (let index = 0; index < before.chunks; index++) {
      const old = readChunk(here, before, index);
      await keep(old.filter(record => !delta.has(slot(record))));
    }
    await keep(living(delta));
    if (chunk.length > 0) await write();
    await Promise.all(waiting);
    await transact(here, () => here.meta.put('snapshot', { position: upto, chunks }));
    snapshot = { position: upto, chunks };
    await dropCovered(here, upto);
    options.log?.info({ position: upto, chunks }, 'journal snapshot made');
  };

  return {
    async open(wanted) {
      if (dead !== undefined) throw dead;
      if (opened !== undefined) throw new JournalError('locked', `${path} is already open: expected to be opened once`);
      const claim = await claimDirectory(path).catch(error => {
        throw die(error);
      });
      let root: RootDatabase | undefined;
      try {
        root = openRoot(claim, map_size);
        opened = await takePlace(claim, root, wanted, options);
        shapes = new Map(Object.entries((opened.meta.get('shapes') as Record<string, number> | undefined) ?? {}));
        for (const [kind, version] of shapes) refuseNewerShape(schemas, kind, version, path);
        snapshot = (opened.meta.get('snapshot') as Snapshot | undefined) ?? snapshot;
        ({ position, segments_since } = readPosition(opened, snapshot));
        return opened.epoch;
      } catch (error) {
        opened = undefined;
        await root?.close();
        await claim.release();
        throw die(error);
      }
    },
    async restore(): Promise<Restored> {
      const here = alive();
      try {
        const delta: Delta = new Map();
        for (const segment of segmentsAfter(here, snapshot.position)) fold(delta, segment.records);
        const records: RecordEnvelope[] = [];
        for (let index = 0; index < snapshot.chunks; index++)
          for (const record of readChunk(here, snapshot, index)) if (!delta.has(slot(record))) records.push(record);
        for (const record of living(delta)) records.push(record);
        const { good, poison } = presentAll(schemas, records);
        for (const { kind, key, reason } of poison) options.log?.warn({ kind, key, reason }, 'record quarantined');
        return { position, records: good, poison };
      } catch (error) {
        throw die(error);
      }
    },
    async append(changes) {
      alive();
      if (appending !== undefined) throw new Error('invalid second append: expected the first to have ended');
      if (changes.length === 0) return position;
      appending = appendBatch(changes);
      try {
        return await appending;
      } finally {
        appending = undefined;
      }
    },
    follow(after, batch) {
      const here = alive();
      if (after < snapshot.position || after > position)
        throw new RangeError(`cannot follow from position ${after}: expected ${snapshot.position} to ${position}`);
      for (const { first, records } of segmentsAfter(here, after)) {
        const last = first + records.length - 1;
        if (last > position) break; // Committed, but not yet let through as durable: it comes with its append.
        batch(presentAll(schemas, records.slice(Math.max(0, after + 1 - first))).good, last);
      }
      followers.add(batch);
      return () => followers.delete(batch);
    },
    async snapshot() {
      alive();
      await keepHouse(takeSnapshot);
    },
    async compact(instant) {
      alive();
      await keepHouse(here => here.history.compact(instant, retention, writes => transact(here, writes)));
    },
    async close() {
      const here = opened;
      await appending?.catch(() => {}); // Whoever called append hears of its failure.
      dead ??= new JournalError('io', `the journal in ${path} is closed`);
      followers.clear();
      await housekeeping;
      if (here === undefined) return;
      opened = undefined;
      await here.root.close();
      await here.claim.release();
    },
    page: (kind, prefix, limit, before) => alive().history.page(kind, prefix, limit, before),
    get: (kind, key) => alive().history.get(kind, key),
    count: (kind, prefix) => alive().history.count(kind, prefix),
  };
}

// --- opening ------------------------------------------------------------------------------------------------------------

function openRoot(claim: Claim, map_size: number): RootDatabase {
  return openLmdb({
    path: claim.directory,
    noSubdir: false,
    maxDbs: 16,
    mapSize: map_size,
    // A transaction is on the device before it counts: see the head of this file.
    overlappingSync: false,
  });
}

/** Enters our epoch as the writer's. Throws JournalError `fenced` when another has had it or a later one. */
async function takePlace(
  claim: Claim,
  root: RootDatabase,
  wanted: number | undefined,
  { path, schemas, log }: LmdbOptions,
): Promise<Opened> {
  const meta = root.openDB<unknown, string>({ name: 'meta', useVersions: true });
  const binary = { keyEncoding: 'binary', encoding: 'binary' } as const;
  const last = (meta.get('epoch') as number | undefined) ?? 0;
  if (!claim.fresh && last === 0)
    throw new JournalError('corrupt', `${path} holds no epoch: expected a journal that was once opened`);
  const epoch = wanted ?? last + 1;
  if (epoch <= last)
    throw new JournalError('fenced', `epoch ${epoch} is not above ${last}, which another writer of ${path} has had`);
  const here: Opened = {
    claim,
    root,
    meta,
    segments: root.openDB<Buffer, Buffer>({ name: 'segments', ...binary }),
    snapshots: root.openDB<Buffer, Buffer>({ name: 'snapshots', ...binary }),
    history: lmdbHistory(root, path, schemas, (kind, key, reason) =>
      log?.warn({ kind, key, reason }, 'history row cannot be read'),
    ),
    epoch,
  };
  // Conditional, as every write: of two that start at once, one finds the place taken.
  const taken = await committed(
    last === 0
      ? meta.ifNoExists('epoch', () => meta.put('epoch', epoch, epoch))
      : meta.put('epoch', epoch, epoch, last),
  );
  if (!taken) throw new JournalError('fenced', `another writer has just taken ${path}: expected to be the only one`);
  await claim.established();
  return here;
}

/** One transaction, all or nothing, as long as the writer's place is ours. Resolves when it is on the device. */
async function transact({ meta, epoch, claim }: Opened, writes: () => void): Promise<void> {
  if (!(await committed(meta.ifVersion('epoch', epoch, writes))))
    throw new JournalError('fenced', `another writer has taken ${claim.directory} over since epoch ${epoch}`);
}

/** lmdb-js says only that a commit failed; why is in a promise beside it. */
async function committed(write: Promise<boolean>): Promise<boolean> {
  try {
    return await write;
  } catch (error) {
    const { commitError } = error as { commitError?: Promise<never> };
    if (commitError !== undefined) await commitError;
    throw error;
  }
}

/** Notes the shapes of records about to be stored; true when one of them is newer than any before. */
function addShapes(shapes: Map<string, number>, records: readonly RecordEnvelope[]): boolean {
  let grown = false;
  for (const { kind, schema } of records) {
    if (schema <= (shapes.get(kind) ?? 0)) continue;
    shapes.set(kind, schema);
    grown = true;
  }
  return grown;
}

/** Where the last commit ended; reads the last segment only, since `restore` reads and checks them all. */
function readPosition(here: Opened, snapshot: Snapshot): { position: number; segments_since: number } {
  let last: Buffer | undefined;
  let segments_since = 0;
  for (const key of here.segments.getKeys()) {
    last = key;
    if (firstOf(key) > snapshot.position) segments_since++;
  }
  if (last === undefined || segments_since === 0) return { position: snapshot.position, segments_since };
  const { first, records } = segmentAt(here, last);
  return { position: first + records.length - 1, segments_since };
}

// --- segments and chunks ----------------------------------------------------------------------------------------------

/** Keys sort by epoch, then by the first record: the order in which segments were written. */
function segmentKey(epoch: number, first: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeBigUInt64BE(BigInt(epoch), 0);
  key.writeBigUInt64BE(BigInt(first), 8);
  return key;
}
const firstOf = (key: Buffer): number => Number(key.readBigUInt64BE(8));

function chunkKey(position: number, index: number): Buffer {
  const key = Buffer.alloc(12);
  key.writeBigUInt64BE(BigInt(position), 0);
  key.writeUInt32BE(index, 8);
  return key;
}

/** A packed segment behind its checksum: lmdb keeps none, and a device that lies must not feed us fancy. */
function sealed(segment: Segment, numbered = false): Buffer {
  const packed = packSegment(segment, numbered);
  const bytes = Buffer.allocUnsafe(crc_bytes + packed.length);
  bytes.writeUInt32BE(crc32(packed), 0);
  bytes.set(packed, crc_bytes);
  return bytes;
}

function unsealed(bytes: Buffer, place: string): Segment {
  const packed = bytes.subarray(crc_bytes);
  if (bytes.length <= crc_bytes || crc32(packed) !== bytes.readUInt32BE(0))
    throw new JournalError(
      'corrupt',
      `${place} does not match its checksum: restore the journal from a copy, or choose another --data-dir`,
    );
  return unpackSegment(packed, place);
}

/** undefined when a snapshot has covered the segment and it has been dropped. */
function readSegment({ segments, claim }: Opened, key: Buffer): Segment | undefined {
  const bytes = segments.getBinary(key);
  return bytes && unsealed(bytes, `${claim.directory}: segment ${firstOf(key)}`);
}

/** A segment that must be there: its key has just been read. */
function segmentAt(here: Opened, key: Buffer): Segment {
  const segment = readSegment(here, key);
  if (segment !== undefined) return segment;
  throw new JournalError(
    'corrupt',
    `${here.claim.directory}: segment ${firstOf(key)} is listed and cannot be found: expected lmdb's keys in order`,
  );
}

/** Segments with records after `position`, in order and without a gap. */
function* segmentsAfter(here: Opened, position: number): Generator<Segment> {
  let expected: number | undefined;
  for (const key of [...here.segments.getKeys()]) {
    const segment = readSegment(here, key);
    if (segment === undefined) continue;
    const next = segment.first + segment.records.length;
    if (next <= position + 1) continue;
    if (segment.first > (expected ?? position + 1))
      throw new JournalError(
        'corrupt',
        `${here.claim.directory}: segment ${segment.first} follows record ${(expected ?? position + 1) - 1}: expected none to be missing`,
      );
    expected = next;
    yield segment;
  }
}

/** What happened to the state after `from`, up to and with `upto`; read in small slices beside the running work. */
async function deltaBetween(here: Opened, from: number, upto: number): Promise<Delta> {
  const delta: Delta = new Map();
  let records = 0;
  for (const key of [...here.segments.getKeys()]) {
    const first = firstOf(key);
    if (first > upto) break;
    if (first <= from) continue; // Left by a snapshot that was cut short while it dropped what it covered.
    const segment = segmentAt(here, key);
    fold(delta, segment.records);
    records += segment.records.length;
    if (records >= records_per_chunk) {
      records = 0;
      await breath();
    }
  }
  return delta;
}

function readChunk({ snapshots, claim }: Opened, { position }: Snapshot, index: number): readonly RecordEnvelope[] {
  const place = `${claim.directory}: chunk ${index} of snapshot ${position}`;
  const bytes = snapshots.getBinary(chunkKey(position, index));
  if (bytes === undefined) throw new JournalError('corrupt', `${place} is missing: expected a complete snapshot`);
  return unsealed(bytes, place).records;
}

function* living(delta: Delta): Generator<RecordEnvelope> {
  for (const record of delta.values()) if (record.body !== undefined) yield record;
}

/** Drops the segments and snapshots that the snapshot of `position` has made superfluous. */
async function dropCovered(here: Opened, position: number): Promise<void> {
  const { segments, snapshots } = here;
  const covered = [...segments.getKeys()].filter(key => firstOf(key) <= position);
  const older = [...snapshots.getKeys()].filter(key => Number(key.readBigUInt64BE(0)) !== position);
  const drop = async (from: Bytes, keys: Buffer[]) => {
    for (let start = 0; start < keys.length; start += segments_per_deletion) {
      const some = keys.slice(start, start + segments_per_deletion);
      await transact(here, () => {
        for (const key of some) from.remove(key);
      });
    }
  };
  await drop(segments, covered);
  await drop(snapshots, older);
}

const breath = () => new Promise<void>(resolve => setImmediate(resolve));

/**
 * lmdb-js lets the map grow by itself, so its size is no limit; this is. The file never shrinks, but its free pages are
 * used again: what counts is the pages that hold something.
 */
function refuseOverfull({ claim, root, meta, segments, snapshots, history }: Opened, map_size: number): void {
  if (statSync(claim.data_file).size < map_size) return;
  let pages = 0;
  const { free, pageSize } = root.getStats() as { free: TreeStats; pageSize: number };
  for (const tree of [free, ...[root, meta, segments, snapshots, ...history.tables].map(table => table.getStats())]) {
    const { treeBranchPageCount, treeLeafPageCount, overflowPages } = tree as TreeStats;
    pages += treeBranchPageCount + treeLeafPageCount + overflowPages;
  }
  if (pages * pageSize >= map_size)
    throw new JournalError(
      'full',
      `the journal in ${claim.directory} has reached its limit of ${map_size} bytes: raise it, or keep less history; nothing acknowledged is lost`,
    );
}
type TreeStats = { treeBranchPageCount: number; treeLeafPageCount: number; overflowPages: number };
