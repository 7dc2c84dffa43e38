// limits.test.ts: tasks that want more than they were given, as real processes: in the kernel's groups, and without them.

import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startLocalMesos } from '../../mesos/local/index.ts';
import { mountsIn } from '../../mesos/local/limits/cgroups.ts';
import { systemClock } from '../../schedules/clock.ts';
import { as_root, may_group, testWith } from '../support/needs.ts';
import { isAlive } from '../support/processes.ts';
import { until } from '../support/until.ts';
import { command, type Json, scalar, subscribe } from './support/client.ts';
import { executor, running, task } from './support/executors.ts';
import { machine, silent } from './support/machine.ts';

const withGroups = testWith(may_group);

const terminal = ['TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR', 'TASK_DROPPED', 'TASK_GONE'];
const quick = { usage_ms: 50, disk_ms: 50 };
const sampled = { limits: 'sampled', ...quick } as const;
const auto = { limits: 'auto', ...quick } as const;
/** A process that holds so many megabytes as long as nobody ends it: what it has read goes into a pipe that nobody empties. */
const eats = (megabytes: number) => `(dd if=/dev/zero bs=${megabytes}M count=1 2>/dev/null | sleep 1000 &)`;
const away = (what: string) => `setsid sh -c '(${what}; sleep 1000 & echo $! > stray; wait) & exit 0'`;
const sized = (id: string, value: string, resources: readonly Json[]): Json => ({ ...command(id, value), resources });
const memory = (mem: number) => [scalar('cpus', 0.1), scalar('mem', mem)];
const disk = (disk: number) => [scalar('cpus', 0.1), scalar('mem', 64), scalar('disk', disk)];

const strayOf = async (mesos: { sandbox: (task: string) => string }, name: string) => {
  const path = join(mesos.sandbox(name), 'stray');
  await until(`the pid in ${path}`, () => existsSync(path) && readFileSync(path, 'utf8').endsWith('\n'));
  return Number(readFileSync(path, 'utf8'));
};
const gone = (pid: number) => until(`process ${pid} to end`, () => !isAlive(pid));

async function overMemory(t: ExecutionContext, limits: typeof auto | typeof sampled) {
  const mesos = await machine(t, { limits });
  const scheduler = await subscribe(mesos);
  await scheduler.launch([
    sized('over', `${eats(80)}; sleep 1000`, memory(48)),
    sized('within', `${eats(2)}; until [ -e go ]; do sleep 0.05; done`, memory(48)),
  ]);
  const status = await scheduler.reached('over', ...terminal);
  t.like(status, {
    state: 'TASK_FAILED',
    source: 'SOURCE_AGENT',
    reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
  });
  t.regex(status.message, /^Memory limit exceeded: Requested: 48MB Maximum Used: \d+MB$/);
  t.is(status.limitation.resources[0].name, 'mem');
  t.true(status.limitation.resources[0].scalar.value >= 48);
  t.deepEqual(scheduler.states('within'), ['TASK_STARTING', 'TASK_RUNNING']);
}
withGroups('a task that takes more memory than it was given is ended by its group, and says so; others live', t =>
  overMemory(t, auto),
);
test('without groups it is found by looking, and ended too', t => overMemory(t, sampled));

async function overBySetsid(t: ExecutionContext, limits: typeof auto | typeof sampled) {
  const mesos = await machine(t, { limits });
  const scheduler = await subscribe(mesos);
  await scheduler.launch([sized('daemon', `${away(eats(80))}; sleep 1000`, memory(48))]);
  const status = await scheduler.reached('daemon', ...terminal);
  t.like(status, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LIMITATION_MEMORY' });
}
withGroups('memory of a process that got away by setsid counts', t => overBySetsid(t, auto));
test('without groups it is known by the mark that it was born with', t => overBySetsid(t, sampled));

withGroups('nobody of a task survives it in its group, and the group is gone with it', async t => {
  const mesos = await machine(t, { limits: auto });
  const scheduler = await subscribe(mesos);
  await scheduler.launch([sized('leaves', `${away('true')}; until [ -s stray ]; do sleep 0.05; done`, memory(48))]);
  const pid = await strayOf(mesos, 'leaves');
  t.like(await scheduler.reached('leaves', ...terminal), { state: 'TASK_FINISHED' });
  await gone(pid);
  t.pass();
});

test('a task that fills its sandbox is ended, with the words of Mesos; one without disk has no quota', async t => {
  const mesos = await machine(t, { limits: sampled });
  const scheduler = await subscribe(mesos);
  const fill = 'dd if=/dev/zero of=fill bs=1M count=12 2>/dev/null; echo written; sleep 1000';
  await scheduler.launch([
    sized('over', fill, disk(5)),
    sized('within', fill, disk(50)),
    sized('no-quota', fill, memory(64)),
  ]);
  const status = await scheduler.reached('over', ...terminal);
  t.like(status, { state: 'TASK_FAILED', source: 'SOURCE_AGENT', reason: 'REASON_CONTAINER_LIMITATION_DISK' });
  t.regex(status.message, /^Disk usage \(\d+KB\) exceeds quota \(5MB\)$/);
  t.deepEqual(status.limitation, {
    resources: [{ name: 'disk', type: 'SCALAR', scalar: { value: 5 }, allocation_info: { role: '*' } }],
  });
  for (const id of ['within', 'no-quota']) t.deepEqual(scheduler.states(id), ['TASK_STARTING', 'TASK_RUNNING']);
});

async function overInExecutor(t: ExecutionContext, limits: typeof auto | typeof sampled) {
  const mesos = await machine(t, { limits });
  const scheduler = await subscribe(mesos);
  const big = { ...executor('big'), resources: [scalar('cpus', 0.1), scalar('mem', 100)] };
  const hungry = { ...big, command: { value: `${eats(140)}; sleep 1000`, uris: [] } };
  await scheduler.launch([task('of-big', hungry, running)]);
  const status = await scheduler.reached('of-big', ...terminal);
  t.like(status, {
    state: 'TASK_FAILED',
    source: 'SOURCE_AGENT',
    reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
  });
  // The executor's hundred, and sixteen of the task.
  t.regex(status.message, /^Memory limit exceeded: Requested: 116MB /);
}
withGroups('an executor and its tasks share one limit, which is the sum of theirs', t => overInExecutor(t, auto));
test('without groups too', t => overInExecutor(t, sampled));

withGroups('CPU time is shared out by what was given; under a hard limit nobody gets more', async t => {
  const mesos = await machine(t, { limits: { ...auto, cpu_hard: true } });
  const scheduler = await subscribe(mesos);
  await scheduler.launch([
    sized('c', 'x=$(cat /proc/self/cgroup); echo "$x"; sleep 1000', [scalar('cpus', 0.25), scalar('mem', 64)]),
  ]);
  const written = () => existsSync(join(mesos.sandbox('c'), 'stdout')) && mesos.output('c').endsWith('\n');
  await until('its groups', written);
  const mounts = mountsIn(readFileSync('/proc/self/mountinfo', 'utf8'));
  const [, of_cpu = ''] = /^\d+:(?:cpu|cpu,cpuacct|):(.*horae.*)$/m.exec(mesos.output('c')) ?? [];
  const read = (file: string) =>
    readFileSync(join((mounts.get('cpu') ?? mounts.get('unified'))!, of_cpu, file), 'utf8');
  if (mounts.has('cpu')) t.deepEqual([read('cpu.shares'), read('cpu.cfs_quota_us')], ['256\n', '25000\n']);
  else t.deepEqual([read('cpu.weight'), read('cpu.max')], ['11\n', '25000 100000\n']);
});

withGroups('an agent that comes back knows what its tasks may use, and why one ended meanwhile', async t => {
  const work_dir = mkdtempSync(join(tmpdir(), 'horae-limits-'));
  const start = () => startLocalMesos({ work_dir, clock: systemClock(), log: silent, limits: auto });
  const mesos = await start();
  const scheduler = await subscribe(mesos);
  // The task itself: nobody is there to end the rest of it.
  const greedy = 'exec dd if=/dev/zero of=/dev/null bs=80M count=1';
  const waits = `echo $$ > pid; until [ -e go ]; do sleep 0.05; done; ${greedy}`;
  await scheduler.launch([sized('meanwhile', waits, memory(48)), sized('later', waits, memory(48))]);
  const file = (task: string, name: string) => join(work_dir, 'sandboxes', mesos.agent!.id, task, name);
  for (const id of ['meanwhile', 'later']) await until('its begin', () => existsSync(file(id, 'pid')));
  await mesos.close();
  writeFileSync(file('meanwhile', 'go'), '');
  await until('its end', () => existsSync(join(work_dir, 'ended', 'meanwhile')));
  const again = await start();
  t.teardown(async () => {
    await again.agent?.killAll();
    await again.close();
    rmSync(work_dir, { recursive: true });
  });
  const heard = await subscribe(again, scheduler.framework_id().value);
  t.like(await heard.reached('meanwhile', ...terminal), { reason: 'REASON_CONTAINER_LIMITATION_MEMORY' });
  writeFileSync(file('later', 'go'), '');
  t.like(await heard.reached('later', ...terminal), { reason: 'REASON_CONTAINER_LIMITATION_MEMORY' });
});

const limited = (id: string, value: string, rlimits: readonly Json[], user?: string): Json => ({
  ...command(id, value, user === undefined ? {} : { command: { user } }),
  ...(rlimits.length === 0 ? {} : { container: { type: 'MESOS', rlimit_info: { rlimits } } }),
});

test('limits of processes hold, and impossible ones are refused with what would be right', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const nofile = (soft: number, hard?: number) => ({
    type: 'RLMT_NOFILE',
    soft,
    ...(hard === undefined ? {} : { hard }),
  });
  await scheduler.launch([
    limited('shown', 'ulimit -Sn; ulimit -Hn; ulimit -c', [nofile(100, 200), { type: 'RLMT_CORE' }]),
    limited('hog', 'while :; do :; done', [{ type: 'RLMT_CPU', soft: 1, hard: 2 }]),
    limited('half', 'true', [nofile(10)]),
    limited('crossed', 'true', [nofile(10, 5)]),
    limited('unknown', 'true', [{ type: 'RLMT_LUCK', soft: 1, hard: 1 }]),
  ]);
  await scheduler.reached('shown', 'TASK_FINISHED');
  t.is(mesos.output('shown'), '100\n200\nunlimited\n');
  const refused: readonly [task: string, words: RegExp][] = [
    ['half', /RLMT_NOFILE has soft without hard: expected both, or neither$/],
    ['crossed', /RLMT_NOFILE has soft 10 above hard 5: expected at most that$/],
    ['unknown', /there is no limit "RLMT_LUCK": expected one of RLMT_AS, /],
  ];
  for (const [id, words] of refused) {
    const status = await scheduler.reached(id, ...terminal);
    t.like(status, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED' });
    t.regex(status.message, words);
  }
  const hog = await scheduler.reached('hog', ...terminal);
  t.is(hog.message, 'Command terminated with signal CPU time limit exceeded');
});

const asRoot = testWith(as_root);
asRoot('as root a task runs as the user that it names, in a sandbox of his own', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const look = 'id -un; id -gn; echo kept > "$MESOS_SANDBOX/file"; stat -c %U . stdout file; sleep 0';
  await scheduler.launch([
    limited('his', look, [{ type: 'RLMT_NOFILE', soft: 64, hard: 64 }], 'nobody'),
    limited('own', 'id -un', [], 'root'),
    limited('whose', 'true', [], 'no-such-user'),
  ]);
  await scheduler.reached('his', ...terminal);
  t.is(mesos.output('his'), 'nobody\nnogroup\nnobody\nnobody\nnobody\n', mesos.output('his', 'stderr'));
  await scheduler.reached('own', 'TASK_FINISHED');
  t.is(mesos.output('own'), 'root\n');
  const status = await scheduler.reached('whose', ...terminal);
  t.like(status, { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED' });
  t.regex(status.message, /there is no user no-such-user on this machine: expected one that `id no-such-user` knows$/);
  t.false(existsSync(mesos.sandbox('whose')), 'nothing of it was made');
});

asRoot('as root an executor runs as its user, with what was fetched for it his', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const command = { value: 'id -un > who; stat -c %U executor.mjs >> who; exit 0', user: 'nobody' };
  await scheduler.launch([task('t', executor('ex', {}, { command }))]);
  await scheduler.reached('t', ...terminal);
  t.is(mesos.output('t', 'who'), 'nobody\nnobody\n');
});

asRoot('what a task of another user has in its environment is around nobody who is still root', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const folder = mkdtempSync(join(tmpdir(), 'horae-loader-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o777);
  const text = "it's $HOME `id`\nand more ";
  // The dynamic loader writes a file for each program that is started with these, as whoever that is.
  const variables = [
    { name: 'LD_DEBUG', value: 'files' },
    { name: 'LD_DEBUG_OUTPUT', value: join(folder, 'program') },
    { name: 'QUOTED', value: text },
  ];
  const his = (value: string) => ({ value, user: 'nobody', environment: { variables } });
  const sick = { user: 'nobody', value: 'true', environment: { variables: [{ name: 'a.b', value: '' }] } };
  await scheduler.launch([
    { ...command('plain', ''), command: his('printf %s "$QUOTED"') },
    { ...command('sick', ''), command: sick },
    task('t', executor('ex', {}, { command: his('id -un > who; exit 0') })),
  ]);
  await scheduler.reached('plain', ...terminal);
  t.is(mesos.output('plain'), text, mesos.output('plain', 'stderr'));
  await scheduler.reached('t', ...terminal);
  t.is(mesos.output('t', 'who'), 'nobody\n');
  const owners = readdirSync(folder).map(name => statSync(join(folder, name)).uid);
  t.true(owners.length >= 2);
  t.false(owners.includes(0), 'a program of root was started with what the task wished for');
  const refused = await scheduler.reached('sick', ...terminal);
  t.regex(refused.message, /variable "a\.b" cannot be given to a task of another user/);
});
