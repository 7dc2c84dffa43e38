// cron-days.ts: the days of one month on which a crontab line runs, all at once, as thirty-one bits.
//
// Whether a weekday, a rule such as "the last Friday" or a calendar is asked for: within one month every such wish is a
// set of days, and sets are joined and intersected with single operations. Finding a day is then finding a bit.

import { dayNumber, monthLength, weekday } from './civil.ts';
import type { CronFields, DayRule } from './cron.ts';

/** Bit d-1 for day d of some month. */
export type DaySet = number;

/** What a calendar does to the days on which something would run. */
export interface DayFilter {
  /** `wanted` is asked for the same schedule in other months, when days move from one month to the next. */
  apply(year: number, month: number, wanted: (year: number, month: number) => DaySet): DaySet;
}

const whole_month = (length: number): DaySet => 0x7fffffff >>> (31 - length);

/** The days of that month on which the day fields of `fields` match; the month field is not asked. */
export function daysOfMonth(fields: CronFields, year: number, month: number): DaySet {
  const length = monthLength(year, month);
  const whole = whole_month(length);
  if (fields.any_day && fields.any_weekday && fields.weekdays === 127 && fields.days === all_days) return whole;
  const first = weekday(dayNumber(year, month, 1));
  // Turn the week so that bit 0 is the weekday of the 1st, then lay it out five times.
  const week = ((fields.weekdays >> first) | (fields.weekdays << (7 - first))) & 127;
  let by_weekday = (week | (week << 7) | (week << 14) | (week << 21) | (week << 28)) & 0x7fffffff;
  let by_day = fields.days >>> 1;
  if (fields.day_rules.length > 0) by_day |= daysOfRules(fields.day_rules, first, length);
  if (fields.weekday_rules.length > 0) by_weekday |= daysOfRules(fields.weekday_rules, first, length);
  return (fields.combine === 'or' ? by_day | by_weekday : by_day & by_weekday) & whole;
}
const all_days = 0xfffffffe;

function daysOfRules(rules: readonly DayRule[], first: number, length: number): DaySet {
  let set = 0;
  for (const rule of rules) {
    const day = dayOfRule(rule, first, length);
    if (day >= 1 && day <= length) set |= 1 << (day - 1);
  }
  return set;
}

/** The day of the month that a rule means, given the weekday of the 1st; out of range when the month has none. */
function dayOfRule(rule: DayRule, first: number, length: number): number {
  switch (rule.rule) {
    case 'last':
      return length - rule.before;
    case 'last_weekday': {
      const of_last = (first + length - 1) % 7;
      return of_last === 6 ? length - 1 : of_last === 0 ? length - 2 : length;
    }
    case 'nearest_weekday': {
      if (rule.day > length) return 0;
      const of_day = (first + rule.day - 1) % 7;
      if (of_day === 6) return rule.day === 1 ? 3 : rule.day - 1;
      if (of_day === 0) return rule.day === length ? rule.day - 2 : rule.day + 1;
      return rule.day;
    }
    case 'nth':
      return 1 + ((rule.weekday - first + 7) % 7) + (rule.nth - 1) * 7;
    case 'last_of':
      return length - ((first + length - 1 - rule.weekday + 7) % 7);
  }
}
