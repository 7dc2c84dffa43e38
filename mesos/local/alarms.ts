// alarms.ts: many instants, of which only the earliest is ever looked at.
//
// A binary heap. Alarms of the same instant ring in the order in which they were set. Nothing is taken out before its
// time: whoever rings asks whether the reason still stands, which is cheaper than finding the alarm again.

import type { Instant } from '../../schedules/clock.ts';

type Alarm<T> = { readonly at: Instant; readonly order: number; readonly what: T };

export class Alarms<T> {
  readonly #heap: Alarm<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest instant; undefined when no alarm is set. */
  get next(): Instant | undefined {
    return this.#heap[0]?.at;
  }

  set(at: Instant, what: T): void {
    const heap = this.#heap;
    const alarm = { at, order: this.#order++, what };
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

  /** Takes out the earliest alarm that is due at `now`; undefined when none is. */
  ring(now: Instant): { readonly what: T } | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.at > now) return undefined;
    const last = heap.pop()!;
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
