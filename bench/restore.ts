// restore.ts: how long after a scheduler died the next one launches again.
//
// Four hundred thousand instances run; one more waits for a place. A new process has the journal, in either home, and a
// master that knows it: measured from opening the journal to its first ACCEPT. The home in ZooKeeper is measured where a
// server is installed (HORAE_TEST_ZOOKEEPER says where, as for the tests).

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileOwner } from '../test/support/temp.ts';
import { startZooKeeper, zookeeper } from '../test/support/zookeeper.ts';
import { type Figures, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { instances: 400_000, instances_per_job: 1_000, agents: 1_000 });

type Measured = { readonly accept_ms: number; readonly planted_ms: number; readonly live_actors: number };

/** Fills a journal, and restores it, each in a process of its own. */
async function restoring(home: 'lmdb' | 'zookeeper', where: string): Promise<Measured> {
  const run = async (role: string) => {
    const sizes = [options.instances, options.instances_per_job, options.agents].map(String);
    const argv = [join(import.meta.dirname, 'restoring.ts'), role, home, where, ...sizes];
    const { stdout } = await promisify(execFile)(process.execPath, argv);
    return JSON.parse(stdout) as Measured;
  };
  await run('fill');
  return await run('measure');
}

async function fromLmdb(): Promise<Figures> {
  const path = mkdtempSync(join(tmpdir(), 'horae-bench-'));
  try {
    const { accept_ms, planted_ms, live_actors } = await restoring('lmdb', path);
    return { lmdb_planted_ms: planted_ms, lmdb_accept_ms: accept_ms, live_actors };
  } finally {
    rmSync(path, { recursive: true });
  }
}

async function fromZooKeeper(): Promise<Figures> {
  const owner = fileOwner();
  const { servers } = await startZooKeeper(owner, { members: 3, heap_mb: 1_000 });
  try {
    const { accept_ms, planted_ms } = await restoring('zookeeper', servers);
    return { zookeeper_planted_ms: planted_ms, zookeeper_accept_ms: accept_ms };
  } finally {
    await owner.clean();
  }
}

const figures: Figures = {
  instances: options.instances,
  ...(await fromLmdb()),
  ...(zookeeper === undefined ? {} : await fromZooKeeper()),
};
report(
  {
    name: 'restore',
    figures,
    floors: {
      lmdb_accept_ms: { at_most: 10_000 },
      ...(zookeeper === undefined ? {} : { zookeeper_accept_ms: { at_most: 10_000 } }),
    },
  },
  options,
);
