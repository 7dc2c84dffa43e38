// stage.ts: a console with nothing behind it: views that a test fills by hand, the feed on a real socket, a clock to move.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Packr, Unpackr } from 'msgpackr';
import { WebSocket } from 'ws';
import { type JobSubmission, readJob } from '../../actors/model/job.ts';
import type { FinishedRun, InstanceRecord, JobRecord, RunRecord } from '../../actors/model/records.ts';
import { sortable } from '../../actors/model/records.ts';
import type { FeedChange, PendingReason } from '../../actors/model/views.ts';
import { type SimulatedClock, simulatedClock } from '../../schedules/clock.ts';
import { createFeed, type Feed, type FeedInputs } from '../../transport/console/feed.ts';
import { consoleFile } from '../../transport/console/files.ts';
import type { ClusterFrame, JobFrame, LettersFrame, ListFrame, Watch } from '../../transport/console/messages.ts';
import type { History, HistoryPage } from '../../transport/journal/journal.ts';
import { createMetrics, type Metrics } from '../../transport/metrics.ts';
import { createProjection, type Projection } from '../../transport/projection.ts';
import { pendingOf } from '../support/pending.ts';
import type { Owner } from '../support/temp.ts';
import { until } from '../support/until.ts';

export const start = Date.UTC(2026, 4, 4, 9, 0, 0);

export type Stage = {
  readonly clock: SimulatedClock;
  readonly views: Projection;
  readonly feed: Feed;
  readonly metrics: Metrics;
  readonly port: number;
  readonly next_at: Map<string, number>;
  readonly pending: PendingReason[];
  readonly complaints: string[];
  commit(...changes: FeedChange[]): void;
  open(): Promise<Page>;
};
export type Page = {
  readonly ws: WebSocket;
  readonly frames: (ListFrame | JobFrame)[];
  /** What it was told of a cluster. */
  readonly leaders: ClusterFrame[];
  /** What it was told of letters. */
  readonly letters: LettersFrame[];
  /** The list as a page would show it, put together from all frames so far. */
  readonly list: {
    total: number;
    keys: readonly string[];
    rows: Map<string, Record<string, unknown>>;
    counters: Record<string, number>;
  };
  watch(watch: Watch): void;
  send(data: Buffer | string): void;
  /** Moves the clock until `probe` holds. */
  until<T>(what: string, probe: () => T): Promise<Exclude<T, undefined | false>>;
  readonly closed: Promise<{ code: number; reason: string }>;
};

export const list_watch = {
  watch: 'list',
  id: 1,
  search: '',
  filter: 'all',
  sort: 'key',
  descending: false,
  offset: 0,
  limit: 50,
} as const satisfies Watch;

export async function stage(
  t: Owner,
  options: {
    jobs?: readonly FeedChange[];
    sockets_max?: number;
    socket_frames_max?: number;
    sees?: (role: string) => boolean;
    nodes?: FeedInputs['nodes'];
  } = {},
): Promise<Stage> {
  const clock = simulatedClock(start);
  const history = memoryHistory();
  const next_at = new Map<string, number>();
  const pending: PendingReason[] = [];
  const complaints: string[] = [];
  const metrics = createMetrics();
  const views = createProjection({
    history,
    restored: options.jobs ?? [],
    nextAt: key => next_at.get(key),
    pending: pendingOf(pending),
  });
  const { sockets_max = 10, socket_frames_max = 1_000 } = options;
  const complain = (_: object, message: string) => void complaints.push(message);
  const log = { debug: () => undefined, warn: complain, error: complain };
  const limits = { sockets_max, socket_frames_max };
  const nodes = options.nodes === undefined ? {} : { nodes: options.nodes };
  const feed = createFeed({ views, clock, limits, metrics, log, ...nodes });
  const server = createServer((request, response) => {
    const file = consoleFile(request.url ?? '');
    if (file === undefined) return void response.writeHead(404).end();
    response
      .writeHead(200, { 'content-type': file.type, 'content-security-policy': "default-src 'self'" })
      .end(file.body);
  });
  server.on('upgrade', (request, socket, head) => feed.accept(request, socket, head, options.sees));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.teardown(() => {
    feed.close();
    clock.advanceTo(clock.now() + 1_000);
    server.close();
  });
  let position = 0;
  return {
    clock,
    views,
    feed,
    metrics,
    port,
    next_at,
    pending,
    complaints,
    commit(...changes) {
      for (const change of changes) history.keep(change);
      position += changes.length;
      views.commit(changes, position);
    },
    open: () => openPage(port, clock),
  };
}

async function openPage(port: number, clock: SimulatedClock): Promise<Page> {
  const packr = new Packr({ useRecords: false });
  const unpackr = new Unpackr({ useRecords: false });
  const ws = new WebSocket(`ws://127.0.0.1:${port}/api/v1/feed`);
  const frames: (ListFrame | JobFrame)[] = [];
  const leaders: ClusterFrame[] = [];
  const letters: LettersFrame[] = [];
  const list: Page['list'] = { total: -1, keys: [], rows: new Map(), counters: {} };
  ws.on('message', data => {
    const frame = unpackr.unpack(data as Buffer) as
      | ListFrame
      | JobFrame
      | ClusterFrame
      | LettersFrame
      | { type: 'beat' };
    if (frame.type === 'beat') return;
    if (frame.type === 'cluster') return void leaders.push(frame);
    if (frame.type === 'letters') return void letters.push(frame);
    frames.push(frame);
    if (frame.type !== 'list') return;
    if (frame.fresh === true) list.rows.clear();
    for (const row of frame.rows) list.rows.set(row.key, row);
    if (frame.total !== undefined) list.total = frame.total;
    if (frame.keys !== undefined) list.keys = frame.keys;
    if (frame.counters !== undefined) list.counters = frame.counters;
  });
  const closed = new Promise<{ code: number; reason: string }>(resolve =>
    ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  );
  await once(ws, 'open');
  return {
    ws,
    frames,
    leaders,
    letters,
    list,
    watch: watch => ws.send(packr.pack(watch)),
    send: data => ws.send(data),
    until: (what, probe) =>
      until(what, () => {
        clock.advanceTo(clock.now() + 50);
        return probe();
      }),
    closed,
  };
}

/** A history that is a sorted list: the contract of `page` and nothing else. */
function memoryHistory(): History & { keep(change: FeedChange): void } {
  const rows: FeedChange[] = [];
  const of = (kind: string, prefix: string) => rows.filter(row => row.kind === kind && row.key.startsWith(prefix));
  return {
    keep(change) {
      if (change.kind === 'finished-run' || change.kind === 'outcome') rows.push(change);
    },
    page(kind, prefix, limit, before): HistoryPage {
      const found = of(kind, prefix)
        .filter(row => before === undefined || row.key < before)
        .sort((a, b) => (a.key < b.key ? 1 : -1));
      const page = found.slice(0, limit).map(({ key, body }) => ({ key, body }));
      return found.length > limit ? { rows: page, next: page.at(-1)!.key } : { rows: page };
    },
    get: (kind, key) => rows.find(row => row.kind === kind && row.key === key)?.body,
    count: (kind, prefix) => of(kind, prefix).length,
  };
}

// --- records --------------------------------------------------------------------------------------------------------

export function job(key: string, more: Partial<JobSubmission> = {}, version = 1): FeedChange {
  const [role = '', environment = '', name = ''] = key.split('/');
  const read = readJob({ role, environment, name, command: 'true', ...more });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const body: JobRecord = { job: read.value, incarnation: 1, version, created_at: start, updated_at: start };
  return { kind: 'job', key, body };
}
export const gone = (kind: string, key: string): FeedChange => ({ kind, key, body: undefined });

export function run(key: string, id: string, instances = 1): FeedChange {
  const body: RunRecord = { run: id, cause: { type: 'once' }, instances, created_at: start };
  return { kind: 'run', key: `${key}/${id}`, body };
}

export function instance(key: string, id: string, index: number, status: 'pending' | 'running'): FeedChange {
  const common = { attempt: 1, failures: 0, since: start };
  const body: InstanceRecord =
    status === 'pending'
      ? { status, ...common }
      : { status, ...common, agent_id: 'a', hostname: 'host-1', version: 1, started_at: start };
  return { kind: 'instance', key: `${key}/${id}/${index}`, body };
}

export function finished(key: string, id: string, created_at = start): FeedChange {
  const body: FinishedRun = {
    run: id,
    cause: { type: 'once' },
    instances: 1,
    created_at,
    ended_at: created_at + 5,
    outcome: 'succeeded',
    results: [],
  };
  return { kind: 'finished-run', key: `${key}/${sortable(created_at)}/${id}`, body };
}
