// replica.ts: a node's own copy of the cluster's journal, in lmdb.
//
// It follows the log, commit by commit, into a journal of its own on this machine: the state, so that the node can answer
// questions and stand ready, and history, which ZooKeeper does not keep. How far it has come is one more record, written
// in the same commit as what came, so that after any crash it knows exactly what it has. When the log has moved on too far
// it takes the state over anew and goes on from there; the history in between is then missing here, and that is said.

import {
  type Change,
  type History,
  type Journal,
  JournalError,
  type RecordEnvelope,
  type Restored,
} from './journal.ts';
import { slot } from './records.ts';

/** A log to follow: the leader's own journal, or the cluster's as a standby sees it. */
export type Source = {
  restore(): Promise<Restored>;
  follow(
    position: number,
    batch: (records: readonly RecordEnvelope[], position: number) => void,
    failed: (error: Error) => void,
  ): () => void;
};
export type ReplicaOptions = {
  /** A journal of this machine alone, not opened; nobody else writes to it. */
  readonly local: Journal & History;
  /** Records that may wait for the device; beyond it they are taken in larger commits, never dropped. */
  readonly batch_changes_max?: number;
  readonly log?: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
};
export type Replica = History & {
  /** The cluster whose copy this is; undefined for a new one. */
  cluster_id(): string | undefined;
  /** Up to which record of the cluster's journal everything is here, on the device. */
  position(): number;
  /** The state here, as of `position`. */
  restore(): Promise<Restored>;
  /**
   * Follows `source`, the journal of the cluster with this id, from where we are. Replaces the source before. Throws
   * JournalError `foreign` when the copy is of another cluster. `failed` hears of the end of following, by whichever side.
   */
  follow(cluster_id: string, source: Source, failed: (error: Error) => void): void;
  /** Stops following; what had been heard is written. */
  unfollow(): Promise<void>;
  /** Each batch when it is here, or a whole state that takes the place of what was. Returns how to stop. */
  onBatch(listener: (batch: ReplicaBatch) => void): () => void;
  /** Resolves when everything up to `position` is here. Never, when following ends before. */
  reached(position: number): Promise<void>;
  /** Drops history past its retention. */
  compact(now: number): Promise<void>;
  close(): Promise<void>;
};
export type ReplicaBatch =
  | { readonly type: 'records'; readonly records: readonly RecordEnvelope[]; readonly position: number }
  | { readonly type: 'state'; readonly records: readonly RecordEnvelope[]; readonly position: number };

/** The record that says how far we have come; -1 while the state is being taken over. */
const position_key = 'replica-of';
type PositionBody = { readonly cluster: string; readonly position: number };
const being_taken_over = -1;
const batch_changes_max_default = 8_192;

/** Opens the local journal. Throws JournalError. */
export async function openReplica({
  local,
  log,
  batch_changes_max = batch_changes_max_default,
}: ReplicaOptions): Promise<Replica> {
  await local.open();
  let cluster_id: string | undefined;
  let position = 0;
  const found = await localState();
  if (found.at !== undefined) ({ cluster: cluster_id, position } = found.at);
  else if (found.records.length > 0) {
    await local.close();
    throw new JournalError(
      'foreign',
      'the directory holds the journal of a single machine: expected an empty one, or a copy of a cluster; choose another --data-dir',
    );
  }

  type Heard = { readonly records: readonly RecordEnvelope[]; readonly position: number };
  let heard: Heard[] = [];
  let stop: (() => void) | undefined;
  /** Tells apart what a source that was replaced still has to say. */
  let following = 0;
  let working: Promise<void> | undefined;
  let closed = false;
  const listeners = new Set<(batch: ReplicaBatch) => void>();
  const waiters = new Set<{ readonly position: number; readonly resolve: () => void }>();

  async function localState(): Promise<{ at: PositionBody | undefined; records: RecordEnvelope[] }> {
    const records: RecordEnvelope[] = [];
    let at: PositionBody | undefined;
    for (const record of (await local.restore()).records) {
      if (record.kind === 'meta' && record.key === position_key) at = record.body as PositionBody;
      else records.push(record);
    }
    return { at, records };
  }

  const positionRecord = (at: number): Change => ({
    kind: 'meta',
    key: position_key,
    body: { cluster: cluster_id!, position: at } satisfies PositionBody,
  });
  const arrive = (at: number, batch: ReplicaBatch) => {
    position = at;
    for (const listener of [...listeners]) listener(batch);
    for (const waiter of waiters)
      if (waiter.position <= position) {
        waiters.delete(waiter);
        waiter.resolve();
      }
  };

  /** Writes what was heard, several commits of the cluster in one of ours when they come faster than the device. */
  const write = async (): Promise<void> => {
    while (heard.length > 0) {
      const some: Heard[] = [];
      for (let changes = 0; heard.length > 0 && changes < batch_changes_max; changes += some.at(-1)!.records.length)
        some.push(heard.shift()!);
      const to = some.at(-1)!.position;
      await local.append([...some.flatMap(batch => batch.records), positionRecord(to)]);
      for (const batch of some) arrive(batch.position, { type: 'records', ...batch });
    }
  };

  /** Makes the local state that of the source, and goes on from there. */
  const takeOver = async (source: Source): Promise<void> => {
    const restored = await source.restore();
    const records = [...restored.records];
    log?.warn(
      { from: position, to: restored.position },
      'the state is taken over anew; history in between is missing here',
    );
    const gone = new Set((await localState()).records.map(slot));
    for (const record of records) gone.delete(slot(record));
    const kind_of = (name: string) => name.slice(0, name.indexOf(' ')) as Change['kind'];
    const changes: Change[] = [
      ...[...gone].map(name => ({ kind: kind_of(name), key: name.slice(name.indexOf(' ') + 1), body: undefined })),
      ...records,
    ];
    await local.append([positionRecord(being_taken_over)]);
    for (let start = 0; start < changes.length; start += batch_changes_max)
      await local.append(changes.slice(start, start + batch_changes_max));
    await local.append([positionRecord(restored.position)]);
    arrive(restored.position, { type: 'state', records, position: restored.position });
  };

  const fail = (generation: number, error: Error, failed: (error: Error) => void) => {
    if (generation !== following) return;
    following++;
    stop?.();
    stop = undefined;
    heard = [];
    failed(error);
  };

  const pump = (generation: number, failed: (error: Error) => void) => {
    working ??= write()
      .catch(error => fail(generation, error as Error, failed))
      .finally(() => {
        working = undefined;
        if (heard.length > 0) pump(generation, failed); // Heard between the last look and now.
      });
  };

  /** From the present position, or from the whole state where that is not to be had any more. */
  const begin = async (generation: number, source: Source, failed: (error: Error) => void): Promise<void> => {
    const hear = (records: readonly RecordEnvelope[], at: number) => {
      if (generation !== following) return;
      heard.push({ records, position: at });
      pump(generation, failed);
    };
    const lost = (error: Error) => {
      if (generation !== following) return;
      if (!(error instanceof RangeError)) return fail(generation, error, failed);
      stop = undefined;
      again().catch(each => fail(generation, each as Error, failed));
    };
    const again = async () => {
      while (working !== undefined) await working;
      if (generation !== following) return;
      working = takeOver(source).finally(() => {
        working = undefined;
      });
      await working;
      await begin(generation, source, failed);
    };
    if (generation !== following) return;
    if (position === being_taken_over) return again();
    try {
      stop = source.follow(position, hear, lost);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      await again();
    }
  };

  const unfollow = async () => {
    following++;
    stop?.();
    stop = undefined;
    while (working !== undefined) await working.catch(() => undefined); // Whoever follows hears of its failure.
  };

  return {
    page: (kind, prefix, limit, before) => local.page(kind, prefix, limit, before),
    get: (kind, key) => local.get(kind, key),
    count: (kind, prefix) => local.count(kind, prefix),
    cluster_id: () => cluster_id,
    position: () => Math.max(0, position),
    async restore() {
      while (working !== undefined) await working;
      const { records } = await localState();
      return { position: Math.max(0, position), records, poison: [] };
    },
    follow(id, source, failed) {
      if (closed) throw new Error('the replica is closed: expected it to be open');
      if (cluster_id !== undefined && cluster_id !== id)
        throw new JournalError(
          'foreign',
          `this copy is of the cluster ${cluster_id}, not of ${id}: correct --zk, or start with an empty --data-dir`,
        );
      cluster_id = id;
      stop?.();
      stop = undefined;
      const generation = ++following;
      // What an earlier source has said comes first.
      Promise.resolve(working?.catch(() => undefined))
        .then(() => begin(generation, source, failed))
        .catch(error => fail(generation, error as Error, failed));
    },
    unfollow,
    onBatch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    reached(wanted) {
      if (position >= wanted) return Promise.resolve();
      return new Promise(resolve => void waiters.add({ position: wanted, resolve }));
    },
    compact: now => local.compact(now),
    async close() {
      closed = true;
      await unfollow();
      await local.close();
    },
  };
}
