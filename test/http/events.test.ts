// events.test.ts: the story of an instance, put together from its record and from its attempts that are over.

import test from 'ava';
import type { FinishedAttempt, InstanceRecord } from '../../actors/model/records.ts';
import { sortable } from '../../actors/model/records.ts';
import { eventsOf } from '../../transport/http/routes/events.ts';
import { instance_detail } from '../../transport/http/schemas.ts';
import { hello, hello_path, serve } from './support/serve.ts';

const first: FinishedAttempt = {
  task_id: 'www:prod:hello:1.m.x:0:1',
  index: 0,
  attempt: 1,
  agent_id: 'S1',
  hostname: 'h1',
  waiting_at: 1_000,
  assigned_at: 1_200,
  started_at: 2_000,
  ended_at: 9_000,
  outcome: 'failed',
  reason: { code: 'exited', exit_code: 3 },
};
const placed = { attempt: 2, failures: 1, agent_id: 'S2', hostname: 'h2', version: 1, waited_ms: 500 };
const told = (record: InstanceRecord | undefined, ended: readonly FinishedAttempt[] = [first]) =>
  eventsOf(record, ended).map(({ at, attempt, state }) => `${at} #${attempt} ${state}`);
const begun = ['1000 #1 pending', '1200 #1 assigned', '2000 #1 running', '9000 #1 failed'];

test('attempts that are over and the present one are told as one story', t => {
  t.deepEqual(told({ status: 'pending', attempt: 2, failures: 1, since: 9_000 }), [...begun, '9000 #2 pending']);
  t.deepEqual(told({ status: 'running', since: 9_500, started_at: 10_000, ...placed }), [
    ...begun,
    '9000 #2 pending',
    '9500 #2 assigned',
    '10000 #2 running',
  ]);
  t.deepEqual(
    told({
      status: 'killing',
      by: 'ann',
      replace: false,
      since: 30_000,
      assigned_at: 9_500,
      started_at: 10_000,
      away_at: 20_000,
      ...placed,
    }).slice(-4),
    ['9500 #2 assigned', '10000 #2 running', '20000 #2 unreachable', '30000 #2 killing'],
  );
  t.deepEqual(told(undefined), begun);
  const [end] = eventsOf(undefined, [first]).slice(-1);
  t.like(end, { ran_ms: 7_000, hostname: 'h1', reason: { code: 'exited', exit_code: 3 } });
});

test('rows of before these instants were kept tell what they know', t => {
  const { waiting_at: _, assigned_at: __, ...old } = first;
  t.deepEqual(told(undefined, [old]), ['2000 #1 running', '9000 #1 failed']);
});

test('an instance is read with its events, and its attempts alone', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: { ...hello, instances: 2 } });
  const started = await ask('POST', `${hello_path}/runs`);
  const run = String(started.json.run);
  const key = `www/prod/hello/${run}/0`;
  const id = (index: number, attempt: number) => `www:prod:hello:${run}:${index}:${attempt}`;
  for (const [index, attempt] of [
    [0, 1],
    [1, 1],
  ] as const)
    core.commit({
      kind: 'finished-attempt',
      key: `www/prod/hello/${sortable(9_000)}/${id(index, attempt)}`,
      body: { ...first, task_id: id(index, attempt), index, attempt },
    });
  core.commit({ kind: 'instance', key, body: { status: 'running', since: 9_500, started_at: 10_000, ...placed } });
  const path = `${hello_path}/runs/${run}/instances/0`;
  const answer = await ask('GET', path);
  t.is(answer.status, 200);
  const { instance, events } = instance_detail.parse(answer.json);
  t.like(instance, { index: 0, state: 'running', attempt: 2, hostname: 'h2' });
  t.deepEqual(
    events.map(({ attempt, state }) => `${attempt} ${state}`),
    ['1 pending', '1 assigned', '1 running', '1 failed', '2 pending', '2 assigned', '2 running'],
  );
  t.is((await ask('GET', `${hello_path}/runs/${run}/instances/7`)).status, 404);
  t.is((await ask('GET', `${hello_path}/runs/none/instances/0`)).status, 404);
});
