// fit-index.ts: which host, from here on, has room for this?
//
// A knock-out tournament: hosts stand in a row as leaves, and every node above knows the most that any host below it has of
// each resource. A branch whose best is not enough is never entered, so a thousand full hosts cost one look at the top.
// The best of a branch may come from different hosts, so a search sometimes walks in vain; it never misses a host.

import type { Quantities } from './resources.ts';

const dimensions = 5;

export type FitIndex = {
  /** The first position in [from, to) whose host holds at least `need`; -1 when there is none. */
  readonly next: (need: Quantities, from: number, to: number) => number;
  /** Writes down what a host has left. */
  readonly set: (position: number, free: Quantities) => void;
  /** Nodes looked at so far: what the searching has cost. */
  readonly visits: () => number;
};

export function fitIndex(hosts: readonly { readonly free: Quantities }[]): FitIndex {
  let width = 1;
  while (width < hosts.length) width *= 2;
  // -1: an empty place holds less than nothing, so that not even a need of nothing fits there.
  const most = new Float64Array(2 * width * dimensions).fill(-1);
  let visits = 0;

  const write = (node: number, free: Quantities) => {
    const at = node * dimensions;
    most[at] = free.cpus;
    most[at + 1] = free.mem;
    most[at + 2] = free.disk;
    most[at + 3] = free.gpus;
    most[at + 4] = free.ports;
  };
  const raise = (node: number) => {
    const at = node * dimensions;
    const left = 2 * at;
    const right = left + dimensions;
    for (let d = 0; d < dimensions; d++) most[at + d] = Math.max(most[left + d]!, most[right + d]!);
  };
  const holds = (node: number, need: Quantities) => {
    const at = node * dimensions;
    return (
      most[at]! >= need.cpus &&
      most[at + 1]! >= need.mem &&
      most[at + 2]! >= need.disk &&
      most[at + 3]! >= need.gpus &&
      most[at + 4]! >= need.ports
    );
  };
  const search = (node: number, low: number, high: number, need: Quantities, from: number, to: number): number => {
    visits++;
    if (high <= from || low >= to || !holds(node, need)) return -1;
    if (high - low === 1) return low;
    const middle = (low + high) / 2;
    const left = search(2 * node, low, middle, need, from, to);
    return left >= 0 ? left : search(2 * node + 1, middle, high, need, from, to);
  };

  for (const [position, { free }] of hosts.entries()) write(width + position, free);
  for (let node = width - 1; node > 0; node--) raise(node);

  return {
    next: (need, from, to) => search(1, 0, width, need, from, to),
    set(position, free) {
      let node = width + position;
      write(node, free);
      for (node >>= 1; node > 0; node >>= 1) raise(node);
    },
    visits: () => visits,
  };
}
