// archive.test.ts: the executor as an agent gets it: one file, unpacked in a sandbox, started with a line of shell.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { packExecutor } from '../../mesos/executor/archive.ts';
import { archive_command } from '../../mesos/executor/archive-name.ts';
import { startRecorder } from '../helpers/support/recorder.ts';
import { startChild } from '../support/child.ts';
import { descendants } from '../support/processes.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { reportIn, task_id, taskInfo, testAgent } from './support/agent.ts';
import { littleNode, read, variablesOf } from './support/executor.ts';

const run = promisify(execFile);

type Memory = { readonly rss_kb: number; readonly private_kb: number };
function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)![1]);
  return { rss_kb: kb('Rss'), private_kb: kb('Private_Clean') + kb('Private_Dirty') };
}

test('the same files make the same archive, and its name says so', async t => {
  const node = await littleNode(t);
  const [one, other, again] = [await tempDir(t), await tempDir(t), await tempDir(t)];
  const first = await packExecutor(one, '1.2.3', node);
  const second = await packExecutor(other, '1.2.3', node);
  t.regex(first.name, /^horae-executor-1\.2\.3-linux-\w+-[0-9a-f]{16}\.tar\.gz$/);
  t.is(first.name, second.name);
  t.deepEqual(await readFile(first.path), await readFile(second.path));
  await writeFile(node, '#!/bin/sh\nexit 1\n');
  t.not((await packExecutor(again, '1.2.3', node)).name, first.name, 'other content, other name');
  t.deepEqual(await readdir(one), [first.name], 'nothing else is left lying about');
});

test('it holds only files that belong to it, which tar can read', async t => {
  const { path } = await packExecutor(await tempDir(t), '1.2.3', await littleNode(t));
  const { stdout } = await run('tar', ['tzf', path]);
  const names = stdout.trim().split('\n');
  t.true(names.every(name => name.startsWith('horae-executor/')));
  for (const name of ['run', 'node', 'package.json', 'mesos/executor/main.js', 'horae'])
    t.true(names.includes(`horae-executor/${name}`), name);
  t.true(names.length < 50, 'what it does not need is not in it');
});

test('unpacked anywhere it runs a task, with nothing in the environment but what an agent gives; killed, it is back', async t => {
  const agent = await testAgent(t);
  const sandbox = await tempDir(t);
  const { path } = await packExecutor(join(sandbox, 'packed'), '1.2.3', await littleNode(t));
  await run('tar', ['xzf', path], { cwd: sandbox });
  const executor = startChild(t, {
    command: '/bin/sh',
    argv: ['-c', archive_command],
    cwd: sandbox,
    env: variablesOf(agent.port, sandbox),
  });
  await agent.subscribed(1);
  agent.launch(taskInfo({ processes: [{ name: 'web', command: 'echo $$ >> pids; exec sleep 1000' }] }));
  await agent.status('TASK_RUNNING');
  const [node] = await until('the executor', () => {
    const found = descendants(executor.pid);
    return found.length > 0 && found;
  });
  const memory = [executor.pid, ...descendants(executor.pid)].map(memoryOf);
  const sum = (of: (one: Memory) => number) => memory.reduce((total, one) => total + of(one), 0);
  t.log(`${memory.length} processes: ${sum(one => one.rss_kb)} kB resident, ${sum(one => one.private_kb)} kB private`);
  t.true(sum(one => one.rss_kb) <= 90 * 1024, 'a task with its executor takes no more than 90 MB');
  process.kill(node!, 'SIGKILL');
  await agent.subscribed(2);
  agent.kill(task_id);
  const killed = await agent.status('TASK_KILLED');
  t.like(reportIn(killed).processes[0], { runs: 1, last: 'signal 15' });
  t.is((await executor.ended).status, 0);
  t.is((await read(sandbox, 'pids')).trim().split('\n').length, 1);
});

test('the small commands for tasks are in it, and need nothing else', async t => {
  const sandbox = await tempDir(t);
  const { path } = await packExecutor(join(sandbox, 'packed'), '1.2.3', await littleNode(t));
  await run('tar', ['xzf', path], { cwd: sandbox });
  const server = await startRecorder(t, response => response.writeHead(202).end('{}'));
  const words = ['async', '--url', server.url, '--task', 'a:b:c:r1:0:1', '--', 'sh', '-c', 'exit 4'];
  await run(join(sandbox, 'horae-executor', 'horae'), words, { cwd: '/', env: {} });
  t.is(server.heard[0]?.body, '{"status_code":4}');
});

test('started by nobody it says what it misses, and does not try again', async t => {
  const sandbox = await tempDir(t);
  await mkdir(join(sandbox, 'packed'));
  const { path } = await packExecutor(join(sandbox, 'packed'), '1.2.3', await littleNode(t));
  await run('tar', ['xzf', path], { cwd: sandbox });
  const executor = startChild(t, {
    command: '/bin/sh',
    argv: ['-c', archive_command],
    cwd: sandbox,
    env: { PATH: '/usr/bin:/bin' },
  });
  t.is((await executor.ended).status, 2);
  t.regex(executor.output(), /MESOS_AGENT_ENDPOINT is not set: this program is started by a Mesos agent/);
});
