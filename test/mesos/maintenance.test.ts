// maintenance.test.ts: who may still move into a machine that is about to go.

import test from 'ava';
import { absenceIn, absenceOf, wouldMeet } from '../../mesos/maintenance.ts';
import { millisecondsOf } from '../../mesos/nanoseconds.ts';
import type { Event } from '../../mesos/protocol.ts';
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
