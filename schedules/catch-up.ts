// catch-up.ts: the heart of a trigger: what becomes of every target between the last look and this one.
//
// Whoever keeps a timetable looks up now and then, and may have been away: for a millisecond, or for fourteen years. At
// each look every target since the last one gets exactly one verdict. What is only a little late is simply on time; what
// is later is caught up, superseded or missed, as the job's catch-up policy says. Neighbours with the same fate share one
// verdict with a count, so that fourteen years of a target every two seconds are one line in the record.
//
// The cursor is a prefix: everything at or before it is decided. That is why a clock set back does nothing here (there is
// nothing new before the cursor) and a clock set forward is only another absence.

import type { Instant } from './clock.ts';
import { countBetween, dueAt, lastBetween, next, type Schedule, withoutCount } from './schedule.ts';

export type CatchUp = {
  /** Of the late targets run none, only the latest, all, or the first few. */
  readonly policy: 'none' | 'last' | 'all' | 'first';
  /** How many, for `first`; 1 when absent. */
  readonly first_n?: number;
  /** Targets this old or older are missed whatever the policy. */
  readonly window_ms?: number;
  /** At most so many caught-up runs in so long a time. */
  readonly rate?: { readonly runs: number; readonly per_ms: number };
  /** Where a new schedule begins when its start lies before its creation; `creation` when absent. */
  readonly from?: 'creation' | 'start';
};

/** What the n of R<n> counts: instants that were due, or runs that were started. */
export type CountPolicy = 'targets' | 'launches';

export type Cursor = {
  /** Every target at or before this has its outcome. */
  readonly decided: Instant;
  /** Launches left, where launches are counted. */
  readonly remaining?: number;
  /** How many late targets have run in a catching-up that one look did not finish: `first n` must not begin again. */
  readonly behind?: number;
  /** The runs caught up since an instant, for the rate. */
  readonly pace?: { readonly since: Instant; readonly runs: number };
};

export type Policy = {
  readonly catch_up: CatchUp;
  readonly count: CountPolicy;
  /** A target this little late is on time. */
  readonly grace_ms: number;
  /** Targets closer than this in the future are decided now: the schedule horizon of Chronos 2. */
  readonly ahead_ms?: number;
};

/**
 * `window`: older than the catch-up window. `not_caught_up`: the policy is `none`. `beyond_first`: the first n have run.
 * `later_target`: a later target runs in its place. Whoever passes over targets for reasons of their own adds theirs.
 */
export type Why =
  | 'window'
  | 'not_caught_up'
  | 'beyond_first'
  | 'later_target'
  | 'paused'
  | 'disabled'
  | 'overlap'
  | 'quarantined';

export type Verdict =
  | { readonly outcome: 'run'; readonly at: Instant; readonly late_ms: number; readonly caught_up: boolean }
  | PassedOver;
export type PassedOver = {
  readonly outcome: 'missed' | 'superseded' | 'skipped';
  /** The first and the last target that share this fate. */
  readonly from: Instant;
  readonly to: Instant;
  readonly count: number;
  /** False when there were too many to count: then there are at least `count`. Absent when exact. */
  readonly at_least?: true;
  readonly why: Why;
};

export type Decision = {
  /** In order of their targets. */
  readonly verdicts: readonly Verdict[];
  readonly cursor: Cursor;
  /** When to look again: the next target, with its jitter, or when the rate admits another. */
  readonly next: Instant | undefined;
  /** The next target itself, without jitter. */
  readonly target: Instant | undefined;
  /** No target will ever come again. */
  readonly exhausted: boolean;
  /** `limit` ended this look early: decide again at once. */
  readonly more: boolean;
};

/** Looking at single targets only to count them ends here. */
const counted_max = 100_000;

/** Decides every target that is due: at most about `limit` verdicts at a time, in the order of the targets. */
export function decide(schedule: Schedule, cursor: Cursor, policy: Policy, now: Instant, limit: number): Decision {
  const { catch_up, grace_ms } = policy;
  const look = new Look(schedule, cursor, policy, now, limit);
  // With jitter a target may start as much later, and is late only after that.
  const late_until = now - grace_ms - 1 - schedule.jitter_ms;
  if (look.upcoming(late_until) !== undefined) {
    if (catch_up.window_ms !== undefined) look.pass(Math.min(late_until, now - catch_up.window_ms), 'missed', 'window');
    switch (catch_up.policy) {
      case 'none':
        look.pass(late_until, 'missed', 'not_caught_up');
        break;
      case 'last':
        look.collapse(late_until);
        break;
      case 'all':
        look.runLate(late_until, Infinity);
        break;
      case 'first':
        if (look.runLate(late_until, catch_up.first_n ?? 1)) look.pass(late_until, 'missed', 'beyond_first');
        break;
    }
  }
  if (look.upcoming(late_until) === undefined) look.runOnTime();
  return look.decision();
}

/** One look: the cursor moves forward through it, and verdicts fall off behind. */
class Look {
  readonly #schedule: Schedule;
  readonly #policy: Policy;
  readonly #now: Instant;
  readonly #limit: number;
  readonly #verdicts: Verdict[] = [];
  #decided: Instant;
  #remaining: number | undefined;
  #behind: number | undefined;
  #pace: Cursor['pace'];
  #more = false;
  /** The rate admits no other before this. */
  #held_until: Instant | undefined;

  constructor(schedule: Schedule, cursor: Cursor, policy: Policy, now: Instant, limit: number) {
    this.#schedule = policy.count === 'launches' ? withoutCount(schedule) : schedule;
    this.#policy = policy;
    this.#now = now;
    this.#limit = Math.max(1, limit);
    this.#decided = cursor.decided;
    this.#remaining = policy.count === 'launches' ? (cursor.remaining ?? schedule.count) : undefined;
    this.#behind = cursor.behind;
    this.#pace = cursor.pace;
  }

  /** The next undecided target, if it lies at or before `until` and a run of it is left. */
  upcoming(until: Instant): Instant | undefined {
    if (this.#remaining === 0 || this.#decided >= until) return undefined;
    const at = next(this.#schedule, this.#decided);
    return at === undefined || at > until ? undefined : at;
  }

  /** One verdict for every target up to `until`. */
  pass(until: Instant, outcome: PassedOver['outcome'], why: Why): void {
    const from = this.upcoming(until);
    if (from === undefined) return;
    const verdict = passedOver(this.#schedule, from, until, outcome, why);
    this.#verdicts.push(verdict);
    this.#decided = verdict.to;
  }

  /** One run stands for all that were missed; when another is due just now, that one does. */
  collapse(until: Instant): void {
    const after = next(this.#schedule, Math.max(this.#decided, until));
    const replaced = after !== undefined && this.#isDue(after);
    const latest = replaced ? undefined : lastBetween(this.#schedule, this.#decided, until);
    this.pass(latest === undefined ? until : latest - 1, 'superseded', 'later_target');
    if (latest !== undefined) this.#run(latest, true);
  }

  /** Runs late targets one by one, `runs_max` in all; true when nothing but that number stopped it. */
  runLate(until: Instant, runs_max: number): boolean {
    let ran = this.#behind ?? 0;
    let at = this.upcoming(until);
    for (; at !== undefined && ran < runs_max; at = this.upcoming(until)) {
      if (this.#verdicts.length >= this.#limit) {
        this.#more = true;
        break;
      }
      if (!this.#admits()) break;
      this.#run(at, true);
      ran++;
    }
    const stopped = at !== undefined && ran < runs_max;
    this.#behind = stopped ? ran : undefined;
    return !stopped;
  }

  runOnTime(): void {
    const until = this.#now + Math.max(0, (this.#policy.ahead_ms ?? 0) - 1);
    for (let at = this.upcoming(until); at !== undefined && this.#isDue(at); at = this.upcoming(until)) {
      if (this.#verdicts.length >= this.#limit) {
        this.#more = true;
        return;
      }
      this.#run(at, false);
    }
  }

  decision(): Decision {
    const cursor: Cursor = {
      decided: this.#decided,
      ...(this.#remaining === undefined ? {} : { remaining: this.#remaining }),
      ...(this.#behind === undefined ? {} : { behind: this.#behind }),
      ...(this.#pace === undefined ? {} : { pace: this.#pace }),
    };
    const target = this.upcoming(Infinity);
    const due = target === undefined ? undefined : dueAt(this.#schedule, target);
    return {
      verdicts: this.#verdicts,
      cursor,
      next: due === undefined ? undefined : this.#more ? this.#now : (this.#held_until ?? due),
      target,
      exhausted: target === undefined && this.#schedule.timing.kind !== 'reboot',
      more: this.#more,
    };
  }

  #isDue(at: Instant): boolean {
    const ahead_ms = this.#policy.ahead_ms ?? 0;
    return ahead_ms > 0 ? at < this.#now + ahead_ms : dueAt(this.#schedule, at) <= this.#now;
  }

  #run(at: Instant, caught_up: boolean): void {
    const late_ms = Math.max(0, this.#now - dueAt(this.#schedule, at));
    this.#verdicts.push({ outcome: 'run', at, late_ms, caught_up });
    this.#decided = at;
    if (this.#remaining !== undefined) this.#remaining--;
  }

  /** Whether the rate admits one more caught-up run now; takes it if so. */
  #admits(): boolean {
    const { rate } = this.#policy.catch_up;
    if (rate === undefined) return true;
    let pace = this.#pace;
    // A clock set back must not hold the catching-up until the old time comes round again.
    if (pace === undefined || this.#now >= pace.since + rate.per_ms || this.#now < pace.since)
      pace = { since: this.#now, runs: 0 };
    if (pace.runs >= rate.runs) {
      this.#held_until = pace.since + rate.per_ms;
      return false;
    }
    this.#pace = { since: pace.since, runs: pace.runs + 1 };
    return true;
  }
}

/** One verdict for every target from `from` (a target) to `until`. */
function passedOver(
  schedule: Schedule,
  from: Instant,
  until: Instant,
  outcome: PassedOver['outcome'],
  why: Why,
): PassedOver {
  const to = lastBetween(schedule, from, until) ?? from;
  const { count, complete } = countBetween(schedule, from - 1, to, counted_max);
  return { outcome, from, to, count, ...(complete ? {} : { at_least: true as const }), why };
}

/**
 * Decides every target up to `until` in one stroke, for a reason of the caller's: a pause, a disabled job. Undefined when
 * there was none.
 */
export function passOver(
  schedule: Schedule,
  cursor: Cursor,
  count: CountPolicy,
  until: Instant,
  outcome: PassedOver['outcome'],
  why: Why,
): { readonly verdict: PassedOver; readonly cursor: Cursor } | undefined {
  if (count === 'launches' && (cursor.remaining ?? schedule.count) === 0) return undefined;
  const counted = count === 'launches' ? withoutCount(schedule) : schedule;
  const from = next(counted, cursor.decided);
  if (from === undefined || from > until) return undefined;
  const verdict = passedOver(counted, from, until, outcome, why);
  return { verdict, cursor: { ...cursor, decided: verdict.to } };
}

/** Where a new schedule begins. `native`: at its creation; the generations of Chronos: at its start. */
export type Beginning = 'native' | 'chronos_2' | 'chronos_3';

/**
 * The cursor of a schedule that has just been made. A native one owes nothing from before its creation, unless its
 * catch-up says `from: start`; in Chronos a start in the past is a run that is owed.
 */
export function initialCursor(
  schedule: Schedule,
  created_at: Instant,
  beginning: Beginning,
  catch_up?: CatchUp,
): Cursor {
  const from_start = beginning !== 'native' || catch_up?.from === 'start';
  const begin = from_start && schedule.start !== undefined ? Math.min(schedule.start, created_at) : created_at;
  const decided = begin - 1;
  return beginning === 'chronos_3' && schedule.count !== undefined
    ? { decided, remaining: schedule.count }
    : { decided };
}

/** The rules of Chronos generation 3: one late run for all that was missed, and n counts launches. */
export const chronos_3: Policy = { catch_up: { policy: 'last', from: 'start' }, count: 'launches', grace_ms: 0 };

/** The rules of Chronos generation 2: a target runs within epsilon, strictly, or is missed; both use up a repetition. */
export const chronos_2 = (epsilon_ms: number, horizon_ms = 0): Policy => ({
  catch_up: { policy: 'all', window_ms: epsilon_ms, from: 'start' },
  count: 'targets',
  grace_ms: 0,
  ahead_ms: horizon_ms,
});
