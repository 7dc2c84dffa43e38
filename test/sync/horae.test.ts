// horae.test.ts: `horae sync` of Horae's own documents, as people run it, against the real program.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type Api, startHorae } from '../program/horae.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { main, programWith, put, syncWith } from './support.ts';

const owner = fileOwner();
let api: Api;
test.before(async () => {
  ({ api } = await startHorae(owner, join(await tempDir(owner), 'data')));
});
test.after.always(owner.clean);
const sync = syncWith(() => api.url);
const program = programWith(() => api.url);

const cron = 'cron: "0 3 1 1 *"\n';
const jobs = async (role: string) => {
  const { jobs: all } = (await api.get('/api/v1/jobs?limit=1000')) as {
    jobs: { key: string; version: number; job: Readonly<Record<string, unknown>> }[];
  };
  return all.filter(each => each.key.startsWith(`${role}/`));
};

test('a directory is planned, applied in the order of its families, and then there is nothing to do', async t => {
  const dir = await tempDir(t);
  put(dir, {
    'first/prod/a.yaml': 'command: echo a\nparents: [b, other/prod/x]\n',
    'first/prod/b.yaml': 'command: echo b\nparents: [c]\n',
    'first/prod/c.yaml': `command: echo c\n${cron}env: {A: "1"}\n`,
    'other/prod/x.yaml': `command: echo x\n${cron}`,
  });
  const planned = await sync(dir, '--plan');
  t.is(planned.status, 2, planned.wrong);
  t.regex(planned.said, /\+ first\/prod\/c {2}\(first\/prod\/c.yaml\)\n {4}command: "echo c"\n/);
  t.is((await jobs('first')).length, 0, 'a plan changes nothing');

  const applied = await sync(dir);
  t.is(applied.status, 0, applied.wrong);
  t.deepEqual(
    (await jobs('first')).map(each => each.key),
    ['first/prod/a', 'first/prod/b', 'first/prod/c'],
  );
  const again = await sync(dir, '--plan');
  t.is(again.status, 0);
  t.regex(again.said, /^Nothing to do: 4 as their files say/);

  put(dir, { 'first/prod/c.yaml': `command: echo c\n${cron}env: {A: "2", B: x}\n` });
  const changed = await sync(dir);
  t.is(changed.status, 0, changed.wrong);
  t.regex(changed.said, /~ first\/prod\/c .*\n {4}env.A: "1" -> "2"\n {4}env.B: \(none\) -> "x"\n/);
  t.deepEqual(
    (await jobs('first')).map(each => each.version),
    [1, 1, 2],
  );
});

test('what no file names is deleted only when that is asked for and said yes to, children before parents', async t => {
  const dir = await tempDir(t);
  put(dir, {
    'gone/prod/a.yaml': `command: echo\n${cron}`,
    'gone/prod/b.yaml': 'command: echo\nparents: [a]\n',
    'gone/prod/c.yaml': 'command: echo\nparents: [b]\n',
    'gone/prod/d.yaml': `command: echo\n${cron}`,
  });
  const mine = ['--role', 'gone'];
  t.is((await sync(dir)).status, 0);
  for (const name of ['a', 'b', 'c']) rmSync(join(dir, `gone/prod/${name}.yaml`));
  const without = await sync(dir, ...mine);
  t.is(without.status, 0);
  t.regex(without.said, /3 on the server that no file names \(see --delete-missing\)/);
  const unasked = await sync(dir, '--delete-missing', ...mine);
  t.is(unasked.status, 1);
  t.regex(unasked.wrong, /3 jobs were not deleted: nobody said yes/);
  t.is((await jobs('gone')).length, 4);
  const deleted = await sync(dir, '--delete-missing', '--yes', ...mine);
  t.is(deleted.status, 0, deleted.wrong);
  t.regex(deleted.said, /deleted gone\/prod\/c\ndeleted gone\/prod\/b\ndeleted gone\/prod\/a\n$/);
  t.deepEqual(
    (await jobs('gone')).map(each => each.key),
    ['gone/prod/d'],
  );
});

// What makes terminals for tasks (mesos/local/sessions) makes one here: where it is missing, that is a failure.
test('somebody at a terminal is asked, and is heard', async t => {
  const dir = await tempDir(t);
  put(dir, { 'asked/prod/a.yaml': `command: echo\n${cron}`, 'asked/prod/b.yaml': `command: echo\n${cron}` });
  t.is((await sync(dir)).status, 0);
  rmSync(join(dir, 'asked/prod/b.yaml'));
  const line = `${process.execPath} ${main} sync ${dir} --delete-missing --role asked --url ${api.url}`;
  const answered = (answer: string) => {
    const terminal = spawnSync('script', ['-qec', line, '/dev/null'], { input: `${answer}\n`, encoding: 'utf8' });
    t.regex(terminal.stdout, /Delete 1 job and kill its runs\? \[yN\]/);
    return terminal.status;
  };
  t.is(answered(''), 1);
  t.is((await jobs('asked')).length, 2);
  t.is(answered('y'), 0);
  t.deepEqual(
    (await jobs('asked')).map(each => each.key),
    ['asked/prod/a'],
  );
});

test('a broken file changes nothing else: the others are as they were or as they should be, and nothing is deleted', async t => {
  const dir = await tempDir(t);
  const all = Object.fromEntries(['a', 'b', 'c', 'd'].map(n => [`bad/prod/${n}.yaml`, `command: echo ${n}\n${cron}`]));
  put(dir, all);
  t.is((await sync(dir)).status, 0);
  rmSync(join(dir, 'bad/prod/d.yaml'));
  put(dir, { 'bad/prod/b.yaml': 'command: [\n', 'bad/prod/c.yaml': `command: echo new\n${cron}` });
  const strictly = await sync(dir, '--strict');
  t.is(strictly.status, 1);
  t.deepEqual(
    (await jobs('bad')).map(each => each.version),
    [1, 1, 1, 1],
  );
  const planned = await sync(dir, '--plan', '--role', 'bad');
  t.is(planned.status, 1, 'a plan with mistakes is no plan');
  const synced = await sync(dir, '--delete-missing', '--yes', '--role', 'bad');
  t.is(synced.status, 1);
  t.regex(synced.wrong, /bad\/prod\/b.yaml:\d+:\d+: malformed YAML/);
  t.regex(synced.wrong, /nothing is deleted, since not every file could be read/);
  t.deepEqual(
    (await jobs('bad')).map(each => each.version),
    [1, 1, 2, 1],
  );
  t.is((await sync(dir, '--validate')).status, 1);
});

test('whether a job is enabled is left to people, unless its file says it', async t => {
  const dir = await tempDir(t);
  const enabled = async () => (await jobs('people')).map(each => each.job.enabled);
  put(dir, { 'people/prod/a.yaml': `command: echo\n${cron}` });
  await sync(dir);
  await api.request('POST', '/api/v1/jobs/people/prod/a/disable');
  t.is((await sync(dir, '--plan')).status, 0);
  put(dir, { 'people/prod/a.yaml': `command: echo more\n${cron}` });
  t.is((await sync(dir)).status, 0);
  t.deepEqual(await enabled(), [false], 'it stays as they left it when something else changes');
  put(dir, { 'people/prod/a.yaml': `command: echo more\n${cron}enabled: true\n` });
  const back = await sync(dir);
  t.regex(back.said, /enabled: false -> true/);
  t.deepEqual(await enabled(), [true]);
});

test('what the server refuses is told by the line of the file, and the others are written', async t => {
  const dir = await tempDir(t);
  put(dir, {
    'no/prod/a.yaml': `command: echo\nschedules:\n  - cron: "0 3 * * *"\n    calendar:\n      exclude: [nowhere]\n`,
    'no/prod/b.yaml': 'command: echo\nparents: [a]\n',
    'no/prod/c.yaml': `command: echo\n${cron}`,
  });
  const synced = await sync(dir);
  t.is(synced.status, 1);
  t.regex(synced.wrong, /no\/prod\/a.yaml.*: no\/prod\/a: refused: the server answered 422/);
  t.regex(synced.wrong, /no\/prod\/b.yaml: no\/prod\/b: not tried: its parent no\/prod\/a is not there/);
  t.deepEqual(
    (await jobs('no')).map(each => each.key),
    ['no/prod/c'],
  );
});

test('Horae writes its jobs as files that say the same', async t => {
  const dir = await tempDir(t);
  put(dir, {
    'trip/prod/a.yaml': `command: |
  for i in 1 2; do
    echo "$i: #"
  done
${cron}zone: Europe/Vienna
env: {A: "yes", B: "0x10", C: ""}
retries: 2
labels: {x: "~"}
`,
    'trip/prod/b.yaml': 'command: echo\nparents: [a]\njoin: latest\n',
    'trip/prod/s.yaml': 'command: sleep 1000\nservice: true\nenabled: false\n',
  });
  t.is((await sync(dir)).status, 0);
  const copy = join(await tempDir(t), 'copy');
  t.is((await sync(copy, '--init', '--role', 'trip')).status, 0);
  const same = await sync(copy, '--plan');
  t.is(same.status, 0, same.said + same.wrong);
  t.regex(readFileSync(join(copy, 'trip/prod/s.yaml'), 'utf8'), /switched off when this was written/);
  t.is((await sync(copy, '--init', '--role', 'trip')).status, 1, 'files that are there are left alone');
  t.is((await sync(copy, '--init', '--role', 'trip', '--force', '--keep-disabled')).status, 0);
  t.regex(readFileSync(join(copy, 'trip/prod/s.yaml'), 'utf8'), /^enabled: false$/m);
});

test('a line that cannot be done is refused with 1, since 2 says that there is something to do', async t => {
  const wrong = await program('--plann');
  t.is(wrong.status, 1);
  t.regex(wrong.wrong, /unknown flag --plann: expected --plan/);
  const dir = await tempDir(t);
  t.is((await sync(dir)).status, 1, 'an empty directory');
  put(dir, { 'a/b/c.yaml': 'command: echo\n' });
  const nobody = await program(dir, '--url', 'http://127.0.0.1:1', '--timeout-s', '1');
  t.is(nobody.status, 1);
  t.regex(nobody.wrong, /no answer from http:\/\/127.0.0.1:1/);
  const json = JSON.parse((await program(dir, '--plan', '--json')).said) as object;
  t.like(json, { status: 2, layout: 'native', steps: [{ kind: 'create', job: 'a/b/c', file: 'a/b/c.yaml' }] });
});

test('Horae keeps itself in step with a repository: the job that does it stands in it, too', async t => {
  const home = await tempDir(t);
  const repository = join(home, 'jobs.git');
  const git = (...argv: readonly string[]) =>
    execFileSync('git', ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...argv]);
  const horae = `${process.execPath} ${main}`;
  // As docs/sync.md has it.
  const command = `  git clone -q --depth 1 file://${repository} jobs &&
  ${horae} sync jobs --delete-missing --yes --role self --url ${api.url}`;
  put(repository, {
    'self/prod/sync.yaml': `command: |\n${command}\n${cron}env: {PATH: "${process.env.PATH}"}\n`,
    'self/prod/old.yaml': `command: echo\n${cron}`,
  });
  git('init', '-q');
  git('add', '.');
  git('commit', '-q', '-m', 'first');
  t.is((await sync(repository)).status, 0);
  git('mv', 'self/prod/old.yaml', 'self/prod/new.yaml');
  git('commit', '-q', '-m', 'another name');
  t.is((await api.request('POST', '/api/v1/jobs/self/prod/sync/runs')).status, 202);
  await until('its run has ended', async () => {
    const { runs } = (await api.get('/api/v1/jobs/self/prod/sync/runs')) as { runs: { state: string }[] };
    return runs[0]?.state === 'succeeded';
  });
  t.deepEqual(
    (await jobs('self')).map(each => each.key),
    ['self/prod/new', 'self/prod/sync'],
  );
});
