// graph.test.ts: Chronos's dialect where jobs follow others: what is posted, what is read back, what is drawn.

import test from 'ava';
import { chronosName, readChronos } from '../../../transport/http/chronos/document.ts';
import { chronos_rules_default } from '../../../transport/http/chronos/rules.ts';
import { serve } from '../support/serve.ts';

const scheduled = (name: string, more: object = {}) => ({
  name,
  command: 'true',
  schedule: 'R/2030-01-01T00:00:00Z/PT24H',
  ...more,
});
const dependent = (name: string, parents: unknown, more: object = {}) => ({ name, command: 'true', parents, ...more });
const problems = (document: object) => {
  const read = readChronos(document, chronos_rules_default, 'dependency');
  return read.ok ? [] : read.problems.map(one => one.place);
};

test("a dependent job follows by Chronos's rule, and beside parents a schedule is passed over", t => {
  const read = readChronos(
    dependent('child', ['a b', 'x.y'], { schedule: 'R//PT1H', softError: 'true', disabled: true }),
    chronos_rules_default,
    'dependency',
  );
  if (!read.ok) return t.fail(JSON.stringify(read.problems));
  t.like(read.value.job, {
    parents: ['chronos/default/a%20b', 'chronos/default/x.y'],
    join: 'latest',
    schedules: [],
    soft_error: true,
    enabled: false,
    overlap: { policy: 'buffer-one' },
  });
  t.deepEqual(read.value.job.parents!.map(chronosName), ['a b', 'x.y']);
});

test('every name that can be posted is read back as it was', t => {
  for (const name of ['plain', '.hidden', '-', '%41'.replace('%', '#'), 'two words', '#', '_#x', '__', '_', ' a'])
    for (const read of [readChronos(scheduled(name))])
      t.true(read.ok && chronosName(`chronos/default/${read.value.job.name}`) === name, name);
});

test('parents that are none are refused, each where it stands', t => {
  t.deepEqual(problems(dependent('c', [])), ['/parents']);
  t.deepEqual(problems({ name: 'c', command: 'true' }), ['/parents']);
  t.deepEqual(problems(dependent('c', 'a')), ['/parents']);
  t.deepEqual(problems(dependent('c', ['a', 7, 'b/c', ''])), ['/parents/1', '/parents/2', '/parents/3']);
  const on_the_wrong_route = readChronos({ ...scheduled('c'), parents: ['a'] });
  t.false(on_the_wrong_route.ok);
});

for (const prefix of ['/scheduler', '/v1/scheduler'])
  test(`jobs and who follows whom are posted, listed and drawn under ${prefix}`, async t => {
    const { ask, core } = await serve(t);
    await ask('POST', `${prefix}/iso8601`, { json: scheduled('jobA') });
    await ask('PUT', `${prefix}/iso8601`, { json: scheduled('job "B"'.replaceAll('"', '#')) });
    t.is((await ask('POST', `${prefix}/dependency`, { json: dependent('jobC', ['jobA', 'job #B#']) })).status, 204);
    t.is((await ask('PUT', `${prefix}/dependency`, { json: dependent('jobD', ['jobC']) })).status, 204);
    core.commit({
      kind: 'tally',
      key: 'chronos/default/jobA',
      body: { successes: 2, failures: 1, failures_since_success: 1, last_success_at: 10, last_failure_at: 20 },
    });
    await ask('PUT', `${prefix}/job/jobC`);
    const listed = (await ask('GET', `${prefix}/jobs`)).json as unknown as Record<string, unknown>[];
    const c = listed.find(one => one.name === 'jobC')!;
    t.deepEqual(c.parents, ['jobA', 'job #B#']);
    t.false('schedule' in c || 'scheduleTimeZone' in c);
    t.false('parents' in listed.find(one => one.name === 'jobA')!);
    const dot = await ask('GET', `${prefix}/graph/dot`);
    t.is(dot.headers['content-type'], 'text/plain');
    t.is(
      dot.text,
      'digraph G {\n  1 [ label="job #B#" ];\n  2 [ label="jobA" ];\n  3 [ label="jobC" ];\n  4 [ label="jobD" ];\n  2 -> 3;\n  1 -> 3;\n  3 -> 4;\n}\n',
    );
    t.is(
      (await ask('GET', `${prefix}/graph/csv`)).text,
      'node,job #B#,fresh,idle\nnode,jobA,failure,idle\nnode,jobC,fresh,queued\nnode,jobD,fresh,idle\nlink,jobA,jobC\nlink,job #B#,jobC\nlink,jobC,jobD\n',
    );
  });

test('a success by decree says in words whether there is such a job', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/v1/scheduler/iso8601', { json: scheduled('two words') });
  const { status, text, headers } = await ask('PUT', '/v1/scheduler/job/success/two%20words');
  t.is(status, 200);
  t.is(headers['content-type'], 'text/plain');
  t.is(text, 'marked job two words as successful: true');
  t.is(core.views.job('chronos/default/two%20words')!.tally!.successes, 1);
  t.is((await ask('PUT', '/scheduler/job/success/nobody')).text, 'marked job nobody as successful: false');
});

test('a job is deleted with what Chronos did to those that follow it; a dependent job can be scheduled again', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/scheduler/iso8601', { json: scheduled('a') });
  await ask('POST', '/scheduler/dependency', { json: dependent('b', ['a']) });
  await ask('DELETE', '/scheduler/job/a');
  t.like(core.asked.at(-1)!.command, { type: 'delete', orphans: 'reschedule' });
  await ask('POST', '/scheduler/iso8601', { json: scheduled('b') });
  t.is(core.views.job('chronos/default/b')!.record.job.parents, undefined);
});
