// cables.test.ts: what a cluster makes of broken cables and dying ZooKeeper servers: no target is lost, none is run twice.

import type { ExecutionContext } from 'ava';
import { serialWith } from '../support/needs.ts';
import { until as untilWithin } from '../support/until.ts';
import { type Cable, startProxy, zookeeper } from '../support/zookeeper.ts';
import { startLedger } from './ledger.ts';
import { type Node, said, startNodes, toldBy } from './nodes.ts';

// One after the other: each is five programs.
const testCluster = serialWith(zookeeper);
const minutes_max = 10 * 60_000;
/** A machine that stands still for a minute is no reason to give up. */
const until: typeof untilWithin = (what, probe, deadline_ms = 150_000) => untilWithin(what, probe, deadline_ms);
const soon = () => Math.ceil(Date.now() / 1_000) * 1_000 + 1_000;

/** Nodes of which each reaches ZooKeeper by a cable of its own. */
async function startCabled(t: ExecutionContext) {
  const cables: Cable[] = [];
  const cluster = await startNodes(t, {
    async servers({ members }, n) {
      cables[n] = await startProxy(t, members[0]!.port);
      return cables[n].address;
    },
  });
  return { cluster, cables };
}

testCluster(
  'cables to ZooKeeper that break and come back: the same node leads on, and no target is lost or doubled',
  async t => {
    t.timeout(minutes_max);
    const { cluster, cables } = await startCabled(t);
    const leader = await cluster.leader();
    const cable = cables[cluster.nodes.indexOf(leader)]!;
    const ledger = await startLedger(leader.api, cluster.directory, soon());
    for (let n = 1; n <= 5; n++) {
      await until(`${n * 2} runs`, () => ledger.signed().length >= n * 2);
      cable.breakAll();
    }
    const { lost, doubled, missed } = await ledger.verdict(leader.api, 12);
    t.deepEqual({ lost, doubled, missed }, { lost: [], doubled: [], missed: [] }, said(cluster.nodes));
    // On a machine that is busy enough a break may outlast the session; then another leads, and that is well too.
    t.truthy(await cluster.leader());
  },
);

testCluster(
  'a leader whose cable to ZooKeeper is out holds still, another goes on, and the first falls in behind it',
  async t => {
    t.timeout(minutes_max);
    const { cluster, cables } = await startCabled(t);
    const leader = await cluster.leader();
    const rest = cluster.nodes.filter(node => node !== leader);
    const cable = cables[cluster.nodes.indexOf(leader)]!;
    const ledger = await startLedger(leader.api, cluster.directory, soon());
    await until('3 runs', () => ledger.signed().length >= 3);
    cable.stall();
    // It has stopped before the other begins, by its own clock.
    const next = await cluster.leader(rest);
    t.false(await leader.leads());
    t.is((await next.api.request('POST', `/api/v1/jobs/${ledger.key}/runs`)).status, 202);
    await until('runs under the other', () => ledger.signed().length >= 8);
    cable.mend();
    await until('the first to fall in', async () => (await toldBy(leader))?.node.mode === 'standing');
    const targets = ledger.signed().length + 2;
    const { lost, doubled, missed } = await ledger.verdict(leader.api, targets);
    t.deepEqual({ lost, doubled, missed }, { lost: [], doubled: [], missed: [] }, said(cluster.nodes));
    await cluster.leader();
  },
);

testCluster('ZooKeeper servers die one by one, and all at once, and come back: every target is run once', async t => {
  t.timeout(minutes_max);
  const cluster = await startNodes(t, { members: 3 });
  const { members } = cluster.zookeeper;
  const leader = await cluster.leader();
  const ledger = await startLedger(leader.api, cluster.directory, soon());
  const runs = (more: number) => {
    const wanted = ledger.signed().length + more;
    return until(
      () => `${wanted} runs\n${said(cluster.nodes)}`,
      () => ledger.signed().length >= wanted,
      60_000,
    );
  };
  await runs(3);
  for (const member of members) {
    await member.kill();
    await runs(2);
    await member.start();
    await member.serving();
  }
  await Promise.all(members.map(member => member.kill()));
  // Nobody can know who leads: nobody acts, and everybody says so.
  await until(
    'nobody to lead',
    async () => !(await Promise.all(cluster.nodes.map((node: Node) => node.leads()))).includes(true),
  );
  const before = ledger.signed().length;
  await Promise.all(members.map(member => member.start()));
  await Promise.all(members.map(member => member.serving()));
  await until('runs again', () => ledger.signed().length > before + 2);
  const last = await cluster.leader();
  const { lost, doubled, missed } = await ledger.verdict(last.api, ledger.signed().length + 2);
  t.deepEqual({ lost, doubled, missed }, { lost: [], doubled: [], missed: [] }, said(cluster.nodes));
});
