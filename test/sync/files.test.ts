// files.test.ts: a directory that anybody may have pushed to: what is wrong with it is told by file and line, and costs little.

import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';
import { checkJob } from '../../actors/checks.ts';
import type { Job } from '../../actors/model/job.ts';
import { chronosDialect } from '../../transport/sync/chronos.ts';
import { readDirectory } from '../../transport/sync/files.ts';
import { nativeDialect } from '../../transport/sync/native.ts';
import { readTexts } from '../../transport/sync/reading.ts';
import { type Owner, tempDir } from '../support/temp.ts';

const check = (job: Job) => checkJob(job, 0, { default_zone: 'UTC' });
const native = nativeDialect(check);
const chronos = chronosDialect(check);

async function directory(t: Owner, files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const dir = await tempDir(t);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(dir, dirname(file)), { recursive: true });
    writeFileSync(join(dir, file), text);
  }
  return dir;
}
/** All that is wrong, as `file:line: message`. */
async function wrong(
  t: Owner,
  files: Readonly<Record<string, string | Buffer>>,
  more: (dir: string) => void = () => {},
) {
  const dir = await directory(t, files);
  more(dir);
  const read = readDirectory(dir);
  const jobs = readTexts(read.texts, read.layout === 'native' ? native : chronos);
  const told = [...read.findings, ...jobs.findings].map(each => `${each.file}:${each.line ?? ''}: ${each.message}`);
  return { told, names: jobs.wanted.map(each => each.name), notes: jobs.notes, broken: jobs.broken_files };
}
const job = (more = '') => `command: echo hello\n${more}`;
const chronosJob = (name: string, more = 'schedule: R/2030-01-01T00:00:00Z/PT24H') =>
  `name: ${name}\ncommand: echo\nowner: a@b.c\ncpus: 1\nmem: 64\ndisk: 0\nrunAsUser: root\n${more}\n`;

test('both layouts are read, whichever ending their files have, and what is hidden is not looked at', async t => {
  t.deepEqual(
    (await wrong(t, { 'www/prod/a.yaml': job(), 'www/prod/b.yml': job('name: b'), '.git/x.yaml': '{' })).names,
    ['www/prod/a', 'www/prod/b'],
  );
  const files = {
    'scheduled/a_b.yaml': chronosJob('"a b"'),
    'dependent/c.yml': chronosJob('c', 'parents: [a b]'),
    'README.yaml': '{',
  };
  t.deepEqual(await wrong(t, files), { told: [], names: ['c', 'a b'].reverse(), notes: [], broken: [] });
});

test('every mistake is told with the line in which it stands', async t => {
  const { told, names } = await wrong(t, {
    'www/prod/good.yaml': job(),
    'www/prod/typo.yaml': '# first\ncommand: echo\n\ncpu: 1\n',
    'www/prod/deep.yaml': job('env:\n  A: x\n  B: [1]\n'),
    'www/prod/list.yaml': job('schedules:\n  - cron: "* * * * *"\n  - id: x\n'),
    'www/prod/yaml.yaml': 'command: "open\n\n',
    'www/prod/twice.yaml': 'command: a\ncommand: b\n',
    'www/prod/two.yaml': 'command: a\n---\ncommand: b\n',
    'www/prod/nothing.yaml': 'description: |\n  x\n',
    'www/prod/text.yaml': 'hello',
  });
  t.deepEqual(names, ['www/prod/good']);
  t.deepEqual(
    told.map(line => line.slice(0, 60)),
    [
      'www/prod/deep.yaml:4: /env/B: [1] will not do: Invalid input',
      'www/prod/list.yaml:4: /schedules/1: schedule "x" has neither',
      'www/prod/nothing.yaml:1: /command: there is nothing to run: ',
      'www/prod/text.yaml:1: there is no job in it: expected fields',
      'www/prod/twice.yaml:2: malformed YAML at line 2, column 1: t',
      'www/prod/two.yaml:2: there are 2 documents in one: expected ',
      'www/prod/typo.yaml:4: /cpu: unknown field "cpu": expected "c',
      'www/prod/yaml.yaml:3: malformed YAML at line 3, column 1: Mi',
    ],
  );
});

test('a file is of the job that its name says, and a job has one file', async t => {
  const { told, names, broken } = await wrong(t, {
    'www/prod/a.yaml': job('name: b'),
    'www/prod/c.yaml': job('role: www\nenvironment: test'),
    'www/prod/d.yaml': job(),
    'www/prod/d.yml': job(),
    'www/pr od/e.yaml': job(),
  });
  t.deepEqual(names, []);
  t.deepEqual(told, [
    'www/pr od/e.yaml:1: www/pr od/e.yaml names no job: expected letters, digits, ".", "_", "-" in role, environment and name, each beginning with a letter or a digit',
    'www/prod/a.yaml:2: /name: it says name "b", and stands where www/prod/a should: expected a, or the file moved',
    'www/prod/c.yaml:3: /environment: it says environment "test", and stands where www/prod/c should: expected prod, or the file moved',
    'www/prod/d.yaml:1: the job www/prod/d is in www/prod/d.yml too: expected one file for each job',
    'www/prod/d.yml:1: the job www/prod/d is in www/prod/d.yaml too: expected one file for each job',
  ]);
  t.is(broken.length, 5);
});

test("Chronos's files say what chronos-sync wanted of them, in the folder where they belong", async t => {
  const { told, names } = await wrong(t, {
    'scheduled/a.yaml': 'name: a\ncommand: x\nschedule: R//PT1H\n',
    'scheduled/b.yaml': chronosJob('b', 'parents: [a]'),
    'scheduled/c.yaml': chronosJob('d'),
    'scheduled/e.yaml': chronosJob('e', 'schedule: every day'),
    'scheduled/x.yaml': chronosJob('x'),
    'dependent/x.yaml': chronosJob('x', 'parents: [c]'),
    'dependent/y.yaml': chronosJob('y', 'parents: []'),
    'dependent/z.yaml': chronosJob('z', 'parents: [x]\n<<: {retries: 3}'),
    'scheduled/more/f.yaml': chronosJob('f'),
  });
  t.deepEqual(names, []);
  t.deepEqual(
    told.map(line => line.slice(0, 60)),
    [
      'scheduled/more/f.yaml:: no job stands there: expected schedu',
      'scheduled/a.yaml:1: /owner: "owner" is missing: expected own',
      'scheduled/a.yaml:1: /cpus: "cpus" is missing: expected cpus,',
      'scheduled/a.yaml:1: /disk: "disk" is missing: expected disk,',
      'scheduled/a.yaml:1: /mem: "mem" is missing: expected mem, as',
      'scheduled/a.yaml:1: /runAsUser: "runAsUser" is missing: expe',
      'scheduled/b.yaml:1: /schedule: "schedule" is missing: expect',
      'scheduled/b.yaml:8: /parents: there is "parents" in it, and ',
      'scheduled/c.yaml:1: /name: it is of the job "d": expected a ',
      'scheduled/e.yaml:8: /schedule: 1 parts in "every day": expec',
      'dependent/y.yaml:8: /parents: there are no parents: expected',
      'dependent/z.yaml:9: /<<: "<<" merges nothing here: expected ',
      'scheduled/x.yaml:1: the job x is in dependent/x.yaml too: ex',
      'dependent/x.yaml:1: the job x is in scheduled/x.yaml too: ex',
    ],
  );
});

test('a field that Chronos never had is told as a note, with the one that was probably meant', async t => {
  const { notes, told } = await wrong(t, { 'scheduled/a.yaml': `${chronosJob('a')}retrys: 3\n` });
  t.deepEqual(told, []);
  t.like(notes, [
    { file: 'scheduled/a.yaml', line: 9, message: '/retrys: Chronos has no field "retrys": expected retries' },
  ]);
});

test('what is no plain file of the directory is told, and neither followed nor waited for', async t => {
  const { told, names } = await wrong(t, { 'www/prod/a.yaml': job(), 'elsewhere.txt': 'x' }, dir => {
    symlinkSync('a.yaml', join(dir, 'www/prod/b.yaml'));
    symlinkSync('/etc/hostname', join(dir, 'www/prod/c.yaml'));
    symlinkSync('prod', join(dir, 'www/test'));
    symlinkSync('elsewhere.txt', join(dir, 'note'));
    execFileSync('mkfifo', [join(dir, 'www/prod/pipe.yaml')]);
    mkdirSync(join(dir, 'www/prod/folder.yaml'));
    writeFileSync(join(dir, 'top.yaml'), job());
  });
  t.deepEqual(names, ['www/prod/a']);
  t.deepEqual(told, [
    'top.yaml:: no job stands there: expected ROLE/ENVIRONMENT/NAME.yaml',
    'www/prod/b.yaml:: it is a symbolic link: expected a file or a folder of the directory itself',
    'www/prod/c.yaml:: it is a symbolic link: expected a file or a folder of the directory itself',
    'www/prod/pipe.yaml:: it is no file: expected a file',
    'www/test:: it is a symbolic link: expected a file or a folder of the directory itself',
  ]);
});

test('bombs, huge files and other encodings are refused without being unfolded', async t => {
  const rows = Array.from({ length: 20 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`).join(', ')}]`);
  const before = process.memoryUsage().rss;
  const { told } = await wrong(
    t,
    {
      'www/prod/bomb.yaml': `a0: &a0 [lol]\n${rows.join('\n')}\n`,
      'www/prod/latin.yaml': Buffer.from('command: x\ndescription: Gr\xfc\xdfe\n', 'latin1'),
      'www/prod/deep.yaml': `command: ${'['.repeat(100_000)}`,
    },
    dir => {
      // Five gigabytes that take no room.
      writeFileSync(join(dir, 'www/prod/huge.yaml'), '');
      execFileSync('truncate', ['-s', '5G', join(dir, 'www/prod/huge.yaml')]);
    },
  );
  t.deepEqual(
    told.map(line => line.slice(0, 60)),
    [
      'www/prod/huge.yaml:: it has more than 262144 bytes: expected',
      'www/prod/latin.yaml:2: it is not UTF-8: expected UTF-8',
      'www/prod/bomb.yaml:21: malformed YAML at line 21, column 60:',
      'www/prod/deep.yaml:: nested more than 64 levels deep: expect',
    ],
  );
  t.true(process.memoryUsage().rss - before < 200e6);
});

test('a directory that is none, or has no job in it, says nothing of any job', async t => {
  const dir = await tempDir(t);
  t.regex(readDirectory(join(dir, 'nowhere')).findings[0]!.message, /^it cannot be read \(ENOENT\)/);
  t.like(readDirectory(dir).findings, [{ file: '' }]);
  t.regex(readDirectory(dir).findings[0]!.message, /^there are no job files in it/);
});

test('the directory itself may be a link, as those have it who switch between checkouts', async t => {
  const dir = await directory(t, { 'checkout-1/www/prod/a.yaml': job() });
  symlinkSync('checkout-1', join(dir, 'current'));
  t.deepEqual(
    readDirectory(join(dir, 'current')).texts.map(each => each.file),
    ['www/prod/a.yaml'],
  );
});
