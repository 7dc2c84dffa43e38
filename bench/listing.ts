// listing.ts: tens of thousands of jobs listed as Chronos's clients list them, while the scheduler goes on starting others.
//
// The program is started as anybody starts it and given its jobs by their own route. Most of them rest; some are due every
// second, and from their runs it is read how late each began (process start as the agent has it, minus the target) while one
// list after the other was being sent. Lists are taken as fast as they come and thrown away. Memory is the scheduler's own.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, get, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { quantile, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { jobs: 50_000, busy: 10, lists: 5, posters: 16 });
const far = 'R/2090-01-01T00:00:00Z/P1D';
const agent = new Agent({ keepAlive: true, maxSockets: options.posters });

const data_dir = mkdtempSync(join(tmpdir(), 'horae-listing-'));
const program = spawn(
  process.execPath,
  [
    ...process.execArgv.filter(flag => flag !== '--expose-gc'),
    join(import.meta.dirname, '..', 'main.ts'),
    ...['dev', '--http', '127.0.0.1:0', '--data-dir', data_dir, '--log-level', 'error'],
    ...['--agent-resources', 'cpus:1000;mem:1000000;disk:1000000', '--limits', 'off'],
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const ended = new Promise<string>(resolve =>
  program.once('exit', (status, signal) => resolve(`the program ended with ${status ?? signal}`)),
);
try {
  await Promise.race([measure(await consoleOf()), ended.then(how => Promise.reject(new Error(how)))]);
} finally {
  agent.destroy();
  program.kill('SIGTERM');
  await ended;
  rmSync(data_dir, { recursive: true, maxRetries: 10, retryDelay: 100 });
}

async function measure(url: string): Promise<void> {
  const resting = Array.from({ length: options.jobs - options.busy }, (_, n) => ({
    name: `nightly-${n}`,
    command: `/usr/local/bin/load --table t${n} --day "$(date +%F)"`,
    schedule: far,
    owner: `team-${n % 50}@example.com`,
    description: 'Loads what the day before has left',
    cpus: 0.5,
    mem: 512,
    environmentVariables: [{ name: 'TABLE', value: `t${n}` }],
    constraints: [['rack', 'EQUALS', `r${n % 10}`]],
  }));
  const jobs = resting.values();
  await Promise.all(
    Array.from({ length: options.posters }, async () => {
      for (const job of jobs) await post(url, job);
    }),
  );
  const busy = Array.from({ length: options.busy }, (_, n) => `busy-${n}`);
  for (const name of busy) await post(url, { name, command: 'true', schedule: 'R//PT1S', retries: 0 });
  await pass(5_000);

  const began = Date.now();
  const rss_before = rssMb();
  let rss_most = rss_before;
  const looking = setInterval(() => {
    rss_most = Math.max(rss_most, rssMb());
  }, 20);
  const lists: Awaited<ReturnType<typeof take>>[] = [];
  for (let n = 0; n < options.lists; n++) {
    lists.push(await take(`${url}/scheduler/jobs`));
    await pass(500);
  }
  clearInterval(looking);
  const over = Date.now();
  await pass(2_000);
  const lags = (await Promise.all(busy.map(name => lagsOf(url, name, began, over)))).flat();
  const counts = new Set(lists.map(list => list.jobs));
  if (counts.size !== 1 || !counts.has(options.jobs))
    throw new Error(`lists had ${[...counts].join(', ')} jobs: expected ${options.jobs} each`);
  report(
    {
      name: 'listing',
      figures: {
        jobs: options.jobs,
        lists: lists.length,
        list_mb: lists[0]!.bytes / 2 ** 20,
        first_byte_ms: quantile(
          lists.map(list => list.first_byte_ms),
          0.5,
        ),
        first_byte_most_ms: Math.max(...lists.map(list => list.first_byte_ms)),
        whole_s:
          quantile(
            lists.map(list => list.whole_ms),
            0.5,
          ) / 1000,
        whole_most_s: Math.max(...lists.map(list => list.whole_ms)) / 1000,
        rss_mb: rss_before,
        rss_growth_mb: rss_most - rss_before,
        starts: lags.length,
        start_lag_p50_ms: quantile(lags, 0.5),
        start_lag_p99_ms: quantile(lags, 0.99),
      },
      floors: {
        first_byte_ms: { at_most: 50 },
        whole_s: { at_most: 2 },
        rss_growth_mb: { at_most: 100 },
        start_lag_p99_ms: { at_most: 100 },
      },
    },
    options,
  );
}

function post(url: string, job: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}/scheduler/iso8601`,
      { method: 'POST', agent, headers: { 'content-type': 'application/json' } },
      answer => {
        answer.resume();
        answer.once('end', () =>
          answer.statusCode === 204 ? resolve() : reject(new Error(`a job was answered ${answer.statusCode}`)),
        );
      },
    );
    sent.once('error', reject);
    sent.end(JSON.stringify(job));
  });
}

/** One list, whole: how long until it began and ended, and how many jobs were in it. */
function take(url: string): Promise<{ first_byte_ms: number; whole_ms: number; bytes: number; jobs: number }> {
  return new Promise((resolve, reject) => {
    const asked = performance.now();
    get(url, { agent: false }, answer => {
      let first_byte_ms: number | undefined;
      let bytes = 0;
      let jobs = 0;
      let tail = '';
      answer.setEncoding('latin1');
      answer.on('data', (text: string) => {
        first_byte_ms ??= performance.now() - asked;
        bytes += text.length;
        const whole = tail + text;
        jobs += whole.split('{"name":"nightly-').length - 1 + whole.split('{"name":"busy-').length - 1;
        // What may be the beginning of a job is looked at with what follows, and only then.
        const cut = whole.lastIndexOf('{');
        const open = whole.slice(cut);
        tail = cut >= 0 && open.length < 17 && !/^\{"name":"(nightly|busy)-/.test(open) ? open : '';
      });
      answer.once('end', () =>
        resolve({ first_byte_ms: first_byte_ms ?? Number.NaN, whole_ms: performance.now() - asked, bytes, jobs }),
      );
      answer.once('error', reject);
    }).once('error', reject);
  });
}

/** How late the runs of a job began whose targets lay in that time. */
async function lagsOf(url: string, name: string, from: number, to: number): Promise<number[]> {
  const answer = await fetch(`${url}/api/v1/jobs/chronos/default/${name}/runs?limit=200`);
  if (!answer.ok) throw new Error(`the runs of ${name} were answered ${answer.status}`);
  const { runs } = (await answer.json()) as {
    readonly runs: readonly { readonly started_at?: string; readonly cause: { readonly at?: string } }[];
  };
  return runs.flatMap(({ started_at, cause }) => {
    const at = Date.parse(cause.at ?? '');
    return started_at === undefined || !(at >= from && at <= to) ? [] : [Date.parse(started_at) - at];
  });
}

/** The address that it prints when it listens. */
async function consoleOf(): Promise<string> {
  for await (const line of createInterface({ input: program.stdout })) {
    const url = /Console: (\S+)/.exec(line)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error('the program did not say where its console is');
}

function rssMb(): number {
  const status = readFileSync(`/proc/${program.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

function pass(ms: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, ms));
}
