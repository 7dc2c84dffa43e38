// files.test.ts: a task's sandbox, looked into through the whole program, on the embedded agent and on a Mesos of its own.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startChild } from '../support/child.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, apiAt, runsOf, startHorae, urlOf } from './horae.ts';

const main = join(import.meta.dirname, '..', '..', 'main.ts');
const command = [
  'mkdir sub empty',
  'printf "\\377\\000\\n" > sub/binary',
  'touch "back\\\\slash"; printf two > "$(printf "two\\nlines")"; printf "\\377no" > "$(printf "no\\377text")"',
  'ln -s /etc out',
  'ln -s sub/binary in',
  'mkfifo pipe',
  'echo hello',
  'printf "\\377\\000\\033[31m\\r\\n" >&2',
  'exec sleep 1000',
].join(' && ');

type Page = { path: string; next?: string; entries: { name: string; path: string; kind: string; size: number }[] };

async function looksInside(t: ExecutionContext, api: Api): Promise<void> {
  const submitted = await api.request('POST', '/api/v1/jobs', {
    ...{ role: 'me', environment: 'test', name: 'files', service: true, mem: 32, command },
  });
  t.is(submitted.status, 201, submitted.text);
  const { run } = await until('it to run', async () =>
    (await runsOf(api, 'me/test/files')).find(({ instances }) => instances[0]?.state === 'running'),
  );
  const here = `/api/v1/jobs/me/test/files/runs/${run}/instances/0/files`;
  const page = await until('its files', async () => {
    const { status, body } = await api.request('GET', here);
    const got = status === 200 ? (body() as Page) : undefined;
    return got?.entries.some(({ name }) => name === 'pipe') ? got : undefined;
  });
  const of = (name: string) => page.entries.find(entry => entry.name === name);
  t.like(of('sub'), { kind: 'folder' });
  t.like(of('two\nlines'), { kind: 'file', size: 3 });
  t.like(of('no\\xfftext'), { kind: 'file' });
  t.like(of('back\\\\slash'), { kind: 'file' });
  t.truthy(of('stdout'));
  t.is((await api.request('GET', `${here}?path=sub`)).status, 200);
  t.deepEqual(((await api.get(`${here}?path=empty`)) as Page).entries, []);

  const read = async (path: string, more = '', headers = {}) => {
    const answer = await fetch(`${api.url}${here}/content?path=${encodeURIComponent(path)}${more}`, { headers });
    return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
  };
  t.deepEqual([...(await read('sub/binary')).bytes], [0xff, 0, 10]);
  t.deepEqual([...(await read('in')).bytes], [0xff, 0, 10], 'a link that stays within is followed');
  t.deepEqual([...(await read('sub/binary', '&offset=1&length=1')).bytes], [0]);
  const part = await read('sub/binary', '', { range: 'bytes=-2' });
  t.is(part.status, 206);
  t.deepEqual([...part.bytes], [0, 10]);
  t.is((await read('no\\xfftext')).status, 200);
  t.is((await read('back\\\\slash')).status, 200);
  t.is((await read('two\nlines')).status, 200);
  const kept = await read('sub/binary', '&download=true');
  t.is(kept.headers.get('content-disposition'), "attachment; filename*=UTF-8''binary");
  for (const path of ['../x', 'out/passwd', 'out', '/etc/passwd', 'nothing', 'sub', 'pipe', 'sub/../../x', ''])
    t.true([400, 404].includes((await read(path)).status), path);
  for (const path of ['..', 'out', 'sub/../..', 'nothing', '/etc', 'sub/binary', 'in', 'sub/binary/x'])
    t.is((await api.request('GET', `${here}?path=${encodeURIComponent(path)}`)).status, 404, path);

  const first = (await api.get(`${here}?limit=2`)) as Page;
  t.is(first.entries.length, 2);
  const second = (await api.get(`${here}?limit=1000&after=${encodeURIComponent(first.next!)}`)) as Page;
  t.is(first.entries.length + second.entries.length, page.entries.length);

  const horae = (...argv: string[]) =>
    startChild(t, { command: process.execPath, argv: [main, 'task', ...argv, '--url', api.url] });
  const listing = horae('files', 'me/test/files');
  t.is((await listing.ended).status, 0);
  t.regex(listing.output(), /sub\/\n/);
  t.regex(listing.output(), /"two\\nlines"/);
  t.regex(listing.output(), /"no\\\\xfftext"|no\\xfftext/);
  // Byte for byte, whatever they are called and whatever is in them.
  const bytes = (...argv: string[]) => {
    const { status, stdout } = spawnSync(process.execPath, [main, 'task', ...argv, '--url', api.url], {
      timeout: 60_000,
    });
    t.is(status, 0, argv.join(' '));
    return stdout.toString('latin1');
  };
  t.is(bytes('cat', 'me/test/files', 'two\nlines'), 'two');
  t.is(bytes('cat', 'me/test/files', 'no\\xfftext'), '\xffno');
  t.is(bytes('cat', 'me/test/files', 'sub/binary'), '\xff\0\n');
  t.is(bytes('logs', 'me/test/files', '--stderr'), '\xff\0\x1b[31m\r\n');
  const following = horae('logs', '-f', 'me/test/files/0');
  await until('its output', () => following.output().includes('hello'));
  const missing = horae('cat', 'me/test/files', 'out/passwd');
  t.is((await missing.ended).status, 1);
  t.regex(missing.output(), /the scheduler answered 404: there is no "out\/passwd" in this sandbox/);
  await api.request('POST', '/api/v1/jobs/me/test/files/kill');
  t.is((await following.ended).status, 0, 'who follows is told the end');
}

test('a sandbox of the embedded agent is looked into, byte by byte, and nothing outside of it', async t => {
  const { api } = await startHorae(t, await tempDir(t));
  await looksInside(t, api);
});

test('a sandbox of an agent of a Mesos is looked into in the same way', async t => {
  const folder = await tempDir(t);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HORAE_')));
  const mesos = startChild(t, {
    ...{ command: process.execPath, cwd: folder, env },
    argv: [main, 'mesos', '--listen', '127.0.0.1:0', '--work-dir', join(folder, 'mesos')],
  });
  const [, url = ''] = await mesos.line(/(http:\/\/\S+)/, 60_000);
  const serve = startChild(t, {
    ...{ command: process.execPath, cwd: folder, env },
    argv: [main, 'serve', '--mesos', url, '--http', '127.0.0.1:0', '--data-dir', join(folder, 'data')],
  });
  await looksInside(t, apiAt(await urlOf(serve)));
});
