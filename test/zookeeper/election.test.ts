// election.test.ts: candidates in sessions and processes of their own, before a real ZooKeeper.

import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../schedules/clock.ts';
import { connectZooKeeper, type ZooKeeper } from '../../transport/zookeeper/client.ts';
import { type Election, type Standing, standForLeader } from '../../transport/zookeeper/election.ts';
import { type Child, startChild } from '../support/child.ts';
import { testWith } from '../support/needs.ts';
import { fileOwner } from '../support/temp.ts';
import { until } from '../support/until.ts';
import { startProxy, startZooKeeper, zookeeper } from '../support/zookeeper.ts';

const testZooKeeper = testWith(zookeeper);
const owner = fileOwner();
const ensemble = zookeeper === undefined ? undefined : await startZooKeeper(owner);
test.after.always(owner.clean);
const clock = systemClock();
let paths = 0;
const newPath = () => `/horae/election-${paths++}`;
const candidateOf = (id: string) => ({ id, http: `http://${id}:8080`, link: `ws://${id}:8081`, version: '1.0' });

type Contender = { readonly zk: ZooKeeper; readonly election: Election; readonly standings: Standing[] };
function contend(
  t: ExecutionContext,
  path: string,
  id: string,
  servers = ensemble!.servers,
  session_timeout_ms = 200_000,
  wrapped: (zk: ZooKeeper) => ZooKeeper = zk => zk,
): Contender {
  const zk = wrapped(connectZooKeeper({ servers, session_timeout_ms, clock }));
  t.teardown(() => zk.close());
  const election = standForLeader({ zk, path, candidate: candidateOf(id), clock });
  const standings: Standing[] = [];
  election.onChange((standing, before) => standing !== before && standings.push(standing));
  return { zk, election, standings };
}
const is = (contender: Contender, standing: Standing) =>
  until(`a contender to be ${standing}`, () => contender.election.standing() === standing);
/** In this order in line. */
async function lineUp(t: ExecutionContext, path: string, ids: readonly string[]): Promise<Contender[]> {
  const line: Contender[] = [];
  for (const id of ids) {
    line.push(contend(t, path, id));
    await is(line.at(-1)!, line.length === 1 ? 'leading' : 'waiting');
  }
  return line;
}

testZooKeeper('of three contenders one leads, the others know it, and the next follows when it goes', async t => {
  const path = newPath();
  const [a, b, c] = (await lineUp(t, path, ['a', 'b', 'c'])) as [Contender, Contender, Contender];
  t.true(a.election.sure());
  t.false(b.election.sure());
  for (const each of [a, b, c])
    await until('everybody to know the leader', () => each.election.leader()?.http === 'http://a:8080');
  t.deepEqual(
    (await b.election.candidates()).map(candidate => candidate.id),
    ['a', 'b', 'c'],
  );
  await a.zk.close();
  t.is(a.election.standing(), 'out');
  t.false(a.election.sure());
  await is(b, 'leading');
  await until('the last to know the leader', () => c.election.leader()?.id === 'b');
  await b.election.leave();
  t.is(b.election.standing(), 'out');
  await is(c, 'leading');
  t.deepEqual(c.standings, ['waiting', 'leading']);
});

testZooKeeper(
  'a leader whose connection breaks is in doubt at once, and leads again when its session is found alive',
  async t => {
    const path = newPath();
    const proxy = await startProxy(t, ensemble!.members[0]!.port);
    const a = contend(t, path, 'a', proxy.address);
    await is(a, 'leading');
    const b = contend(t, path, 'b');
    await is(b, 'waiting');
    proxy.cut();
    await is(a, 'doubt');
    t.false(a.election.sure());
    proxy.mend();
    await is(a, 'leading');
    t.deepEqual(a.standings, ['leading', 'doubt', 'leading']);
    t.deepEqual(b.standings, ['waiting']);
  },
);

testZooKeeper(
  'a leader that is cut off for longer than its session is out when it returns, and another leads',
  async t => {
    const path = newPath();
    const proxy = await startProxy(t, ensemble!.members[0]!.port);
    const a = contend(t, path, 'a', proxy.address, 3_000);
    await is(a, 'leading');
    const b = contend(t, path, 'b');
    await is(b, 'waiting');
    proxy.stall();
    await is(b, 'leading');
    t.is(a.election.standing(), 'doubt', 'it has known before the other led');
    proxy.mend();
    await is(a, 'out');
    t.regex(a.election.failure()!.message, /expired/);
  },
);

testZooKeeper('a leader steps back when it is asked to, for whoever is next or for one that is named', async t => {
  const path = newPath();
  const [a, b, c] = (await lineUp(t, path, ['a', 'b', 'c'])) as [Contender, Contender, Contender];
  await a.election.yield('c');
  await is(c, 'leading');
  t.is(a.election.standing(), 'waiting');
  t.false(b.standings.includes('leading'), 'the one between has let it pass');
  await until('the line to be whole again', async () => (await c.election.candidates()).length === 3);
  const next = (await c.election.candidates())[1]!.id;
  await c.election.yield();
  const heir = { a, b, c }[next as 'a' | 'b' | 'c'];
  await is(heir, 'leading');
  await t.throwsAsync(c.election.yield(), { message: /while (joining|waiting)/ });
  await t.throwsAsync(heir.election.yield('d'), { message: /"d": expected one of / });
});

testZooKeeper('one that is alone keeps the lead: there is nobody to hand over to', async t => {
  const a = contend(t, newPath(), 'a');
  await is(a, 'leading');
  await t.throwsAsync(a.election.yield(), { message: /no other candidate/ });
  t.is(a.election.standing(), 'leading');
});

testZooKeeper('when the answer to joining the line is lost, one stands in it once', async t => {
  const path = newPath();
  const proxy = await startProxy(t, ensemble!.members[0]!.port);
  let lost = 0;
  proxy.judge = (frame, direction) =>
    direction === 'to-client' && frame.includes('/candidate-') && lost++ < 2 ? 'lose' : 'pass';
  const a = contend(t, path, 'a', proxy.address);
  await is(a, 'leading');
  t.true(lost >= 1);
  const names = await a.zk.children(path);
  t.is(names!.length, 1);
});

testZooKeeper('a candidate whose node somebody removes stands in line again', async t => {
  const path = newPath();
  const [a, b] = (await lineUp(t, path, ['a', 'b'])) as [Contender, Contender];
  const [first] = (await b.zk.children(path))!.toSorted((x, y) => (x.slice(-10) < y.slice(-10) ? -1 : 1));
  await b.zk.delete(`${path}/${first}`);
  await is(b, 'leading');
  await is(a, 'waiting');
  t.deepEqual(a.standings, ['leading', 'joining', 'waiting']);
});

testZooKeeper('a leader whose node somebody removes while it hands over stands in line once', async t => {
  const path = newPath();
  const wish = Promise.withResolvers<void>();
  const place = Promise.withResolvers<void>();
  let joined = 0;
  const a = contend(t, path, 'a', undefined, undefined, zk => ({
    ...zk,
    async set(...about) {
      const made = await zk.set(...about);
      await wish.promise;
      return made;
    },
    async create(...about) {
      const made = await zk.create(...about);
      if (about[0].includes('/candidate-') && ++joined === 2) await place.promise;
      return made;
    },
  }));
  await is(a, 'leading');
  const b = contend(t, path, 'b');
  await is(b, 'waiting');
  const handing = a.election.yield();
  const [first] = (await b.zk.children(path))!.toSorted((x, y) => (x.slice(-10) < y.slice(-10) ? -1 : 1));
  await b.zk.delete(`${path}/${first}`);
  await until('it to stand in line again without knowing it', async () => joined === 2);
  wish.resolve();
  await handing;
  place.resolve();
  await is(b, 'leading');
  await is(a, 'waiting');
  t.deepEqual(
    (await b.election.candidates()).map(({ id }) => id),
    ['b', 'a'],
  );
  await b.election.leave();
  await is(a, 'leading');
});

testZooKeeper('who may not stand in line is told why', async t => {
  const path = newPath();
  const secret = connectZooKeeper({
    servers: ensemble!.servers,
    session_timeout_ms: 200_000,
    clock,
    auth: { scheme: 'digest', id: 'a:b' },
  });
  t.teardown(() => secret.close());
  await secret.mkdirs('/horae-secret');
  const a = contend(t, `/horae-secret${path}`, 'a');
  await is(a, 'out');
  t.regex(a.election.failure()!.message, /no-auth/);
});

testZooKeeper(
  'of three processes the leader is killed, and the next is stopped for longer than its session: it harms nobody',
  async t => {
    const path = newPath();
    const program = fileURLToPath(new URL('contender.ts', import.meta.url));
    const start = async (id: string, expected: Standing): Promise<Child> => {
      const argv = [program, ensemble!.servers, path, id, '3000'];
      const child = startChild(t, { command: process.execPath, argv });
      await child.line(new RegExp(`^${id} ${expected}`));
      return child;
    };
    const a = await start('a', 'leading');
    const b = await start('b', 'waiting');
    const c = await start('c', 'waiting');
    await a.kill();
    await b.line(/^b leading/);
    await b.line(/^b sure/);
    b.send('SIGSTOP');
    await c.line(/^c leading/);
    b.send('SIGCONT');
    await b.line(/^b out/);
    const said = b.output().split('\n');
    const resumed = said.slice(said.indexOf('b sure while leading') + 1);
    t.regex(resumed[0]!, /^b (unsure|doubt|out)/, 'the first that it says is not that it leads');
    t.false(resumed.some(line => /\bsure/.test(line)));
    t.regex(c.output(), /c leading/);
  },
);
