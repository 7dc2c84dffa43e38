// update.test.ts: Aurora's cases 80 and 83 with real nodes: the leader of a cluster dies in the middle of a rolling update.

import type { Api } from '../program/horae.ts';
import { serialWith } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { zookeeper } from '../support/zookeeper.ts';
import { said, startNodes } from './nodes.ts';

const testCluster = serialWith(zookeeper);
const path = '/api/v1/jobs/me/test/web';
const old = {
  role: 'me',
  environment: 'test',
  name: 'web',
  command: 'exec sleep 1000',
  service: true,
  instances: 3,
  cpus: 0.1,
  mem: 16,
};
const wish = { job: { ...old, command: 'exec sleep 2000' }, watch_ms: 500, pulse_interval_ms: 3_600_000 };

type Update = {
  readonly status: string;
  readonly progress: { readonly done: number; readonly under_way: readonly { readonly index: number }[] };
};
type Event = { readonly status?: string; readonly index?: number; readonly action?: string };
type Run = {
  readonly state: string;
  readonly instances: readonly { readonly index: number; readonly state: string }[];
};

const updateOf = async (api: Api): Promise<Update | undefined> => {
  const answer = await api.request('GET', `${path}/updates?consistent=true`).catch(() => undefined);
  return answer?.status === 200 ? (answer.body() as { updates: Update[] }).updates[0] : undefined;
};
const running = async (api: Api) => {
  const { runs } = (await api.get(`${path}/runs`)) as { runs: Run[] };
  return runs[0]?.instances.filter(one => one.state === 'running').length;
};

testCluster(
  'cases 80 and 83: an update waits for its pulse under the next leader, and is done by the one after',
  async t => {
    t.timeout(10 * 60_000);
    const cluster = await startNodes(t);
    const first = await cluster.leader();
    const created = await first.api.request('POST', '/api/v1/jobs', old);
    t.is(created.status, 201, created.text);
    await until('the service to run', async () => (await running(first.api)) === 3);
    // Asked of a node that follows.
    const [follower] = cluster.nodes.filter(node => node !== first);
    const begun = await follower!.api.request('POST', `${path}/updates`, wish);
    t.is(begun.status, 201, begun.text);
    t.is((begun.body() as { status: string }).status, 'ROLL_FORWARD_AWAITING_PULSE');
    await first.kill();

    const rest = cluster.nodes.filter(node => node !== first);
    const second = await cluster.leader(rest);
    t.is((await updateOf(second.api))?.status, 'ROLL_FORWARD_AWAITING_PULSE', said(cluster.nodes));
    t.is((await second.api.request('PUT', path, old, { 'if-match': '*' })).status, 409);
    t.is((await second.api.request('POST', `${path}/updates/active/pulse`)).status, 200);
    await until('the first instance to be taken up', async () => {
      const update = await updateOf(second.api);
      return update !== undefined && update.progress.done + update.progress.under_way.length > 0;
    });
    await first.start();
    await second.kill();

    const others = cluster.nodes.filter(node => node !== second);
    const third = await cluster.leader(others);
    const over = await until(
      () => `the update to be over\n${said(cluster.nodes)}`,
      async () => {
        const update = await updateOf(third.api);
        return update !== undefined && !update.status.startsWith('ROLLING') && update;
      },
      120_000,
    );
    t.is(over.status, 'ROLLED_FORWARD');
    await until('all of them to run', async () => (await running(third.api)) === 3);
    const { events } = (await third.api.get(`${path}/updates/1.2/events?consistent=true`)) as { events: Event[] };
    const told = events.reverse().map(({ status, index, action }) => status ?? `${index} ${action}`);
    t.deepEqual(told, [
      'ROLL_FORWARD_AWAITING_PULSE',
      'ROLLING_FORWARD',
      ...[0, 1, 2].flatMap(index => [`${index} INSTANCE_UPDATING`, `${index} INSTANCE_UPDATED`]),
      'ROLLED_FORWARD',
    ]);
  },
);
