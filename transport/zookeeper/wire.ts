// wire.ts: node-zookeeper-client with its gaps closed: one session's connection, which tells every break.
//
// The library speaks ZooKeeper's protocol and finds the next server when one is gone. What it leaves open would cost us
// our promise, so it is closed here and nowhere else:
//
// - A peer that goes silent (a cut cable, a stopped process) is never noticed: there is no limit on reading, nor on the
//   answer to the first message after TCP has connected. We ask something small every tenth of the session timeout (every
//   two seconds, when that is less) and break a connection on which nothing has come for three of them; a connection
//   gets two of them to come about.
// - Half an answer stays in a buffer when the connection breaks, and is taken for the beginning of the next one's.
// - Requests that were not written when it broke are sent on the next one, in front of the authentication, long after
//   their caller has given up; those that wait when the session ends are never answered at all. So requests are handed
//   over only while connected, and whatever is left at a break is thrown away and told to its caller.
// - The timer of an attempt to connect may strike the attempt after it.
// - An error code that the library has not heard of (a quota, a throttled request) is thrown inside its reader and would
//   end the process; so would an answer that it cannot parse.
// - `[::1]:2181` is not understood as a server.

import { randomInt } from 'node:crypto';
import library, { type Client, type ConnectionManager } from 'node-zookeeper-client';
import type { Clock, Wake } from '../../schedules/clock.ts';
import type { Server } from './servers.ts';

export type WireEvents = {
  readonly connected: () => void;
  /** Whatever was handed over and has no answer yet will have none. */
  readonly broken: () => void;
  readonly expired: () => void;
  readonly authFailed: () => void;
  readonly closed: () => void;
  /** Something that should not have been: told to people, and answered by breaking the connection. */
  readonly odd: (what: string, error: unknown) => void;
};
export type Wire = {
  readonly client: Client;
  readonly session_id: () => string;
  readonly timeout_ms: () => number;
  readonly proven_at: () => number;
  /** Tells the server that the session is over, or gives up at once when none is connected. */
  readonly close: () => void;
  /** Breaks the connection under the session, which goes on with the next server. */
  readonly cut: () => void;
};
export type WireOptions = {
  readonly servers: readonly Server[];
  readonly session_timeout_ms: number;
  readonly auth?: { readonly scheme: string; readonly id: string };
  readonly clock: Clock;
  readonly events: WireEvents;
};

const states = {
  disconnected: 0,
  connecting: 1,
  connected: 2,
  closing: -1,
  closed: -2,
  expired: -3,
  auth: -4,
} as const;
const beats_per_timeout = 10;
const beat_ms_max = 2_000;
const silent_beats_max = 3;
const connecting_beats_max = 2;
/** Longest pause after all servers have been tried in vain. */
const round_pause_ms_max = 500;

export function connectWire({ servers, session_timeout_ms, auth, clock, events }: WireOptions): Wire {
  const client = library.createClient(servers.map((_, index) => `server-${index}`).join(','), {
    sessionTimeout: session_timeout_ms,
    retries: 0,
  });
  const manager = client.connectionManager;
  /** Final: nothing more is tried, nothing more is told. */
  let over = false;
  let closing = false;
  let silent_beats = 0;
  let trying_beats = 0;
  let closing_beats = 0;
  let attempt_at = Number.NEGATIVE_INFINITY;
  let proven_at = Number.NEGATIVE_INFINITY;
  let beat: Wake | undefined;
  let pause: Wake | undefined;

  const end = (tell: () => void) => {
    if (over) return;
    over = true;
    beat?.cancel();
    pause?.cancel();
    manager.socket?.destroy();
    tell();
  };

  const onState = (state: number) => {
    if (over) return;
    silent_beats = 0;
    trying_beats = 0;
    if (state === states.connected) {
      tries = 0;
      proven_at = Math.max(proven_at, attempt_at);
      events.connected();
    } else if (state === states.expired) end(events.expired);
    else if (state === states.auth) end(events.authFailed);
    else if (state === states.closed) end(events.closed);
    else if (state === states.disconnected) {
      forget(manager);
      events.broken();
    }
  };

  const heartbeat = () => {
    const beat_ms = Math.min(beat_ms_max, manager.getSessionTimeout() / beats_per_timeout);
    beat = clock.wakeAt(clock.now() + beat_ms, heartbeat);
    if (closing) {
      if (++closing_beats > connecting_beats_max) end(events.closed);
    } else if (manager.state === states.connecting) {
      if (++trying_beats > connecting_beats_max) manager.socket?.destroy();
    } else if (manager.state === states.connected) {
      if (++silent_beats > silent_beats_max) return void manager.socket?.destroy();
      const sent_at = clock.monotonic();
      client.exists('/', undefined, error => {
        if (!error) proven_at = Math.max(proven_at, sent_at);
      });
    }
  };

  const onSocketData = manager.onSocketData;
  manager.onSocketData = buffer => {
    silent_beats = 0;
    try {
      if (!over) onSocketData.call(manager, buffer);
    } catch (error) {
      events.odd('an answer that cannot be understood', error);
      manager.socket?.destroy();
    }
  };

  const turns = shuffled(servers);
  let turn = 0;
  let tries = 0;
  manager.findNextServer = callback => {
    if (over || closing) return;
    const round_over = tries > 0 && tries % turns.length === 0;
    const server = turns[turn % turns.length]!;
    turn++;
    tries++;
    const pause_ms = round_over ? randomInt(round_pause_ms_max / 2, round_pause_ms_max + 1) : 0;
    pause = clock.wakeAt(clock.now() + pause_ms, () => {
      if (over || closing) return;
      trying_beats = 0;
      attempt_at = clock.monotonic();
      callback(server);
    });
  };

  manager.on('state', onState);
  if (auth !== undefined) client.addAuthInfo(auth.scheme, Buffer.from(auth.id));
  heartbeat();
  client.connect();
  return {
    client,
    session_id: () => manager.getSessionId().toString('hex'),
    timeout_ms: () => manager.getSessionTimeout(),
    proven_at: () => proven_at,
    close() {
      if (over || closing) return;
      closing = true;
      if (manager.state === states.connected) client.close();
      else end(events.closed);
    },
    cut: () => void manager.socket?.destroy(),
  };
}

/** What a broken connection leaves behind in the library and the next must not meet. */
function forget(manager: ConnectionManager): void {
  manager.pendingBuffer = null;
  manager.packetQueue.queue.length = 0;
  if (manager.connectTimeoutHandler !== null) clearTimeout(manager.connectTimeoutHandler);
}

/** Different clients begin with different servers. */
function shuffled(servers: readonly Server[]): Server[] {
  const order = [...servers];
  for (let index = order.length - 1; index > 0; index--) {
    const other = randomInt(index + 1);
    [order[index], order[other]] = [order[other]!, order[index]!];
  }
  return order;
}

// The library throws at codes that it does not know, from inside its reader.
const create = library.Exception.create;
library.Exception.create = (code, path) => {
  try {
    return create(code, path);
  } catch {
    return Object.assign(new Error(`ZooKeeper error ${code}`), { code });
  }
};
