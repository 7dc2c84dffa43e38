// agent-files.test.ts: what tasks wrote, read over HTTP from agents that move, are away, or show it only to friends.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { AgentAway, type AgentFilesOptions, agentFiles, pathsOf } from '../../mesos/agent-files.ts';
import type { Event } from '../../mesos/protocol.ts';
import { systemClock } from '../../schedules/clock.ts';

const clock = systemClock();
const subscribed: Event = { type: 'SUBSCRIBED', subscribed: { framework_id: { value: 'F' } } };
const [in_group, alone] = pathsOf('F', 'task-1', 'stdout') as [string, string];

async function serving(t: ExecutionContext, handle: (request: IncomingMessage, response: ServerResponse) => void) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!);
    handle(request, response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  t.teardown(close);
  const { port } = server.address() as AddressInfo;
  return { port, asked, close, server, url: `http://127.0.0.1:${port}` };
}

/** Answers as a real agent was recorded to: raw bytes in a JSON string, 64 KiB at most, offset -1 for the size. */
const agent = (
  t: ExecutionContext,
  files: ReadonlyMap<string, Buffer>,
  before: (request: IncomingMessage) => Promise<void> | undefined = () => undefined,
) =>
  serving(t, async (request, response) => {
    await before(request);
    const url = new URL(request.url!, 'http://agent');
    const file = files.get(url.searchParams.get('path') ?? '');
    if (url.pathname !== '/files/read' || file === undefined) return response.writeHead(404).end();
    const offset = Number(url.searchParams.get('offset'));
    const length = Math.min(Number(url.searchParams.get('length') ?? 65_536), 65_536);
    const data = offset < 0 ? Buffer.alloc(0) : file.subarray(offset, offset + length);
    const text = JSON.stringify({ data: data.toString('latin1'), offset: offset < 0 ? file.length : offset });
    return response.writeHead(200, { 'Content-Type': 'application/json' }).end(Buffer.from(text, 'latin1'));
  });

/** Where the pieces began that were asked for. */
const offsetsIn = (asked: readonly string[]) =>
  asked.map(url => Number(new URL(url, 'http://agent').searchParams.get('offset'))).filter(offset => offset >= 0);

const offers = (port: number, ip: string | undefined = '127.0.0.1'): Event => ({
  type: 'OFFERS',
  offers: {
    offers: [
      {
        id: { value: 'O' },
        framework_id: { value: 'F' },
        agent_id: { value: 'S0' },
        hostname: 'agent-1',
        url: {
          scheme: 'http',
          address: { hostname: 'agent-1.invalid', ...(ip === undefined ? {} : { ip }), port },
          path: '/slave(1)',
        },
        resources: [],
      },
    ],
  },
});
/** As a real master lists its agents. */
const slaves = (port: number) =>
  JSON.stringify({
    slaves: [{ id: 'S0', hostname: 'agent-1.invalid', port, pid: `slave(1)@127.0.0.1:${port}` }],
    recovered_slaves: [],
  });

const files = (given: Partial<AgentFilesOptions> = {}) =>
  agentFiles({
    clock,
    master: () => undefined,
    master_headers: () => ({}),
    agent_headers: () => ({}),
    timeout_ms: 120_000,
    ...given,
  });

test('every byte of a file arrives as it is, a piece at a time, and the file may grow meanwhile', async t => {
  const written = new Map([[in_group, Buffer.from(Array.from({ length: 70_000 }, (_, n) => n % 256))]]);
  const { port } = await agent(t, written);
  const book = files();
  book.heard([subscribed, offers(port)]);
  const file = (await book.open('S0', 'task-1', 'stdout'))!;
  t.is(await file.size(), 70_000);
  const first = await file.read(0, 1_000_000);
  t.is(first.length, 65_536, 'what an agent gives at once');
  const rest = await file.read(first.length, 1_000_000);
  t.deepEqual(Buffer.concat([first, rest]), written.get(in_group));
  t.is((await file.read(70_000, 10)).length, 0);
  written.set(in_group, Buffer.concat([written.get(in_group)!, Buffer.from('more')]));
  t.is(await file.size(), 70_004);
  t.is(Buffer.from(await file.read(70_000, 10)).toString(), 'more');
});

test('whoever reads on and on has the next pieces on their way, over few connections, and never beyond the end', async t => {
  const whole = Buffer.from(Array.from({ length: 12 * 65_536 + 100 }, (_, n) => (n * 7) % 256));
  const connections = new Set<number | undefined>();
  /** The first piece is not told before those after it have been asked for. */
  const { promise: together, resolve } = Promise.withResolvers<void>();
  const { port, asked } = await agent(t, new Map([[in_group, whole]]), request => {
    connections.add(request.socket.remotePort);
    if (offsetsIn(asked).length === 4) resolve();
    return offsetsIn([request.url!])[0] === 0 ? together : undefined;
  });
  const book = files();
  book.heard([subscribed, offers(port)]);
  const file = (await book.open('S0', 'task-1', 'stdout'))!;
  t.is(await file.size(), whole.length);
  const parts: Uint8Array[] = [await file.read(0, 65_536)];
  for (let at = 65_536; at < whole.length; at += parts.at(-1)!.length) parts.push(await file.read(at, 65_536));
  t.deepEqual(Buffer.concat(parts), whole);
  t.deepEqual(
    offsetsIn(asked).sort((a, b) => a - b),
    Array.from({ length: 13 }, (_, n) => n * 65_536),
  );
  t.true(connections.size <= 4, `${connections.size} connections`);
  file.close();
});

test('a connection that the agent closes between two pieces is made anew', async t => {
  const whole = Buffer.alloc(3 * 65_536, 'x');
  const { port, server } = await agent(t, new Map([[in_group, whole]]));
  const book = files();
  book.heard([subscribed, offers(port)]);
  const file = (await book.open('S0', 'task-1', 'stdout'))!;
  for (let at = 0; at < whole.length; at += 65_536) {
    server.closeAllConnections();
    t.is((await file.read(at, 65_536)).length, 65_536);
  }
  file.close();
});

test('what a real agent was recorded to say of a file that is no text is read byte by byte', async t => {
  const { port } = await serving(t, (_, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(Buffer.from('{"data":"\xff\xfebin\\u0000x","offset":0}', 'latin1'));
  });
  const book = files();
  book.heard([subscribed, offers(port)]);
  const file = (await book.open('S0', 'task-1', 'stdout'))!;
  t.deepEqual([...(await file.read(0, 100))], [0xff, 0xfe, 0x62, 0x69, 0x6e, 0, 0x78]);
});

test('a task without the default executor has its output in the sandbox itself; one that has none has none', async t => {
  const { port } = await agent(t, new Map([[alone, Buffer.from('plain')]]));
  const book = files();
  book.heard([subscribed, offers(port)]);
  t.is(await (await book.open('S0', 'task-1', 'stdout'))?.size(), 5);
  t.is(await book.open('S0', 'task-1', 'stderr'), undefined);
  t.is(await book.open('S0', 'task-2', 'stdout'), undefined);
});

test('a folder is empty, a file is none, and a sandbox that is gone is none, though agents list all three alike', async t => {
  const of = (path: string) => `/frameworks/F/executors/task-1/runs/latest/tasks/task-1/${path}`;
  const { port } = await serving(t, (request, response) => {
    const url = new URL(request.url!, 'http://agent');
    const path = url.searchParams.get('path')!;
    if (url.pathname === '/files/browse') return response.writeHead(200).end('[]');
    if (path === of('empty')) return response.writeHead(400).end('Cannot read a directory.\n');
    if (path === of('file')) return response.writeHead(200).end('{"data":"","offset":7}');
    return response.writeHead(404).end();
  });
  const book = files();
  book.heard([subscribed, offers(port)]);
  t.deepEqual(await book.list('S0', 'task-1', 'empty'), []);
  t.is(await book.list('S0', 'task-1', 'file'), undefined);
  t.is(await book.list('S0', 'task-1', ''), undefined);
});

test('of an agent that has offered nothing the master is asked, and a follower sends us on to the leader', async t => {
  const { port } = await agent(t, new Map([[alone, Buffer.from('plain')]]));
  const shown: unknown[] = [];
  const leader = await serving(t, ({ headers }, response) => {
    shown.push(headers.authorization);
    response.writeHead(200).end(slaves(port));
  });
  const follower = await serving(t, ({ url }, response) => {
    response.writeHead(307, { Location: `//127.0.0.1:${leader.port}${url}` }).end();
  });
  const book = files({ master: () => follower.url, master_headers: () => ({ Authorization: 'Bearer x' }) });
  book.heard([subscribed]);
  t.is(await (await book.open('S0', 'task-1', 'stdout'))?.size(), 5);
  t.is(await (await book.open('S0', 'task-1', 'stdout'))?.size(), 5);
  t.deepEqual(leader.asked, ['/slaves?slave_id=S0'], 'once');
  t.deepEqual(shown, ['Bearer x']);
  await t.throwsAsync(book.open('S1', 'task-1', 'stdout'), { instanceOf: AgentAway, message: /no agent S1/ });
});

test('an agent that has moved is found again; one that is away is told as away, not as having nothing', async t => {
  const old = await agent(t, new Map());
  const young = await agent(t, new Map([[alone, Buffer.from('plain')]]));
  let port = young.port;
  const master = await serving(t, (_, response) => void response.writeHead(200).end(slaves(port)));
  const book = files({ master: () => master.url });
  book.heard([subscribed, offers(old.port)]);
  old.close();
  t.is(await (await book.open('S0', 'task-1', 'stdout'))?.size(), 5);
  young.close();
  await t.throwsAsync(book.open('S0', 'task-1', 'stdout'), { instanceOf: AgentAway, message: /ECONNREFUSED/ });
  port = old.port;
  await t.throwsAsync(book.open('S0', 'task-1', 'stdout'), { instanceOf: AgentAway, message: /ECONNREFUSED/ });
});

test('whoever has not subscribed goes by the records, whatever a subscription of long ago has told', async t => {
  const { port } = await agent(t, new Map([[alone, Buffer.from('plain')]]));
  let recorded: string | undefined;
  const book = files({ framework_id: () => recorded });
  book.heard([offers(port)]);
  await t.throwsAsync(book.open('S0', 'task-1', 'stdout'), {
    instanceOf: AgentAway,
    message: /no master has given us/,
  });
  recorded = 'F';
  book.heard([{ type: 'SUBSCRIBED', subscribed: { framework_id: { value: 'of-old' } } }]);
  t.is(await (await book.open('S0', 'task-1', 'stdout'))?.size(), 5);
});

test('an agent is shown who we are only when that is wanted, and a refusal says how', async t => {
  const { port } = await serving(t, ({ headers }, response) => {
    if (headers.authorization !== 'Bearer x') return void response.writeHead(401).end();
    response.writeHead(200).end('{"data":"","offset":3}');
  });
  const shy = files({ master_headers: () => ({ Authorization: 'Bearer x' }) });
  shy.heard([subscribed, offers(port)]);
  const error = await t.throwsAsync(shy.open('S0', 'task-1', 'stdout'), { instanceOf: AgentAway });
  t.regex(error.message, /--mesos-agents-authenticate/);
  const open = files({ agent_headers: () => ({ Authorization: 'Bearer x' }) });
  open.heard([subscribed, offers(port)]);
  t.is(await (await open.open('S0', 'task-1', 'stdout'))?.size(), 3);
});

test('an answer that is no piece of a file is told, and one without end is cut off', async t => {
  for (const [body, said] of [
    ['<html>', /no piece of a file: <html>/],
    ['{"data":7,"offset":0}', /no piece of a file/],
    [`{"data":"${'x'.repeat(2_000_000)}","offset":0}`, /more than 1048576 bytes/],
  ] as const) {
    const { port } = await serving(t, (_, response) => void response.writeHead(200).end(body));
    const book = files();
    book.heard([subscribed, offers(port)]);
    await t.throwsAsync(book.open('S0', 'task-1', 'stdout'), { instanceOf: AgentAway, message: said });
  }
  const { port } = await serving(t, () => undefined);
  const book = files({ timeout_ms: 50 });
  book.heard([subscribed, offers(port)]);
  await t.throwsAsync(book.open('S0', 'task-1', 'stdout'), { message: /no (answer|connection) within 50 ms/ });
});
