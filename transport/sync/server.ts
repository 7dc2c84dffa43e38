// server.ts: the scheduler as a sync sees it: what jobs it has, and writes that know which version they replace.
//
// A write that nobody answered is not repeated blindly. The job is looked at: has it become what it was to become, it is done; is
// it as it was, it is tried again; is it something else, somebody was there meanwhile, and that is told.

import type { Problem } from '../../schedules/problem.ts';
import { same } from './diff.ts';
import { type Answer, isBusy, type Link, NoAnswer, Refused, refusedBy } from './link.ts';
import type { Found, Step } from './plan.ts';

export type Outcome =
  | { readonly type: 'done' }
  /** Somebody made, changed or deleted it since it was looked at: nothing was written. */
  | { readonly type: 'conflict'; readonly message: string }
  /** The server will not have it so. `problems` are about the document that was sent. */
  | { readonly type: 'refused'; readonly message: string; readonly problems: readonly Problem[] }
  /** It may have been written, or not. */
  | { readonly type: 'unknown'; readonly message: string }
  /** Not tried. */
  | { readonly type: 'skipped'; readonly message: string };

export type Remote = {
  /** All jobs; throws NoAnswer or Refused. */
  readonly list: () => Promise<readonly Found[]>;
  readonly perform: (step: Step) => Promise<Outcome>;
  /** Writes that it stands to be sent at a time, and between two of them. */
  readonly pace: () => { readonly at_a_time: number; readonly pause_ms: number };
};

/** How one write is made, and how its job is looked at. */
export type Writing = {
  /** One try; what it throws beside NoAnswer is the end. */
  readonly send: () => Promise<Answer>;
  /** As it is now, asked once; undefined where it is not. */
  readonly look: () => Promise<Found | undefined>;
  /** Whether the job has become what the step wants. */
  readonly is_done: (now: Found | undefined) => boolean;
  /** Whether it is still as it was before. */
  readonly is_untouched: (now: Found | undefined) => boolean;
  /** Answers that say that somebody else was there. */
  readonly conflicts: readonly number[];
};

export async function write(link: Link, step: Step, writing: Writing): Promise<Outcome> {
  let silent = '';
  for (let attempt = 1; attempt <= link.tries_max; attempt++) {
    if (attempt > 1) {
      await link.pause(attempt - 1);
      const seen = await lookAgain(step, writing);
      if (seen === 'done-already') return { type: 'done' };
      if (seen === 'unseen') continue;
      if (seen !== 'as-before') return seen;
    }
    try {
      const answer = await writing.send();
      if (answer.status < 300) return { type: 'done' };
      const refused = refusedBy(answer);
      if (writing.conflicts.includes(answer.status)) {
        // Somebody who wanted the same, another sync perhaps, has done no harm.
        const is_done = (await lookAgain(step, writing)) === 'done-already';
        return is_done ? { type: 'done' } : { type: 'conflict', message: refused.message };
      }
      if (!isBusy(answer.status))
        return { type: 'refused', message: refused.message, problems: problemsOf(answer.body) };
      silent = refused.message;
    } catch (error) {
      if (error instanceof Refused) return { type: 'refused', message: error.message, problems: [] };
      if (!(error instanceof NoAnswer)) throw error;
      silent = error.message;
    }
  }
  return { type: 'unknown', message: `${silent} (tried ${link.tries_max} times)` };
}

/** What there is to say already; a job that is as it was can be written to again, one that cannot be seen cannot. */
async function lookAgain(
  step: Step,
  { look, is_done, is_untouched }: Writing,
): Promise<Outcome | 'done-already' | 'as-before' | 'unseen'> {
  try {
    const now = await look();
    if (is_done(now)) return 'done-already';
    if (is_untouched(now)) return 'as-before';
    const before = step.kind === 'create' ? undefined : step.found;
    return { type: 'conflict', message: `${whatHappened(before, now)} since it was listed` };
  } catch (error) {
    if (error instanceof NoAnswer || (error instanceof Refused && isBusy(error.status))) return 'unseen';
    if (error instanceof Refused) return { type: 'unknown', message: error.message };
    throw error;
  }
}

export function unchanged(before: Found | undefined, now: Found | undefined): boolean {
  if (before === undefined || now === undefined) return before === now;
  if (before.tag !== undefined && now.tag !== undefined) return before.tag === now.tag;
  return same(before.fields, now.fields);
}

export const whatHappened = (before: Found | undefined, now: Found | undefined): string =>
  before === undefined ? 'made' : now === undefined ? 'deleted' : 'changed';

function problemsOf(body: unknown): readonly Problem[] {
  const { problems } = (typeof body === 'object' && body !== null ? body : {}) as { problems?: unknown };
  if (!Array.isArray(problems)) return [];
  return problems.filter(
    (each): each is Problem =>
      typeof each?.place === 'string' && typeof each?.message === 'string' && typeof each?.expected === 'string',
  );
}
