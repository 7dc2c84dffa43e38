// zookeeper.ts: the journal's home in a cluster: nodes in ZooKeeper, written by the leader alone.
//
// A commit is one transaction: a check that the epoch's node has still our version, and the creation of a node that is
// named after our epoch and the first record. A leader that was deposed is refused by ZooKeeper itself, however late its
// write arrives. When an answer is lost the same transaction is made again: its name is ours alone, so it is either
// created now or found to be there with our nonce; there is no third. One commit is in flight at a time.
//
// What does not fit into one node is written in pieces first, and the node that makes them count comes last. A snapshot
// is written beside the running work in the same way, and counts from the transaction that enters its name. The segments
// that it covers stay until the next one, so that a standby that was away for a while finds what it missed.
//
// ZooKeeper holds its tree in memory, so ours has a limit that is counted at every write: nearing it drops what was kept
// for stragglers, and says so; beyond it nothing is taken any more.

import type { Clock } from '../../schedules/clock.ts';
import { type Operation, type ZooKeeper, ZooKeeperError } from '../zookeeper/zookeeper.ts';
import {
  type Change,
  type Journal,
  JournalError,
  type RecordEnvelope,
  type Restored,
  type Schemas,
} from './journal.ts';
import { type Delta, envelopes, fold, packSegment, presentAll, slot } from './records.ts';
import type { Shelf } from './shelf.ts';
import { asJournalError, type Claim, claimEpoch, enterTree, type Membership, probePackets } from './zookeeper-claim.ts';
import {
  chunksOf,
  type Found,
  inOrder,
  readTree,
  restoreFrom,
  type Stored,
  segmentOf,
  Vanished,
} from './zookeeper-reading.ts';
import {
  type Cluster,
  type Mark,
  no_mark,
  nodeName,
  packMark,
  pieceName,
  pieces,
  placesIn,
  readNames,
  seal,
  sequenceOf,
  sumOf,
} from './zookeeper-tree.ts';

export type ZooKeeperJournalOptions = {
  /** A live session; the journal lives no longer than it. */
  readonly zk: ZooKeeper;
  /** The cluster's own path. */
  readonly path: string;
  readonly cluster: Membership;
  readonly schemas: Schemas;
  readonly clock: Clock;
  /** Our node in the line of candidates: the writer's place is taken only while it exists. */
  readonly place?: () => string | undefined;
  /** Largest body of a node. */
  readonly node_bytes_max?: number;
  /** Largest size of all that we keep in ZooKeeper; beyond it an append ends with `full`. */
  readonly bytes_max?: number;
  /** A snapshot is made by itself after so many segments; left out = only when asked for, or when the size demands it. */
  readonly segments_per_snapshot?: number;
  /** How long a commit may go without an answer, through however many connections; then it ends with `unknown`. */
  readonly commit_ms_max?: number;
  readonly retry_ms?: number;
  /** Hears after every write how much there is. */
  readonly onSize?: (size: JournalSize) => void;
  /** Segments that this node has read already, and those that it writes. */
  readonly shelf?: Shelf;
  /** Stands between ZooKeeper saying that a batch is there and `append` resolving: a test withholds it. */
  readonly flush?: (flushed: Promise<unknown>) => Promise<unknown>;
  readonly log?: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
};
export type JournalSize = { readonly bytes: number; readonly bytes_max: number; readonly nodes: number };
export type ZooKeeperJournal = Journal & {
  /** Whose tree it is; known when it is open. */
  readonly cluster: () => Cluster;
};

type Follower = (records: readonly RecordEnvelope[], position: number) => void;

export const node_bytes_max_default = 512 * 1024;
const bytes_max_default = 256 * 2 ** 20;
/** From this share of the limit on, people are told. */
const alarming_share = 0.75;
/** A tail of this size, or as large as the snapshot before it, is folded; near the limit, a smaller one. */
const tail_bytes_min = 16 * 2 ** 20;
const tail_bytes_alarmed = 4 * 2 ** 20;
/** A new leader has the whole tree to plant: for so long no snapshot is made by itself, unless room becomes scarce. */
const planting_ms = 30_000;
const commit_ms_max_default = 60_000;
const retry_ms_default = 50;
const attempts_min = 3;
const records_per_chunk = 2_000;
const deletions_per_transaction = 200;
/** What ZooKeeper keeps of a node besides its data. */
const node_bytes = 300;

export function zookeeperJournal(options: ZooKeeperJournalOptions): ZooKeeperJournal {
  const { zk, path, schemas, clock, log, shelf } = options;
  const { segments_per_snapshot = Number.POSITIVE_INFINITY } = options;
  const node_bytes_max = options.node_bytes_max ?? node_bytes_max_default;
  const bytes_max = options.bytes_max ?? bytes_max_default;
  const commit_ms_max = options.commit_ms_max ?? commit_ms_max_default;
  const retry_ms = options.retry_ms ?? retry_ms_default;
  const flush = options.flush ?? (flushed => flushed);
  const places = placesIn(path);
  const followers = new Set<Follower>();
  let cluster: Cluster | undefined;
  let claim: Claim | undefined;
  let loaded = false;
  let loaded_at = 0;
  /** Somebody has written before us: there is something to plant. */
  let inherited = false;
  let closed = false;
  let dead: JournalError | undefined;
  let position = 0;
  let mark: Mark = no_mark;
  /** Segments after the snapshot, as they were written. */
  let tail: Stored[] = [];
  let tail_bytes = 0;
  /** Every node of ours below `segments` and `snapshots`, with the bytes that it takes, and their sum. */
  const inventory = new Map<string, number>();
  let bytes = 0;
  let alarmed = false;
  let appending: Promise<number> | undefined;
  let housekeeping: Promise<void> = Promise.resolve();
  let snapshot_due = false;

  const alive = (): Claim => {
    if (dead !== undefined) throw dead;
    if (claim === undefined) throw new Error('the journal is not open: expected open() first');
    return claim;
  };
  const die = (error: unknown): JournalError => {
    dead ??= asJournalError(error, path);
    return dead;
  };

  // --- writing --------------------------------------------------------------------------------------------------------

  /** Again and again while the connection breaks: for what may be repeated. Throws JournalError `code` at the deadline. */
  const persist = async <T>(call: () => Promise<T>, code: 'unknown' | 'io' = 'unknown'): Promise<T> => {
    const deadline = clock.monotonic() + commit_ms_max;
    for (let attempt = 1; ; attempt++) {
      try {
        return await call();
      } catch (error) {
        if (!isCode(error, 'connection-loss')) throw error;
        if (closed)
          throw new JournalError('unknown', `the journal in ${path} was closed before the answer came`, error);
        // Time alone proves nothing: this process may have stood still.
        if (clock.monotonic() > deadline && attempt >= attempts_min)
          throw new JournalError(code, `no answer from ZooKeeper at ${path} for ${commit_ms_max} ms`, error);
        await new Promise<void>(resolve => clock.wakeAt(clock.now() + retry_ms, resolve));
      }
    }
  };

  /** Operations that may be repeated, as long as the writer's place is ours. Throws JournalError `fenced` when it is not. */
  const fenced = async ({ epoch, version }: Claim, operations: readonly Operation[]): Promise<void> => {
    try {
      await zk.multi([{ type: 'check', path: places.epoch, version }, ...operations]);
    } catch (error) {
      if (error instanceof ZooKeeperError && error.path === places.epoch && error.code === 'bad-version')
        throw new JournalError('fenced', `another writer has taken ${path} over since epoch ${epoch}`, error);
      if (error instanceof ZooKeeperError && error.path === places.epoch && error.code === 'no-node')
        throw new JournalError('corrupt', `${places.epoch} is gone: expected the tree to stay as long as we do`, error);
      throw error;
    }
  };

  /** One node of a name that is ours alone: created, once, whatever becomes of the answers. */
  const writeNode = async (place: Claim, node: string, data: Buffer): Promise<void> => {
    await persist(async () => {
      try {
        await fenced(place, [{ type: 'create', path: node, data }]);
      } catch (error) {
        if (!isCode(error, 'node-exists')) throw error;
        const found = await zk.get(node);
        if (found !== undefined && data.equals(Buffer.from(found.data))) return; // Ours: only the answer was lost.
        throw new JournalError(
          'fenced',
          `${node} holds what another has written: expected to be the only writer`,
          error,
        );
      }
    });
    counted(node, data.length + node_bytes);
  };

  const counted = (node: string, size: number) => {
    bytes += size - (inventory.get(node) ?? 0);
    if (size === 0) inventory.delete(node);
    else inventory.set(node, size);
    options.onSize?.({ bytes, bytes_max, nodes: inventory.size });
    const alarming = bytes >= bytes_max * alarming_share;
    if (alarming === alarmed) return;
    alarmed = alarming;
    const fields = { bytes, bytes_max, nodes: inventory.size };
    if (alarming)
      log?.warn(fields, 'the journal in ZooKeeper nears its limit: raise it, or keep fewer jobs and instances');
    else log?.info(fields, 'the journal in ZooKeeper is well below its limit again');
  };
  const refuseOverfull = (more: number) => {
    if (bytes + more <= bytes_max) return;
    throw new JournalError(
      'full',
      `the journal in ZooKeeper at ${path} has ${bytes} bytes and would pass its limit of ${bytes_max}: raise it, or keep fewer jobs; nothing acknowledged is lost`,
    );
  };

  const appendBatch = async (changes: readonly Change[]): Promise<number> => {
    const place = alive();
    try {
      const first = position + 1;
      const records = envelopes(changes, first, schemas);
      const packed = Buffer.from(packSegment({ first, at: clock.now(), records }));
      refuseOverfull(packed.length);
      const name = nodeName(place.epoch, first);
      await flush(writeSegment(place, name, packed, records.length));
      position += records.length;
      const stored = { name, first, last: position, packed };
      tail.push(stored);
      shelf?.put(stored);
      tail_bytes += packed.length;
      for (const follower of followers) follower(records, position);
    } catch (error) {
      throw die(error);
    }
    const tail_bytes_max = alarmed ? tail_bytes_alarmed : Math.max(tail_bytes_min, mark.bytes);
    const due = tail.length >= segments_per_snapshot || tail_bytes >= tail_bytes_max;
    if (due && (alarmed || !inherited || clock.monotonic() >= loaded_at + planting_ms)) foldSoon();
    return position;
  };

  const writeSegment = async (place: Claim, name: string, packed: Buffer, records: number): Promise<void> => {
    const node = `${places.segments}/${name}`;
    if (packed.length <= node_bytes_max) return writeNode(place, node, seal(place.nonce, packed, { records }));
    const bodies = pieces(packed, node_bytes_max);
    for (const [piece, body] of bodies.entries())
      await writeNode(place, pieceName(node, piece), seal(place.nonce, body));
    const whole = seal(place.nonce, new Uint8Array(), { records, pieces: bodies.length, crc: sumOf(packed) });
    await writeNode(place, node, whole);
  };

  // --- housekeeping ---------------------------------------------------------------------------------------------------

  const foldSoon = () => {
    if (snapshot_due) return;
    snapshot_due = true;
    keepHouse(takeSnapshot).catch(() => undefined); // It has died of it; whoever calls next is told.
  };
  const keepHouse = (work: (place: Claim) => Promise<void>): Promise<void> => {
    const done = housekeeping.then(() => work(alive()));
    housekeeping = done.catch(die).then(() => {});
    return done.catch(error => {
      throw die(error);
    });
  };

  const takeSnapshot = async (place: Claim): Promise<void> => {
    snapshot_due = false;
    const before = mark;
    const upto = position;
    if (upto === before.position) return;
    const folded = tail.filter(segment => segment.last <= upto);
    const delta: Delta = new Map();
    for (const segment of folded) {
      fold(delta, segmentOf(segment, places).records);
      await breath();
    }
    const name = nodeName(place.epoch, upto);
    let written = 0;
    let piece = 0;
    let chunk: RecordEnvelope[] = [];
    const write = async () => {
      alive(); // A journal that is closed or dead leaves its snapshot half made; the old one stands.
      const bodies = pieces(packSegment({ first: 0, at: 0, records: chunk }, true), node_bytes_max);
      chunk = [];
      for (const [index, body] of bodies.entries()) {
        const data = seal(place.nonce, body, { pieces: bodies.length - 1 - index });
        await writeNode(place, pieceName(`${places.snapshots}/${name}`, piece++), data);
        written += data.length + node_bytes;
      }
      await breath();
    };
    for await (const old of chunksOf(zk, places, before))
      for (const record of old) if (!delta.has(slot(record)) && chunk.push(record) >= records_per_chunk) await write();
    for (const record of delta.values())
      if (record.body !== undefined && chunk.push(record) >= records_per_chunk) await write();
    if (chunk.length > 0) await write();
    const next: Mark = {
      position: upto,
      name,
      pieces: piece,
      bytes: written,
      dropped: alarmed ? upto : before.position,
    };
    await persist(() => fenced(place, [{ type: 'set', path: places.snapshots, data: packMark(next) }]));
    mark = next;
    shelf?.clear(upto);
    tail = tail.filter(segment => segment.first > upto);
    tail_bytes = tail.reduce((sum, segment) => sum + segment.packed.length, 0);
    await dropWaste(place);
    log?.info({ position: upto, pieces: piece, bytes: written }, 'journal snapshot made');
  };

  /** Removes what no longer counts: older snapshots, and segments that nobody needs any more. */
  const dropWaste = async (place: Claim): Promise<void> => {
    const nodes = [...inventory.keys()].filter(node => {
      const name = nameOf(node);
      if (node.startsWith(`${places.segments}/`)) return sequenceOf(name) <= mark.dropped;
      return !name.startsWith(`${mark.name}.`);
    });
    await remove(place, nodes);
  };

  const remove = async (place: Claim, nodes: readonly string[]): Promise<void> => {
    for (let start = 0; start < nodes.length; start += deletions_per_transaction) {
      alive();
      const some = nodes.slice(start, start + deletions_per_transaction);
      const deletions = some.map((node): Operation => ({ type: 'delete', path: node }));
      await persist(() => fenced(place, deletions)).catch(async error => {
        // After a lost answer they may be gone already; then one by one.
        if (!isCode(error, 'no-node')) throw error;
        for (const deletion of deletions)
          await persist(() => fenced(place, [deletion])).catch(each => {
            if (!isCode(each, 'no-node')) throw each;
          });
      });
      for (const node of some) counted(node, 0);
    }
  };

  // --- beginning --------------------------------------------------------------------------------------------------------

  /** Takes stock of what other writers have left, and removes what does not count. */
  const takeStock = async (place: Claim, names: Found['names']): Promise<void> => {
    const { segments, pieces: loose } = readNames(names.segments);
    const whole = new Set(segments.map(segment => segment.name));
    const orphans = loose.filter(piece => !whole.has(baseOf(piece)));
    const nodes = [
      ...names.segments.map(name => `${places.segments}/${name}`),
      ...names.snapshots.map(name => `${places.snapshots}/${name}`),
    ].filter(node => !Number.isNaN(sequenceOf(nameOf(node))));
    const in_pieces = new Set(loose.map(baseOf));
    const known = new Map<string, number>();
    for (const { name, packed } of tail)
      if (!in_pieces.has(name)) known.set(`${places.segments}/${name}`, packed.length + node_bytes);
    await inOrder(nodes, async node => {
      const size = known.get(node) ?? sizeOf(await persist(() => zk.exists(node)));
      // What was written meanwhile has counted itself.
      if (!inventory.has(node)) counted(node, size);
    });
    await remove(
      place,
      orphans.map(name => `${places.segments}/${name}`),
    );
    await dropWaste(place);
  };

  return {
    cluster: () => {
      if (cluster === undefined) throw new Error('the journal is not open: expected open() first');
      return cluster;
    },
    async open(wanted) {
      if (dead !== undefined) throw dead;
      if (claim !== undefined) throw new JournalError('locked', `${path} is already open: expected to be opened once`);
      try {
        cluster = await persist(() => enterTree(zk, places, options.cluster), 'io');
        await persist(() => probePackets(zk, places, node_bytes_max, clock), 'io');
        const place = options.place?.();
        if (options.place !== undefined && place === undefined)
          throw new JournalError('fenced', `we do not lead: expected to be first in line before ${path} is taken`);
        claim = await persist(() => claimEpoch(zk, places, wanted, place), 'io');
        return claim.epoch;
      } catch (error) {
        throw die(error);
      }
    },
    async restore(): Promise<Restored> {
      alive();
      try {
        if (!loaded) {
          const found = await persist(() => readTree(zk, places, shelf), 'io');
          ({ mark, position } = found);
          shelf?.clear(mark.position);
          for (const stored of found.tail) shelf?.put(stored);
          tail = [...found.tail];
          tail_bytes = tail.reduce((sum, segment) => sum + segment.packed.length, 0);
          loaded = true;
          loaded_at = clock.monotonic();
          inherited = position > 0;
          keepHouse(place => takeStock(place, found.names)).catch(() => undefined); // It has died of it.
        }
        for (;;) {
          const present = { mark, tail: [...tail], position };
          try {
            const restored = await persist(() => restoreFrom(zk, places, present, schemas), 'io');
            for (const { kind, key, reason } of restored.poison) log?.warn({ kind, key, reason }, 'record quarantined');
            return restored;
          } catch (error) {
            // Our own next snapshot may have replaced the one that was being read.
            if (!(error instanceof Vanished) || present.mark === mark) throw error;
          }
        }
      } catch (error) {
        throw die(error);
      }
    },
    async append(changes) {
      alive();
      if (!loaded) throw new Error('the journal has not been read: expected restore() before the first append');
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
      alive();
      if (after < mark.position || after > position)
        throw new RangeError(`cannot follow from position ${after}: expected ${mark.position} to ${position}`);
      for (const segment of tail) {
        if (segment.last <= after) continue;
        const { first, records } = segmentOf(segment, places);
        batch(presentAll(schemas, records.slice(Math.max(0, after + 1 - first))).good, segment.last);
      }
      followers.add(batch);
      return () => followers.delete(batch);
    },
    async snapshot() {
      alive();
      await keepHouse(takeSnapshot);
    },
    /** What retention is about, history, is not kept here: each node has its own. */
    async compact() {
      alive();
      await housekeeping;
    },
    async close() {
      closed = true;
      await appending?.catch(() => {}); // Whoever called append hears of its failure.
      dead ??= new JournalError('io', `the journal in ${path} is closed`);
      followers.clear();
      await housekeeping;
    },
  };
}

const isCode = (error: unknown, code: ZooKeeperError['code']): boolean =>
  error instanceof ZooKeeperError && error.code === code;
const sizeOf = (stat: { readonly data_length: number } | undefined): number =>
  stat === undefined ? 0 : stat.data_length + node_bytes;
/** The name of what a piece belongs to. */
const baseOf = (piece: string): string => piece.slice(0, piece.indexOf('.'));
const nameOf = (node: string): string => node.slice(node.lastIndexOf('/') + 1);
const breath = () => new Promise<void>(resolve => setImmediate(resolve));
