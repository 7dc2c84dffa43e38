// remaining.ts: how many more times a job with a finite count will run.
//
// Retries and runs by hand never use anything up, so the answer follows from the definition and the cursor alone: what the
// cursor still holds where launches are counted, the targets that lie after it where targets are.

import { readSchedule, type ScheduleContext } from '../../../actors/model/schedules.ts';
import type { JobView } from '../../../actors/model/views.ts';
import { countBetween } from '../../../schedules/schedule.ts';

const counted_max = 1_000_000;
/** R5/..., and not R/... */
const finite = /^R\d/i;

/** By schedule id; absent where a schedule goes on for ever. */
export function remainingOf(
  view: JobView,
  contextOf: () => ScheduleContext,
): Readonly<Record<string, number>> | undefined {
  const { job, created_at } = view.record;
  const left: Record<string, number> = {};
  for (const one of job.schedules) {
    if (one.iso8601 === undefined || !finite.test(one.iso8601.trim())) continue;
    const cursor = view.trigger?.cursors[one.id];
    const read = readSchedule(one, view.key, cursor?.since ?? created_at, contextOf());
    if (!read.ok || read.value.count === undefined) continue;
    left[one.id] =
      job.count === 'launches'
        ? (cursor?.remaining ?? read.value.count)
        : countBetween(read.value, cursor?.decided ?? Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, counted_max)
            .count;
  }
  return Object.keys(left).length === 0 ? undefined : left;
}
