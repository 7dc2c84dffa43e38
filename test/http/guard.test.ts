// guard.test.ts: who is turned away at the door, and that the door holds.

import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import test from 'ava';
import { systemClock } from '../../schedules/clock.ts';
import { good } from '../../schedules/problem.ts';
import { readBody } from '../../transport/http/body.ts';
import { problem } from '../../transport/http/schemas.ts';
import { startHttp } from '../../transport/http/server.ts';
import { createMetrics } from '../../transport/metrics.ts';
import type { Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { askAt, hello, hello_path, limits_default, serve } from './support/serve.ts';

/** Says bytes to a port, as a client that is no HTTP library, and hears all that comes back until the end. */
function raw(t: Owner, port: number) {
  const socket = connect({ host: '127.0.0.1', port });
  t.teardown(() => void socket.destroy());
  const chunks: Buffer[] = [];
  let closed = false;
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // A server that turns somebody away may reset the connection: that is an end like another.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
  });
  return {
    socket,
    heard: () => Buffer.concat(chunks).toString('latin1'),
    closed: () => closed,
  };
}

test('over loopback only a name of this machine, with the right port, is answered', async t => {
  const { ask, port } = await serve(t);
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, `LOCALHOST:${port}`])
    t.is((await ask('GET', '/api/v1/health', { headers: { host } })).status, 200, host);
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    'localhost',
    'localhost:1',
    `127.0.0.1.evil.com:${port}`,
  ]) {
    const { status, json } = await ask('GET', '/api/v1/health', { headers: { host } });
    t.is(status, 403, host);
    t.is(problem.parse(json).type, 'urn:horae:problem:foreign-host');
  }
});

test('a further host name is answered where it is allowed', async t => {
  const { ask } = await serve(t, { allow_hosts: ['horae.example.com'] });
  t.is((await ask('GET', '/api/v1/health', { headers: { host: 'horae.example.com' } })).status, 200);
  t.is((await ask('GET', '/api/v1/health', { headers: { host: 'horae.example.com:443' } })).status, 200);
  t.is((await ask('GET', '/api/v1/health', { headers: { host: 'example.com' } })).status, 403);
});

test('a page of another origin can write nothing', async t => {
  const { ask, core, port } = await serve(t);
  const foreign = ['http://evil.example', 'null', `https://127.0.0.1:${port}`, `http://127.0.0.1:${port}.evil.example`];
  for (const origin of foreign) {
    const { status } = await ask('POST', '/api/v1/jobs', { json: hello, headers: { origin } });
    t.is(status, 403, origin);
    t.is((await ask('POST', `${hello_path}/runs`, { headers: { origin } })).status, 403);
    t.is((await ask('DELETE', hello_path, { headers: { origin } })).status, 403);
  }
  // A browser that leaves Origin out still says that the page is a stranger.
  t.is((await ask('POST', '/api/v1/jobs', { json: hello, headers: { 'sec-fetch-site': 'cross-site' } })).status, 403);
  t.deepEqual(core.asked, []);
  const own = { origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' };
  t.is((await ask('POST', '/api/v1/jobs', { json: hello, headers: own })).status, 201);
});

test('what a form can send without being asked is refused by its content type', async t => {
  const { ask, core } = await serve(t);
  const body = JSON.stringify(hello);
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json',
  ]) {
    const { status, json } = await ask('POST', '/api/v1/jobs', { body, headers: { 'content-type': type } });
    t.is(status, 415, type);
    t.regex(problem.parse(json).detail, /application\/json or application\/yaml/);
    t.is((await ask('POST', `${hello_path}/runs`, { body: '', headers: { 'content-type': type } })).status, 415, type);
  }
  t.is((await ask('POST', '/api/v1/jobs', { body })).status, 415);
  t.deepEqual(core.asked, []);
});

test('no other origin may read an answer unless it is allowed', async t => {
  const origin = 'https://ops.example.com';
  const closed = await serve(t);
  const shut = await closed.ask('GET', '/api/v1/jobs', { headers: { origin } });
  t.is(shut.headers['access-control-allow-origin'], undefined);
  t.is(
    (await closed.ask('OPTIONS', '/api/v1/jobs', { headers: { origin } })).headers['access-control-allow-methods'],
    undefined,
  );
  const { ask } = await serve(t, { allow_origins: [origin] });
  t.is((await ask('GET', '/api/v1/jobs', { headers: { origin } })).headers['access-control-allow-origin'], origin);
  t.is(
    (await ask('GET', '/api/v1/jobs', { headers: { origin: 'https://x.example' } })).headers[
      'access-control-allow-origin'
    ],
    undefined,
  );
  const preflight = await ask('OPTIONS', '/api/v1/jobs', { headers: { origin } });
  t.is(preflight.status, 204);
  t.regex(String(preflight.headers['access-control-allow-headers']), /Content-Type/);
  t.is((await ask('POST', '/api/v1/jobs', { json: hello, headers: { origin } })).status, 201);
});

test('a body that is too large is refused before it is read, and the next request is served', async t => {
  const { ask, core } = await serve(t, { limits: { ...limits_default, body_bytes_max: 2_000 } });
  const body = 'x'.repeat(5_000_000);
  const headers = { 'content-type': 'application/json' };
  t.is((await ask('POST', '/api/v1/jobs', { body, headers })).status, 413);
  const chunked = { ...headers, 'transfer-encoding': 'chunked' };
  t.is((await ask('POST', '/api/v1/jobs', { body, headers: chunked })).status, 413);
  t.is((await ask('POST', '/api/v1/jobs', { json: hello })).status, 201);
  t.is(core.asked.length, 1);
});

test('a client that asks before it sends is spared the sending', async t => {
  const { port } = await serve(t, { limits: { ...limits_default, body_bytes_max: 2_000 } });
  const { socket, heard } = raw(t, port);
  const head = `POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n`);
  await until('an answer', () => heard().includes('\r\n\r\n'));
  t.regex(heard(), /^HTTP\/1\.1 413 /);
});

test('a body of a hundred megabytes is refused, and whoever sent it is heard again', async t => {
  const { port } = await serve(t);
  const { socket, heard } = raw(t, port);
  const head = `POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
  const megabyte = `100000\r\n${'x'.repeat(1_048_576)}\r\n`;
  for (let n = 0; n < 100; n++)
    if (!socket.write(megabyte)) await until('room', () => socket.destroyed || !socket.writableNeedDrain);
  t.regex(heard(), /^HTTP\/1\.1 413 /);
  socket.write(`0\r\n\r\nGET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  await until('the next answer', () => heard().includes('"status":"ok"'));
});

test('of a body that is too large no byte beyond the limit is kept', async t => {
  const body = Object.assign(new PassThrough(), { headers: { 'content-type': 'application/json' } });
  const reading = readBody(body as unknown as IncomingMessage, ['application/json'], 1_000);
  const refused = t.throwsAsync(reading, { message: /more than 1000 bytes/ });
  body.write(Buffer.alloc(600));
  body.write(Buffer.alloc(600));
  await refused;
  t.is(body.listenerCount('data'), 0);
});

test('a client that takes too long to send its request is told so and let go', async t => {
  const { port } = await serve(t, { limits: { ...limits_default, request_timeout_ms: 200 } });
  const slow_head = raw(t, port);
  slow_head.socket.write(`GET /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`);
  const slow_body = raw(t, port);
  slow_body.socket.write(
    `POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"role"`,
  );
  for (const { heard, closed } of [slow_head, slow_body]) {
    await until('the end of the connection', closed);
    t.regex(heard(), /^HTTP\/1\.1 408 /);
  }
});

test('what is not HTTP is answered 400, and a head that never ends 431', async t => {
  const { port, ask } = await serve(t);
  const noise = raw(t, port);
  noise.socket.write('\u0016\u0003\u0001\u0000garbage\r\n\r\n');
  await until('the end of the connection', noise.closed);
  t.regex(noise.heard(), /^HTTP\/1\.1 400 /);
  const long = raw(t, port);
  long.socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
  await until('the end of the connection', long.closed);
  t.regex(long.heard(), /^HTTP\/1\.1 431 /);
  t.is((await ask('GET', '/api/v1/health')).status, 200);
});

test('malformed bodies are 400 with the place, and leave nothing behind', async t => {
  const { ask, core } = await serve(t);
  const post = (body: string, type = 'application/json') =>
    ask('POST', '/api/v1/jobs', { body, headers: { 'content-type': type } });
  const { status, json } = await post('{"role": "www",\n "name" "x"}');
  t.is(status, 400);
  t.is(problem.parse(json).problems[0]?.place, 'line 2, column 9');
  t.is((await post('')).status, 400);
  t.is((await post('[')).status, 400);
  t.is((await post('['.repeat(100_000))).status, 400);
  t.is((await post('a: [', 'application/yaml')).status, 400);
  t.is((await post('role: a\nrole: b\n', 'application/yaml')).status, 400);
  t.is((await post('null')).status, 422);
  t.is((await ask('POST', `${hello_path}/runs`, { json: { force: true } })).status, 400);
  t.is((await post(JSON.stringify(hello), 'application/json; charset=latin1')).status, 415);
  t.deepEqual(core.asked, []);
});

test('paths that lead nowhere are 404, and what cannot be done to a path is 405 with what can', async t => {
  const { ask } = await serve(t);
  for (const path of ['/nowhere', '/api/v1/jobs/', '/api/v1', '/../etc/passwd', '//evil.example/'])
    t.is((await ask('GET', path)).status, 404, path);
  const wrong = await ask('DELETE', '/api/v1/jobs');
  t.is(wrong.status, 405);
  t.is(wrong.headers.allow, 'GET, POST, HEAD');
  t.is((await ask('PATCH', hello_path)).status, 405);
  t.is((await ask('GET', '/api/v1/jobs?limit=1&limit=2')).status, 400);
  const head = await ask('HEAD', '/api/v1/health');
  t.is(head.status, 200);
  t.is(head.text, '');
});

test('a fault inside is 500 with a request id, is logged, and says nothing of what is inside', async t => {
  const { ask, logged } = await serve(t, {
    compile: () => {
      throw new Error('the secret of the house');
    },
  });
  const { status, text, headers } = await ask('POST', '/api/v1/jobs', { json: hello });
  t.is(status, 500);
  t.true(text.includes(String(headers['x-request-id'])));
  t.false(text.includes('secret'));
  t.true(JSON.stringify(logged).includes('the secret of the house'));
});

test('beyond loopback the server does not start without credentials, unless it is told to', async t => {
  const { core } = await serve(t);
  const options = {
    listen: { host: '0.0.0.0', port: 0 },
    submit: core.submit,
    views: core.views,
    history: core.history,
    sandboxes: { open: async () => undefined, list: async () => undefined },
    credentials: undefined,
    insecure: false,
    allow_origins: [],
    allow_hosts: [],
    limits: limits_default,
    clock: systemClock(),
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    metrics: createMetrics(),
    compile: () => good(undefined),
    ids: () => 'id',
  };
  await t.throwsAsync(startHttp(options), { message: /--credentials FILE.*--insecure/ });
  const open = await startHttp({ ...options, insecure: true });
  t.teardown(() => open.close());
  t.is((await askAt(open.port, 'GET', '/api/v1/health', { headers: { host: '192.0.2.7:9999' } })).status, 200);
  t.is((await askAt(open.port, 'GET', '/api/v1/health', { headers: { host: 'evil.example' } })).status, 403);
});

test('a port that is taken is told, not waited for', async t => {
  const { port } = await serve(t);
  const error = await t.throwsAsync(serve(t, { listen: { host: '127.0.0.1', port } }));
  t.is((error as NodeJS.ErrnoException).code, 'EADDRINUSE');
});

test('a server that closes lets go of everybody', async t => {
  const { port, server } = await serve(t);
  const idle = raw(t, port);
  idle.socket.write(`GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  await until('the answer', () => idle.heard().includes('"ok"'));
  await server.close();
  await until('the end of the connection', idle.closed);
  t.pass();
});

test('a WebSocket is opened to this page alone', async t => {
  const { port } = await serve(t);
  const shake = async (headers: string, path = '/api/v1/feed') => {
    const { socket, heard } = raw(t, port);
    const upgrade =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    socket.write(`GET ${path} HTTP/1.1\r\n${upgrade}\r\n${headers}\r\n\r\n`);
    await until('an answer', () => heard().includes('\r\n\r\n'));
    return heard().split(' ')[1];
  };
  const host = `Host: 127.0.0.1:${port}`;
  t.is(await shake(`${host}\r\nOrigin: http://127.0.0.1:${port}`), '101');
  t.is(await shake(`${host}\r\nOrigin: http://evil.example`), '403');
  t.is(await shake(`Host: evil.example\r\nOrigin: http://evil.example`), '403');
  t.is(await shake(`${host}\r\nOrigin: null`), '403');
  t.is(await shake(host, '/elsewhere'), '404');
});
