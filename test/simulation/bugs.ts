// bugs.ts: three mistakes that a cluster must not make, made on purpose, to see whether the checks of the simulation find
// them. They stand between parts of the real thing; nothing that ships knows of them.

import type { Journal } from '../../transport/journal/journal.ts';
import { placesIn } from '../../transport/journal/zookeeper-tree.ts';
import type { ZooKeeper } from '../../transport/zookeeper/zookeeper.ts';
import { cluster_path, type Meddling } from './node.ts';

export const bugs = {
  /** Writes do not ask whether the epoch is still ours. */
  'fence off': { zookeeper: withoutFence },
  /** What a record decides leaves before the record is durable. */
  'effect before commit': { journal: hasty },
  /** How far the targets are decided is written after what was decided. */
  'cursor in a separate commit': { journal: twoCommits },
} as const satisfies Record<string, Meddling>;
export type Bug = keyof typeof bugs;

function withoutFence(zk: ZooKeeper): ZooKeeper {
  const { epoch } = placesIn(cluster_path);
  return {
    ...zk,
    multi: async operations => {
      const kept = operations.filter(({ type, path }) => type !== 'check' || path !== epoch);
      const made = await zk.multi(kept);
      return [...Array.from({ length: operations.length - kept.length }, () => undefined), ...made];
    },
  };
}

function hasty(journal: Journal, position: number): Journal {
  let writing: Promise<number> | undefined;
  let ahead = position;
  return {
    ...journal,
    async append(changes) {
      await writing;
      ahead += changes.length;
      writing = journal.append(changes);
      writing.catch(() => undefined); // The next append says so.
      return ahead;
    },
  };
}

function twoCommits(journal: Journal): Journal {
  return {
    ...journal,
    async append(changes) {
      const cursors = changes.filter(({ kind }) => kind === 'trigger');
      const others = changes.filter(({ kind }) => kind !== 'trigger');
      const position = await journal.append(others);
      return cursors.length === 0 ? position : journal.append(cursors);
    },
  };
}
