// zookeeper-log.ts: the cluster's journal as those who do not write it see it.
//
// A standby reads what is there and then waits for what comes. It does not list hundreds of segments for each commit:
// the next one's name is known as long as the writer stays, so it asks for that one and leaves a watch where it will
// appear. Two more watches tell when the rules change: at the epoch's node (a new writer names its segments otherwise) and
// at the snapshot's (what we wait for may have been folded into it).

import type { Clock } from '../../schedules/clock.ts';
import { type ZooKeeper, ZooKeeperError } from '../zookeeper/zookeeper.ts';
import { JournalError, type RecordEnvelope, type Restored, type Schemas } from './journal.ts';
import { presentAll } from './records.ts';
import type { Shelf } from './shelf.ts';
import { asJournalError, enterTree, type Membership } from './zookeeper-claim.ts';
import {
  ahead,
  fetchSegment,
  fillShelf,
  readMark,
  readTree,
  restoreFrom,
  type Stored,
  segmentOf,
  Vanished,
} from './zookeeper-reading.ts';
import { type Cluster, nodeName, placesIn, readNames, unpackEpoch } from './zookeeper-tree.ts';

export type ClusterLogOptions = {
  /** A live session; the log lives no longer than it. */
  readonly zk: ZooKeeper;
  readonly path: string;
  readonly cluster: Membership;
  readonly schemas: Schemas;
  readonly clock: Clock;
  readonly retry_ms?: number;
  /** Where segments are put, for the day on which this node leads. */
  readonly shelf?: Shelf;
};
export type ClusterLog = {
  /** Finds the cluster's tree, or makes it. Throws JournalError. */
  enter(): Promise<Cluster>;
  /** Fetches what the shelf lacks. Rejects when something is in the way; then less lies on it. */
  fillShelf(): Promise<void>;
  /** The state as of the newest commit. */
  restore(): Promise<Restored>;
  /**
   * Each committed batch after `position`, in order, as it becomes known here. `failed` is called once, at the end: with a
   * RangeError when records after `position` have been folded away (start again from the state), or a JournalError.
   */
  follow(
    position: number,
    batch: (records: readonly RecordEnvelope[], position: number) => void,
    failed: (error: Error) => void,
  ): () => void;
};

const retry_ms_default = 50;
const ends = { expired: 'session-expired', 'auth-failed': 'auth-failed', closed: 'closed' } as const;

export function clusterLog({
  zk,
  path,
  cluster,
  schemas,
  clock,
  retry_ms = retry_ms_default,
  shelf,
}: ClusterLogOptions): ClusterLog {
  const places = placesIn(path);

  const pause = () => new Promise<void>(resolve => clock.wakeAt(clock.now() + retry_ms, resolve));
  /** As long as the session lives: the deadlines of its calls are the limit of each attempt. */
  const persist = async <T>(call: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!mayPass(error)) throw asJournalError(error, path);
        await pause();
      }
    }
  };

  const follow: ClusterLog['follow'] = (from, batch, failed) => {
    let position = from;
    let following = true;
    /** Nodes with a watch of ours that has not been called. */
    const watched = new Set<string>();
    /** Something has changed since we last looked; and it may be more than the next segment. */
    let changed = true;
    let rules_changed = true;
    let wake: () => void = () => undefined;
    const stir = () => {
      changed = true;
      wake();
    };
    let epoch = 0;

    const watchRules = async () => {
      const watch = (node: string) => () => {
        watched.delete(node);
        rules_changed = true;
        stir();
      };
      if (!watched.has(places.epoch)) {
        watched.add(places.epoch);
        const found = await zk.get(places.epoch, watch(places.epoch));
        if (found === undefined)
          throw new JournalError('corrupt', `${places.epoch} is missing: expected a complete tree`);
        epoch = unpackEpoch(found.data, places.epoch).epoch;
      }
      if (!watched.has(places.snapshots)) {
        watched.add(places.snapshots);
        await zk.exists(places.snapshots, watch(places.snapshots));
      }
    };

    const hear = (stored: Stored) => {
      shelf?.put(stored);
      if (!following || stored.last <= position) return;
      const { first, records } = segmentOf(stored, places);
      if (first > position + 1)
        throw new JournalError(
          'corrupt',
          `${places.segments}/${stored.name} follows record ${position}: expected no gap`,
        );
      const fresh = records.slice(Math.max(0, position + 1 - first));
      position = stored.last;
      batch(presentAll(schemas, fresh).good, position);
    };

    /** Hears every segment after `position` that is there now, whoever wrote it. */
    const hearAll = async (): Promise<void> => {
      // In this order: what the snapshot covers and no longer finds is then surely folded away.
      const mark = await readMark(zk, places);
      shelf?.clear(mark.position);
      const { segments } = readNames((await zk.children(places.segments)) ?? []);
      const start = segments.findLastIndex(segment => segment.first <= position + 1);
      if (start < 0 && segments.length > 0) throw folded();
      let end = mark.position;
      for await (const stored of ahead(segments.slice(Math.max(0, start)), each => fetchSegment(zk, places, each))) {
        // The writer drops what it has folded in no order; what is missing between two names may be that.
        if (stored.first > position + 1 && (await readMark(zk, places)).position > position) throw folded();
        hear(stored);
        end = stored.last;
      }
      if (position < mark.position) throw folded();
      if (following && end < position)
        throw new JournalError(
          'corrupt',
          `the journal at ${path} ends with record ${end}, and ${position} has been seen here: expected none to be lost`,
        );
    };
    const folded = () =>
      new RangeError(`cannot follow from position ${position}: records after it have been folded into a snapshot`);

    /** Hears the next segments of the present writer, one by one; leaves a watch where the next will be. */
    const hearNext = async (): Promise<void> => {
      while (following) {
        const name = nodeName(epoch, position + 1);
        const node = `${places.segments}/${name}`;
        if (watched.has(node)) return;
        try {
          hear(await fetchSegment(zk, places, { name, epoch, first: position + 1 }));
          continue;
        } catch (error) {
          if (!(error instanceof Vanished)) throw error;
        }
        watched.add(node);
        const found = await zk.exists(node, () => {
          watched.delete(node);
          stir();
        });
        if (found === undefined) return;
        watched.delete(node);
      }
    };

    const run = async () => {
      await persist(() => zk.sync(places.root));
      while (following) {
        if (!changed) {
          await new Promise<void>(resolve => {
            wake = resolve;
          });
          continue;
        }
        changed = false;
        try {
          if (rules_changed) {
            rules_changed = false;
            await watchRules();
            await hearAll();
          }
          await hearNext();
        } catch (error) {
          if (!mayPass(error)) throw error;
          // Watches of an attempt that broke down may or may not be there.
          watched.clear();
          rules_changed = true;
          changed = true;
          await pause();
        }
      }
    };
    const stop = () => {
      following = false;
      stopListening();
      wake();
    };
    const fail = (error: unknown) => {
      if (!following) return;
      stop();
      failed(error instanceof RangeError ? error : asJournalError(error, path));
    };
    const stopListening = zk.onState(state => {
      // Nothing is called any more then, watches least of all.
      if (state === 'expired' || state === 'auth-failed' || state === 'closed')
        fail(new ZooKeeperError(ends[state], path, `the ZooKeeper session is over (${state})`));
    });
    run().catch(fail);
    return stop;
  };

  return {
    enter: () => persist(() => enterTree(zk, places, cluster)),
    fillShelf: async () => {
      if (shelf !== undefined) await fillShelf(zk, places, shelf);
    },
    restore: () => persist(async () => restoreFrom(zk, places, await readTree(zk, places), schemas)),
    follow,
  };
}

/** What another attempt may mend: a broken connection, or a node that the writer has dropped between two looks. */
const mayPass = (error: unknown): boolean =>
  error instanceof Vanished || (error instanceof ZooKeeperError && error.code === 'connection-loss');
