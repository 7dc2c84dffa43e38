// chaos.test.ts: a minute of real faults on a real cluster.
//
// `npm run chaos -- --minutes 15` does the same for as long as one likes, and draws it.

import { join } from 'node:path';
import { may_cut } from '../support/lan.ts';
import { serialWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { zookeeper } from '../support/zookeeper.ts';
import type { Kind } from './plan.ts';
import { chaos, lineOf } from './run.ts';

const faults: readonly Kind[] = [
  'kill-leader',
  'pause-before-accept',
  'kill-quorum',
  'cut-zookeeper',
  'cut-mesos',
  'cut-links',
  'kill-mesos',
  ...(may_cut === undefined ? [] : (['unplug-leader'] as const)),
];
const testCluster = serialWith(zookeeper);

testCluster('a minute in which leaders, ZooKeeper and Mesos die: no target is missed, lost or run twice', async t => {
  t.timeout(10 * 60_000);
  const seed = Number(process.env.HORAE_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
  const directory = await tempDir(t);
  const report = await chaos(t, {
    minutes: 1,
    seed,
    session_ms: 4_000,
    faults,
    picture: join(directory, 'chaos.svg'),
    say: line => t.log(line),
  });
  t.log(lineOf(report));
  const { missed, lost, doubled, incomplete, extra, unserved, writes, complaints } = report;
  t.deepEqual(
    { missed, lost, doubled, incomplete, extra, unserved, complaints },
    { missed: 0, lost: 0, doubled: 0, incomplete: 0, extra: 0, unserved: 0, complaints: [] },
    `npm run chaos -- --minutes 1 --session-timeout-ms 4000 --faults ${faults} --seed ${seed} (what is left of it: ${report.directory})`,
  );
  // Chaos in which nothing happened proves nothing.
  t.true(
    writes.done > 30 && report.targets > 60 && report.ran === report.targets && Object.keys(report.faults).length > 0,
    lineOf(report),
  );
});
