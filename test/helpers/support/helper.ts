// helper.ts: a helper as tasks run it: a process of its own, with an environment of its own.

import { join } from 'node:path';
import { type Child, startChild } from '../../support/child.ts';
import type { Owner } from '../../support/temp.ts';

export const helpers_main = join(import.meta.dirname, '..', '..', '..', 'helpers', 'main.ts');

export function startHelper(t: Owner, argv: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  return startChild(t, {
    command: process.execPath,
    argv: [helpers_main, ...argv],
    env: { PATH: process.env.PATH, HOME: '/nonexistent', ...env },
  });
}
