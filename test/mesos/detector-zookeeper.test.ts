// detector-zookeeper.test.ts: masters found in a real ZooKeeper, as they come, go and are cut off; by the real program too.

import { connect } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { watchLeader } from '../../mesos/leader-watch.ts';
import { systemClock } from '../../schedules/clock.ts';
import { connectZooKeeper, type ZooKeeper } from '../../transport/zookeeper/client.ts';
import { runsOf } from '../program/horae.ts';
import { killAlone, launchServe, startMesos, startServe } from '../program/serving.ts';
import { endOf } from '../support/child.ts';
import { testWith } from '../support/needs.ts';
import { fileOwner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { startProxy, startZooKeeper, zookeeper } from '../support/zookeeper.ts';
import { masterInfo } from './support/zookeeper.ts';

const testZooKeeper = testWith(zookeeper);
const owner = fileOwner();
const ensemble = zookeeper === undefined ? undefined : await startZooKeeper(owner);
test.after.always(owner.clean);
const clock = systemClock();
let paths = 0;
/** No machine stands still for so long. */
const long_ms = 600_000;

/** A master as far as ZooKeeper sees it: a session, and the node that lives as long. */
async function master(t: ExecutionContext, path: string, port: number): Promise<ZooKeeper> {
  const session = connectZooKeeper({ servers: ensemble!.servers, session_timeout_ms: long_ms, clock });
  t.teardown(() => session.close());
  await session.mkdirs(path);
  await session.create(`${path}/json.info_`, Buffer.from(masterInfo(port)), { ephemeral: true, sequential: true });
  return session;
}

function watching(t: ExecutionContext, path: string, servers = ensemble!.servers, session_timeout_ms = long_ms) {
  const found: string[] = [];
  const sessions: ZooKeeper[] = [];
  const said: string[] = [];
  const tell = (_: object, message: string) => void said.push(message);
  const watch = watchLeader({
    connect() {
      const session = connectZooKeeper({ servers, session_timeout_ms, call_timeout_ms: 1_000, clock });
      sessions.push(session);
      return session;
    },
    path,
    scheme: 'http',
    clock,
    log: { info: tell, warn: tell, error: tell },
    found: leader => void found.push(leader.url),
  });
  t.teardown(() => watch.close());
  return {
    found,
    sessions,
    leads: (port: number) => until(`${port} leads`, () => found.at(-1) === `http://127.0.0.1:${port}`),
    says: (what: RegExp) => until(String(what), () => said.some(line => what.test(line))),
  };
}

/** The sessions that a server keeps, in its own words. */
async function sessionsOf(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.end('dump');
  let said = '';
  for await (const piece of socket) said += String(piece);
  return said;
}

testZooKeeper(
  'masters are followed as their sessions come and go, from a path that was not there at first',
  async t => {
    const path = `/mesos-${paths++}/prod`;
    const { found, says, leads } = watching(t, path);
    await says(/there is no \/mesos-\d+\/prod in zookeeper/);
    const first = await master(t, path, 5050);
    await leads(5050);
    const second = await master(t, path, 5051);
    await master(t, path, 5052);
    await second.close();
    await first.close();
    await leads(5052);
    t.deepEqual(found, ['http://127.0.0.1:5050', 'http://127.0.0.1:5052']);
  },
);

testZooKeeper(
  'whoever is cut off from zookeeper, even beyond the end of the session, sees on return who leads then',
  async t => {
    const path = `/mesos-${paths++}`;
    const cable = await startProxy(t, ensemble!.members[0]!.port);
    const first = await master(t, path, 5050);
    const { leads, says, found, sessions } = watching(t, path, cable.address, 2_000);
    await leads(5050);
    const ours = `0x${sessions[0]!.session_id().replace(/^0+/, '')}`;
    const [server] = ensemble!.members;
    t.true((await sessionsOf(server!.port)).includes(ours));
    cable.stall();
    await says(/zookeeper is away/);
    await master(t, path, 5051);
    await first.close();
    await until('zookeeper to have forgotten us', async () => !(await sessionsOf(server!.port)).includes(ours));
    t.deepEqual(found, ['http://127.0.0.1:5050']);
    cable.mend();
    await leads(5051);
    t.true(sessions.length > 1);
  },
);

testZooKeeper('the program follows the leader: tasks go where it leads, and the framework stays the same', async t => {
  t.timeout(120_000);
  const directory = await tempDir(t);
  const path = `/mesos-${paths++}`;
  const zk = `zk://${ensemble!.servers}${path}`;
  const waiting = launchServe(t, zk, join(directory, 'early'));
  await waiting.line(new RegExp(`there is no ${path} in zookeeper: waiting`));
  waiting.send('SIGTERM');
  t.deepEqual(await endOf(waiting), { status: 0, signal: null });

  const mesos = await Promise.all([0, 1].map(n => startMesos(t, join(directory, `mesos-${n}`))));
  const ports = mesos.map(({ url }) => Number(new URL(url).port)) as [number, number];
  const first = await master(t, path, ports[0]);
  await master(t, path, ports[1]);
  const { child, api } = await startServe(t, zk, join(directory, 'data'));
  const ran = async (name: string) => {
    const body = { role: 'me', environment: 'test', name, command: 'true' };
    t.is((await api.request('POST', '/api/v1/jobs', body)).status, 201);
    const key = `me/test/${name}`;
    await until(`${name} to succeed`, async () => (await runsOf(api, key))[0]?.state === 'succeeded');
    return (await runsOf(api, key))[0]!.instances[0]!;
  };
  const one = await ran('one');
  await killAlone(mesos[0]!.child);
  await first.close();
  await child.line(new RegExp(`"master":"http://127.0.0.1:${ports[1]}".*a master leads`));
  const two = await ran('two');
  t.not(Reflect.get(one, 'agent_id'), Reflect.get(two, 'agent_id'));
  const ids = new Set(child.output().match(/"framework":"[^"]+","master":/g));
  t.is(ids.size, 1);
});
