// overlap.test.ts: what a run does that finds another one active.

import test from 'ava';
import { type Arrival, arrive, type Overlap, overlapOfChronos, startable } from '../../schedules/overlap.ts';

const all: readonly Overlap[] = [
  { policy: 'skip' },
  { policy: 'buffer_one' },
  { policy: 'buffer_all', buffer_max: 2 },
  { policy: 'cancel_other' },
  { policy: 'kill_other' },
  { policy: 'allow', runs_max: 2 },
];
const word = (arrival: Arrival): string =>
  arrival.action === 'skip'
    ? `skip:${arrival.why}`
    : 'supersedes_buffered' in arrival && arrival.supersedes_buffered
      ? `${arrival.action}+`
      : arrival.action;

test('the whole table: every policy by active and waiting runs', t => {
  const states: readonly (readonly [number, number])[] = [
    [0, 0],
    [1, 0],
    [1, 1],
    [2, 0],
    [1, 2],
  ];
  const table = Object.fromEntries(
    all.map(overlap => [
      overlap.policy,
      states.map(([active, buffered]) => word(arrive(overlap, active, buffered))).join(' '),
    ]),
  );
  t.deepEqual(table, {
    skip: 'start skip:overlap skip:overlap skip:overlap skip:overlap',
    buffer_one: 'start buffer replace_buffered buffer replace_buffered',
    buffer_all: 'start buffer buffer buffer skip:buffer_full',
    cancel_other: 'start cancel_then_start cancel_then_start+ cancel_then_start cancel_then_start+',
    kill_other: 'start kill_then_start kill_then_start+ kill_then_start kill_then_start+',
    allow: 'start start start skip:limit start',
  });
});
test('when a run ends the oldest waiting one starts, and only when nothing is active', t => {
  for (const overlap of all.slice(0, 5)) {
    t.is(startable(overlap, 0, 0), 0, overlap.policy);
    t.is(startable(overlap, 0, 3), 1, overlap.policy);
    t.is(startable(overlap, 1, 3), 0, overlap.policy);
  }
  t.is(startable({ policy: 'allow', runs_max: 3 }, 1, 5), 2);
  t.is(startable({ policy: 'allow', runs_max: 1 }, 2, 5), 0);
});
test("Chronos's concurrent runs side by side; without it generation 3 keeps one for later and generation 2 drops it", t => {
  t.deepEqual(overlapOfChronos(true, 3, 100), { policy: 'allow', runs_max: 100 });
  t.deepEqual(overlapOfChronos(false, 3, 100), { policy: 'buffer_one' });
  t.deepEqual(overlapOfChronos(false, 2, 100), { policy: 'skip' });
});
