// instances.test.ts: the health checks of one instance are snoozed and woken over the API.

import test from 'ava';
import { systemClock } from '../../schedules/clock.ts';
import { snoozed } from '../../transport/http/schemas.ts';
import { hello, hello_path, serve } from './support/serve.ts';

const path = `${hello_path}/instances/2`;

test('a snooze is handed on with its end as an instant: so many minutes, until then, or until it is woken', async t => {
  const { ask, core } = await serve(t);
  const before = systemClock().now();
  await ask('POST', '/api/v1/jobs', { json: hello });
  const wish = async (json: object) => {
    const answer = await ask('POST', `${path}/snooze`, { json });
    t.is(answer.status, 202);
    snoozed.parse(answer.json);
    return core.asked.at(-1)?.command;
  };
  const snooze = { type: 'snooze', key: 'www/prod/hello', index: 2 } as const;
  const { until, ...rest } = (await wish({ minutes: 30 })) as typeof snooze & { readonly until: number };
  t.deepEqual(rest, snooze);
  t.true(until >= before + 1_800_000 && until <= systemClock().now() + 1_800_000);
  t.deepEqual(await wish({ until: '2100-01-01T01:00:00+01:00' }), { ...snooze, until: Date.UTC(2100, 0, 1) });
  t.deepEqual(await wish({}), snooze);
  const woken = await ask('POST', `${path}/wake`);
  t.is(woken.status, 202);
  t.like(woken.json, { instance: 2, snooze: 'waking' });
  t.deepEqual(core.asked.at(-1)?.command, { ...snooze, type: 'wake' });
});

test('a snooze that ends before it begins, has two ends or none that can be read is refused', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const asked = core.asked.length;
  for (const json of [
    { until: '2001-01-01T00:00:00Z' },
    { until: 'tomorrow' },
    { minutes: 0 },
    { minutes: 5, until: '2100-01-01T00:00:00Z' },
    { hours: 1 },
  ]) {
    const answer = await ask('POST', `${path}/snooze`, { json });
    t.is(answer.status, 422, JSON.stringify(json));
    t.true((answer.json.problems as object[]).length > 0);
  }
  for (const index of ['-1', 'x', '01', '99999999'])
    t.is((await ask('POST', `${hello_path}/instances/${index}/wake`)).status, 404, index);
  t.is((await ask('POST', '/api/v1/jobs/www/prod/nobody/instances/0/wake')).status, 404);
  t.is(core.asked.length, asked + 1, 'only the last of them is for the core to say');
});
