// shelf.test.ts: what a standby has read it need not read again when it is elected.

import test from 'ava';
import type { Change } from '../../transport/journal/journal.ts';
import { createShelf } from '../../transport/journal/shelf.ts';
import { clusterLog } from '../../transport/journal/zookeeper-log.ts';
import { connectZooKeeper, type ZooKeeper } from '../../transport/zookeeper/client.ts';
import { testWith } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { startZooKeeper, zookeeper } from '../support/zookeeper.ts';
import { folded, put, stateOf } from './contract.ts';
import { clock, cluster, journalAt } from './zookeeper.ts';

const stored = (n: number, bytes = 100) => ({ name: `s${n}`, first: n, last: n, packed: Buffer.alloc(bytes) });

test('a shelf holds what was put on it until a snapshot covers it, and never more than it has room for', t => {
  const shelf = createShelf(1_000);
  for (const n of [1, 2, 3]) shelf.put(stored(n));
  shelf.put(stored(2));
  t.deepEqual(shelf.find('s2'), stored(2));
  t.is(shelf.bytes(), 900);
  shelf.clear(2);
  t.is(shelf.find('s2'), undefined);
  t.is(shelf.bytes(), 300);
  shelf.put(stored(1));
  t.is(shelf.find('s1'), undefined, 'what a snapshot covers is not put back');
  for (const n of [4, 5, 6]) shelf.put(stored(n));
  t.is(shelf.find('s3'), undefined, 'the first to come is the first to go');
  t.deepEqual(shelf.find('s6'), stored(6));
  t.true(shelf.bytes() <= 1_000);
  shelf.put(stored(7, 5_000));
  t.is(shelf.bytes(), 0);
});

testWith(zookeeper)('a standby that is elected fetches no segment that it has read, and has everything', async t => {
  const { servers } = await startZooKeeper(t);
  const session = (): ZooKeeper => {
    const zk = connectZooKeeper({ servers, session_timeout_ms: 200_000, clock });
    t.teardown(() => zk.close());
    return zk;
  };
  const path = '/shelf';
  const writer = journalAt(session(), path);
  await writer.open();
  await writer.restore();
  const changes: Change[] = [];
  const write = async (count: number) => {
    for (let n = 0; n < count; n++) {
      const change = put('job', `j${changes.length % 7}`, changes.length);
      changes.push(change);
      await writer.append([change]);
    }
  };
  await write(5);
  await writer.snapshot();
  await write(20);

  let fetched = 0;
  const plain = session();
  const zk: ZooKeeper = {
    ...plain,
    get(node, changed) {
      if (node.startsWith(`${path}/segments/`)) fetched++;
      return plain.get(node, changed);
    },
  };
  const shelf = createShelf();
  const log = clusterLog({ zk, path, cluster, schemas: {}, clock, shelf });
  await log.enter();
  // It has had these before it came back, in another session.
  let position = changes.length;
  const stop = log.follow(
    position,
    (_, reached) => {
      position = reached;
    },
    error => t.fail(String(error)),
  );
  await log.fillShelf();
  await write(30);
  await until('the standby to have heard everything', () => position === changes.length);
  await writer.close();

  stop();
  const before = fetched;
  t.true(before >= 50);
  const journal = journalAt(zk, path, { shelf });
  t.is(await journal.open(), 2);
  const restored = await journal.restore();
  t.is(fetched, before);
  t.is(restored.position, changes.length);
  t.deepEqual(stateOf(restored), folded(changes));
  // What it writes itself lies there too, until it is in a snapshot.
  await journal.append([put('job', 'mine', 1)]);
  t.true(shelf.bytes() > 0);
  await journal.snapshot();
  t.is(shelf.bytes(), 0);
  await journal.close();
});
