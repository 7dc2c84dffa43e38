// calendar.ts: days on which work rests, and what becomes of the work.
//
// A calendar is a list of rules, each of which means some days: a date, a span of dates, weekdays, a day of every year,
// days counted from Easter. A schedule names rules or calendars that it excludes (holidays) or to which it keeps (business
// days), and says whether a target on a resting day is dropped or moves to the next day that is none. Spans with a time
// of day in them (a maintenance window) are not days: targets within such a span are dropped.

import { day_ms, dayNumber, monthLength, type Wall, weekday } from './civil.ts';
import type { DayFilter, DaySet } from './cron-days.ts';
import { parseTime } from './iso8601.ts';
import { bad, good, type Problem, type Result } from './problem.ts';

export type WeekdayName = 'SUN' | 'MON' | 'TUE' | 'WED' | 'THU' | 'FRI' | 'SAT';
export type CalendarRule =
  /** One date, `2026-12-25`. */
  | { readonly date: string }
  /** Both dates included; with times of day in them, from the first instant until before the second. */
  | { readonly from: string; readonly to: string }
  | { readonly weekdays: readonly WeekdayName[] }
  /** A day of every year, `12-25`. */
  | { readonly yearly: string }
  /** The nth such weekday of a month, counted from its end when negative. */
  | { readonly month: number; readonly weekday: WeekdayName; readonly nth: number }
  /** Days after Western Easter Sunday: 1 is Easter Monday, -2 Good Friday. */
  | { readonly easter: number };

export type CalendarSpec = {
  /** Rules, or names of calendars. */
  readonly exclude?: readonly (string | CalendarRule)[];
  readonly only?: readonly (string | CalendarRule)[];
  /** What becomes of a target on a day that is left out; `skip` when absent. */
  readonly on_excluded?: 'skip' | 'next_day';
};
/** Calendars that schedules may name. */
export type Calendars = { readonly [name: string]: readonly CalendarRule[] };

/** A span of wall time: from its start until before its end. */
export type Span = { readonly from: Wall; readonly to: Wall };

export interface Calendar extends DayFilter {
  readonly moves: boolean;
  allows(day_number: number): boolean;
  /** The first allowed day at or after it; Infinity when there is none within forty years. */
  nextAllowed(day_number: number): number;
  /** Spans of wall time in which nothing runs: sorted, apart from each other. */
  readonly closed: readonly Span[];
}

const weekday_names: readonly WeekdayName[] = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const span_days_max = 366 * 100;
const months_looked_max = 40 * 12;

/** Reads what a schedule says about calendars. */
export function compileCalendar(spec: CalendarSpec, calendars: Calendars, place: string): Result<Calendar> {
  const problems: Problem[] = [];
  const closed: Span[] = [];
  const read = (list: readonly (string | CalendarRule)[], under: string, spans: Span[] | undefined): DayRules => {
    const rules: { rule: CalendarRule; place: string }[] = [];
    for (const [i, entry] of list.entries()) {
      if (typeof entry !== 'string') rules.push({ rule: entry, place: `${under}/${i}` });
      else if (Object.hasOwn(calendars, entry))
        for (const rule of calendars[entry]!) rules.push({ rule, place: `${under}/${i}` });
      else {
        const names = Object.keys(calendars);
        const expected =
          names.length === 0 ? 'rules: no calendar has a name here' : `one of ${names.slice(0, 10).join(', ')}`;
        problems.push({
          place: `${under}/${i}`,
          value: entry,
          message: `unknown calendar "${entry}": expected ${expected}`,
          expected,
        });
      }
    }
    return readRules(rules, problems, spans);
  };
  const excluded = read(spec.exclude ?? [], `${place}/exclude`, closed);
  const only = spec.only === undefined ? undefined : read(spec.only, `${place}/only`, undefined);
  const moves = spec.on_excluded === 'next_day';
  if (moves && closed.length > 0) {
    const expected = 'whole days, or "on_excluded": "skip"';
    problems.push({
      place,
      message: `a span with times of day cannot move a target to the next day: expected ${expected}`,
      expected,
    });
  }
  if (problems.length > 0) return bad(...problems);
  return good(new RuledCalendar(excluded, only, moves, merge(closed)));
}

class RuledCalendar implements Calendar {
  readonly moves: boolean;
  readonly closed: readonly Span[];
  readonly #excluded: DayRules;
  readonly #only: DayRules | undefined;

  constructor(excluded: DayRules, only: DayRules | undefined, moves: boolean, closed: readonly Span[]) {
    this.#excluded = excluded;
    this.#only = only;
    this.moves = moves;
    this.closed = closed;
  }

  #allowed(year: number, month: number): DaySet {
    const whole = 0x7fffffff >>> (31 - monthLength(year, month));
    const only = this.#only === undefined ? whole : daysOf(this.#only, year, month);
    return only & ~daysOf(this.#excluded, year, month) & whole;
  }

  allows(day_number: number): boolean {
    return this.nextAllowed(day_number) === day_number;
  }

  nextAllowed(day_number: number): number {
    const date = new Date(day_number * day_ms);
    let year = date.getUTCFullYear();
    let month = date.getUTCMonth() + 1;
    let day = date.getUTCDate();
    for (let looked = 0; looked <= months_looked_max; looked++) {
      const days = this.#allowed(year, month) & (-1 << (day - 1));
      if (days !== 0) return dayNumber(year, month, 1) + 31 - Math.clz32(days & -days);
      day = 1;
      if (++month > 12) {
        month = 1;
        year++;
      }
    }
    return Infinity;
  }

  apply(year: number, month: number, wanted: (year: number, month: number) => DaySet): DaySet {
    const here = wanted(year, month);
    const allowed = this.#allowed(year, month);
    if (!this.moves) return here & allowed;
    let days = here & allowed;
    let waiting = allowed !== 0 && this.#waitsFromBefore(year, month, wanted);
    for (let bit = 1; bit > 0 && bit <= 0x40000000; bit <<= 1) {
      if ((allowed & bit) === 0) waiting ||= (here & bit) !== 0;
      else if (waiting) {
        days |= bit;
        waiting = false;
      }
    }
    return days;
  }

  /** Whether an earlier month ended with a wanted day that found no allowed one after it. */
  #waitsFromBefore(year: number, month: number, wanted: (year: number, month: number) => DaySet): boolean {
    for (let looked = 0; looked < months_looked_max; looked++) {
      if (--month < 1) {
        month = 12;
        year--;
      }
      const allowed = this.#allowed(year, month);
      const after_last = allowed === 0 ? -1 : ~(0xffffffff >>> Math.clz32(allowed));
      if ((wanted(year, month) & after_last) !== 0) return true;
      if (allowed !== 0) return false;
    }
    return false;
  }
}

// --- rules ----------------------------------------------------------------------------------------------------------

type DayRules = {
  /** Bit w for weekday w. */
  weekdays: number;
  /** Sets of days by year * 12 + month - 1. */
  readonly dates: Map<number, DaySet>;
  readonly yearly: { readonly month: number; readonly day: number }[];
  readonly nth: { readonly month: number; readonly weekday: number; readonly nth: number }[];
  readonly easter: number[];
};

function readRules(
  list: readonly { rule: CalendarRule; place: string }[],
  problems: Problem[],
  spans?: Span[],
): DayRules {
  const rules: DayRules = { weekdays: 0, dates: new Map(), yearly: [], nth: [], easter: [] };
  for (const { rule, place } of list) {
    const refuse = (value: unknown, what: string, expected: string) =>
      problems.push({ place, value, message: `${what}: expected ${expected}`, expected });
    const weekdayOf = (name: string): number => {
      const index = weekday_names.indexOf(name as WeekdayName);
      if (index < 0) refuse(name, `unknown weekday "${name}"`, `one of ${weekday_names.join(', ')}`);
      return index;
    };
    if ('date' in rule) {
      const time = parseTime(rule.date, place);
      if (!time.ok) problems.push(...time.problems);
      else if (!time.value.date_only)
        refuse(rule.date, `"${rule.date}" has a time of day`, 'a date such as 2026-12-25');
      else addDays(rules, time.value.wall / day_ms, time.value.wall / day_ms);
    } else if ('from' in rule) readSpan(rule, place, rules, problems, spans);
    else if ('weekdays' in rule) for (const name of rule.weekdays) rules.weekdays |= (1 << weekdayOf(name)) & 127;
    else if ('yearly' in rule) {
      const match = /^(\d\d)-(\d\d)$/.exec(rule.yearly);
      const [month, day] = match === null ? [0, 0] : [Number(match[1]), Number(match[2])];
      if (month < 1 || month > 12 || day < 1 || day > monthLength(2000, month))
        refuse(rule.yearly, `day of the year "${rule.yearly}"`, 'month and day such as 12-25');
      else rules.yearly.push({ month, day });
    } else if ('nth' in rule) {
      const index = weekdayOf(rule.weekday);
      if (!Number.isInteger(rule.month) || rule.month < 1 || rule.month > 12)
        refuse(rule.month, `month ${rule.month}`, '1-12');
      else if (!Number.isInteger(rule.nth) || rule.nth === 0 || Math.abs(rule.nth) > 5)
        refuse(rule.nth, `nth ${rule.nth}`, '1-5 or -5 - -1');
      else if (index >= 0) rules.nth.push({ month: rule.month, weekday: index, nth: rule.nth });
    } else if (!Number.isInteger(rule.easter) || Math.abs(rule.easter) > 100)
      refuse(rule.easter, `easter ${rule.easter}`, 'days in -100 - 100');
    else rules.easter.push(rule.easter);
  }
  return rules;
}

function readSpan(
  rule: { from: string; to: string },
  place: string,
  rules: DayRules,
  problems: Problem[],
  spans?: Span[],
) {
  const from = parseTime(rule.from, place);
  const to = parseTime(rule.to, place);
  const refuse = (message: string, expected: string) =>
    problems.push({ place, value: rule, message: `${message}: expected ${expected}`, expected });
  if (!from.ok || !to.ok) {
    if (!from.ok) problems.push(...from.problems);
    if (!to.ok) problems.push(...to.problems);
  } else if (from.value.offset_ms !== undefined || to.value.offset_ms !== undefined)
    refuse(`"${rule.from}" to "${rule.to}" has an offset`, "times on the wall of the schedule's zone, without one");
  else if (to.value.wall < from.value.wall) refuse(`"${rule.to}" lies before "${rule.from}"`, 'an end after the start');
  else if (from.value.date_only && to.value.date_only) {
    const first = from.value.wall / day_ms;
    const last = to.value.wall / day_ms;
    if (last - first > span_days_max)
      refuse(`${last - first} days from ${rule.from} to ${rule.to}`, `at most ${span_days_max}`);
    else addDays(rules, first, last);
  } else if (spans === undefined) refuse(`"${rule.from}" to "${rule.to}" has times of day`, 'whole days in "only"');
  else spans.push({ from: from.value.wall, to: to.value.wall });
}

function addDays(rules: DayRules, first: number, last: number): void {
  for (let day_number = first; day_number <= last; day_number++) {
    const date = new Date(day_number * day_ms);
    const key = date.getUTCFullYear() * 12 + date.getUTCMonth();
    rules.dates.set(key, (rules.dates.get(key) ?? 0) | (1 << (date.getUTCDate() - 1)));
  }
}

function daysOf(rules: DayRules, year: number, month: number): DaySet {
  const length = monthLength(year, month);
  const month_start = dayNumber(year, month, 1);
  const first = weekday(month_start);
  const week = ((rules.weekdays >> first) | (rules.weekdays << (7 - first))) & 127;
  let days = week | (week << 7) | (week << 14) | (week << 21) | (week << 28);
  days |= rules.dates.get(year * 12 + month - 1) ?? 0;
  for (const rule of rules.yearly) if (rule.month === month) days |= 1 << (rule.day - 1);
  for (const rule of rules.nth) {
    if (rule.month !== month) continue;
    const forward = 1 + ((rule.weekday - first + 7) % 7) + (rule.nth - 1) * 7;
    const backward = length - ((first + length - 1 - rule.weekday + 7) % 7) + (rule.nth + 1) * 7;
    const day = rule.nth > 0 ? forward : backward;
    if (day >= 1 && day <= length) days |= 1 << (day - 1);
  }
  for (const after of rules.easter) {
    // A day counted from Easter may fall into the neighbouring year only for counts beyond our bounds.
    const day = easterSunday(year) + after - month_start;
    if (day >= 0 && day < length) days |= 1 << day;
  }
  return days & 0x7fffffff;
}

/** The day number of Western Easter Sunday, by the computus that Meeus gives. */
export function easterSunday(year: number): number {
  const a = year % 19;
  const b = Math.floor(year / 100);
  const c = year % 100;
  const h = (19 * a + b - Math.floor(b / 4) - Math.floor((b - Math.floor((b + 8) / 25) + 1) / 3) + 15) % 30;
  const l = (32 + 2 * (b % 4) + 2 * Math.floor(c / 4) - h - (c % 4)) % 7;
  const m = Math.floor((a + 11 * h + 22 * l) / 451);
  const month_and_day = h + l - 7 * m + 114;
  return dayNumber(year, Math.floor(month_and_day / 31), (month_and_day % 31) + 1);
}

function merge(spans: readonly Span[]): readonly Span[] {
  const merged: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last !== undefined && span.from <= last.to)
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else merged.push(span);
  }
  return merged;
}
