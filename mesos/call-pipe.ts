// call-pipe.ts: the connection on which the calls of one subscription travel, in their order.
//
// A master answers a call in a millisecond, and after a failover we owe it an acknowledgement for every task at once. One
// call at a time would be a thousand a second; several connections would let calls overtake each other. So calls are
// written one behind the other on one connection without waiting for answers (a real master answers them in turn), and every
// caller is told its call's fate honestly: what was never written is unsent, what was written and not answered is unknown.

import * as net from 'node:net';
import * as tls from 'node:tls';
import type { Clock, Wake } from '../schedules/clock.ts';
import { answerParser, type HttpAnswer } from './http-answer.ts';
import type { CallAnswer } from './protocol.ts';

export type CallPipeOptions = {
  readonly url: URL;
  /** Header lines of every request, less Host and the content's. Another object where they are other than before. */
  readonly headers: () => Readonly<Record<string, string>>;
  readonly tls: tls.ConnectionOptions;
  readonly clock: Clock;
  /** The connection must stand, and each call be answered, within this. */
  readonly call_timeout_ms: number;
  /** Calls written and not yet answered. */
  readonly calls_in_flight_max: number;
  /** Calls that wait to be written; one more is unsent. */
  readonly calls_waiting_max: number;
};

export type CallPipe = {
  readonly send: (body: string) => Promise<CallAnswer>;
  /** No new calls. Those that wait are unsent; those under way may still be answered. */
  readonly end: (why: string) => void;
  /** Ends at once: what is under way becomes unknown. Resolves when the connection is gone. */
  readonly destroy: (why: string) => Promise<void>;
};

type Entry = {
  readonly request: string;
  readonly settle: (answer: CallAnswer) => void;
  sent_at: number;
};

export function callPipe(options: CallPipeOptions): CallPipe {
  const { url, clock, call_timeout_ms, calls_in_flight_max, calls_waiting_max } = options;
  let said: Readonly<Record<string, string>> | undefined;
  let head = '';
  const headNow = (): string => {
    const headers = options.headers();
    if (headers === said) return head;
    said = headers;
    head = [
      `POST ${url.pathname}${url.search} HTTP/1.1`,
      `Host: ${url.host}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      'Content-Length: ',
    ].join('\r\n');
    return head;
  };

  let waiting: Entry[] = [];
  let in_flight: Entry[] = [];
  let connection: { readonly socket: net.Socket; open: boolean; closing: boolean } | undefined;
  let watch: Wake | undefined;
  let ended: string | undefined;

  const settleAll = (entries: readonly Entry[], type: 'unsent' | 'unknown', message: string) => {
    for (const entry of entries) entry.settle({ type, message });
  };

  /** Writes as many calls as may be under way, connecting first where there is no connection. */
  const pump = () => {
    if (waiting.length === 0) return;
    if (connection === undefined) return connect();
    if (!connection.open || connection.closing) return;
    const count = Math.min(waiting.length, calls_in_flight_max - in_flight.length);
    if (count <= 0) return;
    const batch = waiting.splice(0, count);
    const now = clock.monotonic();
    for (const entry of batch) entry.sent_at = now;
    in_flight.push(...batch);
    connection.socket.write(batch.map(entry => entry.request).join(''));
    guard();
  };

  /** Watches the oldest call under way. */
  const guard = () => {
    const [oldest] = in_flight;
    if (watch !== undefined || oldest === undefined) return;
    const left_ms = oldest.sent_at + call_timeout_ms - clock.monotonic();
    watch = clock.wakeAt(clock.now() + left_ms, () => {
      watch = undefined;
      const [still] = in_flight;
      if (still === undefined) return;
      if (clock.monotonic() - still.sent_at < call_timeout_ms) return guard();
      connection?.socket.destroy(new Error(`no answer within ${call_timeout_ms} ms`));
    });
  };

  const connect = () => {
    const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const secure = url.protocol === 'https:';
    const socket = secure
      ? tls.connect({ ...(net.isIP(host) === 0 ? { servername: host } : {}), ...options.tls, host, port })
      : net.connect({ host, port });
    const mine = { socket, open: false, closing: false };
    const parser = answerParser();
    let failure: string | undefined;
    connection = mine;
    socket.setNoDelay(true);
    const patience = clock.wakeAt(clock.now() + call_timeout_ms, () => {
      if (!mine.open) socket.destroy(new Error(`no connection within ${call_timeout_ms} ms`));
    });
    socket.on(secure ? 'secureConnect' : 'connect', () => {
      mine.open = true;
      patience.cancel();
      pump();
    });
    socket.on('data', (chunk: Buffer) => {
      const { answers, garbled } = parser.feed(chunk);
      for (const answer of answers) settle(mine, answer);
      if (garbled !== undefined) socket.destroy(new Error(`unreadable answer: ${garbled}`));
      else pump();
    });
    socket.on('error', error => {
      failure = wordsOf(error);
    });
    socket.on('close', () => {
      patience.cancel();
      const last = parser.end();
      if (last !== undefined) settle(mine, last);
      lost(mine, failure ?? 'the master closed the connection');
    });
  };

  /** One answer: it belongs to the call that has been under way longest. */
  const settle = (mine: NonNullable<typeof connection>, answer: HttpAnswer) => {
    const entry = in_flight.shift();
    if (entry === undefined) {
      mine.socket.destroy(new Error(`an answer ${answer.status} that nobody asked for`));
      return;
    }
    entry.settle(fateOf(answer));
    // Calls written behind one that is answered with "close" may have been carried out all the same (Mesos reads ahead), so
    // they are unknown, not sent again. What still waits goes over a new connection.
    if (answer.closes) mine.closing = true;
    if (answer.closes || (ended !== undefined && in_flight.length === 0)) mine.socket.destroy();
  };

  const refuseWaiting = (why: string) => {
    const entries = waiting;
    waiting = [];
    settleAll(entries, 'unsent', why);
  };

  const lost = (mine: NonNullable<typeof connection>, why: string) => {
    if (connection === mine) connection = undefined;
    const under_way = in_flight;
    in_flight = [];
    settleAll(under_way, 'unknown', `${url.origin}: ${why} before it answered`);
    // Never connected: what waits cannot be sent at all. Otherwise it goes on over a new connection.
    if (!mine.open) refuseWaiting(`cannot reach ${url.origin}: ${why}`);
    else pump();
  };

  return {
    send(body) {
      return new Promise(resolve => {
        if (ended !== undefined) return resolve({ type: 'unsent', message: ended });
        if (waiting.length >= calls_waiting_max)
          return resolve({ type: 'unsent', message: `${waiting.length} calls are waiting to be sent: expected fewer` });
        const request = `${headNow()}${Buffer.byteLength(body)}\r\n\r\n${body}`;
        waiting.push({ request, settle: resolve, sent_at: 0 });
        // What one turn of the event loop calls for goes out in one write.
        if (waiting.length === 1) process.nextTick(pump);
      });
    },
    end(why) {
      if (ended !== undefined) return;
      ended = why;
      refuseWaiting(why);
      if (in_flight.length === 0) connection?.socket.destroy();
    },
    destroy(why) {
      ended ??= why;
      refuseWaiting(why);
      const socket = connection?.socket;
      if (socket === undefined || socket.closed) return Promise.resolve();
      return new Promise(resolve => {
        socket.once('close', () => resolve());
        socket.destroy(new Error(why));
      });
    },
  };
}

/** What an HTTP answer says of its call. A redirect is a no: the subscription is with another master by now. */
function fateOf({ status, body }: HttpAnswer): CallAnswer {
  if (status === 200 || status === 202) return { type: 'accepted' };
  return { type: 'refused', status, message: body.trim().slice(0, words_max) };
}
const words_max = 1024;

/** `ECONNREFUSED` rather than a sentence about it; all of them when several addresses were tried. */
export function wordsOf(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(wordsOf))].join(', ');
  if (error instanceof Error) return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
  return String(error);
}
