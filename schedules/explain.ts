// explain.ts: what a schedule will do, for people to check before they trust it.
//
// The next instants with their offsets, the whole in words, and the days in the coming years on which clocks are changed
// under it: nobody should have to learn in March what a job at half past two does in March.

import { day_ms, printDate, printWall, type Wall } from './civil.ts';
import type { Instant } from './clock.ts';
import { type CronPlan, nextWall } from './cron-walk.ts';

import { wantedWalls } from './repeat.ts';
import { dueAt, next, type Schedule } from './schedule.ts';
import { describe } from './words.ts';
import { printInstant, type Segment } from './zone.ts';

export type Explanation = {
  readonly zone: string;
  readonly words: string;
  /** The next targets in ISO 8601, with the offset that holds there. */
  readonly next: readonly string[];
  /** When those runs start, where jitter moves them. */
  readonly starts?: readonly string[];
  readonly dst: readonly Touched[];
  readonly notes: readonly string[];
  /** All of it, as lines of text. */
  readonly text: string;
};
/** A clock change that touches a schedule. */
export type Touched = {
  /** The day on the wall. */
  readonly date: string;
  readonly kind: 'gap' | 'fold';
  /** The instant of the change. */
  readonly at: string;
  /** The first wall time concerned, and how many there are. */
  readonly wall: string;
  readonly walls: number;
  /** What becomes of it: the instants at which it runs, none when it is skipped. */
  readonly runs_at: readonly string[];
  readonly words: string;
};

export const explain_years = 5;
export const explain_count_max = 1000;
const walls_shown_max = 100;

/** Explains a schedule to whoever asks at `from`: its next `count` targets, and the changes of five years. */
export function explain(schedule: Schedule, from: Instant, count: number): Explanation {
  const targets: Instant[] = [];
  const wanted = Math.min(count, explain_count_max);
  for (let at = next(schedule, from); at !== undefined && targets.length < wanted; at = next(schedule, at))
    targets.push(at);
  const print = (at: Instant) => printInstant(at, schedule.zone_data);
  const dst = touchedBy(schedule, from, from + explain_years * 366 * day_ms);
  const words = describe(schedule);
  const notes = notesOn(schedule, targets.length, wanted);
  const lines = [
    words,
    ...targets.map(at => `  ${print(at)}${schedule.jitter_ms > 0 ? `  starts ${print(dueAt(schedule, at))}` : ''}`),
    ...(dst.length === 0
      ? []
      : [`clock changes in the next ${explain_years} years:`, ...dst.map(one => `  ${one.words}`)]),
    ...notes,
  ];
  return {
    zone: schedule.zone,
    words,
    next: targets.map(print),
    ...(schedule.jitter_ms > 0 ? { starts: targets.map(at => print(dueAt(schedule, at))) } : {}),
    dst,
    notes,
    text: `${lines.join('\n')}\n`,
  };
}

function notesOn(schedule: Schedule, found: number, wanted: number): readonly string[] {
  const notes: string[] = [];
  const { timing } = schedule;
  if (timing.kind === 'reboot') return ['no instant can be foreseen: it is due when a leader starts'];
  const elapsed =
    timing.kind === 'cron' ? schedule.rules.elapsed : timing.plan.period.months === 0 && timing.plan.period.days === 0;
  const changes = schedule.zone_data.segmentAt(0).end !== Infinity;
  if (elapsed && changes) notes.push('runs on elapsed time: clock changes neither drop nor repeat a run');
  if (found < wanted) notes.push(found === 0 ? 'no target is left' : `no more than ${found} targets are left`);
  return notes;
}

/** The clock changes in [from, to) that swallow or repeat a wall time of the schedule. */
export function touchedBy(schedule: Schedule, from: Instant, to: Instant): readonly Touched[] {
  const found: Touched[] = [];
  if (schedule.rules.elapsed) return found;
  for (
    let segment = schedule.zone_data.segmentAt(from);
    segment.end < to;
    segment = schedule.zone_data.segmentAt(segment.end)
  ) {
    const { end, offset_ms, after_ms } = segment;
    if (offset_ms === after_ms || end < schedule.bounds.from || end > schedule.bounds.to) continue;
    const low = end + Math.min(offset_ms, after_ms);
    const high = end + Math.max(offset_ms, after_ms);
    const walls = wallsIn(schedule, low, high);
    if (walls.length > 0) found.push(touched(schedule, segment, walls));
  }
  return found;
}

function wallsIn(schedule: Schedule, low: Wall, high: Wall): readonly Wall[] {
  const { timing, calendar } = schedule;
  if (timing.kind === 'reboot') return [];
  if (timing.kind === 'cron') return cronWalls(timing.plan, low, high);
  const walls = wantedWalls(timing.plan, low, high);
  return calendar === undefined ? walls : walls.filter(wall => calendar.allows(Math.floor(wall / day_ms)));
}

function cronWalls(plan: CronPlan, low: Wall, high: Wall): readonly Wall[] {
  const walls: Wall[] = [];
  for (let wall = nextWall(plan, low - 1); wall < high && walls.length < walls_shown_max; wall = nextWall(plan, wall))
    walls.push(wall);
  return walls;
}

function touched(schedule: Schedule, segment: Segment, walls: readonly Wall[]): Touched {
  const { end, offset_ms, after_ms } = segment;
  const { gap, fold } = schedule.rules;
  const kind = after_ms > offset_ms ? 'gap' : 'fold';
  const wall = walls[0]!;
  const instants =
    kind === 'gap'
      ? gap === 'skip'
        ? []
        : [gap === 'shift' ? wall - offset_ms : end]
      : [...(fold === 'second' ? [] : [wall - offset_ms]), ...(fold === 'first' ? [] : [wall - after_ms])];
  const print = (at: Instant) => printInstant(at, schedule.zone_data);
  const time = printWall(wall).slice(11);
  const more =
    walls.length === 1 ? '' : ` (the first of ${walls.length}${walls.length === walls_shown_max ? ' or more' : ''})`;
  const fate = instants.length === 0 ? 'it is skipped' : `it runs at ${instants.map(print).join(' and ')}`;
  const date = printDate(Math.floor(wall / day_ms));
  return {
    date,
    kind,
    at: print(end),
    wall: printWall(wall),
    walls: walls.length,
    runs_at: instants.map(print),
    words: `${date}: ${time}${more} ${kind === 'gap' ? 'does not exist' : 'exists twice'}: ${fate}`,
  };
}
