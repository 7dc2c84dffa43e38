// failover.test.ts: what a new leader makes of delays that were under way when the last one died.

import test from 'ava';
import { tree_settings, type World, world } from '../support/world.ts';

const key = 'www/prod/flaky';
const attempts = (w: World) => [...w.launched].filter(id => id.includes('flaky')).length;

test('a delay before the next attempt goes on across a failover: what is left of it is waited for, not the whole', async t => {
  const instance = { ...tree_settings.instance, retry_delay_ms: 60_000, retry_delay_ms_max: 60_000 };
  const w = await world({ settings: { instance } });
  await w.create({ role: 'www', environment: 'prod', name: 'flaky', command: 'exit 1', max_task_failures: 5 });
  await w.until(w.clock.now() + 5_000);
  t.is(attempts(w), 1);
  const failed_at = w.clock.now();
  await w.until(failed_at + 40_000);
  await w.crash();
  t.is(attempts(w), 1);
  await w.until(failed_at + 50_000);
  t.is(attempts(w), 1, `${key} does not wait less`);
  await w.until(failed_at + 62_000);
  t.is(attempts(w), 2, `${key} does not wait again from the beginning`);
});

test('a delay that ended while nobody led is over when somebody does', async t => {
  const instance = { ...tree_settings.instance, retry_delay_ms: 60_000, retry_delay_ms_max: 60_000 };
  const w = await world({ settings: { instance } });
  await w.create({ role: 'www', environment: 'prod', name: 'flaky', command: 'exit 1', max_task_failures: 5 });
  await w.until(w.clock.now() + 5_000);
  w.scheduler.abandon();
  w.link.cut();
  w.clock.advanceTo(w.clock.now() + 120_000);
  await w.crash();
  await w.until(w.clock.now() + 3_000);
  t.is(attempts(w), 2);
});
