// reports.ts: who else hears what Mesos says: where agents are, and how tasks of processes fare.

import { hasExecutor } from '../actors/model/processes.ts';
import type { Attempted, InstanceRecord } from '../actors/model/records.ts';
import type { TaskReports, Views } from '../actors/model/views.ts';
import type { Event, MesosLink } from '../mesos/protocol.ts';
import { type HearingReports, hearReports, report_question } from '../mesos/task-reports.ts';
import type { Ground } from './start.ts';

/** About 1 KB each. */
const reports_max = 20_000;

export function openReports({ clock, metrics }: Pick<Ground, 'clock' | 'metrics'>): HearingReports {
  const reports = hearReports(clock.now, reports_max);
  metrics.collect(() => {
    for (const [health, count] of Object.entries(reports.counts()))
      metrics.record('horae_task_health', { health }, count);
  });
  return reports;
}

/** It has begun and is not over: somebody can be asked about it. */
const isThere = (at: InstanceRecord): at is Extract<InstanceRecord, Attempted> =>
  at.status !== 'pending' && at.status !== 'assigned' && at.status !== 'awaiting' && at.status !== 'over';

type Listener = { readonly heard: (events: readonly Event[]) => void };

/** A link whose events pass by others first. */
export function heardBy(link: MesosLink, listeners: readonly Listener[]): MesosLink {
  return {
    subscribe: (request, listener) =>
      link.subscribe(request, {
        ...listener,
        events(events) {
          for (const one of listeners) one.heard(events);
          listener.events(events);
        },
      }),
    call: call => link.call(call),
    close: () => link.close(),
  };
}

export type Asking = {
  readonly reports: Pick<TaskReports, 'of'>;
  readonly views: Views;
  /** When this reign began: what was heard in an earlier one may be other by now. */
  readonly begun_at: number;
  /** When the views know everybody who runs. */
  readonly caught_up: Promise<void>;
};

/**
 * A link that, once Mesos has us, asks the executors of whom nothing has been heard in this reign how their tasks are: they
 * speak when something changes, and what they said was said to the scheduler before us.
 */
export function askingLink(link: MesosLink, { reports, views, begun_at, caught_up }: Asking): MesosLink {
  const isHeard = (task_id: string) => (reports.of(task_id)?.heard_at ?? Number.NEGATIVE_INFINITY) >= begun_at;
  const unheard = () => {
    const found: { readonly task_id: string; readonly agent_id: string }[] = [];
    for (let after: string | undefined; found.length < reports_max; ) {
      const page = views.jobs(jobs_per_page, after);
      for (const { record, runs } of page)
        for (const run of runs) {
          if (!hasExecutor(run.record.job ?? record.job)) continue;
          for (const { task_id, record: at } of run.instances)
            if (task_id !== undefined && isThere(at) && !isHeard(task_id))
              found.push({ task_id, agent_id: at.agent_id });
        }
      after = page.at(-1)?.key;
      if (page.length < jobs_per_page) break;
    }
    return found;
  };
  const ask = async () => {
    await caught_up;
    // Like all messages of Mesos it may get lost; then the next change tells.
    for (const { task_id, agent_id } of unheard())
      void link.call({
        type: 'MESSAGE',
        message: { agent_id: { value: agent_id }, executor_id: { value: task_id }, data: report_question },
      });
  };
  return {
    subscribe: (request, listener) =>
      link.subscribe(request, {
        ...listener,
        events(events) {
          listener.events(events);
          if (events.some(({ type }) => type === 'SUBSCRIBED')) void ask();
        },
      }),
    call: call => link.call(call),
    close: () => link.close(),
  };
}
const jobs_per_page = 1_000;
