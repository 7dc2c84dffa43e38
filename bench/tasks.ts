// tasks.ts: real tasks on this machine: how long until all of them run, and what each of them takes of its memory.
//
// The program is started as anybody starts it, and given one job of so many copies of `sleep`. Beside it stands what this
// machine needs for the barest thing that could be called the same: a Node process that spawns as many. Memory is the kernel's
// own count, twice: resident, in which every process counts the pages that it shares with others as if they were its own, and
// private, what would come free if the task went. Between the two stands the proportional share, which adds up to the truth.

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type Program, withProgram } from './program.ts';
import { readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { tasks: 500, executors: 4 });
/** Slept by nobody else: a task is known by it. */
const seconds = String(1_000_000 + process.pid);
const look_ms = 20;
const rest_ms = 15_000;

const bare = await bareSpawn();
/** For all of them, and what else is started beside them. */
const room = 64 * options.tasks + 4_000;
await withProgram(
  'tasks',
  ['--agent-resources', `cpus:${options.tasks};mem:${room};disk:${room}`],
  measure,
  // Tasks outlive the scheduler; these go now.
  data_dir => {
    for (const pid of [...taskProcesses(), ...under(data_dir)]) killed(pid);
  },
);

async function measure({ url, data_dir, process: { pid } }: Program): Promise<void> {
  const ask = async (method: string, path: string, job?: object) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(job === undefined ? {} : { body: JSON.stringify(job) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as { readonly runs: readonly { readonly instances: readonly { state: string }[] }[] };
  };
  /** Until all copies of it run, as the records have it. */
  const started = async (name: string, instances: number, job: object) => {
    const common = { role: 'bench', environment: 'tasks', service: true, disk: 1 };
    await ask('POST', '/api/v1/jobs', { ...common, name, instances, ...job });
    for (;;) {
      const { runs } = await ask('GET', `/api/v1/jobs/bench/tasks/${name}/runs`);
      if (runs[0]?.instances.filter(({ state }) => state === 'running').length === instances) return;
      await pass(look_ms * 10);
    }
  };
  const before = ticksOf(pid);
  const began = performance.now();
  await started('sleepers', options.tasks, { command: `sleep ${seconds}`, cpus: 0.5, mem: 32 });
  // And there, as the kernel has it.
  while (sleepers().length < options.tasks) await pass(look_ms);
  const start_s = (performance.now() - began) / 1000;
  const scheduler_cpu_s = (ticksOf(pid) - before) / 100;
  const processes = taskProcesses();
  const memory = memoryOf(processes);
  await started('looked-after', options.executors, {
    cpus: 0.1,
    processes: [{ name: 'nap', command: 'exec sleep 900000' }],
  });
  // After its start, and what that needed is given back.
  await pass(rest_ms);
  const ours = new Set(under(data_dir));
  const executors = memoryOf(pidsWith(line => line.includes('mesos/executor/main.js')).filter(pid => ours.has(pid)));
  report(
    {
      name: 'tasks',
      figures: {
        tasks: options.tasks,
        start_s,
        bare_spawn_s: bare.start_s,
        times_bare: start_s / bare.start_s,
        scheduler_cpu_s,
        processes_per_task: processes.length / options.tasks,
        rss_per_task_mb: memory.rss / options.tasks,
        share_per_task_mb: memory.share / options.tasks,
        private_per_task_mb: memory.private / options.tasks,
        executor_rss_mb: executors.rss / options.executors,
        executor_private_mb: executors.private / options.executors,
        bare_rss_per_task_mb: bare.memory.rss / options.tasks,
        bare_private_per_task_mb: bare.memory.private / options.tasks,
      },
      floors: { start_s: { at_most: 20 }, private_per_task_mb: { at_most: 2 }, executor_rss_mb: { at_most: 90 } },
    },
    options,
  );
}

/** As many sleepers from a bare Node, until the last of them is there. */
async function bareSpawn(): Promise<{ readonly start_s: number; readonly memory: Memory }> {
  const children: ChildProcess[] = [];
  const began = performance.now();
  for (let n = 0; n < options.tasks; n++) children.push(spawn('sleep', [seconds], { stdio: 'ignore', detached: true }));
  while (sleepers().length < options.tasks) await pass(look_ms);
  const start_s = (performance.now() - began) / 1000;
  const memory = memoryOf(sleepers());
  await Promise.all(
    children.map(child => {
      const over = new Promise(resolve => child.once('exit', resolve));
      child.kill('SIGKILL');
      return over;
    }),
  );
  return { start_s, memory };
}

function pass(ms: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, ms));
}

// --- what the kernel says -----------------------------------------------------------------------------------------------

/** The sleepers themselves. */
function sleepers(): readonly number[] {
  return pidsWith(line => line === `sleep\0${seconds}\0`);
}

/** They and whoever stands beside them. */
function taskProcesses(): readonly number[] {
  return pidsWith(line => line.includes(seconds) && !line.includes('tasks.ts'));
}

/** Whoever works in a folder below this one. */
function under(folder: string): readonly number[] {
  return readdirSync('/proc').flatMap(name => {
    if (!/^\d+$/.test(name)) return [];
    return orUndefined(() => readlinkSync(`/proc/${name}/cwd`))?.startsWith(`${folder}/`) === true
      ? [Number(name)]
      : [];
  });
}

function pidsWith(found: (line: string) => boolean): readonly number[] {
  return readdirSync('/proc').flatMap(name => {
    if (!/^\d+$/.test(name)) return [];
    const line = orUndefined(() => readFileSync(`/proc/${name}/cmdline`, 'utf8'));
    return line !== undefined && found(line) ? [Number(name)] : [];
  });
}

/** In MB, over all of these processes. */
type Memory = { readonly rss: number; readonly share: number; readonly private: number };
function memoryOf(pids: readonly number[]): Memory {
  let rss = 0;
  let share = 0;
  let own = 0;
  for (const pid of pids) {
    const text = orUndefined(() => readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? '';
    const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0);
    rss += kb('Rss');
    share += kb('Pss');
    own += kb('Private_Clean') + kb('Private_Dirty');
  }
  return { rss: rss / 1024, share: share / 1024, private: own / 1024 };
}

/** Processor time that a process and the children that it has waited for have used, in hundredths of a second. */
function ticksOf(pid: number): number {
  const text = orUndefined(() => readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? '';
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
}

function killed(pid: number): void {
  orUndefined(() => process.kill(pid, 'SIGKILL'));
}

/** A process may end between two looks at it. */
function orUndefined<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(String((error as NodeJS.ErrnoException).code))) return undefined;
    throw error;
  }
}
