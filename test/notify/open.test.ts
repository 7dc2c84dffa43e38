// open.test.ts: the settings, and the files that they name, make the channels.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openChannels } from '../../programs/channels.ts';
import { Refused } from '../../programs/refused.ts';
import { systemClock } from '../../schedules/clock.ts';
import { readSettings } from '../../settings.ts';
import { authority, openssl } from '../mesos/support/certificates.ts';
import { httpSink } from '../support/http-sink.ts';
import { mailServer } from '../support/mail-server.ts';
import { testWith } from '../support/needs.ts';
import { type Owner, tempDir } from '../support/temp.ts';
import { letter, patient } from './letters.ts';

function channels(t: Owner, argv: readonly string[], env: Record<string, string> = {}) {
  const read = readSettings(argv, env);
  if (!read.ok) throw new Error(read.problems.map(({ message }) => message).join('\n'));
  const opened = openChannels({ settings: read.value, clock: systemClock(), version: '1' });
  t.teardown(opened.close);
  return opened;
}
const problems = (...argv: string[]) => {
  const read = readSettings(argv, {});
  return read.ok ? [] : read.problems.map(({ message }) => message);
};

test('without settings there is nothing to write to, though jobs may name webhooks', t => {
  const { get, standing } = channels(t, []);
  t.deepEqual(standing, []);
  t.is(get('mail'), undefined);
  t.is(get('sentry'), undefined);
  for (const name of ['slack', 'mattermost', 'webhook'] as const) t.truthy(get(name), name);
});

test('each setting opens its channel, and a letter arrives through it', async t => {
  const [sink, mail] = [await httpSink(t), await mailServer(t)];
  const { get, standing } = channels(t, [
    ...['--mail-server', `127.0.0.1:${mail.port}`, '--mail-from', 'horae@example.org'],
    ...['--slack-url', `${sink.url}/slack`, '--mattermost-url', `${sink.url}/mattermost`],
    ...['--raven-dsn', `http://key@127.0.0.1:${sink.port}/7`],
    ...['--http-notification-url', `${sink.url}/hook`, '--http-notification-credentials', 'user:pass'],
  ]);
  t.deepEqual(standing, ['slack', 'mattermost', 'sentry', 'webhook']);
  for (const name of standing) t.is((await get(name)!.deliver(letter(name, ''), patient())).type, 'delivered', name);
  t.deepEqual(
    sink.requests.map(({ path }) => path),
    ['/slack', '/mattermost', '/api/7/envelope/', '/hook'],
  );
  t.is(sink.requests[3]!.headers.authorization, `Basic ${btoa('user:pass')}`);
  t.is((await get('mail')!.deliver(letter('mail', 'ops@example.com'), patient())).type, 'delivered');
  t.is(mail.mails.length, 1);
});

test('secrets come from files or variables, and sign and log in', async t => {
  const directory = await tempDir(t);
  const account = { user: 'horae', password: 'pass word ' };
  const [sink, mail] = [await httpSink(t), await mailServer(t, { account })];
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const argv = [
    ...['--mail-server', `127.0.0.1:${mail.port}`, '--mail-from', 'horae@example.org', '--mail-user', 'horae'],
    ...['--http-notification-url', sink.url, '--notify-private-allowed'],
  ];
  const by_file = channels(t, [
    ...argv,
    ...['--mail-password-file', file('password', `${account.password}\n`)],
    ...['--http-notification-credentials-file', file('credentials', 'user:pass:word\n')],
    ...['--webhook-secret-file', file('secret', 'between us\n')],
  ]);
  const by_variable = channels(t, argv, {
    HORAE_MAIL_PASSWORD: account.password,
    HORAE_HTTP_NOTIFICATION_CREDENTIALS: 'user:pass:word',
    HORAE_WEBHOOK_SECRET: 'between us',
  });
  for (const { get } of [by_file, by_variable]) {
    t.is((await get('mail')!.deliver(letter('mail', 'ops@example.com'), patient())).type, 'delivered');
    await get('webhook')!.deliver(letter('webhook', ''), patient());
    await get('webhook')!.deliver(letter('webhook', `${sink.url}/own`), patient());
    const [chronos, own] = sink.requests.slice(-2);
    t.is(chronos!.headers.authorization, `Basic ${btoa('user:pass:word')}`);
    t.is(own!.headers.authorization, undefined);
    t.regex(String(own!.headers['horae-signature']), /^sha256=[0-9a-f]{64}$/);
  }
  t.deepEqual(
    mail.mails.map(({ user }) => user),
    ['horae', 'horae'],
  );
});

test('a file that is not as it should be is named, and what it holds is not', async t => {
  const directory = await tempDir(t);
  const path = join(directory, 'file');
  const server = [
    '--mail-server',
    'm:25',
    '--mail-from',
    'a@b',
    '--mail-user',
    'u',
    '--http-notification-url',
    'http://x/',
  ];
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['--mail-password-file', 'two\nlines\n', /^--mail-password-file is .*\/file: expected one line/],
    ['--webhook-secret-file', 'two', /^--webhook-secret-file: line 1 is too short for a secret/],
    [
      '--http-notification-credentials-file',
      'two words',
      /^--http-notification-credentials-file is .*expected USER:PASSWORD/,
    ],
    ['--notify-ca', 'two words', /^--notify-ca is .*it holds no certificate/],
  ];
  for (const [flag, text, message] of cases) {
    writeFileSync(path, text);
    const more = flag === '--mail-password-file' ? [] : ['--mail-password', 'p'];
    const error = t.throws(() => channels(t, [...server, ...more, flag, path]), { instanceOf: Refused }, flag);
    t.regex(error?.message ?? '', message);
    t.false(/two/.test(error?.message ?? ''));
  }
  const absent = ['--webhook-secret-file', join(directory, 'absent')];
  t.throws(() => channels(t, absent), { message: /there is no such file/ });
  t.throws(() => channels(t, ['--slack-url', 'http://:80x/s3cret']), {
    message: '--slack-url (its value is secret) is no address: expected an http or https address, without a user in it',
  });
});

test('what belongs together is asked for together, and no value is shown', t => {
  t.deepEqual(problems('--mail-server', 'm:25'), [
    '--mail-server is given without --mail-from: expected both, or neither',
  ]);
  t.deepEqual(problems('--mail-from', 'a@b'), [
    '--mail-from is given without --mail-server: expected both, or neither',
  ]);
  const mail = ['--mail-server', 'm:25', '--mail-from', 'a@b'];
  t.deepEqual(problems(...mail), []);
  t.deepEqual(problems(...mail, '--mail-user', 'u'), [
    '--mail-user is given without --mail-password-file: expected both, or neither',
  ]);
  t.deepEqual(problems(...mail, '--mail-password', 's3cret'), [
    '--mail-password is given without --mail-user: expected both, or neither',
  ]);
  t.deepEqual(problems(...mail, '--mail-user', 'u', '--mail-password', 's3cret', '--mail-password-file', 'f'), [
    '--mail-password-file is given beside --mail-password: expected one of them',
  ]);
  t.deepEqual(problems('--http-notification-credentials', 'u:s3cret'), [
    '--http-notification-credentials is given without --http-notification-url: expected both, or neither',
  ]);
  t.deepEqual(problems('--raven-dsn', 's3cret'), [
    '--raven-dsn will not do (its value is secret): expected a data source name such as https://KEY@sentry.example.com/42',
  ]);
  for (const server of ['mail', 'mail:', ':25', 'mail:smtp', 'a b:25', 'mail:123456'])
    t.is(problems('--mail-server', server, '--mail-from', 'a@b').length, 1, server);
  for (const from of ['horae', 'a@b@c', 'A <a@b>', 'a@b\nBcc: c@d'])
    t.is(problems('--mail-server', 'm:25', '--mail-from', from).length, 1, from);
});

testWith(openssl)('receivers and mail servers are believed by the certificates of a file too', async t => {
  const directory = await tempDir(t);
  const ca = authority(directory);
  const tls = ca.sign('localhost', 'DNS:localhost,IP:127.0.0.1');
  const [sink, mail] = [await httpSink(t, { tls }), await mailServer(t, { tls, ssl: true })];
  const argv = [
    ...[
      '--slack-url',
      sink.url,
      '--mail-server',
      `localhost:${mail.port}`,
      '--mail-ssl',
      '--mail-from',
      'horae@example.org',
    ],
  ];
  for (const [more, type] of [
    [[], 'failed'],
    [['--notify-ca', ca.cert_path], 'delivered'],
  ] as const) {
    const { get } = channels(t, [...argv, ...more]);
    t.is((await get('slack')!.deliver(letter('slack', ''), patient())).type, type);
    t.is((await get('mail')!.deliver(letter('mail', 'ops@example.com'), patient())).type, type);
  }
});
