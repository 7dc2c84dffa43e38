// machine.ts: this machine as a one-machine Mesos in a folder of its own, cleaned up after the test.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { resourcesFor, startLocalMesos } from '../../../mesos/local/index.ts';
import type { LocalMesosOptions } from '../../../mesos/local/one-machine.ts';
import { systemClock } from '../../../schedules/clock.ts';

export const silent = { info() {}, warn() {}, error() {} };

export async function machine(t: ExecutionContext, options: Partial<LocalMesosOptions> = {}) {
  const work_dir = mkdtempSync(join(tmpdir(), 'horae-local-'));
  const mesos = await startLocalMesos({
    work_dir,
    clock: systemClock(),
    log: silent,
    resources: resourcesFor({ cpus: 100, mem: 100_000, disk: 100_000, ports: [31000, 31499] }),
    ...options,
  });
  t.teardown(async () => {
    await mesos.agent?.killAll();
    await mesos.close();
    rmSync(work_dir, { recursive: true, force: true });
  });
  const agent = mesos.agent!;
  return {
    ...mesos,
    agent,
    work_dir,
    sandbox: (task: string) => join(work_dir, 'sandboxes', agent.id, task),
    output: (task: string, file = 'stdout') => readFileSync(join(work_dir, 'sandboxes', agent.id, task, file), 'utf8'),
  };
}
