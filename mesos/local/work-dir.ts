// work-dir.ts: what an agent keeps in its directory beside its tasks: its name, its lock, its wrapper.

import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isAlive, ownIdentity, readIfThere } from './processes.ts';
import { parseIdentity, wrapper_text } from './wrapper.ts';

/** The agent's name for ever, made at its first start. */
export function agentId(work_dir: string): string {
  const path = join(work_dir, 'agent-id');
  const known = readIfThere(path)?.trim();
  if (known !== undefined && known !== '') return known;
  const id = `${randomBytes(8).toString('hex')}-S0`;
  writeDurably(path, `${id}\n`);
  return id;
}

/** Where the agent listened last: executors that outlive it look for it there. */
export function portBefore(work_dir: string): number | undefined {
  const port = Number(readIfThere(join(work_dir, 'agent-port')) ?? Number.NaN);
  return Number.isInteger(port) ? port : undefined;
}

/** Only whoever has the lock may say where the agent is. */
export function keepPort(work_dir: string, port: number): void {
  if (portBefore(work_dir) !== port) writeDurably(join(work_dir, 'agent-port'), `${port}\n`);
}

/** The wrapper as a file of its own: a shell reads its script while it runs, so the script must not change under it. */
export function keepWrapper(work_dir: string): string {
  const path = join(work_dir, `task-${createHash('sha256').update(wrapper_text).digest('hex').slice(0, 8)}.sh`);
  if (readIfThere(path) !== wrapper_text) writeDurably(path, wrapper_text);
  return path;
}

/** One agent per work_dir. Throws when another process has it; the lock of a process that is gone is nobody's. */
export function lockWorkDir(work_dir: string, boot: string): () => void {
  const path = join(work_dir, 'agent.lock');
  const holder = parseIdentity(readIfThere(path));
  if (holder !== undefined && holder.pid !== process.pid && isAlive(holder, boot))
    throw new Error(`${work_dir} is in use by process ${holder.pid}: end it first, or give another directory`);
  const { pid, start } = ownIdentity(boot);
  writeDurably(path, `${pid} ${start} ${boot}\n`);
  return () => rmSync(path, { force: true });
}

/** Written whole or not at all, and there after a power cut. */
export function writeDurably(path: string, text: string): void {
  const fd = openSync(`${path}.new`, 'w', 0o600);
  writeFileSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(`${path}.new`, path);
}

/** Of a task that is over: how it ended, and its wrapper's folder. */
export function forget({ meta, ended }: { readonly meta: string; readonly ended: string }): void {
  rmSync(ended, { force: true });
  // Under its name it goes at once: emptied file by file, it would for a moment be there without its claim, and a wrapper
  // that comes too late would find that nobody has the task. What a crash leaves is swept like what nobody knows.
  const gone = join(dirname(meta), `.${randomBytes(8).toString('hex')}`);
  try {
    renameSync(meta, gone);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return;
  }
  rmSync(gone, { recursive: true, force: true });
}
