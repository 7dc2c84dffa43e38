// lan.test.ts: nodes on machines of their own, between which cables are pulled: writes are done once or refused, and no
// target is lost or run twice.

import type { ExecutionContext } from 'ava';
import { type Api, runsOf } from '../program/horae.ts';
import { type Lan, type Machine, may_cut, startLan } from '../support/lan.ts';
import { serialWith } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { zookeeper } from '../support/zookeeper.ts';
import { startLedger } from './ledger.ts';
import { type Node, type Nodes, said, startNodes, toldBy } from './nodes.ts';

const testLan = serialWith(zookeeper && may_cut);
const minutes_max = 10 * 60_000;
const soon = () => Math.ceil(Date.now() / 1_000) * 1_000 + 1_000;
/** A machine that stands still for a minute is no reason to give up. */
const patience_ms = 150_000;
/** A wish may come while the run of another is active. */
const hello = { role: 'me', environment: 'test', name: 'hello', command: 'true', overlap: { policy: 'allow' } };

type Town = {
  readonly lan: Lan;
  readonly cluster: Nodes;
  /** Of each node, and of Mesos. */
  readonly machineOf: (node: Node) => Machine;
  readonly mesos: Machine;
};

/** Three nodes on three machines and Mesos on a fourth; a ZooKeeper beside it, or one of three beside each node. */
async function startTown(t: ExecutionContext, members: 1 | 3, flags: readonly string[]): Promise<Town> {
  t.timeout(minutes_max);
  const lan = await startLan(t, 4);
  const homes = lan.machines.slice(0, 3);
  const mesos = lan.machines[3]!;
  const places = { nodes: homes, members: members === 1 ? [mesos] : homes, mesos };
  const cluster = await startNodes(t, { places, members, flags });
  return { lan, cluster, mesos, machineOf: node => homes[cluster.nodes.indexOf(node)]! };
}

const both = (one: Machine, other: Machine) =>
  [
    [one, other],
    [other, one],
  ] as const;
const asked = async (api: Api, idempotency_key: string) => {
  const answer = await api.request('POST', '/api/v1/jobs/me/test/hello/runs', undefined, {
    'idempotency-key': idempotency_key,
  });
  return { status: answer.status, ...(answer.body() as { readonly run?: string; readonly type?: string }) };
};

testLan(
  'a link between two nodes that loses what one of them says, or both: a write is refused or done later, and done once (needs root)',
  async t => {
    const { lan, cluster, machineOf } = await startTown(t, 1, ['--link-beat-ms', '200', '--leader-wait-ms', '4000']);
    const leader = await cluster.leader();
    const [standby, other] = cluster.nodes.filter(node => node !== leader) as [Node, Node];
    t.is((await leader.api.request('POST', '/api/v1/jobs', hello)).status, 201);
    const ledger = await startLedger(leader.api, cluster.directory, soon());
    const [here, there] = [machineOf(standby), machineOf(leader)];
    const harms = { neither: both(here, there), asking: [[here, there]], answering: [[there, here]] } as const;
    for (const [what, cuts] of Object.entries(harms)) {
      await until('the standby to reach the leader', async () => (await asked(standby.api, what)).status === 202);
      for (const [from, to] of cuts) await lan.cut(from, to);
      const refused = await asked(standby.api, `${what} cut`);
      t.is(refused.status, 503, `${what}: ${JSON.stringify(refused)}`);
      // It says whether it is sure that nothing was done.
      t.regex(refused.type ?? '', /^urn:horae:problem:(no-leader|interrupted)$/);
      // Nobody else minds: the leader leads on, reads are answered, another standby is as useful as before.
      t.is((await standby.api.request('GET', '/api/v1/jobs/me/test/hello')).status, 200);
      t.is((await asked(other.api, `${what} other`)).status, 202);
      t.is((await toldBy(leader))?.node.mode, 'leading');
      // One that is under way when the cable is back goes through.
      const waiting = asked(standby.api, `${what} healed`);
      for (const [from, to] of cuts) await lan.mend(from, to);
      const healed = await waiting;
      t.true([202, 503].includes(healed.status), JSON.stringify(healed));
      for (const wish of [`${what} cut`, `${what} healed`])
        await until(`${wish} to be done`, async () => (await asked(standby.api, wish)).status === 202, patience_ms);
    }
    const wishes = Object.keys(harms).length * 4;
    const runs = await until('all runs to end', async () => {
      // What was told at another node is here a moment later: a node reads from its own copy.
      const found = await runsOf(leader.api, 'me/test/hello');
      return found.length > wishes && found.every(run => run.state === 'succeeded') && found;
    });
    // The first run of all comes with the job.
    t.is(runs.length, wishes + 1, said(cluster.nodes));
    const { lost, doubled, missed } = await ledger.verdict(leader.api, ledger.signed().length + 2);
    t.deepEqual({ lost, doubled, missed }, { lost: [], doubled: [], missed: [] }, said(cluster.nodes));
    await cluster.leader();
  },
);

testLan(
  'a leader whose machine is unplugged, or is not heard, or does not hear: another leads, and it falls in behind (needs root)',
  async t => {
    const { lan, cluster, machineOf, mesos } = await startTown(t, 1, []);
    const ledger = await startLedger((await cluster.leader()).api, cluster.directory, soon());
    const runs = async (more: number) => {
      const wanted = ledger.signed().length + more;
      await until(
        () => `${wanted} runs\n${said(cluster.nodes)}`,
        () => ledger.signed().length >= wanted,
        patience_ms,
      );
    };
    const harms: readonly ((leader: Node) => Promise<() => Promise<void>>)[] = [
      async leader => {
        await machineOf(leader).unplug();
        return () => machineOf(leader).plug();
      },
      async leader => {
        // Mesos and ZooKeeper are on one machine: what it says reaches neither, what they say still comes.
        await lan.cut(machineOf(leader), mesos);
        return () => lan.mend(machineOf(leader), mesos);
      },
      async leader => {
        await lan.cut(mesos, machineOf(leader));
        return () => lan.mend(mesos, machineOf(leader));
      },
    ];
    for (const harm of harms) {
      const leader = await cluster.leader();
      const rest = cluster.nodes.filter(node => node !== leader);
      await runs(2);
      const mend = await harm(leader);
      await cluster.leader(rest, patience_ms);
      await runs(3);
      await mend();
      await until('it to fall in', async () => (await toldBy(leader))?.node.mode === 'standing', patience_ms);
      await runs(1);
    }
    const last = await cluster.leader();
    const { lost, doubled, missed } = await ledger.verdict(last.api, ledger.signed().length + 2);
    t.deepEqual({ lost, doubled, missed }, { lost: [], doubled: [], missed: [] }, said(cluster.nodes));
  },
);

testLan(
  'a leader that is cut off with its own ZooKeeper server, and still reaches Mesos: the greater half goes on without it (needs root)',
  async t => {
    const { lan, cluster, machineOf } = await startTown(t, 3, []);
    const leader = await cluster.leader();
    const rest = cluster.nodes.filter(node => node !== leader);
    const ledger = await startLedger(leader.api, cluster.directory, soon());
    await until('3 runs', () => ledger.signed().length >= 3, patience_ms);
    const cuts = rest.flatMap(node => both(machineOf(leader), machineOf(node)));
    for (const [from, to] of cuts) await lan.cut(from, to);
    const next = await cluster.leader(rest, patience_ms);
    t.false(await leader.leads());
    const before = ledger.signed().length;
    await until('runs under the other', () => ledger.signed().length >= before + 3, patience_ms);
    for (const [from, to] of cuts) await lan.mend(from, to);
    await until('the first to fall in', async () => (await toldBy(leader))?.node.mode === 'standing', patience_ms);
    const { lost, doubled, missed } = await ledger.verdict(next.api, ledger.signed().length + 2);
    t.deepEqual({ lost, doubled, missed }, { lost: [], doubled: [], missed: [] }, said(cluster.nodes));
    await cluster.leader();
  },
);
