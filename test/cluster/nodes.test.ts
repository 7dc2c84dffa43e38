// nodes.test.ts: three real nodes on a real ZooKeeper: whichever is asked answers, one leads, and whoever leads may go.

import { type Api, type RunAnswer, runsOf } from '../program/horae.ts';
import { endOf } from '../support/child.ts';
import { serialWith } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { zookeeper } from '../support/zookeeper.ts';
import { type Node, type Nodes, said, startNodes, toldBy } from './nodes.ts';

// One after the other: each is five programs.
const testCluster = serialWith(zookeeper);
const key = 'me/test/hello';
const hello = { role: 'me', environment: 'test', name: 'hello', command: 'echo hello' };
const minutes_max = 10 * 60_000;

const others = ({ nodes }: Nodes, node: Node) => nodes.filter(each => each !== node);
const create = async (api: Api, job: object) => {
  const answer = await api.request('POST', '/api/v1/jobs', job);
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
};
const runWith = async (api: Api, idempotency_key: string) => {
  const answer = await api.request('POST', `/api/v1/jobs/${key}/runs`, undefined, {
    'idempotency-key': idempotency_key,
  });
  return { status: answer.status, ...(answer.body() as { readonly run?: string; readonly result?: string }) };
};
const succeeded = (api: Api, count: number): Promise<readonly RunAnswer[]> =>
  until(`${count} runs to succeed`, async () => {
    const runs = await runsOf(api, key);
    return runs.length === count && runs.every(run => run.state === 'succeeded') && runs;
  });
const standing = (nodes: readonly Node[]) =>
  until('the others to stand in line', async () => {
    const told = await Promise.all(nodes.map(toldBy));
    return told.every(each => each?.node.mode === 'standing' && each.leader !== null);
  });

testCluster('a write to a standby is done by the leader, and can be read everywhere', async t => {
  t.timeout(minutes_max);
  const cluster = await startNodes(t);
  const leader = await cluster.leader();
  const [one, other] = others(cluster, leader) as [Node, Node];
  await create(one.api, hello);
  // In the answer's own node at once; in another one with a word.
  await one.api.get(`/api/v1/jobs/${key}`);
  await other.api.get(`/api/v1/jobs/${key}?consistent=true`);
  const [run] = await succeeded(other.api, 1);
  t.like(run!.instances[0], { attempt: 1, reason: { code: 'exited', exit_code: 0 } });
  t.is((await leader.api.request('GET', '/leaderhealth')).status, 200);
  t.is((await one.api.request('GET', '/leaderhealth')).status, 503);
  const sent = await fetch(`${one.api.url}/api/v1/jobs/${key}/runs`, {
    method: 'POST',
    headers: { prefer: 'redirect' },
    redirect: 'manual',
  });
  t.is(sent.status, 307);
  t.is(sent.headers.get('location'), `${leader.api.url}/api/v1/jobs/${key}/runs`);
});

testCluster(
  'when the leader is killed another takes over, nothing acknowledged is lost, and a request is done once',
  async t => {
    t.timeout(minutes_max);
    const cluster = await startNodes(t);
    const leader = await cluster.leader();
    const rest = others(cluster, leader) as [Node, Node];
    await create(leader.api, hello);
    await create(leader.api, { ...hello, name: 'long', command: 'sleep 1000', service: true });
    await succeeded(rest[0].api, 1);
    await until('the service', async () => (await runsOf(rest[0].api, 'me/test/long'))[0]?.state === 'running');
    const [service] = await runsOf(rest[0].api, 'me/test/long');
    await leader.kill();
    // Both wait for the election, and mean one run.
    const asked = await Promise.all(rest.map(node => runWith(node.api, 'after')));
    for (const answer of asked) t.is(answer.status, 202, `${JSON.stringify(answer)}\n${said(cluster.nodes)}`);
    t.is(asked[0]!.run, asked[1]!.run);
    const next = await cluster.leader(rest);
    await succeeded(rest[0].api, 2);
    const [found] = await runsOf(next.api, 'me/test/long');
    t.like(found, { run: service!.run, state: 'running' });
    t.is(found!.instances[0]!.task_id, service!.instances[0]!.task_id);
    // The dead one comes back, stands in line, and has all of it.
    await leader.start();
    await standing([leader]);
    await succeeded(leader.api, 2);
    await cluster.leader();
  },
);

testCluster('a node that dies and is back at once takes its own former place in line for no other node', async t => {
  t.timeout(minutes_max);
  const { nodes } = await startNodes(t, { count: 1 });
  const [node] = nodes as [Node];
  await until('it to lead', () => node.leads());
  await node.kill();
  await node.start();
  // Its former session lives on for a while, and leads as far as anybody knows.
  await until('it to lead again', () => node.leads());
  t.regex(node.child.output(), /this node leads/);
  t.notRegex(node.child.output(), /another node calls itself as we do/);
});

testCluster('a leader that is paused for longer than its session does no harm when it goes on', async t => {
  t.timeout(minutes_max);
  const cluster = await startNodes(t);
  const leader = await cluster.leader();
  const rest = others(cluster, leader);
  await create(leader.api, hello);
  await succeeded(leader.api, 1);
  leader.child.send('SIGSTOP');
  const next = await cluster.leader(rest);
  t.is((await runWith(next.api, 'one')).status, 202);
  await succeeded(next.api, 2);
  leader.child.send('SIGCONT');
  // What it is asked as soon as it goes on is done by whoever leads now.
  t.is((await runWith(leader.api, 'two')).status, 202);
  await standing([leader]);
  const runs = await succeeded(leader.api, 3);
  t.true(runs.every(run => run.instances.length === 1 && run.instances[0]!.attempt === 1));
  await cluster.leader();
});

testCluster(
  'leadership is handed over to whom it is meant for, and a leader that stops hands over before it leaves',
  async t => {
    t.timeout(minutes_max);
    const cluster = await startNodes(t);
    const leader = await cluster.leader();
    const [one, wanted] = others(cluster, leader) as [Node, Node];
    await standing([one, wanted]);
    await create(leader.api, hello);
    await succeeded(leader.api, 1);
    const missing = await one.api.request('POST', '/api/v1/leader/transfer?to=nobody');
    t.is(missing.status, 404);
    const handOver = () => one.api.request('POST', `/api/v1/leader/transfer?to=${wanted.id}`);
    t.is((await handOver()).status, 202);
    // A write in the middle of it waits for the next leader.
    t.is((await runWith(one.api, 'meanwhile')).status, 202);
    // A machine that stands still for a while expires every session, and then anybody may lead: it is asked for again.
    await until('the wanted node to lead', async () => {
      if ((await cluster.leader()) === wanted) return true;
      await handOver();
      return false;
    });
    await succeeded(leader.api, 2);
    await standing([leader, one]);
    wanted.child.send('SIGTERM');
    t.deepEqual(await endOf(wanted.child), { status: 0, signal: null });
    const next = await cluster.leader([leader, one]);
    t.is((await runWith(next.api, 'last')).status, 202);
    await succeeded(leader.api, 3);
  },
);
