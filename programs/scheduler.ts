// scheduler.ts: the real scheduler out of its parts: an outbox on a journal, and a tree of actors on a link to Mesos.
//
// Whose journal it is, and which Mesos, is not its business: one machine with lmdb and the leader of a cluster with ZooKeeper
// are built of the same. It never ends the process; it says that it cannot go on, and whoever opened it decides.

import type { Runtime } from '../actors/actor.ts';
import { treeSettings } from '../actors/limits.ts';
import { createOutbox, type Outbox } from '../actors/outbox.ts';
import { type Scheduler, startScheduler } from '../actors/root.ts';
import { nactRuntime } from '../actors/runtime/nact.ts';
import type { MesosLink } from '../mesos/protocol.ts';
import { type Change, type Journal, JournalError, type RecordEnvelope } from '../transport/journal/journal.ts';
import type { Metrics } from '../transport/metrics.ts';
import type { OpenLetters } from './letters.ts';
import type { Ground } from './start.ts';

/** What Mesos is told of us. */
export type Identity = Parameters<typeof treeSettings>[1];

/** What makes everything move: whoever serves the mailboxes, and chance. */
export type Engine = {
  readonly runtime: () => Runtime;
  /** Runs something on a later turn. */
  readonly defer: (task: () => void) => void;
  readonly random: () => number;
};
const event_loop: Engine = { runtime: nactRuntime, defer: task => void setImmediate(task), random: Math.random };

export type SchedulerParts = Pick<Ground, 'settings' | 'log' | 'clock' | 'metrics'> & {
  /** Opened, and restored as `records` say. */
  readonly journal: Journal;
  readonly records: readonly RecordEnvelope[];
  readonly link: MesosLink;
  readonly identity: Identity;
  /** Who carries letters to people; nobody when left out. */
  readonly letters?: OpenLetters | undefined;
  /** Whether anything may leave at this moment; left out: always. */
  readonly gate?: () => boolean;
  /** Each commit, in order, before the effects behind it leave. */
  readonly committed?: (changes: readonly Change[], position: number) => void;
  /** Left out: that of the process. */
  readonly engine?: Engine;
  /** The journal failed, or the tree crashed too often. Called at most once by each. */
  readonly onFatal: (reason: string, error?: unknown) => void;
};

export type OpenScheduler = {
  readonly scheduler: Scheduler;
  readonly outbox: Outbox;
  /** Lets what was decided be written and leave, then fells the tree and closes the link. Tasks run on. */
  readonly stop: () => Promise<void>;
};

export function openScheduler(parts: SchedulerParts): OpenScheduler {
  const { settings, log, clock, metrics, onFatal, engine = event_loop } = parts;
  const outbox = createOutbox({
    journal: parts.journal,
    restored: { records: parts.records },
    defer: engine.defer,
    batch_changes_max: settings.batch_changes_max,
    pace: {
      interval_ms: settings.commit_interval_ms,
      enough: settings.batch_changes_max / 4,
      after: (delay_ms, callback) => void clock.wakeAt(clock.now() + delay_ms, callback),
    },
    monotonic: clock.monotonic,
    ...(parts.gate === undefined ? {} : { gate: parts.gate }),
    onFatal: error =>
      onFatal(
        error instanceof JournalError
          ? `the journal failed (${error.code}): ${error.message}`
          : 'an outward effect failed',
        error,
      ),
    observe: commit => {
      metrics.record('horae_journal_commit_seconds', undefined, commit.commit_ms / 1000);
      metrics.record('horae_journal_batch_records', undefined, commit.changes);
      metrics.record('horae_journal_records_total', undefined, commit.changes);
    },
  });
  if (parts.committed !== undefined) outbox.onCommitted(parts.committed);
  const scheduler = startScheduler({
    runtime: engine.runtime,
    outbox,
    link: parts.link,
    letters: parts.letters,
    clock,
    random: engine.random,
    log: (level, fields, message) => log[level](fields, message),
    count: counting(metrics, log),
    settings: treeSettings(settings, parts.identity, parts.letters?.standing),
    restarts: { crashes_max: settings.crash_count_max, period_ms: settings.crash_period_ms },
    commands_max: settings.commands_max,
    onFatal,
  });
  return {
    scheduler,
    outbox,
    async stop() {
      await scheduler.stop();
      await outbox.close();
    },
  };
}

/** A count that the registry does not know is a fault of ours, and must not be the crash of whoever counted. */
function counting(
  metrics: Metrics,
  log: Ground['log'],
): (name: string, labels: Readonly<Record<string, string>> | undefined, value: number) => void {
  const told = new Set<string>();
  return (name, labels, value) => {
    try {
      metrics.record(name, labels, value);
    } catch (error) {
      if (!told.has(name)) log.error({ metric: name, error: String(error) }, 'a metric could not be counted');
      told.add(name);
    }
  };
}
