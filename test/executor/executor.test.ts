// executor.test.ts: an executor and its agent, word for word; with real processes.

import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { conclude } from '../../mesos/statuses.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { reportIn, task_id, taskInfo, testAgent } from './support/agent.ts';
import { read, testExecutor } from './support/executor.ts';

const shell = (name: string, command: string, more: object = {}) => ({ name, command, min_duration_ms: 0, ...more });

test.serial(
  'three processes in order, their output in files by process and run, and the agent hears of all of it',
  async t => {
    const agent = await testAgent(t);
    const executor = await testExecutor(t, agent.port);
    await agent.subscribed(1);
    agent.launch(
      taskInfo(
        {
          processes: [
            shell('one', 'echo first; echo trouble >&2'),
            shell('two', 'test -e marker && echo again || { touch marker; exit 7; }', { max_failures: 2 }),
            shell('three', 'echo {{thermos.task_id}} {{mesos.hostname}} {{mesos.instance}} $HOME $USER $PORT_http'),
          ],
          order: [['one', 'two', 'three']],
          ports: ['http'],
        },
        { ports: { http: 31_000 }, instance: 4 },
      ),
    );
    const finished = await agent.status('TASK_FINISHED');
    t.deepEqual(agent.states(), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED']);
    t.is(await executor.over(), 'all tasks are over');
    const { sandbox } = executor;
    t.is(await read(sandbox, '.logs/one/0/stdout'), 'first\n');
    t.is(await read(sandbox, '.logs/one/0/stderr'), 'trouble\n');
    t.is(await read(sandbox, '.logs/two/0/stdout'), '');
    t.is(await read(sandbox, '.logs/two/1/stdout'), 'again\n');
    t.is(await read(sandbox, '.logs/three/0/stdout'), `${task_id} host-1 4 ${sandbox} www 31000\n`);
    t.like(reportIn(finished), { format: 1, stage: 'over', ports: { http: 31_000 } });
    t.like(reportIn(finished).processes[1], { name: 'two', status: 'succeeded', runs: 2, failures: 1, last: 'exit 0' });
    for (const { uuid } of agent.statuses())
      t.regex(Buffer.from(uuid!, 'base64').toString('hex'), /^.{12}4.{3}[89ab].{15}$/);
  },
);

test.serial('a task that fails says with which code, in words that a scheduler can read', async t => {
  const agent = await testAgent(t);
  await testExecutor(t, agent.port);
  await agent.subscribed(1);
  const health = { checker: { type: 'shell', command: 'false' } };
  agent.launch(taskInfo({ processes: [shell('web', 'exit 3')], health }));
  const failed = await agent.status('TASK_FAILED');
  t.is(failed.message, 'Command exited with status 3: process "web" failed 1 of 1 times');
  t.like(conclude(failed), { kind: 'failed', cause: 'exited', exit_code: 3 });
});

test.serial('a command that does not exist has failed, and is said not to be there', async t => {
  const agent = await testAgent(t);
  const { sandbox } = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.launch(taskInfo({ processes: [shell('web', 'no-such-command')] }));
  t.regex((await agent.status('TASK_FAILED')).message!, /^Command exited with status 127: .*was not found/);
  t.regex(await read(sandbox, '.logs/web/0/stderr'), /no-such-command: command not found/);
});

test.serial(
  'a task that cannot be read is an error of the task, with every problem in it, and the next one runs',
  async t => {
    const agent = await testAgent(t);
    await testExecutor(t, agent.port);
    await agent.subscribed(1);
    agent.launch(
      taskInfo({ processes: [{ name: 'a/b', command: 'echo {{thermos.ports[http]}}' }], order: [['x', 'x']] }),
      taskInfo({ processes: [shell('a', 'true')] }, {}, { task_id: { value: 'T-2' } }),
    );
    const error = await agent.status('TASK_ERROR');
    t.is(error.reason, 'REASON_TASK_INVALID');
    t.regex(error.message!, /\/data\/task\/processes\/0\/name: .*\/data\/task\/order/);
    await agent.status('TASK_FINISHED', 'T-2');
  },
);

test.serial('a profile in the sandbox is read before each command, as Thermos did', async t => {
  const agent = await testAgent(t);
  const { sandbox } = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  const processes = [shell('write', 'echo "export GREETING=hello" > .thermos_profile'), shell('use', 'echo $GREETING')];
  agent.launch(taskInfo({ processes, order: [['write', 'use']] }));
  await agent.status('TASK_FINISHED');
  t.is(await read(sandbox, '.logs/use/0/stdout'), 'hello\n');
});

test.serial('LAUNCH_GROUP launches all of its tasks, each with a folder of its own', async t => {
  const agent = await testAgent(t);
  const { sandbox } = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  const tasks = ['G-1', 'G-2'].map(value => taskInfo({ processes: [shell('a', 'pwd')] }, {}, { task_id: { value } }));
  agent.send({ type: 'LAUNCH_GROUP', launch_group: { task_group: { tasks } } });
  await agent.status('TASK_FINISHED', 'G-1');
  await agent.status('TASK_FINISHED', 'G-2');
  t.is(await read(sandbox, 'tasks/G-2/.logs/a/0/stdout'), `${join(sandbox, 'tasks/G-2')}\n`);
});

test.serial(
  'case 2, on the agent: a kill is answered with KILLING and KILLED, and ends who obeys SIGTERM at once',
  async t => {
    const agent = await testAgent(t);
    const executor = await testExecutor(t, agent.port);
    await agent.subscribed(1);
    agent.launch(taskInfo({ processes: [shell('web', 'trap "echo bye; exit 0" TERM; echo up; sleep 1000 & wait')] }));
    await agent.status('TASK_RUNNING');
    await until('it is up', async () => (await read(executor.sandbox, '.logs/web/0/stdout')).includes('up'));
    agent.kill(task_id);
    await agent.status('TASK_KILLED');
    t.deepEqual(agent.states(), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING', 'TASK_KILLED']);
    await executor.over();
    t.is(await read(executor.sandbox, '.logs/web/0/stdout'), 'up\nbye\n');
  },
);

test.serial('a framework that does not know KILLING is not told of it', async t => {
  const agent = await testAgent(t, { capabilities: [] });
  await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.launch(taskInfo({ processes: [shell('web', 'sleep 1000')] }));
  await agent.status('TASK_RUNNING');
  agent.kill(task_id);
  await agent.status('TASK_KILLED');
  t.deepEqual(agent.states(), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLED']);
});

test.serial('who ignores SIGTERM, closes its outputs or forks away is gone when the task is', async t => {
  const agent = await testAgent(t);
  const executor = await testExecutor(t, agent.port);
  const { sandbox } = executor;
  await agent.subscribed(1);
  const note = (name: string) => `echo $BASHPID > ${name}`;
  agent.launch(
    taskInfo({
      processes: [
        shell('deaf', `trap "" TERM; ${note('deaf')}; while :; do sleep 1000; done`),
        shell('mute', `exec >&- 2>&-; ${note('mute')}; exec sleep 1000`),
        shell('away', `setsid bash -c '${note('away')}; exec sleep 1000' & ${note('parent')}; exec sleep 1000`),
      ],
    }),
  );
  const pids = await until('all four', async () => {
    const texts = await Promise.all(['deaf', 'mute', 'away', 'parent'].map(name => read(sandbox, name)));
    return texts.every(text => text.endsWith('\n')) && texts.map(Number);
  });
  agent.kill(task_id, 300);
  const killed = await agent.status('TASK_KILLED');
  t.deepEqual(
    reportIn(killed).processes.map(({ last }) => last),
    ['signal 9', 'signal 15', 'signal 15'],
  );
  for (const pid of pids) await t.throwsAsync(access(`/proc/${pid}/cwd`), undefined, `${pid}`);
  t.true(executor.notes().includes('processes that a run left behind were killed'));
});

test.serial('a process whose command forks away and exits has succeeded, and what it left is ended', async t => {
  const agent = await testAgent(t);
  const { sandbox } = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.launch(
    taskInfo({
      processes: [
        shell('daemonize', "setsid -f bash -c 'echo $$ > pid; exec sleep 1000'; until [ -s pid ]; do sleep 0.01; done"),
      ],
    }),
  );
  await agent.status('TASK_FINISHED');
  const pid = Number(await read(sandbox, 'pid'));
  t.true(pid > 0);
  await t.throwsAsync(access(`/proc/${pid}/cwd`));
});

test.serial('case 130: SIGKILL of a process: it is run again, and nothing is counted', async t => {
  const agent = await testAgent(t);
  await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.launch(taskInfo({ processes: [shell('web', 'test -e again || { touch again; kill -9 $$; }')] }));
  const [web] = reportIn(await agent.status('TASK_FINISHED')).processes;
  t.like(web, { runs: 2, failures: 0, losses: 1 });
});

test.serial('SHUTDOWN ends everything within the grace period, and the executor leaves', async t => {
  const agent = await testAgent(t);
  const executor = await testExecutor(t, agent.port, { more: { MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: '1500ms' } });
  await agent.subscribed(1);
  agent.launch(taskInfo({ processes: [shell('deaf', 'trap "" TERM; while :; do sleep 1000; done')] }));
  await agent.status('TASK_RUNNING');
  agent.send({ type: 'SHUTDOWN' });
  t.is((await agent.status('TASK_KILLED')).message, 'the agent says so');
  t.is(await executor.over(), 'the agent says so');
});

test.serial('SHUTDOWN as the very first event is obeyed', async t => {
  const agent = await testAgent(t);
  const executor = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.send({ type: 'SHUTDOWN' });
  t.is(await executor.over(), 'the agent says so');
});

test.serial('an executor that is given nothing to do leaves', async t => {
  const agent = await testAgent(t);
  const executor = await testExecutor(t, agent.port, { more: { HORAE_EXECUTOR_FIRST_TASK_MS: '100' } });
  t.is(await executor.over(), 'no task was launched');
});

test.serial('a report is given on request, and other messages are not minded', async t => {
  const agent = await testAgent(t);
  await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.launch(taskInfo({ processes: [shell('web', 'sleep 1000')] }));
  await agent.status('TASK_RUNNING');
  const say = (text: string) =>
    agent.send({ type: 'MESSAGE', message: { data: Buffer.from(text).toString('base64') } });
  say('how are you?');
  say('{"type":"report"}');
  const answer = await until('a message', () => agent.calls().find(call => call.type === 'MESSAGE'));
  const { tasks } = JSON.parse(Buffer.from(answer.message.data, 'base64').toString());
  t.like(tasks[task_id], { format: 1, stage: 'active', processes: { length: 1 } });
});

test.serial(
  'agent away and back: what happened meanwhile is in the SUBSCRIBE, with the same ids, and is not said twice',
  async t => {
    const agent = await testAgent(t);
    const { sandbox } = await testExecutor(t, agent.port);
    await agent.subscribed(1);
    agent.launch(taskInfo({ processes: [shell('web', 'until [ -e go ]; do sleep 0.02; done; exit 4')] }));
    await agent.status('TASK_RUNNING');
    await agent.goAway();
    await writeFile(join(sandbox, 'go'), '');
    await until('it failed', async () => (await read(sandbox, '.horae/checkpoint')).includes('TASK_FAILED'));
    agent.answer(503);
    await agent.comeBack();
    const again = await agent.subscribed(2);
    t.deepEqual(
      again.unacknowledged_updates.map(({ status }) => status.state),
      ['TASK_FAILED'],
    );
    t.deepEqual(again.unacknowledged_tasks, []);
    t.is(agent.states().filter(state => state === 'TASK_FAILED').length, 1);
  },
);

test.serial(
  'an agent that is away for longer than anybody waits for a last word still gets it when it is back',
  async t => {
    const agent = await testAgent(t);
    const more = { HORAE_EXECUTOR_LAST_WORD_MS: '100', HORAE_EXECUTOR_IDLE_MS: '20' };
    const executor = await testExecutor(t, agent.port, { more });
    await agent.subscribed(1);
    agent.launch(taskInfo({ processes: [shell('web', 'until [ -e go ]; do sleep 0.02; done')] }));
    await agent.status('TASK_RUNNING');
    await agent.goAway();
    await writeFile(join(executor.sandbox, 'go'), '');
    const away = () => executor.notes().split('the agent is away').length;
    await until('it finished', async () =>
      (await read(executor.sandbox, '.horae/checkpoint')).includes('TASK_FINISHED'),
    );
    const before = away();
    // Each attempt comes after 50 ms, on average.
    await until('twenty more attempts', () => away() >= before + 20);
    await agent.comeBack();
    await agent.status('TASK_FINISHED');
    t.is(await executor.over(), 'all tasks are over');
  },
);

test.serial('an agent that listens and never acknowledges is not waited for for ever', async t => {
  const agent = await testAgent(t);
  const executor = await testExecutor(t, agent.port, { more: { HORAE_EXECUTOR_LAST_WORD_MS: '100' } });
  await agent.subscribed(1);
  agent.acknowledge(false);
  agent.launch(taskInfo({ processes: [shell('web', 'true')] }));
  t.is(await executor.over(), 'the agent no longer acknowledges anything');
  t.deepEqual(agent.states(), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED']);
});

test.serial('a task of which no word was acknowledged is in unacknowledged_tasks', async t => {
  const agent = await testAgent(t);
  await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.acknowledge(false);
  agent.launch(taskInfo({ processes: [shell('web', 'sleep 1000')] }));
  await agent.status('TASK_RUNNING');
  await agent.goAway();
  await agent.comeBack();
  const again = await agent.subscribed(2);
  t.deepEqual(
    again.unacknowledged_tasks.map(one => one.task_id.value),
    [task_id],
  );
  t.deepEqual(
    again.unacknowledged_updates.map(({ status }) => status.state),
    ['TASK_STARTING', 'TASK_RUNNING'],
  );
});

test.serial('503 while the agent recovers: the update is kept and sent until it is taken', async t => {
  const agent = await testAgent(t);
  const { sandbox } = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.launch(taskInfo({ processes: [shell('web', 'until [ -e go ]; do sleep 0.02; done')] }));
  await agent.status('TASK_RUNNING');
  const before = agent.authorizations().length;
  agent.answer(503);
  await writeFile(join(sandbox, 'go'), '');
  await until('three refusals', () => agent.authorizations().length >= before + 3);
  agent.answer(undefined);
  await agent.status('TASK_FINISHED');
  t.deepEqual(agent.states(), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED']);
});

test.serial(
  'without checkpointing the end of the stream is the end: tasks are ended and the executor leaves',
  async t => {
    const agent = await testAgent(t);
    const executor = await testExecutor(t, agent.port, { more: { MESOS_CHECKPOINT: '0' } });
    await agent.subscribed(1);
    agent.launch(taskInfo({ processes: [shell('web', 'echo $$ > pid; exec sleep 1000')] }));
    await agent.status('TASK_RUNNING');
    const pid = await until('its pid', async () => Number(await read(executor.sandbox, 'pid')) || undefined);
    await agent.goAway();
    t.regex(await executor.over(), /the framework does not checkpoint/);
    await t.throwsAsync(access(`/proc/${pid}/cwd`));
  },
);

test.serial('an agent that is away for longer than the recovery time-out is given up', async t => {
  const agent = await testAgent(t);
  const executor = await testExecutor(t, agent.port, { more: { MESOS_RECOVERY_TIMEOUT: '300ms' } });
  await agent.subscribed(1);
  await agent.goAway();
  t.regex(await executor.over(), /the agent was away for \d+ ms/);
});

test.serial('an agent that does not know the executor any more is left, and nothing is left running', async t => {
  const agent = await testAgent(t);
  const executor = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.launch(
    taskInfo({ processes: [shell('web', 'echo $$ > pid; until [ -e go ]; do sleep 0.02; done; sleep 1000')] }),
  );
  await agent.status('TASK_RUNNING');
  const pid = await until('its pid', async () => Number(await read(executor.sandbox, 'pid')) || undefined);
  agent.answer(400, 'Executor cannot be found');
  agent.kill(task_id);
  t.regex(await executor.over(), /UPDATE was answered 400 Executor cannot be found/);
  await t.throwsAsync(access(`/proc/${pid}/cwd`));
});

test.serial('an update that is refused for good stands in nobody’s way', async t => {
  const agent = await testAgent(t);
  const executor = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.answer(400);
  agent.launch(taskInfo({ processes: [shell('web', 'sleep 1000')] }));
  await until('a refusal', () => executor.notes().includes('a call was not taken'));
  agent.answer(undefined);
  agent.kill(task_id);
  await agent.status('TASK_KILLED');
  t.false(agent.states().includes('TASK_STARTING'), 'it is not repeated for ever');
});

test.serial('a stream that cannot be read is begun anew', async t => {
  const agent = await testAgent(t);
  await testExecutor(t, agent.port);
  await agent.subscribed(1);
  await agent.sendBytes(Buffer.from('8\nnonsense'), 3);
  await agent.subscribed(2);
  await agent.sendBytes(Buffer.from('no length\n'), 100);
  await agent.subscribed(3);
  agent.launch(taskInfo({ processes: [shell('web', 'true')] }));
  t.is((await agent.status('TASK_FINISHED')).state, 'TASK_FINISHED');
});

test.serial('every call carries the token, and no process can see it', async t => {
  const agent = await testAgent(t);
  const executor = await testExecutor(t, agent.port, { more: { MESOS_EXECUTOR_AUTHENTICATION_TOKEN: 'secret' } });
  await agent.subscribed(1);
  agent.launch(taskInfo({ processes: [shell('web', 'env')] }));
  await agent.status('TASK_FINISHED');
  t.true(agent.authorizations().every(value => value === 'Bearer secret'));
  const environment = await read(executor.sandbox, '.logs/web/0/stdout');
  t.false(environment.includes('secret'));
  t.regex(environment, /^MESOS_TASK_ID=T-1$/m);
});

test.serial('in a sandbox whose diary somebody has scribbled in nothing is done, and it is said why', async t => {
  const agent = await testAgent(t);
  const sandbox = await tempDir(t);
  await mkdir(join(sandbox, '.horae'));
  await writeFile(join(sandbox, '.horae/checkpoint'), 'nonsense\n');
  const { child } = await testExecutor(t, agent.port, { sandbox });
  // 2: the start script does not try again.
  t.is((await child.ended).status, 2);
  t.regex(child.output(), /checkpoint at byte 0: \S*nonsense\S*: expected the length of a record/);
});
