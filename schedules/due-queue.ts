// due-queue.ts: who is due when, for a million at a time.
//
// A heap keeps the earliest on top, and an index says where in the heap each key stands, so that arming again and
// cancelling need no search. The heap has four children per node: half as deep as a binary one, and the children of a node
// lie next to one another in memory.
//
// It is mutable, unlike most of what is pure here: a new heap for each arming would copy megabytes to move a few numbers.
// Its owner (one timetable) never shares it, and the same calls always give the same answers.

import { Book } from './book.ts';
import type { Instant } from './clock.ts';

export class DueQueue<Key extends string | number = string> {
  /** Slot of each key. Everything else is looked up by slot, in flat arrays. */
  readonly #slots = new Book<Key, number>();
  #keys: (Key | undefined)[] = [];
  #at = new Float64Array(16);
  /** Arming order, for ties. */
  #order = new Float64Array(16);
  /** Position in the heap of each slot, and the slot at each position. */
  #position = new Uint32Array(16);
  #heap = new Uint32Array(16);
  #free: number[] = [];
  #size = 0;
  #armed = 0;

  get size(): number {
    return this.#size;
  }

  /** Sets the instant of a key, whether it had one before or not. */
  arm(key: Key, at: Instant): void {
    if (Number.isNaN(at)) throw new Error(`cannot arm "${key}" at NaN: expected an instant`);
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#free.pop() ?? this.#size;
      if (slot >= this.#at.length) this.#grow();
      this.#slots.set(key, slot);
      this.#keys[slot] = key;
      this.#place(slot, this.#size++);
    }
    this.#at[slot] = at;
    this.#order[slot] = this.#armed++;
    this.#up(this.#down(this.#position[slot]!));
  }

  /** Forgets a key; false when it was not armed. */
  cancel(key: Key): boolean {
    const slot = this.#slots.get(key);
    if (slot === undefined) return false;
    this.#remove(slot);
    return true;
  }

  /** The instant for which a key is armed. */
  at(key: Key): Instant | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined ? undefined : this.#at[slot]!;
  }

  /** The instant of whoever is due first. */
  earliest(): Instant | undefined {
    return this.#size === 0 ? undefined : this.#at[this.#heap[0]!]!;
  }

  /** Takes out those due at or before `now`, at most `limit`, by instant and then in the order of arming. */
  popDue(now: Instant, limit = Infinity): { readonly key: Key; readonly at: Instant }[] {
    const due: { key: Key; at: Instant }[] = [];
    while (this.#size > 0 && due.length < limit) {
      const slot = this.#heap[0]!;
      const at = this.#at[slot]!;
      if (at > now) break;
      due.push({ key: this.#keys[slot]!, at });
      this.#remove(slot);
    }
    return due;
  }

  #remove(slot: number): void {
    const position = this.#position[slot]!;
    this.#slots.delete(this.#keys[slot]!);
    this.#keys[slot] = undefined;
    this.#free.push(slot);
    const last = this.#heap[--this.#size]!;
    if (last === slot) return;
    this.#place(last, position);
    this.#up(this.#down(position));
  }

  #place(slot: number, position: number): void {
    this.#heap[position] = slot;
    this.#position[slot] = position;
  }

  #before(a: number, b: number): boolean {
    const difference = this.#at[a]! - this.#at[b]!;
    return difference < 0 || (difference === 0 && this.#order[a]! < this.#order[b]!);
  }

  #up(position: number): void {
    const slot = this.#heap[position]!;
    while (position > 0) {
      const parent = (position - 1) >> 2;
      const above = this.#heap[parent]!;
      if (!this.#before(slot, above)) break;
      this.#place(above, position);
      position = parent;
    }
    this.#place(slot, position);
  }

  /** Lets what stands at `position` sink; gives where it comes to rest. */
  #down(position: number): number {
    const slot = this.#heap[position]!;
    for (;;) {
      const first = position * 4 + 1;
      if (first >= this.#size) break;
      let best = first;
      const end = Math.min(first + 4, this.#size);
      for (let child = first + 1; child < end; child++)
        if (this.#before(this.#heap[child]!, this.#heap[best]!)) best = child;
      const below = this.#heap[best]!;
      if (!this.#before(below, slot)) break;
      this.#place(below, position);
      position = best;
    }
    this.#place(slot, position);
    return position;
  }

  #grow(): void {
    const length = this.#at.length * 2;
    const at = new Float64Array(length);
    at.set(this.#at);
    this.#at = at;
    const order = new Float64Array(length);
    order.set(this.#order);
    this.#order = order;
    const position = new Uint32Array(length);
    position.set(this.#position);
    this.#position = position;
    const heap = new Uint32Array(length);
    heap.set(this.#heap);
    this.#heap = heap;
  }
}
