// support.test.ts: the helpers that other tests trust to clean up and to wait.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { endOf, startChild } from './support/child.ts';
import { freePort } from './support/free-port.ts';
import { descendants, isAlive, runningUnder } from './support/processes.ts';
import { type Owner, tempDir } from './support/temp.ts';
import { until } from './support/until.ts';

/** A test inside a test, whose end can be called for. */
function inner(): Owner & { readonly end: () => Promise<void> } {
  const cleaners: (() => void | Promise<void>)[] = [];
  return {
    teardown: clean => cleaners.push(clean),
    end: async () => {
      for (const clean of cleaners.reverse()) await clean();
    },
  };
}

test('a test leaves neither its directory nor a process in it, even one that left for a session of its own', async t => {
  const owner = inner();
  const directory = await tempDir(owner);
  const child = startChild(owner, {
    command: '/bin/sh',
    argv: ['-c', 'trap "" TERM HUP; setsid sleep 1000 & sleep 1000 & echo up; wait'],
    cwd: directory,
  });
  await child.line(/^up$/);
  const running = await until('all three to run', () => {
    const found = runningUnder(directory);
    return found.length === 3 && found;
  });
  await owner.end();
  t.deepEqual(running.filter(isAlive), []);
  t.false(existsSync(directory));
});

test('killing a child kills what descends from it', async t => {
  const child = startChild(t, { command: '/bin/sh', argv: ['-c', 'sleep 1000 & echo up; wait'] });
  await child.line(/^up$/);
  const [sleeper] = await until('the descendant to appear', () => {
    const found = descendants(child.pid);
    return found.length === 1 && found;
  });
  await child.kill();
  t.deepEqual(await child.ended, { status: null, signal: 'SIGKILL' });
  t.false(isAlive(sleeper!));
});

test('waiting for an end fails with the output when it does not come', async t => {
  const child = startChild(t, { command: 'sh', argv: ['-c', 'echo up; exec sleep 1000'] });
  await child.line(/^up$/);
  await t.throwsAsync(endOf(child, 1), { message: /has not ended within 1 ms.*up/s });
  await child.kill();
  t.deepEqual(await endOf(child), { status: null, signal: 'SIGKILL' });
});

test('waiting for a line finds past and coming ones, and fails with the output when none can come', async t => {
  const child = startChild(t, { command: '/bin/sh', argv: ['-c', 'echo one 1; echo two 2 >&2; exit 4'] });
  const [, digit] = await child.line(/^one (\d)$/);
  t.is(digit, '1');
  t.deepEqual(await child.ended, { status: 4, signal: null });
  t.is((await child.line(/^two/))[0], 'two');
  await t.throwsAsync(child.line(/^three/), { message: /no line like .*three.*it ended with 4.*one 1/s });
});

test('a program that is not there is told', async t => {
  const child = startChild(t, { command: '/nonexistent/program', argv: [] });
  await t.throwsAsync(child.ended, { message: 'cannot start /nonexistent/program' });
  await t.throwsAsync(child.line(/anything/), { message: /it never began/ });
});

test('waiting ends with the value that came, or with what never came', async t => {
  let asked = 0;
  t.is(await until('the third time', () => (++asked === 3 ? 'here' : undefined)), 'here');
  t.is(await until('a zero', () => 0), 0);
  await t.throwsAsync(
    until('the moon', () => false, 5),
    { message: 'waited 5 ms in vain for the moon' },
  );
});

test('a free port can be listened on', async t => {
  const port = await freePort();
  t.true(port > 0 && port < 65_536);
  const directory = await tempDir(t);
  const server = startChild(t, {
    command: process.execPath,
    argv: ['-e', `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('listening'))`],
    cwd: join(directory),
  });
  await server.line(/^listening$/);
  t.true(isAlive(server.pid));
});
