// metrics.ts: what Chronos measured, in the form in which it told it: counts and durations of every job, and its queues.
//
// For programs that ask /metrics for application/json; everybody else is given what Prometheus reads. Jobs are walked once for
// each part, a page at a time.

import type { JobView } from '../../../actors/model/views.ts';
import type { Exchange, streaming } from '../route.ts';
import { figuresIn } from '../routes/statistics.ts';
import { json_headers, streamed } from '../stream.ts';
import { pagesOf } from './answers.ts';
import { chronosName } from './document.ts';
import { isQueued } from './tasks.ts';

export const wantsChronos = ({ request }: Exchange): boolean =>
  /^application\/json\b/i.test(String(request.headers.accept ?? '').trim());

export function chronosMetrics(exchange: Exchange): Promise<typeof streaming> {
  return streamed(exchange, json_headers, written(exchange));
}

/** The version is that of the form. */
function* written(exchange: Exchange): Generator<string> {
  const queues = { queueSize: 0, highQueueSize: 0 };
  for (const page of pagesOf(exchange)) {
    for (const view of page) {
      const queued = view.runs.filter(isQueued).length + (view.trigger?.waiting.length ?? 0);
      queues[view.record.job.priority > 0 ? 'highQueueSize' : 'queueSize'] += queued;
    }
    yield '';
  }
  const gauges = Object.fromEntries(Object.entries(queues).map(([name, value]) => [name, { value }]));
  yield `{"version":"3.0.0","gauges":${JSON.stringify(gauges)},"counters":{`;
  yield* entries(exchange, view => [
    [`jobs.run.success.${chronosName(view.key)}`, { count: view.tally?.successes ?? 0 }],
    [`jobs.run.failure.${chronosName(view.key)}`, { count: view.tally?.failures ?? 0 }],
  ]);
  yield '},"histograms":{';
  yield* entries(exchange, view => {
    const figures = figuresIn(view.tally);
    if (figures === undefined) return [];
    const { count, max_ms, mean_ms, p50_ms, p75_ms, p95_ms, p98_ms, p99_ms } = figures;
    const told = { count, max: max_ms, mean: mean_ms, p50: p50_ms, p75: p75_ms, p95: p95_ms, p98: p98_ms, p99: p99_ms };
    return [[`jobs.run.time.${chronosName(view.key)}`, told]];
  });
  yield '},"meters":{},"timers":{}}';
}

function* entries(
  exchange: Exchange,
  of: (view: JobView) => readonly (readonly [string, object])[],
): Generator<string> {
  let separator = '';
  for (const page of pagesOf(exchange)) {
    const texts = page.flatMap(of).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
    if (texts.length === 0) continue;
    yield separator + texts.join(',');
    separator = ',';
  }
}
