// archive.test.ts: the executor is given to whoever knows its name, and to nobody else anything.

import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import test from 'ava';
import { tempDir } from '../support/temp.ts';
import { serve } from './support/serve.ts';

const at = '/executor/horae-executor-1-a.tar.gz';

/** As a fetcher asks: by whatever name it knows the server, and by a path that nobody tidies up. */
const ask = (port: number, path: string, method = 'GET') =>
  new Promise<{ status: number; text: string; headers: Record<string, unknown> }>((resolve, reject) => {
    const headers = { host: 'scheduler.example.com' };
    request({ host: '127.0.0.1', port, path, method, headers, agent: false }, answer => {
      let text = '';
      answer.setEncoding('utf8').on('data', piece => {
        text += piece;
      });
      answer.once('end', () => resolve({ status: answer.statusCode!, text, headers: answer.headers }));
    })
      .once('error', reject)
      .end();
  });

test('an agent without a password fetches the archive, by whatever name it knows the scheduler', async t => {
  const path = join(await tempDir(t), 'x.tar.gz');
  await writeFile(path, 'packed');
  const { port } = await serve(t, { archive: () => ({ at, path, bytes: 6 }) });
  const got = await ask(port, at);
  t.is(got.status, 200);
  t.is(got.text, 'packed');
  t.like(got.headers, { 'content-length': '6', 'content-type': 'application/gzip' });
  t.regex(String(got.headers['cache-control']), /immutable/);
  const head = await ask(port, at, 'HEAD');
  t.deepEqual([head.status, head.headers['content-length'], head.text], [200, '6', '']);
  t.is((await ask(port, '/api/v1/jobs')).status, 403, 'everything else is for who knows our name');
});

test('another name is 404, another method 405, and one that is gone from the disk 500', async t => {
  const path = join(await tempDir(t), 'gone.tar.gz');
  const { port, logged } = await serve(t, { archive: () => ({ at, path, bytes: 6 }) });
  for (const other of ['/executor/', '/executor/horae-executor-1-b.tar.gz', '/executor/../../etc/passwd'])
    t.is((await ask(port, other)).status, 404, other);
  t.is((await ask(port, at, 'POST')).status, 405);
  t.is((await ask(port, at)).status, 500);
  t.regex(JSON.stringify(logged), /ENOENT/);
});

test('where it is not packed, or agents have it from elsewhere, there is none', async t => {
  const { port } = await serve(t, { archive: () => undefined });
  t.is((await ask(port, at)).status, 404);
  const { port: other } = await serve(t);
  t.is((await ask(other, at)).status, 404);
});
