// chronos-options.ts: the options of Chronos on the command line of Horae, each with its answer.
//
// Whoever ran Chronos has a line of options in some unit file. Written after `horae serve` each of them does what it did
// there (it is read as the setting it has become), or is passed over with a warning because nothing depends on it here,
// or is refused with what to do instead: none is taken and quietly not followed. Flags of Horae go before them.
// The table is also what docs/coming-from-chronos.md shows. Pure.

import { nearest } from '../../schedules/nearest.ts';
import type { Problem } from '../../schedules/problem.ts';

/** Options as they were given, without their dashes. */
type Values = ReadonlyMap<string, string>;
/** Settings and the texts to read them from; undefined where the text is none that the option could have. */
type Reading = (text: string, all: Values) => Readonly<Record<string, string>> | undefined;

export type ChronosOption = {
  readonly name: string;
  /** The short form, `-z`. */
  readonly letter?: string;
  readonly switch?: true;
  /** What came of it, as a sentence for people: the settings it has become, why it is not needed, what to do instead. */
  readonly says: string;
} & (
  | { readonly fate: 'works'; readonly read: Reading; readonly expected: string }
  /** Passed over, with a warning. */
  | { readonly fate: 'idle' }
  /** Refused: somebody relied on it, and it is not here in this form. */
  | { readonly fate: 'dropped' }
);

/** Where Chronos kept its state when nobody said otherwise. */
const zk_path_default = '/chronos/state';

/** Every option that Chronos had, in the order of its help. */
// biome-ignore format: one option, one line where it fits, so that the table can be read down.
export const chronos_options: readonly ChronosOption[] = [
  works('master', {
    says: '`--mesos`; a bare `HOST:PORT` is taken for `http://HOST:PORT`, and `local` is what `horae dev` brings',
    expected: 'zk://HOST:2181/PATH, http://HOST:5050 or HOST:5050',
    read: (text): Readonly<Record<string, string>> =>
      text === 'local' ? {} : { mesos: /^[^\s/,]+:\d+$/.test(text) ? `http://${text}` : text },
  }),
  works('user', { letter: 'u', says: '`--framework-user`; the default is who started Horae, not root', read: as('framework_user') }),
  works('hostname', {
    says: '`--allow-host`, and with `zk_hosts` also `--advertise http://HOSTNAME:PORT`',
    expected: 'the name or address of this host',
    read: (host, all) =>
      /^[\w.:-]+$/.test(host)
        ? { allow_host: host, ...(all.has('zk_hosts') ? { advertise: `http://${host}:${portOf(all)}` } : {}) }
        : undefined,
  }),
  works('zk_hosts', {
    letter: 'z',
    says: '`--zk HOSTS/PATH/horae` (wants `--cluster-key-file`); without it there is one node, with its journal in `--data-dir`',
    expected: 'servers such as zk1:2181,zk2:2181 or zk://zk1:2181,zk2:2181/chronos',
    read: (text, all) => {
      const hosts = /^(?:zk:\/\/)?([^\s/]+)(?:\/\S*)?$/.exec(text)?.[1];
      if (hosts === undefined || !hosts.split(',').every(each => /^\S+:\d{1,5}$/.test(each))) return undefined;
      const path = (all.get('zk_path') ?? zk_path_default).replace(/\/+$/, '');
      return { zk: `${hosts}${path}/horae` };
    },
  }),
  works('zk_path', {
    says: `the path of \`--zk\`, default \`${zk_path_default}\`; Horae keeps to \`horae\` below it, and leaves alone what Chronos had there`,
    expected: 'a path such as /chronos/state, and --zk_hosts beside it',
    // Read together with the hosts.
    read: (text, all) => (/^\/\S*$/.test(text) && all.has('zk_hosts') ? {} : undefined),
  }),
  works('zk_timeout', { says: '`--zk-session-timeout-ms`', read: as('zk_session_timeout_ms') }),
  dropped('zk_auth', 'a password on a command line is read by everybody on the machine: write USER:PASSWORD into a file, and give `--zk-auth-file FILE`'),
  works('failover_timeout', { letter: 'f', says: 'seconds; `--failover-timeout-days`, default 21 days instead of 7', read: scaled('failover_timeout_days', 1 / 86_400) }),
  works('cluster_name', { says: '`--notification-prefix`; `--cluster-name` of Horae is something else', read: as('notification_prefix') }),
  idle('leader_max_idle_time', 'nothing in Chronos read it either', { letter: 'l' }),
  works('failure_retry', { says: '`--failure-retry`', read: as('failure_retry') }),
  works('disable_after_failures', { letter: 'd', says: '`--disable-after-failures`', read: as('disable_after_failures') }),
  works('task_epsilon', { letter: 't', says: '`--task-epsilon`, followed under `--chronos-generation 2`', read: as('task_epsilon') }),
  idle('schedule_horizon', 'every due time waits in a heap of its own: nothing is scheduled ahead', { letter: 's' }),
  works('mesos_task_cpu', { says: '`--mesos-task-cpu`', read: as('mesos_task_cpu') }),
  works('mesos_task_mem', { says: '`--mesos-task-mem`', read: as('mesos_task_mem') }),
  works('mesos_task_disk', { says: '`--mesos-task-disk`', read: as('mesos_task_disk') }),
  works('mesos_checkpoint', { switch: true, says: '`--checkpoint`', read: as('checkpoint') }),
  works('mesos_role', { says: '`--mesos-roles`', read: as('mesos_roles') }),
  works('mesos_framework_name', { says: '`--framework-name`, default `horae`', read: as('framework_name') }),
  works('mesos_authentication_principal', { says: '`--mesos-principal`', read: as('mesos_principal') }),
  works('mesos_authentication_secret_file', { says: '`--mesos-secret-file`, by HTTP Basic: masters that know CRAM-MD5 alone will not have it', read: as('mesos_secret_file') }),
  works('reconciliation_interval', { says: 'seconds; `--reconcile-interval-ms`, default 900 s instead of 600 s, and at once when a leader begins', read: scaled('reconcile_interval_ms', 1_000) }),
  idle('revive_offers_for_new_jobs', 'offers are always asked for when somebody begins to wait', { switch: true }),
  works('decline_offer_duration', { says: 'milliseconds; `--refuse-seconds`', read: scaled('refuse_seconds', 1 / 1_000) }),
  works('min_revive_offers_interval', { says: '`--revive-interval-ms`, default 1000', read: as('revive_interval_ms') }),
  works('webui_url', { says: '`--framework-webui-url`', read: as('framework_webui_url') }),
  works('mail_server', { letter: 'm', says: '`--mail-server`, with `--mail-from`; STARTTLS is used where it is offered', read: as('mail_server') }),
  works('mail_user', { says: '`--mail-user`', read: as('mail_user') }),
  works('mail_password', { says: '`--mail-password`; better in a file, `--mail-password-file`. It goes to another machine over TLS alone, unless `--mail-insecure`', read: as('mail_password') }),
  works('mail_from', { says: '`--mail-from`', read: as('mail_from') }),
  works('mail_ssl', { switch: true, says: '`--mail-ssl`; the certificate is checked', read: as('mail_ssl') }),
  works('raven_dsn', { letter: 'r', says: '`--raven-dsn`; Sentry 20.6 or newer', read: as('raven_dsn') }),
  works('slack_url', { says: '`--slack-url`; one message, not one for each owner', read: as('slack_url') }),
  works('mattermost_url', { says: '`--mattermost-url`; one message, not one for each owner', read: as('mattermost_url') }),
  // Its letter was -h, which asks for help here.
  works('http_notification_url', { says: '`--http-notification-url`, with the same fields; one message, not one for each owner', read: as('http_notification_url') }),
  works('http_notification_credentials', { says: '`--http-notification-credentials`; better in a file, `--http-notification-credentials-file`', read: as('http_notification_credentials') }),
  works('cassandra_contact_points', { letter: 'c', says: '`--cassandra`; history and statistics need no server here (`--history-days`), this is for those who read the tables', read: as('cassandra') }),
  ...['port', 'user', 'password', 'keyspace', 'table', 'stat_count_table', 'consistency', 'ttl'].map(name =>
    works(`cassandra_${name}`, { says: `\`--cassandra-${name.replaceAll('_', '-')}\`${name === 'ttl' ? '; it was passed over by some versions' : ''}`, read: as(`cassandra_${name}`) }),
  ),
  works('job_history_limit', { letter: 'j', says: '`--job-history-limit`; how much is kept is said by `--history-per-job` and `--history-days`', read: as('job_history_limit') }),
  works('graphite_host_port', { letter: 'g', says: '`--graphite`; the figures of jobs have the paths that they had, those of `/metrics` come beside them', read: as('graphite') }),
  works('graphite_reporting_interval', { says: 'seconds; `--graphite-interval-ms`', read: scaled('graphite_interval_ms', 1_000) }),
  works('graphite_group_prefix', { says: '`--graphite-prefix`', read: as('graphite_prefix') }),
  works('http_address', {
    says: 'the host of `--http`, default 127.0.0.1; beyond loopback Horae wants `--credentials` (or `--insecure`)',
    expected: 'an address such as 0.0.0.0',
    read: listening,
  }),
  works('http_port', { says: 'the port of `--http`, default 8080', expected: 'a port from 0 to 65535', read: listening }),
  dropped('https_address', one_listener()),
  dropped('https_port', one_listener()),
  dropped('disable_http', one_listener(), { switch: true }),
  idle('http_compression', 'answers are not compressed: a proxy in front does that', { switch: true }),
  idle('disable_http_compression', 'answers are not compressed: a proxy in front does that', { switch: true }),
  dropped('http_credentials', 'a password on a command line is read by everybody on the machine: `horae hash-password` makes what stands for it in a file, which `--credentials FILE` names'),
  idle('http_realm', 'the realm is Horae'),
  dropped('ssl_keystore_path', keystore()),
  dropped('ssl_keystore_password', keystore()),
  idle('log_config', 'the log is lines of JSON on standard error, as detailed as `--log-level` says'),
  idle('assets_path', 'the console is part of the program'),
];

/** Variables that Chronos read, and that hold nothing here. */
const chronos_variables: Readonly<Record<string, string>> = {
  MESOSPHERE_HTTP_CREDENTIALS: 'http_credentials',
  MESOSPHERE_KEYSTORE_PATH: 'ssl_keystore_path',
  MESOSPHERE_KEYSTORE_PASS: 'ssl_keystore_password',
};

/** Texts for settings, each with the place where it was found. */
export type FromChronos = {
  readonly given: ReadonlyMap<string, { readonly place: string; readonly text: string }>;
  /** What remains of the line: Horae's own. */
  readonly rest: readonly string[];
  readonly problems: readonly Problem[];
  /** What was passed over, and why. */
  readonly notes: readonly Problem[];
};

/** Takes the options of Chronos out of a line. `known` are Horae's flags, for what is neither. */
export function fromChronos(argv: readonly string[], known: readonly string[]): FromChronos {
  const { found, rest, problems } = optionsIn(argv, known);
  const given = new Map<string, { place: string; text: string }>();
  const notes: Problem[] = [];
  const all: Values = new Map([...found].flatMap(([{ name }, { text }]) => (text === undefined ? [] : [[name, text]])));
  for (const [option, { place, text }] of found) {
    if (option.fate !== 'works') {
      // Without its value, which may be a secret.
      (option.fate === 'idle' ? notes : problems).push({ place, ...saidOf(option, place) });
      continue;
    }
    const { expected } = option;
    const read = text === undefined ? undefined : option.read(text, all);
    if (read === undefined) {
      const fault = text === undefined ? 'has no value' : `is ${JSON.stringify(text)}`;
      problems.push({ place, value: text, message: `${place} ${fault}: expected ${expected}`, expected });
      continue;
    }
    for (const [setting, said] of Object.entries(read)) {
      const here = setting === option.name ? '' : ` (here --${setting.replaceAll('_', '-')})`;
      given.set(setting, { place: `${place}${here}`, text: said });
    }
  }
  return { given, rest, problems, notes };
}

/** Variables of Chronos that are set, for a warning: nothing of what they say is followed. */
export function notesOnVariables(env: Readonly<Record<string, string | undefined>>): readonly Problem[] {
  return Object.entries(chronos_variables).flatMap(([variable, name]) => {
    const option = chronos_options.find(each => each.name === name)!;
    return (env[variable] ?? '') === '' ? [] : [{ place: variable, ...saidOf(option, variable) }];
  });
}

/** The rows of the table that people read. */
export function chronosTable(): string {
  const rows = chronos_options.map(({ name, letter, fate, says }) => {
    const short = letter === undefined ? '' : `, \`-${letter}\``;
    return `| \`--${name}\`${short} | ${fates[fate]} | ${says} |`;
  });
  return ['| option | | |', '|---|---|---|', ...rows].join('\n');
}
const fates = { works: 'works', idle: 'passed over', dropped: 'refused' };

// --- the rows ------------------------------------------------------------------------------------------------------

type More = { readonly letter?: string; readonly switch?: true };

function works(
  name: string,
  row: More & { readonly says: string; readonly read: Reading; readonly expected?: string },
): ChronosOption {
  return { name, fate: 'works', expected: row.switch ? 'true or false' : 'a value', ...row };
}
function idle(name: string, says: string, more: More = {}): ChronosOption {
  return { name, fate: 'idle', says, ...more };
}
function dropped(name: string, says: string, more: More = {}): ChronosOption {
  return { name, fate: 'dropped', says, ...more };
}

/** The text goes to the setting as it stands, and is judged there. */
function as(setting: string): Reading {
  return text => ({ [setting]: text });
}

/** The same number in another unit. What is no number stays as it is, to be refused by the setting. */
function scaled(setting: string, factor: number): Reading {
  return text => ({
    [setting]: /^\d+(\.\d+)?$/.test(text) ? String(Number((Number(text) * factor).toFixed(9))) : text,
  });
}

function listening(_text: string, all: Values): Readonly<Record<string, string>> | undefined {
  const host = all.get('http_address') ?? '127.0.0.1';
  const port = portOf(all);
  if (!/^[\w.:-]+$/.test(host) || !/^\d{1,5}$/.test(port)) return undefined;
  return { http: `${host.includes(':') ? `[${host}]` : host}:${port}` };
}
function portOf(all: Values): string {
  return all.get('http_port') ?? '8080';
}

function one_listener(): string {
  return 'Horae listens in one place, by HTTP or HTTPS: `--http HOST:PORT`, and `--tls-cert` and `--tls-key` for HTTPS';
}
function keystore(): string {
  return 'Horae reads PEM: `openssl pkcs12 -in STORE -nodes` takes certificate and key out of the store, for `--tls-cert` and `--tls-key`';
}

// --- reading a line ------------------------------------------------------------------------------------------------

type Found = { readonly place: string; readonly text: string | undefined };

function optionsIn(argv: readonly string[], known: readonly string[]) {
  const found = new Map<ChronosOption, Found>();
  const rest: string[] = [];
  const problems: Problem[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]!;
    const next = argv[index + 1];
    const [, place = word, attached] = /^(--?[^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    const option = chronos_options.find(({ name, letter }) => place === `--${name}` || place === `-${letter}`);
    if (option !== undefined) {
      const follows = next !== undefined && (option.switch ? /^(true|false)$/ : /^(?!--)/).test(next);
      if (attached === undefined && follows) index++;
      found.set(option, { place, text: attached ?? (follows ? next : option.switch ? 'true' : undefined) });
    } else if (/^--\w*_/.test(place)) {
      problems.push(stranger(place, word, known));
      if (attached === undefined && next !== undefined && !next.startsWith('-')) index++;
    } else rest.push(word);
  }
  return { found, rest, problems };
}

/** Underscores are Chronos's, but may also be a slip in a flag of Horae. */
function stranger(place: string, value: string, known: readonly string[]): Problem {
  const hyphenated = place.replaceAll('_', '-');
  const near = known.includes(hyphenated)
    ? hyphenated
    : nearest(place, [...chronos_options.map(({ name }) => `--${name}`), ...known]);
  const hint = near === undefined ? 'it was none of Chronos, and --help lists those of Horae' : `did you mean ${near}?`;
  return {
    place,
    value,
    message: `unknown flag "${place}": ${hint}`,
    expected: near ?? 'a setting that --help lists',
  };
}

function saidOf({ fate, says }: ChronosOption, place: string): { readonly message: string; readonly expected: string } {
  const plain = says.replaceAll('`', '');
  const how = {
    works: 'is a setting here',
    idle: 'of Chronos is passed over',
    dropped: 'of Chronos is not followed',
  };
  return { message: `${place} ${how[fate]}: ${plain}`, expected: plain };
}
