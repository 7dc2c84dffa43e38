// start.test.ts: how the real program begins and ends: soon, and where it cannot, with one line that says why.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { type Child, endOf } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { may_mount, testWith } from '../support/needs.ts';
import { isAlive } from '../support/processes.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { apiAt, jobsOf, launchHorae, type RunAnswer, runsOf, startHorae, urlOf } from './horae.ts';
import { liveTasks } from './processes.ts';

const far_cron = '0 0 29 2 *';
const job = (name: string, fields: object = {}) => ({
  role: 'me',
  environment: 'test',
  name,
  command: 'true',
  cron: far_cron,
  ...fields,
});

/** It ends by itself with this status, having said one thing, without a stack. */
async function refuses(t: ExecutionContext, child: Child, status: number, said: RegExp): Promise<void> {
  t.deepEqual(await endOf(child), { status, signal: null }, child.output());
  const lines = child.output().split('\n');
  t.is(lines.length, 1, child.output());
  t.regex(lines[0]!, /^horae: /);
  t.regex(lines[0]!, said);
}

test.serial('the first answer on the port comes soon after the process starts', async t => {
  const port = await freePort();
  const began = performance.now();
  launchHorae(t, join(await tempDir(t), 'data'), ['--http', `127.0.0.1:${port}`]);
  const api = apiAt(`http://127.0.0.1:${port}`);
  const answer = await until(
    'an answer',
    () =>
      api
        .request('GET', '/api/v1/health')
        .catch(error => (error instanceof TypeError ? undefined : Promise.reject(error))),
    60_000,
  );
  t.is(answer.status, 200);
  t.log(`first answer after ${Math.round(performance.now() - began)} ms`);
});

test.serial('a port that is in use ends it with one line that says so', async t => {
  const server = createServer().listen(0, '127.0.0.1');
  t.teardown(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const child = launchHorae(t, await tempDir(t), ['--http', `127.0.0.1:${port}`, '--log-level', 'fatal']);
  await refuses(
    t,
    child,
    1,
    new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use; choose another`),
  );
});

test.serial(
  'a data directory that another instance has is refused with its number, and the other works on',
  async t => {
    const directory = await tempDir(t);
    const { child, api } = await startHorae(t, directory);
    await refuses(t, launchHorae(t, directory), 1, new RegExp(`in use by process ${child.pid}: .*--data-dir`));
    t.is((await api.request('POST', '/api/v1/jobs', job('there'))).status, 201);
  },
);

test.serial(
  'a data directory that is rotten is refused with one line, and what is left of it is not touched',
  async t => {
    const directory = await tempDir(t);
    const { child, api } = await startHorae(t, directory);
    for (let index = 0; index < 20; index++) await api.request('POST', '/api/v1/jobs', job(`job-${index}`));
    child.send('SIGTERM');
    await endOf(child);
    const path = join(directory, 'journal', 'data.mdb');
    const bytes = readFileSync(path);
    bytes.fill(0x5a, 0, Math.floor(bytes.length / 2));
    writeFileSync(path, bytes);
    await refuses(t, launchHorae(t, directory), 1, /data\.mdb/);
    t.deepEqual(readFileSync(path), bytes);
  },
);

test.serial('a data directory with the files of somebody else is refused', async t => {
  const directory = await tempDir(t);
  mkdirSync(join(directory, 'journal'));
  writeFileSync(join(directory, 'journal', 'data.mdb'), 'mine');
  await refuses(t, launchHorae(t, directory), 1, /journal holds "data\.mdb" but no journal of Horae: .*--data-dir/);
  t.deepEqual(readdirSync(join(directory, 'journal')), ['data.mdb']);
});

test.serial('a certificate that is none ends it with one line that names the file', async t => {
  const directory = await tempDir(t);
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  for (const path of [cert, key]) writeFileSync(path, 'garbage');
  const child = launchHorae(t, join(directory, 'data'), ['--tls-cert', cert, '--tls-key', key]);
  await refuses(t, child, 1, /--tls-cert is .*cert\.pem: there is no certificate in it .*BEGIN CERTIFICATE/);
});

test.serial('a file in the place of the data directory, or above it, is refused', async t => {
  const path = join(await tempDir(t), 'file');
  writeFileSync(path, '');
  await refuses(t, launchHorae(t, path), 1, /--data-dir is .*file: there is a file/);
  await refuses(t, launchHorae(t, join(path, 'below')), 1, /--data-dir is .*below: there is a file/);
});

test.serial('settings that are wrong are told all at once, each on a line of its own', async t => {
  const directory = await tempDir(t);
  const flags = ['--log-levl', 'info', '--offers-max', '-3', '--http', '127.0.0.1:99999', '--tls-key', 'x'];
  const child = launchHorae(t, directory, flags);
  t.deepEqual(await endOf(child), { status: 2, signal: null });
  const lines = child.output().split('\n');
  for (const said of [/--log-levl.*--log-level/, /--offers-max.*-3/, /99999/])
    t.is(lines.filter(line => line.startsWith('horae: ') && said.test(line)).length, 1, `${said}: ${child.output()}`);
  t.deepEqual(readdirSync(directory), []);
  await refuses(t, launchHorae(t, directory, ['--config', '/nowhere/horae.yaml']), 1, /\/nowhere\/horae\.yaml/);
  await refuses(
    t,
    launchHorae(t, directory, ['--tls-key', '/nowhere/key', '--tls-cert', '/nowhere/cert']),
    1,
    /--tls-cert is \/nowhere\/cert: there is no such file/,
  );
});

test.serial('beyond loopback it does not listen without credentials, unless --insecure says so', async t => {
  const directory = await tempDir(t);
  await refuses(
    t,
    launchHorae(t, directory, ['--http', '0.0.0.0:0']),
    2,
    /0\.0\.0\.0:0 .*without credentials.*--insecure/,
  );
  t.deepEqual(readdirSync(directory), []);
  const child = launchHorae(t, directory, ['--http', '0.0.0.0:0', '--insecure']);
  const url = (await urlOf(child)).replace('localhost', '127.0.0.1');
  t.is((await apiAt(url).request('GET', '/api/v1/health')).status, 200);
});

test.serial('SIGTERM ends it with 0 and leaves tasks running; the next start adopts them', async t => {
  // As somebody's home might be called.
  const directory = join(await tempDir(t), "what's in a näme; $(no) *");
  const first = await startHorae(t, directory);
  const service = job('web', { cron: undefined, service: true, instances: 2, command: 'echo $$; exec sleep 1000' });
  t.is((await first.api.request('POST', '/api/v1/jobs', service)).status, 201);
  const running = (runs: readonly RunAnswer[]) =>
    runs.flatMap(run => run.instances.filter(({ state }) => state === 'running').map(({ task_id }) => task_id!));
  const tasks = await until('both copies to run', async () => {
    const found = running(await runsOf(first.api, 'me/test/web'));
    return found.length === 2 && found;
  });
  const numbers = await until('both to say their numbers', async () => {
    const run = (await runsOf(first.api, 'me/test/web'))[0]!;
    const said = run.instances.map(({ links }) => first.api.request('GET', links.stdout!));
    const pids = (await Promise.all(said)).map(({ text }) => Number(text));
    return pids.every(pid => pid > 0) && pids;
  });
  first.child.send('SIGTERM');
  t.deepEqual(await endOf(first.child), { status: 0, signal: null });
  t.true(numbers.every(isAlive));
  t.deepEqual([...liveTasks(directory).keys()].sort(), [...tasks].sort());

  const second = await startHorae(t, directory);
  await second.child.line(/task adopted/);
  t.deepEqual(running(await runsOf(second.api, 'me/test/web')).sort(), [...tasks].sort());
  t.is((await second.api.request('DELETE', '/api/v1/jobs/me/test/web')).status, 204);
  await until('the tasks of a deleted job to end', () => liveTasks(directory).size === 0);
  t.false(numbers.some(isAlive));
});

test.serial('whoever follows a log or the console does not keep it from ending', async t => {
  const { child, api } = await startHorae(t, await tempDir(t));
  const wanted = job('talks', { cron: undefined, command: 'echo here; sleep 1000' });
  t.is((await api.request('POST', '/api/v1/jobs', wanted)).status, 201);
  const run = await until('it to run', async () =>
    (await runsOf(api, 'me/test/talks')).find(({ state }) => state === 'running'),
  );
  const followed = await fetch(`${api.url}${run.instances[0]!.links.stdout!}?follow=true`);
  const reader = followed.body!.getReader();
  t.is(Buffer.from((await reader.read()).value!).toString(), 'here\n');
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}/api/v1/feed`);
  await once(socket, 'open');
  const closed = once(socket, 'close');
  child.send('SIGTERM');
  t.deepEqual(await endOf(child), { status: 0, signal: null }, child.output());
  await closed;
  t.true((await reader.read()).done);
});

testWith(may_mount)(
  'a data directory whose device is full stops it with a clear line, and nothing acknowledged is lost',
  async t => {
    const small = join(await tempDir(t), 'small');
    mkdirSync(small);
    t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', small]).status, 0);
    t.teardown(() => void spawnSync('umount', ['-l', small]));
    const directory = join(small, 'data');
    const first = await startHorae(t, directory);
    const padding = { PADDING: 'x'.repeat(60_000), MORE: 'y'.repeat(60_000) };
    const acknowledged: string[] = [];
    let over = false;
    void first.child.ended.then(() => {
      over = true;
    });
    for (let index = 0; !over && index < 200; index++) {
      const wanted = job(`job-${index}`, { env: padding });
      // Once it has stopped nobody answers.
      const answer = await first.api.request('POST', '/api/v1/jobs', wanted).catch(() => undefined);
      if (answer === undefined) break;
      t.is(answer.status, 201, answer.text);
      acknowledged.push(`me/test/job-${index}`);
    }
    t.deepEqual(await endOf(first.child), { status: 1, signal: null });
    t.true(acknowledged.length > 5);
    t.regex(first.child.output().split('\n').at(-1)!, /horae stops: the journal failed \(full\)/);
    // The journal stopped before the last of it was gone. Without any there is none to start in, and no harm in trying.
    spawnSync('dd', ['if=/dev/zero', `of=${join(small, 'rest')}`, 'bs=4k']);
    t.like(await endOf(launchHorae(t, directory)), { status: 1 });

    t.is(spawnSync('mount', ['-o', 'remount,size=64m', small]).status, 0);
    const { api } = await startHorae(t, directory);
    const there = (await jobsOf(api)).map(({ key }) => key);
    t.deepEqual(
      acknowledged.filter(key => !there.includes(key)),
      [],
    );
    t.is((await api.request('POST', '/api/v1/jobs', job('after'))).status, 201);
  },
);

test.serial(
  'a secret that was typed is in no list of processes once it has started, and in no line of its log',
  async t => {
    const secret = 'never-to-be-seen';
    const typed = ['--webhook-secret', secret, `--slack-url=https://hooks.example.com/${secret}`];
    const child = launchHorae(t, await tempDir(t), [...typed, '--log-level', 'trace']);
    await urlOf(child);
    const line = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8');
    t.false(line.includes(secret), line);
    t.regex(line, /main\.ts dev --http .* --webhook-secret \*\*\* --slack-url=\*\*\* --log-level trace/);
    t.false(child.output().includes(secret));
    t.regex(child.output(), /--webhook-secret was on the command line, where others could read it/);
  },
);

test.serial('what a data directory holds is for its owner alone', async t => {
  const directory = join(await tempDir(t), 'data');
  const { api } = await startHorae(t, directory);
  t.is((await api.request('POST', '/api/v1/jobs', job('secret', { env: { TOKEN: 'x' } }))).status, 201);
  // Others may pass, to a sandbox that has become theirs; nothing on the way can be listed, read or written by them.
  const open: string[] = [];
  const look = (path: string) => {
    const { mode } = statSync(path);
    const folder = statSync(path).isDirectory();
    if ((mode & (folder ? 0o066 : 0o077)) !== 0) open.push(`${path}: ${(mode & 0o777).toString(8)}`);
    if (folder && (mode & 0o011) !== 0) for (const name of readdirSync(path)) look(join(path, name));
  };
  look(directory);
  t.deepEqual(open, []);
  appendFileSync(join(directory, 'note'), 'a file beside ours does no harm\n');
});
