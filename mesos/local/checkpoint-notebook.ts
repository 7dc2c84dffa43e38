// checkpoint-notebook.ts: a file that outlives its writer: one line per fact, read from the top, rewritten when it is long.
//
// What is noted outlives the process at once, and a power cut from the next `sync` on. Half a line at the end was being
// written when the process was killed: nothing had come of it yet, so it is left out.

import {
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { hasCode, isGone } from './processes.ts';

export interface Notebook<Note> {
  /** Notes survive the end of this process from now on. Throws when they could not be written: then none of them was. */
  note(notes: readonly Note[]): void;
  /** Calls back when everything noted so far survives a power cut. Many wishes share one trip to the disk. */
  sync(done: (error: Error | undefined) => void): void;
  close(): void;
}

const rewrite_bytes_min = 4 << 20;

/** Opens the notebook after `read` has had every note in it; `live` gives what is worth keeping when it is rewritten. */
export function openNotebook<Note>(
  path: string,
  read: (note: Note) => void,
  live: () => Iterable<Note>,
): Notebook<Note> {
  readAll(path, read);
  let { fd, bytes } = rewrite(path, live());
  let bytes_after_rewrite = bytes;
  let wishes: ((error: Error | undefined) => void)[] = [];
  let syncing = false;
  let open = true;

  const append = (notes: readonly Note[]) => {
    const text = notes.map(note => `${JSON.stringify(note)}\n`).join('');
    try {
      bytes += writeAll(fd, text, bytes);
    } catch (error) {
      // Half a line must not stay: the next would be written behind it.
      ftruncateSync(fd, bytes);
      throw error;
    }
  };
  const flush = () => {
    if (syncing || wishes.length === 0 || !open) return;
    syncing = true;
    const granted = wishes;
    wishes = [];
    fdatasync(fd, error => {
      syncing = false;
      if (!open) closeSync(fd);
      for (const wish of granted) wish(error ?? undefined);
      flush();
    });
  };

  return {
    note(notes) {
      append(notes);
      // Never under a sync: it holds the old file.
      if (bytes < rewrite_bytes_min || bytes < 4 * bytes_after_rewrite || syncing) return;
      const long = fd;
      try {
        ({ fd, bytes } = rewrite(path, live()));
        closeSync(long);
      } catch (error) {
        if (!hasCode(error, 'ENOSPC')) throw error;
        // No room for a second notebook beside the first, which is as good as before: tried again when it has grown.
      }
      bytes_after_rewrite = bytes;
    },
    sync(done) {
      wishes.push(done);
      flush();
    },
    close() {
      open = false;
      if (!syncing) closeSync(fd);
    },
  };
}

function readAll<Note>(path: string, read: (note: Note) => void): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  const lines = text.split('\n');
  // The last line is empty, or was being written when the process was killed: then nothing had come of it yet.
  lines.pop();
  for (const [index, line] of lines.entries()) {
    let note: Note;
    try {
      note = JSON.parse(line);
    } catch (cause) {
      throw new Error(`line ${index + 1} of ${path} cannot be read: expected one JSON object per line`, { cause });
    }
    read(note);
  }
}

function rewrite<Note>(path: string, notes: Iterable<Note>): { fd: number; bytes: number } {
  const fresh = `${path}.new`;
  let text = '';
  for (const note of notes) text += `${JSON.stringify(note)}\n`;
  const fd = openSync(fresh, 'w', 0o600);
  let bytes: number;
  try {
    bytes = writeAll(fd, text, 0);
    fsyncSync(fd);
    renameSync(fresh, path);
  } catch (error) {
    closeSync(fd);
    rmSync(fresh, { force: true });
    throw error;
  }
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
  return { fd, bytes };
}

function writeAll(fd: number, text: string, position: number): number {
  const buffer = Buffer.from(text);
  let written = 0;
  while (written < buffer.length)
    written += writeSync(fd, buffer, written, buffer.length - written, position + written);
  return written;
}
