// chronos-options.test.ts: each option that Chronos had has its answer, on the command line and in the documentation.
//
// test/data/chronos/options.txt is the list of what its help named (2.5 and 3.0 together), apart from --help itself.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { defaultSettings, notesOnChronos, readSettings, type Settings, settings } from '../settings.ts';
import { chronos_options, chronosTable } from '../transport/cli/chronos-options.ts';

const root = join(import.meta.dirname, '..');
const recorded = readFileSync(join(root, 'test/data/chronos/options.txt'), 'utf8').trim().split('\n');

const read = (...argv: string[]): Settings => {
  const result = readSettings(argv, {});
  if (!result.ok) throw new Error(result.problems.map(problem => problem.message).join('\n'));
  return result.value;
};
const messagesOf = (...argv: string[]) => {
  const result = readSettings(argv, {});
  return result.ok ? [] : result.problems.map(problem => problem.message);
};
/** What a line changes. */
const changes = (...argv: string[]) => {
  const before = new Map<string, unknown>(Object.entries(defaultSettings()));
  const same = (name: string, value: unknown) => JSON.stringify(before.get(name)) === JSON.stringify(value);
  return Object.fromEntries(Object.entries(read(...argv)).filter(([name, value]) => !same(name, value)));
};

test('every option that Chronos had is answered, once, and no other', t => {
  t.is(recorded.length, 63);
  t.deepEqual(chronos_options.map(({ name }) => name).toSorted(), recorded);
  const letters = chronos_options.flatMap(({ letter = [] }) => letter);
  t.is(new Set(letters).size, letters.length);
});

const zk = ['--cluster-key-file', 'key'];
const key = { cluster_key_file: 'key' };
/** For every option that works: lines of people, and what they mean here. */
const working: readonly (readonly [readonly string[], object])[] = [
  [['--master', 'zk://a:2181,b:2181/mesos'], { mesos: 'zk://a:2181,b:2181/mesos' }],
  [['--master=m1:5050'], { mesos: 'http://m1:5050' }],
  [['--master', 'local'], {}],
  [['--user', 'batch'], { framework_user: 'batch' }],
  [['-u', 'batch'], { framework_user: 'batch' }],
  [['--hostname', 'n1.example.com'], { allow_host: ['n1.example.com'] }],
  [['--zk_hosts', 'a:2181,b:2181', ...zk], { zk: 'a:2181,b:2181/chronos/state/horae', ...key }],
  [['-z', 'zk://a:2181/passed/over', '--zk_path', '/prod/', ...zk], { zk: 'a:2181/prod/horae', ...key }],
  [
    ['--zk_hosts', 'a:2181', '--hostname', 'n1', '--http_port', '4400', ...zk],
    {
      zk: 'a:2181/chronos/state/horae',
      allow_host: ['n1'],
      advertise: 'http://n1:4400',
      http: { host: '127.0.0.1', port: 4400 },
      ...key,
    },
  ],
  [['--zk_timeout', '5000'], { zk_session_timeout_ms: 5_000 }],
  [['--failover_timeout', '604800'], { failover_timeout_days: 7 }],
  [['-f', '3600'], { failover_timeout_days: 0.041666667 }],
  [['--failure_retry', '1000'], { failure_retry: 1_000 }],
  [['--disable_after_failures', '4'], { disable_after_failures: 4 }],
  [['--task_epsilon', '30'], { task_epsilon: 30 }],
  [['--job_history_limit', '9'], { job_history_limit: 9 }],
  [['-j', '9'], { job_history_limit: 9 }],
  [['--mesos_task_cpu', '0.5'], { mesos_task_cpu: 0.5 }],
  [['--mesos_task_mem', '256'], { mesos_task_mem: 256 }],
  [['--mesos_task_disk', '512'], { mesos_task_disk: 512 }],
  [['--mesos_checkpoint', 'false'], { checkpoint: false }],
  [['--mesos_checkpoint', '--task_epsilon', '30'], { task_epsilon: 30 }],
  [['--mesos_role', 'batch'], { mesos_roles: ['batch'] }],
  [['--mesos_framework_name', 'chronos'], { framework_name: 'chronos' }],
  [
    ['--mesos_authentication_principal', 'p', '--mesos_authentication_secret_file', '/s'],
    { mesos_principal: 'p', mesos_secret_file: '/s' },
  ],
  [['--reconciliation_interval', '600'], { reconcile_interval_ms: 600_000 }],
  [['--decline_offer_duration', '3000'], { refuse_seconds: 3 }],
  [['--min_revive_offers_interval', '5000'], { revive_interval_ms: 5_000 }],
  [['--webui_url', 'https://chronos.example.com'], { framework_webui_url: 'https://chronos.example.com' }],
  [['-c', 'cas1,cas2:9043'], { cassandra: ['cas1', 'cas2:9043'] }],
  [
    [
      ...['--cassandra_contact_points', 'cas1', '--cassandra_port', '9999', '--cassandra_user', 'u'],
      ...['--cassandra_password', 'p', '--cassandra_keyspace', 'k', '--cassandra_table', 't'],
      ...['--cassandra_stat_count_table', 's', '--cassandra_consistency', 'QUORUM', '--cassandra_ttl', '60'],
    ],
    {
      cassandra: ['cas1'],
      cassandra_port: 9_999,
      cassandra_user: 'u',
      cassandra_password: 'p',
      cassandra_keyspace: 'k',
      cassandra_table: 't',
      cassandra_stat_count_table: 's',
      cassandra_consistency: 'QUORUM',
      cassandra_ttl: 60,
    },
  ],
  [['--graphite_host_port', 'stats:2003'], { graphite: { host: 'stats', port: 2_003 } }],
  [
    ['-g', 'stats:2003', '--graphite_reporting_interval', '30', '--graphite_group_prefix', 'prod.chronos'],
    { graphite: { host: 'stats', port: 2_003 }, graphite_interval_ms: 30_000, graphite_prefix: 'prod.chronos' },
  ],
  [['--http_port', '4400'], { http: { host: '127.0.0.1', port: 4400 } }],
  [
    ['--http_address', '0.0.0.0', '--credentials', 'people.yaml'],
    { http: { host: '0.0.0.0', port: 8080 }, credentials: 'people.yaml' },
  ],
  [['--cluster_name', 'Wien 3'], { notification_prefix: 'Wien 3' }],
  [
    ['-m', 'mail:25', '--mail_from', 'chronos@example.com'],
    { mail_server: 'mail:25', mail_from: 'chronos@example.com' },
  ],
  [
    ['--mail_server', 'mail:465', '--mail_from', 'a@b', '--mail_user', 'u', '--mail_password', 'p', '--mail_ssl'],
    { mail_server: 'mail:465', mail_from: 'a@b', mail_user: 'u', mail_password: 'p', mail_ssl: true },
  ],
  [['-r', 'https://key:secret@sentry/7'], { raven_dsn: 'https://key:secret@sentry/7' }],
  [['--raven_dsn', 'https://key@sentry/a/7'], { raven_dsn: 'https://key@sentry/a/7' }],
  [['--slack_url', 'https://hooks.slack.com/x'], { slack_url: 'https://hooks.slack.com/x' }],
  [['--mattermost_url', 'http://chat/hooks/x'], { mattermost_url: 'http://chat/hooks/x' }],
  [
    ['--http_notification_url', 'http://alerts/?a=b', '--http_notification_credentials', 'user:pass'],
    { http_notification_url: 'http://alerts/?a=b', http_notification_credentials: 'user:pass' },
  ],
  [['--http_address', '::1', '--http_port', '0'], { http: { host: '::1', port: 0 } }],
];

test('an option that works sets what it has become, in the units that it had', t => {
  for (const [argv, expected] of working) t.deepEqual(changes(...argv), expected, argv.join(' '));
  const tried = new Set(working.flatMap(([argv]) => argv.map(word => /^--(\w+)/.exec(word)?.[1])));
  for (const { name, fate } of chronos_options) t.is(tried.has(name), fate === 'works', name);
});

test('a flag of Horae goes before an option of Chronos, and that before a variable', t => {
  t.is(read('--task-epsilon', '1', '--task_epsilon', '2').task_epsilon, 1);
  const both = readSettings(['--task_epsilon', '2'], { HORAE_TASK_EPSILON: '3' });
  t.is(both.ok && both.value.task_epsilon, 2);
});

test('an option that nothing depends on is passed over with a warning that says why', t => {
  for (const option of chronos_options) {
    if (option.fate !== 'idle') continue;
    const line = option.switch ? [`--${option.name}`] : [`--${option.name}`, '5'];
    t.deepEqual(changes(...line), {}, option.name);
    const [note, ...more] = notesOnChronos(line, {});
    t.is(note?.message, `--${option.name} of Chronos is passed over: ${option.says.replaceAll('`', '')}`);
    t.deepEqual(more, []);
  }
  t.deepEqual(notesOnChronos(['--task_epsilon', '5', '--http', 'a:1'], {}), []);
  t.regex(notesOnChronos([], { MESOSPHERE_KEYSTORE_PATH: '/k' })[0]!.message, /^MESOSPHERE_KEYSTORE_PATH .* PEM/);
});

test('an option that somebody relied on and that is not followed is refused, with what to do instead', t => {
  for (const option of chronos_options) {
    if (option.fate !== 'dropped') continue;
    const [message, ...more] = messagesOf(...(option.switch ? [`--${option.name}`] : [`--${option.name}`, 'x:y']));
    t.deepEqual(more, [], option.name);
    t.true(message!.startsWith(`--${option.name} of Chronos is not followed`), message);
    t.false(message!.includes('x:y'), 'it may be a secret');
  }
});

test('what an answer points to is there', t => {
  const flags = Object.keys(settings).map(name => `--${name.replaceAll('_', '-')}`);
  for (const { name, says } of chronos_options)
    for (const [flag] of says.matchAll(/--[a-z][a-z-]+/g)) t.true(flags.includes(flag), `${name}: ${flag}`);
});

test('a value that is wrong is said under the name that was typed', t => {
  t.deepEqual(messagesOf('--failure_retry', 'soon'), [
    '--failure_retry is "soon": expected a whole number of ms from 0 to 86400000',
  ]);
  t.deepEqual(messagesOf('--reconciliation_interval', '0'), [
    '--reconciliation_interval (here --reconcile-interval-ms) is "0": expected a whole number of ms from 1000 to 86400000',
  ]);
  t.deepEqual(messagesOf('--zk_hosts', 'a'), [
    '--zk_hosts is "a": expected servers such as zk1:2181,zk2:2181 or zk://zk1:2181,zk2:2181/chronos',
  ]);
  t.is(messagesOf('--zk_path', '/x').length, 1, 'a path of no servers');
  t.deepEqual(messagesOf('--http_port', 'http'), ['--http_port is "http": expected a port from 0 to 65535']);
  t.deepEqual(messagesOf('--http_port', '--insecure'), ['--http_port has no value: expected a port from 0 to 65535']);
  t.regex(messagesOf('--http_address', '0.0.0.0')[0]!, /beyond loopback without credentials/);
  t.regex(messagesOf('--zk_hosts', 'a:1')[0]!, /--zk is given without --cluster-key-file/);
});

test('an option that nobody had is refused with the one that was probably meant, of Chronos or of Horae', t => {
  t.deepEqual(messagesOf('--zk_host', 'a:1'), ['unknown flag "--zk_host": did you mean --zk_hosts?']);
  t.deepEqual(messagesOf('--mesos_task_cpus=1'), ['unknown flag "--mesos_task_cpus": did you mean --mesos_task_cpu?']);
  t.deepEqual(messagesOf('--offer_hold_ms', '1'), ['unknown flag "--offer_hold_ms": did you mean --offer-hold-ms?']);
  t.deepEqual(messagesOf('--xy_zzy', '1'), [
    'unknown flag "--xy_zzy": it was none of Chronos, and --help lists those of Horae',
  ]);
});

test('the documentation has the table as it is', t => {
  const page = readFileSync(join(root, 'docs/coming-from-chronos.md'), 'utf8');
  const [, table] = /<!-- from transport[^\n]*-->\n(.*)\n<!-- end -->/s.exec(page) ?? [];
  t.is(table, chronosTable());
});
