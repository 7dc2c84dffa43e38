// book.ts: a Map for entries that come and go by the thousand a second.
//
// V8 gives a Map that grows or has holes a new table, and the old table keeps a pointer to the new one, and all its entries.
// Once one old table has been promoted to the old generation, every table after it is reached from the dead: whatever
// was ever in the map is copied, promoted, and kept until the next full collection. A scheduler's books turn over a
// thousand entries a second; measured, that was most of the work of the garbage collector, and pauses of 30 ms.
//
// So this book begins a fresh Map, which no old table points to, just before V8 would change tables.

export class Book<K, V> {
  #map = new Map<K, V>();
  /** Entries that the present table has room for, as V8 sizes it, and places used up, by entries and by holes. */
  #capacity = table_min;
  #used = 0;

  constructor(entries: Iterable<readonly [K, V]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return this.#map.size;
  }
  has(key: K): boolean {
    return this.#map.has(key);
  }
  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  set(key: K, value: V): this {
    if (this.#used === this.#capacity && !this.#map.has(key)) this.#makeRoom();
    const before = this.#map.size;
    this.#map.set(key, value);
    if (this.#map.size > before) this.#used++;
    return this;
  }

  delete(key: K): boolean {
    // One entry less, and V8 would shrink the table.
    if (this.#map.size - 1 < this.#capacity >> 2 && this.#capacity > table_min && this.#map.has(key)) this.#turnPage();
    return this.#map.delete(key);
  }

  clear(): void {
    this.#map = new Map();
    this.#capacity = table_min;
    this.#used = 0;
  }

  /** As a Map's, but for this: entries that are added while the iteration goes on may be left out. */
  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.#map.entries();
  }
  entries(): MapIterator<[K, V]> {
    return this.#map.entries();
  }
  keys(): MapIterator<K> {
    return this.#map.keys();
  }
  values(): MapIterator<V> {
    return this.#map.values();
  }
  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    this.#map.forEach(callback);
  }

  /** A book that only grows is V8's to double: what the old table holds is in the new one too. */
  #makeRoom(): void {
    const holes = this.#used - this.#map.size;
    if (holes * 2 >= this.#capacity) {
      this.#turnPage();
      return;
    }
    this.#used = this.#map.size;
    this.#capacity *= 2;
  }

  #turnPage(): void {
    const old = this.#map;
    this.#map = new Map();
    for (const [key, value] of old) this.#map.set(key, value);
    this.#used = old.size;
    this.#capacity = table_min;
    while (this.#capacity < old.size) this.#capacity *= 2;
  }
}

/** Entries in V8's smallest table. */
const table_min = 4;

/** A Set, as Book is a Map. */
export class Roll<T> {
  readonly #book = new Book<T, true>();

  get size(): number {
    return this.#book.size;
  }
  has(item: T): boolean {
    return this.#book.has(item);
  }
  add(item: T): this {
    this.#book.set(item, true);
    return this;
  }
  delete(item: T): boolean {
    return this.#book.delete(item);
  }
  clear(): void {
    this.#book.clear();
  }
  [Symbol.iterator](): MapIterator<T> {
    return this.#book.keys();
  }
}
