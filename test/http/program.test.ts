// program.test.ts: the real program, real processes, by HTTP alone.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { job_resource, pending_page, run_resource, run_started } from '../../transport/http/schemas.ts';
import { startChild } from '../support/child.ts';
import { type Owner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Asking, askAt } from './support/serve.ts';

const root = join(import.meta.dirname, '../..');

async function start(t: Owner) {
  const directory = await tempDir(t);
  const { HOME, PATH } = process.env;
  const child = startChild(t, {
    command: process.execPath,
    argv: [join(root, 'main.ts'), 'dev', '--http', '127.0.0.1:0', '--data-dir', join(directory, 'data')],
    cwd: directory,
    env: { HOME, PATH },
  });
  const [, port] = await child.line(/http:\/\/127\.0\.0\.1:(\d+)/);
  const ask = (method: string, path: string, more?: Asking) => askAt(Number(port), method, path, more);
  return { ask, child, directory };
}

test('jobs are run, read, followed, killed and explained', async t => {
  const { ask, directory, child } = await start(t);

  // A job that runs once, written in YAML.
  const yaml = 'role: me\nenvironment: devel\nname: once\ncommand: |\n  echo out; echo err >&2; exit 3\n';
  const created = await ask('POST', '/api/v1/jobs', { body: yaml, headers: { 'content-type': 'application/yaml' } });
  t.is(created.status, 201, created.text);
  const once = created.headers.location!;
  const run = await until('the run to end', async () => {
    const { runs } = (await ask('GET', `${once}/runs`)).json as { runs: unknown[] };
    const seen = runs.map(each => run_resource.parse(each)).find(each => each.state === 'failed');
    return seen ?? false;
  });
  t.like(run.instances[0], { reason: { code: 'exited', exit_code: 3 } });
  t.is((await ask('GET', run.instances[0]!.links.stdout!)).text, 'out\n');
  t.is((await ask('GET', run.instances[0]!.links.stderr!)).text, 'err\n');
  t.like(job_resource.parse((await ask('GET', once)).json).tally, { failures: 1 });

  // Started by hand, followed to its end.
  const said = { role: 'me', environment: 'devel', name: 'said', cron: '0 0 1 1 *', command: 'echo one; echo two' };
  await ask('POST', '/api/v1/jobs', { json: said });
  const path = '/api/v1/jobs/me/devel/said';
  const started = run_started.parse((await ask('POST', `${path}/runs`)).json);
  t.is((await ask('GET', `${path}/runs/${started.run}/logs/0/stdout?follow=true`)).text, 'one\ntwo\n');

  // Killed while it sleeps.
  const slow = {
    role: 'me',
    environment: 'devel',
    name: 'slow',
    command: 'echo begun; sleep 1000',
    kill_grace_ms: 100,
  };
  await ask('POST', '/api/v1/jobs', { json: slow });
  const asleep = '/api/v1/jobs/me/devel/slow';
  await until('it to run', async () => (await ask('GET', asleep)).json.state === 'running');
  t.is((await ask('POST', `${asleep}/kill`)).status, 202);
  const [killed] = (await until('its end', async () => {
    const { runs } = (await ask('GET', `${asleep}/runs`)).json as { runs: { state: string }[] };
    return runs[0]?.state === 'killed' && runs;
  })) as [unknown];
  t.is(run_resource.parse(killed).killed_by, 'local');

  // Never to be placed: accepted, and told why it waits.
  await ask('POST', '/api/v1/jobs', { json: { ...said, name: 'huge', cpus: 90_000, cron: undefined } });
  const [reason] = await until('a reason', async () => {
    const { pending } = pending_page.parse((await ask('GET', '/api/v1/pending')).json);
    return pending.length > 0 && pending;
  });
  t.regex(reason!.summary, /cpus/);

  // The sample of Chronos, its start long past and its count cut to three: at once, then every second.
  const file = join(directory, 'out');
  const sample = {
    name: 'SAMPLE',
    schedule: 'R3/2012-10-01T05:52:00Z/PT1S',
    command: `echo FOO >> ${file}`,
    owner: 'b@x',
  };
  t.is((await ask('POST', '/scheduler/iso8601', { json: sample })).status, 204);
  await until('three runs', async () => {
    const [job] = (await ask('GET', '/scheduler/jobs')).json as unknown as { successCount: number }[];
    return job?.successCount === 3;
  });
  t.is(await readFile(file, 'utf8'), 'FOO\nFOO\nFOO\n');
  t.is(job_resource.parse((await ask('GET', '/api/v1/jobs/chronos/default/SAMPLE')).json).next_at, undefined);

  const metrics = (await ask('GET', '/metrics')).text;
  t.regex(metrics, /\nhorae_runs_total\{outcome="succeeded"\} [4-9]\n/);
  t.regex(metrics, /\nhorae_http_requests_total\{route="\/api\/v1\/jobs",method="POST",status="201"\} 4\n/);
  t.regex(metrics, /\nhorae_start_lag_seconds_count 3\n/);
  t.notRegex(child.output(), /"level":(50|60)/);
});
