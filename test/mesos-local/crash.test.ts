// crash.test.ts: the one-machine Mesos, killed with -9 at the moments that matter.
//
// It runs as a child process; what it promises must hold in the next one: nothing lost, nothing twice, ends told truly.

import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startLocalMesos } from '../../mesos/local/index.ts';
import { bootId } from '../../mesos/local/processes.ts';
import { systemClock } from '../../schedules/clock.ts';
import { until } from '../support/until.ts';
import { type Client, command, type Json, subscribe } from './support/client.ts';
import { silent } from './support/machine.ts';

const terminal = [
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_DROPPED',
  'TASK_LOST',
  'TASK_GONE',
];
const child_path = join(import.meta.dirname, 'support', 'child.ts');

/** A place where Mesos can be started, killed and started again. */
function place(t: ExecutionContext) {
  const work_dir = mkdtempSync(join(tmpdir(), 'horae-crash-'));
  let child: ChildProcess | undefined;
  const start = async () => {
    const started = spawn(process.execPath, [child_path, work_dir], { stdio: ['ignore', 'pipe', 'inherit'] });
    child = started;
    let text = '';
    for await (const part of started.stdout) {
      text += part;
      if (text.includes('\n')) break;
    }
    if (text === '') throw new Error('the child ended without a word');
    return JSON.parse(text) as { url: string; credentials: { principal: string; secret: string }; agent: string };
  };
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const over = new Promise(resolve => child?.once('exit', resolve));
    child.kill('SIGKILL');
    await over;
  };
  t.teardown(async () => {
    await kill();
    // Whatever still runs is ended by a last agent on the same folder.
    const last = await startLocalMesos({ work_dir, clock: systemClock(), log: silent });
    await last.agent?.killAll();
    await last.close();
    rmSync(work_dir, { recursive: true, force: true });
  });
  const file = (agent: string, task: string, name: string) => join(work_dir, 'sandboxes', agent, task, name);
  return { work_dir, start, kill, file };
}

const sees = (path: string) =>
  until(`something in ${path}`, () => existsSync(path) && (readFileSync(path, 'utf8') || undefined));
const exists = (path: string) => until(path, () => existsSync(path));
/** Looks as fast as it can: what is to be hit lasts a millisecond. */
const noted = async (path: string, word: string) => {
  while (!readFileSync(path, 'utf8').includes(word)) await new Promise(resolve => setImmediate(resolve));
};
const until_go = 'while [ ! -e go ]; do sleep 0.02; done; ';
const lines = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0);

test('kill -9 of everything: what lives is adopted, what ended meanwhile is told as it was, nothing runs twice', async t => {
  const { work_dir, start, kill, file } = place(t);
  const first = await start();
  const before = await subscribe(first);
  const id = before.framework_id().value;
  const ran = (task: string) => `echo x >> ../../ran-${task}; `;
  const commands = {
    lives: 'echo up; sleep 1000',
    'ends-3': `${until_go}exit 3`,
    'ends-0': `${until_go}exit 0`,
    'ends-137': `${until_go}exit 137`,
    'dies-9': `${until_go}kill -9 $$`,
    'ends-later': `${until_go}exit 9`,
  };
  await before.launch(Object.entries(commands).map(([task, value]) => command(task, ran(task) + value)));
  for (const task of Object.keys(commands)) await before.reached(task, 'TASK_RUNNING');
  await sees(file(first.agent, 'lives', 'stdout'));
  for (const task of Object.keys(commands)) await sees(join(work_dir, 'sandboxes', `ran-${task}`));
  await kill();
  for (const task of ['ends-3', 'ends-0', 'ends-137', 'dies-9']) {
    writeFileSync(file(first.agent, task, 'go'), '');
    await exists(join(work_dir, 'ended', task));
  }
  const second = await start();
  t.is(second.agent, first.agent);
  const after = await subscribe(second, id);
  t.like(await after.reached('ends-3', ...terminal), { state: 'TASK_FAILED', message: 'Command exited with status 3' });
  t.like(await after.reached('ends-0', ...terminal), {
    state: 'TASK_FINISHED',
    message: 'Command exited with status 0',
  });
  t.like(await after.reached('ends-137', ...terminal), {
    state: 'TASK_FAILED',
    message: 'Command exited with status 137',
  });
  t.like(await after.reached('dies-9', ...terminal), {
    state: 'TASK_FAILED',
    message: 'Command terminated with signal Killed',
  });
  await after.call({ type: 'RECONCILE', reconcile: { tasks: [] } });
  await after.until(() =>
    after.statuses('lives').some(({ state, reason }) => state === 'TASK_RUNNING' && reason === 'REASON_RECONCILIATION'),
  );
  // An adopted task has no parent here; its end is noticed all the same.
  writeFileSync(file(first.agent, 'ends-later', 'go'), '');
  t.like(await after.reached('ends-later', ...terminal), {
    state: 'TASK_FAILED',
    message: 'Command exited with status 9',
  });
  await after.call({ type: 'KILL', kill: { task_id: { value: 'lives' } } });
  t.like(await after.reached('lives', ...terminal), {
    state: 'TASK_KILLED',
    message: 'Command terminated with signal Terminated',
  });
  for (const task of Object.keys(commands)) t.is(lines(join(work_dir, 'sandboxes', `ran-${task}`)), 1, task);
});

test('updates that nobody acknowledged come again after a kill -9, with the same uuid and in their order', async t => {
  const { start, kill } = place(t);
  const before = await subscribe(await start());
  before.keepQuiet();
  await before.launch([command('quiet', 'exit 5')]);
  const starting = await before.reached('quiet', 'TASK_STARTING');
  await kill();
  const after = await subscribe(await start(), before.framework_id().value);
  t.is((await after.reached('quiet', 'TASK_STARTING')).uuid, starting.uuid);
  t.like(await after.reached('quiet', ...terminal), { state: 'TASK_FAILED', message: 'Command exited with status 5' });
  t.deepEqual(after.states('quiet'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED']);
});

test('a kill under way goes on after a kill -9: the grace period ends it', async t => {
  const { start, kill, file } = place(t);
  const first = await start();
  const before = await subscribe(first);
  const policy = { grace_period: { nanoseconds: 1e9 } };
  await before.launch([command('k', `trap '' TERM; echo up; while :; do sleep 0.05; done`, { kill_policy: policy })]);
  await sees(file(first.agent, 'k', 'stdout'));
  await before.call({ type: 'KILL', kill: { task_id: { value: 'k' } } });
  await before.reached('k', 'TASK_KILLING');
  await kill();
  const after = await subscribe(await start(), before.framework_id().value);
  t.like(await after.reached('k', ...terminal), {
    state: 'TASK_KILLED',
    message: 'Command terminated with signal Killed',
  });
});

test('a wrapper that was killed while nobody watched: the result is unknown, and the command is ended', async t => {
  const { start, kill, file } = place(t);
  const first = await start();
  const before = await subscribe(first);
  await before.launch([command('w', 'echo $$; sleep 1000')]);
  const running = await before.reached('w', 'TASK_RUNNING');
  const command_pid = Number(await sees(file(first.agent, 'w', 'stdout')));
  await kill();
  process.kill(JSON.parse(Buffer.from(running.data, 'base64').toString()).pid, 'SIGKILL');
  const after = await subscribe(await start(), before.framework_id().value);
  t.like(await after.reached('w', ...terminal), { state: 'TASK_FAILED', reason: 'REASON_EXECUTOR_TERMINATED' });
  const stat = existsSync(`/proc/${command_pid}/stat`) ? readFileSync(`/proc/${command_pid}/stat`, 'utf8') : ') Z';
  t.regex(stat, /\) [ZX]/);
});

test('kill -9 at any moment of a launch: each task ends truly or never ran, and none runs twice', async t => {
  const { work_dir, start, kill } = place(t);
  let id: string | undefined;
  const ran = (task: string) => lines(join(work_dir, 'sandboxes', `ran-${task}`));
  const verdicts = new Map<string, string>();
  let launching: { scheduler: Client; tasks: string[] } | undefined;
  for (let round = 0; round < 8; round++) {
    const scheduler: Client = await subscribe(await start(), id);
    id ??= scheduler.framework_id().value as string;
    if (launching !== undefined) await settle(scheduler, launching.tasks, verdicts);
    const tasks = Array.from({ length: 6 }, (_, index) => `t-${round}-${index}`);
    launching = { scheduler, tasks };
    const value = (task: string) => `echo x >> ../../ran-${task}; exit 4`;
    // The connection will break in the middle of it.
    void scheduler.launch(tasks.map(task => command(task, value(task)))).catch(() => undefined);
    // In the first rounds as soon as the intents are noted; later when some of the tasks have begun.
    if (round < 3) await noted(join(work_dir, 'checkpoint.log'), tasks[5]!);
    else await scheduler.reached(tasks[round - 3]!, 'TASK_STARTING', ...terminal);
    await kill();
  }
  const last = await subscribe(await start(), id);
  await settle(last, launching!.tasks, verdicts);
  for (const [task, verdict] of verdicts) {
    t.is(ran(task), verdict === 'TASK_FAILED' ? 1 : 0, `${task} ${verdict}`);
    t.true(['TASK_FAILED', 'TASK_DROPPED', 'TASK_GONE', 'TASK_UNKNOWN'].includes(verdict), `${task} ${verdict}`);
  }
  t.is(verdicts.size, 48);
  t.log(
    Object.fromEntries(
      ['TASK_FAILED', 'TASK_DROPPED', 'TASK_GONE', 'TASK_UNKNOWN'].map(state => [
        state,
        [...verdicts.values()].filter(verdict => verdict === state).length,
      ]),
    ),
  );
});

async function settle(scheduler: Client, tasks: readonly string[], verdicts: Map<string, string>) {
  const agent_id = (await scheduler.offer()).agent_id;
  await scheduler.call({
    type: 'RECONCILE',
    reconcile: { tasks: tasks.map(task => ({ task_id: { value: task }, agent_id })) },
  });
  for (const task of tasks) {
    const status: Json = await scheduler.reached(task, ...terminal, 'TASK_UNKNOWN');
    verdicts.set(task, status.message === 'Command exited with status 4' ? 'TASK_FAILED' : status.state);
  }
}

/** A work_dir as an agent leaves it that was killed between the intent and the process. */
function intended(t: ExecutionContext, boot = bootId(), tail = '') {
  const place_ = place(t);
  const { work_dir } = place_;
  mkdirSync(join(work_dir, 'sandboxes', 'a-S0', 'late'), { recursive: true });
  mkdirSync(join(work_dir, 'meta', 'late'), { recursive: true });
  mkdirSync(join(work_dir, 'ended'));
  writeFileSync(join(work_dir, 'agent-id'), 'a-S0\n');
  const task = { ...command('late', 'x'), agent_id: { value: 'a-S0' } };
  const launch = { task, executor_id: 'late' };
  const note = { type: 'intent', framework_id: 'fw', launch, at: Date.now(), boot };
  writeFileSync(join(work_dir, 'checkpoint.log'), `${JSON.stringify(note)}\n${tail}`);
  return place_;
}

test('kill -9 in the middle of a download: the task is dropped, nothing of it runs, and no half file is left', async t => {
  const { work_dir, start, kill, file } = place(t);
  const half = Buffer.alloc(300_000, 'x');
  let asked = 0;
  const server = createServer((request, response) => {
    if (request.url === '/whole') return void response.end('#!/bin/sh\necho whole\n');
    asked++;
    response.writeHead(200, { 'content-length': 2 * half.length }).write(half); // The other half never comes.
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fetches = (id: string, uris: readonly Json[], line: string) => command(id, line, { command: { uris } });
  const first = await start();
  const before = await subscribe(first);
  const whole = { value: `${url}/whole`, executable: true, output_file: 'program' };
  await before.launch([
    fetches('half', [whole, { value: `${url}/half` }], 'touch ran'),
    fetches('kept', [{ value: `${url}/half?kept`, cache: true }], 'touch ran'),
  ]);
  const fetched = join(work_dir, 'fetched');
  const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0);
  await until('half of both', () => {
    const parts = existsSync(fetched) ? readdirSync(fetched) : [];
    return sizeOf(file(first.agent, 'half', 'half')) > 0 && parts.some(name => sizeOf(join(fetched, name)) > 0);
  });
  t.is(asked, 2);
  await kill();

  const after = await subscribe(await start(), before.framework_id().value);
  for (const id of ['half', 'kept']) {
    t.like(await after.reached(id, ...terminal), { state: 'TASK_DROPPED', reason: 'REASON_AGENT_RESTARTED' });
    const sandbox = join(work_dir, 'sandboxes', first.agent, id);
    await until('its log alone to be left', () => readdirSync(sandbox).join() === 'stderr');
    t.regex(readFileSync(join(sandbox, 'stderr'), 'utf8'), /Fetching URI '.*half/);
  }
  t.deepEqual(readdirSync(fetched), []);
  // Another attempt asks again, and gets all of it.
  await after.launch([fetches('again', [whole], './program')]);
  t.is((await after.reached('again', ...terminal)).state, 'TASK_FINISHED');
  t.is(readFileSync(file(first.agent, 'again', 'stdout'), 'utf8'), 'whole\n');
  t.deepEqual(readdirSync(join(work_dir, 'sandboxes', first.agent, 'again')).sort(), ['program', 'stderr', 'stdout']);
});

test('a task that was intended and never began is dropped, and a wrapper that comes too late does not run it', async t => {
  const { work_dir, start } = intended(t);
  const scheduler = await subscribe(await start(), 'fw');
  scheduler.keepQuiet();
  t.like(await scheduler.reached('late', ...terminal), {
    state: 'TASK_DROPPED',
    source: 'SOURCE_AGENT',
    reason: 'REASON_AGENT_RESTARTED',
  });
  const wrapper = readdirSync(work_dir).find(name => name.endsWith('.sh'))!;
  const sandbox = join(work_dir, 'sandboxes', 'a-S0', 'late');
  const args = [join(work_dir, wrapper), 'watch', join(work_dir, 'meta', 'late'), join(work_dir, 'ended', 'late')];
  const run = (meta?: string) =>
    new Promise(resolve => {
      const late = spawn(
        '/bin/sh',
        [...args.slice(0, 2), meta ?? args[2]!, args[3]!, '/bin/sh', '-c', 'echo ran > ran'],
        {
          cwd: sandbox,
          stdio: 'ignore',
        },
      );
      late.on('exit', resolve);
    });
  t.not(await run(), 0);
  t.false(existsSync(join(sandbox, 'ran')));
  // The same wrapper in a folder that nobody claimed does run: it is the claim that stops it.
  mkdirSync(join(work_dir, 'meta', 'free'));
  t.is(await run(join(work_dir, 'meta', 'free')), 0);
  t.true(existsSync(join(sandbox, 'ran')));
});

test('a wrapper that was there first has the task, however late the agent hears of it', async t => {
  const { work_dir, start, kill } = intended(t);
  // The agent before us got as far as starting the wrapper.
  rmSync(join(work_dir, 'checkpoint.log'));
  await start();
  await kill();
  const wrapper = readdirSync(work_dir).find(name => name.endsWith('.sh'))!;
  const task = { ...command('late', 'x'), agent_id: { value: 'a-S0' } };
  const note = {
    type: 'intent',
    framework_id: 'fw',
    launch: { task, executor_id: 'late' },
    at: Date.now(),
    boot: bootId(),
  };
  writeFileSync(join(work_dir, 'checkpoint.log'), `${JSON.stringify(note)}\n`);
  const meta = join(work_dir, 'meta', 'late');
  mkdirSync(meta, { recursive: true });
  const sandbox = join(work_dir, 'sandboxes', 'a-S0', 'late');
  mkdirSync(sandbox, { recursive: true });
  spawn(
    '/bin/sh',
    [join(work_dir, wrapper), 'watch', meta, join(work_dir, 'ended', 'late'), '/bin/sh', '-c', `${until_go}exit 6`],
    {
      cwd: sandbox,
      stdio: 'ignore',
      detached: true,
    },
  );
  await sees(join(meta, 'claim'));
  const scheduler = await subscribe(await start(), 'fw');
  await scheduler.reached('late', 'TASK_RUNNING');
  writeFileSync(join(sandbox, 'go'), '');
  t.like(await scheduler.reached('late', ...terminal), {
    state: 'TASK_FAILED',
    message: 'Command exited with status 6',
  });
});

test('when the machine itself went down under a task, its result is unknown', async t => {
  const { start } = intended(t, 'another-boot');
  const scheduler = await subscribe(await start(), 'fw');
  t.like(await scheduler.reached('late', ...terminal), { state: 'TASK_FAILED', reason: 'REASON_EXECUTOR_TERMINATED' });
});

test('a last note that was cut off is as if it had not been written', async t => {
  const { start } = intended(t, bootId(), '{"type":"forgotten","ta');
  const scheduler = await subscribe(await start(), 'fw');
  t.is((await scheduler.reached('late', ...terminal)).state, 'TASK_DROPPED');
});

test('two agents on one directory: the second is refused in a sentence', async t => {
  const { work_dir, start } = place(t);
  await start();
  await t.throwsAsync(startLocalMesos({ work_dir, clock: systemClock(), log: silent }), {
    message: /is in use by process \d+: end it first, or give another directory/,
  });
});
