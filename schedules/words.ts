// words.ts: a schedule as somebody would say it.
//
// People misread crontabs, and the best check is to be told in words what one has written. The words are plain rather
// than clever: where a line is too odd for a phrase, its numbers are listed.

import type { CronFields, DayRule } from './cron.ts';
import { members, members60 } from './cron-print.ts';
import type { Duration } from './duration.ts';
import type { Schedule } from './schedule.ts';
import { printInstant } from './zone.ts';

const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = 'January February March April May June July August September October November December'.split(' ');

/** One sentence without its full stop: `at 02:30 on Monday, in Europe/Vienna`. */
export function describe(schedule: Schedule): string {
  const { timing } = schedule;
  if (timing.kind === 'reboot') return 'once whenever a leader starts';
  const extras = [`in ${schedule.zone}`];
  if (schedule.calendar !== undefined)
    extras.push(
      schedule.calendar.moves ? 'moved to the next day that its calendar allows' : 'except where its calendar forbids',
    );
  if (schedule.bounds.from > -Infinity)
    extras.push(`not before ${printInstant(schedule.bounds.from, schedule.zone_data)}`);
  if (schedule.bounds.to < Infinity) extras.push(`not after ${printInstant(schedule.bounds.to, schedule.zone_data)}`);
  if (schedule.jitter_ms > 0)
    extras.push(`up to ${describeDuration({ months: 0, days: 0, ms: schedule.jitter_ms })} later`);
  if (timing.kind === 'cron') return [describeCron(timing.plan.fields), ...extras].join(', ');
  const from = printInstant(timing.plan.start, schedule.zone_data);
  if (schedule.count === 0) return 'never: its count is zero';
  if (schedule.count === 1) return [`once at ${from}`, ...extras].join(', ');
  const times = schedule.count === undefined ? '' : `, ${schedule.count} times`;
  return [`every ${describeDuration(timing.plan.period)} from ${from}${times}`, ...extras].join(', ');
}

export function describeDuration(duration: Duration): string {
  const parts: [number, string][] = [
    [Math.floor(duration.months / 12), 'year'],
    [duration.months % 12, 'month'],
    [duration.days, 'day'],
    [Math.floor(duration.ms / 3_600_000), 'hour'],
    [Math.floor(duration.ms / 60_000) % 60, 'minute'],
    [(duration.ms % 60_000) / 1000, 'second'],
  ];
  const said = parts.filter(([n]) => n > 0).map(([n, unit]) => (n === 1 ? unit : `${n} ${unit}s`));
  if (said.length === 0) return 'moment';
  return duration.months + duration.days + duration.ms > 0 && said.length > 1
    ? join(said.map(one => (/^\d/.test(one) ? one : `1 ${one}`)))
    : said[0]!;
}

function describeCron(fields: CronFields): string {
  return [describeTimes(fields), describeDays(fields), describeMonths(fields)].filter(part => part !== '').join(' ');
}

function describeTimes(fields: CronFields): string {
  const seconds = members60(fields.seconds);
  const minutes = members60(fields.minutes);
  const hours = members(fields.hours, 23);
  const on_the_minute = seconds.length === 1 && seconds[0] === 0;
  if (hours.length * minutes.length * seconds.length <= 6) {
    const times = hours.flatMap(h => minutes.flatMap(m => seconds.map(s => [h, m, ...(on_the_minute ? [] : [s])])));
    return `at ${join(times.map(time => time.map(two).join(':')))}`;
  }
  const parts: string[] = [];
  if (!on_the_minute) parts.push(everyOr(seconds, 60, 'second', 'of'));
  if (minutes.length < 60 || on_the_minute) parts.push(everyOr(minutes, 60, 'minute', 'past'));
  if (hours.length < 24) parts.push(`during ${hours.length === 1 ? 'hour' : 'hours'} ${ranges(hours)}`);
  return parts.join(', ');
}

/** `every minute`, `every 15 minutes`, `at minutes 5 and 10`. */
function everyOr(numbers: number[], size: number, unit: string, of: string): string {
  if (numbers.length === size) return `every ${unit}`;
  const step = size / numbers.length;
  if (numbers.length > 1 && numbers.every((n, i) => n === i * step)) return `every ${step} ${unit}s`;
  return `at ${unit}${numbers.length === 1 ? '' : 's'} ${ranges(numbers)} ${of} the ${unit === 'second' ? 'minute' : 'hour'}`;
}

function describeDays(fields: CronFields): string {
  const days = members(fields.days, 31);
  const days_of_week = members(fields.weekdays, 6);
  const by_day =
    days.length === 31
      ? ''
      : join([...(days.length > 0 ? [`day ${ranges(days)}`] : []), ...fields.day_rules.map(sayRule)]);
  const by_weekday =
    days_of_week.length === 7
      ? ''
      : join([...days_of_week.map(day => weekdays[day]!), ...fields.weekday_rules.map(sayRule)]);
  if (by_day === '' && by_weekday === '') return '';
  if (fields.combine === 'or')
    return by_day === '' || by_weekday === '' ? '' : `on ${by_day} of the month and on every ${by_weekday}`;
  if (by_day === '') return `on ${by_weekday}`;
  return by_weekday === '' ? `on ${by_day} of the month` : `on ${by_day} of the month where that is a ${by_weekday}`;
}

function sayRule(rule: DayRule): string {
  switch (rule.rule) {
    case 'last':
      return rule.before === 0
        ? 'the last day'
        : `${rule.before} ${rule.before === 1 ? 'day' : 'days'} before the last`;
    case 'last_weekday':
      return 'the last working day';
    case 'nearest_weekday':
      return `the working day nearest to day ${rule.day}`;
    case 'nth':
      return `the ${['first', 'second', 'third', 'fourth', 'fifth'][rule.nth - 1]} ${weekdays[rule.weekday]}`;
    case 'last_of':
      return `the last ${weekdays[rule.weekday]}`;
  }
}

function describeMonths(fields: CronFields): string {
  const numbers = members(fields.months, 12);
  return numbers.length === 12 ? '' : `in ${join(numbers.map(n => months[n - 1]!))}`;
}

const two = (n: number): string => String(n).padStart(2, '0');
const join = (parts: readonly string[]): string =>
  parts.length < 2 ? (parts[0] ?? '') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;

/** `1-5, 8 and 10`. */
function ranges(numbers: readonly number[]): string {
  const items: string[] = [];
  for (let i = 0; i < numbers.length; ) {
    let end = i;
    while (end + 1 < numbers.length && numbers[end + 1] === numbers[end]! + 1) end++;
    if (end - i >= 2) items.push(`${numbers[i]}-${numbers[end]}`);
    else for (let j = i; j <= end; j++) items.push(String(numbers[j]));
    i = end + 1;
  }
  return join(items);
}
