// url-runner.test.ts: programs that live at an address, with real servers and real processes.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import test from 'ava';
import { fileFor } from '../../helpers/url-cache.ts';
import { readUrlRunner } from '../../helpers/url-runner.ts';
import { systemClock } from '../../schedules/clock.ts';
import { endOf, startChild } from '../support/child.ts';
import { isAlive } from '../support/processes.ts';
import { type Owner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { startHelper } from './support/helper.ts';
import { type Recorder, startRecorder } from './support/recorder.ts';

/** A server of one program that names its version, as most do. */
async function serverOf(t: Owner, program: () => string): Promise<Recorder> {
  return startRecorder(t, (response, { headers }) => {
    const text = program();
    const etag = `"${createHash('md5').update(text).digest('hex')}"`;
    if (headers['if-none-match'] === etag) response.writeHead(304, { etag }).end();
    else send(response, text, { etag });
  });
}
const send = (response: ServerResponse, text: string, headers: Record<string, string> = {}) =>
  response.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(text) }).end(text);

async function run(t: Owner, folder: string, ...argv: string[]) {
  const child = startHelper(t, ['url-runner', '--cache', folder, ...argv]);
  return { ...(await endOf(child)), output: child.output() };
}
/** The same without a process of its own: what would be run. */
async function have(folder: string, ...argv: string[]): Promise<{ text: string; said: string }> {
  const read = readUrlRunner(['--cache', folder, ...argv], {});
  if (!read.ok) throw new Error(read.problems[0]?.message);
  const said: string[] = [];
  const world = { clock: systemClock(), env: {}, say: (line: string) => void said.push(line) };
  return { text: await readFile(await fileFor(read.value.wanted, world), 'utf8'), said: said.join('\n') };
}
const cacheOf = async (t: Owner) => join(await tempDir(t), 'cache');

test('a program is downloaded once, and its words reach it as they are', async t => {
  const folder = await cacheOf(t);
  const server = await serverOf(t, () => '#!/bin/sh\nprintf "<%s>\\n" "$@"\n');
  const words = ['--sha256', 'a b', '$(touch x)', "it's", '', '-n', '*'];
  for (const _ of [1, 2]) {
    const ended = await run(t, folder, `${server.url}/say`, ...words);
    t.is(ended.status, 0);
    t.deepEqual(
      ended.output.split('\n'),
      words.map(word => `<${word}>`),
    );
  }
  t.is(server.heard.length, 2, 'once brought, once asked whether it has changed');
});

test('what the server has replaced is run in its new form', async t => {
  const folder = await cacheOf(t);
  let version = 1;
  const server = await serverOf(t, () => `echo version ${version}`);
  t.is((await have(folder, server.url)).text, 'echo version 1');
  version = 2;
  t.is((await have(folder, server.url)).text, 'echo version 2');
});

test('a server that knows only date and size is asked by those, one that knows nothing is believed in nothing', async t => {
  const folder = await cacheOf(t);
  const headers = { 'last-modified': 'Sun, 22 Nov 2026 10:00:00 GMT' };
  let text = 'one';
  const dated = await startRecorder(t, response => send(response, text, headers));
  const mute = await startRecorder(t, response => send(response, text));
  const both = async () => [(await have(folder, dated.url)).text, (await have(folder, mute.url)).text];
  t.deepEqual(await both(), ['one', 'one']);
  text = 'two';
  t.deepEqual(await both(), ['one', 'two'], 'the same date and size');
  text = 'three';
  t.deepEqual(await both(), ['three', 'three'], 'another size');
});

test('the status and the end by a signal are those of the program, which has taken our place', async t => {
  const folder = await cacheOf(t);
  const server = await serverOf(
    t,
    () => '#!/bin/sh\ntrap "echo told; exit 7" TERM\necho $$\nwhile :; do sleep 0.05; done\n',
  );
  const child = startHelper(t, ['url-runner', '--cache', folder, server.url]);
  const [pid] = await child.line(/^\d+$/);
  t.is(Number(pid), child.pid);
  child.send('SIGTERM');
  t.is((await endOf(child)).status, 7);
  t.regex(child.output(), /told/);

  const sleeper = startHelper(t, [
    'url-runner',
    '--cache',
    folder,
    `${(await serverOf(t, () => 'echo up; exec sleep 600')).url}`,
  ]);
  await sleeper.line(/up/);
  sleeper.send('SIGKILL');
  t.is((await endOf(sleeper)).signal, 'SIGKILL');
  await until('the end of the program', () => !isAlive(sleeper.pid));
});

test('a program begins with no signal ignored', async t => {
  const server = await serverOf(t, () => '#!/bin/sh\ngrep SigIgn /proc/self/status\n');
  t.regex((await run(t, await cacheOf(t), server.url)).output, /SigIgn:\s+0+$/);
});

test('four that start at once download once', async t => {
  const folder = await cacheOf(t);
  const server = await serverOf(t, () => 'echo here');
  const ended = await Promise.all(Array.from({ length: 4 }, () => run(t, folder, server.url)));
  t.deepEqual(
    ended.map(each => each.output),
    Array.from({ length: 4 }, () => 'here'),
  );
  t.is(server.heard.filter(({ headers }) => headers['if-none-match'] === undefined).length, 1);
});

test('a download that breaks off is tried again, and half of it is never run', async t => {
  const folder = await cacheOf(t);
  const server = await startRecorder(t, (response, _, before) => {
    if (before > 0) return void send(response, 'echo whole\n');
    response.writeHead(200, { 'content-length': 12_000 });
    response.write('echo half\n', () => response.destroy());
  });
  const { text, said } = await have(folder, server.url);
  t.is(text, 'echo whole\n');
  t.regex(said, /asked again$/);
});

test('whoever is killed in the middle of a download leaves nothing that others stumble over', async t => {
  const folder = await cacheOf(t);
  const server = await startRecorder(t, (response, _, before) => {
    if (before > 0) return void send(response, 'echo whole\n');
    response.writeHead(200, { 'content-length': 12_000 });
    response.write('echo half\n');
  });
  const first = startHelper(t, ['url-runner', '--cache', folder, server.url]);
  const home = await until('an address in the cache', async () => {
    const [address] = existsSync(folder) ? await readdir(folder) : [];
    return address !== undefined && join(folder, address);
  });
  await until('half a file', async () => (await readdir(home)).some(name => name.startsWith('part-')));
  await first.kill();
  t.is((await have(folder, server.url)).text, 'echo whole\n');
  t.false((await readdir(home)).some(name => name.startsWith('part-')));
});

test('when the server is away what is kept is run, and a line says so', async t => {
  const folder = await cacheOf(t);
  const server = await serverOf(t, () => 'echo kept');
  await have(folder, `${server.url}/x?key=secret`);
  await server.close();
  const { text, said } = await have(folder, '--tries', '1', `${server.url}/x?key=secret`);
  t.is(text, 'echo kept');
  t.regex(said, /what was downloaded before is run/);
  t.notRegex(said, /secret/);
  const never = await run(t, folder, '--tries', '1', `${server.url}/other`);
  t.is(never.status, 125);
  t.regex(never.output, /cannot be had: .*ECONNREFUSED/);
});

test('a program with the wrong checksum is refused, one with the right one needs no server any more', async t => {
  const folder = await cacheOf(t);
  const text = 'echo right';
  const server = await serverOf(t, () => text);
  const sum = createHash('sha256').update(text).digest('hex');
  const wrong = await run(
    t,
    folder,
    '--sha256',
    sum.replace(/^./, c => (c === '0' ? '1' : '0')),
    server.url,
  );
  t.is(wrong.status, 125);
  t.regex(wrong.output, new RegExp(`has the checksum ${sum}: expected`));
  t.is((await run(t, folder, '--sha256', sum, server.url)).output, 'right');
  const asked = server.heard.length;
  t.is((await run(t, folder, '--sha256', sum, server.url)).output, 'right');
  t.is(server.heard.length, asked);
});

test('what was changed in the cache is not run under a checksum', async t => {
  const folder = await cacheOf(t);
  const text = 'echo right';
  const server = await serverOf(t, () => text);
  const sum = createHash('sha256').update(text).digest('hex');
  await have(folder, '--sha256', sum, server.url);
  const [address] = await readdir(folder);
  const file = join(folder, address!, sum.slice(0, 32), 'program');
  t.is(await readFile(file, 'utf8'), text);
  await writeFile(file, 'echo wrong');
  t.is((await have(folder, '--sha256', sum, server.url)).text, text);
});

test('an answer that is no program is told, and not tried again', async t => {
  const server = await startRecorder(t, response => response.writeHead(404).end('no'));
  const message = /the server answered 404: expected 200/;
  await t.throwsAsync(have(await cacheOf(t), server.url), { message });
  t.is(server.heard.length, 1);
});

test('more than --max-mb is refused, whether the server says so before or not', async t => {
  const large = '#'.repeat(1_000_001);
  const message = /has more than 1000000 bytes/;
  const told = await startRecorder(t, response => send(response, large));
  await t.throwsAsync(have(await cacheOf(t), '--max-mb', '1', told.url), { message });
  const untold = await startRecorder(t, response => response.writeHead(200).end(large));
  await t.throwsAsync(have(await cacheOf(t), '--max-mb', '1', untold.url), { message });
});

test('what was not run for longest makes room', async t => {
  const folder = await cacheOf(t);
  const program = `echo ok\n${'#'.repeat(700_000)}`;
  const server = await serverOf(t, () => program);
  await have(folder, `${server.url}/old`);
  const [address] = await readdir(folder);
  const [version] = (await readdir(join(folder, address!))).filter(name => /^[0-9a-f]{32}$/.test(name));
  const old = join(folder, address!, version!);
  await utimes(old, 1_000_000, 1_000_000);
  await have(folder, '--cache-mb', '1', `${server.url}/new`);
  t.false(existsSync(old));
  t.is((await have(folder, '--cache-mb', '1', `${server.url}/old`)).text, program, 'and is brought again');
});

test('a cache to which others may write is not trusted', async t => {
  const folder = await cacheOf(t);
  await mkdir(folder);
  await chmod(folder, 0o777);
  await t.throwsAsync(have(folder, 'http://127.0.0.1:1/'), {
    message: /is not ours alone: expected a directory of user \d+ that nobody else may write to/,
  });
});

test('a name and a password in the address are shown to its server, and to nobody else', async t => {
  const server = await startRecorder(t, response => response.writeHead(403).end());
  const url = server.url.replace('//', '//me:hush%21@');
  const error = await t.throwsAsync(have(await cacheOf(t), url));
  t.is(server.heard[0]?.headers.authorization, `Basic ${Buffer.from('me:hush!').toString('base64')}`);
  t.notRegex(error?.message ?? '', /hush/);
});

test('a line that makes no sense is refused with what would', t => {
  for (const [argv, said] of [
    [[], /no address is given: expected horae url-runner URL ARGS/],
    [['ftp://x/y'], /expected one that begins with http:\/\/ or https:\/\//],
    [['--sha256', 'abc', 'http://x/y'], /--sha256 is abc: expected 64 hexadecimal digits/],
    [['--cache', 'here', 'http://x/y'], /--cache is "here": expected an absolute path/],
    [['--tries', '0', 'http://x/y'], /--tries is 0: expected a whole number from 1 to 100/],
    [['--cash', '/x', 'http://x/y'], /unknown flag --cash: expected --cache/],
  ] as const) {
    const read = readUrlRunner(argv, {}, 1);
    t.regex(read.ok ? 'taken' : read.problems.map(({ message }) => message).join('\n'), said);
  }
});

test('horae url-runner is the same program', async t => {
  const server = await serverOf(t, () => 'echo by horae');
  const main = join(import.meta.dirname, '..', '..', 'main.ts');
  const argv = [main, 'url-runner', '--cache', await cacheOf(t), server.url, '--help'];
  const child = startChild(t, { command: process.execPath, argv });
  t.is((await endOf(child)).status, 0);
  t.is(child.output(), 'by horae');
});
