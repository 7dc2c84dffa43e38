// executor-server.ts: an agent's own door: the v1 executor API over HTTP, as a real agent answers it.
//
// Executors outlive their agent, so the agent that comes back must be found where the last one was: the port is chosen once
// and kept. Whoever can reach it may claim to be an executor and tell of its tasks, so each is given a pass with its
// environment and must show it, and requests that a web page made in somebody's browser are refused.

import { randomInt, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Log } from './agent-options.ts';
import { readExecutorCall } from './executor-call.ts';
import type { ExecutorHost } from './executor-host.ts';
import type { ExecutorCall } from './executor-protocol.ts';
import type { Claims } from './executor-token.ts';
import { acceptsJson, bodyOf } from './http-body.ts';
import { hasCode } from './processes.ts';
import { portBefore } from './work-dir.ts';

export type AgentDoor = { readonly server: Server; readonly port: number };

/** Where no outgoing connection and no task's port is: an agent that comes back finds its port free. */
const ports = { first: 20_000, last: 29_999 } as const;
const tries_max = 50;
const heartbeat_record = record({ type: 'HEARTBEAT' });
/** As Mesos: of no use as a watchdog, but it keeps middlemen awake. */
const heartbeat_ms = 30 * 60_000;
const body_bytes_max = 64 << 20;
const unread_bytes_max = 64 << 20;

/** Opens the agent's door on 127.0.0.1: at its port of before when that is free. */
export async function listenForExecutors(work_dir: string): Promise<AgentDoor> {
  const before = portBefore(work_dir);
  for (let tries = 0; tries < tries_max; tries++) {
    const port = tries === 0 && before !== undefined ? before : randomInt(ports.first, ports.last + 1);
    // Without a limit on requests: the input of a session is one, and lasts as long as that.
    const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 });
    if (await listens(server, port)) return { server, port };
  }
  throw new Error(`no port is free for the agent: ${tries_max} between ${ports.first} and ${ports.last} were tried`);
}

/** False when somebody else is there. */
function listens(server: Server, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once('error', error => {
      if (hasCode(error, 'EADDRINUSE') || hasCode(error, 'EACCES')) resolve(false);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
}

export type AgentServerOptions = {
  readonly executors: ExecutorHost;
  readonly log: Log;
  /** Reads a pass; absent: nobody is asked for one. */
  readonly claimsOf: ((token: string) => Claims | undefined) | undefined;
  /** Anything that is not about executors: whether it was served. */
  readonly serveOther?: (request: IncomingMessage, response: ServerResponse, path: string) => Promise<boolean>;
};

const paths = new Set(['/api/v1/executor', '/slave(1)/api/v1/executor']);
const realm = 'realm="mesos-agent-executor"';

export function serveExecutors({ server, port }: AgentDoor, options: AgentServerOptions): { close(): Promise<void> } {
  const { executors, log } = options;
  const hosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const say = (status: number, text = '', headers: Record<string, string> = {}) => {
      if (response.headersSent || response.destroyed) return;
      if (text !== '') headers['Content-Type'] = 'text/plain; charset=utf-8';
      // A body that was not read would be taken for the next request.
      if (!request.complete) headers.Connection = 'close';
      response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(text) }).end(text);
    };
    if (!hosts.has(request.headers.host ?? '') || request.headers.origin !== undefined)
      return say(403, `Expecting 'Host' to be 127.0.0.1:${port} and no 'Origin'`);
    const path = decodeURI(request.url?.split('?')[0] ?? '');
    if (!paths.has(path)) {
      if (path === '/health' || path === '/slave(1)/health') return say(200);
      if (await options.serveOther?.(request, response, path)) return;
      // A real agent's operator API answers here; of it there is only what cannot be understood.
      if (path.startsWith('/api/v1')) return say(400, "Failed to validate agent::Call: Expecting 'type' to be present");
      return say(404);
    }
    const claims = admitted(options.claimsOf, request.headers.authorization);
    if (claims === 'refused')
      return say(
        401,
        '"Basic" authenticator returned:\n401 Unauthorized.\n\n"Bearer" authenticator returned:\n401 Unauthorized.',
        { 'WWW-Authenticate': `Basic ${realm},Bearer ${realm}` },
      );
    if (request.method !== 'POST')
      return say(405, `405 Method Not Allowed. Expecting one of { 'POST' }, but received '${request.method}'.`, {
        Allow: 'POST',
      });
    const type = request.headers['content-type'];
    if (type === undefined) return say(400, "Expecting 'Content-Type' to be present");
    if (type !== 'application/json')
      return say(415, "Expecting 'Content-Type' of application/json or application/x-protobuf");
    const body = await bodyOf(request, body_bytes_max);
    if (typeof body !== 'string') return say(body.status, body.text);
    const read = readExecutorCall(body);
    if (!read.ok) return say(read.status, read.text);
    const { call } = read;
    const stranger = claims === undefined ? undefined : wrongClaims(claims, call);
    if (stranger !== undefined) return say(403, stranger);
    if (call.type === 'SUBSCRIBE' && !acceptsJson(request.headers.accept))
      return say(406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'");
    return serve(call, claims, response, say);
  };

  const serve = (
    call: ExecutorCall,
    claims: Claims | undefined,
    response: ServerResponse,
    say: (status: number, text: string) => void,
  ) => {
    const id = randomUUID();
    const beat = () => {
      response.write(heartbeat_record);
    };
    const write = (text: string) => {
      response.write(text);
      if (response.writableLength <= unread_bytes_max) return;
      log.warn({ unread_bytes: response.writableLength }, 'an executor reads too slowly and is cut off');
      response.destroy();
    };
    executors.call(
      call,
      claims,
      { id, events: events => write(events.map(record).join('')), closed: () => response.end() },
      ({ status, text }) => {
        if (call.type !== 'SUBSCRIBE' || status !== 200) {
          say(status, text);
          return;
        }
        response.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders();
        const beats = setInterval(beat, heartbeat_ms).unref();
        response.on('close', () => {
          clearInterval(beats);
          executors.streamClosed(id);
        });
      },
    );
  };

  server.on('request', (request, response) => {
    handle(request, response).catch(error => {
      log.error({ error: String(error) }, 'a call of an executor could not be served');
      if (!response.headersSent) response.writeHead(500).end();
      else response.destroy();
    });
  });

  return {
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function record(event: object): string {
  const text = JSON.stringify(event);
  return `${Buffer.byteLength(text)}\n${text}`;
}

/** Who the caller proves to be; undefined where nobody is asked. */
function admitted(
  claimsOf: AgentServerOptions['claimsOf'],
  header: string | undefined,
): Claims | undefined | 'refused' {
  if (claimsOf === undefined) return undefined;
  const token = /^Bearer (\S+)$/.exec(header ?? '')?.[1];
  return token === undefined ? 'refused' : (claimsOf(token) ?? 'refused');
}

function wrongClaims(claims: Claims, { framework_id, executor_id }: ExecutorCall): string | undefined {
  const principal = JSON.stringify({ claims });
  const lacks = (claim: string, what: string) =>
    `Authenticated principal '${principal}' does not contain an '${claim}' claim with the ${what}, which is set in the call`;
  if (claims.fid !== framework_id.value) return lacks('fid', `framework ID ${framework_id.value}`);
  if (claims.eid !== executor_id.value) return lacks('eid', `executor ID ${executor_id.value}`);
  return undefined;
}
