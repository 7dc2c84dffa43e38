// idle.ts: what the real program costs while it has nothing to do: its share of a core, and its memory.
//
// A scheduler is idle nearly all of its life, mostly on somebody's laptop. The program is started as anybody starts it and
// given jobs whose next target is far away; after it has come to rest, /proc tells what its whole process tree used.

import { readdirSync, readFileSync } from 'node:fs';
import { type Program, withProgram } from './program.ts';
import { readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { jobs: 1_000, seconds: 60, rest_seconds: 15 });
/** What the kernel counts processor time in; 100 a second on every Linux that Node runs on. */
const ticks_per_s = 100;

await withProgram('idle', [], measure);

async function measure({ url, process: { pid } }: Program): Promise<void> {
  for (let index = 0; index < options.jobs; index++) {
    const job = { role: 'bench', environment: 'idle', name: `job-${index}`, command: 'true', cron: '0 0 29 2 *' };
    const answer = await fetch(`${url}/api/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(job),
    });
    if (answer.status !== 201) throw new Error(`job ${index} was answered ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  }
  await pass(options.rest_seconds);
  const before = usage(pid);
  const began = performance.now();
  await pass(options.seconds);
  const after = usage(pid);
  const elapsed_s = (performance.now() - began) / 1000;
  report(
    {
      name: 'idle',
      figures: {
        jobs: options.jobs,
        measured_s: elapsed_s,
        cpu_percent: ((after.ticks - before.ticks) / ticks_per_s / elapsed_s) * 100,
        rss_mb: Math.max(before.rss_bytes, after.rss_bytes) / 2 ** 20,
        processes: after.processes,
      },
      floors: { cpu_percent: { at_most: 1 }, rss_mb: { at_most: 200 } },
    },
    options,
  );
}

function pass(seconds: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, seconds * 1000));
}

/** What the program and all its descendants have used so far, and hold now. */
function usage(pid: number): { ticks: number; rss_bytes: number; processes: number } {
  const parents = new Map<number, number>();
  const stats = new Map<number, readonly string[]>();
  for (const name of readdirSync('/proc')) {
    const fields = /^\d+$/.test(name) ? statOf(name) : undefined;
    if (fields === undefined) continue;
    stats.set(Number(name), fields);
    parents.set(Number(name), Number(fields[1]));
  }
  const tree = [pid];
  for (const ancestor of tree) for (const [child, parent] of parents) if (parent === ancestor) tree.push(child);
  let ticks = 0;
  let rss_bytes = 0;
  for (const pid of tree) {
    const fields = stats.get(pid);
    // utime and stime, with those of descendants that have ended (cutime, cstime); fields 14 to 17 of proc(5).
    for (const field of [11, 12, 13, 14]) ticks += Number(fields?.[field] ?? 0);
    const status = orUndefined(() => readFileSync(`/proc/${pid}/status`, 'utf8'));
    rss_bytes += Number(/^VmRSS:\s+(\d+) kB$/m.exec(status ?? '')?.[1] ?? 0) * 1024;
  }
  return { ticks, rss_bytes, processes: tree.length };
}

/** From the state on: what stands before it may hold spaces. */
function statOf(pid: string): readonly string[] | undefined {
  const text = orUndefined(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** A process may end between two looks at it. */
function orUndefined(look: () => string): string | undefined {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(String((error as NodeJS.ErrnoException).code))) return undefined;
    throw error;
  }
}
