// tasks.test.ts: Chronos's cases 27, 29, 62-66 and 70: who is queued, who runs, what a task is told, on the whole scheduler.

import test from 'ava';
import type { TaskInfo } from '../../mesos/protocol.ts';
import { keyOf, rare, seen } from './view.ts';

const minute = 60_000;
const iso = (at: number) => new Date(at).toISOString();

test('case 27 of Chronos: of a due job, a disabled one that is due and one due in a year, the first runs, once', async t => {
  const one = await seen();
  const now = one.w.clock.now();
  const from = (at: number) => ({ schedule: `R/${iso(at)}/P1D` });
  await one.post(rare('disabled', { ...from(now - minute), disabled: true }));
  await one.post(rare('in-a-year', from(now + 365 * 1_440 * minute)));
  await one.post(rare('due', from(now - minute)));
  await one.pass(60 * minute);
  t.deepEqual(one.begun(), ['due']);
  t.is(one.state('disabled'), 'idle');
});

test('case 29 of Chronos: it wakes when the first enabled job is due; disabled and exhausted ones wake nobody', async t => {
  const one = await seen();
  const now = one.w.clock.now();
  const next = (name: string) => one.w.scheduler.nextAt(keyOf(name));
  await one.post(rare('disabled', { schedule: `R/${iso(now - minute)}/P1D`, disabled: true }));
  await one.post(rare('exhausted', { schedule: `R0/${iso(now - minute)}/P1D` }));
  await one.post(rare('in-an-hour', { schedule: `R/${iso(now + 60 * minute)}/P1D` }));
  t.deepEqual(['disabled', 'exhausted', 'in-an-hour'].map(next), [undefined, undefined, now + 60 * minute]);
  await one.post(rare('overdue', { schedule: `R/${iso(now - minute)}/P1D` }));
  await one.pass(0);
  t.deepEqual(one.begun(), ['overdue'], 'at once');
  await one.pass(60 * minute - 1);
  t.deepEqual(one.begun(), ['overdue']);
  await one.pass(1);
  t.deepEqual(one.begun(), ['overdue', 'in-an-hour']);
});

test('case 62 of Chronos: a job that goes while its run waits for a place leaves nothing queued, and never runs', async t => {
  const one = await seen({ agents: 1 });
  await one.post(rare('holder', { cpus: 3.9, command: 'sleep 60' }));
  await one.post(rare('waiter', { cpus: 3.9 }));
  await one.start('holder');
  await one.start('waiter');
  await one.pass(1_000);
  t.deepEqual([one.state('holder'), one.state('waiter')], ['1 running', 'queued']);
  t.is((await one.remove('waiter')).type, 'deleted');
  t.is(one.board().job(keyOf('waiter')), undefined);
  t.is(one.w.scheduler.waiting(), 0);
  await one.pass(5 * minute);
  t.is(one.w.launched.size, 1, 'the holder alone');
  t.is(one.state('holder'), 'idle');
});

test('case 63 of Chronos: a task that runs is counted, and is not when it has ended', async t => {
  const one = await seen();
  await one.post(rare('a'));
  const running = () => one.board().instance_counts().running;
  t.is(running(), 0);
  await one.start('a');
  await one.pass(5_000);
  t.is(running(), 1);
  await one.pass(10_000);
  t.is(running(), 0);
});

test('case 65 of Chronos: a task finds the variables of Chronos and of its job, which cannot set those of Chronos', async t => {
  const tasks: TaskInfo[] = [];
  const one = await seen({
    life: task => {
      tasks.push(task);
      return { start_delay_ms: 0, duration_ms: 1_000, exit: { code: 0 } };
    },
  });
  const built_in = ['mesos_task_id', 'MESOS_TASK_ID', 'CHRONOS_JOB_OWNER', 'CHRONOS_JOB_NAME', 'HOST'].concat(
    ['MEM', 'CPU', 'DISK'].map(what => `CHRONOS_RESOURCE_${what}`),
    ['CHRONOS_JOB_RUN_TIME', 'CHRONOS_JOB_RUN_ATTEMPT'],
  );
  const environmentVariables = [...built_in, 'CHRONOS_URL', 'FOO'].map(name => ({ name, value: 'of the job' }));
  const words = ['-a', '1'];
  await one.post(rare('sample-name', { owner: 'bob@example.com', mem: 64, environmentVariables, arguments: words }));
  const now = one.w.clock.now();
  await one.start('sample-name');
  await one.pass(5_000);
  t.is(tasks.length, 1);
  const variables = tasks[0]!.command!.environment!.variables;
  const env = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
  t.is(Object.keys(env).length, variables.length, 'each once');
  t.like(env, {
    FOO: 'of the job',
    CHRONOS_URL: 'of the job',
    mesos_task_id: `ct:${now}:0:sample-name:-a 1`,
    MESOS_TASK_ID: tasks[0]!.task_id.value,
    CHRONOS_JOB_OWNER: 'bob@example.com',
    CHRONOS_JOB_NAME: 'sample-name',
    CHRONOS_RESOURCE_CPU: '0.1',
    CHRONOS_RESOURCE_MEM: '64.0',
    CHRONOS_RESOURCE_DISK: '256.0',
    CHRONOS_JOB_RUN_TIME: String(now),
    CHRONOS_JOB_RUN_ATTEMPT: '0',
  });
  t.regex(env.HOST!, /./);
  t.not(env.HOST, 'of the job');
});

test('case 66 of Chronos: idle, queued, 1 running, 2 running, and down again; what is queued beside it says no less', async t => {
  const one = await seen({ agents: 1 });
  await one.post(rare('holder', { cpus: 3.9, command: 'sleep 10' }));
  await one.post(rare('a', { cpus: 1.5, command: 'sleep 30', concurrent: true }));
  t.is(one.state('a'), 'idle');
  await one.start('holder');
  await one.pass(1_000);
  await one.start('a');
  t.is(one.state('a'), 'queued');
  await one.pass(10_000);
  t.is(one.state('a'), '1 running');
  await one.pass(10_000);
  await one.start('a');
  await one.pass(5_000);
  t.is(one.state('a'), '2 running');
  await one.start('a');
  await one.pass(1_000);
  t.is(one.w.scheduler.waiting(), 1, 'there is no room for a third');
  t.is(one.state('a'), '2 running');
  await one.pass(15_000);
  t.is(one.state('a'), '2 running', 'the first has ended, the third has its place');
  await one.pass(minute);
  t.deepEqual([one.state('a'), one.status('a')], ['idle', 'success']);
});

test('case 66 of Chronos, with a failure: what fails is not running either', async t => {
  const one = await seen();
  await one.post(rare('a', { command: 'sleep 10; exit 1', concurrent: true }));
  await one.start('a');
  await one.pass(5_000);
  await one.start('a');
  await one.pass(1_000);
  t.deepEqual([one.state('a'), one.status('a')], ['2 running', 'fresh']);
  await one.pass(5_000);
  t.deepEqual([one.state('a'), one.status('a')], ['1 running', 'failure']);
  await one.pass(5_000);
  t.is(one.state('a'), 'idle');
});

test('case 70 of Chronos: a task counts from its launch until it finishes, fails or is killed, and no longer', async t => {
  for (const [name, command, kill] of [
    ['finishes', 'sleep 10', false],
    ['fails', 'sleep 10; exit 1', false],
    ['is-killed', 'sleep infinity', true],
  ] as const) {
    // Staged for 5 s before it runs.
    const one = await seen({
      life: () => ({
        start_delay_ms: 5_000,
        ...(kill ? {} : { duration_ms: 10_000 }),
        exit: { code: name === 'fails' ? 1 : 0 },
        term_ms: 0,
      }),
    });
    await one.post(rare(name, { command }));
    await one.start(name);
    await one.pass(2_000);
    t.is(one.state(name), '1 running', 'staged');
    await one.pass(6_000);
    t.is(one.state(name), '1 running', 'running');
    if (kill) await one.w.submit({ type: 'kill-all', key: keyOf(name) });
    await one.pass(30_000);
    t.is(one.state(name), 'idle', name);
    t.is(one.status(name), name === 'finishes' ? 'success' : name === 'fails' ? 'failure' : 'fresh');
  }
});

test('case 70 of Chronos: the end of a task whose job is gone harms nobody', async t => {
  const one = await seen({ agents: 1 });
  await one.post(rare('gone', { command: 'sleep 30' }));
  await one.post(rare('stays', { command: 'sleep 600' }));
  await one.start('gone');
  await one.start('stays');
  await one.pass(5_000);
  // While its agent is away the job is deleted; the agent comes back with a task that has ended meanwhile.
  const [agent] = one.w.mesos.agents.ids;
  one.w.mesos.agents.lose(agent!);
  await one.pass(1_000);
  const deleted = one.remove('gone');
  await one.pass(60_000);
  one.w.mesos.agents.restore(agent!);
  await one.pass(60_000);
  t.is((await deleted).type, 'deleted');
  t.is(one.board().job(keyOf('gone')), undefined);
  t.is(one.state('stays'), '1 running');
  t.deepEqual(one.w.fatal, []);
});
