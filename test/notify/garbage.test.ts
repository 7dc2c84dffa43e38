// garbage.test.ts: whatever a receiver says, a letter has an outcome in time, and nothing of it is left behind.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import test from 'ava';
import type { Delivery } from '../../actors/model/notices.ts';
import { createMail } from '../../transport/notify/mail.ts';
import { createPost } from '../../transport/notify/post.ts';
import { createWebhook } from '../../transport/notify/webhook.ts';
import type { Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { letter, patient } from './letters.ts';

/** What never ends is given up after this; whatever has an end has all the time that a busy machine may take. */
const timeout_ms = 500;
const patience_ms = 30_000;

/** Does this to whoever connects. `said`: on every piece that comes; `greeting`: before. */
async function talker(t: Owner, { greeting, said }: { greeting?: (s: Socket) => void; said?: (s: Socket) => void }) {
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.on('data', () => said?.(socket));
    greeting?.(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}
/** As much as the other side takes, for as long as it is there. */
const pour =
  (text: string, first = '') =>
  (socket: Socket) => {
    socket.write(first);
    const more = () => {
      while (!socket.destroyed && socket.write(text));
      if (!socket.destroyed) socket.once('drain', more);
    };
    more();
  };
const says =
  (text: string | Buffer, end = false) =>
  (socket: Socket) => {
    if (socket.writable) end ? socket.end(text) : socket.write(text);
  };

const http_answers: Readonly<Record<string, readonly [(socket: Socket) => void, Delivery['type']]>> = {
  'nothing, and the end': [socket => void socket.end(), 'failed'],
  'a reset': [socket => void socket.resetAndDestroy(), 'failed'],
  'no HTTP': [says('hello\r\n\r\n', true), 'failed'],
  'another protocol': [says('220 smtp.example.com ESMTP\r\n'), 'failed'],
  'bytes of chance': [says(Buffer.from(Array.from({ length: 999 }, (_, n) => (n * 167 + 13) % 256))), 'failed'],
  'half a status line': [says('HTTP/1.1 2'), 'failed'],
  'a status that is none': [says('HTTP/1.1 abc Fine\r\n\r\n', true), 'failed'],
  'headers without end': [pour('X-More: and more\r\n', 'HTTP/1.1 200 OK\r\n'), 'failed'],
  'one header without end': [pour('x'.repeat(65_536), 'HTTP/1.1 200 OK\r\nX: '), 'failed'],
  'a first word without end': [pour('HTTP/1.1 100 Continue\r\n\r\n'), 'failed'],
  'another protocol from here on': [
    says('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    'failed',
  ],
  'two lengths': [says('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'), 'failed'],
  'yes, and less than it promised': [says('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi', true), 'delivered'],
  'no, and less than it promised': [says('HTTP/1.1 400 No\r\nContent-Length: 99\r\n\r\nhi', true), 'refused'],
  'later, in chunks that are none': [
    says('HTTP/1.1 503 Later\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', true),
    'failed',
  ],
  'yes, before it was asked': [says('HTTP/1.1 200 OK\r\n\r\n', true), 'delivered'],
};

test('whatever comes in the place of an answer, there is an outcome in time and a reason on one line', async t => {
  for (const [what, [said, expected]] of Object.entries(http_answers)) {
    const { port, sockets } = await talker(t, { said });
    const limit_ms = expected === 'failed' ? timeout_ms : patience_ms;
    const post = createPost({
      version: '1',
      timeout_ms: limit_ms,
      answer_bytes_max: 1_000,
      private_allowed: true,
      now: () => 0,
    });
    const channel = createWebhook({ post, now: () => 0 });
    const delivery = await channel.deliver(letter('webhook', `http://127.0.0.1:${port}/`), patient());
    t.is(delivery.type, expected, `${what}: ${JSON.stringify(delivery)}`);
    if (delivery.type !== 'delivered') t.regex(delivery.message, /^\P{Cc}{1,500}$/u, what);
    await until(`${what}: the end of the connection`, () => sockets.size === 0);
  }
});

const smtp_words: Readonly<Record<string, Parameters<typeof talker>[1]>> = {
  'nothing, and the end': { greeting: socket => void socket.end() },
  'a reset': { greeting: socket => void socket.resetAndDestroy() },
  'another protocol': { greeting: says('HTTP/1.1 400 Bad Request\r\n\r\n', true) },
  'bytes of chance': { greeting: says(Buffer.from(Array.from({ length: 999 }, (_, n) => (n * 167 + 13) % 256))) },
  'a greeting without end': { greeting: pour('220-and more\r\n') },
  'a line without end': { greeting: pour('2'.repeat(65_536)) },
  'no to everything': { greeting: says('220 hi\r\n'), said: says('500 what?\r\n') },
  'go on, where a yes belongs': { greeting: says('220 hi\r\n'), said: says('354 go on\r\n') },
  'a number that is none': { greeting: says('220 hi\r\n'), said: says('999 hm\r\n') },
  'answers without end': { greeting: says('220 hi\r\n'), said: pour('250-and more\r\n') },
};

test('whatever a mail server says, there is an outcome in time and a reason on one line', async t => {
  for (const [what, words] of Object.entries(smtp_words)) {
    const { port, sockets } = await talker(t, words);
    const options = { ssl: false, insecure: false, timeout_ms, connections_max: 1, from: 'horae@example.org' };
    const channel = createMail({ host: '127.0.0.1', port, ...options });
    const delivery = await channel.deliver(letter('mail', 'ops@example.com'), patient());
    t.not(delivery.type, 'delivered', what);
    if (delivery.type !== 'delivered') t.regex(delivery.message, /^(?!.*retries)\P{Cc}{1,500}$/u, what);
    await channel.close();
    await until(`${what}: the end of the connection`, () => sockets.size === 0);
  }
});
