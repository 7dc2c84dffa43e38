// alarms.ts: many instants, of which only the earliest is ever looked at.
//
// A binary heap. Alarms of the same instant ring in the order in which they were set. One that is cancelled lets go at once
// of what it was for, which may be large, and stays as an empty shell until it comes to the top or the empty are the most.

import type { Instant } from '../../schedules/clock.ts';

export type Alarm<T> = { readonly at: Instant; readonly order: number; what: T | undefined };

export class Alarms<T> {
  #heap: Alarm<T>[] = [];
  #order = 0;
  #empty = 0;

  /** Alarms that will ring. */
  get size(): number {
    return this.#heap.length - this.#empty;
  }

  /** The earliest instant; undefined when no alarm is set. */
  get next(): Instant | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.what === undefined) this.#pop();
    return this.#heap[0]?.at;
  }

  set(at: Instant, what: T): Alarm<T> {
    const alarm: Alarm<T> = { at, order: this.#order++, what };
    this.#push(alarm);
    return alarm;
  }

  /** Of an alarm that has rung or was cancelled before: nothing. */
  cancel(alarm: Alarm<T>): void {
    if (alarm.what === undefined) return;
    alarm.what = undefined;
    this.#empty++;
    if (this.#empty < 1_000 || this.#empty * 2 < this.#heap.length) return;
    const left = this.#heap.filter(one => one.what !== undefined);
    this.#heap = [];
    this.#empty = 0;
    for (const one of left) this.#push(one);
  }

  /** Takes out the earliest alarm that is due at `now`; undefined when none is. */
  ring(now: Instant): { readonly what: T } | undefined {
    const { next } = this;
    if (next === undefined || next > now) return undefined;
    const first = this.#pop();
    const { what } = first;
    if (what === undefined) throw new Error('an empty alarm rang: expected it to be passed over');
    first.what = undefined;
    return { what };
  }

  #push(alarm: Alarm<T>): void {
    const heap = this.#heap;
    let place = heap.length;
    heap.push(alarm);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!before(alarm, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = alarm;
  }

  #pop(): Alarm<T> {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (first.what === undefined) this.#empty--;
    if (heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

const before = <T>(one: Alarm<T>, other: Alarm<T>) =>
  one.at < other.at || (one.at === other.at && one.order < other.order);
