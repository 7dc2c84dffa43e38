// cluster.test.ts: a sync through a node that does not lead, while the one that leads is killed.

import { startNodes } from '../cluster/nodes.ts';
import { serialWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { zookeeper } from '../support/zookeeper.ts';
import { roadTo } from './between.ts';
import { yearly } from './layouts.ts';
import { put, syncWith } from './support.ts';

const testCluster = serialWith(zookeeper);

testCluster(
  'a sync goes on through a change of leaders, writes every job once, and another finds nothing to do',
  async t => {
    t.timeout(300_000);
    const { nodes, leader } = await startNodes(t, { count: 2 });
    const first = await leader();
    const other = nodes.find(each => each !== first)!;
    const dir = await tempDir(t);
    const names = Array.from({ length: 60 }, (_, n) => `n${n}`);
    for (const [n, name] of names.entries())
      put(dir, {
        [`moves/prod/${name}.yaml`]: `command: echo\n${n === 0 ? `cron: "${yearly}"` : `parents: [n${n - 1}]`}\n`,
      });
    let writes = 0;
    const url = await roadTo(
      t,
      () => other.api.url,
      ({ method }) => {
        if (method === 'POST' && ++writes === 20) void first.kill();
        return 'passes';
      },
    );
    const synced = await syncWith(() => url)(dir, '--timeout-s', '100');
    t.is(synced.status, 0, synced.wrong);
    t.is(await leader([other]), other);
    const again = await syncWith(() => url)(dir);
    t.regex(again.said, /^Nothing to do: 60 as their files say\.\n$/);
    const { jobs } = (await other.api.get('/api/v1/jobs?limit=1000')) as { jobs: { version: number }[] };
    t.deepEqual(
      jobs.map(each => each.version),
      names.map(() => 1),
    );
  },
);
