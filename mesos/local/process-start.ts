// process-start.ts: the first breath of whoever a porter stands beside: a task, an attendant of a container, an executor.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Dressed } from './dress.ts';
import type { pathsOf } from './sandbox.ts';

/** Its wrapper, which outlives us, and has no pid when it could not be started. */
export function startWrapper(
  wrapper_path: string,
  { sandbox, meta, ended }: Pick<ReturnType<typeof pathsOf>, 'sandbox' | 'meta' | 'ended'>,
  { argv, env, wardrobe }: Dressed,
): ChildProcess {
  try {
    const wrapper = spawn('/bin/sh', [wrapper_path, 'watch', meta, ended, ...argv], {
      cwd: sandbox,
      env,
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', ...(wardrobe === undefined ? [] : [wardrobe])],
    });
    wrapper.unref();
    return wrapper;
  } finally {
    if (wardrobe !== undefined) closeSync(wardrobe);
  }
}
