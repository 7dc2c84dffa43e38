// graphite-lines.ts: figures as Graphite reads them, a line each: `path value seconds`.
//
// A path is a row of names with dots between. What Prometheus has as labels are further names behind that of the metric, in
// the order of the registry; of a histogram there are its count, its sum and what lies below each bound. The figures of a
// job have the paths that Chronos gave them, so that boards which were drawn for it go on: `jobs.run.time.NAME.p99`.

import type { Sample } from '../metrics.ts';

/** One figure of a job: `jobs.run.success`, and so on. */
export type JobFigures = {
  /** Its name in Chronos; else its key. */
  readonly name: string;
  readonly successes: number;
  readonly failures: number;
  readonly durations:
    | {
        readonly count: number;
        readonly max_ms: number;
        readonly mean_ms: number;
        readonly p50_ms: number;
        readonly p75_ms: number;
        readonly p95_ms: number;
        readonly p98_ms: number;
        readonly p99_ms: number;
      }
    | undefined;
};

/** The lines of one metric. `prefix` ends with a dot, or is empty. */
export function linesOfSample(prefix: string, { name, labels, value, histogram }: Sample, seconds: number): string[] {
  const path = `${prefix}${[name, ...labels.map(onePart)].join('.')}`;
  if (histogram === undefined) return [line(path, value, seconds)];
  const { sum, below } = histogram;
  return [
    line(`${path}.count`, value, seconds),
    line(`${path}.sum`, sum, seconds),
    ...below.map(([bound, count]) => line(`${path}.below.${onePart(String(bound))}`, count, seconds)),
  ];
}

export function linesOfJob(
  prefix: string,
  { name, successes, failures, durations }: JobFigures,
  seconds: number,
): string[] {
  const path = (figure: string) => `${prefix}jobs.run.${figure}.${asPath(name)}`;
  const lines = [
    line(`${path('success')}.count`, successes, seconds),
    line(`${path('failure')}.count`, failures, seconds),
  ];
  if (durations === undefined) return lines;
  const { count, max_ms, mean_ms, p50_ms, p75_ms, p95_ms, p98_ms, p99_ms } = durations;
  const told = { count, max: max_ms, mean: mean_ms, p50: p50_ms, p75: p75_ms, p95: p95_ms, p98: p98_ms, p99: p99_ms };
  for (const [figure, value] of Object.entries(told)) lines.push(line(`${path('time')}.${figure}`, value, seconds));
  return lines;
}

/** A prefix as it was given, ready to stand before a name. */
export const prefixOf = (given: string): string => (given === '' ? '' : `${asPath(given)}.`);

/** Graphite has no word for what is no number, and keeps what it is sent for ever. */
const line = (path: string, value: number, seconds: number): string =>
  Number.isFinite(value) ? `${path} ${value} ${seconds}\n` : '';

/** A text as one name of a path. */
export const onePart = (text: string): string => asPath(text).replaceAll('.', '_');

/** Each slash becomes a dot; what Graphite could take for the end of a path, or for a pattern, is put aside. */
function asPath(text: string): string {
  const clean = text
    .trim()
    .replaceAll('/', '.')
    .replace(/\s/g, '-')
    .replace(/[^A-Za-z0-9_.:#%=+-]/g, '_');
  return clean.replace(/^\.+|\.+$/g, '').replace(/\.{2,}/g, '.') || '_';
}
