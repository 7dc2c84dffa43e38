// archive.test.ts: the executor is given to whoever knows its name, and to nobody else anything.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { tempDir } from '../support/temp.ts';
import { serve } from './support/serve.ts';

test('an agent without a password fetches the archive, and waits until it is packed', async t => {
  const path = join(await tempDir(t), 'x.tar.gz');
  let packed = (): void => undefined;
  const packing = new Promise<void>(resolve => {
    packed = resolve;
  });
  let asked = 0;
  const archive = {
    path: '/executor/1-a/horae-executor.tar.gz',
    async file() {
      asked++;
      await packing;
      return { path, bytes: 6 };
    },
  };
  const { url } = await serve(t, { archive });
  const answer = fetch(`${url}${archive.path}`, { headers: { host: 'scheduler.example.com' } });
  await writeFile(path, 'packed');
  packed();
  const got = await answer;
  t.is(got.status, 200);
  t.is(got.headers.get('content-length'), '6');
  t.regex(got.headers.get('cache-control') ?? '', /immutable/);
  t.is(await got.text(), 'packed');
  const head = await fetch(`${url}${archive.path}`, { method: 'HEAD' });
  t.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '6', '']);
  t.is(asked, 2);
});

test('another name is 404 and packs nothing, another method 405, and one that cannot be packed 500', async t => {
  let asked = 0;
  const archive = {
    path: '/executor/1-a/horae-executor.tar.gz',
    async file(): Promise<never> {
      asked++;
      throw new Error('no space left on device');
    },
  };
  const { url } = await serve(t, { archive });
  t.is((await fetch(`${url}/executor/1-b/horae-executor.tar.gz`)).status, 404);
  t.is((await fetch(`${url}/executor/../etc/passwd`)).status, 404);
  t.is((await fetch(`${url}/executor/..%2f..%2fetc/passwd`)).status, 404);
  t.is((await fetch(`${url}${archive.path}`, { method: 'POST', body: 'x' })).status, 405);
  t.is(asked, 0);
  t.is((await fetch(`${url}${archive.path}`)).status, 500);
  t.is(asked, 1);
  const { url: other } = await serve(t);
  t.is((await fetch(`${other}${archive.path}`)).status, 404, 'where agents have it from elsewhere');
});
