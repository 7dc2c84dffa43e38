// between.ts: a stretch of road between a client and a server, on which a test can let things happen.

import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { Owner } from '../support/temp.ts';

export type Passing = { readonly method: string; readonly path: string; readonly body: string };
/**
 * What happens to a request: it passes; it is lost before it arrives; its answer is lost; or somebody else answers. Whatever is
 * awaited before happens first.
 */
export type Event = 'passes' | 'lost' | 'answer-lost' | { readonly status: number; readonly body?: string };

/** The address of the road to `url`, wherever that is at the moment; undefined: nowhere. */
export async function roadTo(
  t: Owner,
  url: () => string | undefined,
  happens: (passing: Passing) => Event | Promise<Event>,
): Promise<string> {
  const server = createServer((from, to) => void pass(from, to));
  const pass = async (from: IncomingMessage, to: ServerResponse) => {
    const body = await buffer(from);
    const event = await happens({ method: from.method ?? '', path: from.url ?? '', body: body.toString() });
    const there = url();
    if (event === 'lost' || there === undefined) return void to.destroy();
    if (typeof event === 'object') return void to.writeHead(event.status).end(event.body);
    const headers = { ...from.headers, host: new URL(there).host };
    const onward = request(`${there}${from.url}`, { method: from.method, headers, agent: false }, answer => {
      if (event === 'answer-lost') {
        answer.resume().once('end', () => to.destroy());
        return;
      }
      to.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(to);
    });
    onward.once('error', () => to.destroy());
    onward.end(body);
  };
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
