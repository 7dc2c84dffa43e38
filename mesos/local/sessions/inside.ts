// inside.ts: a process beside those of a task: in its sandbox, control groups and namespaces, as its user, with its environment.
//
// What may hold secrets, the environment, is told to a shell that is the task's user already, through a pipe: it stands in no
// argument, and no program that is still the agent's user is started with it. A terminal is made by `script` from util-linux,
// which asks for nothing native in us; its shell tells us first which terminal that is, so that its size can be changed.
// Everybody carries a mark. When the session is over whoever carries it is ended, and when the agent dies, the kernel ends them.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { SessionEnd, SessionWish, WindowSize } from '../../sessions.ts';
import { dress, exported, isExportable, quoted } from '../dress.ts';
import { type Confinement, confined } from '../limits/users.ts';
import { killTree } from '../process-tree.ts';
import { hasCode, isAlive, isGone } from '../processes.ts';
import { path_default } from '../sandbox.ts';
import type { Identity } from '../wrapper.ts';

/** A session as the agent has it, in whatever way it is run. */
export interface Running {
  /** With a terminal there is no stderr. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable | undefined;
  resize(size: WindowSize): void;
  kill(): void;
  readonly ended: Promise<SessionEnd>;
}

/** The task, as far as somebody beside it must be like it. */
export type Inside = {
  readonly leader: Identity;
  readonly boot: string;
  readonly sandbox: string;
  readonly meta: string;
  readonly confinement: Confinement;
};

export const mark_name = 'HORAE_SESSION';
/** What an executor may show its agent is nobody else's. */
const kept_back = new Set(['MESOS_EXECUTOR_AUTHENTICATION_TOKEN', mark_name]);
const namespaces = { ipc: '--ipc', mnt: '--mount', net: '--net', uts: '--uts', pid: '--pid', cgroup: '--cgroup' };

/** Undefined when the task is gone. */
export function runInside(task: Inside, id: string, wish: SessionWish): Running | undefined {
  const { leader, boot, sandbox, meta, confinement } = task;
  const own = environmentOf(leader, boot);
  if (own === undefined) return undefined;
  const asked = Object.entries(wish.variables ?? {}).map(([name, value]) => [name, bytesOf(value)] as const);
  // A name that no shell can export is left out: its program may have had it from elsewhere.
  const known = [...Object.entries(own), ...asked].filter(([name]) => isExportable(name));
  const variables = { ...Object.fromEntries(known), [mark_name]: id };
  const argv = [
    ...['/bin/sh', '-c', enter, 'sh', join(meta, 'enter')],
    ...entering(leader),
    ...confined(dies_with_us, confinement),
    ...['/bin/sh', '-c', `unset LC_ALL; ${dress}`, 'sh'],
    ...(wish.terminal === undefined ? wish.command : terminal(wish.command, wish.terminal)),
  ];
  const child = spawn(argv[0]!, argv.slice(1), {
    cwd: sandbox,
    env: { PATH: path_default, LC_ALL: 'C', [mark_name]: id },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', wish.terminal === undefined ? 'ignore' : 'pipe'],
  });
  return running(child, `${mark_name}=${id}`, variables, wish.terminal !== undefined);
}

/** As the wrapper does it: what it may use is limited from its first breath on. */
const enter =
  'if [ -e "$1" ]; then while read -r group; do echo $$ > "$group" || exit 126; done < "$1"; fi; shift; exec "$@"';
const dies_with_us = ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'];

/** `script` asks SHELL what to start its line with; the task's own is given back behind it. */
const terminal = (command: readonly string[], { rows, columns }: WindowSize): readonly string[] => {
  const tell = `/usr/bin/tty >&4; exec 4>&-; stty rows ${Number(rows)} cols ${Number(columns)} echo; exec "$@"`;
  const line = ['/bin/sh', '-c', tell, 'sh', ...command].map(quoted).join(' ');
  return ['/usr/bin/env', 'SHELL=/bin/sh', '/usr/bin/script', '-qefc', `exec ${line}`, '/dev/null'];
};

function running(
  child: ChildProcess,
  mark: string,
  variables: Readonly<Record<string, string>>,
  has_terminal: boolean,
): Running {
  const [stdin, stdout, stderr, dressing, telling] = child.stdio as [
    Writable,
    Readable,
    Readable,
    Writable,
    Readable | null,
  ];
  // Whoever is gone reads nothing: that is told by its end.
  for (const stream of [stdin, dressing]) stream.on('error', () => undefined);
  dressing.end(exported(variables), 'latin1');
  let device: string | undefined;
  let wanted: WindowSize | undefined;
  const resize = (size: WindowSize) => {
    wanted = size;
    if (device === undefined) return;
    const argv = ['-F', device, 'rows', String(size.rows), 'cols', String(size.columns)];
    // It may have ended in between, and then has no size.
    spawn('/usr/bin/stty', argv, { stdio: 'ignore' }).on('error', () => undefined);
  };
  telling?.once('data', (bytes: Buffer) => {
    device = /^(\/dev\/pts\/\d{1,9})\n/.exec(bytes.toString('latin1'))?.[1];
    if (wanted !== undefined) resize(wanted);
  });
  const kill = () => {
    if (child.pid !== undefined) killTree(child.pid, mark, undefined);
  };
  const ended = new Promise<SessionEnd>(resolve => {
    child.on('error', () => resolve('unknown'));
    child.on('exit', (code, signal) => {
      // Nobody of it stays, in whichever session or group.
      kill();
      resolve(code !== null ? { code } : signal === 'SIGKILL' ? { signal: 9 } : signalled(signal));
    });
  });
  return { stdin, stdout, stderr: has_terminal ? undefined : stderr, resize, kill, ended };
}

const signalled = (name: NodeJS.Signals | null): SessionEnd => {
  const number = name === null ? undefined : signal_numbers[name];
  return number === undefined ? 'unknown' : { signal: number };
};
const signal_numbers: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGXCPU: 24,
  SIGXFSZ: 25,
};

/** What its first process was born with, one character for each byte; undefined when that is gone. */
function environmentOf(leader: Identity, boot: string): Record<string, string> | undefined {
  try {
    const text = readFileSync(`/proc/${leader.pid}/environ`, 'latin1');
    // Looked at after reading: the number may be another's by now.
    if (!isAlive(leader, boot)) return undefined;
    const pairs = text.split('\0').flatMap((entry): [string, string][] => {
      const cut = entry.indexOf('=');
      return cut < 1 || kept_back.has(entry.slice(0, cut)) ? [] : [[entry.slice(0, cut), entry.slice(cut + 1)]];
    });
    return Object.fromEntries(pairs);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Into those of its namespaces that are not ours. */
function entering({ pid }: Identity): readonly string[] {
  const flags = Object.entries(namespaces)
    .filter(([name]) => {
      const [theirs, ours] = [namespace(pid, name), namespace(process.pid, name)];
      return theirs !== undefined && ours !== undefined && theirs !== ours;
    })
    .map(([, flag]) => flag);
  return flags.length === 0
    ? []
    : [...dies_with_us, '/usr/bin/nsenter', '--target', String(pid), ...flags, '--wd', '--'];
}

function namespace(pid: number, name: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${name}`);
  } catch (error) {
    if (isGone(error) || hasCode(error, 'EACCES') || hasCode(error, 'EPERM')) return undefined;
    throw error;
  }
}

const bytesOf = (text: string): string => Buffer.from(text).toString('latin1');
