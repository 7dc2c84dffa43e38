// crash.test.ts: the executor is killed, at moments chosen by dice, and its task does not notice.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { isAlive } from '../support/processes.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { reportIn, task_id, taskInfo, testAgent } from './support/agent.ts';
import { dice } from './support/dice.ts';
import { executorProgram, read } from './support/executor.ts';

const shell = (name: string, command: string, more: object = {}) => ({ name, command, min_duration_ms: 0, ...more });

test.serial(
  'case 132: a killed executor is started again, adopts what lives, reads what ended, and runs nothing twice',
  async t => {
    const agent = await testAgent(t);
    const sandbox = await tempDir(t);
    const first = await executorProgram(t, agent.port, sandbox);
    await agent.subscribed(1);
    agent.launch(
      taskInfo({
        processes: [
          shell('setup', 'echo ran >> setups'),
          shell('web', 'echo $$ >> pids; until [ -e go ]; do echo tick; sleep 0.02; done; exit 5', { max_failures: 2 }),
          shell('after', 'echo done'),
        ],
        order: [['setup', 'web', 'after']],
        // The second time it finds the file and fails for good.
      }),
    );
    const pid = await until('the process', async () => Number(await read(sandbox, 'pids')) || undefined);
    await agent.status('TASK_RUNNING');
    process.kill(first.pid, 'SIGKILL');
    await first.ended;
    t.true(isAlive(pid), 'the process does not notice');
    const before = (await read(sandbox, '.logs/web/0/stdout')).length;

    const second = await executorProgram(t, agent.port, sandbox);
    await agent.subscribed(2);
    await until(
      'output that comes after the restart',
      async () => (await read(sandbox, '.logs/web/0/stdout')).length > before,
    );
    process.kill(second.pid, 'SIGKILL');
    await second.ended;
    // It ends while nobody looks.
    await writeFile(join(sandbox, 'go'), '');
    await until('its end', () => !isAlive(pid));

    const third = await executorProgram(t, agent.port, sandbox);
    const failed = await agent.status('TASK_FAILED');
    t.is(failed.message, 'Command exited with status 5: process "web" failed 2 of 2 times');
    t.is((await third.ended).status, 0);
    t.is(await read(sandbox, 'setups'), 'ran\n');
    t.is((await read(sandbox, 'pids')).trim().split('\n').length, 2);
    t.like(reportIn(failed).processes[1], { runs: 2, failures: 2, losses: 0 });
    t.is(agent.states().filter(state => state === 'TASK_FAILED').length, 1);
  },
);

test.serial('output that was in the pipe when the executor died is not lost', async t => {
  const agent = await testAgent(t);
  const sandbox = await tempDir(t);
  const first = await executorProgram(t, agent.port, sandbox);
  await agent.subscribed(1);
  agent.launch(
    taskInfo({
      processes: [
        shell(
          'web',
          'until [ -e go ]; do sleep 0.02; done; seq 1 2000; touch said; until [ -e end ]; do sleep 0.02; done',
        ),
      ],
    }),
  );
  await agent.status('TASK_RUNNING');
  process.kill(first.pid, 'SIGKILL');
  await first.ended;
  await writeFile(join(sandbox, 'go'), '');
  await until('it has written', async () => (await readdir(sandbox)).includes('said'));
  await writeFile(join(sandbox, 'end'), '');
  await executorProgram(t, agent.port, sandbox);
  await agent.status('TASK_FINISHED');
  t.is((await read(sandbox, '.logs/web/0/stdout')).split('\n').length, 2_001);
});

test.serial(
  'a process that is killed together with its porter is lost, run again and not counted; nothing is left of it',
  async t => {
    const agent = await testAgent(t);
    const sandbox = await tempDir(t);
    await executorProgram(t, agent.port, sandbox);
    await agent.subscribed(1);
    agent.launch(taskInfo({ processes: [shell('web', 'echo $$ >> pids; exec sleep 1000')] }));
    const pid = await until('the process', async () => Number(await read(sandbox, 'pids')) || undefined);
    const papers = join(sandbox, '.horae', task_id, 'web', '0');
    process.kill(Number((await readFile(join(papers, 'claim'), 'utf8')).split(' ')[0]), 'SIGKILL');
    await until('a second run', async () => (await read(sandbox, 'pids')).trim().split('\n').length === 2);
    t.false(isAlive(pid));
    agent.kill(task_id);
    t.like(reportIn(await agent.status('TASK_KILLED')).processes[0], { runs: 2, failures: 0, losses: 1 });
  },
);

test.serial(
  'killed again and again at any moment, an executor never runs a finished process twice, nor two copies at a time',
  async t => {
    const seed = Number(process.env.HORAE_TEST_SEED ?? 20_261_122);
    t.log(`seed ${seed}`);
    const roll = dice(seed);
    const agent = await testAgent(t);
    const sandbox = await tempDir(t);
    let executor = await executorProgram(t, agent.port, sandbox);
    await agent.subscribed(1);
    // Each step notes that it runs, that nobody else does, and that it is through.
    // The last two wait for three kills, however slow this machine and fast theirs.
    const last = ['s5', 's11'];
    const patience = (name: string) => (last.includes(name) ? 'until [ -e enough ]; do sleep 0.02; done; ' : '');
    const step = (name: string) =>
      shell(
        name,
        `mkdir lock-${name} || echo twice >> trouble; echo ${name} >> begun; sleep 0.0${roll(9)}; ${patience(name)}rmdir lock-${name}; echo ${name} >> through`,
      );
    const names = Array.from({ length: 12 }, (_, index) => `s${index}`);
    agent.launch(
      taskInfo({ processes: names.map(step), order: [names.slice(0, 6), names.slice(6)], max_concurrency: 2 }),
    );
    let kills = 0;
    while (!agent.states().includes('TASK_FINISHED') && kills < 10) {
      const written = (await read(sandbox, '.horae/checkpoint')).length;
      // So many bytes of the diary later: that is a moment, and not a length of time.
      const target = written + 40 + roll(600);
      await until('the diary grows, everybody waits, or it is over', async () => {
        if (agent.states().includes('TASK_FINISHED')) return true;
        const begun = (await read(sandbox, 'begun')).split('\n');
        if (kills < 3 && last.every(name => begun.includes(name))) return true;
        return (await read(sandbox, '.horae/checkpoint')).length >= target;
      });
      if (agent.states().includes('TASK_FINISHED')) break;
      process.kill(executor.pid, 'SIGKILL');
      await executor.ended;
      kills++;
      if (kills === 3) await writeFile(join(sandbox, 'enough'), '');
      executor = await executorProgram(t, agent.port, sandbox);
    }
    await agent.status('TASK_FINISHED');
    t.log(`${kills} kills`);
    t.true(kills >= 3);
    t.is(await read(sandbox, 'trouble'), '');
    const through = (await read(sandbox, 'through')).trim().split('\n');
    t.is(new Set(through).size, 12);
    // A run that was recorded, and never claimed, is begun again; one that has begun is not.
    t.deepEqual([...through].sort(), [...names].sort(), 'nobody is through twice');
  },
);
