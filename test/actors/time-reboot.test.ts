// time-reboot.test.ts: @reboot is due once whenever a scheduler begins its reign, and at no other time.

import test from 'ava';
import type { OutcomeRow } from '../../actors/model/records.ts';
import { type World, world } from '../support/world.ts';

const minute = 60_000;
const base = { role: 'www', environment: 'prod', name: 'warm', command: 'sleep 1; exit 0' };
const rows = (w: World) => w.committed.filter(one => one.kind === 'outcome').map(one => one.body as OutcomeRow);
const pass = (w: World, ms = minute) => w.until(w.clock.now() + ms);

test('a job at @reboot runs once per start of the scheduler, its target the instant of that start', async t => {
  const w = await world();
  t.is((await w.create({ ...base, cron: '@reboot' })).type, 'created');
  await pass(w);
  t.is(rows(w).length, 0, 'it was made after this start');
  const starts: number[] = [];
  for (let n = 0; n < 3; n++) {
    await pass(w, 10 * minute);
    starts.push(w.clock.now());
    await w.crash();
    await pass(w);
  }
  t.deepEqual(
    rows(w).map(row => [row.from, row.outcome]),
    starts.map(at => [at, 'ran']),
  );
  t.is(new Set(rows(w).map(row => row.run)).size, 3);
});

test('a crash between the decision and its record neither loses a start nor doubles it', async t => {
  const w = await world({ batch_changes_max: 1 });
  await w.create({ ...base, cron: '@reboot' });
  await pass(w);
  const before = w.journal.durable();
  const begun = w.clock.now();
  await w.crash();
  await pass(w);
  for (let records = before; records <= w.journal.durable(); records++) {
    const again = await world({ batch_changes_max: 1 });
    await again.create({ ...base, cron: '@reboot' });
    await pass(again);
    await again.crash();
    const first = again.clock.now();
    await pass(again);
    await again.crash(Math.min(records, again.journal.durable()));
    await pass(again, 2 * minute);
    const at = again.journal.page('outcome', '', 100).rows.map(row => (row.body as OutcomeRow).from);
    t.is(new Set(at).size, at.length, `cut at ${records}`);
    t.true(at.includes(first + minute), `cut at ${records}: the second start has its run`);
  }
  t.is(rows(w)[0]?.from, begun);
});

test('a tree that is planted again within the same process is no start', async t => {
  let broken = 0;
  const placement = {
    priority_step_ms: 0,
    get placements_max() {
      if (broken > 0) throw new Error(`as the test wanted it: ${broken--}`);
      return 1_000;
    },
  };
  const w = await world({ settings: { placement } });
  await w.create({ ...base, cron: '@reboot' });
  await pass(w);
  await w.crash();
  await pass(w);
  t.is(rows(w).length, 1);
  broken = 1;
  await w.submit({ type: 'start-run', key: 'www/prod/warm', request: 'a' });
  await pass(w, 10 * minute);
  t.is(w.scheduler.counts().restarts, 1);
  t.is(rows(w).length, 1);
});

test('a start whose clock lies before the last one is a start all the same', async t => {
  const w = await world();
  await w.create({ ...base, cron: '@reboot' });
  await pass(w);
  await w.crash();
  await pass(w, 60 * minute);
  w.clock.step(w.clock.now() - 90 * minute);
  const begun = w.clock.now();
  await w.crash();
  await pass(w);
  t.deepEqual(
    rows(w)
      .map(row => row.from)
      .slice(-1),
    [begun],
  );
  t.is(rows(w).length, 2);
});

test('a job that is switched off at the start is told so once, and not run when it is switched on', async t => {
  const w = await world();
  await w.create({ ...base, cron: '@reboot', enabled: false });
  await pass(w);
  await w.crash();
  await pass(w);
  await w.submit({ type: 'set-enabled', key: 'www/prod/warm', enabled: true });
  await pass(w);
  t.deepEqual(
    rows(w).map(row => [row.outcome, row.why]),
    [['skipped', 'disabled']],
  );
});
