// link.ts: requests to a scheduler: over connections that are kept, in bounded time, with answers of bounded length.
//
// No answer is an answer of its own: who was not heard may have done what was asked. So whoever writes looks again, and does not
// guess; what only reads is asked again here.

import { setTimeout } from 'node:timers/promises';

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  /** As JSON; undefined when it is empty or something else. */
  readonly body: unknown;
  readonly text: string;
};
export type Asking = {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};
export type Link = {
  readonly url: string;
  /** One try. Throws NoAnswer. */
  readonly send: (method: string, path: string, asking?: Asking) => Promise<Answer>;
  /** A read: tried again while nobody answers, or whoever does has no time. Throws NoAnswer, or Refused. */
  readonly read: (path: string) => Promise<Answer>;
  /** How often anything is tried. */
  readonly tries_max: number;
  /** After the try with this number, from 1. */
  readonly pause: (attempt: number) => Promise<void>;
};
export type LinkOptions = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** For one answer; and all together, between tries. */
  readonly timeout_ms: number;
  /** Told when something is about to be tried again for the first time: people wonder. */
  readonly waiting: (why: string) => void;
};

/** Nobody answered, or not to the end: what was asked may have been done. */
export class NoAnswer extends Error {}
/** Somebody answered, and not what was hoped for. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const pause_ms_first = 250;
const pause_ms_max = 4_000;
/** A hundred thousand jobs of two kilobytes, and less than a string can hold. */
const answer_bytes_max = 268_435_456;

export function createLink({ url, headers, timeout_ms, waiting }: LinkOptions): Link {
  const send: Link['send'] = async (method, path, asking = {}) => {
    const body = asking.body === undefined ? undefined : JSON.stringify(asking.body);
    try {
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: {
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
          ...asking.headers,
        },
        ...(body === undefined ? {} : { body }),
        signal: AbortSignal.timeout(timeout_ms),
      });
      const text = await textOf(answer);
      return { status: answer.status, headers: answer.headers, text, body: jsonOf(text) };
    } catch (error) {
      if (error instanceof Refused) throw error;
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const why =
        cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : String(cause);
      throw new NoAnswer(`no answer from ${new URL(url).origin}: ${why}`);
    }
  };
  const pauseMs = (attempt: number) => Math.min(pause_ms_max, pause_ms_first * 2 ** (attempt - 1));
  let tries_max = 1;
  for (let paused_ms = 0; paused_ms + pauseMs(tries_max) <= timeout_ms; tries_max++) paused_ms += pauseMs(tries_max);
  const pause: Link['pause'] = attempt => setTimeout(pauseMs(attempt));
  return {
    url,
    send,
    tries_max,
    pause,
    async read(path) {
      for (let attempt = 1; ; attempt++) {
        try {
          const answer = await send('GET', path);
          if (!isBusy(answer.status)) return answer;
          if (attempt === tries_max) throw refusedBy(answer);
          if (attempt === 1) waiting(refusedBy(answer).message);
        } catch (error) {
          if (!(error instanceof NoAnswer) || attempt === tries_max) throw error;
          if (attempt === 1) waiting(error.message);
        }
        await pause(attempt);
      }
    },
  };
}

/** Nothing is wrong with what was asked; whether it was done is another question. */
export const isBusy = (status: number): boolean => status === 429 || status === 502 || status === 503 || status === 504;

/** What somebody who said no has to say for it: Horae in `detail`, Chronos in `message`, with a stack trace behind it. */
export function refusedBy({ status, body, text }: Answer): Refused {
  const { detail, message } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const said = [detail, message, text].find(each => typeof each === 'string' && each.trim() !== '');
  const line = String(said ?? '')
    .trim()
    .split('\n')[0]!
    .slice(0, 500);
  return new Refused(status, line === '' ? `the server answered ${status}` : `the server answered ${status}: ${line}`);
}

async function textOf(answer: Response): Promise<string> {
  if (answer.body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > answer_bytes_max)
      throw new Refused(answer.status, `the answer has more than ${answer_bytes_max} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function jsonOf(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
