// tokens.ts: what a run that has ended leaves with the jobs that follow it.
//
// The token is written in the step in which the run becomes history, so that no crash can come between them; the letter to
// the child says no more than that there is something to look at. The child takes its tokens in the step in which its own
// run is recorded.

import { count, type Effect, log, record, tell } from '../effects.ts';
import { type JobKey, tokenKey } from '../model/ids.ts';
import type { ParentRun } from '../model/reasons.ts';
import type { FinishedRun, JobRecord, TokenRecord } from '../model/records.ts';
import type { Kin } from './kin.ts';

const nothing: readonly Effect[] = [];

/** A token of this run before every child. `soft`: its job says that a failure does not matter. */
export function leaveTokens(kin: Kin, run: ParentRun, soft = false): readonly Effect[] {
  const children = kin.children(run.job);
  if (children.size === 0) return nothing;
  const effects: Effect[] = [];
  for (const child of children) {
    const follows = kin.job(child)?.job;
    if (follows === undefined) continue;
    const token: TokenRecord = { ...run, order: kin.order(), ...(soft && run.outcome === 'failed' ? { soft } : {}) };
    // Where successes alone are counted, as Chronos did, nothing has happened.
    if (follows.join === 'latest' && (follows.trigger_rule ?? 'all_success') === 'all_success' && !isWell(token))
      continue;
    const there = kin.tokens(child).get(run.job) ?? [];
    const over = there.length + 1 - (follows.tokens_max ?? kin.tokens_max);
    if (over > 0) {
      effects.push(...there.slice(0, over).map(one => takenOff(child, one)));
      effects.push(count('horae_tokens_forgotten_total', undefined, over));
      // Under `latest` one is as good as many.
      if (follows.join !== 'latest')
        effects.push(
          log(
            'warn',
            { job: child, parent: run.job, waiting: there.length },
            'the oldest run of a parent was forgotten: too many wait for those of other parents',
          ),
        );
    }
    effects.push(record('token', tokenKey(child, run.job, run.run), token));
    effects.push(tell({ to: 'trigger', key: child, message: { type: 'token-left' } }));
  }
  return effects;
}

/** Whether a token counts as a success. */
export const isWell = ({ outcome, soft }: TokenRecord): boolean => outcome === 'succeeded' || soft === true;

export const takenOff = (child: JobKey, { job, run }: TokenRecord): Effect =>
  record('token', tokenKey(child, job, run), undefined);

/** All tokens before a job go, or those of these parents. */
export function clearTokens(kin: Kin, child: JobKey, parents?: readonly JobKey[]): readonly Effect[] {
  const lying = kin.tokens(child);
  if (lying.size === 0) return nothing;
  return [...lying].flatMap(([parent, tokens]) =>
    parents === undefined || parents.includes(parent) ? tokens.map(one => takenOff(child, one)) : [],
  );
}

/** A run as those that follow hear of it. How its first instance ended stands for all. */
export function parentRun(key: JobKey, finished: FinishedRun): ParentRun {
  const first = finished.results.find(one => one.index === 0);
  return {
    job: key,
    run: finished.run,
    outcome: finished.outcome,
    at: finished.ended_at,
    ...(first?.reason.code === 'exited' ? { exit_code: first.reason.exit_code } : {}),
    // What was reported of an async task is its exit code to those that follow.
    ...(first?.reason.code === 'called-back' ? { exit_code: first.reason.status_code } : {}),
    ...(first?.result === undefined ? {} : { result: first.result }),
  };
}

/** Whether a job that failed has said that those that follow need not care. */
export const isSoft = ({ job }: JobRecord): boolean => job.soft_error === true;
