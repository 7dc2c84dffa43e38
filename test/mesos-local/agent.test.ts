// agent.test.ts: what the real agent does with real processes.
//
// Commands that end in every way there is, groups that are killed, environments and files looked at from inside.

import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { until } from '../support/until.ts';
import { command, type Json, scalar, subscribe } from './support/client.ts';
import { machine } from './support/machine.ts';

const terminal = [
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_DROPPED',
  'TASK_LOST',
  'TASK_GONE',
];
const dataOf = (status: Json) => JSON.parse(Buffer.from(status.data, 'base64').toString());
const isThere = (pid: number) => {
  try {
    // A zombie has ended; in a container without an init nobody may bury it.
    return !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};
const written = (path: string) =>
  until(`something in ${path}`, () => existsSync(path) && readFileSync(path, 'utf8') !== '');
const gone = (pid: number) => until(`process ${pid} to end`, () => !isThere(pid));

const endings: readonly [command: string, state: string, message: string, data: object][] = [
  ['exit 0', 'TASK_FINISHED', 'Command exited with status 0', { exit_code: 0 }],
  ['exit 3', 'TASK_FAILED', 'Command exited with status 3', { exit_code: 3 }],
  ['exit 137', 'TASK_FAILED', 'Command exited with status 137', { exit_code: 137 }],
  ['exit 143', 'TASK_FAILED', 'Command exited with status 143', { exit_code: 143 }],
  ['exit 255', 'TASK_FAILED', 'Command exited with status 255', { exit_code: 255 }],
  ['kill -KILL $$', 'TASK_FAILED', 'Command terminated with signal Killed', { signal: 9 }],
  ['kill -TERM $$', 'TASK_FAILED', 'Command terminated with signal Terminated', { signal: 15 }],
  ['kill -INT $$', 'TASK_FAILED', 'Command terminated with signal Interrupt', { signal: 2 }],
  ['kill -PIPE $$', 'TASK_FAILED', 'Command terminated with signal Broken pipe', { signal: 13 }],
  ['kill -SEGV $$', 'TASK_FAILED', 'Command terminated with signal Segmentation fault', { signal: 11 }],
  ['nosuchbinary', 'TASK_FAILED', 'Command exited with status 127', { exit_code: 127 }],
];
test('every way of ending is told as it was: exit codes and signals are never taken for each other', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch(endings.map(([value], index) => command(`e-${index}`, value)));
  for (const [index, [value, state, message, data]] of endings.entries()) {
    const status = await scheduler.reached(`e-${index}`, ...terminal);
    t.like(status, { state, message, source: 'SOURCE_EXECUTOR' }, value);
    t.like(dataOf(status), data, value);
    t.deepEqual(scheduler.states(`e-${index}`), ['TASK_STARTING', 'TASK_RUNNING', state]);
  }
});

test('TASK_RUNNING tells when the process started, and its pid', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const before = Date.now();
  await scheduler.launch([command('r', 'sleep 1000')]);
  const status = await scheduler.reached('r', 'TASK_RUNNING');
  t.true(status.timestamp * 1000 >= before && status.timestamp * 1000 <= Date.now());
  t.true(isThere(dataOf(status).pid));
  t.is(dataOf(status).started_at_ms, status.timestamp * 1000);
});

test('a task sees exactly the environment that it was given, nothing of the agent', async t => {
  process.env.HORAE_TEST_SECRET = 'not for tasks';
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const variables = [
    { name: 'HORAE_JOB', value: 'www/prod/hello' },
    { name: 'PORT_http', value: '31000' },
    { name: 'LC_ALL', value: 'C.UTF-8' },
    { name: 'quoted', value: `a 'b' "c" $(touch x) \`touch y\`\n\\ é` },
    { name: 'meta', value: 'mine' },
    { name: 'EMPTY', value: '' },
  ];
  await scheduler.launch([
    command('env', 'env -0', { command: { environment: { variables } } }),
    command('path', 'env -0', { command: { environment: { variables: [{ name: 'PATH', value: '/bin' }] } } }),
  ]);
  await scheduler.reached('env', 'TASK_FINISHED');
  await scheduler.reached('path', 'TASK_FINISHED');
  const read = (task: string) =>
    Object.fromEntries(
      mesos
        .output(task)
        .split('\0')
        .filter(line => line !== '')
        .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  const sandbox = mesos.sandbox('env');
  t.deepEqual(read('env'), {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: sandbox,
    PWD: sandbox,
    MESOS_SANDBOX: sandbox,
    MESOS_DIRECTORY: sandbox,
    HORAE_RESULT: `${sandbox}/horae.result`,
    MESOS_TASK_ID: 'env',
    mesos_task_id: 'env',
    MESOS_EXECUTOR_ID: 'env',
    MESOS_FRAMEWORK_ID: scheduler.framework_id().value,
    MESOS_SLAVE_ID: mesos.agent.id,
    ...Object.fromEntries(variables.map(({ name, value }) => [name, value])),
  });
  t.is(read('path').PATH, '/bin');
  t.false('LC_ALL' in read('path'));
  t.false(existsSync(join(sandbox, 'x')) || existsSync(join(sandbox, 'y')));
});

test('a command is never read by any shell but its own', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const nasty = `a b'c"d$(touch pwned)\`touch pwned\`;&|*?~\\`;
  await scheduler.launch([
    command('argv', '/usr/bin/printf', {
      command: { shell: false, arguments: ['printf', '%s|', nasty, '', '-n', '--'] },
    }),
    command('text', `printf '%s' 'it''s' "\${x:-"y z"}"\necho second line`),
  ]);
  await scheduler.reached('argv', 'TASK_FINISHED');
  await scheduler.reached('text', 'TASK_FINISHED');
  t.is(mesos.output('argv'), `${nasty}||-n|--|`);
  t.is(mesos.output('text'), 'itsy zsecond line\n');
  t.false(existsSync(join(mesos.sandbox('argv'), 'pwned')));
});

test('stdout and stderr are files of the sandbox, in which the command runs with nothing on its stdin', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('io', 'pwd; echo oops >&2; cat; umask; echo kept > file')]);
  await scheduler.reached('io', 'TASK_FINISHED');
  t.is(mesos.output('io'), `${mesos.sandbox('io')}\n0022\n`);
  t.is(mesos.output('io', 'stderr'), 'oops\n');
  t.is(mesos.output('io', 'file'), 'kept\n');
});

test('100 MB of output go to the file, all of it', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('big', 'head -c 100000000 /dev/zero; echo end >&2')]);
  await scheduler.reached('big', 'TASK_FINISHED');
  t.is(statSync(join(mesos.sandbox('big'), 'stdout')).size, 100_000_000);
  t.is(mesos.output('big', 'stderr'), 'end\n');
});

test('a kill: TASK_KILLING, SIGTERM to the whole group, TASK_KILLED; no descendant survives', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([
    command('k', 'sleep 1000 & echo $! > child; (sleep 1000 & echo $! > grandchild; wait) & wait'),
  ]);
  await scheduler.reached('k', 'TASK_RUNNING');
  await written(join(mesos.sandbox('k'), 'grandchild'));
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'k' } } });
  const status = await scheduler.reached('k', ...terminal);
  t.like(status, { state: 'TASK_KILLED', message: 'Command terminated with signal Terminated' });
  t.deepEqual(scheduler.states('k'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING', 'TASK_KILLED']);
  for (const file of ['child', 'grandchild']) await gone(Number(mesos.output('k', file)));
  t.pass();
});

test('a task that ignores SIGTERM is killed after the grace period of the call, or of its own policy', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const stubborn = `trap '' TERM; echo ready; while :; do sleep 0.05; done`;
  const long = { grace_period: { nanoseconds: 3600e9 } };
  const short = { grace_period: { nanoseconds: 0.2e9 } };
  await scheduler.launch([
    command('by-call', stubborn, { kill_policy: long }),
    command('by-policy', stubborn, { kill_policy: short }),
  ]);
  for (const task of ['by-call', 'by-policy']) {
    await scheduler.reached(task, 'TASK_RUNNING');
    await written(join(mesos.sandbox(task), 'stdout'));
  }
  const before = Date.now();
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'by-call' }, kill_policy: short } });
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'by-policy' } } });
  for (const task of ['by-call', 'by-policy']) {
    const status = await scheduler.reached(task, ...terminal);
    t.like(status, { state: 'TASK_KILLED', message: 'Command terminated with signal Killed' }, task);
  }
  t.true(Date.now() - before >= 200);
});

test('a task that exits 0 after a kill was killed all the same, and may clean up first', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([
    command('polite', `trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done`, {
      kill_policy: { grace_period: { nanoseconds: 60e9 } },
    }),
  ]);
  await scheduler.reached('polite', 'TASK_RUNNING');
  await written(join(mesos.sandbox('polite'), 'stdout'));
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'polite' } } });
  t.like(await scheduler.reached('polite', ...terminal), {
    state: 'TASK_KILLED',
    message: 'Command exited with status 0',
  });
  t.is(mesos.output('polite'), 'ready\nbye\n');
});

test('a kill that comes with the launch ends the task, whether or not it had begun', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  for (let round = 0; round < 20; round++) {
    const id = `race-${round}`;
    const launched = scheduler.launch([command(id, 'sleep 1000')]);
    const kill = () => scheduler.call({ type: 'KILL', kill: { task_id: { value: id } } });
    await launched;
    if (round % 2 === 1) await scheduler.reached(id, 'TASK_RUNNING', 'TASK_KILLED');
    await kill();
    t.is((await scheduler.reached(id, ...terminal)).state, 'TASK_KILLED');
  }
  await mesos.agent.killAll();
  t.is(mesos.agent.running(), 0);
});

test('when the main process ends, what it left running in its group is killed', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('left', 'sleep 1000 & echo $! > child; exit 4')]);
  t.is((await scheduler.reached('left', ...terminal)).message, 'Command exited with status 4');
  await gone(Number(mesos.output('left', 'child')));
  t.pass();
});

test('a task that outlives its max_completion_time fails with that reason', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('slow', 'sleep 1000', { max_completion_time: { nanoseconds: 0.1e9 } })]);
  t.like(await scheduler.reached('slow', ...terminal), {
    state: 'TASK_FAILED',
    reason: 'REASON_MAX_COMPLETION_TIME_REACHED',
  });
});

test('when the wrapper itself is killed the result is unknown, and the command does not run on', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('w', 'echo $$ > pid; sleep 1000')]);
  const { pid } = dataOf(await scheduler.reached('w', 'TASK_RUNNING'));
  await written(join(mesos.sandbox('w'), 'pid'));
  process.kill(pid, 'SIGKILL');
  t.like(await scheduler.reached('w', ...terminal), {
    state: 'TASK_FAILED',
    source: 'SOURCE_AGENT',
    reason: 'REASON_EXECUTOR_TERMINATED',
  });
  await gone(Number(mesos.output('w', 'pid')));
});

test('when wrapper and command are killed together, what the command had started does not run on', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('w', 'echo $$ > pid; sleep 1000 & echo $! > child; wait')]);
  const { pid } = dataOf(await scheduler.reached('w', 'TASK_RUNNING'));
  await written(join(mesos.sandbox('w'), 'child'));
  process.kill(pid, 'SIGKILL');
  process.kill(Number(mesos.output('w', 'pid')), 'SIGKILL');
  t.is((await scheduler.reached('w', ...terminal)).reason, 'REASON_EXECUTOR_TERMINATED');
  await gone(Number(mesos.output('w', 'child')));
});

test('what the agent does not do is refused, not left out', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([
    { ...command('hc', 'true'), health_check: { type: 'COMMAND', command: { value: 'true' } } },
    { ...command('docker', 'true'), container: { type: 'DOCKER' } },
    command('user', 'true', { command: { user: 'no_such_user' } }),
    command('long', `: ${'x'.repeat(200_000)}`),
  ]);
  for (const task of ['hc', 'docker', 'user', 'long'])
    t.like(
      await scheduler.reached(task, ...terminal),
      { state: 'TASK_FAILED', source: 'SOURCE_AGENT', reason: 'REASON_CONTAINER_LAUNCH_FAILED' },
      task,
    );
});

test('a task id that has run here never runs again', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('once', 'echo x >> ../ran')]);
  await scheduler.reached('once', 'TASK_FINISHED');
  await scheduler.call({ type: 'RECONCILE', reconcile: { tasks: [{ task_id: { value: 'once' } }] } });
  await scheduler.reached('once', 'TASK_UNKNOWN');
  await scheduler.launch([command('once', 'echo x >> ../ran')]);
  await scheduler.reached('once', 'TASK_FAILED');
  t.is(readFileSync(join(mesos.work_dir, 'sandboxes', mesos.agent.id, 'ran'), 'utf8'), 'x\n');
});

test('a group: the executor is counted, one failure takes the others along', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const offer = await scheduler.offer();
  const executor = {
    type: 'DEFAULT',
    executor_id: { value: 'grp' },
    resources: [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 32)],
  };
  const tasks = [command('stays', 'sleep 1000'), command('fails', 'sleep 0.2; exit 1')];
  await scheduler.accept(offer, [
    {
      type: 'LAUNCH_GROUP',
      launch_group: { executor, task_group: { tasks: tasks.map(task => ({ ...task, agent_id: offer.agent_id })) } },
    },
  ]);
  t.is((await scheduler.offer()).resources.find(({ name }: Json) => name === 'cpus').scalar.value, 99.7);
  t.is((await scheduler.reached('fails', ...terminal)).message, 'Command exited with status 1');
  t.is((await scheduler.reached('stays', ...terminal)).state, 'TASK_KILLED');
  await scheduler.until(events => events.some(({ type }) => type === 'FAILURE'));
  t.pass();
});

test('a reservation on an agent that keeps none is an OPERATION_ERROR that says so', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos, undefined, { roles: ['db'] });
  const offer = await scheduler.offer();
  const reservations = [{ type: 'DYNAMIC', role: 'db', principal: 'p' }];
  const reserve = { resources: [{ ...scalar('cpus', 1), reservations }] };
  await scheduler.accept(offer, [{ type: 'RESERVE', id: { value: 'r' }, reserve }]);
  await scheduler.until(events => events.some(({ type }) => type === 'UPDATE_OPERATION_STATUS'));
  const { status } = scheduler.events.find(({ type }) => type === 'UPDATE_OPERATION_STATUS').update_operation_status;
  t.like(status, {
    operation_id: { value: 'r' },
    state: 'OPERATION_ERROR',
    message: `Agent ${offer.agent_id.value} of this one-machine Mesos keeps no reservations and no volumes`,
  });
});

test('a wrapper whose agent was taken away with all its folders does not wait for ever', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('w', 'echo up; exec sleep 1000')]);
  await scheduler.reached('w', 'TASK_RUNNING');
  await until('its output', () => existsSync(join(mesos.sandbox('w'), 'stdout')) && mesos.output('w') !== '');
  const [pid] = readFileSync(join(mesos.work_dir, 'meta', 'w', 'pid'), 'utf8')
    .split(' ')
    .map(Number);
  const [wrapper] = readFileSync(join(mesos.work_dir, 'meta', 'w', 'claim'), 'utf8')
    .split(' ')
    .map(Number);
  rmSync(join(mesos.work_dir, 'meta', 'w'), { recursive: true });
  process.kill(pid!, 'SIGKILL');
  await gone(wrapper!);
  t.is((await scheduler.reached('w', 'TASK_FAILED')).source, 'SOURCE_AGENT');
});
