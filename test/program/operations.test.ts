// operations.test.ts: what somebody who looks after a scheduler has: logs by name and level, and a bundle for a bug report.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { endOf, startChild } from '../support/child.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { runsOf, startHorae } from './horae.ts';
import { startMesos, startServe } from './serving.ts';

type Line = Readonly<Record<string, unknown>> & { readonly msg: string; readonly level: number };
const root = join(import.meta.dirname, '..', '..');
const job = { role: 'me', environment: 'test', mem: 32 };
const debug = 20;

const logOf = (output: string): Line[] =>
  output.split('\n').flatMap(line => (line.startsWith('{') ? [JSON.parse(line) as Line] : []));

/** `horae` as somebody types it, away from the server's own place. */
async function horae(t: ExecutionContext, url: string, ...argv: string[]) {
  const cwd = await tempDir(t);
  const env = { PATH: process.env.PATH, HORAE_URL: url };
  const child = startChild(t, { command: process.execPath, argv: [join(root, 'main.ts'), ...argv], cwd, env });
  return { ...(await endOf(child)), output: child.output(), cwd };
}

test('every line about a run has its job and run, every line about a task names it, from first to last', async t => {
  const { api, child } = await startHorae(t, join(await tempDir(t), 'data'), [
    ...['--log-level', 'debug', '--retry-delay-ms', '10'],
  ]);
  const submit = async (document: object) => {
    const { status, text } = await api.request('POST', '/api/v1/jobs', { ...job, ...document });
    t.is(status, 201, text);
  };
  // Fails once and is tried again, once for good, and is killed: what there is in the life of a run.
  await submit({ name: 'again', command: 'test "$HORAE_ATTEMPT" = 2', max_task_failures: 2 });
  await submit({ name: 'never', command: 'exit 3' });
  await submit({ name: 'long', command: 'exec sleep 1000', service: true });
  const ended = async (name: string, state: string) =>
    until(`${name} to be ${state}`, async () =>
      (await runsOf(api, `me/test/${name}`)).find(run => run.state === state || run.instances[0]?.state === state),
    );
  const again = await ended('again', 'succeeded');
  await ended('never', 'failed');
  const long = await ended('long', 'running');
  await api.request('DELETE', `/api/v1/jobs/me/test/long/runs/${long.run}`);
  await ended('long', 'killed');

  const lines = logOf(child.output()).filter(line => !('url' in line));
  const about = (text: string) => lines.filter(line => JSON.stringify(line).includes(text));
  for (const name of ['again', 'never', 'long']) {
    const [run] = await runsOf(api, `me/test/${name}`);
    const told = about(run!.run).filter(line => JSON.stringify(line).includes(name));
    t.true(told.length >= 4, `${name}: ${JSON.stringify(told)}`);
    for (const line of told) t.like(line, { job: `me/test/${name}`, run: run!.run }, JSON.stringify(line));
    for (const line of told.filter(({ msg }) => /\btask\b/.test(msg))) {
      t.regex(String(line.task), new RegExp(`^me:test:${name}:${run!.run}:0:\\d+$`), JSON.stringify(line));
      t.is(typeof line.attempt, 'number');
      t.is(line.instance, 0);
    }
  }
  // Seen from its beginning to its end, by whoever had to do with it.
  const told = about(again.run).filter(line => line.job === 'me/test/again');
  const words = told.map(({ msg }) => msg);
  for (const word of [
    'run begins',
    'task is being launched',
    'task runs',
    'task failed',
    'task finished',
    'run succeeded',
  ])
    t.true(words.includes(word), `${word}: ${words}`);
  t.deepEqual([...new Set(told.map(({ module }) => module))].sort(), ['actors', 'agent']);
  t.deepEqual(
    lines.filter(({ msg }) => / of task|task /.test(msg)).filter(line => !('task' in line) && !('tasks' in line)),
    [],
  );
});

test('a scheduler logs more when it is told to, by module, until it is told otherwise; who did it is on record', async t => {
  const { api, child } = await startHorae(t, join(await tempDir(t), 'data'));
  const ofHttp = () => logOf(child.output()).filter(line => line.level === debug && line.module === 'http').length;
  await api.get('/api/v1/jobs');
  t.is(ofHttp(), 0);
  const asked = await horae(t, api.url, 'log-level', 'warn', 'http=debug');
  t.is(asked.status, 0, asked.output);
  t.is(asked.output.trim(), 'local logs at warn http=debug');
  await api.get('/api/v1/jobs');
  await until('a line of http', () => ofHttp() > 0);
  const shown = await horae(t, api.url, 'log-level');
  t.regex(shown.output, /^local logs at warn http=debug\nmodules: program actors http /);
  t.like((await api.request('PUT', '/api/v1/log-level', { level: 'info', modules: { http: null } })).body(), {
    level: 'info',
    modules: {},
    audited: true,
  });
  const before = ofHttp();
  await api.get('/api/v1/jobs');
  const { audit } = (await api.get('/api/v1/audit')) as { audit: Record<string, unknown>[] };
  t.is(ofHttp(), before);
  t.like(audit[0], { principal: 'local', command: 'set-log-level', target: 'node/local' });
  t.like(audit[1], { detail: '{"level":"warn","modules":{"http":"debug"}}' });

  for (const body of [{ level: 'loud' }, { modules: { hhtp: 'info' } }, { levels: 'info' }]) {
    const { status, text } = await api.request('PUT', '/api/v1/log-level', body);
    t.is(status, 422, text);
  }
  const wrong = await horae(t, api.url, 'log-level', 'info', 'debug');
  t.is(wrong.status, 2);
  t.regex(wrong.output, /"debug" after "horae log-level": expected one level/);
});

test('a debug bundle has what a bug report wants, and nothing of what is secret, wherever it stood', async t => {
  const folder = await tempDir(t);
  const planted = (n: number) => ['correct-horse', `battery-staple-${n}`].join('-');
  const file = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const grants = (name: string, token: string, role: string) =>
    `  - {name: ${name}, sha256: ${hash(token)}, grants: [{role: ${role}, scope: '*'}]}\n`;
  const tokens = `tokens:\n${grants('boss', planted(1), 'admin')}${grants('clerk', planted(2), 'operate')}`;
  const mesos = await startMesos(t, join(folder, 'mesos'));
  const { api, child } = await startServe(t, mesos.url, join(folder, 'data'), [
    ...['--credentials', file('credentials.yaml', tokens), '--log-level', 'debug'],
    ...['--executor-archive', `https://files:${planted(3)}@127.0.0.1:1/horae.tar.gz`],
    ...['--framework-webui-url', `https://horae.example.com/?key=${planted(4)}`],
    ...['--secrets-command', `/bin/echo ${planted(5)}`],
    ...['--mesos-principal', 'horae', '--mesos-secret-file', file('mesos-secret', planted(6))],
    ...['--zk-auth-file', file('zk-auth', `horae:${planted(7)}`)],
  ]);
  const boss = { authorization: `Bearer ${planted(1)}` };
  const submitted = await api.request(
    'POST',
    '/api/v1/jobs',
    {
      ...job,
      name: 'hello',
      command: `echo ${planted(8)}`,
      env: { DB: planted(9) },
      secrets: [{ name: 'db', env: 'X' }],
    },
    boss,
  );
  t.is(submitted.status, 201, submitted.text);
  await until('its run to end', async () => /run (succeeded|failed)/.test(child.output()));
  // A secret of the settings that somebody has written into an address is in the log, and is taken out of it.
  // So is one of a file that a setting names.
  for (const n of [5, 6, 7]) {
    await api.request('GET', `/api/v1/jobs?limit=${planted(n)}`, undefined, boss);
    await until('the line about that', async () => child.output().includes(planted(n)));
  }

  t.is((await api.request('GET', '/api/v1/debug')).status, 401);
  const clerk = { authorization: `Bearer ${planted(2)}` };
  for (const path of ['/api/v1/debug', '/api/v1/log-level'])
    t.is((await api.request('GET', path, undefined, clerk)).status, 403);
  const asked = await horae(t, api.url, 'debug', 'bundle', '--out', 'bundle.tar.gz', '--token', planted(1));
  t.is(asked.status, 0, asked.output);
  const bundle = join(asked.cwd, 'bundle.tar.gz');
  t.is(statSync(bundle).mode & 0o777, 0o600);

  mkdirSync(join(folder, 'unpacked'));
  execFileSync('tar', ['-xzf', bundle, '-C', join(folder, 'unpacked')]);
  const unpacked = join(folder, 'unpacked', 'horae-debug');
  const texts = new Map(readdirSync(unpacked).map(name => [name, readFileSync(join(unpacked, name), 'utf8')]));
  const wanted = ['about', 'counts', 'doctor', 'health', 'settings', 'waiting'].map(name => `${name}.json`);
  t.deepEqual([...texts.keys()].sort(), [...wanted, 'log.jsonl', 'metrics.txt'].sort());
  for (const [name, text] of texts)
    for (let n = 1; n <= 9; n++) t.false(text.includes(planted(n)), `${name} has ${planted(n)}`);
  const json = (name: string) => JSON.parse(texts.get(`${name}.json`)!) as Record<string, unknown>;
  t.like(json('settings'), {
    'secrets-command': '(set, not shown)',
    'executor-archive': 'https://***@127.0.0.1:1/horae.tar.gz',
    'log-level': 'debug',
    credentials: join(folder, 'credentials.yaml'),
  });
  t.is(typeof json('about').horae, 'string');
  t.like(json('counts'), { jobs: 1 });
  t.true(Number(json('health').position) > 0);
  t.regex(texts.get('metrics.txt')!, /^horae_jobs 1$/m);
  t.regex(texts.get('doctor.json')!, /"check": "master"/);
  const lines = logOf(texts.get('log.jsonl')!);
  t.true(lines.some(({ msg, run }) => msg.startsWith('run ') && typeof run === 'string'));

  const again = await horae(t, api.url, 'debug', 'bundle', '--out', bundle, '--token', planted(1));
  t.is(again.status, 1);
  t.regex(again.output, /there is such a file: expected a new name/);
});
