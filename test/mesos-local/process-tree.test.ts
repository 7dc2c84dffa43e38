// process-tree.test.ts: who belongs to a tree that is ended.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';
import { bornWith } from '../../mesos/local/limits/process-table.ts';
import { killTree } from '../../mesos/local/process-tree.ts';

test('whoever carries the mark is found and ended, in whichever letters it is written', async t => {
  const folder = `/srv/größe ✓ ${process.pid}`;
  const env = { HORAE_TEST_MARK: folder };
  const child = spawn('/bin/sleep', ['600'], { env, detached: true, stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  await once(child, 'spawn');
  t.is(bornWith(child.pid!, 'HORAE_TEST_MARK'), folder);
  t.is(killTree(undefined, `HORAE_TEST_MARK=${folder}`, undefined), 1);
  t.deepEqual(await ended, [null, 'SIGKILL']);
});
