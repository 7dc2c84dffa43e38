// health-live.test.ts: health checks, snoozes and requests to go, over real ports.

import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { performCheck } from '../../mesos/executor/checks.ts';
import type { Checker } from '../../mesos/executor/document.ts';
import { systemClock } from '../../schedules/clock.ts';
import { freePort } from '../support/free-port.ts';
import type { Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { reportIn, task_id, taskInfo, testAgent } from './support/agent.ts';
import { read, testExecutor } from './support/executor.ts';

/** Stands in for the task's own server. */
async function httpServer(
  t: Owner,
  answer: (url: string, method: string, response: ServerResponse) => void,
): Promise<number> {
  const server = createServer((request, response) => answer(request.url!, request.method!, response));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
const ask = (checker: Checker, port: number, timeout_ms = 20_000) =>
  performCheck(checker, { ports: { http: port }, timeout_ms, home: '/', environment: {}, clock: systemClock() });
const http = (more: object = {}): Checker => ({
  type: 'http',
  port: 'http',
  path: '/health',
  expected_response: 'ok',
  expected_code: 0,
  ...more,
});
const sleeper = (more: object = {}) => ({
  processes: [{ name: 'web', command: 'sleep 1000' }],
  ports: ['http'],
  ...more,
});
const fast = { interval_ms: 100, initial_interval_ms: 0, timeout_ms: 5_000 };

test('case 128: "OK" with white space is healthy in any case; code 200 expected and 503 given is not', async t => {
  let code = 200;
  let body = ' OK\n';
  const port = await httpServer(t, (url, _method, response) => {
    response.writeHead(url === '/health' ? code : 404).end(body);
  });
  t.deepEqual(await ask(http(), port), { ok: true });
  body = 'ok';
  t.deepEqual(await ask(http({ expected_code: 200 }), port), { ok: true });
  code = 503;
  t.deepEqual(await ask(http({ expected_code: 200 }), port), {
    ok: false,
    why: 'GET /health on port http: code 503, expected 200',
  });
  t.deepEqual(await ask(http(), port), { ok: true }, 'without an expected code every code will do');
  body = 'ill';
  t.deepEqual(await ask(http(), port), { ok: false, why: 'GET /health on port http: "ill", expected "ok"' });
  t.deepEqual(await ask(http({ expected_response: '' }), port), { ok: true }, 'any answer');
});

test('a server that does not answer in time, or is not there, is not healthy', async t => {
  const port = await httpServer(t, () => undefined);
  t.regex(JSON.stringify(await ask(http(), port, 50)), /no answer within 50 ms/);
  t.regex(JSON.stringify(await ask(http(), await freePort())), /ECONNREFUSED/);
});

test('a knock on a port is answered or not', async t => {
  const port = await httpServer(t, () => undefined);
  t.deepEqual(await ask({ type: 'tcp', port: 'http' }, port), { ok: true });
  t.regex(JSON.stringify(await ask({ type: 'tcp', port: 'http' }, await freePort())), /ECONNREFUSED/);
});

test('a shell line is healthy when it exits with 0, and one that hangs is ended with its children', async t => {
  t.deepEqual(await ask({ type: 'shell', command: 'true' }, 0), { ok: true });
  t.deepEqual(await ask({ type: 'shell', command: 'exit 3' }, 0), { ok: false, why: 'Command exited with status 3' });
  t.deepEqual(await ask({ type: 'shell', command: 'sleep 1000 & wait' }, 0, 50), {
    ok: false,
    why: 'the check was not done within 50 ms',
  });
});

test.serial(
  'a task is STARTING until it is healthy, then RUNNING and healthy; when it falls sick it fails, and says why',
  async t => {
    let well = false;
    const port = await httpServer(t, (_url, _method, response) => void response.end(well ? 'ok' : 'not yet'));
    const agent = await testAgent(t);
    await testExecutor(t, agent.port);
    await agent.subscribed(1);
    const health = { ...fast, checker: { type: 'http', port: 'http' }, max_consecutive_failures: 50 };
    agent.launch(taskInfo(sleeper({ health }), { ports: { http: port } }));
    await agent.status('TASK_STARTING');
    well = true;
    const running = await agent.status('TASK_RUNNING');
    t.true(running.healthy);
    well = false;
    const failed = await agent.status('TASK_FAILED');
    t.is(failed.message, 'Failed health check! GET /health on port http: "not yet", expected "ok"');
    t.false(failed.healthy);
    t.like(reportIn(failed).health, { up: true, failures_in_a_row: 51, history: { length: 10 } });
  },
);

test.serial(
  'case 127, live: a snooze file silences a failing endpoint, is shown with its end, and goes when it is removed',
  async t => {
    let asked = 0;
    const port = await httpServer(t, (_url, _method, response) => {
      asked++;
      response.end('ill');
    });
    const agent = await testAgent(t);
    const { sandbox } = await testExecutor(t, agent.port);
    await agent.subscribed(1);
    await writeFile(join(sandbox, '.healthchecksnooze'), '3600');
    const health = { ...fast, checker: { type: 'http', port: 'http' } };
    agent.launch(taskInfo(sleeper({ health }), { ports: { http: port } }));
    const report = Buffer.from('{"type":"report"}').toString('base64');
    const snoozed = await until('a report of the snooze', () => {
      agent.send({ type: 'MESSAGE', message: { data: report } });
      const last = agent.calls().findLast(call => call.type === 'MESSAGE');
      const text = last === undefined ? '{}' : Buffer.from(last.message.data, 'base64').toString();
      return JSON.parse(text).tasks?.[task_id]?.health?.snoozed_until as number | undefined;
    });
    t.true(snoozed > systemClock().now());
    t.is(asked, 0);
    t.deepEqual(agent.states(), ['TASK_STARTING']);
    await rm(join(sandbox, '.healthchecksnooze'));
    t.regex((await agent.status('TASK_FAILED')).message!, /Not enough successful health checks in time/);
  },
);

test.serial(
  'case 127, from afar: told to snooze it asks nobody, writes that down and says so; told to wake it goes on',
  async t => {
    let asked = 0;
    const port = await httpServer(t, (_url, _method, response) => {
      asked++;
      response.end('ok');
    });
    const agent = await testAgent(t);
    const { sandbox } = await testExecutor(t, agent.port);
    await agent.subscribed(1);
    const health = { ...fast, checker: { type: 'http', port: 'http' } };
    agent.launch(taskInfo(sleeper({ health }), { ports: { http: port } }));
    await agent.status('TASK_RUNNING');
    const tell = (message: object) =>
      agent.send({
        type: 'MESSAGE',
        message: { data: Buffer.from(JSON.stringify({ task_id, ...message })).toString('base64') },
      });
    const healthSaid = () => {
      const last = agent.calls().findLast(call => call.type === 'UPDATE' && call.update.status.data !== undefined);
      return last?.type === 'UPDATE' ? reportIn(last.update.status).health : undefined;
    };
    const then = systemClock().now() + 3_600_000;
    tell({ type: 'snooze', until: then });
    await until('word of the snooze', () => healthSaid()?.snoozed_until === then);
    t.is((await readFile(join(sandbox, '.healthchecksnooze'), 'utf8')).trim(), new Date(then).toISOString());
    tell({ type: 'snooze', task_id: 'somebody else' });
    tell({ type: 'snooze' });
    await until('word of a snooze without an end', () => {
      const health = healthSaid();
      return health?.snoozed_since !== undefined && health.snoozed_until === undefined;
    });
    const before = asked;
    tell({ type: 'wake' });
    await until('it to be asked again', () => asked > before && healthSaid()?.snoozed_since === undefined);
    t.false(existsSync(join(sandbox, '.healthchecksnooze')));
  },
);

test.serial('shutdown in its order: quitquitquit, abortabortabort, SIGTERM, final processes', async t => {
  const order: string[] = [];
  const port = await httpServer(t, (url, method, response) => {
    order.push(`${method} ${url}`);
    response.end();
  });
  const agent = await testAgent(t);
  const { sandbox } = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  agent.launch(
    taskInfo(
      {
        processes: [
          { name: 'web', command: 'trap "echo term >> order; exit 0" TERM; sleep 1000 & wait' },
          { name: 'tidy', command: 'echo final >> order', final: true },
        ],
        ports: ['http'],
        lifecycle: { port: 'http', graceful_wait_ms: 100, abort_wait_ms: 100 },
      },
      { ports: { http: port } },
    ),
  );
  await agent.status('TASK_RUNNING');
  agent.kill(task_id);
  await agent.status('TASK_KILLED');
  t.deepEqual(order, ['POST /quitquitquit', 'POST /abortabortabort']);
  t.is(await read(sandbox, 'order'), 'term\nfinal\n');
});
