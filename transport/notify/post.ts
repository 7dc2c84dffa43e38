// post.ts: one POST to somebody else's server, and what its answer means for a letter.
//
// The other side may be anybody, so nothing of it is trusted: not how long it takes, not how much it says, not where it
// would send us on to. The status line is the answer; its body is read only to quote why something was refused.

import * as http from 'node:http';
import * as https from 'node:https';
import { rootCertificates } from 'node:tls';
import type { Delivery } from '../../actors/model/notices.ts';
import { ForbiddenAddress, guardedLookup, guardLiteral } from './address-guard.ts';
import { delivered, failed, refused } from './channel.ts';

export type PostOptions = {
  readonly version: string;
  readonly timeout_ms: number;
  /** Bytes of an answer that are read; what follows is not waited for. */
  readonly answer_bytes_max: number;
  /** Addresses of the inside are fine, also when a job names them. */
  readonly private_allowed: boolean;
  /** Certificates in PEM of whoever may vouch for receivers, beside those that Node knows. */
  readonly ca?: readonly string[] | undefined;
  readonly now: () => number;
};
export type Parcel = {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The operator wrote this address down: it may be inside. */
  readonly trusted: boolean;
};
export type Post = (parcel: Parcel, signal: AbortSignal) => Promise<Delivery>;

export function createPost(options: PostOptions): Post {
  const { version, timeout_ms, private_allowed, ca, now } = options;
  const tls = ca === undefined ? {} : { ca: [...rootCertificates, ...ca] };
  const lookup = guardedLookup();
  return async ({ url, headers, body, trusted }, signal) => {
    const guarded = !trusted && !private_allowed;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeout_ms)]);
    try {
      if (guarded) guardLiteral(url);
      const secure = url.protocol === 'https:';
      const request = (secure ? https : http).request(url, {
        method: 'POST',
        agent: false,
        signal: deadline,
        headers: {
          'User-Agent': `horae/${version}`,
          'Content-Length': Buffer.byteLength(body),
          ...headers,
        },
        ...(guarded ? { lookup } : {}),
        ...(secure ? tls : {}),
      });
      const answer = await answerTo(request, body, options.answer_bytes_max);
      return verdictOn(answer, now());
    } catch (error) {
      if (error instanceof ForbiddenAddress) return refused(error.message);
      if (signal.aborted) return failed('given up by whoever sent it');
      if (deadline.aborted) return failed(`no answer within ${timeout_ms} ms`);
      return failed(wordsOf(error));
    }
  };
}

type Answer = { readonly status: number; readonly headers: http.IncomingHttpHeaders; readonly said: string };

function answerTo(request: http.ClientRequest, body: string, bytes_max: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let answer: Answer | undefined;
    const pieces: Buffer[] = [];
    let bytes = 0;
    const finish = (error?: unknown) => {
      if (answer === undefined) reject(error);
      else resolve({ ...answer, said: Buffer.concat(pieces).subarray(0, bytes_max).toString('utf8') });
      request.destroy();
    };
    // Also when the line breaks later: who has answered has answered.
    request.on('error', finish);
    request.on('close', () => finish(new Error('the connection ended before an answer')));
    request.on('response', response => {
      const { statusCode: status = 0, headers } = response;
      answer = { status, headers, said: '' };
      response.on('error', finish);
      if (status >= 200 && status < 300) return finish();
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        bytes += piece.length;
        if (bytes >= bytes_max) finish();
      });
      response.on('end', () => finish());
    });
    request.end(body);
  });
}

/** Refusals that are about the moment rather than about the letter. */
const later: readonly number[] = [408, 425, 429];

function verdictOn({ status, headers, said }: Answer, now: number): Delivery {
  if (status >= 200 && status < 300) return delivered;
  const words = `the server answered ${status}${said.trim() === '' ? '' : ` ${said}`}`;
  if (status >= 300 && status < 400)
    return refused(`${words}: redirects are not followed: expected the address that ${hostIn(headers.location)} means`);
  return status >= 500 || later.includes(status)
    ? failed(words, retryAfter(headers['retry-after'], now))
    : refused(words);
}

const hostIn = (location: string | undefined) =>
  location !== undefined && URL.canParse(location) ? new URL(location).host : 'it';

/** Seconds, or an instant. */
function retryAfter(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/** Several addresses may have been tried: then the reasons are within. */
function wordsOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(wordsOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
