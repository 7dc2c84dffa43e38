// enter.test.ts: several nodes that are started at once on an empty path make one tree between them.

import test from 'ava';
import { enterTree } from '../../transport/journal/zookeeper-claim.ts';
import { packCluster, placesIn } from '../../transport/journal/zookeeper-tree.ts';
import type { ZooKeeper } from '../../transport/zookeeper/zookeeper.ts';

test('a tree that another node makes between our two looks is found to be ours, in whatever order it is told', async t => {
  const places = placesIn('/horae');
  const data = packCluster({ format: 1, id: 'c', name: 'horae' });
  for (const names of [
    ['snapshots', 'segments', 'cluster', 'epoch'],
    ['election', 'epoch', 'snapshots', 'cluster', 'segments'],
    ['cluster', 'epoch', 'segments', 'snapshots'],
  ]) {
    let looks = 0;
    const zk = {
      get: async () => (looks++ === 0 ? undefined : { data, stat: {} }),
      children: async () => names,
    } as unknown as ZooKeeper;
    t.deepEqual(await enterTree(zk, places, { name: 'horae' }), { format: 1, id: 'c', name: 'horae' });
  }
});
