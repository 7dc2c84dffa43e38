// reasons.ts: the closed list of reasons that Horae gives. Every no has one; nothing is refused in free text alone.

import type { Problem } from '../../schedules/problem.ts';

/** Why a command was refused, with the HTTP status that says the same. */
export const refusal_statuses = {
  invalid: 422,
  malformed: 400,
  'not-found': 404,
  exists: 409,
  'version-mismatch': 412,
  'already-running': 409,
  'in-use': 409,
  /** It would follow itself. */
  cycle: 409,
  /** The job has an active update, and nobody else may change it. */
  updating: 409,
  /** Nobody waits for word of this task: it is over, another attempt has taken its place, or its job is not async. */
  'not-awaited': 409,
  /** There is no active update, or it stands where this cannot be asked of it. */
  'not-updating': 409,
  quarantined: 409,
  'not-permitted': 403,
  'too-many': 503,
  'shutting-down': 503,
  /** Nobody leads at present: nothing was done. */
  'no-leader': 503,
  /** Whoever was at it went away: it may have been done. */
  interrupted: 503,
} as const;
export type RefusalCode = keyof typeof refusal_statuses;
export type Refusal = {
  readonly type: 'refused';
  readonly code: RefusalCode;
  readonly message: string;
  readonly problems: readonly Problem[];
};

export const refusal = (code: RefusalCode, message: string, problems: readonly Problem[] = []): Refusal => ({
  type: 'refused',
  code,
  message,
  problems,
});

export type TimeLimit = 'start' | 'run' | 'total' | 'call-back';

/** Why an attempt ended as it did. */
export type EndReason =
  | { readonly code: 'exited'; readonly exit_code: number }
  | { readonly code: 'signalled'; readonly signal: string }
  | { readonly code: 'killed'; readonly by: string }
  | { readonly code: 'launch-failed'; readonly message: string }
  /** It wanted more memory or disk than it was given. */
  | { readonly code: 'over-limit'; readonly message: string }
  | { readonly code: 'unhealthy'; readonly message: string }
  /** It took longer than it may: until its first process, one attempt, all of it, or from its command's end to its call-back. */
  | { readonly code: 'timed-out'; readonly which: TimeLimit; readonly limit_ms: number }
  /** Its work was reported as done, well (0) or not, by this principal. */
  | { readonly code: 'called-back'; readonly status_code: number; readonly by: string }
  | { readonly code: 'lost'; readonly message: string }
  | { readonly code: 'invalid'; readonly message: string }
  | { readonly code: 'result-unknown'; readonly message: string };

/** A run of a parent that has ended, as its children hear of it. `skipped`: it was turned down and never began. */
export type ParentRun = {
  readonly job: string;
  readonly run: string;
  readonly outcome: 'succeeded' | 'failed' | 'killed' | 'skipped';
  readonly at: number;
  readonly exit_code?: number;
  /** What its task left for those that follow. */
  readonly result?: string;
};

/** The same in a few words. */
export function inWords(reason: EndReason): string {
  switch (reason.code) {
    case 'exited':
      return `it exited with ${reason.exit_code}`;
    case 'signalled':
      return `it was ended by ${reason.signal}`;
    case 'killed':
      return `it was killed by ${reason.by}`;
    case 'timed-out':
      return `${late[reason.which]} within ${reason.limit_ms} ms`;
    case 'called-back':
      return `${reason.by} reported ${reason.status_code}`;
    default:
      return `${reason.code}: ${reason.message}`;
  }
}

const late: Readonly<Record<TimeLimit, string>> = {
  start: 'it did not begin',
  run: 'the attempt did not end',
  total: 'the run did not end',
  'call-back': 'nobody reported its end',
};

/** Why a run was started. */
export type Cause =
  | { readonly type: 'target'; readonly schedule: string; readonly at: number; readonly caught_up?: boolean }
  | {
      readonly type: 'manual';
      readonly by: string;
      readonly request: string;
      /** Words that it was given in place of its job's. */
      readonly arguments?: readonly string[];
    }
  | {
      readonly type: 'backfill';
      readonly schedule: string;
      readonly at: number;
      readonly backfill: string;
      readonly by: string;
    }
  /** The runs of its parents, in their order; the newest of each where it took several, `taken` in all. `at`: the last end. */
  | {
      readonly type: 'dependency';
      readonly at: number;
      readonly parents: readonly ParentRun[];
      readonly taken?: number;
    }
  | { readonly type: 'once' }
  | { readonly type: 'service' };
