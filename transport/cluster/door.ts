// door.ts: where links of other nodes come in.
//
// It stands behind the same port as REST and the console, at a path of its own. Nobody is let in without the handshake, few
// may be at it at once, and each is given little time and little room for it.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Clock } from '../../schedules/clock.ts';
import { receive } from './greeting.ts';
import type { Introduction } from './handshake.ts';
import { createLink, type Handle, type LinkLimits, type LinkLog, type NodeLink } from './link.ts';

/** Where links are opened, on the port of the REST API. */
export const link_path = '/api/v1/link';
/** Strangers that may be at the handshake at once. */
const strangers_max = 16;

export type DoorOptions = {
  readonly key: Uint8Array;
  /** What we say of ourselves, with a nonce that was never used before. */
  readonly introduce: () => Introduction;
  readonly limits: LinkLimits;
  readonly clock: Clock;
  readonly log: LinkLog;
  readonly handle: Handle;
};
export interface Door {
  /** Takes over a connection that asks to become a WebSocket. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** The links that are open now; the newest of each node. */
  links(): ReadonlyMap<string, NodeLink>;
  close(why: string): void;
}

export function createDoor({ key, introduce, limits, clock, log, handle }: DoorOptions): Door {
  const server = new WebSocketServer({ noServer: true, maxPayload: limits.frame_bytes_max, perMessageDeflate: false });
  const links = new Map<string, NodeLink>();
  let strangers = 0;
  let closed: string | undefined;
  return {
    accept(request, socket, head) {
      if (closed !== undefined || strangers >= strangers_max) {
        if (closed === undefined) log.warn({ strangers }, 'too many nodes want to be known at once');
        socket.on('error', () => undefined); // It is being turned away: whether it hears that is its own affair.
        socket.end(
          'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
        );
        return;
      }
      strangers++;
      // A connection that breaks in the middle of its upgrade would be counted for ever.
      let upgraded = false;
      socket.once('close', () => {
        if (!upgraded) strangers--;
      });
      server.handleUpgrade(request, socket, head, ws => {
        upgraded = true;
        ws.on('error', error => log.debug({ error: error.message }, 'a node went away')); // `close` follows.
        receive({
          ws,
          key,
          us: introduce(),
          deadline_ms: limits.handshake_ms_max,
          clock,
          known(known) {
            strangers--;
            const link = createLink({ ws, known, limits, clock, log, handle });
            if (closed !== undefined) return link.close(closed);
            const { id } = known.peer;
            links.get(id)?.close('it came again');
            links.set(id, link);
            log.info({ node: id, version: known.peer.version }, 'a node has linked itself with this one');
            void link.ended.then(why => {
              if (links.get(id) === link) links.delete(id);
              log.info({ node: id, why }, 'the link of a node has ended');
            });
          },
          failed(why) {
            strangers--;
            log.warn({ from: request.socket.remoteAddress, why }, 'a node was turned away');
          },
        });
      });
    },
    links: () => links,
    close(why) {
      closed = why;
      for (const link of links.values()) link.close(why);
      server.close();
    },
  };
}
