// processes.ts: what /proc says about running processes, and ending them for certain.
//
// Tasks lead process groups of their own and outlive the program that started them, so neither a signal to the program
// nor one to its group reaches them. Two other ties hold: being a descendant, and having a working directory below a
// test's own.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { until } from './until.ts';

/** Whether a process is there and not merely a zombie waiting for its parent. */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X';
}

/** All processes that descend from `pid`, itself not among them. */
export function descendants(pid: number): number[] {
  const parents = new Map(pids().map(candidate => [candidate, statOf(candidate)?.parent]));
  const found = [pid];
  for (const ancestor of found) for (const [child, parent] of parents) if (parent === ancestor) found.push(child);
  return found.slice(1);
}

/** Processes whose working directory is `directory` or lies below it. */
export function runningUnder(directory: string): number[] {
  return pids().filter(pid => {
    if (pid === process.pid || !isAlive(pid)) return false;
    const place = orUndefined(() => readlinkSync(`/proc/${pid}/cwd`))?.replace(/ \(deleted\)$/, '');
    return place === directory || place?.startsWith(`${directory}/`) === true;
  });
}

/** SIGKILLs a process with all its descendants, and resolves when none of them is left. */
export async function killTree(pid: number): Promise<void> {
  const doomed = [pid, ...descendants(pid)];
  for (const each of doomed) send(each, 'SIGKILL');
  await until(`the end of processes ${doomed.join(', ')}`, () => !doomed.some(isAlive));
}

/** SIGKILLs whatever runs below `directory`, until nothing does. */
export async function killUnder(directory: string): Promise<void> {
  await until(`the end of what runs in ${directory}`, () => {
    const running = runningUnder(directory);
    for (const pid of running) send(pid, 'SIGKILL');
    return running.length === 0;
  });
}

/** Sends a signal; one that has ended meanwhile is no error. */
export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The command's name stands in parentheses and may hold anything, so the fields are counted from the last of them. */
function statOf(pid: number): { state: string; parent: number } | undefined {
  const text = orUndefined(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const [state, parent] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  return state === undefined || parent === undefined ? undefined : { state, parent: Number(parent) };
}

const pids = () =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number);

/** A process may end between two looks at it. */
function orUndefined<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
