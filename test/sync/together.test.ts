// together.test.ts: several syncs at one time, and a scheduler that dies while one goes on: all come to what the files say.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { hashToken } from '../../transport/credentials.ts';
import { type Api, type Running, startHorae } from '../program/horae.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { roadTo } from './between.ts';
import { layoutsAt, yearly } from './layouts.ts';
import { put, syncWith } from './support.ts';

const owner = fileOwner();
let api: Api;
test.before(async () => {
  ({ api } = await startHorae(owner, join(await tempDir(owner), 'data')));
});
test.after.always(owner.clean);
const layouts = layoutsAt(() => api);

for (const [kind, layout] of Object.entries(layouts))
  test.serial(`${kind}: two syncs of one directory at one time both come to what it says`, async t => {
    const dir = await tempDir(t);
    const names = Array.from({ length: 30 }, (_, n) => `both-${n}`);
    const all = (command: string) => Object.fromEntries(names.map(n => [layout.file(n), layout.text(n, command)]));
    const sync = syncWith(() => api.url);
    for (const [turn, command] of ['once', 'twice'].entries()) {
      put(dir, all(command));
      const ended = await Promise.all([sync(dir), sync(dir)]);
      t.deepEqual(
        ended.map(each => each.status + each.wrong),
        ['0', '0'],
      );
      for (const name of names) t.deepEqual(await layout.look(name), [command, turn + 1]);
    }
  });

test.serial('a job that somebody changes while it is to be deleted stays, and is told', async t => {
  for (const [kind, layout] of Object.entries(layouts)) {
    const dir = await tempDir(t);
    put(dir, { [layout.file('kept')]: layout.text('kept', 'old'), [layout.file('goes')]: layout.text('goes', 'old') });
    const only = ['--delete-missing', '--yes'];
    t.is((await syncWith(() => api.url)(dir, ...only)).status, 0, kind);
    rmSync(join(dir, layout.file('goes')));
    const url = await roadTo(
      t,
      () => api.url,
      async ({ method }) => {
        if (method === 'DELETE') await layout.change('goes', 'theirs');
        return 'passes' as const;
      },
    );
    const synced = await syncWith(() => url)(dir, ...only);
    t.is(synced.status, 1);
    t.regex(synced.wrong, /goes: not deleted, somebody was there meanwhile: the server answered 412/);
    t.deepEqual(await layout.look('goes'), ['theirs', 2]);
    t.is((await syncWith(() => api.url)(dir, ...only)).status, 0);
    t.is(await layout.look('goes'), undefined);
  }
});

test('a scheduler that dies in the middle and comes back has in the end what the files say, each job once', async t => {
  const data = join(await tempDir(t), 'data');
  let running: Running | undefined = await startHorae(t, data);
  const dir = await tempDir(t);
  const names = Array.from({ length: 40 }, (_, n) => `n${n}`);
  for (const [n, name] of names.entries())
    put(dir, {
      [`dies/prod/${name}.yaml`]: `command: echo\n${n === 0 ? `cron: "${yearly}"` : `parents: [n${n - 1}]`}\n`,
    });
  let writes = 0;
  let comes_back: Promise<void> | undefined;
  const url = await roadTo(
    t,
    () => running?.api.url,
    ({ method }) => {
      if (method !== 'POST' || ++writes !== 15) return 'passes';
      const { child } = running!;
      comes_back = (async () => {
        await child.kill();
        running = undefined;
        running = await startHorae(t, data);
      })();
      return 'passes';
    },
  );
  const synced = await syncWith(() => url)(dir, '--timeout-s', '60');
  t.is(synced.status, 0, synced.wrong);
  await comes_back;
  t.true(writes >= names.length);
  const { jobs } = (await running!.api.get('/api/v1/jobs?limit=1000')) as { jobs: { key: string; version: number }[] };
  t.deepEqual(
    jobs.map(({ key, version }) => `${key} ${version}`).sort(),
    names.map(name => `dies/prod/${name} 1`).sort(),
  );
});

test('teams that share a scheduler keep their own roles, each by a directory and a token of its own', async t => {
  const home = await tempDir(t);
  const file = join(home, 'credentials.yaml');
  const team = (name: string) =>
    `  - {name: ${name}, sha256: ${hashToken(name)}, grants: [{role: submit, scope: ${name}}, {role: read, scope: '*'}]}`;
  writeFileSync(file, `tokens:\n${team('red')}\n${team('blue')}\n`);
  const { api } = await startHorae(t, join(home, 'data'), ['--credentials', file]);
  const sync = syncWith(() => api.url);
  const job = `command: echo\ncron: "${yearly}"\n`;
  const [red, blue] = ['red', 'blue'].map(name => join(home, name)) as [string, string];
  put(red, { 'red/prod/a.yaml': job, 'red/prod/b.yaml': job });
  put(blue, { 'blue/prod/a.yaml': job, 'blue/prod/b.yaml': `command: echo\nparents: [a, red/prod/a]\n` });
  const missing = ['--delete-missing', '--yes'];
  t.is((await sync(red, '--token', 'red', ...missing)).status, 0);
  t.is((await sync(blue, '--token', 'blue', ...missing)).status, 0);
  rmSync(join(red, 'red/prod/b.yaml'));
  const again = await sync(red, '--token', 'red', ...missing);
  t.is(again.status, 0, again.wrong);
  t.regex(again.said, /^deleted red\/prod\/b$/m);
  t.regex(
    (await sync(blue, '--token', 'blue', '--plan', ...missing)).said,
    /^Nothing to do: 2 as their files say\.\n$/,
  );

  put(red, { 'blue/prod/c.yaml': job });
  const foreign = await sync(red, '--token', 'red');
  t.is(foreign.status, 1);
  t.regex(foreign.wrong, /blue\/prod\/c.yaml: blue\/prod\/c: refused: the server answered 403/);
  t.is((await sync(red)).status, 1, 'without a token');
});
