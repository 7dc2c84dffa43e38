// checkpoint.ts: what an agent must still know after it was killed: a notebook, one line per fact.
//
// An intent is on the disk before its task is started; whatever else is noted only has to outlive the process, not the
// power. Reading the notebook from the top gives back every task that is not forgotten. It is rewritten, shorter, when most
// of it speaks of the forgotten.

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
import type { Instant } from '../../schedules/clock.ts';
import type { TaskState, TaskStatus } from '../protocol.ts';
import type { Launch } from './messages.ts';
import { hasCode, isGone } from './processes.ts';

export type Killing = {
  readonly at: Instant;
  readonly grace_ms: number;
  /** Absent for a kill that the framework asked for. */
  readonly reason?: 'max_completion_time';
};

/** A task as the notebook has it. */
export type Remembered = {
  readonly framework_id: string;
  readonly launch: Launch;
  readonly at: Instant;
  readonly boot: string;
  acknowledged: TaskState;
  pending: TaskStatus[];
  killing: Killing | undefined;
};

export type Note =
  | {
      readonly type: 'intent';
      readonly framework_id: string;
      readonly launch: Launch;
      readonly at: Instant;
      readonly boot: string;
    }
  | { readonly type: 'update'; readonly task: string; readonly status: TaskStatus }
  | { readonly type: 'acknowledged'; readonly task: string; readonly uuid: string }
  | ({ readonly type: 'killing'; readonly task: string } & Killing)
  | { readonly type: 'forgotten'; readonly task: string };

export interface Checkpoint {
  /** What was known when it was opened, by task id, in the order of the intents. */
  readonly remembered: ReadonlyMap<string, Remembered>;
  /** Notes survive the end of this process from now on. Throws when they could not be written: then none of them was. */
  note(notes: readonly Note[]): void;
  /** Calls back when everything noted so far survives a power cut. Many wishes share one trip to the disk. */
  sync(done: (error: Error | undefined) => void): void;
  close(): void;
}

const rewrite_bytes_min = 4 << 20;

/** Opens the notebook. `live` gives what is worth keeping when it is rewritten. */
export function openCheckpoint(path: string, live: () => Iterable<Remembered>): Checkpoint {
  const remembered = read(path);
  let { fd, bytes } = rewrite(path, remembered.values());
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
    remembered,
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

function read(path: string): Map<string, Remembered> {
  const tasks = new Map<string, Remembered>();
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isGone(error)) return tasks;
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
    apply(tasks, note);
  }
  return tasks;
}

function apply(tasks: Map<string, Remembered>, note: Note): void {
  if (note.type === 'intent') {
    const { framework_id, launch, at, boot } = note;
    const fresh = { acknowledged: 'TASK_STAGING', pending: [], killing: undefined } as const;
    tasks.set(launch.task.task_id.value, { framework_id, launch, at, boot, ...fresh, pending: [] });
    return;
  }
  const task = tasks.get(note.task);
  if (task === undefined) return; // Noted after it was forgotten.
  if (note.type === 'update') task.pending.push(note.status);
  else if (note.type === 'killing') {
    const { type: _, task: __, ...killing } = note;
    task.killing = killing;
  } else if (note.type === 'forgotten') tasks.delete(note.task);
  else {
    const index = task.pending.findIndex(({ uuid }) => uuid === note.uuid);
    if (index < 0) return;
    task.acknowledged = task.pending[index]!.state;
    task.pending = task.pending.slice(index + 1);
  }
}

/** The same knowledge in as few lines as it takes. */
function* notesOf(task: Remembered): Generator<Note> {
  const id = task.launch.task.task_id.value;
  const { framework_id, launch, at, boot } = task;
  yield { type: 'intent', framework_id, launch, at, boot };
  if (task.killing !== undefined) yield { type: 'killing', task: id, ...task.killing };
  if (task.acknowledged !== 'TASK_STAGING') {
    yield { type: 'update', task: id, status: { task_id: { value: id }, state: task.acknowledged, uuid: '' } };
    yield { type: 'acknowledged', task: id, uuid: '' };
  }
  for (const status of task.pending) yield { type: 'update', task: id, status };
}

function rewrite(path: string, tasks: Iterable<Remembered>): { fd: number; bytes: number } {
  const fresh = `${path}.new`;
  let text = '';
  for (const task of tasks) for (const note of notesOf(task)) text += `${JSON.stringify(note)}\n`;
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
