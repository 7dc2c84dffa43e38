// usage.ts: what it costs to look at what tasks use: part of a core, with so many real tasks that rest.
//
// The agent is measured three times, with nothing looked at, with control groups, and by looking through /proc; what looking
// costs is the difference to the first. Its rests grow with what it costs, so more tasks are looked at less often, not dearer:
// how often is told too.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resourcesFor, startLocalMesos } from '../mesos/local/index.ts';
import { systemClock } from '../schedules/clock.ts';
import { scalar, subscribe } from '../test/mesos-local/support/client.ts';
import { readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { tasks: 500, seconds: 20 });
const silent = { info() {}, warn() {}, error() {} };

const off = await measure('off');
const grouped = await measure('auto');
const sampled = await measure('sampled');
report(
  {
    name: 'usage',
    figures: {
      tasks: options.tasks,
      idle_percent: off.cpu_percent,
      groups_percent: grouped.cpu_percent - off.cpu_percent,
      groups_every_s: grouped.every_s,
      sampled_percent: sampled.cpu_percent - off.cpu_percent,
      sampled_every_s: sampled.every_s,
    },
    floors: { groups_percent: { at_most: 2 }, sampled_percent: { at_most: 2 } },
  },
  options,
);

async function measure(limits: 'off' | 'auto' | 'sampled'): Promise<{ cpu_percent: number; every_s: number }> {
  const work_dir = mkdtempSync(join(tmpdir(), 'horae-usage-'));
  const resources = resourcesFor({ cpus: options.tasks, mem: 64 * options.tasks, disk: 64 * options.tasks });
  const mesos = await startLocalMesos({
    work_dir,
    clock: systemClock(),
    log: silent,
    resources,
    master: { allocation_interval_ms: 0 },
    limits: { limits },
  });
  try {
    const scheduler = await subscribe(mesos);
    const ids = Array.from({ length: options.tasks }, (_, index) => `t-${index}`);
    await scheduler.launch(
      ids.map(id => ({
        name: id,
        task_id: { value: id },
        resources: [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 32)],
        command: { shell: true, value: 'echo up; while :; do sleep 1000; done' },
      })),
    );
    for (const id of ids) await scheduler.reached(id, 'TASK_RUNNING');
    await pass(5);
    const before = process.cpuUsage();
    const began = performance.now();
    const points = new Set<number>();
    for (let second = 0; second < options.seconds; second++) {
      await pass(1);
      const at = mesos.agent?.usage('t-0')?.points.at(-1)?.at;
      if (at !== undefined) points.add(at);
    }
    const elapsed_s = (performance.now() - began) / 1_000;
    const { user, system } = process.cpuUsage(before);
    scheduler.disconnect();
    return {
      cpu_percent: ((user + system) / 1e6 / elapsed_s) * 100,
      every_s: points.size === 0 ? 0 : elapsed_s / points.size,
    };
  } finally {
    await mesos.agent?.killAll();
    await mesos.close();
    rmSync(work_dir, { recursive: true });
  }
}

function pass(seconds: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, seconds * 1_000));
}
