// watch.ts: what takes longer than it should, told while it does: runs that do not begin, that go on and on, that find no place.
//
// Whoever rests in the timetable is woken when something would be late by then, looks, and tells what is. What was told stands
// in the record that it is about, so that nobody hears of it again from the next process.

import { type Effect, notice, record, tell } from '../effects.ts';
import { type InstanceKey, instanceKey, type JobKey, runKey } from '../model/ids.ts';
import type { NoticeEvent } from '../model/notices.ts';
import type { Cause } from '../model/reasons.ts';
import type { JobRecord, RunRecord, WaitingStart } from '../model/records.ts';
import { type Step, stepWith } from '../step.ts';
import type { TriggerState } from '../trigger/trigger.ts';
import type { JobMessage, JobState } from './job.ts';
import { type ActiveRun, lives, with_ } from './runs.ts';
import { isWanted, type WishRules } from './wishes.ts';

export type WatchRules = WishRules & {
  /** Where a job does not say; 0: never. */
  readonly late_after_ms: number;
  readonly long_running_after_ms: number;
  readonly pending_after_ms: number;
};
/** What a job's watch looks at beside the job. */
export type Lookout = {
  readonly rules: WatchRules;
  /** Since when an instance waits for a place, and why; undefined when it does not. */
  readonly waits: (key: InstanceKey) => { readonly since: number; readonly why: string } | undefined;
};

/** After so long each is worth telling; undefined: it is not. */
type Limits = { readonly late?: number; readonly long_running?: number; readonly pending?: number };

function limitsOf(jobs: JobRecord, rules: WatchRules): Limits {
  const { late_after_ms, long_running_after_ms, pending_after_ms } = jobs.job;
  const limit = (ms: number, event: NoticeEvent) => (ms > 0 && isWanted(jobs, event, rules) ? ms : undefined);
  const late = limit(late_after_ms ?? rules.late_after_ms, 'late');
  const long_running = limit(long_running_after_ms ?? rules.long_running_after_ms, 'long-running');
  const pending = limit(pending_after_ms ?? rules.pending_after_ms, 'stuck-pending');
  return {
    ...(late === undefined ? {} : { late }),
    ...(long_running === undefined ? {} : { long_running }),
    ...(pending === undefined ? {} : { pending }),
  };
}

/** What can change when the job must look again. */
const telling: ReadonlySet<JobMessage['type']> = new Set(['begin', 'started', 'watch', 'instance-running', 'command']);

/** The job's step, and what is to be told of its runs by now. */
export function watched(
  after: Step<JobState, Effect>,
  message: JobMessage,
  now: number,
  { rules, waits }: Lookout,
): Step<JobState, Effect> {
  if (!telling.has(message.type)) return after;
  const { state } = after;
  const woken = message.type === 'watch' ? { ...state, watch_at: undefined } : state;
  const { key, record: jobs } = state;
  const limits = limitsOf(jobs, rules);
  if (state.runs.size === 0 || jobs.deleting === true) return woken === state ? after : stepWith(woken, after.effects);
  let { runs } = state;
  let next = Number.POSITIVE_INFINITY;
  const effects: Effect[] = [];
  const by = (at: number): boolean => {
    if (at > now) next = Math.min(next, at);
    return at <= now;
  };
  for (const [id, run] of state.runs) {
    if (run.record.killing !== undefined) continue;
    const before: Told = run.record.told ?? {};
    let told = before;
    const say = (event: NoticeEvent, of: string, reason: string) =>
      effects.push(notice(key, { event, at: now, jobs, of, reason, run: id }));
    const due = targetOf(run.record.cause);
    if (limits.late !== undefined && due !== undefined && run.started_at === undefined && told.late !== true)
      if (by(due + limits.late)) {
        told = { ...told, late: true };
        say('late', id, lateWords(due, now));
      }
    if (limits.long_running !== undefined && !jobs.job.service && told.long_running !== true)
      if (run.started_at !== undefined && by(run.started_at + limits.long_running)) {
        told = { ...told, long_running: true };
        say('long-running', id, `it has been running since ${iso(run.started_at)}`);
      }
    if (limits.pending !== undefined) {
      const stuck = stuckOf(state.key, run, told.waiting_since ?? 0, waits, since => by(since + limits.pending!));
      by(now + limits.pending);
      const [first] = stuck;
      if (first !== undefined) {
        const waiting_since = Math.max(...stuck.map(one => one.since));
        told = { ...told, waiting_since };
        const who = stuck.length === 1 ? `instance ${first.index} waits` : `${stuck.length} instances wait`;
        const reason = `${who} for a place since ${iso(Math.min(...stuck.map(one => one.since)))}: ${first.why}`;
        say('stuck-pending', `${id}/${waiting_since.toString(36)}`, reason);
      }
    }
    if (told === before) continue;
    const kept: RunRecord = { ...run.record, told };
    runs = with_(runs, id, { ...run, record: kept });
    effects.unshift(record('run', runKey(key, id), kept));
  }
  const again = Number.isFinite(next) && next !== woken.watch_at;
  if (again)
    effects.push(tell({ to: 'timetable', message: { type: 'armed', armed: [{ to: 'watch', key, at: next }] } }));
  if (effects.length === 0 && woken === state) return after;
  return stepWith({ ...woken, runs, ...(again ? { watch_at: next } : {}) }, [...after.effects, ...effects]);
}

type Told = NonNullable<RunRecord['told']>;

/** Instances of a run that wait, and have begun to later than those that were told of. */
function stuckOf(
  key: JobKey,
  run: ActiveRun,
  told_since: number,
  waits: Lookout['waits'],
  isLong: (since: number) => boolean,
): readonly { readonly index: number; readonly since: number; readonly why: string }[] {
  const stuck: { index: number; since: number; why: string }[] = [];
  for (let index = 0; index < run.size; index++) {
    if (!lives(run, index)) continue;
    const waiting = waits(instanceKey(key, run.record.run, index));
    if (waiting !== undefined && waiting.since > told_since && isLong(waiting.since)) stuck.push({ index, ...waiting });
  }
  return stuck;
}

/** Starts that wait for an active run to end are late like those that have begun and wait for a place. */
export function watchedStarts(
  after: Step<TriggerState, Effect>,
  now: number,
  rules: WatchRules,
): Step<TriggerState, Effect> {
  const { state } = after;
  const { waiting } = state.record;
  if (waiting.length === 0 || state.closed) return after;
  const { late } = limitsOf(state.jobs, rules);
  if (late === undefined) return after;
  const { key, jobs } = state;
  let next = Number.POSITIVE_INFINITY;
  const words: Effect[] = [];
  const looked = waiting.map((start): WaitingStart => {
    const due = targetOf(start.cause);
    if (due === undefined || start.late === true) return start;
    if (due + late > now) {
      next = Math.min(next, due + late);
      return start;
    }
    const { run } = start;
    words.push(notice(key, { event: 'late', at: now, jobs, of: run, reason: lateWords(due, now), run }));
    return { ...start, late: true };
  });
  const again = Number.isFinite(next) && next !== state.overdue_at;
  const armed = again
    ? [tell({ to: 'timetable', message: { type: 'armed', armed: [{ to: 'overdue', key, at: next }] } })]
    : [];
  if (words.length === 0 && !again) return after;
  const kept = words.length === 0 ? state.record : { ...state.record, waiting: looked };
  return stepWith({ ...state, record: kept, ...(again ? { overdue_at: next } : {}) }, [
    ...after.effects,
    ...(words.length === 0 ? [] : [record('trigger', key, kept)]),
    ...words,
    ...armed,
  ]);
}

const targetOf = (cause: Cause): number | undefined => (cause.type === 'target' ? cause.at : undefined);
const lateWords = (due: number, now: number): string =>
  `its target was ${iso(due)}, ${Math.round((now - due) / 1000)} seconds ago, and it has not begun`;
const iso = (at: number): string => new Date(at).toISOString();
