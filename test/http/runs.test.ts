// runs.test.ts: the native API's routes for runs, and what became of targets.

import test from 'ava';
import { type FinishedRun, type InstanceRecord, type OutcomeRow, sortable } from '../../actors/model/records.ts';
import {
  audit_page,
  killing,
  outcome_page,
  pending_page,
  run_page,
  run_resource,
  run_started,
} from '../../transport/http/schemas.ts';
import type { Core } from './support/core.ts';
import { hello, hello_path, serve } from './support/serve.ts';

const key = 'www/prod/hello';
const running: InstanceRecord = {
  status: 'running',
  attempt: 1,
  failures: 0,
  since: 1_700_000_001_000,
  started_at: 1_700_000_001_000,
  agent_id: 'agent-1',
  hostname: 'host-1',
  ports: { http: 31_000 },
  version: 1,
};

function finished(core: Core, run: string, at: number): void {
  const body: FinishedRun = {
    run,
    cause: { type: 'target', schedule: 's0', at },
    instances: 1,
    created_at: at,
    started_at: at + 5,
    ended_at: at + 10,
    outcome: 'failed',
    results: [
      {
        index: 0,
        attempts: 2,
        failures: 2,
        outcome: 'failed',
        reason: { code: 'exited', exit_code: 3 },
        agent_id: 'a',
      },
    ],
  };
  core.commit({ kind: 'finished-run', key: `${key}/${sortable(at)}/${run}`, body });
}

test('a run is started, and is to be found at its Location', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const started = await ask('POST', `${hello_path}/runs`);
  t.is(started.status, 202);
  const { run, result } = run_started.parse(started.json);
  t.is(result, 'started');
  const read = await ask('GET', started.headers.location!);
  t.like(run_resource.parse(read.json), { run, state: 'pending', cause: { type: 'manual', by: 'local' } });
});

test('the same Idempotency-Key names the same run, another one another', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const start = async (wish: string) =>
    (await ask('POST', `${hello_path}/runs`, { headers: { 'idempotency-key': wish } })).json;
  const first = await start('deploy 7/ü');
  const second = await start('deploy 7/ü');
  t.is(second.run, first.run);
  t.is(second.result, 'existing');
  t.not((await start('deploy 8')).run, first.run);
  t.is(core.views.job(key)?.runs.length, 2);
  // Part of a task id of at most 255 bytes, whatever was sent.
  t.true(String((await start('x'.repeat(255))).run).length < 40);
  t.is((await ask('POST', `${hello_path}/runs`, { headers: { 'idempotency-key': 'x'.repeat(256) } })).status, 400);
});

test('no key that a client chooses can name a run that was started without one', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const without = await ask('POST', `${hello_path}/runs`);
  const request = String(without.headers['x-request-id']);
  for (const wish of [request, `request ${request}`]) {
    const chosen = await ask('POST', `${hello_path}/runs`, { headers: { 'idempotency-key': wish } });
    t.not(chosen.json.run, without.json.run);
    t.is(chosen.json.result, 'started');
  }
});

test('a live run shows where its instances are, and where their output is', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const { run } = run_started.parse((await ask('POST', `${hello_path}/runs`)).json);
  core.commit({ kind: 'instance', key: `${key}/${run}/0`, body: running });
  const seen = run_resource.parse((await ask('GET', `${hello_path}/runs/${run}`)).json);
  t.is(seen.state, 'running');
  t.is(seen.started_at, '2023-11-14T22:13:21.000Z');
  t.like(seen.instances[0], { task_id: `www:prod:hello:${run}:0:1`, hostname: 'host-1', ports: { http: 31_000 } });
  t.is(seen.instances[0]?.links.stdout, `${hello_path}/runs/${run}/logs/0/stdout`);
  t.is((await ask('GET', hello_path)).json.state, 'running');
});

test('a pending instance says in words why it waits', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const { run } = run_started.parse((await ask('POST', `${hello_path}/runs`)).json);
  const summary = 'needs 64 cpus, the largest host has 4';
  core.pending.push({ instance: `${key}/${run}/0`, since: 1_700_000_000_000, summary, why: { code: 'short' } });
  const seen = run_resource.parse((await ask('GET', `${hello_path}/runs/${run}`)).json);
  t.is(seen.instances[0]?.pending_reason, summary);
  t.like(pending_page.parse((await ask('GET', '/api/v1/pending')).json).pending[0], {
    summary,
    why: { code: 'short' },
  });
});

test('those that wait are counted in full, and told a page at a time', async t => {
  const { ask, core } = await serve(t);
  const names = Array.from({ length: 1_234 }, (_, n) => `www/prod/job-${n}/1.once/0`);
  for (const instance of names) core.pending.push({ instance, since: 1_700_000_000_000, summary: '', why: {} });
  const met: string[] = [];
  for (let next: string | undefined = '/api/v1/pending?limit=500'; next !== undefined; ) {
    const page = pending_page.parse((await ask('GET', next)).json);
    t.is(page.total, 1_234);
    met.push(...page.pending.map(one => one.instance));
    next = page.next;
  }
  t.deepEqual(met, [...names].sort());
});

test('runs are listed live first, then those that are over from the newest, page by page', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  for (let n = 0; n < 7; n++) finished(core, `1.s0.${n}`, 1_600_000_000_000 + n);
  const live: string[] = [];
  for (let n = 0; n < 3; n++) live.push(run_started.parse((await ask('POST', `${hello_path}/runs`)).json).run);
  const start = { run: '1.s0.later', cause: { type: 'target', schedule: 's0', at: 5 }, since: 1_700_000_000_001 };
  core.commit({ kind: 'trigger', key, body: { cursors: {}, waiting: [start] } });
  for (const limit of [1, 2, 3, 4, 5, 100]) {
    const seen: string[] = [];
    for (let path: string | undefined = `${hello_path}/runs?limit=${limit}`; path !== undefined; ) {
      const page = run_page.parse((await ask('GET', path)).json);
      t.true(page.runs.length <= limit);
      seen.push(...page.runs.map(run => run.run));
      path = page.next;
    }
    t.is(seen[0], '1.s0.later');
    t.deepEqual(seen.slice(1, 4).toSorted(), live.toSorted());
    t.deepEqual(
      seen.slice(4),
      [6, 5, 4, 3, 2, 1, 0].map(n => `1.s0.${n}`),
      `limit ${limit}`,
    );
  }
});

test('a cursor of another job, or one that was made up, is refused', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  for (let n = 0; n < 3; n++) finished(core, `1.s0.${n}`, 1_600_000_000_000 + n);
  await ask('POST', '/api/v1/jobs', { json: { ...hello, name: 'other' } });
  const { next } = run_page.parse((await ask('GET', `${hello_path}/runs?limit=1`)).json);
  const stolen = next!.replace('/hello/', '/other/');
  t.is((await ask('GET', stolen)).status, 400);
  t.is((await ask('GET', `${hello_path}/runs?before=eHg`)).status, 400);
});

test('a run that is over says how it ended', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  finished(core, '1.s0.a', 1_600_000_000_000);
  const seen = run_resource.parse((await ask('GET', `${hello_path}/runs/1.s0.a`)).json);
  t.like(seen, { state: 'failed', ended_at: '2020-09-13T12:26:40.010Z', instance_count: 1 });
  t.like(seen.instances[0], { reason: { code: 'exited', exit_code: 3 }, task_id: 'www:prod:hello:1.s0.a:0:2' });
  t.is((await ask('GET', `${hello_path}/runs/none`)).status, 404);
  t.is((await ask('GET', '/api/v1/jobs/www/prod/none/runs')).status, 404);
});

test('a run is killed, or all of them', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const { run } = run_started.parse((await ask('POST', `${hello_path}/runs`)).json);
  await ask('POST', `${hello_path}/runs`);
  const killed = await ask('DELETE', `${hello_path}/runs/${run}`);
  t.is(killed.status, 202);
  t.is(killing.parse(killed.json).killing, 1);
  t.like(run_resource.parse((await ask('GET', `${hello_path}/runs/${run}`)).json), {
    state: 'killing',
    killed_by: 'local',
  });
  t.is(killing.parse((await ask('POST', `${hello_path}/kill`)).json).killing, 2);
  t.is((await ask('DELETE', `${hello_path}/runs/none`)).status, 404);
});

test('what became of targets is listed, ranges as one row', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: { ...hello, cron: '* * * * *' } });
  const row: OutcomeRow = {
    schedule: 's0',
    from: 1_600_000_000_000,
    to: 1_600_000_060_000,
    count: 2,
    outcome: 'missed',
    why: 'down',
    decided_at: 1_600_000_070_000,
  };
  core.commit({ kind: 'outcome', key: `${key}/${sortable(row.to)}/s0`, body: row });
  const { outcomes } = outcome_page.parse((await ask('GET', `${hello_path}/outcomes`)).json);
  t.like(outcomes[0], { outcome: 'missed', count: 2, why: 'down', from: '2020-09-13T12:26:40.000Z' });
});

test('who did what can be read, page by page', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  await ask('POST', `${hello_path}/runs`);
  await ask('DELETE', hello_path);
  const seen: string[] = [];
  for (let path: string | undefined = '/api/v1/audit?limit=2'; path !== undefined; ) {
    const page = audit_page.parse((await ask('GET', path)).json);
    seen.push(...page.audit.map(row => row.command));
    path = page.next;
  }
  t.deepEqual(seen.toSorted(), ['delete', 'start-run', 'submit']);
});
