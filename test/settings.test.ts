// settings.test.ts: what settings.ts promises to whoever sets something.

import test from 'ava';
import {
  defaultSettings,
  isLoopback,
  readSettings,
  settings,
  settingsFile,
  settingsHelp,
  unknownVariables,
} from '../settings.ts';

const read = (argv: readonly string[], env: Record<string, string> = {}, fileText?: string) => {
  const result = readSettings(argv, env, fileText);
  if (!result.ok) throw new Error(result.problems.map(problem => problem.message).join('\n'));
  return result.value;
};
const problemsOf = (argv: readonly string[], env: Record<string, string> = {}, fileText?: string) => {
  const result = readSettings(argv, env, fileText);
  return result.ok ? [] : result.problems;
};
const messagesOf = (...given: Parameters<typeof problemsOf>) => problemsOf(...given).map(problem => problem.message);

test('with nothing set, every setting has its default, and the default is one that may be set', t => {
  t.deepEqual(read([]), defaultSettings());
  for (const [name, setting] of Object.entries(settings)) {
    if (setting.default_text === 'none' || setting.default_text === 'measured') continue;
    t.deepEqual(setting.read([setting.default_text]), setting.default, name);
  }
});

test('a flag goes before its variable, the variable before the file, the file before the default', t => {
  const file = 'offers-max: 3';
  const env = { HORAE_OFFERS_MAX: '2' };
  t.is(read(['--offers-max', '1'], env, file).offers_max, 1);
  t.is(read([], env, file).offers_max, 2);
  t.is(read([], {}, file).offers_max, 3);
  t.is(read([], {}, '# nothing set').offers_max, 20_000);
});

test('a flag takes its value as the next word or after an equals sign, and its last mention holds', t => {
  t.is(read(['--data-dir', '/a b']).data_dir, '/a b');
  t.is(read(['--data-dir=/a=b']).data_dir, '/a=b');
  t.is(read(['--data-dir=/a', '--data-dir=/b']).data_dir, '/b');
});

test('a switch needs no value and can be turned off again', t => {
  t.true(read(['--insecure']).insecure);
  t.false(read(['--insecure=false'], { HORAE_INSECURE: 'true' }).insecure);
  t.true(read(['--insecure', '--offers-max', '7'], {}).insecure);
});

test('a list is repeated flags, commas, or a YAML sequence', t => {
  const both = ['https://a.example', 'http://b.example:8080'];
  t.deepEqual(read(['--allow-origin', both[0]!, '--allow-origin', both[1]!]).allow_origin, both);
  t.deepEqual(read([`--allow-origin=${both.join(', ')}`]).allow_origin, both);
  t.deepEqual(read([], { HORAE_ALLOW_ORIGIN: both.join(',') }).allow_origin, both);
  t.deepEqual(read([], {}, `allow-origin: [${both.join(', ')}]`).allow_origin, both);
  t.deepEqual(messagesOf(['--allow-origin', 'a.example']), [
    '--allow-origin is "a.example": expected an origin such as https://ops.example.com',
  ]);
});

test('an address is a host, in brackets where it is IPv6, and a port', t => {
  t.deepEqual(read(['--http', 'localhost:0']).http, { host: 'localhost', port: 0 });
  t.deepEqual(read(['--http', '[::1]:65535']).http, { host: '::1', port: 65_535 });
  for (const wrong of ['8080', ':8080', '127.0.0.1', '127.0.0.1:65536', '::1:80', 'a b:1', 'http://a:1', ''])
    t.is(problemsOf([`--http=${wrong}`])[0]?.place, '--http', wrong);
});

test("an agent's resources are written as Mesos writes them", t => {
  const text = 'cpus:0.5;mem:4096;disk:0;ports:[31000-31009, 31020-31020]';
  t.deepEqual(read(['--agent-resources', text]).agent_resources, {
    cpus: 0.5,
    mem_mb: 4_096,
    disk_mb: 0,
    ports: [
      { begin: 31_000, end: 31_009 },
      { begin: 31_020, end: 31_020 },
    ],
  });
  t.deepEqual(read(['--agent-resources', 'mem:64']).agent_resources, { mem_mb: 64 });
  const wrong = ['cpus', 'cpus:0', 'cpus:-1', 'cpus:1;cpus:2', 'mem:1e3', 'gpus:1', 'ports:[]', 'ports:[5-4]'];
  for (const each of [...wrong, 'ports:[1-5,5-9]', 'ports:[0-1]', 'ports:[1-65536]', 'ports:1-2', ''])
    t.is(problemsOf([`--agent-resources=${each}`]).length, 1, each);
});

test('a number must be of its kind and within its range, ends included', t => {
  t.is(read(['--crash-count-max', '0']).crash_count_max, 0);
  t.is(read(['--crash-count-max', '1000']).crash_count_max, 1_000);
  t.is(read(['--refuse-seconds', '0.5']).refuse_seconds, 0.5);
  for (const wrong of ['-1', '1001', '1.5', '1e2', 'x', '0x1', ' 1'])
    t.deepEqual(messagesOf([`--crash-count-max=${wrong}`]), [
      `--crash-count-max is "${wrong}": expected a whole number of crashes from 0 to 1000`,
    ]);
});

test('a zone is one that is known, a level one of the list', t => {
  t.is(read(['--default-zone', 'Europe/Vienna']).default_zone, 'Europe/Vienna');
  t.is(problemsOf(['--default-zone', 'Europe/Wien'])[0]?.expected, 'an IANA time zone such as Europe/Vienna');
  t.is(read(['--log-level', 'trace']).log_level, 'trace');
  t.deepEqual(messagesOf(['--log-level', 'loud']), [
    '--log-level is "loud": expected one of trace, debug, info, warn, error, fatal',
  ]);
});

test('an unknown flag or key is refused with the name that was probably meant', t => {
  t.deepEqual(messagesOf(['--datadir', '/x']), ['unknown flag "--datadir": did you mean --data-dir?']);
  t.deepEqual(messagesOf(['--offer-hold=1']), ['unknown flag "--offer-hold": did you mean --offer-hold-ms?']);
  t.deepEqual(messagesOf(['--xyzzy']), ['unknown flag "--xyzzy": --help lists them all']);
  t.deepEqual(messagesOf([], {}, 'htpt: 127.0.0.1:1'), ['unknown setting "htpt": did you mean http?']);
});

test('an unknown variable is no error, since others may own the prefix, but can be warned about', t => {
  const env = {
    HORAE_DATADIR: '/x',
    HORAE_JOB: 'www/prod/hello',
    HORAE_TEST_CHROMIUM: '/c',
    HORAE_HTTP: 'a:1',
    HOME: '/',
  };
  t.deepEqual(
    unknownVariables(env).map(problem => problem.message),
    ['unknown variable "HORAE_DATADIR": did you mean HORAE_DATA_DIR?'],
  );
  t.is(read([], { HORAE_DATADIR: '/x' }).data_dir, './.horae');
});

test('an empty variable is one that is not set', t => {
  t.is(read([], { HORAE_OFFERS_MAX: '' }).offers_max, 20_000);
});

test('all problems are told at once, each with its place, value and what would be right', t => {
  const file = 'log-level: 7\nnonsense: 1\nallow-origin: {a: b}\nhttp:';
  t.deepEqual(problemsOf(['--offers-max', '0', 'stray', '--tls-key'], { HORAE_DEFAULT_ZONE: 'Moon' }, file), [
    {
      place: '/nonsense',
      value: 1,
      message: 'unknown setting "nonsense": --help lists them all',
      expected: 'a setting that --help lists',
    },
    { place: 'stray', value: 'stray', message: 'unexpected argument "stray"', expected: 'flags only' },
    {
      place: '/log-level',
      value: 7,
      message: 'log-level in the settings file is 7: expected one of trace, debug, info, warn, error, fatal',
      expected: 'one of trace, debug, info, warn, error, fatal',
    },
    {
      place: 'HORAE_DEFAULT_ZONE',
      value: 'Moon',
      message: 'HORAE_DEFAULT_ZONE is "Moon": expected an IANA time zone such as Europe/Vienna',
      expected: 'an IANA time zone such as Europe/Vienna',
    },
    {
      place: '/http',
      message:
        'http in the settings file has no value: expected host:port such as 127.0.0.1:8080, with a port from 0 to 65535',
      expected: 'host:port such as 127.0.0.1:8080, with a port from 0 to 65535',
    },
    {
      place: '--tls-key',
      message: '--tls-key has no value: expected the path of a file',
      expected: 'the path of a file',
    },
    {
      place: '/allow-origin',
      value: { a: 'b' },
      message: 'allow-origin in the settings file is {"a":"b"}: expected an origin such as https://ops.example.com',
      expected: 'an origin such as https://ops.example.com',
    },
    {
      place: '--offers-max',
      value: '0',
      message: '--offers-max is "0": expected a whole number of offers from 1 to 1000000',
      expected: 'a whole number of offers from 1 to 1000000',
    },
  ]);
});

test('a settings file that is not a YAML mapping is refused with the line', t => {
  t.regex(messagesOf([], {}, 'http: [1\nlog-level: info')[0] ?? '', /^the settings file is not YAML: .*line 2/s);
  t.regex(
    messagesOf([], {}, 'http: a:1\nhttp: b:1')[0] ?? '',
    /^the settings file is not YAML: Map keys must be unique/,
  );
  t.regex(messagesOf([], {}, '- http')[0] ?? '', /^the settings file holds \["http"\]: expected a YAML mapping/);
});

test('which settings file to read is said by flag, then variable; horae.yaml need not be there', t => {
  t.deepEqual(settingsFile(['--config=/f', '--nonsense'], { HORAE_CONFIG: '/e' }), { path: '/f', required: true });
  t.deepEqual(settingsFile([], { HORAE_CONFIG: '/e' }), { path: '/e', required: true });
  t.deepEqual(settingsFile(['--http', 'a:1'], {}), { path: 'horae.yaml', required: false });
  t.deepEqual(messagesOf([], {}, 'config: /other.yaml'), ['unknown setting "config": --help lists them all']);
});

test('listening beyond loopback needs credentials, or --insecure', t => {
  for (const host of ['0.0.0.0', '[::]', '192.168.1.7', 'horae.example.com', '127.0.0.1.example.com']) {
    t.is(problemsOf([`--http=${host}:8080`])[0]?.place, '--http', host);
    t.deepEqual(problemsOf([`--http=${host}:8080`, '--credentials', 'people.yaml']), [], host);
    t.deepEqual(problemsOf([`--http=${host}:8080`, '--insecure']), [], host);
  }
  for (const host of ['127.0.0.1', '127.8.8.8', 'localhost', '::1']) t.true(isLoopback(host), host);
});

test('a certificate without its key is refused, and a key without its certificate', t => {
  t.deepEqual(messagesOf(['--tls-cert', 'c.pem']), [
    '--tls-cert is given without --tls-key: expected both, or neither',
  ]);
  t.deepEqual(messagesOf(['--tls-key', 'k.pem']), ['--tls-key is given without --tls-cert: expected both, or neither']);
  t.deepEqual(problemsOf(['--tls-cert', 'c.pem', '--tls-key', 'k.pem']), []);
});

test('a delay that grows may not begin above its end', t => {
  t.deepEqual(messagesOf(['--retry-delay-ms', '9', '--retry-delay-ms-max', '8']), [
    '--retry-delay-ms is 9, above --retry-delay-ms-max, which is 8: expected at most 8',
  ]);
});

test('the help shows every setting once, with variable, default and range, in lines that fit', t => {
  const help = settingsHelp(80);
  for (const name of Object.keys(settings)) {
    t.is(help.match(new RegExp(`^  --${name.replaceAll('_', '-')}( [A-Z:]+)?$`, 'gm'))?.length, 1, name);
    t.true(help.includes(`[HORAE_${name.toUpperCase()};`) || help.includes(`HORAE_${name.toUpperCase()};`), name);
  }
  t.true(help.includes('default 5000; 0 to 600000 ms'));
  const [, ...lines] = help.split('\n');
  t.deepEqual(
    lines.filter(line => line.length > 80),
    [],
  );
});

test('every setting is explained in a sentence', t => {
  for (const [name, setting] of Object.entries(settings)) t.regex(setting.help, /^[A-Z].*\.$/, name);
});
