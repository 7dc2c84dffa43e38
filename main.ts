// main.ts: reads the settings, builds the real objects, and starts what was asked for. The only file that knows them all.

import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { type Logger, pino } from 'pino';
import { treeSettings } from './actors/limits.ts';
import { checkSchedules } from './actors/model/schedules.ts';
import { createOutbox } from './actors/outbox.ts';
import { startScheduler } from './actors/root.ts';
import { nactRuntime } from './actors/runtime/nact.ts';
import { record_schemas } from './actors/schemas.ts';
import { httpLink } from './mesos/http-link.ts';
import { sandboxFile, startLocalMesos, wholeMachine } from './mesos/local/index.ts';
import type { Resource } from './mesos/protocol.ts';
import { systemClock } from './schedules/clock.ts';
import type { Problem } from './schedules/problem.ts';
import {
  type AgentResources,
  readSettings,
  type Settings,
  settingsFile,
  settingsHelp,
  unknownVariables,
} from './settings.ts';
import { asksHelp, parseArguments, usage } from './transport/cli/arguments.ts';
import { ask_usage, printRows, readAsk, refusedText } from './transport/cli/ask.ts';
import { explainLine, schedule_usage } from './transport/cli/schedule.ts';
import { type Credentials, hashPassword, openCredentials } from './transport/credentials.ts';
import { calendarsOf } from './transport/http/calendars.ts';
import { startHttp } from './transport/http/server.ts';
import { JournalError } from './transport/journal/journal.ts';
import { lmdbJournal } from './transport/journal/lmdb.ts';
import { collectProcess, createMetrics, type Metrics } from './transport/metrics.ts';
import { createProjection } from './transport/projection.ts';

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, 'package.json'), 'utf8')) as { version: string };

/** Something that a person can mend: said in one line, without a stack. */
class Refused extends Error {}

const request = parseArguments(process.argv.slice(2));
if (!request.ok) fail(request.problems);
else if (request.value.command === 'help') console.log(usage(settingsHelp()));
else if (request.value.command === 'version') console.log(version);
else if (request.value.command === 'hash-password')
  console.log(await hashPassword(passwordOf(readFileSync(0, 'utf8')), randomBytes(16)));
else if (request.value.command === 'schedule') explainSchedule(request.value.argv);
else if (request.value.command === 'outcomes' || request.value.command === 'missed')
  await askScheduler(request.value.command, request.value.argv);
else
  dev(request.value.argv).catch(error => {
    if (error instanceof Refused || error instanceof JournalError) console.error(`horae: ${error.message}`);
    else console.error('horae: cannot start:', error);
    process.exit(1);
  });

/** `horae schedule explain`: answered here, without a scheduler. */
function explainSchedule(argv: readonly string[]): void {
  if (asksHelp(argv)) {
    console.log(schedule_usage);
    return;
  }
  const told = explainLine(argv, systemClock().now(), process.env.HORAE_DEFAULT_ZONE ?? 'UTC');
  if (!told.ok) fail(told.problems);
  process.stdout.write(told.value);
}

/** `horae outcomes` and `horae missed`: asked of a scheduler that runs. */
async function askScheduler(command: 'outcomes' | 'missed', argv: readonly string[]): Promise<void> {
  if (asksHelp(argv)) {
    console.log(ask_usage);
    return;
  }
  const ask = readAsk(command, argv, process.env);
  if (!ask.ok) fail(ask.problems);
  const { url, headers, json } = ask.value;
  const refuse = (text: string) => {
    console.error(`horae: ${text}`);
    process.exitCode = 1;
  };
  try {
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(30_000) });
    const body: unknown = await answer.json();
    if (!answer.ok) refuse(refusedText(answer.status, body));
    else process.stdout.write(json ? `${JSON.stringify(body, undefined, 2)}\n` : printRows(body));
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    refuse(`no answer from ${new URL(url).origin}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** Scheduler, one-machine Mesos, journal, REST and console in this process; tasks in processes of their own. */
async function dev(argv: readonly string[]): Promise<void> {
  const settings = settingsOf(argv);
  const log = pino({ level: settings.log_level, base: null }, pino.destination({ dest: 2, sync: true }));
  for (const problem of unknownVariables(process.env)) log.warn({ variable: problem.place }, problem.message);
  const clock = systemClock();
  const data_dir = resolve(settings.data_dir);
  const tls = tlsOf(settings);
  named('--data-dir', data_dir, () => mkdirSync(data_dir, { recursive: true, mode: 0o700 }));

  const metrics = createMetrics();
  collectProcess(metrics, version);
  const journal = lmdbJournal({
    path: join(data_dir, 'journal'),
    schemas: record_schemas,
    retention: retentionOf(settings),
    now: clock.now,
    map_size: settings.journal_map_mb * 2 ** 20,
    segments_per_snapshot: settings.segments_per_snapshot,
    log,
  });
  await journal.open();
  const restored = await journal.restore();
  for (const poison of restored.poison) log.error(poison, 'a record cannot be read: put aside');
  const records = [...restored.records];

  // Everything below ends in one place, and at most once.
  let ending = false;
  const end = (status: number) => {
    // What has been said must be seen; what has not left yet is in the journal.
    log.flush();
    process.exit(status);
  };
  const fatal = (reason: string, error?: unknown) => {
    if (ending) return;
    ending = true;
    log.fatal({ error: error instanceof Error ? error.message : error }, `horae stops: ${reason}`);
    end(1);
  };

  const outbox = createOutbox({
    journal,
    restored: { records },
    defer: task => void setImmediate(task),
    batch_changes_max: settings.batch_changes_max,
    pace: {
      interval_ms: settings.commit_interval_ms,
      enough: settings.batch_changes_max / 4,
      after: (delay_ms, callback) => void setTimeout(callback, delay_ms),
    },
    monotonic: clock.monotonic,
    onFatal: error =>
      fatal(
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

  const work_dir = join(data_dir, 'agent');
  const mesos = await startLocalMesos({
    work_dir,
    resources: await resourcesOf(settings.agent_resources, data_dir),
    clock,
    log,
    retention: { sandboxes_max: settings.sandboxes_max, age_ms_max: settings.sandbox_days * 86_400_000 },
    // One framework has this machine to itself: what it does not use may come back to it at once.
    master: { allocation_interval_ms: 0 },
  }).catch(error => {
    throw new Refused(`cannot run tasks in ${work_dir}: ${error instanceof Error ? error.message : String(error)}`);
  });
  const link = httpLink({
    urls: [mesos.url],
    clock,
    log,
    ...(mesos.credentials === undefined ? {} : { credentials: mesos.credentials }),
    heartbeat_missed_max: settings.heartbeat_missed_max,
    record_bytes_max: settings.record_bytes_max,
    subscribe_timeout_ms: settings.subscribe_timeout_ms,
    call_timeout_ms: settings.call_timeout_ms,
    calls_in_flight_max: settings.calls_in_flight_max,
    calls_waiting_max: settings.calls_waiting_max,
  });

  const projection = createProjection({
    history: journal,
    restored: records,
    position: restored.position,
    nextAt: key => scheduler.nextAt(key),
    pending: () => scheduler.pending(),
    quarantined: key => scheduler.quarantined().get(`job ${key}`) ?? scheduler.quarantined().get(`trigger ${key}`),
  });
  outbox.onCommitted((changes, position) => projection.commit(changes, position));

  const scheduler = startScheduler({
    runtime: nactRuntime,
    outbox,
    link,
    clock,
    random: Math.random,
    log: (level, fields, message) => log[level](fields, message),
    count: counting(metrics, log),
    settings: treeSettings(
      { ...settings, refuse_seconds: 0 },
      { name: 'horae', user: userInfo().username, hostname: hostname() },
    ),
    restarts: { crashes_max: settings.crash_count_max, period_ms: settings.crash_period_ms },
    commands_max: settings.commands_max,
    onFatal: fatal,
  });
  metrics.collect(() => {
    const counts = scheduler.counts();
    metrics.record('horae_jobs', undefined, counts.jobs);
    metrics.record('horae_timetable_armed', undefined, counts.armed);
    metrics.record('horae_quarantined', undefined, scheduler.quarantined().size);
    metrics.record('horae_waiting_instances', undefined, scheduler.waiting());
    for (const [status, count] of Object.entries(projection.instance_counts()))
      metrics.record('horae_instances', { status }, count);
  });

  const http = await startHttp({
    listen: settings.http,
    ...tls,
    submit: scheduler.submit,
    views: projection,
    sandboxes: {
      async open(agent_id, task_id, name) {
        const file = await sandboxFile(work_dir, agent_id, task_id, name);
        if (file === undefined) return undefined;
        return {
          size: async () => (await file.stat()).size,
          async read(position, length) {
            const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, position);
            return buffer.subarray(0, bytesRead);
          },
          close: () => file.close(),
        };
      },
    },
    credentials: await credentialsOf(settings, log, clock.now),
    insecure: settings.insecure,
    allow_origins: settings.allow_origin,
    allow_hosts: settings.allow_host,
    limits: settings,
    default_zone: settings.default_zone,
    chronos_generation: settings.chronos_generation === '2' ? 2 : 3,
    clock,
    log,
    metrics,
    history: journal,
    compile: job =>
      checkSchedules(job, clock.now(), {
        default_zone: settings.default_zone,
        calendars: calendarsOf(projection),
      }),
    ids: () => randomUUID(),
    version,
  }).catch(error => {
    throw new Refused(`cannot listen on ${settings.http.host}:${settings.http.port}: ${sayListen(error)}`);
  });
  welcome(http.url);

  const compacting = setInterval(
    () =>
      void journal
        .compact(clock.now())
        .catch(error => log.error({ error: String(error) }, 'history could not be compacted')),
    3_600_000,
  );
  compacting.unref();
  const stop = (signal: string) => {
    if (ending) return;
    ending = true;
    log.info(
      { signal },
      'horae stops: what was decided is being written; tasks run on and are adopted at the next start',
    );
    void (async () => {
      await http.close();
      await scheduler.stop();
      await outbox.close();
      await mesos.close();
      await journal.close();
      end(0);
    })().catch(error => {
      log.fatal({ error: String(error) }, 'horae could not stop in good order');
      end(1);
    });
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
}

/** The line that was typed or piped in, without its end. */
function passwordOf(input: string): string {
  const password = input.replace(/\r?\n$/, '');
  if (password === '' || password.includes('\n'))
    fail([{ place: '', message: 'expected a password of one line on standard input', expected: 'one line' }]);
  return password;
}

function settingsOf(argv: readonly string[]): Settings {
  const file = settingsFile(argv, process.env);
  if (file.required && !existsSync(file.path))
    throw new Refused(`there is no settings file ${file.path}: expected the one that --config names`);
  const read = readSettings(argv, process.env, existsSync(file.path) ? readFileSync(file.path, 'utf8') : undefined);
  if (!read.ok) fail(read.problems);
  return read.value;
}

/** Every problem on a line of its own, and the door. */
function fail(problems: readonly Problem[]): never {
  for (const problem of problems) console.error(`horae: ${problem.message}`);
  process.exit(2);
}

function retentionOf(settings: Settings) {
  const rows = { age_ms_max: settings.history_days * 86_400_000, rows_max: settings.history_per_job };
  return {
    outcome: rows,
    'finished-run': rows,
    'finished-attempt': rows,
    missed: { age_ms_max: rows.age_ms_max, group_parts: 0 },
    audit: { age_ms_max: settings.audit_days * 86_400_000, group_parts: 0 },
  };
}

/** What is set, and what is measured where nothing is. */
async function resourcesOf(
  { cpus, mem_mb, disk_mb, ports }: AgentResources,
  data_dir: string,
): Promise<readonly Resource[]> {
  const set: Record<string, Resource | undefined> = {
    cpus: cpus === undefined ? undefined : { name: 'cpus', type: 'SCALAR', scalar: { value: cpus } },
    mem: mem_mb === undefined ? undefined : { name: 'mem', type: 'SCALAR', scalar: { value: mem_mb } },
    disk: disk_mb === undefined ? undefined : { name: 'disk', type: 'SCALAR', scalar: { value: disk_mb } },
    ports: ports === undefined ? undefined : { name: 'ports', type: 'RANGES', ranges: { range: ports } },
  };
  return (await wholeMachine(data_dir)).map(measured => set[measured.name] ?? measured);
}

function tlsOf(settings: Settings): { tls?: { cert: string; key: string } } {
  if (settings.tls_cert === undefined || settings.tls_key === undefined) return {};
  const { tls_cert, tls_key } = settings;
  const cert = named('--tls-cert', tls_cert, () => readFileSync(tls_cert, 'utf8'));
  return { tls: { cert, key: named('--tls-key', tls_key, () => readFileSync(tls_key, 'utf8')) } };
}

/** What a setting names is made or read; where the system will not, the setting is named with the reason. */
function named<T>(flag: string, path: string, take: () => T): T {
  try {
    return take();
  } catch (error) {
    throw new Refused(`${flag} is ${path}: ${sayFile(error)}`);
  }
}

function sayFile(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EEXIST':
    case 'ENOTDIR':
      return 'there is a file where a directory is expected; choose another place';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'not permitted; choose another place, or start as somebody who may';
    case 'ENOSPC':
      return 'the device is full; free some space there';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

function sayListen(error: unknown): string {
  const code = (error as { code?: string }).code;
  if (code === 'EADDRINUSE')
    return 'the port is in use; choose another with --http HOST:PORT, or port 0 for any free one';
  if (code === 'EACCES') return 'not permitted; choose a port above 1023';
  return error instanceof Error ? error.message : String(error);
}

/** A count that the registry does not know is a fault of ours, and must not be the crash of whoever counted. */
function counting(
  metrics: Metrics,
  log: Logger,
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

async function credentialsOf(settings: Settings, log: Logger, now: () => number): Promise<Credentials | undefined> {
  if (settings.credentials === undefined) return undefined;
  const opened = await openCredentials(settings.credentials, { log, now });
  if (!opened.ok) fail(opened.problems);
  return opened.value;
}

/** What a person sees first. */
function welcome(url: string): void {
  const hello = { role: 'me', environment: 'devel', name: 'hello', command: 'echo hello; sleep 5', cron: '* * * * *' };
  console.log(`Horae ${version} is running. Console: ${url}

Try, in another terminal:
  curl -X POST ${url}/api/v1/jobs -H 'content-type: application/json' -d '${JSON.stringify(hello)}'
  curl -X POST ${url}/api/v1/jobs/me/devel/hello/runs
  curl ${url}/api/v1/jobs/me/devel/hello/runs`);
}
