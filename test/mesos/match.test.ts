// match.test.ts: nobody is seated twice or on a chair that is not there, nobody waits for a stranger, and every no is explained.

import test from 'ava';
import { type Constraint, compileConstraint } from '../../mesos/constraints.ts';
import { hostOf, hostsOf } from '../../mesos/hosts.ts';
import { type LaunchPlan, type Matched, type MatchOptions, match } from '../../mesos/match.ts';
import type { Offer } from '../../mesos/protocol.ts';
import { type OfferOf, offer, plan } from './support/offers.ts';
import { mulberry32 } from './support/seeded.ts';

const placed = ({ placements }: Matched) => placements.map(one => [one.plan.task_id, one.agent_id]);
const on = (offers: readonly OfferOf[], waiting: readonly LaunchPlan[], options: MatchOptions = {}) =>
  match(hostsOf(offers.map(offer)), waiting, options);

test('a plan that fits is placed, with the resources of the offer and all offers of its host', t => {
  const { placements, why, reached } = on(
    [
      { id: 'O1', agent: 'S1', cpus: 0.5, ports: [] },
      { id: 'O2', agent: 'S1', cpus: 0.75, mem: 0, disk: 0, ports: [[31_005, 31_006]] },
    ],
    [plan('a', { resources: { cpus: 1, mem: 128, disk: 0 }, ports: ['http', 'admin'] })],
  );
  t.is(why.size, 0);
  t.is(reached, 1);
  const [one] = placements;
  t.deepEqual(one?.offer_ids, ['O1', 'O2']);
  t.is(one?.hostname, 'host-S1');
  t.deepEqual(one?.ports, { http: 31_005, admin: 31_006 });
  const allocation_info = { role: '*' };
  t.deepEqual(one?.resources, [
    { name: 'cpus', type: 'SCALAR', role: '*', allocation_info, scalar: { value: 1 } },
    { name: 'mem', type: 'SCALAR', role: '*', allocation_info, scalar: { value: 128 } },
    { name: 'ports', type: 'RANGES', role: '*', allocation_info, ranges: { range: [{ begin: 31_005, end: 31_006 }] } },
  ]);
});

test('the executor is paid from the same host, beside its task', t => {
  const executor = { cpus: 0.1, mem: 32, disk: 32 };
  const fits = on([{ cpus: 1.1, mem: 160, disk: 32 }], [plan('a', { executor })]);
  t.deepEqual(
    fits.placements[0]?.executor_resources.map(({ name, scalar }) => [name, scalar?.value]),
    [
      ['cpus', 0.1],
      ['mem', 32],
      ['disk', 32],
    ],
  );
  for (const short of [{ cpus: 1 }, { mem: 159 }, { disk: 31 }])
    t.deepEqual(placed(on([{ cpus: 1.1, mem: 160, disk: 32, ...short }], [plan('a', { executor })])), []);
});

test('a group that fits nowhere does not hold up those behind it', t => {
  const matched = on([{ agent: 'S0' }], [plan('big', { resources: { cpus: 99, mem: 1, disk: 0 } }), plan('small')]);
  t.deepEqual(placed(matched), [['small', 'S0']]);
  t.deepEqual([...matched.why.keys()], ['big']);
});

test('who came first is placed first when there is not enough for all', t => {
  const waiting = ['a', 'b', 'c', 'd'].map(id => plan(id, { resources: { cpus: 2, mem: 1, disk: 0 } }));
  t.deepEqual(placed(on([{ cpus: 4 }], waiting)), [
    ['a', 'S0'],
    ['b', 'S0'],
  ]);
  t.deepEqual(placed(on([{ cpus: 4 }], waiting.toReversed())), [
    ['d', 'S0'],
    ['c', 'S0'],
  ]);
});

test('packing fills the fullest host that will do, and keeps whole hosts free', t => {
  const offers = [
    { agent: 'empty', cpus: 8 },
    { agent: 'half', cpus: 2 },
  ];
  t.deepEqual(
    placed(
      on(
        offers,
        ['a', 'b', 'c'].map(id => plan(id)),
      ),
    ),
    [
      ['a', 'half'],
      ['b', 'half'],
      ['c', 'empty'],
    ],
  );
  t.deepEqual(placed(on(offers, [plan('large', { resources: { cpus: 8, mem: 1, disk: 0 } })])), [['large', 'empty']]);
});

test('spreading goes round the hosts, one each, before any gets a second', t => {
  const offers = ['S0', 'S1', 'S2'].map(agent => ({ agent }));
  const agents = placed(
    on(
      offers,
      Array.from({ length: 6 }, (_, n) => plan(`t${n}`, { group: 'g' })),
      { strategy: 'spread' },
    ),
  ).map(([, agent]) => agent);
  t.is(new Set(agents.slice(0, 3)).size, 3);
  t.deepEqual(agents.slice(3), agents.slice(0, 3));
});

test('an agent that offered to two of our roles is two hosts: their offers must not be mixed', t => {
  const offers = [
    { id: 'O1', agent: 'S0', role: 'a', cpus: 1 },
    { id: 'O2', agent: 'S0', role: 'b', cpus: 1 },
  ];
  t.deepEqual(placed(on(offers, [plan('two', { resources: { cpus: 2, mem: 1, disk: 0 } })])), []);
  const matched = on(offers, [plan('a'), plan('b')]);
  t.deepEqual(
    matched.placements.map(({ offer_ids }) => offer_ids),
    [['O1'], ['O2']],
  );
  t.throws(() => hostOf([offer(offers[0]), offer(offers[1])]), { message: /expected one agent and one role/ });
});

test('constraints are kept, all of them, and hosts without the attribute do not count as willing', t => {
  const offers = [{ agent: 'S0', rack: 'a' }, { agent: 'S1', rack: 'b' }, { agent: 'S2' }];
  const agent_for = (...constraints: Constraint[]) => placed(on(offers, [plan('p', { constraints })]))[0]?.[1];
  t.is(agent_for(['rack', 'EQUALS', 'b']), 'S1');
  t.is(agent_for(['rack', 'LIKE', 'b|c']), 'S1');
  t.is(agent_for(['rack', 'UNLIKE', 'a']), 'S1');
  t.is(agent_for(['hostname', 'EQUALS', 'host-S2']), 'S2');
  t.is(agent_for(['rack', 'EQUALS', 'a'], ['hostname', 'UNLIKE', 'host-S0']), undefined);
  t.is(agent_for(['rack', 'LIKE', '[[[']), undefined, 'what cannot be read is satisfied by nobody');
});

test('why not: with no offers there are no offers', t => {
  t.deepEqual([...on([], [plan('a')]).why], [['a', { code: 'no-offers' }]]);
});

test('why not: each resource that is short tells how many hosts it excludes, and which came nearest', t => {
  const { why } = on(
    [
      { agent: 'S0', cpus: 1, mem: 4096 },
      { agent: 'S1', cpus: 1.5, mem: 4096 },
      { agent: 'S2', cpus: 8, mem: 100 },
    ],
    [plan('a', { resources: { cpus: 2, mem: 128, disk: 0 }, ports: ['x'] })],
  );
  t.deepEqual(why.get('a'), {
    code: 'no-fit',
    hosts: 3,
    short: {
      cpus: { hosts_excluded: 2, needs: 2, nearest: { agent_id: 'S1', hostname: 'host-S1', has: 1.5 } },
      mem: { hosts_excluded: 1, needs: 128, nearest: { agent_id: 'S2', hostname: 'host-S2', has: 100 } },
    },
    constraints: [],
  });
});

test('why not: ports that are short are counted', t => {
  const why = on([{ ports: [[1, 1]] }], [plan('a', { ports: ['x', 'y'] })]).why.get('a');
  t.deepEqual(why?.code === 'no-fit' ? why.short : {}, {
    ports: { hosts_excluded: 1, needs: 2, nearest: { agent_id: 'S0', hostname: 'host-S0', has: 1 } },
  });
});

test('why not: a constraint tells how many hosts it excludes and what they have instead', t => {
  const constraint: Constraint = ['rack', 'EQUALS', 'c'];
  const why = on(
    [{ agent: 'S0', rack: 'a' }, { agent: 'S1', rack: 'b' }, { agent: 'S2', rack: 'b' }, { agent: 'S3' }],
    [plan('a', { constraints: [constraint, ['hostname', 'LIKE', '.*']] })],
  ).why.get('a');
  t.deepEqual(why, {
    code: 'no-fit',
    hosts: 4,
    short: {},
    constraints: [{ constraint, hosts_excluded: 4, hosts_without: 1, values: ['a', 'b'] }],
  });
});

test('why not: what is left after others were placed is what counts', t => {
  const why = on(
    [{ cpus: 2 }],
    ['a', 'b', 'c'].map(id => plan(id, { group: 'g' })),
  ).why.get('g');
  t.is(why?.code === 'no-fit' ? why.short.cpus?.nearest.has : undefined, 0);
});

test('a limit ends the matching: the rest is told that it was not reached', t => {
  const waiting = ['a', 'b', 'c'].map(id => plan(id));
  const matched = on([{}], waiting, { placements_max: 2 });
  t.is(matched.placements.length, 2);
  t.is(matched.reached, 2);
  t.deepEqual([...matched.why], [['c', { code: 'not-reached' }]]);
  t.is(on([{}], waiting, { visits_max: 1 }).reached, 1);
});

test('the hosts that were matched are as they were: matching again gives the same', t => {
  const hosts = hostsOf([offer({ cpus: 2 }), offer({ agent: 'S1', cpus: 1 })]);
  const waiting = ['a', 'b', 'c', 'd'].map(id => plan(id, { ports: ['p'] }));
  t.deepEqual(match(hosts, waiting), match(hosts, waiting));
});

// --- against a slow and simple one --------------------------------------------------------------------------------------

/** What is left of each agent, walked through plan by plan and host by host. */
function fitsSomewhere(left: ReadonlyMap<string, Left>, one: LaunchPlan): boolean {
  return [...left.values()].some(host => {
    const need = {
      cpus: one.resources.cpus + (one.executor?.cpus ?? 0),
      mem: one.resources.mem + (one.executor?.mem ?? 0),
      disk: one.resources.disk + (one.executor?.disk ?? 0),
    };
    const willing = one.constraints.every(constraint => {
      const compiled = compileConstraint(constraint);
      return compiled.ok && compiled.value(host.attributes);
    });
    return (
      willing &&
      host.cpus >= need.cpus - 1e-9 &&
      host.mem >= need.mem - 1e-9 &&
      host.disk >= need.disk - 1e-9 &&
      host.ports.size >= one.ports.length
    );
  });
}
type Left = {
  cpus: number;
  mem: number;
  disk: number;
  ports: Set<number>;
  attributes: ReturnType<typeof hostOf>['attributes'];
};

for (const strategy of ['pack', 'spread'] as const)
  test(`${strategy}: in 300 seeded clusters nothing is over-committed, nothing that fits is left out, the order is kept`, t => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = mulberry32(seed);
      const one_of = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
      const offers: Offer[] = Array.from({ length: Math.floor(random() * 12) }, (_, n) => {
        const begin = 31_000 + n * 10;
        return offer({
          agent: `S${Math.floor(random() * 6)}`,
          cpus: Math.floor(random() * 40) / 10,
          mem: Math.floor(random() * 512),
          disk: Math.floor(random() * 100),
          ports: random() < 0.3 ? [] : [[begin, begin + Math.floor(random() * 5)]],
        });
      }).map(one => ({
        ...one,
        attributes: [{ name: 'rack', type: 'TEXT', text: { value: `r${Number(one.agent_id.value.slice(1)) % 3}` } }],
      }));
      const kinds = Array.from({ length: 4 }, (_, k) => ({
        group: `g${k}`,
        resources: { cpus: one_of([0.1, 0.5, 1, 2]), mem: one_of([16, 64, 200]), disk: one_of([0, 0, 10]) },
        ports: one_of([[], ['a'], ['a', 'b']]),
        executor: one_of([undefined, { cpus: 0.1, mem: 32, disk: 10 }]),
        constraints: one_of<readonly Constraint[]>([
          [],
          [['rack', 'EQUALS', 'r1']],
          [['rack', 'UNLIKE', 'r[01]']],
          [
            ['rack', 'LIKE', 'r.'],
            ['hostname', 'LIKE', 'host-S[0-3]'],
          ],
        ]),
      }));
      const waiting = Array.from({ length: 30 }, (_, n) => plan(`t${n}`, one_of(kinds)));
      const { placements, why, reached } = match(hostsOf(offers), waiting, { strategy });
      t.is(reached, waiting.length);

      const left = new Map<string, Left>();
      for (const host of hostsOf(offers)) {
        const sum = (name: string) =>
          host.offers
            .flatMap(one => one.resources)
            .filter(one => one.name === name)
            .reduce((total, one) => total + one.scalar!.value, 0);
        const ports = host.offers
          .flatMap(one => one.resources)
          .flatMap(one => one.ranges?.range ?? [])
          .flatMap(({ begin, end }) => Array.from({ length: end - begin + 1 }, (_, n) => begin + n));
        left.set(host.agent_id, {
          cpus: sum('cpus'),
          mem: sum('mem'),
          disk: sum('disk'),
          ports: new Set(ports),
          attributes: host.attributes,
        });
      }
      const by_task = new Map(placements.map(one => [one.plan.task_id, one]));
      t.deepEqual(
        placements.map(one => one.plan.task_id),
        waiting.map(one => one.task_id).filter(id => by_task.has(id)),
      );
      for (const one of waiting) {
        const placement = by_task.get(one.task_id);
        if (placement === undefined) {
          t.false(fitsSomewhere(left, one), `seed ${seed}: ${one.task_id} was left out although it fits`);
          t.is(why.get(one.group)?.code, offers.length === 0 ? 'no-offers' : 'no-fit', `seed ${seed}`);
          continue;
        }
        const host = left.get(placement.agent_id)!;
        for (const resource of [...placement.resources, ...placement.executor_resources]) {
          if (resource.scalar !== undefined) {
            const name = resource.name as 'cpus' | 'mem' | 'disk';
            host[name] -= resource.scalar.value;
            t.true(host[name] > -1e-9, `seed ${seed}: ${name} of ${placement.agent_id} is over-committed`);
          }
        }
        t.is(Object.keys(placement.ports).length, one.ports.length);
        for (const port of Object.values(placement.ports))
          t.true(host.ports.delete(port), `seed ${seed}: port ${port} is not free on ${placement.agent_id}`);
      }
    }
  });

test('ten thousand plans over a thousand hosts: all that fits is placed, and the rest costs no search each', t => {
  const offers = Array.from({ length: 1000 }, (_, n) => offer({ agent: `S${n}`, cpus: 4 }));
  const { placements, why } = match(
    hostsOf(offers),
    Array.from({ length: 10_000 }, (_, n) => plan(`t${n}`, { group: 'g' })),
    { visits_max: 200_000 },
  );
  t.is(placements.length, 4000);
  t.is(why.get('g')?.code, 'no-fit');
});

for (const strategy of ['pack', 'spread'] as const)
  test(`${strategy}: what one of a group has searched for in vain, the others do not search for again`, t => {
    const offers = Array.from({ length: 1000 }, (_, n) => offer({ agent: `S${n}`, rack: 'a' }));
    const waiting = Array.from({ length: 10_000 }, (_, n) =>
      plan(`t${n}`, { group: 'g', constraints: [['rack', 'LIKE', 'b.*']] }),
    );
    const { reached, why } = match(hostsOf(offers), waiting, { strategy, visits_max: 50_000 });
    t.is(reached, 10_000);
    t.like(why.get('g'), { code: 'no-fit', constraints: [{ hosts_excluded: 1000, values: ['a'] }] });
  });
