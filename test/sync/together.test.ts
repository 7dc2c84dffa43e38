// together.test.ts: several syncs at one time, and a scheduler that dies while one goes on: all come to what the files say.

import { join } from 'node:path';
import test from 'ava';
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
  test(`${kind}: two syncs of one directory at one time both come to what it says`, async t => {
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
