// executors-crash.test.ts: agents that are killed, and executors that outlive them.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { resourcesFor, startLocalMesos } from '../../mesos/local/index.ts';
import { portBefore } from '../../mesos/local/work-dir.ts';
import { systemClock } from '../../schedules/clock.ts';
import { isAlive, send } from '../support/processes.ts';
import { until } from '../support/until.ts';
import { type Client, type Json, post, scalar, subscribe } from './support/client.ts';
import { base64, executor, task } from './support/executors.ts';
import { machine, silent } from './support/machine.ts';

const child_path = join(import.meta.dirname, 'support', 'child.ts');

type Started = { url: string; credentials: { principal: string; secret: string }; agent: string };

/** A place where Mesos can be started, killed and started again. */
function place(t: ExecutionContext, options: object = {}) {
  const work_dir = mkdtempSync(join(tmpdir(), 'horae-executors-'));
  let child: ChildProcess | undefined;
  const start = async (): Promise<Started> => {
    const started = spawn(process.execPath, [child_path, work_dir, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    child = started;
    let text = '';
    for await (const part of started.stdout) {
      text += part;
      if (text.includes('\n')) break;
    }
    if (text === '') throw new Error('the child ended without a word');
    return JSON.parse(text);
  };
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const over = new Promise(resolve => child?.once('exit', resolve));
    child.kill('SIGKILL');
    await over;
  };
  t.teardown(async () => {
    await kill();
    const last = await startLocalMesos({ work_dir, clock: systemClock(), log: silent });
    await last.agent?.killAll();
    await last.close();
    rmSync(work_dir, { recursive: true, force: true });
  });
  const events = (agent: string, task: string) => {
    const path = join(work_dir, 'sandboxes', agent, task, 'events');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  return { start, kill, events };
}
const tell = (client: Client, agent: string, id: string, task: string, steps: unknown) =>
  client.call({
    type: 'MESSAGE',
    message: { agent_id: { value: agent }, executor_id: { value: id }, data: base64({ task, steps }) },
  });
const pidOf = (events: string) => Number(/begun (\d+)/.exec(events)?.[1]);

test('kill -9 of the agent: an executor that lives comes back, with what it has to say, and is not started twice', async t => {
  const { start, kill, events } = place(t);
  const first = await start();
  const before = await subscribe(first);
  const id = before.framework_id().value;
  await before.launch([task('stays', executor('e-1')), task('ends', executor('e-1')), task('dies', executor('e-2'))]);
  for (const each of ['stays', 'ends', 'dies']) await before.reached(each, 'TASK_RUNNING');
  const pid = pidOf(events(first.agent, 'stays'));
  // It says something when nobody is there to hear it.
  await tell(before, first.agent, 'e-1', 'ends', [
    ['sleep', 700],
    ['update', { state: 'TASK_FINISHED', message: 'meanwhile' }],
  ]);
  await until('the message', () => events(first.agent, 'ends').includes('MESSAGE'));
  await kill();
  send(pidOf(events(first.agent, 'dies')), 'SIGKILL');
  await until('the end of the stream', () => events(first.agent, 'stays').includes('stream closed'));

  const second = await start();
  t.is(second.agent, first.agent);
  const after = await subscribe(second, id);
  const end = await after.reached('ends', 'TASK_FINISHED');
  t.is(end.message, 'meanwhile');
  t.like(await after.reached('dies', 'TASK_FAILED'), {
    source: 'SOURCE_AGENT',
    reason: 'REASON_EXECUTOR_TERMINATED',
  });
  t.true(isAlive(pid));
  t.is(events(first.agent, 'stays').match(/begun/g)?.length, 1);
  t.is(events(first.agent, 'stays').match(/LAUNCH/g)?.length, 2, 'no task is given twice');
  // It goes on as if nothing had been: more work, kills, its end.
  await after.launch([task('more', executor('e-1'))]);
  await after.reached('more', 'TASK_RUNNING');
  t.is(pidOf(events(first.agent, 'more')), pid);
  await after.call({ type: 'KILL', kill: { task_id: { value: 'stays' } } });
  await after.reached('stays', 'TASK_KILLED');
  await after.call({
    type: 'SHUTDOWN',
    shutdown: { executor_id: { value: 'e-1' }, agent_id: { value: first.agent } },
  });
  await after.until(all => all.some(({ failure }) => failure?.executor_id?.value === 'e-1'));
  t.false(isAlive(pid));
});

test('whoever does not come back to an agent that was killed is killed too, and its task is gone', async t => {
  const { start, kill, events } = place(t, { executors: { reregistration_timeout_ms: 2_000 } });
  const first = await start();
  const before = await subscribe(first);
  const id = before.framework_id().value;
  await before.launch([task('away', executor('away', { stay_away: true }))]);
  await before.reached('away', 'TASK_RUNNING');
  const pid = pidOf(events(first.agent, 'away'));
  await kill();
  const second = await start();
  const after = await subscribe(second, id);
  t.like(await after.reached('away', 'TASK_GONE'), {
    source: 'SOURCE_AGENT',
    reason: 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT',
    message: 'Executor did not reregister within 2secs',
  });
  await until('its end', () => !isAlive(pid));
});

test('of a framework that keeps no checkpoints nobody is left when the agent comes back', async t => {
  const { start, kill, events } = place(t);
  const first = await start();
  const before = await subscribe(first, undefined, { checkpoint: false });
  const id = before.framework_id().value;
  await before.launch([task('stays', executor('stays', { stay: true }))]);
  await before.reached('stays', 'TASK_RUNNING');
  const pid = pidOf(events(first.agent, 'stays'));
  t.true(isAlive(pid));
  await kill();
  const second = await start();
  await until('its end', () => !isAlive(pid));
  const after = await subscribe(second, id, { checkpoint: false });
  await after.call({
    type: 'RECONCILE',
    reconcile: { tasks: [{ task_id: { value: 'stays' }, agent_id: { value: first.agent } }] },
  });
  t.like(await after.reached('stays', 'TASK_GONE'), { reason: 'REASON_RECONCILIATION' });
});

test('kill -9 of the agent while an executor is fetched: its task was never started, and is told so', async t => {
  const { start, kill } = place(t);
  let asked = 0;
  const server = createServer(() => asked++); // Neither answers nor closes.
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const first = await start();
  const before = await subscribe(first);
  const id = before.framework_id().value;
  const hangs = executor('hangs', {}, { command: { uris: [{ value: `http://127.0.0.1:${port}/never` }] } });
  await before.launch([task('fetched', hangs)]);
  await until('the fetch', () => asked > 0);
  await kill();
  const after = await subscribe(await start(), id);
  t.like(await after.reached('fetched', 'TASK_DROPPED'), {
    source: 'SOURCE_AGENT',
    reason: 'REASON_AGENT_RESTARTED',
    message: 'Task launched during agent restart: its executor never started',
  });
  // The id is free again.
  await after.launch([task('again', executor('hangs'))]);
  await after.reached('again', 'TASK_RUNNING');
});

test('an agent whose port is taken meanwhile listens at another, says so, and serves', async t => {
  const work_dir = mkdtempSync(join(tmpdir(), 'horae-port-'));
  const warned: string[] = [];
  const options = {
    work_dir,
    clock: systemClock(),
    log: { ...silent, warn: (_: object, message: string) => void warned.push(message) },
    resources: resourcesFor({ cpus: 4, mem: 1_000, disk: 1_000 }),
  };
  const first = await startLocalMesos(options);
  await first.close();
  const port = portBefore(work_dir)!;
  const other = createServer();
  await new Promise<void>(resolve => other.listen(port, '127.0.0.1', () => resolve()));
  const second = await startLocalMesos(options);
  t.teardown(async () => {
    await second.agent?.killAll();
    await second.close();
    other.close();
    rmSync(work_dir, { recursive: true, force: true });
  });
  t.not(portBefore(work_dir), port);
  t.deepEqual(warned, [
    'somebody else listens where this agent did: executors that outlived it will not find it, and are ended',
  ]);
  const scheduler = await subscribe(second);
  await scheduler.launch([task('t', executor('e'))]);
  await scheduler.reached('t', 'TASK_RUNNING');
});

test('an agent refuses an update of a task that it has not handed over yet, and lives on', async t => {
  const mesos = await machine(t, { executors: { authentication: false } });
  const scheduler = await subscribe(mesos);
  await scheduler.launch([task('queued', executor('early', { mute: true }))]);
  const offer = await scheduler.offer();
  const agent = { url: `http://127.0.0.1:${offer.url.address.port}`, credentials: undefined };
  const ids = { framework_id: scheduler.framework_id(), executor_id: { value: 'early' } };
  const status = (state: string): Json => ({
    task_id: { value: 'queued' },
    state,
    source: 'SOURCE_EXECUTOR',
    uuid: 'ERERESIiQzOERFVVVVVVVQ==',
  });
  const subscribing = (state: string) => ({
    ...ids,
    type: 'SUBSCRIBE',
    subscribe: { unacknowledged_updates: [{ status: status(state) }] },
  });
  const refused = await post(agent, subscribing('TASK_RUNNING'), {}, { path: '/api/v1/executor' });
  t.is(refused.status, 400);
  t.is(
    refused.text,
    'Unacknowledged update TASK_RUNNING of task queued, which was not launched yet: only a terminal state can be told of it',
  );
  const update = { ...ids, type: 'UPDATE', update: { status: status('TASK_RUNNING') } };
  t.is((await post(agent, update, {}, { path: '/api/v1/executor' })).status, 403);
  t.deepEqual(scheduler.states('queued'), []);
  // The next one is served as ever.
  await scheduler.launch([{ ...task('other', executor('well')), resources: [scalar('cpus', 0.1)] }]);
  await scheduler.reached('other', 'TASK_RUNNING');
});
