// schedules.ts: from the schedules in a job's document to schedules that can be asked.
//
// One reading for everybody: the trigger that lives by it, the door that refuses what cannot be read, the pages that show
// what comes next. A schedule keeps the dialect in which it was written instead of being rewritten at the door: its text
// then stays as people know it, the same text posted twice is no change, and what Chronos did with it (its zone in the place
// of the offset, Java's zone names, a bare `P`) is done where schedules are read, once.

import type { Calendars } from '../../schedules/calendar.ts';
import type { Instant } from '../../schedules/clock.ts';
import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { compile, next, type Schedule, type ScheduleSpec } from '../../schedules/schedule.ts';
import type { JobKey } from './ids.ts';
import { type Job, keyOf, type ScheduleDocument } from './job.ts';

export type ScheduleContext = {
  readonly default_zone: string;
  /** Calendars that a schedule may name. */
  readonly calendars?: Calendars;
};

export const specOf = ({ id: _, dialect: __, ...spec }: ScheduleDocument): ScheduleSpec => spec;

/** What makes a definition the same as another: everything but its name. */
export function textOf(document: ScheduleDocument): string {
  const known = texts.get(document);
  if (known !== undefined) return known;
  const { id: _, ...definition } = document;
  const text = JSON.stringify(definition);
  texts.set(document, text);
  return text;
}
const texts = new WeakMap<ScheduleDocument, string>();

/** `made_at`: when the definition was accepted, which is where an empty start begins however often it is read again. */
export function readSchedule(
  document: ScheduleDocument,
  key: JobKey,
  made_at: Instant,
  context: ScheduleContext,
  place = '',
): Result<Schedule> {
  return compile(specOf(document), {
    now: made_at,
    default_zone: context.default_zone,
    job_key: key,
    place,
    ...(document.dialect === undefined ? {} : { dialect: document.dialect }),
    ...(context.calendars === undefined ? {} : { calendars: context.calendars }),
  });
}

/** Whether every schedule of a job can be read and will ever be due; if not, everything that is wrong. */
export function checkSchedules(job: Job, now: Instant, context: ScheduleContext): Result<void> {
  const problems: Problem[] = [];
  for (const [index, one] of job.schedules.entries()) {
    const place = `/schedules/${index}`;
    const read = readSchedule(one, keyOf(job), now, context, place);
    if (!read.ok) problems.push(...read.problems);
    else if (
      job.count === 'targets' &&
      job.catch_up.from !== 'start' &&
      read.value.timing.kind !== 'reboot' &&
      next(read.value, now - 1) === undefined
    )
      problems.push({
        place,
        value: one.iso8601 ?? one.cron,
        message: `schedule "${one.id}" (${one.iso8601 ?? one.cron}) has no target from now on: it would never run`,
        expected: 'a schedule with a target in the future',
      });
  }
  return problems.length === 0 ? good(undefined) : bad(...problems);
}

/** Names of the calendars that a job's schedules name, each once, in order. */
export function calendarNames(job: Job): readonly string[] {
  const names = new Set<string>();
  for (const { calendar } of job.schedules)
    for (const entry of [...(calendar?.exclude ?? []), ...(calendar?.only ?? [])])
      if (typeof entry === 'string') names.add(entry);
  return [...names].sort();
}
