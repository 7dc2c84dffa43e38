// tally.ts: how often a job has done well, and how often not.

import { withDuration } from '../model/durations.ts';
import type { RunOutcome, TallyRecord } from '../model/records.ts';

/**
 * A run that was killed says nothing about the job. `took_ms`: from its first process to its end; of those that succeeded, as a
 * failure may come soon or late.
 */
export function tallied(
  before: TallyRecord | undefined,
  outcome: RunOutcome,
  now: number,
  took_ms?: number,
): TallyRecord {
  const was = before ?? { successes: 0, failures: 0, failures_since_success: 0 };
  switch (outcome) {
    case 'succeeded':
      return {
        ...was,
        successes: was.successes + 1,
        failures_since_success: 0,
        last_success_at: now,
        ...(took_ms === undefined ? {} : { durations: withDuration(was.durations, took_ms) }),
      };
    case 'failed':
      return {
        ...was,
        failures: was.failures + 1,
        failures_since_success: was.failures_since_success + 1,
        last_failure_at: now,
      };
    case 'killed':
      return was;
  }
}
