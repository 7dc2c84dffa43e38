// cases.test.ts: what Aurora and Chronos do, or should have done, when the node that leads changes, case by case.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { InstanceRecord } from '../../actors/model/records.ts';
import { type Api, runsOf } from '../program/horae.ts';
import { endOf } from '../support/child.ts';
import { serialWith } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { world } from '../support/world.ts';
import { zookeeper } from '../support/zookeeper.ts';
import { startLedger } from './ledger.ts';
import { type Nodes, said, startNodes } from './nodes.ts';

// One after the other: each is several programs.
const testCluster = serialWith(zookeeper);
const minutes_max = 10 * 60_000;
const soon = () => Math.ceil(Date.now() / 1_000) * 1_000 + 1_000;

test('case 26 of Aurora: 60 s after its agent went a task is replaced, though the scheduler failed over after 40', async t => {
  const life = () => ({ start_delay_ms: 10, exit: { code: 0 }, term_ms: 5 });
  const w = await world({ life });
  const partition_policy = { reschedule: true, delay_ms: 60_000 };
  const base = { role: 'www', environment: 'prod', name: 'hello', command: 'serve', service: true };
  t.is((await w.create({ ...base, partition_policy })).type, 'created');
  await w.until(w.clock.now() + 10_000);
  const instance = () => [...w.outbox.entries('instance')].map(([, body]) => body as InstanceRecord)[0]!;
  const before = instance();
  if (before.status !== 'running') throw new Error(`it is ${before.status}: expected it to run`);
  w.mesos.agents.lose(before.agent_id);
  while (instance().status !== 'unreachable') await w.until(w.clock.now() + 1_000);
  const { since } = instance();
  await w.until(since + 40_000);
  await w.crash();
  await w.until(since + 59_999);
  t.like(instance(), { status: 'unreachable', attempt: 1, since });
  await w.until(since + 62_000);
  t.like(instance(), { status: 'running', attempt: 2 });
  t.deepEqual(w.fatal, []);
});

const chronosJobs = async (api: Api, name: string) => {
  const found = (await api.get('/v1/scheduler/jobs')) as readonly (Readonly<Record<string, unknown>> & {
    readonly name: string;
    readonly successCount: number;
    readonly errorCount: number;
  })[];
  return found.find(job => job.name === name);
};

testCluster('case 75 of Chronos: the next leader has every field of a job, and what was counted of it', async t => {
  t.timeout(minutes_max);
  const cluster = await startNodes(t, { count: 2 });
  const leader = await cluster.leader();
  const [other] = cluster.nodes.filter(node => node !== leader);
  const name = 'kept';
  const posted = {
    name,
    // Succeeds when it is run for the first time, and fails from then on.
    command: `[ ! -e ${join(cluster.directory, 'once')} ] && touch ${join(cluster.directory, 'once')}`,
    schedule: `R/${new Date(Date.now() + 86_400_000).toISOString()}/P1D`,
    scheduleTimeZone: 'Europe/Berlin',
    epsilon: 'PT15M',
    owner: 'bob@example.com',
    ownerName: 'Bob',
    description: 'it keeps what it was told',
    taskInfoData: 'for somebody else',
    softError: true,
    retries: 0,
    maxCompletionTime: 600_000,
    cpus: 0.05,
    mem: 16,
    disk: 1,
    environmentVariables: [{ name: 'A', value: 'b' }],
    constraints: [['hostname', 'LIKE', '.*']],
  };
  const answer = await leader.api.request('POST', '/v1/scheduler/iso8601', posted);
  t.is(answer.status, 204, answer.text);
  for (const wanted of [
    { successCount: 1, errorCount: 0 },
    { successCount: 1, errorCount: 1 },
  ]) {
    t.is((await leader.api.request('PUT', `/v1/scheduler/job/${name}`)).status, 204);
    await until('the run to be counted', async () => {
      const job = await chronosJobs(leader.api, name);
      return job?.successCount === wanted.successCount && job.errorCount === wanted.errorCount;
    });
  }
  const before = await chronosJobs(leader.api, name);
  t.like(before, { ...posted, schedule: before!.schedule });
  await leader.kill();
  await cluster.leader([other!]);
  t.deepEqual(await chronosJobs(other!.api, name), before);
  // And not from the memory of a node that was there: the first, come back, has read all of it.
  await leader.start();
  await until('the first to have caught up', async () => (await chronosJobs(leader.api, name)) !== undefined);
  t.deepEqual(await chronosJobs(leader.api, name), before);
});

const leading = async ({ nodes }: Nodes) => (await Promise.all(nodes.map(node => node.leads()))).filter(Boolean).length;

testCluster(
  'case 77 of Chronos: of two nodes one leads; ZooKeeper servers restart and one leads; it ends and the other runs on under the same framework id',
  async t => {
    t.timeout(minutes_max);
    const cluster = await startNodes(t, { count: 2, members: 3 });
    const leader = await cluster.leader();
    const [other] = cluster.nodes.filter(node => node !== leader);
    t.is(await leading(cluster), 1);
    const ids = join(cluster.directory, 'ids');
    const frameworks = () => (existsSync(ids) ? readFileSync(ids, 'utf8').split('\n').slice(0, -1) : []);
    const tell = { role: 'me', environment: 'test', name: 'tell', command: `echo "$MESOS_FRAMEWORK_ID" >> ${ids}` };
    t.is((await leader.api.request('POST', '/api/v1/jobs', tell)).status, 201);
    const ledger = await startLedger(leader.api, cluster.directory, soon());
    const more = (count: number) => {
      const wanted = ledger.signed().length + count;
      return until(
        () => `${wanted} runs\n${said(cluster.nodes)}`,
        () => ledger.signed().length >= wanted,
        60_000,
      );
    };
    await more(2);
    for (const member of cluster.zookeeper.members) {
      await member.kill();
      t.true((await leading(cluster)) <= 1);
      await member.start();
      await member.serving();
      await more(1);
      t.is(await leading(cluster), 1);
    }
    const last = await cluster.leader();
    const next = last === leader ? other! : leader;
    last.child.send('SIGTERM');
    t.deepEqual(await endOf(last.child), { status: 0, signal: null });
    t.is(await cluster.leader([next]), next);
    await more(3);
    t.is((await next.api.request('POST', '/api/v1/jobs/me/test/tell/runs')).status, 202);
    await until('two runs of the other job', async () => {
      const runs = await runsOf(next.api, 'me/test/tell');
      return runs.length === 2 && runs.every(({ state }) => state === 'succeeded');
    });
    t.is(frameworks().length, 2);
    t.regex(frameworks()[0]!, /./);
    t.is(new Set(frameworks()).size, 1);
    const { lost, doubled, missed } = await ledger.verdict(next.api, ledger.signed().length + 1);
    t.deepEqual({ lost, doubled, missed }, { lost: [], doubled: [], missed: [] }, said(cluster.nodes));
  },
);
