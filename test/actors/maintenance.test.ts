// maintenance.test.ts: the whole scheduler, when an operator takes agents out of service.

import test from 'ava';
import type { FinishedAttempt, InstanceRecord } from '../../actors/model/records.ts';
import { type World, world } from '../support/world.ts';

const minute = 60_000;
const hour = 60 * minute;
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'sleep infinity' };
const life = () => ({ start_delay_ms: 10, exit: { code: 0 }, term_ms: 5 });

const instances = (w: World, job: string) =>
  [...w.outbox.entries('instance')]
    .filter(([key]) => key.startsWith(`www/prod/${job}/`))
    .map(([, body]) => body as InstanceRecord);
const running = (w: World, job: string) =>
  instances(w, job).flatMap(at => (at.status === 'running' ? [at.agent_id] : []));
const failures = (w: World) =>
  w.committed
    .filter(({ kind }) => kind === 'finished-attempt')
    .map(({ body }) => (body as FinishedAttempt).outcome)
    .filter(outcome => outcome !== 'killed');
const announce = (w: World, agent: string, from: number) =>
  w.mesos.host.operate({
    type: 'maintain',
    agents: [agent],
    unavailability: { start: { nanoseconds: from * 1e6 }, duration: { nanoseconds: hour * 1e6 } },
  });

test('a service has left its agent before maintenance, one by one, and nothing counts as failed', async t => {
  const w = await world({ agents: 3, life });
  await w.create({ ...base, service: true, instances: 4 });
  await w.until(w.clock.now() + 10_000);
  const [agent = ''] = running(w, 'hello');
  t.deepEqual(
    running(w, 'hello'),
    Array.from({ length: 4 }, () => agent),
  );

  const from = w.clock.now() + 3 * hour;
  announce(w, agent, from);
  await w.until(from - hour - minute);
  t.is(running(w, 'hello').length, 4);
  t.true(
    running(w, 'hello').every(where => where === agent),
    'nobody moves early',
  );
  let least = 4;
  while (w.clock.now() < from - 30 * minute) {
    await w.until(w.clock.now() + 1_000);
    least = Math.min(least, running(w, 'hello').length);
  }
  t.true(least >= 3, `only ${least} of 4 served at some time`);
  t.is(running(w, 'hello').length, 4);
  t.false(running(w, 'hello').includes(agent));
  t.deepEqual(failures(w), []);
  t.deepEqual(w.fatal, []);
});

test('work with an end stays until the last minutes, and is then begun again elsewhere, uncounted', async t => {
  const w = await world({ agents: 2, life });
  await w.create({ ...base, name: 'batch', retries: 0 });
  await w.until(w.clock.now() + 10_000);
  const [agent = ''] = running(w, 'batch');
  const from = w.clock.now() + 3 * hour;
  announce(w, agent, from);
  await w.until(from - 6 * minute);
  t.deepEqual(running(w, 'batch'), [agent]);
  await w.until(from - minute);
  t.like(instances(w, 'batch')[0], { status: 'running', attempt: 2, failures: 0 });
  t.false(running(w, 'batch').includes(agent));
});

test('an agent whose maintenance is called off keeps what it runs', async t => {
  const w = await world({ agents: 2, life });
  await w.create({ ...base, service: true });
  await w.until(w.clock.now() + 10_000);
  const [agent = ''] = running(w, 'hello');
  const from = w.clock.now() + 3 * hour;
  announce(w, agent, from);
  await w.until(from - 2 * hour);
  w.mesos.host.operate({ type: 'maintain', agents: [agent], unavailability: undefined });
  await w.until(from + hour);
  t.like(instances(w, 'hello')[0], { status: 'running', attempt: 1, agent_id: agent });
});

test('a service that begins goes where it may stay', async t => {
  const w = await world({ agents: 2, life });
  await w.settle();
  announce(w, 'sim-S0', w.clock.now() + 5 * hour);
  await w.create({ ...base, service: true, instances: 3 });
  await w.until(w.clock.now() + 10_000);
  t.deepEqual(running(w, 'hello'), ['sim-S1', 'sim-S1', 'sim-S1']);
});
