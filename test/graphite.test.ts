// graphite.test.ts: figures pushed to a Graphite server, which may be away, hang, or come back.

import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { tellGraphite } from '../programs/graphite.ts';
import { systemClock } from '../schedules/clock.ts';
import { defaultSettings } from '../settings.ts';
import { openLogs } from '../transport/logs.ts';
import { type Graphite, type GraphiteOptions, openGraphite } from '../transport/metrics/graphite.ts';
import { linesOfJob, linesOfSample, prefixOf } from '../transport/metrics/graphite-lines.ts';
import { createMetrics, type Metrics } from '../transport/metrics.ts';
import { startHorae } from './program/horae.ts';
import { freePort } from './support/free-port.ts';
import { tempDir } from './support/temp.ts';
import { until } from './support/until.ts';

/** A server of the plaintext protocol. */
async function carbon(t: ExecutionContext, port = 0) {
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  let reads = true;
  let server: Server;
  const listen = (on: number) =>
    new Promise<number>(resolve => {
      server = createServer(socket => {
        sockets.add(socket);
        let rest = '';
        socket.setEncoding('utf8').on('error', () => undefined);
        if (reads)
          socket.on('data', (text: string) => {
            const parts = (rest + text).split('\n');
            rest = parts.pop()!;
            lines.push(...parts);
          });
      });
      server.listen(on, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
  const taken = await listen(port);
  const kill = () =>
    new Promise<void>(resolve => {
      server.close(() => resolve());
      for (const socket of sockets) socket.resetAndDestroy();
      sockets.clear();
    });
  t.teardown(kill);
  return {
    lines,
    port: taken,
    kill,
    /** On the same port. `hangs`: takes connections, and reads nothing. */
    start: async (how: 'reads' | 'hangs' = 'reads') => {
      reads = how === 'reads';
      await listen(taken);
    },
  };
}

function open(t: ExecutionContext, options: Partial<GraphiteOptions> & Pick<GraphiteOptions, 'port' | 'lines'>) {
  const metrics = createMetrics();
  const said: string[] = [];
  const note = (_: object, text: string) => void said.push(text);
  const log = { info: note, warn: note, error: note };
  const graphite: Graphite = openGraphite({
    host: '127.0.0.1',
    interval_ms: 100,
    lines_max: 1_000,
    timeout_ms: 200,
    metrics,
    clock: systemClock(),
    log,
    ...options,
  });
  t.teardown(() => graphite.close());
  return { metrics, said, graphite };
}
const total = (metrics: Metrics, what: 'sent' | 'dropped') =>
  metrics.value('horae_graphite_lines_total', { what }) ?? 0;
const waiting = (metrics: Metrics) => {
  metrics.text();
  return metrics.value('horae_graphite_lines_waiting') ?? 0;
};

test('a metric is a path: its name, then its labels, each as one name that Graphite can keep', t => {
  const lines = (labels: string[], name = 'horae_calls_total') =>
    linesOfSample('prod.', { name, labels, value: 3 }, 1_700_000_000);
  t.deepEqual(lines([]), ['prod.horae_calls_total 3 1700000000\n']);
  t.deepEqual(lines(['/api/v1/jobs/:role', 'a b\n', '', '..']), [
    'prod.horae_calls_total.api_v1_jobs_:role.a-b._._ 3 1700000000\n',
  ]);
  t.deepEqual(linesOfSample('', { name: 'x', labels: [], value: Number.NaN }, 1), ['']);
  t.deepEqual([prefixOf(''), prefixOf('a.b'), prefixOf('.a..b.')], ['', 'a.b.', 'a.b.']);
});

test('a histogram is its count, its sum, and what lies below each bound', t => {
  const metrics = createMetrics();
  for (const value of [0.0004, 0.3, 0.4, 9_999]) metrics.record('horae_start_lag_seconds', undefined, value);
  const sample = metrics.samples().find(({ name }) => name === 'horae_start_lag_seconds')!;
  const lines = linesOfSample('', sample, 1);
  for (const line of ['count 4', 'sum 9999.7004', 'below.0_0005 1', 'below.0_25 1', 'below.0_5 3', 'below.3600 3'])
    t.true(lines.includes(`horae_start_lag_seconds.${line} 1\n`), `${line}: ${lines}`);
});

test('figures of a job have the paths that Chronos gave them', t => {
  const durations = { count: 5, max_ms: 9, mean_ms: 4, p50_ms: 3, p75_ms: 6, p95_ms: 7, p98_ms: 8, p99_ms: 9 };
  t.deepEqual(linesOfJob('p.', { name: 'nightly sales', successes: 4, failures: 1, durations }, 7), [
    'p.jobs.run.success.nightly-sales.count 4 7\n',
    'p.jobs.run.failure.nightly-sales.count 1 7\n',
    ...Object.entries({ count: 5, max: 9, mean: 4, p50: 3, p75: 6, p95: 7, p98: 8, p99: 9 }).map(
      ([figure, value]) => `p.jobs.run.time.nightly-sales.${figure} ${value} 7\n`,
    ),
  ]);
  const [native] = linesOfJob('', { name: 'www/prod/a b', successes: 1, failures: 0, durations: undefined }, 7);
  t.is(native, 'jobs.run.success.www.prod.a-b.count 1 7\n');
});

test('a server that is killed and comes back has every line since, those of the broken connection too', async t => {
  const server = await carbon(t);
  let n = 0;
  const lines = function* () {
    n++;
    yield [`turn.${n} 1 1\n`, `again.${n} 1 1\n`];
  };
  const { metrics, said } = open(t, { port: server.port, lines });
  await until('some turns', () => server.lines.length >= 6);
  const before = server.lines.length;
  await server.kill();
  const at = n;
  await until('turns without a server', () => n > at + 3);
  t.is(server.lines.length, before);
  await until('the lines that wait', () => waiting(metrics) >= 6);
  await server.start();
  await until('what waited', () => server.lines.length >= before + 10);
  const got = new Set(server.lines);
  for (let turn = 1; turn <= at + 3; turn++)
    for (const what of ['turn', 'again']) t.true(got.has(`${what}.${turn} 1 1`), `${what}.${turn}`);
  t.deepEqual(said, ['Graphite takes nothing: figures wait, and the oldest go', 'Graphite is there again']);
  t.is(total(metrics, 'dropped'), 0);
  await until('what was sent to be counted', () => total(metrics, 'sent') >= 2 * at);
});

test('while the server is away only so many lines are kept: the newest, and the others are counted', async t => {
  const port = await freePort();
  let n = 0;
  const lines = function* () {
    n++;
    for (let piece = 0; piece < 3; piece++)
      yield Array.from({ length: 100 }, (_, each) => `a.${n}.${piece}.${each} 1 1\n`);
  };
  const { metrics } = open(t, { port, lines, lines_max: 400 });
  await until('more than may wait', () => n >= 5);
  t.true(waiting(metrics) <= 400);
  t.true(total(metrics, 'dropped') >= 3 * 300);
  t.is(total(metrics, 'sent'), 0);
  const server = await carbon(t, port);
  await until('the newest', () => server.lines.length >= 400);
  t.false(server.lines.includes('a.1.0.0 1 1'));
});

test('a server that takes connections and reads nothing costs no more than that', async t => {
  const server = await carbon(t);
  await server.kill();
  await server.start('hangs');
  const long = 'x'.repeat(1_000);
  let n = 0;
  const lines = function* () {
    n++;
    // More than the buffers of both sides take.
    for (let piece = 0; piece < 10; piece++)
      yield Array.from({ length: 1_000 }, (_, each) => `a.${n}.${each}.${long} 1 1\n`);
  };
  const { metrics, said } = open(t, { port: server.port, lines, lines_max: 15_000 });
  await until('lines to be dropped', () => total(metrics, 'dropped') >= 10_000);
  await until('word of it', () => said.includes('Graphite takes nothing: figures wait, and the oldest go'));
  t.true(waiting(metrics) <= 15_000);
});

test('figures that cannot be gathered are said, and the next ones come', async t => {
  const server = await carbon(t);
  let n = 0;
  const lines = function* () {
    yield [`before.${++n} 1 1\n`];
    if (n === 1) throw new Error('no figure');
    yield [`after.${n} 1 1\n`];
  };
  const { said } = open(t, { port: server.port, lines });
  await until('the next', () => server.lines.includes('after.2 1 1'));
  t.true(server.lines.includes('before.1 1 1'));
  t.deepEqual(said, ['figures for Graphite could not be gathered: the rest of them is left out']);
});

test('of several nodes each puts its id before its own figures, and the one that leads sends those of jobs', async t => {
  const server = await carbon(t);
  const tally = { successes: 3, failures: 0, failures_since_success: 0 };
  const views = { jobs: () => [{ key: 'www/prod/hello', tally }] } as unknown as Parameters<typeof tellGraphite>[1];
  for (const [id, leads] of [
    ['node1.example.com:8080', true],
    ['node2.example.com:8080', false],
  ] as const) {
    const ground = {
      settings: { ...defaultSettings(), graphite: { host: '127.0.0.1', port: server.port }, graphite_prefix: 'p' },
      clock: systemClock(),
      metrics: createMetrics(),
      logs: openLogs('error', 0, { write: () => undefined }),
    } as unknown as Parameters<typeof tellGraphite>[0];
    const graphite = tellGraphite(ground, views, { id, leads: () => leads })!;
    t.teardown(() => graphite.close());
  }
  const of = (path: string) => server.lines.filter(line => line.startsWith(path)).length;
  await until(
    'both',
    () => of('p.node1_example_com:8080.horae_jobs ') + of('p.node2_example_com:8080.horae_jobs ') === 2,
  );
  await until('the job', () => of('p.jobs.run.success.www.prod.hello.count 3 ') > 0);
  t.is(of('p.jobs.run.success.'), 1, 'by one of them');
});

test('the whole program tells Graphite what it measures, and the figures of its jobs', async t => {
  const server = await carbon(t);
  const { api } = await startHorae(t, join(await tempDir(t), 'data'), [
    ...['--graphite_host_port', `127.0.0.1:${server.port}`, '--graphite_group_prefix', 'prod'],
    ...['--graphite-interval-ms', '200'],
  ]);
  const made = await api.request('POST', '/v1/scheduler/iso8601', {
    ...{ name: 'nightly', command: 'true', schedule: 'R1//PT1H', epsilon: 'PT1M', owner: 'a@example.com' },
    ...{ cpus: 0.1, mem: 32 },
  });
  t.is(made.status, 204, made.text);
  const at = (path: string) =>
    server.lines
      .filter(line => line.startsWith(`${path} `))
      .at(-1)
      ?.split(' ');
  await until('its run', () => at('prod.jobs.run.success.nightly.count')?.[1] === '1');
  await until('how long it took', () => Number(at('prod.jobs.run.time.nightly.p99')?.[1]) > 0);
  await until('a gauge of ours', () => at('prod.horae_jobs')?.[1] === '1');
  const [, , seconds] = at('prod.horae_jobs')!;
  t.true(Math.abs(Number(seconds) - systemClock().now() / 1_000) < 60);
  for (const line of server.lines) t.regex(line, /^[A-Za-z0-9_.:#%=+-]+ -?\d+(\.\d+)?(e[+-]\d+)? \d{10}$/, line);
});
