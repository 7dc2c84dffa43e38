// zookeeper.ts: what the journal in ZooKeeper takes, and how soon a new leader remembers.
//
//   node bench/zookeeper.ts [--records 400000] [--seconds 2] [--members 3] [--json] [--check]
//
// Real servers (Debian's zookeeper) on this machine, each of which waits for the device at every write, as they do in
// earnest; where there are none, one line says so. How many records a second are committed and after how long, at several
// sizes of batches; how long restoring many live instances takes, from segments and from a snapshot; how long a snapshot
// takes beside the work. Members and clients share one machine here, so a cluster of several does better.

import { existsSync } from 'node:fs';
import { systemClock } from '../schedules/clock.ts';
import { fileOwner } from '../test/support/temp.ts';
import { startZooKeeper, zookeeper } from '../test/support/zookeeper.ts';
import { zookeeperJournal } from '../transport/journal/zookeeper.ts';
import { connectZooKeeper, type ZooKeeper } from '../transport/zookeeper/client.ts';
import { instance, instances } from './instances.ts';
import { type Figures, quantile, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { records: 400_000, seconds: 2, members: 3 });
const batch_sizes = [1, 16, 128, 1_024, 4_096];
const fill_batch = 4_096;
/** ZooKeeper keeps its 500 last transactions in memory, besides its tree. */
const heap_mb = 1_000;
const clock = systemClock();

async function opened(zk: ZooKeeper, path: string) {
  const journal = zookeeperJournal({ zk, path, cluster: { name: 'bench' }, schemas: {}, clock });
  const started = performance.now();
  await journal.open();
  const { records } = await journal.restore();
  let count = 0;
  for (const _ of records) count++;
  return { journal, count, ms: performance.now() - started };
}

/** Appends one batch after the other. */
async function appending(zk: ZooKeeper, size: number): Promise<Figures> {
  const { journal } = await opened(zk, `/batches-of-${size}`);
  const waits: number[] = [];
  const started = performance.now();
  let records = 0;
  while (performance.now() - started < options.seconds * 1_000) {
    const batch = instances(records % options.records, size);
    const before = performance.now();
    await journal.append(batch);
    waits.push(performance.now() - before);
    records += size;
  }
  const seconds = (performance.now() - started) / 1_000;
  await journal.close();
  return {
    [`batch_${size}_per_s`]: records / seconds,
    [`batch_${size}_p50_ms`]: quantile(waits, 0.5),
    [`batch_${size}_p99_ms`]: quantile(waits, 0.99),
  };
}

async function remembering(zk: ZooKeeper): Promise<Figures> {
  const path = '/instances';
  const { journal } = await opened(zk, path);
  for (let from = 0; from < options.records; from += fill_batch)
    await journal.append(instances(from, Math.min(fill_batch, options.records - from)));
  await journal.close();
  const restore = async () => {
    const next = await opened(zk, path);
    if (next.count !== options.records) throw new Error(`${next.count} records restored: expected ${options.records}`);
    return next;
  };
  const mixed = await restore();
  const started = performance.now();
  await mixed.journal.append([instance(0)]);
  await mixed.journal.snapshot();
  const snapshot_ms = performance.now() - started;
  await mixed.journal.close();
  const folded = await restore();
  await folded.journal.close();
  return { restore_segments_ms: mixed.ms, snapshot_ms, restore_snapshot_ms: folded.ms };
}

if (zookeeper === undefined || !existsSync(zookeeper))
  console.log('zookeeper: not measured, there is no ZooKeeper here: expected its jar in HORAE_TEST_ZOOKEEPER');
else {
  const owner = fileOwner();
  try {
    const members = options.members === 3 ? 3 : 1;
    const { servers } = await startZooKeeper(owner, { members, sync: true, heap_mb });
    const zk = connectZooKeeper({ servers, session_timeout_ms: 60_000, clock });
    let figures: Figures = { records: options.records, members };
    for (const size of batch_sizes) figures = { ...figures, ...(await appending(zk, size)) };
    figures = { ...figures, ...(await remembering(zk)) };
    await zk.close();
    const floors = { restore_segments_ms: { at_most: 5_000 }, restore_snapshot_ms: { at_most: 5_000 } };
    report({ name: 'zookeeper', figures, floors }, options);
  } finally {
    await owner.clean();
  }
}
