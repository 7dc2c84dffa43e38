// letter-board.ts: the part of the board where letters hang: those that wait for their receiver, and those that were given up.

import {
  type ChannelName,
  channel_names,
  type LetterRecord,
  type NoticeRecord,
  placeKey,
} from '../actors/model/notices.ts';
import type { FeedChange, LetterCounts } from '../actors/model/views.ts';

export class LetterBoard {
  readonly #notices = new Map<string, NoticeRecord>();
  readonly #letters = new Map<string, LetterRecord>();
  readonly #places = new Set<string>();
  readonly #counts = Object.fromEntries(
    channel_names.map(name => [name, { notices: 0, pending: 0, dead: 0 }]),
  ) as Record<ChannelName, { notices: number; pending: number; dead: number }>;

  apply({ kind, key, body }: FeedChange): void {
    if (kind === 'notice') this.#swap(this.#notices, key, body as NoticeRecord | undefined, this.#countNotice);
    else if (kind === 'letter') this.#swap(this.#letters, key, body as LetterRecord | undefined, this.#countLetter);
    else if (body === undefined) this.#places.delete(key);
    else this.#places.add(key);
  }

  /** What is on the board, as kind and key. */
  *present(): Iterable<readonly [kind: string, key: string]> {
    for (const key of this.#notices.keys()) yield ['notice', key];
    for (const key of this.#letters.keys()) yield ['letter', key];
    for (const key of this.#places) yield ['place', key];
  }

  /** Newest first. */
  letters(): readonly LetterRecord[] {
    return [...this.#letters.values()].sort((one, other) => (one.letter.id < other.letter.id ? 1 : -1));
  }
  letter(id: string): LetterRecord | undefined {
    return this.#letters.get(id);
  }
  counts(): LetterCounts {
    return this.#counts;
  }

  #swap<T>(all: Map<string, T>, key: string, body: T | undefined, count: (one: T, by: 1 | -1) => void): void {
    const before = all.get(key);
    if (before !== undefined) count(before, -1);
    if (body === undefined) all.delete(key);
    else {
      all.set(key, body);
      count(body, 1);
    }
  }
  readonly #countNotice = ({ to }: NoticeRecord, by: 1 | -1): void => {
    // A job may name one place twice; it is told once.
    for (const key of new Set(to.map(placeKey)))
      this.#counts[key.slice(0, key.indexOf(' ')) as ChannelName].notices += by;
  };
  readonly #countLetter = ({ letter, dead_at }: LetterRecord, by: 1 | -1): void => {
    this.#counts[letter.channel][dead_at === undefined ? 'pending' : 'dead'] += by;
  };
}
