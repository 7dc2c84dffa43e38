// schedule.ts: one schedule of a job: what it says, when it is due next, and how often it was due in between.
//
// A schedule is compiled once from what a document says and then only asked. Its *targets* are instants: a set that the
// text, the zone and the calendar decide together, in which nothing depends on when somebody asks. That is what makes a
// missed target countable: whoever comes back after a year gets the same answers as whoever never slept.
//
// The definition is kept as written. How far a job has come on it is a cursor, and lives in catch-up.ts.

import { type Calendar, type CalendarSpec, type Calendars, compileCalendar } from './calendar.ts';
import { day_ms } from './civil.ts';
import type { Instant } from './clock.ts';
import { type CronFields, parseCron } from './cron.ts';
import { printCron } from './cron-print.ts';
import { type CronPlan, cronPlan, nextWall } from './cron-walk.ts';
import { approximateMs, isZero } from './duration.ts';
import { stableHash } from './hash.ts';
import { parseRepeat, parseTime } from './iso8601.ts';
import { bad, good, type Problem, type Result } from './problem.ts';
import { countRepeats, nextRepeat, placeWall, type RepeatPlan } from './repeat.ts';
import { countTargets, instant_max, instant_min, isTarget, nextTarget, type WallRules } from './wall-rules.ts';
import { printInstant, utc, wallAt, type Zone } from './zone.ts';
import { findZone, offsetZone } from './zone-names.ts';

export type GapRule = 'skip' | 'next_valid' | 'shift';
export type FoldRule = 'first' | 'second' | 'both';

export type ScheduleSpec = {
  /** `R[n]/start/period` or `R[n]/start/end`. Exactly one of this and `cron`. */
  readonly iso8601?: string;
  /** Five fields, six with seconds first, or a macro such as `@daily`. */
  readonly cron?: string;
  /** An IANA time zone; the offset in the start's text, else the scheduler's default zone, when absent. */
  readonly zone?: string;
  /** What clock changes do to wall times: `next_valid` and `first` when absent. */
  readonly dst?: { readonly gap?: GapRule; readonly fold?: FoldRule };
  /** No targets before this, and none after that: ISO 8601 times, on the wall of the zone when without an offset. */
  readonly not_before?: string;
  readonly not_after?: string;
  /** How day-of-month and day-of-week combine when both are given: `vixie` (either) when absent. */
  readonly day_rule?: 'vixie' | 'and';
  readonly calendar?: CalendarSpec;
  /** A run may be started up to this much after its target, always by the same amount for the same target. */
  readonly jitter_ms?: number;
};

export type CompileContext = {
  /** When the schedule was made, not when it is read again: an empty start begins here. */
  readonly now: Instant;
  readonly default_zone: string;
  /** What `H` and jitter are hashed from. */
  readonly job_key: string;
  readonly dialect?: 'native' | 'chronos' | 'aurora';
  /** Calendars that the schedule may name. */
  readonly calendars?: Calendars;
  /** JSON pointer of the schedule, put before the places of problems. */
  readonly place?: string;
};

export type Schedule = {
  readonly spec: ScheduleSpec;
  readonly zone: string;
  /** How many targets there are: 5 of R5; undefined for ever. */
  readonly count: number | undefined;
  /** Of a repeating interval. */
  readonly start?: Instant;
  readonly jitter_ms: number;
  readonly job_key: string;
  /** What compiling made of the text; for schedules/ alone. */
  readonly timing: Timing;
  readonly zone_data: Zone;
  readonly rules: WallRules;
  readonly calendar: Calendar | undefined;
  /** Spans in which nothing is due, as instants: from, until before. */
  readonly closed: readonly Bounds[];
  readonly bounds: Bounds;
};
/** No target before `from` and none after `to`. */
export type Bounds = { readonly from: Instant; readonly to: Instant };
export type Timing =
  | { readonly kind: 'cron'; readonly plan: CronPlan }
  | { readonly kind: 'repeat'; readonly plan: RepeatPlan }
  /** `@reboot`: due once whenever a leader starts, which no calculation can foresee. */
  | { readonly kind: 'reboot' };

export const jitter_ms_max = day_ms;

// A scheduler holds a million of these: what most of them have in common they share.
const unbounded: Bounds = { from: -Infinity, to: Infinity };
const never_closed: readonly Bounds[] = [];
const gap_rules: readonly GapRule[] = ['skip', 'next_valid', 'shift'];
const fold_rules: readonly FoldRule[] = ['first', 'second', 'both'];
const all_rules: readonly WallRules[] = gap_rules.flatMap(gap =>
  fold_rules.flatMap(fold => [false, true].map(elapsed => ({ gap, fold, elapsed }))),
);
/** Lines read lately, by what they mean: many jobs run at the same times. */
const plans = new Map<string, CronPlan>();
const plans_max = 4096;

/** Reads a schedule: the schedule, or everything that is wrong with it. */
export function compile(spec: ScheduleSpec, context: CompileContext): Result<Schedule> {
  const place = context.place ?? '';
  if ((spec.cron === undefined) === (spec.iso8601 === undefined)) {
    const message = `a schedule with ${spec.cron === undefined ? 'neither' : 'both'} "cron" and "iso8601": expected exactly one`;
    return bad({ place, message, expected: 'exactly one of "cron" and "iso8601"' });
  }
  const reader = new SpecReader(spec, context, place);
  return spec.cron === undefined ? reader.repeat(spec.iso8601!) : reader.cron(spec.cron);
}

/** Reads one spec and collects what is wrong with it. */
class SpecReader {
  readonly #spec: ScheduleSpec;
  readonly #context: CompileContext;
  readonly #place: string;
  readonly #problems: Problem[] = [];

  constructor(spec: ScheduleSpec, context: CompileContext, place: string) {
    this.#spec = spec;
    this.#context = context;
    this.#place = place;
  }

  cron(text: string): Result<Schedule> {
    const { day_rule } = this.#spec;
    const read = parseCron(text, {
      place: `${this.#place}/cron`,
      job_key: this.#context.job_key,
      strict: this.#context.dialect === 'aurora',
      ...(day_rule === undefined ? {} : { day_rule }),
    });
    if (!read.ok) this.#problems.push(...read.problems);
    const zone = this.#zone(undefined);
    if (!read.ok) return this.#finish(zone, undefined, this.#rules(false), undefined, undefined);
    if (read.value.kind === 'reboot')
      return this.#finish(zone, { kind: 'reboot' }, this.#rules(false), undefined, undefined);
    const { fields } = read.value;
    const calendar = this.#calendar();
    const plan = planOf(fields, calendar);
    // From any day of the calendar's 400 years: what is not found there is never found.
    if (this.#problems.length === 0 && nextWall(plan, this.#context.now) === Infinity) {
      const reason = calendar === undefined ? 'no month has such a day' : 'its calendar leaves no day';
      const expected = 'a line that runs at least once';
      const message = `"${text}" never runs (${reason}): expected a line that does`;
      this.#problems.push({ place: `${this.#place}/cron`, value: text, message, expected });
    }
    // A line that runs in every hour runs by elapsed time: half an hour after half an hour, whatever the wall says.
    const elapsed = fields.hours === 0xffffff;
    return this.#finish(zone, { kind: 'cron', plan }, this.#rules(elapsed), calendar, undefined);
  }

  repeat(text: string): Result<Schedule> {
    const chronos = this.#context.dialect === 'chronos';
    const place = `${this.#place}/iso8601`;
    const read = parseRepeat(text, place, chronos);
    const rules = this.#rules(false);
    if (!read.ok) {
      this.#problems.push(...read.problems);
      return this.#finish(this.#zone(undefined), undefined, rules, undefined, undefined);
    }
    const { count, start: written, period } = read.value;
    const zone = this.#zone(written?.offset_ms, chronos && written === undefined);
    const start = this.#start(written, zone);
    if (chronos && start < 1000) {
      const message = `Scheduled start date '${printInstant(start)}' is before 1970!`;
      this.#problems.push({ place, value: text, message, expected: 'a start after 1970-01-01T00:00:00Z' });
    }
    if ((count === undefined || count > 1) && approximateMs(period) < 1000) {
      const what = isZero(period) ? 'a period of zero' : `a period of ${period.ms} ms`;
      const expected = 'a period of at least one second, or a count of at most one';
      this.#problems.push({ place, value: text, message: `${what} in "${text}": expected ${expected}`, expected });
    }
    const calendar = this.#calendar();
    if (calendar?.moves === true && approximateMs(period) < day_ms && count !== 1 && count !== 0) {
      const expected = 'a period of at least one day, or "on_excluded": "skip"';
      const message = `"${text}" runs more than once a day and its calendar moves targets to the next day: expected ${expected}`;
      this.#problems.push({ place, value: text, message, expected });
    }
    const plan: RepeatPlan = {
      start,
      start_wall: wallAt(zone, start),
      period,
      average_ms: approximateMs(period),
      count: count ?? Infinity,
      zone,
      rules,
    };
    return this.#finish(zone, { kind: 'repeat', plan }, rules, calendar, { count, start });
  }

  #start(written: { readonly wall: number; readonly offset_ms: number | undefined } | undefined, zone: Zone): Instant {
    const chronos = this.#context.dialect === 'chronos';
    if (written === undefined) return chronos ? this.#context.now - 1000 : this.#context.now;
    // Chronos put its zone in the place of the offset in the text: 13:00Z with Paris is one o'clock in Paris.
    const replaced = chronos && this.#spec.zone !== undefined && this.#spec.zone !== '';
    if (written.offset_ms !== undefined && !replaced) return written.wall - written.offset_ms;
    const placed = placeWall(written.wall, zone, this.#rules(false));
    // A start that a gap swallowed still has to be somewhere: the rule that drops targets cannot drop the origin.
    if (placed !== 'not there') return placed.first;
    const kept = placeWall(written.wall, zone, { gap: 'next_valid', fold: 'first', elapsed: false });
    if (kept === 'not there') throw new Error(`a wall time was lost in ${zone.name} although its gap rule keeps all`);
    return kept.first;
  }

  #zone(offset_ms: number | undefined, ignored = false): Zone {
    const chronos = this.#context.dialect === 'chronos';
    const { zone } = this.#spec;
    const place = `${this.#place}/zone`;
    if (zone !== undefined && !(chronos && zone === '')) {
      const found = findZone(zone, place, chronos);
      if (!found.ok) this.#problems.push(...found.problems);
      else return ignored ? utc : found.value;
      return utc;
    }
    if (ignored) return utc;
    if (offset_ms !== undefined) {
      const minutes = Math.abs(offset_ms) / 60_000;
      return offsetZone(
        offset_ms < 0 ? '-' : '+',
        String(Math.floor(minutes / 60)),
        String(minutes % 60).padStart(2, '0'),
      );
    }
    const fallback = findZone(this.#context.default_zone, place, chronos);
    if (fallback.ok) return fallback.value;
    this.#problems.push(...fallback.problems);
    return utc;
  }

  #rules(elapsed: boolean): WallRules {
    const gap = gap_rules.indexOf(this.#spec.dst?.gap ?? 'next_valid');
    const fold = fold_rules.indexOf(this.#spec.dst?.fold ?? 'first');
    const rules = all_rules[(gap * fold_rules.length + fold) * 2 + (elapsed ? 1 : 0)];
    if (gap >= 0 && fold >= 0 && rules !== undefined) return rules;
    const expected = `"gap" one of ${gap_rules.join(', ')} and "fold" one of ${fold_rules.join(', ')}`;
    const message = `clock change rules ${JSON.stringify(this.#spec.dst)}: expected ${expected}`;
    this.#problems.push({ place: `${this.#place}/dst`, value: this.#spec.dst, message, expected });
    return all_rules[0]!;
  }

  #calendar(): Calendar | undefined {
    if (this.#spec.calendar === undefined) return undefined;
    const read = compileCalendar(this.#spec.calendar, this.#context.calendars ?? {}, `${this.#place}/calendar`);
    if (read.ok) return read.value;
    this.#problems.push(...read.problems);
    return undefined;
  }

  #bound(name: 'not_before' | 'not_after', zone: Zone, otherwise: Instant): Instant {
    const text = this.#spec[name];
    if (text === undefined) return otherwise;
    const read = parseTime(text, `${this.#place}/${name}`);
    if (read.ok) return this.#instant(read.value, zone);
    this.#problems.push(...read.problems);
    return otherwise;
  }

  #instant(written: { readonly wall: number; readonly offset_ms: number | undefined }, zone: Zone): Instant {
    if (written.offset_ms !== undefined) return written.wall - written.offset_ms;
    const placed = placeWall(written.wall, zone, { gap: 'next_valid', fold: 'first', elapsed: false });
    if (placed === 'not there') throw new Error(`a wall time was lost in ${zone.name} although its gap rule keeps all`);
    return placed.first;
  }

  #finish(
    zone: Zone,
    timing: Timing | undefined,
    rules: WallRules,
    calendar: Calendar | undefined,
    repeat: { readonly count: number | undefined; readonly start: Instant } | undefined,
  ): Result<Schedule> {
    const not_before = this.#bound('not_before', zone, -Infinity);
    const not_after = this.#bound('not_after', zone, Infinity);
    if (not_before > not_after) {
      const { not_before: from, not_after: to } = this.#spec;
      const message = `"not_after" ${to} lies before "not_before" ${from}: expected a later one, or the schedule never runs`;
      this.#problems.push({ place: `${this.#place}/not_after`, value: to, message, expected: `a time after ${from}` });
    }
    const jitter_ms = this.#spec.jitter_ms ?? 0;
    if (!Number.isInteger(jitter_ms) || jitter_ms < 0 || jitter_ms > jitter_ms_max) {
      const expected = `0-${jitter_ms_max}`;
      const message = `"jitter_ms" is ${jitter_ms}: expected ${expected}`;
      this.#problems.push({ place: `${this.#place}/jitter_ms`, value: jitter_ms, message, expected });
    }
    if (timing === undefined || this.#problems.length > 0) return bad(...this.#problems);
    const at = (wall: number) => this.#instant({ wall, offset_ms: undefined }, zone);
    return good({
      spec: this.#spec,
      zone: zone.name,
      count: repeat?.count,
      ...(repeat === undefined ? {} : { start: repeat.start }),
      jitter_ms,
      job_key: this.#context.job_key,
      timing,
      zone_data: zone,
      rules,
      calendar,
      closed:
        calendar === undefined ? never_closed : calendar.closed.map(span => ({ from: at(span.from), to: at(span.to) })),
      bounds: not_before === -Infinity && not_after === Infinity ? unbounded : { from: not_before, to: not_after },
    });
  }
}

/** The plan of a line; one and the same for all that mean the same. */
function planOf(fields: CronFields, calendar: Calendar | undefined): CronPlan {
  if (calendar !== undefined) return cronPlan(fields, calendar);
  const text = `${printCron(fields)} ${fields.combine}`;
  const known = plans.get(text);
  if (known !== undefined) return known;
  const plan = cronPlan(fields);
  if (plans.size >= plans_max) plans.clear();
  plans.set(text, plan);
  return plan;
}

/** The first target strictly after `after`; undefined when there is none. A finite R<n> has n targets, start included. */
export function next(schedule: Schedule, after: Instant): Instant | undefined {
  let from = Math.max(after, schedule.bounds.from - 1, instant_min);
  if (from >= instant_max) return undefined;
  // Each round leaves one excluded span or run of days behind; nobody closes for longer than this.
  for (let rounds = 0; rounds < excluded_runs_max; rounds++) {
    const at = nextOpen(schedule, from);
    if (at === undefined || at > schedule.bounds.to) return undefined;
    const span =
      schedule.closed.length === 0 ? undefined : schedule.closed.find(span => at >= span.from && at < span.to);
    if (span === undefined) return at;
    from = Math.max(at, span.to - 1);
  }
  return undefined;
}
const excluded_runs_max = 10_000;

/** The next target as text, zone and calendar days give it: before closed spans and bounds. */
function nextOpen(schedule: Schedule, after: Instant): Instant | undefined {
  const { timing, calendar } = schedule;
  if (timing.kind === 'cron') return nextTarget(timing.plan, schedule.zone_data, schedule.rules, after);
  if (timing.kind === 'reboot') return undefined;
  if (calendar === undefined) return nextRepeat(timing.plan, after);
  return calendar.moves
    ? nextMoved(schedule, timing.plan, calendar, after)
    : nextAllowed(schedule, timing.plan, calendar, after);
}

/** Passes over days that the calendar leaves out, a run of them at a time. */
function nextAllowed(schedule: Schedule, plan: RepeatPlan, calendar: Calendar, after: Instant): Instant | undefined {
  let from = after;
  for (let runs = 0; runs < excluded_runs_max; runs++) {
    const at = nextRepeat(plan, from);
    if (at === undefined) return undefined;
    const day = Math.floor(wallAt(schedule.zone_data, at) / day_ms);
    const allowed = calendar.nextAllowed(day);
    if (allowed === day) return at;
    if (allowed === Infinity) return undefined;
    from = Math.max(at, dayStart(schedule.zone_data, allowed) - 1);
  }
  return undefined;
}

/** Targets on days that are left out come on the next allowed day, at the same time of day. */
function nextMoved(schedule: Schedule, plan: RepeatPlan, calendar: Calendar, after: Instant): Instant | undefined {
  const zone = schedule.zone_data;
  // Whatever moves beyond `after` was wanted after the last allowed day before it.
  let day = Math.floor(wallAt(zone, after) / day_ms) - 1;
  for (let back = 0; back < 3660 && !calendar.allows(day); back++) day--;
  let best: Instant | undefined;
  for (let at = nextRepeat(plan, dayStart(zone, day) - 1); at !== undefined; at = nextRepeat(plan, at)) {
    const wall = wallAt(zone, at);
    const wanted = Math.floor(wall / day_ms);
    const allowed = calendar.nextAllowed(wanted);
    // Later targets move no further back than to their own day.
    if (best !== undefined && dayStart(zone, wanted) > best) return best;
    if (allowed === Infinity) return best;
    const moved = allowed === wanted ? at : movedTo(schedule, wall + (allowed - wanted) * day_ms);
    if (moved !== undefined && moved > after && (best === undefined || moved < best)) best = moved;
  }
  return best;
}

function movedTo(schedule: Schedule, wall: number): Instant | undefined {
  const placed = placeWall(wall, schedule.zone_data, schedule.rules);
  return placed === 'not there' ? undefined : placed.first;
}

function dayStart(zone: Zone, day: number): Instant {
  const placed = placeWall(day * day_ms, zone, { gap: 'next_valid', fold: 'first', elapsed: false });
  if (placed === 'not there') throw new Error(`day ${day} has no beginning in ${zone.name}`);
  return placed.first;
}

/** How many targets lie in (from, to]. `complete` is false when `limit` stopped the counting: there are at least `count`. */
export function countBetween(
  schedule: Schedule,
  from: Instant,
  to: Instant,
  limit: number,
): { readonly count: number; readonly complete: boolean } {
  const low = Math.max(from, schedule.bounds.from - 1, instant_min);
  const high = Math.min(to, schedule.bounds.to, instant_max);
  if (high <= low || schedule.timing.kind === 'reboot') return { count: 0, complete: true };
  const computed = countOpen(schedule, low, high);
  if (computed !== undefined) {
    let count = computed;
    for (const span of schedule.closed)
      if (span.to > low && span.from <= high)
        count -= countOpen(schedule, Math.max(low, span.from - 1), Math.min(high, span.to - 1)) ?? 0;
    return { count, complete: true };
  }
  let count = 0;
  for (let at = next(schedule, low); at !== undefined && at <= high; at = next(schedule, at)) {
    if (count >= limit) return { count, complete: false };
    count++;
  }
  return { count, complete: true };
}

/** By calculation; undefined when the targets have to be looked at one by one. */
function countOpen(schedule: Schedule, from: Instant, to: Instant): number | undefined {
  const { timing, calendar } = schedule;
  if (to <= from) return 0;
  if (timing.kind === 'cron') return countTargets(timing.plan, schedule.zone_data, schedule.rules, from, to);
  if (timing.kind === 'reboot') return 0;
  if (calendar === undefined) return countRepeats(timing.plan, from, to);
  // Steps of a day or more are at most as many as the days: looking at each costs no more than asking the calendar.
  if (calendar.moves || timing.plan.average_ms >= day_ms) return undefined;
  const zone = schedule.zone_data;
  let count = 0;
  for (let day = Math.floor(wallAt(zone, from) / day_ms) - 1, low = from; low < to; ) {
    day = calendar.nextAllowed(day);
    if (day === Infinity) break;
    low = Math.max(low, dayStart(zone, day) - 1);
    const high = Math.min(to, dayStart(zone, day + 1) - 1);
    if (high > low) {
      const counted = countRepeats(timing.plan, low, high);
      if (counted === undefined) return undefined;
      count += counted;
      low = high;
    }
    day++;
  }
  return count;
}

/** The targets in (from, to], at most `limit` of them: a backfill goes on from the last one it was given. */
export function targetsBetween(schedule: Schedule, from: Instant, to: Instant, limit: number): readonly Instant[] {
  const found: Instant[] = [];
  let at = next(schedule, from);
  for (; at !== undefined && at <= to && found.length < limit; at = next(schedule, at)) found.push(at);
  return found;
}

/** The last target in (from, to]; undefined when there is none. */
export function lastBetween(schedule: Schedule, from: Instant, to: Instant): Instant | undefined {
  const end = Math.min(to, instant_max);
  // Look a little way back first, then further: schedules that run often are answered by the first looks.
  let low = Math.max(from, instant_min);
  for (let back_ms = 2000; end - back_ms > low; back_ms *= 8) {
    const at = next(schedule, end - back_ms);
    if (at !== undefined && at <= end) {
      low = end - back_ms;
      break;
    }
  }
  let found: Instant | undefined;
  // `next` never falls, so the last target can be closed in upon by halves.
  for (let high = end; ; ) {
    const at = next(schedule, found ?? low);
    if (at === undefined || at > end) return found;
    found = at;
    while (high - found > 1) {
      const middle = Math.floor(found + (high - found) / 2);
      const beyond = next(schedule, middle);
      if (beyond !== undefined && beyond <= end) {
        found = beyond;
        break;
      }
      high = middle;
    }
  }
}

/** Whether an instant is a target: judged from the wall, without searching, where there is no calendar that moves days. */
export function matches(schedule: Schedule, at: Instant): boolean {
  const { timing } = schedule;
  if (timing.kind !== 'cron') return next(schedule, at - 1) === at;
  if (at <= instant_min || at > instant_max) return false;
  if (at < schedule.bounds.from || at > schedule.bounds.to) return false;
  if (schedule.closed.some(span => at >= span.from && at < span.to)) return false;
  return isTarget(timing.plan, schedule.zone_data, schedule.rules, at);
}

/** When a target's run is to start: up to `jitter_ms` after it, the same for the same job and target for ever. */
export function dueAt(schedule: Schedule, target: Instant): Instant {
  if (schedule.jitter_ms === 0) return target;
  return target + (stableHash(`${schedule.job_key} ${target}`) % (schedule.jitter_ms + 1));
}

/** The same schedule without its count: where a count means launches, targets go on until those are used up. */
export function withoutCount(schedule: Schedule): Schedule {
  const { timing } = schedule;
  if (timing.kind !== 'repeat' || timing.plan.count === Infinity || timing.plan.count === 0) return schedule;
  return { ...schedule, timing: { kind: 'repeat', plan: { ...timing.plan, count: Infinity } } };
}
