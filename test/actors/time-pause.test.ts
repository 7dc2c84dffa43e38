// time-pause.test.ts: a paused job rests, says why, and owes no target an outcome; a count is used up by targets alone.

import test from 'ava';
import type { OutcomeRow } from '../../actors/model/records.ts';
import { type World, world } from '../support/world.ts';

const minute = 60_000;
const key = 'www/prod/hello';
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'sleep 1; exit 0' };
const rows = (w: World) =>
  w.journal
    .page('outcome', '', 1_000)
    .rows.map(row => row.body as OutcomeRow)
    .reverse();
const pass = (w: World, ms = minute) => w.until(w.clock.now() + ms);
const record = (w: World) =>
  w.outbox.latest('trigger', key) as { paused?: { note: string; since: number; by: string } } | undefined;

test('targets that pass while a job is paused are skipped, each with its outcome, and it goes on when resumed', async t => {
  const w = await world();
  await w.create({ ...base, cron: '* * * * *' });
  await pass(w, 2 * minute);
  const at = w.clock.now();
  t.like(await w.submit({ type: 'pause', key, note: 'the disk is full' }), { type: 'changed' });
  t.deepEqual(record(w)?.paused, { note: 'the disk is full', since: at, by: 'tester' });
  await pass(w, 3 * minute);
  await w.submit({ type: 'resume', key });
  t.is(record(w)?.paused, undefined);
  await pass(w, 2 * minute);
  t.deepEqual(
    rows(w).map(row => [row.outcome, row.why]),
    [
      ['ran', undefined],
      ['ran', undefined],
      ['skipped', 'paused'],
      ['skipped', 'paused'],
      ['skipped', 'paused'],
      ['ran', undefined],
      ['ran', undefined],
    ],
  );
});

test('a pause survives a restart, and an absence within it is skipped, not caught up', async t => {
  const w = await world();
  await w.create({ ...base, cron: '* * * * *' });
  await pass(w);
  await w.submit({ type: 'pause', key, note: 'later' });
  w.clock.step(w.clock.now() + 10 * minute);
  await w.crash();
  await pass(w);
  t.is(record(w)?.paused?.note, 'later');
  const told = rows(w);
  t.is(told.filter(row => row.outcome === 'ran').length, 1);
  t.is(
    told.filter(row => row.why === 'paused').reduce((sum, row) => sum + row.count, 0),
    11,
  );
});

test('a run by hand starts while the job is paused, and a start that waits because of a target does not', async t => {
  const w = await world();
  await w.create({ ...base, command: 'sleep 150; exit 0', cron: '* * * * *', overlap: { policy: 'buffer-one' } });
  await pass(w, 2 * minute);
  await w.submit({ type: 'pause', key, note: 'enough' });
  await pass(w, 5 * minute);
  t.like(await w.submit({ type: 'start-run', key, request: 'x' }), { type: 'started' });
  await pass(w, 3 * minute);
  t.is(rows(w).filter(row => row.outcome === 'ran').length, 1);
  t.is(rows(w).find(row => row.outcome === 'skipped')?.why, 'paused');
});

test('a job that fails too often in a row is paused, and says so; a success begins the count anew', async t => {
  const codes = [1, 1, 0, 1, 1, 1, 1];
  const w = await world({
    life: () => ({
      start_delay_ms: 10,
      duration_ms: 100,
      exit: { code: codes.shift() ?? 1 },
      term_ms: 1,
    }),
  });
  await w.create({ ...base, cron: '* * * * *', pause_on_failure: 3 });
  await pass(w, 10 * minute);
  t.like(record(w)?.paused, { by: 'horae', note: '3 runs in a row failed: pause_on_failure is 3' });
  t.is(rows(w).filter(row => row.outcome === 'ran').length, 6);
  await w.submit({ type: 'resume', key });
  await pass(w);
  t.is(record(w)?.paused, undefined, 'failures are counted anew');
});

test('retries and runs by hand use up nothing of a finite count', async t => {
  const w = await world({ life: () => ({ start_delay_ms: 10, duration_ms: 100, exit: { code: 1 }, term_ms: 1 }) });
  await w.create({ ...base, schedule: 'R3/2026-01-01T00:01:00Z/PT5M', retries: 2 });
  await pass(w, 2 * minute);
  await w.submit({ type: 'start-run', key, request: 'a' });
  await pass(w, 20 * minute);
  t.is(rows(w).length, 3);
  t.is(w.launched.size, 4 * 3);
});

test('a crash at any moment of the failure that pauses a job does not unmake the pause', async t => {
  const life = () => ({ start_delay_ms: 10, duration_ms: 100, exit: { code: 1 }, term_ms: 1 });
  const begun = async () => {
    const w = await world({ life, batch_changes_max: 1 });
    await w.create({ ...base, cron: '* * * * *', pause_on_failure: 2 });
    await pass(w, 3 * minute);
    return w;
  };
  const commits = [...(await begun()).commits];
  for (const records of commits) {
    const w = await begun();
    await w.crash(records);
    await pass(w, 4 * minute);
    if (w.outbox.latest('job', key) === undefined) continue;
    t.is(record(w)?.paused?.by, 'horae', `cut at ${records}`);
    t.is(rows(w).filter(row => row.run !== undefined).length, 2, `cut at ${records}`);
  }
});
