// layout.test.ts: what is written to Cassandra of what is on record, with a stand-in at the driver's boundary.
//
// The stand-in notes statements and values and answers what it was given; that Cassandra takes them is seen by
// `npm run test:cassandra`, against a real one.

import test from 'ava';
import type { Job } from '../../actors/model/job.ts';
import { readJob } from '../../actors/model/job.ts';
import type { FinishedAttempt, JobRecord } from '../../actors/model/records.ts';
import { cassandra_name, statementsFor, valuesOf } from '../../transport/cassandra/layout.ts';
import { type Context, elementsOf, rowOfTask, rowsOfAttempt } from '../../transport/cassandra/rows.ts';
import { type Driver, openStore } from '../../transport/cassandra/store.ts';
import { readChronos } from '../../transport/http/chronos/document.ts';

const names = { keyspace: 'Metrics', table: 'chronos', stat_count_table: 'chronos_stat_count' };
const at = Date.parse('2026-03-01T02:00:00Z');

function jobFrom(document: object, route: 'iso8601' | 'dependency' = 'iso8601'): JobRecord {
  const read = readChronos(document, undefined, route);
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const origin = { dialect: 'chronos', document: read.value.document };
  return { job: read.value.job, incarnation: 1, version: 1, created_at: at, updated_at: at, origin };
}
const sales = { name: 'nightly sales', command: 'x', schedule: 'R/2026-01-01T02:00:00Z/PT24H', owner: "o'brien@a.com" };
const run: Context['run'] = { cause: { type: 'target', schedule: 'chronos', at }, created_at: at };
const attempt: FinishedAttempt = {
  task_id: 'chronos:default:nightly%20sales:1.chronos.abc:0:2',
  index: 0,
  attempt: 2,
  agent_id: 'agent-1',
  started_at: at + 1_000,
  ended_at: at + 5_000,
  outcome: 'failed',
  reason: { code: 'exited', exit_code: 3 },
};

test('an attempt is two rows under the name that Chronos gave its task: that it ran, and how it ended', t => {
  const rows = rowsOfAttempt(attempt, { job: jobFrom(sales), run });
  const about = {
    id: `ct:${at}:1:nightly sales:`,
    job_name: 'nightly sales',
    job_owner: "o'brien@a.com",
    job_schedule: sales.schedule,
    job_parents: undefined,
    attempt: 1,
    slave_id: 'agent-1',
  };
  t.deepEqual(rows, [
    { ...about, ts: at + 1_000, task_state: 'TASK_RUNNING' },
    { ...about, ts: at + 5_000, task_state: 'TASK_FAILED', message: 'it exited with 3', is_failure: true },
  ]);
  t.deepEqual(
    rowOfTask(attempt.task_id, at + 1_000, 'agent-1', { job: jobFrom(sales), run }),
    rows[0],
    'while it runs too',
  );
});

test('what ended well is no failure and has no message; what never ran has one row', t => {
  const context = { job: jobFrom(sales), run };
  const [, finished] = rowsOfAttempt(
    { ...attempt, outcome: 'finished', reason: { code: 'exited', exit_code: 0 } },
    context,
  );
  t.is(finished!.task_state, 'TASK_FINISHED');
  t.false('is_failure' in finished! || 'message' in finished!);
  const { started_at: _, ...unstarted } = attempt;
  const lost = rowsOfAttempt({ ...unstarted, outcome: 'lost', reason: { code: 'lost', message: 'gone' } }, context);
  t.deepEqual(
    lost.map(({ task_state, message }) => [task_state, message]),
    [['TASK_LOST', 'lost: gone']],
  );
});

test('the end of a task comes after its beginning, whatever clocks said', t => {
  for (const ended_at of [at, at - 500]) {
    const rows = rowsOfAttempt({ ...attempt, started_at: at, ended_at }, { job: jobFrom(sales), run });
    t.deepEqual(
      rows.map(({ ts, task_state }) => [ts, task_state]),
      [
        [at, 'TASK_RUNNING'],
        [at + 1, 'TASK_FAILED'],
      ],
    );
  }
});

test('a job with parents has them in place of a schedule; words of a run by hand are in the name of its task', t => {
  const job = jobFrom({ name: 'report', command: 'x', parents: ['nightly sales', 'b'] }, 'dependency');
  const by_hand: Context['run'] = {
    cause: { type: 'manual', by: 'local', request: 'r', arguments: ['--day', 'it;s'] },
    created_at: at,
  };
  const task_id = 'chronos:default:report:1.m.x:0:1';
  const row = rowOfTask(task_id, at, 'a', { job, run: by_hand });
  t.deepEqual(row?.job_parents, ['nightly sales', 'b']);
  t.is(row?.job_schedule, undefined);
  t.is(row?.id, `ct:${at}:0:report:--day its`);
});

test('a job of Horae keeps the id of its task, of which no other has the same', t => {
  const read = readJob({ role: 'www', environment: 'prod', name: 'a', command: 'x', cron: '0 2 * * *' });
  const job: Job = (read as { ok: true; value: Job }).value;
  const record: JobRecord = { job, incarnation: 1, version: 1, created_at: at, updated_at: at };
  const row = rowOfTask('www:prod:a:1.cron.x:3:1', at, 'a', { job: record, run });
  t.like(row, { id: 'www:prod:a:1.cron.x:3:1', job_name: 'www/prod/a', job_schedule: '0 2 * * *' });
});

test('of a job that is gone there is what is still known, and of a task of others nothing', t => {
  const rows = rowsOfAttempt(attempt, { job: undefined, run: undefined });
  t.like(rows[0], { id: attempt.task_id, job_name: 'nightly sales', job_owner: undefined });
  t.deepEqual(rowsOfAttempt({ ...attempt, task_id: 'strange' }, { job: undefined, run: undefined }), []);
  t.is(elementsOf(attempt.task_id, 0, { job: undefined, run: undefined }), undefined);
});

test('names are words in quotes, in small letters, and every value has a place to be bound to', t => {
  const statements = statementsFor(names);
  t.true(statements.insert.startsWith('INSERT INTO "metrics"."chronos" (id, ts, '));
  const row = rowsOfAttempt(attempt, { job: jobFrom(sales), run })[1]!;
  const values = valuesOf({ ...row, message: 'x'.repeat(100_000) }, 60);
  t.is(values.length, statements.insert.split('?').length - 1);
  t.deepEqual([values[0], values[1], values.at(-1)], [row.id, new Date(row.ts), 60]);
  t.true(String(values[8]).length < 10_000, 'a message is cut');
  t.is(values[5], undefined, 'what there is not stays unset');
  for (const name of ['a b', '1a', 'a"; DROP TABLE x; --', '', 'x'.repeat(49)]) {
    t.false(cassandra_name.test(name));
    t.throws(() => statementsFor({ ...names, table: name }), { message: /cannot name a keyspace or a table/ });
  }
});

type Said = { readonly query: string; readonly values: readonly unknown[]; readonly consistency: number };
/** Stands in for the driver: notes what it is asked, and knows of no tables. */
function driverStandIn(answers: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {}) {
  const said: Said[] = [];
  const driver: Driver = {
    connect: async () => undefined,
    execute: async (query, values, { consistency }) => {
      said.push({ query, values, consistency });
      return Object.entries(answers).find(([word]) => query.includes(word))?.[1] ?? [];
    },
    close: async () => undefined,
  };
  return { driver, said };
}
const options = { names, consistency: 'ANY', ttl_s: 100, source: 's', now: () => at + 10_000 } as const;

test('what is missing is made, and what is there is left alone', async t => {
  const empty = driverStandIn();
  await openStore(empty.driver, options);
  const made = empty.said.filter(({ query }) => query.startsWith('CREATE'));
  t.is(made.length, 5, 'a keyspace, three tables, an index');
  const there = driverStandIn({
    'system_schema.keyspaces': [{ keyspace_name: 'metrics' }],
    'system_schema.tables': ['chronos', 'chronos_stat_count', 'chronos_cursor'].map(table_name => ({ table_name })),
  });
  await openStore(there.driver, options);
  t.deepEqual(
    there.said.filter(({ query }) => query.startsWith('CREATE')),
    [],
  );
});

test('rows are written at ANY, and read and counted at ONE; another consistency holds for all', async t => {
  const [any, one, quorum] = [0, 1, 4];
  for (const [consistency, expected] of [
    ['ANY', [any, one, one, one]],
    ['QUORUM', [quorum, quorum, quorum, quorum]],
  ] as const) {
    const { driver, said } = driverStandIn({ 'SELECT elements': [{ elements_processed: '5' }] });
    const store = await openStore(driver, { ...options, consistency });
    said.length = 0;
    await store.write(rowsOfAttempt(attempt, { job: undefined, run: undefined })[0]!);
    await store.count({ job_name: 'a', task_id: 'b', elements: 12 });
    await store.cursor();
    t.deepEqual(
      said.map(each => each.consistency),
      [...expected],
    );
    t.deepEqual(said[2]!.values, [7, 'a', 'b'], 'what is missing of twelve is added');
  }
});

test('a counter that has that many is not touched', async t => {
  const { driver, said } = driverStandIn({ 'SELECT elements': [{ elements_processed: '12' }] });
  const store = await openStore(driver, options);
  await store.count({ job_name: 'a', task_id: 'b', elements: 12 });
  t.false(said.some(({ query }) => query.startsWith('UPDATE')));
});

test('a row is kept from the moment that it tells of, and one that is older than that is not written', async t => {
  const { driver, said } = driverStandIn();
  const store = await openStore(driver, options);
  const row = rowsOfAttempt(attempt, { job: undefined, run: undefined })[1]!;
  t.is(await store.write(row), 'written');
  t.is(said.at(-1)!.values.at(-1), 95, 'it ended five seconds ago');
  const before = said.length;
  t.is(await store.write({ ...row, ts: at - 90_000 }), 'expired');
  t.is(said.length, before);
  const for_ever = await openStore(driver, { ...options, ttl_s: 0 });
  t.is(await for_ever.write({ ...row, ts: 0 }), 'written');
  t.is(said.at(-1)!.values.at(-1), 0);
});
