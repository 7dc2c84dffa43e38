// scheduler.test.ts: the whole scheduler on the seeded runtime: what a person asked for, and what became of it.

import test from 'ava';
import type { FinishedRun, OutcomeRow } from '../../actors/model/records.ts';
import { type World, world } from '../support/world.ts';

const key = 'www/prod/hello';
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'sleep 1; exit 0' };
const outcomes = (w: World) => w.committed.filter(one => one.kind === 'outcome').map(one => one.body as OutcomeRow);
const runs = (w: World) => w.committed.filter(one => one.kind === 'finished-run').map(one => one.body as FinishedRun);

test('a job without a schedule runs once, and is then only a memory', async t => {
  const w = await world();
  const answer = await w.create(base);
  t.is(answer.type, 'created');
  await w.until(w.clock.now() + 10_000);
  t.deepEqual(
    runs(w).map(one => one.outcome),
    ['succeeded'],
  );
  t.deepEqual([...w.outbox.entries('run')], []);
  t.deepEqual([...w.outbox.entries('instance')], []);
  t.is(w.scheduler.counts().instances, 0);
  await w.until(w.clock.now() + 3_600_000);
  t.is(runs(w).length, 1);
  t.deepEqual(w.fatal, []);
});

test('a cron job runs at every target, once', async t => {
  const w = await world();
  await w.create({ ...base, cron: '* * * * *' });
  await w.until(w.clock.now() + 5 * 60_000 + 10_000);
  t.is(runs(w).length, 5);
  t.deepEqual(
    outcomes(w).map(one => [one.outcome, one.count]),
    Array.from({ length: 5 }, () => ['ran', 1]),
  );
  t.deepEqual(w.fatal, []);
});

test('a failing instance is tried again until max_task_failures', async t => {
  const w = await world();
  await w.create({ ...base, command: 'sleep 1; exit 3', retries: 2 });
  await w.until(w.clock.now() + 60_000);
  t.like(runs(w)[0], {
    outcome: 'failed',
    results: [{ attempts: 3, failures: 3, reason: { code: 'exited', exit_code: 3 } }],
  });
  t.is(runs(w).length, 1);
});

test('a service is kept running, and a killed scheduler finds it running', async t => {
  const w = await world({ life: () => ({ start_delay_ms: 10, exit: { code: 0 }, term_ms: 5 }) });
  await w.create({ ...base, service: true, instances: 3 });
  await w.until(w.clock.now() + 10_000);
  t.is(w.mesos.agents.running(), 3);
  await w.crash();
  await w.until(w.clock.now() + 120_000);
  t.is(w.mesos.agents.running(), 3);
  t.deepEqual(runs(w), []);
});

test('CANCEL_NEW skips a target that finds a run active, and says so', async t => {
  const w = await world();
  await w.create({ ...base, command: 'sleep 90; exit 0', cron: '* * * * *', collision_policy: 'CANCEL_NEW' });
  await w.until(w.clock.now() + 4 * 60_000 + 5_000);
  t.deepEqual(
    outcomes(w).map(one => one.outcome),
    ['ran', 'skipped', 'ran', 'skipped'],
  );
});

test('KILL_EXISTING ends the active run, and only then starts the next', async t => {
  const w = await world({ life: () => ({ start_delay_ms: 10, duration_ms: 90_000, exit: { code: 0 }, term_ms: 500 }) });
  await w.create({ ...base, cron: '* * * * *', collision_policy: 'KILL_EXISTING' });
  await w.until(w.clock.now() + 3 * 60_000 + 5_000);
  t.deepEqual(
    outcomes(w).map(one => one.outcome),
    ['ran', 'ran', 'ran'],
  );
  t.deepEqual(
    runs(w).map(one => [one.outcome, one.by]),
    [
      ['killed', 'overlap'],
      ['killed', 'overlap'],
    ],
  );
});

test('a deleted job is gone with its runs, and its name can be had again at once', async t => {
  const w = await world({ life: () => ({ start_delay_ms: 10, exit: { code: 0 }, term_ms: 500 }) });
  await w.create({ ...base, service: true, instances: 2 });
  await w.until(w.clock.now() + 5_000);
  t.is((await w.submit({ type: 'delete', key })).type, 'deleted');
  const again = w.create({ ...base, command: 'sleep 1' });
  await w.until(w.clock.now() + 30_000);
  t.is((await again).type, 'created');
  await w.until(w.clock.now() + 30_000);
  t.is(w.mesos.agents.running(), 1);
  t.is(w.scheduler.counts().jobs, 1);
});

test('a job submitted twice is accepted once', async t => {
  const w = await world();
  t.is((await w.create(base)).type, 'created');
  t.like(await w.create(base), { type: 'refused', code: 'exists' });
});

test('a start asked for twice under one request is one run', async t => {
  const w = await world();
  await w.create({ ...base, cron: '0 0 1 1 *' });
  const first = await w.submit({ type: 'start-run', key, request: 'abc' });
  const second = await w.submit({ type: 'start-run', key, request: 'abc' });
  t.is(first.type, 'started');
  t.is(second.type, 'existing');
  await w.until(w.clock.now() + 10_000);
  t.is(runs(w).length, 1);
  t.is((await w.submit({ type: 'start-run', key, request: 'abc' })).type, 'existing');
});

test('what cannot fit waits, with the reason', async t => {
  const w = await world();
  await w.create({ ...base, cpus: 64 });
  await w.until(w.clock.now() + 5_000);
  t.deepEqual([...w.scheduler.pending.keys()], [`${key}/1.once/0`]);
  const reason = w.scheduler.pending.why(`${key}/1.once/0`);
  t.regex(reason?.summary ?? '', /cpus: needs 64/);
  t.is((await w.submit({ type: 'kill-all', key })).type, 'killing');
  await w.until(w.clock.now() + 5_000);
  t.deepEqual(
    runs(w).map(one => one.outcome),
    ['killed'],
  );
});

test('a crash at every commit of a small day loses no target and starts no attempt twice', async t => {
  /** The day, interrupted when `stall_at` would have been written; the next life finds the first `kept` records. */
  const day = async (stall_at?: number, kept?: number) => {
    const w = await world({ seed: 7, batch_changes_max: 1, ...(stall_at === undefined ? {} : { stall_at }) });
    const start = w.clock.now();
    // Withheld answers are for the next life to give; what is asked is asked all the same.
    void w.create({ ...base, cron: '* * * * *', retries: 1, command: 'sleep 2; exit 0' });
    void w.create({ ...base, name: 'once', command: 'sleep 1; exit 5', retries: 1 });
    if (stall_at !== undefined) {
      for (let at = start; w.journal.written() < stall_at && at < start + 190_000; at += 100) await w.until(at);
      await w.crash(kept);
    }
    await w.until(start + 200_000);
    return w;
  };
  const whole = await day();
  const both_jobs = whole.commits.findIndex(
    (_, n) => whole.committed.slice(0, whole.commits[n]).filter(one => one.kind === 'job').length === 2,
  );
  const minutes = [1, 2, 3].map(n => Date.UTC(2026, 0, 1, 0, n));
  let crashes = 0;
  for (let n = both_jobs; n < whole.commits.length - 1; n++) {
    const before = whole.commits[n]!;
    const after = whole.commits[n + 1]!;
    // The commit under way when the power failed is either not there or there and nobody was told.
    for (const kept of [before, after]) {
      const w = await day(before + 1, kept);
      const at = `crash at record ${before}, ${kept} kept`;
      crashes += 1;
      t.deepEqual(w.fatal, [], at);
      const told = w.journal.page('outcome', key, 100).rows.map(row => row.body as OutcomeRow);
      t.deepEqual(told.map(one => one.to).sort(), minutes, `${at}: every target has one outcome`);
      t.deepEqual(new Set(told.map(one => one.outcome)), new Set(['ran']), at);
      const ended = (of: string) =>
        w.journal.page('finished-run', of, 100).rows.map(row => (row.body as FinishedRun).outcome);
      t.deepEqual(ended(key), ['succeeded', 'succeeded', 'succeeded'], at);
      t.deepEqual(ended('www/prod/once'), ['failed'], at);
      for (const id of w.launched) t.true(w.mesos.agents.launches(id) <= 1, `${at}: ${id} was launched twice`);
      t.deepEqual([...w.outbox.entries('run'), ...w.outbox.entries('instance')], [], at);
    }
  }
  t.log(`${crashes} crashes over ${whole.commits.length} commits`);
});

test('a service that is disabled stops, and runs again when it is enabled, also at once', async t => {
  const w = await world({ life: () => ({ start_delay_ms: 10, exit: { code: 0 }, term_ms: 500 }) });
  await w.create({ ...base, service: true, instances: 2, enabled: false });
  await w.until(w.clock.now() + 5_000);
  t.is(w.mesos.agents.running(), 0);
  await w.submit({ type: 'set-enabled', key, enabled: true });
  await w.until(w.clock.now() + 5_000);
  t.is(w.mesos.agents.running(), 2);
  await w.submit({ type: 'set-enabled', key, enabled: false });
  await w.submit({ type: 'set-enabled', key, enabled: true });
  await w.until(w.clock.now() + 10_000);
  t.is(w.mesos.agents.running(), 2);
  await w.submit({ type: 'set-enabled', key, enabled: false });
  await w.until(w.clock.now() + 10_000);
  await w.crash();
  await w.until(w.clock.now() + 10_000);
  t.is(w.mesos.agents.running(), 0);
  t.deepEqual(
    runs(w).map(one => one.by),
    ['service disabled', 'service disabled'],
  );
});

test('a service that was killed stays down until it is started', async t => {
  const w = await world({ life: () => ({ start_delay_ms: 10, exit: { code: 0 }, term_ms: 500 }) });
  await w.create({ ...base, service: true });
  await w.until(w.clock.now() + 5_000);
  t.like(await w.submit({ type: 'start-run', key, request: 'one' }), { type: 'refused', code: 'invalid' });
  await w.submit({ type: 'kill-all', key });
  t.like(await w.submit({ type: 'start-run', key, request: 'two' }), { type: 'refused', code: 'already-running' });
  await w.until(w.clock.now() + 60_000);
  t.is(w.mesos.agents.running(), 0);
  t.like(await w.submit({ type: 'start-run', key, request: 'three' }), { type: 'started' });
  await w.until(w.clock.now() + 5_000);
  t.is(w.mesos.agents.running(), 1);
});
