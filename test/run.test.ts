// run.test.ts: the test runner tells the truth, also about tests that end in ways of their own.

import { spawnSync } from 'node:child_process';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { endOf, startChild } from './support/child.ts';
import { tapReader } from './support/tap.ts';
import { type Owner, tempDir } from './support/temp.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The verdict, status and output of `node test/run.ts WORD` over some test files. */
async function verdictOf(t: Owner, files: Record<string, string>, word = 'sample') {
  const directory = await tempDir(t);
  await mkdir(join(directory, 'test/support'), { recursive: true });
  for (const path of ['test/run.ts', 'test/support/tap.ts']) await cp(join(root, path), join(directory, path));
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
  await writeFile(join(directory, 'test/setup.sh'), 'echo HORAE_TEST_PART=present; echo "missing: Moon: far"; exit 0');
  const ava = { extensions: { ts: 'module' }, files: ['test/**/*.test.ts'] };
  await writeFile(join(directory, 'package.json'), JSON.stringify({ type: 'module', ava }));
  for (const [name, text] of Object.entries(files))
    await writeFile(join(directory, 'test', `${name}.test.ts`), `import test from 'ava';\n${text}\n`);
  const child = startChild(t, {
    command: process.execPath,
    argv: ['test/run.ts', word],
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: directory, NO_COLOR: '1' },
  });
  const { status } = await endOf(child);
  return { status, output: child.output(), last: child.output().split('\n').at(-1) };
}

test('tests that pass, are skipped or are still to do are counted apart, and all is well', async t => {
  const text = `test('a', t => t.is(process.env.HORAE_TEST_PART, 'present'));
    test.skip('b # c', t => t.pass()); test.todo('d');`;
  const { status, last, output } = await verdictOf(t, { sample: text });
  t.is(last, '1 passed, 0 failed, 2 skipped');
  t.is(status, 0);
  t.true(output.includes('\nSkipped:\n  b # c\n  d\n'));
  t.true(output.includes('missing: Moon: far'));
});

test('a failed test is shown with its difference, named again at the end, and fails the run', async t => {
  const { status, last, output } = await verdictOf(t, {
    sample: "test('sums', t => t.is(1 + 1, 3)); test('b', t => t.pass());",
  });
  t.is(last, '1 passed, 1 failed');
  t.is(status, 1);
  t.regex(output, / {2}FAIL {2}sums\n.*- 2\n\s*\+ 3\n.*Failed:\n {2}sums\n/s);
});

test('a test file that crashes or holds no test is a failure', async t => {
  const empty = await verdictOf(t, { sample: 'export {};' });
  t.is(empty.last, '0 passed, 1 failed');
  t.is(empty.status, 1);
  const crash = await verdictOf(t, { sample: "test('a', t => t.pass());\nthrow new Error('at the top');" });
  t.regex(crash.last ?? '', /^0 passed, [1-9] failed$/);
  t.is(crash.status, 1);
  t.regex(crash.output, /at the top/);
});

test('a test that ends the process is a failure, even where AVA does not survive it', async t => {
  const { status, last, output } = await verdictOf(t, { sample: "test('a', async () => { process.exit(0); });" });
  t.regex(last ?? '', /^0 passed, [1-9] failed$/);
  t.is(status, 1);
  t.regex(output, /Failed:/);
});

test('a word that no test file holds is a failure', async t => {
  const { status, last, output } = await verdictOf(t, { sample: "test('a', t => t.pass());" }, 'smaple');
  t.is(last, '0 passed, 1 failed');
  t.is(status, 1);
  t.true(output.includes('no test file matches "smaple"'));
});

test('setup.sh fails nothing where it may not install, and says what is missing', async t => {
  const directory = await tempDir(t);
  const fake = (name: string, text: string) =>
    writeFile(join(directory, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  await fake('id', 'echo 1000');
  await fake('apt-get', 'echo "must not be called" >&2; exit 1');
  const setup = () => {
    const done = spawnSync('/bin/sh', [join(root, 'test/setup.sh')], { env: { PATH: directory }, encoding: 'utf8' });
    return {
      status: done.status,
      stdout: done.stdout.split('\n').filter(line => line.includes('Chromium') || line.includes('CHROMIUM')),
      stderr: done.stderr,
    };
  };
  const missing = ['missing: Chromium: not installed, and only root may install it'];
  t.deepEqual(setup(), { status: 0, stdout: missing, stderr: '' });
  await fake('chromium', 'exit 1');
  t.deepEqual(setup(), { status: 0, stdout: missing, stderr: '' });
  await fake('chromium', 'echo Chromium 1');
  t.deepEqual(setup(), { status: 0, stdout: [`HORAE_TEST_CHROMIUM=${directory}/chromium`], stderr: '' });
});

test('setup.sh asks for new package lists once, where the ones that are there do not do', async t => {
  const directory = await tempDir(t);
  const fake = (name: string, text: string) =>
    writeFile(join(directory, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  await fake('id', 'echo 0');
  await fake('strace', 'exit 0');
  await fake('mktemp', 'echo /nonexistent');
  await fake('mount', 'exit 1');
  await fake('rmdir', 'exit 0');
  await fake('env', 'shift 3; "$@"'); // DEBIAN_FRONTEND=... timeout 900
  const log = join(directory, 'log');
  // Fails until the lists have been updated; then there is a chromium.
  await fake(
    'apt-get',
    `echo "$*" >>${log}
case " $* " in
  *" update "*) : >${directory}/updated ;;
  *) [ -e ${directory}/updated ] || exit 100
    printf '#!/bin/sh\\necho Chromium 1\\n' >${directory}/chromium
    /bin/chmod +x ${directory}/chromium ;;
esac`,
  );
  const done = spawnSync('/bin/sh', [join(root, 'test/setup.sh')], { env: { PATH: directory }, encoding: 'utf8' });
  t.is(done.status, 0);
  t.is(done.stdout.split('\n')[0], `HORAE_TEST_CHROMIUM=${directory}/chromium`, done.stderr);
  const asked = spawnSync('/bin/cat', [log], { encoding: 'utf8' }).stdout.match(/install|update/g);
  t.deepEqual(
    asked?.filter((word, index) => word !== asked[index - 1]),
    ['install', 'update', 'install'],
  );
});

test("a line of TAP is read for what it is, whatever the test's title holds", t => {
  const read = tapReader();
  t.is(read('TAP version 13'), undefined);
  t.deepEqual(read('ok 1 - a # b'), { type: 'test', title: 'a # b', verdict: 'passed' });
  t.deepEqual(read('ok 2 - a - b # SKIP'), { type: 'test', title: 'a - b', verdict: 'skipped' });
  t.deepEqual(read('not ok 3 - c # TODO'), { type: 'test', title: 'c', verdict: 'skipped' });
  t.deepEqual(read('not ok 4 - d'), { type: 'test', title: 'd', verdict: 'failed' });
  t.is(read('  ---'), undefined);
  t.deepEqual(read('    not ok 9 - inside'), { type: 'detail', text: 'not ok 9 - inside' });
  t.deepEqual(read('# fail 9'), { type: 'detail', text: 'fail 9' });
  t.is(read('1..4'), undefined);
  t.deepEqual(read('# fail 3'), { type: 'summary', failed: 2 });
});
