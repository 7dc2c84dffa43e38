// temp.ts: a directory of its own for one test, gone with everything that still runs in it when the test ends.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killUnder } from './processes.ts';

/** What these helpers need of AVA's `t`. */
export type Owner = { readonly teardown: (clean: () => void | Promise<void>) => void };

export async function tempDir(t: Owner): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'horae-test-'));
  t.teardown(async () => {
    await killUnder(directory);
    // A process that was just killed may still have let a file appear.
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  return directory;
}

/**
 * Owns what lives as long as the tests of a file. AVA wants all its hooks declared in one go, after whatever was awaited:
 * `test.after.always(owner.clean)` stands with the tests.
 */
export function fileOwner(): Owner & { readonly clean: () => Promise<void> } {
  const cleans: (() => void | Promise<void>)[] = [];
  return {
    teardown: clean => void cleans.push(clean),
    async clean() {
      for (const clean of cleans.reverse()) await clean();
    },
  };
}
