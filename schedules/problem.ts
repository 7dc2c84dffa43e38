// problem.ts: how every part of Horae says no to an input.
//
// A refusal names the value it was given, the place where it stood and what would have been right there, and all the
// problems of one input are told at once: nobody should have to mend a file one error at a time.

export type Problem = {
  /** Where: a JSON pointer into a document (`/schedules/0/cron`), a flag (`--http`), or '' for the whole. */
  readonly place: string;
  /** What stood there, shortened when long; absent when nothing did. */
  readonly value?: unknown;
  /** What is wrong, in one sentence with the value in it: `hour 25 in "0 25 * * *": expected 0-23`. */
  readonly message: string;
  /** What would be right there: `0-23`, `a number above 0`, `an IANA time zone such as Europe/Vienna`. */
  readonly expected: string;
};

/** The outcome of reading something: the thing, or everything that is wrong with it. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export const good = <T>(value: T): Result<T> => ({ ok: true, value });
export const bad = (...problems: Problem[]): { readonly ok: false; readonly problems: readonly Problem[] } => ({
  ok: false,
  problems,
});
