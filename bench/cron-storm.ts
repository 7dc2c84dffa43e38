// cron-storm.ts: everybody is due in the same second.
//
// A hundred thousand jobs, each an actor with a trigger, share one target. What is measured is how long after that instant
// the last of them is RUNNING on disk, through the production core. Every target must be `ran`.

import type { OutcomeRow } from '../actors/model/records.ts';
import { running, startEngine } from './engine.ts';
import { quantile, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { jobs: 100_000, agents: 1_000, ahead_seconds: 60 });

const per_agent = Math.ceil((options.jobs / options.agents) * 1.1);
const engine = await startEngine({
  agents: options.agents,
  cpus: per_agent * 0.11,
  mem: per_agent * 64,
  life: () => ({ start_delay_ms: 0, exit: { code: 0 } }),
});
const due = Math.ceil(Date.now() / 1000) * 1000 + options.ahead_seconds * 1000;
const after_ms: number[] = [];
const rows: { readonly key: string; readonly outcome: string }[] = [];
const all = new Promise<void>(resolve => {
  engine.onCommitted(changes => {
    const at = Date.now() - due;
    for (const _ of running(changes)) after_ms.push(at);
    for (const { kind, key, body } of changes)
      if (kind === 'outcome') rows.push({ key, outcome: (body as OutcomeRow).outcome });
    if (after_ms.length >= options.jobs) resolve();
  });
});
const schedule = `R1/${new Date(due).toISOString()}/P1D`;
const submitting = performance.now();
for (let n = 0; n < options.jobs; n += 1_000)
  await Promise.all(
    Array.from({ length: Math.min(1_000, options.jobs - n) }, (_, index) =>
      engine.create({
        role: 'bench',
        environment: 'prod',
        name: `storm-${n + index}`,
        command: 'sleep infinity',
        cpus: 0.1,
        mem: 32,
        schedule,
      }),
    ),
  );
const submits_per_s = options.jobs / ((performance.now() - submitting) / 1000);
if (Date.now() > due)
  throw new Error(`creating took longer than ${options.ahead_seconds} s: give --ahead-seconds more`);
globalThis.gc?.();
const armed_rss_mb = process.memoryUsage().rss / 2 ** 20;
const { actors, triggers } = engine.scheduler.counts();
// From shortly before the instant, when everybody rests: what the storm costs, whatever else the machine has to do.
await new Promise<void>(resolve => void setTimeout(resolve, Math.max(0, due - 100 - Date.now())));
const before = { main: process.threadCpuUsage(), all: process.cpuUsage() };
await all;
const spent_ms = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1000;
report(
  {
    name: 'cron-storm',
    figures: {
      jobs: options.jobs,
      live_triggers: triggers,
      actors_armed: actors,
      armed_rss_mb,
      submits_per_s,
      // A target with a second outcome has not simply run.
      ran: new Set(rows.filter(row => row.outcome === 'ran').map(row => row.key)).size - (rows.length - options.jobs),
      p50_ms: quantile(after_ms, 0.5),
      last_ms: quantile(after_ms, 1),
      main_thread_ms: spent_ms(process.threadCpuUsage(before.main)),
      all_threads_ms: spent_ms(process.cpuUsage(before.all)),
      rss_mb: process.memoryUsage().rss / 2 ** 20,
    },
    floors: { last_ms: { at_most: 10_000 }, ran: { at_least: options.jobs } },
  },
  options,
);
await engine.close();
