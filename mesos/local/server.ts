// server.ts: the master's front door: the v1 scheduler API over HTTP, as a real master answers it.
//
// One path. SUBSCRIBE gets a body that never ends, in which every event is a record: its length, a newline, its bytes.
// Every other call is answered at once and in full. Whoever reads too slowly is cut off rather than waited for, and may
// subscribe again: a master's memory is not a mailbox.
//
// Who may post here may run commands as us, so beside the loopback address there is a secret, and requests that a web page
// made in somebody's browser (a foreign Host, any Origin) are refused.

import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Subscribe } from '../protocol.ts';
import type { Log } from './agent-options.ts';
import type { Answer, MasterHost } from './host.ts';
import { acceptsJson, bodyOf } from './http-body.ts';
import type { Master } from './master-state.ts';
import { otherPrincipal } from './subscriptions.ts';
import { readCall } from './wire-call.ts';

export type BasicCredentials = { readonly type: 'basic'; readonly principal: string; readonly secret: string };

export type MasterServerOptions = {
  readonly host: MasterHost;
  readonly log: Log;
  /** Empty or absent: everybody on this machine may call. */
  readonly credentials?: readonly BasicCredentials[];
  /** It listens beyond this machine, under names that it does not know: then credentials are what it looks at. */
  readonly any_name?: boolean;
  readonly body_bytes_max?: number;
  /** Bytes that a subscriber may leave unread before it is cut off. */
  readonly unread_bytes_max?: number;
};

export type Door = { readonly host: string; readonly port: number; readonly any_name?: boolean };
export type OpenDoor = { readonly server: Server; readonly port: number; readonly name: string };

export type MasterServer = {
  readonly url: string;
  readonly port: number;
  readonly close: () => Promise<void>;
};

export const server_defaults = { body_bytes_max: 64 << 20, unread_bytes_max: 64 << 20 } as const;

const paths = new Set(['/api/v1/scheduler', '/master/api/v1/scheduler']);

/** Whoever has lost sight of an agent asks here where it is. */
const agents_paths = new Set(['/slaves', '/master/slaves']);

/** Listens, by default on a free port of 127.0.0.1. The port is known before the master is, which tells its frameworks. */
export async function listen(door: Door = { host: '127.0.0.1', port: 0 }): Promise<OpenDoor> {
  const server = createServer({ keepAliveTimeout: 60_000 });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(door.port, door.host, () => resolve());
  });
  const { port } = server.address() as AddressInfo;
  return { server, port, name: door.host };
}

export function serveMaster({ server, port, name }: OpenDoor, given: MasterServerOptions): MasterServer {
  const options = { ...server_defaults, ...given };
  const { host, log } = options;
  const authority = `${name.includes(':') ? `[${name}]` : name}:${port}`;
  const hosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`, authority]);
  const credentials = options.credentials ?? [];

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const say = (status: number, text = '', headers: Record<string, string> = {}) => {
      if (response.headersSent || response.destroyed) return;
      if (text !== '') headers['Content-Type'] = 'text/plain; charset=utf-8';
      // A body that was not read would be taken for the next request.
      if (!request.complete) headers.Connection = 'close';
      response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(text) }).end(text);
    };
    const named = options.any_name === true || hosts.has(request.headers.host ?? '');
    if (!named || request.headers.origin !== undefined)
      return say(403, `Expecting 'Host' to be ${authority} and no 'Origin'`);
    const path = request.url?.split('?')[0] ?? '';
    if (path === '/health' || path === '/master/health') return say(200);
    if (path === '/redirect' || path === '/master/redirect')
      return say(307, '', { Location: `//${request.headers.host}` });
    const asks = agents_paths.has(path) && request.method === 'GET';
    if (!asks && !paths.has(path)) return say(404, `${path} is not served by this one-machine Mesos`);
    const caller = credentials.length === 0 ? undefined : admitted(credentials, request.headers.authorization);
    if (credentials.length > 0 && caller === undefined)
      return say(401, '401 Unauthorized.', { 'WWW-Authenticate': 'Basic realm="mesos-master-scheduler"' });
    if (asks) {
      const wanted = new URL(request.url ?? '', 'http://localhost').searchParams.get('slave_id') ?? undefined;
      const text = JSON.stringify(agentsAsTold(host.master, wanted));
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
      return void response.end(text);
    }
    if (request.method !== 'POST')
      return say(405, `405 Method Not Allowed. Expecting one of { 'POST' }, but received '${request.method}'.`, {
        Allow: 'POST',
      });
    const type = request.headers['content-type'];
    if (type === undefined) return say(400, "Expecting 'Content-Type' to be present");
    if (type !== 'application/json')
      return say(415, "Expecting 'Content-Type' of application/json or application/x-protobuf");
    const body = await bodyOf(request, options.body_bytes_max);
    if (typeof body !== 'string') return say(body.status, body.text);
    const read = readCall(body);
    if (!read.ok) return say(read.status, read.text);
    const stream_header = request.headers['mesos-stream-id'];
    const stream = Array.isArray(stream_header) ? stream_header[0] : stream_header;
    if (!('subscribe' in read)) return host.call(stream, read.call, ({ status, text }) => say(status, text), caller);
    if (stream !== undefined) return say(400, "Subscribe calls should not include the 'Mesos-Stream-Id' header");
    const { principal } = read.subscribe.subscribe.framework_info;
    if (caller !== undefined && principal !== undefined && principal !== caller)
      return say(400, `Failed to validate scheduler::Call: ${otherPrincipal(caller, principal)}`);
    if (!acceptsJson(request.headers.accept))
      return say(406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'");
    return subscribe(read.subscribe, response, say);
  };

  const subscribe = (request: Subscribe, response: ServerResponse, say: (status: number, text: string) => void) => {
    const id = randomUUID();
    const answer = ({ status, text }: Answer) => {
      if (status === 200)
        response.writeHead(200, { 'Content-Type': 'application/json', 'Mesos-Stream-Id': id }).flushHeaders();
      else say(status, text);
    };
    response.on('close', () => host.streamClosed(id));
    host.subscribe(
      {
        id,
        events(events) {
          let records = '';
          for (const event of events) {
            const text = JSON.stringify(event);
            records += `${Buffer.byteLength(text)}\n${text}`;
          }
          // What was left unread before counts: nobody could have read what is only being said now.
          const unread_bytes = response.writableLength;
          response.write(records);
          if (unread_bytes <= options.unread_bytes_max) return;
          log.warn({ unread_bytes }, 'a subscriber reads too slowly and is cut off');
          response.destroy();
        },
        closed: () => response.end(),
      },
      request,
      answer,
    );
  };

  server.on('request', (request, response) => {
    handle(request, response).catch(error => {
      log.error({ error: String(error) }, 'a call could not be served');
      if (!response.headersSent) response.writeHead(500).end();
      else response.destroy();
    });
  });

  return {
    url: `http://${authority}`,
    port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** As a real master tells them, as far as there is something to tell. */
function agentsAsTold(master: Master, wanted: string | undefined): object {
  const slaves = [...master.agents.values()]
    .filter(({ info, status }) => status === 'connected' && (wanted === undefined || info.id === wanted))
    .map(({ info, draining }) => {
      const { address, path = '/slave(1)' } = info.url ?? {};
      return {
        id: info.id,
        hostname: info.hostname,
        ...(address === undefined
          ? {}
          : { port: address.port, pid: `${path.slice(1)}@${address.ip ?? address.hostname}:${address.port}` }),
        active: !draining,
      };
    });
  return { slaves, recovered_slaves: [] };
}

/** Who a header proves its sender to be. */
export function admitted(credentials: readonly BasicCredentials[], header: string | undefined): string | undefined {
  const given = Buffer.from(header ?? '');
  for (const { principal, secret } of credentials) {
    const expected = Buffer.from(`Basic ${Buffer.from(`${principal}:${secret}`).toString('base64')}`);
    if (given.length === expected.length && timingSafeEqual(given, expected)) return principal;
  }
  return undefined;
}
