// instance-lock.ts: one process at a time in a data directory.
//
// Node offers no lock that the kernel would let go of when its holder dies, so the lock is a file that says who holds it:
// process id, when that process started, and in which boot of which machine. Whoever finds the file looks whether its
// holder still lives. A holder that was killed cannot remove its file, but neither can it be mistaken for another process
// that was given its number later. In doubt (a holder in another container cannot be seen) the lock gives way: the
// journal's epoch, checked inside each of lmdb's transactions, still keeps the older writer out.

import { link, readFile, readlink, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JournalError } from './journal.ts';

type Holder = {
  readonly pid: number;
  /** In the kernel's ticks since boot; null where /proc is not there to tell. */
  readonly started: string | null;
  readonly boot: string | null;
  /** The pid namespace: process ids of another one mean nothing here. */
  readonly space: string | null;
};

export type InstanceLock = { readonly release: () => Promise<void> };

const attempts_max = 20;

/** Takes `<directory>/instance.lock`. Throws JournalError `locked` when a living process holds it. */
export async function lockInstance(directory: string): Promise<InstanceLock> {
  const path = join(directory, 'instance.lock');
  const mine = JSON.stringify(await holderOf(process.pid));
  const draft = `${path}.${process.pid}.${Math.floor(performance.timeOrigin)}`;
  try {
    for (let attempt = 0; attempt < attempts_max; attempt++) {
      await writeFile(draft, mine);
      // A link appears with its content or not at all, and never replaces what is there.
      if (await linked(draft, path)) return { release: () => release(path, mine) };
      const found = await contentOf(path);
      if (found === undefined) continue;
      const holder = parseHolder(found);
      if (holder !== undefined && (await lives(holder)))
        throw new JournalError(
          'locked',
          `${directory} is in use by process ${holder.pid}: expected one Horae per data directory; stop it, or choose another --data-dir`,
        );
      await evict(path, found, draft);
    }
  } finally {
    await unlink(draft).catch(ignoreMissing);
  }
  throw new JournalError('locked', `${path} keeps changing hands: expected nobody else to be starting here`);
}

async function release(path: string, mine: string): Promise<void> {
  if ((await contentOf(path)) === mine) await unlink(path).catch(ignoreMissing);
}

/** Moves a dead holder's file away, and puts it back when somebody living has taken the lock in between. */
async function evict(path: string, dead: string, draft: string): Promise<void> {
  const aside = `${draft}.stale`;
  try {
    await rename(path, aside);
  } catch (error) {
    return ignoreMissing(error);
  }
  if ((await contentOf(aside)) !== dead) await linked(aside, path);
  await unlink(aside).catch(ignoreMissing);
}

async function lives(holder: Holder): Promise<boolean> {
  const me = await holderOf(process.pid);
  if (holder.boot !== me.boot || holder.space !== me.space) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false; // EPERM: it lives, and belongs to another user.
  }
  return (await holderOf(holder.pid)).started === holder.started;
}

async function holderOf(pid: number): Promise<Holder> {
  const [stat, boot, space] = await Promise.all([
    contentOf(`/proc/${pid}/stat`),
    contentOf('/proc/sys/kernel/random/boot_id'),
    readlink('/proc/self/ns/pid').catch(() => undefined),
  ]);
  // The second field is the program's name in parentheses and may hold anything; the start is the 20th field after it.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid, started: fields?.[19] ?? null, boot: boot?.trim() ?? null, space: space ?? null };
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' &&
      value !== null &&
      Number.isInteger((value as Holder).pid) &&
      (value as Holder).pid > 0
      ? (value as Holder)
      : undefined;
  } catch {
    return undefined; // Half a file is left by a machine that died: nobody's.
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;
function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}
