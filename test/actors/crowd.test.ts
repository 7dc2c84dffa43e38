// crowd.test.ts: there are never more instances than there may be, whoever wants them, and every refusal is told.

import test from 'ava';
import type { OutcomeRow, RunRecord } from '../../actors/model/records.ts';
import { job, type World, world } from '../support/world.ts';

const minute = 60_000;
const base = { role: 'www', environment: 'prod', command: 'sleep 90; exit 0' };
const small = (instances_max: number) => world({ settings: { instances_max } });
const alive = (w: World) =>
  [...w.outbox.entries('run')].reduce((sum, [, body]) => sum + (body as RunRecord).instances, 0);
const rows = (w: World) =>
  w.journal
    .page('outcome', '', 1_000)
    .rows.map(row => row.body as OutcomeRow)
    .reverse();

test('what would be one too many is refused with the room that there is', async t => {
  const w = await small(5);
  t.like(await w.create({ ...base, name: 'web', service: true, instances: 3 }), { type: 'created' });
  t.like(await w.create({ ...base, name: 'once', instances: 3 }), {
    type: 'refused',
    code: 'too-many',
    message: '3 instance(s) are wanted and there is room for 2: let others end, or raise --instances-max',
  });
  t.like(await w.create({ ...base, name: 'once', instances: 2 }), { type: 'created' });
  const grown = (instances: number) =>
    w.submit({
      type: 'submit',
      mode: 'replace',
      job: job({ ...base, name: 'web', service: true, instances }),
    });
  t.like(await grown(4), { type: 'refused', code: 'too-many' });
  t.like(await grown(2), { type: 'replaced' });
  t.like(await grown(3), { type: 'replaced' });
  await w.until(w.clock.now() + 3 * minute);
  t.like(await grown(5), { type: 'replaced' }, 'the other has ended');
  t.is(alive(w), 5);
});

test('a target that finds no room is skipped and says why; a start by hand is refused', async t => {
  const w = await small(2);
  const many = { cron: '* * * * *', overlap: { policy: 'allow' as const } };
  for (const name of ['a', 'b', 'c', 'd']) await w.create({ ...base, name, ...many });
  await w.until(w.clock.now() + 45_000);
  t.deepEqual(
    rows(w)
      .map(row => `${row.outcome} ${row.why}`)
      .sort(),
    ['ran undefined', 'ran undefined', 'skipped instances', 'skipped instances'],
  );
  t.is(alive(w), 2);
  t.like(await w.submit({ type: 'start-run', key: 'www/prod/d', request: 'x' }), { type: 'refused', code: 'too-many' });
  await w.crash();
  t.like(await w.submit({ type: 'start-run', key: 'www/prod/d', request: 'y' }), { type: 'refused', code: 'too-many' });
  await w.until(w.clock.now() + 10 * minute);
  t.true(rows(w).filter(row => row.outcome === 'ran').length > 4, 'those that end make room');
  t.deepEqual(w.fatal, []);
});

test('what one job begins in one step is kept within the limit too', async t => {
  const w = await small(4);
  await w.create({
    ...base,
    name: 'late',
    instances: 2,
    cron: '* * * * *',
    overlap: { policy: 'allow', max: 10 },
    catch_up: { policy: 'all' },
  });
  w.clock.step(w.clock.now() + 6 * minute);
  await w.until(w.clock.now() + 10_000);
  t.is(alive(w), 4);
  t.is(rows(w).filter(row => row.why === 'instances').length, rows(w).length - 2);
});

test('a service that was switched off comes back only where there is room', async t => {
  const w = await small(3);
  await w.create({ ...base, name: 'web', service: true, instances: 2, enabled: false });
  await w.create({ ...base, name: 'other', service: true, instances: 2 });
  const enable = () => w.submit({ type: 'set-enabled', key: 'www/prod/web', enabled: true });
  t.like(await enable(), { type: 'refused', code: 'too-many' });
  await w.submit({ type: 'kill-all', key: 'www/prod/other' });
  await w.until(w.clock.now() + minute);
  t.like(await enable(), { type: 'changed' });
  t.is(alive(w), 2);
});
