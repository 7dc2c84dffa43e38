// following-chronos.test.ts: Chronos's own cases where jobs follow others, as its dialect reads them, on the whole scheduler.

import test from 'ava';
import type { Cause } from '../../actors/model/reasons.ts';
import type { FinishedRun, JobRecord, TallyRecord } from '../../actors/model/records.ts';
import { chronosName, readChronos } from '../../transport/http/chronos/document.ts';
import { chronos_rules_default } from '../../transport/http/chronos/rules.ts';
import { type World, world } from '../support/world.ts';

const keyOf = (name: string) => `chronos/default/${name}`;
const submit = async (w: World, document: object) => {
  const read = readChronos(document, chronos_rules_default, 'parents' in document ? 'dependency' : 'iso8601');
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const origin = { dialect: 'chronos', document };
  return await w.submit({ type: 'submit', mode: 'upsert', job: read.value.job, origin });
};
const root = (name: string, more: object = {}) => ({
  name,
  command: 'sleep 1',
  schedule: 'R/2030-01-01T00:00:00Z/PT24H',
  retries: 0,
  ...more,
});
const child = (name: string, parents: readonly string[], more: object = {}) => ({
  name,
  command: 'sleep 1',
  parents,
  retries: 0,
  ...more,
});
const pass = (w: World, ms = 6_000) => w.until(w.clock.now() + ms);
let requests = 0;
const run = async (w: World, name: string) => {
  const answer = await w.submit({ type: 'start-run', key: keyOf(name), request: `r${requests++}` });
  if (answer.type === 'refused') throw new Error(answer.message);
};
const mark = (w: World, name: string) =>
  w.submit({ type: 'mark-success', key: keyOf(name), request: `m${requests++}` });
const finished = (w: World, name: string) =>
  w.committed
    .filter(one => one.kind === 'finished-run' && one.key.startsWith(`${keyOf(name)}/`))
    .map(one => one.body as FinishedRun);
const count = (w: World, name: string) => finished(w, name).length;
const tally = (w: World, name: string) => w.outbox.latest('tally', keyOf(name)) as TallyRecord;
const tokens = (w: World) => [...w.outbox.entries('token')].length;

test('Chronos 30, 31: a success starts the enabled child once, the disabled one not, then the grandchild', async t => {
  const w = await world();
  await submit(w, root('a'));
  await submit(w, child('b', ['a']));
  await submit(w, child('off', ['a'], { disabled: true }));
  await submit(w, child('c', ['b']));
  await run(w, 'a');
  await pass(w, 10_000);
  t.deepEqual(
    ['b', 'off', 'c'].map(name => count(w, name)),
    [1, 0, 1],
  );
});

test('Chronos 44: with no retries two successes and a failure are counted as two and one', async t => {
  let code = 0;
  const w = await world({ life: () => ({ start_delay_ms: 10, duration_ms: 1_000, exit: { code }, term_ms: 5 }) });
  await submit(w, root('a'));
  for (const next of [0, 0, 3]) {
    code = next;
    await run(w, 'a');
    await pass(w);
  }
  t.like(tally(w, 'a'), { successes: 2, failures: 1, failures_since_success: 1 });
  t.true(tally(w, 'a').last_failure_at! > tally(w, 'a').last_success_at!);
});

test('the same wish to mark a job successful, said again, counts once, also after a crash', async t => {
  const w = await world();
  await submit(w, root('bad'));
  await submit(w, root('good'));
  await submit(w, child('c', ['bad', 'good']));
  const wish = { type: 'mark-success', key: keyOf('bad'), request: 'wish' } as const;
  const first = await w.submit(wish);
  t.is(first.type, 'changed');
  t.deepEqual(await w.submit(wish), first);
  await w.crash();
  t.deepEqual(await w.submit(wish), first);
  t.is(tokens(w), 1);
  t.is(tally(w, 'bad').successes, 1);
  for (let n = 0; n < 2; n++) {
    await run(w, 'good');
    await pass(w);
  }
  t.deepEqual(await w.submit(wish), first, 'its token has been taken meanwhile');
  await pass(w);
  t.is(count(w, 'c'), 1);
});

test('Chronos 45: a failed parent that is marked successful starts the child whose other parent is done', async t => {
  const w = await world();
  await submit(w, root('bad', { command: 'sleep 1; exit 1' }));
  await submit(w, root('good'));
  await submit(w, child('c', ['bad', 'good']));
  await run(w, 'bad');
  await run(w, 'good');
  await pass(w);
  t.is(count(w, 'c'), 0);
  t.is((await mark(w, 'bad')).type, 'changed');
  t.like(tally(w, 'bad'), { successes: 1, failures: 1, failures_since_success: 0 });
  await pass(w);
  const [first] = finished(w, 'c');
  t.is((first!.cause as Extract<Cause, { type: 'dependency' }>).at, tally(w, 'bad').last_success_at!);
  t.is(tokens(w), 0, 'the counters are 0 when the child has started');
});

test('Chronos 45: a child that is marked successful begins to count anew', async t => {
  const w = await world();
  await submit(w, root('a'));
  await submit(w, root('b'));
  await submit(w, child('c', ['a', 'b']));
  await run(w, 'a');
  await pass(w);
  t.is(tokens(w), 1);
  await mark(w, 'c');
  t.is(tokens(w), 0);
  await run(w, 'b');
  await pass(w);
  t.is(count(w, 'c'), 0);
});

test('Chronos 46: a disabled job and its disabled child never run', async t => {
  const w = await world();
  await submit(w, root('a', { schedule: 'R/2026-01-01T00:01:00Z/PT1M', disabled: true }));
  await submit(w, child('b', ['a'], { disabled: true }));
  await pass(w, 300_000);
  t.deepEqual([count(w, 'a'), count(w, 'b')], [0, 0]);
});

test('Chronos 47: each job of a graph runs when all of its parents are done, and again when they are again', async t => {
  const w = await world({ agents: 4 });
  await submit(w, root('job1'));
  await submit(w, root('job2'));
  await submit(w, child('job3', ['job1'], { command: 'sleep 60' }));
  await submit(w, child('job4', ['job1', 'job2']));
  await submit(w, child('job5', ['job1', 'job2', 'job3']));
  await submit(w, child('job6', ['job4', 'job5', 'job1']));
  await run(w, 'job1');
  await pass(w);
  t.deepEqual(
    ['job3', 'job4', 'job5', 'job6'].map(name => count(w, name)),
    [0, 0, 0, 0],
  );
  await run(w, 'job2');
  await pass(w);
  t.is(count(w, 'job4'), 1);
  await run(w, 'job1');
  await run(w, 'job2');
  await pass(w);
  t.is(count(w, 'job4'), 2, 'job4 runs again while job5 waits for job3');
  t.deepEqual([count(w, 'job5'), count(w, 'job6')], [0, 0]);
  await pass(w, 70_000);
  t.deepEqual([count(w, 'job3'), count(w, 'job5'), count(w, 'job6')], [1, 1, 1]);
});

test('Chronos 48, 49: a soft error starts the child at the instant of the error, another error does not', async t => {
  const w = await world();
  await submit(w, root('soft', { command: 'sleep 1; exit 1', softError: true }));
  await submit(w, root('hard', { command: 'sleep 1; exit 1' }));
  await submit(w, root('good'));
  await submit(w, child('after-soft', ['soft', 'good']));
  await submit(w, child('after-hard', ['hard', 'good']));
  for (const name of ['good', 'soft', 'hard']) await run(w, name);
  await pass(w, 10_000);
  t.deepEqual([count(w, 'after-soft'), count(w, 'after-hard')], [1, 0]);
  const { cause } = finished(w, 'after-soft')[0]!;
  t.is((cause as Extract<Cause, { type: 'dependency' }>).at, tally(w, 'soft').last_failure_at!);
});

test('Chronos 50: a scheduled job that is posted again as a dependent one has no schedule any more', async t => {
  const w = await world();
  await submit(w, root('a'));
  await submit(w, root('b', { schedule: 'R/2026-01-01T00:01:00Z/PT1M' }));
  await submit(w, child('b', ['a']));
  await pass(w, 300_000);
  t.is(count(w, 'b'), 0);
  await run(w, 'a');
  await pass(w);
  t.is(count(w, 'b'), 1);
  await submit(w, root('b'));
  await run(w, 'a');
  await pass(w);
  t.is(count(w, 'b'), 1, 'the edge is gone');
});

test('Chronos 51, 58: a job that gets a third parent waits for it, and keeps what it has from the others', async t => {
  const w = await world();
  for (const name of ['job1', 'job2', 'job3']) await submit(w, root(name));
  await submit(w, child('job5', ['job1', 'job2']));
  await run(w, 'job1');
  await pass(w);
  await submit(w, child('job5', ['job1', 'job2', 'job3']));
  await run(w, 'job2');
  await pass(w);
  t.is(count(w, 'job5'), 0);
  await run(w, 'job3');
  await pass(w);
  t.is(count(w, 'job5'), 1);
});

test('Chronos 52: roots that are posted again as they were leave dependents and counts as they are', async t => {
  const w = await world();
  await submit(w, root('a'));
  await submit(w, root('b'));
  await submit(w, child('c', ['a', 'b']));
  await run(w, 'a');
  await pass(w);
  t.is((await submit(w, root('a'))).type, 'unchanged');
  t.is((await submit(w, root('a', { owner: 'somebody@example.com' }))).type, 'replaced');
  t.is(tally(w, 'a').successes, 1);
  await run(w, 'b');
  await pass(w);
  t.is(count(w, 'c'), 1);
});

test('Chronos 54, #815: parents that are not there and cycles are refused at the door', async t => {
  const w = await world();
  await submit(w, root('a b'));
  await submit(w, child('c', ['a b']));
  t.like(await submit(w, child('d', ['nobody'])), { type: 'refused', code: 'invalid' });
  t.like(await submit(w, child('d', ['d'])), { code: 'cycle' });
  const answer = await submit(w, child('a b', ['c']));
  t.like(answer, { code: 'cycle' });
  t.true(answer.type === 'refused' && answer.message.includes(`${keyOf('a%20b')} -> ${keyOf('c')} -> `));
  t.is(chronosName(keyOf('a%20b')), 'a b');
});

test('Chronos #811: what the parents have done survives a failover, and a start uses it up', async t => {
  const w = await world();
  await submit(w, root('a'));
  await submit(w, root('b'));
  await submit(w, child('c', ['a', 'b']));
  for (let n = 0; n < 3; n++) {
    await run(w, 'a');
    await pass(w);
  }
  await w.crash();
  await pass(w);
  await run(w, 'b');
  await pass(w);
  t.is(count(w, 'c'), 1);
  const { cause } = finished(w, 'c')[0]!;
  t.like(cause, { type: 'dependency', taken: 4 });
  await run(w, 'b');
  await pass(w);
  t.is(count(w, 'c'), 1, 'nothing of a is left');
});

test("Chronos #660: a child that gets its parent's schedule keeps its own fields; with other parents it keeps those", async t => {
  const w = await world();
  await submit(w, root('a', { schedule: 'R/2026-01-01T00:01:00Z/PT1M' }));
  await submit(w, root('z'));
  await submit(w, child('b', ['a'], { description: 'kept', owner: 'me@example.com', concurrent: true, cpus: 0.3 }));
  await submit(w, child('c', ['a', 'z']));
  await w.submit({ type: 'delete', key: keyOf('a'), orphans: 'reschedule' });
  const job = (name: string) => (w.outbox.latest('job', keyOf(name)) as JobRecord).job;
  t.like(job('b'), { description: 'kept', owner: 'me@example.com', cpus: 0.3, overlap: { policy: 'allow' } });
  t.deepEqual(job('b').schedules[0]!.iso8601, 'R/2026-01-01T00:01:00Z/PT1M');
  t.deepEqual(job('c').parents, [keyOf('z')]);
  await pass(w, 130_000);
  t.is(count(w, 'b'), 2);
});
