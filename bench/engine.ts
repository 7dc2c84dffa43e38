// engine.ts: the scheduler as production has it, on a Mesos without machines: what the benchmarks of the core drive.
//
// Actors on nact, outbox, lmdb in a directory of its own: all real. Only the way to the master is short: an in-process
// link instead of HTTP, the one permitted shortcut, so that what is measured is the scheduler and not two HTTP stacks.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { treeSettings } from '../actors/limits.ts';
import type { Answer, Command } from '../actors/model/commands.ts';
import { type JobSubmission, readJob } from '../actors/model/job.ts';
import type { Attempted, InstanceRecord } from '../actors/model/records.ts';
import { createOutbox, type Outbox } from '../actors/outbox.ts';
import { type Scheduler, startScheduler } from '../actors/root.ts';
import { nactRuntime } from '../actors/runtime/nact.ts';
import { type Life, resourcesFor, simulatedMesos } from '../mesos/local/index.ts';
import type { MesosLink, TaskInfo } from '../mesos/protocol.ts';
import { systemClock } from '../schedules/clock.ts';
import { defaultSettings, type Settings } from '../settings.ts';
import type { Change, Journal } from '../transport/journal/journal.ts';
import { lmdbJournal } from '../transport/journal/lmdb.ts';

export type Engine = {
  readonly scheduler: Scheduler;
  readonly outbox: Outbox;
  readonly journal: Journal;
  /** Called with every commit, once it is durable. */
  onCommitted(listener: (changes: readonly Change[]) => void): void;
  submit(command: Command): Promise<Answer>;
  create(submission: JobSubmission): Promise<Answer>;
  close(): Promise<void>;
};

export async function startEngine(options: {
  readonly agents: number;
  readonly cpus: number;
  readonly mem: number;
  readonly life: (task: TaskInfo) => Life;
  readonly settings?: Partial<Settings>;
  /** Another home than an lmdb of its own; the engine opens and closes it. */
  readonly journal?: Journal;
  /** Hears what the core counts, by the names of its metrics. */
  readonly count?: (name: string, value: number) => void;
  /** Stands between scheduler and master. */
  readonly onTheWay?: (link: MesosLink) => MesosLink;
}): Promise<Engine> {
  const settings: Settings = {
    ...defaultSettings(),
    refuse_seconds: 0,
    commands_max: 1_000_000,
    jobs_max: 10_000_000,
    ...options.settings,
  };
  const path = mkdtempSync(join(tmpdir(), 'horae-bench-'));
  const clock = systemClock();
  const journal = options.journal ?? lmdbJournal({ path, schemas: {}, retention: {}, now: clock.now });
  await journal.open();
  const outbox = createOutbox({
    journal,
    restored: await journal.restore(),
    defer: task => void setImmediate(task),
    batch_changes_max: settings.batch_changes_max,
    monotonic: clock.monotonic,
    pace: {
      interval_ms: settings.commit_interval_ms,
      enough: settings.batch_changes_max / 4,
      after: (delay_ms, callback) => void setTimeout(callback, delay_ms),
    },
    onFatal: error => {
      throw error;
    },
  });
  const mesos = simulatedMesos({
    agents: options.agents,
    resources: resourcesFor({ cpus: options.cpus, mem: options.mem, disk: 1_000_000, ports: [31_000, 32_000] }),
    clock,
    defer: work => void setImmediate(work),
    ids_prefix: 'bench',
    bundled: true,
    life: options.life,
  });
  const link = options.onTheWay?.(mesos.link()) ?? mesos.link();
  const scheduler = startScheduler({
    runtime: nactRuntime,
    outbox,
    link,
    clock,
    random: Math.random,
    log: (level, fields, message) => {
      if (level === 'error') console.error(message, fields);
    },
    count: (name, _, value) => options.count?.(name, value),
    settings: treeSettings(settings, { name: 'horae-bench', user: 'nobody', hostname: 'localhost' }),
    restarts: { crashes_max: 0, period_ms: 60_000 },
    commands_max: settings.commands_max,
    onFatal: (reason, error) => {
      console.error(reason, error);
      process.exit(1);
    },
  });
  // The clock's timers let a process end; here nothing else keeps it alive until the first target is due.
  const alive = setInterval(() => undefined, 2 ** 30);
  let requests = 0;
  const submit = (command: Command) =>
    scheduler.submit({ command, principal: { name: 'bench' }, request_id: `b${requests++}` });
  return {
    scheduler,
    outbox,
    journal,
    onCommitted: listener => outbox.onCommitted(listener),
    submit,
    create(submission) {
      const job = readJob(submission);
      if (!job.ok) throw new Error(job.problems.map(one => one.message).join('; '));
      return submit({ type: 'submit', mode: 'create', job: job.value });
    },
    async close() {
      clearInterval(alive);
      await scheduler.stop();
      mesos.close();
      await outbox.close();
      await journal.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Instances that a commit made RUNNING. */
export function* running(changes: readonly Change[]): Iterable<{ readonly key: string; readonly record: Attempted }> {
  for (const { kind, key, body } of changes) {
    if (kind !== 'instance' || body === undefined) continue;
    const record = body as InstanceRecord;
    if (record.status === 'running') yield { key, record };
  }
}
