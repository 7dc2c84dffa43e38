// logs.ts: following a task that writes 50 MB/s, and opening a log of 10 GB: what each side holds in memory, and how soon.
//
// The real program, and the real `horae task logs -f` beside it, whose output is counted. The large log is a sparse file: what
// is measured is the way to its first byte, and that nobody reads the rest of it.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { main, node_flags, withProgram } from './program.ts';
import { readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { seconds: 10, mb_per_s: 50, log_gb: 10 });
let url = '';
await withProgram('logs', [], async program => {
  url = program.url;
  try {
    await measure(program.process);
  } finally {
    for (const name of ['large', 'writer']) await call('POST', `/api/v1/jobs/bench/logs/${name}/kill`).catch(() => {});
    await until(async () => (await live()) === 0).catch(() => {});
  }
});

async function measure(program: ChildProcess): Promise<void> {
  const large = await started('large', `truncate -s ${options.log_gb}G stdout; exec sleep 100000`);
  const first_ms: number[] = [];
  for (let index = 0; index < 20; index++) first_ms.push(await firstByte(`${large}/logs/0/stdout`));
  first_ms.sort((a, b) => a - b);

  const line = `exec '${process.execPath}' -e '${writer(options.mb_per_s)}'`;
  const program_before = rssOf(program);
  const run = await started('writer', line);
  const client = spawn(
    process.execPath,
    [...node_flags, main, 'task', 'logs', '-f', 'bench/logs/writer', '--url', url],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let bytes = 0;
  client.stdout.on('data', (part: Buffer) => {
    bytes += part.length;
  });
  await until(async () => bytes > 0);
  const client_before = rssOf(client);
  const [bytes_before, written_before, began] = [bytes, await sizeOf(run), performance.now()];
  let [program_most, client_most] = [program_before, client_before];
  while (performance.now() - began < options.seconds * 1_000) {
    await pass(100);
    program_most = Math.max(program_most, rssOf(program));
    client_most = Math.max(client_most, rssOf(client));
  }
  // Its size first: what was followed by then may be more, and is not counted as behind.
  const [written, elapsed_s] = [await sizeOf(run), (performance.now() - began) / 1_000];
  const behind = Math.max(0, written - bytes);
  client.kill('SIGKILL');
  report(
    {
      name: 'logs',
      figures: {
        written_mb_per_s: (written - written_before) / 1e6 / elapsed_s,
        followed_mb_per_s: (bytes - bytes_before) / 1e6 / elapsed_s,
        behind_ms: (behind / 1e6 / options.mb_per_s) * 1_000,
        scheduler_growth_mb: (program_most - program_before) / 2 ** 20,
        client_growth_mb: (client_most - client_before) / 2 ** 20,
        log_gb: options.log_gb,
        first_byte_p50_ms: first_ms[10]!,
        first_byte_max_ms: first_ms.at(-1)!,
      },
      floors: {
        written_mb_per_s: { at_least: options.mb_per_s * 0.98 },
        followed_mb_per_s: { at_least: options.mb_per_s * 0.98 },
        behind_ms: { at_most: 1_000 },
        scheduler_growth_mb: { at_most: 50 },
        client_growth_mb: { at_most: 50 },
        first_byte_p50_ms: { at_most: 100 },
      },
    },
    options,
  );
}

/** Lines at this rate, however long a write takes: what was held up is made good. A program without quotes, for a shell. */
function writer(mb_per_s: number): string {
  return `
    const line = Buffer.alloc(1 << 18, String.fromCharCode(120).repeat(127) + String.fromCharCode(10));
    const began = performance.now();
    let written = 0;
    const write = () => {
      const wanted = (performance.now() - began) * ${mb_per_s * 1_000};
      while (written < wanted) written += require(\`fs\`).writeSync(1, line);
    };
    setInterval(write, 5);`;
}

async function sizeOf(run: string): Promise<number> {
  const { entries } = JSON.parse(await call('GET', `${run.slice(url.length)}/instances/0/files`)) as {
    entries: { name: string; size: number }[];
  };
  return entries.find(({ name }) => name === 'stdout')?.size ?? 0;
}

/** A service that runs; the address of its run. */
async function started(name: string, command: string): Promise<string> {
  const job = { role: 'bench', environment: 'logs', name, command, service: true, mem: 128 };
  await call('POST', '/api/v1/jobs', job);
  const path = `/api/v1/jobs/bench/logs/${name}/runs`;
  let run = '';
  await until(async () => {
    const { runs } = JSON.parse(await call('GET', path)) as { runs: { run: string; instances: { state: string }[] }[] };
    run = runs.find(({ instances }) => instances[0]?.state === 'running')?.run ?? '';
    return run !== '';
  });
  return `${url}${path}/${run}`;
}

async function live(): Promise<number> {
  const counts = await Promise.all(
    ['large', 'writer'].map(async name => {
      const { runs } = JSON.parse(await call('GET', `/api/v1/jobs/bench/logs/${name}/runs`)) as {
        runs: { state: string }[];
      };
      return runs.filter(({ state }) => state === 'running').length;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function firstByte(address: string): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = get(address, { agent: false }, response => {
      response.once('data', () => {
        resolve(performance.now() - began);
        request.destroy();
      });
    });
    request.on('error', reject);
  });
}

async function call(method: string, path: string, body?: object): Promise<string> {
  const answer = await fetch(`${url}${path}`, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.text();
}

async function until(done: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error('waited a minute in vain');
    await pass(100);
  }
}

function pass(ms: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, ms));
}

function rssOf({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}
