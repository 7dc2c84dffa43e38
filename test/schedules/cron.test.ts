// cron.test.ts: crontab lines: what they mean, how they are refused, and that writing them back loses nothing.

import test from 'ava';
import { Cron } from 'croner';
import fc from 'fast-check';
import { type CronFields, parseCron } from '../../schedules/cron.ts';
import { printCron } from '../../schedules/cron-print.ts';
import { next } from '../../schedules/schedule.ts';
import { at, good, nextFew, refusals } from './samples.ts';

const from = '2026-01-01T00:00:00Z';
const few = (cron: string, count = 4, after = from): string[] => nextFew(good({ cron }), after, count);

test('five fields, names in any case, lists, ranges and steps', t => {
  t.deepEqual(few('30 9 * * *', 2), ['2026-01-01T09:30Z', '2026-01-02T09:30Z']);
  t.deepEqual(few('0 0 1 jan,JUL *', 3), ['2026-07-01T00:00Z', '2027-01-01T00:00Z', '2027-07-01T00:00Z']);
  t.deepEqual(few('0-30/15,45 8 * * *', 4), [
    '2026-01-01T08:00Z',
    '2026-01-01T08:15Z',
    '2026-01-01T08:30Z',
    '2026-01-01T08:45Z',
  ]);
  t.deepEqual(few('0 0 * * Mon-wed', 3), ['2026-01-05T00:00Z', '2026-01-06T00:00Z', '2026-01-07T00:00Z']);
});
test('a sixth field in front is seconds', t => {
  t.deepEqual(few('*/20 0 0 * * *', 4), [
    '2026-01-01T00:00:20Z',
    '2026-01-01T00:00:40Z',
    '2026-01-02T00:00Z',
    '2026-01-02T00:00:20Z',
  ]);
});
test('a number with a step goes on to the end of its range', t => {
  t.deepEqual(few('50/5 0 * * *', 2), ['2026-01-01T00:50Z', '2026-01-01T00:55Z']);
});
test('Sunday is 0 and 7, also at either end of a range', t => {
  for (const field of ['0', '7', 'SUN', '7-7'])
    t.deepEqual(few(`0 0 * * ${field}`, 2), ['2026-01-04T00:00Z', '2026-01-11T00:00Z'], field);
  t.deepEqual(few('0 0 * * 6-7', 3), ['2026-01-03T00:00Z', '2026-01-04T00:00Z', '2026-01-10T00:00Z']);
  t.deepEqual(few('0 0 * * 7-1', 3), ['2026-01-04T00:00Z', '2026-01-05T00:00Z', '2026-01-11T00:00Z']);
  t.is(printed('0 0 * * 0-7'), '0 0 * * 0-6');
});
test('ranges wrap around', t => {
  t.is(printed('0 22-2 * * *'), '0 0-2,22,23 * * *');
  t.is(printed('0 22-4/2 * * *'), '0 0,2,4,22 * * *');
  t.is(printed('0 0 1 NOV-FEB *'), '0 0 1 1,2,11,12 *');
  t.is(printed('0 0 * * FRI-MON'), '0 0 * * 0,1,5,6');
  t.is(printed('50-10/10 * * * *'), '0,10,50 * * * *');
});
test('L is the last day, L-n the nth before it, LW the last working day', t => {
  t.deepEqual(few('0 0 L * *', 3), ['2026-01-31T00:00Z', '2026-02-28T00:00Z', '2026-03-31T00:00Z']);
  t.deepEqual(few('0 0 L 2 *', 1, '2028-01-01T00:00:00Z'), ['2028-02-29T00:00Z']);
  t.deepEqual(few('0 0 L-2 * *', 2), ['2026-01-29T00:00Z', '2026-02-26T00:00Z']);
  t.deepEqual(few('0 0 LW * *', 3), ['2026-01-30T00:00Z', '2026-02-27T00:00Z', '2026-03-31T00:00Z']);
  t.deepEqual(few('0 0 15,L 2 *', 2), ['2026-02-15T00:00Z', '2026-02-28T00:00Z']);
});
test('W is the working day nearest to a date, without leaving the month', t => {
  // 1 August 2026 is a Saturday, 31 May a Sunday, 15 August a Saturday, 15 November a Sunday.
  t.deepEqual(few('0 0 1W 8 *', 1), ['2026-08-03T00:00Z']);
  t.deepEqual(few('0 0 31W 5 *', 1), ['2026-05-29T00:00Z']);
  t.deepEqual(few('0 0 15W 8,11 *', 2), ['2026-08-14T00:00Z', '2026-11-16T00:00Z']);
  t.deepEqual(few('0 0 31W 2,3 *', 2), ['2026-03-31T00:00Z', '2027-03-31T00:00Z']);
});
test('# is the nth weekday, and a weekday with L the last', t => {
  t.deepEqual(few('0 0 * * MON#2', 2), ['2026-01-12T00:00Z', '2026-02-09T00:00Z']);
  t.deepEqual(few('0 0 * * 5#5', 2), ['2026-01-30T00:00Z', '2026-05-29T00:00Z']);
  t.deepEqual(few('0 0 * * 5L', 2), ['2026-01-30T00:00Z', '2026-02-27T00:00Z']);
  t.deepEqual(few('0 0 * * 7#1,FRIL', 2), ['2026-01-04T00:00Z', '2026-01-30T00:00Z']);
});
test('the Vixie rule: when both day fields restrict, either is enough; a star on one side asks for both', t => {
  t.deepEqual(few('0 0 13 * FRI', 3), ['2026-01-02T00:00Z', '2026-01-09T00:00Z', '2026-01-13T00:00Z']);
  t.deepEqual(few('0 0 */2 * FRI', 2), ['2026-01-09T00:00Z', '2026-01-23T00:00Z']);
  t.deepEqual(nextFew(good({ cron: '0 0 13 * FRI', day_rule: 'and' }), from, 2), [
    '2026-02-13T00:00Z',
    '2026-03-13T00:00Z',
  ]);
  t.deepEqual(few('0 0 ? * FRI', 1), ['2026-01-02T00:00Z']);
});
test('macros are the lines they stand for', t => {
  const lines = {
    '@yearly': '0 0 1 1 *',
    '@annually': '0 0 1 1 *',
    '@monthly': '0 0 1 * *',
    '@weekly': '0 0 * * 0',
    '@daily': '0 0 * * *',
    '@midnight': '0 0 * * *',
    '@HOURLY': '0 * * * *',
  };
  for (const [macro, line] of Object.entries(lines)) t.is(printed(macro), line);
});
test('@reboot has no instant of its own', t => {
  const schedule = good({ cron: '@reboot' });
  t.is(schedule.timing.kind, 'reboot');
  t.is(next(schedule, 0), undefined);
});
test('H is chosen by the job key: the same for one job, spread over many', t => {
  const minute = (job_key: string, cron = 'H * * * *') =>
    new Date(next(good({ cron }, { job_key }), at(from))!).getUTCMinutes();
  t.is(minute('a/b/c'), minute('a/b/c'));
  const chosen = new Set(Array.from({ length: 300 }, (_, i) => minute(`a/b/job-${i}`)));
  t.true(chosen.size > 50, `${chosen.size} of 60 minutes`);
  for (let i = 0; i < 100; i++) {
    t.true(minute(`a/b/${i}`, 'H(10-20) * * * *') >= 10 && minute(`a/b/${i}`, 'H(10-20) * * * *') <= 20);
    t.regex(printed('H/15 * * * *', `a/b/${i}`), /^(\d|1[0-4]),(1[5-9]|2\d),(3\d|4[0-4]),(4[5-9]|5\d) /);
    t.true(Number(printed('0 0 H * *', `a/b/${i}`).split(' ')[2]) <= 28);
  }
});

test('every malformed part is named with its place and what is allowed', t => {
  const told: readonly [string, string][] = [
    ['0 25 * * *', 'hour 25 in "0 25 * * *": expected 0-23'],
    ['60 * * * *', 'minute 60 in "60 * * * *": expected 0-59'],
    ['* * 0 * *', 'day-of-month 0 in "* * 0 * *": expected 1-31'],
    ['* * * 13 *', 'month 13 in "* * * 13 *": expected 1-12 or JAN-DEC'],
    ['* * * * 8', 'day-of-week 8 in "* * * * 8": expected 0-7 or SUN-SAT'],
    ['* * * * FOO', 'day-of-week FOO in "* * * * FOO": expected 0-7 or SUN-SAT'],
    ['*/0 * * * *', 'minute step 0 in "*/0 * * * *": expected 1-60'],
    ['*/61 * * * *', 'minute step 61 in "*/61 * * * *": expected 1-60'],
    ['1, * * * *', 'minute nothing in "1, * * * *": expected 0-59'],
    ['-5 * * * *', 'minute nothing in "-5 * * * *": expected 0-59'],
    ['1-2-3 * * * *', 'minute 2-3 in "1-2-3 * * * *": expected 0-59'],
    ['? * * * *', 'minute ? in "? * * * *": expected 0-59'],
    ['* * * * 1#6', 'day-of-week "1#6" in "* * * * 1#6": expected a number in 1-5 after #'],
    ['* * * * L', 'day-of-week "L" in "* * * * L": expected a weekday before the L, such as 5L or FRIL'],
    ['* * L-31 * *', 'day-of-month "L-31" in "* * L-31 * *": expected L, LW, or L-n with n in 0-30'],
    ['H(9-3) * * * *', 'minute "H(9-3)" in "H(9-3) * * * *": expected H(a-b) with a at most b'],
    ['* * *', '3 fields in "* * *": expected 5 fields, or 6 with seconds first'],
    ['* * * * * * *', '7 fields in "* * * * * * *": expected 5 fields, or 6 with seconds first'],
    ['', '0 fields in "": expected 5 fields, or 6 with seconds first'],
    [
      '@often',
      'unknown macro "@often": expected one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, @reboot',
    ],
  ];
  for (const [cron, message] of told) t.deepEqual(refusals({ cron }), [message]);
});
test('all that is wrong with a line is told at once', t => {
  t.deepEqual(refusals({ cron: '61 25 * * 9' }), [
    'minute 61 in "61 25 * * 9": expected 0-59',
    'hour 25 in "61 25 * * 9": expected 0-23',
    'day-of-week 9 in "61 25 * * 9": expected 0-7 or SUN-SAT',
  ]);
});
test('a line that no month can satisfy is refused', t => {
  for (const cron of ['0 0 30 2 *', '0 0 31 4,6,9,11 *', '0 0 30-31 2 *', '0 0 31W 2 *', '0 0 L-29 2 *'])
    t.is(refusals({ cron })[0], `"${cron}" never runs (no month has such a day): expected a line that does`);
  t.true(good({ cron: '0 0 29 2 *' }) !== undefined);
  t.deepEqual(nextFew(good({ cron: '0 0 29 2 1', day_rule: 'and' }), from, 2), [
    '2044-02-29T00:00Z',
    '2072-02-29T00:00Z',
  ]);
});
test('ten kilobytes of crontab are refused, not chewed', t => {
  for (const cron of [
    '1,'.repeat(5000),
    '*'.repeat(10_000),
    `${'9'.repeat(9990)} * * * *`,
    '* '.repeat(5000),
    'L,'.repeat(5000),
  ]) {
    const [message] = refusals({ cron });
    t.regex(message!, /^a crontab line of \d+ characters: expected at most 1000$/);
  }
  const told = refusals({ cron: `${Array.from({ length: 320 }, () => '99').join(',')} * * * *` });
  t.true(told.length <= 12 && told.join().length < 20_000);
});

// --- properties -----------------------------------------------------------------------------------------------------

function fieldsOf(text: string, job_key = 'www/prod/hello', day_rule: 'vixie' | 'and' = 'vixie'): CronFields {
  const read = parseCron(text, { job_key, day_rule });
  if (!read.ok || read.value.kind !== 'fields') throw new Error(`"${text}" has no fields: ${JSON.stringify(read)}`);
  return read.value.fields;
}
const printed = (text: string, job_key?: string): string => printCron(fieldsOf(text, job_key));

const item = (low: number, high: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.integer({ min: low, max: high }).map(String),
    fc.tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high })).map(([a, b]) => `${a}-${b}`),
    fc
      .tuple(
        fc.integer({ min: low, max: high }),
        fc.integer({ min: low, max: high }),
        fc.integer({ min: 1, max: high }),
      )
      .map(([a, b, s]) => `${a}-${b}/${s}`),
    fc.integer({ min: 1, max: high }).map(step => `*/${step}`),
  );
const field = (low: number, high: number, ...extra: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 2, arbitrary: fc.constant('*') },
    {
      weight: 3,
      arbitrary: fc
        .array(fc.oneof(item(low, high), ...extra), { minLength: 1, maxLength: 3 })
        .map(items => items.join(',')),
    },
  );
const line = fc
  .tuple(
    fc.oneof(
      fc.constant(''),
      field(0, 59).map(seconds => `${seconds} `),
    ),
    field(0, 59),
    field(0, 23),
    field(1, 31, fc.constantFrom('L', 'L-3', 'LW', '15W', '31W', '1W')),
    field(1, 12, fc.constantFrom('JAN', 'feb-APR')),
    field(0, 7, fc.constantFrom('MON#1', '5#5', 'FRIL', '0L', 'sun')),
  )
  .map(([seconds, ...rest]) => `${seconds}${rest.join(' ')}`);

test('print(parse(x)) round trips: what is written back means the same', t => {
  fc.assert(
    fc.property(line, fc.constantFrom('vixie' as const, 'and' as const), (text, rule) => {
      const fields = fieldsOf(text, undefined, rule);
      const back = printCron(fields);
      const again = fieldsOf(back, undefined, rule);
      const plain = (one: CronFields) => ({
        ...one,
        day_rules: new Set(one.day_rules.map(rule => JSON.stringify(rule))),
        weekday_rules: new Set(one.weekday_rules.map(rule => JSON.stringify(rule))),
      });
      t.deepEqual(plain(again), plain(fields), `"${text}" became "${back}"`);
      t.is(printCron(again), back);
    }),
    { numRuns: 1000, seed: 11 },
  );
});

test('croner gives the same next runs, where a line means the same to both', t => {
  // Left out is what it reads otherwise by design: a stepped star such as */6 in a day field restricts the field for
  // croner and leaves it a star for us, as for Vixie's cron.
  const whole = (low: number, high: number) =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min: low, max: high }).map(String),
      fc
        .tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high }))
        .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    );
  const stepped = (low: number, high: number) =>
    fc.oneof(
      whole(low, high),
      fc.integer({ min: 1, max: Math.floor(high / 2) }).map(step => `*/${step}`),
    );
  const lines = fc
    .tuple(stepped(0, 59), stepped(0, 23), whole(1, 28), stepped(1, 12), whole(0, 6))
    .map(words => words.join(' '));
  const zones = fc.constantFrom('UTC', 'Europe/Vienna', 'America/New_York', 'Asia/Kolkata', 'Australia/Sydney');
  let compared = 0;
  fc.assert(
    fc.property(
      lines,
      zones,
      fc.integer({ min: at('2024-01-01T00:00:00Z') / 1000, max: at('2030-01-01T00:00:00Z') / 1000 }),
      (cron, zone, seconds) => {
        const theirs = new Cron(cron, { timezone: zone, paused: true });
        const ours = next(good({ cron, zone, dst: { gap: 'shift' } }), seconds * 1000);
        const expected = theirs.nextRun(new Date(seconds * 1000))?.getTime();
        // Near a clock change the two keep rules of their own.
        if (ours !== undefined && nearChange(zone, ours)) return;
        t.is(ours, expected, `"${cron}" in ${zone} after ${new Date(seconds * 1000).toISOString()}`);
        compared++;
      },
    ),
    { numRuns: 400, seed: 5 },
  );
  t.true(compared > 300);
});
function nearChange(zone: string, instant: number): boolean {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset', second: 'numeric' });
  const offset = (t: number) => format.format(t).replace(/^\d+/, '');
  return offset(instant - 86_400_000) !== offset(instant + 86_400_000);
}
