// deaths.test.ts: whoever dies around a container: the agent, its attendant, the engine. Nothing is lost, doubled or guessed.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { containerName } from '../../mesos/local/docker/containers.ts';
import { parseWord } from '../../mesos/local/docker/word.ts';
import { type Client, subscribe } from '../mesos-local/support/client.ts';
import { startChild } from '../support/child.ts';
import { docker, startDocker, type TestEngine } from '../support/docker.ts';
import { serialWith } from '../support/needs.ts';
import { isAlive, send } from '../support/processes.ts';
import { fileOwner, type Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { contained, isEmpty, openWard, terminal, wardFolder } from './ward.ts';

const owner = fileOwner();
let engine: TestEngine;
test.before(async () => {
  if (docker === undefined) return;
  engine = await startDocker(owner);
  await engine.image('busybox:1');
});
test.after.always(owner.clean);
const real = serialWith(docker);

const program = join(import.meta.dirname, '..', 'mesos-local', 'support', 'child.ts');
type Said = { url: string; credentials: { principal: string; secret: string }; agent: string };

/** A Mesos in a process of its own, to be killed. */
async function startApart(t: Owner, work_dir: string, more: object = {}) {
  const options = { docker: { address: { socketPath: engine.socket } }, ...more };
  const child = startChild(t, { command: process.execPath, argv: [program, work_dir, JSON.stringify(options)] });
  const [line] = await child.line(/^\{.*\}$/);
  const said = JSON.parse(line) as Said;
  return {
    ...said,
    kill: async () => {
      send(child.pid, 'SIGKILL');
      await child.ended;
    },
  };
}
const wordIn = (work_dir: string, task: string) => {
  const path = join(work_dir, 'containers', task);
  return parseWord(existsSync(path) ? readFileSync(path, 'utf8') : undefined);
};
const launchOn = async (client: Client, ...tasks: object[]) => client.launch(tasks);
const until_go = 'while [ ! -e /mnt/mesos/sandbox/go ]; do sleep 0.1; done; ';
/** The process of a task that the agent started: its attendant. */
const attendantIn = (work_dir: string, task: string) =>
  Number(readFileSync(join(work_dir, 'meta', task, 'pid'), 'utf8').split(' ')[0]);

real(
  'kill -9 of the agent: containers are adopted, their output is whole, their exit codes are the true ones',
  async t => {
    const work_dir = wardFolder(t);
    const first = await startApart(t, work_dir);
    const before = await subscribe(first);
    const id = before.framework_id().value;
    const count =
      'i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); [ $i = 200 ] && touch /mnt/mesos/sandbox/half; usleep 2000; done; ';
    await launchOn(
      before,
      contained('ends-7', `${until_go}exit 7`),
      contained('writes', `${count}exit 0`),
      contained('lives', 'echo up; sleep 1000'),
    );
    for (const task of ['ends-7', 'writes', 'lives']) await before.reached(task, 'TASK_RUNNING');
    const sandbox = (task: string, file: string) => join(work_dir, 'sandboxes', first.agent, task, file);
    await until('half of the output', () => existsSync(sandbox('writes', 'half')));
    await first.kill();
    writeFileSync(sandbox('ends-7', 'go'), '');
    for (const task of ['ends-7', 'writes'])
      await until(`the end of ${task} without an agent`, () => wordIn(work_dir, task).end !== undefined);

    const second = await startApart(t, work_dir);
    t.is(second.agent, first.agent);
    const after = await subscribe(second, id);
    t.like(await after.reached('ends-7', ...terminal), {
      state: 'TASK_FAILED',
      message: 'Container exited with status 7',
    });
    t.is((await after.reached('writes', ...terminal)).state, 'TASK_FINISHED');
    t.is(readFileSync(sandbox('writes', 'stdout'), 'utf8'), Array.from({ length: 400 }, (_, i) => `${i}\n`).join(''));
    t.is((await engine.api.list()).length, 1);
    await after.call({
      type: 'KILL',
      kill: { task_id: { value: 'lives' }, kill_policy: { grace_period: { nanoseconds: 0 } } },
    });
    await after.reached('lives', 'TASK_KILLED');
    await until('nothing to be left', () => isEmpty(engine));
    await second.kill();
  },
);

real('kill -9 of the agent: a container keeps its secrets to its end, and the next agent takes them away', async t => {
  const [work_dir, path] = [wardFolder(t), wardFolder(t)];
  writeFileSync(join(path, 'db'), 'open sesame');
  const secrets = { secrets: { type: 'folder', path } };
  const first = await startApart(t, work_dir, secrets);
  const before = await subscribe(first);
  const secret = { type: 'REFERENCE', reference: { name: 'db' } };
  const line = `${until_go}[ "$DB" = "open sesame" ] && [ "$(cat $MESOS_SANDBOX/.secrets/db.txt)" = "$DB" ] && exit 7`;
  const volumes = [{ mode: 'RO', container_path: '.secrets/db.txt', source: { type: 'SECRET', secret } }];
  const environment = { variables: [{ name: 'DB', type: 'SECRET', secret }] };
  await launchOn(before, contained('keeps', line, {}, { command: { environment }, container: { volumes } }));
  await before.reached('keeps', 'TASK_RUNNING');
  await first.kill();
  const kept = join(work_dir, 'meta', 'keeps', 'secrets');
  t.deepEqual(readdirSync(kept).sort(), ['.variables', 'db.txt']);
  writeFileSync(join(work_dir, 'sandboxes', first.agent, 'keeps', 'go'), '');
  await until('its end without an agent', () => wordIn(work_dir, 'keeps').end !== undefined);
  const second = await startApart(t, work_dir, secrets);
  const after = await subscribe(second, before.framework_id().value);
  t.like(await after.reached('keeps', ...terminal), { message: 'Container exited with status 7' });
  t.false(existsSync(kept));
  await second.kill();
});

real('kill -9 of an attendant ends its container, which nobody would look after, and says so', async t => {
  const ward = await openWard(t, { socket: engine.socket });
  await ward.scheduler.launch([contained('left', 'sleep 1000')]);
  await ward.scheduler.reached('left', 'TASK_RUNNING');
  send(attendantIn(ward.work_dir, 'left'), 'SIGKILL');
  const done = await ward.scheduler.reached('left', ...terminal);
  t.like(done, { state: 'TASK_FAILED', reason: 'REASON_EXECUTOR_TERMINATED' });
  t.regex(done.message, /its attendant was killed, so the container was ended/);
  t.true(await isEmpty(engine));
});

real('a container that ended by itself after its attendant was killed is told with its own exit code', async t => {
  const ward = await openWard(t, { socket: engine.socket });
  await ward.scheduler.launch([contained('alone', `${until_go}exit 5`)]);
  await ward.scheduler.reached('alone', 'TASK_RUNNING');
  const attendant = attendantIn(ward.work_dir, 'alone');
  // Stopped first, so that it cannot leave word of what it would otherwise see.
  send(attendant, 'SIGSTOP');
  writeFileSync(ward.sandbox('alone', 'go'), '');
  const name = containerName(ward.agent.id, 'alone');
  await until('its end', async () => (await engine.api.inspect(name))?.State.Running === false);
  send(attendant, 'SIGKILL');
  t.like(await ward.scheduler.reached('alone', ...terminal), {
    state: 'TASK_FAILED',
    message: 'Container exited with status 5',
  });
});

real('what an agent left in its engine is cleared up by the next one', async t => {
  const work_dir = wardFolder(t);
  const ward = await openWard(t, { socket: engine.socket }, work_dir);
  const id = await engine.api.create('horae-orphan', {
    Image: 'busybox:1',
    Cmd: ['sleep', '1000'],
    Labels: { 'horae.agent': ward.agent.id, 'horae.task': 'long-forgotten' },
  });
  await engine.api.start(id);
  await ward.close();
  await openWard(t, { socket: engine.socket }, work_dir);
  await until('the orphan to go', () => isEmpty(engine));
  t.pass();
});

real('the engine dies: its containers run on and can be ended without it; what ends then is not guessed', async t => {
  const ward = await openWard(t, { socket: engine.socket, engine_return_ms: 0 });
  await ward.scheduler.launch([
    contained('ends', `${until_go}exit 0`),
    contained('is-killed', 'sleep 1000', {}, { kill_policy: { grace_period: { nanoseconds: 0 } } }),
  ]);
  for (const task of ['ends', 'is-killed']) await ward.scheduler.reached(task, 'TASK_RUNNING');
  const [ends, is_killed] = ['ends', 'is-killed'].map(task => wordIn(ward.work_dir, task).started!.process!.pid);
  await engine.kill();
  t.true(isAlive(ends!) && isAlive(is_killed!));
  t.deepEqual(
    ward.scheduler
      .statuses('ends')
      .map(({ state }) => state)
      .slice(-1),
    ['TASK_RUNNING'],
  );
  // Meanwhile others run, and a task in a container says why it does not.
  const refused = await ward.outcome(contained('later', 'true'));
  t.regex(refused.message, /no Docker engine answers at/);
  t.is((await ward.outcome({ ...contained('plain', 'true'), container: undefined })).state, 'TASK_FINISHED');

  await ward.kill('is-killed');
  t.is((await ward.scheduler.reached('is-killed', ...terminal)).state, 'TASK_KILLED');
  t.false(isAlive(is_killed!));
  writeFileSync(ward.sandbox('ends', 'go'), '');
  const done = await ward.scheduler.reached('ends', ...terminal);
  t.like(done, { state: 'TASK_FAILED', reason: 'REASON_EXECUTOR_TERMINATED' });
  t.regex(done.message, /the Docker engine went away under the container/);
  await engine.start();
});

real('an engine that comes back without its containers is told by that name, and the next task runs', async t => {
  const ward = await openWard(t, { socket: engine.socket });
  await ward.scheduler.launch([contained('goes-too', 'sleep 1000')]);
  await ward.scheduler.reached('goes-too', 'TASK_RUNNING');
  await engine.kill();
  await engine.start();
  const done = await ward.scheduler.reached('goes-too', ...terminal);
  t.like(done, { state: 'TASK_FAILED', reason: 'REASON_EXECUTOR_TERMINATED' });
  t.regex(done.message, /the Docker engine went away under the container, which does not run any more/);
  t.is((await ward.outcome(contained('next', 'true'))).state, 'TASK_FINISHED');
});

real(
  'an engine that keeps its containers while it is away: they are adopted, and told with their own exit codes',
  async t => {
    const keeper = await startDocker(t, ['--live-restore']);
    await keeper.image('busybox:1');
    const ward = await openWard(t, { socket: keeper.socket });
    const speak = `echo before; ${until_go}echo after; exit 6`;
    await ward.scheduler.launch([contained('kept', speak)]);
    await ward.scheduler.reached('kept', 'TASK_RUNNING');
    await until('it to speak', () => ward.output('kept').includes('before'));
    await keeper.kill();
    await keeper.start();
    await until('the attendant to see it again', () => ward.output('kept', 'stderr').includes('the container runs on'));
    writeFileSync(ward.sandbox('kept', 'go'), '');
    const done = await ward.scheduler.reached('kept', ...terminal);
    t.like(done, { state: 'TASK_FAILED', message: 'Container exited with status 6' });
    t.is(ward.output('kept'), 'before\nafter\n');
  },
);
