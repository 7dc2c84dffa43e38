// schedule.test.ts: what holds for every schedule, whatever it says.

import test from 'ava';
import fc from 'fast-check';
import {
  countBetween,
  dueAt,
  lastBetween,
  matches,
  next,
  type Schedule,
  type ScheduleSpec,
  targetsBetween,
} from '../../schedules/schedule.ts';
import { at, day, good, hour, iso, minute } from './samples.ts';

const zones = fc.constantFrom(
  'UTC',
  'Europe/Vienna',
  'America/New_York',
  'Australia/Lord_Howe',
  'America/Santiago',
  'Pacific/Apia',
  'Africa/Casablanca',
  'Asia/Kathmandu',
);
const dst = fc.record({
  gap: fc.constantFrom('skip' as const, 'next_valid' as const, 'shift' as const),
  fold: fc.constantFrom('first' as const, 'second' as const, 'both' as const),
});
const crons = fc
  .tuple(
    fc.constantFrom('0', '30', '*/7', '5,50', '0-59', '*'),
    fc.constantFrom('*', '2', '*/3', '0', '22-2', '1,2,3'),
    fc.constantFrom('*', '*', '1', 'L', '15W', '29'),
    fc.constantFrom('*', '*', '3,10', '2'),
    fc.constantFrom('*', '*', '1-5', '0', '7#1', '5L'),
  )
  .map(words => words.join(' '));
const repeats = fc
  .tuple(
    fc.constantFrom('R', 'R1', 'R7', 'R400'),
    fc.integer({ min: 0, max: 6000 }),
    fc.integer({ min: 0, max: 1439 }),
    fc.constantFrom('PT17M', 'PT1H', 'PT24H', 'P1D', 'P1M', 'P2W', 'P1Y', 'P1DT1H', 'P13D'),
  )
  .map(
    ([repeat, days, minutes, period]) =>
      `${repeat}/${new Date(at('2010-01-01T00:00:00Z') + days * day + minutes * minute).toISOString().slice(0, 19)}/${period}`,
  );
const calendars = fc.constantFrom(
  undefined,
  undefined,
  { exclude: [{ weekdays: ['MON' as const, 'WED' as const] }] },
  { exclude: [{ yearly: '12-25' }, { from: '2012-03-20', to: '2012-04-05' }] },
  { exclude: [{ from: '2012-01-01T10:00', to: '2012-01-09T11:30' }] },
);
const specs: fc.Arbitrary<ScheduleSpec> = fc
  .tuple(
    fc.oneof(
      crons.map(cron => ({ cron })),
      repeats.map(iso8601 => ({ iso8601 })),
    ),
    zones,
    dst,
    calendars,
  )
  .map(([text, zone, rules, calendar]) => ({
    ...text,
    zone,
    dst: rules,
    ...(calendar === undefined ? {} : { calendar }),
  }));
const instants = fc
  .integer({ min: at('2009-06-01T00:00:00Z') / 1000, max: at('2030-01-01T00:00:00Z') / 1000 })
  .map(seconds => seconds * 1000);
const show = (spec: ScheduleSpec, ...moments: number[]) => `${JSON.stringify(spec)} at ${moments.map(iso).join(', ')}`;

test('next is later than what it is asked about, monotone, and matches', t => {
  fc.assert(
    fc.property(specs, instants, fc.integer({ min: 0, max: 400 * day }), (spec, early, more) => {
      const schedule = good(spec);
      const first = next(schedule, early);
      const later = next(schedule, early + more);
      if (first === undefined) return t.is(later, undefined, show(spec, early));
      t.true(first > early, show(spec, early));
      t.true(later === undefined || later >= first, show(spec, early, early + more));
      t.true(matches(schedule, first), show(spec, first));
      return t.is(next(schedule, first - 1), first, show(spec, first));
    }),
    { numRuns: 1500, seed: 21 },
  );
});
test('between an instant and its next target nothing matches', t => {
  fc.assert(
    fc.property(specs, instants, fc.double({ min: 0, max: 1, noNaN: true }), (spec, early, share) => {
      const schedule = good(spec);
      const target = next(schedule, early);
      if (target === undefined || target - early < 2) return;
      const between = early + 1 + Math.floor(share * (target - early - 2));
      t.false(matches(schedule, between), show(spec, early, between, target));
    }),
    { numRuns: 1500, seed: 22 },
  );
});
function walk(schedule: Schedule, from: number, to: number): number[] {
  const found: number[] = [];
  for (let target = next(schedule, from); target !== undefined && target <= to; target = next(schedule, target))
    found.push(target);
  return found;
}
test('the count of a stretch is the number of its targets, and its last target the last of them', t => {
  fc.assert(
    fc.property(specs, instants, fc.integer({ min: 0, max: 40 * day }), (spec, from, length) => {
      const schedule = good(spec);
      const to = from + length;
      const targets = walk(schedule, from, to);
      t.deepEqual(
        countBetween(schedule, from, to, 1_000_000),
        { count: targets.length, complete: true },
        show(spec, from, to),
      );
      t.is(lastBetween(schedule, from, to), targets.at(-1), show(spec, from, to));
    }),
    { numRuns: 500, seed: 23 },
  );
});
test('counting adds up: a stretch has as many targets as its two parts', t => {
  fc.assert(
    fc.property(specs, instants, instants, instants, (spec, ...moments) => {
      const schedule = good(spec);
      const [a, b, c] = [...moments].sort((x, y) => x - y) as [number, number, number];
      const count = (from: number, to: number) => countBetween(schedule, from, to, 100_000);
      const [whole, left, right] = [count(a, c), count(a, b), count(b, c)];
      if (!whole.complete || !left.complete || !right.complete) return;
      t.is(whole.count, left.count + right.count, show(spec, a, b, c));
    }),
    { numRuns: 500, seed: 24 },
  );
});
test('a count that would take too long stops at its limit and says so', t => {
  const schedule = good({ iso8601: 'R/2010-01-01T00:00:00Z/P1D', dst: { gap: 'skip' } });
  t.deepEqual(countBetween(schedule, at('2010-01-01T00:00:00Z'), at('2030-01-01T00:00:00Z'), 100), {
    count: 100,
    complete: false,
  });
});
test('fourteen years of every other second are counted without being visited', t => {
  const schedule = good({ cron: '*/2 * * * * *', zone: 'Europe/Vienna' });
  const [from, to] = [at('2012-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z')];
  t.deepEqual(countBetween(schedule, from, to, 0), { count: (to - from) / 2000, complete: true });
});

test('a line that runs every hour keeps to elapsed time over a clock change', t => {
  const vienna = good({ cron: '*/30 * * * *', zone: 'Europe/Vienna', dst: { gap: 'skip', fold: 'first' } });
  for (const night of ['2026-03-28T22:00:00Z', '2026-10-24T22:00:00Z']) {
    const targets = walk(vienna, at(night), at(night) + 8 * hour);
    t.is(targets.length, 16);
    t.true(targets.every((target, i) => target === at(night) + (i + 1) * 30 * minute));
  }
  // Every other hour is a list of times of day: each of them runs once.
  const even = good({ cron: '0 */2 * * *', zone: 'Europe/Vienna' });
  t.deepEqual(walk(even, at('2026-10-24T22:00:00Z'), at('2026-10-25T03:00:00Z')).map(iso), [
    '2026-10-25T00:00:00.000Z',
    '2026-10-25T03:00:00.000Z',
  ]);
});
test('fold "both" repeats a yearly run in the hour that comes twice', t => {
  const schedule = good({ cron: '30 2 25 10 *', zone: 'Europe/Vienna', dst: { fold: 'both' } });
  t.deepEqual(walk(schedule, at('2026-01-01T00:00:00Z'), at('2027-12-31T00:00:00Z')).map(iso), [
    '2026-10-25T00:30:00.000Z',
    '2026-10-25T01:30:00.000Z',
    '2027-10-25T00:30:00.000Z',
  ]);
});
test('at the ends of time there is an answer, not an exception', t => {
  const all = [
    good({ cron: '0 0 * * *', zone: 'Europe/Vienna' }),
    good({ iso8601: 'R/2026-01-31T02:30:00/P1M', zone: 'Europe/Vienna', dst: { gap: 'skip', fold: 'both' } }),
    good({ iso8601: 'R/2026-01-01T00:00:00Z/PT1S' }),
  ];
  for (const schedule of all) {
    t.true(next(schedule, -8.64e15)! < next(schedule, at('2030-01-01T00:00:00Z'))!);
    t.true(next(schedule, -Infinity) === next(schedule, -8.64e15));
    for (const late of [at('9999-12-31T23:59:59Z'), 8.64e15, Infinity]) {
      t.is(next(schedule, late), undefined);
      t.false(matches(schedule, late + 1));
    }
    t.true(matches(schedule, lastBetween(schedule, at('9999-11-01T00:00:00Z'), Infinity)!));
  }
  t.is(
    countBetween(all[2]!, -Infinity, Infinity, 0).count,
    (at('9999-12-31T23:59:59Z') - at('2026-01-01T00:00:00Z')) / 1000 + 1,
  );
});
test('the targets of a past range are handed out in portions, each going on from the last', t => {
  const schedule = good({ cron: '0 * * * *' });
  const [from, to] = [at('2025-12-31T00:00:00Z'), at('2025-12-31T05:00:00Z')];
  const first = targetsBetween(schedule, from, to, 3);
  t.deepEqual(
    first.map(target => new Date(target).getUTCHours()),
    [1, 2, 3],
  );
  t.deepEqual(
    targetsBetween(schedule, first.at(-1)!, to, 3).map(target => new Date(target).getUTCHours()),
    [4, 5],
  );
});
test('jitter is bounded, spreads targets, and is always the same for the same job and target', t => {
  const schedule = good({ cron: '* * * * *', jitter_ms: 30_000 });
  const other = good({ cron: '* * * * *', jitter_ms: 30_000 }, { job_key: 'www/prod/other' });
  const targets = walk(schedule, at('2026-01-01T00:00:00Z'), at('2026-01-01T05:00:00Z'));
  const delays = targets.map(target => dueAt(schedule, target) - target);
  t.true(delays.every(delay => delay >= 0 && delay <= 30_000));
  t.true(new Set(delays).size > 250);
  t.deepEqual(
    targets.map(target => dueAt(schedule, target) - target),
    delays,
  );
  t.notDeepEqual(
    targets.map(target => dueAt(other, target) - target),
    delays,
  );
});
