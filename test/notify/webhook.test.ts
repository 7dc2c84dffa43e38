// webhook.test.ts: letters as JSON to real HTTP servers that are well, or are not.

import { createHmac } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { createPost, type PostOptions } from '../../transport/notify/post.ts';
import { createWebhook, readWebhookSecrets, signatureOf, type WebhookOptions } from '../../transport/notify/webhook.ts';
import { authority, openssl } from '../mesos/support/certificates.ts';
import { httpSink } from '../support/http-sink.ts';
import { testWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { letter, notice, patient } from './letters.ts';

const now = Date.UTC(2026, 10, 22, 13, 0, 0);
const post = (more: Partial<PostOptions> = {}) =>
  createPost({
    version: '1.2.3',
    timeout_ms: 30_000,
    answer_bytes_max: 4_096,
    private_allowed: true,
    now: () => now,
    ...more,
  });
const webhook = (more: Partial<WebhookOptions> & { readonly post_options?: Partial<PostOptions> } = {}) =>
  createWebhook({ post: post(more.post_options), now: () => now, ...more });

const one_secret = new Map([['', 'between us']]);

test('a letter arrives as JSON, with its id, and a signature over time and body that a receiver can compute', async t => {
  const sink = await httpSink(t);
  const channel = webhook({ secrets: one_secret });
  const sent = letter('webhook', `${sink.url}/hooks/horae?team=a`, { more: 3 });
  t.deepEqual(await channel.deliver(sent, patient()), { type: 'delivered' });
  const [request] = sink.requests;
  t.is(request!.method, 'POST');
  t.is(request!.path, '/hooks/horae?team=a');
  t.is(request!.headers['content-type'], 'application/json');
  t.is(request!.headers['user-agent'], 'horae/1.2.3');
  t.is(request!.headers['horae-delivery'], 'letter-1');
  const { id, to, subject, text, notices, more } = sent;
  t.deepEqual(JSON.parse(request!.body), { id, to, subject, text, notices: JSON.parse(JSON.stringify(notices)), more });
  // As docs/notifications.md tells receivers.
  const timestamp = request!.headers['horae-timestamp'];
  t.is(timestamp, String(now / 1_000));
  const signature = createHmac('sha256', 'between us').update(`${timestamp}.${request!.body}`).digest('hex');
  t.is(request!.headers['horae-signature'], `sha256=${signature}`);
});

test('the lines of docs/notifications.md tell letters of ours from forged and old ones', async t => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/notifications.md'), 'utf8');
  const [, lines = ''] = /```js\n(.*?)```/s.exec(page) ?? [];
  const file = join(await tempDir(t), 'receiver.mjs');
  writeFileSync(file, lines);
  const { isFromHorae } = (await import(file)) as {
    isFromHorae: (headers: object, body: string, secret: string, address: string, now_ms: number) => boolean;
  };
  const sink = await httpSink(t);
  const here = `${sink.url}/hook`;
  await webhook({ secrets: one_secret }).deliver(letter('webhook', here), patient());
  const { headers, body } = sink.requests[0]!;
  const isFrom = (changed: object, text = body, secret = 'between us', address = here, at = now) =>
    isFromHorae({ ...headers, ...changed }, text, secret, address, at);
  t.true(isFrom({}, body, 'between us', here, now + 5_000));
  t.false(isFrom({}, body, 'another'));
  t.false(isFrom({}, `${body} `));
  t.false(isFrom({}, body, 'between us', `${sink.url}/other`), 'it was meant for somebody else');
  t.false(isFrom({}, body, 'between us', here, now + 600_000), 'somebody sends it again');
  t.false(isFrom({ 'horae-timestamp': String(now / 1_000 + 1) }));
  t.false(isFrom({ 'horae-signature': undefined }));
});

test('receivers may have secrets of their own, by what their addresses begin with', async t => {
  const sink = await httpSink(t);
  const read = readWebhookSecrets(`${sink.url} for this one\n\n${sink.url}/b/ for the second\r\nfor all the others\n`);
  if (!read.ok) return t.fail(read.problems[0]?.message);
  const signedWith = async (to: string, secrets = read.value) => {
    const other = { ...letter('webhook', to), to };
    await webhook({ secrets }).deliver(other, patient());
    const { body, headers } = sink.requests.at(-1)!;
    const made = (secret: string) => signatureOf(body, secret, String(headers['horae-timestamp']));
    return [...secrets.values()].filter(secret => made(secret) === headers['horae-signature']);
  };
  t.deepEqual(await signedWith(`${sink.url}/`), ['for this one']);
  t.deepEqual(await signedWith(sink.url), ['for this one']);
  t.deepEqual(await signedWith(`${sink.url}/a/b/`), ['for this one']);
  t.deepEqual(await signedWith(`${sink.url}/b/hook`), ['for the second']);
  t.deepEqual(await signedWith(`${sink.url}/bb`), ['for this one']);
  t.deepEqual(await signedWith(`http://localhost:${sink.port}/b/`), ['for all the others']);
  t.deepEqual(await signedWith(`http://localhost:${sink.port}/`, new Map([[`${sink.url}/`, 'for this one']])), []);
  for (const [text, message] of [
    ['', /no secret in it/],
    ['short', /line 1 is too short/],
    ['https:// s3cretsecret', /line 1 begins with what is no address/],
    ['https://u:s3cretsecret@x/ s3cretsecret', /line 1 begins with what is no address/],
    ['https://x/ short', /line 1 is too short/],
    ['https://example.com/', /line 1 has an address and no secret/],
    ['s3cretsecret\nsecond secret', /line 2 is a second one/],
  ] as const) {
    const wrong = readWebhookSecrets(text);
    t.regex(wrong.ok ? '' : wrong.problems[0]!.message, message, text);
    t.false(JSON.stringify(wrong).includes('s3cret'), text);
  }
});

test('the same letter has the same body and id however often it is sent, and without a secret nothing is signed', async t => {
  const sink = await httpSink(t);
  let sent_count = 0;
  const channel = webhook({ now: () => now + sent_count++ * 60_000 });
  const sent = letter('webhook', sink.url);
  await channel.deliver(sent, patient());
  await channel.deliver(sent, patient());
  const [one, two] = sink.requests;
  t.is(one!.body, two!.body);
  t.is(one!.headers['horae-delivery'], two!.headers['horae-delivery']);
  t.not(one!.headers['horae-timestamp'], two!.headers['horae-timestamp']);
  t.is(one!.headers['horae-signature'], undefined);
});

test("Chronos's address gets Chronos's form: strings alone, and a password where there is one", async t => {
  const sink = await httpSink(t);
  const chronos = { url: `${sink.url}/chronos`, credentials: 'user:pass:word' };
  const facts = { cpus: '0.1', mem: '128.0', errorCount: '3', retries: '2', uris: 'a,b', softError: 'false' };
  const sent = letter('webhook', '', { notices: [{ ...notice, name: 'report', facts }] });
  t.is((await webhook({ chronos, secrets: one_secret }).deliver(sent, patient())).type, 'delivered');
  const { headers, body, path } = sink.requests[0]!;
  t.is(path, '/chronos');
  t.is(headers.authorization, `Basic ${Buffer.from('user:pass:word').toString('base64')}`);
  t.is(headers['horae-delivery'], 'letter-1');
  const fields = JSON.parse(body) as Record<string, unknown>;
  t.true(Object.values(fields).every(value => typeof value === 'string'));
  t.like(fields, { ...facts, subject: sent.subject, message: sent.text, to: 'ops@example.com', job: 'report' });
  t.is(fields.command, './report --month 11');
  const names = 'async command cpus epsilon errorCount errorsSinceLastSuccess executor executorFlags job lastError';
  t.deepEqual(
    Object.keys(fields).toSorted(),
    `${names} lastSuccess mem message retries softError subject successCount to uris`.split(' '),
  );
  await webhook({ chronos: { url: sink.url } }).deliver(sent, patient());
  t.is(sink.requests[1]!.headers.authorization, undefined);
  t.is((await webhook().deliver(sent, patient())).type, 'refused', 'nobody says where to');
});

test('an id that is no text for a header is written so that it is one', async t => {
  const sink = await httpSink(t);
  for (const id of ['a/b c', 'größe\r\nX-Evil: 1', '\ud800'])
    t.is((await webhook().deliver(letter('webhook', sink.url, { id }), patient())).type, 'delivered', id);
  t.deepEqual(
    sink.requests.map(({ headers }) => headers['horae-delivery']),
    ['a/b c', 'gr%C3%B6%C3%9Fe%0D%0AX-Evil:%201', '%EF%BF%BD'],
  );
  t.true(sink.requests.every(({ headers }) => headers['x-evil'] === undefined));
});

test('what is no address is refused', async t => {
  for (const to of [
    'x',
    'ftp://example.com/',
    'file:///etc/passwd',
    'http://',
    'https://user:secret@example.com/',
    'javascript:1',
  ]) {
    const delivery = await webhook().deliver(letter('webhook', to), patient());
    t.is(delivery.type, 'refused', to);
    t.false(JSON.stringify(delivery).includes('secret'));
  }
});

test('each answer means what it says: taken, for later with the wait that was asked for, or for good', async t => {
  const sink = await httpSink(t);
  const cases: readonly (readonly [number, Record<string, string>, object])[] = [
    [200, {}, { type: 'delivered' }],
    [201, {}, { type: 'delivered' }],
    [204, {}, { type: 'delivered' }],
    [500, {}, { type: 'failed' }],
    [502, {}, { type: 'failed' }],
    [503, { 'Retry-After': '120' }, { type: 'failed', retry_after_ms: 120_000 }],
    [429, { 'Retry-After': '7' }, { type: 'failed', retry_after_ms: 7_000 }],
    [429, { 'Retry-After': new Date(now + 90_000).toUTCString() }, { type: 'failed', retry_after_ms: 90_000 }],
    [429, { 'Retry-After': new Date(now - 90_000).toUTCString() }, { type: 'failed', retry_after_ms: 0 }],
    [429, { 'Retry-After': 'soon' }, { type: 'failed' }],
    [429, {}, { type: 'failed' }],
    [408, {}, { type: 'failed' }],
    [400, {}, { type: 'refused' }],
    [401, {}, { type: 'refused' }],
    [404, { 'Retry-After': '7' }, { type: 'refused' }],
    [410, {}, { type: 'refused' }],
  ];
  for (const [status, headers, expected] of cases) {
    sink.answer = () => ({ status, headers, body: status === 204 ? '' : 'because\r\nof the moon' });
    const delivery = await webhook().deliver(letter('webhook', sink.url), patient());
    const { message, ...rest } = { message: '', ...delivery };
    t.deepEqual<object, object>(rest, expected, `${status} ${JSON.stringify(headers)}`);
    if (delivery.type !== 'delivered') t.is(message, `the server answered ${status} because of the moon`);
  }
});

test('a redirect is not followed, wherever it leads', async t => {
  const [sink, other] = [await httpSink(t), await httpSink(t)];
  for (const status of [301, 302, 303, 307, 308]) {
    sink.answer = () => ({ status, headers: { Location: `${other.url}/secret-path` } });
    const delivery = await webhook().deliver(letter('webhook', sink.url), patient());
    t.is(delivery.type, 'refused');
    t.regex(delivery.type === 'refused' ? delivery.message : '', /redirects are not followed/);
  }
  t.is(other.requests.length, 0);
});

test('whoever hangs, drips, or never ends is given up at the deadline, or taken at the word that was said', async t => {
  const sink = await httpSink(t);
  const within = (timeout_ms: number) =>
    webhook({ post_options: { timeout_ms, answer_bytes_max: 1_000 } }).deliver(letter('webhook', sink.url), patient());
  const outcome = () => within(300);
  sink.answer = () => 'hang';
  t.deepEqual(await outcome(), { type: 'failed', message: 'no answer within 300 ms' });
  sink.answer = () => response => {
    const dripping = setInterval(() => response.socket?.write('H'), 20);
    response.on('close', () => clearInterval(dripping));
  };
  t.is((await outcome()).type, 'failed');
  sink.answer = () => 'die';
  t.is((await outcome()).type, 'failed');
  // An answer without an end: its status is the answer, and only a little of it is kept.
  const endless = (status: number) => () => (response: import('node:http').ServerResponse) => {
    response.writeHead(status);
    const pour = () => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
      if (!response.destroyed) response.once('drain', pour);
    };
    pour();
  };
  sink.answer = endless(200);
  t.deepEqual(await within(30_000), { type: 'delivered' });
  sink.answer = endless(500);
  const big = await within(30_000);
  t.true(big.type === 'failed' && big.message.length <= 500, JSON.stringify(big));
  // A refusal whose words never end is a refusal all the same.
  sink.answer = () => response => void response.writeHead(404).write('gone');
  t.deepEqual(await within(3_000), { type: 'refused', message: 'the server answered 404 gone' });
});

test('whoever sends may give up, and nothing of it is left behind', async t => {
  const sink = await httpSink(t);
  sink.answer = () => 'hang';
  const sender = new AbortController();
  const delivery = webhook().deliver(letter('webhook', sink.url), sender.signal);
  await until('the request', () => sink.requests.length > 0);
  sender.abort();
  t.deepEqual(await delivery, { type: 'failed', message: 'given up by whoever sent it' });
  sink.answer = () => ({ status: 200 });
  const long_lived = new AbortController();
  for (let count = 0; count < 20; count++) await webhook().deliver(letter('webhook', sink.url), long_lived.signal);
  t.true(getEventListeners(long_lived.signal, 'abort').length <= 1);
});

test('a server that is down is for later, and hears of the letter when it is back', async t => {
  const sink = await httpSink(t);
  await sink.kill();
  const delivery = await webhook().deliver(letter('webhook', sink.url), patient());
  t.is(delivery.type, 'failed');
  t.regex(delivery.type === 'failed' ? delivery.message : '', /ECONNREFUSED/);
  await sink.start();
  t.is((await webhook().deliver(letter('webhook', sink.url), patient())).type, 'delivered');
});

test('a job may not send to the inside, by address or by name, unless allowed; the operator may', async t => {
  const sink = await httpSink(t);
  const guarded = { post_options: { private_allowed: false } };
  for (const to of [
    sink.url,
    `http://localhost:${sink.port}/`,
    `http://0x7f.1:${sink.port}/`,
    `http://[::ffff:7f00:1]:${sink.port}/`,
  ]) {
    const delivery = await webhook(guarded).deliver(letter('webhook', to), patient());
    t.is(delivery.type, 'refused', to);
    t.regex(
      delivery.type === 'refused' ? delivery.message : '',
      /not on the public internet.*--notify-private-allowed/,
    );
  }
  t.is(sink.requests.length, 0);
  const chronos = { url: `http://localhost:${sink.port}/` };
  t.is((await webhook({ ...guarded, chronos }).deliver(letter('webhook', ''), patient())).type, 'delivered');
  t.is((await webhook().deliver(letter('webhook', `http://localhost:${sink.port}/`), patient())).type, 'delivered');
});

testWith(openssl)('over HTTPS the certificate is checked, against our own authority too', async t => {
  const ca = authority(await tempDir(t));
  const sink = await httpSink(t, { tls: ca.sign('localhost', 'DNS:localhost,IP:127.0.0.1') });
  const stranger = await webhook().deliver(letter('webhook', sink.url), patient());
  t.is(stranger.type, 'failed');
  t.regex(stranger.type === 'failed' ? stranger.message : '', /certificate/);
  const known = webhook({ post_options: { ca: [ca.cert] } });
  t.is((await known.deliver(letter('webhook', sink.url), patient())).type, 'delivered');
});
