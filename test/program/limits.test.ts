// limits.test.ts: what a task uses and may use, through the whole program: told by the API, and ended with a reason of its own.

import { chmodSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { as_root, testWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Api, type Reason, type RunAnswer, runsOf, startHorae } from './horae.ts';

type UsageAnswer = {
  readonly since: string;
  readonly limits: object;
  readonly points: readonly { readonly cpu_s: number; readonly rss_bytes: number; readonly disk_bytes: number }[];
};
const base = { role: 'me', environment: 'test' };
const looking = ['--usage-interval-ms', '50', '--disk-interval-ms', '50'];

const submit = async (api: Api, job: object) => {
  const { status, text } = await api.request('POST', '/api/v1/jobs', { ...base, ...job });
  if (status !== 201) throw new Error(`${status} ${text}`);
};
const runIn = (api: Api, name: string, ...states: string[]) =>
  until<RunAnswer | undefined>(`${name} to be ${states}`, async () =>
    (await runsOf(api, `me/test/${name}`)).find(({ state }) => states.includes(state)),
  );

test('the API tells what a task uses while it runs, and for a while when it has ended', async t => {
  const { api } = await startHorae(t, await tempDir(t), looking);
  const eat = 'dd if=/dev/zero of=f bs=1M count=3 2>/dev/null; x=$(head -c 20000000 /dev/zero | tr "\\0" a)';
  await submit(api, { name: 'uses', command: `${eat}; while :; do :; done`, mem: 64, disk: 50, cpus: 0.5 });
  const { run } = await runIn(api, 'uses', 'running');
  const path = `/api/v1/jobs/me/test/uses/runs/${run}/instances/0/usage`;
  const used = async () => {
    const { status, body } = await api.request('GET', path);
    return status === 200 ? (body() as UsageAnswer) : undefined;
  };
  const seen = await until('20 MB, 3 MB and some CPU', async () => {
    const told = await used();
    const last = told?.points.at(-1);
    if (last === undefined) return undefined;
    return last.rss_bytes > 20e6 && last.disk_bytes > 3 << 20 && last.cpu_s > 0.2 ? told : undefined;
  });
  t.like(seen, { index: 0, attempt: 1, since: 'agent' });
  t.deepEqual(seen.limits, { cpus: 0.51, mem_bytes: 96 << 20, disk_bytes: 51 << 20 });
  t.true(seen.points.length > 1);
  t.is((await api.request('GET', path.replace('/instances/0/', '/instances/7/'))).status, 404);
  t.is((await api.request('GET', `${path}?attempt=9`)).status, 404);
  await api.request('POST', '/api/v1/jobs/me/test/uses/kill');
  await runIn(api, 'uses', 'killed');
  t.true((await used())!.points.at(-1)!.cpu_s >= seen.points.at(-1)!.cpu_s);
});

test('a task over its memory or its disk failed for that reason, and says how much it was', async t => {
  const { api } = await startHorae(t, await tempDir(t), looking);
  const hungry = 'x=$(head -c 150000000 /dev/zero | tr "\\0" a); sleep 1000';
  await submit(api, { name: 'memory', command: hungry, mem: 16 });
  await submit(api, { name: 'disk', command: 'dd if=/dev/zero of=f bs=1M count=9; sleep 1000', mem: 64, disk: 4 });
  for (const [name, words] of [
    ['memory', /Memory limit exceeded: Requested: 48MB Maximum Used: \d+MB$/],
    ['disk', /Disk usage \(\d+KB\) exceeds quota \(5MB\)$/],
  ] as const) {
    const { instances } = await runIn(api, name, 'failed');
    const reason = instances[0]!.reason as Reason & { message: string };
    t.is(reason.code, 'over-limit');
    t.regex(reason.message, words);
  }
});

const asRoot = testWith(as_root);
asRoot('as root a job names the user as whom it runs, and what each of its processes may take', async t => {
  const data_dir = await tempDir(t);
  const { api } = await startHorae(t, data_dir, looking);
  const command = 'id -un; ulimit -n; pwd';
  const message = async (name: string) => {
    const { instances } = await runIn(api, name, 'failed');
    return (instances[0]!.reason as Reason & { message?: string }).message ?? '';
  };
  await submit(api, { name: 'shut-out', command, user: 'nobody' });
  t.regex(await message('shut-out'), /user nobody cannot reach .*mode 700; expected one that lets others pass/);
  chmodSync(data_dir, 0o711);
  await submit(api, { name: 'his', command, user: 'nobody', rlimits: { nofile: 77 } });
  await submit(api, { name: 'whose', command, user: 'no-such-user' });
  const { run } = await runIn(api, 'his', 'succeeded', 'failed');
  const log = await api.request('GET', `/api/v1/jobs/me/test/his/runs/${run}/logs/0/stdout`);
  t.regex(log.text, /^nobody\n77\n\//);
  t.regex(await message('whose'), /there is no user no-such-user on this machine/);
});

asRoot(
  'a directory that Horae makes for its data lets users pass to their sandboxes, and see nothing else',
  async t => {
    const home = await tempDir(t);
    chmodSync(home, 0o711);
    const data_dir = join(home, 'horae', 'data');
    const { api } = await startHorae(t, data_dir, looking);
    const see = (path: string) => `ls ${join(data_dir, path)}`;
    const peeks = ['', 'journal', 'agent', 'agent/meta', 'agent/sandboxes'].map(see);
    await submit(api, { name: 'his', command: `touch mine && ! { ${peeks.join(' || ')}; }`, user: 'nobody' });
    const { state } = await runIn(api, 'his', 'succeeded', 'failed');
    t.is(state, 'succeeded');
    for (const entry of readdirSync(data_dir)) {
      const { mode } = statSync(join(data_dir, entry));
      t.is(mode & 0o066, 0, `${entry} has mode ${(mode & 0o777).toString(8)}`);
    }
  },
);

test('a sandbox that is in the way of the living goes, and it stands written when and why', async t => {
  const data_dir = await tempDir(t);
  const flags = ['--sandbox-look-ms', '50', '--sandbox-free-percent', '99'];
  const { api } = await startHorae(t, data_dir, flags);
  await submit(api, { name: 'lives', command: 'sleep 1000' });
  await submit(api, { name: 'ends', command: 'head -c 100000 /dev/zero' });
  const { run } = await runIn(api, 'ends', 'succeeded');
  const { run: alive } = await runIn(api, 'lives', 'running');
  type Row = { readonly why: string; readonly bytes: number; readonly tasks: readonly object[] };
  const swept = await until('its sandbox to go', async () => {
    const told = (await api.get('/api/v1/sandboxes/swept')) as { readonly swept: readonly Row[] };
    return told.swept.length > 0 ? told : undefined;
  });
  t.like(swept, { kept_by: 'horae', rules: { sandboxes_max: 1_000, days: 7, free_percent: 99 } });
  const [row] = swept.swept;
  t.is(row!.why, 'disk');
  t.true(row!.bytes >= 100_000);
  t.like(row!.tasks[0], { job: 'me/test/ends', run, index: 0, attempt: 1 });
  t.is((await api.request('GET', `/api/v1/jobs/me/test/ends/runs/${run}/logs/0/stdout`)).status, 404);
  t.is((await api.request('GET', `/api/v1/jobs/me/test/lives/runs/${alive}/logs/0/stdout`)).status, 200);
  await api.request('POST', '/api/v1/jobs/me/test/lives/kill');
  await runIn(api, 'lives', 'killed');
});
