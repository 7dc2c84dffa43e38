// maintenance.test.ts: who may still move into a machine that is about to go.

import test from 'ava';
import { hostsOf } from '../../mesos/hosts.ts';
import { absenceIn, absenceOf, wouldMeet } from '../../mesos/maintenance.ts';
import { match } from '../../mesos/match.ts';
import { millisecondsOf } from '../../mesos/nanoseconds.ts';
import type { Event, Offer } from '../../mesos/protocol.ts';
import { offer, plan } from './support/offers.ts';
import { recording, recordsIn, unchunked } from './support/recordings.ts';

test('nanoseconds beyond 2^53 are exact as milliseconds', t => {
  const { nanoseconds } = JSON.parse('{"nanoseconds":1795314015779154321}') as { nanoseconds: number };
  t.is(millisecondsOf({ nanoseconds }), 1_795_314_015_779);
  t.is(millisecondsOf({ nanoseconds: 3_000_000_000 }), 3000);
});

const hour = 3_600_000;

test('work that is over before the agent goes, or that begins when it is back, does not meet its absence', t => {
  const absence = { from: 10 * hour, until: 12 * hour };
  for (const [now, lasts, meets] of [
    [0, 10 * hour, false],
    [0, 10 * hour + 1, true],
    [0, Number.POSITIVE_INFINITY, true],
    [11 * hour, 1, true],
    [12 * hour, Number.POSITIVE_INFINITY, false],
  ] as const)
    t.is(wouldMeet(absence, now, lasts), meets, `${now} for ${lasts}`);
  t.true(wouldMeet({ from: 10 * hour, until: undefined }, 99 * hour, 1), 'what goes for good does not come back');
});

test('what a real master announces is read from its offers, and from its inverse offers alike', t => {
  const [stream] = recording('26').streams;
  const events = recordsIn(unchunked(stream!.raw).body).map(text => JSON.parse(text) as Event);
  const offers = events.flatMap(event => (event.type === 'OFFERS' ? event.offers.offers : []));
  const inverse = events.flatMap(event => (event.type === 'INVERSE_OFFERS' ? event.inverse_offers.inverse_offers : []));
  const announced = offers.filter(({ unavailability }) => unavailability !== undefined);
  t.true(announced.length > 0 && inverse.length > 0);
  const expected = { from: 1_795_314_757_589, until: 1_795_314_757_589 + hour };
  for (const offer of announced) t.deepEqual(absenceIn([offer]), expected);
  for (const { unavailability } of inverse) t.deepEqual(absenceOf(unavailability), expected);
  t.is(absenceIn(offers.filter(offer => offer.unavailability === undefined)), undefined);
});

const leaving = (agent: string, from: number, length_ms?: number): Offer => ({
  ...offer({ agent }),
  unavailability: {
    start: { nanoseconds: from * 1e6 },
    ...(length_ms === undefined ? {} : { duration: { nanoseconds: length_ms * 1e6 } }),
  },
});

test('work goes where it will be over before the agent leaves, and what has no end elsewhere', t => {
  const hosts = hostsOf([leaving('S0', 5 * hour), offer({ agent: 'S1', cpus: 3 })]);
  const { placements, why } = match(
    hosts,
    [
      plan('service', { lasts_ms: 24 * hour }),
      plan('batch', { lasts_ms: hour }),
      plan('whatever'),
      plan('too large', { lasts_ms: 24 * hour, resources: { cpus: 3.5, mem: 1, disk: 0 } }),
    ],
    { now: 0, strategy: 'spread' },
  );
  t.deepEqual(
    placements.map(({ plan, agent_id }) => [plan.task_id, agent_id]),
    [
      ['service', 'S1'],
      ['batch', 'S0'],
      ['whatever', 'S1'],
    ],
  );
  t.like(why.get('too large'), { code: 'no-fit', leaving: { hosts_excluded: 1, from: 5 * hour } });
});

test('an agent that is back from maintenance, or of which nobody asks, takes everything', t => {
  const hosts = hostsOf([leaving('S0', hour, hour)]);
  for (const options of [{ now: 2 * hour }, {}])
    t.is(match(hosts, [plan('a', { lasts_ms: 24 * hour })], options).placements.length, 1);
  t.is(match(hosts, [plan('a', { lasts_ms: 24 * hour })], { now: 0 }).placements.length, 0);
});
