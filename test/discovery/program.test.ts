// program.test.ts: the real program announces real services in a real ZooKeeper: when they are well, and until they are to go.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../../schedules/clock.ts';
import { connectZooKeeper } from '../../transport/zookeeper/client.ts';
import { type Api, type Running, runsOf, startHorae } from '../program/horae.ts';
import { freePort } from '../support/free-port.ts';
import { serialWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { deadline_ms_default, until as soon } from '../support/until.ts';
import { startZooKeeper, zookeeper } from '../support/zookeeper.ts';
import { commandOf, lastWords, observe, portsIn, sicknessOf, witness } from './support.ts';

const testZooKeeper = serialWith(zookeeper);
const owner = fileOwner();
const directory = await tempDir(owner);
const ensemble = zookeeper === undefined ? undefined : await startZooKeeper(owner);
const ports = await Promise.all(Array.from({ length: 6 }, freePort));
test.after.always(owner.clean);
const servers = ensemble?.servers ?? '';
/** On a machine where everybody tests the executor is packed slowly. */
const until: typeof soon = (what, probe) => soon(what, probe, 4 * deadline_ms_default);
const clock = systemClock();

const start = (name: string): Promise<Running> =>
  startHorae(owner, join(directory, name), [
    ...['--agent-resources', `cpus:4;mem:4000;disk:10000;ports:[${ports.map(port => `${port}-${port}`).join(',')}]`],
    ...['--serversets-zk', `${servers}/${name}`],
    ...['--zk-session-timeout-ms', '4000', '--withdraw-wait-ms', '600000'],
  ]);
const watch = () => {
  const zk = connectZooKeeper({ servers, session_timeout_ms: 60_000, clock });
  owner.teardown(() => zk.close());
  return zk;
};
const submit = async (api: Api, name: string, more: object) => {
  const { status, text } = await api.request('POST', '/api/v1/jobs', {
    ...{ role: 'me', environment: 'test', name, service: true, mem: 64, retry_delay_ms: 100, kill_grace_ms: 10_000 },
    ...{ announce: { portmap: { aurora: 'http' } }, ...more },
  });
  if (status !== 201) throw new Error(`${status} ${text}`);
};
const instances = async (api: Api, name: string) => (await runsOf(api, `me/test/${name}`))[0]?.instances ?? [];

testZooKeeper(
  'case 134: a service is announced when it is well, not before; it is off the list while it is sick, and before SIGTERM',
  async t => {
    const zk = watch();
    const { child, api } = await start('checked');
    const one = witness(await tempDir(t));
    const sickness = sicknessOf(one, 0);
    const list = '/checked/me/test/checked';
    writeFileSync(sickness, '');
    await submit(api, 'checked', {
      processes: [{ name: 'serve', command: commandOf(one, servers, list) }],
      health_check: {
        checker: { type: 'http', port: 'http', path: '/' },
        ...{ interval_ms: 200, initial_interval_ms: 0, timeout_ms: 10_000, max_consecutive_failures: 1_000 },
      },
    });
    await until('it to be asked how it is', async () => {
      const [first] = (await instances(api, 'checked')) as unknown as { task?: { health?: { attempts: number } } }[];
      return (first?.task?.health?.attempts ?? 0) >= 2;
    });
    t.is((await instances(api, 'checked'))[0]!.state, 'starting');
    t.falsy((await portsIn(zk, list))?.length);
    rmSync(sickness);
    const [port] = await until(
      () => `it to be announced. It said:\n${child.output().split('\n').slice(-25).join('\n')}`,
      async () => {
        const found = await portsIn(zk, list);
        return found !== undefined && found.length === 1 && found;
      },
    );
    t.is((await fetch(`http://127.0.0.1:${port}/`)).status, 200, 'whoever finds it is served');
    writeFileSync(sickness, '');
    await until('nobody to be sent to it', async () => (await portsIn(zk, list))?.length === 0);
    t.is((await instances(api, 'checked'))[0]!.state, 'running', 'it is given time');
    rmSync(sickness);
    await until('it to be back', async () => (await portsIn(zk, list))?.length === 1);

    // Killed by the scheduler: it is off the list before it hears of it.
    t.is((await api.request('DELETE', '/api/v1/jobs/me/test/checked')).status, 204);
    const [word] = await until('its last word', () => lastWords(one).length > 0 && lastWords(one));
    t.deepEqual(word, { port: port!, found: [] });
    const { text } = await api.request('GET', '/metrics');
    t.regex(text, /horae_serverset_withdrawals_total\{answer="gone"\} 1/);
    const health = (await api.get('/api/v1/health')) as { serversets: { status: string; waiting: number } };
    t.like(health.serversets, { status: 'ok', waiting: 0 });
    child.send('SIGTERM');
    await child.ended;
  },
);

testZooKeeper(
  'a plain command too is off the list before SIGTERM; members outlive the scheduler and its ZooKeeper',
  async t => {
    const zk = watch();
    let horae = await start('plain');
    const one = witness(await tempDir(t));
    const list = '/plain/me/test/plain';
    await submit(horae.api, 'plain', { command: commandOf(one, servers, list), instances: 2 });
    const two = await until('both to be announced', async () => {
      const found = await portsIn(zk, list);
      return found?.length === 2 && [...found].sort();
    });
    const seen = observe(t, zk, list);
    horae.child.send('SIGKILL');
    await horae.child.ended;
    t.deepEqual([...(await portsIn(zk, list))!].sort(), two, 'nobody is there, and they are found');
    horae = await start('plain');
    await ensemble!.members[0]!.kill();
    // Instance 1 is no longer wanted, while ZooKeeper is away: the end of it waits for that.
    const job = JSON.parse((await horae.api.request('GET', '/api/v1/jobs/me/test/plain')).text) as { job: object };
    const put = await horae.api.request(
      'PUT',
      '/api/v1/jobs/me/test/plain',
      { ...job.job, instances: 1 },
      { 'if-match': '*' },
    );
    t.is(put.status, 200, put.text);
    await until('it to be said that ZooKeeper is away', async () => {
      const { serversets } = (await horae.api.get('/api/v1/health')) as { serversets: { status: string } };
      return serversets.status === 'away';
    });
    t.deepEqual(lastWords(one), []);
    await ensemble!.members[0]!.start();
    await ensemble!.members[0]!.serving();
    const [word] = await until('the last word of one', () => lastWords(one).length > 0 && lastWords(one));
    t.deepEqual(
      word?.found,
      two.filter(port => port !== word?.port),
    );
    await until('it to be seen', () => seen.looks() >= 2);
    t.is(seen.fewest(), 1, 'there was always somebody');
    t.is((await horae.api.request('DELETE', '/api/v1/jobs/me/test/plain')).status, 204);
    await until('the list to go with its job', async () => (await portsIn(zk, list)) === undefined);
    t.deepEqual(
      lastWords(one)
        .map(({ found }) => found?.length)
        .sort(),
      [0, 1],
    );
    horae.child.send('SIGTERM');
    await horae.child.ended;
  },
);
