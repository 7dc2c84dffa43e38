// listing.ts: tens of thousands of jobs listed, in both of our tongues, while the scheduler goes on starting hundreds a second.
//
// The scheduler is a process of its own (listed.ts), asked over HTTP. First it is left alone for a while, then listed again and
// again: Chronos's list, which is one answer, and ours, page by page. How late tasks began is what their agents have recorded,
// minus the target. Memory is the scheduler's own, as the kernel has it; it grew by as much as its most with lists lies above
// its most without them. Last, somebody looks at the console, sorted so that every start moves a row.

import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { Packr, Unpackr } from 'msgpackr';
import { WebSocket } from 'ws';
import { quantile, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { jobs: 50_000, period_seconds: 150, lists: 5, seconds: 10 });
const page_rows = 1_000;
const look_ms = 20;

const server = fork(join(import.meta.dirname, 'listed.ts'), [options.jobs, options.period_seconds].map(String));
const ended = new Promise<never>((_, reject) =>
  server.once('exit', (status, signal) => reject(new Error(`the scheduler ended with ${status ?? signal}`))),
);
ended.catch(() => undefined);
await Promise.race([measure((await heard<{ url: string }>()).url), ended]);
server.disconnect();

async function measure(url: string): Promise<void> {
  await pass(2_000);
  const alone = await during(() => pass(options.seconds * 1_000));
  const chronos: Taken[] = [];
  const native: Taken[][] = [];
  const listed = await during(async () => {
    for (let n = 0; n < options.lists; n++) {
      chronos.push(await take(`${url}/v1/scheduler/jobs`));
      native.push(await takePages(url));
    }
  });
  const looked = await during(() => watched(url, options.seconds * 1_000));

  for (const list of chronos) expect(JSON.parse(list.text.toString()).length);
  for (const pages of native) expect(pages.reduce((sum, { text }) => sum + JSON.parse(text.toString()).jobs.length, 0));
  const first_bytes = (taken: readonly Taken[]) =>
    quantile(
      taken.map(one => one.first_byte_ms),
      1,
    );
  const whole = native.map(pages => pages.reduce((sum, one) => sum + one.whole_ms, 0));
  report(
    {
      name: 'listing',
      figures: {
        jobs: options.jobs,
        due_per_s: options.jobs / options.period_seconds,
        chronos_mb: chronos[0]!.text.length / 2 ** 20,
        chronos_first_byte_ms: first_bytes(chronos),
        chronos_whole_ms: quantile(
          chronos.map(one => one.whole_ms),
          0.5,
        ),
        chronos_whole_most_ms: quantile(
          chronos.map(one => one.whole_ms),
          1,
        ),
        native_first_byte_ms: first_bytes(native.flat()),
        native_whole_ms: quantile(whole, 0.5),
        native_whole_most_ms: quantile(whole, 1),
        rss_alone_mb: alone.rss_mb,
        rss_growth_mb: listed.rss_mb - alone.rss_mb,
        lag_p50_alone_ms: quantile(alone.lags_ms, 0.5),
        lag_p99_alone_ms: quantile(alone.lags_ms, 0.99),
        starts_while_listed: listed.lags_ms.length,
        lag_p50_ms: quantile(listed.lags_ms, 0.5),
        lag_p99_ms: quantile(listed.lags_ms, 0.99),
        console_frames: looked.result.frames,
        console_first_frame_ms: looked.result.first_ms,
        console_lag_p99_ms: quantile(looked.lags_ms, 0.99),
        console_rss_growth_mb: looked.rss_mb - alone.rss_mb,
      },
      floors: {
        chronos_first_byte_ms: { at_most: 50 },
        chronos_whole_most_ms: { at_most: 2_000 },
        native_first_byte_ms: { at_most: 50 },
        native_whole_most_ms: { at_most: 2_000 },
        rss_growth_mb: { at_most: 100 },
        lag_p99_ms: { at_most: 100 },
        console_lag_p99_ms: { at_most: 100 },
      },
    },
    options,
  );
}

function expect(count: number): void {
  if (count !== options.jobs) throw new Error(`a list has ${count} jobs: expected ${options.jobs}`);
}

/** What the scheduler did, and how much memory it had at most, while something was done to it. */
async function during<T>(deed: () => Promise<T>): Promise<{ result: T; lags_ms: number[]; rss_mb: number }> {
  await lags();
  let rss_mb = 0;
  const looking = setInterval(() => {
    rss_mb = Math.max(rss_mb, rssMb());
  }, look_ms);
  const result = await deed();
  clearInterval(looking);
  return { result, lags_ms: await lags(), rss_mb };
}

type Taken = { readonly first_byte_ms: number; readonly whole_ms: number; readonly text: Buffer };

/** One answer, kept as it came: it is read when nothing is measured any more. */
function take(url: string, agent: Agent | false = false): Promise<Taken> {
  return new Promise((resolve, reject) => {
    const asked = performance.now();
    get(url, { agent }, answer => {
      let first_byte_ms = Number.NaN;
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => {
        if (chunks.length === 0) first_byte_ms = performance.now() - asked;
        chunks.push(chunk);
      });
      answer.once('end', () =>
        resolve({ first_byte_ms, whole_ms: performance.now() - asked, text: Buffer.concat(chunks) }),
      );
      answer.once('error', reject);
    }).once('error', reject);
  });
}

async function takePages(url: string): Promise<Taken[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const pages: Taken[] = [];
  for (let next: string | undefined = `/api/v1/jobs?limit=${page_rows}`; next !== undefined; ) {
    const page = await take(`${url}${next}`, agent);
    pages.push(page);
    // It stands at the end of the page: read by itself, so that the client's time is not the server's.
    next = /"next":"([^"]+)"\}$/.exec(page.text.subarray(-1_000).toString())?.[1];
  }
  agent.destroy();
  return pages;
}

/** The console's list for a while, by what is due next. */
function watched(url: string, for_ms: number): Promise<{ frames: number; first_ms: number }> {
  const packr = new Packr({ useRecords: false });
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
  const ws = new WebSocket(`${url.replace('http', 'ws')}/api/v1/feed`);
  const asked = performance.now();
  let frames = 0;
  let first_ms = Number.NaN;
  return new Promise((resolve, reject) => {
    ws.once('error', reject);
    ws.once('open', () => {
      const how = { search: '', filter: 'all', sort: 'next', descending: false, offset: 0, limit: 60 };
      ws.send(packr.pack({ watch: 'list', id: 1, ...how }));
      setTimeout(() => ws.close(), for_ms);
    });
    ws.on('message', data => {
      const frame = unpackr.unpack(data as Buffer) as { type: string };
      if (frame.type === 'list' && frames++ === 0) first_ms = performance.now() - asked;
    });
    ws.once('close', () => resolve({ frames, first_ms }));
  });
}

/** How late the starts were since it was last asked. */
async function lags(): Promise<number[]> {
  server.send('lags');
  return (await heard<{ lags_ms: number[] }>()).lags_ms;
}

function heard<T>(): Promise<T> {
  return Promise.race([new Promise<T>(resolve => void server.once('message', said => resolve(said as T))), ended]);
}

function rssMb(): number {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

function pass(ms: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, ms));
}
