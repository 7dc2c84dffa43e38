// foresight.ts: when a job is due next, from its records alone.
//
// The leader's timetable knows it; a node that only follows works it out when somebody looks: the first target after each
// schedule's cursor. It is worked out anew when the record changes, which is when a target was decided.

import type { JobKey } from '../../actors/model/ids.ts';
import type { CalendarRecord, JobRecord, TriggerRecord } from '../../actors/model/records.ts';
import { calendarNames, readSchedule } from '../../actors/model/schedules.ts';
import type { Instant } from '../../schedules/clock.ts';
import { dueAt, next } from '../../schedules/schedule.ts';

export type Foresight = (
  key: JobKey,
  record: JobRecord | undefined,
  trigger: TriggerRecord | undefined,
) => Instant | undefined;

export function createForesight(
  default_zone: string,
  calendar: (name: string) => CalendarRecord | undefined,
): Foresight {
  const known = new WeakMap<TriggerRecord, { readonly record: JobRecord; readonly at: Instant | undefined }>();
  return (key, record, trigger) => {
    if (record === undefined || trigger === undefined || !record.job.enabled || record.deleting === true)
      return undefined;
    const before = known.get(trigger);
    if (before !== undefined && before.record === record) return before.at;
    const calendars = Object.fromEntries(
      calendarNames(record.job).flatMap(name => {
        const found = calendar(name);
        return found === undefined ? [] : [[name, found.rules]];
      }),
    );
    let at: Instant | undefined;
    for (const document of record.job.schedules) {
      const cursor = trigger.cursors[document.id];
      if (cursor === undefined) continue;
      const read = readSchedule(document, key, cursor.since, { default_zone, calendars });
      // What the leader cannot read either is not due, and is complained of there.
      if (!read.ok || read.value.timing.kind === 'reboot' || cursor.remaining === 0) continue;
      const target = next(read.value, cursor.decided);
      if (target === undefined) continue;
      const due = dueAt(read.value, target);
      if (at === undefined || due < at) at = due;
    }
    known.set(trigger, { record, at });
    return at;
  };
}
