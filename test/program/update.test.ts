// update.test.ts: rolling updates of real processes on this machine: one that is well, and one whose health check says no.

import test from 'ava';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, startHorae } from './horae.ts';

const path = '/api/v1/jobs/me/test/web';
const health_check = {
  checker: { type: 'shell', command: 'test -e healthy' },
  initial_interval_ms: 500,
  interval_ms: 500,
  max_consecutive_failures: 1,
};
/** Healthy when it makes the file that its check looks for. */
const web = (command: string) => ({
  role: 'me',
  environment: 'test',
  name: 'web',
  command,
  service: true,
  instances: 2,
  cpus: 0.1,
  mem: 16,
  health_check,
  kill_grace_ms: 1_000,
});
type Update = { readonly id: string; readonly status: string; readonly progress: { readonly failed: string } };
type Event = { readonly status?: string; readonly index?: number; readonly action?: string; readonly message?: string };

const over = (api: Api, id: string) =>
  until(
    `update ${id} to be over`,
    async () => {
      const update = (await api.get(`${path}/updates/${id}`)) as Update;
      return !update.status.startsWith('ROLLING') && update;
    },
    120_000,
  );
const running = async (api: Api) => {
  const { runs } = (await api.get(`${path}/runs`)) as { runs: { instances: { state: string }[] }[] };
  return runs[0]?.instances.filter(one => one.state === 'running').length;
};
const begin = async (api: Api, command: string) => {
  const answer = await api.request('POST', `${path}/updates`, { job: web(command), watch_ms: 500 });
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
  return (answer.body() as { update: string }).update;
};
const diary = async (api: Api, id: string) => {
  const { events } = (await api.get(`${path}/updates/${id}/events`)) as { events: Event[] };
  return events.reverse().map(({ status, index, action }) => status ?? `${index} ${action}`);
};

test('case 87: a document that its health check finds sick is rolled back, and one that is well goes forward', async t => {
  t.timeout(10 * 60_000);
  const { api } = await startHorae(t, await tempDir(t));
  const created = await api.request('POST', '/api/v1/jobs', web('touch healthy; sleep 1000'));
  t.is(created.status, 201, created.text);
  await until('the service to run', async () => (await running(api)) === 2, 120_000);

  const sick = await begin(api, 'echo never; sleep 1000');
  t.is((await over(api, sick)).status, 'ROLLED_BACK');
  t.deepEqual(await diary(api, sick), [
    'ROLLING_FORWARD',
    '0 INSTANCE_UPDATING',
    '0 INSTANCE_UPDATE_FAILED',
    'ROLLING_BACK',
    '0 INSTANCE_ROLLING_BACK',
    '0 INSTANCE_ROLLED_BACK',
    'ROLLED_BACK',
  ]);
  const { events } = (await api.get(`${path}/updates/${sick}/events`)) as { events: Event[] };
  t.regex(events.find(one => one.action === 'INSTANCE_UPDATE_FAILED')?.message ?? '', /unhealthy/);
  await until('both to run again', async () => (await running(api)) === 2);

  const well = await begin(api, 'touch healthy; sleep 2000');
  t.is((await over(api, well)).status, 'ROLLED_FORWARD');
  t.is(await running(api), 2);
});
