// zookeeper-contract.test.ts: the journal in ZooKeeper, with a copy in lmdb beside it, keeps the contract of every home.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { connectZooKeeper } from '../../transport/zookeeper/client.ts';
import { fileOwner } from '../support/temp.ts';
import { startZooKeeper, zookeeper } from '../support/zookeeper.ts';
import { contract } from './contract.ts';
import { clock, clusterHome } from './zookeeper.ts';

if (zookeeper === undefined) test.skip('in ZooKeeper: the contract of every home', () => undefined);
else {
  const owner = fileOwner();
  const { servers } = await startZooKeeper(owner);
  const scratch = await mkdtemp(join(tmpdir(), 'horae-journal-'));
  const zk = connectZooKeeper({ servers, session_timeout_ms: 200_000, clock });
  owner.teardown(() => zk.close());
  owner.teardown(() => rm(scratch, { recursive: true, force: true }));
  test.after.always(owner.clean);
  let homes = 0;
  const names = { next: () => `home-${homes++}` };
  contract(test, 'in ZooKeeper', async options => clusterHome(zk, scratch, options, names), 3);
}
