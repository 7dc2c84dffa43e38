// support.ts: `horae sync`, as its program and without a process of its own, and directories for it.

import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { syncAs, type Voice } from '../../programs/sync.ts';

export const main = join(import.meta.dirname, '..', '..', 'main.ts');

export type Ended = { readonly status: number; readonly said: string; readonly wrong: string };
export type Sync = (...argv: readonly string[]) => Promise<Ended>;

/** What the program does, without the second that a Node takes to start. Nobody is there to answer its questions. */
export const syncWith =
  (url: () => string): Sync =>
  async (...argv) => {
    const [said, wrong]: [string[], string[]] = [[], []];
    const voice: Voice = {
      say: line => void said.push(`${line}\n`),
      complain: line => void wrong.push(`${line}\n`),
      ask: async () => undefined,
    };
    const status = await syncAs(voice, argv, { HORAE_URL: url() });
    return { status, said: said.join(''), wrong: wrong.join('') };
  };

const run = promisify(execFile);
/** The program itself. Nothing of the tester's own settings reaches it. */
export const programWith =
  (url: () => string): Sync =>
  async (...argv) => {
    const env = { PATH: process.env.PATH, HORAE_URL: url() };
    const ended = await run(process.execPath, [main, 'sync', ...argv], { cwd: '/', env }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
    return { status: ended.code, said: ended.stdout, wrong: ended.stderr };
  };

export function put(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(dir, dirname(file)), { recursive: true });
    writeFileSync(join(dir, file), text);
  }
}
