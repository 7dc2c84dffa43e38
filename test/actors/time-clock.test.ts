// time-clock.test.ts: clocks are set forward and back, machines sleep: no target is lost, none is decided twice.

import test from 'ava';
import type { OutcomeRow } from '../../actors/model/records.ts';
import { type World, world } from '../support/world.ts';
import { account } from './support/accounts.ts';

const minute = 60_000;
const hour = 60 * minute;
const base = { role: 'www', environment: 'prod', command: 'sleep 1; exit 0' };
const pass = (w: World, ms = minute) => w.until(w.clock.now() + ms);
const of = (w: World, name: string) =>
  w.journal
    .page('outcome', `www/prod/${name}/`, 1_000)
    .rows.map(row => row.body as OutcomeRow)
    .reverse();

/** A job for each way of catching up, and one in a zone. */
async function jobs(): Promise<World> {
  const w = await world();
  for (const policy of ['none', 'last', 'all', 'first'] as const)
    await w.create({
      ...base,
      name: policy,
      cron: '* * * * *',
      catch_up: { policy },
      overlap: { policy: 'buffer-all' },
    });
  await w.create({ ...base, name: 'zoned', cron: '*/5 * * * *', zone: 'Europe/Vienna' });
  await pass(w, 3 * minute);
  return w;
}

test('a clock that is set forward: what it leapt over is decided as the policy says, each target once', async t => {
  const w = await jobs();
  w.clock.step(w.clock.now() + 10 * minute);
  await pass(w, 5 * minute);
  t.deepEqual(account(w, w.clock.now(), minute).complaints, []);
  t.deepEqual(
    of(w, 'none').flatMap(row => (row.outcome === 'ran' ? [] : [[row.outcome, row.count, row.why]])),
    [['missed', 10, 'not_caught_up']],
  );
  t.is(of(w, 'all').filter(row => row.outcome === 'caught-up').length, 10);
  t.is(of(w, 'first').filter(row => row.outcome === 'caught-up').length, 1);
});

test('a clock that is set back: no target that was decided is decided again, and none after it is lost', async t => {
  const w = await jobs();
  const before = w.clock.now();
  w.clock.step(before - 10 * minute);
  await pass(w, 5 * minute);
  t.deepEqual(account(w, before).complaints, []);
  await pass(w, 20 * minute);
  t.deepEqual(account(w, w.clock.now(), minute).complaints, []);
  for (const name of ['none', 'last', 'all', 'first'])
    t.true(
      of(w, name).every(row => row.outcome === 'ran'),
      `${name} has nothing to catch up`,
    );
});

test('a machine that slept wakes up: what passed in its sleep is one absence, whatever its length', async t => {
  const w = await jobs();
  // Asleep: no timer fires, and the clock on the wall goes on. Then everything is late at once.
  w.clock.step(w.clock.now() + 2 * 24 * hour);
  await pass(w, 2 * minute);
  t.deepEqual(account(w, w.clock.now(), minute).complaints, []);
  const [missed] = of(w, 'none').filter(row => row.outcome === 'missed');
  t.is(missed?.count, 2 * 24 * 60);
  t.is(of(w, 'last').filter(row => row.outcome === 'caught-up' || row.outcome === 'superseded').length <= 2, true);
});

test('a clock that is set back and forth while the scheduler is down leaves the same account', async t => {
  const w = await jobs();
  for (const step of [-2 * hour, 5 * hour, -30 * minute, 90_000]) {
    w.clock.step(w.clock.now() + step);
    await w.crash();
    await pass(w, 3 * minute);
  }
  await pass(w, 3 * hour);
  t.deepEqual(account(w, w.clock.now(), minute).complaints, []);
});

test('an absence is caught up no faster than the rate of the job allows', async t => {
  const w = await world();
  const catch_up = { policy: 'all', rate: { runs: 2, per_ms: 5 * minute } } as const;
  await w.create({ ...base, name: 'slow', cron: '*/10 * * * *', catch_up, overlap: { policy: 'allow', max: 10 } });
  await pass(w, minute);
  w.clock.step(w.clock.now() + hour);
  const begun = w.clock.now();
  await pass(w, 4 * minute);
  t.is(of(w, 'slow').length, 2);
  await pass(w, 5 * minute);
  t.is(of(w, 'slow').length, 4);
  await pass(w, 30 * minute);
  t.deepEqual(account(w, w.clock.now(), minute).complaints, []);
  const late = of(w, 'slow').filter(row => row.outcome === 'caught-up');
  for (const row of late)
    t.true(
      late.filter(other => Math.abs(other.decided_at - row.decided_at) < 4 * minute).length <= 2,
      `${row.from - begun}`,
    );
});
