// service.test.ts: the real program keeps a real service: three processes in order, a health check over HTTP, a log that rotates.

import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { freePort } from '../support/free-port.ts';
import { runningUnder, send } from '../support/processes.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, type Running, runsOf, startHorae } from './horae.ts';

const owner = fileOwner();
let api: Api;
let horae: Running;
let scratch: string;
let data_dir: string;
let free_ports: readonly number[] | undefined;
test.before(async () => {
  scratch = await tempDir(owner);
  data_dir = join(scratch, 'data');
  await start();
});
async function start() {
  // Ports that nobody on this machine listens at: the tasks of somebody else's scheduler may have the usual ones.
  free_ports ??= await Promise.all(Array.from({ length: 6 }, freePort));
  const ranges = free_ports.map(port => `${port}-${port}`).join(',');
  horae = await startHorae(owner, data_dir, ['--agent-resources', `cpus:4;mem:4000;disk:10000;ports:[${ranges}]`]);
  ({ api } = horae);
}
test.after.always(owner.clean);

/** Answers as its state file says, and prints a line for each question. */
const server = `
const http = require('node:http');
const fs = require('node:fs');
http.createServer((request, response) => {
  console.log('asked for ' + request.url + ' ' + 'x'.repeat(600));
  const sick = fs.existsSync(process.argv[2]);
  response.writeHead(sick ? 500 : 200).end(sick ? 'sick' : 'ok');
}).listen(Number(process.argv[1]), '127.0.0.1');`;

async function serviceCalled(name: string, more: object = {}) {
  const [sick, said] = [join(scratch, `${name}-is-sick`), join(scratch, `${name}-order`)];
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const answer = await api.request('POST', '/api/v1/jobs', {
    role: 'me',
    environment: 'test',
    name,
    service: true,
    mem: 64,
    retry_delay_ms: 100,
    kill_grace_ms: 5_000,
    processes: [
      { name: 'prepare', command: `echo prepared {{mesos.instance}} >> ${said}` },
      { name: 'check', command: `echo checked >> ${said}` },
      {
        name: 'serve',
        command: `echo serves >> ${said}; exec ${process.execPath} -e ${quoted(server)} {{thermos.ports[http]}} ${sick}`,
        min_duration_ms: 50,
        logger: { mode: 'rotate', size_bytes: 1_024, backups: 2 },
      },
    ],
    health_check: {
      checker: { type: 'http', port: 'http', path: '/well' },
      interval_ms: 250,
      initial_interval_ms: 5_000,
      timeout_ms: 10_000,
    },
    ...more,
  });
  if (answer.status !== 201) throw new Error(`${name}: ${answer.status} ${answer.text}`);
  return { key: `me/test/${name}`, sick, said };
}
type Seen = {
  readonly processes: readonly { readonly name: string; readonly status: string; readonly runs: number }[];
  readonly health?: { readonly up: boolean; readonly history: readonly { readonly ok: boolean }[] };
};
async function instanceOf(key: string) {
  const [run] = await runsOf(api, key);
  return run?.instances[0];
}
/** The first or a later attempt: on a slow machine one may not be well in time. */
const running = (key: string, attempt: number) =>
  until(`attempt ${attempt} of ${key} to run`, async () => {
    const one = await instanceOf(key);
    return one !== undefined && one.state === 'running' && one.attempt >= attempt && one;
  });
/** Every folder of this name below another. */
function folders(below: string, name: string): readonly string[] {
  return readdirSync(below, { withFileTypes: true }).flatMap(entry => {
    const path = join(below, entry.name);
    if (!entry.isDirectory()) return [];
    return entry.name === name ? [path] : folders(path, name);
  });
}

test.serial(
  'its processes run in order, it runs when it is healthy, its log rotates, it is snoozed by a person, and ended when it is sick',
  async t => {
    const { key, sick, said } = await serviceCalled('web');
    const first = await running(key, 1);
    t.true(readFileSync(said, 'utf8').startsWith('prepared 0\nchecked\nserves\n'));
    const ports = (first as unknown as { ports: Record<string, number> }).ports;
    t.is((await fetch(`http://127.0.0.1:${ports.http}/by-hand`)).status, 200);

    const seen = await until('what its executor says', async () => {
      const one = (await instanceOf(key)) as unknown as {
        readonly task?: Seen;
        readonly links: Record<string, string>;
      };
      return one.task?.health?.up === true && { ...one, task: one.task };
    });
    t.deepEqual(
      seen.task.processes.map(({ name, status, runs }) => [name, status, runs]),
      [
        ['prepare', 'succeeded', 1],
        ['check', 'succeeded', 1],
        ['serve', 'running', 1],
      ],
    );
    t.true(seen.task.health!.history.some(({ ok }) => ok));
    const log = await until('its log', async () => {
      const { status, text } = await api.request('GET', `${seen.links.stdout}?process=serve&process_run=0`);
      return status === 200 && text;
    });
    t.regex(log, /x{9}/);
    t.is((await api.request('GET', `${seen.links.stdout}?process=nobody`)).status, 404);
    t.is((await api.request('GET', `${seen.links.stdout}?process=..`)).status, 400);
    t.regex((await api.request('GET', '/metrics')).text, /horae_task_health\{health="well"\} 1/);

    const [logs] = folders(join(data_dir, 'agent'), 'serve').filter(path => path.includes('/.logs/'));
    const kept = await until('three files of its log', () => {
      const files = readdirSync(join(logs!, '0')).filter(file => file.startsWith('stdout'));
      return files.length >= 3 && files;
    });
    t.is(kept.length, 3, 'the one that is written and two that are older');
    for (const file of kept)
      t.true(existsSync(join(logs!, '0', file)) && statSync(join(logs!, '0', file)).size <= 2_048);

    // Snoozed, it may be sick; woken, it is found out.
    const instance = `/api/v1/jobs/${key}/instances/0`;
    const snooze = await api.request('POST', `${instance}/snooze`, { minutes: 60 });
    t.is(snooze.status, 202, snooze.text);
    await until('its executor to say that it snoozes', async () => {
      const one = (await instanceOf(key)) as unknown as {
        readonly snooze?: { readonly heard: boolean };
        readonly task?: { readonly health?: { readonly snoozed_until?: string } };
      };
      const until_then = (JSON.parse(snooze.text) as { until: string }).until;
      return one.snooze?.heard === true && one.task?.health?.snoozed_until === until_then;
    });
    t.regex((await api.request('GET', '/metrics')).text, /horae_task_health\{health="snoozed"\} 1/);
    writeFileSync(sick, '');
    t.is((await api.request('POST', `${instance}/wake`)).status, 202);
    await until('its end', async () => ((await instanceOf(key))?.attempt ?? 0) > first.attempt);
    rmSync(sick);
    await running(key, first.attempt + 1);
    t.is((await api.request('DELETE', `/api/v1/jobs/${key}`)).status, 204);
    await until('nothing of it to run', () => [...runningUnder(data_dir)].length === 0);
  },
);

/** Live processes of tasks with their command lines, each of which is read once: a shell becomes what it executes. */
const commandLines = () =>
  runningUnder(data_dir).flatMap(pid => {
    try {
      return [{ pid, line: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') }];
    } catch {
      return []; // It has ended meanwhile.
    }
  });
const pidsOf = (words: string) => commandLines().flatMap(({ pid, line }) => (line.includes(words) ? [pid] : []));

/** Looked at once: whoever is there now may be gone at the next look. */
const only = (pids: readonly number[]) => pids.length === 1 && pids;

test.serial('whatever of it is killed, there is one copy of it again, and never two', async t => {
  const { key, sick } = await serviceCalled('hardy');
  let { attempt } = await running(key, 1);
  // Shells on the way to it have its words too: the server alone begins with its own program.
  const servers = () =>
    commandLines().flatMap(({ pid, line }) =>
      line.startsWith(`${process.execPath} -e `) && line.endsWith(` ${sick} `) ? [pid] : [],
    );
  const executors = () => pidsOf('mesos/executor/main.js');
  const victims = ['server', 'executor', 'start script', 'program', 'server', 'executor'] as const;
  let two = 0;
  const watching = setInterval(() => {
    if (servers().length > 1) two++;
  }, 50);
  t.teardown(() => clearInterval(watching));
  for (const victim of victims) {
    const [server] = await until('one server', () => only(servers()));
    switch (victim) {
      case 'server':
        // A process that a signal ends is lost, not failed: its executor starts it again.
        send(server!, 'SIGKILL');
        await until('another server', () => servers().some(pid => pid !== server));
        break;
      case 'executor': {
        const [executor] = await until('one executor', () => only(executors()));
        send(executor!, 'SIGKILL');
        await until('another executor', () => executors().some(pid => pid !== executor));
        t.deepEqual(servers(), [server], 'what it looked after lives on');
        break;
      }
      case 'start script': {
        // Its container is gone for the agent, and with it everything that was in it.
        send(pidsOf('horae-executor/run')[0]!, 'SIGKILL');
        ({ attempt } = await running(key, attempt + 1));
        t.false(servers().includes(server!));
        break;
      }
      case 'program':
        horae.child.send('SIGKILL');
        await horae.child.ended;
        t.deepEqual(servers(), [server], 'it needs nobody');
        await start();
        ({ attempt } = await running(key, attempt));
        t.deepEqual(servers(), [server], 'and is found again');
        break;
    }
  }
  t.is(two, 0);
  t.is((await api.request('DELETE', `/api/v1/jobs/${key}`)).status, 204);
  await until('nothing of it to run', () => runningUnder(join(data_dir, 'agent')).length === 0);
});
