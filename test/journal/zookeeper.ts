// zookeeper.ts: journals in a real ZooKeeper, for tests: paths, copies of trees, and a home that keeps the contract.

import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../schedules/clock.ts';
import type { History, Journal } from '../../transport/journal/journal.ts';
import { lmdbJournal } from '../../transport/journal/lmdb.ts';
import { openReplica, type Replica } from '../../transport/journal/replica.ts';
import { type ZooKeeperJournalOptions, zookeeperJournal } from '../../transport/journal/zookeeper.ts';
import type { ZooKeeper } from '../../transport/zookeeper/zookeeper.ts';
import type { Home, HomeOptions } from './contract.ts';

export const clock = systemClock();
export const cluster = { name: 'test' };

export const journalAt = (zk: ZooKeeper, path: string, options: Partial<ZooKeeperJournalOptions> = {}) =>
  zookeeperJournal({ zk, path, cluster, schemas: {}, clock, ...options });

/** The tree below `from`, node by node, at `to`. */
export async function copyTree(zk: ZooKeeper, from: string, to: string): Promise<void> {
  const node = await zk.get(from);
  if (node === undefined) return;
  if ((await zk.exists(to)) === undefined) await zk.create(to, node.data);
  await Promise.all(((await zk.children(from)) ?? []).map(name => copyTree(zk, `${from}/${name}`, `${to}/${name}`)));
}

/** Where a node's journal lives: state in ZooKeeper, history in the copy in `directory`. */
export function clusterHome(zk: ZooKeeper, scratch: string, options: HomeOptions, names: { next: () => string }): Home {
  return homeAt(zk, scratch, names.next(), options, names);
}

function homeAt(
  zk: ZooKeeper,
  scratch: string,
  name: string,
  options: HomeOptions,
  names: { next: () => string },
): Home {
  return {
    next: (changed = {}) => nodeJournal(zk, `/${name}`, join(scratch, name), { ...options, ...changed }),
    crashed: async () => {
      const copy = names.next();
      await copyTree(zk, `/${name}`, `/${copy}`);
      await cp(join(scratch, name), join(scratch, copy), { recursive: true });
      await rm(join(scratch, copy, 'instance.lock'), { force: true }); // Its holder is this process, which lives on.
      return homeAt(zk, scratch, copy, options, names);
    },
  };
}

/** The leader's journal and its own copy as one: what was appended is in both. */
function nodeJournal(zk: ZooKeeper, path: string, directory: string, options: HomeOptions): Journal & History {
  const { schemas = {}, retention = {}, now = () => 0, flush } = options;
  const journal = journalAt(zk, path, { schemas, ...(flush === undefined ? {} : { flush }) });
  let replica: Replica | undefined;
  const copy = (): Replica => {
    if (replica === undefined) throw new Error('not restored yet');
    return replica;
  };
  return {
    open: epoch => journal.open(epoch),
    async restore() {
      const restored = await journal.restore();
      const local = lmdbJournal({ path: directory, schemas, retention, now, map_size: 2 ** 28 });
      replica = await openReplica({ local });
      replica.follow(journal.cluster().id, journal, () => undefined);
      await replica.reached(restored.position);
      return restored;
    },
    async append(changes) {
      const position = await journal.append(changes);
      await copy().reached(position);
      return position;
    },
    follow: (position, batch) => journal.follow(position, batch),
    snapshot: () => journal.snapshot(),
    async compact(instant) {
      await journal.compact(instant);
      await copy().compact(instant);
    },
    async close() {
      await journal.close();
      await replica?.close();
    },
    page: (...args) => copy().page(...args),
    get: (...args) => copy().get(...args),
    count: (...args) => copy().count(...args),
  };
}
