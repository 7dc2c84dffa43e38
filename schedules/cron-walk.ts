// cron-walk.ts: walking along the wall from one matching time to the next.
//
// Zones are not known here: this is pure wall time. A line matches a day or it does not, and on each matching day it
// matches the same times, so both "the next one" and "how many" are questions about days first and times second.

import { civilDate, day_ms, dayNumber, type Wall } from './civil.ts';
import type { CronFields, Sixty } from './cron.ts';
import { type DayFilter, type DaySet, daysOfMonth } from './cron-days.ts';

/** A line made ready for walking. */
export type CronPlan = {
  readonly fields: CronFields;
  readonly filter: DayFilter | undefined;
  /** Runs on every day, so that no date need be worked out. */
  readonly every_day: boolean;
  /** The first matching second of a day, and how many there are. */
  readonly first: number;
  readonly per_day: number;
};

/** The Gregorian calendar repeats after 400 years: a line that matches none of those days never runs. */
const months_max = 400 * 12;
/** Nothing is looked for beyond the year 9999. */
const day_max = dayNumber(10000, 1, 1);

export function cronPlan(fields: CronFields, filter?: DayFilter): CronPlan {
  const first = firstOf60(fields.minutes, 0) * 60 + firstOf60(fields.seconds, 0) + firstOf(fields.hours, 0) * 3600;
  const per_day = count60(fields.seconds) * count60(fields.minutes) * popcount(fields.hours);
  const every_month = fields.months === 0x1ffe;
  const all = fields.days === 0xfffffffe && fields.weekdays === 127;
  const one = fields.combine === 'or' && (fields.days === 0xfffffffe || fields.weekdays === 127);
  return { fields, filter, every_day: filter === undefined && every_month && (all || one), first, per_day };
}

/** The days of that month on which the line runs, its month field and its calendar included. */
export function planDays(plan: CronPlan, year: number, month: number): DaySet {
  const wanted = (y: number, m: number) => ((plan.fields.months >> m) & 1 ? daysOfMonth(plan.fields, y, m) : 0);
  return plan.filter === undefined ? wanted(year, month) : plan.filter.apply(year, month, wanted);
}

/** The first matching wall time strictly after `after`; Infinity when there is none. */
export function nextWall(plan: CronPlan, after: Wall): Wall {
  const second = Math.floor(after / 1000) + 1;
  const today = Math.floor(second / 86400);
  let day = plan.every_day ? today : nextDay(plan, today);
  if (day === today) {
    const time = nextTime(plan.fields, second - today * 86400);
    if (time >= 0) return (today * 86400 + time) * 1000;
    day = plan.every_day ? today + 1 : nextDay(plan, today + 1);
  }
  return day < day_max ? (day * 86400 + plan.first) * 1000 : Infinity;
}

/** Whether the wall time itself matches. */
export function matchesWall(plan: CronPlan, wall: Wall): boolean {
  if (wall % 1000 !== 0) return false;
  const day_number = Math.floor(wall / day_ms);
  const second = (wall - day_number * day_ms) / 1000;
  const { seconds, minutes, hours } = plan.fields;
  if (((hours >> Math.floor(second / 3600)) & 1) === 0) return false;
  if (!has60(minutes, Math.floor(second / 60) % 60) || !has60(seconds, second % 60)) return false;
  const { year, month, day } = civilDate(day_number);
  return ((planDays(plan, year, month) >> (day - 1)) & 1) === 1;
}

/** How many matching wall times lie in (from, to]. */
export function countWalls(plan: CronPlan, from: Wall, to: Wall): number {
  if (to <= from) return 0;
  const first_second = Math.floor(from / 1000) + 1;
  const last_second = Math.floor(to / 1000);
  const first_day = Math.floor(first_second / 86400);
  const last_day = Math.floor(last_second / 86400);
  const before = matchesDay(plan, first_day) ? timesBefore(plan.fields, first_second - first_day * 86400) : 0;
  const until = matchesDay(plan, last_day) ? timesBefore(plan.fields, last_second - last_day * 86400 + 1) : 0;
  return countDays(plan, first_day, last_day) * plan.per_day - before + until;
}

/** The first matching day at or after `from`; Infinity when there is none. */
function nextDay(plan: CronPlan, from: number): number {
  let { year, month, day } = civilDate(from);
  for (let looked = 0; looked <= months_max && year < 10000; looked++) {
    if (plan.filter !== undefined || (plan.fields.months >> month) & 1) {
      const days = planDays(plan, year, month) & (-1 << (day - 1));
      if (days !== 0) return dayNumber(year, month, 1) + firstBit(days);
    }
    day = 1;
    if (++month > 12) {
      month = 1;
      year++;
    }
  }
  return Infinity;
}

function matchesDay(plan: CronPlan, day_number: number): boolean {
  if (plan.every_day) return true;
  const { year, month, day } = civilDate(day_number);
  return ((planDays(plan, year, month) >> (day - 1)) & 1) === 1;
}

/** Matching days in [from, to). */
function countDays(plan: CronPlan, from: number, to: number): number {
  if (plan.every_day) return Math.max(0, to - from);
  let count = 0;
  let { year, month, day } = civilDate(from);
  for (let first = dayNumber(year, month, 1); first < to; ) {
    let days = planDays(plan, year, month) & (-1 << (day - 1));
    if (to - first < 31) days &= (1 << (to - first)) - 1;
    count += popcount(days);
    day = 1;
    if (++month > 12) {
      month = 1;
      year++;
    }
    first = dayNumber(year, month, 1);
  }
  return count;
}

/** The first matching second of the day at or after `second`; -1 when the day has no more. */
function nextTime(fields: CronFields, second: number): number {
  const h = (second / 3600) | 0;
  const m = ((second / 60) | 0) % 60;
  const s = second % 60;
  if ((fields.hours >> h) & 1) {
    if (has60(fields.minutes, m)) {
      const in_minute = firstOf60(fields.seconds, s);
      if (in_minute < 60) return h * 3600 + m * 60 + in_minute;
    }
    const in_hour = firstOf60(fields.minutes, m + 1);
    if (in_hour < 60) return h * 3600 + in_hour * 60 + firstOf60(fields.seconds, 0);
  }
  const hour = firstOf(fields.hours, h + 1);
  return hour > 23 ? -1 : hour * 3600 + firstOf60(fields.minutes, 0) * 60 + firstOf60(fields.seconds, 0);
}

/** How many matching seconds of a day lie before `second`. */
function timesBefore(fields: CronFields, second: number): number {
  if (second >= 86400) return count60(fields.seconds) * count60(fields.minutes) * popcount(fields.hours);
  const h = (second / 3600) | 0;
  const m = ((second / 60) | 0) % 60;
  const per_minute = count60(fields.seconds);
  let count = popcount(fields.hours & ((1 << h) - 1)) * count60(fields.minutes) * per_minute;
  if (((fields.hours >> h) & 1) === 0) return count;
  count += countBelow60(fields.minutes, m) * per_minute;
  return has60(fields.minutes, m) ? count + countBelow60(fields.seconds, second % 60) : count;
}

// --- sets of bits ---------------------------------------------------------------------------------------------------

const firstBit = (bits: number): number => 31 - Math.clz32(bits & -bits);

/** The first member at or after `from`; 32 when there is none. */
function firstOf(bits: number, from: number): number {
  const left = from > 31 ? 0 : bits & (-1 << from);
  return left === 0 ? 32 : firstBit(left);
}

/** The first member at or after `from`; 60 or more when there is none. */
function firstOf60(set: Sixty, from: number): number {
  if (from < 30) {
    const left = set.low & (-1 << from);
    if (left !== 0) return firstBit(left);
    return set.high === 0 ? 62 : 30 + firstBit(set.high);
  }
  return from >= 60 ? 62 : 30 + firstOf(set.high, from - 30);
}

const has60 = (set: Sixty, n: number): boolean =>
  n < 30 ? ((set.low >> n) & 1) === 1 : ((set.high >> (n - 30)) & 1) === 1;
const count60 = (set: Sixty): number => popcount(set.low) + popcount(set.high);
const countBelow60 = (set: Sixty, n: number): number =>
  n <= 30
    ? popcount(n === 30 ? set.low : set.low & ((1 << n) - 1))
    : popcount(set.low) + popcount(set.high & ((1 << (n - 30)) - 1));

function popcount(bits: number): number {
  let n = bits - ((bits >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
