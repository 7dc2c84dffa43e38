// tally.ts: how often a job has done well, and how often not.

import type { RunOutcome, TallyRecord } from './model/records.ts';

/** A run that was killed says nothing about the job. */
export function tallied(before: TallyRecord | undefined, outcome: RunOutcome, now: number): TallyRecord {
  const was = before ?? { successes: 0, failures: 0, failures_since_success: 0 };
  switch (outcome) {
    case 'succeeded':
      return { ...was, successes: was.successes + 1, failures_since_success: 0, last_success_at: now };
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
