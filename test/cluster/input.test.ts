// input.test.ts: nodes that are set up wrongly: a clear word, and nothing overwritten.

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../../schedules/clock.ts';
import { connectZooKeeper, type ZooKeeper } from '../../transport/zookeeper/client.ts';
import { apiAt } from '../program/horae.ts';
import { launch } from '../program/serving.ts';
import { endOf } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import { serialWith } from '../support/needs.ts';
import { type Owner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Ensemble, fileOwner, startZooKeeper, zookeeper } from '../support/zookeeper.ts';

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
};
/** A node whose Mesos is not there: it gets as far as the cluster lets it. */
const node = (t: Owner, { path, flags = [], data = `data-${count++}`, port = 0 }: Wishes) =>
  launch(t, [
    ...['serve', '--mesos', 'http://127.0.0.1:1', '--http', `127.0.0.1:${port}`, '--data-dir', join(directory, data)],
    ...[
      '--zk',
      `${ensemble.servers}${path}`,
      '--cluster-key-file',
      key_file,
      '--zk-session-timeout-ms',
      '4000',
      ...flags,
    ],
  ]);
const ends = async (t: Owner, wishes: Wishes) => {
  const child = node(t, wishes);
  const { status } = await endOf(child, words_ms_max);
  // Log lines are JSON: quotes in them are escaped.
  return { status, said: child.output().replaceAll('\\"', '"') };
};
/** A session of our own for a moment: a long one would not survive a machine that stands still. */
async function inZooKeeper<T>(use: (zk: ZooKeeper) => Promise<T>, auth?: string): Promise<T> {
  const zk = connectZooKeeper({
    servers: ensemble.servers,
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

testCluster('nodes with different keys, or one name, are not linked, and both say why', async t => {
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const [leader, ...others] = ports.map(port => apiAt(`http://127.0.0.1:${port}`));
  const first = node(t, { path: '/keys', port: ports[0], flags: ['--node-id', 'a'] });
  await until(
    'it to lead',
    async () => (await leader!.request('GET', '/leaderhealth').catch(() => undefined))?.status === 200,
    words_ms_max,
  );
  const other_key = join(directory, 'other-key');
  writeFileSync(other_key, randomBytes(32).toString('hex'));
  const flags = ['--leader-wait-ms', '500'];
  const stranger = node(t, { path: '/keys', port: ports[1], flags: ['--cluster-key-file', other_key, ...flags] });
  const twin = node(t, { path: '/keys', port: ports[2], flags: ['--node-id', 'a', ...flags] });
  await first.line(/a node was turned away|the proof is wrong/, words_ms_max);
  await stranger.line(/the leader cannot be reached/, words_ms_max);
  await twin.line(/another node calls itself as we do/, words_ms_max);
  t.regex(stranger.output(), /expected the same cluster key on every node/);
  const job = { role: 'me', environment: 'test', name: 'never', command: 'true' };
  for (const api of others) t.is((await api!.request('POST', '/api/v1/jobs', job)).status, 503);
  t.is((await leader!.request('GET', '/api/v1/jobs/me/test/never')).status, 404);
});
