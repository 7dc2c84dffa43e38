// crowd.ts: how many instances there are, of all active runs together, and how many more there may be.
//
// An instance that waits costs as much as one that runs, and nothing else keeps a thousand jobs from wanting four thousand
// each. So runs are counted where they are recorded, and whoever is about to begin one asks for room first. Kept in place.

import type { RunKey } from './model/ids.ts';
import type { RunRecord } from './model/records.ts';

export interface Crowd {
  /** A run was recorded, or is gone. */
  note(key: RunKey, run: RunRecord | undefined): void;
  /** How many further instances there may be; below zero when the limit was lowered. */
  room(): number;
}

export function newCrowd(instances_max: number, runs: Iterable<readonly [RunKey, RunRecord]>): Crowd {
  const sizes = new Map<RunKey, number>();
  let total = 0;
  const crowd: Crowd = {
    note(key, run) {
      total += (run?.instances ?? 0) - (sizes.get(key) ?? 0);
      if (run === undefined) sizes.delete(key);
      else sizes.set(key, run.instances);
    },
    room: () => instances_max - total,
  };
  for (const [key, run] of runs) crowd.note(key, run);
  return crowd;
}

/** In words, for whoever asked for more than there is room for. */
export const noRoom = (wanted: number, room: number): string =>
  `${wanted} instance(s) are wanted and there is room for ${Math.max(0, room)}: let others end, or raise --instances-max`;
