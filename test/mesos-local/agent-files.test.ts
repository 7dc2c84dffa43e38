// agent-files.test.ts: sandboxes read over HTTP, in the words and bytes of a real agent.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { AgentAway, agentFiles } from '../../mesos/agent-files.ts';
import { agentUsage } from '../../mesos/agent-usage.ts';
import { systemClock } from '../../schedules/clock.ts';
import { until } from '../support/until.ts';
import { command, type Json, post, subscribe } from './support/client.ts';
import { executor, task } from './support/executors.ts';
import { machine } from './support/machine.ts';

test('files are browsed, read and downloaded at the paths of real agents, and nothing outside of a sandbox is', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('plain', 'printf tick; exec sleep 1000'), task('of-ex', executor('ex'))]);
  await scheduler.reached('plain', 'TASK_RUNNING');
  await scheduler.reached('of-ex', 'TASK_RUNNING');
  const sandbox = mesos.sandbox('plain');
  mkdirSync(join(sandbox, 'sub'));
  writeFileSync(join(sandbox, 'sub', 'bin'), Buffer.from([0xff, 0xfe, 0x62, 0x00, 0x78]));
  writeFileSync(join(sandbox, 'data'), 'x'.repeat(70_000));
  symlinkSync('/etc/hostname', join(sandbox, 'out'));
  symlinkSync('sub/bin', join(sandbox, 'in'));
  const { address } = (await scheduler.offer()).url;
  const target = { ...mesos, url: `http://127.0.0.1:${address.port}` };
  const virtual = `/frameworks/${scheduler.framework_id().value}/executors/plain/runs/latest`;
  const get = (what: string, path: string, more = '') =>
    post(target, '', {}, { method: 'GET', path: `/files/${what}?path=${encodeURIComponent(path)}${more}` });
  const read = async (path: string, more = '') => {
    const { status, text } = await get('read', path, more);
    return status === 200 ? (JSON.parse(text) as Json) : `${status} ${text}`;
  };
  t.deepEqual(await read(`${virtual}/data`, '&offset=-1'), { data: '', offset: 70_000 });
  t.deepEqual(await read(`${virtual}/data`), { data: '', offset: 70_000 });
  t.deepEqual(await read(`${virtual}/data`, '&offset=0&length=10'), { data: 'xxxxxxxxxx', offset: 0 });
  t.is((await read(`${virtual}/data`, '&offset=0&length=200000')).data.length, 65_536);
  t.deepEqual(await read(`${virtual}/data`, '&offset=69990&length=-1'), { data: 'xxxxxxxxxx', offset: 69_990 });
  t.deepEqual(await read(`${virtual}/data`, '&offset=80000'), { data: '', offset: 80_000 });
  t.deepEqual(await read(`${virtual}/data`, '&offset=5&length=0'), { data: '', offset: 5 });
  t.deepEqual(await read(`${virtual}/tasks/plain/stdout`, '&offset=0'), { data: 'tick', offset: 0 });
  t.deepEqual(await read(join(sandbox, 'stdout'), '&offset=0'), { data: 'tick', offset: 0 });
  t.is(await read(`${virtual}/data`, '&offset=-2'), '400 Negative offset provided: -2.\n');
  t.is(
    await read(`${virtual}/data`, '&offset=abc'),
    "400 Failed to parse offset: Failed to convert 'abc' to number.\n",
  );
  t.is(await read(`${virtual}/sub`), '400 Cannot read a directory.\n');
  t.is(await read(`${virtual}/nope`), '404 ');
  t.is(await read(`${virtual}/out`), `400 '${virtual}/out' is inaccessible.\n`);
  t.is(await read(`${virtual}/../../agent-id`), '404 ');
  t.is(await read(join(mesos.work_dir, 'executor-key')), '404 ');
  const climbing = `${sandbox}/../../../executor-key`;
  t.is(await read(climbing), `400 '${climbing}' is inaccessible.\n`);
  t.is(await read('/etc/hostname'), '404 ');
  t.is((await post(target, '', {}, { method: 'GET', path: '/files/read' })).text, "Expecting 'path=value' in query.\n");

  const listing: Json[] = JSON.parse((await get('browse', virtual)).text);
  t.deepEqual(
    listing.map(({ path }) => path),
    ['data', 'in', 'out', 'stderr', 'stdout', 'sub'].map(name => `${virtual}/${name}`),
  );
  t.like(listing[0], { mode: '-rw-r--r--', nlink: 1, size: 70_000 });
  t.deepEqual(JSON.parse((await get('browse', `${virtual}/data`)).text), []);
  t.is((await get('browse', `${virtual}/nope`)).status, 404);
  t.is((await get('download', `${virtual}/stdout`)).text, 'tick');
  t.is((await get('download', `${virtual}/sub`)).text, 'Cannot download a directory.\n');

  // An executor's sandbox is its own under its own name, and each of its tasks' under theirs.
  const of_ex = `/frameworks/${scheduler.framework_id().value}/executors`;
  for (const path of [`${of_ex}/ex/runs/latest/events`, `${of_ex}/of-ex/runs/latest/events`])
    t.regex((await read(path, '&offset=0')).data, /LAUNCH of-ex/);

  t.is((await post({ ...target, credentials: undefined }, '', {}, { method: 'GET', path: '/files/read' })).status, 401);
  t.is((await get('read', `${virtual}/data`)).status, 200);
});

test('what reads the agents of a real cluster reads this one', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  const bytes = String.raw`\377\376\000 \303`;
  await scheduler.launch([command('bytes', `printf '${bytes}'; exec sleep 1000`)]);
  await scheduler.reached('bytes', 'TASK_RUNNING');
  await scheduler.offer();
  const { principal, secret } = mesos.credentials!;
  const basic = `Basic ${Buffer.from(`${principal}:${secret}`).toString('base64')}`;
  const reading = (headers: Record<string, string>) => {
    const files = agentFiles({
      clock: systemClock(),
      master: () => undefined,
      master_headers: () => ({}),
      agent_headers: () => headers,
    });
    files.heard(scheduler.events);
    return files.open(mesos.agent.id, 'bytes', 'stdout');
  };
  const file = await reading({ authorization: basic });
  t.deepEqual([...(await file!.read(0, 100))], [0xff, 0xfe, 0x00, 0x20, 0xc3]);
  await t.throwsAsync(reading({}), { instanceOf: AgentAway, message: /shows files only to whom it knows \(401\)/ });
});

test('what asks the agents of a real cluster what tasks use asks this one, which tells all their life', async t => {
  const mesos = await machine(t, { limits: { limits: 'sampled', usage_ms: 50, disk_ms: 50 } });
  const scheduler = await subscribe(mesos);
  await scheduler.launch([command('busy', 'while :; do :; done')]);
  await scheduler.reached('busy', 'TASK_RUNNING');
  await scheduler.offer();
  const { principal, secret } = mesos.credentials!;
  const basic = `Basic ${Buffer.from(`${principal}:${secret}`).toString('base64')}`;
  const usages = (headers: Record<string, string>) => {
    const clock = systemClock();
    const ways = { master: () => undefined, master_headers: () => ({}), agent_headers: () => headers };
    const files = agentFiles({ clock, ...ways });
    files.heard(scheduler.events);
    return agentUsage(files, clock);
  };
  const known = usages({ authorization: basic });
  const told = await until('some CPU', async () => {
    const usage = await known.of(mesos.agent.id, 'busy');
    return usage !== undefined && (usage.points.at(-1)?.cpu_s ?? 0) > 0.1 ? usage : undefined;
  });
  t.like(told, { since: 'agent', limits: { cpus: 0.1, mem_bytes: 32 << 20 } });
  t.true(told.points.length > 1);
  t.is(await known.of(mesos.agent.id, 'nobody'), undefined);
  const stranger = usages({}).of(mesos.agent.id, 'busy');
  await t.throwsAsync(stranger, {
    instanceOf: AgentAway,
    message: /tells what tasks use only to whom it knows \(401\)/,
  });
});
