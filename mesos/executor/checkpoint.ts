// checkpoint.ts: the executor's diary: what it must still know when it has been killed and started again.
//
// One file of lines, each a length and a record in JSON. Written before anything follows from it, and flushed to the disk.
// A line that was cut short by death was followed by nothing, so it is torn off; anything else that cannot be read means
// that somebody else has been writing there, and no conclusion is safe.

import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { TaskRecord } from './task.ts';
import type { UpdateRecord } from './updates.ts';

export type ExecutorRecord = UpdateRecord | (TaskRecord & { readonly task_id: string });
export type Checkpoint = {
  /** Returns when they are on the disk. All of them are, or none that has a successor. */
  readonly append: (records: readonly ExecutorRecord[]) => void;
  readonly close: () => void;
};

/** Opens the diary, new or old, with all that it says. Throws when it cannot be read to its end. */
export function openCheckpoint(path: string): { checkpoint: Checkpoint; records: readonly ExecutorRecord[] } {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, 'a+', 0o600);
  try {
    const bytes = readFileSync(path);
    const { records, whole_bytes } = readRecords(bytes, path);
    if (whole_bytes < bytes.length) ftruncateSync(file, whole_bytes);
    return { records, checkpoint: { append: records => append(file, records), close: () => closeSync(file) } };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function append(file: number, records: readonly ExecutorRecord[]): void {
  if (records.length === 0) return;
  const before = fstatSync(file).size;
  const bytes = Buffer.from(records.map(lineOf).join(''), 'utf8');
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    fdatasyncSync(file);
  } catch (error) {
    // A full disk may have taken half of it.
    ftruncateSync(file, before);
    throw error;
  }
}

function lineOf(record: ExecutorRecord): string {
  const json = JSON.stringify(record);
  return `${Buffer.byteLength(json)} ${json}\n`;
}

/** Every whole record, and how many bytes they take. */
export function readRecords(
  bytes: Buffer,
  path: string,
): { readonly records: readonly ExecutorRecord[]; readonly whole_bytes: number } {
  const records: ExecutorRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) break; // Torn off in the middle.
    const line = bytes.subarray(at, end).toString('utf8');
    const space = line.indexOf(' ');
    const json = line.slice(space + 1);
    if (space < 1 || Number(line.slice(0, space)) !== Buffer.byteLength(json))
      throw new Error(`${path} at byte ${at}: "${line.slice(0, 40)}": expected the length of a record, and the record`);
    records.push(JSON.parse(json) as ExecutorRecord);
    at = end + 1;
  }
  return { records, whole_bytes: at };
}
