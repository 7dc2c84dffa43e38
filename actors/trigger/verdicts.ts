// verdicts.ts: what becomes of the targets of a job up to an instant: run, caught up, missed, skipped; and when to look again.

import { type CatchUp, type Cursor, type Decision, decide, passOver } from '../../schedules/catch-up.ts';
import { dueAt, next, withoutCount } from '../../schedules/schedule.ts';
import { type Effect, log } from '../effects.ts';
import { missed } from '../job/tellings.ts';
import type { Job, ScheduleDocument } from '../model/job.ts';
import type { Cause } from '../model/reasons.ts';
import type { TriggerRecord } from '../model/records.ts';
import { admit, outcome } from './gate.ts';
import type { Armed, Reign, TriggerSettings, TriggerState } from './trigger.ts';

/** The verdicts on all targets up to `noticed_at`, as far as one turn goes. The same state when there were none. */
export function look(
  state: TriggerState,
  noticed_at: number,
  now: number,
  settings: TriggerSettings,
): { state: TriggerState; effects: readonly Effect[]; looks: readonly (number | undefined)[]; more: boolean } {
  if (state.record.paused !== undefined) {
    const passed = passing(state, state.schedules, 'paused', noticed_at, now);
    const resting = passed.effects.length === 0 ? state : { ...state, record: passed.record };
    return { state: resting, effects: passed.effects, looks: looksOf(resting), more: false };
  }
  const { job } = state.jobs;
  let next = state;
  const effects: Effect[] = [];
  const looks: (number | undefined)[] = [];
  let more = false;
  for (const armed of state.schedules) {
    const { text, since, ...cursor } = next.record.cursors[armed.id]!;
    const decided = judge(
      armed,
      cursor,
      policyOf(job, armed.document, settings),
      noticed_at,
      settings.verdicts_max,
      state.reign,
    );
    more ||= decided.more;
    if (decided.verdicts.length > 0 || decided.cursor.decided !== cursor.decided)
      next = {
        ...next,
        record: { ...next.record, cursors: { ...next.record.cursors, [armed.id]: { ...decided.cursor, text, since } } },
      };
    for (const verdict of decided.verdicts) {
      if (verdict.outcome !== 'run') {
        effects.push(
          ...outcome(state.key, armed.id, {
            schedule: armed.id,
            from: verdict.from,
            to: verdict.to,
            count: verdict.count,
            ...(verdict.at_least === undefined ? {} : { at_least: true as const }),
            outcome: verdict.outcome,
            why: verdict.why,
            decided_at: now,
          }),
        );
        if (verdict.outcome === 'missed')
          effects.push(
            missed(state, armed.id, verdict, now),
            log(
              'warn',
              { job: state.key, schedule: armed.id, count: verdict.count, why: verdict.why },
              'targets were missed',
            ),
          );
        continue;
      }
      const cause: Cause = {
        type: 'target',
        schedule: armed.id,
        at: verdict.at,
        ...(verdict.caught_up && verdict.late_ms > settings.late_grace_ms ? { caught_up: true } : {}),
      };
      const run = `${state.jobs.incarnation}.${armed.id}.${verdict.at.toString(36)}`;
      const admitted = admit(next, { run, cause, since: now }, now, settings);
      next = admitted.state;
      effects.push(...admitted.effects);
    }
    const given_back = next.record.cursors[armed.id]!.remaining !== decided.cursor.remaining;
    looks.push(given_back ? lookOf(next, armed) : decided.next);
  }
  return { state: next, effects, looks, more };
}

/** What becomes of the targets of one schedule up to `noticed_at`. */
function judge(
  { schedule }: Armed,
  cursor: Cursor,
  policy: ReturnType<typeof policyOf>,
  noticed_at: number,
  verdicts_max: number,
  reign: Reign,
): Decision {
  if (schedule.timing.kind !== 'reboot') return decide(schedule, cursor, policy, noticed_at, verdicts_max);
  const at = rebootOf(cursor, reign);
  const due = at === undefined ? undefined : dueAt(schedule, at);
  if (at === undefined || due === undefined || due > noticed_at)
    return { verdicts: [], cursor, next: due, target: at, exhausted: false, more: false };
  return {
    verdicts: [{ outcome: 'run', at, late_ms: Math.max(0, noticed_at - due), caught_up: false }],
    cursor: { ...cursor, decided: at },
    next: undefined,
    target: undefined,
    exhausted: false,
    more: false,
  };
}

/** The start of this reign, if `@reboot` has not been decided for it. Clocks may be set back between two reigns. */
const rebootOf = (cursor: Cursor, { reign_at }: Reign): number | undefined =>
  reign_at === undefined || cursor.decided === reign_at ? undefined : reign_at;

/** Targets of these schedules up to now that nobody will decide any more: told as what they are. */
export function passing(
  state: TriggerState,
  schedules: readonly Armed[],
  why: string,
  until: number,
  now = until,
): { record: TriggerRecord; effects: readonly Effect[] } {
  let kept = state.record;
  const effects: Effect[] = [];
  for (const { id, schedule } of schedules) {
    const { text, since, ...cursor } = kept.cursors[id]!;
    const passed =
      schedule.timing.kind === 'reboot'
        ? passReboot(cursor, state.reign)
        : passOver(schedule, cursor, state.jobs.job.count, until, 'skipped', 'disabled');
    if (passed === undefined) continue;
    effects.push(
      ...outcome(state.key, id, { ...passed.verdict, outcome: 'skipped', schedule: id, why, decided_at: now }),
    );
    kept = { ...kept, cursors: { ...kept.cursors, [id]: { ...passed.cursor, text, since } } };
  }
  return { record: kept, effects };
}

function passReboot(cursor: Cursor, reign: Reign): ReturnType<typeof passOver> {
  const at = rebootOf(cursor, reign);
  if (at === undefined) return undefined;
  const verdict = { outcome: 'skipped', from: at, to: at, count: 1, why: 'disabled' } as const;
  return { verdict, cursor: { ...cursor, decided: at } };
}

const policyOf = (job: Job, { dialect }: ScheduleDocument, settings: TriggerSettings) => ({
  catch_up: job.catch_up as CatchUp,
  count: job.count,
  // Where launches are counted, whatever was missed is one late run, however little it is late: several targets within
  // the grace would otherwise be several runs, at once. Chronos knew no grace, only its epsilon, which is a window.
  grace_ms: job.count === 'launches' || dialect === 'chronos' ? 0 : settings.late_grace_ms,
});

/** When each schedule must be looked at, as far as its cursor tells. */
export const looksOf = (state: TriggerState): readonly (number | undefined)[] =>
  state.schedules.map(armed => lookOf(state, armed));

export function lookOf(state: TriggerState, { id, schedule }: Armed): number | undefined {
  const cursor = state.record.cursors[id]!;
  if (schedule.timing.kind === 'reboot') {
    const at = rebootOf(cursor, state.reign);
    return at === undefined ? undefined : dueAt(schedule, at);
  }
  if (cursor.remaining !== undefined && cursor.remaining <= 0) return undefined;
  const target = next(cursor.remaining === undefined ? schedule : withoutCount(schedule), cursor.decided);
  return target === undefined ? undefined : dueAt(schedule, target);
}
