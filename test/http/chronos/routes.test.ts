// routes.test.ts: Chronos's routes beside those that post jobs: looking, searching, starting, killing, asking who leads.

import test from 'ava';
import { serve } from '../support/serve.ts';

const daily = (name: string, more: object = {}) => ({
  name,
  command: `run-${name}`,
  schedule: 'R/2030-01-01T00:00:00Z/PT24H',
  ...more,
});
type Listed = readonly { readonly name: string }[];
const names = (json: unknown) => (json as Listed).map(one => one.name);

for (const prefix of ['/scheduler', '/v1/scheduler'])
  test(`jobs are searched by name, command or either under ${prefix}, small and capital letters alike`, async t => {
    const { ask } = await serve(t);
    for (let index = 0; index < 12; index++)
      await ask('POST', `${prefix}/iso8601`, { json: daily(`Etl-${String(index).padStart(2, '0')}`) });
    await ask('POST', `${prefix}/iso8601`, { json: daily('report', { command: 'mail the ETL figures' }) });
    const found = async (query: string) => names((await ask('GET', `${prefix}/jobs/search?${query}`)).json);
    t.is((await found('')).length, 10);
    t.deepEqual(await found('name=etl&limit=2&offset=3'), ['Etl-03', 'Etl-04']);
    t.deepEqual(await found('command=MAIL'), ['report']);
    t.deepEqual(await found('name=etl&command=mail'), []);
    t.deepEqual(await found('any=mail'), ['report'], 'alone it found everything in Chronos');
    t.deepEqual(
      await found('any=mail&name=etl-01'),
      ['Etl-01', 'report'],
      'it rescues whom the others would leave out',
    );
    t.deepEqual(await found('any=etl&limit=100&offset=12'), ['report']);
    t.is((await ask('GET', `${prefix}/jobs/search?limit=many`)).status, 400);
  });

test('a summary tells of every job how it did last, what it does, and when or after whom it runs', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/v1/scheduler/iso8601', { json: daily('a') });
  await ask('POST', '/v1/scheduler/dependency', {
    json: { name: 'b', command: 'true', parents: ['a'], disabled: true },
  });
  const tally = { successes: 1, failures: 0, failures_since_success: 0, last_success_at: 5 };
  core.commit({ kind: 'tally', key: 'chronos/default/a', body: tally });
  await ask('PUT', '/v1/scheduler/job/a');
  t.deepEqual((await ask('GET', '/v1/scheduler/jobs/summary')).json, {
    jobs: [
      {
        name: 'a',
        status: 'success',
        state: 'queued',
        schedule: 'R/2030-01-01T00:00:00Z/PT24H',
        parents: [],
        disabled: false,
      },
      { name: 'b', status: 'fresh', state: 'idle', schedule: '', parents: ['a'], disabled: true },
    ],
  });
});

test('one job is read by its name; its runs are counted together, as old clients know them', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/v1/scheduler/iso8601', { json: daily('a', { dataJob: true, uris: ['http://x/y'] }) });
  const tally = { successes: 3, failures: 2, failures_since_success: 0 };
  core.commit({ kind: 'tally', key: 'chronos/default/a', body: tally });
  const { status, json } = await ask('GET', '/v1/scheduler/job/a');
  t.is(status, 200);
  t.like(json, { name: 'a', invocationCount: 5, dataProcessingJobType: true, uris: ['http://x/y'], fetch: [] });
  const [listed] = (await ask('GET', '/v1/scheduler/jobs')).json as unknown as object[];
  t.like(listed, { fetch: [{ uri: 'http://x/y', executable: false, cache: false, extract: true }] });
  t.is((await ask('GET', '/v1/scheduler/job/nobody')).status, 404);
});

test('arguments of a start stand in place of those of the job, word by word', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/scheduler/iso8601', { json: daily('a', { arguments: ['-x'] }) });
  const query = new URLSearchParams({ arguments: `-c 1 "two words" ; ./evil.sh` });
  t.is((await ask('PUT', `/scheduler/job/a?${query}`)).status, 204);
  t.like(core.asked.at(-1)!.command, { type: 'start-run', arguments: ['-c', '1', 'two words', ';', './evil.sh'] });
  t.is((await ask('PUT', '/scheduler/job/a?arguments=%20')).status, 204);
  t.false('arguments' in core.asked.at(-1)!.command, 'blank ones are none');
});

test('a start that comes to nothing is said: the job is disabled, or queued already', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/scheduler/iso8601', { json: daily('off', { disabled: true }) });
  const off = await ask('PUT', '/scheduler/job/off');
  t.is(off.status, 409);
  t.deepEqual(off.json, { status: 'Conflict', message: "Job 'off' is disabled: nothing was started" });
  await ask('POST', '/scheduler/iso8601', { json: daily('busy') });
  const waiting = [{ run: '1.s0.x', cause: { type: 'target', schedule: 's0', at: 0 }, since: 0 }];
  core.commit({ kind: 'trigger', key: 'chronos/default/busy', body: { cursors: {}, waiting } });
  t.is((await ask('PUT', '/scheduler/job/busy')).status, 409);
});

test('running tasks of a job are killed, queued ones stay; all that is queued can be forgotten', async t => {
  const { ask, core } = await serve(t);
  for (const name of ['a', 'b']) {
    await ask('POST', '/scheduler/iso8601', { json: daily(name, { concurrent: true }) });
    for (let run = 0; run < 2; run++) await ask('PUT', `/scheduler/job/${name}`);
  }
  const [first, second] = core.views.job('chronos/default/a')!.runs.map(({ record }) => record.run);
  const at = { attempt: 1, failures: 0, since: 0, agent_id: 'x', hostname: 'x', version: 1 };
  core.commit({ kind: 'instance', key: `chronos/default/a/${first}/0`, body: { status: 'running', ...at } });
  t.is((await ask('DELETE', '/scheduler/task/kill/a')).status, 204);
  const killed = () => core.asked.filter(({ command }) => command.type === 'kill-run').map(one => one.command);
  t.deepEqual(killed(), [{ type: 'kill-run', key: 'chronos/default/a', run: first! }]);
  t.is((await ask('DELETE', '/scheduler/task/kill/nobody')).status, 404);
  t.is((await ask('DELETE', '/scheduler/task/all')).status, 204);
  const runs = core.views.job('chronos/default/b')!.runs.map(({ record }) => record.run);
  t.deepEqual(
    killed()
      .slice(1)
      .map(one => 'run' in one && one.run),
    [second!, ...runs],
  );
});

test('whoever asks hears who leads, and this node says pong', async t => {
  const { ask, port } = await serve(t);
  t.deepEqual((await ask('GET', '/scheduler/leader')).json, { leader: `127.0.0.1:${port}` });
  const { status, text, headers } = await ask('GET', '/ping');
  t.deepEqual([status, text, headers['content-type']], [200, 'pong\n', 'text/plain']);
});

test('strict about statuses, it answers 400 to whatever a client did wrong', async t => {
  const { ask } = await serve(t, { chronos: { strict: true } });
  for (const [method, path] of [
    ['GET', 'job/nobody'],
    ['PUT', 'job/nobody'],
    ['DELETE', 'job/nobody'],
    ['DELETE', 'task/kill/nobody'],
  ] as const) {
    const { status, json } = await ask(method, `/scheduler/${path}`);
    t.is(status, 400);
    t.deepEqual(json, { status: 'Bad Request', message: "Job 'nobody' not found" });
  }
  t.is((await ask('GET', '/api/v1/jobs/a/b/c')).status, 404, 'elsewhere nothing changes');
});

test('a job that was held after too many failures goes on when it is posted again', async t => {
  const { ask, core } = await serve(t, { chronos: { disable_after_failures: 3 } });
  await ask('POST', '/scheduler/iso8601', { json: daily('a') });
  t.is(core.views.job('chronos/default/a')!.record.job.pause_on_failure, 3);
  const paused = { since: 0, note: 'failed', by: 'horae' };
  core.commit({ kind: 'trigger', key: 'chronos/default/a', body: { cursors: {}, waiting: [], paused } });
  t.true((await ask('GET', '/scheduler/job/a')).json.disabled);
  await ask('POST', '/scheduler/iso8601', { json: daily('a', { command: 'better' }) });
  t.like((await ask('GET', '/scheduler/job/a')).json, { disabled: false, command: 'better' });
});

test("what an operator set for Chronos's jobs holds where a job says nothing", async t => {
  const rules = { cpus: 0.5, mem: 64, disk: 1, retry_delay_ms: 5, generation: 2, epsilon_ms: 7_000 } as const;
  const { ask, core } = await serve(t, { chronos: rules });
  await ask('POST', '/scheduler/iso8601', { json: daily('a', { mem: 32 }) });
  const { job } = core.views.job('chronos/default/a')!.record;
  t.like(job, {
    cpus: 0.5,
    mem: 32,
    disk: 1,
    retry: { delay_ms: 5, factor: 1 },
    catch_up: { policy: 'all', window_ms: 7_000 },
  });
});

test('a job that has run as often as it was to is told as disabled once its last run has succeeded', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/scheduler/iso8601', { json: daily('a', { schedule: 'R1/2030-01-01T00:00:00Z/PT24H' }) });
  const disabled = async () => {
    const { jobs } = (await ask('GET', '/scheduler/jobs/summary')).json as { jobs: { disabled: boolean }[] };
    return [(await ask('GET', '/scheduler/job/a')).json.disabled, jobs[0]!.disabled];
  };
  const cursors = (remaining: number) => ({ s0: { decided: 0, remaining, text: '', since: 0 } });
  const commit = (kind: string, body: object) => core.commit({ kind, key: 'chronos/default/a', body });
  commit('trigger', { cursors: cursors(1), waiting: [] });
  commit('tally', { successes: 1, failures: 0, failures_since_success: 0, last_success_at: 5 });
  t.deepEqual(await disabled(), [false, false], 'one is left');
  commit('trigger', { cursors: cursors(0), waiting: [] });
  t.deepEqual(await disabled(), [true, true]);
  commit('tally', { successes: 1, failures: 1, failures_since_success: 1, last_success_at: 5, last_failure_at: 6 });
  t.deepEqual(await disabled(), [false, false], 'its last run failed');
});

test('whoever names the version that they change is told when it is another, and whoever names none overwrites', async t => {
  const { ask, core } = await serve(t);
  const post = (headers: Record<string, string>, command = 'true') =>
    ask('POST', '/v1/scheduler/iso8601', { json: daily('a', { command }), headers });
  t.is((await post({ 'if-none-match': '*' })).status, 204);
  t.is((await post({ 'if-none-match': '*' })).status, 409, 'there is one by now');
  const { etag } = (await ask('GET', '/v1/scheduler/job/a')).headers;
  t.regex(String(etag), /^"\d+\.\d+"$/);
  t.is((await post({ 'if-match': '"7.7"' })).status, 412);
  t.regex(
    String((await post({ 'if-match': '"7.7"' })).json.message),
    /job a is at "/,
    'by the name that its clients know',
  );
  t.is((await post({ 'if-match': String(etag) }, 'echo')).status, 204);
  t.like(core.asked.at(-1)!.command, { type: 'submit', mode: 'upsert', if_version: 1 });
  t.is((await post({})).status, 204);
  t.is((await ask('DELETE', '/v1/scheduler/job/a', { headers: { 'if-match': '"7.7"' } })).status, 412);
  t.is((await ask('DELETE', '/v1/scheduler/job/a')).status, 204);
  t.is((await post({ 'if-match': String(etag) })).status, 404);
});
