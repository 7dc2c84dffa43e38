// cli.test.ts: the line typed after `horae`, and the launcher that finds the Node to run it with.

import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { nearest } from '../schedules/nearest.ts';
import { commands, parseArguments, usage } from '../transport/cli/arguments.ts';
import { readTask } from '../transport/cli/task.ts';
import { startChild } from './support/child.ts';
import { type Owner, tempDir } from './support/temp.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

test('a command is the first word, and what follows is its own', t => {
  t.deepEqual(parseArguments(['dev', '--http', '127.0.0.1:0']), {
    ok: true,
    value: { command: 'dev', argv: ['--http', '127.0.0.1:0'] },
  });
});

test('help is given when asked for anywhere, and when nothing is asked for', t => {
  const help = { ok: true, value: { command: 'help', argv: [] } } as const;
  for (const argv of [[], ['--help'], ['-h'], ['help'], ['dev', '--help'], ['dev', '--http', 'a:1', '-h']])
    t.deepEqual(parseArguments(argv), help, argv.join(' '));
});

test('the version is given as a command and as a flag', t => {
  for (const argv of [['version'], ['--version'], ['-v']])
    t.deepEqual(parseArguments(argv), { ok: true, value: { command: 'version', argv: [] } });
});

test('a line that is no command is refused, with the one that was probably meant', t => {
  const messageOf = (argv: string[]) => {
    const result = parseArguments(argv);
    return result.ok ? undefined : result.problems[0]?.message;
  };
  t.is(messageOf(['dve']), 'unknown command "dve": did you mean "dev"?');
  t.is(messageOf(['launch']), `unknown command "launch": expected one of ${Object.keys(commands).join(', ')}`);
  t.is(messageOf(['version', 'x']), '"x" after "horae version": expected nothing');
  t.is(
    messageOf(['--http', 'a:1']),
    '"--http" stands where a command should: expected it after one, as in: horae dev --http a:1',
  );
});

test('the usage lists every command before the settings', t => {
  const text = usage('SETTINGS HERE');
  for (const [name, { help }] of Object.entries(commands)) t.regex(text, new RegExp(`^  ${name} +${help}$`, 'm'));
  t.true(text.endsWith('\n\nSETTINGS HERE'));
});

test('a name is near when it is a slip of the fingers away, and what is far off is not suggested', t => {
  const names = ['dev', 'help', 'version', 'offer-hold-ms'];
  for (const [typed, meant] of [
    ['dve', 'dev'], // swapped
    ['hlp', 'help'], // left out
    ['versionn', 'version'], // one more
    ['offer', 'offer-hold-ms'], // the beginning
    ['launch', undefined],
    ['', undefined],
  ] as const)
    t.is(nearest(typed, names), meant, typed);
});

/** A package like ours in which main.ts tells what became of it. */
async function packageWith(t: Owner, main: string): Promise<string> {
  const directory = await tempDir(t);
  await mkdir(join(directory, 'transport/cli'), { recursive: true });
  await cp(join(root, 'transport/cli/horae.mjs'), join(directory, 'transport/cli/horae.mjs'));
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
  await writeFile(join(directory, 'package.json'), '{"type": "module"}');
  await writeFile(join(directory, 'main.ts'), main);
  return directory;
}

/** As a Node that can replace itself, and as one that cannot. */
const ways = [
  ['by taking its place', []],
  ['as a child where Node cannot replace itself', ['--import', 'data:text/javascript,delete process.execve']],
] as const;

for (const [way, options] of ways) {
  const launch = (t: Owner, directory: string, ...argv: string[]) =>
    startChild(t, {
      command: process.execPath,
      argv: [...options, join(directory, 'transport/cli/horae.mjs'), ...argv],
      cwd: directory,
    });

  test(`horae runs main.ts on the pinned Node ${way}, with its arguments and its status`, async t => {
    const directory = await packageWith(
      t,
      'const argv: string[] = process.argv.slice(2); console.log(JSON.stringify([process.version, argv])); process.exit(7);',
    );
    const child = launch(t, directory, 'dev', '--data-dir', 'a b', '');
    t.deepEqual(await child.ended, { status: 7, signal: null });
    t.deepEqual(JSON.parse(child.output()), [process.version, ['dev', '--data-dir', 'a b', '']]);
  });

  test(`a signal reaches main.ts when horae runs it ${way}`, async t => {
    const directory = await packageWith(
      t,
      "process.on('SIGTERM', () => { console.log('asked to end'); process.exit(3); }); setInterval(() => {}, 1000); console.log('up');",
    );
    const child = launch(t, directory);
    await child.line(/^up$/);
    child.send('SIGTERM');
    t.deepEqual(await child.ended, { status: 3, signal: null });
    t.regex(child.output(), /asked to end/);
  });

  test(`horae ends by the signal that ended main.ts when it runs it ${way}`, async t => {
    const directory = await packageWith(t, "process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000);");
    t.deepEqual(await launch(t, directory).ended, { status: null, signal: 'SIGKILL' });
  });
}

test('horae without its Node installed says what to do', async t => {
  const directory = await tempDir(t);
  await cp(join(root, 'transport/cli/horae.mjs'), join(directory, 'package/transport/cli/horae.mjs'));
  const child = startChild(t, {
    command: process.execPath,
    argv: [join(directory, 'package/transport/cli/horae.mjs')],
  });
  t.deepEqual(await child.ended, { status: 1, signal: null });
  t.is(child.output(), 'horae: the Node that it is pinned to is not installed: run npm ci');
});

test('a line of horae task says what is asked of which run and instance, or what is wrong with it', t => {
  const base = 'http://127.0.0.1:8080/api/v1/jobs/www/prod/hello';
  const asked = (...argv: string[]) => {
    const read = readTask(argv, {});
    return read.ok ? [read.value.job_url, read.value.run, read.value.rest] : read.problems.map(({ place }) => place);
  };
  t.deepEqual(asked('logs', '-f', 'www/prod/hello'), [base, undefined, 'logs/0/stdout?follow=true']);
  t.deepEqual(asked('logs', 'www/prod/hello/3', '--stderr', '--run', 'r', '--tail', '99'), [
    base,
    'r',
    'logs/3/stderr?offset=-99',
  ]);
  t.deepEqual(asked('files', 'www/prod/hello', 'a b'), [base, undefined, 'instances/0/files?path=a%20b']);
  t.deepEqual(asked('cat', 'www/prod/hello', 'x', '--attempt', '2'), [
    base,
    undefined,
    'instances/0/files/content?path=x&attempt=2',
  ]);
  t.deepEqual(asked('log', 'www/prod/hello'), ['task']);
  t.deepEqual(asked('logs', 'www/prod'), ['task']);
  t.deepEqual(asked('cat', 'www/prod/hello'), ['task']);
  t.deepEqual(asked('files', 'www/prod/hello', '--follow'), ['--follow']);
  t.deepEqual(asked('logs', 'www/prod/hello', '--tail', '-1'), ['--tail']);
});
