// auth.test.ts: who we say we are to a master, whom we believe to be one, and what a refusal sounds like.

import { writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { adviceOn, adviceOnError } from '../../mesos/advice.ts';
import { type HttpLinkOptions, httpLink } from '../../mesos/http-link.ts';
import { startLocalMesos } from '../../mesos/local/index.ts';
import type { Subscribe } from '../../mesos/protocol.ts';
import { credentialsOf, trustOf } from '../../programs/masters.ts';
import { systemClock } from '../../schedules/clock.ts';
import { defaultSettings } from '../../settings.ts';
import { testWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { authority, openssl } from './support/certificates.ts';
import { listener } from './support/listener.ts';
import { answer, record, scriptedMaster, subscribed } from './support/scripted-master.ts';

const clock = systemClock();
const request: Subscribe = { type: 'SUBSCRIBE', subscribe: { framework_info: { user: 'root', name: 'horae' } } };
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {} };

function subscribe(t: ExecutionContext, options: Omit<HttpLinkOptions, 'clock'>) {
  const link = httpLink({ clock, ...options });
  t.teardown(() => link.close());
  const heard = listener();
  link.subscribe(request, heard);
  return { link, heard };
}

// --- who we are ---------------------------------------------------------------------------------------------------------

test('with the right secret a master takes us; with a wrong one, or none, it says 401 in its own words', async t => {
  const mesos = await startLocalMesos({
    work_dir: await tempDir(t),
    clock,
    log: silent,
    credentials: { type: 'basic', principal: 'horae', secret: 'säcret' },
    agents: { real: false },
  });
  t.teardown(() => mesos.close());
  const right = subscribe(t, {
    urls: [mesos.url],
    credentials: { type: 'basic', principal: 'horae', secret: 'säcret' },
  });
  await right.heard.count(1);
  t.deepEqual(await right.link.call({ type: 'SUPPRESS' }), { type: 'accepted' });
  for (const credentials of [undefined, { type: 'basic', principal: 'horae', secret: 'secret' } as const]) {
    const wrong = subscribe(t, { urls: [mesos.url], ...(credentials === undefined ? {} : { credentials }) });
    t.like(await wrong.heard.end(), { why: 'refused', status: 401, message: `${mesos.url}: 401 Unauthorized.` });
  }
  t.regex(adviceOn(401) ?? '', /--mesos-secret-file/);
});

test('a principal that is not the one that was authenticated is refused in the words of the master', async t => {
  // As it was recorded from a real master.
  const words =
    "Failed to validate scheduler::Call: Authenticated principal 'fw' does not match principal 'other' set in `FrameworkInfo`";
  const master = await scriptedMaster(t, {
    subscribe: ({ socket }) => void socket.end(answer('400 Bad Request', words)),
  });
  const { heard } = subscribe(t, { urls: [master.url] });
  t.like(await heard.end(), { why: 'refused', status: 400, message: `${master.url}: ${words}` });
});

test('a secret file holds one line, and the newline at its end is no part of the secret', async t => {
  const directory = await tempDir(t);
  const settings = { ...defaultSettings(), mesos_principal: 'horae', mesos_secret_file: join(directory, 'secret') };
  const said: string[] = [];
  const log = { info: (_: object, message: string) => void said.push(message), error: () => t.fail() };
  const read = () => credentialsOf(settings, log, () => 0)?.();
  for (const [text, secret] of [
    ['quiet', 'quiet'],
    ['quiet\n', 'quiet'],
    ['quiet\r\n', 'quiet'],
    [' spaces count \n', ' spaces count '],
  ] as const) {
    writeFileSync(settings.mesos_secret_file, text);
    t.deepEqual(read(), { type: 'basic', principal: 'horae', secret });
  }
  t.is(said.length, 3);
  for (const text of ['', '\n', 'two\nlines', 'two\nlines\n']) {
    writeFileSync(settings.mesos_secret_file, text);
    t.throws(read, { message: /^--mesos-secret-file is .*secret: expected one line/ }, JSON.stringify(text));
  }
  t.throws(() => credentialsOf({ ...settings, mesos_secret_file: join(directory, 'none') }, log, () => 0), {
    message: /^--mesos-secret-file is .*none: there is no such file/,
  });
  t.is(
    credentialsOf(defaultSettings(), log, () => 0),
    undefined,
  );
});

test('a token that changes in its file is used soon; one that cannot be read leaves the last one', async t => {
  const directory = await tempDir(t);
  const file = join(directory, 'token');
  const said: string[] = [];
  const tell = (level: string) => (_: object, message: string) => void said.push(`${level}: ${message}`);
  let now = 0;
  writeFileSync(file, 'first');
  const log = { info: tell('info'), error: tell('error') };
  const token = credentialsOf({ ...defaultSettings(), mesos_token_file: file }, log, () => now)!;
  const first = token();
  t.deepEqual(first, { type: 'bearer', token: 'first' });
  now = 60_000;
  t.is(token(), first, 'the same object while nothing has changed');
  writeFileSync(file, 'second\n');
  t.is(token(), first, 'not looked for again yet');
  now += 60_000;
  t.deepEqual(token(), { type: 'bearer', token: 'second' });
  writeFileSync(file, '');
  now += 60_000;
  t.deepEqual(token(), { type: 'bearer', token: 'second' });
  t.deepEqual(
    said.map(line => line.split(':')[0]),
    ['info', 'error'],
  );
});

// --- whom we believe ----------------------------------------------------------------------------------------------------

/** A master that speaks TLS, takes whoever shows this token, and hangs up on nobody. */
async function secureMaster(t: ExecutionContext, options: ServerOptions, token = 'token') {
  const asked: { readonly type: string; readonly authorization: string | undefined; readonly client: unknown }[] = [];
  const server: Server = createServer(options, (incoming, response) => {
    let text = '';
    incoming.setEncoding('utf8');
    incoming.on('data', piece => {
      text += piece;
    });
    incoming.on('end', () => {
      const { type } = JSON.parse(text) as { type: string };
      const { authorization } = incoming.headers;
      const client = (incoming.socket as import('node:tls').TLSSocket).getPeerCertificate().subject?.CN;
      asked.push({ type, authorization, client });
      if (authorization !== `Bearer ${token}`) return response.writeHead(403).end('the token does not allow this');
      if (type !== 'SUBSCRIBE') return response.writeHead(202).end();
      response.writeHead(200, { 'Content-Type': 'application/json', 'Mesos-Stream-Id': 'stream-1' });
      return response.write(record(JSON.stringify(subscribed)));
    });
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}
const bearer = { type: 'bearer', token: 'token' } as const;
const testTls = testWith(openssl);

testTls('over TLS we believe whom --mesos-ca vouches for, and show the token with every request', async t => {
  const ca = authority(await tempDir(t));
  const master = await secureMaster(t, ca.sign('master', 'IP:127.0.0.1'));
  const { link, heard } = subscribe(t, { urls: [master.url], tls: { ca: ca.cert }, credentials: bearer });
  await heard.count(1);
  t.deepEqual(await link.call({ type: 'REVIVE' }), { type: 'accepted' });
  t.deepEqual(
    master.asked.map(({ type, authorization }) => [type, authorization]),
    [
      ['SUBSCRIBE', 'Bearer token'],
      ['REVIVE', 'Bearer token'],
    ],
  );
  const other = subscribe(t, { urls: [master.url], tls: { ca: ca.cert }, credentials: { type: 'bearer', token: 'x' } });
  t.like(await other.heard.end(), {
    why: 'refused',
    status: 403,
    message: `${master.url}: the token does not allow this`,
  });
});

testTls('whom nobody vouches for hears nothing of us, and the reason says what to do', async t => {
  const directory = await tempDir(t);
  const ca = authority(directory);
  const stranger = authority(directory, 'stranger');
  const master = await secureMaster(t, ca.sign('master', 'IP:127.0.0.1'));
  for (const tls of [undefined, { ca: stranger.cert }]) {
    const { heard } = subscribe(t, { urls: [master.url], credentials: bearer, ...(tls === undefined ? {} : { tls }) });
    const { why, message } = await heard.end();
    t.is(why, 'unreachable');
    t.regex(adviceOnError(message) ?? message, /--mesos-ca/);
  }
  t.deepEqual(master.asked, []);
});

testTls('a certificate of another name is not believed', async t => {
  const ca = authority(await tempDir(t));
  const master = await secureMaster(t, ca.sign('master', 'DNS:elsewhere.example'));
  const { heard } = subscribe(t, { urls: [master.url], tls: { ca: ca.cert }, credentials: bearer });
  const { why, message } = await heard.end();
  t.is(why, 'unreachable');
  t.regex(adviceOnError(message) ?? message, /a name that its certificate holds/);
  t.deepEqual(master.asked, []);
});

testTls('a master that wants to know us is shown our certificate, on the stream and with the calls', async t => {
  const directory = await tempDir(t);
  const ca = authority(directory);
  const us = ca.sign('us');
  const server = ca.sign('master', 'IP:127.0.0.1');
  const master = await secureMaster(t, { ...server, ca: ca.cert, requestCert: true, rejectUnauthorized: true });
  const tls = trustOf({
    ...defaultSettings(),
    mesos_ca: ca.cert_path,
    mesos_cert: us.cert_path,
    mesos_key: us.key_path,
  });
  const { link, heard } = subscribe(t, { urls: [master.url], tls: tls!, credentials: bearer });
  await heard.count(1);
  t.deepEqual(await link.call({ type: 'REVIVE' }), { type: 'accepted' });
  t.deepEqual(
    master.asked.map(({ client }) => client),
    ['us', 'us'],
  );
  const unknown = subscribe(t, { urls: [master.url], tls: { ca: ca.cert }, credentials: bearer });
  t.not((await unknown.heard.end()).why, 'refused');
  t.is(master.asked.length, 2);
});

testTls(
  'a redirect from an encrypted master to a plain one is not followed: no secret leaves in the clear',
  async t => {
    const ca = authority(await tempDir(t));
    const plain = await scriptedMaster(t, { subscribe: () => undefined });
    const server = createServer(ca.sign('master', 'IP:127.0.0.1'), (_, response) => {
      response.writeHead(307, { Location: plain.url }).end();
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { heard } = subscribe(t, { urls: [url], tls: { ca: ca.cert }, credentials: bearer });
    t.like(await heard.end(), { why: 'refused', status: 307 });
    t.is(plain.subscribes.length, 0);
  },
);

testTls('files that are no certificates are refused before anybody is called', async t => {
  const directory = await tempDir(t);
  const ca = authority(directory);
  const garbage = join(directory, 'garbage');
  writeFileSync(garbage, 'nothing');
  const { cert_path, key_path } = ca.sign('us');
  const refused = (given: object, message: RegExp) =>
    t.throws(() => trustOf({ ...defaultSettings(), ...given }), { message });
  refused({ mesos_ca: garbage }, /^--mesos-ca is .*garbage: it holds no certificate/);
  refused({ mesos_ca: join(directory, 'none') }, /^--mesos-ca is .*none: there is no such file/);
  refused({ mesos_cert: garbage, mesos_key: key_path }, /^--mesos-cert is .*garbage: /);
  refused({ mesos_cert: cert_path, mesos_key: garbage }, /^--mesos-key is .*garbage: /);
  refused({ mesos_cert: cert_path, mesos_key: ca.key_path }, /^--mesos-key is .*--mesos-cert/);
  t.is(trustOf(defaultSettings()), undefined);
});
