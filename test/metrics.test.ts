// metrics.test.ts: the registry of metrics and the text that Prometheus reads.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { registry } from '../transport/metrics/registry.ts';
import { collectProcess, createMetrics, metricsTable } from '../transport/metrics.ts';

test('a counter counts, by labels, and is written as Prometheus expects it', t => {
  const metrics = createMetrics();
  const ran = metrics.counter('horae_targets_total', { outcome: 'ran' });
  ran.add();
  ran.add(2);
  metrics.record('horae_targets_total', { outcome: 'missed' }, 5);
  const text = metrics.text();
  t.true(text.includes('\n# TYPE horae_targets_total counter\nhorae_targets_total{outcome="ran"} 3\n'));
  t.true(text.includes('\nhorae_targets_total{outcome="missed"} 5\n'));
  t.true(text.endsWith('\n'));
});

test('what has not happened yet is 0, not absent, where there are no labels', t => {
  t.true(createMetrics().text().includes('\nhorae_placements_total 0\n'));
});

test('a histogram has cumulative buckets, a sum and a count', t => {
  const metrics = createMetrics();
  const lag = metrics.histogram('horae_start_lag_seconds');
  for (const seconds of [0.0004, 0.003, 0.003, 7_200]) lag.observe(seconds);
  const text = metrics.text();
  t.true(text.includes('horae_start_lag_seconds_bucket{le="0.0005"} 1\n'));
  t.true(text.includes('horae_start_lag_seconds_bucket{le="0.0025"} 1\n'));
  t.true(text.includes('horae_start_lag_seconds_bucket{le="0.005"} 3\n'));
  t.true(text.includes('horae_start_lag_seconds_bucket{le="3600"} 3\n'));
  t.true(text.includes('horae_start_lag_seconds_bucket{le="+Inf"} 4\n'));
  t.true(text.includes('horae_start_lag_seconds_count 4\n'));
  t.is(metrics.value('horae_start_lag_seconds'), 4);
});

test('label values are escaped, so that no value can forge a line', t => {
  const metrics = createMetrics();
  metrics.counter('horae_runs_total', { outcome: 'a"b\\c\nhorae_jobs 7' }).add();
  t.true(metrics.text().includes('horae_runs_total{outcome="a\\"b\\\\c\\nhorae_jobs 7"} 1\n'));
});

test('endless label values end in "other", and memory does not grow with them', t => {
  const metrics = createMetrics();
  for (let n = 0; n < 3_000; n++) metrics.record('horae_vetoes_total', { code: `c${n}` }, 1);
  const lines = metrics
    .text()
    .split('\n')
    .filter(line => line.startsWith('horae_vetoes_total{'));
  t.true(lines.length <= 1_001);
  t.is(metrics.value('horae_vetoes_total', { code: 'other' }), 2_000);
});

test('a name or a label that the registry lacks is an error', t => {
  const metrics = createMetrics();
  t.throws(() => metrics.record('horae_jbos', undefined, 1), { message: /unknown metric "horae_jbos"/ });
  t.throws(() => metrics.record('horae_runs_total', { result: 'x' }, 1), { message: /expected \{outcome\}/ });
  t.throws(() => metrics.record('horae_runs_total', { outcome: 'x' }, -1), { message: /expected 0 or more/ });
});

test('collectors are asked at each scrape, and the process speaks of itself', t => {
  const metrics = createMetrics();
  let jobs = 3;
  metrics.collect(() => metrics.gauge('horae_jobs').set(jobs++));
  const stop = collectProcess(metrics, '1.2.3');
  t.true(metrics.text().includes('\nhorae_jobs 3\n'));
  const text = metrics.text();
  t.true(text.includes('\nhorae_jobs 4\n'));
  t.regex(text, /\nprocess_resident_memory_bytes [1-9]\d+\n/);
  t.regex(text, /\nhorae_build_info\{version="1\.2\.3",node="v\d+/);
  t.notRegex(text, /NaN|undefined/);
  stop();
});

test('every metric stands in the table, with words that say what it is', t => {
  const table = metricsTable();
  for (const [name, { help, type }] of Object.entries(registry)) {
    t.true(table.includes(`| \`${name}\` | ${type} |`));
    t.true(help.endsWith('.'), name);
    t.is(type === 'counter', name.endsWith('_total'), `${name}: counters, and only they, end in _total`);
  }
});

test('everything that the actors count stands in the registry, with the labels that it is counted by', t => {
  const folder = join(import.meta.dirname, '..', 'actors');
  const counted = (readdirSync(folder, { recursive: true }) as string[])
    .filter(name => name.endsWith('.ts'))
    .flatMap(name => [
      ...readFileSync(join(folder, name), 'utf8').matchAll(/count\(\s*'(horae_\w+)'(?:,\s*(\{[^}]*\}|undefined))?/g),
    ]);
  t.true(counted.length > 10);
  for (const [, name, labels = ''] of counted) {
    const declared = registry[name as keyof typeof registry];
    t.truthy(declared, name);
    const given = [...labels.matchAll(/(\w+)(?=\s*[:,}])/g)].map(([word]) => word);
    for (const label of declared?.labels ?? []) t.true(given.includes(label), `${name} is counted without ${label}`);
    if ((declared?.labels ?? []).length === 0) t.notRegex(labels, /\{/, `${name} has no labels`);
  }
});

test('ARCHITECTURE.md shows every metric', t => {
  const text = readFileSync(join(import.meta.dirname, '..', 'ARCHITECTURE.md'), 'utf8');
  for (const row of metricsTable().trim().split('\n')) t.true(text.includes(row), row);
});
