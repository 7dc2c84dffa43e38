// office.ts: the queue of notices in a glass: its records, its clock, and a receiver that does as the test says.
//
// It stands for the tree and the world around the actor: keeps the records that it emits, lets an instant pass, and can be
// born anew from the records alone, as after a crash.

import type { Effect } from '../../actors/effects.ts';
import type {
  Delivery,
  Letter,
  LetterRecord,
  NoticeEvent,
  NoticeRecord,
  Place,
  PlaceRecord,
  SentLetter,
} from '../../actors/model/notices.ts';
import {
  type NoticesLimits,
  type NoticesMessage,
  type NoticesState,
  newNotices,
  notices,
} from '../../actors/notices/notices.ts';

export const limits: NoticesLimits = {
  cluster: 'north',
  gather_ms: 1_000,
  interval_ms: 60_000,
  backoff: { delay_ms: 1_000, factor: 2, delay_ms_max: 600_000, jitter: 0 },
  give_up_ms: 86_400_000,
  notices_max: 5_000,
  letters_max: 50,
  sending_max: 2,
  listed_max: 3,
  dead_max: 5,
  text_max: 10_000,
};

export const mail: Place = { channel: 'mail', to: 'ops@example.com' };
export const start = Date.UTC(2026, 0, 1);

export const noticed = (
  n: number | string,
  to: readonly Place[] = [mail],
  event: NoticeEvent = 'failed',
  at = start,
): NoticeRecord => ({
  notice: { id: `www/prod/j${n}/1.r/${event}`, event, at, job: `www/prod/j${n}`, reason: 'it exited with 3' },
  to,
});

export class Office {
  readonly records = new Map<string, unknown>();
  readonly sent: SentLetter[] = [];
  /** Every attempt, in order: what a receiver saw. */
  readonly seen: { readonly at: number; readonly letter: Letter }[] = [];
  readonly under_way: Letter[] = [];
  readonly answers: unknown[] = [];
  now = start;
  answer: (letter: Letter, at: number) => Delivery | undefined = () => ({ type: 'delivered' });
  log: (task: string) => string | undefined = () => undefined;
  #state: NoticesState = newNotices();
  readonly #armed = new Map<string, number>();
  readonly #limits: NoticesLimits;

  constructor(changed: Partial<NoticesLimits> = {}) {
    this.#limits = { ...limits, ...changed };
  }

  /** Something happened: its record is of the same step, and word of it follows. */
  note(...noted: readonly NoticeRecord[]): void {
    for (const one of noted) this.records.set(`notice ${one.notice.id}`, one);
    this.tell({ type: 'noted', noted });
  }

  tell(message: NoticesMessage): void {
    const { state, effects } = notices(this.#limits)(this.#state, message, this.now);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  /** Everything that falls due up to then, at its instant. */
  until(at: number): void {
    for (;;) {
      const next = [...this.#armed].sort(([, a], [, b]) => a - b)[0];
      if (next === undefined || next[1] > at) break;
      this.#armed.delete(next[0]);
      this.now = Math.max(this.now, next[1]);
      this.tell({ type: 'due', due: [next[0]] });
    }
    this.now = at;
  }

  /** Dies, and is born from what was written down. Letters under way are not heard of again. */
  crash(): void {
    this.#armed.clear();
    this.under_way.length = 0;
    const of = <T>(kind: string) =>
      [...this.records].flatMap(([key, body]) =>
        key.startsWith(`${kind} `) ? [[key.slice(kind.length + 1), body as T] as const] : [],
      );
    this.#state = newNotices(of<NoticeRecord>('notice'), of<LetterRecord>('letter'), of<PlaceRecord>('place'));
    this.tell({ type: 'begin' });
  }

  /** A letter that the receiver had not answered is answered now. */
  carried(letter: Letter, delivery: Delivery): void {
    if (this.under_way.includes(letter)) this.under_way.splice(this.under_way.indexOf(letter), 1);
    this.tell({ type: 'carried', carried: [{ id: letter.id, delivery }] });
  }

  of<T>(kind: string): readonly T[] {
    return [...this.records].filter(([key]) => key.startsWith(`${kind} `)).map(([, body]) => body as T);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'record':
        if (effect.kind === 'sent-letter') this.sent.push(effect.body as SentLetter);
        else if (effect.body === undefined) this.records.delete(`${effect.kind} ${effect.key}`);
        else this.records.set(`${effect.kind} ${effect.key}`, effect.body);
        return;
      case 'tell':
        if (effect.to !== 'timetable' || effect.message.type !== 'armed')
          throw new Error(`unexpected mail to ${effect.to}`);
        for (const { key, at } of effect.message.armed) this.#armed.set(key, at);
        return;
      case 'read-logs': {
        const { place, wanted } = effect;
        const logs = Object.fromEntries(
          wanted.flatMap(({ notice, task }) => {
            const text = this.log(task);
            return text === undefined ? [] : [[notice, text]];
          }),
        );
        this.tell({ type: 'read', read: [{ place, logs }] });
        return;
      }
      case 'deliver': {
        const { letter } = effect;
        this.seen.push({ at: this.now, letter });
        this.under_way.push(letter);
        const answer = this.answer(letter, this.now);
        if (answer !== undefined) this.carried(letter, answer);
        return;
      }
      case 'reply':
        this.answers.push(effect.answer);
        return;
      case 'count':
      case 'log':
        return;
      default:
        throw new Error(`unexpected effect ${effect.type}`);
    }
  }
}
