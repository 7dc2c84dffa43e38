// clock.test.ts: the system's clock wakes whoever asks, and the simulated one only when its hand is moved.

import test from 'ava';
import { simulatedClock, systemClock } from '../schedules/clock.ts';

test('the simulated clock calls in order of instant, then of arming, and shows each its own time', t => {
  const clock = simulatedClock(1000);
  const seen: string[] = [];
  const wake = (name: string, at: number) => clock.wakeAt(at, () => seen.push(`${name}@${clock.now()}`));
  wake('late', 1300);
  wake('first', 1100);
  wake('second', 1100);
  wake('past', 500);
  t.is(clock.nextWake(), 500);
  clock.advanceTo(1200);
  t.deepEqual(seen, ['past@1000', 'first@1100', 'second@1100']);
  t.is(clock.now(), 1200);
  t.is(clock.nextWake(), 1300);
});
test('what is armed on the way is called on the same way, what is cancelled is not', t => {
  const clock = simulatedClock(0);
  const seen: number[] = [];
  const cancelled = clock.wakeAt(50, () => seen.push(-1));
  clock.wakeAt(10, () => {
    seen.push(clock.now());
    cancelled.cancel();
    clock.wakeAt(20, () => seen.push(clock.now()));
  });
  clock.advanceTo(100);
  t.deepEqual(seen, [10, 20]);
  t.is(clock.nextWake(), undefined);
});
test('the hand cannot be moved back, but the wall clock can be set, while lengths of time go on', t => {
  const clock = simulatedClock(1000);
  clock.advanceTo(1500);
  t.throws(() => clock.advanceTo(1499), { message: /cannot travel back from 1500 to 1499/ });
  t.is(clock.monotonic(), 500);
  clock.step(200);
  t.is(clock.now(), 200);
  t.is(clock.monotonic(), 500);
  clock.advanceTo(300);
  t.is(clock.monotonic(), 600);
});
test('a wall clock set forward past a wake calls it at the next move, without time having passed', t => {
  const clock = simulatedClock(0);
  let called = 0;
  clock.wakeAt(100, () => called++);
  clock.step(500);
  t.is(called, 0);
  clock.advanceTo(500);
  t.is(called, 1);
  t.is(clock.monotonic(), 0);
});
test('the system clock wakes at once what is past, and not what is cancelled or 30 days off', async t => {
  const clock = systemClock();
  // Its timers let the process end, so something has to keep this test alive.
  const alive = setInterval(() => undefined, 1000);
  let wrong = 0;
  const far = clock.wakeAt(clock.now() + 30 * 86_400_000, () => wrong++);
  clock.wakeAt(clock.now() - 5, () => wrong++).cancel();
  await new Promise<void>(resolve => clock.wakeAt(clock.now() - 1000, resolve));
  await new Promise<void>(resolve => clock.wakeAt(clock.now() + 5, resolve));
  far.cancel();
  clearInterval(alive);
  t.is(wrong, 0);
});
