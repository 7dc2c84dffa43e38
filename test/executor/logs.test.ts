// logs.test.ts: what processes write: where it goes, and how little of the disk it may have.

import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openSheet } from '../../mesos/executor/logs.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { task_id, taskInfo, testAgent } from './support/agent.ts';
import { executorProgram, read, testExecutor } from './support/executor.ts';

const shell = (name: string, command: string, logger?: object) => ({
  name,
  command,
  min_duration_ms: 0,
  ...(logger === undefined ? {} : { logger }),
});
const sizes = async (folder: string) =>
  Object.fromEntries(
    await Promise.all(
      (await readdir(folder)).map(async name => [name, (await stat(join(folder, name))).size] as const),
    ),
  );

test('a sheet is turned at its size, whatever the size of the pieces, and the oldest is destroyed', async t => {
  const folder = await tempDir(t);
  const path = join(folder, 'stdout');
  const sheet = openSheet({ path, rotate: { size_bytes: 10, backups: 2 } }, message => t.fail(message));
  for (const piece of ['abc', 'defghijklmnopqrstuvwxyz0123456789', '!']) sheet.write(Buffer.from(piece), piece.length);
  sheet.close();
  t.is(await readFile(path, 'utf8'), '456789!');
  t.is(await readFile(`${path}.1`, 'utf8'), 'uvwxyz0123');
  t.is(await readFile(`${path}.2`, 'utf8'), 'klmnopqrst');
  t.deepEqual(Object.keys(await sizes(folder)).sort(), ['stdout', 'stdout.1', 'stdout.2']);
  const again = openSheet({ path, rotate: { size_bytes: 10, backups: 0 } }, message => t.fail(message));
  again.write(Buffer.from('abcdef'), 6);
  again.close();
  t.is(await readFile(path, 'utf8'), 'def', 'what was there counts');
});

test('what a full disk will not take is counted, said once, and nobody waits for it', t => {
  const said: string[] = [];
  const sheet = openSheet({ path: '/dev/full' }, message => said.push(message));
  sheet.write(Buffer.from('hello'), 5);
  sheet.write(Buffer.from('hello'), 5);
  sheet.close();
  t.is(sheet.lost_bytes(), 10);
  t.is(said.length, 1);
  t.regex(said[0]!, /^\/dev\/full: ENOSPC.*output is lost$/);
});

test.serial('1 GB of log as fast as it comes takes no more disk than it may, and no more memory', async t => {
  const agent = await testAgent(t);
  const sandbox = await tempDir(t);
  const executor = await executorProgram(t, agent.port, sandbox);
  await agent.subscribed(1);
  const logger = { mode: 'rotate', size_bytes: 1024 * 1024, backups: 3 };
  agent.launch(
    taskInfo({
      processes: [shell('flood', 'head -c 1000000000 /dev/zero; echo end', logger), shell('calm', 'sleep 1000')],
    }),
  );
  let most = 0;
  let rss_kb = 0;
  const folder = join(sandbox, '.logs/flood/0');
  await until(
    'the flood is over',
    async () => {
      const found = await sizes(folder).catch(() => ({}));
      const total = Object.entries(found).reduce(
        (sum, [name, size]) => (name.startsWith('stdout') ? sum + size : sum),
        0,
      );
      most = Math.max(most, total);
      const status = await readFile(`/proc/${executor.pid}/status`, 'utf8');
      rss_kb = Math.max(rss_kb, Number(/VmRSS:\s+(\d+)/.exec(status)![1]));
      return (await read(folder, 'stdout')).endsWith('end\n');
    },
    90_000,
  );
  t.true(most <= 4 * 1024 * 1024, `${most} bytes`);
  t.log(`${rss_kb} kB resident at most`);
  t.true(rss_kb < 250_000, 'a hundred of them are the program and its sources');
  agent.kill(task_id);
  await agent.status('TASK_KILLED');
});

test.serial('output goes to files, to the executor’s own, to both, or nowhere, as the process says', async t => {
  const agent = await testAgent(t);
  const { sandbox } = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  const line = (name: string) => `echo ${name}; echo ${name}! >&2`;
  agent.launch(
    taskInfo({
      processes: [
        shell('file', line('file'), { mode: 'standard' }),
        shell('console', line('console'), { destination: 'console' }),
        shell('none', line('none'), { destination: 'none' }),
      ],
    }),
  );
  await agent.status('TASK_FINISHED');
  t.is(await read(sandbox, '.logs/file/0/stdout'), 'file\n');
  t.is(await read(sandbox, '.logs/file/0/stderr'), 'file!\n');
  t.is(await read(sandbox, 'stdout'), 'console\n');
  t.is(await read(sandbox, 'stderr'), 'console!\n');
  t.deepEqual(await readdir(join(sandbox, '.logs')), ['file']);
});

test.serial('both: into the file and to the console', async t => {
  const agent = await testAgent(t);
  const sandbox = await tempDir(t);
  const executor = await executorProgram(t, agent.port, sandbox);
  await agent.subscribed(1);
  agent.launch(taskInfo({ processes: [shell('web', 'echo hello', { destination: 'both' })] }));
  await agent.status('TASK_FINISHED');
  await executor.ended;
  t.is(await read(sandbox, '.logs/web/0/stdout'), 'hello\n');
  t.regex(executor.output(), /^hello$/m);
});

test.serial('a file that is in the way of the logs fails the process, by name, and not the executor', async t => {
  const agent = await testAgent(t);
  const { sandbox } = await testExecutor(t, agent.port);
  await agent.subscribed(1);
  await writeFile(join(sandbox, '.logs'), 'in the way');
  agent.launch(taskInfo({ processes: [shell('web', 'true')] }));
  t.regex((await agent.status('TASK_FAILED')).message!, /^Process "web" could not be started/);
});
