// metrics.ts: numbers about the scheduler, and how Prometheus reads them.
//
// Counting must cost next to nothing, since it happens at every placement; reading may cost a little, since it happens
// every few seconds. So a caller holds on to a counter and adds to a plain number, and whatever can be asked for when it
// is wanted (how many jobs there are) is not counted at all but collected at the scrape.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Declaration, type LabelsOf, type MetricName, type NamesOf, registry } from './metrics/registry.ts';

export { metricsTable } from './metrics/registry.ts';

export interface Counter {
  add(amount?: number): void;
}
export interface Gauge {
  set(value: number): void;
  add(amount?: number): void;
}
export interface Histogram {
  observe(value: number): void;
}
/** Labels may be left out only where a metric has none. */
type Labelled<N extends MetricName> = keyof LabelsOf<N> extends never ? [] : [labels: LabelsOf<N>];

export interface Metrics {
  counter<N extends NamesOf<'counter'>>(name: N, ...labels: Labelled<N>): Counter;
  gauge<N extends NamesOf<'gauge'>>(name: N, ...labels: Labelled<N>): Gauge;
  histogram<N extends NamesOf<'histogram'>>(name: N, ...labels: Labelled<N>): Histogram;
  /**
   * The same with the name as data, as effects carry it: adds to a counter, sets a gauge, observes in a histogram.
   * Throws when the registry has no such metric, or other labels.
   */
  record(name: string, labels: Readonly<Record<string, string>> | undefined, value: number): void;
  /** `collector` is called at each scrape, before the text is written: it sets what is cheaper to ask than to count. */
  collect(collector: () => void): void;
  /** The present value of one series; undefined when it has never been touched. A histogram's value is its count. */
  value(name: MetricName, labels?: Readonly<Record<string, string>>): number | undefined;
  /** Prometheus text exposition, version 0.0.4. */
  text(): string;
  /** The same as data, for other forms. */
  samples(): readonly Sample[];
}

/** One series as it stands. `labels`: the values of its labels, in the order of the registry. */
export type Sample = {
  readonly name: string;
  readonly labels: readonly string[];
  /** Of a histogram, its count. */
  readonly value: number;
  /** `below`: how many were at most so much, for each bound. */
  readonly histogram?: { readonly sum: number; readonly below: readonly (readonly [number, number])[] };
};

/** Label sets of one metric beyond this many are counted together under `other`: labels must never eat the memory. */
const series_max = 1_000;
export const exposition_type = 'text/plain; version=0.0.4; charset=utf-8';

type Series = {
  readonly labels: string;
  readonly label_values: readonly string[];
  value: number;
  sum: number;
  readonly counts: number[] | undefined;
  readonly add: (amount?: number) => void;
  readonly set: (value: number) => void;
  readonly observe: (value: number) => void;
};

export function createMetrics(): Metrics {
  const families = new Map<string, Map<string, Series>>();
  const collectors: (() => void)[] = [];

  const seriesOf = (name: string, labels: Readonly<Record<string, string>> = {}): Series => {
    const declared = declarationOf(name);
    const given = Object.keys(labels);
    if (given.length !== declared.labels.length || !declared.labels.every(label => label in labels))
      throw new Error(`labels {${given}} of metric ${name}: expected {${declared.labels}}`);
    let family = families.get(name);
    if (family === undefined) {
      family = new Map();
      families.set(name, family);
    }
    const text = labelText(declared.labels, labels);
    const known = family.get(text);
    if (known !== undefined) return known;
    if (family.size >= series_max && declared.labels.some(label => labels[label] !== 'other'))
      return seriesOf(name, Object.fromEntries(declared.labels.map(label => [label, 'other'])));
    const made = series(
      declared,
      text,
      declared.labels.map(label => labels[label]!),
    );
    family.set(text, made);
    return made;
  };
  // Series without labels exist from the start, at 0: an alert on a rate needs the value before the first event.
  for (const [name, declared] of Object.entries(registry)) if (declared.labels.length === 0) seriesOf(name);

  return {
    counter: (name, ...[labels]) => seriesOf(name, labels),
    gauge: (name, ...[labels]) => seriesOf(name, labels),
    histogram: (name, ...[labels]) => seriesOf(name, labels),
    record(name, labels, value) {
      const one = seriesOf(name, labels);
      switch (declarationOf(name).type) {
        case 'counter':
          return one.add(value);
        case 'gauge':
          return one.set(value);
        case 'histogram':
          return one.observe(value);
      }
    },
    collect: collector => void collectors.push(collector),
    value(name, labels = {}) {
      const declared = declarationOf(name);
      return families.get(name)?.get(labelText(declared.labels, labels))?.value;
    },
    text() {
      for (const collector of collectors) collector();
      const lines: string[] = [];
      for (const [name, declared] of Object.entries(registry) as [string, Declaration][]) {
        const family = families.get(name);
        if (family === undefined) continue;
        lines.push(`# HELP ${name} ${escapeHelp(declared.help)}`, `# TYPE ${name} ${declared.type}`);
        for (const one of family.values()) write(lines, name, declared, one);
      }
      return `${lines.join('\n')}\n`;
    },
    samples() {
      for (const collector of collectors) collector();
      return Object.entries(registry as Readonly<Record<string, Declaration>>).flatMap(([name, declared]) =>
        [...(families.get(name)?.values() ?? [])].map(one => sampleOf(name, declared, one)),
      );
    },
  };
}

function sampleOf(name: string, { buckets }: Declaration, { label_values, value, sum, counts }: Series): Sample {
  const plain = { name, labels: label_values, value };
  if (counts === undefined || buckets === undefined) return plain;
  let upto = 0;
  const below = buckets.map((bound, bucket) => {
    upto += counts[bucket]!;
    return [bound, upto] as const;
  });
  return { ...plain, histogram: { sum, below } };
}

/** Sets, at each scrape, what the process and the event loop say of themselves. Returns the way to stop watching. */
export function collectProcess(metrics: Metrics, version: string): () => void {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const cpu = metrics.counter('process_cpu_seconds_total');
  const rss = metrics.gauge('process_resident_memory_bytes');
  const heap = metrics.gauge('nodejs_heap_used_bytes');
  const p50 = metrics.gauge('nodejs_eventloop_delay_p50_seconds');
  const p99 = metrics.gauge('nodejs_eventloop_delay_p99_seconds');
  const max = metrics.gauge('nodejs_eventloop_delay_max_seconds');
  metrics.gauge('horae_build_info', { version, node: process.version }).set(1);
  metrics.gauge('horae_start_time_seconds').set(Math.round(performance.timeOrigin) / 1000);
  let cpu_before = 0;
  metrics.collect(() => {
    const { user, system } = process.cpuUsage();
    const cpu_seconds = (user + system) / 1e6;
    cpu.add(cpu_seconds - cpu_before);
    cpu_before = cpu_seconds;
    const memory = process.memoryUsage();
    rss.set(memory.rss);
    heap.set(memory.heapUsed);
    // Without a sample yet the monitor says NaN or its largest number: there was no delay to speak of.
    const seconds = (ns: number) => (delay.count > 0 && Number.isFinite(ns) ? ns / 1e9 : 0);
    p50.set(seconds(delay.percentile(50)));
    p99.set(seconds(delay.percentile(99)));
    max.set(seconds(delay.max));
    delay.reset();
  });
  return () => delay.disable();
}

function declarationOf(name: string): Declaration {
  const declared = (registry as Readonly<Record<string, Declaration>>)[name];
  if (declared === undefined) throw new Error(`unknown metric "${name}": expected a name from metrics/registry.ts`);
  return declared;
}

function series(declared: Declaration, labels: string, label_values: readonly string[]): Series {
  const { buckets } = declared;
  const counts = buckets === undefined ? undefined : new Array<number>(buckets.length).fill(0);
  const one: Series = {
    labels,
    label_values,
    value: 0,
    sum: 0,
    counts,
    add(amount = 1) {
      if (declared.type === 'counter' && !(amount >= 0))
        throw new Error(`${amount} added to a counter: expected 0 or more`);
      one.value += amount;
    },
    set(value) {
      one.value = value;
    },
    observe(value) {
      one.value++;
      one.sum += value;
      for (let bucket = 0; bucket < buckets!.length; bucket++)
        if (value <= buckets![bucket]!) {
          counts![bucket]!++;
          return;
        }
    },
  };
  return one;
}

function write(lines: string[], name: string, declared: Declaration, one: Series): void {
  if (one.counts === undefined) {
    lines.push(`${name}${one.labels === '' ? '' : `{${one.labels}}`} ${one.value}`);
    return;
  }
  const before = one.labels === '' ? '' : `${one.labels},`;
  let below = 0;
  for (const [bucket, bound] of declared.buckets!.entries()) {
    below += one.counts[bucket]!;
    lines.push(`${name}_bucket{${before}le="${bound}"} ${below}`);
  }
  lines.push(`${name}_bucket{${before}le="+Inf"} ${one.value}`);
  const labels = one.labels === '' ? '' : `{${one.labels}}`;
  lines.push(`${name}_sum${labels} ${one.sum}`, `${name}_count${labels} ${one.value}`);
}

const labelText = (names: readonly string[], labels: Readonly<Record<string, string>>): string =>
  names.length === 0 ? '' : names.map(name => `${name}="${escapeLabel(labels[name]!)}"`).join(',');
const escapeLabel = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
const escapeHelp = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
