// chronos-layout.test.ts: directories as chronos-sync kept them, against the real program.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type Api, startHorae } from '../program/horae.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { syncWith } from './support.ts';

const owner = fileOwner();
let api: Api;
test.before(async () => {
  ({ api } = await startHorae(owner, join(await tempDir(owner), 'data')));
});
test.after.always(owner.clean);
const sync = syncWith(() => api.url);

test("Chronos's layout round-trips: synced, written anew from the server, and no difference either way", async t => {
  const dir = join(import.meta.dirname, '..', 'data', 'chronos', 'jobs');
  t.is((await sync(dir, '--validate')).status, 0);
  const applied = await sync(dir);
  t.is(applied.status, 0, applied.wrong);
  const again = await sync(dir, '--plan');
  t.is(again.status, 0, again.said);

  const off = { ...(await chronosJob('off')), disabled: true };
  t.is((await api.request('POST', '/v1/scheduler/iso8601', off)).status, 204);
  t.is((await sync(dir, '--plan')).status, 0, 'somebody disabled it, and no file speaks of that');

  const copy = join(await tempDir(t), 'copy');
  const written = await sync(copy, '--init', '--layout', 'chronos');
  t.is(written.status, 0, written.wrong);
  t.deepEqual(readdirSync(join(copy, 'scheduled')).sort(), ['a-b.yaml', 'a_b.yaml', 'off.yaml', 'program.yaml']);
  t.deepEqual(readdirSync(join(copy, 'dependent')).sort(), ['c.yaml', 'd.yaml']);
  t.notRegex(readFileSync(join(copy, 'dependent/d.yaml'), 'utf8'), /successCount|disabled/);
  const same = await sync(copy, '--plan');
  t.is(same.status, 0, same.said + same.wrong);
  t.is((await sync(copy, '--validate')).status, 0);

  const native = join(await tempDir(t), 'native');
  t.is((await sync(native, '--init')).status, 0);
  t.false(readdirSync(native).includes('chronos'), "jobs that came by Chronos's dialect stay in its layout");
});
const chronosJob = async (name: string) => (await api.get(`/v1/scheduler/job/${name}`)) as object;
