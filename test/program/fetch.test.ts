// fetch.test.ts: what a job asks to be fetched, through the whole program: for a plain task, for processes, and in Chronos's way.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { runsOf, startHorae } from './horae.ts';

test('archives and programs come to plain tasks, to processes, and to a command of Chronos that is an address', async t => {
  const folder = await tempDir(t);
  mkdirSync(join(folder, 'app'));
  writeFileSync(join(folder, 'app', 'word'), 'packed\n');
  execFileSync('tar', ['-czf', 'app.tgz', 'app'], { cwd: folder });
  writeFileSync(join(folder, 'say.sh'), '#!/bin/sh\necho "said by $0"\n');
  const server = createServer((request, response) => {
    try {
      response.end(readFileSync(join(folder, request.url!)));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { api } = await startHorae(t, await tempDir(t), []);
  const fetch = [{ uri: `${url}/app.tgz`, cache: true }];
  const job = { role: 'me', environment: 'test', mem: 64, fetch };
  const submit = async (path: string, document: object) => {
    const { status, text } = await api.request('POST', path, document);
    t.true(status === 201 || status === 204, text);
  };
  await submit('/api/v1/jobs', { ...job, name: 'plain', command: 'cat app/word' });
  await submit('/api/v1/jobs', {
    ...job,
    name: 'processes',
    processes: [{ name: 'main', command: 'cat app/word > seen && cmp seen app/word' }],
  });
  await submit('/api/v1/jobs', { ...job, name: 'missing', command: 'true', fetch: [{ uri: `${url}/nothing` }] });
  const chronos = { schedule: 'R1//PT1M', name: 'address', command: `${url}/say.sh`, retries: 0, mem: 64 };
  await submit('/scheduler/iso8601', chronos);
  const ended = (key: string) =>
    until(`the end of ${key}`, async () => {
      const run = (await runsOf(api, key))[0];
      return run !== undefined && ['succeeded', 'failed'].includes(run.state) ? run : undefined;
    });
  const output = async (run: Awaited<ReturnType<typeof ended>>) =>
    (await api.request('GET', run.instances[0]!.links.stdout!)).text;
  const plain = await ended('me/test/plain');
  t.is(plain.state, 'succeeded');
  t.is(await output(plain), 'packed\n');
  t.is((await ended('me/test/processes')).state, 'succeeded');
  const address = await ended('chronos/default/address');
  t.is(address.state, 'succeeded');
  t.is(await output(address), 'said by ./say.sh\n');
  const missing = await ended('me/test/missing');
  t.is(missing.state, 'failed');
  t.regex(JSON.stringify(missing.instances[0]!.reason), /Failed to fetch all URIs .*the server answered 404/);
  // What was posted reads back; the canonical job spells it out.
  const [listed] = (await api.get('/scheduler/jobs')) as { command: string }[];
  t.is(listed!.command, `${url}/say.sh`);
});

test('killed in the middle of a download it comes back, tells that attempt as dropped, and the next fetches again', async t => {
  const bytes = Buffer.alloc(200_000, 'y');
  let asked = 0;
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    if (asked++ === 0) response.write(bytes.subarray(0, bytes.length / 2));
    else response.end(bytes);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const data_dir = await tempDir(t);
  const first = await startHorae(t, data_dir);
  const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
  const job = { role: 'me', environment: 'test', name: 'cut', mem: 64, fetch: [{ uri }], command: 'wc -c < file' };
  t.is((await first.api.request('POST', '/api/v1/jobs', job)).status, 201);
  await until('the download', () => asked > 0);
  await first.child.kill();

  const { api, child } = await startHorae(t, data_dir);
  const run = await until('its end', async () =>
    (await runsOf(api, 'me/test/cut')).find(({ state }) => state === 'succeeded' || state === 'failed'),
  );
  t.like(run.instances[0], { state: 'succeeded', attempt: 2 });
  t.is((await api.request('GET', run.instances[0]!.links.stdout!)).text.trim(), String(bytes.length));
  t.is(asked, 2);
  t.regex(child.output(), /me:test:cut:1\.once:0:1.*TASK_DROPPED|TASK_DROPPED.*me:test:cut:1\.once:0:1/);
});
