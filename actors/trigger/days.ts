// days.ts: the moment when a calendar has other days: what has come due keeps the old ones, what is to come has the new.
//
// The change is written by the directory, and each trigger that names the calendar hears of it a little later. Should the
// process die in between, the calendar still knows the days that it had, and the trigger which version it heard of last: so
// it decides at its next beginning what it would have decided then.

import type { Calendars } from '../../schedules/calendar.ts';
import { type Schedule, targetsBetween, withoutCount } from '../../schedules/schedule.ts';
import { type Effect, log } from '../effects.ts';
import type { CalendarRecord } from '../model/records.ts';
import { calendarNames, readSchedule } from '../model/schedules.ts';
import { withSchedules } from './definitions.ts';
import type { Armed, TriggerSettings, TriggerState } from './trigger.ts';
import { look, passing } from './verdicts.ts';

/** The calendars as they were until an instant. */
export type Stage = { readonly until: number; readonly calendars: Readonly<Record<string, CalendarRecord>> };
type Decided = { state: TriggerState; effects: readonly Effect[] };

/** Targets compared before and after a change; with more of them waiting for their turn, they are taken to differ. */
const compared_max = 1_000;
/** Turns in which what is late is decided before a change; what a rate holds back is not waited for. */
const turns_max = 100;

export const rulesOf = (records: Readonly<Record<string, CalendarRecord>>): Calendars =>
  Object.fromEntries(Object.entries(records).map(([name, { rules }]) => [name, rules]));

/** What has to be decided under days that hold no more. `heard`: by name, the versions that decided until now. */
export function stagesOf(
  heard: Readonly<Record<string, number>>,
  now: Readonly<Record<string, CalendarRecord>>,
): readonly Stage[] {
  const unheard = Object.entries(now).flatMap(([name, { earlier = [] }]) =>
    earlier.filter(({ version }) => version >= (heard[name] ?? Number.POSITIVE_INFINITY)),
  );
  const untils = [...new Set(unheard.map(one => one.until))].sort((a, b) => a - b);
  return untils.map(until => ({
    until,
    calendars: Object.fromEntries(
      Object.entries(now).map(([name, record]) => {
        const before = (record.earlier ?? []).find(
          one => one.until >= until && one.version >= (heard[name] ?? Number.POSITIVE_INFINITY),
        );
        return [name, before === undefined ? record : { ...record, ...before }];
      }),
    ),
  }));
}

/** Decides stage after stage what came due in each. The state is one over the present days. */
export function unheard(
  state: TriggerState,
  stages: readonly Stage[],
  now: number,
  settings: TriggerSettings,
): Decided {
  let decided: Decided = { state, effects: [] };
  for (const [index, { until, calendars }] of stages.entries()) {
    const old = withSchedules(decided.state, now, settings, calendars);
    const after = withSchedules(decided.state, now, settings, stages[index + 1]?.calendars);
    const turned = turn(after, old.schedules, until, now, settings);
    decided = { state: turned.state, effects: [...decided.effects, ...turned.effects] };
  }
  return decided;
}

/** The calendars have changed now. The same state when they cannot be used. */
export function recalendared(state: TriggerState, now: number, settings: TriggerSettings): Decided {
  const { job } = state.jobs;
  const calendars = state.reign.calendars(calendarNames(job));
  const context = { default_zone: settings.default_zone, calendars: rulesOf(calendars) };
  const unreadable = job.schedules.flatMap(one => {
    const read = readSchedule(one, state.key, state.record.cursors[one.id]?.since ?? now, context);
    return read.ok ? [] : read.problems;
  })[0];
  // The door refuses such a calendar; should one pass, the days of before are better than no trigger.
  if (unreadable !== undefined) {
    const said = { job: state.key, problem: unreadable.message };
    return { state, effects: [log('error', said, 'a calendar cannot be used')] };
  }
  return turn(withSchedules(state, now, settings, calendars), state.schedules, now, now, settings);
}

/** From the old days to those of `state`: targets up to `until` are decided under the old ones. */
function turn(
  state: TriggerState,
  old: readonly Armed[],
  until: number,
  now: number,
  settings: TriggerSettings,
): Decided {
  const turning = old.filter(one => one.document.calendar !== undefined && one.schedule.timing.kind !== 'reboot');
  const clipped = turning.map(one => ({ ...one, schedule: upTo(one.schedule, until) }));
  let decided: TriggerState = { ...state, schedules: clipped };
  const effects: Effect[] = [];
  if (!state.jobs.job.enabled) {
    const passed = passing(decided, clipped, 'disabled', until, now);
    decided = { ...decided, record: passed.record };
    effects.push(...passed.effects);
  } else
    for (let turns = 0; turns < turns_max; turns++) {
      const looked = look(decided, now, now, settings);
      decided = looked.state;
      effects.push(...looked.effects);
      if (!looked.more) break;
    }
  // What has come due and waits for its turn (a rate, a jitter) keeps it where the new days have the same targets. Where
  // they do not, it can be found no more, and is told as what it is.
  const lost = clipped.filter(one => {
    const left = remaining(decided, one.schedule, one.id, until);
    const after = state.schedules.find(each => each.id === one.id)!.schedule;
    const found = remaining(decided, after, one.id, until);
    return left.length > 0 && (left.length > compared_max || left.some((at, n) => at !== found[n]));
  });
  const told = passing(decided, lost, 'calendar', until, now);
  effects.push(...told.effects);
  const cursors = { ...told.record.cursors };
  for (const { id, schedule } of clipped) {
    const kept = lost.every(one => one.id !== id) && remaining(decided, schedule, id, until).length > 0;
    // Days that rested until now are behind the cursor: the new calendar must not find targets there.
    if (!kept) cursors[id] = { ...cursors[id]!, decided: Math.max(cursors[id]!.decided, until) };
  }
  return { state: { ...decided, schedules: state.schedules, record: { ...told.record, cursors } }, effects };
}

const upTo = (schedule: Schedule, until: number): Schedule => ({
  ...schedule,
  bounds: { from: schedule.bounds.from, to: Math.min(schedule.bounds.to, until) },
});

/** Targets up to `until` that have not been decided. */
function remaining({ record, jobs }: TriggerState, schedule: Schedule, id: string, until: number): readonly number[] {
  const cursor = record.cursors[id]!;
  if (cursor.remaining !== undefined && cursor.remaining <= 0) return [];
  const asked = jobs.job.count === 'launches' ? withoutCount(schedule) : schedule;
  return targetsBetween(asked, cursor.decided, until, compared_max + 1);
}
