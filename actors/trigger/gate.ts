// gate.ts: who may start now, who waits, and who is told why not.
//
// Every start of a job comes to this gate, one at a time, and leaves it started, waiting or dropped. A start that began with
// a target leaves the outcome of that target behind, in the same step.

import { arrive, type Overlap as OverlapRule, startable } from '../../schedules/overlap.ts';
import { count, type Effect, log, record, tell } from '../effects.ts';
import { clearTokens, leaveTokens } from '../job/tokens.ts';
import { type JobKey, type RunId, runKey } from '../model/ids.ts';
import type { Overlap } from '../model/job.ts';
import type { ParentRun } from '../model/reasons.ts';
import {
  type FinishedRun,
  type OutcomeRow,
  type RunRecord,
  sortable,
  type TriggerRecord,
  type WaitingStart,
} from '../model/records.ts';
import type { TriggerSettings, TriggerState } from './trigger.ts';

/** One start at the gate. */
export function admit(
  state: TriggerState,
  wanting: WaitingStart,
  now: number,
  settings: TriggerSettings,
  overlap: Overlap = state.jobs.job.overlap,
): { state: TriggerState; effects: readonly Effect[]; fate: 'started' | 'waiting' | 'skipped' | 'full' } {
  const arrival = arrive(overlapRule(overlap, settings), state.active.length, state.record.waiting.length);
  const inPlaceOfOthers = () => {
    const { state: kept, effects } = dropped(state, state.record.waiting, 'superseded', 'overlap', now);
    return { state: { ...kept, record: { ...kept.record, waiting: [wanting] } }, effects };
  };
  switch (arrival.action) {
    case 'start':
      return launch(state, wanting, now);
    case 'skip':
      return {
        state: givenBack(state, [wanting]),
        effects: outcomeOf(state, wanting, 'skipped', arrival.why, now),
        fate: 'skipped',
      };
    case 'buffer':
      return {
        state: { ...state, record: { ...state.record, waiting: [...state.record.waiting, wanting] } },
        effects: [],
        fate: 'waiting',
      };
    case 'replace_buffered':
      return { ...inPlaceOfOthers(), fate: 'waiting' };
    case 'cancel_then_start':
    case 'kill_then_start': {
      const end = tell({
        to: 'job',
        key: state.key,
        message: { type: 'make-way', runs: state.active, by: 'overlap', grace: arrival.action === 'cancel_then_start' },
      });
      const replacing = inPlaceOfOthers();
      return { state: replacing.state, effects: [...replacing.effects, end], fate: 'waiting' };
    }
  }
}

/** Where launches are counted, a start that overlap dropped was none: what was taken from the count for it goes back. */
function givenBack(state: TriggerState, dropped: readonly WaitingStart[]): TriggerState {
  if (state.jobs.job.count !== 'launches') return state;
  let { cursors } = state.record;
  for (const { cause } of dropped) {
    const cursor = cause.type === 'target' ? cursors[cause.schedule] : undefined;
    if (cause.type !== 'target' || cursor?.remaining === undefined) continue;
    cursors = { ...cursors, [cause.schedule]: { ...cursor, remaining: cursor.remaining + 1 } };
  }
  return cursors === state.record.cursors ? state : { ...state, record: { ...state.record, cursors } };
}

/** Starts that wait because of a target or of parents will not be; those that somebody asked for go on waiting. */
export function dropWaiting(
  state: TriggerState,
  why: string,
  now: number,
): { state: TriggerState; effects: readonly Effect[] } {
  const by_themselves = state.record.waiting.filter(
    ({ cause }) => cause.type === 'target' || cause.type === 'dependency',
  );
  return by_themselves.length === 0 ? { state, effects: [] } : dropped(state, by_themselves, 'skipped', why, now);
}

/**
 * Starts that waited and will not be. Each is told where whoever waits for it looks: the targets' outcomes; a row beside
 * the job's runs for those that somebody asked for, or that `by` took back.
 */
export function dropped(
  state: TriggerState,
  starts: readonly WaitingStart[],
  what: 'skipped' | 'superseded',
  why: string,
  now: number,
  by?: string,
): { state: TriggerState; effects: readonly Effect[] } {
  const effects: Effect[] = [];
  let { record: kept } = givenBack(state, starts);
  for (const start of starts) {
    effects.push(...outcomeOf(state, start, what, why, now));
    const { run, cause, since } = start;
    if (cause.type === 'manual') kept = remembering(kept, run);
    if (cause.type !== 'manual' && by === undefined) continue;
    const row: FinishedRun = {
      run,
      cause,
      instances: state.jobs.job.instances,
      created_at: since,
      ended_at: now,
      outcome: 'killed',
      by: by ?? why,
      results: [],
    };
    effects.push(record('finished-run', `${state.key}/${sortable(since)}/${run}`, row));
  }
  const waiting = kept.waiting.filter(one => !starts.includes(one));
  return { state: { ...state, record: { ...kept, waiting } }, effects };
}

/** Runs by hand that are remembered beyond their end. */
const ended_max = 32;

/** A run by hand is over: whoever repeats its request is told of it for a while. */
export function remembering(kept: TriggerRecord, run: RunId): TriggerRecord {
  const { ended = [] } = kept;
  return ended.includes(run) ? kept : { ...kept, ended: [...ended, run].slice(-ended_max) };
}

/** The job's words as schedules/ has them, with the limit that holds where the job names none. */
export function overlapRule({ policy, max }: Overlap, settings: TriggerSettings): OverlapRule {
  switch (policy) {
    case 'skip':
      return { policy };
    case 'buffer-one':
      return { policy: 'buffer_one' };
    case 'buffer-all':
      return { policy: 'buffer_all', buffer_max: max ?? settings.waiting_max };
    case 'cancel-other':
      return { policy: 'cancel_other' };
    case 'kill-other':
      return { policy: 'kill_other' };
    case 'allow':
      return { policy, runs_max: max ?? settings.runs_max };
  }
}

/** Starts whoever waits, as far as the policy allows. */
export function admitWaiting(
  state: TriggerState,
  now: number,
  settings: TriggerSettings,
): { state: TriggerState; effects: readonly Effect[] } {
  let next = state;
  const effects: Effect[] = [];
  while (
    !next.closed &&
    startable(overlapRule(state.jobs.job.overlap, settings), next.active.length, next.record.waiting.length) > 0
  ) {
    const [first, ...others] = next.record.waiting;
    const room = roomFor(next);
    const launched = room
      ? launch({ ...next, record: { ...next.record, waiting: others } }, first!, now)
      : dropped(next, [first!], 'skipped', full, now);
    next = launched.state;
    effects.push(...launched.effects);
  }
  return { state: next, effects };
}

/** Why a start is dropped that would be more instances than there may be. */
const full = 'instances';

/** Whether there may be as many further instances as a run of the job has. */
const roomFor = ({ jobs, reign, begun }: TriggerState): boolean => reign.room() - begun >= jobs.job.instances;

/** A run begins, if there may be so many instances. */
export function launch(
  state: TriggerState,
  wanting: WaitingStart,
  now: number,
): { state: TriggerState; effects: readonly Effect[]; fate: 'started' | 'full' } {
  if (!roomFor(state)) {
    const left = log('warn', { job: state.key, run: wanting.run }, 'a run was dropped: there are too many instances');
    const effects = [...outcomeOf(state, wanting, 'skipped', full, now), left];
    return { state: givenBack(state, [wanting]), effects, fate: 'full' };
  }
  const { run, cause, late } = wanting;
  const told = late === true ? { told: { late } } : {};
  const body: RunRecord = { run, cause, instances: state.jobs.job.instances, created_at: now, ...told };
  const effects: Effect[] = [
    record('run', runKey(state.key, run), body),
    tell({ to: 'job', key: state.key, message: { type: 'started', run: body } }),
  ];
  if (cause.type === 'target') {
    const row: OutcomeRow = {
      schedule: cause.schedule,
      from: cause.at,
      to: cause.at,
      count: 1,
      outcome: cause.caught_up === true ? 'caught-up' : 'ran',
      run,
      decided_at: now,
      late_ms: Math.max(0, now - cause.at),
    };
    effects.push(...outcome(state.key, cause.schedule, row));
  } else if (cause.type === 'backfill') {
    const { schedule, at, backfill } = cause;
    const of = { schedule, from: at, to: at, count: 1, outcome: 'backfilled', run, backfill, decided_at: now } as const;
    effects.push(...outcome(state.key, schedule, of));
  }
  // Whoever follows by Chronos's rule has begun, whatever made it begin: what lay there belongs to that.
  if (state.jobs.job.join === 'latest' && cause.type !== 'dependency')
    effects.push(...clearTokens(state.reign.kin, state.key));
  const begun = state.begun + body.instances;
  return { state: { ...state, active: [...state.active, run], begun }, effects, fate: 'started' };
}

/**
 * One row of what became of targets, and the count of them. What was missed is written a second time, where all jobs' are
 * together and whoever notifies people finds them in the feed of changes.
 */
export function outcome(key: JobKey, schedule: string, row: OutcomeRow): readonly Effect[] {
  const beside = row.backfill === undefined ? '' : `/${row.backfill}`;
  return [
    record('outcome', `${key}/${sortable(row.to)}/${schedule}${beside}`, row),
    ...(row.outcome === 'missed'
      ? [record('missed', `${sortable(row.to)}/${key}/${schedule}`, { ...row, job: key })]
      : []),
    count('horae_targets_total', { outcome: row.outcome }, row.count),
  ];
}

/** Which parent's run turned the set down. */
function inWords(parents: readonly ParentRun[]): string {
  const one = parents.find(({ outcome }) => outcome !== 'succeeded');
  return one === undefined ? of_parents : `${one.job} ${one.outcome}`;
}

/** Where the outcomes of targets name their schedule, those of sets of tokens say this. */
const of_parents = 'parents';

/** The outcome of a start that will not be, for those that follow too; one that somebody asked for has none. */
export function outcomeOf(
  { key, reign }: TriggerState,
  { cause, run }: WaitingStart,
  what: 'skipped' | 'superseded',
  why: string,
  now: number,
): readonly Effect[] {
  if (cause.type === 'dependency') {
    const { at, parents } = cause;
    const row: OutcomeRow = {
      schedule: of_parents,
      from: at,
      to: at,
      count: 1,
      outcome: what,
      why: why === of_parents ? inWords(parents) : why,
      run,
      decided_at: now,
    };
    return [
      record('outcome', `${key}/${sortable(at)}/${of_parents}.${run}`, row),
      count('horae_targets_total', { outcome: what }),
      ...leaveTokens(reign.kin, { job: key, run, outcome: 'skipped', at: now }),
    ];
  }
  if (cause.type !== 'target' && cause.type !== 'backfill') return [count('horae_starts_dropped_total', { why })];
  return outcome(key, cause.schedule, {
    schedule: cause.schedule,
    from: cause.at,
    to: cause.at,
    count: 1,
    outcome: what,
    why,
    decided_at: now,
    late_ms: Math.max(0, now - cause.at),
    ...(cause.type === 'backfill' ? { backfill: cause.backfill } : {}),
  });
}
