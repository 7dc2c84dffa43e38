// zookeeper.test.ts: what is particular to the journal in ZooKeeper: the fence, what is too large, and what it refuses.

import test, { type ExecutionContext } from 'ava';
import { type Change, type Journal, JournalError, type JournalErrorCode } from '../../transport/journal/journal.ts';
import { type JournalSize, zookeeperJournal } from '../../transport/journal/zookeeper.ts';
import { nodeName } from '../../transport/journal/zookeeper-tree.ts';
import { connectZooKeeper, type ZooKeeper } from '../../transport/zookeeper/client.ts';
import { freePort } from '../support/free-port.ts';
import { testWith } from '../support/needs.ts';
import { fileOwner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { startProxy, startZooKeeper, zookeeper } from '../support/zookeeper.ts';
import { folded, gone, opened, put, stateOf } from './contract.ts';
import { clock, journalAt } from './zookeeper.ts';

const testZooKeeper = testWith(zookeeper);
const owner = fileOwner();
const ensemble = zookeeper === undefined ? undefined : await startZooKeeper(owner);
test.after.always(owner.clean);
let trees = 0;
const newTree = () => `/tree-${trees++}`;

function session(t: ExecutionContext, options: Partial<Parameters<typeof connectZooKeeper>[0]> = {}): ZooKeeper {
  const zk = connectZooKeeper({ servers: ensemble!.servers, session_timeout_ms: 200_000, clock, ...options });
  t.teardown(() => zk.close());
  return zk;
}
async function refused(
  t: ExecutionContext,
  call: Promise<unknown>,
  code: JournalErrorCode,
  message: RegExp,
): Promise<void> {
  const error = (await t.throwsAsync(call, { instanceOf: JournalError, message })) as JournalError;
  t.is(error.code, code);
}
/** Everything below a path, as text. */
async function dump(zk: ZooKeeper, path: string): Promise<string[]> {
  const node = await zk.get(path);
  const names = ((await zk.children(path)) ?? []).toSorted();
  const below = await Promise.all(names.map(name => dump(zk, `${path}/${name}`)));
  return [`${path} ${node?.stat.mzxid} ${Buffer.from(node?.data ?? []).toString('base64')}`, ...below.flat()];
}
const begun = async <J extends Journal>(journal: J) => {
  await journal.open();
  return { journal, restored: await journal.restore() };
};
const text = (bytes: number, letter = 'x') => letter.repeat(bytes);

testZooKeeper(
  'a writer whose place another has taken is refused by ZooKeeper, and nothing of its batch is there',
  async t => {
    const tree = newTree();
    const zk = session(t);
    const old = await begun(journalAt(zk, tree));
    await old.journal.append([put('job', 'a', 1)]);
    const next = await begun(journalAt(session(t), tree));
    t.deepEqual(stateOf(next.restored), ['job a 1']);
    await refused(t, old.journal.append([put('job', 'b', 2)]), 'fenced', /another writer has taken/);
    await refused(t, old.journal.snapshot(), 'fenced', /another writer/);
    await next.journal.append([put('job', 'c', 3)]);
    const last = await begun(journalAt(zk, tree));
    t.deepEqual(stateOf(last.restored), ['job a 1', 'job c 3']);
  },
);

testZooKeeper('the place is not taken by one that has lost its own in line meanwhile', async t => {
  const tree = newTree();
  const zk = session(t);
  await zk.mkdirs(`${tree}/election`);
  const path = `${tree}/election/candidate`;
  await zk.create(path, Buffer.alloc(0), { ephemeral: true });
  const first = await begun(journalAt(zk, tree, { place: () => path }));
  await first.journal.append([put('job', 'a', 1)]);
  await zk.delete(path);
  const before = await dump(zk, tree);
  await refused(t, journalAt(zk, tree, { place: () => path }).open(), 'fenced', /candidate is gone/);
  await refused(t, journalAt(zk, tree, { place: () => undefined }).open(), 'fenced', /we do not lead/);
  t.deepEqual(await dump(zk, tree), before);
  await first.journal.append([put('job', 'b', 2)]);
});

testZooKeeper('a snapshot that a deposed writer makes never counts', async t => {
  const tree = newTree();
  const zk = session(t);
  const next = { journal: journalAt(session(t), tree) };
  const old = await begun(
    journalAt(
      before(zk, 2, `${tree}/snapshots/`, () => begun(next.journal)),
      tree,
    ),
  );
  await old.journal.append(Array.from({ length: 5_000 }, (_, n) => put('instance', `i/${n}`, { n })));
  await refused(t, old.journal.snapshot(), 'fenced', /another writer/);
  await next.journal.append([gone('instance', 'i/0')]);
  await next.journal.snapshot();
  const last = await begun(journalAt(zk, tree));
  t.is(stateOf(last.restored).length, 4_999);
});

testZooKeeper('a batch larger than a node is there whole or not at all', async t => {
  const tree = newTree();
  const zk = session(t);
  const first = await begun(journalAt(zk, tree, { node_bytes_max: 100_000 }));
  const small = [put('job', 'small', 1)];
  const large = [put('job', 'large', text(250_000)), put('job', 'other', text(90_000, 'y')), put('audit', 'row', 1)];
  await first.journal.append(small);
  await first.journal.append(large);
  const second = await begun(journalAt(zk, tree, { node_bytes_max: 100_000 }));
  t.deepEqual(stateOf(second.restored), folded([...small, ...large]));
  t.is(second.restored.position, 4);
  // The writer is deposed between two pieces: its batch must not count, and the next one clears it away.
  const depose = () => journalAt(session(t), tree, { node_bytes_max: 100_000 }).open();
  const interrupted = before(zk, 3, `${tree}/segments/0000000003-`, depose);
  const third = await begun(journalAt(interrupted, tree, { node_bytes_max: 100_000 }));
  await refused(t, third.journal.append([put('job', 'never', text(450_000))]), 'fenced', /another writer/);
  const fourth = await begun(journalAt(zk, tree, { node_bytes_max: 100_000 }));
  t.deepEqual(stateOf(fourth.restored), folded([...small, ...large]));
  const loose = (names: readonly string[] | undefined) =>
    names!.filter(name => name.startsWith(nodeName(3, 5).slice(0, 10)));
  await until(
    'what was left of it to be cleared away',
    async () => loose(await zk.children(`${tree}/segments`)).length === 0,
  );
  await fourth.journal.snapshot();
  t.deepEqual(stateOf((await begun(journalAt(zk, tree))).restored), folded([...small, ...large]));
});

/** A session that does something else before the transaction number `count` that creates below `path`. */
function before(zk: ZooKeeper, count: number, path: string, act: () => Promise<unknown>): ZooKeeper {
  let seen = 0;
  return {
    ...zk,
    async multi(operations) {
      if (operations.some(each => each.type === 'create' && each.path.startsWith(path)) && ++seen === count)
        await act();
      return zk.multi(operations);
    },
  };
}

testZooKeeper('what a snapshot covers stays for stragglers until the next, and is then gone', async t => {
  const tree = newTree();
  const zk = session(t);
  const { journal } = await begun(journalAt(zk, tree));
  const segments = async () => (await zk.children(`${tree}/segments`))!.toSorted();
  for (let n = 0; n < 3; n++) await journal.append([put('job', `a${n}`, n)]);
  await journal.snapshot();
  t.is((await segments()).length, 3);
  for (let n = 0; n < 2; n++) await journal.append([put('job', `b${n}`, n)]);
  await journal.snapshot();
  t.deepEqual(await segments(), [nodeName(1, 4), nodeName(1, 5)]);
  t.is((await zk.children(`${tree}/snapshots`))!.length, 1);
  await journal.append([put('job', 'c', 1)]);
  const next = await begun(journalAt(zk, tree));
  t.deepEqual(stateOf(next.restored), ['job a0 0', 'job a1 1', 'job a2 2', 'job b0 0', 'job b1 1', 'job c 1']);
});

testZooKeeper('snapshots are made by themselves, of records larger than a node too', async t => {
  const tree = newTree();
  const zk = session(t);
  const { journal } = await begun(journalAt(zk, tree, { segments_per_snapshot: 4, node_bytes_max: 50_000 }));
  const changes: Change[] = [];
  for (let n = 0; n < 12; n++) {
    const change = put('job', `j${n % 5}`, text(n % 5 === 0 ? 120_000 + n : 10, String(n % 10)));
    changes.push(change);
    await journal.append([change]);
  }
  await until('a snapshot that covers something', async () => (await zk.children(`${tree}/snapshots`))!.length > 1);
  await journal.close();
  const next = await begun(journalAt(zk, tree));
  t.deepEqual(stateOf(next.restored), folded(changes));
  t.is(next.restored.position, 12);
});

testZooKeeper('a new leader has half a minute to plant its tree before it makes a snapshot by itself', async t => {
  const tree = newTree();
  const zk = session(t);
  let elapsed = 0;
  const options = { segments_per_snapshot: 3, clock: { ...clock, monotonic: () => elapsed } };
  const first = await begun(journalAt(zk, tree));
  for (let n = 0; n < 5; n++) await first.journal.append([put('job', `j${n}`, n)]);
  await first.journal.close();
  const { journal } = await begun(journalAt(zk, tree, options));
  const snapshots = async () => {
    await journal.compact(0); // Waits for what is being made.
    return (await zk.children(`${tree}/snapshots`))!.length;
  };
  await journal.append([put('job', 'early', 1)]);
  t.is(await snapshots(), 0);
  elapsed = 30_000;
  await journal.append([put('job', 'later', 1)]);
  t.is(await snapshots(), 1);
});

testZooKeeper('how much there is is counted; nearing the limit is said, and beyond it nothing is taken', async t => {
  const tree = newTree();
  const zk = session(t);
  const said: string[] = [];
  const sizes: JournalSize[] = [];
  const log = { info: () => undefined, warn: (_: object, message: string) => void said.push(message) };
  const options = { bytes_max: 100_000, log, onSize: (now: JournalSize) => void sizes.push(now) };
  const { journal } = await begun(journalAt(zk, tree, options));
  for (let n = 0; n < 3; n++) await journal.append([put('job', `j${n}`, text(30_000))]);
  t.true(sizes.at(-1)!.bytes > 90_000 && sizes.at(-1)!.bytes < 100_000, JSON.stringify(sizes));
  t.is(sizes.at(-1)!.nodes, 3);
  t.deepEqual(said.length, 1);
  t.regex(said[0]!, /nears its limit/);
  await refused(t, journal.append([put('job', 'j3', text(30_000))]), 'full', /limit of 100000/);
  // Counted anew by whoever comes next: with a higher limit it goes on, and what is replaced is room again.
  const next = await begun(journalAt(zk, tree, { ...options, bytes_max: 300_000 }));
  t.is(stateOf(next.restored).length, 3);
  for (let n = 0; n < 3; n++) await next.journal.append([put('job', `j${n}`, 'small')]);
  await next.journal.snapshot();
  await next.journal.append([put('job', 'last', 1)]);
  await next.journal.snapshot();
  t.true(sizes.at(-1)!.bytes < 2_000, JSON.stringify(sizes.at(-1)));
});

testZooKeeper('a session that ends under a commit leaves its fate unknown, and says so', async t => {
  const tree = newTree();
  const proxy = await startProxy(t, ensemble!.members[0]!.port);
  const zk = session(t, { servers: proxy.address, session_timeout_ms: 4_000 });
  const { journal } = await begun(journalAt(zk, tree));
  let gone = false;
  await zk.create('/sign-of-life', Buffer.alloc(0), { ephemeral: true });
  await session(t).exists('/sign-of-life', () => {
    gone = true;
  });
  proxy.cut();
  const append = refused(t, journal.append([put('job', 'a', 1)]), 'unknown', /expired/);
  await until('the servers to give the session up', () => gone);
  proxy.mend();
  await append;
});

testZooKeeper('a commit that gets no answer ends as unknown, at its limit', async t => {
  const tree = newTree();
  const proxy = await startProxy(t, ensemble!.members[0]!.port);
  const zk = session(t, { servers: proxy.address, call_timeout_ms: 1_500 });
  const { journal } = await begun(journalAt(zk, tree, { commit_ms_max: 3_000 }));
  proxy.stall();
  await refused(t, journal.append([put('job', 'a', 1)]), 'unknown', /no answer from ZooKeeper .* for 3000 ms/);
});

// --- what is refused ----------------------------------------------------------------------------------------------------

testZooKeeper('servers that take no packets of our size are found out before anything is written', async t => {
  const small = await startZooKeeper(t, { jute_maxbuffer: 200_000 });
  const zk = session(t, { servers: small.servers });
  await refused(t, journalAt(zk, '/horae').open(), 'io', /jute\.maxbuffer/);
  t.is(zk.state(), 'connected');
  t.deepEqual(await zk.children('/horae/segments'), [], 'nothing is left of the attempt');
  await begun(journalAt(zk, '/horae', { node_bytes_max: 100_000 }));
});

testZooKeeper('a path that holds something else is refused, and stays as it is', async t => {
  const tree = newTree();
  const zk = session(t);
  await zk.mkdirs(`${tree}/brokers/ids`);
  const before = await dump(zk, tree);
  await refused(t, journalAt(zk, tree).open(), 'foreign', /"brokers"/);
  await zk.create(`${tree}/cluster`, Buffer.from('{"name":"kafka"}'));
  await refused(t, journalAt(zk, tree).open(), 'foreign', /does not say/);
  await zk.delete(`${tree}/cluster`);
  t.deepEqual((await dump(zk, tree)).slice(1), before.slice(1));
});

testZooKeeper('a tree of another cluster or of a newer version is refused, and stays as it is', async t => {
  const tree = newTree();
  const zk = session(t);
  const { journal } = await begun(journalAt(zk, tree));
  await journal.append([put('job', 'a', 1)]);
  const { id } = journal.cluster();
  await journal.close();
  const before = await dump(zk, tree);
  await refused(
    t,
    journalAt(zk, tree, { cluster: { name: 'other' } }).open(),
    'foreign',
    /cluster "test": expected "other"/,
  );
  const stranger = { name: 'test', id: 'another-id' };
  await refused(
    t,
    journalAt(zk, tree, { cluster: stranger }).open(),
    'foreign',
    new RegExp(`belongs to the cluster ${id}`),
  );
  await refused(
    t,
    journalAt(zk, newTree(), { cluster: stranger }).open(),
    'foreign',
    /holds no journal, but this node belongs/,
  );
  t.deepEqual(await dump(zk, tree), before);
  await zk.set(
    `${tree}/cluster`,
    Buffer.from(JSON.stringify({ horae: 'journal of a Horae cluster', format: 2, id, name: 'test' })),
  );
  await refused(t, journalAt(zk, tree).open(), 'newer', /format 2/);
  await refused(t, journalAt(zk, tree).open(7), 'newer', /format 2/);
});

testZooKeeper('a tree for which we have no rights is refused, with the place', async t => {
  const tree = newTree();
  const theirs = session(t, { auth: { scheme: 'digest', id: 'horae:right' } });
  await begun(journalAt(theirs, tree));
  const wrong = session(t, { auth: { scheme: 'digest', id: 'horae:wrong' } });
  await refused(
    t,
    journalAt(wrong, tree).open(),
    'io',
    new RegExp(`no rights at ${tree}|refuses us rights at ${tree}`),
  );
  const right = session(t, { auth: { scheme: 'digest', id: 'horae:right' } });
  t.is(await journalAt(right, tree).open(), 2);
});

test('servers that are not there are said to be unreachable, at a limit', async t => {
  // The clock's timers keep no process alive, and here there is nothing else.
  const alive = setInterval(() => undefined, 2 ** 30);
  t.teardown(() => clearInterval(alive));
  const zk = connectZooKeeper({
    servers: `127.0.0.1:${await freePort()}`,
    session_timeout_ms: 5_000,
    call_timeout_ms: 200,
    clock,
  });
  t.teardown(() => zk.close());
  const journal = zookeeperJournal({
    zk,
    path: '/horae',
    cluster: { name: 'test' },
    schemas: {},
    clock,
    commit_ms_max: 300,
  });
  await refused(t, journal.open(), 'io', /no answer from ZooKeeper/);
});

testZooKeeper(
  'a node that does not hold what was written, and one that is missing, are corruption, and said',
  async t => {
    const tree = newTree();
    const zk = session(t);
    const { journal } = await begun(journalAt(zk, tree));
    for (let n = 1; n <= 3; n++) await journal.append([put('job', `j${n}`, n)]);
    const node = `${tree}/segments/${nodeName(1, 2)}`;
    const { data } = (await zk.get(node))!;
    const changed = Buffer.from(data);
    changed[changed.length - 1]! ^= 1;
    await zk.set(node, changed);
    await refused(t, opened(journalAt(zk, tree) as never), 'corrupt', /checksum/);
    await zk.delete(node);
    await refused(t, opened(journalAt(zk, tree) as never), 'corrupt', /none to be missing/);
    await zk.create(node, data);
    t.is((await begun(journalAt(zk, tree))).restored.position, 3, 'mended, it reads again');
  },
);
