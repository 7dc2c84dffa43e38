// greeting.ts: the handshake performed over a WebSocket, from either side, until there is a link or there is none.

import { Packr, Unpackr } from 'msgpackr';
import type { RawData, WebSocket } from 'ws';
import type { Clock } from '../../schedules/clock.ts';
import type { Result } from '../../schedules/problem.ts';
import {
  type Challenge,
  challengeFor,
  type Hello,
  type Introduction,
  type Known,
  knownBy,
  type Proof,
  proofFor,
  readGreeting,
  type TurnedAway,
} from './handshake.ts';
import { close_code } from './link.ts';

export type GreetingOptions = {
  readonly ws: WebSocket;
  readonly key: Uint8Array;
  readonly us: Introduction;
  readonly deadline_ms: number;
  readonly clock: Clock;
  /**
   * Called in the turn in which the last message of the handshake came, so that whoever takes over the socket listens
   * before the next frame is read. Exactly one of the two is called, once.
   */
  readonly known: (known: Known) => void;
  readonly failed: (why: string) => void;
};

type Greeting = Hello | Challenge | Proof | TurnedAway;
/** What to do about a message: go on, with something to say; be done; or give up. */
type Next =
  | { readonly say: Greeting; readonly known?: Known }
  | { readonly known: Known }
  | { readonly fail: string; readonly tell?: boolean };

/** Speaks first; the socket is open. */
export function greet(options: GreetingOptions): void {
  const { ws, key, us } = options;
  converse(options, message => {
    if (message.type === 'turned-away') return { fail: `turned away: ${message.why}` };
    if (message.type !== 'challenge') return { fail: `a ${message.type} came: expected a challenge`, tell: true };
    const read = proofFor(key, us, message);
    return read.ok ? { say: read.value.proof, known: read.value } : unfit(read);
  });
  say(ws, { type: 'hello', ...us });
}

/** Listens first. */
export function receive(options: GreetingOptions): void {
  const { key, us } = options;
  let hello: Hello | undefined;
  converse(options, message => {
    if (hello === undefined) {
      if (message.type !== 'hello') return { fail: `a ${message.type} came: expected a hello`, tell: true };
      hello = message;
      const read = challengeFor(key, us, message);
      return read.ok ? { say: read.value } : unfit(read);
    }
    if (message.type === 'turned-away') return { fail: `turned away: ${message.why}` };
    if (message.type !== 'proof') return { fail: `a ${message.type} came: expected a proof`, tell: true };
    const read = knownBy(key, us, hello, message);
    return read.ok ? { known: read.value } : unfit(read);
  });
}

function converse(options: GreetingOptions, heard: (message: Greeting) => Next): void {
  const { ws, deadline_ms, clock } = options;
  const finish = () => {
    alarm.cancel();
    ws.off('message', hear);
    ws.off('close', closed);
  };
  const fail = (why: string, tell: boolean) => {
    finish();
    if (tell) say(ws, { type: 'turned-away', why });
    ws.close(close_code.refused, 'handshake');
    clock.wakeAt(clock.now() + farewell_ms, () => ws.terminate());
    options.failed(why);
  };
  const hear = (data: RawData, is_binary: boolean) => {
    const message = is_binary ? read(data as Buffer) : undefined;
    if (message === undefined) return fail('what came is no greeting of a node', true);
    const next = heard(message);
    if ('fail' in next) return fail(next.fail, next.tell === true);
    if ('say' in next) say(ws, next.say);
    if (next.known === undefined) return;
    finish();
    options.known(next.known);
  };
  const closed = (code: number, reason: Buffer) => {
    finish();
    options.failed(reason.length > 0 ? reason.toString() : `the connection ended (${code})`);
  };
  const alarm = clock.wakeAt(clock.now() + deadline_ms, () => fail(`no handshake within ${deadline_ms} ms`, false));
  ws.on('message', hear);
  ws.on('close', closed);
}

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
const farewell_ms = 500;
const greeting_bytes_max = 4_096;

function say(ws: WebSocket, message: Greeting): void {
  if (ws.readyState === ws.OPEN) ws.send(packr.pack(message));
}

function read(bytes: Buffer): Greeting | undefined {
  if (bytes.length > greeting_bytes_max) return undefined;
  try {
    return readGreeting(unpackr.unpack(bytes));
  } catch {
    return undefined; // Not msgpack: no greeting either.
  }
}

const unfit = (read: Extract<Result<unknown>, { ok: false }>): Next => ({
  fail: read.problems[0]!.message,
  tell: true,
});
