// masters.ts: the Mesos that --mesos names, out of the settings: who we are there, whom we trust, who leads, where logs are.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type * as tls from 'node:tls';
import type { Sandboxes } from '../actors/model/views.ts';
import { AgentAway, type AgentFiles, agentFiles } from '../mesos/agent-files.ts';
import { agentSessions } from '../mesos/agent-sessions.ts';
import { agentUsage } from '../mesos/agent-usage.ts';
import { type Masters, readMasters } from '../mesos/detector.ts';
import { authorization, type Credentials, httpLink } from '../mesos/http-link.ts';
import { watchLeader } from '../mesos/leader-watch.ts';
import type { Settings } from '../settings.ts';
import { Refused as HttpRefused } from '../transport/http/problems.ts';
import { checkTls, isCertificate } from '../transport/http/tls.ts';
import type { Mesos } from './alone.ts';
import { consoleUrl, openArchive } from './archive.ts';
import { fail, named, oneLine, Refused } from './refused.ts';
import { heardBy, openReports } from './reports.ts';
import type { Identity } from './scheduler.ts';
import type { Ground } from './start.ts';

/** How long a secret or token is used before it is looked for in its file again. */
const credentials_age_ms_max = 2_000;

/** Connects when the scheduler subscribes, not before. Refuses settings that cannot be right. */
export async function openMasters(ground: Ground, framework_id: () => string | undefined): Promise<Mesos> {
  const { settings, log, clock, metrics } = ground;
  const masters = mastersOf(settings);
  const trust = trustOf(settings);
  const credentials = credentialsOf(settings, log, clock.monotonic);
  let leaders: readonly string[] = masters.type === 'addresses' ? masters.urls : [];
  const link = httpLink({
    urls: masters.type === 'addresses' ? masters.urls : () => leaders,
    clock,
    log,
    ignored: count => metrics.record('horae_events_ignored_total', undefined, count),
    ...(credentials === undefined ? {} : { credentials }),
    ...(trust === undefined ? {} : { tls: trust }),
    redirects_max: settings.redirects_max,
    heartbeat_missed_max: settings.heartbeat_missed_max,
    record_bytes_max: settings.record_bytes_max,
    subscribe_timeout_ms: settings.subscribe_timeout_ms,
    call_timeout_ms: settings.call_timeout_ms,
    calls_in_flight_max: settings.calls_in_flight_max,
    calls_waiting_max: settings.calls_waiting_max,
  });
  const watch =
    masters.type === 'zookeeper'
      ? watchLeader({
          connect: await zookeeperOf(masters, { settings, log, clock }),
          path: masters.path,
          scheme: isSecure(settings) ? 'https' : 'http',
          clock,
          log,
          found(leader) {
            leaders = [leader.url];
            link.mastersChanged();
          },
        })
      : undefined;
  const shown = () => authorization(credentials?.());
  const files = agentFiles({
    clock,
    framework_id,
    master: () => link.origin() ?? leaders[0],
    master_headers: shown,
    agent_headers: settings.mesos_agents_authenticate ? shown : () => ({}),
    tls: trust,
    timeout_ms: settings.call_timeout_ms,
  });
  const usages = agentUsage(files, clock);
  const sessions = agentSessions({
    clock,
    at: files.at,
    framework_id,
    newId: randomUUID,
    timeout_ms: settings.call_timeout_ms,
  });
  const archive = await openArchive(ground);
  const reports = openReports(ground);
  return {
    link: heardBy(link, [files, reports]),
    sandboxes: sandboxesOf(files),
    reports,
    usages: { of: (agent_id, task_id) => usages.of(agent_id, task_id).catch(away) },
    sessions: { open: (agent_id, task_id, wish) => sessions.open(agent_id, task_id, wish).catch(away) },
    identity: { ...identityOf(settings), archive: archive.url },
    archive: archive.served,
    async close() {
      await archive.close();
      watch?.close();
    },
  };
}

export function mastersOf({ mesos }: Settings): Masters {
  if (mesos === undefined)
    throw new Refused('--mesos is not given: expected http://HOST:5050, or zk://HOST:2181,HOST:2181/PATH');
  const read = readMasters(mesos);
  if (!read.ok) fail(read.problems);
  return read.value;
}

/** Whether masters that are found in ZooKeeper speak TLS: they do not say so there. */
export const isSecure = ({ mesos_https, mesos_ca, mesos_cert }: Settings) =>
  mesos_https || mesos_ca !== undefined || mesos_cert !== undefined;

export function identityOf(settings: Settings): Identity {
  return {
    name: settings.framework_name,
    user: settings.framework_user ?? ourselves(),
    hostname: hostname(),
    webui_url: consoleUrl(settings),
    principal: settings.mesos_principal,
    roles: settings.mesos_roles,
    checkpoint: settings.checkpoint,
    capabilities: settings.mesos_capabilities,
    offer_constraints: settings.mesos_offer_constraints,
    docker_secrets: settings.docker_secrets,
  };
}

function ourselves(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container a user may be a number that no file names.
    throw new Refused('--framework-user is not given, and who runs this has no name: expected a user of the agents');
  }
}

/** Whom we trust, and how we prove who we are, when masters and agents speak TLS. */
export function trustOf({ mesos_ca, mesos_cert, mesos_key }: Settings): tls.ConnectionOptions | undefined {
  const read = (flag: string, path: string | undefined) =>
    path === undefined ? undefined : named(flag, path, () => readFileSync(path, 'utf8'));
  const ca = read('--mesos-ca', mesos_ca);
  const cert = read('--mesos-cert', mesos_cert);
  const key = read('--mesos-key', mesos_key);
  if (ca !== undefined && !isCertificate(ca))
    throw new Refused(`--mesos-ca is ${mesos_ca}: it holds no certificate: expected one in PEM`);
  if (cert === undefined || key === undefined) return ca === undefined ? undefined : { ca };
  const problem = checkTls({ cert, key });
  if (problem !== undefined) {
    const [flag, path] = problem.what === 'cert' ? ['--mesos-cert', mesos_cert] : ['--mesos-key', mesos_key];
    throw new Refused(`${flag} is ${path}: ${problem.message.replace('--tls-cert', '--mesos-cert')}`);
  }
  return { ...(ca === undefined ? {} : { ca }), cert, key };
}

/** What we show. Looked for again now and then: tokens do not last, and a secret that was wrong is mended in its file. */
export function credentialsOf(
  { mesos_principal, mesos_secret_file, mesos_token_file }: Settings,
  log: {
    readonly info: (fields: object, message: string) => void;
    readonly error: (fields: object, message: string) => void;
  },
  monotonic: () => number,
): (() => Credentials) | undefined {
  const make = (note?: (flag: string) => void): Credentials | undefined => {
    if (mesos_secret_file !== undefined && mesos_principal !== undefined) {
      const secret = oneLine('--mesos-secret-file', mesos_secret_file, note);
      return { type: 'basic', principal: mesos_principal, secret };
    }
    if (mesos_token_file === undefined) return undefined;
    return { type: 'bearer', token: oneLine('--mesos-token-file', mesos_token_file, note) };
  };
  let credentials = make(flag => log.info({}, `the newline at the end of ${flag} is not taken for a part of it`));
  if (credentials === undefined) return undefined;
  let made_at = monotonic();
  return () => {
    if (monotonic() - made_at >= credentials_age_ms_max) {
      made_at = monotonic();
      try {
        const now = make();
        // Another object tells whoever holds one that it is another secret.
        if (now !== undefined && JSON.stringify(now) !== JSON.stringify(credentials)) {
          credentials = now;
          log.info({}, 'the secret for Mesos has changed in its file, and is used from now on');
        }
      } catch (error) {
        log.error({ error: String(error) }, 'the secret for Mesos cannot be read again: going on with the last one');
      }
    }
    return credentials!;
  };
}

async function zookeeperOf(
  masters: Extract<Masters, { type: 'zookeeper' }>,
  { settings, log, clock }: Pick<Ground, 'settings' | 'log' | 'clock'>,
) {
  // Not loaded where nobody asks for it.
  const { connectZooKeeper } = await import('../transport/zookeeper/client.ts');
  const { servers, auth } = masters;
  return () =>
    connectZooKeeper({
      servers,
      session_timeout_ms: settings.detection_timeout_ms,
      ...(auth === undefined ? {} : { auth: { scheme: 'digest', id: auth } }),
      clock,
      log,
    });
}

export const away = (error: unknown): never => {
  if (error instanceof AgentAway) throw new HttpRefused('agent-away', error.message);
  throw error;
};

function sandboxesOf(files: AgentFiles): Sandboxes {
  return {
    async open(agent_id, task_id, name) {
      const file = await files.open(agent_id, task_id, name).catch(away);
      if (file === undefined) return undefined;
      return {
        size: () => file.size().catch(away),
        read: (position, length) => file.read(position, length).catch(away),
        close: async () => file.close(),
      };
    },
    async list(agent_id, task_id, folder, { after, limit }) {
      const entries = await files.list(agent_id, task_id, folder).catch(away);
      const rest = entries?.filter(({ name }) => name > after);
      return rest?.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, limit);
    },
  };
}
