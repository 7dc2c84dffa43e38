// iso8601.test.ts: repeating intervals: all forms of a start, steps that never drift, and refusals.

import test from 'ava';
import fc from 'fast-check';
import { DateTime } from 'luxon';
import { parseDuration, printDuration } from '../../schedules/duration.ts';
import { parseRepeat, printRepeat } from '../../schedules/iso8601.ts';
import { countBetween, next } from '../../schedules/schedule.ts';
import { at, context, day, good, hour, iso, nextFew, refusals, short } from './samples.ts';

const from = '2025-01-01T00:00:00Z';
const few = (iso8601: string, count: number, zone?: string) =>
  nextFew(good(zone === undefined ? { iso8601 } : { iso8601, zone }), from, count);
const start = (text: string, zone?: string) =>
  iso(good(zone === undefined ? { iso8601: `R/${text}/P1D` } : { iso8601: `R/${text}/P1D`, zone }).start);

test('every form of a start is read', t => {
  const forms: readonly [string, string][] = [
    ['2026-03-01T13:00:00Z', '2026-03-01T13:00:00.000Z'],
    ['2026-03-01T13:00Z', '2026-03-01T13:00:00.000Z'],
    ['2026-03-01T13:00:00.250Z', '2026-03-01T13:00:00.250Z'],
    ['2026-03-01T13:00:00,5Z', '2026-03-01T13:00:00.500Z'],
    ['2026-03-01T13:00:00.123456789Z', '2026-03-01T13:00:00.123Z'],
    ['2026-03-01T13:00:00+05:30', '2026-03-01T07:30:00.000Z'],
    ['2026-03-01T13:00:00-0400', '2026-03-01T17:00:00.000Z'],
    ['2026-03-01T13:00:00+02', '2026-03-01T11:00:00.000Z'],
    ['2026-03-01', '2026-03-01T00:00:00.000Z'],
    ['2026-03-01T24:00:00Z', '2026-03-02T00:00:00.000Z'],
    ['2026-W10-1', '2026-03-02T00:00:00.000Z'],
    ['2026-W10-1T08:00Z', '2026-03-02T08:00:00.000Z'],
    ['2026-060', '2026-03-01T00:00:00.000Z'],
    ['20260301T130000Z', '2026-03-01T13:00:00.000Z'],
    ['2026-03', '2026-03-01T00:00:00.000Z'],
  ];
  for (const [text, instant] of forms) t.is(start(text), instant, text);
});
test('a start without an offset is what the wall of the zone shows, one with an offset is an instant', t => {
  t.is(start('2026-07-01T09:00:00', 'Europe/Vienna'), '2026-07-01T07:00:00.000Z');
  t.is(start('2026-07-01', 'America/New_York'), '2026-07-01T04:00:00.000Z');
  t.is(start('2026-07-01T09:00:00Z', 'Europe/Vienna'), '2026-07-01T09:00:00.000Z');
  t.is(good({ iso8601: 'R/2026-07-01T09:00:00+02:00/P1D' }).zone, '+02:00');
});
test('an empty start is the moment at which the schedule was made', t => {
  t.is(good({ iso8601: 'R//PT1H' }).start, context.now);
  t.is(good({ iso8601: 'R//PT1H' }, { dialect: 'chronos' }).start, context.now - 1000);
});
test('a time without a date belongs to 1970 in Chronos, and is refused elsewhere', t => {
  t.is(good({ iso8601: 'R/T05:50Z/P1D' }, { dialect: 'chronos' }).start, (5 * 60 + 50) * 60_000);
  t.regex(refusals({ iso8601: 'R/T05:50Z/P1D' })[0]!, /^time "T05:50Z": expected a date and time/);
});
test('start/end is a period: whole days between dates, elapsed time otherwise', t => {
  t.deepEqual(few('R3/2026-01-01T00:00:00Z/2026-01-01T06:00:00Z', 5), [
    '2026-01-01T00:00Z',
    '2026-01-01T06:00Z',
    '2026-01-01T12:00Z',
  ]);
  t.deepEqual(few('R3/2026-03-28/2026-03-29', 5, 'Europe/Vienna'), [
    '2026-03-27T23:00Z',
    '2026-03-28T23:00Z',
    '2026-03-29T22:00Z',
  ]);
  t.regex(refusals({ iso8601: 'R/2026-01-02T00:00Z/2026-01-01T00:00Z' })[0]!, /is not after its start/);
});

test('months step from the start: the 31st is the last of short months and the 31st again', t => {
  t.deepEqual(few('R/2026-01-31T09:00:00Z/P1M', 5), [
    '2026-01-31T09:00Z',
    '2026-02-28T09:00Z',
    '2026-03-31T09:00Z',
    '2026-04-30T09:00Z',
    '2026-05-31T09:00Z',
  ]);
  t.deepEqual(few('R/2028-02-29T00:00:00Z/P1Y', 5), [
    '2028-02-29T00:00Z',
    '2029-02-28T00:00Z',
    '2030-02-28T00:00Z',
    '2031-02-28T00:00Z',
    '2032-02-29T00:00Z',
  ]);
});
test('P1D keeps the time on the wall over a clock change, PT24H the elapsed time', t => {
  t.deepEqual(few('R/2026-03-28T09:00:00/P1D', 3, 'Europe/Vienna'), [
    '2026-03-28T08:00Z',
    '2026-03-29T07:00Z',
    '2026-03-30T07:00Z',
  ]);
  t.deepEqual(few('R/2026-03-28T09:00:00/PT24H', 3, 'Europe/Vienna'), [
    '2026-03-28T08:00Z',
    '2026-03-29T08:00Z',
    '2026-03-30T08:00Z',
  ]);
});
test('a wall time in a gap or a fold follows the rule of the schedule', t => {
  const around = (month: string, dst: object) =>
    nextFew(
      good({ iso8601: `R/2026-${month}T02:30:00/P1D`, zone: 'Europe/Vienna', dst }),
      `2026-${month}T12:00:00Z`,
      2,
    );
  t.deepEqual(around('03-28', { gap: 'skip' }), ['2026-03-30T00:30Z', '2026-03-31T00:30Z']);
  t.deepEqual(around('03-28', { gap: 'next_valid' }), ['2026-03-29T01:00Z', '2026-03-30T00:30Z']);
  t.deepEqual(around('03-28', { gap: 'shift' }), ['2026-03-29T01:30Z', '2026-03-30T00:30Z']);
  t.deepEqual(around('10-24', { fold: 'first' }), ['2026-10-25T00:30Z', '2026-10-26T01:30Z']);
  t.deepEqual(around('10-24', { fold: 'second' }), ['2026-10-25T01:30Z', '2026-10-26T01:30Z']);
  t.deepEqual(around('10-24', { fold: 'both' }), ['2026-10-25T00:30Z', '2026-10-25T01:30Z']);
});
test('a day that a zone left out gives one target and not two', t => {
  // Samoa went from 29 December 2011 straight to the 31st.
  const schedule = good({ iso8601: 'R/2011-12-28T00:00:00/P1D', zone: 'Pacific/Apia' });
  t.deepEqual(nextFew(schedule, '2011-12-28T00:00:00Z', 4), [
    '2011-12-28T10:00Z',
    '2011-12-29T10:00Z',
    '2011-12-30T10:00Z',
    '2011-12-31T10:00Z',
  ]);
  t.is(countBetween(schedule, at('2011-12-28T00:00:00Z'), at('2012-01-01T00:00:00Z'), 1000).count, 4);
});
test('R5 has five targets, R0 none, and the bounds cut without renumbering', t => {
  t.is(few('R5/2026-01-01T00:00:00Z/PT1H', 10).length, 5);
  t.is(few('R0/2026-01-01T00:00:00Z/PT1H', 10).length, 0);
  t.is(few('R1/2026-01-01T00:00:00Z/PT0S', 10).length, 1);
  const bounded = good({
    iso8601: 'R5/2026-01-01T00:00:00Z/PT1H',
    not_before: '2026-01-01T01:30:00Z',
    not_after: '2026-01-01T03:00:00Z',
  });
  t.deepEqual(nextFew(bounded, from, 9), ['2026-01-01T02:00Z', '2026-01-01T03:00Z']);
});

test('months never drift, in any zone: target k is the start plus k periods, as luxon has it', t => {
  const zones = fc.constantFrom('UTC', 'Europe/Vienna', 'America/St_Johns', 'Australia/Sydney', 'Asia/Tehran');
  const period = fc
    .record({ months: fc.integer({ min: 0, max: 30 }), days: fc.integer({ min: 0, max: 40 }) })
    .filter(p => p.months + p.days > 0);
  fc.assert(
    fc.property(
      zones,
      period,
      fc.integer({ min: 0, max: 4000 }),
      fc.integer({ min: 4 * 60, max: 22 * 60 }),
      fc.integer({ min: 1, max: 60 }),
      (zone, { months, days }, first, minute, k) => {
        const begin = DateTime.fromISO('2015-01-01T00:00:00', { zone })
          .plus({ days: first })
          .set({ hour: Math.floor(minute / 60), minute: minute % 60 });
        const schedule = good({ iso8601: `R/${begin.toISO({ includeOffset: false })}/P${months}M${days}D`, zone });
        const expected = begin
          .plus({ months: months * k })
          .plus({ days: days * k })
          .toMillis();
        const before = begin
          .plus({ months: months * (k - 1) })
          .plus({ days: days * (k - 1) })
          .toMillis();
        t.is(iso(next(schedule, before)), iso(expected), `k ${k} of ${schedule.spec.iso8601} in ${zone}`);
      },
    ),
    { numRuns: 600, seed: 3 },
  );
});
test('print(parse(x)) round trips for periods and intervals', t => {
  const number = fc.integer({ min: 0, max: 500 });
  fc.assert(
    fc.property(
      number,
      number,
      number,
      number,
      number,
      number,
      fc.integer({ min: 0, max: 999 }),
      (y, mo, d, h, mi, s, ms) => {
        const text = `P${y}Y${mo}M${d}DT${h}H${mi}M${s}.${String(ms).padStart(3, '0')}S`;
        const read = parseDuration(text, '');
        if (!read.ok) return t.fail(text);
        const again = parseDuration(printDuration(read.value), '');
        return t.deepEqual(again, read, `${text} became ${printDuration(read.value)}`);
      },
    ),
    { numRuns: 500, seed: 4 },
  );
  for (const text of [
    'R5/2026-01-31T09:00:00Z/P1M',
    'R/2026-01-31/P1D',
    'R//PT90S',
    'R1/2026-01-31T09:00:00.250+05:30/PT0S',
    'R0/2026-01-31T09:00:00/P1Y2M3DT4H5M6.5S',
  ]) {
    const read = parseRepeat(text, '');
    if (!read.ok) return t.fail(text);
    t.deepEqual(parseRepeat(printRepeat(read.value), ''), read, text);
  }
  t.is(printDuration({ months: 14, days: 0, ms: 0 }), 'P1Y2M');
  t.is(printDuration({ months: 0, days: 14, ms: 0 }), 'P2W');
});

test('every malformed part is named with its place and what is allowed', t => {
  const told: readonly [string, RegExp][] = [
    ['FOO', /^1 parts in "FOO": expected R\[n\]\/start\/period or R\[n\]\/start\/end$/],
    ['X5/2026-01-01T00:00:00Z/P1D', /^repetition "X5" in .*: expected R or R with a number/],
    ['R-1/2026-01-01T00:00:00Z/P1D', /^repetition "R-1"/],
    ['R/2026-13-01T00:00:00Z/P1D', /^month 13 in "2026-13-01T00:00:00Z": expected 1-12$/],
    ['R/2026-02-30T00:00:00Z/P1D', /^day 30 in "2026-02-30T00:00:00Z": expected 1-28$/],
    ['R/2026-02-01T25:00:00Z/P1D', /^hour 25 in .*: expected 0-24$/],
    ['R/tomorrow/P1D', /^time "tomorrow": expected a date and time such as/],
    ['R/2026-01-01T00:00:00Z/P1H', /^period "P1H" has hours or seconds without a T before them: expected PT1H$/],
    ['R/2026-01-01T00:00:00Z/PT', /^period "PT" has nothing after its T/],
    ['R/2026-01-01T00:00:00Z/P', /^period "P" is empty/],
    ['R/2026-01-01T00:00:00Z/P-1D', /^period "P-1D" is negative/],
    ['R/2026-01-01T00:00:00Z/P99999Y', /is too long/],
    ['R/P1D/2026-01-01T00:00:00Z', /an interval cannot be given by its end alone/],
    [
      'R/2026-01-01T00:00:00Z/PT0S',
      /^a period of zero in .*: expected a period of at least one second, or a count of at most one$/,
    ],
    ['R2/2026-01-01T00:00:00Z/PT0.5S', /^a period of 500 ms in/],
    ['R99999999999999999999/2026-01-01T00:00:00Z/P1D', /^repetition R9+ in/],
  ];
  for (const [iso8601, message] of told) t.regex(refusals({ iso8601 })[0]!, message);
  t.is(refusals({ iso8601: 'X/never/P1H' }).length, 3, 'all three parts are told at once');
  t.deepEqual(refusals({ iso8601: 'R/1969-01-01T00:00:00Z/P1D' }, { dialect: 'chronos' }), [
    "Scheduled start date '1969-01-01T00:00:00Z' is before 1970!",
  ]);
});
test('neither cron nor iso8601, both, bounds that exclude each other and too much jitter are refused', t => {
  t.regex(refusals({})[0]!, /neither "cron" and "iso8601"|neither/);
  t.regex(refusals({ cron: '* * * * *', iso8601: 'R//PT1H' })[0]!, /both/);
  t.regex(
    refusals({ cron: '* * * * *', not_before: '2027-01-01', not_after: '2026-01-01' })[0]!,
    /"not_after" 2026-01-01 lies before "not_before" 2027-01-01/,
  );
  t.regex(refusals({ cron: '* * * * *', jitter_ms: -1 })[0]!, /"jitter_ms" is -1: expected 0-86400000/);
});
test('R999999999999 and ten kilobytes hang nothing', t => {
  const huge = good({ iso8601: 'R999999999999/2026-01-01T00:00:00Z/PT1S' });
  t.is(huge.count, 999_999_999_999);
  t.is(next(huge, at('9000-01-01T00:00:00Z')), at('9000-01-01T00:00:01Z'));
  t.is(
    countBetween(huge, at(from), at('9000-01-01T00:00:00Z'), 1).count,
    (at('9000-01-01T00:00:00Z') - at('2026-01-01T00:00:00Z')) / 1000 + 1,
  );
  t.is(
    next(good({ iso8601: 'R999999999999/2026-01-31T00:00:00Z/P1M' }), at('9998-12-31T12:00:00Z')),
    at('9999-01-31T00:00:00Z'),
  );
  t.is(next(good({ iso8601: 'R/2026-01-01T00:00:00Z/P9000Y' }), at('2026-01-01T00:00:00Z')), undefined);
  for (const iso8601 of [
    `R/${'1'.repeat(10_000)}/P1D`,
    `R${'9'.repeat(10_000)}/2026-01-01/P1D`,
    `R/2026-01-01/P${'1'.repeat(10_000)}D`,
    '/'.repeat(10_000),
  ])
    t.regex(refusals({ iso8601 })[0]!, /has \d+ characters/);
});
test('hours and days of one period: days on the wall, then hours of elapsed time', t => {
  t.deepEqual(few('R/2026-03-28T12:00:00/P1DT12H', 3, 'Europe/Vienna'), [
    '2026-03-28T11:00Z',
    short(at('2026-03-29T10:00:00Z') + 12 * hour),
    short(at('2026-03-30T10:00:00Z') + day),
  ]);
});
