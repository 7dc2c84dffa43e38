// backoff.test.ts: waits between attempts.

import test from 'ava';
import { type Backoff, delayBefore, fixedBackoff } from '../../schedules/backoff.ts';

const doubling: Backoff = { delay_ms: 1000, factor: 2, delay_ms_max: 60_000, jitter: 0 };

test('the first attempt does not wait, a fixed wait stays the same', t => {
  t.deepEqual(
    [1, 2, 3, 50].map(attempt => delayBefore(fixedBackoff(60_000), attempt, 0.5)),
    [0, 60_000, 60_000, 60_000],
  );
});
test('waits double up to their limit, however many attempts there are', t => {
  t.deepEqual(
    [2, 3, 4, 7, 8, 9, 5000].map(attempt => delayBefore(doubling, attempt, 0)),
    [1000, 2000, 4000, 32_000, 60_000, 60_000, 60_000],
  );
  t.is(delayBefore({ ...doubling, delay_ms: 0 }, 5000, 0), 0);
});
test('jitter takes away no more than its part, and the limit holds with it', t => {
  const jittered = { ...doubling, jitter: 0.5 };
  for (const chance of [0, 0.25, 0.999]) {
    const delay = delayBefore(jittered, 5000, chance);
    t.true(delay >= 30_000 && delay <= 60_000);
  }
  t.is(delayBefore(jittered, 2, 0.5), 750);
});
