// nodes.test.ts: two nodes keep one list between them: whoever leads, however it came to, those who look find whom they found.

import { rmSync, writeFileSync } from 'node:fs';
import { systemClock } from '../../schedules/clock.ts';
import { connectZooKeeper } from '../../transport/zookeeper/client.ts';
import { type Node, said, startNodes } from '../cluster/nodes.ts';
import { runsOf } from '../program/horae.ts';
import { freePort } from '../support/free-port.ts';
import { testWith } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { deadline_ms_default, until as soon } from '../support/until.ts';
import { zookeeper } from '../support/zookeeper.ts';
import { commandOf, lastWords, observe, portsIn, sicknessOf, witness } from './support.ts';

/** On a machine where everybody tests the executor is packed slowly. */
const until: typeof soon = (what, probe) => soon(what, probe, 2 * deadline_ms_default);

type Told = { readonly task?: { readonly health?: { readonly up: boolean; readonly failures_in_a_row: number } } };
/** How the instances are, as a node tells it. */
async function healthOn(node: Node) {
  const runs = await runsOf(node.api, 'me/test/web').catch(() => []);
  const instances = (runs[0]?.instances ?? []) as readonly Told[];
  return instances.map(({ task }) =>
    task?.health === undefined ? 'unheard' : task.health.up && task.health.failures_in_a_row === 0 ? 'well' : 'sick',
  );
}

testWith(zookeeper)(
  'a hand-over and the death of a leader leave the list as it is, and what comes after is written by the next one',
  async t => {
    const ports = await Promise.all(Array.from({ length: 6 }, freePort));
    const {
      zookeeper: ensemble,
      nodes,
      leader,
    } = await startNodes(t, {
      count: 2,
      flags: ({ servers }) => ['--serversets-zk', `${servers}/services`, '--withdraw-wait-ms', '600000'],
      mesos_flags: [
        '--agent-resources',
        `cpus:4;mem:4096;disk:10000;ports:[${ports.map(one => `${one}-${one}`).join(',')}]`,
      ],
    });
    const zk = connectZooKeeper({ servers: ensemble.servers, session_timeout_ms: 60_000, clock: systemClock() });
    t.teardown(() => zk.close());
    const one = witness(await tempDir(t));
    const list = '/services/me/test/web';
    const first = await leader();
    const second = nodes.find(node => node !== first)!;
    const { status, text } = await second.api.request('POST', '/api/v1/jobs', {
      ...{ role: 'me', environment: 'test', name: 'web', service: true, instances: 2, mem: 64, announce: {} },
      processes: [{ name: 'serve', command: commandOf(one, ensemble.servers, list) }],
      health_check: {
        checker: { type: 'http', port: 'http', path: '/' },
        ...{ interval_ms: 200, initial_interval_ms: 0, timeout_ms: 10_000, max_consecutive_failures: 100_000 },
      },
    });
    t.is(status, 201, text);
    const both = await until(
      () => `both to be announced. They said:\n${said(nodes)}`,
      async () => {
        const found = await portsIn(zk, list);
        return found?.length === 2 && [...found].sort();
      },
    );
    const seen = observe(t, zk, list);
    await until('the leader to have heard', async () => (await healthOn(first)).join() === 'well,well');
    t.deepEqual(await healthOn(second), ['well', 'well'], 'the other node tells the same');
    const standing = (await second.api.get('/api/v1/health')) as { serversets?: unknown };
    t.is(standing.serversets, undefined, 'it does not write');

    // One of them is sick, and the list with one member is what must be handed over.
    writeFileSync(sicknessOf(one, 0), '');
    const [left] = await until('the sick one to be off the list', async () => {
      const found = await portsIn(zk, list);
      return found?.length === 1 && found;
    });
    const transfer = await first.api.request('POST', '/api/v1/leader/transfer', { to: second.id });
    t.is(transfer.status, 202, transfer.text);
    await until('the other to lead', async () => (await leader()) === second);
    await until('it to write', async () => {
      const { serversets } = (await second.api.get('/api/v1/health')) as { serversets?: { status: string } };
      return serversets?.status === 'ok';
    });
    t.deepEqual(await portsIn(zk, list), [left]);
    await until('both nodes to tell how they are', async () => {
      const told = await Promise.all([first, second].map(healthOn));
      return told.every(each => each.join() === 'sick,well');
    });
    t.deepEqual(await portsIn(zk, list), [left], 'who was sick before is not announced by whoever comes next');
    rmSync(sicknessOf(one, 0));
    await until('it to be back', async () => (await portsIn(zk, list))?.length === 2);
    t.is(seen.fewest(), 1);

    const steady = observe(t, zk, list);
    await second.kill();
    t.deepEqual([...(await portsIn(zk, list))!].sort(), both);
    await until('the other to lead again', async () => (await leader([first])) === first);
    await until('it to have asked how they are', async () => (await healthOn(first)).join() === 'well,well');
    t.deepEqual([...(await portsIn(zk, list))!].sort(), both);
    t.is(steady.fewest(), 2, 'nobody who looked missed anybody');

    // What is decided now is written by the one who leads now.
    t.is((await first.api.request('DELETE', '/api/v1/jobs/me/test/web')).status, 204);
    const words = await until(
      () => `their last words. The nodes said:\n${said(nodes)}`,
      () => lastWords(one).length === 2 && lastWords(one),
    );
    for (const { port, found } of words) t.false(found?.includes(port), `${port} could still be found`);
    await until('the list to go with its job', async () => (await portsIn(zk, list)) === undefined);
  },
);
