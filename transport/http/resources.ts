// resources.ts: from what the views hold to what leaves the server. Pure: views in, documents out.

import type { JobKey } from '../../actors/model/ids.ts';
import { taskId } from '../../actors/model/ids.ts';
import type { Job } from '../../actors/model/job.ts';
import { sizeOf } from '../../actors/model/ranges.ts';
import type { Cause } from '../../actors/model/reasons.ts';
import type { FinishedRun, OutcomeRow, Snooze, WaitingStart } from '../../actors/model/records.ts';
import type { JobView, RunView, TaskReports } from '../../actors/model/views.ts';
import type { JobResource, OutcomeResource, RunResource } from './schemas.ts';

export const iso = (at: number): string => new Date(at).toISOString();
export const isoOf = (at: number | undefined): string | undefined => (at === undefined ? undefined : iso(at));

/** The same without what is undefined: an absent field is absent. */
export function present<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}

/** Path of a job below the API. */
export const jobPath = (key: JobKey): string => `/api/v1/jobs/${key.split('/').map(encodeURIComponent).join('/')}`;
export const runPath = (key: JobKey, run: string): string => `${jobPath(key)}/runs/${encodeURIComponent(run)}`;

/** A deleted job may come back with version 1, so the incarnation is part of the tag. */
export const etagOf = ({ incarnation, version }: { incarnation: number; version: number }): string =>
  `"${incarnation}.${version}"`;

export function kindOf(job: Job): JobResource['kind'] {
  if (job.service) return 'service';
  if (job.parents !== undefined) return 'dependent';
  return job.schedules.length > 0 ? 'recurring' : 'once';
}

export function stateOf(view: JobView): JobResource['state'] {
  if (view.quarantined !== undefined) return 'quarantined';
  if (view.record.deleting === true) return 'deleting';
  const { runs } = view;
  if (runs.some(run => runState(run) === 'running')) return 'running';
  if (runs.length > 0 || (view.trigger?.waiting.length ?? 0) > 0) return 'waiting';
  if (!view.record.job.enabled) return 'disabled';
  return view.trigger?.paused === undefined ? 'idle' : 'paused';
}

/** The canonical document in a form that can be submitted again: a service may not be told when to give up. */
export function documentOf(job: Job): Record<string, unknown> {
  if (!job.service) return job;
  const { max_task_failures: _, ...rest } = job;
  return rest;
}

const children_shown_max = 100;

/** `remaining`: runs that finite schedules have left, by schedule id. `children`: who follows it. */
export function jobResource(
  view: JobView,
  remaining?: Readonly<Record<string, number>>,
  children: readonly JobKey[] = [],
): JobResource {
  const { key, record, tally, trigger } = view;
  const path = jobPath(key);
  return present({
    key,
    version: record.version,
    etag: etagOf(record),
    created_at: iso(record.created_at),
    updated_at: iso(record.updated_at),
    kind: kindOf(record.job),
    state: stateOf(view),
    next_at: isoOf(view.next_at),
    active_runs: view.runs.length,
    children: children.length === 0 ? undefined : children.slice(0, children_shown_max),
    waiting_starts: trigger?.waiting.length ?? 0,
    tally: present({
      successes: tally?.successes ?? 0,
      failures: tally?.failures ?? 0,
      failures_since_success: tally?.failures_since_success ?? 0,
      last_success_at: isoOf(tally?.last_success_at),
      last_failure_at: isoOf(tally?.last_failure_at),
    }),
    remaining,
    paused: trigger?.paused === undefined ? undefined : { ...trigger.paused, since: iso(trigger.paused.since) },
    backfills: trigger?.backfills?.map(({ places: _, ...one }) =>
      present({
        ...one,
        from: iso(one.from),
        to: iso(one.to),
        since: iso(one.since),
        over_at: isoOf(one.over_at),
      }),
    ),
    update: view.update === undefined ? undefined : { id: view.update.id, status: view.update.status },
    quarantined: view.quarantined,
    origin: record.origin?.dialect,
    job: documentOf(record.job),
    links: {
      self: path,
      runs: `${path}/runs`,
      outcomes: `${path}/outcomes`,
      ...(record.job.parents === undefined ? {} : { tokens: `${path}/tokens` }),
    },
  });
}

/** Instances of a running run come first to mind: one that runs, or whose work goes on elsewhere, makes the run run. */
export function runState({ record, instances }: RunView): 'pending' | 'running' | 'killing' {
  if (record.killing !== undefined) return 'killing';
  const runs = instances.some(({ record: { status } }) => status === 'running' || status === 'awaiting');
  return runs ? 'running' : 'pending';
}

/** `waits`: why an instance waits, in words. */
export function liveRun(
  key: JobKey,
  view: RunView,
  waits: (instance: string) => string | undefined,
  reports: Pick<TaskReports, 'of'>,
): RunResource {
  const { record } = view;
  const starts = view.instances.flatMap(({ record: one }) =>
    'started_at' in one && one.started_at !== undefined ? [one.started_at] : [],
  );
  return present({
    run: record.run,
    job: key,
    state: runState(view),
    cause: causeOf(record.cause),
    created_at: iso(record.created_at),
    started_at: starts.length > 0 ? iso(starts.reduce((a, b) => Math.min(a, b))) : undefined,
    killed_by: record.killing?.by,
    instance_count: record.instances - sizeOf(record.without),
    instances: view.instances.map(({ key: instance, index, task_id, record: one }) => {
      const common = { index, attempt: one.attempt, failures: one.failures, since: iso(one.since), task_id };
      const links = logLinks(key, record.run, index);
      switch (one.status) {
        case 'pending':
          return present({
            ...common,
            state: one.status,
            not_before: isoOf(one.not_before),
            pending_reason: waits(instance),
            links,
          });
        case 'over':
          return present({
            ...common,
            state: one.outcome,
            agent_id: one.agent_id,
            hostname: one.hostname,
            reason: one.reason,
            links,
          });
        default:
          return present({
            ...common,
            state: one.status,
            agent_id: one.agent_id,
            hostname: one.hostname,
            ports: one.ports,
            task: task_id === undefined ? undefined : taskReport(reports.of(task_id)),
            started_at: isoOf(one.started_at),
            snooze: snoozeResource(one.snooze),
            links,
          });
      }
    }),
    links: { self: runPath(key, record.run) },
  });
}

function snoozeResource(snooze: Snooze | undefined): RunResource['instances'][number]['snooze'] {
  if (snooze === undefined) return undefined;
  const { by, since, until, over, heard } = snooze;
  return present({ by, since: iso(since), until: isoOf(until), over, heard: heard === true });
}

/** The same with instants as people read them. Its ports are the instance's. */
function taskReport(report: ReturnType<TaskReports['of']>): RunResource['instances'][number]['task'] {
  if (report === undefined) return undefined;
  const { heard_at, stage, processes, health } = report;
  return present({
    heard_at: iso(heard_at),
    stage,
    processes: processes.map(one => present({ ...one, since: isoOf(one.since) })),
    health:
      health === undefined
        ? undefined
        : present({
            ...health,
            snoozed_since: isoOf(health.snoozed_since),
            snoozed_until: isoOf(health.snoozed_until),
            history: health.history.map(one => ({ ...one, at: iso(one.at) })),
          }),
  });
}

export function finishedRun(key: JobKey, row: FinishedRun): RunResource {
  return present({
    run: row.run,
    job: key,
    state: row.outcome,
    cause: causeOf(row.cause),
    created_at: iso(row.created_at),
    started_at: isoOf(row.started_at),
    ended_at: iso(row.ended_at),
    killed_by: row.by,
    instance_count: row.instances,
    instances: row.results.map(({ index, attempts, failures, outcome, reason, agent_id, hostname, result }) =>
      present({
        index,
        state: outcome,
        attempt: attempts,
        failures,
        task_id: attempts > 0 ? taskId(`${key}/${row.run}/${index}`, attempts) : undefined,
        agent_id,
        hostname,
        reason,
        result,
        links: logLinks(key, row.run, index),
      }),
    ),
    links: { self: runPath(key, row.run) },
  });
}

/** A start that waits for an active run to end. */
export function waitingRun(key: JobKey, start: WaitingStart, instances: number): RunResource {
  return {
    run: start.run,
    job: key,
    state: 'waiting',
    cause: causeOf(start.cause),
    created_at: iso(start.since),
    instance_count: instances,
    instances: [],
    links: { self: runPath(key, start.run) },
  };
}

function causeOf(cause: Cause): RunResource['cause'] {
  if (cause.type === 'dependency') {
    const parents = cause.parents.map(one => ({ ...one, at: iso(one.at) }));
    return { ...cause, at: iso(cause.at), parents };
  }
  return cause.type === 'target' || cause.type === 'backfill' ? { ...cause, at: iso(cause.at) } : cause;
}

function logLinks(key: JobKey, run: string, index: number): Record<string, string> {
  const path = `${runPath(key, run)}/logs/${index}`;
  return { stdout: `${path}/stdout`, stderr: `${path}/stderr` };
}

export function outcomeResource(row: OutcomeRow): OutcomeResource {
  return { ...row, from: iso(row.from), to: iso(row.to), decided_at: iso(row.decided_at) };
}
