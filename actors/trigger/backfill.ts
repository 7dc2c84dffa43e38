// backfill.ts: runs for targets of the past, because somebody asked for them.
//
// A backfill is a second hand on the same dial: it walks over the targets of a range that has passed, in order, and starts a
// run for each as far as its own overlap policy allows. What became of those targets when they were due stays written; the
// rows of a backfill stand beside them. Targets are looked up when there is room for them, so that a backfill of ten
// thousand waits in the record as one line.

import { countBetween, next } from '../../schedules/schedule.ts';
import { audit } from '../audit.ts';
import { type Effect, log, record, reply } from '../effects.ts';
import type { Command, CommandEnvelope } from '../model/commands.ts';
import type { Cause } from '../model/reasons.ts';
import { refusal } from '../model/reasons.ts';
import type { BackfillRecord } from '../model/records.ts';
import { type Step, step, stepWith } from '../step.ts';
import { admit, launch, overlapRule } from './gate.ts';
import type { TriggerSettings, TriggerState } from './trigger.ts';

export type BackfillCommand = Extract<Command, { type: 'backfill' }>;

export const backfill_targets_max = 10_000;
const backfill_targets_default = 1_000;
/** Backfills of one job under way at once, and those that are over and remembered. */
const backfills_max = 8;
const backfills_kept_max = 16;

/** Begins a backfill; the same request again is told of the one that it began. */
export function backfill(
  state: TriggerState,
  envelope: CommandEnvelope,
  wanted: BackfillCommand,
  now: number,
  settings: TriggerSettings,
): Step<TriggerState, Effect> {
  const { request_id, principal } = envelope;
  const { backfills = [] } = state.record;
  const refuse = (code: 'invalid' | 'too-many', text: string) =>
    step(state, audit(envelope, now, code), reply(request_id, refusal(code, text)));
  const known = backfills.find(one => one.id === wanted.request);
  if (known !== undefined)
    return step(
      state,
      audit(envelope, now, 'existing'),
      reply(request_id, { type: 'backfilling', key: state.key, backfill: known.id, targets: known.targets }),
    );
  if (wanted.to > now || wanted.from > wanted.to)
    return refuse(
      'invalid',
      `a backfill from ${iso(wanted.from)} to ${iso(wanted.to)}: expected a range that ends by now, ${iso(now)}`,
    );
  if (backfills.filter(one => one.over_at === undefined).length >= backfills_max)
    return refuse('too-many', `job ${state.key} has ${backfills_max} backfills under way: expected fewer`);
  const chosen = state.schedules.filter(one => wanted.schedule === undefined || one.id === wanted.schedule);
  if (chosen.length === 0)
    return refuse('invalid', `job ${state.key} has no schedule ${wanted.schedule ?? ''}: expected one of its own`);
  const limit = wanted.limit ?? backfill_targets_default;
  const there = chosen.reduce(
    (sum, one) => sum + countBetween(one.schedule, wanted.from - 1, wanted.to, limit).count,
    0,
  );
  const begun: BackfillRecord = {
    id: wanted.request,
    from: wanted.from,
    to: wanted.to,
    by: principal.name,
    since: now,
    overlap: wanted.overlap ?? { policy: 'buffer-all' },
    targets: Math.min(there, limit),
    told: 0,
    places: Object.fromEntries(chosen.map(one => [one.id, wanted.from - 1])),
  };
  const over = backfills.filter(one => one.over_at !== undefined);
  const kept = backfills.filter(
    one => one.over_at === undefined || over.indexOf(one) >= over.length - backfills_kept_max,
  );
  const noted = { ...state, record: { ...state.record, backfills: [...kept, begun] } };
  const advanced = advanceBackfills(noted, now, settings);
  return stepWith(advanced.state, [
    record('trigger', state.key, advanced.state.record),
    ...advanced.effects,
    audit(envelope, now, 'backfilling'),
    reply(request_id, { type: 'backfilling', key: state.key, backfill: begun.id, targets: begun.targets }),
    log('info', { job: state.key, backfill: begun.id, targets: begun.targets }, 'backfill begun'),
  ]);
}

const iso = (at: number) => new Date(at).toISOString();

/** Starts what there is room for. The same state when there is none. */
export function advanceBackfills(
  state: TriggerState,
  now: number,
  settings: TriggerSettings,
): { state: TriggerState; effects: readonly Effect[] } {
  let moved = state;
  const effects: Effect[] = [];
  for (const { id, over_at } of state.record.backfills ?? []) {
    if (over_at !== undefined || state.closed) continue;
    for (;;) {
      const one = moved.record.backfills!.find(each => each.id === id)!;
      const target = one.told < one.targets ? nextTarget(moved, one) : undefined;
      if (target === undefined) {
        moved = withBackfill(moved, { ...one, over_at: now });
        effects.push(log('info', { job: state.key, backfill: id, targets: one.told }, 'backfill over'));
        break;
      }
      const rule = overlapRule(one.overlap, settings);
      const { active, record: kept } = moved;
      // Under these two every target has its run: it waits where it is until there is room.
      if (rule.policy === 'buffer_all' && (active.length > 0 || kept.waiting.length > 0)) break;
      if (rule.policy === 'allow' && active.length >= rule.runs_max) break;
      const cause: Cause = { type: 'backfill', schedule: target.schedule, at: target.at, backfill: id, by: one.by };
      const run = `${moved.jobs.incarnation}.b.${id}.${target.schedule}.${target.at.toString(36)}`;
      const wanting = { run, cause, since: now };
      const placed = withBackfill(moved, {
        ...one,
        told: one.told + 1,
        places: { ...one.places, [target.schedule]: target.at },
      });
      const started =
        rule.policy === 'buffer_all' || rule.policy === 'allow'
          ? launch(placed, wanting, now)
          : admit(placed, wanting, now, settings, one.overlap);
      moved = started.state;
      effects.push(...started.effects);
    }
  }
  return { state: moved, effects };
}

/** Those under way end where they are: the targets that had no turn get none. The same state when there are none. */
export function endBackfills(
  state: TriggerState,
  by: string,
  now: number,
): { state: TriggerState; effects: readonly Effect[] } {
  let moved = state;
  const effects: Effect[] = [];
  for (const one of state.record.backfills ?? []) {
    if (one.over_at !== undefined) continue;
    moved = withBackfill(moved, { ...one, over_at: now, ended_by: by });
    const { id, told, targets } = one;
    effects.push(log('info', { job: state.key, backfill: id, told, targets, by }, 'backfill ended before its end'));
  }
  return { state: moved, effects };
}

/** The earliest target of the range that has not had its turn. */
function nextTarget(state: TriggerState, { places, to }: BackfillRecord): { schedule: string; at: number } | undefined {
  let first: { schedule: string; at: number } | undefined;
  for (const { id, schedule } of state.schedules) {
    const place = places[id];
    const at = place === undefined ? undefined : next(schedule, place);
    if (at !== undefined && at <= to && (first === undefined || at < first.at)) first = { schedule: id, at };
  }
  return first;
}

const withBackfill = (state: TriggerState, one: BackfillRecord): TriggerState => ({
  ...state,
  record: {
    ...state.record,
    backfills: (state.record.backfills ?? []).map(each => (each.id === one.id ? one : each)),
  },
});
