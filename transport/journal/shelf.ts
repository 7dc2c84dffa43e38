// shelf.ts: the segments since the newest snapshot, as this node has fetched or written them in this session.
//
// A standby reads every segment as it is written; when it is elected it would read them all again before it may begin,
// thousands of them, while targets wait. What lies on the shelf need not be fetched: a segment's name is one writer's
// alone and its node never changes, so whatever is listed under a name is what was read under it. What a snapshot covers
// goes; beyond the shelf's room those that came first go first, and are fetched should they be wanted.

import type { Stored } from './zookeeper-reading.ts';

export type Shelf = {
  readonly put: (stored: Stored) => void;
  readonly find: (name: string) => Stored | undefined;
  /** Up to this record everything is in a snapshot. */
  readonly clear: (position: number) => void;
  readonly bytes: () => number;
};

const bytes_max_default = 32 * 2 ** 20;
/** What an entry takes besides its segment. */
const entry_bytes = 200;

export function createShelf(bytes_max = bytes_max_default): Shelf {
  /** In the order in which they came. */
  const entries = new Map<string, Stored>();
  let bytes = 0;
  let cleared = 0;
  const sizeOf = ({ packed }: Stored) => packed.length + entry_bytes;
  const drop = (stored: Stored) => {
    entries.delete(stored.name);
    bytes -= sizeOf(stored);
  };
  return {
    put(stored) {
      if (stored.last <= cleared || entries.has(stored.name)) return;
      entries.set(stored.name, stored);
      bytes += sizeOf(stored);
      for (const oldest of entries.values()) {
        if (bytes <= bytes_max) return;
        drop(oldest);
      }
    },
    find: name => entries.get(name),
    clear(position) {
      cleared = Math.max(cleared, position);
      for (const stored of [...entries.values()]) if (stored.last <= cleared) drop(stored);
    },
    bytes: () => bytes,
  };
}
