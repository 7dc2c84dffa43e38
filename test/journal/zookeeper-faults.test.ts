// zookeeper-faults.test.ts: connections that break at every message, and members that die under commits.
//
// One thing is held against all of it: what was acknowledged is there, once, in order; what was not is there once or not
// at all; and the writer finds out which, by itself, as long as its session lives.

import test, { type ExecutionContext } from 'ava';
import { seededRandom } from '../../actors/runtime/seeded.ts';
import { type Change, JournalError, type RecordEnvelope } from '../../transport/journal/journal.ts';
import { clusterLog } from '../../transport/journal/zookeeper-log.ts';
import { connectZooKeeper, type ZooKeeper } from '../../transport/zookeeper/client.ts';
import { testWith } from '../support/needs.ts';
import { fileOwner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Cable, startProxy, startZooKeeper, type Verdict, zookeeper } from '../support/zookeeper.ts';
import { folded, gone, put, stateOf } from './contract.ts';
import { clock, cluster, journalAt } from './zookeeper.ts';

const testZooKeeper = testWith(zookeeper);
const owner = fileOwner();
const ensemble = zookeeper === undefined ? undefined : await startZooKeeper(owner, { members: 3 });
test.after.always(owner.clean);
let trees = 0;
const newTree = () => `/faults-${trees++}`;

function session(t: ExecutionContext, servers = ensemble!.servers): ZooKeeper {
  const zk = connectZooKeeper({ servers, session_timeout_ms: 200_000, clock });
  t.teardown(() => zk.close());
  return zk;
}

/** Changes of a batch: keys are written again and again, some deleted, and a row of history says that it came. */
const batchOf = (n: number): Change[] => [
  put('job', `j${n % 3}`, { n }),
  n % 4 === 3 ? gone('job', `j${(n + 1) % 3}`) : put('instance', `i${n}`, { n }),
  put('audit', `row-${n}`, { n }),
];

/** What is in the tree, record by record, as a standby hears it; each record once. */
async function heard(t: ExecutionContext, tree: string, position: number): Promise<RecordEnvelope[]> {
  const log = clusterLog({ zk: session(t), path: tree, cluster, schemas: {}, clock });
  const records: RecordEnvelope[] = [];
  let reached = 0;
  const stop = log.follow(
    0,
    (some, at) => {
      records.push(...some);
      reached = at;
    },
    error => t.fail(String(error)),
  );
  await until(`record ${position} to be heard`, () => reached >= position);
  stop();
  return records;
}

testZooKeeper(
  'a connection that breaks at any message, before or after it, loses no commit and doubles none',
  async t => {
    const proxies = await Promise.all(ensemble!.members.map(member => startProxy(t, member.port)));
    const servers = proxies.map(proxy => proxy.address).join(',');
    const zk = session(t, servers);
    const verdicts: Verdict[] = ['lose', 'half', 'cut'];
    for (const direction of ['to-server', 'to-client'] as const)
      for (const verdict of verdicts) {
        const tree = newTree();
        // Every message of a life is once the one at which the connection breaks: opening, restoring, commits, a snapshot.
        let message = 0;
        let struck = 0;
        let next_strike = 1;
        const judge: Cable['judge'] = (frame, way) => {
          // Heartbeats, and what a new connection begins with, are not counted: they come when they like.
          if (way !== direction || frame.length < 24 || !zk_frame(frame, way)) return 'pass';
          if (++message < next_strike) return 'pass';
          message = 0;
          next_strike = next_strike < 6 ? next_strike + 1 : 3;
          struck++;
          return verdict;
        };
        for (const proxy of proxies) proxy.judge = judge;
        const journal = journalAt(zk, tree, { retry_ms: 1 });
        await journal.open();
        await journal.restore();
        const changes: Change[] = [];
        for (let n = 0; n < 12; n++) {
          const batch = batchOf(n);
          t.is(await journal.append(batch), changes.length + batch.length);
          changes.push(...batch);
          if (n === 8) await journal.snapshot();
        }
        for (const proxy of proxies) proxy.judge = undefined;
        await journal.close();
        t.true(struck >= 5, `${direction} ${verdict}: struck ${struck} times`);
        const next = journalAt(zk, tree);
        t.is(await next.open(), 2);
        const restored = await next.restore();
        t.is(restored.position, changes.length);
        t.deepEqual(stateOf(restored), folded(changes));
        // The first snapshot keeps what it covers, so the whole life can be heard again.
        const records = await heard(t, tree, changes.length);
        t.deepEqual(
          records.map(record => record.sequence),
          changes.map((_, index) => index + 1),
        );
      }
  },
);

/** Whether a frame is about the journal: its path is in it; answers are told by their length. */
const zk_frame = (frame: Buffer, way: 'to-server' | 'to-client') =>
  way === 'to-server' ? frame.includes('/faults-') : frame.readInt32BE(4) >= 0;

const seed = Number(process.env.HORAE_TEST_SEED ?? Date.now() % 1_000_000);
testZooKeeper(
  `members are killed under commits, and the leader among them: nothing is lost, nothing doubled (seed ${seed})`,
  async t => {
    const random = seededRandom(seed);
    const { members } = ensemble!;
    const tree = newTree();
    const zk = session(t);
    const journal = journalAt(zk, tree, { commit_ms_max: 120_000 });
    await journal.open();
    await journal.restore();
    const changes: Change[] = [];
    const snapshots: Promise<unknown>[] = [];
    let killing = true;
    const killer = (async () => {
      for (let kills = 0; kills < 4; kills++) {
        const at = changes.length + 10 + Math.floor(random() * 60);
        await until('some more commits', () => changes.length >= at, 60_000);
        const victim = members[Math.floor(random() * members.length)]!;
        await victim.kill();
        if (kills === 2) await Promise.all(members.map(member => member.kill()));
        for (const member of kills === 2 ? members : [victim]) await member.start();
        await Promise.all(members.map(member => member.serving()));
      }
    })().finally(() => {
      killing = false;
    });
    for (let n = 0; killing; n++) {
      const batch = batchOf(n);
      t.is(await journal.append(batch), changes.length + batch.length);
      changes.push(...batch);
      if (n % 50 === 40) snapshots.push(t.notThrowsAsync(journal.snapshot()));
    }
    await killer;
    await Promise.all(snapshots);
    await journal.close();
    t.is(zk.state(), 'connected');
    const next = journalAt(session(t), tree);
    await next.open();
    const restored = await next.restore();
    t.is(restored.position, changes.length);
    t.deepEqual(stateOf(restored), folded(changes));
    t.log(`${changes.length / 3} commits`);
  },
);

testZooKeeper('of two writers that both believe to lead, each record is acknowledged to at most one', async t => {
  const tree = newTree();
  const acknowledged = new Map<number, string>();
  const write = async (name: string, epochs: number): Promise<void> => {
    for (let life = 0; life < epochs; life++) {
      const journal = journalAt(session(t), tree);
      try {
        await journal.open();
        await journal.restore();
        for (let n = 0; ; n++) {
          const position = await journal.append([put('job', 'whose', `${name} ${life} ${n}`)]);
          t.false(
            acknowledged.has(position),
            `record ${position} was acknowledged to ${acknowledged.get(position)} and ${name}`,
          );
          acknowledged.set(position, `${name} ${life} ${n}`);
          if (n === 30) break;
        }
      } catch (error) {
        t.true(error instanceof JournalError && error.code === 'fenced', String(error));
      }
    }
  };
  await Promise.all([write('a', 12), write('b', 12)]);
  t.true(acknowledged.size > 30);
  const last = journalAt(session(t), tree);
  await last.open();
  const restored = await last.restore();
  const records = await heard(t, tree, restored.position);
  for (const [position, value] of acknowledged) t.is(records[position - 1]!.body, value);
});
