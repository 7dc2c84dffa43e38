// definitions.ts: the schedules of a job as its trigger reads them: each with a cursor that belongs to one definition.

import { initialCursor, passOver } from '../../schedules/catch-up.ts';
import type { Schedule } from '../../schedules/schedule.ts';
import { type Effect, log } from '../effects.ts';
import type { Job, ScheduleDocument } from '../model/job.ts';
import type { CalendarRecord, TriggerRecord } from '../model/records.ts';
import { calendarNames, readSchedule, textOf } from '../model/schedules.ts';
import { rulesOf } from './days.ts';
import { outcome } from './gate.ts';
import type { Armed, Reign, TriggerSettings, TriggerState } from './trigger.ts';

/** Reads the job's schedules; a definition that is new starts with a cursor of its own, a known one keeps its place. */
export function withSchedules(
  state: TriggerState,
  since: number,
  settings: TriggerSettings,
  calendars: Readonly<Record<string, CalendarRecord>> = state.reign.calendars(calendarNames(state.jobs.job)),
): TriggerState {
  const { job } = state.jobs;
  const context = { default_zone: settings.default_zone, calendars: rulesOf(calendars) };
  const cursors: Record<string, TriggerRecord['cursors'][string]> = {};
  const schedules = job.schedules.map((one, index): Armed => {
    const text = textOf(one);
    const before = state.record.cursors[one.id];
    const kept = before?.text === text ? before : undefined;
    // An empty start begins when the definition was accepted, however often it is read again.
    const made_at = kept?.since ?? since;
    const compiled = readSchedule(one, state.key, made_at, context, `/schedules/${index}`);
    if (!compiled.ok)
      throw new Error(`schedule "${one.id}" of ${state.key} cannot be read: ${compiled.problems[0]?.message}`);
    cursors[one.id] = kept ?? { ...beginning(compiled.value, one, made_at, job, state.reign), text, since: made_at };
    return { id: one.id, document: one, schedule: compiled.value };
  });
  const { calendars: _, ...kept } = state.record;
  const versions = Object.entries(calendars).map(([name, { version }]) => [name, version] as const);
  const heard = versions.length === 0 ? {} : { calendars: Object.fromEntries(versions) };
  return { ...state, schedules, record: { ...kept, cursors, ...heard } };
}

function beginning(schedule: Schedule, { dialect }: ScheduleDocument, at: number, job: Job, { reign_at }: Reign) {
  // What is due at the start of a reign has had this one, if it was made in it.
  if (schedule.timing.kind === 'reboot')
    return { decided: reign_at !== undefined && at >= reign_at ? reign_at : at - 1 };
  const rules = job.count === 'launches' ? 'chronos_3' : dialect === 'chronos' ? 'chronos_2' : 'native';
  return initialCursor(schedule, at, rules, job.catch_up);
}

/**
 * The process died after the job's change was written and before its trigger had heard of it: targets of definitions that
 * the job no longer has, up to the change, are told now.
 */
export function leftBehind(
  { key, jobs, found, reign }: TriggerState,
  now: number,
  settings: TriggerSettings,
): readonly Effect[] {
  if (found === undefined) return [];
  const texts = new Map(jobs.job.schedules.map(one => [one.id, textOf(one)]));
  return Object.entries(found.cursors).flatMap(([id, { text, since, ...cursor }]) => {
    if (texts.get(id) === text) return [];
    const document: ScheduleDocument = { id, ...JSON.parse(text) };
    const names = document.calendar === undefined ? [] : calendarNames({ ...jobs.job, schedules: [document] });
    const context = { default_zone: settings.default_zone, calendars: rulesOf(reign.calendars(names)) };
    const read = readSchedule(document, key, since, context);
    if (!read.ok)
      return [
        log(
          'error',
          { job: key, schedule: id, text },
          'a replaced definition cannot be read: its last targets are untold',
        ),
      ];
    const { count: counted } = jobs.job;
    const passed =
      read.value.timing.kind === 'reboot'
        ? undefined
        : passOver(read.value, cursor, counted, jobs.updated_at, 'skipped', 'disabled');
    if (passed === undefined) return [];
    return outcome(key, id, { ...passed.verdict, outcome: 'skipped', schedule: id, why: 'replaced', decided_at: now });
  });
}
