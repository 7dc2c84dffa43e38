// fetching.test.ts: plain tasks that ask for files, as real processes: who gets them, and who does not begin at all.

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { as_root, testWith } from '../support/needs.ts';
import { type Owner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { command, type Json, subscribe } from './support/client.ts';
import { machine } from './support/machine.ts';

const asRoot = testWith(as_root);

/** A server of the files of a folder; `/never` says nothing. */
async function files(t: Owner & Pick<ExecutionContext, 'teardown'>) {
  const folder = await tempDir(t);
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const name = request.url!.slice(1);
    asked.push(name);
    if (name === 'never') return;
    const path = join(folder, name);
    if (existsSync(path)) response.end(readFileSync(path));
    else response.writeHead(404).end();
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { folder, asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const fetching = (id: string, line: string, uris: readonly Json[], more: Json = {}) =>
  command(id, line, { command: { uris, ...more } });
const terminal = ['TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR', 'TASK_DROPPED'];

test('a plain task finds what it asked for, unpacked, executable or under another name', async t => {
  const mesos = await machine(t);
  const { folder, asked, url } = await files(t);
  mkdirSync(join(folder, 'app'));
  writeFileSync(join(folder, 'app', 'word'), 'packed');
  writeFileSync(join(folder, 'run'), '#!/bin/sh\necho ran\n');
  execFileSync('tar', ['-czf', 'app.tgz', 'app'], { cwd: folder });
  const scheduler = await subscribe(mesos);
  const uris = [
    { value: `${url}/app.tgz`, cache: true },
    { value: `${url}/run`, executable: true },
    { value: `file://${folder}/run`, output_file: 'other/name' },
  ];
  const tasks = ['one', 'two'].map(id => fetching(id, 'cat app/word; ./run; cat other/name', uris));
  await scheduler.launch(tasks);
  for (const id of ['one', 'two']) {
    t.is((await scheduler.reached(id, ...terminal)).state, 'TASK_FINISHED');
    t.is(mesos.output(id), 'packedran\n#!/bin/sh\necho ran\n');
    t.deepEqual(scheduler.states(id), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED']);
  }
  t.is(asked.filter(name => name === 'app.tgz').length, 1, 'what is cached is asked for once');
});

test('a plain task whose file cannot be had does not begin, and its end says which and why', async t => {
  const mesos = await machine(t);
  const { url } = await files(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([fetching('no', 'touch ran', [{ value: `${url}/missing` }]), command('yes', 'true')]);
  const end = await scheduler.reached('no', ...terminal);
  t.like(end, { state: 'TASK_FAILED', source: 'SOURCE_AGENT', reason: 'REASON_CONTAINER_LAUNCH_FAILED' });
  const words = "Failed to launch container: Failed to fetch all URIs for container 'no': exited with status 1";
  t.is(end.message, `${words} (the server answered 404: expected 200)`);
  t.deepEqual(scheduler.states('no'), ['TASK_FAILED']);
  t.regex(mesos.output('no', 'stderr'), /Failed to fetch '.*\/missing': the server answered 404/);
  t.false(existsSync(join(mesos.sandbox('no'), 'ran')));
  t.is((await scheduler.reached('yes', ...terminal)).state, 'TASK_FINISHED');
});

test('a plain task is killed while its files are on their way', async t => {
  const mesos = await machine(t);
  const { asked, url } = await files(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([fetching('hangs', 'touch ran', [{ value: `${url}/never` }])]);
  await until('the fetch', () => asked.length > 0);
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'hangs' } } });
  t.like(await scheduler.reached('hangs', ...terminal), {
    state: 'TASK_KILLED',
    reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
  });
  t.is(mesos.agent.running(), 0);
});

asRoot("what is fetched is the task user's own, and of this machine only what he may read", async t => {
  const mesos = await machine(t);
  const { folder } = await files(t);
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'open'), 'for all', { mode: 0o644 });
  writeFileSync(join(folder, 'closed'), 'for root', { mode: 0o600 });
  const scheduler = await subscribe(mesos);
  const mine = { user: 'nobody' };
  await scheduler.launch([
    fetching('may', 'cat open && echo more >> open', [{ value: join(folder, 'open') }], mine),
    fetching('as-root', 'cat closed', [{ value: join(folder, 'closed'), cache: true }]),
  ]);
  t.is((await scheduler.reached('may', ...terminal)).state, 'TASK_FINISHED');
  t.not(statSync(join(mesos.sandbox('may'), 'open')).uid, 0);
  t.is((await scheduler.reached('as-root', ...terminal)).state, 'TASK_FINISHED');
  // That it is in the cache does not open it either.
  await scheduler.launch([fetching('may-not', 'cat closed', [{ value: join(folder, 'closed'), cache: true }], mine)]);
  const end = await scheduler.reached('may-not', ...terminal);
  t.is(end.state, 'TASK_FAILED');
  t.regex(end.message, /as nobody: .*Permission denied/);
});
