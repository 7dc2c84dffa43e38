// detail.ts: one job as its page shows it, in parts that change at different times.
//
// Every part has a bound: a service of 4,000 instances shows its first hundred and counts the rest; what has been is shown
// a page at a time, the newest first, and the page asks REST for more.

import { figuresOf } from '../../actors/model/durations.ts';
import { type JobKey, splitInstanceKey } from '../../actors/model/ids.ts';
import { type Job, keyOf } from '../../actors/model/job.ts';
import { sizeOf } from '../../actors/model/ranges.ts';
import type { JobRecord, TallyRecord } from '../../actors/model/records.ts';
import { calendarNames, readSchedule } from '../../actors/model/schedules.ts';
import type { JobView, RunView, Views } from '../../actors/model/views.ts';
import type { Calendars } from '../../schedules/calendar.ts';
import type { Instant } from '../../schedules/clock.ts';
import { next, type Schedule } from '../../schedules/schedule.ts';
import { describe } from '../../schedules/words.ts';
import type { Sees } from './board.ts';
import { kinOf } from './kin.ts';
import type { JobHead, JobParts, RunDetail, ScheduleWords, UpdateDetail } from './messages.ts';
import { rowOf, textOf } from './rows.ts';

const runs_shown_max = 50;
const instances_shown_max = 100;
const history_shown_max = 25;
const pending_shown_max = 20;
const waiting_shown_max = 20;
const upcoming_shown_max = 5;
const backfills_shown_max = 5;
const update_events_shown_max = 12;

/** All parts of a job's page; `head: null` alone where there is no such job. */
export function jobParts(views: Views, key: JobKey, now: Instant, wording: Wording, sees?: Sees): JobParts {
  const view = views.job(key);
  if (view === undefined) return { head: null };
  return {
    head: headOf(view),
    schedules: wording.schedules(view, now),
    kin: kinOf(views, view, sees),
    runs: view.runs.slice(0, runs_shown_max).map(run => runDetail(run, view.record.job)),
    update: updateDetail(views, key, view),
    finished: views.finished_runs(key, history_shown_max).rows,
    outcomes: views.outcomes(key, history_shown_max).rows,
    pending: views
      .pending(key)
      .slice(0, pending_shown_max)
      .map(({ instance, since, summary }) => {
        const { run, index } = splitInstanceKey(instance);
        return { run, index, since, summary };
      }),
  };
}

function headOf(view: JobView): JobHead {
  const { record, tally, trigger } = view;
  const waiting = trigger?.waiting ?? [];
  const { durations, ...counts } = tally ?? {};
  return {
    row: rowOf(view),
    job: record.job,
    version: record.version,
    etag: `"${record.incarnation}.${record.version}"`,
    created_at: record.created_at,
    updated_at: record.updated_at,
    ...(record.origin === undefined ? {} : { dialect: record.origin.dialect }),
    ...(tally === undefined ? {} : { tally: counts as Omit<TallyRecord, 'durations'> }),
    ...(durations === undefined ? {} : { durations: figuresOf(durations) }),
    waiting: waiting.slice(0, waiting_shown_max),
    waiting_count: waiting.length,
    ...(trigger?.paused === undefined ? {} : { paused: trigger.paused }),
    backfills: (trigger?.backfills ?? [])
      .slice(-backfills_shown_max)
      .reverse()
      .map(({ places: _, ...one }) => one),
  };
}

function updateDetail(views: Views, key: JobKey, view: JobView): UpdateDetail | null {
  // Only a service that was ever changed can have one: nobody else's history is looked into.
  if (!view.record.job.service || view.record.version === 1) return null;
  const update = view.update ?? views.finished_updates(key)[0];
  if (update === undefined) return null;
  const { id, status, by, message, created_at, after, plan, taken, rolled, failed } = update;
  const under_way = view.update?.flights.map(flight => flight.index) ?? [];
  return {
    ...{ id, status, by, created_at, failed, under_way },
    ...(message === undefined ? {} : { message }),
    over: view.update === undefined,
    to_version: after.version,
    total: rolled === undefined ? sizeOf(plan.create) + sizeOf(plan.change) + sizeOf(plan.remove) : taken,
    done: (rolled ?? taken) - under_way.length,
    events: views.update_events(key, update, update_events_shown_max).rows,
  };
}

function runDetail({ record, instances }: RunView, latest: Job): RunDetail {
  const { service, max_task_failures } = record.job ?? latest;
  const statuses: { -readonly [status in keyof RunDetail['statuses']]: number } = {};
  for (const { record: one } of instances) statuses[one.status] = (statuses[one.status] ?? 0) + 1;
  return {
    run: record.run,
    cause: record.cause,
    created_at: record.created_at,
    ...(record.killing === undefined ? {} : { killing_by: record.killing.by }),
    instance_count: record.instances - sizeOf(record.without),
    ...(service || max_task_failures === -1 ? {} : { retries_max: max_task_failures - 1 }),
    statuses,
    instances: instances.slice(0, instances_shown_max).map(one => ({ index: one.index, record: one.record })),
  };
}

/** Schedules in words. What a job's record says never changes, so its schedules are read once; calendars with names do. */
export interface Wording {
  /** The first schedule of a job; undefined when it has none. */
  first(record: JobRecord): string | undefined;
  schedules(view: JobView, now: Instant): readonly ScheduleWords[];
}

export function createWording(default_zone: string, calendars: () => Calendars = () => ({})): Wording {
  const first_words = new WeakMap<JobRecord, string>();
  const compiled = new WeakMap<JobRecord, readonly (Schedule | undefined)[]>();
  const read = (record: JobRecord, index: number): Schedule | undefined => {
    const { job } = record;
    const document = job.schedules[index];
    if (document === undefined) return undefined;
    const made = readSchedule(document, keyOf(job), record.created_at, {
      default_zone,
      calendars: calendars(),
    });
    // The trigger refuses to keep what cannot be read; the page then has the text alone.
    return made.ok ? made.value : undefined;
  };
  return {
    first(record) {
      const { schedules } = record.job;
      if (schedules.length === 0) return undefined;
      let words = first_words.get(record);
      if (words === undefined) {
        const schedule = read(record, 0);
        words = schedule === undefined ? textOf(schedules[0]!) : describe(schedule);
        first_words.set(record, words);
      }
      return words;
    },
    schedules({ record, trigger }, now) {
      let all = compiled.get(record);
      if (all === undefined) {
        all = record.job.schedules.map((_, index) => read(record, index));
        if (calendarNames(record.job).length === 0) compiled.set(record, all);
      }
      return record.job.schedules.map((document, index) => {
        const schedule = all[index];
        return {
          id: document.id,
          text: textOf(document),
          words: schedule === undefined ? '' : describe(schedule),
          upcoming: schedule === undefined || trigger?.paused !== undefined ? [] : upcoming(record.job, schedule, now),
        };
      });
    },
  };
}

/** The next targets. Where launches are counted, or the job is disabled, nobody can tell from the schedule alone. */
function upcoming(job: Job, schedule: Schedule, now: Instant): readonly Instant[] {
  if (!job.enabled || (job.count === 'launches' && schedule.count !== undefined)) return [];
  const targets: Instant[] = [];
  for (let at = next(schedule, now); at !== undefined && targets.length < upcoming_shown_max; at = next(schedule, at))
    targets.push(at);
  return targets;
}
