// mail.test.ts: letters through a real SMTP server that is well, or is not.

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { createInterface } from 'node:readline';
import test from 'ava';
import { isMailbox } from '../../actors/model/notify.ts';
import { createMail, type MailOptions } from '../../transport/notify/mail.ts';
import { authority, openssl } from '../mesos/support/certificates.ts';
import { type MailServer, mailServer } from '../support/mail-server.ts';
import { testWith } from '../support/needs.ts';
import { type Owner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { letter, notice, patient } from './letters.ts';

const testTls = testWith(openssl);
/** An address of this machine that is not the loopback's: as far away as a test can go. */
const elsewhere = Object.values(networkInterfaces())
  .flatMap(found => found ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

function mailTo(t: Owner, server: { readonly port: number }, more: Partial<MailOptions> = {}) {
  const channel = createMail({
    host: '127.0.0.1',
    port: server.port,
    from: 'horae@example.org',
    ssl: false,
    insecure: false,
    timeout_ms: 30_000,
    connections_max: 2,
    ...more,
  });
  t.teardown(channel.close);
  return channel;
}
const only = (server: MailServer) => {
  if (server.mails.length !== 1) throw new Error(`${server.mails.length} mails: expected one`);
  return server.mails[0]!;
};

test('a letter arrives as a mail with its subject, its text and what it is about', async t => {
  const server = await mailServer(t);
  const text = 'Die Übersicht ist gescheitert: größer als erlaubt.\n\n  .\n.\nLine three';
  const sent = letter('mail', 'ops@example.com', { subject: "[München] job 'report' failed", text });
  t.deepEqual(await mailTo(t, server).deliver(sent, patient()), { type: 'delivered' });
  const mail = only(server);
  t.deepEqual([mail.from, mail.to], ['horae@example.org', ['ops@example.com']]);
  t.is(mail.subject, sent.subject);
  t.is(mail.text, text);
  t.is(mail.headers.get('from'), 'horae@example.org');
  t.is(mail.headers.get('to'), 'ops@example.com');
  t.is(mail.headers.get('auto-submitted'), 'auto-generated');
  t.is(mail.headers.get('horae-delivery'), 'letter-1');
  t.is(mail.id, 'letter-1@example.org');
});

test('lines as long as a command can be, and signs that end a mail, arrive as they were', async t => {
  const server = await mailServer(t);
  const channel = mailTo(t, server);
  const texts = [
    `${'x'.repeat(5_000)} end`,
    `${'ü'.repeat(3_000)}\n.\n.`,
    '.\n..\nFrom me\n.',
    'tab\there = sign =20',
    '\ud800 alone',
  ];
  for (const [n, text] of texts.entries()) {
    t.is(
      (await channel.deliver(letter('mail', 'ops@example.com', { id: `l${n}`, text }), patient())).type,
      'delivered',
    );
    t.is(server.mails[n]?.text, text.toWellFormed());
    t.true(server.mails[n]?.raw.split('\r\n').every(line => line.length <= 998));
  }
});

test('the same letter is the same mail, byte for byte, however often it is sent', async t => {
  const server = await mailServer(t);
  const [first, second] = [mailTo(t, server), mailTo(t, server)];
  const sent = letter('mail', 'ops@example.com', { id: `ops@example.com/${'ü'.repeat(80)}` });
  await first.deliver(sent, patient());
  await second.deliver(sent, patient());
  const [one, two] = server.mails;
  t.is(one!.raw, two!.raw);
  t.regex(one!.id, /^[0-9a-f]{40}@example\.org$/, 'an id that would not do as an address is made into one');
  t.is(one!.headers.get('date'), new Date(notice.at).toUTCString().replace('GMT', '+0000'));
  await first.deliver({ ...sent, id: 'another' }, patient());
  t.not(server.mails[2]!.id, one!.id);
});

test('a name with line ends in it begins no header of its own', async t => {
  const server = await mailServer(t);
  const evil = "job 'x\r\nBcc: everyone@example.com\r\n\r\nbody\u2028' failed";
  await mailTo(t, server).deliver(letter('mail', 'ops@example.com', { id: 'a\r\nBcc: b@c', subject: evil }), patient());
  const mail = only(server);
  t.is(mail.subject, "job 'x Bcc: everyone@example.com body ' failed");
  t.false(mail.headers.has('bcc'));
  t.deepEqual(mail.to, ['ops@example.com']);
  t.is(mail.text, 'It failed.\nThe last lines:\ndisk is full');
});

test('what is no address of a mailbox is refused, and the server hears nothing of it', async t => {
  const server = await mailServer(t);
  const channel = mailTo(t, server);
  const wrong = [
    '',
    'ops',
    'a@b\r\nRCPT TO:<c@d>',
    'a@b, c@d',
    'a b@c',
    '<a@b>',
    '"a"@b',
    'A <a@b>',
    'a@b@c',
    `${'x'.repeat(250)}@b.c`,
  ];
  for (const to of wrong) {
    t.false(isMailbox(to), to);
    const { type } = await channel.deliver(letter('mail', to), patient());
    t.is(type, 'refused', to);
  }
  t.is(server.connections(), 0);
  for (const to of ['a@b', 'first.last+tag@mail.example.co.uk', 'jürgen@example.com', "o'neil@x.y"])
    t.true(isMailbox(to), to);
});

test('a reply that begins with 4 is for later, and one that begins with 5 is for good, in the words of the server', async t => {
  const server = await mailServer(t);
  const cases = [
    ['to', '451 4.7.1 Greylisted, come back', 'failed'],
    ['to', '550 5.1.1 No such user here', 'refused'],
    ['from', '550 5.7.1 Not for you', 'refused'],
    ['from', '530 5.7.0 Authentication required', 'failed'],
    ['data', '452 4.3.1 Disk full', 'failed'],
    ['data', '554 5.7.1 Spam', 'refused'],
    ['connect', '421 4.3.2 Too busy', 'failed'],
    ['connect', '554 5.7.1 Your address is on a list', 'failed'],
  ] as const;
  for (const [stage, reply, type] of cases) {
    server.misbehave = at => (at === stage ? { reply } : undefined);
    const channel = mailTo(t, server);
    const delivery = await channel.deliver(letter('mail', 'ops@example.com'), patient());
    t.is(delivery.type, type, reply);
    t.true(delivery.type !== 'delivered' && delivery.message.includes(reply.slice(10)), JSON.stringify(delivery));
    server.misbehave = undefined;
    t.is((await channel.deliver(letter('mail', 'ops@example.com'), patient())).type, 'delivered', 'and it goes on');
  }
  t.is(server.mails.length, cases.length);
});

test('a server that says nothing is given up at the deadline, wherever it falls silent, and others are not held up', async t => {
  const server = await mailServer(t);
  const channel = mailTo(t, server, { timeout_ms: 300 });
  for (const stage of ['connect', 'from', 'to', 'data'] as const) {
    server.misbehave = (at, about) => (at === stage && !about.includes('other') ? 'hang' : undefined);
    const delivery = await channel.deliver(letter('mail', 'ops@example.com'), patient());
    t.is(delivery.type, 'failed', stage);
    t.regex(delivery.type === 'failed' ? delivery.message : '', /within 300 ms|Timeout|timeout|Greeting/, stage);
  }
  server.misbehave = undefined;
  t.is((await mailTo(t, server).deliver(letter('mail', 'ops@example.com'), patient())).type, 'delivered');
});

test('a server that drips a letter at a time is given up at the deadline too', async t => {
  const server = createServer(socket => {
    const dripping = setInterval(() => socket.write('2'), 20);
    socket.on('error', () => undefined).on('close', () => clearInterval(dripping));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const channel = mailTo(t, { port: (server.address() as AddressInfo).port }, { timeout_ms: 300 });
  t.is((await channel.deliver(letter('mail', 'ops@example.com'), patient())).type, 'failed');
});

test('whoever sends may give up, and the connection ends', async t => {
  const server = await mailServer(t);
  server.misbehave = () => 'hang';
  const sender = new AbortController();
  const delivery = mailTo(t, server).deliver(letter('mail', 'ops@example.com'), sender.signal);
  await until('a connection', () => server.connections() > 0);
  sender.abort();
  t.deepEqual(await delivery, { type: 'failed', message: 'given up by whoever sent it' });
  const late = await mailTo(t, server).deliver(letter('mail', 'ops@example.com'), AbortSignal.abort());
  t.is(late.type, 'failed');
});

test('a server that dies when it has the mail, and comes back, has it twice under one id, and the next one once', async t => {
  const server = await mailServer(t);
  const channel = mailTo(t, server);
  t.is((await channel.deliver(letter('mail', 'ops@example.com', { id: 'zero' }), patient())).type, 'delivered');
  server.misbehave = stage => (stage === 'data' ? 'die' : undefined);
  const cut = await channel.deliver(letter('mail', 'ops@example.com'), patient());
  t.is(cut.type, 'failed');
  t.regex(cut.type === 'failed' ? cut.message : '', /connection|ECONNRESET/i);
  await server.kill();
  t.is((await channel.deliver(letter('mail', 'ops@example.com'), patient())).type, 'failed');
  server.misbehave = undefined;
  await server.start();
  t.is((await channel.deliver(letter('mail', 'ops@example.com'), patient())).type, 'delivered');
  t.is((await channel.deliver(letter('mail', 'ops@example.com', { id: 'next' }), patient())).type, 'delivered');
  t.deepEqual(
    server.mails.map(({ id }) => id.replace('@example.org', '')),
    ['zero', 'letter-1', 'letter-1', 'next'],
  );
});

test('no more connections than allowed, and a burst goes through them', async t => {
  const server = await mailServer(t);
  const channel = mailTo(t, server, { connections_max: 2 });
  const sent = Array.from({ length: 30 }, (_, index) => letter('mail', 'ops@example.com', { id: `l${index}` }));
  const deliveries = await Promise.all(sent.map(each => channel.deliver(each, patient())));
  t.true(deliveries.every(({ type }) => type === 'delivered'));
  t.is(new Set(server.mails.map(({ id }) => id)).size, 30);
  t.true(server.connections() <= 2, `${server.connections()}`);
});

const account = { user: 'horae', password: 's3cret' };
const deliverOnce = (t: Owner, server: MailServer, more: Partial<MailOptions>) =>
  mailTo(t, server, more).deliver(letter('mail', 'ops@example.com'), patient());

testTls('a mail goes through TLS from the first byte, and through STARTTLS, past a login', async t => {
  const ca = authority(await tempDir(t));
  const tls = ca.sign('localhost', 'DNS:localhost,IP:127.0.0.1');
  for (const ssl of [false, true]) {
    const server = await mailServer(t, { tls, ssl, account });
    const known = { credentials: account, ssl, ca: [ca.cert] };
    t.deepEqual(await deliverOnce(t, server, known), { type: 'delivered' });
    const mail = only(server);
    t.deepEqual([mail.tls, mail.user], [true, 'horae']);
  }
  const strange = await mailServer(t, { tls, ssl: true });
  const unknown = await deliverOnce(t, strange, { ssl: true });
  t.is(unknown.type, 'failed', 'nobody vouches for that certificate');
  t.regex(unknown.type === 'failed' ? unknown.message : '', /certificate/);
  t.is((await deliverOnce(t, strange, { ssl: true, insecure: true })).type, 'delivered');
});

testWith(openssl && elsewhere)('a password goes to another machine over checked TLS alone, unless allowed', async t => {
  const ca = authority(await tempDir(t));
  const tls = ca.sign('mail', `IP:${elsewhere}`);
  const there = { host: '0.0.0.0', account };
  const options = { host: elsewhere ?? '', credentials: account };
  const plain = await mailServer(t, there);
  t.is((await deliverOnce(t, plain, options)).type, 'failed');
  t.deepEqual(plain.passwords, [], 'it was not told');
  t.is((await deliverOnce(t, plain, { ...options, insecure: true })).type, 'delivered');
  t.deepEqual(plain.passwords, ['s3cret']);

  const safe = await mailServer(t, { ...there, tls });
  t.is((await deliverOnce(t, safe, options)).type, 'failed', 'nobody vouches for it');
  t.deepEqual(safe.passwords, []);
  t.is((await deliverOnce(t, safe, { ...options, ca: [ca.cert] })).type, 'delivered');
  t.true(only(safe).tls);
  // Without a password there is nothing to lose by TLS with whoever answers.
  const open = await mailServer(t, { host: '0.0.0.0', tls });
  t.is((await deliverOnce(t, open, { host: elsewhere ?? '' })).type, 'delivered');
  t.true(only(open).tls);
});

/** A server that offers STARTTLS, will not have it, and takes whatever it is told. */
async function withoutCertificate(
  t: Owner,
  host: string,
): Promise<{ readonly port: number; readonly heard: string[] }> {
  const heard: string[] = [];
  const server = createServer(socket => {
    let data = false;
    socket.on('error', () => undefined).write('220 ready\r\n');
    createInterface({ input: socket }).on('line', line => {
      heard.push(line);
      if (data) {
        data = line !== '.';
        if (!data) socket.write('250 taken\r\n');
      } else if (line.startsWith('EHLO')) socket.write('250-here\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n');
      else if (line === 'STARTTLS') socket.write('454 TLS currently unavailable\r\n');
      else if (line === 'DATA') {
        data = true;
        socket.write('354 go on\r\n');
      } else socket.write(line.startsWith('AUTH') ? '235 welcome\r\n' : '250 fine\r\n');
    });
  }).listen(0, host);
  await once(server, 'listening');
  t.teardown(() => void server.close());
  return { port: (server.address() as AddressInfo).port, heard };
}

test('a server that offers TLS and has none is sent mails in the clear, but never a password for another machine', async t => {
  const server = await withoutCertificate(t, '0.0.0.0');
  const deliver = (more: Partial<MailOptions>) =>
    mailTo(t, server, more).deliver(letter('mail', 'ops@example.com'), patient());
  t.is((await deliver({})).type, 'delivered');
  if (elsewhere === undefined) return;
  server.heard.length = 0;
  t.is((await deliver({ host: elsewhere, credentials: account })).type, 'failed');
  t.false(
    server.heard.some(line => line.startsWith('AUTH') || line.startsWith('MAIL')),
    server.heard.join('\n'),
  );
  t.is((await deliver({ host: elsewhere })).type, 'delivered');
});

test('a wrong password is for later, since it is mended elsewhere', async t => {
  const server = await mailServer(t, { account });
  const delivery = await mailTo(t, server, { credentials: { user: 'horae', password: 'other' } }).deliver(
    letter('mail', 'ops@example.com'),
    patient(),
  );
  t.is(delivery.type, 'failed');
  t.regex(delivery.type === 'failed' ? delivery.message : '', /535/);
  t.false(JSON.stringify(delivery).includes('other'));
});
