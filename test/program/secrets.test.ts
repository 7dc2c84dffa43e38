// secrets.test.ts: secrets through the whole program: the task has them, and nobody else finds them anywhere.

import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { commandLinesWith, filesWith } from '../support/holders.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { runsOf, startHorae } from './horae.ts';

/** In two halves, so that this file is not what is found. */
const value = ['correct-horse', 'battery-staple', '9f2c'].join('-');
const job = { role: 'me', environment: 'test', mem: 32 };

const holders = (folder: string) => filesWith(folder, value);

/** Once each, though a sandbox may be reached by a link too. */
const filesNamed = (folder: string, name: string): readonly string[] => {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(path => basename(path) === name);
  return [...new Set(paths.map(path => realpathSync(join(folder, path))))];
};

/** The sandbox of a task that has begun, once `ready` is in it. */
function sandboxIn(data: string): Promise<string> {
  return until('a task to be ready', () => {
    const agents = join(data, 'agent', 'sandboxes');
    for (const agent of readdirSync(agents))
      for (const task of readdirSync(join(agents, agent)))
        if (existsSync(join(agents, agent, task, 'ready'))) return realpathSync(join(agents, agent, task));
    return undefined;
  });
}

async function begun(t: ExecutionContext, flags: (folder: string) => readonly string[]) {
  const folder = await tempDir(t);
  mkdirSync(join(folder, 'secrets', 'me'), { recursive: true });
  mkdirSync(join(folder, 'secrets', 'you'));
  writeFileSync(join(folder, 'secrets', 'me', 'db'), `${value}\n`);
  writeFileSync(join(folder, 'secrets', 'you', 'theirs'), 'not for me');
  const data = join(folder, 'data');
  const { api, child } = await startHorae(t, data, flags(folder));
  const submit = async (document: object) => {
    const { status, text } = await api.request('POST', '/api/v1/jobs', { ...job, ...document });
    t.is(status, 201, text);
  };
  const runIn = (name: string, state: string) =>
    until(`${name} to be ${state}`, async () =>
      (await runsOf(api, `me/test/${name}`)).find(run => run.instances[0]?.state === state || run.state === state),
    );
  return { folder, data, api, child, submit, runIn };
}

test('a task has its secret in a variable and in a file, and it is found nowhere else, then nowhere', async t => {
  const { folder, data, api, child, submit, runIn } = await begun(t, at => ['--secrets-dir', join(at, 'secrets')]);
  await submit({
    name: 'has',
    secrets: [
      { name: 'db', env: 'DB_PASSWORD' },
      { name: 'db', file: 'db.txt' },
    ],
    command:
      'printf "%s" "$DB_PASSWORD" | sha256sum > in-env; tr -d "\\n" < .secrets/db.txt | sha256sum > in-file; stat -c %a .secrets/db.txt > mode; touch ready; until [ -e go ]; do sleep 0.05; done',
  });
  const { run } = await runIn('has', 'running');
  const sandbox = await sandboxIn(data);
  t.is(readFileSync(join(sandbox, 'in-env'), 'utf8'), readFileSync(join(sandbox, 'in-file'), 'utf8'));
  t.is(readFileSync(join(sandbox, 'mode'), 'utf8'), '400\n');
  const secret = join(sandbox, '.secrets', 'db.txt');
  t.is(statSync(secret).mode & 0o777, 0o400);
  t.deepEqual(holders(data), [secret], 'journal, notebook and everything else that is written');
  t.deepEqual(commandLinesWith(value), []);
  // The API shows the reference, and no way to the file.
  const here = `/api/v1/jobs/me/test/has/runs/${run}/instances/0/files`;
  symlinkSync('.secrets/db.txt', join(sandbox, 'way'));
  for (const path of ['', '/content?path=.secrets/db.txt', '/content?path=way', '?path=.secrets'])
    t.false((await api.request('GET', `${here}${path}`)).text.includes(value), path);
  t.is((await api.request('GET', `${here}/content?path=way`)).status, 404);
  t.false((await api.request('GET', here)).text.includes('.secrets"'));
  for (const path of [
    '/api/v1/jobs/me/test/has',
    `/api/v1/jobs/me/test/has/runs/${run}`,
    '/api/v1/audit',
    '/api/v1/debug',
    '/metrics',
  ])
    t.false((await api.request('GET', path)).text.includes(value), path);
  t.regex((await api.request('GET', '/api/v1/jobs/me/test/has')).text, /"name":"db","env":"DB_PASSWORD"/);
  writeFileSync(join(sandbox, 'go'), '');
  await runIn('has', 'succeeded');
  t.deepEqual(holders(data), []);
  t.false(child.output().includes(value));
  t.true(holders(folder).every(path => path === join(folder, 'secrets', 'me', 'db')));
});

const secrets = [
  { name: 'db', env: 'DB_PASSWORD' },
  { name: 'db', file: 'db.txt' },
];

test('processes and health checks have the secrets of their job, and nobody else finds them anywhere', async t => {
  const { folder, data, api, child, submit, runIn } = await begun(t, at => ['--secrets-dir', join(at, 'secrets')]);
  const sum = 'printf "%s" "$DB_PASSWORD" | sha256sum';
  await submit({
    name: 'many',
    mem: 64,
    secrets,
    processes: [
      { name: 'first', command: `${sum} > in-first` },
      {
        name: 'second',
        command: `${sum} > in-second; tr -d "\\n" < .secrets/db.txt | sha256sum > in-file; touch ready; until [ -e go ]; do sleep 0.05; done`,
      },
    ],
    health_check: {
      checker: {
        type: 'shell',
        command: `${sum} > in-check && cmp in-check in-first && cmp .secrets/db.txt .secrets/db.txt`,
      },
      interval_ms: 250,
      initial_interval_ms: 10_000,
      timeout_ms: 10_000,
    },
  });
  const sandbox = await sandboxIn(data);
  const { run } = await runIn('many', 'running');
  const of = (file: string) => readFileSync(join(sandbox, file), 'utf8');
  await until('a health check', () => existsSync(join(sandbox, 'in-check')) && of('in-check') !== '');
  const expected = createHash('sha256').update(value).digest('hex');
  for (const file of ['in-first', 'in-second', 'in-file', 'in-check']) t.is(of(file).split(' ')[0], expected, file);
  t.deepEqual(holders(data), [join(sandbox, '.secrets', 'db.txt')], "the executor's diary, logs and everything else");
  t.deepEqual(commandLinesWith(value), []);
  const here = `/api/v1/jobs/me/test/many/runs/${run}/instances/0`;
  for (const path of ['', '/files', '/files/content?path=.secrets/db.txt', '/files?path=.secrets'])
    t.false((await api.request('GET', `${here}${path}`)).text.includes(value), path);
  writeFileSync(join(sandbox, 'go'), '');
  await runIn('many', 'succeeded');
  await until('its secrets to go', () => holders(data).length === 0);
  t.false(child.output().includes(value));
  t.true(holders(folder).every(path => path === join(folder, 'secrets', 'me', 'db')));
});

test('secrets of tasks that ended while nobody was there go as soon as somebody is', async t => {
  const { folder, data, child, submit, runIn } = await begun(t, at => ['--secrets-dir', join(at, 'secrets')]);
  const waits = 'touch ready; until [ -e go ]; do sleep 0.05; done';
  await submit({ name: 'plain', secrets, command: waits });
  await submit({ name: 'many', mem: 64, secrets, processes: [{ name: 'main', command: waits }] });
  for (const name of ['plain', 'many']) await runIn(name, 'running');
  await until('both to be ready', () => filesNamed(data, 'ready').length === 2);
  t.is(holders(data).length, 2);
  child.send('SIGKILL');
  await child.ended;
  for (const ready of filesNamed(data, 'ready')) writeFileSync(join(dirname(ready), 'go'), '');
  await until('the end of one', () => readdirSync(join(data, 'agent', 'ended')).length > 0);
  t.is(holders(data).length, 2, 'nobody was there');
  await startHorae(t, data, ['--secrets-dir', join(folder, 'secrets')]);
  await until('all of them to go', () => holders(data).length === 0);
  t.pass();
});

test("an executor of the job's own has its secrets, and keeps them as long as it lives", async t => {
  const { data, submit, runIn } = await begun(t, at => ['--secrets-dir', join(at, 'secrets')]);
  const program = join(import.meta.dirname, '..', 'mesos-local', 'support', 'executor.mjs');
  const look =
    'printf "%s" "$DB_PASSWORD" | cmp - .secrets/db.txt 2>&1 | cut -d" " -f1-2 > seen; wc -c < .secrets/db.txt > size';
  const steps = [
    ['update', { state: 'TASK_RUNNING' }],
    ['spawn', `${look}; touch ready`],
    ['sleep', 1_000],
    ['update', { state: 'TASK_FINISHED' }],
  ];
  await submit({
    name: 'own',
    secrets,
    command: 'true',
    executor: { id: 'own', command: `exec ${process.execPath} ${program}`, data: JSON.stringify(steps) },
  });
  const sandbox = await sandboxIn(data);
  // Of the two the file alone has the line end.
  t.is(readFileSync(join(sandbox, 'seen'), 'utf8'), 'cmp: EOF\n');
  t.is(Number(readFileSync(join(sandbox, 'size'), 'utf8')), value.length + 1);
  t.true(holders(data).every(path => path === join(sandbox, '.secrets', 'db.txt')));
  await runIn('own', 'succeeded');
  t.deepEqual(holders(data), [join(sandbox, '.secrets', 'db.txt')], 'it may be given another task');
  process.kill(Number.parseInt(readFileSync(join(data, 'agent', 'meta', basename(sandbox), 'pid'), 'utf8'), 10));
  await until('its secrets to go with it', () => holders(data).length === 0);
});

test('a secret that is not there, or is of another role, fails the attempt by name', async t => {
  const { submit, runIn } = await begun(t, at => ['--secrets-dir', join(at, 'secrets')]);
  await submit({ name: 'missing', command: 'true', secrets: [{ name: 'nothing', env: 'X' }] });
  await submit({ name: 'theirs', command: 'true', secrets: [{ name: 'theirs', env: 'X' }] });
  const processes = [{ name: 'main', command: 'true' }];
  await submit({ name: 'of-processes', mem: 64, processes, secrets: [{ name: 'nothing', env: 'X' }] });
  for (const [name, words] of [
    ['missing', /there is no secret \\"me\/nothing\\"/],
    ['of-processes', /there is no secret \\"me\/nothing\\"/],
    ['theirs', /there is no secret \\"me\/theirs\\"/],
  ] as const)
    t.regex(JSON.stringify((await runIn(name, 'failed')).instances[0]!.reason), words);
});

test('a program prints secrets by their names; what it says when it fails is told', async t => {
  const { submit, runIn } = await begun(t, at => {
    const program = join(at, 'keeper');
    const lines = [
      '#!/bin/sh',
      'case $2 in',
      `me/db) cat "${at}/secrets/me/db" ;;`,
      '*) echo "locked: $2" >&2; exit 3 ;;',
      'esac',
    ];
    writeFileSync(program, `${lines.join('\n')}\n`, { mode: 0o755 });
    return ['--secrets-command', `${program} --get`];
  });
  const command = `[ "$(printf %s "$X" | wc -c)" = ${value.length} ]`;
  await submit({ name: 'printed', command, secrets: [{ name: 'db', env: 'X' }] });
  await submit({ name: 'locked', command: 'true', secrets: [{ name: 'other', file: 'x' }] });
  await runIn('printed', 'succeeded');
  const { instances } = await runIn('locked', 'failed');
  t.regex(JSON.stringify(instances[0]!.reason), /keeper exited with 3: locked: me\/other/);
});

test('without anybody who keeps secrets a task that wants one fails, and says what would be right', async t => {
  const { submit, runIn } = await begun(t, () => []);
  await submit({ name: 'none', command: 'true', secrets: [{ name: 'db', env: 'X' }] });
  const { instances } = await runIn('none', 'failed');
  t.regex(
    JSON.stringify(instances[0]!.reason),
    /this agent keeps no secrets: expected --secrets-dir or --secrets-command/,
  );
});
