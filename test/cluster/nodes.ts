// nodes.ts: several real nodes on a real ZooKeeper and one Mesos: each a program of its own, on ports of this machine.

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Api, apiAt } from '../program/horae.ts';
import { launch as launchHorae, startMesos } from '../program/serving.ts';
import type { Child } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import type { Place } from '../support/lan.ts';
import { type Owner, tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Ensemble, startZooKeeper } from '../support/zookeeper.ts';

/** Long enough for a busy machine, short enough to wait for: the limit of what a failover takes. */
export const session_ms = 4_000;
const ready_ms_max = 90_000;

export type Node = {
  readonly id: string;
  readonly api: Api;
  child: Child;
  /** Starts it again on its own data. */
  start(): Promise<void>;
  /** SIGKILL to the program alone. */
  kill(): Promise<void>;
  leads(): Promise<boolean>;
};
export type LeaderAnswer = {
  readonly leader: { readonly id: string; readonly url: string } | null;
  readonly node: { readonly id: string; readonly mode: string; readonly position: number };
  readonly epoch?: number;
};
export type Nodes = {
  readonly directory: string;
  readonly zookeeper: Ensemble;
  readonly mesos_url: string;
  readonly nodes: readonly Node[];
  /** The node that leads, once all that are asked agree. */
  leader(among?: readonly Node[], deadline_ms?: number): Promise<Node>;
};
export type NodesOptions = {
  readonly count?: number;
  readonly members?: 1 | 3;
  readonly flags?: readonly string[] | ((ensemble: Ensemble) => readonly string[]);
  /** What nodes are told of ZooKeeper; the servers themselves when left out. */
  readonly servers?: (ensemble: Ensemble, n: number) => string | Promise<string>;
  readonly mesos_flags?: readonly string[];
  /** Machines of their own for each; left out, all are on this one. */
  readonly places?: { readonly nodes: readonly Place[]; readonly members: readonly Place[]; readonly mesos: Place };
};

export async function startNodes(t: Owner, options: NodesOptions = {}): Promise<Nodes> {
  const directory = await tempDir(t);
  const { places } = options;
  const seen = places === undefined ? undefined : writeCredentials(directory);
  const [zookeeper, mesos] = await Promise.all([
    startZooKeeper(t, { members: options.members ?? 1, ...(places === undefined ? {} : { places: places.members }) }),
    startMesos(
      t,
      join(directory, 'mesos'),
      [...(seen?.mesos ?? []), ...(options.mesos_flags ?? [])],
      `${places?.mesos.host ?? '127.0.0.1'}:0`,
      places?.mesos.enter,
    ),
  ]);
  const key_file = join(directory, 'key');
  writeFileSync(key_file, randomBytes(32).toString('hex'));
  const nodes: Node[] = [];
  for (let n = 0; n < (options.count ?? 3); n++) {
    const port = await freePort();
    const data_dir = join(directory, `node-${n}`);
    mkdirSync(data_dir, { recursive: true });
    const servers = (await options.servers?.(zookeeper, n)) ?? zookeeper.servers;
    const id = `node-${n}`;
    const { host, enter } = places?.nodes[n] ?? { host: '127.0.0.1', enter: [] };
    const argv = [
      'serve',
      ...['--mesos', mesos.url, '--http', `${host}:${port}`, '--data-dir', data_dir, '--node-id', id],
      ...(seen?.nodes ?? []),
      ...['--zk', `${servers}/horae`, '--cluster-key-file', key_file, '--zk-session-timeout-ms', String(session_ms)],
      ...(typeof options.flags === 'function' ? options.flags(zookeeper) : (options.flags ?? [])),
    ];
    const launch = () => launchHorae(t, argv, enter);
    const api = apiAt(`http://${host}:${port}`);
    const node: Node = {
      id,
      api,
      child: launch(),
      async start() {
        node.child = launch();
        await node.child.line(/Console: \S+/, ready_ms_max);
      },
      async kill() {
        node.child.send('SIGKILL');
        await node.child.ended;
      },
      leads: async () => (await api.request('GET', '/leaderhealth').catch(() => undefined))?.status === 200,
    };
    nodes.push(node);
  }
  await Promise.all(nodes.map(node => node.child.line(/Console: \S+/, ready_ms_max)));
  return {
    directory,
    zookeeper,
    mesos_url: mesos.url,
    nodes,
    leader: (among = nodes, deadline_ms = ready_ms_max) =>
      until(
        () => `one node to lead. They said:\n${said(among)}`,
        async () => {
          const told = await Promise.all(among.map(node => toldBy(node)));
          const leading = among.filter((_, n) => told[n]?.node.mode === 'leading');
          const [leader] = leading;
          return leading.length === 1 && told.every(each => each?.leader?.id === leader!.id) ? leader : undefined;
        },
        deadline_ms,
      ),
  };
}

/** Beyond loopback Mesos wants to know who subscribes, and a node wants to be told that it need not ask. */
function writeCredentials(directory: string) {
  const [principal, secret] = ['nodes', 'order'];
  const credentials = join(directory, 'credentials');
  const secret_file = join(directory, 'secret');
  writeFileSync(credentials, `${principal} ${secret}\n`);
  writeFileSync(secret_file, secret);
  return {
    mesos: ['--credentials', credentials],
    nodes: ['--mesos-principal', principal, '--mesos-secret-file', secret_file, '--insecure'],
  };
}

/** The last words of each, for whoever wonders why. */
export const said = (nodes: readonly Node[]): string =>
  nodes.map(({ id, child }) => `--- ${id}\n${child.output().split('\n').slice(-25).join('\n')}`).join('\n');

export async function toldBy(node: Node): Promise<LeaderAnswer | undefined> {
  const answer = await node.api.request('GET', '/api/v1/leader').catch(() => undefined);
  return answer?.status === 200 ? (answer.body() as LeaderAnswer) : undefined;
}
