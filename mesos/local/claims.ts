// claims.ts: the files by which agent and wrapper agree, without talking, on whether a task has begun.
//
// Both may be killed between any two lines, so each question is decided by one atomic step of the file system: `claim` is
// created exclusively, by the wrapper that starts or by the agent that finds nobody; `kill` is written before `pid` is read,
// `pid` before `kill` is looked for.

import { statSync, writeFileSync } from 'node:fs';
import type { Instant } from '../../schedules/clock.ts';
import { anyProcessWith, hasCode, isAlive, readIfThere, signalGroup } from './processes.ts';
import type { pathsOf } from './sandbox.ts';
import { type Identity, parseIdentity } from './wrapper.ts';

type Paths = ReturnType<typeof pathsOf>;

/** What stands in a claim that an agent made. */
const agents_claim = 'agent\n';

/** The wrapper that signed for the task; undefined when none has, or its signature is not whole. */
export const wrapperOf = (paths: Pick<Paths, 'claim'>): Identity | undefined => parseIdentity(readIfThere(paths.claim));

/** When the wrapper signed. */
export function signedAt(paths: Paths): Instant | undefined {
  try {
    return statSync(paths.claim).mtimeMs;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Asks for good whether a task has begun. After `true` it never will. */
export function neverBegan(paths: Paths): boolean {
  try {
    writeFileSync(paths.claim, agents_claim, { flag: 'wx' });
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true; // No folder: the agent was killed before it could start the wrapper.
    // Somebody was here before, or the disk is full: then the file is ours, though nothing could be written into it.
    if (!hasCode(error, 'EEXIST') && !hasCode(error, 'ENOSPC')) throw error;
  }
  if (readIfThere(paths.claim) === agents_claim) return true;
  if (wrapperOf(paths) !== undefined) return false;
  // Opened and not signed: the wrapper stands there with the pen in its hand, or was killed so. Then nothing began.
  return !anyProcessWith(paths.meta) && wrapperOf(paths) === undefined;
}

/** Whether the wrapper of a task still stands by it. */
export function isAttended(paths: Paths, boot: string): boolean {
  const wrapper = wrapperOf(paths);
  return wrapper === undefined ? anyProcessWith(paths.meta) : isAlive(wrapper, boot);
}

/** Signals a command with its whole group, and sees to it that one which has not begun yet does not outlive the signal. */
export function signalCommand(paths: Paths, boot: string, signal: 'SIGTERM' | 'SIGKILL' | 'SIGUSR2'): void {
  let unwritten: unknown;
  try {
    writeFileSync(paths.kill, '');
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) unwritten = error; // No folder, no wrapper.
  }
  const leader = parseIdentity(readIfThere(paths.pid));
  if (leader !== undefined) signalGroup(leader, boot, signal);
  else if (unwritten !== undefined) throw unwritten;
}
