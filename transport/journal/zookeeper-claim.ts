// zookeeper-claim.ts: is this tree ours to use, may we write as much as we must, and whose turn is it to write.
//
// Before anything is written we look at what is there. A tree of somebody else, of another cluster or of a later version,
// a path that we may not touch, and servers that take no packets as large as ours end in one clear sentence; what was
// found stays as it was.

import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../../schedules/clock.ts';
import type { Operation, ZooKeeper } from '../zookeeper/zookeeper.ts';
import { ZooKeeperError } from '../zookeeper/zookeeper.ts';
import { JournalError } from './journal.ts';
import {
  type Cluster,
  format_version,
  nonce_bytes,
  type Places,
  packCluster,
  packEpoch,
  unpackCluster,
  unpackEpoch,
} from './zookeeper-tree.ts';

/**
 * Which cluster we are. A node that has been part of one remembers its id and says so. `sign`: what only those can make of
 * the cluster's id who have its key.
 */
export type Membership = {
  readonly name: string;
  readonly id?: string;
  readonly sign?: (cluster_id: string) => string;
};
/** The writer's place: every write checks that `PATH/epoch` still has this version. */
export type Claim = { readonly epoch: number; readonly version: number; readonly nonce: Buffer };

/** Children of the path that are Horae's, besides the journal's own: made by whoever came first. */
const neighbours: ReadonlySet<string> = new Set(['election', 'discovery']);
const empty = Buffer.alloc(0);
/** A connection may break for other reasons; so often in a row, with smaller packets going through between, it does not. */
const probes_max = 5;
const probe_pause_ms = 100;
const any_version = -1;
/** What stands around a body in the packet that carries it. */
const packet_rim_bytes = 1_024;

/** Finds the tree, or makes it. Throws JournalError `foreign`, `newer` or `io`. */
export async function enterTree(zk: ZooKeeper, places: Places, membership: Membership): Promise<Cluster> {
  for (;;) {
    const found = await zk.get(places.cluster);
    if (found !== undefined) {
      const cluster = unpackCluster(found.data, places.cluster);
      refuseOthers(cluster, places, membership);
      if (membership.sign !== undefined) await showKey(zk, places, membership.sign(cluster.id));
      return cluster;
    }
    const children = (await zk.children(places.root)) ?? [];
    // Made between our two looks, by a node that was started at the same time.
    if (children.includes(places.cluster.slice(places.cluster.lastIndexOf('/') + 1))) continue;
    const foreign = children.find(name => !neighbours.has(name) && (places.root !== '/' || name !== 'zookeeper'));
    if (foreign !== undefined)
      throw new JournalError(
        'foreign',
        `${places.root} holds "${foreign}" but no journal of Horae: expected an empty node or a cluster's; choose another path in --zk`,
      );
    if (membership.id !== undefined)
      throw new JournalError(
        'foreign',
        `${places.root} holds no journal, but this node belongs to the cluster ${membership.id}: expected its tree; correct --zk, or start with an empty --data-dir`,
      );
    await zk.mkdirs(places.root);
    const cluster: Cluster = { format: format_version, id: randomUUID(), name: membership.name };
    const create = (path: string, data: Buffer): Operation => ({ type: 'create', path, data });
    await zk
      .multi([
        create(places.cluster, packCluster(cluster)),
        create(places.epoch, packEpoch({ epoch: 0, nonce: '' })),
        create(places.segments, empty),
        create(places.snapshots, empty),
      ])
      .catch(error => {
        // Another node made it at the same time: the next look tells whose it is.
        if (!isCode(error, 'node-exists')) throw error;
      });
  }
}

function refuseOthers(cluster: Cluster, { root }: Places, { name, id }: Membership): void {
  if (id !== undefined && cluster.id !== id)
    throw new JournalError(
      'foreign',
      `${root} belongs to the cluster ${cluster.id} ("${cluster.name}"), and this node to ${id}: correct --zk, or start with an empty --data-dir`,
    );
  if (cluster.name !== name)
    throw new JournalError(
      'foreign',
      `${root} belongs to the cluster "${cluster.name}": expected "${name}"; two clusters need two paths in --zk`,
    );
}

/**
 * Two clusters that were set up alike and given one path are told apart by their keys. Whoever comes first leaves the mark,
 * and it stays: also while none of its nodes is there to object.
 */
async function showKey(zk: ZooKeeper, { root, key }: Places, ours: string): Promise<void> {
  for (;;) {
    const found = await zk.get(key);
    if (found === undefined) {
      await zk.create(key, Buffer.from(ours)).catch(error => {
        if (!isCode(error, 'node-exists')) throw error;
      });
    } else if (Buffer.from(found.data).toString() === ours) return;
    else
      throw new JournalError(
        'foreign',
        `${key} says that the nodes of ${root} have another --cluster-key-file: expected theirs; two clusters need two paths in --zk, and when the key was changed on every node, stop them all and delete ${key}`,
      );
  }
}

/**
 * Servers break the connection at a packet beyond their jute.maxbuffer, and break it again when it is repeated. So one as
 * large as the largest of ours is tried, in a transaction that leaves nothing behind.
 */
export async function probePackets(zk: ZooKeeper, places: Places, body_bytes_max: number, clock: Clock): Promise<void> {
  const path = `${places.segments}/probe-${randomBytes(nonce_bytes).toString('hex')}`;
  const data = Buffer.alloc(body_bytes_max + packet_rim_bytes);
  for (let probe = 1; ; probe++) {
    try {
      await zk.multi([
        { type: 'create', path, data },
        { type: 'delete', path },
      ]);
      return;
    } catch (error) {
      if (!isCode(error, 'connection-loss')) throw error;
      await zk.sync(places.root); // Fails when it is not the packet that is to blame.
      if (probe < probes_max) {
        await new Promise<void>(resolve => clock.wakeAt(clock.now() + probe_pause_ms * probe, resolve));
        continue;
      }
      throw new JournalError(
        'io',
        `ZooKeeper breaks the connection at packets of ${data.length} bytes, which the journal needs: set jute.maxbuffer to 1048575 (its default) or more on every server`,
        error,
      );
    }
  }
}

/**
 * Enters the next epoch, or `wanted`, while `place`, our node in the line of candidates, exists. Throws JournalError
 * `fenced` when it does not, when the epoch has been had, or somebody is quicker.
 */
export async function claimEpoch(
  zk: ZooKeeper,
  places: Places,
  wanted: number | undefined,
  place: string | undefined,
): Promise<Claim> {
  const nonce = randomBytes(nonce_bytes);
  const hex = nonce.toString('hex');
  for (;;) {
    const found = await zk.get(places.epoch);
    if (found === undefined)
      throw new JournalError('corrupt', `${places.epoch} is missing: expected a complete tree, restore it from a copy`);
    const { version } = found.stat;
    const last = unpackEpoch(found.data, places.epoch);
    if (last.nonce === hex) return { epoch: last.epoch, version, nonce };
    const epoch = wanted ?? last.epoch + 1;
    if (epoch <= last.epoch)
      throw new JournalError(
        'fenced',
        `epoch ${epoch} is not above ${last.epoch}, which another writer of ${places.root} has had`,
      );
    const operations: Operation[] = [
      ...(place === undefined ? [] : [{ type: 'check', path: place, version: any_version } as const]),
      { type: 'set', path: places.epoch, data: packEpoch({ epoch, nonce: hex }), version },
    ];
    try {
      await zk.multi(operations);
      return { epoch, version: version + 1, nonce };
    } catch (error) {
      // When the answer was lost the next look finds our nonce, or not.
      if (isCode(error, 'connection-loss')) continue;
      if (isCode(error, 'bad-version'))
        throw new JournalError(
          'fenced',
          `another writer has just taken ${places.root}: expected to be the only one`,
          error,
        );
      if (isCode(error, 'no-node') && (error as ZooKeeperError).path === place)
        throw new JournalError(
          'fenced',
          `${place} is gone: another may lead by now, so ${places.root} is not taken`,
          error,
        );
      throw error;
    }
  }
}

const isCode = (error: unknown, code: ZooKeeperError['code']): boolean =>
  error instanceof ZooKeeperError && error.code === code;

/** What a failure of ZooKeeper means to whoever keeps a journal there. */
export function asJournalError(error: unknown, place: string): JournalError {
  if (error instanceof JournalError) return error;
  if (!(error instanceof ZooKeeperError))
    return new JournalError('io', `the journal in ZooKeeper at ${place} has failed: ${error}`, error);
  switch (error.code) {
    case 'connection-loss':
      return new JournalError('io', `ZooKeeper cannot be reached: ${error.message}`, error);
    case 'no-auth':
      return new JournalError(
        'io',
        `ZooKeeper refuses us rights at ${error.path}: give them to the name in --zk-auth, or choose another path in --zk`,
        error,
      );
    case 'too-large':
      return new JournalError('full', `ZooKeeper takes no more at ${error.path}: ${error.message}`, error);
    case 'session-expired':
    case 'closed':
      return new JournalError('unknown', `${error.message} before the answer came`, error);
    default:
      return new JournalError('io', `the journal in ZooKeeper at ${place} has failed: ${error.message}`, error);
  }
}
