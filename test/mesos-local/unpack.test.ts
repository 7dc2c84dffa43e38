// unpack.test.ts: archives that are what they should be, and archives that were made to climb out.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fetch_defaults, fetchAll } from '../../mesos/local/fetch/fetcher.ts';
import { staysWithin } from '../../mesos/local/fetch/unpack.ts';
import { systemClock } from '../../schedules/clock.ts';
import { archivers, testWith } from '../support/needs.ts';
import { type Owner, tempDir } from '../support/temp.ts';

const testArchives = testWith(archivers);

async function stage(t: Owner) {
  const folder = await tempDir(t);
  const [inside, sandbox] = [join(folder, 'in'), join(folder, 'sandbox')];
  mkdirSync(inside);
  mkdirSync(sandbox);
  const said: string[] = [];
  return {
    folder,
    inside,
    sandbox,
    said,
    fetch: (name: string, more: object = {}, terms: object = {}) =>
      fetchAll([{ value: join(folder, name), ...more }], {
        sandbox,
        cache: join(folder, 'cache'),
        now: systemClock().now(),
        terms: { ...fetch_defaults, ...terms },
        say: line => void said.push(line),
        signal: new AbortController().signal,
      }),
    tar: (name: string, ...words: string[]) =>
      execFileSync('/bin/tar', [...words, join(folder, name), '-C', inside, '.']),
  };
}

for (const [name, word] of [
  ['a.tar', '-cf'],
  ['a.tgz', '-czf'],
  ['a.tbz2', '-cjf'],
  ['a.tar.xz', '-cJf'],
] as const)
  testArchives(`${name} is unpacked with its folders, modes and links, names that are no UTF-8 too`, async t => {
    const { inside, sandbox, fetch, tar, said } = await stage(t);
    mkdirSync(join(inside, 'bin'));
    writeFileSync(join(inside, 'bin', 'run'), 'hello', { mode: 0o755 });
    writeFileSync(join(inside, 'two\nlines'), '');
    writeFileSync(Buffer.concat([Buffer.from(`${inside}/`), Buffer.from([0xff, 0xfe])]), 'raw');
    symlinkSync('bin/run', join(inside, 'latest'));
    linkSync(join(inside, 'bin', 'run'), join(inside, 'again'));
    tar(name, word);
    await fetch(name);
    t.is(readFileSync(join(sandbox, 'latest'), 'utf8'), 'hello');
    t.is(readFileSync(join(sandbox, 'again'), 'utf8'), 'hello');
    t.is(statSync(join(sandbox, 'bin', 'run')).mode & 0o777, 0o755);
    t.true(existsSync(join(sandbox, 'two\nlines')));
    t.true(readdirSync(sandbox, { encoding: 'buffer' }).some(each => each.equals(Buffer.from([0xff, 0xfe]))));
    t.true(said.includes('Unpacked 6 files'), said.join('\n'));
    t.deepEqual(
      readdirSync(sandbox).filter(each => each.startsWith('.fetch-')),
      [],
    );
  });

testArchives('a zip is unpacked with its folders, modes and links', async t => {
  const { folder, inside, sandbox, fetch } = await stage(t);
  mkdirSync(join(inside, 'bin'));
  writeFileSync(join(inside, 'bin', 'run'), 'hello'.repeat(1_000), { mode: 0o755 });
  writeFileSync(join(inside, 'empty'), '');
  symlinkSync('bin/run', join(inside, 'latest'));
  execFileSync('python3', ['-c', zipper, join(folder, 'a.zip'), inside]);
  await fetch('a.zip');
  t.is(readFileSync(join(sandbox, 'latest'), 'utf8'), 'hello'.repeat(1_000));
  t.is(statSync(join(sandbox, 'bin', 'run')).mode & 0o777, 0o755);
  t.is(readFileSync(join(sandbox, 'empty'), 'utf8'), '');
});

testArchives(
  'a file that is only compressed loses its last ending; executable or extract: false, it stays as it is',
  async t => {
    const { folder, sandbox, fetch } = await stage(t);
    writeFileSync(join(folder, 'words.gz'), execFileSync('gzip', ['-c'], { input: 'hello' }));
    await fetch('words.gz', { extract: false });
    t.deepEqual(readdirSync(sandbox), ['words.gz']);
    await fetch('words.gz', { executable: true, output_file: 'deep/er/x.gz' });
    t.is(statSync(join(sandbox, 'deep', 'er', 'x.gz')).mode & 0o111, 0o111);
    await fetch('words.gz');
    t.is(readFileSync(join(sandbox, 'words'), 'utf8'), 'hello');
  },
);

/** Writes what tar and zip themselves would not. */
const zipper = `
import sys, os, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:
    for root, dirs, files in os.walk(sys.argv[2]):
        for name in files:
            path = os.path.join(root, name)
            info = zipfile.ZipInfo(os.path.relpath(path, sys.argv[2]))
            link = os.path.islink(path)
            info.external_attr = (0o120777 if link else os.lstat(path).st_mode) << 16
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, os.readlink(path) if link else open(path, 'rb').read())
`;
const climbing_zip = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as z:
    z.writestr('good', 'x'); z.writestr(sys.argv[2], 'evil')
`;
const climbing_tar = `
import sys, tarfile, io
kind, name, target = sys.argv[2:5]
with tarfile.open(sys.argv[1], 'w') as t:
    good = tarfile.TarInfo('good'); good.size = 1; t.addfile(good, io.BytesIO(b'x'))
    bad = tarfile.TarInfo(name)
    if kind == 'file': bad.size = 4; t.addfile(bad, io.BytesIO(b'evil'))
    else:
        bad.type = {'link': tarfile.SYMTYPE, 'hard': tarfile.LNKTYPE, 'device': tarfile.CHRTYPE, 'pipe': tarfile.FIFOTYPE}[kind]
        bad.linkname = target; bad.devmajor = 1; bad.devminor = 3
        t.addfile(bad)
    if kind == 'link':
        through = tarfile.TarInfo(name + '/inside'); through.size = 4; t.addfile(through, io.BytesIO(b'evil'))
`;

for (const [what, kind, name, target, words] of [
  [
    'a path that goes up',
    'file',
    '../outside',
    '',
    /holds "\.\.\/outside": expected only paths that stay in the sandbox/,
  ],
  ['a path that goes down and up', 'file', 'a/../../outside', '', /expected only paths that stay in the sandbox/],
  ['an absolute path', 'file', '/tmp/horae-outside', '', /begins with "\/": expected only paths that stay/],
  ['a link to an absolute path', 'link', 'way', '/tmp', /holds "way"|exited with/],
  ['a link that goes up', 'link', 'way', '../..', /holds "way"|exited with/],
  ['a hard link to a file of the machine', 'hard', 'passwd', '/etc/passwd', /begins with "\/"|exited with/],
  ['a hard link that goes up', 'hard', 'passwd', '../../../../etc/passwd', /exited with|expected only|begins with/],
  ['a device', 'device', 'null', '', /holds "null", a device, pipe or socket|exited with/],
  ['a pipe', 'pipe', 'fifo', '', /holds "fifo", a device, pipe or socket/],
] as const)
  testArchives(`an archive with ${what} is refused, and nothing of it stays`, async t => {
    const { folder, sandbox, fetch, said } = await stage(t);
    execFileSync('python3', ['-c', climbing_tar, join(folder, 'bad.tar'), kind, name, target]);
    await t.throwsAsync(fetch('bad.tar'), { message: words });
    t.deepEqual(readdirSync(sandbox), ['bad.tar']);
    t.deepEqual(readdirSync(folder).sort(), ['bad.tar', 'in', 'sandbox']);
    t.true(said.at(-1)?.startsWith(`Failed to fetch '${join(folder, 'bad.tar')}': `));
  });

for (const name of ['../outside', '/tmp/horae-outside', 'a/../../outside'])
  testArchives(`a zip with ${name} is refused, and nothing of it stays`, async t => {
    const { folder, sandbox, fetch } = await stage(t);
    execFileSync('python3', ['-c', climbing_zip, join(folder, 'bad.zip'), name]);
    await t.throwsAsync(fetch('bad.zip'), { message: /expected only paths that stay in the sandbox/ });
    t.deepEqual(readdirSync(sandbox), ['bad.zip']);
  });

testArchives('what a second archive brings is not written through a link of the first: it takes its place', async t => {
  const { folder, inside, sandbox, fetch, tar } = await stage(t);
  mkdirSync(join(inside, 'real'));
  writeFileSync(join(inside, 'real', 'file'), 'first');
  symlinkSync('real', join(inside, 'way'));
  tar('one.tar', '-cf');
  execFileSync('python3', ['-c', climbing_tar, join(folder, 'two.tar'), 'file', 'way/file', '']);
  await fetch('one.tar');
  await fetch('two.tar');
  t.is(readFileSync(join(sandbox, 'real', 'file'), 'utf8'), 'first');
  t.is(readFileSync(join(sandbox, 'way', 'file'), 'utf8'), 'evil');
  writeFileSync(join(folder, 'x'), 'x');
  symlinkSync('real', join(sandbox, 'again'));
  await t.throwsAsync(fetch('x', { output_file: 'again/file' }), { message: /again is not a folder/ });
});

testArchives('more than may be is not fetched to its end, nor unpacked to its end', async t => {
  const { folder, inside, sandbox, fetch, tar } = await stage(t);
  writeFileSync(join(inside, 'zeros'), Buffer.alloc(4_000_000));
  tar('bomb.tgz', '-czf');
  execFileSync('python3', ['-c', zipper, join(folder, 'bomb.zip'), inside]);
  const small = { unpacked_bytes_max: 1_000_000 };
  await t.throwsAsync(fetch('bomb.tgz', {}, small), { message: /what it holds is larger than 1000000 bytes/ });
  await t.throwsAsync(fetch('bomb.tgz', { cache: true }, small), {
    message: /what it holds is larger than 1000000 bytes/,
  });
  await t.throwsAsync(fetch('bomb.zip', {}, small), { message: /what it holds is larger than 1000000 bytes/ });
  await t.throwsAsync(fetch('bomb.tgz', {}, { bytes_max: 10 }), { message: /larger than 10 bytes/ });
  t.deepEqual(readdirSync(sandbox), ['bomb.zip']);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(inside, name), '');
  tar('many.tar', '-cf');
  await t.throwsAsync(fetch('many.tar', {}, { files_max: 3 }), { message: /more than 3 files/ });
});

testArchives('nobody becomes somebody else by a file of an archive', async t => {
  const { inside, sandbox, fetch, tar } = await stage(t);
  writeFileSync(join(inside, 'su'), 'x');
  chmodSync(join(inside, 'su'), 0o6755);
  tar('a.tar', '-cpf');
  await fetch('a.tar');
  t.is(statSync(join(sandbox, 'su')).mode & 0o7777, 0o755);
});

testArchives('a link stays within where it goes up no further than the sandbox, and never up after down', t => {
  for (const [target, depth, stays] of [
    ['a', 0, true],
    ['./a/b', 0, true],
    ['..', 1, true],
    ['../a', 1, true],
    ['..', 0, false],
    ['../../a', 1, false],
    ['a/../b', 1, false],
    ['/a', 3, false],
    ['', 0, true],
  ] as const)
    t.is(staysWithin(target, depth), stays, `${target} at ${depth}`);
});
