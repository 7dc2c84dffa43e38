// steady.test.ts: lengths of time stay what they are when the clock is set.

import test from 'ava';
import { steadyClock } from '../../mesos/executor/steady.ts';
import { simulatedClock } from '../../schedules/clock.ts';

test('a clock that is set back or forth in the middle neither stretches nor shortens a wait', t => {
  const machine = simulatedClock(1_000_000);
  const clock = steadyClock(machine);
  t.is(clock.now(), 1_000_000);
  machine.step(400_000);
  t.is(clock.now(), 1_000_000);
  let woken = 0;
  clock.wakeAt(clock.now() + 5_000, () => woken++);
  machine.advanceTo(404_999);
  t.is(woken, 0);
  machine.advanceTo(405_000);
  t.is(woken, 1);
  t.is(clock.now(), 1_005_000);
});
