// oracle.ts: what the rule of tokens gives for the runs that were, reckoned from the history alone.
//
// It shares no code with the scheduler: it reads which runs there were and how they ended, in their order, parents before
// children, and says for each child which runs there should have been and what each of them should have taken.

import type { JobSubmission } from '../../actors/model/job.ts';
import { keyOf } from './families.ts';

export type Ran = {
  readonly run: string;
  readonly outcome: string;
  readonly created_at: number;
  readonly ended_at: number;
  readonly cause: {
    readonly type: string;
    readonly taken?: number;
    readonly parents?: readonly { readonly job: string; readonly run: string; readonly outcome: string }[];
  };
};
export type History = {
  /** Runs of a job that have ended, in the order in which they began. */
  readonly runs: (key: string) => readonly Ran[];
  /** Sets of tokens of a job that came to nothing, in their order. */
  readonly skipped: (key: string) => readonly { readonly run: string; readonly why: string }[];
  /** Tokens that lie before a job at the end, by parent. */
  readonly lying: (key: string, parent: string) => number;
};
export type Verdict = { readonly violations: readonly string[]; readonly expected: number; readonly skipped: number };

/** How one wave of a job ended, as those that follow hear of it. */
type End = { readonly run: string; readonly outcome: string; readonly well: boolean };

export function judge(jobs: readonly JobSubmission[], history: History): Verdict {
  const violations: string[] = [];
  const ends = new Map<string, readonly End[]>();
  let expected = 0;
  let turned_down = 0;
  for (const one of jobs) {
    const key = keyOf(one.name);
    const ran = history.runs(key);
    const end = ({ run, outcome }: Ran): End => ({
      run,
      outcome,
      well: outcome === 'succeeded' || (outcome === 'failed' && one.soft_error === true),
    });
    if (one.parents === undefined) {
      ends.set(key, ran.map(end));
      continue;
    }
    const wrong = (what: string) => violations.push(`${key}: ${what}`);
    const parents = one.parents.map(keyOf);
    const heard = parents.map(parent => ends.get(parent)!);
    if (one.join === 'latest') {
      expected += ran.length;
      counters(key, parents, heard, ran, history, wrong);
      ends.set(key, ran.map(end));
      continue;
    }
    // Wave by wave: the k-th of every parent.
    const mine: End[] = [];
    const down = history.skipped(key);
    let runs = 0;
    let skips = 0;
    const waves = Math.min(...heard.map(each => each.length));
    for (let k = 0; k < waves; k++) {
      const wave = heard.map(each => each[k]!);
      const well = wave.filter(each => each.well).length;
      const runs_now =
        one.trigger_rule === 'all_done' || (one.trigger_rule === 'any_success' ? well > 0 : well === wave.length);
      if (!runs_now) {
        const told = down[skips++];
        if (told === undefined) wrong(`wave ${k} should have been told as skipped`);
        mine.push({ run: told?.run ?? '?', outcome: 'skipped', well: false });
        continue;
      }
      const did = ran[runs++];
      if (did === undefined) {
        wrong(`wave ${k} should have made a run of ${wave.map(each => each.run).join(', ')}`);
        break;
      }
      const took = did.cause.parents?.map(each => `${each.job} ${each.run} ${each.outcome}`).join(', ');
      const should = wave.map((each, n) => `${parents[n]} ${each.run} ${each.outcome}`).join(', ');
      if (took !== should) wrong(`run ${did.run} took ${took}: expected ${should}`);
      mine.push(end(did));
    }
    if (ran.length !== runs) wrong(`${ran.length} runs: expected ${runs}`);
    if (down.length !== skips) wrong(`${down.length} sets came to nothing: expected ${skips}`);
    for (const [n, parent] of parents.entries()) {
      const left = heard[n]!.length - waves;
      const lies = history.lying(key, parent);
      if (lies !== left) wrong(`${lies} tokens of ${parent} are left: expected ${left}`);
    }
    expected += runs;
    turned_down += skips;
    ends.set(key, mine);
  }
  return { violations, expected, skipped: turned_down };
}

/** Chronos's rule: a run takes all that have ended well since the last one began, and at least one of every parent. */
function counters(
  key: string,
  parents: readonly string[],
  heard: readonly (readonly End[])[],
  ran: readonly Ran[],
  history: History,
  wrong: (what: string) => void,
): void {
  const successes = heard.map(each => each.filter(end => end.well).map(end => end.run));
  const taken = parents.map(() => 0);
  for (const { run, created_at, cause } of ran) {
    let count = 0;
    for (const [n, parent] of parents.entries()) {
      const named = cause.parents?.[n];
      const place = successes[n]!.indexOf(named?.run ?? '') + 1;
      if (named?.job !== parent || place <= taken[n]!) {
        wrong(`run ${run} took ${named?.run} of ${parent}: expected one after the first ${taken[n]}`);
        return;
      }
      count += place - taken[n]!;
      taken[n] = place;
    }
    if ((cause.taken ?? parents.length) !== count) wrong(`run ${run} took ${cause.taken} runs: expected ${count}`);
    // What had ended before it began belongs to it.
    for (const [n, parent] of parents.entries()) {
      const next = successes[n]![taken[n]!];
      const missed = history.runs(parent).find(one => one.run === next);
      if (missed !== undefined && missed.ended_at < created_at)
        wrong(`run ${run} left ${next} of ${parent}, which had ended before it began`);
    }
  }
  for (const [n, parent] of parents.entries()) {
    const lies = history.lying(key, parent);
    const left = successes[n]!.length - taken[n]!;
    if (lies !== left) wrong(`${lies} tokens of ${parent} are left: expected ${left}`);
  }
  if (parents.every((_, n) => successes[n]!.length > taken[n]!)) wrong('a set is complete, and no run was made of it');
}
