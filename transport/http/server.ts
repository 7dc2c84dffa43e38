// server.ts: the door: one port for REST, the Chronos dialect, the console's page and its WebSocket.
//
// What is slow, large or many is turned away here by limits with names, before anything is done for it. The live objects
// (who decides, what can be read, where output lies) are given; nothing in this folder makes them.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Submit } from '../../actors/model/commands.ts';
import type { Job } from '../../actors/model/job.ts';
import type { Sandboxes, Sweeping, TaskReports, TaskSessions, Usages, Views } from '../../actors/model/views.ts';
import type { Clock } from '../../schedules/clock.ts';
import type { Result } from '../../schedules/problem.ts';
import { createFeed } from '../console/feed.ts';
import { consoleFile } from '../console/files.ts';
import { type Credentials, permits } from '../credentials.ts';
import type { AnnouncerState } from '../discovery/announcer.ts';
import type { History } from '../journal/journal.ts';
import type { Metrics } from '../metrics.ts';
import { createSessionDesk, isSessionPath } from '../terminal/desk.ts';
import { isForAgents, type ServedArchive, sendArchive } from './archive.ts';
import { chronos_routes } from './chronos/routes.ts';
import { type ChronosRules, chronos_rules_default } from './chronos/rules.ts';
import { createDispatch } from './dispatch.ts';
import { authenticate, authorize, checkHost, checkOrigin, type GuardRules, isLoopback } from './guard.ts';
import { alone, type Cluster, leader_routes } from './leader.ts';
import { openapiDocument } from './openapi.ts';
import { problem_type, problemDocument, Refused } from './problems.ts';
import type { HttpLimits, Log, Route, Services } from './route.ts';
import { calendar_routes } from './routes/calendars.ts';
import { dependencyRoutes } from './routes/dependencies.ts';
import { discovery_routes } from './routes/discovery.ts';
import { explain_routes } from './routes/explain.ts';
import { file_routes } from './routes/files.ts';
import { instance_routes } from './routes/instances.ts';
import { found, job_routes } from './routes/jobs.ts';
import { log_routes } from './routes/logs.ts';
import { missed_routes } from './routes/missed.ts';
import { notification_routes } from './routes/notifications.ts';
import { operations_routes } from './routes/operations.ts';
import { run_routes } from './routes/runs.ts';
import { sandbox_routes } from './routes/sandboxes.ts';
import { session_routes } from './routes/sessions.ts';
import { statistics_routes } from './routes/statistics.ts';
import { steeringRoutes } from './routes/steering.ts';
import { systemRoutes } from './routes/system.ts';
import { task_routes } from './routes/tasks.ts';
import { update_routes } from './routes/updates.ts';
import { usage_routes } from './routes/usage.ts';
import { createTurnstile } from './stream.ts';

export type { HttpLimits } from './route.ts';

export type HttpOptions = {
  /** Port 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly submit: Submit;
  readonly views: Views;
  readonly history: History;
  readonly sandboxes: Sandboxes;
  /** Left out: nobody hears any. */
  readonly reports?: TaskReports;
  readonly usages?: Usages;
  /** Left out: no commands are run in tasks. */
  readonly sessions?: TaskSessions;
  readonly sweeping?: Sweeping;
  /** How it stands with ServerSets; left out: there are none. */
  readonly serversets?: () => AnnouncerState | undefined;
  readonly logs?: Services['logs'];
  readonly debug?: Services['debug'];
  /** undefined: whoever connects over loopback is `local` and may do everything. */
  readonly credentials: Credentials | undefined;
  readonly insecure: boolean;
  readonly allow_origins: readonly string[];
  readonly allow_hosts: readonly string[];
  readonly limits: HttpLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly compile: (job: Job) => Result<void>;
  readonly ids: () => string;
  readonly version?: string;
  /** Of schedules that name none; UTC when left out. */
  readonly default_zone?: string;
  /** How jobs that come by Chronos's API are read; what is left out is as Chronos was. */
  readonly chronos?: Partial<ChronosRules>;
  /** Left out: this node is the only one. */
  readonly cluster?: Cluster;
  /** The executor, for agents; left out: they have it from elsewhere. */
  readonly archive?: ServedArchive;
  /** WebSockets that other nodes open, at a path of their own; they prove by themselves who they are. */
  readonly links?: { readonly path: string; readonly accept: AcceptSocket };
};
export type AcceptSocket = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

export type HttpServer = {
  readonly url: string;
  readonly port: number;
  /** Takes no more requests, lets those under way end, and ends the streams. */
  readonly close: () => Promise<void>;
};

/** How long requests under way may take to end when the server closes. */
const closing_ms_max = 2_000;

/** Every route that is served and described. */
export function allRoutes(version: string): readonly Route[] {
  const routes: Route[] = [
    ...job_routes,
    ...steeringRoutes(found),
    ...dependencyRoutes(found),
    ...instance_routes,
    ...run_routes,
    ...task_routes,
    ...statistics_routes,
    ...update_routes,
    ...log_routes,
    ...file_routes,
    ...session_routes,
    ...usage_routes,
    ...sandbox_routes,
    ...explain_routes,
    ...missed_routes,
    ...discovery_routes,
    ...calendar_routes,
    ...notification_routes,
    ...leader_routes,
    ...operations_routes,
  ];
  let document: unknown;
  routes.push(
    ...systemRoutes(() => {
      document ??= openapiDocument(routes, version);
      return document;
    }),
    ...chronos_routes,
  );
  return routes;
}

/** Rejects when the address is not to be had, or lies beyond loopback without credentials. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { listen, tls, credentials, insecure, limits, metrics, log } = options;
  if (!isLoopback(listen.host) && credentials === undefined && !insecure)
    throw new Error(
      `${listen.host}:${listen.port} lies beyond loopback and there are no credentials: expected --credentials FILE, a loopback host such as 127.0.0.1, or --insecure`,
    );
  const closing = new AbortController();
  const { version = '0', default_zone = 'UTC' } = options;
  const followers = { count: 0 };
  const services: Services = {
    ...options,
    version,
    reports: options.reports ?? { of: () => undefined },
    sweeping: options.sweeping,
    usages: options.usages ?? { of: async () => undefined },
    cluster: options.cluster ?? alone(() => url, version),
    default_zone,
    chronos: { ...chronos_rules_default, ...options.chronos },
    followers,
    turnstile: createTurnstile(setImmediate),
    closing: closing.signal,
  };
  metrics.collect(() => metrics.gauge('horae_log_followers').set(followers.count));
  let url = '';
  let rules: GuardRules | undefined;
  const guard = (): GuardRules => rules!;

  const dispatch = createDispatch({
    routes: allRoutes(version),
    services,
    credentials,
    rules: guard,
    page: consoleFile,
  });
  const desk = createSessionDesk({ ...services, sessions: options.sessions });
  const feed = createFeed({ ...services, ...(options.cluster === undefined ? {} : { nodes: options.cluster }) });

  const settings = {
    requestTimeout: limits.request_timeout_ms,
    headersTimeout: Math.min(limits.request_timeout_ms, 10_000),
    connectionsCheckingInterval: Math.min(limits.request_timeout_ms, 1_000),
    keepAliveTimeout: 30_000,
    maxHeaderSize: 16_384,
  };
  const server: Server = tls === undefined ? createServer(settings) : createSecureServer({ ...settings, ...tls });
  server.maxConnections = limits.http_connections_max;
  const refusedOf = (why: string) => metrics.counter('horae_http_refused_total', { why }).add();
  server.on('drop', () => refusedOf('connections'));
  server.on('request', (request, response) =>
    isForAgents(request) ? void sendArchive(request, response, options.archive, log) : void dispatch(request, response),
  );
  server.on('checkContinue', (request, response) => {
    // A client that asks first is spared the sending of what would be refused.
    if (Number(request.headers['content-length'] ?? 0) <= limits.body_bytes_max) response.writeContinue();
    void dispatch(request, response);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    refusedOf(error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'slow' : 'malformed');
    log.debug({ code: error.code, error: error.message }, 'a connection was refused');
    answerRaw(socket, clientError(error));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    void (async () => {
      socket.on('error', error => log.debug({ error: error.message }, 'a client went away'));
      const path = (request.url ?? '').split('?')[0];
      if (options.links !== undefined && path === options.links.path)
        return options.links.accept(request, socket, head);
      try {
        checkHost(request, guard());
        checkOrigin(request, guard(), true);
        const commands = isSessionPath(path ?? '');
        if (path !== '/api/v1/feed' && !commands)
          throw new Refused('not-found', 'there are WebSockets at /api/v1/feed and /api/v1/jobs/KEY/session alone');
        const who = await authenticate(request, credentials);
        if (commands) return await desk.accept(request, socket, head, who);
        authorize(who, 'read', undefined);
        // Somebody who may read everything is not asked about every row.
        const sees = permits(who, 'read', '*') ? undefined : (role: string) => permits(who, 'read', role);
        feed.accept(request, socket, head, sees);
      } catch (error) {
        if (!(error instanceof Refused)) log.error({ error: String(error) }, 'a WebSocket could not be opened');
        refusedOf('websocket');
        answerRaw(socket, error instanceof Refused ? error : new Refused('failed', 'it could not be opened'));
      }
    })();
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: listen.host, port: listen.port }, () => {
      server.off('error', reject);
      server.on('error', error => log.error({ error: error.message }, 'the server failed'));
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  rules = {
    host: listen.host,
    port,
    secure: tls !== undefined,
    allow_hosts: options.allow_hosts,
    allow_origins: options.allow_origins,
  };
  const host = ['0.0.0.0', '::'].includes(listen.host) ? 'localhost' : listen.host;
  url = `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return {
    url,
    port,
    close: () =>
      new Promise(resolve => {
        closing.abort();
        feed.close();
        const late = setTimeout(() => server.closeAllConnections(), closing_ms_max);
        const ended = desk.close();
        server.close(() => {
          clearTimeout(late);
          void ended.then(resolve);
        });
        server.closeIdleConnections();
      }),
  };
}

function clientError(error: NodeJS.ErrnoException): Refused {
  switch (error.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refused('too-slow', 'the request did not arrive in time: expected it at once');
    case 'HPE_HEADER_OVERFLOW':
      return new Refused('too-many-headers', 'the request head has more than 16384 bytes');
    default:
      return new Refused('malformed', 'this is not HTTP/1.1 as it should be');
  }
}

/** An answer where there is no response object: the request never became one. */
function answerRaw(socket: Duplex, refused: Refused): void {
  if (!socket.writable || socket.destroyed) return void socket.destroy();
  const document = problemDocument(refused);
  const body = JSON.stringify(document);
  const headers = Object.entries({
    'content-type': problem_type,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    ...refused.headers,
  });
  const head = [
    `HTTP/1.1 ${document.status} ${document.title}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
