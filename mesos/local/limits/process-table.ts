// process-table.ts: every process of the machine, as /proc shows it.

import { readdirSync, readFileSync } from 'node:fs';
import { hasCode, isGone } from '../processes.ts';
import { type ProcessRow, parseStat } from './process-accounts.ts';

/** On every architecture on which Linux runs Node. */
export const ticks_per_s = 100;

/** It differs between architectures, and kernels. */
export const pageBytes = (): number =>
  Number(/^KernelPageSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/smaps', 'latin1'))?.[1] ?? 4) * 1024;

export function processTable(): ProcessRow[] {
  const rows: ProcessRow[] = [];
  for (const entry of readdirSync('/proc')) {
    const first = entry.charCodeAt(0);
    if (first < 48 || first > 57) continue;
    const text = read(`/proc/${entry}/stat`);
    const row = text === undefined ? undefined : parseStat(text);
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

/** What stands after `NAME=` in the environment that a process was born with. */
export function bornWith(pid: number, name: string): string | undefined {
  const begin = `${name}=`;
  return environmentAt(pid)
    .find(entry => entry.startsWith(begin))
    ?.slice(begin.length);
}

/** All of it, one `NAME=VALUE` after the other. */
export const environmentAt = (pid: number): readonly string[] =>
  read(`/proc/${pid}/environ`, 'utf8')?.split('\0') ?? [];

/** Memory of these processes where what they share counts once; what /proc/PID/stat says counts it for each of them. */
export function sharedOnce(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids) {
    const found = /^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '');
    kilobytes += Number(found?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

/** Undefined for somebody else's, and for one that has just ended. */
function read(path: string, encoding: 'latin1' | 'utf8' = 'latin1'): string | undefined {
  try {
    return readFileSync(path, encoding);
  } catch (error) {
    if (isGone(error) || hasCode(error, 'EACCES') || hasCode(error, 'EPERM')) return undefined;
    throw error;
  }
}
