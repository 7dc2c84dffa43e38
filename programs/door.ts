// door.ts: the server that people and programs meet: REST, the dialects and the console, out of its parts.
//
// It is opened once in the life of a process. Who answers behind it (this process, or the leader of a cluster) is given.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { checkJob } from '../actors/checks.ts';
import type { ChannelName } from '../actors/model/notices.ts';
import type { Settings } from '../settings.ts';
import { type Credentials, openCredentials } from '../transport/credentials.ts';
import { calendarsOf } from '../transport/http/routes/calendars.ts';
import { type HttpOptions, type HttpServer, startHttp } from '../transport/http/server.ts';
import { checkTls } from '../transport/http/tls.ts';
import { fail, named, Refused, sayListen } from './refused.ts';
import type { Ground } from './start.ts';

export type DoorParts = Pick<Ground, 'settings' | 'log' | 'clock' | 'metrics' | 'version'> &
  Pick<
    HttpOptions,
    | 'submit'
    | 'views'
    | 'sandboxes'
    | 'reports'
    | 'usages'
    | 'sessions'
    | 'sweeping'
    | 'serversets'
    | 'history'
    | 'cluster'
    | 'links'
    | 'logs'
    | 'debug'
  > & {
    readonly archive?: HttpOptions['archive'] | undefined;
  } & {
    /** From `certificateOf`, which is asked first, since it costs nothing and may refuse. */
    readonly certificate: Certificate | undefined;
    /** Channels for which the settings name a place; `mail`: a server. */
    readonly standing: readonly ChannelName[];
  };
export type Certificate = { readonly cert: string; readonly key: string };

export async function openDoor(parts: DoorParts): Promise<HttpServer> {
  const { settings, clock, log, views, certificate } = parts;
  return startHttp({
    listen: settings.http,
    ...(certificate === undefined ? {} : { tls: certificate }),
    ...(parts.cluster === undefined ? {} : { cluster: parts.cluster }),
    ...(parts.links === undefined ? {} : { links: parts.links }),
    ...(parts.archive === undefined ? {} : { archive: parts.archive }),
    submit: parts.submit,
    views,
    sandboxes: parts.sandboxes,
    ...(parts.reports === undefined ? {} : { reports: parts.reports }),
    ...(parts.sessions === undefined ? {} : { sessions: parts.sessions }),
    ...(parts.sweeping === undefined ? {} : { sweeping: parts.sweeping }),
    ...(parts.logs === undefined ? {} : { logs: parts.logs }),
    ...(parts.debug === undefined ? {} : { debug: parts.debug }),
    ...(parts.usages === undefined ? {} : { usages: parts.usages }),
    ...(parts.serversets === undefined ? {} : { serversets: parts.serversets }),
    credentials: await credentialsOf(settings, log, clock.now),
    insecure: settings.insecure,
    allow_origins: settings.allow_origin,
    allow_hosts: settings.allow_host,
    limits: settings,
    default_zone: settings.default_zone,
    chronos: {
      generation: settings.chronos_generation === '2' ? 2 : 3,
      strict: settings.chronos_compat === 'strict',
      epsilon_ms: settings.task_epsilon * 1_000,
      retry_delay_ms: settings.failure_retry,
      cpus: settings.mesos_task_cpu,
      mem: settings.mesos_task_mem,
      disk: settings.mesos_task_disk,
      disable_after_failures: settings.disable_after_failures,
      history_limit: settings.job_history_limit,
    },
    clock,
    log,
    metrics: parts.metrics,
    history: parts.history,
    compile(job) {
      const context = { default_zone: settings.default_zone, calendars: calendarsOf(views) };
      return checkJob(job, clock.now(), context, parts.standing);
    },
    ids: () => randomUUID(),
    version: parts.version,
  }).catch(error => {
    throw new Refused(`cannot listen on ${settings.http.host}:${settings.http.port}: ${sayListen(error)}`);
  });
}

export function certificateOf({ tls_cert, tls_key }: Settings): Certificate | undefined {
  if (tls_cert === undefined || tls_key === undefined) return undefined;
  const cert = named('--tls-cert', tls_cert, () => readFileSync(tls_cert, 'utf8'));
  const key = named('--tls-key', tls_key, () => readFileSync(tls_key, 'utf8'));
  const problem = checkTls({ cert, key });
  if (problem?.what === 'cert') throw new Refused(`--tls-cert is ${tls_cert}: ${problem.message}`);
  if (problem?.what === 'key') throw new Refused(`--tls-key is ${tls_key}: ${problem.message}`);
  return { cert, key };
}

async function credentialsOf(
  settings: Settings,
  log: Ground['log'],
  now: () => number,
): Promise<Credentials | undefined> {
  if (settings.credentials === undefined) return undefined;
  const opened = await openCredentials(settings.credentials, { log, now });
  if (!opened.ok) fail(opened.problems);
  return opened.value;
}
