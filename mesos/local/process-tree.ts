// process-tree.ts: all that has come of one process, however it has tried to get away, and its end.
//
// A process may leave its group and its session, and may outlive its parents; it cannot easily take off the environment that
// it was born with. So a tree is whoever is reached by parent, group and session from its root, and whoever carries the
// root's mark in its environment.

import { environmentAt, processTable } from './limits/process-table.ts';
import { hasCode, isGone } from './processes.ts';

/** Rounds of looking before killing: each stops what the one before had not seen. */
const rounds_max = 20;

/**
 * Kills the tree under `root` and everything marked, but for `beside` and its children other than `root`: they stand by and
 * shall write down how it ended. Gives back how many there were. `root` may be gone already; then the mark alone tells.
 */
export function killTree(root: number | undefined, mark: string, beside: number | undefined): number {
  const spared = new Set([process.pid]);
  if (beside !== undefined) {
    spared.add(beside);
    for (const { pid, parent } of processTable()) if (parent === beside && pid !== root) spared.add(pid);
  }
  const members = new Set<number>();
  for (let round = 0; round < rounds_max; round++) {
    const fresh = membersOf(root, mark, spared, members);
    if (fresh.length === 0) break;
    for (const pid of fresh) {
      members.add(pid);
      // Whoever is stopped starts nobody else.
      send(pid, 'SIGSTOP');
    }
  }
  for (const pid of members) send(pid, 'SIGKILL');
  return members.size;
}

/** Whoever belongs to the tree and was not known before. */
function membersOf(
  root: number | undefined,
  mark: string,
  spared: ReadonlySet<number>,
  known: ReadonlySet<number>,
): number[] {
  const all = processTable();
  const members = new Set(known);
  for (const { pid } of all)
    if (!spared.has(pid) && !members.has(pid) && (pid === root || isMarked(pid, mark))) members.add(pid);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, parent, group, session } of all) {
      if (members.has(pid) || spared.has(pid)) continue;
      if (!members.has(parent) && !members.has(group) && !members.has(session)) continue;
      members.add(pid);
      grown = true;
    }
  }
  return [...members].filter(pid => !known.has(pid));
}

const isMarked = (pid: number, mark: string) => environmentAt(pid).includes(mark);

function send(pid: number, signal: 'SIGSTOP' | 'SIGKILL'): void {
  if (pid === process.pid) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isGone(error) && !hasCode(error, 'EPERM')) throw error;
  }
}
