// world.ts: the whole scheduler in a glass: simulated clock, seeded actors, journal in memory, a Mesos with no machines.
//
// Everything that happens follows from the seed and from what the test does. The world outside (Mesos, its agents, the
// clock) outlives the scheduler, so that a crash can be played at any record and the next scheduler find what the last one
// left: records up to that one, and tasks that know nothing of it.

import type { Answer, CalendarCommand, Command, LetterCommand } from '../../actors/model/commands.ts';
import { type Job, type JobSubmission, readJob } from '../../actors/model/job.ts';
import type { Letters } from '../../actors/notices/couriers.ts';
import { createOutbox, type Outbox } from '../../actors/outbox.ts';
import { type Scheduler, startScheduler } from '../../actors/root.ts';
import { type SeededRuntime, seededRandom, seededRuntime } from '../../actors/runtime/seeded.ts';
import type { TreeSettings } from '../../actors/tree.ts';
import {
  type Life,
  lifeOfCommand,
  resourcesFor,
  type SimulatedMesos,
  simulatedMesos,
} from '../../mesos/local/index.ts';
import type { LocalLink } from '../../mesos/local/link.ts';
import { type SimulatedClock, simulatedClock } from '../../schedules/clock.ts';
import type { Change } from '../../transport/journal/journal.ts';
import { type MemoryJournal, memoryJournal } from '../../transport/journal/memory.ts';

export const tree_settings: TreeSettings = {
  directory: { jobs_max: 100_000, held_max: 10 },
  framework: {
    resubscribe_ms: 100,
    resubscribe_ms_max: 5_000,
    reconcile_ms: 1_000,
    reconcile_ms_max: 60_000,
    reconcile_interval_ms: 600_000,
    reconcile_batch_max: 1_000,
    removed: 'stop',
  },
  offers: { hold_ms: 60_000, offers_max: 10_000, refuse_seconds: 0, revive_interval_ms: 1_000 },
  placement: { placements_max: 10_000, priority_step_ms: 600_000 },
  timetable: { due_batch_max: 1_000, backlog_max: 10_000, sleep_ms_max: 60_000 },
  trigger: { default_zone: 'UTC', late_grace_ms: 1_000, verdicts_max: 100, waiting_max: 10, runs_max: 10 },
  instance: {
    retry_delay_ms: 1_000,
    retry_delay_ms_max: 60_000,
    kill_retry_ms: 5_000,
    start_timeout_ms: 900_000,
    well_after_ms: 300_000,
    executor: { cpus: 0.01, mem: 32, disk: 1 },
  },
  instances_max: 100_000,
  tokens_max: 100,
  entity_crashes: { crashes_max: 1, period_ms: 60_000 },
  subscribe: framework_id => ({
    type: 'SUBSCRIBE',
    ...(framework_id === undefined ? {} : { framework_id: { value: framework_id } }),
    subscribe: {
      framework_info: {
        user: 'test',
        name: 'horae',
        roles: ['*'],
        checkpoint: true,
        failover_timeout: 3600,
        capabilities: [{ type: 'MULTI_ROLE' }, { type: 'PARTITION_AWARE' }, { type: 'TASK_KILLING_STATE' }],
        ...(framework_id === undefined ? {} : { id: { value: framework_id } }),
      },
    },
  }),
};

export type WorldOptions = {
  readonly seed?: number;
  readonly start?: number;
  readonly agents?: number;
  readonly life?: (task: Parameters<typeof lifeOfCommand>[0]) => Life;
  readonly settings?: Partial<TreeSettings>;
  /** Who carries letters to people; it outlives the scheduler. */
  readonly letters?: Letters;
  /** Records per commit; 1 makes every transition a commit of its own. */
  readonly batch_changes_max?: number;
  /** Withholds the flush of the batch that holds this record, for ever: the moment just before it would have been durable. */
  readonly stall_at?: number;
};

export type World = {
  readonly clock: SimulatedClock;
  readonly mesos: SimulatedMesos;
  journal: MemoryJournal;
  outbox: Outbox;
  scheduler: Scheduler;
  link: LocalLink;
  /** Task ids that ever reached an agent. */
  readonly launched: ReadonlySet<string>;
  readonly fatal: { reason: string; error: unknown }[];
  /** Log lines of level warn and error. */
  readonly complaints: string[];
  /** Everything ever committed, by whichever scheduler. */
  readonly committed: Change[];
  /** The journal's position after each commit. */
  readonly commits: readonly number[];
  submit(command: Command | CalendarCommand | LetterCommand, request_id?: string): Promise<Answer>;
  create(submission: JobSubmission): Promise<Answer>;
  /** Until nobody has anything to do at this instant. */
  settle(): Promise<void>;
  /** Only so many steps of whoever has something to do: stops in the middle of things. */
  some(steps: number): Promise<void>;
  /** Lets time pass up to `at`, with everything that falls due on the way. */
  until(at: number): Promise<void>;
  /** The scheduler dies with exactly `records` records on the device (default: all durable ones), and another one starts. */
  crash(records?: number): Promise<void>;
};

export const job = (submission: JobSubmission): Job => {
  const read = readJob(submission);
  if (!read.ok) throw new Error(read.problems.map(one => one.message).join('; '));
  return read.value;
};

export async function world(options: WorldOptions = {}): Promise<World> {
  const { seed = 1, start = Date.UTC(2026, 0, 1, 0, 0, 20), agents = 2 } = options;
  const clock = simulatedClock(start);
  const outside = seededRuntime(seed ^ 0x5eed);
  const settings = { ...tree_settings, ...options.settings };
  const mesos = simulatedMesos({
    agents,
    resources: resourcesFor({ cpus: 4, mem: 8192, disk: 10_000, ports: [31_000, 31_099] }),
    clock,
    defer: outside.defer,
    ids_prefix: 'sim',
    life: task => {
      launched.add(task.task_id.value);
      return (options.life ?? lifeOfCommand)(task);
    },
    starting: true,
  });
  let runtime: SeededRuntime = seededRuntime(seed);
  let epoch = 0;
  let requests = 0;
  const launched = new Set<string>();
  const complaints: string[] = [];
  const committed: Change[] = [];
  const commits: number[] = [];
  const fatal: { reason: string; error: unknown }[] = [];

  const settle = async () => {
    for (let quiet = 0; quiet < 3; ) {
      let worked = false;
      while (runtime.step() || outside.step()) worked = true;
      // Promises of the journal and of the link are kept on the microtask queue, and everything they touch after it.
      await new Promise<void>(resolve => setImmediate(resolve));
      quiet = worked ? 0 : quiet + 1;
    }
  };

  const begin = async (journal: MemoryJournal) => {
    await journal.open(++epoch);
    const restored = await journal.restore();
    runtime = seededRuntime(seed + epoch);
    // The outbox outlives a felled tree, but not a crash.
    const life = epoch;
    const outbox = createOutbox({
      journal,
      restored,
      defer: task => outside.defer(() => life === epoch && task()),
      batch_changes_max: options.batch_changes_max ?? 1_000,
      onFatal: error => fatal.push({ reason: 'journal', error }),
    });
    outbox.onCommitted((changes, position) => {
      // An append that was under way when its process died may still answer here; nobody lives to hear it.
      if (life !== epoch) return;
      committed.push(...changes);
      commits.push(position);
    });
    const link = mesos.link();
    const scheduler = startScheduler({
      // A felled tree takes its runtime with it; the outbox goes on with the newest.
      runtime: () => {
        runtime = seededRuntime(seed + epoch);
        return runtime;
      },
      outbox,
      link,
      letters: options.letters,
      clock,
      random: seededRandom(seed),
      log: (level, fields, message) => {
        if (level === 'warn' || level === 'error') complaints.push(`${level} ${message} ${JSON.stringify(fields)}`);
      },
      count: () => undefined,
      settings,
      restarts: { crashes_max: 3, period_ms: 60_000 },
      commands_max: 1_000,
      onFatal: (reason, error) => fatal.push({ reason, error }),
    });
    return { journal, outbox, scheduler, link };
  };

  const stalling: MemoryJournal = memoryJournal({
    now: () => clock.now(),
    flush: flushed =>
      options.stall_at !== undefined && stalling.written() >= options.stall_at ? new Promise(() => undefined) : flushed,
  });
  const first = await begin(stalling);
  const made: World = {
    clock,
    mesos,
    ...first,
    launched,
    fatal,
    complaints,
    committed,
    commits,
    async submit(command, request_id = `r${requests++}`) {
      const answer = made.scheduler.submit({ command, principal: { name: 'tester' }, request_id });
      await settle();
      return answer;
    },
    create: submission => made.submit({ type: 'submit', mode: 'create', job: job(submission) }),
    settle,
    async some(steps) {
      for (let n = 0; n < steps; n++) {
        if (n % 2 === 0) runtime.step();
        else outside.step();
        if (n % 8 === 7) await new Promise<void>(resolve => setImmediate(resolve));
      }
    },
    async until(at) {
      await settle();
      for (let next = clock.nextWake(); next !== undefined && next <= at; next = clock.nextWake()) {
        clock.advanceTo(Math.max(next, clock.now()));
        await settle();
      }
      clock.advanceTo(at);
      await settle();
    },
    async crash(records) {
      made.scheduler.abandon();
      made.link.cut();
      Object.assign(
        made,
        await begin(made.journal.crash(records, { now: () => clock.now(), flush: flushed => flushed })),
      );
      await settle();
    },
  };
  await settle();
  return made;
}
