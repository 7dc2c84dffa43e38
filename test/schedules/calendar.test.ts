// calendar.test.ts: days on which work rests, and where it goes.

import test from 'ava';
import { easterSunday } from '../../schedules/calendar.ts';
import { printDate } from '../../schedules/civil.ts';
import { countBetween, next } from '../../schedules/schedule.ts';
import { at, good, nextFew, refusals } from './samples.ts';

const from = '2026-01-01T00:00:00Z';
const weekend = { weekdays: ['SAT', 'SUN'] as const };

test('targets on excluded days are dropped: dates, spans, weekdays, days of the year', t => {
  const exclude = [weekend, { date: '2026-01-05' }, { from: '2026-01-07', to: '2026-01-13' }, { yearly: '01-15' }];
  t.deepEqual(nextFew(good({ cron: '0 9 * * *', calendar: { exclude } }), from, 5), [
    '2026-01-01T09:00Z',
    '2026-01-02T09:00Z',
    '2026-01-06T09:00Z',
    '2026-01-14T09:00Z',
    '2026-01-16T09:00Z',
  ]);
});
test('targets on excluded days move to the next allowed day at the same time', t => {
  const calendar = { exclude: [weekend, { yearly: '01-01' }], on_excluded: 'next_day' as const };
  // 1 February and 1 March 2026 are Sundays, 1 August a Saturday.
  t.deepEqual(nextFew(good({ cron: '0 9 1 * *', calendar }), '2025-12-30T00:00:00Z', 8), [
    '2026-01-02T09:00Z',
    '2026-02-02T09:00Z',
    '2026-03-02T09:00Z',
    '2026-04-01T09:00Z',
    '2026-05-01T09:00Z',
    '2026-06-01T09:00Z',
    '2026-07-01T09:00Z',
    '2026-08-03T09:00Z',
  ]);
  t.deepEqual(nextFew(good({ iso8601: 'R/2026-02-01T09:00:00Z/P1M', calendar }), from, 3), [
    '2026-02-02T09:00Z',
    '2026-03-02T09:00Z',
    '2026-04-01T09:00Z',
  ]);
});
test('several targets that move to the same day and time are one, and a move may cross a month', t => {
  const calendar = { exclude: [weekend], on_excluded: 'next_day' as const };
  const daily = good({ cron: '0 9 * * *', calendar });
  t.deepEqual(nextFew(daily, '2026-01-02T12:00:00Z', 2), ['2026-01-05T09:00Z', '2026-01-06T09:00Z']);
  t.deepEqual(nextFew(good({ cron: '0 9 31 * *', calendar }), '2026-01-01T00:00:00Z', 2), [
    '2026-02-02T09:00Z',
    '2026-03-31T09:00Z',
  ]);
  t.is(countBetween(daily, at('2026-01-01T00:00:00Z'), at('2026-01-31T00:00:00Z'), 10).count, 22);
  const repeating = good({ iso8601: 'R/2026-01-01T09:00:00Z/P1D', calendar });
  t.deepEqual(nextFew(repeating, '2026-01-02T12:00:00Z', 2), ['2026-01-05T09:00Z', '2026-01-06T09:00Z']);
});
test('"only" keeps to days, by name of a calendar too', t => {
  const calendars = { 'payment-days': [{ date: '2026-01-20' }, { date: '2026-02-20' }] };
  t.deepEqual(nextFew(good({ cron: '0 9 * * *', calendar: { only: ['payment-days'] } }, { calendars }), from, 9), [
    '2026-01-20T09:00Z',
    '2026-02-20T09:00Z',
  ]);
});
test('days counted from Easter, and the nth or last weekday of a month', t => {
  t.deepEqual(
    [2024, 2025, 2026, 2027, 2038].map(year => printDate(easterSunday(year))),
    ['2024-03-31', '2025-04-20', '2026-04-05', '2027-03-28', '2038-04-25'],
  );
  const only = [
    { easter: -2 },
    { easter: 1 },
    { month: 11, weekday: 'THU' as const, nth: 4 },
    { month: 5, weekday: 'MON' as const, nth: -1 },
  ];
  t.deepEqual(nextFew(good({ cron: '0 0 * * *', calendar: { only } }), from, 4), [
    '2026-04-03T00:00Z',
    '2026-04-06T00:00Z',
    '2026-05-25T00:00Z',
    '2026-11-26T00:00Z',
  ]);
});
test('nothing is due within a closed span, on the wall of the zone, until before its end', t => {
  const calendar = { exclude: [{ from: '2026-01-10T22:00', to: '2026-01-11T02:00' }] };
  const schedule = good({ cron: '0 * * * *', zone: 'Europe/Vienna', calendar });
  t.deepEqual(nextFew(schedule, '2026-01-10T20:00:00Z', 2), ['2026-01-11T01:00Z', '2026-01-11T02:00Z']);
  t.is(countBetween(schedule, at('2026-01-10T00:00:00Z'), at('2026-01-12T00:00:00Z'), 10).count, 44);
  t.deepEqual(
    nextFew(
      good({ iso8601: 'R/2026-01-10T00:00:00/PT1H', zone: 'Europe/Vienna', calendar }),
      '2026-01-10T20:00:00Z',
      1,
    ),
    ['2026-01-11T01:00Z'],
  );
});
test('a period of seconds over a long weekend is passed over at once', t => {
  const schedule = good({
    iso8601: 'R/2026-01-01T00:00:00Z/PT1S',
    calendar: { exclude: [{ from: '2026-02-01', to: '2035-12-31' }] },
  });
  t.is(next(schedule, at('2026-01-31T23:59:59Z')), at('2036-01-01T00:00:00Z'));
});
test('what is wrong with a calendar is told with its place', t => {
  const told = (calendar: object) => refusals({ cron: '0 0 * * *', calendar })[0]!;
  t.is(told({ exclude: ['holidays'] }), 'unknown calendar "holidays": expected rules: no calendar has a name here');
  t.regex(told({ exclude: [{ date: '2026-02-30' }] }), /^day 30 in "2026-02-30": expected 1-28$/);
  t.regex(told({ exclude: [{ yearly: '13-01' }] }), /^day of the year "13-01": expected month and day such as 12-25$/);
  t.regex(told({ exclude: [{ weekdays: ['FUNDAY'] }] }), /^unknown weekday "FUNDAY"/);
  t.regex(told({ exclude: [{ from: '2026-02-01', to: '2026-01-01' }] }), /lies before/);
  t.regex(told({ exclude: [{ from: '1000-01-01', to: '9000-01-01' }] }), /expected at most 36600/);
  t.regex(
    told({ exclude: [{ from: '2026-01-01T10:00', to: '2026-01-01T11:00' }], on_excluded: 'next_day' }),
    /cannot move a target/,
  );
  t.regex(
    told({ exclude: [{ weekdays: ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'] }] }),
    /never runs \(its calendar leaves no day\)/,
  );
  t.regex(
    refusals({ iso8601: 'R//PT1H', calendar: { exclude: [weekend], on_excluded: 'next_day' } })[0]!,
    /runs more than once a day/,
  );
});
