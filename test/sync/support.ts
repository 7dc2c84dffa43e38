// support.ts: `horae sync`, run as people run it, and directories for it.

import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const main = join(import.meta.dirname, '..', '..', 'main.ts');

export type Ended = { readonly status: number; readonly said: string; readonly wrong: string };
export type Sync = (...argv: readonly string[]) => Promise<Ended>;

/** Against the scheduler at this address; nothing of the tester's own settings reaches it. */
export const syncWith =
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
