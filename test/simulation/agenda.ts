// agenda.ts: the one time of a simulated world, and everything that is going to happen in it.
//
// Everybody in the simulation shares this agenda: processes, servers, cables, people. Entries of one instant are taken in
// the order in which they were written down; after each, every promise that can be kept is kept before the next. So a run
// is one sequence of entries, and the same seed makes the same sequence.

export type Entry = { readonly cancel: () => void };
export type Agenda = {
  /** The true time, which nobody in the world can read but the world itself. Milliseconds since 1970. */
  readonly now: () => number;
  readonly at: (instant: number, work: () => void) => Entry;
  readonly after: (delay_ms: number, work: () => void) => Entry;
  /** Plays everything up to `instant`. */
  readonly until: (instant: number) => Promise<void>;
  /** Entries played so far. */
  readonly played: () => number;
};

type Item = { readonly at: number; readonly order: number; work: (() => void) | undefined };

/** More entries than this in one instant, and the world is going round in circles. */
const entries_per_instant_max = 500_000;

export function createAgenda(start: number): Agenda {
  const heap: Item[] = [];
  let now = start;
  let order = 0;
  let played = 0;

  const before = (a: Item, b: Item) => a.at < b.at || (a.at === b.at && a.order < b.order);
  const push = (item: Item) => {
    let index = heap.push(item) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(item, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = item;
  };
  const pop = (): Item => {
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  };
  const at = (instant: number, work: () => void): Entry => {
    const item: Item = { at: Math.max(instant, now), order: order++, work };
    push(item);
    return {
      cancel() {
        item.work = undefined;
      },
    };
  };

  return {
    now: () => now,
    at,
    after: (delay_ms, work) => at(now + delay_ms, work),
    async until(instant) {
      let here = 0;
      for (let next = heap[0]; next !== undefined && next.at <= instant; next = heap[0]) {
        pop();
        if (next.work === undefined) continue;
        if (next.at > now) here = 0;
        if (++here > entries_per_instant_max)
          throw new Error(`more than ${here - 1} entries at one instant: expected time to go on`);
        now = next.at;
        played++;
        next.work();
        await promisesKept();
      }
      now = Math.max(now, instant);
    },
    played: () => played,
  };
}

/** Promises are kept on the microtask queue; what the journal puts off to the next turn comes before this one. */
const promisesKept = () => new Promise<void>(resolve => setImmediate(resolve));
