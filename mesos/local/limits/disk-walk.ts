// disk-walk.ts: how much disk a folder takes, counted a little at a time.
//
// What du does, in steps: blocks that are really taken (a sparse file counts what is written of it), a file with several
// names once, no way out through links or into other file systems. Whoever walks decides how far a step goes, so that a
// sandbox of a million files keeps nobody waiting.

import { type Dir, lstatSync, opendirSync, type Stats } from 'node:fs';
import { hasCode, isGone } from '../processes.ts';

/** Gives the bytes so far after every step of at most `entries` files; the last is the sum. */
export function* diskWalk(root: string, entries: number): Generator<number, number, void> {
  const top = stat(Buffer.from(root).toString('latin1'));
  if (top === undefined) return 0;
  let bytes = top.blocks * 512;
  let budget = entries;
  /** Files that have several names, each counted where it is met first. */
  const met = new Set<number>();
  // Paths are bytes, one to a character: a name need not be UTF-8 in order to take room.
  const waiting = [Buffer.from(root).toString('latin1')];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const open = opened(folder);
    if (open === undefined) continue;
    try {
      for (let entry = open.readSync(); entry !== null; entry = open.readSync()) {
        const path = `${folder}/${entry.name}`;
        const found = stat(path);
        if (found !== undefined && found.dev === top.dev) {
          const again = !found.isDirectory() && found.nlink > 1 && met.has(found.ino);
          if (!again) bytes += found.blocks * 512;
          if (!found.isDirectory() && found.nlink > 1) met.add(found.ino);
          if (found.isDirectory()) waiting.push(path);
        }
        if (--budget > 0) continue;
        yield bytes;
        budget = entries;
      }
    } finally {
      open.closeSync();
    }
  }
  return bytes;
}

/** Files come and go while we walk; a folder that we may not enter counts as what it is itself. */
function stat(path: string): Stats | undefined {
  try {
    return lstatSync(Buffer.from(path, 'latin1'));
  } catch (error) {
    if (isLeftOut(error)) return undefined;
    throw error;
  }
}

function opened(path: string): Dir | undefined {
  try {
    return opendirSync(Buffer.from(path, 'latin1'), { encoding: 'latin1' });
  } catch (error) {
    if (isLeftOut(error)) return undefined;
    throw error;
  }
}

const isLeftOut = (error: unknown) =>
  isGone(error) || ['EACCES', 'EPERM', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP'].some(code => hasCode(error, code));
