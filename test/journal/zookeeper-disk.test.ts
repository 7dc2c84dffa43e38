// zookeeper-disk.test.ts: ZooKeeper's own device becomes full under the journal, and has room again.

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Change } from '../../transport/journal/journal.ts';
import { connectZooKeeper } from '../../transport/zookeeper/client.ts';
import { may_mount, testWith } from '../support/needs.ts';
import { isAlive } from '../support/processes.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { startZooKeeper, zookeeper } from '../support/zookeeper.ts';
import { folded, put, stateOf } from './contract.ts';
import { clock, journalAt } from './zookeeper.ts';

testWith(zookeeper && may_mount)(
  'a ZooKeeper without room for its log takes nothing; with room again, the commit that waited goes through (needs root)',
  async t => {
    const small = join(await tempDir(t), 'small');
    mkdirSync(small);
    t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', small]).status, 0);
    t.teardown(() => void spawnSync('umount', ['-l', small]));
    const { members, servers } = await startZooKeeper(t, { data_dir: id => join(small, `member-${id}`) });
    const [member] = members;
    const zk = connectZooKeeper({ servers, session_timeout_ms: 200_000, clock });
    t.teardown(() => zk.close());
    const journal = journalAt(zk, '/horae', { node_bytes_max: 100_000, commit_ms_max: 200_000 });
    await journal.open();
    await journal.restore();
    const changes: Change[] = [];
    const append = async () => {
      const change = put('job', `j${changes.length % 3}`, `${changes.length} ${'x'.repeat(90_000)}`);
      changes.push(change);
      return journal.append([change]);
    };
    let waiting = append();
    // The server ends itself when it cannot write its log.
    const full = until('the server to give up for want of room', () => !isAlive(member!.pid()), 60_000).then(
      () => true,
    );
    while (!(await Promise.race([waiting.then(() => false), full]))) waiting = append();
    t.true(changes.length > 10, `${changes.length} commits`);
    t.is(spawnSync('mount', ['-o', 'remount,size=60m', small]).status, 0);
    await member!.start();
    await member!.serving();
    t.is(await waiting, changes.length);
    await append();
    await journal.close();
    const next = journalAt(zk, '/horae');
    t.is(await next.open(), 2);
    const restored = await next.restore();
    t.is(restored.position, changes.length);
    t.deepEqual(stateOf(restored), folded(changes));
  },
);
