// time-backfill.test.ts: targets of the past run again because somebody asked, in order, once each, beside what was told.

import test from 'ava';
import type { FinishedRun, OutcomeRow, TriggerRecord } from '../../actors/model/records.ts';
import { type World, world } from '../support/world.ts';

const minute = 60_000;
const start = Date.UTC(2026, 0, 1, 0, 0, 20);
const key = 'www/prod/hello';
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'sleep 1; exit 0', cron: '*/10 * * * *' };
const past = { from: Date.UTC(2025, 11, 31, 22), to: Date.UTC(2025, 11, 31, 23) };
const rows = (w: World) =>
  w.journal
    .page('outcome', '', 1_000)
    .rows.map(row => row.body as OutcomeRow)
    .reverse();
const runs = (w: World) => w.committed.filter(one => one.kind === 'finished-run').map(one => one.body as FinishedRun);
const progress = (w: World) => (w.outbox.latest('trigger', key) as TriggerRecord).backfills ?? [];
const pass = (w: World, ms = minute) => w.until(w.clock.now() + ms);

test('a range of the past runs one target after the other, ends included', async t => {
  const w = await world({ start });
  await w.create(base);
  const answer = await w.submit({ type: 'backfill', key, ...past, request: 'b1' });
  t.like(answer, { type: 'backfilling', backfill: 'b1', targets: 7 });
  await pass(w, 5 * minute);
  t.deepEqual(
    runs(w).map(run => run.cause.type === 'backfill' && new Date(run.cause.at).toISOString().slice(11, 16)),
    ['22:00', '22:10', '22:20', '22:30', '22:40', '22:50', '23:00'],
  );
  t.deepEqual(new Set(rows(w).map(row => row.outcome)), new Set(['backfilled']));
  t.like(progress(w)[0], { id: 'b1', targets: 7, told: 7 });
  t.true(progress(w)[0]?.over_at !== undefined);
});

test('runs side by side are as many as asked for, and never more', async t => {
  const w = await world({ start });
  await w.create({ ...base, command: 'sleep 30; exit 0' });
  await w.submit({ type: 'backfill', key, ...past, overlap: { policy: 'allow', max: 3 }, request: 'b1' });
  let most = 0;
  for (let n = 0; n < 60; n++) {
    await pass(w, 5_000);
    most = Math.max(most, [...w.outbox.entries('run')].length);
  }
  t.is(most, 3);
  t.is(runs(w).length, 7);
});

test('the same request again begins nothing, a limit is kept, and a range that has not passed is refused', async t => {
  const w = await world({ start });
  await w.create(base);
  await w.submit({ type: 'backfill', key, ...past, limit: 2, request: 'b1' });
  await pass(w);
  t.like(await w.submit({ type: 'backfill', key, ...past, limit: 2, request: 'b1' }), {
    type: 'backfilling',
    targets: 2,
  });
  await pass(w);
  t.is(runs(w).length, 2);
  const beyond = { from: past.from, to: w.clock.now() + 1 };
  t.like(await w.submit({ type: 'backfill', key, ...beyond, request: 'b2' }), { type: 'refused', code: 'invalid' });
  const other = { ...past, schedule: 'none', request: 'b3' };
  t.like(await w.submit({ type: 'backfill', key, ...other }), { type: 'refused', code: 'invalid' });
});

test('the outcome that a target had stays beside that of its backfill', async t => {
  const w = await world({ start });
  await w.create(base);
  await pass(w, 15 * minute);
  const at = start - 20_000 + 10 * minute;
  await w.submit({ type: 'backfill', key, from: at, to: at, request: 'b1' });
  await pass(w);
  t.deepEqual(
    rows(w).map(row => [row.from, row.outcome]),
    [
      [at, 'ran'],
      [at, 'backfilled'],
    ],
  );
});

test('under skip, what finds a run active is told as skipped by the backfill', async t => {
  const w = await world({ start });
  await w.create(base);
  await w.submit({ type: 'backfill', key, ...past, overlap: { policy: 'skip' }, request: 'b1' });
  await pass(w);
  t.is(runs(w).length, 1);
  t.is(rows(w).filter(row => row.outcome === 'skipped' && row.backfill === 'b1').length, 6);
});

test('a crash at any record of a backfill loses no target of it and runs none twice', async t => {
  const whole = await world({ start, batch_changes_max: 1 });
  await whole.create(base);
  const before = whole.journal.durable();
  await whole.submit({ type: 'backfill', key, from: past.from, to: past.from + 20 * minute, request: 'b1' });
  await pass(whole);
  for (const records of whole.commits.filter(position => position > before)) {
    const w = await world({ start, batch_changes_max: 1 });
    await w.create(base);
    await w.submit({ type: 'backfill', key, from: past.from, to: past.from + 20 * minute, request: 'b1' });
    await pass(w);
    await w.crash(records);
    await pass(w, 3 * minute);
    await w.submit({ type: 'backfill', key, from: past.from, to: past.from + 20 * minute, request: 'b1' });
    await pass(w, 3 * minute);
    const told = rows(w).filter(row => row.outcome === 'backfilled');
    t.is(told.length, 3, `cut at ${records}`);
    t.is(new Set(told.map(row => row.from)).size, 3, `cut at ${records}`);
  }
});
