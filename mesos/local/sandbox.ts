// sandbox.ts: the folder in which a task lives, what it finds there, and how long it stays.
//
//   WORK_DIR/sandboxes/AGENT/TASK/stdout, stderr, and whatever the task leaves    its own
//   WORK_DIR/sandboxes/AGENT/CONTAINER                                            of a custom executor; each task of it is a link
//   WORK_DIR/meta/TASK/claim, pid, kill, ending                                   the wrapper's, out of the task's way
//   WORK_DIR/ended/TASK                                                           how it ended, renamed into place

import { constants, type Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat, open, readdir, realpath } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, sep } from 'node:path';
import { type ByteString, bytesOf, rawOf } from '../byte-names.ts';
import type { CommandInfo } from '../protocol.ts';
import { result_file } from '../results.ts';
import type { Launch } from './messages.ts';
import { secrets_folder } from './secret-wishes.ts';

export const pathsOf = (work_dir: string, agent_id: string, task_id: string) => {
  const meta = join(work_dir, 'meta', task_id);
  return {
    sandbox: join(work_dir, 'sandboxes', agent_id, task_id),
    meta,
    claim: join(meta, 'claim'),
    pid: join(meta, 'pid'),
    kill: join(meta, 'kill'),
    ended: join(work_dir, 'ended', task_id),
  };
};

export const path_default = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** All that a task inherits: what Mesos gives it, then what its command asks for. Nothing of the agent's own. */
export function environmentOf(
  sandbox: string,
  agent_id: string,
  framework_id: string,
  { task, executor_id }: Launch,
): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: path_default,
    HOME: sandbox,
    MESOS_SANDBOX: sandbox,
    MESOS_DIRECTORY: sandbox,
    HORAE_RESULT: join(sandbox, result_file),
    MESOS_TASK_ID: task.task_id.value,
    mesos_task_id: task.task_id.value,
    MESOS_EXECUTOR_ID: executor_id,
    MESOS_FRAMEWORK_ID: framework_id,
    MESOS_SLAVE_ID: agent_id,
  };
  for (const { name, value } of task.command?.environment?.variables ?? [])
    if (value !== undefined) environment[name] = value;
  return environment;
}

/** The command as an argument vector: nothing of it is ever pasted into a script. */
export function argumentsOf(command: CommandInfo): readonly string[] {
  const value = command.value ?? '';
  if (command.shell !== false) return plainWords(value) ?? ['/bin/sh', '-c', value];
  // argv[0] is the caller's to choose in Mesos; a shell's exec has no word for that, so the program's name it is.
  return [value, ...(command.arguments ?? []).slice(1)];
}

/**
 * A line for a shell that says nothing but a program and its arguments, as words. A shell would wait beside the program for as
 * long as it runs, one more process for each task, and tell of a signal as if it had been an exit code.
 */
export function plainWords(line: string): readonly string[] | undefined {
  const words = line.trim().split(/ +/);
  const [program = ''] = words;
  const plain = /^[A-Za-z_./][\w./+-]*$/.test(program) && words.every(word => /^[\w./:@%+,=-]+$/.test(word));
  return plain && !shell_words.has(program) ? words : undefined;
}
/** What a shell does itself, whichever shell it is: its own words, and programs that it has a quicker way to. */
const shell_words = new Set(
  `. : alias bg bind break builtin caller case cd chdir command compgen complete compopt continue coproc declare dirs disown
  do done echo elif else enable esac eval exec exit export false fc fg fi for function getopts hash help history if in jobs
  kill let local logout mapfile popd printf pushd pwd read readarray readonly return select set shift shopt source suspend
  test then time times trap true type typeset ulimit umask unalias unset until wait while`.split(/\s+/),
);

/** Something of a sandbox, opened where it really is. */
async function opened(
  work_dir: string,
  agent_id: string,
  task_id: string,
  name: ByteString,
): Promise<FileHandle | undefined> {
  if (![agent_id, task_id].every(isPlainName)) return undefined;
  if (name !== '' && !name.split('/').every(isPlainName)) return undefined;
  const sandbox = join(work_dir, 'sandboxes', agent_id, task_id);
  let file: FileHandle | undefined;
  try {
    const root = bytesOf(await realpath(sandbox));
    // O_NONBLOCK: a pipe in the sandbox must not hang its reader.
    const path = rawOf(name === '' ? bytesOf(sandbox) : `${bytesOf(sandbox)}/${name}`);
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    // Ask the open file where it is, not the name: between two looks at a name a task may swap what it means.
    const real = (await realpath(`/proc/self/fd/${file.fd}`, { encoding: 'buffer' })).toString('latin1');
    if (real === root || (real.startsWith(root + sep) && !isSecret(real.slice(root.length + 1)))) return file;
  } catch (error) {
    await file?.close();
    if (isNotThere(error)) return undefined;
    throw error;
  }
  await file.close();
  return undefined;
}

const isSecret = (name: ByteString) => name === secrets_folder || name.startsWith(`${secrets_folder}/`);

/**
 * Opens a file of a sandbox for reading. `undefined` when there is no such regular file in there: names that climb out,
 * links that lead out, devices and pipes are all just not there.
 */
export async function sandboxFile(
  work_dir: string,
  agent_id: string,
  task_id: string,
  name: ByteString,
): Promise<FileHandle | undefined> {
  const file = name === '' ? undefined : await opened(work_dir, agent_id, task_id, name);
  if (file === undefined || (await file.stat()).isFile()) return file;
  await file.close();
  return undefined;
}

/** One thing in a folder of a sandbox. A link is told as what it is, not as what it points at. */
export type SandboxEntry = { readonly name: ByteString; readonly stats: Stats };

/** What is in a folder of a sandbox (`''`: the sandbox itself), in the order of the bytes; undefined: no such folder in there. */
export async function sandboxFolder(
  work_dir: string,
  agent_id: string,
  task_id: string,
  folder: ByteString,
  { after = '', limit = Number.POSITIVE_INFINITY }: { readonly after?: ByteString; readonly limit?: number } = {},
): Promise<readonly SandboxEntry[] | undefined> {
  const handle = await opened(work_dir, agent_id, task_id, folder);
  if (handle === undefined) return undefined;
  try {
    if (!(await handle.stat()).isDirectory()) return undefined;
    // By its descriptor: a name may mean another folder by now.
    const place = `/proc/self/fd/${handle.fd}`;
    const names = (await readdir(place, { encoding: 'buffer' }))
      .map(name => name.toString('latin1'))
      .filter(name => name > after && (folder !== '' || name !== secrets_folder))
      .sort(inOrder);
    const entries: SandboxEntry[] = [];
    for (const name of names) {
      if (entries.length >= limit) break;
      try {
        entries.push({ name, stats: await lstat(rawOf(`${place}/${name}`)) });
      } catch (error) {
        if (!isNotThere(error)) throw error;
      }
    }
    return entries;
  } finally {
    await handle.close();
  }
}

const inOrder = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

const isPlainName = (name: string) => name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);

const not_there = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EACCES', 'ENAMETOOLONG']);
const isNotThere = (error: unknown) =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && not_there.has(error.code);

/** What is told of a file, in the words of Mesos's agents. */
export const toldOf = (stats: Stats) => ({
  mode: modeOf(stats),
  size: stats.size,
  modified_at: Math.floor(stats.mtimeMs),
  user: nameOf(stats.uid),
});

export const nameOf = (id: number) => (id === 0 ? 'root' : id === userInfo().uid ? userInfo().username : String(id));

export function modeOf(stats: Stats): string {
  const kind = stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : stats.isFIFO() ? 'p' : '-';
  return kind + [...'rwxrwxrwx'].map((letter, index) => ((stats.mode >> (8 - index)) & 1 ? letter : '-')).join('');
}
