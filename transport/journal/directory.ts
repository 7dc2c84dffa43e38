// directory.ts: the directory in which an embedded journal lives, and whether it is ours to touch.
//
// Before lmdb may map anything into memory we look at what is there: a directory of somebody else, a file that has been
// cut short or a format of a later version must end in one clear sentence, not in a crash inside native code. A file
// named `horae-journal` says whose directory it is, which format it has, and whether it was ever finished being made.

import { statfsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkDataFile } from './data-file.ts';
import { type InstanceLock, lockInstance } from './instance-lock.ts';
import { JournalError, type JournalErrorCode } from './journal.ts';

export const format_version = 1;
const marker_name = 'horae-journal';
const creating = 'Horae journal, being created\n';
const marker = (version: number) => `Horae journal, format ${version}\n`;
/** Larger than lmdb's table of readers, so that it never has to make the file longer. */
const lock_file_bytes = 65_536;

export type Claim = {
  readonly directory: string;
  readonly data_file: string;
  /** true until `established`: nothing in it was ever acknowledged. */
  readonly fresh: boolean;
  /** Says that lmdb's files are complete, and makes their names durable. */
  readonly established: () => Promise<void>;
  readonly release: () => Promise<void>;
};

/** Takes possession of a journal's directory, making it when it is not there. Throws JournalError. */
export async function claimDirectory(directory: string): Promise<Claim> {
  let lock: InstanceLock | undefined;
  try {
    await makeDirectory(directory);
    await refuseForeign(directory);
    lock = await lockInstance(directory);
    const data_file = join(directory, 'data.mdb');
    const found = await readMarker(directory);
    const fresh = found === undefined || found === creating;
    if (fresh) {
      await writeMarker(directory, creating);
      await rm(data_file, { force: true }); // Left half made by a start that did not get to the end.
      await writeFile(data_file, '', { mode: 0o600 }); // Records hold environments of jobs, and those hold secrets.
    } else {
      refuseNewer(directory, found);
      await checkDataFile(data_file);
    }
    await fillLockFile(directory);
    const held = lock;
    return {
      directory,
      data_file,
      fresh,
      established: async () => {
        if (!fresh) return;
        await writeMarker(directory, marker(format_version));
        await syncDirectory(dirname(directory));
      },
      release: () => held.release(),
    };
  } catch (error) {
    await lock?.release();
    throw asJournalError(error, directory);
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' || (error as NodeJS.ErrnoException).code === 'ENOTDIR')
      throw new JournalError('foreign', `${directory} is not a directory: expected one, or a free name`, error);
    throw error;
  }
}

async function refuseForeign(directory: string): Promise<void> {
  const names = await readdir(directory);
  if (names.includes(marker_name)) return;
  const foreign = names.filter(name => !name.startsWith('instance.lock') && !name.startsWith(`${marker_name}.`));
  if (foreign.length > 0)
    throw new JournalError(
      'foreign',
      `${directory} holds "${foreign[0]}" but no journal of Horae: expected an empty directory or one of Horae's; choose another --data-dir`,
    );
}

function refuseNewer(directory: string, found: string): void {
  const version = /^Horae journal, format (\d+)\n$/.exec(found)?.[1];
  if (version === undefined)
    throw new JournalError(
      'corrupt',
      `${join(directory, marker_name)} is not readable: expected "${marker(1).trim()}"`,
    );
  if (Number(version) > format_version)
    throw new JournalError(
      'newer',
      `${directory} has format ${version}: this version of Horae knows formats up to ${format_version}; start the newer one`,
    );
}

/**
 * lmdb writes to its lock file through a memory map. On a full device a page of the map that has no block yet cannot get
 * one, and the process would be killed; a file with all its blocks written cannot do that.
 */
async function fillLockFile(directory: string): Promise<void> {
  const path = join(directory, 'lock.mdb');
  const present = await stat(path).catch(() => undefined);
  if (present !== undefined && present.size >= lock_file_bytes && present.blocks * 512 >= lock_file_bytes) return;
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(Buffer.alloc(lock_file_bytes));
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readMarker(directory: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, marker_name), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeMarker(directory: string, text: string): Promise<void> {
  const path = join(directory, marker_name);
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(directory);
}

/** Makes the names in a directory durable: a file that nobody can find after a power cut was not kept. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const full_codes = new Set<unknown>(['ENOSPC', 'EDQUOT', 28, 122, -30792]);
/** What lmdb says when a write ended early, which is how a device tells that it has just become full. */
const io_codes = new Set<unknown>(['EIO', 5]);
const free_bytes_min = 2 ** 20;
function isFull(directory: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize < free_bytes_min;
  } catch {
    return false; // Gone with the device: then it was no lack of space.
  }
}
/**
 * Refuses a write for which the device may not have the room. lmdb itself does not survive a device that becomes full under
 * one of its writes: it has been seen to end the process from within. `bytes` are what is to be written; around it lie
 * the pages of the trees that lead there, which are written anew as well.
 */
export function refuseWithoutRoom(directory: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  const needed = bytes * 3 + trees_bytes;
  if (bavail * bsize >= needed) return;
  throw new JournalError(
    'full',
    `the device of the journal in ${directory} has ${bavail * bsize} bytes left, and a commit may need ${needed}: make room and start again; nothing acknowledged is lost`,
  );
}
/** Pages on the way to what is written, in every tree of a commit. */
const trees_bytes = 2 ** 18;

/** PAGE_NOTFOUND, CORRUPTED, VERSION_MISMATCH, INVALID, PROBLEM, BAD_TXN, BAD_DBI: what lmdb says of a file in disorder. */
const corrupt_codes = new Set<unknown>([-30797, -30796, -30794, -30793, -30779, -30782, -30780]);

/** What a failure of the file system or of lmdb (its code is a number, or errno) means to whoever keeps a journal. */
export function asJournalError(error: unknown, place: string): JournalError {
  if (error instanceof JournalError) return error;
  const { code, message } = error as { code?: unknown; message?: string };
  const full = full_codes.has(code) || (io_codes.has(code) && isFull(place));
  const kind: JournalErrorCode = full ? 'full' : corrupt_codes.has(code) ? 'corrupt' : 'io';
  const advice = {
    full: 'no space is left: make room and start again; nothing acknowledged is lost',
    corrupt: 'it cannot be read: restore it from a copy, or choose another --data-dir',
    io: 'the file system failed: see the message, then start again',
  }[kind];
  return new JournalError(kind, `journal in ${place}: ${message ?? String(error)}; ${advice}`, error);
}
