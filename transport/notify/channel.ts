// channel.ts: what every way to a person's attention has in common: a letter goes in, what became of it comes out.
//
// A channel keeps nothing. It is handed the same letter, with the same id, as often as it takes until one attempt is not
// `failed`; receivers know by the id what they have already seen. What waits, and for how long, is decided elsewhere.

import type { Delivery, Letter } from '../../actors/model/notices.ts';

export type Channel = {
  /** Never rejects. Ends when `signal` says so, or at the channel's own deadline, whichever is sooner. */
  readonly deliver: (letter: Letter, signal: AbortSignal) => Promise<Delivery>;
  readonly close: () => Promise<void>;
};

export const delivered: Delivery = { type: 'delivered' };
/** The other side said no to this letter, and would say so again. */
export const refused = (message: string): Delivery => ({ type: 'refused', message: inLine(message, words_max) });
/** Not now. What the other side asked us to wait is not yet held against any limit of ours. */
export const failed = (message: string, retry_after_ms?: number): Delivery => ({
  type: 'failed',
  message: inLine(message, words_max),
  ...(retry_after_ms === undefined ? {} : { retry_after_ms }),
});

/** Characters of another server's words that are kept. */
const words_max = 500;

/** On one line, whatever ends a line being a blank, and at most so long. */
export function inLine(text: string, characters_max: number): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return line.length > characters_max ? `${line.slice(0, characters_max - 3).toWellFormed()}...` : line;
}
