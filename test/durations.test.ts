// durations.test.ts: the histogram of a job's durations, laid beside the library that everybody measures with.

import test from 'ava';
import fc from 'fast-check';
import { build } from 'hdr-histogram-js';
import { bucketOf, type Durations, figuresOf, longestIn, withDuration } from '../actors/model/durations.ts';

const of = (values: readonly number[]): Durations =>
  values.reduce<Durations | undefined>((before, ms) => withDuration(before, ms), undefined)!;

test('percentiles, mean and longest are those of an HDR histogram with two digits', t => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(300), fc.nat(100_000), fc.nat(2_000_000_000)), { minLength: 1, maxLength: 400 }),
      values => {
        const theirs = build({
          lowestDiscernibleValue: 1,
          highestTrackableValue: 2 ** 40,
          numberOfSignificantValueDigits: 2,
        });
        for (const value of values) theirs.recordValue(value);
        const ours = figuresOf(of(values));
        for (const p of [50, 75, 95, 98, 99] as const) {
          const at = theirs.getValueAtPercentile(p);
          t.is(ours[`p${p}_ms`], Math.min(at, Math.max(...values)), `p${p} of ${values.length}`);
        }
        t.is(ours.max_ms, Math.max(...values));
        t.is(ours.count, values.length);
        t.true(Math.abs(ours.mean_ms - values.reduce((a, b) => a + b, 0) / values.length) < 1e-3 * ours.max_ms + 1e-9);
      },
    ),
    { numRuns: 300 },
  );
});

test('a percentile is never off by more than 0.8 %, from a millisecond to a year', t => {
  for (let ms = 1; ms < 3.2e10; ms = Math.ceil(ms * 1.07)) {
    const told = longestIn(bucketOf(ms));
    t.true(told >= ms && (told - ms) / ms < 0.008, `${ms} is told as ${told}`);
    t.is(bucketOf(told), bucketOf(ms));
    t.is(bucketOf(told + 1), bucketOf(ms) + 1, 'and the next bucket begins behind it');
  }
});

test('in whichever order durations come, the same is written down, and it is short', t => {
  const values = Array.from({ length: 5_000 }, (_, n) => 60_000 + ((n * 7_919) % 20_000));
  const one = of(values);
  t.deepEqual(of([...values].reverse()), one);
  t.true(one.buckets.length < 500, `${one.buckets.length} characters for 5,000 runs between 60 and 80 s`);
  t.is(of(Array.from({ length: 1_000 }, () => 61_000)).buckets.length < 12, true);
});

test('what cannot be is counted as what is nearest to it', t => {
  t.like(figuresOf(of([-5])), { count: 1, max_ms: 0, p50_ms: 0, mean_ms: 0 });
  t.like(figuresOf(of([2 ** 50])), { count: 1, max_ms: 2 ** 40 - 1, p99_ms: 2 ** 40 - 1 });
});
