// tasks.test.ts: whoever does the work of an async task reports its end over the API.

import test from 'ava';
import type { InstanceRecord } from '../../actors/model/records.ts';
import { hello, hello_path, serve } from './support/serve.ts';

const key = 'www/prod/hello';

test('word of a task that is awaited is handed on with its code, and answered with where to look', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const started = await ask('POST', `${hello_path}/runs`);
  const run = (started.json as { run: string }).run;
  const body: InstanceRecord = {
    ...{ status: 'awaiting', attempt: 2, failures: 1, since: 0, agent_id: 'S0', hostname: 'h0', version: 1 },
  } as const;
  core.commit({ kind: 'instance', key: `${key}/${run}/0`, body });
  const task = `www:prod:hello:${run}:0:2`;
  const listed = await ask('GET', `${hello_path}/runs/${run}`);
  t.like(listed.json, { instances: { 0: { state: 'awaiting', task_id: task } } });
  const answer = await ask('POST', `/api/v1/tasks/${encodeURIComponent(task)}/complete`, { json: { status_code: 3 } });
  t.is(answer.status, 202);
  t.like(answer.json, { job: key, task, links: { run: `${hello_path}/runs/${run}`, job: hello_path } });
  t.deepEqual(core.asked.at(-1)?.command, { type: 'complete-task', key, task_id: task, status_code: 3 });
  const stale = await ask('POST', `/api/v1/tasks/www:prod:hello:${run}:0:1/complete`, { json: { status_code: 0 } });
  t.is(stale.status, 409);
  t.like(stale.json, { type: 'urn:horae:problem:not-awaited' });
});

test('what is no task id, no job or no code is refused before anything is asked', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const asked = core.asked.length;
  for (const task of ['x', 'ct:1:0:hello:', 'www:prod:hello:1.once:0:0', 'www:prod:hello:1.once:0'])
    t.is((await ask('POST', `/api/v1/tasks/${task}/complete`, { json: { status_code: 0 } })).status, 404, task);
  for (const json of [{}, { status_code: 'x' }, { status_code: 0.5 }, { status_code: 0, more: 1 }])
    t.is((await ask('POST', '/api/v1/tasks/www:prod:hello:1.once:0:1/complete', { json })).status, 422);
  t.is(core.asked.length, asked);
  const nobody = await ask('POST', '/api/v1/tasks/www:prod:nobody:1.once:0:1/complete', { json: { status_code: 0 } });
  t.is(nobody.status, 404);
});
