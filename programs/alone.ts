// alone.ts: one scheduler on one machine, with its journal in its data directory. `horae dev` and `horae serve` differ only in
// the Mesos that they are given.

import { join } from 'node:path';
import type { FrameworkRecord } from '../actors/model/records.ts';
import type { Sandboxes, Sweeping, TaskReports, TaskSessions, Usages } from '../actors/model/views.ts';
import type { Scheduler } from '../actors/root.ts';
import { record_schemas } from '../actors/schemas.ts';
import { asideOf } from '../actors/supervision.ts';
import type { MesosLink } from '../mesos/protocol.ts';
import type { Settings } from '../settings.ts';
import type { ServedArchive } from '../transport/http/archive.ts';
import type { Change, Poison } from '../transport/journal/journal.ts';
import { lmdbJournal } from '../transport/journal/lmdb.ts';
import type { Metrics } from '../transport/metrics.ts';
import { createProjection, type Projection } from '../transport/projection.ts';
import { openAnnouncing, ownerOf, withdrawingLink } from './announcing.ts';
import { openCassandra } from './cassandra.ts';
import { openChannels } from './channels.ts';
import { debugBundle } from './debug.ts';
import { certificateOf, openDoor } from './door.ts';
import { tellGraphite } from './graphite.ts';
import { countLetters, lettersOf, standingOf } from './letters.ts';
import { Refused } from './refused.ts';
import { askingLink } from './reports.ts';
import { type Identity, openScheduler } from './scheduler.ts';
import { endingOf, type Ground, within } from './start.ts';

/** The Mesos of a scheduler: how it is spoken to, and where what tasks wrote can be read. */
export type Mesos = {
  readonly link: MesosLink;
  readonly sandboxes: Sandboxes;
  readonly reports: TaskReports;
  readonly usages: Usages;
  readonly sessions: TaskSessions;
  /** Where it is known what became of old sandboxes. */
  readonly sweeping?: Sweeping | undefined;
  readonly identity: Identity;
  /** For the door, where agents come to it for the executor. */
  readonly archive?: ServedArchive | undefined;
  /** After the scheduler has let go of it. */
  readonly close: () => Promise<void>;
};

/** Opens it; whoever reads what tasks wrote must know the framework's id, subscribed or not. */
export type OpenMesos = (framework_id: () => string | undefined) => Promise<Mesos>;

/** The id under which Mesos knows us, as the records have it. */
export function frameworkId(records: Iterable<Change>): {
  readonly now: () => string | undefined;
  readonly note: (changes: Iterable<Change>) => void;
} {
  let id: string | undefined;
  const note = (changes: Iterable<Change>) => {
    for (const { kind, key, body } of changes)
      if (kind === 'framework' && key === 'id') id = (body as FrameworkRecord | undefined)?.framework_id;
  };
  note(records);
  return { now: () => id, note };
}

/**
 * Records that cannot be read are put aside, and the others go on. All but one: a framework that has forgotten its id would
 * register as another, and leave its tasks running beside their doubles.
 */
export function tellPoison(log: Ground['log'], poison: readonly Poison[]): void {
  for (const one of poison) log.error(one, 'a record cannot be read: put aside');
  const own = poison.find(({ kind }) => kind === 'framework');
  if (own !== undefined)
    throw new Refused(
      `the record of our framework id cannot be read (${own.reason}): without it Mesos would take us for another framework; expected a version of Horae that can read it, or a copy of the journal that is whole`,
    );
}

/** Runs until a signal or a fatal reason ends the process. Resolves with the address of its door once it is open. */
export async function runAlone(ground: Ground, openMesos: OpenMesos): Promise<string> {
  const { settings, log, clock, metrics } = ground;
  const certificate = certificateOf(settings);
  const channels = openChannels(ground);
  const ending = endingOf(log);
  const journal = openHistory(within('journal', ground));
  await journal.open();
  const restored = await journal.restore();
  tellPoison(log, restored.poison);
  const records = [...restored.records];

  const framework_id = frameworkId(records);
  const mesos = await openMesos(framework_id.now);
  const projection: Projection = createProjection({
    history: journal,
    restored: records,
    position: restored.position,
    nextAt: key => scheduler.nextAt(key),
    pending: {
      keys: () => scheduler.pending.keys(),
      why: key => scheduler.pending.why(key),
    },
    quarantined: key => asideOf(scheduler.quarantined(), key),
  });
  const announcing = await openAnnouncing(within('discovery', ground), projection);
  const announcer = announcing?.begin(ownerOf(ground.data_dir), Promise.resolve());
  const { scheduler, stop } = openScheduler({
    settings,
    log: ground.logs.of('actors'),
    clock,
    metrics,
    journal,
    records,
    link: askingLink(announcer === undefined ? mesos.link : withdrawingLink(mesos.link, announcer, projection), {
      reports: mesos.reports,
      views: projection,
      begun_at: clock.now(),
      caught_up: Promise.resolve(),
    }),
    identity: mesos.identity,
    letters: lettersOf(channels, mesos.sandboxes, settings.notify_log_bytes_max),
    committed(changes, position) {
      framework_id.note(changes);
      projection.commit(changes, position);
    },
    onFatal: ending.fatal,
  });
  collectScheduler(metrics, scheduler, projection);

  const door = await openDoor({
    ...within('http', ground),
    certificate,
    standing: standingOf(channels),
    submit: scheduler.submit,
    views: projection,
    sandboxes: mesos.sandboxes,
    reports: mesos.reports,
    usages: mesos.usages,
    sessions: mesos.sessions,
    ...(mesos.sweeping === undefined ? {} : { sweeping: mesos.sweeping }),
    ...(announcing === undefined ? {} : { serversets: announcing.state }),
    archive: mesos.archive,
    history: journal,
    debug: debugBundle({ ...ground, views: projection, history: journal, serversets: announcing?.state }),
  });
  const cassandra = (await openCassandra(ground, projection, journal))?.begin(
    ownerOf(ground.data_dir).id,
    Promise.resolve(),
  );
  const graphite = tellGraphite(ground, projection);
  compactNowAndThen(within('journal', ground), journal);
  ending.onSignal(async () => {
    graphite?.close();
    await door.close();
    await stop();
    await announcer?.close();
    await channels.close();
    await mesos.close();
    await cassandra?.close();
    await journal.close();
  });
  return door.url;
}

/** The journal of this machine. In a cluster it holds this node's copy of the history alone. */
export const openHistory = ({ settings, log, clock, data_dir }: Ground) =>
  lmdbJournal({
    path: join(data_dir, 'journal'),
    schemas: record_schemas,
    retention: retentionOf(settings),
    now: clock.now,
    map_size: settings.journal_map_mb * 2 ** 20,
    segments_per_snapshot: settings.segments_per_snapshot,
    log,
  });

export function retentionOf(settings: Settings) {
  const rows = { age_ms_max: settings.history_days * 86_400_000, rows_max: settings.history_per_job };
  return {
    outcome: rows,
    'finished-run': rows,
    'finished-attempt': rows,
    'finished-update': { age_ms_max: settings.update_days * 86_400_000, rows_max: settings.updates_per_job },
    'update-event': { age_ms_max: settings.update_days * 86_400_000, rows_max: settings.history_per_job },
    missed: { age_ms_max: rows.age_ms_max, group_parts: 0 },
    'sent-letter': { age_ms_max: rows.age_ms_max, rows_max: settings.notify_sent_max, group_parts: 0 },
    audit: { age_ms_max: settings.audit_days * 86_400_000, group_parts: 0 },
  };
}

/** What can be counted at any time is counted when somebody asks. */
export function collectScheduler(metrics: Metrics, scheduler: Scheduler, projection: Projection): void {
  metrics.collect(() => {
    const counts = scheduler.counts();
    metrics.record('horae_jobs', undefined, counts.jobs);
    metrics.record('horae_timetable_armed', undefined, counts.armed);
    metrics.record('horae_quarantined', undefined, scheduler.quarantined().size);
    metrics.record('horae_waiting_instances', undefined, scheduler.waiting());
    countLetters(metrics, projection);
    for (const [status, count] of Object.entries(projection.instance_counts()))
      metrics.record('horae_instances', { status }, count);
  });
}

/** Old history goes once an hour. */
export function compactNowAndThen(
  { clock, log }: Pick<Ground, 'clock' | 'log'>,
  journal: { compact(now: number): Promise<void> },
): void {
  const compacting = setInterval(
    () =>
      void journal
        .compact(clock.now())
        .catch(error => log.error({ error: String(error) }, 'history could not be compacted')),
    3_600_000,
  );
  compacting.unref();
}
