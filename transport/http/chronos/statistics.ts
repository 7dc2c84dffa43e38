// statistics.ts: how long jobs take and what became of their tasks, as Chronos told it.
//
// It needed Cassandra for the second, and forgot the first with every restart. Durations are those of runs that succeeded, from
// the first process to the end: to Chronos, the time in the queue was part of them. Instants are UTC, in the form that its page
// could show.

import { setImmediate as turn } from 'node:timers/promises';
import type { Figures } from '../../../actors/model/durations.ts';
import { parseTaskId, splitInstanceKey } from '../../../actors/model/ids.ts';
import type { Cause } from '../../../actors/model/reasons.ts';
import type { FinishedAttempt } from '../../../actors/model/records.ts';
import type { JobView } from '../../../actors/model/views.ts';
import type { Exchange, Reply } from '../route.ts';
import { figuresIn } from '../routes/statistics.ts';
import { jobOf, pagesOf } from './answers.ts';
import { chronosName, isDataJob } from './document.ts';
import { nameOfTask } from './tasks.ts';

export function ofJob(exchange: Exchange): Reply {
  const view = jobOf(exchange);
  const figures = figuresIn(view.tally);
  const histogram = Object.fromEntries(
    Object.entries(measures).map(([name, of]) => [name, figures === undefined ? 0 : of(figures)]),
  );
  return { status: 200, body: { histogram, taskStatHistory: historyOf(exchange, view) } };
}

/** Jobs, those that take longest first, in seconds. What nobody measures is asked for in vain, as it was. */
export async function slowest(exchange: Exchange): Promise<Reply> {
  const { percentile = '' } = exchange.params;
  const of = Object.hasOwn(measures, percentile) ? measures[percentile] : undefined;
  if (of === undefined) return { status: 200, body: [] };
  const found: { readonly jobNameLabel: string; readonly time: number }[] = [];
  for (const page of pagesOf(exchange)) {
    for (const { key, tally } of page) {
      const figures = figuresIn(tally);
      if (figures === undefined) continue;
      const value = of(figures);
      found.push({ jobNameLabel: chronosName(key), time: percentile === 'count' ? value : value / 1_000 });
    }
    await turn();
  }
  found.sort((a, b) => b.time - a.time || (a.jobNameLabel < b.jobNameLabel ? -1 : 1));
  return { status: 200, body: found };
}

/** Milliseconds, and how many runs there were. Chronos's mean was the median. */
const measures: Readonly<Record<string, (figures: Figures) => number>> = {
  '75thPercentile': ({ p75_ms }) => p75_ms,
  '95thPercentile': ({ p95_ms }) => p95_ms,
  '98thPercentile': ({ p98_ms }) => p98_ms,
  '99thPercentile': ({ p99_ms }) => p99_ms,
  median: ({ p50_ms }) => p50_ms,
  mean: ({ mean_ms }) => mean_ms,
  count: ({ count }) => count,
};

type Told = {
  readonly task_id: string;
  readonly attempt: number;
  readonly agent_id?: string;
  readonly started_at?: number;
  readonly ended_at?: number;
  readonly status: 'Success' | 'Fail' | 'Running' | 'Idle';
  readonly elements?: number;
};

/** Those that began last first, tasks that live among them. */
function historyOf({ services }: Exchange, view: JobView): readonly object[] {
  const { views, history, chronos } = services;
  const live = view.runs.flatMap(({ instances }) =>
    instances.flatMap(({ task_id, record: at }): Told[] => {
      if (task_id === undefined || at.status === 'pending' || at.status === 'over') return [];
      const { attempt, agent_id, started_at, elements } = at;
      const known = { ...given({ started_at }), ...given({ elements }) };
      return [{ task_id, attempt, agent_id, ...known, status: started_at === undefined ? 'Idle' : 'Running' }];
    }),
  );
  const { rows } = history.page('finished-attempt', `${view.key}/`, chronos.history_limit);
  const over = rows.map(({ body }): Told => {
    const { outcome, ...row } = body as FinishedAttempt;
    return { ...row, status: outcome === 'finished' ? 'Success' : 'Fail' };
  });
  const began = ({ started_at, ended_at }: Told) => started_at ?? ended_at ?? Number.POSITIVE_INFINITY;
  const causes = new Map<string, { cause: Cause; created_at: number } | undefined>();
  const causeOf = (run: string) => {
    if (!causes.has(run)) causes.set(run, views.run(view.key, run)?.record ?? views.finished_run(view.key, run));
    return causes.get(run);
  };
  return [...live, ...over]
    .sort((a, b) => began(b) - began(a))
    .slice(0, chronos.history_limit)
    .map(one => {
      const instance = parseTaskId(one.task_id)?.instance;
      const run = instance === undefined ? undefined : causeOf(splitInstanceKey(instance).run);
      const { started_at, ended_at } = one;
      return {
        taskId: run === undefined ? one.task_id : nameOfTask(view, run, view.record.job, one.attempt),
        jobName: chronosName(view.key),
        slaveId: one.agent_id ?? '',
        startTime: written(started_at),
        endTime: written(ended_at),
        ...(started_at === undefined || ended_at === undefined ? {} : { duration: lasting(ended_at - started_at) }),
        status: one.status,
        ...(isDataJob(view) ? { numElementsProcessed: one.elements ?? 0 } : {}),
      };
    });
}

const given = <T extends object>(fields: T): Partial<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;

/** `03/08/14 16:57:17` */
function written(at: number | undefined): string {
  if (at === undefined) return 'N/A';
  const [, year, month, day, time] = /^\d*(\d\d)-(\d\d)-(\d\d)T(.{8})/.exec(new Date(at).toISOString()) ?? [];
  return `${month}/${day}/${year} ${time}`;
}

/** `1d2h3m4s`, without what is zero. */
export function lasting(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  return parts.flatMap(([amount, unit]) => (amount === 0 ? [] : [`${amount}${unit}`])).join('') || '0s';
}
