// agent-link.ts: the line between an executor and its agent: one stream of events, and calls beside it.
//
// The agent may hang up and be away for a while; then the line is dialled again and again, each time after a random rest
// that is never longer than the agent would wait for us, until it answers or hope is given up. What the agent answers with
// 503 it will take later; what it answers with 400 or 401 it will never take, and then it is no agent of ours any more.

import { randomInt } from 'node:crypto';
import { type ClientRequest, Agent as Connections, type IncomingMessage, request } from 'node:http';
import type { Clock, Wake } from '../../schedules/clock.ts';
import { recordParser } from '../recordio.ts';
import type { AgentCall, AgentEvent } from './agent-protocol.ts';
import type { Introduction } from './environment.ts';

export type LinkListener = {
  /** Asked for at every attempt to subscribe. */
  readonly subscribe: () => Extract<AgentCall, { type: 'SUBSCRIBE' }>;
  readonly event: (event: AgentEvent) => void;
  /** The stream is gone, and looked for again. */
  readonly away: () => void;
  /** For good. Nothing is heard any more. */
  readonly over: (why: string) => void;
  readonly noted: (message: string, about: object) => void;
};
/** `later`: worth another try. `refused`: not. */
export type CallAnswer = 'taken' | 'later' | 'refused';
export type AgentLink = {
  readonly call: (call: AgentCall) => Promise<CallAnswer>;
  readonly close: () => void;
};

const record_bytes_max = 32 * 1024 * 1024;
const call_ms_max = 10_000;
/** The agent is on this machine: a connection that is dead without a word is found by probes. */
const keep_alive_ms = 15_000;

export function connectToAgent(introduction: Introduction, clock: Clock, listener: LinkListener): AgentLink {
  const { endpoint, path, framework_id, executor_id, token, recovery_ms, backoff_ms_max } = introduction;
  const connections = new Connections({ keepAlive: true, maxSockets: 1 });
  const where = 'socket' in endpoint ? { socketPath: endpoint.socket } : { host: endpoint.host, port: endpoint.port };
  const ids = { executor_id: { value: executor_id }, framework_id: { value: framework_id } };
  let stream: ClientRequest | undefined;
  let wake: Wake | undefined;
  let closed = false;
  /** Since when nobody answers. */
  let alone_since: number | undefined = clock.monotonic();
  /** An agent that never answered is waited for just as long as one that went away. */
  let ever = false;

  const post = (call: AgentCall, more: object): ClientRequest => {
    const body = JSON.stringify({ ...ids, ...call });
    const sent = request({
      ...where,
      ...more,
      method: 'POST',
      path,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'content-length': Buffer.byteLength(body),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    });
    sent.end(body);
    return sent;
  };
  const end = (why: string) => {
    if (closed) return;
    close();
    listener.over(why);
  };
  const close = () => {
    closed = true;
    wake?.cancel();
    stream?.destroy();
    connections.destroy();
  };
  const lost = (why: string) => {
    if (closed) return;
    stream = undefined;
    alone_since ??= clock.monotonic();
    if (ever && recovery_ms === undefined) return end(`${why}, and the framework does not checkpoint`);
    const alone_ms = clock.monotonic() - alone_since;
    if (alone_ms > (recovery_ms ?? first_ms_max))
      return end(`${why}; the agent was away for ${Math.round(alone_ms)} ms`);
    listener.away();
    listener.noted('the agent is away', { why });
    wake = clock.wakeAt(clock.now() + randomInt(Math.max(1, Math.floor(backoff_ms_max)) + 1), subscribe);
  };
  const subscribe = () => {
    if (closed) return;
    const mine = post(listener.subscribe(), { agent: false });
    stream = mine;
    let told = false;
    const gone = (why: string) => {
      if (told || stream !== mine) return;
      told = true;
      lost(why);
    };
    mine.on('socket', socket => socket.setKeepAlive(true, keep_alive_ms));
    mine.on('error', error => gone(error.message));
    mine.on('response', response => {
      if (response.statusCode === 200) {
        alone_since = undefined;
        ever = true;
        listen(response, gone, event => {
          if (!closed && stream === mine) listener.event(event);
        });
        return;
      }
      readText(response, text => {
        const why = `SUBSCRIBE was answered ${response.statusCode} ${text}`;
        // 503: it is recovering. What it refuses for good it would refuse for ever.
        if (response.statusCode! >= 500) gone(why);
        else end(why);
      });
    });
  };
  subscribe();

  return {
    call: call =>
      new Promise(resolve => {
        if (closed) {
          resolve('refused');
          return;
        }
        const sent = post(call, { agent: connections });
        const late = clock.wakeAt(clock.now() + call_ms_max, () => sent.destroy(new Error('no answer')));
        const settle = (answer: CallAnswer) => {
          late.cancel();
          resolve(answer);
        };
        sent.on('error', () => settle('later'));
        sent.on('response', response =>
          readText(response, text => {
            const status = response.statusCode ?? 0;
            if (status === 202 || status === 200) return settle('taken');
            listener.noted('a call was not taken', { call: call.type, status, text });
            // 403: not subscribed (any more); a SUBSCRIBE is on its way.
            settle(status >= 500 || status === 403 ? 'later' : 'refused');
            // Whoever stayed now would be an orphan, beside the task that takes its place.
            if (status === 400 && text.includes('cannot be found')) end(`${call.type} was answered ${status} ${text}`);
          }),
        );
      }),
    close,
  };
}

/** Agents give an executor a minute to register. */
const first_ms_max = 60_000;

function listen(response: IncomingMessage, gone: (why: string) => void, tell: (event: AgentEvent) => void): void {
  const parser = recordParser(record_bytes_max);
  response.on('data', (chunk: Buffer) => {
    const { records, garbled } = parser.feed(chunk);
    for (const record of records) {
      const event = readEvent(record);
      if (event === undefined) {
        response.destroy(new Error('a record of the stream is no JSON'));
        return;
      }
      tell(event);
    }
    if (garbled !== undefined) response.destroy(new Error(garbled.message));
  });
  response.on('error', error => gone(error.message));
  response.on('close', () => gone('the agent closed the stream'));
}

function readEvent(record: Uint8Array): AgentEvent | undefined {
  try {
    return JSON.parse(Buffer.from(record).toString('utf8')) as AgentEvent;
  } catch {
    return undefined;
  }
}

function readText(response: IncomingMessage, done: (text: string) => void): void {
  let text = '';
  response.setEncoding('utf8');
  response.on('data', (piece: string) => {
    if (text.length < 1_000) text += piece;
  });
  // Also after an error: what has been read is all there is.
  response.once('close', () => done(text.trim().slice(0, 300)));
  response.on('error', () => undefined);
}
