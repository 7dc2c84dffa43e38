// reports.ts: who else hears what Mesos says: where agents are, and how tasks of processes fare.

import type { Event, MesosLink } from '../mesos/protocol.ts';
import { type HearingReports, hearReports } from '../mesos/task-reports.ts';
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
