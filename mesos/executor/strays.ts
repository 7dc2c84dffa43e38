// strays.ts: finding and ending what a task has left behind, wherever it has gone.
//
// A process may fork, leave its group, take a session of its own and outlive its parent: no tie of the kernel's is left then
// that we could pull. But it was born with a mark in its environment, and so were its children. A mark can be thrown away,
// by a program that wants to; one that merely runs in the background does not.

import { readdirSync, readFileSync } from 'node:fs';
import { hasCode, isGone } from '../local/processes.ts';
import { mark_name } from './environment.ts';

const rounds_max = 20;

/** SIGKILLs every process whose mark is `mark` or begins with `mark/`; tells how many there were. */
export function endMarked(mark: string): number {
  const ended = new Set<number>();
  // Whoever forks while we look is found in the next round.
  for (let round = 0; round < rounds_max; round++) {
    const found = marked(mark);
    if (found.length === 0) break;
    for (const pid of found) {
      ended.add(pid);
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    }
  }
  return ended.size;
}

/** Living processes that carry a mark. Reads all of /proc: not for every day. */
export function marked(mark: string): readonly number[] {
  const exact = Buffer.from(`\0${mark_name}=${mark}\0`);
  const below = Buffer.from(`\0${mark_name}=${mark}/`);
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(pid => {
      const environment = environmentOf(pid);
      return environment !== undefined && (environment.includes(exact) || environment.includes(below));
    })
    .map(Number);
}

/** Between two zero bytes each; undefined for somebody else's process, for one that is gone, and for zombies. */
function environmentOf(pid: string): Buffer | undefined {
  try {
    const bytes = readFileSync(`/proc/${pid}/environ`);
    return bytes.length === 0 ? undefined : Buffer.concat([Buffer.of(0), bytes, Buffer.of(0)]);
  } catch (error) {
    if (isGone(error) || hasCode(error, 'EACCES') || hasCode(error, 'EPERM')) return undefined;
    throw error;
  }
}
