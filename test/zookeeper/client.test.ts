// client.test.ts: a session with real ZooKeeper servers, and everything that may come between us and them.

import test from 'ava';
import { systemClock } from '../../schedules/clock.ts';
import {
  connectZooKeeper,
  type SessionState,
  type ZooKeeper,
  ZooKeeperError,
} from '../../transport/zookeeper/client.ts';
import { testWith } from '../support/needs.ts';
import { fileOwner, type Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { startProxy, startZooKeeper, zookeeper } from '../support/zookeeper.ts';

const testZooKeeper = testWith(zookeeper);
const owner = fileOwner();
const ensemble = zookeeper === undefined ? undefined : await startZooKeeper(owner);
test.after.always(owner.clean);
const servers = ensemble?.servers ?? '';
const clock = systemClock();
const bytes = (text: string) => Buffer.from(text);
let roots = 0;

function session(t: Owner, options: Partial<Parameters<typeof connectZooKeeper>[0]> = {}): ZooKeeper {
  const zk = connectZooKeeper({ servers, session_timeout_ms: 200_000, clock, ...options });
  t.teardown(() => zk.close());
  return zk;
}
const reached = (zk: ZooKeeper, state: SessionState) => until(`the session to be ${state}`, () => zk.state() === state);
const failure = async (
  t: { throwsAsync: (p: Promise<unknown>, e: object) => Promise<unknown> },
  call: Promise<unknown>,
) => ((await t.throwsAsync(call, { instanceOf: ZooKeeperError })) as ZooKeeperError).code;

testZooKeeper('nodes are made, read, changed and deleted, and every refusal has its code', async t => {
  const zk = session(t);
  const root = `/basics-${roots++}`;
  t.is(await zk.create(root, bytes('one')), root);
  const first = await zk.get(root);
  t.is(Buffer.from(first!.data).toString(), 'one');
  t.is(first!.stat.version, 0);
  t.is((await zk.set(root, bytes('two'), 0)).version, 1);
  t.is(await failure(t, zk.set(root, bytes('three'), 0)), 'bad-version');
  t.is(await failure(t, zk.create(root, bytes(''))), 'node-exists');
  t.is(await failure(t, zk.create(`${root}/a/b`, bytes(''))), 'no-node');
  t.is(await failure(t, zk.create(`${root}//b`, bytes(''))), 'bad-arguments');
  t.is(await zk.create(`${root}/a`, new Uint8Array()), `${root}/a`);
  t.is((await zk.get(`${root}/a`))!.data.length, 0);
  t.is(await failure(t, zk.delete(root)), 'not-empty');
  t.is(await zk.get(`${root}/none`), undefined);
  t.is(await zk.exists(`${root}/none`), undefined);
  t.is(await zk.children(`${root}/none`), undefined);
  t.deepEqual(await zk.children(root), ['a']);
  t.is((await zk.exists(root))!.children, 1);
  await zk.mkdirs(`${root}/a/b/c`);
  await zk.mkdirs(`${root}/a/b/c`);
  t.truthy(await zk.exists(`${root}/a/b/c`));
  await zk.delete(`${root}/a/b/c`, 0);
  t.is(await failure(t, zk.delete(`${root}/a/b/c`)), 'no-node');
});

testZooKeeper('of a transaction everything happens or nothing, and version 0 means 0', async t => {
  const zk = session(t);
  const root = `/multi-${roots++}`;
  t.deepEqual(
    await zk.multi([
      { type: 'create', path: root, data: bytes('') },
      { type: 'create', path: `${root}/n-`, data: bytes('x'), sequential: true },
      { type: 'set', path: root, data: bytes('y'), version: 0 },
      { type: 'check', path: root, version: 1 },
    ]),
    [root, `${root}/n-0000000000`, undefined, undefined],
  );
  // The node is at version 1, so whoever believes in 0 is refused, in each kind of operation.
  const late: Parameters<ZooKeeper['multi']>[0][number][] = [
    { type: 'check', path: root, version: 0 },
    { type: 'set', path: root, data: bytes('z'), version: 0 },
    { type: 'delete', path: root, version: 0 },
  ];
  for (const operation of late) {
    const call = zk.multi([{ type: 'create', path: `${root}/never`, data: bytes('') }, operation]);
    const error = (await t.throwsAsync(call, { instanceOf: ZooKeeperError })) as ZooKeeperError;
    t.is(error.code, 'bad-version');
    t.is(error.path, root, 'the error names the operation that was refused');
  }
  t.is(await zk.exists(`${root}/never`), undefined);
  t.is(Buffer.from((await zk.get(root))!.data).toString(), 'y');
});

testZooKeeper('a watch is called once: when the node changes, appears, goes, or its children do', async t => {
  const zk = session(t);
  const other = session(t);
  const root = `/watch-${roots++}`;
  const heard: string[] = [];
  const hear = (what: string) => () => void heard.push(what);
  t.is(await zk.get(root, hear('get')), undefined);
  t.is(await zk.children(root, hear('children')), undefined);
  await other.create(root, bytes('1'));
  await until('both to be heard', () => heard.length === 2);
  await zk.get(root, hear('data'));
  await zk.children(root, hear('names'));
  await other.create(`${root}/child`, bytes(''));
  await until('the child to be heard of', () => heard.includes('names'));
  await other.set(root, bytes('2'));
  await other.set(root, bytes('3'));
  await until('the change to be heard of', () => heard.includes('data'));
  await zk.exists(`${root}/child`, hear('gone'));
  await other.delete(`${root}/child`);
  await until('the end to be heard of', () => heard.includes('gone'));
  t.deepEqual(heard.toSorted(), ['children', 'data', 'get', 'gone', 'names']);
});

testZooKeeper('after sync a session sees what another one has done', async t => {
  const [writer, reader] = [session(t), session(t)];
  const root = `/sync-${roots++}`;
  for (let n = 0; n < 20; n++) {
    if (n === 0) await writer.create(root, bytes('0'));
    else await writer.set(root, bytes(String(n)));
    await reader.sync(root);
    t.is(Buffer.from((await reader.get(root))!.data).toString(), String(n));
  }
});

testZooKeeper('ephemeral nodes go with their session, at once when it is closed', async t => {
  const zk = session(t);
  const leaving = session(t);
  const path = `/ephemeral-${roots++}`;
  await leaving.create(path, bytes('me'), { ephemeral: true });
  t.is((await zk.exists(path))!.ephemeral_owner, leaving.session_id());
  let gone = false;
  await zk.exists(path, () => {
    gone = true;
  });
  await leaving.close();
  t.is(leaving.state(), 'closed');
  await until('the ephemeral node to go', () => gone);
  t.is(await failure(t, leaving.exists(path)), 'closed');
});

testZooKeeper(
  'a connection that is cut is doubt, then the same session again: watches and ephemeral nodes stay',
  async t => {
    const proxy = await startProxy(t, ensemble!.members[0]!.port);
    const zk = session(t, { servers: proxy.address });
    const other = session(t);
    const states: SessionState[] = [];
    zk.onState(state => states.push(state));
    const path = `/cut-${roots++}`;
    await zk.create(path, bytes('me'), { ephemeral: true });
    const id = zk.session_id();
    let changed = 0;
    await zk.get(path, () => changed++);
    proxy.cut();
    await reached(zk, 'disconnected');
    await other.set(path, bytes('behind its back'));
    proxy.mend();
    await reached(zk, 'connected');
    await until('the change behind its back to be heard of', () => changed === 1);
    t.is(zk.session_id(), id);
    t.is((await zk.exists(path))!.ephemeral_owner, id);
    t.deepEqual(states, ['connected', 'disconnected', 'connected']);
  },
);

testZooKeeper('a cable that is pulled out is noticed well within the session timeout', async t => {
  const proxy = await startProxy(t, ensemble!.members[0]!.port);
  const zk = session(t, { servers: proxy.address, session_timeout_ms: 6_000 });
  await reached(zk, 'connected');
  const proven = zk.proven_at();
  proxy.stall();
  await reached(zk, 'disconnected');
  t.true(clock.monotonic() - Math.max(proven, zk.proven_at()) > 0);
  const call = t.notThrowsAsync(zk.exists('/'), 'a call that waited in line is carried out on the new connection');
  proxy.mend();
  await reached(zk, 'connected');
  await call;
});

testZooKeeper('a session that was silent for too long has expired: told, final, and its calls end', async t => {
  const proxy = await startProxy(t, ensemble!.members[0]!.port);
  const zk = session(t, { servers: proxy.address, session_timeout_ms: 3_000, call_timeout_ms: 60_000 });
  const path = `/expire-${roots++}`;
  await zk.create(path, bytes('me'), { ephemeral: true });
  const other = session(t);
  let gone = false;
  await other.exists(path, () => {
    gone = true;
  });
  proxy.cut();
  await reached(zk, 'disconnected');
  const waiting = failure(t, zk.exists(path));
  await until('the servers to give the session up', () => gone);
  proxy.mend();
  await reached(zk, 'expired');
  t.is(await waiting, 'session-expired');
  t.is(await failure(t, zk.exists(path)), 'session-expired');
  await zk.close();
});

testZooKeeper(
  'a call whose answer is lost ends with connection-loss, and the next connection is not confused by it',
  async t => {
    const proxy = await startProxy(t, ensemble!.members[0]!.port);
    const zk = session(t, { servers: proxy.address });
    const root = `/lost-${roots++}`;
    const data = Buffer.alloc(200_000, 1);
    await zk.create(root, data);
    // Half of the answer arrives, and then nothing.
    let fed = 0;
    proxy.judge = (frame, direction) =>
      direction === 'to-client' && frame.length > data.length && fed++ === 0 ? 'half' : 'pass';
    t.is(await failure(t, zk.get(root)), 'connection-loss');
    t.is((await zk.get(root))!.data.length, data.length);
    // A request is carried out, but its answer is lost: the caller has to look.
    let lost = 0;
    proxy.judge = (frame, direction) =>
      direction === 'to-client' && frame.readInt32BE(4) >= 0 && frame.includes(`${root}/made`) && lost++ === 0
        ? 'lose'
        : 'pass';
    t.is(await failure(t, zk.create(`${root}/made`, bytes(''))), 'connection-loss');
    t.truthy(await zk.exists(`${root}/made`));
  },
);

testZooKeeper('a call that nobody answers ends at its deadline, and so does one that cannot be sent', async t => {
  const proxy = await startProxy(t, ensemble!.members[0]!.port);
  const zk = session(t, { servers: proxy.address, session_timeout_ms: 200_000, call_timeout_ms: 300 });
  await reached(zk, 'connected');
  proxy.stall();
  t.is(await failure(t, zk.exists('/')), 'connection-loss');
  t.is(zk.state(), 'connected');
  proxy.cut();
  await reached(zk, 'disconnected');
  t.is(await failure(t, zk.exists('/')), 'connection-loss');
});

testZooKeeper('what does not fit into a packet is refused before it is sent', async t => {
  const zk = session(t);
  const path = `/large-${roots++}`;
  t.is(await failure(t, zk.create(path, Buffer.alloc(1_048_576))), 'too-large');
  const half = { type: 'create', data: Buffer.alloc(600_000) } as const;
  t.is(
    await failure(
      t,
      zk.multi([
        { ...half, path },
        { ...half, path: `${path}-2` },
      ]),
    ),
    'too-large',
  );
  await zk.create(path, Buffer.alloc(1_000_000));
  t.is((await zk.get(path))!.data.length, 1_000_000);
});

testZooKeeper(
  'nodes made with our name are closed to strangers, and an authentication that is none ends the session',
  async t => {
    const path = `/secret-${roots++}`;
    const ours = session(t, { auth: { scheme: 'digest', id: 'horae:one' } });
    await ours.create(path, bytes('secret'));
    const again = session(t, { auth: { scheme: 'digest', id: 'horae:one' } });
    t.truthy(await again.get(path));
    await again.set(path, bytes('secret 2'));
    for (const stranger of [session(t), session(t, { auth: { scheme: 'digest', id: 'horae:two' } })]) {
      t.is(await failure(t, stranger.get(path)), 'no-auth');
      t.is(await failure(t, stranger.set(path, bytes(''))), 'no-auth');
      t.is(await failure(t, stranger.multi([{ type: 'create', path: `${path}/a`, data: bytes('') }])), 'no-auth');
    }
    t.is(await failure(t, session(t, { acl: 'creator' }).create(`${path}-2`, bytes(''))), 'bad-arguments');
    const wrong = session(t, { auth: { scheme: 'nonsense' as 'digest', id: 'x' } });
    await reached(wrong, 'auth-failed');
    t.is(await failure(t, wrong.get(path)), 'auth-failed');
  },
);

testZooKeeper('a quota that is reached is an answer, not the end of the program', async t => {
  const quota = await startZooKeeper(t, { config: ['enforceQuota=true'] });
  const zk = session(t, { servers: quota.servers });
  await zk.create('/limited', bytes(''));
  await zk.mkdirs('/zookeeper/quota/limited');
  await zk.create('/zookeeper/quota/limited/zookeeper_limits', bytes('count=-1,bytes=-1;byteHardLimit=100'));
  await zk.create('/zookeeper/quota/limited/zookeeper_stats', bytes('count=1,bytes=0'));
  t.is(await failure(t, zk.set('/limited', Buffer.alloc(1_000))), 'too-large');
  t.is(zk.state(), 'connected');
});

test('servers that cannot be read are refused, all at once', t => {
  const connect = (servers: string) => () => connectZooKeeper({ servers, session_timeout_ms: 1_000, clock });
  t.throws(connect('a:b:c,,x:99999'), { message: /"a:b:c".*"".*"x:99999"/ });
  t.throws(connect('a:2181/horae'), { message: /expected no path/ });
});
