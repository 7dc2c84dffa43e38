// ensemble.test.ts: a session outlives the members of its ensemble, one by one and all at once.

import test from 'ava';
import { systemClock } from '../../schedules/clock.ts';
import {
  connectZooKeeper,
  type SessionState,
  type ZooKeeper,
  ZooKeeperError,
} from '../../transport/zookeeper/client.ts';
import { testWith } from '../support/needs.ts';
import { fileOwner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Member, startZooKeeper, zookeeper } from '../support/zookeeper.ts';

const testZooKeeper = testWith(zookeeper);
const owner = fileOwner();
const ensemble = zookeeper === undefined ? undefined : await startZooKeeper(owner, { members: 3 });
test.after.always(owner.clean);

const reached = (zk: ZooKeeper, state: SessionState) => until(`the session to be ${state}`, () => zk.state() === state);

/** Again, until it is known to have happened: what is written is the same each time. */
async function write(zk: ZooKeeper, path: string, text: string): Promise<void> {
  await until(`${path} to hold ${text}`, async () => {
    try {
      await zk.set(path, Buffer.from(text));
      return true;
    } catch (error) {
      if (error instanceof ZooKeeperError && error.code === 'connection-loss') return false;
      throw error;
    }
  });
}
async function modes(members: readonly Member[]): Promise<(string | undefined)[]> {
  return Promise.all(members.map(member => member.mode()));
}

testZooKeeper('a session outlives each member killed, the leader frozen, and the loss of all of them', async t => {
  const { members, servers } = ensemble!;
  const zk = connectZooKeeper({ servers, session_timeout_ms: 200_000, call_timeout_ms: 5_000, clock: systemClock() });
  t.teardown(() => zk.close());
  const states: SessionState[] = [];
  zk.onState(state => states.push(state));
  await zk.create('/life', Buffer.from('0'), { ephemeral: true });
  const id = zk.session_id();
  for (const [index, member] of members.entries()) {
    await member.kill();
    await write(zk, '/life', `killed ${index}`);
    await member.start();
    await until('all members to serve', async () => (await modes(members)).every(mode => mode !== undefined));
  }
  const leader = members[(await modes(members)).indexOf('leader')]!;
  leader.freeze();
  await write(zk, '/life', 'frozen');
  leader.thaw();
  await Promise.all(members.map(member => member.kill()));
  await reached(zk, 'disconnected');
  await Promise.all(members.map(member => member.start()));
  await reached(zk, 'connected');
  await write(zk, '/life', 'all');
  t.is(Buffer.from((await zk.get('/life'))!.data).toString(), 'all');
  t.is((await zk.exists('/life'))!.ephemeral_owner, id, 'the same session, with its ephemeral node');
  t.false(states.includes('expired'));
});
