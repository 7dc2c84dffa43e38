// chaos.test.ts: a service on the embedded agent, with everything that keeps it alive killed in turn.
//
// A whole Mesos in a process of its own, the executor from its archive, a web server with a health check, three processes in
// order and a log that rotates. The dice choose who is killed; the test is the scheduler, and starts a new attempt when one
// is over. At no moment may two copies of the instance be alive, and after each kill there is one that answers.

import { readFileSync, realpathSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import test from 'ava';
import { packExecutor } from '../../mesos/executor/archive.ts';
import { readTask } from '../../mesos/executor/document.ts';
import { executor_needs, executorInfo, processesTask } from '../../mesos/executor/executor-info.ts';
import { startLocalMesos } from '../../mesos/local/index.ts';
import type { Resource } from '../../mesos/protocol.ts';
import { systemClock } from '../../schedules/clock.ts';
import { type Client, scalar, subscribe } from '../mesos-local/support/client.ts';
import { silent } from '../mesos-local/support/machine.ts';
import { startChild } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { isAlive, runningUnder, send } from '../support/processes.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { dice } from './support/dice.ts';
import { littleNode, read } from './support/executor.ts';

const kills_wanted = Number(process.env.HORAE_TEST_KILLS ?? 10);
const seed = Number(process.env.HORAE_TEST_SEED ?? 20_261_122);
const child_path = join(import.meta.dirname, '..', 'mesos-local', 'support', 'child.ts');
const terminal = [
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_GONE',
  'TASK_DROPPED',
];
const targets = ['the server', 'the executor', 'the porter', 'the agent', 'the start script'] as const;

/** Says who it is to all copies of the instance, answers, and talks a lot. */
const server = `
const fs = require('node:fs');
const [port, shared] = process.argv.slice(2);
let holder; try { holder = Number(fs.readFileSync(shared + '/holder', 'utf8')); } catch {}
let state = 'gone'; try { state = fs.readFileSync('/proc/' + holder + '/stat', 'utf8').split(') ')[1][0]; } catch {}
const alive = state !== 'gone' && state !== 'Z';
if (alive) fs.appendFileSync(shared + '/trouble', process.pid + ' found ' + holder + '\\n');
fs.writeFileSync(shared + '/holder', String(process.pid));
setInterval(() => console.log('x'.repeat(200)), 5);
require('node:http').createServer((_, response) => response.end('ok')).listen(Number(port), '127.0.0.1');
`;

test.serial(
  `after each of ${kills_wanted} kills the service answers again, and there never were two copies of it`,
  async t => {
    t.timeout(Math.max(120_000, kills_wanted * 15_000));
    t.log(`seed ${seed}`);
    const roll = dice(seed);
    const work_dir = await tempDir(t);
    const shared = await tempDir(t);
    const archive = await packExecutor(await tempDir(t), '0.0.1', await littleNode(t));
    await writeFile(join(shared, 'server.cjs'), server);

    let mesos = await startMesos();
    let scheduler: Client = await subscribe(mesos.target);
    const framework = scheduler.framework_id();
    t.teardown(async () => {
      await mesos.child.kill();
      const last = await startLocalMesos({ work_dir, clock: systemClock(), log: silent });
      await last.agent?.killAll();
      await last.close();
    });
    async function startMesos() {
      const child = startChild(t, { command: process.execPath, argv: [child_path, work_dir] });
      const [line] = await child.line(/^\{.*\}$/);
      return { child, target: JSON.parse(line) as Parameters<typeof subscribe>[0] & { agent: string } };
    }

    let attempt = 0;
    let port = 0;
    const taskId = () => `web-${attempt}`;
    const sandbox = () => join(work_dir, 'sandboxes', mesos.target.agent, taskId());
    const launch = async () => {
      attempt++;
      port = await freePort();
      const task = {
        processes: [
          { name: 'one', command: 'echo one >> order' },
          { name: 'two', command: 'echo two >> order' },
          {
            name: 'web',
            command: `exec ${process.execPath} ${shared}/server.cjs {{thermos.ports[http]}} ${shared}`,
            daemon: true,
            min_duration_ms: 0,
            logger: { mode: 'rotate', size_bytes: 10_000, backups: 2 },
          },
        ],
        order: [['one', 'two', 'web']],
        health: { checker: { type: 'http', port: 'http' }, interval_ms: 500, max_consecutive_failures: 20 },
        finalization_wait_ms: 1_000,
      };
      const read = readTask(task);
      if (!read.ok) throw new Error(JSON.stringify(read.problems));
      const executor = executorInfo(taskId(), framework.value, read.value, {
        archive_url: `file://${archive.path}`,
        resources: Object.entries(executor_needs).map(([name, value]) => ({ name, type: 'SCALAR', scalar: { value } })),
      });
      const info = {
        name: 'web',
        task_id: { value: taskId() },
        agent_id: { value: mesos.target.agent },
        resources: [scalar('cpus', 0.1), scalar('mem', 64)] as Resource[],
      };
      await scheduler.launch([
        processesTask(info, { format: 1, task, instance: 0, user: 'root', ports: { http: port } }, executor),
      ]);
    };
    const answers = () =>
      new Promise<boolean>(resolve => {
        get({ host: '127.0.0.1', port, path: '/health', agent: false }, response => {
          response.resume();
          resolve(response.statusCode === 200);
        }).on('error', () => resolve(false));
      });
    const holder = async () => Number(await read(shared, 'holder'));
    const isOver = () => scheduler.statuses(taskId()).some(({ state }) => terminal.includes(state));
    /** As a scheduler does: when an attempt is over there is another. */
    const recover = (before: number, changed: boolean) =>
      until(
        'the service answers',
        async () => {
          if (isOver()) {
            await launch();
            return false;
          }
          const now = await holder();
          return (!changed || now !== before) && isAlive(now) && (await answers());
        },
        60_000,
      );
    /** Direct children of the agent's, by what they run. */
    const find = (what: RegExp) =>
      // The agent has the sandbox under the container's name, and links to it by the task's.
      runningUnder(realpathSync(sandbox())).find(pid => {
        try {
          return what.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
        } catch {
          return false;
        }
      });

    await launch();
    t.is((await scheduler.reached(taskId(), 'TASK_RUNNING', ...terminal)).state, 'TASK_RUNNING');
    const count: Record<string, number> = {};
    for (let kill = 0; kill < kills_wanted; kill++) {
      // Everybody has a turn; then the dice.
      const target = targets[kill < targets.length ? kill : roll(targets.length - 1)]!;
      count[target] = (count[target] ?? 0) + 1;
      const before = await holder();
      switch (target) {
        case 'the server':
          send(before, 'SIGKILL');
          break;
        case 'the executor':
          send((await until('the executor', () => find(/mesos\/executor\/main\.js/)))!, 'SIGKILL');
          break;
        case 'the porter': {
          const runs = (await readdir(join(sandbox(), '.horae', taskId(), 'web'))).map(Number);
          const claim = await read(sandbox(), '.horae', taskId(), 'web', String(Math.max(...runs)), 'claim');
          if (/^\d/.test(claim)) send(Number(claim.split(' ')[0]), 'SIGKILL');
          break;
        }
        case 'the start script':
          send((await until('the script', () => find(/^\/bin\/sh \.\/horae-executor\/run/)))!, 'SIGKILL');
          break;
        case 'the agent':
          scheduler.disconnect();
          mesos.child.send('SIGKILL');
          await mesos.child.ended;
          mesos = await startMesos();
          scheduler = await subscribe(mesos.target, framework.value);
          break;
      }
      const changed = target === 'the server' || target === 'the porter' || target === 'the start script';
      try {
        await recover(before, changed);
      } catch (error) {
        t.log(`after kill ${kill} of ${target}, ${taskId()}: ${JSON.stringify(scheduler.states(taskId()))}`);
        t.log((await read(sandbox(), 'stderr')).slice(-3_000));
        throw error;
      }
      t.is(await read(shared, 'trouble'), '', `after kill ${kill} of ${target}`);
    }
    t.log(JSON.stringify(count), `${attempt} attempts`);
    t.true(attempt <= 1 + (count['the start script'] ?? 0), 'only the end of an executor costs an attempt');
    t.is(await read(sandbox(), 'order'), 'one\ntwo\n');
    const logs = await readdir(join(sandbox(), '.logs/web'));
    t.true(logs.length > 0);
  },
);
