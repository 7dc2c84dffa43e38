// work-dir.test.ts: what an agent keeps on disk: its notebook, and sandboxes that are read, swept and never escaped.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openCheckpoint, type Remembered } from '../../mesos/local/checkpoint.ts';
import { resourcesFor, sandboxFile, startLocalMesos } from '../../mesos/local/index.ts';
import { sweepSandboxes } from '../../mesos/local/sandbox-sweep.ts';
import { forget } from '../../mesos/local/work-dir.ts';
import type { TaskStatus } from '../../mesos/protocol.ts';
import { systemClock } from '../../schedules/clock.ts';
import { may_mount, testWith } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { command, subscribe } from './support/client.ts';
import { machine, silent } from './support/machine.ts';

const folder = (t: ExecutionContext) => {
  const path = mkdtempSync(join(tmpdir(), 'horae-work-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

test('a log is read from its sandbox, and nothing is read that lies outside of it', async t => {
  const work_dir = folder(t);
  const sandbox = join(work_dir, 'sandboxes', 'a-S0', 'task');
  mkdirSync(join(sandbox, 'deep'), { recursive: true });
  mkdirSync(join(work_dir, 'sandboxes', 'a-S0', 'task-2'));
  writeFileSync(join(sandbox, 'stdout'), 'hello');
  writeFileSync(join(sandbox, 'deep', 'file'), 'deep');
  writeFileSync(join(work_dir, 'sandboxes', 'a-S0', 'task-2', 'stdout'), "another task's");
  writeFileSync(join(work_dir, 'agent-id'), 'secret');
  symlinkSync('stdout', join(sandbox, 'inside'));
  symlinkSync('../../../agent-id', join(sandbox, 'outside'));
  symlinkSync('/etc/passwd', join(sandbox, 'absolute'));
  symlinkSync('../task-2', join(sandbox, 'neighbour'));
  symlinkSync('/dev/zero', join(sandbox, 'device'));
  symlinkSync('loop', join(sandbox, 'loop'));
  execFileSync('mkfifo', [join(sandbox, 'pipe')]);
  const read = async (name: string, task = 'task', agent = 'a-S0') => {
    const file = await sandboxFile(work_dir, agent, task, name);
    if (file === undefined) return undefined;
    const text = await file.readFile('utf8');
    await file.close();
    return text;
  };
  t.is(await read('stdout'), 'hello');
  t.is(await read('deep/file'), 'deep');
  t.is(await read('inside'), 'hello');
  for (const name of ['outside', 'absolute', 'neighbour/stdout', 'device', 'loop', 'pipe', 'deep', 'nothing'])
    t.is(await read(name), undefined, name);
  for (const name of ['../task-2/stdout', '../../../agent-id', '/etc/passwd', '', '.', '..', 'deep/../stdout', 'a\0b'])
    t.is(await read(name), undefined, name);
  t.is(await read('stdout', '../a-S0/task'), undefined);
  t.is(await read('stdout', '..'), undefined);
  t.is(await read('stdout', 'task', '..'), undefined);
});

test('old and surplus sandboxes are swept, the newest stay, and no live one is touched', async t => {
  const work_dir = folder(t);
  const now = Date.now();
  for (let age = 0; age < 10; age++) {
    const path = join(work_dir, 'sandboxes', 'a', `t-${age}`);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'stdout'), 'x');
    utimesSync(path, new Date(now - age * 1000), new Date(now - age * 1000));
  }
  const sweep = async (sandboxes_max: number, age_ms_max: number) => {
    const rules = { sandboxes_max, age_ms_max, free_part_min: 0 };
    const gone = await sweepSandboxes(work_dir, 'a', rules, now, name => name === 't-9', t.fail);
    return gone.map(({ why, tasks }) => `${why} ${tasks}`);
  };
  const left = () =>
    Array.from({ length: 10 }, (_, age) => age).filter(age => existsSync(join(work_dir, 'sandboxes', 'a', `t-${age}`)));
  t.deepEqual(await sweep(100, 6_500), ['age t-7', 'age t-8']);
  t.deepEqual(left(), [0, 1, 2, 3, 4, 5, 6, 9]);
  t.deepEqual(await sweep(3, 6_500), ['count t-3', 'count t-4', 'count t-5', 'count t-6']);
  t.deepEqual(left(), [0, 1, 2, 9]);
});

const remember = (id: string): Remembered => ({
  framework_id: 'fw',
  launch: {
    task: {
      name: id,
      task_id: { value: id },
      agent_id: { value: 'a' },
      resources: [],
      command: { value: 'x'.repeat(1000) },
    },
    executor_id: id,
  },
  at: 1,
  boot: 'b',
  acknowledged: 'TASK_STAGING',
  pending: [],
  killing: undefined,
});
const intent = ({ framework_id, launch, at, boot }: Remembered) =>
  ({ type: 'intent', framework_id, launch, at, boot }) as const;
const status = (id: string, state: TaskStatus['state'], uuid: string): TaskStatus => ({
  task_id: { value: id },
  state,
  uuid,
});

test('the notebook gives back what was noted: intents, kills, what is pending and what was acknowledged', t => {
  const path = join(folder(t), 'log');
  const first = openCheckpoint(path, () => []);
  first.note([intent(remember('a')), intent(remember('b')), intent(remember('c'))]);
  first.note([
    { type: 'update', task: 'a', status: status('a', 'TASK_STARTING', '1') },
    { type: 'update', task: 'a', status: status('a', 'TASK_RUNNING', '2') },
    { type: 'acknowledged', task: 'a', uuid: '1' },
    { type: 'killing', task: 'a', at: 5, grace_ms: 3000 },
    { type: 'forgotten', task: 'b' },
  ]);
  first.close();
  // Opened twice: once as it was written, once as it was rewritten by the first opening.
  for (let round = 0; round < 2; round++) {
    const again = openCheckpoint(path, () => []);
    t.deepEqual([...again.remembered.keys()], ['a', 'c']);
    t.like(again.remembered.get('a'), { acknowledged: 'TASK_STARTING', killing: { at: 5, grace_ms: 3000 } });
    t.deepEqual(again.remembered.get('a')?.pending, [status('a', 'TASK_RUNNING', '2')]);
    again.close();
  }
});

test('the notebook is rewritten when it speaks mostly of the forgotten, and keeps the others', async t => {
  const path = join(folder(t), 'log');
  const kept = remember('kept');
  const live = new Map([['kept', kept]]);
  const book = openCheckpoint(path, () => live.values());
  book.note([intent(kept)]);
  for (let index = 0; index < 10_000; index++)
    book.note([intent(remember(`t-${index}`)), { type: 'forgotten', task: `t-${index}` }]);
  await new Promise<void>((resolve, reject) => book.sync(error => (error === undefined ? resolve() : reject(error))));
  book.close();
  t.true(statSync(path).size < 5 << 20, `${statSync(path).size} bytes of 12 MB`);
  t.deepEqual([...openCheckpoint(path, () => []).remembered.keys()].slice(0, 1), ['kept']);
});

test('what the notebook keeps of finished tasks is nothing', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch(Array.from({ length: 5 }, (_, index) => command(`t-${index}`, 'true')));
  for (let index = 0; index < 5; index++) await scheduler.reached(`t-${index}`, 'TASK_FINISHED');
  await scheduler.call({ type: 'RECONCILE', reconcile: { tasks: [] } });
  while (mesos.host.master.agents.get(mesos.agent.id)!.tasks.size > 0) await scheduler.call({ type: 'REVIVE' });
  for (let index = 0; index < 5; index++) {
    t.false(existsSync(join(mesos.work_dir, 'meta', `t-${index}`)));
    t.false(existsSync(join(mesos.work_dir, 'ended', `t-${index}`)));
  }
  const log = readFileSync(join(mesos.work_dir, 'checkpoint.log'), 'utf8');
  t.is(log.split('"type":"forgotten"').length - 1, 5);
});

testWith(may_mount)(
  'on a full disk what runs ends truly, and what comes is refused rather than half started',
  async t => {
    const small = folder(t);
    t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', small]).status, 0);
    try {
      const work_dir = join(small, 'work');
      const resources = resourcesFor({ cpus: 10, mem: 10_000 });
      const limits = { limits: 'auto' } as const;
      const start = () => startLocalMesos({ work_dir, clock: systemClock(), log: silent, resources, limits });
      const mesos = await start();
      const scheduler = await subscribe(mesos);
      const sandbox = join(work_dir, 'sandboxes', mesos.agent!.id);
      await scheduler.launch([command('before', 'echo up; while [ ! -e go ]; do sleep 0.02; done; exit 3')]);
      await until(
        'the task to run',
        () => existsSync(join(sandbox, 'before', 'stdout')) && statSync(join(sandbox, 'before', 'stdout')).size > 0,
      );
      const ballast = join(small, 'ballast');
      t.throws(() => writeFileSync(ballast, Buffer.alloc(4 << 20)), { code: 'ENOSPC' });
      await scheduler.launch([command('into', 'echo x >> ../ran')]);
      t.like(await scheduler.reached('into', 'TASK_FAILED', 'TASK_FINISHED'), {
        state: 'TASK_FAILED',
        reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      });
      rmSync(ballast);
      t.false(existsSync(join(sandbox, 'ran')));
      writeFileSync(join(sandbox, 'before', 'go'), '');
      t.is((await scheduler.reached('before', 'TASK_FAILED')).message, 'Command exited with status 3');
      await mesos.close();
      const again = await start();
      t.is(again.agent!.running(), 0);
      await again.close();
    } finally {
      spawnSync('umount', ['--lazy', small]);
    }
  },
);

test('while a task is being forgotten nobody can claim it', async t => {
  const work_dir = folder(t);
  const meta = join(work_dir, 'meta', 'late');
  mkdirSync(meta, { recursive: true });
  writeFileSync(join(meta, 'claim'), 'ours');
  // Much to remove, so that there is time in between.
  for (let index = 0; index < 3_000; index++) writeFileSync(join(meta, String(index)), '');
  // As a wrapper does: a file that must not have been there.
  const late = spawn(
    '/bin/sh',
    ['-c', 'set -C; echo up; until [ -e stop ]; do echo mine > meta/late/claim && echo got; done'],
    {
      cwd: work_dir,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  t.teardown(() => late.kill('SIGKILL'));
  let said = '';
  late.stdout.on('data', data => {
    said += data;
  });
  await until('the other one is at it', () => said !== '');
  forget({ meta, ended: join(work_dir, 'ended') });
  writeFileSync(join(work_dir, 'stop'), '');
  await new Promise(resolve => late.on('close', resolve));
  t.is(said, 'up\n');
  t.deepEqual(readdirSync(join(work_dir, 'meta')), []);
});

testWith(may_mount)(
  'where the disk fills up the oldest sandboxes go until there is room, and no more than that',
  async t => {
    const small = folder(t);
    t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', small]).status, 0);
    try {
      const now = Date.now();
      for (const age of [0, 1, 2, 3, 4]) {
        const path = join(small, 'sandboxes', 'a', `t-${age}`);
        mkdirSync(path, { recursive: true });
        writeFileSync(join(path, 'fill'), Buffer.alloc(1 << 20));
        utimesSync(path, new Date(now - age * 1000), new Date(now - age * 1000));
      }
      symlinkSync('t-3', join(small, 'sandboxes', 'a', 'of-an-executor'));
      const rules = { sandboxes_max: 100, age_ms_max: 86_400_000, free_part_min: 0.5 };
      const swept = await sweepSandboxes(small, 'a', rules, now, name => name === 't-4', t.fail);
      t.like(swept, [{ why: 'disk', tasks: ['of-an-executor'], ended_at: now - 3_000 }]);
      t.true(swept[0]!.bytes >= 1 << 20);
      t.deepEqual(readdirSync(join(small, 'sandboxes', 'a')).sort(), ['t-0', 't-1', 't-2', 't-4']);
    } finally {
      spawnSync('umount', [small]);
    }
  },
);
