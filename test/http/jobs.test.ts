// jobs.test.ts: the native API's routes for jobs, over real sockets.

import test from 'ava';
import { readJob } from '../../actors/model/job.ts';
import { bad } from '../../schedules/problem.ts';
import { job_page, job_resource, problem } from '../../transport/http/schemas.ts';
import { hello, hello_path, limits_default, serve } from './support/serve.ts';

test('a job that is created can be read at its Location, with the same ETag', async t => {
  const { ask } = await serve(t);
  const created = await ask('POST', '/api/v1/jobs', { json: hello });
  t.is(created.status, 201);
  t.is(created.headers.location, hello_path);
  job_resource.parse(created.json);
  const read = await ask('GET', created.headers.location!);
  t.is(read.status, 200);
  t.is(read.headers.etag, created.headers.etag);
  t.deepEqual(read.json, created.json);
});

test('a job written in YAML is the same job', async t => {
  const { ask, core } = await serve(t);
  const yaml = `
# the comforts of YAML
role: www
environment: prod
name: hello
command: |
  echo one
  echo two
cron: "0 3 * * *"
`;
  for (const type of ['application/yaml', 'text/yaml; charset=utf-8']) {
    const { status } = await ask('POST', '/api/v1/jobs', { body: yaml, headers: { 'content-type': type } });
    t.is(status, type === 'application/yaml' ? 201 : 409);
  }
  t.is(core.views.job('www/prod/hello')?.record.job.command, 'echo one\necho two\n');
});

test('a second job under the same key is refused, and the first stays', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const second = await ask('POST', '/api/v1/jobs', { json: { ...hello, command: 'other' } });
  t.is(second.status, 409);
  t.is(second.headers['content-type'], 'application/problem+json');
  problem.parse(second.json);
  t.is(core.views.job('www/prod/hello')?.record.job.command, 'echo hello');
});

test('everything that is wrong with a job is told at once: value, place and what would be right', async t => {
  const { ask, core } = await serve(t);
  const { status, json } = await ask('POST', '/api/v1/jobs', {
    json: { ...hello, name: 'a/b', cpus: -1, colour: 'red', schedules: [{ cron: 5 }] },
  });
  t.is(status, 422);
  const { problems } = problem.parse(json);
  const at = (place: string) => problems.find(each => each.place === place);
  t.is(at('/cpus')?.value, -1);
  t.is(at('/cpus')?.expected, 'above 0');
  t.regex(at('/name')?.message ?? '', /"a\/b" will not do/);
  t.regex(at('/colour')?.message ?? '', /unknown field "colour"/);
  t.truthy(at('/schedules/0/cron'));
  t.deepEqual(core.asked, []);
});

test('a schedule that cannot be read is refused by what compiles it', async t => {
  const finding = { place: '/schedules/0', value: 'x', message: 'hour 25 in "0 25 * * *"', expected: '0-23' };
  const { ask } = await serve(t, { compile: () => bad(finding) });
  const { status, json } = await ask('POST', '/api/v1/jobs', { json: { ...hello, cron: '0 25 * * *' } });
  t.is(status, 422);
  t.deepEqual(problem.parse(json).problems, [finding]);
});

test('a replacement needs If-Match, and only the present version is replaced', async t => {
  const { ask } = await serve(t);
  const { headers } = await ask('POST', '/api/v1/jobs', { json: hello });
  const json = { ...hello, command: 'echo other' };
  const without = await ask('PUT', hello_path, { json });
  t.is(without.status, 428);
  t.true(problem.parse(without.json).detail.includes(headers.etag!));
  const stale = await ask('PUT', hello_path, { json, headers: { 'if-match': '"1.7"' } });
  t.is(stale.status, 412);
  const right = await ask('PUT', hello_path, { json, headers: { 'if-match': headers.etag! } });
  t.is(right.status, 200);
  t.not(right.headers.etag, headers.etag);
  const again = await ask('PUT', hello_path, { json, headers: { 'if-match': headers.etag! } });
  t.is(again.status, 412);
  t.is((await ask('PUT', hello_path, { json: hello, headers: { 'if-match': '*' } })).status, 200);
});

test('the ETag of a job does not fit its successor under the same key', async t => {
  const { ask } = await serve(t);
  const first = await ask('POST', '/api/v1/jobs', { json: hello });
  t.is((await ask('DELETE', hello_path)).status, 204);
  const second = await ask('POST', '/api/v1/jobs', { json: hello });
  t.not(second.headers.etag, first.headers.etag);
  t.is((await ask('PUT', hello_path, { json: hello, headers: { 'if-match': first.headers.etag! } })).status, 412);
});

test('replacing a job that does not exist creates none', async t => {
  const { ask, core } = await serve(t);
  t.is((await ask('PUT', hello_path, { json: hello, headers: { 'if-match': '*' } })).status, 404);
  t.is(core.views.job_count(), 0);
});

test('a document is put only where its own key says', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const { status, json } = await ask('PUT', hello_path, {
    json: { ...hello, name: 'other' },
    headers: { 'if-match': '*' },
  });
  t.is(status, 422);
  t.regex(problem.parse(json).detail, /www\/prod\/other.*www\/prod\/hello/);
});

test('what is read of a job can be sent back as it is, services too', async t => {
  const { ask } = await serve(t);
  const documents = [
    hello,
    { ...hello, name: 'web', service: true, instances: 3, ports: ['http'] },
    { ...hello, name: 'nightly', cron: '0 3 * * *', zone: 'Europe/Vienna', retries: 2, labels: { a: 'b' } },
  ];
  for (const document of documents) {
    const { json, headers } = await ask('POST', '/api/v1/jobs', { json: document });
    const { job } = job_resource.parse(json);
    t.true(readJob(job).ok);
    const path = `/api/v1/jobs/www/prod/${document.name}`;
    const sent_back = await ask('PUT', path, { json: job, headers: { 'if-match': headers.etag! } });
    t.is(sent_back.status, 200);
    t.is(sent_back.headers.etag, headers.etag, 'nothing changed');
  }
});

test('following next visits every job once, in key order', async t => {
  const { ask } = await serve(t);
  const names = Array.from({ length: 25 }, (_, n) => `job${String(n).padStart(2, '0')}`);
  for (const name of names.toReversed()) await ask('POST', '/api/v1/jobs', { json: { ...hello, name } });
  const seen: string[] = [];
  for (let path: string | undefined = '/api/v1/jobs?limit=10'; path !== undefined; ) {
    const page = job_page.parse((await ask('GET', path)).json);
    t.is(page.total, 25);
    t.true(page.jobs.length <= 10);
    seen.push(...page.jobs.map(job => job.key));
    path = page.next;
  }
  t.deepEqual(
    seen,
    names.map(name => `www/prod/${name}`),
  );
});

test('a page is never longer than the limit on pages', async t => {
  const { ask } = await serve(t, { limits: { ...limits_default, page_rows_max: 2 } });
  for (const name of ['a', 'b', 'c']) await ask('POST', '/api/v1/jobs', { json: { ...hello, name } });
  t.is(job_page.parse((await ask('GET', '/api/v1/jobs?limit=100000')).json).jobs.length, 2);
  t.is((await ask('GET', '/api/v1/jobs?limit=-1')).status, 400);
  t.is((await ask('GET', '/api/v1/jobs?lmit=1')).status, 400);
});

test('a job is deleted once, and by If-Match only in the version that is meant', async t => {
  const { ask } = await serve(t);
  const { headers } = await ask('POST', '/api/v1/jobs', { json: hello });
  t.is((await ask('DELETE', hello_path, { headers: { 'if-match': '"1.9"' } })).status, 412);
  t.is((await ask('DELETE', hello_path, { headers: { 'if-match': headers.etag! } })).status, 204);
  t.is((await ask('DELETE', hello_path)).status, 404);
  t.is((await ask('GET', hello_path)).status, 404);
});

test('a job is switched off and on', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  t.is((await ask('POST', `${hello_path}/disable`)).json.state, 'disabled');
  t.is((await ask('POST', `${hello_path}/disable`)).json.version, 2);
  t.is((await ask('POST', `${hello_path}/enable`)).json.state, 'idle');
  t.is((await ask('POST', '/api/v1/jobs/www/prod/none/enable')).status, 404);
});

test('names with percent signs are one step of a path', async t => {
  const { ask } = await serve(t);
  const created = await ask('POST', '/api/v1/jobs', { json: { ...hello, name: 'a%20b' } });
  t.is(created.headers.location, '/api/v1/jobs/www/prod/a%2520b');
  t.is((await ask('GET', created.headers.location!)).json.key, 'www/prod/a%20b');
  t.is((await ask('GET', '/api/v1/jobs/www/prod/a%zz')).status, 400);
  t.is((await ask('GET', '/api/v1/jobs/www/prod/..%2f..')).status, 404);
});

test('every write carries its principal and a request id of its own into the core', async t => {
  const { ask, core } = await serve(t);
  const headers = { 'x-request-id': 'deploy-7' };
  const first = await ask('POST', '/api/v1/jobs', { json: hello, headers });
  await ask('DELETE', hello_path, { headers });
  await ask('POST', '/api/v1/jobs', { json: hello, headers: { 'x-request-id': 'bad id\t' } });
  t.deepEqual(
    core.asked.map(each => [each.principal.name, each.request_id]),
    [
      ['local', 'deploy-7.request-1'],
      ['local', 'deploy-7.request-2'],
      ['local', 'request-3'],
    ],
  );
  t.is(first.headers['x-request-id'], 'deploy-7.request-1');
});

test('a job that was deleted is gone for whoever asks next, while its tasks are still being ended', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const { record } = core.views.job('www/prod/hello')!;
  core.commit({ kind: 'job', key: 'www/prod/hello', body: { ...record, deleting: true } });
  t.is((await ask('GET', hello_path)).status, 404);
  t.is((await ask('PUT', hello_path, { json: hello, headers: { 'if-match': '*' } })).status, 404);
  t.deepEqual(job_page.parse((await ask('GET', '/api/v1/jobs')).json).jobs, []);
});
