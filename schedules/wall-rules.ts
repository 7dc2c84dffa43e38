// wall-rules.ts: what becomes of a wall time when clocks are changed.
//
// Take the wall times that a crontab line wants and lay them along a zone. Where clocks jump forward some of them do not
// exist (a *gap*); where they fall back some exist twice (a *fold*). Here each segment of a zone is looked at by itself:
// the targets in it are the wanted wall times that it shows, less those that the fold rule gives to its neighbour, plus
// what the gap at its beginning swallowed and the gap rule brings back.
//
//   gap    skip: they are lost.  next_valid: one target at the first instant after the gap.  shift: later by the gap's length.
//   fold   first, second: which of the two.  both: each of them.
//
// A schedule that runs on *elapsed* time knows neither rule: whatever the wall shows when a target's time comes, counts.

import { day_ms, hour_ms, yearStart } from './civil.ts';
import type { Instant } from './clock.ts';
import { type CronPlan, countWalls, matchesWall, nextWall } from './cron-walk.ts';
import type { Segment, Zone } from './zone.ts';

export type WallRules = {
  readonly gap: 'skip' | 'next_valid' | 'shift';
  readonly fold: 'first' | 'second' | 'both';
  /** Neither rule applies: every wall time counts whenever it is shown. */
  readonly elapsed: boolean;
};

/** Nothing is due before the year 1 or after the year 9999, and zones are not asked about any other time. */
export const instant_min: Instant = yearStart(1);
export const instant_max: Instant = yearStart(10_000) - 1;
/** No wall has ever been further from UTC than this. */
const offset_ms_max = 26 * hour_ms;

/** The first target strictly after `after`; undefined when there is none before the year 10000. */
export function nextTarget(plan: CronPlan, zone: Zone, rules: WallRules, after: Instant): Instant | undefined {
  for (let low = after; low < instant_max; ) {
    const segment = zone.segmentAt(low + 1);
    const { offset_ms } = segment;
    const wall = nextWall(plan, low + offset_ms);
    const found = nextInSegment(plan, segment, rules, after, wall - offset_ms);
    if (found < segment.end) return found <= instant_max ? found : undefined;
    // Nothing is wanted before `wall`, so the segments until just before it need not be visited one by one; unless the
    // clock falls back at the end of this one and shows again what has already been passed.
    low = segment.end - 1;
    if (segment.after_ms >= offset_ms) low = Math.max(low, wall - offset_ms_max - day_ms);
  }
  return undefined;
}

/** The first target after `after` in this segment; Infinity when it has none. `plain`: the first that no rule touched. */
function nextInSegment(plan: CronPlan, segment: Segment, rules: WallRules, after: Instant, plain: Instant): Instant {
  const { start, end, offset_ms, before_ms, after_ms } = segment;
  if (rules.elapsed) return plain < end ? plain : Infinity;
  let found = plain;
  // The second pass of a fold is this segment's beginning: the first pass has had these.
  if (before_ms > offset_ms && rules.fold === 'first') {
    const fold_end = start + before_ms - offset_ms;
    if (found < fold_end) found = nextWall(plan, fold_end - 1 + offset_ms) - offset_ms;
  }
  // The first pass of a fold is this segment's end: the second pass will have these.
  if (after_ms < offset_ms && rules.fold === 'second' && found >= end - (offset_ms - after_ms)) found = Infinity;
  if (found >= end) found = Infinity;
  if (before_ms < offset_ms && rules.gap !== 'skip') {
    const gap_start = start + before_ms;
    const gap_end = start + offset_ms;
    if (rules.gap === 'next_valid') {
      if (after < start && start < found && nextWall(plan, gap_start - 1) < gap_end) return start;
    } else if (after < start + offset_ms - before_ms) {
      const swallowed = nextWall(plan, Math.max(gap_start - 1, after + before_ms));
      if (swallowed < gap_end && swallowed - before_ms < end) return Math.min(found, swallowed - before_ms);
    }
  }
  return found;
}

/** How many targets lie in (from, to]. Takes time by the segments and months between, not by the targets. */
export function countTargets(plan: CronPlan, zone: Zone, rules: WallRules, from: Instant, to: Instant): number {
  let count = 0;
  for (let at = from + 1; at <= to; ) {
    const segment = zone.segmentAt(at);
    count += countInSegment(plan, segment, rules, at - 1, Math.min(to, segment.end - 1));
    at = segment.end;
  }
  return count;
}

function countInSegment(plan: CronPlan, segment: Segment, rules: WallRules, from: Instant, to: Instant): number {
  const { start, end, offset_ms, before_ms, after_ms } = segment;
  let low = from;
  let high = to;
  if (!rules.elapsed) {
    if (before_ms > offset_ms && rules.fold === 'first') low = Math.max(low, start + before_ms - offset_ms - 1);
    if (after_ms < offset_ms && rules.fold === 'second') high = Math.min(high, end - (offset_ms - after_ms) - 1);
  }
  let count = high > low ? countWalls(plan, low + offset_ms, high + offset_ms) : 0;
  if (rules.elapsed || before_ms >= offset_ms || rules.gap === 'skip') return count;
  const gap_start = start + before_ms;
  const gap_end = start + offset_ms;
  if (rules.gap === 'next_valid') {
    if (from < start && to >= start && !matchesWall(plan, gap_end) && nextWall(plan, gap_start - 1) < gap_end) count++;
    return count;
  }
  // A shifted target may fall on one that was there anyway: those are one. A gap is short, so they are looked at singly.
  const last = Math.min(gap_end - 1, to + before_ms, end - 1 + before_ms);
  for (let wall = nextWall(plan, Math.max(gap_start - 1, from + before_ms)); wall <= last; wall = nextWall(plan, wall))
    if (!matchesWall(plan, wall - before_ms + offset_ms)) count++;
  return count;
}

/** Whether `at` itself is a target, judged by what the wall shows there and not by searching. */
export function isTarget(plan: CronPlan, zone: Zone, rules: WallRules, at: Instant): boolean {
  const { start, end, offset_ms, before_ms, after_ms } = zone.segmentAt(at);
  if (matchesWall(plan, at + offset_ms)) {
    if (rules.elapsed) return true;
    const second_pass = before_ms > offset_ms && at < start + before_ms - offset_ms;
    const first_pass = after_ms < offset_ms && at >= end - (offset_ms - after_ms);
    if (!(second_pass && rules.fold === 'first') && !(first_pass && rules.fold === 'second')) return true;
  }
  if (rules.elapsed || before_ms >= offset_ms) return false;
  if (rules.gap === 'next_valid') return at === start && nextWall(plan, start + before_ms - 1) < start + offset_ms;
  return rules.gap === 'shift' && at < start + offset_ms - before_ms && matchesWall(plan, at + before_ms);
}
