// stream.ts: answers that are too long to be made in one go: they leave in pieces, and the scheduler comes first.
//
// Think of one narrow door for everybody who carries something long out of the house. Each turn of the event loop one of
// them gets one step through it, about a millisecond's worth, and then stands in line again. So however many lists are on
// their way, between two steps everything else has had its turn. Whoever's client has not taken the last piece stands
// aside; all that is held for it is that piece and its place in the list. A client that takes none for too long is cut off.

import type { ServerResponse } from 'node:http';
import { type Exchange, streaming } from './route.ts';

/** The door, of which a server has one: work is done in the order in which it came, one piece a turn. */
export type Turnstile = { readonly pass: (step: () => void) => void };

/** Of an answer that nobody is to mistake for a page. */
export const json_headers = {
  'content-type': 'application/json',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const;

/** How long one step may take; the last part of it may make it longer. */
const step_ms = 1;
/** As much as a connection buffers by itself. */
const piece_chars_max = 65_536;

export function createTurnstile(defer: (turn: () => void) => void): Turnstile {
  const line: (() => void)[] = [];
  const turn = () => {
    line[0]!();
    line.shift();
    if (line.length > 0) defer(turn);
  };
  return {
    pass(step) {
      if (line.push(step) === 1) defer(turn);
    },
  };
}

/** Sends what `parts` yields, a few at a time. Each part is made when its turn comes: it should cost little by itself. */
export async function streamed(
  { request, response, services }: Exchange,
  headers: Readonly<Record<string, string>>,
  parts: Iterable<string>,
): Promise<typeof streaming> {
  response.writeHead(200, { 'cache-control': 'no-store', ...headers });
  const going = request.method === 'HEAD' ? [][Symbol.iterator]() : parts[Symbol.iterator]();
  for (let more = true; more; ) {
    more = await new Promise<boolean>((resolve, reject) =>
      services.turnstile.pass(() => {
        try {
          resolve(!response.destroyed && step(response, going, services.clock.monotonic));
        } catch (error) {
          reject(error);
        }
      }),
    );
    if (response.writableNeedDrain) await taken({ response, services });
  }
  if (!response.destroyed) response.end();
  return streaming;
}

/** Whether there is more to come. */
function step(response: ServerResponse, parts: Iterator<string, unknown>, monotonic: () => number): boolean {
  const until = monotonic() + step_ms;
  let piece = '';
  for (;;) {
    const part = parts.next();
    if (part.done !== true) piece += part.value;
    const enough = part.done === true || piece.length >= piece_chars_max || monotonic() >= until;
    if (!enough) continue;
    if (piece !== '') response.write(piece);
    return part.done !== true;
  }
}

/** Resolves when the client has taken what was written, or is gone. */
function taken({ response, services }: Pick<Exchange, 'response' | 'services'>): Promise<void> {
  const { clock, limits, log, metrics } = services;
  return new Promise(resolve => {
    const late = clock.wakeAt(clock.now() + limits.reader_stall_ms, () => {
      metrics.counter('horae_http_refused_total', { why: 'stalled' }).add();
      log.debug({ stall_ms: limits.reader_stall_ms }, 'a client took nothing of its list: cut off');
      response.destroy();
    });
    const go = () => {
      late.cancel();
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
    if (response.destroyed) go();
  });
}
