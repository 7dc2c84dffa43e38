// repeat.ts: the targets of a repeating interval, by number.
//
// Target k is worked out from the start and k alone, never from its predecessor: k periods of calendar steps on the wall,
// then k periods of elapsed time. So 31 January plus months is the last of February and then 31 March again, and no
// rounding ever adds up. Because targets have numbers, "the next" and "how many" are divisions with a little mending.

import { civilDate, day_ms, dayNumber, monthLength, type Wall, yearStart } from './civil.ts';
import type { Instant } from './clock.ts';
import type { Duration } from './duration.ts';
import { instant_max, type WallRules } from './wall-rules.ts';
import type { Zone } from './zone.ts';

export type RepeatPlan = {
  readonly start: Instant;
  readonly start_wall: Wall;
  readonly period: Duration;
  readonly average_ms: number;
  /** How many targets there are; Infinity for ever. */
  readonly count: number;
  readonly zone: Zone;
  readonly rules: WallRules;
};

/** `not there`: the gap rule drops it. */
type Place = { readonly first: Instant; readonly second: Instant | undefined } | 'not there';

/** The instant of target `k`: two for a fold that counts twice. */
function place(plan: RepeatPlan, k: number): Place {
  const { months, days, ms } = plan.period;
  if (months === 0 && days === 0) return { first: plan.start + k * ms, second: undefined };
  // The start is what was written, whatever fold or gap it lies in.
  if (k === 0) return { first: plan.start, second: undefined };
  return placeWall(stepWall(plan.start_wall, k * months, k * days), plan.zone, plan.rules, k * ms);
}

export function stepWall(wall: Wall, months: number, days: number): Wall {
  const day = Math.floor(wall / day_ms);
  if (months === 0) return wall + days * day_ms;
  const date = civilDate(day);
  const month_index = date.year * 12 + date.month - 1 + months;
  const year = Math.floor(month_index / 12);
  const month = month_index - year * 12 + 1;
  const stepped = dayNumber(year, month, Math.min(date.day, monthLength(year, month)));
  return wall + (stepped - day + days) * day_ms;
}

/** The instants that a wall time has in a zone, `plus_ms` later. */
export function placeWall(wall: Wall, zone: Zone, rules: WallRules, plus_ms = 0): Place {
  // Try the offset of the segment that holds the wall time as if it were UTC, then of its neighbours.
  let segment = zone.segmentAt(wall - 26 * 3_600_000);
  for (;;) {
    const at = wall - segment.offset_ms;
    if (at < segment.end) {
      if (at < segment.start) {
        // Too late for the segment before, too early for this one: the gap between them has it.
        if (rules.gap === 'skip') return 'not there';
        const late = rules.gap === 'shift' ? wall - segment.before_ms : segment.start;
        return { first: late + plus_ms, second: undefined };
      }
      const again = wall - segment.after_ms;
      if (segment.after_ms >= segment.offset_ms || again < segment.end)
        return { first: at + plus_ms, second: undefined };
      if (rules.fold === 'both') return { first: at + plus_ms, second: again + plus_ms };
      return { first: (rules.fold === 'first' ? at : again) + plus_ms, second: undefined };
    }
    segment = zone.segmentAt(segment.end);
  }
}

/** An upper bound of the instant of target `k`, for finding k: dropped ones count as if they were there. */
function lastOf(plan: RepeatPlan, k: number): Instant {
  const found = place(plan, k);
  if (found !== 'not there') return found.second ?? found.first;
  const kept = placeWall(
    stepWall(plan.start_wall, k * plan.period.months, k * plan.period.days),
    plan.zone,
    keep_all,
    k * plan.period.ms,
  );
  if (kept === 'not there') throw new Error(`target ${k} is lost although its gap rule keeps all`);
  return kept.first;
}
const keep_all: WallRules = { gap: 'next_valid', fold: 'first', elapsed: false };

/** The number of the first target that is not wholly at or before `after`. */
function indexAfter(plan: RepeatPlan, after: Instant): number {
  if (after < plan.start) return 0;
  if (plan.average_ms === 0) return 1;
  if (plan.period.months === 0 && plan.period.days === 0) return Math.floor((after - plan.start) / plan.period.ms) + 1;
  // The average is exact over 400 years and never more than a few days off in between.
  let k = Math.max(0, Math.floor((after - plan.start) / plan.average_ms) - 1);
  while (k > 0 && lastOf(plan, k - 1) > after) k--;
  while (lastOf(plan, k) <= after) k++;
  return k;
}

/** The first target strictly after `after`; undefined when there is none. */
export function nextRepeat(plan: RepeatPlan, after: Instant): Instant | undefined {
  for (let k = indexAfter(plan, after); k < plan.count; k++) {
    if (plan.start + k * plan.average_ms > instant_max + 366 * day_ms) return undefined;
    const found = place(plan, k);
    if (found === 'not there') continue;
    const at = found.first > after ? found.first : found.second;
    if (at !== undefined && at > after) return at <= instant_max ? at : undefined;
    if (plan.average_ms === 0) return undefined;
  }
  return undefined;
}

/** How many targets lie in (from, to], when that can be had by division; undefined when they have to be looked at. */
export function countRepeats(plan: RepeatPlan, from: Instant, to: Instant): number | undefined {
  const calendar = plan.period.months > 0 || plan.period.days > 0;
  if (calendar && (plan.rules.gap === 'skip' || plan.rules.fold === 'both' || losesDays(plan, from, to)))
    return undefined;
  const bound = Math.min(to, instant_max);
  return Math.max(0, Math.min(indexAfter(plan, bound), plan.count) - Math.min(indexAfter(plan, from), plan.count));
}

/** The wall times of targets that lie in [from, to) before any rule is applied; none for periods of elapsed time. */
export function wantedWalls(plan: RepeatPlan, from: Wall, to: Wall): readonly Wall[] {
  const { months, days, ms } = plan.period;
  const found: Wall[] = [];
  if ((months === 0 && days === 0) || ms > 0) return found;
  const begin = Math.max(1, Math.floor((from - plan.start_wall) / plan.average_ms) - 1);
  for (let k = begin; k < plan.count; k++) {
    const wall = stepWall(plan.start_wall, k * months, k * days);
    if (wall >= to) break;
    if (wall >= from) found.push(wall);
  }
  return found;
}

/** Whether the zone left out a whole day in that time, as Samoa did in 2011: two targets may then fall on one instant. */
function losesDays(plan: RepeatPlan, from: Instant, to: Instant): boolean {
  const end = Math.min(to, yearStart(2100));
  for (let at = Math.max(from, plan.start) - 2 * day_ms; at <= end; ) {
    const segment = plan.zone.segmentAt(at);
    if (segment.offset_ms - segment.before_ms >= day_ms) return true;
    at = segment.end;
  }
  return false;
}
