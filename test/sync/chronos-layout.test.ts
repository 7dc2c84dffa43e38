// chronos-layout.test.ts: directories as chronos-sync kept them, against the real program.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type Api, startHorae } from '../program/horae.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { put, syncWith } from './support.ts';

const owner = fileOwner();
let api: Api;
test.before(async () => {
  ({ api } = await startHorae(owner, join(await tempDir(owner), 'data')));
});
test.after.always(owner.clean);
const sync = syncWith(() => api.url);

test("Chronos's layout round-trips: synced, written anew from the server, and no difference either way", async t => {
  const dir = await tempDir(t);
  const common = 'owner: a@b.c\ncpus: 0.5\nmem: "64"\ndisk: 0\nrunAsUser: root\n';
  const container =
    'container:\n  type: docker\n  image: busybox\n  network: BRIDGE\n  volumes:\n    - {hostPath: /logs, containerPath: /var/log, mode: RW}\n';
  put(dir, {
    'scheduled/a_b.yaml': `name: a b\ncommand: "echo \\"x\\" | sed 's/x/: #y/'"\n${common}schedule: R5/2030-01-01T00:00:00Z/P1D\nscheduleTimeZone: Europe/Vienna\nretries: 0\nuris: [http://x/b.tgz, http://x/a]\nepsilon: PT15M\n`,
    'scheduled/a-b.yml': `name: a-b\ncommand: |\n  line one\n  line two\n${common}schedule: R//PT1H\nenvironmentVariables:\n  - {name: Z, value: "yes"}\n  - {name: A, value: 1}\nconstraints: [[rack, equals, r1]]\nconcurrent: "true"\nhighPriority: true\n`,
    'scheduled/off.yaml': `name: off\ncommand: echo\n${common}schedule: R/2030-01-01T00:00:00Z/PT24H\n`,
    'dependent/c.yaml': `name: c\ncommand: ""\n${common}parents: [off, a b]\nsoftError: true\n${container}fetch: [{uri: "http://x/y", extract: false}]\n`,
    'dependent/d.yaml': `name: d\ncommand: /bin/echo\nshell: false\narguments: [-n, "a b"]\n${common}parents: [c]\nsuccessCount: 7\n`,
  });
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
  t.deepEqual(readdirSync(join(copy, 'scheduled')).sort(), ['a-b.yaml', 'a_b.yaml', 'off.yaml']);
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
