// http-sink.ts: a real HTTP server on the loopback address, for tests: keeps what it was sent, and can misbehave.

import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Owner } from './temp.ts';

export type ReceivedRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};
/** 'hang' says nothing, 'die' cuts the line when the request was read, a function does as it likes with the answer. */
export type Answer =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | 'hang'
  | 'die'
  | ((response: ServerResponse) => void);

export type Sink = {
  readonly port: number;
  /** Without a slash at its end. */
  readonly url: string;
  /** Whole requests, in the order in which they came, whatever was answered. */
  readonly requests: readonly ReceivedRequest[];
  /** What is answered from now on; 200 at first. */
  answer: (request: ReceivedRequest) => Answer;
  /** Gone, with whoever was connected, as after kill -9. */
  readonly kill: () => Promise<void>;
  /** Again, on the same port. */
  readonly start: () => Promise<void>;
};

export async function httpSink(
  t: Owner,
  options: { readonly tls?: { readonly cert: string; readonly key: string }; readonly host?: string } = {},
): Promise<Sink> {
  const { tls, host = '127.0.0.1' } = options;
  const requests: ReceivedRequest[] = [];
  let port = 0;
  let server: Server | undefined;

  const listener: RequestListener = (request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request;
      const received = { method, path, headers, body: Buffer.concat(pieces).toString('utf8') };
      requests.push(received);
      const answer = self.answer(received);
      if (answer === 'die') request.socket.destroy();
      else if (typeof answer === 'function') answer(response);
      else if (answer !== 'hang') response.writeHead(answer.status, answer.headers).end(answer.body ?? '');
    });
  };
  const start = async () => {
    server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    server.listen(port, host);
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  };
  const kill = async () => {
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    server = undefined;
    await closed;
  };
  const self: Sink = {
    get port() {
      return port;
    },
    get url() {
      return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
    },
    requests,
    answer: () => ({ status: 200 }),
    kill,
    start,
  };
  await start();
  t.teardown(kill);
  return self;
}
