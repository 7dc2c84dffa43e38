// processes.ts: what the kernel knows of processes: who lives, since when, and how to signal them.
//
// A process id alone is a name that gets reused. With its start time and the boot it belongs to it means one process for
// ever, so that nobody is adopted, and nobody killed, by mistake.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Identity } from './wrapper.ts';

export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** Reads a file that may not be there. Other troubles are thrown. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** No such file, or (in /proc) no such process any more. */
export const isGone = (error: unknown): boolean => hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH');

export const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

/** Whether exactly this process runs. One that has ended and waits to be buried does not. */
export function isAlive(identity: Identity, boot: string): boolean {
  if (identity.boot !== boot) return false;
  const found = lookUp(identity.pid);
  return found !== undefined && found.start === identity.start && found.state !== 'Z' && found.state !== 'X';
}

function lookUp(pid: number): { state: string | undefined; start: string | undefined } | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // pid (comm) state ppid ...: comm may hold spaces and parentheses, so count from the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0], start: fields[19] };
}

/** A process that lives now; undefined when there is none of that number. */
export function identityOf(pid: number, boot: string): Identity | undefined {
  const start = lookUp(pid)?.start;
  return start === undefined ? undefined : { pid, start, boot };
}

/** This very process. */
export function ownIdentity(boot: string): Identity {
  const { pid } = process;
  const start = lookUp(pid)?.start;
  if (start === undefined) throw new Error(`/proc/${pid}/stat cannot be read: expected /proc to be mounted`);
  return { pid, start, boot };
}

/**
 * Signals the whole process group that this process leads, or led: members may outlive their leader, and as long as there
 * is one the kernel gives the number to nobody else. False when nobody is left.
 */
export function signalGroup(leader: Identity, boot: string, signal: 'SIGTERM' | 'SIGKILL' | 'SIGUSR2'): boolean {
  if (leader.boot !== boot) return false;
  const found = lookUp(leader.pid);
  if (found !== undefined && found.start !== leader.start) return false;
  try {
    process.kill(-leader.pid, signal);
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** Signals exactly this process. False when it is gone, or not ours to signal. */
export function signalProcess(identity: Identity, boot: string, signal: NodeJS.Signals | number): boolean {
  if (!isAlive(identity, boot)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch (error) {
    if (isGone(error) || hasCode(error, 'EPERM')) return false;
    throw error;
  }
}

/** Whether any process has this among its arguments. Looks at every process of the machine: for rare doubts only. */
export function anyProcessWith(argument: string): boolean {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    let command: string | undefined;
    try {
      command = readIfThere(`/proc/${entry}/cmdline`);
    } catch (error) {
      if (hasCode(error, 'EACCES')) continue; // Somebody else's, so not ours.
      throw error;
    }
    if (command?.split('\0').includes(argument)) return true;
  }
  return false;
}

/** Why tasks cannot be run on this machine; undefined when they can. */
export function whyNoTasks(): string | undefined {
  if (process.platform !== 'linux') return `tasks run on Linux only, and this is ${process.platform}`;
  // The one thing that an old or foreign setsid could get wrong: telling a signal from an exit code.
  const probe = spawnSync('/usr/bin/setsid', ['-fw', '/bin/sh', '-c', 'kill -9 $$'], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (probe.error !== undefined) return `/usr/bin/setsid (package util-linux) is needed: ${probe.error.message}`;
  if (probe.status !== 9 || !probe.stderr.includes('did not exit normally'))
    return (
      '/usr/bin/setsid -fw does not report signals as that of util-linux does: ' +
      `it exited with ${probe.status} and said "${probe.stderr.trim()}"`
    );
  return undefined;
}
