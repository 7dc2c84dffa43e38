// exec-elsewhere.test.ts: commands in tasks that are not plain ones, and for people who may and who may not.

import { createHash } from 'node:crypto';
import { readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { as_root, serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, apiAt, runsOf, startHorae, urlOf } from './horae.ts';
import { killAlone, launch } from './serving.ts';
import { job, running, sitDown } from './terminal.ts';

const owner = fileOwner();
const bearer = (name: string) => ({ authorization: `Bearer ${name}-token` });
const admin = bearer('admin');
let api: Api;
test.before(async () => {
  const folder = await tempDir(owner);
  const credentials = join(folder, 'credentials.yaml');
  const token = (name: string, role: string, scope: string) => {
    const sha256 = createHash('sha256').update(`${name}-token`).digest('hex');
    return `  - {name: ${name}, sha256: ${sha256}, grants: [{role: ${role}, scope: '${scope}'}]}`;
  };
  const tokens = [token('admin', 'admin', '*'), token('reader', 'read', '*'), token('sender', 'submit', 'me')];
  tokens.push(token('mine', 'operate', 'me'), token('theirs', 'operate', 'you'));
  writeFileSync(credentials, `tokens:\n${tokens.join('\n')}\n`);
  ({ api } = await startHorae(owner, join(folder, 'data'), ['--credentials', credentials]));
});
test.after.always(owner.clean);

const begin = async (name: string, more: object) => {
  const { status, text } = await api.request('POST', '/api/v1/jobs', { ...job(name), ...more }, admin);
  if (status !== 201) throw new Error(`${status} ${text}`);
  return running(api, name, admin);
};
const audited = async () => {
  const { body } = await api.request('GET', '/api/v1/audit?limit=1000', undefined, admin);
  return (body() as { audit: Record<string, string>[] }).audit.filter(({ command }) => command?.endsWith('-session'));
};

test.serial('beside processes of an executor one is in its sandbox, and sees what they see', async t => {
  await begin('made', { processes: [{ name: 'one', command: 'echo $$ > one.pid; exec sleep 1000' }] });
  const script = 'until test -s one.pid; do sleep 0.1; done; ls; kill -0 $(cat one.pid) && exit 6';
  const place = sitDown(api, 'me/test/made', { command: ['sh', '-c', script], headers: admin });
  await place.shows(/^horae-executor$[\s\S]*^one\.pid$/m);
  t.like(await place.ended, { type: 'end', code: 6 });
});

serialWith(as_root)('as root: a task in other namespaces than its agent is entered where it is', async t => {
  const folder = await tempDir(t);
  const argv = ['dev', '--http', '127.0.0.1:0', '--data-dir', folder];
  const apart = ['unshare', '--uts', '--ipc', 'sh', '-c', 'hostname apart && exec "$@"', 'sh'];
  const first = launch(t, argv, apart);
  await apiAt(await urlOf(first)).request('POST', '/api/v1/jobs', { ...job('apart'), command: 'exec sleep 1000' });
  await running(apiAt(await urlOf(first)), 'apart');
  await killAlone(first);
  const second = apiAt(await urlOf(launch(t, argv)));
  await running(second, 'apart');
  const script = 'hostname; for each in uts ipc net; do readlink /proc/self/ns/$each; done';
  const place = sitDown(second, 'me/test/apart', { command: ['sh', '-c', script] });
  t.like(await place.ended, { type: 'end', code: 0 });
  const [, host, uts, ipc, net] = await place.shows(/^(\w+)\n(uts:\S+)\n(ipc:\S+)\n(net:\S+)\n/);
  t.is(host, 'apart');
  for (const [name, own] of Object.entries({ uts, ipc })) t.not(own, readlinkSync(`/proc/self/ns/${name}`));
  t.is(net, readlinkSync('/proc/self/ns/net'), 'what it shares with us it shares here too');
  await second.request('POST', '/api/v1/jobs/me/test/apart/kill');
  await until('its end', async () => (await runsOf(second, 'me/test/apart'))[0]?.state === 'killed');
});

test.serial('a terminal that is made larger is larger for what runs in it', async t => {
  await begin('wide', { command: 'exec sleep 1000' });
  const terminal = { rows: 24, columns: 80, term: 'vt100' };
  const place = sitDown(api, 'me/test/wide', { command: ['sh'], terminal, headers: admin });
  place.type('trap "stty size" WINCH; stty size\n');
  await place.shows(/24 80\r\n/);
  (await place.ready)({ rows: 50, columns: 132 });
  place.type('until stty size | grep "^50 132"; do sleep 0.1; done; exit 3\n');
  await place.shows(/50 132\r\n/);
  t.like(await place.ended, { type: 'end', code: 3 });
});

test.serial('who may only look, send, or operate for others is refused, and that is on record', async t => {
  const { run } = await begin('mine', { command: 'exec sleep 1000' });
  for (const name of ['reader', 'sender', 'theirs']) {
    const key = 'me/test/mine';
    const outcome = await sitDown(api, key, { command: ['true'], headers: bearer(name) }).ended;
    const why = `"${name}" lacks the permission "operate" for jobs of role "me"`;
    t.deepEqual(outcome, { type: 'refused', message: `the scheduler answered 403: ${why}` });
    const [row] = await audited();
    t.like(row, { command: 'refuse-session', principal: name, target: key, result: 'not-permitted', detail: why });
  }
  const stranger = await sitDown(api, 'me/test/mine', { command: ['true'], headers: bearer('nobody') }).ended;
  t.regex(stranger.type === 'refused' ? stranger.message : '', /^the scheduler answered 401: these credentials/);
  const outcome = await sitDown(api, 'me/test/mine', { command: ['true'], headers: bearer('mine') }).ended;
  t.like(outcome, { type: 'end', code: 0 });
  const rows = await audited();
  t.like(rows[1], { command: 'begin-session', principal: 'mine', target: `me/test/mine/${run}/0`, result: 'began' });
  t.like(rows[0], { command: 'end-session', principal: 'mine', result: 'ended' });
});
