// serve.ts: the production server on a free port with a stand-in core behind it, and a client that hides nothing.

import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { SandboxFile } from '../../../actors/model/views.ts';
import { systemClock } from '../../../schedules/clock.ts';
import { good } from '../../../schedules/problem.ts';
import { type HttpOptions, type HttpServer, startHttp } from '../../../transport/http/server.ts';
import { createMetrics } from '../../../transport/metrics.ts';
import type { Owner } from '../../support/temp.ts';
import { type Core, createCore } from './core.ts';

export type Served = {
  readonly url: string;
  readonly port: number;
  readonly core: Core;
  readonly server: HttpServer;
  /** Output of tasks by `<agent> <task> <stream>`; text that a test appends appears as the file grows. */
  readonly files: Map<string, string>;
  readonly logged: object[];
  readonly ask: (method: string, path: string, more?: Asking) => Promise<Answered>;
};
export type Asking = { readonly headers?: Record<string, string>; readonly body?: string; readonly json?: unknown };
export type Answered = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body read as JSON; undefined when it is none. */
  readonly json: Readonly<Record<string, unknown>>;
};

export const limits_default: HttpOptions['limits'] = {
  body_bytes_max: 1_048_576,
  http_connections_max: 100,
  request_timeout_ms: 30_000,
  page_rows_max: 1_000,
  sockets_max: 10,
  socket_frames_max: 100,
  log_follow_bytes_max: 65_536,
  log_followers_max: 10,
  sessions_max: 10,
  session_idle_ms: 60_000,
  reader_stall_ms: 30_000,
};

export async function serve(t: Owner, options: Partial<HttpOptions> = {}): Promise<Served> {
  const core = createCore();
  const files = new Map<string, string>();
  const logged: object[] = [];
  const log = (fields: object) => void logged.push(fields);
  let ids = 0;
  const server = await startHttp({
    listen: { host: '127.0.0.1', port: 0 },
    submit: core.submit,
    views: core.views,
    history: core.history,
    sandboxes: {
      open: async (agent_id, task_id, name) => {
        const key = `${agent_id} ${task_id} ${name}`;
        return files.has(key) ? sandboxFile(() => Buffer.from(files.get(key) ?? '')) : undefined;
      },
      list: async () => undefined,
    },
    credentials: undefined,
    insecure: false,
    allow_origins: [],
    allow_hosts: [],
    limits: limits_default,
    clock: systemClock(),
    log: { debug: () => undefined, info: log, warn: log, error: log },
    metrics: createMetrics(),
    compile: () => good(undefined),
    ids: () => `request-${++ids}`,
    version: '1.2.3',
    ...options,
  });
  t.teardown(() => server.close());
  const ask: Served['ask'] = (method, path, more = {}) => askAt(server.port, method, path, more);
  return { url: server.url, port: server.port, core, server, files, logged, ask };
}

function sandboxFile(content: () => Buffer): SandboxFile {
  return {
    size: async () => content().length,
    read: async (position, length) => content().subarray(position, position + length),
    close: async () => undefined,
  };
}

/** One request on a connection of its own, its headers as given: `Host` and `Origin` too. */
export function askAt(port: number, method: string, path: string, { headers, body, json }: Asking = {}) {
  return new Promise<Answered>((resolve, reject) => {
    const sent = json === undefined ? body : JSON.stringify(json);
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      method,
      path,
      agent: false,
      headers: {
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...(sent === undefined || headers?.['transfer-encoding'] !== undefined
          ? {}
          : { 'content-length': String(Buffer.byteLength(sent)) }),
        ...headers,
      },
    });
    request.once('error', reject);
    request.once('response', response => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const is_json = /json/.test(response.headers['content-type'] ?? '');
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: is_json && text !== '' ? JSON.parse(text) : {},
        });
      });
    });
    request.end(sent);
  });
}

/** A small job, as people write it. */
export const hello = { role: 'www', environment: 'prod', name: 'hello', command: 'echo hello' } as const;
export const hello_path = '/api/v1/jobs/www/prod/hello';
