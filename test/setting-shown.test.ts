// setting-shown.test.ts: what is secret in the settings is shown to nobody.

import test from 'ava';
import { readSettings, settings, shownSettings, withoutTypedSecrets } from '../settings.ts';
import { withoutSecrets } from '../transport/cli/setting-shown.ts';
import { flagOf } from '../transport/cli/settings-reader.ts';

/** In two halves, so that this file is not what is found. */
const planted = ['Tr0ub4', 'dor_3'].join('');

/** A value with the secret in it for each setting that is one. A new one needs its line here. */
const secret_values: Readonly<Record<string, string>> = {
  secrets_command: `/usr/bin/vault read --token=${planted}`,
  mail_password: planted,
  raven_dsn: `https://key:${planted}@sentry.example.com/42`,
  slack_url: `https://hooks.slack.com/services/T0/B0/${planted}`,
  mattermost_url: `https://chat.example.com/hooks/${planted}`,
  http_notification_url: `https://alerts.example.com/?key=${planted}`,
  http_notification_credentials: `horae:${planted}`,
  webhook_secret: planted,
  cassandra_password: planted,
};
/** Likewise for addresses, which may carry a password or a key. */
const address_values: Readonly<Record<string, string>> = {
  mesos: `zk://horae:${planted}@zk1:2181/mesos`,
  executor_archive: `https://files:${planted}@files.example.com/horae.tar.gz`,
  framework_webui_url: `https://horae.example.com/?key=${planted}`,
};
/** What a setting is refused without. */
const beside: Readonly<Record<string, readonly string[]>> = {
  cassandra_password: ['--cassandra-user', 'horae'],
  mail_password: ['--mail-user', 'u', '--mail-server', 'mail:25', '--mail-from', 'a@b'],
  http_notification_credentials: ['--http-notification-url', 'https://alerts.example.com/'],
};
const names = Object.keys(settings);
const secrets = names.filter(name => (settings as Record<string, { secret?: boolean }>)[name]!.secret === true);

const shownWith = (name: string, value: string) => {
  const read = readSettings([`${flagOf(name)}=${value}`, ...(beside[name] ?? [])], {});
  return read.ok ? shownSettings(read.value) : undefined;
};

test('a secret setting is told as set or not, and never as what it is', t => {
  for (const name of secrets) {
    const value = secret_values[name];
    if (value === undefined) t.fail(`${name} is secret: give it a value here`);
    else {
      const shown = shownWith(name, value);
      t.truthy(shown, name);
      t.is(shown!.settings[flagOf(name).slice(2)], '(set, not shown)');
      t.false(JSON.stringify(shown!.settings).includes(planted), name);
      t.is(withoutSecrets(`before ${planted} after`, shown!.secrets), 'before *** after', name);
    }
  }
  t.is(shownWith('log_level', 'info')!.settings['secrets-command'], null);
});

test('an address is shown without what is before its host and in its query', t => {
  for (const [name, value] of Object.entries(address_values)) {
    const shown = shownWith(name, value);
    t.truthy(shown, name);
    t.false(JSON.stringify(shown!.settings).includes(planted), name);
    t.is(withoutSecrets(`got ${planted}`, shown!.secrets), 'got ***');
  }
  t.is(shownWith('mesos', address_values.mesos!)!.settings.mesos, 'zk://***@zk1:2181/mesos');
  const plain = 'https://horae.example.com/console';
  t.is(shownWith('framework_webui_url', plain)!.settings['framework-webui-url'], plain);
});

test('what is found in other forms is taken out too: encoded in an address, escaped in JSON', t => {
  const word = 'p"ss word\\1';
  const shown = shownWith('secrets_command', `/bin/x ${word}`)!;
  t.is(withoutSecrets(JSON.stringify({ a: `/bin/x ${word}` }), shown.secrets), '{"a":"***"}');
  const encoded = shownWith('mesos', 'zk://u:p%40ssw0rd@zk1:2181/mesos')!;
  t.is(withoutSecrets('p@ssw0rd', encoded.secrets), '***');
});

test('a setting that sounds like a secret is a file, or is one', t => {
  const sounds = /pass|secret|token|credential|dsn|slack|mattermost|webhook|_key$/;
  for (const [name, setting] of Object.entries(settings)) {
    if (!sounds.test(name) || typeof setting.default === 'number' || typeof setting.default === 'boolean') continue;
    t.true(setting.value === 'FILE' || setting.value === 'DIR' || setting.secret === true, name);
  }
});

test('a secret that was typed is found on the line, as a word of its own or behind its flag, and nothing else is touched', t => {
  const line = [
    'serve',
    '--mail-password',
    planted,
    `--slack_url=https://x/${planted}`,
    '--mail-user',
    'dev',
    '--log-level',
    'info',
  ];
  const more = ['--mail-server', 'm:25', '--mail-from', 'a@b'];
  const read = readSettings([...line.slice(1), ...more], { HORAE_WEBHOOK_SECRET: 'serve and serve' });
  if (!read.ok) return t.fail(JSON.stringify(read.problems));
  const { words, flags } = withoutTypedSecrets(line, read.value);
  t.deepEqual(words, [
    'serve',
    '--mail-password',
    '***',
    '--slack_url=***',
    '--mail-user',
    'dev',
    '--log-level',
    'info',
  ]);
  t.deepEqual(flags, ['--mail-password', '--slack_url']);
});

test('a secret that is refused is not shown either', t => {
  for (const [name, wrong] of [
    ['raven_dsn', `https://${planted}`],
    ['slack_url', `hooks/${planted}`],
    ['http_notification_credentials', planted],
    ['webhook_secret', planted.slice(0, 5)],
  ] as const)
    for (const argv of [[`${flagOf(name)}=${wrong}`], [`--${name}`, wrong]]) {
      const read = readSettings(argv, {});
      t.false(read.ok, name);
      t.false(JSON.stringify(read).includes(planted.slice(0, 5)), JSON.stringify(read));
    }
});
