// scripted-master.ts: a TCP server that says what a test has written down for it.
//
// It knows just enough HTTP to tell requests apart. SUBSCRIBE and calls are handed to the script, which writes raw bytes,
// destroys sockets or keeps silent, as faulty masters and faulty networks do.

import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { type HttpText, httpText } from './recordings.ts';

export type Asked = HttpText & {
  readonly socket: Socket;
  readonly value: { readonly type: string } & Record<string, unknown>;
};
export type Script = {
  /** The n-th SUBSCRIBE, from 0. */
  readonly subscribe: (asked: Asked, n: number) => void;
  /** The n-th other call, from 0; answered with 202 when left out. */
  readonly call?: (asked: Asked, n: number) => void;
};
export type ScriptedMaster = {
  readonly url: string;
  readonly port: number;
  readonly subscribes: readonly Asked[];
  readonly calls: readonly Asked[];
  /** No new connections; those that stand go on. */
  readonly stopListening: () => Promise<void>;
};

export const accepted = 'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n';
export const answer = (status: string, body = '', headers: readonly string[] = []) =>
  [`HTTP/1.1 ${status}`, ...headers, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n');
export const stream_head =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: stream-1\r\nContent-Type: application/json\r\n\r\n';
/** An event as a master sends it: one record in one chunk. */
export const eventChunk = (event: object) => rawChunk(record(JSON.stringify(event)));
export const record = (text: string) => `${Buffer.byteLength(text)}\n${text}`;
export const rawChunk = (bytes: string) => `${Buffer.byteLength(bytes).toString(16)}\r\n${bytes}\r\n`;
export const last_chunk = '0\r\n\r\n';
export const subscribed = {
  type: 'SUBSCRIBED',
  subscribed: { framework_id: { value: 'framework-1' }, heartbeat_interval_seconds: 15 },
};

/** Breaks a connection with a reset; just closes one that is being ended, since a reset then leaves Node spinning at its exit. */
export function reset(socket: Socket): void {
  if (socket.writableEnded || socket.destroyed) socket.destroy();
  else socket.resetAndDestroy();
}

export async function scriptedMaster(
  t: { readonly teardown: (clean: () => void | Promise<void>) => void },
  script: Script,
): Promise<ScriptedMaster> {
  const subscribes: Asked[] = [];
  const calls: Asked[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', bytes => {
      text += bytes.toString('latin1');
      for (;;) {
        const head_end = text.indexOf('\r\n\r\n');
        if (head_end < 0) return;
        const length = Number(/content-length: *(\d+)/i.exec(text.slice(0, head_end))?.[1] ?? 0);
        if (text.length < head_end + 4 + length) return;
        const request = httpText(text.slice(0, head_end + 4 + length));
        text = text.slice(head_end + 4 + length);
        // Whoever asks how it is: well.
        if (request.head.startsWith('GET ')) {
          socket.write(answer('200 OK'));
          continue;
        }
        const asked = { ...request, socket, value: JSON.parse(request.body) as Asked['value'] };
        if (asked.value.type === 'SUBSCRIBE') script.subscribe(asked, subscribes.push(asked) - 1);
        else {
          const n = calls.push(asked) - 1;
          if (script.call === undefined) socket.write(accepted);
          else script.call(asked, n);
        }
      }
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stopListening = () => new Promise<void>(resolve => server.close(() => resolve()));
  t.teardown(async () => {
    const stopped = stopListening();
    for (const socket of sockets) socket.destroy();
    await stopped;
  });
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    subscribes,
    calls,
    // server.close waits for connections; here only the listening must end, which it does at once.
    stopListening: async () => void stopListening(),
  };
}
