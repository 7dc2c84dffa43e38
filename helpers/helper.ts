// helper.ts: what every helper stands on: the world as it is given to it, and how it says no.

import type { Clock } from '../schedules/clock.ts';
import { bad, type Problem, type Result } from '../schedules/problem.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
export type World = {
  readonly clock: Clock;
  readonly env: Environment;
  /** A line for the stderr of the task: standard output belongs to what is run. */
  readonly say: (line: string) => void;
};

/** Something that a person can mend: said in one line. */
export class HelperFailed extends Error {}

/** Gathers what is wrong with a line, so that all of it is told at once. */
export class Wrongs {
  readonly problems: Problem[] = [];

  refuse(place: string, value: string, message: string, expected: string): void {
    this.problems.push({ place, value, message: `${message}: expected ${expected}`, expected });
  }

  /** A whole number between bounds; `unset` where the flag is not given. */
  whole(values: ReadonlyMap<string, string>, flag: string, unset: number, min: number, max: number): number {
    const text = values.get(flag);
    if (text === undefined) return unset;
    const value = Number(text);
    if (/^\d{1,12}$/.test(text) && value >= min && value <= max) return value;
    this.refuse(flag, text, `${flag} is ${text.slice(0, 40)}`, `a whole number from ${min} to ${max}`);
    return unset;
  }

  /** `value` when nothing was wrong. */
  or<T>(value: () => T): Result<T> {
    const [first, ...others] = this.problems;
    return first === undefined ? { ok: true, value: value() } : bad(first, ...others);
  }
}

export const sayError = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof AggregateError && cause.errors.length > 0) return sayError(cause.errors[0]);
  return cause instanceof Error ? cause.message : String(cause);
};
