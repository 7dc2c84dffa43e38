// sandbox-sweep.ts: which sandboxes of ended tasks go, when and why; and the book in which that stands.
//
// Too old, too many, or in the way of those that live: then the oldest go first until there is room again. A task of a custom
// executor has a link to its executor's sandbox, which goes with it. Whoever looks for a log that is not there any more finds
// in the book what became of it.

import { appendFileSync, writeFileSync } from 'node:fs';
import { lstat, readdir, readlink, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Instant, Wake } from '../../schedules/clock.ts';
import { jsonIn } from '../json.ts';
import type { Log } from './agent-options.ts';
import { diskWalk } from './limits/disk-walk.ts';
import { isGone, readIfThere } from './processes.ts';
import { removeLargeTree } from './removal.ts';

export type Retention = {
  /** Finished sandboxes that are kept. */
  readonly sandboxes_max: number;
  readonly age_ms_max: number;
  /** Part of the disk under the sandboxes that is to be free. */
  readonly free_part_min: number;
  /** Between two looks at the disk; what is too old or too many goes once an hour. */
  readonly look_ms: number;
  /** Rows of the book. */
  readonly swept_max: number;
};

/** A sandbox that went. */
export type Swept = {
  readonly at: Instant;
  readonly why: 'age' | 'count' | 'disk';
  /** Whose it was. */
  readonly tasks: readonly string[];
  /** When something was changed in its folder last. */
  readonly ended_at: Instant;
  readonly bytes: number;
};

export interface SandboxKeeper {
  /** Newest first. */
  readonly swept: () => readonly Swept[];
  readonly disk: () => Promise<{ readonly free_bytes: number; readonly total_bytes: number }>;
  readonly close: () => void;
}

type Ground = {
  readonly work_dir: string;
  readonly agent_id: string;
  readonly retention: Retention;
  readonly clock: Clock;
  readonly log: Log;
  readonly isLive: (name: string) => boolean;
};

const sweep_ms = 3_600_000;

/** Sweeps at once, and from then on. */
export function keepSandboxes({ work_dir, agent_id, retention, clock, log, isLive }: Ground): SandboxKeeper {
  const book = openBook(join(work_dir, 'swept.log'), retention.swept_max);
  const folder = join(work_dir, 'sandboxes', agent_id);
  let open = true;
  let wake: Wake | undefined;
  let swept_at = Number.NEGATIVE_INFINITY;
  const look = async () => {
    const crowded = (await freePart(folder)) < retention.free_part_min;
    if (!crowded && clock.now() - swept_at < sweep_ms) return;
    swept_at = clock.now();
    const stuck = (name: string, error: unknown) =>
      log.warn({ sandbox: name, error: String(error) }, 'an old sandbox cannot be removed');
    const gone = await sweepSandboxes(work_dir, agent_id, retention, clock.now(), isLive, stuck);
    if (gone.length === 0) return;
    log.info({ removed: gone.length, bytes: gone.reduce((sum, { bytes }) => sum + bytes, 0) }, 'old sandboxes removed');
    book.add(gone);
  };
  const turn = () => {
    look()
      .catch(error => log.warn({ error: String(error) }, 'old sandboxes could not be removed'))
      .finally(() => {
        if (open) wake = clock.wakeAt(clock.now() + retention.look_ms, turn);
      });
  };
  turn();
  return {
    swept: book.rows,
    async disk() {
      const { bavail, blocks, bsize } = await statfs(folder);
      return { free_bytes: bavail * bsize, total_bytes: blocks * bsize };
    },
    close() {
      open = false;
      wake?.cancel();
    },
  };
}

/** Removes what is too old, too many or in the way. Never one that is still lived in. One that is `stuck` keeps no other. */
export async function sweepSandboxes(
  work_dir: string,
  agent_id: string,
  { sandboxes_max, age_ms_max, free_part_min }: Pick<Retention, 'sandboxes_max' | 'age_ms_max' | 'free_part_min'>,
  now: Instant,
  isLive: (task_id: string) => boolean,
  stuck: (name: string, error: unknown) => void,
): Promise<readonly Swept[]> {
  const folder = join(work_dir, 'sandboxes', agent_id);
  const { finished, links } = await finishedIn(folder, isLive);
  const swept: Swept[] = [];
  const remove = async ({ name, at }: Finished, why: Swept['why']) => {
    // Asked again: reading the folder took a while. A task id is never used twice, so it cannot have come to life since.
    if (isLive(name)) return;
    const bytes = await bytesOf(join(folder, name));
    const tasks = links.get(name) ?? [];
    try {
      await removeLargeTree(join(folder, name));
    } catch (error) {
      stuck(name, error);
      return;
    }
    for (const task of tasks) await rm(join(folder, task), { force: true });
    swept.push({ at: now, why, tasks: tasks.length === 0 ? [name] : tasks, ended_at: Math.round(at), bytes });
  };
  const kept: Finished[] = [];
  for (const [index, one] of finished.entries()) {
    if (now - one.at > age_ms_max) await remove(one, 'age');
    else if (index >= sandboxes_max) await remove(one, 'count');
    else kept.push(one);
  }
  while (kept.length > 0 && (await freePart(folder)) < free_part_min) await remove(kept.pop()!, 'disk');
  return swept;
}

type Finished = { readonly name: string; readonly at: number };

/** Newest first; and by sandbox the tasks that have a link to it. Links to nothing go at once. */
async function finishedIn(folder: string, isLive: (name: string) => boolean) {
  const finished: Finished[] = [];
  const links = new Map<string, string[]>();
  const names = await readdir(folder);
  const there = new Set(names);
  for (const name of names) {
    if (isLive(name)) continue;
    try {
      const found = await lstat(join(folder, name));
      if (!found.isSymbolicLink()) finished.push({ name, at: found.mtimeMs });
      else {
        const target = await readlink(join(folder, name));
        if (there.has(target)) links.set(target, [...(links.get(target) ?? []), name]);
        else await rm(join(folder, name), { force: true });
      }
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  finished.sort((one, other) => other.at - one.at);
  return { finished, links };
}

/** Root may use what is kept back for it; tasks may not be root. */
async function freePart(folder: string): Promise<number> {
  const { bavail, blocks } = await statfs(folder);
  return blocks === 0 ? 1 : bavail / blocks;
}

async function bytesOf(folder: string): Promise<number> {
  for (const walk = diskWalk(folder, 500); ; await nextTurn()) {
    const { done, value } = walk.next();
    if (done) return value;
  }
}

/** A line for each sandbox that went. It is written anew, shorter, when it is twice as long as it may be. */
function openBook(path: string, rows_max: number) {
  let rows: Swept[] = (readIfThere(path) ?? '').split('\n').flatMap(parsed).slice(-rows_max);
  let lines = rows.length;
  return {
    rows: () => rows.toReversed(),
    add(gone: readonly Swept[]) {
      rows = [...rows, ...gone].slice(-rows_max);
      lines += gone.length;
      const text = (some: readonly Swept[]) => some.map(one => `${JSON.stringify(one)}\n`).join('');
      if (lines <= 2 * rows_max) appendFileSync(path, text(gone), { mode: 0o600 });
      else {
        writeFileSync(path, text(rows), { mode: 0o600 });
        lines = rows.length;
      }
    },
  };
}

/** A line that a full disk cut short says nothing. */
function parsed(line: string): Swept[] {
  const told = jsonIn(line);
  return told === undefined ? [] : [told as Swept];
}
