// process-tree.ts: all that has come of one process, however it has tried to get away, and its end.
//
// A process may leave its group and its session, and may outlive its parents; it cannot easily take off the environment that
// it was born with. So a tree is whoever is reached by parent, group and session from its root, and whoever carries the
// root's mark in its environment.

import { readdirSync, readFileSync } from 'node:fs';
import { hasCode, isGone } from './processes.ts';

type Found = { readonly pid: number; readonly parent: number; readonly group: number; readonly session: number };

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
    for (const { pid, parent } of processes()) if (parent === beside && pid !== root) spared.add(pid);
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
  const all = processes();
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

function processes(): Found[] {
  const found: Found[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = read(`/proc/${entry}/stat`);
    if (stat === undefined) continue;
    // pid (comm) state ppid pgrp session ...: comm may hold spaces and parentheses, so count from the last parenthesis.
    const [state, parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') continue;
    found.push({ pid: Number(entry), parent: Number(parent), group: Number(group), session: Number(session) });
  }
  return found;
}

const isMarked = (pid: number, mark: string) => read(`/proc/${pid}/environ`)?.split('\0').includes(mark) ?? false;

/** Undefined for somebody else's, and for one that has just ended. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (isGone(error) || hasCode(error, 'EACCES') || hasCode(error, 'EPERM')) return undefined;
    throw error;
  }
}

function send(pid: number, signal: 'SIGSTOP' | 'SIGKILL'): void {
  if (pid === process.pid) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isGone(error) && !hasCode(error, 'EPERM')) throw error;
  }
}
