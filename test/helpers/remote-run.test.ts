// remote-run.test.ts: `horae remote-run` against a real sshd, with connections that break at the worst moments.

import { existsSync } from 'node:fs';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { readRemoteRun } from '../../helpers/remote-run.ts';
import { wordsOf } from '../../helpers/ssh.ts';
import { type Child, endOf } from '../support/child.ts';
import { sshd, testWith } from '../support/needs.ts';
import { runningUnder } from '../support/processes.ts';
import { type Owner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { startHelper } from './support/helper.ts';
import { startRecorder } from './support/recorder.ts';
import { layCable, type Sshd, startSshd } from './support/sshd.ts';

const withSshd = testWith(sshd);
const cleaning: (() => void | Promise<void>)[] = [];
let server: Sshd;

test.before(async () => {
  if (sshd !== undefined) server = await startSshd({ teardown: clean => void cleaning.push(clean) }, sshd);
});
test.after.always(async () => {
  for (const clean of cleaning.toReversed()) await clean();
});

/** The one machine, with a folder for the runs of one test. */
type Machine = Sshd & { readonly here: string; readonly root: string };
async function start(t: Owner): Promise<Machine> {
  const here = await tempDir(t);
  const root = join(here, 'runs of this test');
  return { ...server, here, root, flags: [...server.flags, '--dir', root] };
}
const remote = (t: Owner, { flags, port }: Machine, words: readonly string[], through = port): Child =>
  startHelper(t, ['remote-run', ...flags, '--port', String(through), ...words]);

/** The folder of the only run there. */
async function folderOf({ root }: Machine): Promise<string> {
  const runs = existsSync(root) ? await readdir(root) : [];
  return join(root, runs[0] ?? 'none');
}

withSshd('words, output, both streams and the status are those of a command that runs there', async t => {
  const machine = await start(t);
  const words = ["it's", 'a  b', '$(touch x)', '`id`', '"', '\\', '', '*', 'é\n2', '-n', '; exit 9'];
  const script = 'printf "<%s>" "$@"; echo; echo trouble >&2; pwd; exit 3';
  const child = remote(t, machine, ['--', 'sh', '-c', script, 'sh', ...words]);
  t.is((await endOf(child)).status, 3);
  t.true(child.output().includes(words.map(word => `<${word}>`).join('')), child.output());
  t.regex(child.output(), /trouble/);
  t.true(child.output().includes(join(await folderOf(machine), 'work')));
  t.deepEqual((await readdir(await folderOf(machine))).sort(), ['began', 'claim', 'pid', 'status'], 'the rest is gone');
});

withSshd('files are sent and may be run, whatever their names', async t => {
  const machine = await start(t);
  const here = await tempDir(t);
  const program = join(here, "a 'strange' $name");
  await writeFile(program, '#!/bin/sh\nwc -c < "$1"\nexec 3< -data; cat <&3 | head -c 5\n');
  await chmod(program, 0o755);
  const data = join(here, '-data');
  await writeFile(data, `large${'x'.repeat(3_000_000)}`);
  const child = remote(t, machine, ['--keep', '--put', program, '--put', data, '--', "./a 'strange' $name", './-data']);
  const { status } = await endOf(child);
  t.is(status, 0, child.output());
  t.deepEqual(child.output().split('\n'), ['3000005', 'large']);
  t.deepEqual((await readdir(join(await folderOf(machine), 'work'))).sort(), ['-data', "a 'strange' $name"]);
});

withSshd('a connection that breaks is made again, and nothing is run twice, lost or told twice', async t => {
  const machine = await start(t);
  const cable = await layCable(t, machine.port);
  const go = join(machine.here, 'go');
  const script = `echo ran >> ${machine.here}/ran; i=0
    while [ $i -lt 400 ]; do
      i=$((i+1)); echo line $i
      [ $((i % 100)) -ne 0 ] || until [ -e ${go}$i ]; do sleep 0.05; done
    done; exit 5`;
  const child = remote(t, machine, ['--', 'sh', '-c', script], cable.port);
  for (const stop of [100, 200, 300, 400]) {
    await child.line(new RegExp(`^line ${stop}$`));
    cable.cut();
    await writeFile(`${go}${stop}`, ''); // It goes on while nobody looks.
    if (stop === 200)
      await until('a run that went on', async () =>
        (await readFile(join(await folderOf(machine), 'stdout'), 'utf8')).includes('line 300'),
      );
    cable.mend();
  }
  t.is((await endOf(child)).status, 5);
  const lines = child
    .output()
    .split('\n')
    .filter(line => line.startsWith('line'));
  t.deepEqual(
    lines,
    Array.from({ length: 400 }, (_, index) => `line ${index + 1}`),
  );
  t.is(await readFile(join(machine.here, 'ran'), 'utf8'), 'ran\n');
  t.regex(child.output(), /127\.0\.0\.1: .*; tried again/);
});

withSshd('a transfer that breaks is made again, and half of it is never run', async t => {
  const machine = await start(t);
  const cable = await layCable(t, machine.port);
  const file = join(await tempDir(t), 'large');
  await writeFile(file, Buffer.alloc(20_000_000, 'x'));
  cable.snapAfter(10_000_000);
  const child = remote(t, machine, ['--put', file, '--', 'wc', '-c', 'large'], cable.port);
  const { status } = await endOf(child);
  t.is(status, 0, child.output());
  t.regex(child.output(), /^20000000 large$/m);
  t.regex(child.output(), /tried again/, 'it did break');
});

withSshd('who follows may be killed at any moment: under one id there is one run', async t => {
  const machine = await start(t);
  const go = join(machine.here, 'go');
  const script = `echo ran >> ${machine.here}/ran; echo begun; until [ -e ${go} ]; do sleep 0.05; done; echo done; exit 6`;
  const words = ['--id', 'www:prod:x:r1:0:1', '--', 'sh', '-c', script];
  const first = remote(t, machine, words);
  await first.line(/begun/);
  await first.kill();
  const second = remote(t, machine, words);
  await second.line(/begun/);
  const other = remote(t, machine, ['--keep', '--id', 'www:prod:x:r1:0:1']);
  await other.line(/begun/);
  await writeFile(go, '');
  t.is((await endOf(second)).status, 6);
  t.is((await endOf(other)).status, 6);
  t.is(await readFile(join(machine.here, 'ran'), 'utf8'), 'ran\n');
  const later = remote(t, machine, words);
  t.is((await endOf(later)).status, 6, 'and also when it has long been over');
  t.is(await readFile(join(machine.here, 'ran'), 'utf8'), 'ran\n');
});

withSshd('signals reach all of its processes, and what does not obey is killed', async t => {
  const machine = await start(t);
  const mild = remote(t, machine, [
    '--',
    'sh',
    '-c',
    'trap "echo told; exit 7" TERM; echo up; while :; do sleep 0.05; done',
  ]);
  await mild.line(/up/);
  mild.send('SIGTERM');
  t.is((await endOf(mild)).status, 7);
  t.regex(mild.output(), /told/);
  const deaf = remote(t, machine, [
    '--kill-grace',
    '1',
    '--',
    'sh',
    '-c',
    'trap "" TERM; sleep 600 & echo up; wait; sleep 600',
  ]);
  await deaf.line(/up/);
  deaf.send('SIGTERM');
  t.is((await endOf(deaf)).status, 137);
  await until('the end of all of them', () => runningUnder(machine.root).length === 0);
});

withSshd('detached it is started and left alone, and the machine reports its end by itself', async t => {
  const machine = await start(t);
  const recorder = await startRecorder(t, (response, _, before) =>
    response.writeHead(before === 0 ? 503 : 202).end('{}'),
  );
  const token = join(machine.here, 'token');
  await writeFile(token, 'pass\n');
  const report = ['--report', '--url', recorder.url, '--token-file', token, '--task', 'a:b:c:r1:0:1'];
  const child = remote(t, machine, ['--detach', '--id', 'x', ...report, '--', 'sh', '-c', 'echo words; exit 4']);
  t.is((await endOf(child)).status, 0, child.output());
  await until('an accepted report', () => recorder.heard.length >= 2);
  for (const heard of recorder.heard) {
    t.like(heard, { method: 'POST', path: '/api/v1/tasks/a%3Ab%3Ac%3Ar1%3A0%3A1/complete', body: '{"status_code":4}' });
    t.is(heard.headers.authorization, 'Bearer pass');
  }
  const folder = await folderOf(machine);
  await until('a note of it', () => existsSync(join(folder, 'reported')));
  t.is(await readFile(join(folder, 'reported'), 'utf8'), 'accepted\n');
  const later = remote(t, machine, ['--id', 'x']);
  t.is((await endOf(later)).status, 4);
  t.is(later.output(), 'words');
});

withSshd('followed, the end is reported from here', async t => {
  const machine = await start(t);
  const recorder = await startRecorder(t, response => response.writeHead(202).end('{}'));
  const report = ['--report', '--url', recorder.url, '--task', 'a:b:c:r1:0:1'];
  const child = remote(t, machine, [...report, '--', 'sh', '-c', 'exit 4']);
  t.is((await endOf(child)).status, 0);
  t.is(recorder.heard[0]?.body, '{"status_code":4}');
});

withSshd('a run whose keeper was killed is told as unknown, and is not begun again', async t => {
  const machine = await start(t);
  const words = ['--id', 'x', '--', 'sh', '-c', `echo ran >> ${machine.here}/ran; echo up; exec sleep 600`];
  const child = remote(t, machine, words);
  await child.line(/up/);
  const [pid] = (await readFile(join(await folderOf(machine), 'pid'), 'utf8')).split(' ');
  process.kill(-Number(pid), 'SIGKILL');
  t.is((await endOf(child)).status, 125);
  t.regex(child.output(), /the run x on 127\.0\.0\.1 ended without a word: .* How it ended is not known/);
  const again = remote(t, machine, words);
  t.is((await endOf(again)).status, 125);
  t.is(await readFile(join(machine.here, 'ran'), 'utf8'), 'ran\n');
});

withSshd('a machine that will not have us, or is not who we know, is refused at once', async t => {
  const machine = await start(t);
  const stranger = join(machine.here, 'stranger');
  await writeFile(stranger, '');
  const swap = (flag: string, value: string) => ({
    ...machine,
    flags: machine.flags.map((word, index) => (machine.flags[index - 1] === flag ? value : word)),
  });
  const unknown = remote(t, swap('--known-hosts', stranger), ['--', 'true']);
  t.is((await endOf(unknown)).status, 125);
  t.regex(unknown.output(), /cannot be reached: .*Host key verification failed/);
  const uninvited = remote(t, swap('--identity', join(machine.folder, 'host')), ['--', 'true']);
  t.is((await endOf(uninvited)).status, 125);
  t.regex(uninvited.output(), /cannot be reached: .*Permission denied/);
  const absent = remote(t, machine, ['--id', 'nobody']);
  t.is((await endOf(absent)).status, 125);
  t.regex(
    absent.output(),
    /the run nobody on 127\.0\.0\.1 is not there: expected the id of one that was started there/,
  );
});

withSshd('a machine of which nothing is heard is given up at last; what runs there runs on', async t => {
  const machine = await start(t);
  const cable = await layCable(t, machine.port);
  const go = join(machine.here, 'go');
  const script = `echo up; until [ -e ${go} ]; do sleep 0.05; done; echo done`;
  const child = remote(t, machine, ['--lost', '1', '--id', 'x', '--', 'sh', '-c', script], cable.port);
  await child.line(/up/);
  cable.cut();
  t.is((await endOf(child)).status, 125);
  t.regex(child.output(), /has not been heard of for 1 s: .* What was started there runs on, as x/);
  await writeFile(go, '');
  const back = remote(t, machine, ['--id', 'x']);
  t.is((await endOf(back)).status, 0);
  t.is(back.output(), 'up\ndone');
});

test('a line that makes no sense is refused with what would, and no name becomes a flag of ssh', t => {
  for (const [argv, said] of [
    [['--', 'true'], /no machine is given: expected --host NAME/],
    [['--host', '-oProxyCommand=x', '--', 'true'], /--host is "-oProxyCommand=x": expected --host NAME/],
    [['--host', 'h', '--user', '-x', '--', 'true'], /--user is "-x": expected the name of a user/],
    [['--host', 'h', '--put', '/nowhere', '--', 'true'], /--put is \/nowhere, which is no file/],
    [
      ['--host', 'h', '--put', '/etc/hostname', '--put', '/etc/../etc/hostname', '--', 'true'],
      /two files are called hostname/,
    ],
    [['--host', 'h'], /no command is given: expected horae remote-run/],
    [['--host', 'h', '--port', '0', '--', 'true'], /--port is 0: expected a whole number from 1 to 65535/],
    [['--host', 'h', '--report', '--', 'true'], /it is not known whose end is to be reported/],
  ] as const) {
    const read = readRemoteRun(argv, {});
    t.regex(read.ok ? 'taken' : read.problems.map(({ message }) => message).join('\n'), said);
  }
  const words = wordsOf({ host: 'h', user: 'u', port: 22, options: ['ConnectTimeout=3'] }, 'text');
  t.deepEqual(words.slice(-3), ['--', 'h', 'text']);
  t.true(words.indexOf('ConnectTimeout=3') < words.indexOf('ConnectTimeout=15'), 'the first one decides');
});
