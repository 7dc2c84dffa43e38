// jobs.test.ts: Chronos's dialect: what its clients send is understood, and what they get back is what they know.

import test from 'ava';
import fc from 'fast-check';
import { withWords } from '../../../actors/model/command-line.ts';
import { identifier } from '../../../actors/model/ids.ts';
import { bad } from '../../../schedules/problem.ts';
import { chronosKey, readChronos } from '../../../transport/http/chronos/document.ts';
import { serve } from '../support/serve.ts';

/** The sample of Chronos's documentation, as people have it in their files. */
const sample = {
  schedule: 'R10/2012-10-01T05:52:00Z/PT2S',
  name: 'SAMPLE_JOB1',
  epsilon: 'PT15M',
  command: "echo 'FOO' >> /tmp/JOB1_OUT",
  owner: 'bob@example.com',
  async: false,
};
const key = 'chronos/default/SAMPLE_JOB1';
const post = (document: object) => readChronos(document);
const jobOf = (document: object) => {
  const read = post(document);
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value.job;
};
const problemsOf = (document: unknown) => {
  const read = readChronos(document);
  return read.ok ? [] : read.problems;
};

for (const prefix of ['/scheduler', '/v1/scheduler']) {
  test(`the sample is accepted with 204 under ${prefix}, and is listed as it was posted`, async t => {
    const { ask, core } = await serve(t);
    const posted = await ask('POST', `${prefix}/iso8601`, { json: sample });
    t.is(posted.status, 204);
    t.is(posted.text, '');
    const { job } = core.views.job(key)!.record;
    t.like(job, { count: 'launches', catch_up: { policy: 'last', from: 'start' }, max_task_failures: 3 });
    const listed = (await ask('GET', `${prefix}/jobs`)).json as unknown as Record<string, unknown>[];
    t.is(listed.length, 1);
    t.like(listed[0], { ...sample, successCount: 0, errorCount: 0, lastSuccess: '', retries: 2, disabled: false });
  });

  test(`a job is started and deleted by name under ${prefix}; an unknown one is 404 with a message`, async t => {
    const { ask, core } = await serve(t);
    await ask('POST', `${prefix}/iso8601`, { json: { ...sample, name: 'two words #1' } });
    const path = `${prefix}/job/${encodeURIComponent('two words #1')}`;
    t.is((await ask('PUT', `${path}?arguments=-x`)).status, 204);
    t.is(core.views.job('chronos/default/two%20words%20%231')?.runs.length, 1);
    t.is((await ask('DELETE', path)).status, 204);
    for (const method of ['PUT', 'DELETE']) {
      const { status, json, headers } = await ask(method, path);
      t.is(status, 404);
      t.deepEqual(json, { status: 'Not Found', message: "Job 'two words #1' not found" });
      t.is(headers['content-type'], 'application/json');
    }
  });
}

test("the fields of a listed job have Chronos's names, types and order", async t => {
  const { ask } = await serve(t);
  await ask('POST', '/scheduler/iso8601', { json: sample });
  const [job] = (await ask('GET', '/scheduler/jobs')).json as unknown as Record<string, unknown>[];
  const names =
    'name command shell executor executorFlags taskInfoData retries owner ownerName description successCount errorCount lastSuccess lastError cpus disk mem disabled softError dataProcessingJobType errorsSinceLastSuccess fetch uris environmentVariables arguments highPriority runAsUser concurrent maxCompletionTime constraints schedule scheduleTimeZone';
  t.deepEqual(Object.keys(job!).slice(0, 32), names.split(' '));
  t.like(job, { shell: true, cpus: 0.1, mem: 128, disk: 256, retries: 2, runAsUser: '' });
});

test('a list of thousands is one array with every job in it, once', async t => {
  const { ask, core } = await serve(t);
  t.deepEqual((await ask('GET', '/scheduler/jobs')).json as unknown, []);
  const job = jobOf(sample);
  const names = Array.from({ length: 2_345 }, (_, n) => `job${n}`);
  const record = { incarnation: 1, version: 1, created_at: 0, updated_at: 0 };
  core.commit(
    ...names.map(name => ({ kind: 'job', key: `chronos/default/${name}`, body: { ...record, job: { ...job, name } } })),
    { kind: 'job', key: 'chronos/default-not/x', body: { ...record, job } },
    { kind: 'job', key: 'zzz/default/x', body: { ...record, job } },
  );
  const listed = (await ask('GET', '/scheduler/jobs')).json as unknown as { name: string }[];
  t.deepEqual(listed.map(each => each.name).toSorted(), names.toSorted());
});

test('posting a job again replaces it and keeps its counters', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/scheduler/iso8601', { json: sample });
  const tally = { successes: 7, failures: 1, failures_since_success: 0, last_success_at: 1_394_297_837_507 };
  core.commit({ kind: 'tally', key, body: tally });
  const changed = { ...sample, command: 'true' };
  t.is((await ask('POST', '/scheduler/iso8601', { json: { ...changed, successCount: 99 } })).status, 204);
  const [job] = (await ask('GET', '/scheduler/jobs')).json as unknown as Record<string, unknown>[];
  t.like(job, { command: 'true', successCount: 7, errorCount: 1, lastSuccess: '2014-03-08T16:57:17.507Z' });
});

test('jobs of the native API are not listed, but those of the dialect are native too', async t => {
  const { ask } = await serve(t);
  const native = { role: 'chronos', environment: 'other', name: 'x', command: 'true' };
  await ask('POST', '/api/v1/jobs', { json: native });
  await ask('POST', '/scheduler/iso8601', { json: sample });
  t.is(((await ask('GET', '/scheduler/jobs')).json as unknown as unknown[]).length, 1);
  t.is((await ask('GET', `/api/v1/jobs/${key}`)).json.origin, 'chronos');
});

test('a job of the native API whose name could be none of Chronos breaks no listing', async t => {
  const { ask } = await serve(t);
  const odd = { role: 'chronos', environment: 'default', name: 'a100%', command: 'true' };
  t.is((await ask('POST', '/api/v1/jobs', { json: odd })).status, 201);
  await ask('POST', '/v1/scheduler/iso8601', { json: sample });
  const listed = await ask('GET', '/v1/scheduler/jobs');
  t.true((listed.json as unknown as { name: string }[]).some(({ name }) => name === sample.name));
  const { text } = await ask('GET', '/metrics', { headers: { accept: 'application/json' } });
  const { counters } = JSON.parse(text) as { counters: object };
  t.true(`jobs.run.success.${sample.name}` in counters, text);
  t.true('jobs.run.success.chronos/default/a100%' in counters);
});

test('it is as lenient as Chronos: numbers and flags in quotes, fields that nobody knows', t => {
  const job = jobOf({
    ...sample,
    cpus: '0.5',
    mem: '64',
    disabled: 'true',
    retries: '0',
    colour: 'red',
    concurrent: true,
  });
  t.like(job, { cpus: 0.5, mem: 64, enabled: false, max_task_failures: 1, overlap: { policy: 'allow' } });
});

test("Chronos's defaults hold, and 0 means the default as it did there", t => {
  const job = jobOf({ ...sample, cpus: 0, mem: 0 });
  t.like(job, {
    cpus: 0.1,
    mem: 128,
    disk: 256,
    retry: { delay_ms: 60_000, factor: 1 },
    overlap: { policy: 'buffer-one' },
  });
});

test('schedule and zone stay as they were written', t => {
  const [schedule] = jobOf({ ...sample, scheduleTimeZone: 'PST' }).schedules;
  t.deepEqual(schedule, { id: 's0', iso8601: sample.schedule, zone: 'PST', dialect: 'chronos' });
});

test('arguments are words, not shell: nothing in them is run', t => {
  const words = ['-n', 'a; rm -rf /', "it's", '$(id)'];
  const { command, arguments: given } = jobOf({ ...sample, command: 'echo', arguments: words });
  t.deepEqual(given, words);
  t.is(withWords(command!, words), `echo -n 'a; rm -rf /' 'it'\\''s' '$(id)'`);
});

test('what Chronos took and then got wrong is refused with a short message', t => {
  const refused: [object, string][] = [
    [{ command: null }, '/command'],
    [{ name: 'a/b' }, '/name'],
    [{ name: undefined }, '/name'],
    [{ name: 'x'.repeat(200) }, '/name'],
    [{ schedule: '' }, '/schedule'],
    [{ cpus: 'many' }, '/cpus'],
    [{ mem: -5 }, '/mem'],
    [{ disabled: 'perhaps' }, '/disabled'],
    [{ command: undefined }, '/command'],
    [{ parents: ['a'] }, '/parents'],
    [{ constraints: [['rack', 'NEAR', 'x']] }, '/constraints/0'],
    [{ environmentVariables: [{ name: 'A=B', value: 'x' }] }, '/environmentVariables/0/name'],
    [{ environmentVariables: 'A=B' }, '/environmentVariables'],
    [{ container: { image: 5 } }, '/container/image'],
  ];
  for (const [change, place] of refused)
    t.true(
      problemsOf({ ...sample, ...change }).some(problem => problem.place === place),
      JSON.stringify(change),
    );
  for (const whole of [[], 'x', null, 5]) t.is(problemsOf(whole).length, 1);
});

test('a schedule that cannot be read is 400 with one sentence, not a stack trace', async t => {
  const finding = { place: '', message: 'period "P1H" has an hour without a "T"', expected: 'PT1H' };
  const { ask, core } = await serve(t, { compile: () => bad(finding) });
  const { status, json } = await ask('POST', '/scheduler/iso8601', { json: { ...sample, schedule: 'R//P1H' } });
  t.is(status, 400);
  t.is(json.status, 'Bad Request');
  t.regex(String(json.message), /^Cannot parse schedule 'R\/\/P1H': .*"P1H" has an hour/);
  t.is(core.asked.length, 0);
});

test('malformed bodies are refused in the words of the dialect', async t => {
  const { ask } = await serve(t);
  const malformed = await ask('POST', '/scheduler/iso8601', {
    body: '{',
    headers: { 'content-type': 'application/json' },
  });
  t.is(malformed.status, 400);
  t.is(malformed.json.status, 'Bad Request');
  t.is(
    (await ask('POST', '/scheduler/iso8601', { body: '{}', headers: { 'content-type': 'text/plain' } })).status,
    415,
  );
});

test('no two names share a key, and every key keeps the grammar', t => {
  const name = fc.string({
    unit: fc.constantFrom('a', '_', '%', '5', 'F', '2', '0', ' ', '.', '-', '#', 'é'),
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(name, name, (one, other) => {
      const keys = [chronosKey(one), chronosKey(other)];
      for (const each of keys) if (each !== undefined) t.regex(each.split('/')[2]!, identifier);
      if (one !== other && keys[0] !== undefined) t.not(keys[0], keys[1], `${one} | ${other}`);
    }),
    { seed: 3, numRuns: 5_000 },
  );
});

test('the second generation has its own rules: epsilon is a window, targets count, a busy job drops its run', async t => {
  const { ask, core } = await serve(t, { chronos: { generation: 2 } });
  t.is((await ask('POST', '/scheduler/iso8601', { json: sample })).status, 204);
  t.like(core.views.job(key)!.record.job, {
    count: 'targets',
    catch_up: { policy: 'all', window_ms: 900_000, from: 'start' },
    overlap: { policy: 'skip' },
  });
  const refused = await ask('POST', '/scheduler/iso8601', { json: { ...sample, epsilon: '15 minutes' } });
  t.is(refused.status, 400);
  t.regex(refused.text, /period \\"15 minutes\\"/);
});
