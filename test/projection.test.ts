// projection.test.ts: the board that shows what the journal has committed.

import test from 'ava';
import { readJob } from '../actors/model/job.ts';
import type { FinishedRun, InstanceRecord, JobRecord, RunRecord } from '../actors/model/records.ts';
import { sortable } from '../actors/model/records.ts';
import type { FeedBatch, FeedChange } from '../actors/model/views.ts';
import type { History, HistoryPage } from '../transport/journal/journal.ts';
import { createProjection } from '../transport/projection.ts';
import { pendingOf } from './support/pending.ts';

const empty: History = { page: () => ({ rows: [] }), get: () => undefined, count: () => 0 };

/** A history that is a sorted list: the contract of `page` and nothing else. */
function historyOf(rows: readonly { kind: string; key: string; body: unknown }[]): History & { pages: number } {
  return {
    pages: 0,
    page(kind, prefix, limit, before): HistoryPage {
      this.pages++;
      const found = rows
        .filter(row => row.kind === kind && row.key.startsWith(prefix) && (before === undefined || row.key < before))
        .sort((a, b) => (a.key < b.key ? 1 : -1));
      const page = found.slice(0, limit);
      return found.length > limit ? { rows: page, next: page.at(-1)!.key } : { rows: page };
    },
    get: (kind, key) => rows.find(row => row.kind === kind && row.key === key)?.body,
    count: (kind, prefix) => rows.filter(row => row.kind === kind && row.key.startsWith(prefix)).length,
  };
}

function jobRecord(key: string, version = 1): JobRecord {
  const [role, environment, name] = key.split('/');
  const job = readJob({ role, environment, name, command: 'true' });
  if (!job.ok) throw new Error(JSON.stringify(job.problems));
  return { job: job.value, incarnation: 1, version, created_at: 0, updated_at: 0 };
}
const job = (key: string, version = 1): FeedChange => ({ kind: 'job', key, body: jobRecord(key, version) });
const run = (key: string, id: string): FeedChange => {
  const body: RunRecord = { run: id, cause: { type: 'once' }, instances: 1, created_at: 5 };
  return { kind: 'run', key: `${key}/${id}`, body };
};
const running: InstanceRecord = {
  status: 'running',
  attempt: 2,
  failures: 1,
  since: 9,
  agent_id: 'a',
  hostname: 'h',
  version: 1,
};
const pending: InstanceRecord = { status: 'pending', attempt: 0, failures: 0, since: 7 };
const instance = (key: string, id: string, index: number, body: InstanceRecord | undefined): FeedChange => ({
  kind: 'instance',
  key: `${key}/${id}/${index}`,
  body,
});
const gone = (kind: string, key: string): FeedChange => ({ kind, key, body: undefined });

test('jobs are listed in key order, page by page, whatever order they came in', t => {
  const board = createProjection({ history: empty, restored: ['b/p/x', 'a/p/z'].map(key => job(key)) });
  board.commit(
    ['a/p/a', 'c/p/1', 'b/p/a'].map(key => job(key)),
    3,
  );
  t.deepEqual(
    board.jobs(3).map(each => each.key),
    ['a/p/a', 'a/p/z', 'b/p/a'],
  );
  t.deepEqual(
    board.jobs(3, 'b/p/a').map(each => each.key),
    ['b/p/x', 'c/p/1'],
  );
  // A cursor outlives the job that it names.
  board.commit([gone('job', 'b/p/a')], 4);
  t.deepEqual(
    board.jobs(3, 'b/p/a').map(each => each.key),
    ['b/p/x', 'c/p/1'],
  );
  t.is(board.job_count(), 4);
  t.is(board.position(), 4);
});

test('a job replaced stands once in the listing, with its new version', t => {
  const board = createProjection({ history: empty });
  board.commit([job('a/p/a'), job('a/p/a', 2)], 2);
  t.is(board.jobs(10).length, 1);
  t.is(board.job('a/p/a')?.record.version, 2);
});

test('instances without a record wait for their first place since their run began; those of services are not there', t => {
  const board = createProjection({ history: empty });
  const cause = { type: 'once' } as const;
  const three = { kind: 'run', key: 'a/p/a/1.once', body: { run: '1.once', cause, instances: 3, created_at: 5 } };
  board.commit([job('a/p/a'), instance('a/p/a', '1.once', 1, running), three], 3);
  const seen = () => board.run('a/p/a', '1.once')?.instances.map(({ index, record }) => [index, record.status]);
  t.deepEqual(seen(), [
    [0, 'pending'],
    [1, 'running'],
    [2, 'pending'],
  ]);
  t.like(board.run('a/p/a', '1.once')?.instances[0]?.record, { attempt: 1, failures: 0, since: 5 });
  t.like(board.instance_counts(), { pending: 2, running: 1 });
  board.commit([instance('a/p/a', '1.once', 2, running)], 4);
  t.like(board.instance_counts(), { pending: 1, running: 2 });
  const service = {
    ...three,
    key: 'a/p/s/1.service',
    body: { ...three.body, run: '1.service', cause: { type: 'service' } },
  };
  board.commit([job('a/p/s'), service], 5);
  t.deepEqual(board.run('a/p/s', '1.service')?.instances, []);
  board.commit(
    [gone('instance', 'a/p/a/1.once/1'), gone('instance', 'a/p/a/1.once/2'), gone('run', 'a/p/a/1.once')],
    8,
  );
  t.like(board.instance_counts(), { pending: 0, running: 0 });
  t.is(seen(), undefined);
});

test('runs and instances appear under their job, with the task id of an attempt that exists', t => {
  const board = createProjection({ history: empty });
  board.commit(
    [
      job('a/p/a'),
      run('a/p/a', '1.m.x'),
      instance('a/p/a', '1.m.x', 1, running),
      instance('a/p/a', '1.m.x', 0, pending),
    ],
    4,
  );
  const view = board.run('a/p/a', '1.m.x');
  t.deepEqual(
    view?.instances.map(each => [each.index, each.task_id]),
    [
      [0, undefined],
      [1, 'a:p:a:1.m.x:1:2'],
    ],
  );
  t.deepEqual(board.instance_counts().running, 1);
  t.deepEqual(board.instance_counts().pending, 1);
});

test('a run that ends takes its instances with it, in whichever order their deletions come', t => {
  for (const order of [0, 1]) {
    const board = createProjection({ history: empty });
    board.commit([job('a/p/a'), run('a/p/a', 'r'), instance('a/p/a', 'r', 0, running)], 3);
    const ends = [gone('run', 'a/p/a/r'), gone('instance', 'a/p/a/r/0')];
    board.commit(order === 0 ? ends : ends.reverse(), 5);
    t.is(board.run('a/p/a', 'r'), undefined);
    t.deepEqual(board.job('a/p/a')?.runs, []);
    t.is(board.instance_counts().running, 0);
  }
});

test('records restored in any order make the same board', t => {
  const changes = [instance('a/p/a', 'r', 0, running), run('a/p/a', 'r'), job('a/p/a')];
  for (const restored of [changes, changes.toReversed()]) {
    const board = createProjection({ history: empty, restored, position: 3 });
    t.is(board.job('a/p/a')?.runs[0]?.instances[0]?.record.status, 'running');
    t.is(board.position(), 3);
  }
});

test('a job deleted while its last run is still being killed is no longer listed', t => {
  const board = createProjection({ history: empty });
  board.commit([job('a/p/a'), run('a/p/a', 'r'), instance('a/p/a', 'r', 0, running), gone('job', 'a/p/a')], 4);
  t.is(board.job('a/p/a'), undefined);
  t.deepEqual(board.jobs(10), []);
});

test('every listener hears every batch once, and none after it has left', t => {
  const board = createProjection({ history: empty });
  const heard: FeedBatch[] = [];
  const leave = board.subscribe(batch => heard.push(batch));
  board.commit([job('a/p/a')], 1);
  board.commit([job('a/p/b')], 2);
  leave();
  board.commit([job('a/p/c')], 3);
  t.deepEqual(
    heard.map(batch => [batch.position, batch.changes[0]?.key]),
    [
      [1, 'a/p/a'],
      [2, 'a/p/b'],
    ],
  );
});

test('a finished run is found by its id, at once when it ended lately and by looking back otherwise', t => {
  const finished = (id: string, at: number) => {
    const body: FinishedRun = {
      run: id,
      cause: { type: 'once' },
      instances: 1,
      created_at: at,
      ended_at: at,
      outcome: 'succeeded',
      results: [],
    };
    return { kind: 'finished-run', key: `a/p/a/${sortable(at)}/${id}`, body };
  };
  const rows = Array.from({ length: 1_200 }, (_, n) => finished(`r${n}`, n));
  const history = historyOf(rows);
  const board = createProjection({ history });
  t.is(board.finished_run('a/p/a', 'r3')?.created_at, 3);
  t.is(board.finished_run('a/p/a', 'none'), undefined);
  const { pages } = history;
  board.commit([rows[7]!], 1);
  t.is(board.finished_run('a/p/a', 'r7')?.created_at, 7);
  t.is(history.pages, pages);
  const first = board.finished_runs('a/p/a', 2);
  t.deepEqual(
    first.rows.map(row => row.run),
    ['r1199', 'r1198'],
  );
  t.deepEqual(
    board.finished_runs('a/p/a', 1, first.next).rows.map(row => row.run),
    ['r1197'],
  );
});

test('pending reasons of a job are its own, not those of a job whose name begins alike', t => {
  const keys = ['a/p/a/r/0', 'a/p/ab/r/0'];
  const reasons = keys.map(key => ({ instance: key, since: 1, summary: '', why: {} }));
  const board = createProjection({ history: empty, pending: pendingOf(reasons) });
  const waits = { status: 'pending', attempt: 1, failures: 0, since: 1 };
  board.commit(
    keys.map(key => ({ kind: 'instance', key, body: waits })),
    2,
  );
  t.deepEqual(
    board.pending('a/p/a').map(reason => reason.instance),
    ['a/p/a/r/0'],
  );
});

test('whoever waits is counted, however many they are, and met once when all pages are turned', t => {
  const keys = Array.from({ length: 2_500 }, (_, n) => `${n % 5 === 0 ? 'b' : 'a'}/p/j${(n * 7_919) % 2_500}/r/0`);
  const reasons = keys.map(key => ({ instance: key, since: 1, summary: '', why: {} }));
  const why = new Map(reasons.map(one => [one.instance, one]));
  const board = createProjection({
    history: empty,
    pending: { keys: () => why.keys(), why: key => why.get(key) },
  });
  const turned = (sees?: (role: string) => boolean) => {
    const met: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = board.pending_page(300, after, sees);
      t.is(page.total, sees === undefined ? 2_500 : 500);
      met.push(...page.rows.map(one => one.instance));
      if (page.next === undefined) return met;
      after = page.next;
    }
  };
  t.deepEqual(turned(), [...keys].sort());
  t.deepEqual(
    turned(role => role === 'b'),
    keys.filter(key => key.startsWith('b')).sort(),
  );
});

test('the next instant and the quarantine are asked for when they are looked at', t => {
  let next = 5;
  const board = createProjection({ history: empty, nextAt: () => next++, quarantined: () => 'crashed twice' });
  board.commit([job('a/p/a')], 1);
  t.is(board.job('a/p/a')?.next_at, 5);
  t.is(board.job('a/p/a')?.next_at, 6);
  t.is(board.job('a/p/a')?.quarantined, 'crashed twice');
});
