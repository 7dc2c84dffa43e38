// waiting.test.ts: runs that wait behind an active one: what becomes of them, and who can take them back.

import test from 'ava';
import type { FinishedRun, OutcomeRow, TriggerRecord } from '../../actors/model/records.ts';
import { type World, world } from '../support/world.ts';

const minute = 60_000;
const key = 'www/prod/hello';
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'sleep 150; exit 0' };
const far = { cron: '0 0 1 7 *' };
const finished = (w: World) =>
  w.journal
    .page('finished-run', '', 1_000)
    .rows.map(row => row.body as FinishedRun)
    .reverse();
const rows = (w: World) =>
  w.journal
    .page('outcome', '', 1_000)
    .rows.map(row => row.body as OutcomeRow)
    .reverse();
const pass = (w: World, ms = minute) => w.until(w.clock.now() + ms);
const start = (w: World, request: string) => w.submit({ type: 'start-run', key, request });
const waiting = (w: World) => (w.outbox.latest('trigger', key) as TriggerRecord).waiting.map(one => one.run);
const runOf = (answer: object) => ('run' in answer ? String(answer.run) : '');

test('a start by hand that another one supersedes is told as a run that never was, and its request is remembered', async t => {
  const w = await world();
  await w.create({ ...base, ...far, overlap: { policy: 'buffer-one' } });
  await start(w, 'a');
  const superseded = await start(w, 'b');
  t.like(superseded, { type: 'waiting' });
  t.like(await start(w, 'c'), { type: 'waiting' });
  t.like(finished(w).at(-1), { run: runOf(superseded), outcome: 'killed', by: 'overlap', results: [] });
  t.like(await start(w, 'b'), { type: 'existing', run: runOf(superseded) });
  await w.crash();
  t.like(await start(w, 'b'), { type: 'existing', run: runOf(superseded) });
  await pass(w, 10 * minute);
  t.deepEqual(
    finished(w)
      .map(one => one.outcome)
      .sort(),
    ['killed', 'succeeded', 'succeeded'],
  );
});

test('a start by hand that waits when its job is deleted is told as killed', async t => {
  const w = await world();
  await w.create({ ...base, ...far, overlap: { policy: 'buffer-all' } });
  await start(w, 'a');
  const lost = await start(w, 'b');
  await w.submit({ type: 'delete', key });
  await pass(w);
  t.like(
    finished(w).find(one => one.run === runOf(lost)),
    { outcome: 'killed', by: 'deleted' },
  );
});

test('a run that waits is killed like any other, and the active one goes on', async t => {
  const w = await world();
  await w.create({ ...base, ...far, overlap: { policy: 'buffer-all' } });
  const active = runOf(await start(w, 'a'));
  const first = runOf(await start(w, 'b'));
  const second = runOf(await start(w, 'c'));
  t.like(await w.submit({ type: 'kill-run', key, run: first }), { type: 'killing', count: 1 });
  t.deepEqual(waiting(w), [second]);
  t.like(finished(w).at(-1), { run: first, outcome: 'killed', by: 'tester' });
  t.like(await w.submit({ type: 'kill-run', key, run: first }), { type: 'refused', code: 'not-found' });
  await pass(w, 10 * minute);
  t.deepEqual(
    finished(w).map(one => [one.run, one.outcome]),
    [
      [active, 'succeeded'],
      [first, 'killed'],
      [second, 'succeeded'],
    ],
  );
});

test('a target that waits and is killed is told as skipped', async t => {
  const w = await world();
  await w.create({ ...base, cron: '* * * * *', overlap: { policy: 'buffer-one' } });
  await pass(w, 2 * minute);
  const [run = ''] = waiting(w);
  t.like(await w.submit({ type: 'kill-run', key, run }), { type: 'killing' });
  t.deepEqual(
    rows(w).map(row => [row.outcome, row.why]),
    [
      ['ran', undefined],
      ['skipped', 'killed'],
    ],
  );
  t.like(finished(w).at(-1), { run, outcome: 'killed', by: 'tester' });
});

test('who kills all runs of a job leaves none that waits, and no backfill that would go on', async t => {
  const w = await world();
  await w.create({ ...base, cron: '*/10 * * * *', overlap: { policy: 'buffer-all' } });
  const to = w.clock.now() - 30 * minute;
  await w.submit({ type: 'backfill', key, from: to - 60 * minute, to, request: 'past' });
  for (const request of ['a', 'b']) await start(w, request);
  t.like(await w.submit({ type: 'kill-all', key }), { type: 'killing', count: 3 });
  t.deepEqual(waiting(w), []);
  await pass(w, 5 * minute);
  t.is(w.launched.size, 1);
  t.is(finished(w).length, 3);
  const [backfill] = (w.outbox.latest('trigger', key) as TriggerRecord).backfills ?? [];
  t.like(backfill, { told: 1, targets: 6, ended_by: 'tester' });
  t.true(backfill?.over_at !== undefined);
  t.like(await start(w, 'c'), { type: 'started' });
});

test('a run that starts while it is being killed is killed all the same', async t => {
  for (let steps = 0; steps < 60; steps++) {
    const w = await world({ seed: steps });
    await w.create({ ...base, command: 'sleep 20; exit 0', ...far, overlap: { policy: 'buffer-all' } });
    const active = runOf(await start(w, 'a'));
    const next = runOf(await start(w, 'b'));
    await pass(w, 5_000);
    const first = w.scheduler.submit({
      command: { type: 'kill-run', key, run: active },
      principal: { name: 'x' },
      request_id: 'k1',
    });
    await w.some(steps);
    const second = w.submit({ type: 'kill-run', key, run: next });
    t.like(await first, { type: 'killing', count: 1 });
    t.like(await second, { type: 'killing', count: 1 });
    await pass(w);
    t.deepEqual(
      finished(w).map(one => one.outcome),
      ['killed', 'killed'],
      `after ${steps} steps`,
    );
    t.deepEqual([...w.outbox.entries('run')], []);
  }
});
