// http-link.ts: a MesosLink over HTTP: the subscription that never ends, and the calls beside it.
//
// Two connections make one conversation. On the first the master talks: the answer to SUBSCRIBE is a body without an end, in
// which events come as records. On the second we talk, each call with the stream id that the first one gave us, which is how
// a master knows that we are still the one it is talking to. The link ends a subscription that falls silent, that says what
// cannot be read, or that ends by itself; it never opens the next one. Whoever owns the link decides when (resubscribeDelay).

import * as http from 'node:http';
import * as https from 'node:https';
import type * as tls from 'node:tls';
import type { Clock, Wake } from '../schedules/clock.ts';
import { type CallPipe, callPipe, wordsOf } from './call-pipe.ts';
import type { CallAnswer, Event, LinkEnd, LinkListener, MesosLink, Subscribe } from './protocol.ts';
import { subscriptionReader } from './subscription.ts';

export type Credentials =
  | { readonly type: 'basic'; readonly principal: string; readonly secret: string }
  | { readonly type: 'bearer'; readonly token: string };

/** pino's shape, as far as the link needs it. */
export type LinkLog = {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
};

export type HttpLinkOptions = {
  /**
   * Masters, as `http://host:5050` (or a full URL of the API). A subscription goes to one; after a failure the next goes to
   * the next. As a function: those who lead as far as is known; while there are none, a subscription waits for
   * `mastersChanged`.
   */
  readonly urls: readonly string[] | (() => readonly string[]);
  readonly clock: Clock;
  readonly log?: LinkLog;
  /** As a function: asked for every subscription and call, since a token does not last. */
  readonly credentials?: Credentials | (() => Credentials);
  /** Told of records that were no event of ours: how many. */
  readonly ignored?: (count: number) => void;
  /** CA, client certificate, server name: for masters under https. */
  readonly tls?: tls.ConnectionOptions;
  /** Heartbeats that may be missing before the stream is given up as silent. */
  readonly heartbeat_missed_max?: number;
  readonly record_bytes_max?: number;
  /** Redirects that one subscription follows. */
  readonly redirects_max?: number;
  /** From the beginning of a subscription to its SUBSCRIBED. */
  readonly subscribe_timeout_ms?: number;
  readonly call_timeout_ms?: number;
  readonly calls_in_flight_max?: number;
  readonly calls_waiting_max?: number;
};

export const http_link_defaults = {
  heartbeat_missed_max: 5,
  record_bytes_max: 64 * 1024 * 1024,
  redirects_max: 5,
  subscribe_timeout_ms: 20_000,
  call_timeout_ms: 30_000,
  calls_in_flight_max: 64,
  calls_waiting_max: 200_000,
} as const;

/** What has passed over a link since it was made. */
export type LinkCounts = {
  readonly subscriptions: number;
  readonly bytes: number;
  readonly events: number;
  readonly batches: number;
  /** Records that were no event of ours: unknown types, missing fields. */
  readonly ignored: number;
};
export type HttpLink = MesosLink & {
  readonly counts: () => LinkCounts;
  /**
   * `urls` answers otherwise than before. A subscription with a master that leads no more ends; one that waits for a master
   * goes to it.
   */
  readonly mastersChanged: () => void;
  /** The master with whom the present subscription is, or is being made. */
  readonly origin: () => string | undefined;
};

/** One subscription, from the call of `subscribe` to its end. */
type Subscription = {
  readonly request: Subscribe;
  readonly listener: LinkListener;
  over: boolean;
  /** Where it is, or is trying to be; undefined while no master is known. */
  url: URL | undefined;
  client: http.ClientRequest | undefined;
  pipe: CallPipe | undefined;
  framework_id: string | undefined;
  watch: Wake | undefined;
  heard_at: number;
  /** Records that were put aside. */
  ignored: number;
  /** Events of the present read, told together when the read is over. */
  batch: Event[];
};

export function httpLink(given: HttpLinkOptions): HttpLink {
  const options = { ...http_link_defaults, ...given };
  const { clock, log } = options;
  const counts = { subscriptions: 0, bytes: 0, events: 0, batches: 0, ignored: 0 };
  let present: Subscription | undefined;
  let latest: LinkListener | undefined;
  let turn = 0;
  let shown: { readonly credentials: Credentials | undefined; readonly headers: Record<string, string> } | undefined;

  /** The same object for as long as the credentials are. */
  const headersNow = () => {
    const { credentials: given } = options;
    const credentials = typeof given === 'function' ? given() : given;
    if (shown === undefined || shown.credentials !== credentials)
      shown = { credentials, headers: headersOf(credentials) };
    return shown.headers;
  };

  const finish = (subscription: Subscription, end: LinkEnd) => {
    if (subscription.over) return;
    deliver(subscription);
    // The listener may have subscribed again, or closed us, while it was told the last events.
    if (subscription.over) return;
    // A master that did not take us is not asked first the next time.
    if (subscription.framework_id === undefined) turn++;
    silence(subscription, `the subscription has ended: ${end.message}`);
    subscription.listener.ended(end);
  };

  const deliver = (subscription: Subscription) => {
    if (subscription.over || subscription.batch.length === 0) return;
    const events = subscription.batch;
    subscription.batch = [];
    counts.events += events.length;
    counts.batches++;
    subscription.listener.events(events);
  };

  /** Puts a subscription to rest without a word to its listener. Calls under way may still be answered. */
  const silence = (subscription: Subscription, why: string) => {
    subscription.over = true;
    subscription.watch?.cancel();
    subscription.client?.destroy();
    subscription.pipe?.end(why);
    if (present === subscription) present = undefined;
  };

  const open = (subscription: Subscription, url: URL, redirects: number) => {
    subscription.url = url;
    const body = JSON.stringify(subscription.request);
    const secure = url.protocol === 'https:';
    const client = (secure ? https : http).request(url, {
      method: 'POST',
      // A connection of its own, which nobody else waits for.
      agent: false,
      headers: {
        ...headersNow(),
        Connection: 'keep-alive',
        'Content-Length': Buffer.byteLength(body),
      },
      ...(secure ? options.tls : {}),
    });
    let why: LinkEnd['why'] = 'unreachable';
    subscription.client = client;
    client.on('error', error => {
      if (subscription.client === client) finish(subscription, { why, message: `${url.origin}: ${wordsOf(error)}` });
    });
    client.on('response', response => {
      why = 'closed';
      answered(subscription, url, redirects, response);
    });
    client.end(body);
  };

  const answered = (subscription: Subscription, url: URL, redirects: number, response: http.IncomingMessage) => {
    const status = response.statusCode ?? 0;
    const stream_id = response.headers['mesos-stream-id'];
    const type = response.headers['content-type'] ?? json;
    if (status === 200 && type !== json) {
      const message = `${url.origin}: the answer to SUBSCRIBE is ${type}: expected ${json}`;
      finish(subscription, { why: 'garbled', message });
      return;
    }
    if (status === 200 && typeof stream_id === 'string') return listen(subscription, url, stream_id, response);
    if (status === 200) {
      finish(subscription, { why: 'garbled', message: `${url.origin}: no Mesos-Stream-Id in the answer to SUBSCRIBE` });
      return;
    }
    const location = response.headers.location;
    if ((status === 307 || status === 308) && location !== undefined) {
      const next = redirect(url, location, redirects);
      subscription.client = undefined;
      response.destroy();
      if (next instanceof URL) open(subscription, next, redirects + 1);
      else finish(subscription, { why: 'refused', status, message: next });
      return;
    }
    words(response, message => finish(subscription, { why: 'refused', status, message: `${url.origin}: ${message}` }));
  };

  /**
   * Where a redirect leads; a sentence when it is not followed. Mesos leaves out the scheme:
   * `//host:5050/master/api/v1/scheduler`.
   */
  const redirect = (from: URL, location: string, redirects: number): URL | string => {
    if (redirects >= options.redirects_max)
      return `${from.origin}: redirected more than ${options.redirects_max} times, at last to ${location}`;
    if (!URL.canParse(location, from.href)) return `${from.origin}: redirected to "${location}", which is no address`;
    const next = new URL(location, from);
    // Credentials and jobs do not leave an encrypted connection for a plain one because a stranger says so.
    if (next.protocol !== 'https:' && (next.protocol !== 'http:' || from.protocol === 'https:'))
      return `${from.origin}: redirected to ${next.href}: expected ${from.protocol}`;
    log?.info({ from: from.origin, to: next.origin }, 'mesos: redirected to another master');
    return next;
  };

  const headersWith = (stream_id: string) => {
    let of: object | undefined;
    let headers: Record<string, string> = {};
    return () => {
      const now = headersNow();
      if (now !== of) headers = { ...now, 'Mesos-Stream-Id': stream_id };
      of = now;
      return headers;
    };
  };

  /** A stranger's every word would fill the log: the first are told, all are counted. */
  const tellIgnored = (subscription: Subscription, url: URL, ignored: readonly string[]) => {
    options.ignored?.(ignored.length);
    for (const what of ignored) {
      if (++subscription.ignored > ignored_told_max) continue;
      const last = subscription.ignored === ignored_told_max ? '; from here on they are only counted' : '';
      log?.warn({ master: url.origin }, `mesos: ignored ${what}${last}`);
    }
  };

  const listen = (subscription: Subscription, url: URL, stream_id: string, response: http.IncomingMessage) => {
    const reader = subscriptionReader(options.record_bytes_max);
    let flushing = false;
    response.on('data', (chunk: Buffer) => {
      if (subscription.over) return;
      counts.bytes += chunk.length;
      subscription.heard_at = clock.monotonic();
      const read = reader.feed(chunk);
      counts.ignored += read.ignored.length;
      if (read.ignored.length > 0) tellIgnored(subscription, url, read.ignored);
      const told = reader.subscribed();
      if (subscription.framework_id === undefined && told !== undefined) {
        subscription.framework_id = told.framework_id;
        subscription.pipe = callPipe({
          ...options,
          url,
          headers: headersWith(stream_id),
          tls: options.tls ?? {},
        });
        watchHeartbeats(subscription, url, told.heartbeat_ms * options.heartbeat_missed_max);
      }
      subscription.batch.push(...read.events);
      if (read.garbled !== undefined)
        finish(subscription, { why: 'garbled', message: `${url.origin}: ${read.garbled}` });
      else if (!flushing) {
        // A master writes every event as a chunk of its own; those that arrived together are told together.
        flushing = true;
        process.nextTick(() => {
          flushing = false;
          deliver(subscription);
        });
      }
    });
    // The end of the body is the end of the subscription, also where the connection stays open.
    response.on('end', () => finish(subscription, { why: 'closed', message: `${url.origin}: the stream has ended` }));
    response.on('error', error => finish(subscription, { why: 'closed', message: `${url.origin}: ${wordsOf(error)}` }));
    response.on('close', () =>
      finish(subscription, { why: 'closed', message: `${url.origin}: the connection has ended` }),
    );
  };

  /** Until SUBSCRIBED everything together may take so long. */
  const watchSubscribing = (subscription: Subscription) => {
    const { subscribe_timeout_ms } = options;
    subscription.watch = clock.wakeAt(clock.now() + subscribe_timeout_ms, () => {
      const connected = subscription.client?.socket?.connecting === false;
      const message = `no ${connected ? 'SUBSCRIBED' : 'connection'} within ${subscribe_timeout_ms} ms`;
      finish(subscription, { why: connected ? 'silent' : 'unreachable', message });
    });
  };

  const watchHeartbeats = (subscription: Subscription, url: URL, silence_ms_max: number) => {
    subscription.watch?.cancel();
    const check = () => {
      const quiet_ms = clock.monotonic() - subscription.heard_at;
      if (quiet_ms >= silence_ms_max)
        finish(subscription, { why: 'silent', message: `${url.origin}: not a word for ${Math.round(quiet_ms)} ms` });
      else subscription.watch = clock.wakeAt(clock.now() + silence_ms_max - quiet_ms, check);
    };
    subscription.watch = clock.wakeAt(clock.now() + silence_ms_max, check);
  };

  /** To the master whose turn it is. */
  const begin = (subscription: Subscription) => {
    const urls = typeof options.urls === 'function' ? options.urls() : options.urls;
    if (urls.length === 0 && typeof options.urls === 'function') return;
    const chosen = urls[turn % Math.max(1, urls.length)];
    const url = chosen === undefined ? undefined : apiUrl(chosen);
    if (url !== undefined) {
      watchSubscribing(subscription);
      open(subscription, url, 0);
      return;
    }
    const message = chosen === undefined ? 'no master is known' : `"${chosen}" is not the address of a master`;
    process.nextTick(() => finish(subscription, { why: 'unreachable', message }));
  };

  return {
    subscribe(request, listener) {
      if (present !== undefined) silence(present, 'another subscription has taken its place');
      const subscription: Subscription = {
        request,
        listener,
        over: false,
        url: undefined,
        client: undefined,
        pipe: undefined,
        framework_id: undefined,
        watch: undefined,
        heard_at: clock.monotonic(),
        ignored: 0,
        batch: [],
      };
      present = subscription;
      latest = listener;
      counts.subscriptions++;
      begin(subscription);
    },
    mastersChanged() {
      const urls = typeof options.urls === 'function' ? options.urls() : options.urls;
      if (urls.length === 0) return;
      const subscription = present;
      if (subscription !== undefined && subscription.url === undefined) return begin(subscription);
      const origin = subscription?.url?.origin;
      if (origin !== undefined && urls.some(each => apiUrl(each)?.origin === origin)) return;
      if (subscription !== undefined)
        finish(subscription, { why: 'closed', message: `${origin}: ${urls.join(', ')} leads now` });
      if (present === undefined) latest?.found?.();
    },
    async call(call): Promise<CallAnswer> {
      const subscription = present;
      if (subscription?.pipe === undefined || subscription.framework_id === undefined)
        return { type: 'unsent', message: 'there is no subscription' };
      const { pipe, framework_id } = subscription;
      const answer = await pipe.send(JSON.stringify({ framework_id: { value: framework_id }, ...call }));
      // The far end knows already what a connection that was cut has not told us: why wait for heartbeats to be missed?
      if (answer.type === 'refused' && isForsaken(answer))
        finish(subscription, { why: 'closed', message: `${subscription.url?.origin}: ${answer.message}` });
      return answer;
    },
    async close() {
      latest = undefined;
      const subscription = present;
      if (subscription === undefined) return;
      silence(subscription, 'the link is closed');
      await subscription.pipe?.destroy('the link was closed');
    },
    counts: () => ({ ...counts }),
    origin: () => present?.url?.origin,
  };
}

/** A master that has no subscription of ours, or leads no more. Another one's stream is another matter: his is the later word. */
const isForsaken = ({ status, message }: { readonly status: number; readonly message: string }): boolean =>
  status === 307 || status === 308 || (status === 403 && /not subscribed/i.test(message));

/** `http://host:5050` -> the scheduler API there; undefined for what is no http address. */
export function apiUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  if (url.pathname === '/') url.pathname = '/api/v1/scheduler';
  return url;
}

/** Mesos compares the content type letter by letter: a charset behind it is refused. */
const json = 'application/json';
const headersOf = (credentials: Credentials | undefined): Record<string, string> => ({
  'Content-Type': json,
  Accept: json,
  ...authorization(credentials),
});

/** The header by which we say who we are. */
export function authorization(credentials: Credentials | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  if (credentials?.type === 'basic') {
    const pair = Buffer.from(`${credentials.principal}:${credentials.secret}`).toString('base64');
    headers.Authorization = `Basic ${pair}`;
  }
  if (credentials?.type === 'bearer') headers.Authorization = `Bearer ${credentials.token}`;
  return headers;
}

/** The words of a refusal: as much of the body as a person would read. */
function words(response: http.IncomingMessage, tell: (message: string) => void): void {
  let text = '';
  const done = () => {
    response.removeAllListeners('data');
    const said = text.trim().slice(0, words_max);
    tell(said === '' ? `HTTP ${response.statusCode} ${response.statusMessage ?? ''}`.trim() : said);
    response.destroy();
  };
  response.setEncoding('utf8');
  response.on('data', (piece: string) => {
    text += piece;
    if (text.length > words_max) done();
  });
  response.on('end', done);
  response.on('error', done);
}
const words_max = 1024;
/** Records put aside that one subscription tells the log of. */
const ignored_told_max = 20;
