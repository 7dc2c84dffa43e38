// explain.test.ts: what people are told about a schedule.

import test from 'ava';
import { explain } from '../../schedules/explain.ts';
import type { ScheduleSpec } from '../../schedules/schedule.ts';
import { describe } from '../../schedules/words.ts';
import { at, good } from './samples.ts';

const from = at('2026-01-01T00:00:00Z');
const told = (spec: ScheduleSpec, count = 3) => explain(good(spec), from, count);

test('the next instants carry the offset that holds there', t => {
  t.deepEqual(told({ cron: '0 12 28,30 3 *', zone: 'Europe/Vienna' }).next, [
    '2026-03-28T12:00:00+01:00',
    '2026-03-30T12:00:00+02:00',
    '2027-03-28T12:00:00+02:00',
  ]);
  t.deepEqual(told({ cron: '0 12 * * *' }, 1).next, ['2026-01-01T12:00:00Z']);
});
test('the clock changes of five years that swallow or repeat a run are told, with what becomes of it', t => {
  const { dst } = told({ cron: '30 2 * * *', zone: 'Europe/Vienna' });
  t.is(dst.length, 10);
  t.deepEqual(dst[0], {
    date: '2026-03-29',
    kind: 'gap',
    at: '2026-03-29T03:00:00+02:00',
    wall: '2026-03-29T02:30:00',
    walls: 1,
    runs_at: ['2026-03-29T03:00:00+02:00'],
    words: '2026-03-29: 02:30:00 does not exist: it runs at 2026-03-29T03:00:00+02:00',
  });
  t.deepEqual(dst[1]!.runs_at, ['2026-10-25T02:30:00+02:00']);
  const strict = told({
    iso8601: 'R/2026-01-01T02:30:00/P1D',
    zone: 'Europe/Vienna',
    dst: { gap: 'skip', fold: 'both' },
  }).dst;
  t.deepEqual(
    strict.map(one => one.runs_at.length),
    [0, 2, 0, 2, 0, 2, 0, 2, 0, 2],
  );
  t.regex(strict[0]!.words, /it is skipped$/);
});
test('what clock changes do not touch is not told about them, but that it runs on elapsed time', t => {
  for (const spec of [{ cron: '*/15 * * * *' }, { iso8601: 'R/2026-01-01T02:30:00/PT24H' }]) {
    const explanation = told({ ...spec, zone: 'Europe/Vienna' });
    t.deepEqual(explanation.dst, []);
    t.deepEqual(explanation.notes, ['runs on elapsed time: clock changes neither drop nor repeat a run']);
  }
  t.deepEqual(told({ cron: '30 2 * * *' }).dst, []);
  t.deepEqual(told({ cron: '30 12 * * *', zone: 'Europe/Vienna' }).dst, []);
});
test('an end is told, and a run that no calculation foresees', t => {
  t.deepEqual(told({ iso8601: 'R2/2026-01-01T12:00:00Z/P1D' }, 5).notes, ['no more than 2 targets are left']);
  t.deepEqual(told({ iso8601: 'R1/2020-01-01T12:00:00Z/P1D' }).notes, ['no target is left']);
  t.deepEqual(told({ cron: '@reboot' }).notes, ['no instant can be foreseen: it is due when a leader starts']);
});
test('with jitter the starts are told beside the targets', t => {
  const explanation = told({ cron: '0 0 * * *', jitter_ms: 60_000 }, 2);
  t.is(explanation.starts?.length, 2);
  for (const [i, start] of explanation.starts!.entries())
    t.true(at(start) >= at(explanation.next[i]!) && at(start) <= at(explanation.next[i]!) + 60_000);
});
test('the text has the words, the instants, the changes and the notes', t => {
  t.is(
    told({ cron: '30 2 29 3 *', zone: 'Europe/Vienna' }, 2).text,
    'at 02:30 on day 29 of the month in March, in Europe/Vienna\n' +
      '  2026-03-29T03:00:00+02:00\n  2027-03-29T02:30:00+02:00\n' +
      'clock changes in the next 5 years:\n' +
      '  2026-03-29: 02:30:00 does not exist: it runs at 2026-03-29T03:00:00+02:00\n',
  );
});
test('schedules are told in words', t => {
  const words: readonly [ScheduleSpec, string][] = [
    [{ cron: '* * * * *' }, 'every minute, in UTC'],
    [{ cron: '*/10 * * * * *' }, 'every 10 seconds, in UTC'],
    [
      { cron: '*/15 9-17 * * MON-FRI' },
      'every 15 minutes, during hours 9-17 on Monday, Tuesday, Wednesday, Thursday and Friday, in UTC',
    ],
    [{ cron: '0 0 1,15 * 5' }, 'at 00:00 on day 1 and 15 of the month and on every Friday, in UTC'],
    [{ cron: '0 9 LW 3,6 *' }, 'at 09:00 on the last working day of the month in March and June, in UTC'],
    [{ cron: '30 8 * * MON#2', zone: 'Asia/Tokyo' }, 'at 08:30 on the second Monday, in Asia/Tokyo'],
    [{ iso8601: 'R/2026-01-01T00:00:00Z/P1M' }, 'every month from 2026-01-01T00:00:00Z, in UTC'],
    [
      { iso8601: 'R3/2026-01-01T00:00:00Z/P1DT12H' },
      'every 1 day and 12 hours from 2026-01-01T00:00:00Z, 3 times, in UTC',
    ],
    [{ iso8601: 'R1/2026-01-01T00:00:00Z/PT0S' }, 'once at 2026-01-01T00:00:00Z, in UTC'],
    [{ iso8601: 'R0/2026-01-01T00:00:00Z/PT0S' }, 'never: its count is zero'],
    [{ cron: '@reboot' }, 'once whenever a leader starts'],
  ];
  for (const [spec, expected] of words) t.is(describe(good(spec)), expected);
});
