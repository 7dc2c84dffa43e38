// scripted-agent.ts: a TCP server that says what a test has written down for it, in the place of an agent's operator API.
//
// A call is handed to the script with its type. That which carries input is handed over with its first record, and goes on.

import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Owner } from '../../support/temp.ts';
import { type HttpText, httpText, recordsIn, unchunked } from './recordings.ts';

export type AgentAsked = HttpText & {
  readonly type: string;
  readonly socket: Socket;
  /** Every byte of it so far. */
  readonly raw: () => Buffer;
};
export type AgentScript = (asked: AgentAsked) => void;

export async function scriptedAgent(t: Owner, script: AgentScript) {
  const asked: AgentAsked[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    let raw = Buffer.alloc(0);
    let heard = false;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', bytes => {
      raw = Buffer.concat([raw, bytes]);
      if (heard || raw.indexOf('\r\n\r\n') < 0) return;
      const request = httpText(raw.toString('latin1'));
      const carries = request.headers.get('content-type') === 'application/recordio';
      const length = Number(request.headers.get('content-length') ?? 0);
      const body = carries ? recordsIn(unchunked(raw).body)[0] : request.body;
      if (body === undefined || (!carries && body.length < length)) return;
      heard = true;
      const call = { ...request, type: (JSON.parse(body) as { type: string }).type, socket, raw: () => raw };
      asked.push(call);
      script(call);
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>(resolve => server.close(() => resolve()));
  };
  t.teardown(close);
  return { origin: `http://127.0.0.1:${port}`, asked, sockets, close };
}
