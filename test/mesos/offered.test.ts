// offered.test.ts: what a real master has offered, in all its kinds, as matching sees it.

import test from 'ava';
import { compileConstraint } from '../../mesos/constraints.ts';
import { hostOf, hostsOf } from '../../mesos/hosts.ts';
import { match } from '../../mesos/match.ts';
import type { Event, Offer } from '../../mesos/protocol.ts';
import { plan } from './support/offers.ts';
import { json_streams, recording, recordsIn, unchunked } from './support/recordings.ts';

const offersOf = (number: string): readonly Offer[] =>
  recording(number)
    .streams.flatMap(({ raw }) => recordsIn(unchunked(raw).body).map(text => JSON.parse(text) as Event))
    .flatMap(event => (event.type === 'OFFERS' ? event.offers.offers : []));
const small = { resources: { cpus: 0.1, mem: 32, disk: 0 } };

test('25: what is reserved for us is used first, and written back with all that was said of it', t => {
  const offer = offersOf('25').find(({ resources }) =>
    resources.some(({ reservations }) => reservations !== undefined),
  )!;
  const [one] = match(hostsOf([offer]), [plan('a', small)]).placements;
  t.deepEqual(
    one!.resources.map(({ name, reservations }) => [name, reservations?.at(-1)?.role]),
    [
      ['cpus', 'db'],
      ['mem', 'db'],
    ],
  );
  const reserved = offer.resources.find(({ reservations }) => reservations !== undefined)!;
  t.deepEqual(one!.resources[0]!.reservations, reserved.reservations);
});

test('25: what does not fit into what is reserved is filled up with what is anybody’s, and a volume is left alone', t => {
  const offers = offersOf('25');
  const mixed = offers.find(({ resources }) => resources.filter(({ name }) => name === 'cpus').length === 2)!;
  const [one] = match(hostsOf([mixed]), [plan('a', { resources: { cpus: 1, mem: 32, disk: 0 } })]).placements;
  t.deepEqual(
    one!.resources.flatMap(({ name, scalar, reservations }) =>
      name === 'cpus' ? [[scalar!.value, reservations?.length ?? 0]] : [],
    ),
    [
      [0.5, 1],
      [0.5, 0],
    ],
  );
  const volume = offers.find(({ resources }) => resources.some(({ disk }) => disk?.persistence !== undefined))!;
  t.is(hostOf([volume]).free.disk, 0, 'all its disk is the volume');
});

test('27: offers of one agent to two roles are two hosts, which no ACCEPT mixes', t => {
  const offers = offersOf('27');
  const roles = new Set(offers.map(({ allocation_info }) => allocation_info?.role));
  t.deepEqual(roles, new Set(['a', 'b/c']));
  const [first, second] = [...roles].map(role => offers.find(({ allocation_info }) => allocation_info?.role === role)!);
  const same_agent = { ...second!, agent_id: first!.agent_id };
  t.is(hostsOf([first!, same_agent]).length, 2);
  t.throws(() => hostOf([first!, same_agent]), { message: /expected one agent and one role/ });
});

test('40: several offers of one agent are one host with the sum of them', t => {
  const offers = offersOf('40').filter(({ id }) => /-O1[01]$/.test(id.value));
  t.is(offers.length, 2);
  const [host, ...others] = hostsOf(offers);
  t.deepEqual(others, []);
  t.deepEqual([host!.free.cpus, host!.free.mem], [4000, 4_096_000]);
});

test('28: attributes are what constraints are held to', t => {
  const [host] = hostsOf(offersOf('28').slice(0, 1));
  const holds = (value: string) => {
    const compiled = compileConstraint(['rack', 'EQUALS', value]);
    return compiled.ok && compiled.value(host!.attributes);
  };
  t.deepEqual([holds('b'), holds('a')], [true, false], 'the framework had asked for rack b');
});

test('attributes of every type are matched and shown', t => {
  const host = hostOf([
    {
      ...offersOf('28')[0]!,
      attributes: [
        { name: 'level', type: 'SCALAR', scalar: { value: 3 } },
        { name: 'slots', type: 'RANGES', ranges: { range: [{ begin: 1, end: 4 }] } },
        { name: 'tags', type: 'SET', set: { item: ['ssd', 'fast'] } },
      ],
    },
  ]);
  const holds = (constraint: Parameters<typeof compileConstraint>[0]) => {
    const compiled = compileConstraint(constraint);
    return compiled.ok && compiled.value(host.attributes);
  };
  t.true(holds(['level', 'LIKE', '3.0']));
  t.true(holds(['tags', 'LIKE', 'ssd']));
  t.false(holds(['tags', 'UNLIKE', 'fast']));
  t.false(holds(['slots', 'LIKE', '.*']));
});

test('every offer in the recordings is a host that has what it says', t => {
  let count = 0;
  for (const { stream } of json_streams)
    for (const text of recordsIn(unchunked(stream.raw).body)) {
      const event = JSON.parse(text) as Event;
      if (event.type !== 'OFFERS') continue;
      for (const offer of event.offers.offers) {
        count++;
        const cpus = offer.resources
          .filter(({ name }) => name === 'cpus')
          .reduce((sum, { scalar }) => sum + Math.round(scalar!.value * 1000), 0);
        t.is(hostOf([offer]).free.cpus, cpus);
      }
    }
  t.true(count > 100, `${count} offers`);
});

test('work that needs no GPU leaves hosts that have some to those that do', t => {
  const gpus = { name: 'gpus', type: 'SCALAR', scalar: { value: 2 } } as const;
  const [offer] = offersOf('28');
  const rich = { ...offer!, id: { value: 'G' }, agent_id: { value: 'G' }, resources: [...offer!.resources, gpus] };
  for (const strategy of ['pack', 'spread'] as const) {
    const { placements } = match(
      hostsOf([rich, offer!]),
      [plan('a', small), plan('b', { resources: { cpus: 0.1, mem: 32, disk: 0, gpus: 1 } })],
      { strategy },
    );
    t.deepEqual(
      placements.map(({ agent_id }) => agent_id),
      [offer!.agent_id.value, 'G'],
      strategy,
    );
  }
});
