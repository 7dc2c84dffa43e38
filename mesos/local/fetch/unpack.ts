// unpack.ts: an archive, opened in a room of its own and looked through before anything of it stands in the sandbox.
//
// Think of customs. What an archive holds is laid out in an empty folder; then every piece is looked at, as it lies there and
// not as the archive calls it. Anything that is no file, no folder and no link within, or was meant for another place, and the
// whole archive is turned away. Only then is it carried over, and links are carried like everything else, never followed.

import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  createReadStream,
  createWriteStream,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { hasCode, isGone } from '../processes.ts';
import { removeTree } from '../removal.ts';
import { atMost } from './download.ts';
import { unzip } from './zip.ts';

const tarred = /\.(tar|tgz|tar\.gz|tbz2|tar\.bz2|txz|tar\.xz)$/;
export const gzipped = /\.(tgz|tar\.gz)$/;
const single = /.\.gz$/;
const zipped = /\.zip$/;

/** Whether a file of this name is one that Mesos unpacks. */
export const unpacks = (name: string): boolean => tarred.test(name) || single.test(name) || zipped.test(name);

export type Unpacking = {
  readonly sandbox: string;
  /** The name by which it was asked for; `source` may have another. */
  readonly name: string;
  readonly terms: { readonly unpacked_bytes_max: number; readonly files_max: number };
  readonly signal: AbortSignal;
};

/** How many files there were. Throws, with nothing of it in the sandbox, when one of them is not to be had. */
export async function unpack(source: string, unpacking: Unpacking): Promise<number> {
  const { sandbox, name, terms, signal } = unpacking;
  const { unpacked_bytes_max: bytes_max, files_max } = terms;
  const room = mkdtempSync(join(sandbox, '.fetch-'));
  try {
    if (zipped.test(name)) await unzip(source, room, { bytes_max, files_max, signal });
    else if (tarred.test(name)) await untar(source, room, bytes_max, signal);
    else
      await pipeline(
        createReadStream(source),
        createGunzip(),
        atMost(bytes_max, 'what it holds'),
        createWriteStream(join(room, basename(name, '.gz'))),
        { signal },
      );
    const count = lookThrough(Buffer.from(room), files_max);
    carry(Buffer.from(room), Buffer.from(sandbox));
    return count;
  } finally {
    removeTree(room);
  }
}

// --- opening ------------------------------------------------------------------------------------------------------------

/** How it is compressed says the file itself, whatever it is called. */
async function untar(source: string, room: string, bytes_max: number, signal: AbortSignal): Promise<void> {
  const head = beginning(source);
  const tar = child('/bin/tar', ['-xf', '-', '--no-same-owner', '--delay-directory-restore'], room, signal);
  const bounded = atMost(bytes_max, 'what it holds');
  const feeding = () => {
    const file = createReadStream(source);
    if (head.startsWith('1f8b')) return feed(file, [createGunzip(), bounded], tar.process.stdin, signal);
    if (!head.startsWith('425a68') && !head.startsWith('fd377a58'))
      return feed(file, [bounded], tar.process.stdin, signal);
    const [program, packet] = head.startsWith('42') ? ['bzip2', 'bzip2'] : ['xz', 'xz-utils'];
    const opener = child(program, ['-dc'], room, signal, `${program} (package ${packet}) is needed to unpack it`);
    const out = feed(opener.process.stdout, [bounded], tar.process.stdin, signal);
    return Promise.all([feed(file, [], opener.process.stdin, signal), out, opener.ended]);
  };
  try {
    await feeding();
  } catch (error) {
    // Nobody writes there any more when it is cleared away.
    tar.process.kill('SIGKILL');
    await tar.ended.catch(() => {});
    if (!hasCode(error, 'Z_BUF_ERROR') && !hasCode(error, 'Z_DATA_ERROR')) throw error;
    throw new Error(`the archive cannot be read: ${error instanceof Error ? error.message : ''}`, { cause: error });
  }
  const said = await tar.ended;
  const [, what] = /^\S*tar: Removing leading [`'](.+)' from/m.exec(said) ?? [];
  if (what !== undefined)
    throw new Error(
      `the archive holds a path that begins with "${what}": expected only paths that stay in the sandbox`,
    );
}

/** What is not taken up to its end is for tar to explain. */
async function feed(
  source: Readable,
  through: readonly NodeJS.ReadWriteStream[],
  into: NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<void> {
  try {
    await pipeline([source, ...through, into], { signal });
  } catch (error) {
    if (!hasCode(error, 'EPIPE') && !hasCode(error, 'ERR_STREAM_PREMATURE_CLOSE')) throw error;
  }
}

function child(program: string, words: readonly string[], cwd: string, signal: AbortSignal, absent?: string) {
  const process = spawn(program, words, {
    cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    signal,
    killSignal: 'SIGKILL',
  });
  let said = '';
  process.stderr.on('data', part => {
    said = (said + part).slice(0, 10_000);
  });
  const ended = new Promise<string>((resolve, reject) => {
    process.on('error', error => reject(hasCode(error, 'ENOENT') && absent !== undefined ? new Error(absent) : error));
    process.on('close', code =>
      code === 0 ? resolve(said) : reject(new Error(whyEnded(basename(program), code, said))),
    );
  });
  ended.catch(() => {}); // Asked for when it has been fed.
  return { process, ended };
}

function whyEnded(program: string, code: number | null, said: string): string {
  const [, climber] = /^\S*tar: (.*): Member name contains '\.\.'/m.exec(said) ?? [];
  if (climber !== undefined) return `the archive holds "${climber}": expected only paths that stay in the sandbox`;
  return `${program} exited with ${code}: ${said.trim().slice(0, 500)}`;
}

function beginning(path: string): string {
  const fd = openSync(path, 'r');
  try {
    const piece = Buffer.alloc(6);
    return piece.toString('hex', 0, readSync(fd, piece));
  } finally {
    closeSync(fd);
  }
}

// --- looking through ----------------------------------------------------------------------------------------------------

// Names are bytes: what is not UTF-8 has its place too.
const slash = Buffer.from('/');
const under = (folder: Buffer, name: Buffer) => Buffer.concat([folder, slash, name]);
const namesIn = (folder: Buffer) => readdirSync(folder, { encoding: 'buffer' });

function lookThrough(room: Buffer, files_max: number): number {
  let count = 0;
  /** Names of files that have several, by inode: all of them must be in here. */
  const linked = new Map<number, { path: string; missing: number }>();
  const look = (folder: Buffer, depth: number) => {
    for (const name of namesIn(folder)) {
      const path = under(folder, name);
      const shown = path.subarray(room.length + 1).toString();
      if (++count > files_max) throw new Error(`the archive holds more than ${files_max} files: expected at most that`);
      const stats = lstatSync(path);
      if (stats.isSymbolicLink()) {
        const target = readlinkSync(path, { encoding: 'buffer' }).toString('latin1');
        if (!staysWithin(target, depth))
          throw new Error(
            `the archive holds "${shown}", a link to "${target}": expected links that stay in the sandbox`,
          );
      } else if (stats.isDirectory()) {
        chmodSync(path, (stats.mode & 0o777) | 0o700);
        look(path, depth + 1);
      } else if (stats.isFile()) {
        if ((stats.mode & 0o7000) !== 0) chmodSync(path, stats.mode & 0o777);
        if (stats.nlink > 1) {
          const known = linked.get(stats.ino) ?? { path: shown, missing: stats.nlink };
          known.missing--;
          linked.set(stats.ino, known);
        }
      } else
        throw new Error(`the archive holds "${shown}", a device, pipe or socket: expected files, folders and links`);
    }
  };
  look(room, 0);
  for (const { path, missing } of linked.values())
    if (missing > 0)
      throw new Error(`the archive holds "${path}", which is a file outside of it: expected its own files`);
  return count;
}

/**
 * A link that goes up as far as the sandbox at most, and then down only. A way up after a way down could lead through another
 * link, and nobody knows where that is by then.
 */
export function staysWithin(target: string, depth: number): boolean {
  if (target.startsWith('/')) return false;
  const steps = target.split('/').filter(step => step !== '' && step !== '.');
  const down = steps.findIndex(step => step !== '..');
  const up = down < 0 ? steps.length : down;
  return up <= depth && !steps.slice(up).includes('..');
}

// --- carrying over ------------------------------------------------------------------------------------------------------

function carry(from: Buffer, to: Buffer): void {
  for (const name of namesIn(from)) {
    const [source, place] = [under(from, name), under(to, name)];
    const there = statsOf(place);
    if (lstatSync(source).isDirectory() && there?.isDirectory() === true) {
      carry(source, place);
      continue;
    }
    if (there !== undefined) removeTree(place);
    renameSync(source, place);
  }
}

function statsOf(path: Buffer) {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
