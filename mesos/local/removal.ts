// removal.ts: removes what a task has left, also where it has shut its folders, as whoever makes them read-only does.
//
// Root needs none of this. Any other agent owns what its tasks left, and may open what they have shut; `rm` does not.

import { chmodSync, type Dirent, existsSync, lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { hasCode, isGone } from './processes.ts';

/** What is not there is no error. Never follows a link. */
export function removeTree(path: string | Buffer): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if (!isShut(error)) throw error;
    for (const _ of opening(path));
    rmSync(path, { recursive: true, force: true });
  }
}

/** The same for what may be large: others get their turn. */
export async function removeLargeTree(path: string | Buffer): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (!isShut(error)) throw error;
    for (const _ of opening(path)) await nextTurn();
    await rm(path, { recursive: true, force: true });
  }
}

const isShut = (error: unknown) => hasCode(error, 'EACCES') || hasCode(error, 'EPERM');

/** Opens every folder to its owner, one at a step. Names are bytes, one to a character. */
function* opening(root: string | Buffer): Generator<void, void, void> {
  const waiting = [(typeof root === 'string' ? Buffer.from(root) : root).toString('latin1')];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    for (const entry of opened(Buffer.from(folder, 'latin1')))
      if (entry.isDirectory()) waiting.push(`${folder}/${entry.name.toString('latin1')}`);
    yield;
  }
}

/** What cannot be opened, being another's, is for the removal to tell. */
function opened(folder: Buffer): Dirent<Buffer>[] {
  try {
    if (!lstatSync(folder).isDirectory()) return [];
    chmodSync(folder, 0o700);
    return readdirSync(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (isGone(error) || isShut(error)) return [];
    throw error;
  }
}

/** Lies in a sandbox from the first moment of fetching until what it was fetched for begins. */
const fetching_mark = '.horae-fetching';
/** What of a sandbox tells why nothing began in it. */
const logs = new Set(['stdout', 'stderr']);

/** Whether it is a folder itself: a link by that name leads to somebody else's. */
export const isOwnFolder = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

export const markFetching = (sandbox: string): void => writeFileSync(join(sandbox, fetching_mark), '', { flag: 'wx' });
export const unmarkFetching = (sandbox: string): void => rmSync(join(sandbox, fetching_mark), { force: true });

/**
 * Where something was fetched for what never began, its logs stay and nothing else: the half of a file, perhaps, is nobody's.
 * Others get their turn; what cannot be removed stays until the sandbox goes.
 */
export async function forgetFetched(sandbox: string): Promise<void> {
  // Without the mark it may be the sandbox of an earlier task of that name, for which this one was refused.
  if (!isOwnFolder(sandbox) || !existsSync(join(sandbox, fetching_mark))) return;
  for (const name of readdirSync(sandbox, { encoding: 'buffer' }))
    if (!logs.has(name.toString('latin1')) && name.toString('latin1') !== fetching_mark)
      await removeLargeTree(Buffer.concat([Buffer.from(`${sandbox}/`), name]));
  unmarkFetching(sandbox);
}
