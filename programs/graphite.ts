// graphite.ts: what a Graphite server is told, out of the settings: the figures of this node, and of jobs if it leads.

import type { Views } from '../actors/model/views.ts';
import { chronosName } from '../transport/http/chronos/document.ts';
import { figuresIn } from '../transport/http/routes/statistics.ts';
import { type Graphite, openGraphite } from '../transport/metrics/graphite.ts';
import { type JobFigures, linesOfJob, linesOfSample, onePart, prefixOf } from '../transport/metrics/graphite-lines.ts';
import type { Ground } from './start.ts';

const jobs_per_piece = 200;

/** undefined where nobody wants it. `node`: left out where there is one alone. */
export function tellGraphite(
  { settings, clock, metrics, logs }: Ground,
  views: Pick<Views, 'jobs'>,
  node?: { readonly id: string; readonly leads: () => boolean },
): Graphite | undefined {
  if (settings.graphite === undefined) return undefined;
  const { host, port } = settings.graphite;
  const prefix = prefixOf(settings.graphite_prefix);
  const own = node === undefined ? prefix : `${prefix}${onePart(node.id)}.`;
  return openGraphite({
    host,
    port,
    interval_ms: settings.graphite_interval_ms,
    timeout_ms: settings.graphite_timeout_ms,
    lines_max: settings.graphite_lines_max,
    *lines(seconds) {
      yield metrics.samples().flatMap(sample => linesOfSample(own, sample, seconds));
      if (node?.leads() === false) return;
      for (const jobs of figuresOfJobs(views)) yield jobs.flatMap(job => linesOfJob(prefix, job, seconds));
    },
    metrics,
    clock,
    log: logs.of('graphite'),
  });
}

/** Of jobs that have run. */
function* figuresOfJobs(views: Pick<Views, 'jobs'>): Generator<readonly JobFigures[]> {
  for (let after: string | undefined; ; ) {
    const page = views.jobs(jobs_per_piece, after);
    yield page.flatMap(({ key, tally }) => {
      const { successes = 0, failures = 0 } = tally ?? {};
      if (successes + failures === 0) return [];
      return [{ name: chronosName(key), successes, failures, durations: figuresIn(tally) }];
    });
    if (page.length < jobs_per_piece) return;
    after = page.at(-1)!.key;
  }
}
