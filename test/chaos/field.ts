// field.ts: where chaos happens: three real ZooKeeper servers, three real nodes, a real Mesos with agents, and a cable
// between each two of them.

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Api, apiAt } from '../program/horae.ts';
import { killAlone, launch, startMesos } from '../program/serving.ts';
import type { Child } from '../support/child.ts';
import { freePort } from '../support/free-port.ts';
import type { Lan } from '../support/lan.ts';
import type { Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { type Cable, type Ensemble, startProxy, startZooKeeper } from '../support/zookeeper.ts';
import { members as member_count } from './plan.ts';
import { startWire, type Wire } from './wire.ts';

const principal = 'chaos';
const secret = 'order';
export const node_count = 3;
const agent_count = 3;
const ready_ms_max = 120_000;
/** A node that is asked whether it leads, and is stopped, does not answer. */
const answer_ms_max = 2_000;

export type Node = {
  readonly id: string;
  readonly api: Api;
  /** To each ZooKeeper server, and to Mesos. */
  readonly cables: readonly Cable[];
  readonly wire: Wire;
  /** From the other nodes to its door, by the address that it tells them. */
  readonly link: Wire;
  /** Its cable is out, where it is on a machine of its own: undefined where it is not. */
  readonly unplug?: () => Promise<void>;
  readonly plug?: () => Promise<void>;
  readonly alive: () => boolean;
  start(): Promise<void>;
  /** SIGKILL to the program alone. */
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
  leads(): Promise<boolean>;
  /** What it has said in all its lives, a list of lines each. */
  readonly said: () => readonly (readonly string[])[];
};
export type Field = {
  readonly zookeeper: Ensemble;
  readonly nodes: readonly Node[];
  /** The node that says of itself that it leads; undefined while there is none. */
  leader(): Promise<Node | undefined>;
  killMesos(): Promise<void>;
  startMesos(): Promise<void>;
};
/** A reign, as the node that began it told. */
export type Reign = { readonly node: string; readonly epoch: number; readonly at_ms: number };

/** `lan`: a machine for each node; without it they share this one. */
export async function openField(
  t: Owner,
  directory: string,
  session_ms: number | undefined,
  lan: Lan | undefined,
): Promise<Field> {
  const mesos_port = await freePort();
  const mesos_listen = `127.0.0.1:${mesos_port}`;
  // Behind a cable Mesos has another address, which it takes from those who show that they may.
  const credentials = join(directory, 'credentials');
  writeFileSync(credentials, `${principal} ${secret}\n`);
  const secret_file = join(directory, 'secret');
  writeFileSync(secret_file, secret);
  const mesos_flags = ['--agents', String(agent_count), '--credentials', credentials];
  const work_dir = join(directory, 'mesos');
  const [zookeeper, first] = await Promise.all([
    startZooKeeper(t, { members: member_count }),
    startMesos(t, work_dir, mesos_flags, mesos_listen),
  ]);
  let mesos = first;
  const key_file = join(directory, 'key');
  writeFileSync(key_file, randomBytes(32).toString('hex'));
  const nodes: Node[] = [];
  for (let n = 0; n < node_count; n++) nodes.push(await makeNode(n));
  await Promise.all(nodes.map(node => node.start()));

  async function makeNode(n: number): Promise<Node> {
    const id = `node-${n}`;
    const data_dir = join(directory, id);
    mkdirSync(data_dir, { recursive: true });
    const machine = lan?.machines[n];
    const host = machine?.host ?? '127.0.0.1';
    const cables = await Promise.all(zookeeper.members.map(({ port }) => startProxy(t, port, lan?.host)));
    const wire = await startWire(t, { host: '127.0.0.1', port: mesos_port }, lan?.host);
    const port = await freePort();
    const http = `${host}:${port}`;
    const link = await startWire(t, { host, port }, lan?.host);
    const argv = [
      'serve',
      ...['--mesos', `http://${wire.address}`, '--data-dir', data_dir, '--node-id', id],
      ...['--http', http, '--advertise', `http://${link.address}`, ...(lan === undefined ? [] : ['--insecure'])],
      ...['--mesos-principal', principal, '--mesos-secret-file', secret_file],
      ...['--zk', `${cables.map(({ address }) => address).join(',')}/horae`, '--cluster-key-file', key_file],
      ...(session_ms === undefined ? [] : ['--zk-session-timeout-ms', String(session_ms)]),
    ];
    const lives: Child[] = [];
    let alive = false;
    const current = () => lives.at(-1)!;
    return {
      id,
      api: apiAt(`http://${http}`),
      cables,
      wire,
      link,
      ...(machine === undefined ? {} : { unplug: machine.unplug, plug: machine.plug }),
      alive: () => alive,
      async start() {
        const child = launch(t, argv, machine?.enter);
        lives.push(child);
        alive = true;
        void child.ended.then(() => {
          if (current() === child) alive = false;
        });
        await child.line(/Console: \S+/, ready_ms_max);
      },
      kill: () => killAlone(current()),
      pause: () => current().send('SIGSTOP'),
      resume: () => current().send('SIGCONT'),
      async leads() {
        if (!alive) return false;
        const signal = AbortSignal.timeout(answer_ms_max);
        const answer = await fetch(`http://${http}/leaderhealth`, { signal }).catch(() => undefined);
        await answer?.body?.cancel();
        return answer?.status === 200;
      },
      said: () => lives.map(child => child.output().split('\n')),
    };
  }

  return {
    zookeeper,
    nodes,
    async leader() {
      const leading = await Promise.all(nodes.map(node => node.leads()));
      return nodes.find((_, n) => leading[n]);
    },
    killMesos: () => killAlone(mesos.child),
    async startMesos() {
      mesos = await startMesos(t, work_dir, mesos_flags, mesos_listen);
    },
  };
}

/** A leader, however long it takes within the deadline. */
export const someLeader = (field: Field, deadline_ms: number): Promise<Node> =>
  until(
    () => `a node to lead. They said:\n${lastWords(field)}`,
    () => field.leader(),
    deadline_ms,
  );

export const lastWords = ({ nodes }: Field): string =>
  nodes.map(({ id, said }) => `--- ${id}\n${said().flat().slice(-25).join('\n')}`).join('\n');

/** How long a session lasts, as the ZooKeeper servers granted it to the nodes: the longest that they did. */
export function sessionIn({ nodes }: Field): number {
  const granted = nodes.flatMap(({ said }) =>
    said()
      .flat()
      .filter(line => line.includes('"zookeeper connected"'))
      .map(line => (JSON.parse(line) as { readonly timeout_ms: number }).timeout_ms),
  );
  return Math.max(...granted);
}

/** All reigns, oldest first. */
export function reignsIn({ nodes }: Field): readonly Reign[] {
  const reigns = nodes.flatMap(({ id, said }) =>
    said()
      .flat()
      .filter(line => line.includes('"this node leads"'))
      .map(line => {
        const { time, epoch } = JSON.parse(line) as { readonly time: number; readonly epoch: number };
        return { node: id, epoch, at_ms: time };
      }),
  );
  return reigns.sort((one, other) => one.epoch - other.epoch);
}
