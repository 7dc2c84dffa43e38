// http.test.ts: who is found over HTTP: those that run, from the moment they do until their end is decided.

import test from 'ava';
import type { InstanceRecord, RunRecord } from '../../actors/model/records.ts';
import { members, target_groups } from '../../transport/http/schemas.ts';
import { serve } from '../http/support/serve.ts';

const submission = {
  role: 'www',
  environment: 'prod',
  name: 'web',
  command: 'serve',
  service: true,
  instances: 3,
  ports: ['http', 'admin'],
  labels: { 'app.team': 'blue' },
};
const key = 'www/prod/web';
const base = { attempt: 2, failures: 0, since: 1, agent_id: 'a', version: 1, started_at: 2 };
const at = (status: 'assigned' | 'starting' | 'running' | 'unreachable', host: string): InstanceRecord => ({
  ...base,
  status,
  hostname: host,
  ports: { http: 31_000, admin: 31_001 },
});

async function withInstances(t: Parameters<typeof serve>[0], ...records: readonly InstanceRecord[]) {
  return withJob(t, {}, ...records);
}
async function withJob(t: Parameters<typeof serve>[0], more: object, ...records: readonly InstanceRecord[]) {
  const served = await serve(t);
  const { status, text } = await served.ask('POST', '/api/v1/jobs', { json: { ...submission, ...more } });
  if (status !== 201) throw new Error(text);
  const run = '1.service';
  const body: RunRecord = { run, cause: { type: 'service' }, instances: 3, created_at: 1 };
  served.core.commit({ kind: 'run', key: `${key}/${run}`, body });
  const set = (index: number, body: InstanceRecord) =>
    served.core.commit({ kind: 'instance', key: `${key}/${run}/${index}`, body });
  for (const [index, record] of records.entries()) set(index, record);
  const found = async (query = '') =>
    members
      .parse((await served.ask('GET', `/api/v1/discovery/${key}${query}`)).json)
      .members.map(({ index, host, ports }) => [index, host, ports] as const);
  const groups = async (query = '') =>
    target_groups.parse(JSON.parse((await served.ask('GET', `/api/v1/http_sd${query}`)).text));
  return { ...served, run, set, found, groups };
}

test('an instance is found when it runs, and no more when its end is decided, though its task lives', async t => {
  const { found, set } = await withInstances(t, at('starting', 'h0'), at('running', 'h1'), at('unreachable', 'h2'));
  const ports = { http: 31_000, admin: 31_001 };
  t.deepEqual(await found(), [[1, 'h1', ports]], 'one that is not healthy yet, or out of sight, is not there');
  set(0, at('running', 'h0'));
  t.deepEqual(await found(), [
    [0, 'h0', ports],
    [1, 'h1', ports],
  ]);
  set(1, { ...base, status: 'killing', hostname: 'h1', ports, by: 'ann', replace: true });
  t.deepEqual(await found(), [[0, 'h0', ports]]);
  t.deepEqual(await found('?port=admin'), [[0, 'h0', { admin: 31_001 }]]);
  t.deepEqual(await found('?port=other'), []);
});

test('who is sick is not found until it is well again', async t => {
  const { found, set } = await withInstances(t, at('running', 'h0'), at('running', 'h1'));
  set(0, { ...at('running', 'h0'), unhealthy: true } as InstanceRecord);
  t.deepEqual(
    (await found()).map(([index]) => index),
    [1],
  );
  set(0, at('running', 'h0'));
  t.deepEqual(
    (await found()).map(([index]) => index),
    [0, 1],
  );
});

test('who is out of reach is found for as long as its partition policy waits for it', async t => {
  const away = at('unreachable', 'h0');
  const { started_at: _, ...never_up } = { ...base, ...away };
  for (const [partition_policy, expected] of [
    [undefined, 0],
    [{ reschedule: true }, 0],
    [{ reschedule: true, delay_ms: 60_000 }, 1],
    [{ reschedule: false }, 1],
  ] as const) {
    const { found } = await withJob(t, { partition_policy }, away, never_up as InstanceRecord);
    t.is((await found()).length, expected, JSON.stringify(partition_policy));
  }
});

test('Prometheus is told each port of each instance, with labels that say whose it is', async t => {
  const { groups, run } = await withInstances(t, at('running', 'fd00::1'));
  const labels = {
    __meta_horae_job: key,
    __meta_horae_role: 'www',
    __meta_horae_environment: 'prod',
    __meta_horae_name: 'web',
    __meta_horae_instance: '0',
    __meta_horae_task_id: `www:prod:web:${run}:0:2`,
    __meta_horae_label_app_team: 'blue',
  };
  t.deepEqual(await groups(), [
    { targets: ['[fd00::1]:31000'], labels: { ...labels, __meta_horae_port: 'http' } },
    { targets: ['[fd00::1]:31001'], labels: { ...labels, __meta_horae_port: 'admin' } },
  ]);
  t.is((await groups('?port=admin')).length, 1);
  t.deepEqual(await groups('?role=ops'), []);
});

test('a job that is not there is 404, a word that nobody knows 400, and without jobs there is an empty list', async t => {
  const { ask } = await serve(t);
  t.is((await ask('GET', '/api/v1/discovery/a/b/c')).status, 404);
  t.is((await ask('GET', '/api/v1/http_sd?ports=x')).status, 400);
  t.is((await ask('GET', '/api/v1/http_sd')).text.trim(), '[]');
});
