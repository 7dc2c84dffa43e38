// executors.test.ts: custom executors as real processes of a real agent: how they begin, work and end.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { sweepFetched } from '../../mesos/local/fetch/cache.ts';
import { isAlive } from '../support/processes.ts';
import { until } from '../support/until.ts';
import { type Json, post, subscribe } from './support/client.ts';
import { executor, running, script, task } from './support/executors.ts';
import { machine } from './support/machine.ts';

const failed = (events: Json[], executor: string) =>
  events.find(({ type, failure }) => type === 'FAILURE' && failure.executor_id?.value === executor)?.failure;
const events = (mesos: { output: (task: string, file?: string) => string }, task: string) =>
  mesos.output(task, 'events');
const spawned = async (mesos: { output: (task: string, file?: string) => string }, task: string, count: number) => {
  const pids = () => [...events(mesos, task).matchAll(/spawned (\d+)/g)].map(match => Number(match[1]));
  await until(`${count} children of ${task}`, () => pids().length === count);
  return pids();
};

test('a custom executor is fetched, started, given its task, heard, and shut down', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([
    task('t-1', executor('ex'), [
      ...running,
      ['message', 'hello'],
      ['update', { state: 'TASK_FINISHED', message: 'ok' }],
    ]),
  ]);
  const status = await scheduler.reached('t-1', 'TASK_FINISHED');
  t.deepEqual(scheduler.states('t-1'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED']);
  t.like(status, { source: 'SOURCE_EXECUTOR', message: 'ok', agent_id: { value: mesos.agent.id } });
  await scheduler.until(events => events.some(({ type }) => type === 'MESSAGE'));
  t.regex(events(mesos, 't-1'), /begun \d+\nSUBSCRIBED\nLAUNCH t-1\n/);
  t.is(mesos.agent.running(), 1, 'an idle executor stays');
  await scheduler.call({
    type: 'SHUTDOWN',
    shutdown: { executor_id: { value: 'ex' }, agent_id: { value: mesos.agent.id } },
  });
  await scheduler.until(events => failed(events, 'ex'));
  t.is(failed(scheduler.events, 'ex').status, 0);
  t.is(mesos.agent.running(), 0);
});

test('an executor sees exactly the environment that it was given, nothing of the agent', async t => {
  process.env.HORAE_TEST_SECRET = 'not for executors';
  const mesos = await machine(t, { executors: { shutdown_grace_ms: 7_000 } });
  const scheduler = await subscribe(mesos);
  const variables = [
    { name: 'MINE', value: 'a b' },
    { name: 'MESOS_RECOVERY_TIMEOUT', value: '99hrs' },
  ];
  const command = { value: 'env -0 > seen; exit 0', uris: [], environment: { variables } };
  await scheduler.launch([task('env', executor('ex-env', {}, { command }))]);
  await scheduler.reached('env', 'TASK_FAILED');
  const { MESOS_AGENT_ENDPOINT, MESOS_SLAVE_PID, MESOS_EXECUTOR_AUTHENTICATION_TOKEN, MESOS_SANDBOX, ...rest } =
    Object.fromEntries(
      mesos
        .output('env', 'seen')
        .split('\0')
        .filter(line => line !== '')
        .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  t.regex(MESOS_AGENT_ENDPOINT ?? '', /^127\.0\.0\.1:\d+$/);
  t.is(MESOS_SLAVE_PID, `slave(1)@${MESOS_AGENT_ENDPOINT}`);
  t.is(MESOS_EXECUTOR_AUTHENTICATION_TOKEN?.split('.').length, 3);
  t.deepEqual(rest, {
    LIBPROCESS_IP: '127.0.0.1',
    LIBPROCESS_PORT: '0',
    MESOS_CHECKPOINT: '1',
    MESOS_DIRECTORY: MESOS_SANDBOX,
    MESOS_EXECUTOR_ID: 'ex-env',
    MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: '7secs',
    MESOS_FRAMEWORK_ID: scheduler.framework_id().value,
    MESOS_HTTP_COMMAND_EXECUTOR: '0',
    MESOS_RECOVERY_TIMEOUT: '99hrs',
    MESOS_SLAVE_ID: mesos.agent.id,
    MESOS_SUBSCRIPTION_BACKOFF_MAX: '2secs',
    MINE: 'a b',
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    PWD: MESOS_SANDBOX,
  });
});

test('LAUNCH and LAUNCH_GROUP may be mixed on one executor, and a task that is killed takes nobody along', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const mine = executor('mixed');
  await scheduler.launch([task('single', mine)]);
  await scheduler.reached('single', 'TASK_RUNNING');
  const offer = await scheduler.offer();
  const tasks = ['g-a', 'g-b'].map(id => ({ ...task(id, undefined), agent_id: offer.agent_id }));
  await scheduler.accept(offer, [{ type: 'LAUNCH_GROUP', launch_group: { executor: mine, task_group: { tasks } } }]);
  await scheduler.reached('g-a', 'TASK_RUNNING');
  await scheduler.reached('g-b', 'TASK_RUNNING');
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'g-a' } } });
  t.is((await scheduler.reached('g-a', 'TASK_KILLED')).message, 'killed on request');
  t.regex(events(mesos, 'single'), /LAUNCH single\n(ACKNOWLEDGED\n)+LAUNCH_GROUP\n/);
  t.is(events(mesos, 'g-b').match(/begun/g)?.length, 1, 'one process for all of them');
  t.deepEqual(
    [...scheduler.states('g-b'), ...scheduler.states('single')],
    ['TASK_STARTING', 'TASK_RUNNING', 'TASK_STARTING', 'TASK_RUNNING'],
  );
});

for (const [how, step, status] of [
  ['exits with 3', ['exit', 3], 768],
  ['exits with 0', ['exit', 0], 0],
  ['is killed by a signal', ['signal', 'SIGKILL'], 9],
] as const)
  test(`an executor that ${how} fails the task that it leaves behind, and nobody whom it started lives on`, async t => {
    const mesos = await machine(t);
    const scheduler = await subscribe(mesos);
    await scheduler.launch([
      task('left', executor('leaver'), [
        ...running,
        ['spawn', 'sleep 1001'],
        ['spawn', 'sleep 1002 & sleep 1003', 'detached'],
      ]),
    ]);
    await scheduler.reached('left', 'TASK_RUNNING');
    const children = await spawned(mesos, 'left', 2);
    await scheduler.call({
      type: 'MESSAGE',
      message: {
        agent_id: { value: mesos.agent.id },
        executor_id: { value: 'leaver' },
        data: Buffer.from(JSON.stringify({ task: 'left', steps: [step] })).toString('base64'),
      },
    });
    const end = await scheduler.reached('left', 'TASK_FAILED');
    t.like(end, { source: 'SOURCE_AGENT', reason: 'REASON_EXECUTOR_TERMINATED', message: 'Executor terminated' });
    t.is(failed(scheduler.events, 'leaver').status, status);
    await until('the end of its children', () => !children.some(isAlive));
    t.is(mesos.agent.running(), 0);
  });

test('whoever ignores SHUTDOWN is killed when its grace is over, with all its children', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const stubborn = executor('stubborn', { ignore_shutdown: true }, { shutdown_grace_period: { nanoseconds: 3e8 } });
  await scheduler.launch([
    task('s', stubborn, [...running, ['spawn', 'sleep 1004', 'detached'], ['spawn', 'sleep 1005']]),
  ]);
  await scheduler.reached('s', 'TASK_RUNNING');
  const children = await spawned(mesos, 's', 2);
  await scheduler.call({
    type: 'SHUTDOWN',
    shutdown: { executor_id: { value: 'stubborn' }, agent_id: { value: mesos.agent.id } },
  });
  t.like(await scheduler.reached('s', 'TASK_FAILED'), { reason: 'REASON_EXECUTOR_TERMINATED', source: 'SOURCE_AGENT' });
  t.is(failed(scheduler.events, 'stubborn').status, 9);
  await until('the end of its children', () => !children.some(isAlive));
});

test('whoever never subscribes is killed, and its tasks are told why they failed', async t => {
  const mesos = await machine(t, { executors: { registration_timeout_ms: 500 } });
  const scheduler = await subscribe(mesos);
  const mute = executor('mute', {}, { command: { value: 'exec sleep 1006', uris: [] } });
  await scheduler.launch([task('m-1', mute), task('m-2', mute)]);
  for (const id of ['m-1', 'm-2'])
    t.like(await scheduler.reached(id, 'TASK_FAILED'), {
      reason: 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
      message: 'Executor did not register within 500ms',
    });
  t.is(failed(scheduler.events, 'mute').status, 9);
});

test('an executor whose command does not exist fails its task and leaves its words in the sandbox', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([task('no', executor('none', {}, { command: { value: 'exec ./nothing-here', uris: [] } }))]);
  t.like(await scheduler.reached('no', 'TASK_FAILED'), { reason: 'REASON_EXECUTOR_TERMINATED' });
  t.is(failed(scheduler.events, 'none').status, 127 << 8);
  t.regex(mesos.output('no', 'stderr'), /nothing-here/);
});

// --- fetching -------------------------------------------------------------------------------------------------------

/** Serves what is in a folder, and counts. */
async function files(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'horae-files-'));
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const name = (request.url ?? '').slice(1).split('?')[0]!;
    asked.push(name);
    if (name === 'never') return; // Neither answered nor closed.
    if (name === 'moved') response.writeHead(302, { Location: '/executor.tar.gz' }).end();
    else if (existsSync(join(folder, name))) response.end(readFileSync(join(folder, name)));
    else response.writeHead(404).end();
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { folder, asked, url };
}
const tar = (cwd: string, ...words: string[]) => {
  const { status, stderr } = spawnSync('tar', words, { cwd });
  if (status !== 0) throw new Error(String(stderr));
};

test('an archive is fetched over http, through redirects, and unpacked; what is cached is asked for once', async t => {
  const mesos = await machine(t);
  const { folder, asked, url } = await files(t);
  mkdirSync(join(folder, 'app'));
  writeFileSync(join(folder, 'app', 'executor.mjs'), readFileSync(script));
  tar(folder, '-czf', 'executor.tar.gz', '-C', folder, 'app');
  const scheduler = await subscribe(mesos);
  const value = `exec ${process.execPath} app/executor.mjs`;
  const uris = [{ value: `${url}/moved`, output_file: 'x.tar.gz' }];
  await scheduler.launch([task('f-1', executor('fetched', {}, { command: { value, uris } }))]);
  await scheduler.reached('f-1', 'TASK_RUNNING');
  t.true(existsSync(join(mesos.sandbox('f-1'), 'x.tar.gz')));
  t.deepEqual(asked, ['moved', 'executor.tar.gz']);

  const cached = [{ value: `${url}/executor.tar.gz?v=2`, cache: true }];
  const more = ['c-1', 'c-2'].map(id => task(id, executor(`of-${id}`, {}, { command: { value, uris: cached } })));
  await scheduler.launch(more);
  await scheduler.reached('c-1', 'TASK_RUNNING');
  await scheduler.reached('c-2', 'TASK_RUNNING');
  t.is(asked.length, 3);
  t.false(existsSync(join(mesos.sandbox('c-1'), 'executor.tar.gz')), 'a cached archive is not copied');
  const cache = join(mesos.work_dir, 'fetched');
  t.is(sweepFetched(cache, 60_000, Date.now()), 0);
  t.is(readdirSync(cache).length, 2, 'the archive, and what it is when inflated');
  t.is(sweepFetched(cache, 60_000, Date.now() + 120_000), 2);
  t.is(readdirSync(cache).length, 0);
});

test('what cannot be fetched fails the task at once, and says why where its logs are', async t => {
  const mesos = await machine(t);
  const { folder, url } = await files(t);
  writeFileSync(join(folder, 'outside'), 'x');
  mkdirSync(join(folder, 'in'));
  tar(join(folder, 'in'), '-czPf', '../climbs.tar.gz', '../outside');
  writeFileSync(join(folder, 'broken.tar.gz'), 'not an archive');
  const scheduler = await subscribe(mesos);
  const cases: readonly [id: string, uri: Json, why: RegExp][] = [
    ['missing', { value: `${url}/missing.tar` }, /the server answered 404/],
    ['climbs', { value: `${url}/climbs.tar.gz` }, /the archive holds "\.\.\/outside": expected only paths that stay/],
    ['broken', { value: `${url}/broken.tar.gz` }, /tar exited with 2/],
    ['elsewhere', { value: `file://${script}`, output_file: '../../x' }, /output file "\.\.\/\.\.\/x"/],
    ['no-file', { value: '/nowhere/at/all' }, /ENOENT/],
    ['scheme', { value: 'hdfs://name/node' }, /scheme "hdfs:"/],
    ['no-server', { value: 'http://127.0.0.1:1/x' }, /ECONNREFUSED/],
  ];
  await scheduler.launch(cases.map(([id, uri]) => task(id, executor(`of-${id}`, {}, { command: { uris: [uri] } }))));
  for (const [id, , why] of cases) {
    const end = await scheduler.reached(id, 'TASK_FAILED');
    t.like(end, { source: 'SOURCE_AGENT', reason: 'REASON_CONTAINER_LAUNCH_FAILED' }, id);
    t.regex(
      end.message,
      /^Failed to launch container: Failed to fetch all URIs for container '.*': exited with status 1$/,
    );
    t.is(failed(scheduler.events, `of-${id}`).status, 256);
    t.regex(mesos.output(id, 'stderr'), why);
  }
  t.false(existsSync(join(mesos.sandbox('climbs'), '..', 'outside')));
});

test('a task that is killed while its executor is fetched is ended by the agent', async t => {
  const mesos = await machine(t);
  const { asked, url } = await files(t);
  const scheduler = await subscribe(mesos);
  const hangs = executor('hangs', {}, { command: { uris: [{ value: `${url}/never` }] } });
  await scheduler.launch([task('h', hangs)]);
  await until('the fetch', () => asked.length > 0);
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'h' } } });
  t.like(await scheduler.reached('h', 'TASK_KILLED'), {
    source: 'SOURCE_AGENT',
    reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
    message: 'Killed before delivery to the executor',
  });
});

test('a fetch that hangs ends with the time for registration', async t => {
  const mesos = await machine(t, { executors: { registration_timeout_ms: 500 } });
  const { url } = await files(t);
  const scheduler = await subscribe(mesos);
  const hangs = executor('hangs', {}, { command: { uris: [{ value: `${url}/never` }] } });
  await scheduler.launch([task('h', hangs)]);
  const end = await scheduler.reached('h', 'TASK_FAILED');
  t.is(end.reason, 'REASON_CONTAINER_LAUNCH_FAILED');
  t.regex(end.message, /terminated with signal Killed$/);
  t.is(failed(scheduler.events, 'hangs').status, 9);
});

// --- the door -------------------------------------------------------------------------------------------------------

test('nobody speaks for an executor without its pass, nor from a web page', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([task('mine', executor('mine')), task('other', executor('other'))]);
  await scheduler.reached('mine', 'TASK_RUNNING');
  await scheduler.reached('other', 'TASK_RUNNING');
  const offer = await scheduler.offer();
  const { address, path } = offer.url;
  t.is(path, '/slave(1)');
  const target = { url: `http://127.0.0.1:${address.port}`, credentials: undefined };
  const environ = (task: string) => {
    const pid = /begun (\d+)/.exec(events(mesos, task))?.[1];
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  };
  const token = environ('other')
    .find(line => line.startsWith('MESOS_EXECUTOR_AUTHENTICATION_TOKEN='))
    ?.split('=')[1];
  const call = (executor: string, headers: Record<string, string>, path?: string) =>
    post(
      target,
      {
        type: 'MESSAGE',
        executor_id: { value: executor },
        framework_id: scheduler.framework_id(),
        message: { data: 'aGk=' },
      },
      headers,
      { path: path ?? '/api/v1/executor' },
    );
  const bearer = { Authorization: `Bearer ${token}` };
  t.is((await call('other', bearer)).status, 202);
  t.is((await call('other', bearer, '/slave(1)/api/v1/executor')).status, 202);
  t.is((await call('other', {})).status, 401);
  t.is((await call('other', { Authorization: 'Bearer a.b.c' })).status, 401);
  t.is((await call('other', { Authorization: `Bearer ${token}x` })).status, 401);
  const stranger = await call('mine', bearer);
  t.is(stranger.status, 403);
  t.regex(stranger.text, /does not contain an 'eid' claim with the executor ID mine/);
  t.is((await call('other', { ...bearer, Origin: 'http://evil.example' })).status, 403);
  t.is((await call('other', { ...bearer, Host: 'evil.example' })).status, 403);
});
