// health.ts: from the answers of a health check to whether a task may be called running, or must be called sick.
//
// A doctor who counts. The first few bad answers are forgiven, because whoever has just been born is allowed to cough.
// After them some may be bad in a row, but not one more; and so many must be good in a row, within a number of attempts
// known from the start, before the patient is declared up. The arithmetic is Aurora's, attempt for attempt.
//
//   forgiven attempts  m = ceil(initial_interval / interval)
//   attempts to be up  n = m + max_consecutive_failures + min_consecutive_successes
//
// A snooze stops the counting: it neither proves health nor disproves it.

import type { Instant } from '../../schedules/clock.ts';
import type { HealthDocument } from './document.ts';

export type Checked = { readonly ok: true } | { readonly ok: false; readonly why: string };
export type Health = {
  readonly attempts: number;
  readonly successes_in_a_row: number;
  readonly failures_in_a_row: number;
  /** Was up once; from then on only failures count. */
  readonly up: boolean;
  /** The last few answers, oldest first. */
  readonly history: readonly (Checked & { readonly at: Instant })[];
};
export type Diagnosis = { readonly health: Health; readonly verdict: 'wait' | 'up' | 'sick'; readonly why?: string };

export const history_max = 10;
export const untested: Health = {
  attempts: 0,
  successes_in_a_row: 0,
  failures_in_a_row: 0,
  up: false,
  history: [],
};

export const forgivenAttempts = ({ initial_interval_ms, interval_ms }: HealthDocument): number =>
  Math.ceil(initial_interval_ms / interval_ms);
export const attemptsToBeUp = (check: HealthDocument): number =>
  forgivenAttempts(check) + check.max_consecutive_failures + check.min_consecutive_successes;

/**
 * How long a healthy task may take to be called running: for whoever waits for it. A check may take as long as its
 * time-out, and the next does not begin before it has ended.
 */
export const windowMs = (check: HealthDocument): number =>
  attemptsToBeUp(check) * Math.max(check.interval_ms, check.timeout_ms);

/** One who was up before its executor was started again: nothing is forgiven any more, nothing is held against it. */
export const upAlready = (check: HealthDocument): Health => ({
  ...untested,
  attempts: forgivenAttempts(check),
  up: true,
});

/** Counts one answer. */
export function diagnose(health: Health, check: HealthDocument, checked: Checked, at: Instant): Diagnosis {
  const attempts = health.attempts + 1;
  const history = [...health.history, { ...checked, at }].slice(-history_max);
  const next = { ...health, attempts, history };
  const left = attemptsToBeUp(check) - attempts;

  if (checked.ok) {
    const successes_in_a_row = health.successes_in_a_row + 1;
    const counted = { ...next, successes_in_a_row, failures_in_a_row: 0 };
    if (health.up) return { health: counted, verdict: 'wait' };
    if (successes_in_a_row >= check.min_consecutive_successes)
      return { health: { ...counted, up: true }, verdict: 'up' };
    return left > 0 ? { health: counted, verdict: 'wait' } : tooLate(counted);
  }

  const reset = { ...next, successes_in_a_row: 0 };
  if (attempts <= forgivenAttempts(check)) return { health: reset, verdict: 'wait' };
  const failures_in_a_row = health.failures_in_a_row + 1;
  const counted = { ...reset, failures_in_a_row };
  if (!health.up && left <= 0) return tooLate(counted, checked.why);
  // Even if all that is left were good, it would not be enough.
  const hopeless = !health.up && left > 1 && left < check.min_consecutive_successes;
  if (hopeless || failures_in_a_row > check.max_consecutive_failures)
    return { health: counted, verdict: 'sick', why: `Failed health check! ${checked.why}` };
  return { health: counted, verdict: 'wait' };
}

const tooLate = (health: Health, why?: string): Diagnosis => ({
  health,
  verdict: 'sick',
  why: `Not enough successful health checks in time.${why === undefined ? '' : ` ${why}`}`,
});

// --- snoozing -----------------------------------------------------------------------------------------------------

/** A file of this name in the sandbox pauses all checks. */
export const snooze_file = '.healthchecksnooze';

/** `until` absent: for as long as the file is there. */
export type Snooze = { readonly until?: Instant };

/**
 * What a snooze file asks for: nothing in it, no end; an instant (`2026-03-01T12:00:00Z`) or a number of seconds after the
 * file was written. `undefined` when it is over. What cannot be read counts as no end: whoever wrote it wanted quiet.
 */
export function snoozeOf(content: string, written_at: Instant, now: Instant): Snooze | undefined {
  const text = content.trim();
  const until = /^\d{1,9}$/.test(text) ? written_at + Number(text) * 1_000 : Date.parse(text);
  if (text === '' || Number.isNaN(until)) return {};
  return until > now ? { until } : undefined;
}
