// result-file.ts: reads the note that a task left in its sandbox.
//
// The sandbox is the task's, and whoever reads it may be more than the task is: so no link is followed, and nothing is waited
// for that is not a file.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { result_bytes_max, result_file, textOfResult } from './results.ts';

/** undefined when there is none, or nothing that can be passed on. */
export function readResult(sandbox: string): string | undefined {
  let file: number;
  try {
    file = openSync(join(sandbox, result_file), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined; // Most tasks leave none; and a link, or a sandbox that is gone, is none.
  }
  try {
    const about = fstatSync(file);
    if (!about.isFile() || about.nlink > 1 || about.size > result_bytes_max) return undefined;
    const bytes = new Uint8Array(result_bytes_max + 1);
    return textOfResult(bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0)));
  } catch {
    return undefined; // The device failed: the task has ended all the same.
  } finally {
    closeSync(file);
  }
}
