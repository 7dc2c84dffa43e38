// replica.test.ts: a node's copy of the cluster's journal is true at every moment, whatever it misses and whenever it dies.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { type Change, JournalError, type RecordEnvelope } from '../../transport/journal/journal.ts';
import { lmdbJournal } from '../../transport/journal/lmdb.ts';
import { type MemoryJournal, memoryJournal } from '../../transport/journal/memory.ts';
import { openReplica, type Replica, type ReplicaBatch, type Source } from '../../transport/journal/replica.ts';
import { clusterLog } from '../../transport/journal/zookeeper-log.ts';
import { connectZooKeeper } from '../../transport/zookeeper/client.ts';
import { testWith } from '../support/needs.ts';
import { fileOwner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { startProxy, startZooKeeper, zookeeper } from '../support/zookeeper.ts';
import { folded, gone, put, stateOf } from './contract.ts';
import { clock, cluster, journalAt } from './zookeeper.ts';

const testZooKeeper = testWith(zookeeper);
const owner = fileOwner();
const ensemble = zookeeper === undefined ? undefined : await startZooKeeper(owner);
test.after.always(owner.clean);

const batchOf = (n: number): Change[] => [
  put('job', `j${n % 4}`, { n }),
  ...(n % 3 === 2 ? [gone('job', `j${(n + 1) % 4}`)] : []),
  put('audit', `row-${String(n).padStart(4, '0')}`, { n }),
];
const never = (t: ExecutionContext) => (error: Error) => t.fail(`following ended: ${error}`);

/** The leader's journal, in memory: a source like any other. */
async function leader(): Promise<MemoryJournal> {
  const journal = memoryJournal();
  await journal.open();
  return journal;
}
const sourceOf = (journal: MemoryJournal): Source => ({
  restore: () => journal.restore(),
  follow: (position, batch) => journal.follow(position, batch),
});

test('a copy holds what the cluster has committed, state and history, and says when it has it', async t => {
  const journal = await leader();
  await journal.append(batchOf(0));
  const replica = await openReplica({ local: memoryJournal() });
  const heard: ReplicaBatch[] = [];
  replica.onBatch(batch => heard.push(batch));
  t.is(replica.cluster_id(), undefined);
  replica.follow('one', sourceOf(journal), never(t));
  const changes = [...batchOf(0)];
  for (let n = 1; n < 20; n++) {
    await journal.append(batchOf(n));
    changes.push(...batchOf(n));
  }
  await replica.reached(changes.length);
  t.is(replica.position(), changes.length);
  t.deepEqual(stateOf(await replica.restore()), folded(changes));
  t.is(replica.count('audit', ''), 20);
  t.deepEqual(
    heard.flatMap(batch => batch.records.map(record => record.sequence)),
    changes.map((_, index) => index + 1),
  );
  await replica.close();
});

test('a copy that dies at any record goes on from exactly what it has', async t => {
  await fc.assert(
    fc.asyncProperty(fc.nat(60), fc.nat(12), fc.integer({ min: 1, max: 5 }), async (records, at, batch_changes_max) => {
      const journal = await leader();
      const changes: Change[] = [];
      let local = memoryJournal();
      const open = async () => {
        const replica = await openReplica({ local, batch_changes_max });
        replica.follow('one', sourceOf(journal), never(t));
        return replica;
      };
      let replica = await open();
      for (let n = 0; n < 12; n++) {
        if (n === at) {
          // The process dies with so many records on its device, and another one starts.
          await replica.unfollow();
          // A commit is there whole or not at all; the records of one are the unit of the journal in memory.
          local = local.crash(wholeBefore(local, Math.min(records, local.durable())));
          replica = await open();
        }
        await journal.append(batchOf(n));
        changes.push(...batchOf(n));
      }
      await replica.reached(changes.length);
      t.deepEqual(stateOf(await replica.restore()), folded(changes));
      t.is(replica.count('audit', ''), 12);
      await replica.close();
    }),
    { numRuns: 60 },
  );
});
/** The end of the last commit at or before a record: each ends with the record of the position. */
function wholeBefore(local: MemoryJournal, records: number): number {
  let whole = 0;
  local.follow(0, (some: readonly RecordEnvelope[]) => {
    for (const { kind, key, sequence } of some)
      if (kind === 'meta' && key === 'replica-of' && sequence <= records) whole = sequence;
  })();
  return whole;
}

test('what was folded away while a copy was absent is taken over as a whole, deletions too', async t => {
  const journal = await leader();
  const local = memoryJournal();
  const changes: Change[] = [];
  const append = async (from: number, to: number) => {
    for (let n = from; n < to; n++) {
      await journal.append(batchOf(n));
      changes.push(...batchOf(n));
    }
  };
  await append(0, 5);
  const first = await openReplica({ local });
  first.follow('one', sourceOf(journal), never(t));
  await first.reached(changes.length);
  await first.close();
  await append(5, 10);
  const last: Change[] = [gone('job', 'j0'), gone('job', 'j1')];
  await journal.append(last);
  changes.push(...last);
  await journal.snapshot();
  const second = await openReplica({ local: local.crash() });
  const heard: string[] = [];
  second.onBatch(batch => heard.push(`${batch.type} ${batch.position}`));
  second.follow('one', sourceOf(journal), never(t));
  await second.reached(changes.length);
  t.deepEqual(stateOf(await second.restore()), folded(changes));
  t.deepEqual(heard, [`state ${changes.length}`]);
  await append(10, 12);
  await second.reached(changes.length);
  t.deepEqual(stateOf(await second.restore()), folded(changes));
  t.is(second.count('audit', ''), 7, 'the history of its absence is missing, the rest is there');
  await second.close();
});

test('a copy that dies while it takes the state over takes it over again', async t => {
  const journal = await leader();
  const changes = Array.from({ length: 40 }, (_, n) => put('job', `j${n}`, { n }));
  await journal.append(changes);
  await journal.snapshot();
  for (let records = 0; records < 44; records += 3) {
    let local = memoryJournal();
    const first = await openReplica({ local, batch_changes_max: 5 });
    first.follow('one', sourceOf(journal), never(t));
    await first.reached(40);
    await first.close();
    local = local.crash(records);
    const second = await openReplica({ local, batch_changes_max: 5 }).catch(error => error as JournalError);
    if (second instanceof JournalError) return t.fail(second.message);
    second.follow('one', sourceOf(journal), never(t));
    await second.reached(40);
    t.deepEqual(stateOf(await second.restore()), folded(changes), `cut at ${records}`);
    await second.close();
  }
});

test('a copy of another cluster, and the journal of a single machine, are refused', async t => {
  const journal = await leader();
  const local = memoryJournal();
  const replica = await openReplica({ local });
  replica.follow('one', sourceOf(journal), never(t));
  await journal.append(batchOf(0));
  await replica.reached(2);
  t.throws(() => replica.follow('two', sourceOf(journal), never(t)), {
    instanceOf: JournalError,
    message: /cluster one, not of two/,
  });
  await replica.close();
  const again = await openReplica({ local: local.crash() });
  t.is(again.cluster_id(), 'one');
  t.is(again.position(), 2);
  const single = memoryJournal();
  await single.open();
  await single.append([put('job', 'a', 1)]);
  await t.throwsAsync(openReplica({ local: single.crash() }), { instanceOf: JournalError, message: /single machine/ });
});

test('when the local journal fails, following ends and says why', async t => {
  const journal = await leader();
  let failing = false;
  const flush = (done: Promise<unknown>) => (failing ? Promise.reject(new Error('the device is gone')) : done);
  const replica = await openReplica({ local: memoryJournal({ flush }) });
  const failed = Promise.withResolvers<Error>();
  replica.follow('one', sourceOf(journal), failed.resolve);
  await journal.append(batchOf(0));
  await replica.reached(2);
  failing = true;
  await journal.append(batchOf(1));
  t.regex((await failed.promise).message, /device is gone/);
});

// --- over a real ZooKeeper --------------------------------------------------------------------------------------------

async function standby(t: ExecutionContext, tree: string, directory: string, servers = ensemble!.servers) {
  const zk = connectZooKeeper({ servers, session_timeout_ms: 200_000, clock });
  t.teardown(() => zk.close());
  const log = clusterLog({ zk, path: tree, cluster, schemas: {}, clock });
  const local = lmdbJournal({ path: directory, schemas: {}, retention: {}, now: () => 0, map_size: 2 ** 28 });
  const replica: Replica = await openReplica({ local });
  const failures: Error[] = [];
  replica.follow((await log.enter()).id, log, error => failures.push(error));
  return { zk, replica, failures };
}
async function scratch(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'horae-replica-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

testZooKeeper('standbys follow the log through changes of the writer, snapshots, breaks and absence', async t => {
  const tree = '/standbys';
  const directory = await scratch(t);
  const proxy = await startProxy(t, ensemble!.members[0]!.port);
  const first = await standby(t, tree, join(directory, '1'));
  const second = await standby(t, tree, join(directory, '2'), proxy.address);
  const changes: Change[] = [];
  let n = 0;
  const zk = connectZooKeeper({ servers: ensemble!.servers, session_timeout_ms: 200_000, clock });
  t.teardown(() => zk.close());
  /** `present` hear each commit before the snapshot after it: whoever lags behind two snapshots has lost history. */
  const write = async (epoch: number, count: number, snapshots = 0, ...present: readonly Replica[]) => {
    const journal = journalAt(zk, tree);
    t.is(await journal.open(), epoch);
    await journal.restore();
    for (let k = 0; k < count; k++, n++) {
      await journal.append(batchOf(n));
      changes.push(...batchOf(n));
      for (const replica of present) await replica.reached(changes.length);
      if (k < snapshots) await journal.snapshot();
    }
    await journal.close();
  };
  const agree = async (...replicas: Replica[]) => {
    for (const replica of replicas) {
      await replica.reached(changes.length);
      t.deepEqual(stateOf(await replica.restore()), folded(changes));
      t.is(replica.count('audit', ''), n);
    }
  };
  await write(1, 10);
  await agree(first.replica, second.replica);
  await write(2, 10, 1);
  proxy.breakAll();
  await write(3, 10);
  await agree(first.replica, second.replica);
  // One is cut off while the log moves on, but not too far; the other has gone home.
  proxy.cut();
  await first.replica.close();
  await write(4, 10, 1);
  proxy.mend();
  await agree(second.replica);
  const back = await standby(t, tree, join(directory, '1'));
  await agree(back.replica);
  t.deepEqual([...first.failures, ...second.failures, ...back.failures], []);
  // Too far: two snapshots have come while it was away.
  await back.replica.close();
  await write(5, 6, 4, second.replica);
  const late = await standby(t, tree, join(directory, '1'));
  await late.replica.reached(changes.length);
  t.deepEqual(stateOf(await late.replica.restore()), folded(changes));
  t.true(late.replica.count('audit', '') < n);
  await agree(second.replica);
  await late.replica.close();
  await second.replica.close();
});

testZooKeeper('a standby whose session ends, or whose log has lost what it has seen, is told', async t => {
  const directory = await scratch(t);
  const tree = '/told';
  const zk = connectZooKeeper({ servers: ensemble!.servers, session_timeout_ms: 200_000, clock });
  t.teardown(() => zk.close());
  const journal = journalAt(zk, tree);
  await journal.open();
  await journal.restore();
  for (let n = 0; n < 3; n++) await journal.append(batchOf(n));
  const first = await standby(t, tree, directory);
  await first.replica.reached(journalEnd);
  await first.zk.close();
  await until('the standby to be told', () => first.failures.length === 1);
  t.regex(first.failures[0]!.message, /closed/);
  await first.replica.close();
  // Somebody restores an older copy of the tree: going on as if nothing were lost would be a lie.
  await journal.close();
  const [last] = (await zk.children(`${tree}/segments`))!.toSorted().toReversed();
  await zk.delete(`${tree}/segments/${last}`);
  const second = await standby(t, tree, directory);
  await until('the standby to be told', () => second.failures.length === 1);
  t.regex(second.failures[0]!.message, /ends with record 4, and 7 has been seen/);
  await second.replica.close();
});
const journalEnd = batchOf(0).length + batchOf(1).length + batchOf(2).length;
