// serve.test.ts: the scheduler and its Mesos as two programs, either of which may die at any moment.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { command, post, subscribe } from '../mesos-local/support/client.ts';
import { endOf } from '../support/child.ts';
import { isAlive } from '../support/processes.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, type RunAnswer, runsOf } from './horae.ts';
import { killAlone, launch, launchServe, startMesos, startServe } from './serving.ts';

const written = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []);

async function create(api: Api, name: string, fields: object): Promise<string> {
  const answer = await api.request('POST', '/api/v1/jobs', { role: 'me', environment: 'test', name, ...fields });
  if (answer.status !== 201) throw new Error(`${name}: ${answer.status} ${answer.text}`);
  return `me/test/${name}`;
}
const over = (api: Api, key: string, ms?: number): Promise<RunAnswer> =>
  until(
    `the end of ${key}`,
    async () => (await runsOf(api, key)).find(({ state }) => state !== 'running' && state !== 'pending'),
    ms,
  );
/** Writes a line when it starts, waits for a file, writes another, and exits with 7. */
const patient = (log: string, gate: string) =>
  `echo began >> ${log}; until [ -e ${gate} ]; do sleep 0.1; done; echo ended >> ${log}; exit 7`;

test('jobs run on a Mesos that is another program, and what they write is read from its agent, byte for byte', async t => {
  const directory = await tempDir(t);
  const mesos = await startMesos(t, join(directory, 'mesos'));
  const { child, api } = await startServe(t, mesos.url, join(directory, 'data'));
  const key = await create(api, 'once', { command: "printf 'out \\377\\n'; exit 3" });
  const run = await over(api, key);
  t.like(run.instances[0], { state: 'failed', attempt: 1, reason: { code: 'exited', exit_code: 3 } });
  // Every byte of it, over the agent's HTTP.
  const output = await fetch(`${api.url}${run.instances[0]!.links.stdout!}`);
  t.deepEqual([...new Uint8Array(await output.arrayBuffer())], [...Buffer.from('out \xff\n', 'latin1')]);
  const gate = join(directory, 'gate');
  const slow = await create(api, 'slow', { command: `echo one; until [ -e ${gate} ]; do sleep 0.1; done; echo two` });
  const started = await until('it to run', async () =>
    (await runsOf(api, slow)).find(({ state }) => state === 'running'),
  );
  const followed = await fetch(`${api.url}${started.instances[0]!.links.stdout!}?follow=true`);
  let heard = '';
  for await (const piece of followed.body!) {
    heard += Buffer.from(piece).toString();
    if (heard === 'one\n') writeFileSync(gate, '');
  }
  t.is(heard, 'one\ntwo\n');
  await killAlone(mesos.child);
  const away = await api.request('GET', run.instances[0]!.links.stdout!);
  t.is(away.status, 502, away.text);
  child.send('SIGTERM');
  t.deepEqual(await endOf(child), { status: 0, signal: null });
});

test('what was given back for an hour is asked for again when somebody begins to wait', async t => {
  const directory = await tempDir(t);
  const mesos = await startMesos(t, join(directory, 'mesos'));
  const flags = ['--refuse-seconds', '3600', '--offer-hold-ms', '0', '--revive-interval-ms', '50'];
  const { api } = await startServe(t, mesos.url, join(directory, 'data'), flags);
  const [log, gate] = [join(directory, 'log'), join(directory, 'gate')];
  await create(api, 'holds', { command: patient(log, gate) });
  await until('it to run', () => written(log).length === 1);
  for (const name of ['one', 'two'])
    t.is((await over(api, await create(api, name, { command: 'true' }))).state, 'succeeded', name);
});

test('a scheduler that is killed finds its tasks again, however they fared; none is lost, none runs twice', async t => {
  const directory = await tempDir(t);
  const [log, gate, quick] = ['log', 'gate', 'quick'].map(name => join(directory, name)) as [string, string, string];
  const mesos = await startMesos(t, join(directory, 'mesos'));
  const first = await startServe(t, mesos.url, join(directory, 'data'));
  const long = await create(first.api, 'long', { command: patient(log, gate) });
  const short = await create(first.api, 'short', { command: patient(quick, `${gate}-quick`) });
  await until('both to run', () => written(log).length === 1 && written(quick).length === 1);
  await killAlone(first.child);
  writeFileSync(`${gate}-quick`, '');
  await until('one to end while nobody listens', () => written(quick).length === 2);
  const second = await startServe(t, mesos.url, join(directory, 'data'));
  t.like((await over(second.api, short)).instances[0], { attempt: 1, reason: { code: 'exited', exit_code: 7 } });
  t.is((await runsOf(second.api, long))[0]!.state, 'running');
  writeFileSync(gate, '');
  t.like((await over(second.api, long)).instances[0], { attempt: 1, reason: { code: 'exited', exit_code: 7 } });
  t.deepEqual(
    [written(log), written(quick)],
    [
      ['began', 'ended'],
      ['began', 'ended'],
    ],
  );
  const ids = [first, second].map(({ child }) => /"framework":"([^"]+)"/.exec(child.output())?.[1]);
  t.truthy(ids[0]);
  t.is(ids[0], ids[1], 'the same framework to Mesos');
});

test('a Mesos that is killed and comes back is found again, with the tasks that ran and ended meanwhile', async t => {
  const directory = await tempDir(t);
  const [log, gate, quick] = ['log', 'gate', 'quick'].map(name => join(directory, name)) as [string, string, string];
  const work_dir = join(directory, 'mesos');
  const mesos = await startMesos(t, work_dir);
  const { child, api } = await startServe(t, mesos.url, join(directory, 'data'));
  const long = await create(api, 'long', { command: patient(log, gate) });
  const short = await create(api, 'short', { command: patient(quick, `${gate}-quick`) });
  await until('both to run', () => written(log).length === 1 && written(quick).length === 1);
  await killAlone(mesos.child);
  await child.line(/the subscription to Mesos ended/);
  const late = await create(api, 'late', { command: 'true' });
  writeFileSync(`${gate}-quick`, '');
  await until('one to end while its master is away', () => written(quick).length === 2);
  await startMesos(t, work_dir, [], mesos.listen);
  t.like((await over(api, short)).instances[0], { attempt: 1, reason: { code: 'exited', exit_code: 7 } });
  t.is((await over(api, late)).state, 'succeeded');
  t.is((await runsOf(api, long))[0]!.state, 'running');
  writeFileSync(gate, '');
  t.like((await over(api, long)).instances[0], { attempt: 1, reason: { code: 'exited', exit_code: 7 } });
  t.deepEqual(
    [written(log), written(quick)],
    [
      ['began', 'ended'],
      ['began', 'ended'],
    ],
  );
});

test('a wrong secret is told in the words of the master, and when it is mended in its file all goes on', async t => {
  const directory = await tempDir(t);
  const [known, secret] = [join(directory, 'known'), join(directory, 'secret')];
  writeFileSync(known, 'horae quiet\n');
  writeFileSync(secret, 'loud\n');
  const mesos = await startMesos(t, join(directory, 'mesos'), ['--credentials', known]);
  const flags = ['--mesos-principal', 'horae', '--mesos-secret-file', secret];
  const { child, api } = await startServe(t, mesos.url, join(directory, 'data'), flags);
  const [line] = await child.line(/^.*Mesos does not take us.*$/);
  t.like(JSON.parse(line), { level: 50, status: 401 });
  t.regex(line, /401 Unauthorized/);
  t.regex(line, /--mesos-secret-file/);
  t.false(child.output().includes('loud'), 'a secret is never told');
  const key = await create(api, 'waits', { command: 'echo seen' });
  writeFileSync(secret, 'quiet\n');
  const run = await over(api, key);
  t.is(run.state, 'succeeded');
  // Agents are another matter: they see the secret only when that is wanted.
  const hidden = await api.request('GET', run.instances[0]!.links.stdout!);
  t.is(hidden.status, 502);
  t.regex(hidden.text, /--mesos-agents-authenticate/);
  await killAlone(child);
  const open = await startServe(t, mesos.url, join(directory, 'data'), [...flags, '--mesos-agents-authenticate']);
  const shown = await until('the agent to be known', async () => {
    const answer = await open.api.request('GET', run.instances[0]!.links.stdout!);
    return answer.status === 200 && answer;
  });
  t.is(shown.text, 'seen\n');
});

/** Ends the framework with this id at the master, as an operator would. */
async function tearDown(url: string, framework_id: string): Promise<void> {
  const thief = await subscribe({ url, credentials: undefined }, framework_id);
  await thief.until(events => events.some(event => event.type === 'SUBSCRIBED'));
  const body = { type: 'TEARDOWN', framework_id: { value: framework_id } };
  const { status } = await post({ url, credentials: undefined }, body, { 'Mesos-Stream-Id': thief.stream });
  if (status !== 202) throw new Error(`TEARDOWN: ${status}`);
}
const frameworkOf = (output: string) => /"framework":"([^"]+)"/.exec(output)![1]!;

test('a framework that Mesos has removed ends the program, or, told to, begins anew and counts its losses', async t => {
  const directory = await tempDir(t);
  const log = join(directory, 'log');
  const data_dir = join(directory, 'data');
  const mesos = await startMesos(t, join(directory, 'mesos'));
  const first = await startServe(t, mesos.url, data_dir);
  const twice = `echo $HORAE_ATTEMPT >> ${log}; [ $HORAE_ATTEMPT = 2 ] || exec sleep 1000`;
  const key = await create(first.api, 'twice', { command: twice, max_task_failures: 2, retry_delay_ms: 10 });
  await until(
    'it to run',
    async () => (await runsOf(first.api, key))[0]?.state === 'running' && written(log).length === 1,
  );
  const framework = frameworkOf(first.child.output());
  await killAlone(first.child);
  await tearDown(mesos.url, framework);

  const second = launchServe(t, mesos.url, data_dir);
  t.deepEqual(await endOf(second), { status: 1, signal: null });
  t.regex(second.output(), new RegExp(`horae stops: Mesos has removed our framework ${framework}.*register-anew`));

  const third = await startServe(t, mesos.url, data_dir, ['--framework-removed', 'register-anew']);
  const run = await over(third.api, key);
  t.is(run.state, 'succeeded');
  t.like(run.instances[0], { attempt: 2, failures: 1 });
  t.deepEqual(written(log), ['1', '2']);
  t.regex(third.child.output(), /Mesos has removed our framework and killed its tasks/);
  const ids = third.child.output().match(/"framework":"[^"]+","master"/g);
  t.is(ids?.length, 1);
  t.false(ids![0]!.includes(framework), 'another framework');
  third.child.send('SIGTERM');
  await endOf(third.child);
  const fourth = await startServe(t, mesos.url, data_dir);
  await fourth.child.line(new RegExp(`${frameworkOf(ids![0]!)}.*subscribed to Mesos`));
});

test('a task of ours that no record knows is found by asking for all that Mesos has, and ended', async t => {
  const directory = await tempDir(t);
  const note = join(directory, 'pid');
  const data_dir = join(directory, 'data');
  const mesos = await startMesos(t, join(directory, 'mesos'));
  const first = await startServe(t, mesos.url, data_dir);
  // What has run has been recorded, and the framework's id before it.
  await over(first.api, await create(first.api, 'first', { command: 'true' }));
  const framework = frameworkOf(first.child.output());
  await killAlone(first.child);
  const other = await subscribe({ url: mesos.url, credentials: undefined }, framework);
  await other.launch([command('stray', `echo $$ > ${note}; exec sleep 1000`)]);
  await other.reached('stray', 'TASK_RUNNING');
  const [pid] = await until('its pid', () => (written(note).length === 1 ? written(note).map(Number) : undefined));
  await startServe(t, mesos.url, data_dir);
  await until('its end', () => !isAlive(pid!));
  t.pass();
});

test('somebody else who subscribes as us ends the program: they would throw each other out for ever', async t => {
  const directory = await tempDir(t);
  const mesos = await startMesos(t, join(directory, 'mesos'));
  const { child } = await startServe(t, mesos.url, join(directory, 'data'));
  await child.line(/subscribed to Mesos/);
  const framework = frameworkOf(child.output());
  await subscribe({ url: mesos.url, credentials: undefined }, framework);
  t.deepEqual(await endOf(child), { status: 1, signal: null });
  t.regex(child.output(), /horae stops: Mesos ended our subscription: Framework failed over: another scheduler/);
});

test('what --mesos cannot be is refused with one line', async t => {
  const directory = await tempDir(t);
  const secret = ['--mesos-principal', 'a', '--mesos-secret-file', '/none'];
  for (const [mesos, flags, said] of [
    [undefined, [], /^horae: --mesos is not given: expected http:/],
    ['mesos:5050', [], /^horae: --mesos is "mesos:5050": expected http:/],
    ['zk://h1:2181/', [], /^horae: --mesos is "zk:\/\/h1:2181\/": it does not end in the path/],
    ['http://127.0.0.1:1', secret, /^horae: --mesos-secret-file is \/none: there is no such file/],
    ['http://127.0.0.1:1', ['--mesos-cert', 'c'], /^horae: --mesos-cert is given without --mesos-key/],
  ] as const) {
    const child = launchServe(t, mesos, directory, flags);
    const { status } = await endOf(child);
    t.true(status === 1 || status === 2, child.output());
    t.is(child.output().split('\n').length, 1, child.output());
    t.regex(child.output(), said);
  }
});

test('the doctor looks at a Mesos, tells what is wrong by its status too, and leaves nothing behind', async t => {
  const directory = await tempDir(t);
  const known = join(directory, 'known');
  writeFileSync(known, 'horae quiet\n');
  const mesos = await startMesos(t, join(directory, 'mesos'), ['--credentials', known, '--agents', '2']);
  const asked = ['doctor', '--mesos', mesos.url, '--mesos-principal', 'horae'];
  writeFileSync(join(directory, 'right'), 'quiet\n');
  writeFileSync(join(directory, 'wrong'), 'loud\n');
  const right = launch(t, [...asked, '--mesos-secret-file', join(directory, 'right'), '--json']);
  t.is((await endOf(right)).status, 0, right.output());
  const report = JSON.parse(right.output()) as { healthy: boolean; findings: { check: string; state: string }[] };
  t.true(report.healthy);
  t.is(report.findings.find(({ check }) => check === 'offers')?.state, 'ok');
  const wrong = launch(t, [...asked, '--mesos-secret-file', join(directory, 'wrong')]);
  t.is((await endOf(wrong)).status, 1, wrong.output());
  t.regex(wrong.output(), /^wrong +subscription +as principal horae: .*401 Unauthorized/m);
  const nobody = launch(t, ['doctor', '--mesos', 'zk://127.0.0.1:1/mesos', '--subscribe-timeout-ms', '300']);
  t.is((await endOf(nobody)).status, 1, nobody.output());
  t.regex(nobody.output(), /^wrong +zookeeper +127\.0\.0\.1:1: .*no answer from ZooKeeper within 300 ms/m);
  const lost = launch(t, ['doctor']);
  t.is((await endOf(lost)).status, 1);
  t.regex(lost.output(), /^horae: --mesos is not given/);
});
