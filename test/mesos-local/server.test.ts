// server.test.ts: the front door, asked the way a careless or a hostile client would.
//
// Statuses and words are those of a real master, which was asked the same.

import { mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { lifeOfCommand, resourcesFor, startLocalMesos } from '../../mesos/local/index.ts';
import type { LocalMesosOptions } from '../../mesos/local/one-machine.ts';
import { type SimulatedClock, simulatedClock } from '../../schedules/clock.ts';
import { command, type Json, post, subscribe } from './support/client.ts';
import { silent } from './support/machine.ts';

/** A master over HTTP with simulated agents and a clock that the test moves. */
async function front(t: ExecutionContext, options: Partial<LocalMesosOptions> = {}) {
  const clock: SimulatedClock = simulatedClock(1_700_000_000_000);
  const work_dir = mkdtempSync(join(tmpdir(), 'horae-front-'));
  const mesos = await startLocalMesos({
    work_dir,
    clock,
    log: silent,
    agents: { real: false, simulated: 2, resources: resourcesFor({ cpus: 4, mem: 4096 }), life: lifeOfCommand },
    ...options,
  });
  t.teardown(async () => {
    await mesos.close();
    rmSync(work_dir, { recursive: true, force: true });
  });
  /** Time passes in steps, with the event loop between them, until what is waited for has come. */
  const passUntil = async (done: Promise<unknown>, step_ms = 100) => {
    let over = false;
    const mark = () => {
      over = true;
    };
    done.then(mark, mark);
    while (!over) {
      clock.advanceTo(clock.now() + step_ms);
      await new Promise(resolve => setImmediate(resolve));
    }
    await done;
  };
  return { mesos, clock, passUntil };
}

type Case = readonly [
  name: string,
  ask: { body?: Json; headers?: Record<string, string | undefined>; method?: string; path?: string },
  status: number,
  text?: string,
];
const revive = { framework_id: { value: 'FW' }, type: 'REVIVE' };
const info = { user: 'root', name: 'x', roles: ['*'], capabilities: [{ type: 'MULTI_ROLE' }] };
const anew = { 'Mesos-Stream-Id': undefined };
const other = (stream: string) =>
  `The stream ID '${stream}' included in this request didn't match the stream ID currently associated with framework ID FW`;
const cases: readonly Case[] = [
  ['a good call', { body: revive }, 202, ''],
  [
    'no stream id',
    { body: revive, headers: anew },
    400,
    "All non-subscribe calls should include the 'Mesos-Stream-Id' header",
  ],
  [
    'a foreign stream id',
    { body: revive, headers: { 'Mesos-Stream-Id': '11111111-2222-3333-4444-555555555555' } },
    400,
    other('11111111-2222-3333-4444-555555555555'),
  ],
  ['a garbage stream id', { body: revive, headers: { 'Mesos-Stream-Id': 'xyz' } }, 400, other('xyz')],
  [
    'no framework id',
    { body: { type: 'REVIVE' } },
    400,
    "Failed to validate scheduler::Call: Expecting 'framework_id' to be present",
  ],
  [
    'an unknown framework id',
    { body: { ...revive, framework_id: { value: 'nobody' } } },
    400,
    'Framework cannot be found',
  ],
  [
    'no type',
    { body: { framework_id: { value: 'FW' } } },
    400,
    "Failed to validate scheduler::Call: Expecting 'type' to be present",
  ],
  [
    'an unknown type',
    { body: { ...revive, type: 'NONSENSE' } },
    400,
    "Failed to validate scheduler::Call: Expecting 'type' to be present",
  ],
  ['no JSON', { body: '{"type":' }, 400, 'Failed to parse body into JSON: syntax error at line 1 near: '],
  ['an array', { body: '[]' }, 400, 'Failed to convert JSON into Call protobuf: Expecting a JSON object'],
  ['an empty body', { body: '' }, 400, 'Failed to parse body into JSON: syntax error at line 1 near: '],
  ['an unknown field', { body: { ...revive, colour: 'green' } }, 202, ''],
  [
    'another content type',
    { body: revive, headers: { 'Content-Type': 'text/plain' } },
    415,
    "Expecting 'Content-Type' of application/json or application/x-protobuf",
  ],
  [
    'a charset',
    { body: revive, headers: { 'Content-Type': 'application/json; charset=utf-8' } },
    415,
    "Expecting 'Content-Type' of application/json or application/x-protobuf",
  ],
  [
    'no content type',
    { body: revive, headers: { 'Content-Type': undefined } },
    400,
    "Expecting 'Content-Type' to be present",
  ],
  ['Accept: text/plain on a plain call', { body: revive, headers: { Accept: 'text/plain' } }, 202, ''],
  ['GET', { method: 'GET' }, 405, "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'."],
  [
    'PUT',
    { body: revive, method: 'PUT' },
    405,
    "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'PUT'.",
  ],
  ['the longer path', { body: revive, path: '/master/api/v1/scheduler' }, 202, ''],
  ['gzip', { body: gzipSync(JSON.stringify(revive)), headers: { 'Content-Encoding': 'gzip' } }, 202, ''],
  ['gzip that is none', { body: 'plain', headers: { 'Content-Encoding': 'gzip' } }, 400],
  [
    'ACCEPT without accept',
    { body: { ...revive, type: 'ACCEPT' } },
    400,
    "Failed to validate scheduler::Call: Expecting 'accept' to be present",
  ],
  [
    'KILL without a task',
    { body: { ...revive, type: 'KILL', kill: {} } },
    400,
    'Failed to convert JSON into Call protobuf: Missing required fields: kill.task_id',
  ],
  [
    'RECONCILE without reconcile',
    { body: { ...revive, type: 'RECONCILE' } },
    400,
    "Failed to validate scheduler::Call: Expecting 'reconcile' to be present",
  ],
  [
    'a short uuid',
    {
      body: {
        ...revive,
        type: 'ACKNOWLEDGE',
        acknowledge: { agent_id: { value: 'a' }, task_id: { value: 't' }, uuid: 'AAAA' },
      },
    },
    400,
    'Failed to validate scheduler::Call: Not a valid UUID',
  ],
  [
    'bad base64',
    {
      body: {
        ...revive,
        type: 'MESSAGE',
        message: { agent_id: { value: 'a' }, executor_id: { value: 'e' }, data: '***' },
      },
    },
    400,
    "Failed to convert JSON into Call protobuf: Failed to base64 decode bytes field 'data': Invalid character '*'",
  ],
  [
    'a number where a message should be',
    { body: { ...revive, type: 'KILL', kill: { task_id: 7 } } },
    400,
    "Failed to convert JSON into Call protobuf: Not expecting a JSON number for field 'task_id'",
  ],
  [
    'a task whose resources are no list',
    {
      body: {
        ...revive,
        type: 'ACCEPT',
        accept: {
          offer_ids: [],
          operations: [
            {
              type: 'LAUNCH',
              launch: {
                task_infos: [{ name: 'x', task_id: { value: 't' }, agent_id: { value: 'a' }, resources: 'many' }],
              },
            },
          ],
        },
      },
    },
    400,
    "Failed to convert JSON into Call protobuf: Expecting a JSON array for field 'resources'",
  ],
  [
    'SUBSCRIBE with a stream id',
    { body: { type: 'SUBSCRIBE', subscribe: { framework_info: info } } },
    400,
    "Subscribe calls should not include the 'Mesos-Stream-Id' header",
  ],
  [
    'SUBSCRIBE without subscribe',
    { body: { type: 'SUBSCRIBE' }, headers: anew },
    400,
    "Failed to validate scheduler::Call: Expecting 'subscribe' to be present",
  ],
  [
    'SUBSCRIBE without a user',
    { body: { type: 'SUBSCRIBE', subscribe: { framework_info: { name: 'x' } } }, headers: anew },
    400,
    'Failed to convert JSON into Call protobuf: Missing required fields: subscribe.framework_info.user',
  ],
  [
    'SUBSCRIBE with two ids',
    {
      body: {
        type: 'SUBSCRIBE',
        framework_id: { value: 'a' },
        subscribe: { framework_info: { ...info, id: { value: 'b' } } },
      },
      headers: anew,
    },
    400,
    "Failed to validate scheduler::Call: 'framework_id' differs from 'subscribe.framework_info.id'",
  ],
  [
    'SUBSCRIBE with the id in one place',
    { body: { type: 'SUBSCRIBE', framework_id: { value: 'a' }, subscribe: { framework_info: info } }, headers: anew },
    400,
    "Failed to validate scheduler::Call: 'framework_id' differs from 'subscribe.framework_info.id'",
  ],
  [
    'SUBSCRIBE that takes no JSON',
    { body: { type: 'SUBSCRIBE', subscribe: { framework_info: info } }, headers: { ...anew, Accept: 'text/plain' } },
    406,
    "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
  ],
  [
    'MESSAGE to nobody',
    {
      body: {
        ...revive,
        type: 'MESSAGE',
        message: { agent_id: { value: 'a' }, executor_id: { value: 'e' }, data: 'aGk=' },
      },
    },
    202,
    '',
  ],
  [
    'SHUTDOWN of nobody',
    { body: { ...revive, type: 'SHUTDOWN', shutdown: { agent_id: { value: 'a' }, executor_id: { value: 'e' } } } },
    202,
    '',
  ],
  ['REVIVE of an unknown role', { body: { ...revive, revive: { roles: ['zzz'] } } }, 202, ''],
  ['SUPPRESS of an unknown role', { body: { ...revive, type: 'SUPPRESS', suppress: { roles: ['zzz'] } } }, 202, ''],
  [
    'DECLINE of an unknown offer',
    { body: { ...revive, type: 'DECLINE', decline: { offer_ids: [{ value: 'no' }] } } },
    202,
    '',
  ],
  ['REQUEST', { body: { ...revive, type: 'REQUEST' } }, 202, ''],
  [
    'an UPDATE_FRAMEWORK without its terms',
    { body: { ...revive, type: 'UPDATE_FRAMEWORK' } },
    400,
    "Failed to validate scheduler::Call: Expecting 'update_framework' to be present",
  ],
  ['GET /health', { method: 'GET', path: '/health' }, 200, ''],
  ['GET /redirect', { method: 'GET', path: '/redirect' }, 307, ''],
  ['another path', { body: revive, path: '/api/v1/nope' }, 404],
  ['a foreign Host', { body: revive, headers: { Host: 'evil.example:5050' } }, 403],
  ['an Origin', { body: revive, headers: { Origin: 'http://127.0.0.1:8080' } }, 403],
  ['no credentials', { body: revive, headers: { Authorization: undefined } }, 401, '401 Unauthorized.'],
  [
    'a wrong secret',
    { body: revive, headers: { Authorization: `Basic ${btoa('horae:guess')}` } },
    401,
    '401 Unauthorized.',
  ],
];
test('each wrong request gets the status and the words that a real master has for it', async t => {
  const { mesos } = await front(t);
  const scheduler = await subscribe(mesos, 'FW');
  for (const [name, { body, headers, method, path }, status, text] of cases) {
    const all = { 'Mesos-Stream-Id': scheduler.stream, ...headers };
    const answer = await post(mesos, body ?? '', all, {
      ...(method === undefined ? {} : { method }),
      ...(path === undefined ? {} : { path }),
    });
    t.is(answer.status, status, name);
    if (text !== undefined) t.is(answer.text, text, name);
  }
  t.false(scheduler.isEnded());
});

test('whoever has seen no offer of an agent is told where it is', async t => {
  const { mesos, asked } = await slaves(t);
  const { id, origin } = mesos.agent!;
  const port = Number(new URL(origin).port);
  const told = { id, hostname: '127.0.0.1', port, pid: `slave(1)@127.0.0.1:${port}`, active: true };
  const all = { slaves: [told], recovered_slaves: [] };
  t.deepEqual(await asked('/slaves'), { status: 200, body: all });
  t.deepEqual(await asked(`/master/slaves?slave_id=${id}`), { status: 200, body: all });
  t.deepEqual(await asked('/slaves?slave_id=other'), { status: 200, body: { slaves: [], recovered_slaves: [] } });
  t.is((await asked('/slaves', { Authorization: undefined })).status, 401);
});
async function slaves(t: ExecutionContext) {
  const { mesos } = await front(t, { agents: { real: true } });
  const asked = async (path: string, headers = {}) => {
    const { status, text } = await post(mesos, '', headers, { method: 'GET', path });
    return { status, body: status === 200 ? (JSON.parse(text) as unknown) : text };
  };
  return { mesos, asked };
}

const invalid: readonly [name: string, info: Json, message: string, more?: Json][] = [
  [
    'a bad role',
    { ...info, roles: ['a b'] },
    "'FrameworkInfo.roles' contains invalid role: Role component 'a b' is invalid because it contains backspace or whitespace",
  ],
  [
    'role and roles',
    { ...info, role: 'x' },
    "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
  ],
  [
    'roles without MULTI_ROLE',
    { ...info, capabilities: [] },
    "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
  ],
  [
    'a suppressed role that it has not',
    info,
    'Suppressed roles { zzz } are not contained in the set of roles',
    { suppressed_roles: ['zzz'] },
  ],
];
test('a SUBSCRIBE that makes no sense gets 200, one ERROR event and the end of the body', async t => {
  const { mesos } = await front(t);
  for (const [name, framework_info, message, more] of invalid) {
    const answer = await post(mesos, { type: 'SUBSCRIBE', subscribe: { framework_info, ...more } });
    t.is(answer.status, 200, name);
    const event = JSON.stringify({ type: 'ERROR', error: { message } });
    t.is(answer.text, `${event.length}\n${event}`, name);
  }
});

test('the stream: headers, SUBSCRIBED with the master in it, HEARTBEAT, OFFERS, then a heartbeat every 15 s', async t => {
  const { mesos, passUntil } = await front(t);
  const scheduler = await subscribe(mesos);
  await scheduler.until(events => events.length === 3);
  t.like(scheduler.response.headers, { 'transfer-encoding': 'chunked', 'content-type': 'application/json' });
  t.regex(scheduler.stream, /^[0-9a-f-]{36}$/);
  t.deepEqual(
    scheduler.events.map(({ type }) => type),
    ['SUBSCRIBED', 'HEARTBEAT', 'OFFERS'],
  );
  const { subscribed } = scheduler.events[0];
  t.is(subscribed.heartbeat_interval_seconds, 15);
  t.is(subscribed.master_info.port, Number(new URL(mesos.url).port));
  await passUntil(
    scheduler.until(events => events.filter(({ type }) => type === 'HEARTBEAT').length === 4),
    1000,
  );
});

test('a socket that closes: 403 for the old stream, tasks go on, what was missed comes with the new subscription', async t => {
  const { mesos, clock, passUntil } = await front(t);
  const first = await subscribe(mesos);
  await first.launch([command('f-1', 'sleep 1000'), command('f-2', 'sleep 5; exit 1')], 3600);
  await first.reached('f-1', 'TASK_RUNNING');
  await first.reached('f-2', 'TASK_RUNNING');
  first.disconnect();
  let answer = await first.call({ type: 'REVIVE' });
  // The master notices when the socket tells it.
  while (answer.status === 202) answer = await first.call({ type: 'REVIVE' });
  t.like(answer, { status: 403, text: 'Framework is not subscribed' });
  clock.advanceTo(clock.now() + 6_000);
  const id = first.framework_id().value;
  const second = await subscribe(mesos, id);
  await passUntil(second.reached('f-2', 'TASK_FAILED'));
  t.like(second.statuses('f-2').at(-1), { state: 'TASK_FAILED', message: 'Command exited with status 1' });
  t.like(await first.call({ type: 'REVIVE' }), {
    status: 400,
    text: `The stream ID '${first.stream}' included in this request didn't match the stream ID currently associated with framework ID ${id}`,
  });
});

test('a second scheduler with the same id: the first hears ERROR and the end of its body, its calls get 400', async t => {
  const { mesos } = await front(t);
  const first = await subscribe(mesos);
  const id = first.framework_id().value;
  const second = await subscribe(mesos, id);
  await first.until(() => first.isEnded());
  t.deepEqual(first.events.at(-1), { type: 'ERROR', error: { message: 'Framework failed over' } });
  t.is((await first.call({ type: 'REVIVE' })).status, 400);
  await second.until(events => events.some(({ type }) => type === 'OFFERS'));
  t.is((await second.call({ type: 'REVIVE' })).status, 202);
});

test('TEARDOWN ends the body; the id is dead afterwards', async t => {
  const { mesos } = await front(t);
  const first = await subscribe(mesos);
  t.is((await first.call({ type: 'TEARDOWN' })).status, 202);
  await first.until(() => first.isEnded());
  t.like(await first.call({ type: 'REVIVE' }), { status: 400, text: 'Framework cannot be found' });
  const again = await subscribe(mesos, first.framework_id().value);
  t.deepEqual(again.events[0], { type: 'ERROR', error: { message: 'Framework has been removed' } });
});

test('a subscriber that does not read is cut off, and the master goes on', async t => {
  const { mesos } = await front(t, { unread_bytes_max: 200_000 });
  const { hostname, port } = new URL(mesos.url);
  const socket = new Socket();
  t.teardown(() => socket.destroy());
  const auth = Buffer.from(`${mesos.credentials!.principal}:${mesos.credentials!.secret}`).toString('base64');
  const body = JSON.stringify({
    type: 'SUBSCRIBE',
    framework_id: { value: 'slow' },
    subscribe: { framework_info: { ...info, id: { value: 'slow' }, failover_timeout: 60 } },
  });
  await new Promise<void>(resolve => socket.connect(Number(port), hostname, () => resolve()));
  const head = await new Promise<string>(resolve => {
    socket.once('data', part => {
      socket.pause();
      resolve(String(part));
    });
    socket.write(
      `POST /api/v1/scheduler HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Basic ${auth}\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  });
  const stream = /Mesos-Stream-Id: (\S+)/i.exec(head)![1]!;
  const tasks = Array.from({ length: 10_000 }, (_, index) => ({ task_id: { value: `unknown-${index}` } }));
  let answer = await post(
    mesos,
    { framework_id: { value: 'slow' }, type: 'RECONCILE', reconcile: { tasks } },
    { 'Mesos-Stream-Id': stream },
  );
  for (let round = 0; answer.status === 202 && round < 100; round++)
    answer = await post(
      mesos,
      { framework_id: { value: 'slow' }, type: 'RECONCILE', reconcile: { tasks } },
      { 'Mesos-Stream-Id': stream },
    );
  t.like(answer, { status: 403, text: 'Framework is not subscribed' });
  const other = await subscribe(mesos);
  t.is(other.events[0].type, 'SUBSCRIBED');
});

test('50,000 tasks reconciled in one call are all answered', async t => {
  const { mesos } = await front(t);
  const scheduler = await subscribe(mesos);
  const tasks = Array.from({ length: 50_000 }, (_, index) => ({ task_id: { value: `u-${index}` } }));
  t.is((await scheduler.call({ type: 'RECONCILE', reconcile: { tasks } })).status, 202);
  await scheduler.until(events => events.length >= 50_000);
  t.is(scheduler.events.filter(({ update }) => update?.status.state === 'TASK_UNKNOWN').length, 50_000);
});

test('a subscriber that reads is not cut off by an event that is larger than what it may leave unread', async t => {
  const { mesos } = await front(t, {
    unread_bytes_max: 20_000,
    agents: { real: false, simulated: 500, resources: resourcesFor({ cpus: 4, mem: 4096 }) },
  });
  const scheduler = await subscribe(mesos);
  await scheduler.until(events => events.some(({ type }) => type === 'OFFERS'));
  t.is(scheduler.events.find(({ type }) => type === 'OFFERS').offers.offers.length, 500);
  t.is((await scheduler.call({ type: 'REVIVE' })).status, 202);
  t.false(scheduler.isEnded());
});
