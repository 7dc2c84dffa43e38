// input.test.ts: nodes that are set up wrongly: a clear word, and nothing overwritten.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../../schedules/clock.ts';
import { connectZooKeeper, type ZooKeeper } from '../../transport/zookeeper/client.ts';
import { apiAt } from '../program/horae.ts';
import { launch } from '../program/serving.ts';
import { endOf } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { serialWith } from '../support/needs.ts';
import { fileOwner, type Owner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Ensemble, startZooKeeper, zookeeper } from '../support/zookeeper.ts';

const testCluster = serialWith(zookeeper);
const owner = fileOwner();
let ensemble: Ensemble;
let directory: string;
let key_file: string;
const words_ms_max = 90_000;

test.before(async () => {
  directory = await tempDir(owner);
  key_file = join(directory, 'key');
  writeFileSync(key_file, randomBytes(32).toString('hex'));
  if (zookeeper === undefined) return;
  ensemble = await startZooKeeper(owner);
});
test.after.always(owner.clean);

let count = 0;
type Wishes = {
  readonly path: string;
  readonly flags?: readonly string[];
  readonly data?: string;
  readonly port?: number;
  /** Others than those of this file. */
  readonly servers?: string;
};
/** A node whose Mesos is not there: it gets as far as the cluster lets it. */
const node = (t: Owner, { path, flags = [], data = `data-${count++}`, port = 0, servers = ensemble.servers }: Wishes) =>
  launch(t, [
    ...['serve', '--mesos', 'http://127.0.0.1:1', '--http', `127.0.0.1:${port}`, '--data-dir', join(directory, data)],
    ...['--zk', `${servers}${path}`, '--cluster-key-file', key_file, '--zk-session-timeout-ms', '4000', ...flags],
  ]);
const ends = async (t: Owner, wishes: Wishes) => {
  const child = node(t, wishes);
  const { status } = await endOf(child, words_ms_max);
  // Log lines are JSON: quotes in them are escaped.
  return { status, said: child.output().replaceAll('\\"', '"') };
};
/** A session of our own for a moment: a long one would not survive a machine that stands still. */
async function inZooKeeper<T>(
  use: (zk: ZooKeeper) => Promise<T>,
  auth?: string,
  servers = ensemble.servers,
): Promise<T> {
  const zk = connectZooKeeper({
    servers,
    session_timeout_ms: 60_000,
    ...(auth === undefined ? {} : { auth: { scheme: 'digest', id: auth } }),
    clock: systemClock(),
  });
  try {
    return await use(zk);
  } finally {
    await zk.close();
  }
}
/** Makes a node with those above it, and says something there. */
const write = (path: string, text = '') =>
  inZooKeeper(async zk => {
    await zk.mkdirs(path);
    await zk.set(path, Buffer.from(text));
  });
/** Everything below a path, as text. */
const tree = (path: string) => inZooKeeper(zk => readTree(zk, path));
const readTree = async (zk: ZooKeeper, path: string): Promise<Record<string, string>> => {
  const found = await zk.get(path);
  const all: Record<string, string> = { [path]: Buffer.from(found?.data ?? []).toString() };
  for (const name of (await zk.children(path)) ?? []) Object.assign(all, await readTree(zk, `${path}/${name}`));
  return all;
};

test('what a node needs is asked for before it begins, with what would be right', async t => {
  const short = join(directory, 'short');
  writeFileSync(short, 'secret\n');
  const mesos = [
    'serve',
    '--mesos',
    'http://127.0.0.1:1',
    '--http',
    '127.0.0.1:0',
    '--data-dir',
    join(directory, 'none'),
  ];
  for (const [flags, said] of [
    [['--zk', 'h1:2181/horae'], /--zk is given without --cluster-key-file: expected both/],
    [['--zk', 'h1:2181', '--cluster-key-file', key_file], /--zk is "h1:2181": expected servers and a path/],
    [['--zk', 'h1:x/horae', '--cluster-key-file', key_file], /invalid ZooKeeper server "h1:x": expected host:port/],
    [['--zk', 'h1:1/horae', '--cluster-key-file', short], /it holds 6 characters: expected at least 32/],
    [['--zk', 'h1:1/horae', '--cluster-key-file', `${short}-no`], /--cluster-key-file is .*: there is no such file/],
    [['--zk', 'h1:1/h', '--cluster-key-file', key_file, '--zk-auth-file', short], /expected USER:PASSWORD on one line/],
    [
      ['--zk', 'h1:1/h', '--cluster-key-file', key_file, '--cluster-ca', `${short}-no`],
      /--cluster-ca is .*no such file/,
    ],
  ] as const) {
    const child = launch(t, [...mesos, ...flags]);
    const { status } = await endOf(child, words_ms_max);
    t.not(status, 0);
    t.regex(child.output(), said);
  }
});

testCluster('a path that holds something else is refused, and stays as it was', async t => {
  await write('/kafka/brokers/ids');
  await write('/kafka/brokers', 'theirs');
  const before = await tree('/kafka');
  const { status, said } = await ends(t, { path: '/kafka' });
  t.is(status, 1);
  t.regex(said, /\/kafka holds "brokers" but no journal of Horae: expected an empty node or a cluster's/);
  t.deepEqual(await tree('/kafka'), before);
});

testCluster('a tree of a newer version is refused, and stays as it was', async t => {
  await write(
    '/newer/cluster',
    JSON.stringify({ horae: 'journal of a Horae cluster', format: 99, id: 'x', name: 'horae' }),
  );
  const before = await tree('/newer');
  const { status, said } = await ends(t, { path: '/newer' });
  t.is(status, 1);
  t.regex(said, /has format 99: this version of Horae knows formats up to/);
  t.deepEqual(await tree('/newer'), before);
});

testCluster(
  'two clusters on one path, and a node on the path of another cluster: refused, and nothing overwritten',
  async t => {
    const port = await freePort();
    const first = node(t, { path: '/one', data: 'first', port });
    const api = apiAt(`http://127.0.0.1:${port}`);
    await first.line(/Console: /, words_ms_max);
    await until('it to lead', async () => (await api.request('GET', '/leaderhealth')).status === 200);
    const job = { role: 'me', environment: 'test', name: 'never', command: 'true', cron: '0 0 29 2 *' };
    t.is((await api.request('POST', '/api/v1/jobs', job)).status, 201);
    const other = await ends(t, { path: '/one', flags: ['--cluster-name', 'staging'] });
    t.is(other.status, 1);
    t.regex(other.said, /\/one belongs to the cluster "horae": expected "staging"; two clusters need two paths/);
    first.send('SIGTERM');
    t.is((await endOf(first, words_ms_max)).status, 0);
    // What has been part of one cluster is not taken to another by a slip in --zk.
    await write('/two');
    const strayed = await ends(t, { path: '/two', data: 'first' });
    t.is(strayed.status, 1);
    t.regex(strayed.said, /\/two holds no journal, but this node belongs to the cluster/);
    t.deepEqual(Object.keys(await tree('/two')), ['/two']);
    const again = node(t, { path: '/one', data: 'first', port });
    await again.line(/Console: /, words_ms_max);
    await until('it to lead', async () => (await api.request('GET', '/leaderhealth')).status === 200);
    t.is((await api.request('GET', '/api/v1/jobs/me/test/never')).status, 200);
  },
);

testCluster(
  'without rights, or without ZooKeeper, a node says so, answers reads, refuses writes, and goes on when it may',
  async t => {
    const { ports, away } = { ports: [await freePort(), await freePort()] as const, away: await freePort() };
    await inZooKeeper(zk => zk.create('/locked', new Uint8Array()), 'ann:secret');
    const locked = node(t, { path: '/locked/horae', port: ports[0], flags: ['--leader-wait-ms', '500'] });
    await locked.line(/ZooKeeper refuses us rights at \/locked\/horae/, words_ms_max);
    const lost = launch(t, [
      ...[
        'serve',
        '--mesos',
        'http://127.0.0.1:1',
        '--http',
        `127.0.0.1:${ports[1]}`,
        '--data-dir',
        join(directory, 'lost'),
      ],
      ...['--zk', `127.0.0.1:${away}/horae`, '--cluster-key-file', key_file, '--zk-session-timeout-ms', '1000'],
      ...['--leader-wait-ms', '500'],
    ]);
    await lost.line(/ZooKeeper cannot be reached at 127\.0\.0\.1:/, words_ms_max);
    for (const port of ports) {
      const api = apiAt(`http://127.0.0.1:${port}`);
      t.is((await api.request('GET', '/api/v1/jobs')).status, 200);
      t.is((await api.request('GET', '/leaderhealth')).status, 503);
      const job = { role: 'me', environment: 'test', name: 'never', command: 'true' };
      const refused = await api.request('POST', '/api/v1/jobs', job);
      t.is(refused.status, 503);
      t.is((refused.body() as { type: string }).type, 'urn:horae:problem:no-leader');
    }
    await inZooKeeper(zk => zk.delete('/locked'), 'ann:secret');
    await write('/locked');
    const api = apiAt(`http://127.0.0.1:${ports[0]}`);
    await until('it to lead after all', async () => (await api.request('GET', '/leaderhealth')).status === 200, 60_000);
    for (const child of [locked, lost]) {
      child.send('SIGTERM');
      t.is((await endOf(child, words_ms_max)).status, 0);
    }
  },
);

testCluster(
  'two clusters of one name on one path: the one that came second has another key, is refused, and takes nothing over',
  async t => {
    const port = await freePort();
    const api = apiAt(`http://127.0.0.1:${port}`);
    const first = node(t, { path: '/same', data: 'same', port });
    await first.line(/Console: /, words_ms_max);
    await until('it to lead', async () => (await api.request('GET', '/leaderhealth')).status === 200);
    const other_key = join(directory, 'key-of-another');
    writeFileSync(other_key, randomBytes(32).toString('hex'));
    const flags = ['--cluster-key-file', other_key];
    const refused = /\/same\/key says that the nodes of \/same have another --cluster-key-file/;
    const second = await ends(t, { path: '/same', flags });
    t.is(second.status, 1);
    t.regex(second.said, refused);
    // Nor when nobody is there to object.
    first.send('SIGTERM');
    t.is((await endOf(first, words_ms_max)).status, 0);
    const before = await tree('/same');
    const third = await ends(t, { path: '/same', flags });
    t.is(third.status, 1);
    t.regex(third.said, refused);
    t.deepEqual(await tree('/same'), before);
    // A key that was changed on every node is made known by taking the old one's mark away.
    await inZooKeeper(zk => zk.delete('/same/key'));
    const changed = node(t, { path: '/same', data: 'same', port, flags });
    await changed.line(/Console: /, words_ms_max);
    await until('it to lead', async () => (await api.request('GET', '/leaderhealth')).status === 200, words_ms_max);
  },
);

testCluster(
  'a wrong ensemble, be it no ZooKeeper at all or that of another cluster: said, and nothing is written there',
  async t => {
    const web = createServer((_, response) => response.end('hello'));
    web.listen(0, '127.0.0.1');
    await once(web, 'listening');
    t.teardown(() => void web.close());
    const mute = createTcpServer(() => undefined);
    mute.listen(0, '127.0.0.1');
    await once(mute, 'listening');
    t.teardown(() => void mute.close());
    for (const server of [web, mute]) {
      const { port } = server.address() as AddressInfo;
      const servers = `127.0.0.1:${port}`;
      const child = node(t, { path: '/horae', servers, flags: ['--zk-session-timeout-ms', '1000'] });
      await child.line(new RegExp(`ZooKeeper cannot be reached at ${servers}`), words_ms_max);
      child.send('SIGTERM');
      t.is((await endOf(child, words_ms_max)).status, 0);
    }
    // Somebody else's: the name is another, or this node has been part of another cluster.
    const theirs = { horae: 'journal of a Horae cluster', format: 1, id: 'theirs', name: 'production' };
    await write('/theirs/cluster', JSON.stringify(theirs));
    const before = await tree('/theirs');
    const { status, said } = await ends(t, { path: '/theirs' });
    t.is(status, 1);
    t.regex(said, /\/theirs belongs to the cluster "production": expected "horae"/);
    t.deepEqual(await tree('/theirs'), before);
  },
);

testCluster(
  'servers whose jute.maxbuffer is smaller than a segment: the node says what to set, writes nothing, and answers reads',
  async t => {
    const small = await startZooKeeper(t, { jute_maxbuffer: 200_000 });
    const port = await freePort();
    const child = node(t, { path: '/horae', servers: small.servers, port, flags: ['--leader-wait-ms', '500'] });
    await child.line(/breaks the connection at packets of \d+ bytes.*set jute\.maxbuffer to 1048575/, words_ms_max);
    const api = apiAt(`http://127.0.0.1:${port}`);
    t.is((await api.request('GET', '/api/v1/jobs')).status, 200);
    const job = { role: 'me', environment: 'test', name: 'never', command: 'true' };
    t.is((await api.request('POST', '/api/v1/jobs', job)).status, 503);
    t.deepEqual(await inZooKeeper(zk => zk.children('/horae/segments'), undefined, small.servers), []);
  },
);

testCluster('nodes of one name are not linked, and say why', async t => {
  const ports = [await freePort(), await freePort()] as const;
  const [leader, ...others] = ports.map(port => apiAt(`http://127.0.0.1:${port}`));
  node(t, { path: '/keys', port: ports[0], flags: ['--node-id', 'a'] });
  await until(
    'it to lead',
    async () => (await leader!.request('GET', '/leaderhealth').catch(() => undefined))?.status === 200,
    words_ms_max,
  );
  const twin = node(t, { path: '/keys', port: ports[1], flags: ['--node-id', 'a', '--leader-wait-ms', '500'] });
  await twin.line(/another node calls itself as we do/, words_ms_max);
  const job = { role: 'me', environment: 'test', name: 'never', command: 'true' };
  for (const api of others) t.is((await api!.request('POST', '/api/v1/jobs', job)).status, 503);
  t.is((await leader!.request('GET', '/api/v1/jobs/me/test/never')).status, 404);
});
