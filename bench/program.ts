// program.ts: the real program for benchmarks, started as anybody starts it, and gone when they are done.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export const main = join(import.meta.dirname, '..', 'main.ts');
/** The options of this Node, without the one that only those who measure need. */
export const node_flags = process.execArgv.filter(flag => flag !== '--expose-gc');

export type Program = {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  readonly data_dir: string;
  readonly process: ChildProcess & { readonly pid: number };
};

/** Rejects when the program ends before `measure` has; `tidy` runs after it has ended, while its data is still there. */
export async function withProgram(
  name: string,
  flags: readonly string[],
  measure: (program: Program) => Promise<void>,
  tidy: (data_dir: string) => void = () => undefined,
): Promise<void> {
  const data_dir = mkdtempSync(join(tmpdir(), `horae-${name}-`));
  const common = ['dev', '--http', '127.0.0.1:0', '--data-dir', data_dir, '--log-level', 'error'];
  const child = spawn(process.execPath, [...node_flags, main, ...common, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<string>(resolve =>
    child.once('exit', (status, signal) => resolve(`the program ended with ${status ?? signal}`)),
  );
  const measured = async () =>
    measure({ url: await consoleOf(child.stdout), data_dir, process: child as Program['process'] });
  try {
    await Promise.race([measured(), ended.then(how => Promise.reject(new Error(how)))]);
  } finally {
    child.kill('SIGTERM');
    await ended;
    tidy(data_dir);
    rmSync(data_dir, { recursive: true, maxRetries: 10, retryDelay: 100 });
  }
}

/** The address that it prints when it listens. */
async function consoleOf(stdout: Readable): Promise<string> {
  for await (const line of createInterface({ input: stdout })) {
    const url = /Console: (\S+)/.exec(line)?.[1];
    if (url !== undefined) return url.replace(/\/$/, '');
  }
  throw new Error('the program did not say where its console is');
}
