// outbox.ts: the one door through which records and outward effects leave, in the order in which they were decided.
//
// Think of a clerk who enters everything in the ledger before any letter goes out. Actors hand over what a transition
// decided: records for the journal and effects on the outside world, in one sequence. The clerk writes page after page,
// as many entries at a time as have piled up while the last page was drying, and posts a letter only when every entry
// above it is dry. When the ledger cannot be written any more, no letter leaves the house again.

import { Book } from '../schedules/book.ts';
import type { Change, RecordKind, Restored, StateKind } from '../transport/journal/journal.ts';

/** Does something to the world outside: a Mesos call, an HTTP reply, a mail. Starts it and returns; never throws. */
export type OutwardEffect = () => void;

export interface Outbox {
  /**
   * Takes what one transition decided, in order. Its records are never split between two commits. An effect leaves when
   * every record emitted before it, by anybody, is durable; with none pending it leaves on the next turn, never at once.
   */
  emit(items: readonly (Change | OutwardEffect)[]): void;
  /** `emit` of one record. */
  record(change: Change): void;
  /** `emit` of one effect. */
  outward(effect: OutwardEffect): void;
  /** The last body handed over for a key of state, durable or not; undefined when there is none or it was deleted. */
  latest(kind: StateKind, key: string): unknown | undefined;
  /** Every living key of a kind with its last body, durable or not. */
  entries(kind: StateKind): Iterable<readonly [key: string, body: unknown]>;
  /** What has been emitted and has not left yet. */
  waiting(): { readonly changes: number; readonly effects: number };
  /** Resolves when everything emitted so far is durable and has left. Rejects when the journal fails before. */
  idle(): Promise<void>;
  /** Tells of each commit, in order, before the effects that waited for it leave. Feeds the projection. */
  onCommitted(listener: (changes: readonly Change[], position: number) => void): void;
  /** Lets everything leave, then takes nothing more. Rejects when the journal fails before. */
  close(): Promise<void>;
  /** The gate may be open again: looks, and goes on. */
  resume(): void;
  /** Nothing leaves any more, and nothing is written: what waits is dropped, as a crash would drop it. */
  drop(why: Error): void;
}

export type OutboxOptions = {
  /** The part of Journal that is needed here. */
  readonly journal: { append(changes: readonly Change[]): Promise<number> };
  readonly restored: Pick<Restored, 'records'>;
  /** Runs a callback on a later turn: setImmediate, or the seeded queue of a simulation. */
  readonly defer: (callback: () => void) => void;
  /** Changes in one commit at most; a single transition with more still goes as one. */
  readonly batch_changes_max: number;
  /** Called once, when the journal has failed or an effect has thrown: nothing leaves any more; the process must end. */
  readonly onFatal: (error: unknown) => void;
  /** A reading that never goes back, in milliseconds: measures `commit_ms`. */
  readonly monotonic?: () => number;
  readonly observe?: (commit: CommitStats) => void;
  /**
   * Asked before each effect leaves and before a commit begins: while it says no, everything waits for `resume`. In a
   * cluster: whether this node may still believe that it leads. Left out: always open.
   */
  readonly gate?: () => boolean;
  /**
   * Commits begin at least `interval_ms` after each other, unless `enough` changes wait: the same pages of the journal
   * would be written again and again otherwise, and a device that is kept busy so answers late. Left out: no pause.
   */
  readonly pace?: {
    readonly interval_ms: number;
    readonly enough: number;
    readonly after: (delay_ms: number, callback: () => void) => void;
  };
};
export type CommitStats = {
  readonly changes: number;
  readonly commit_ms: number;
  readonly waiting_changes: number;
  readonly waiting_effects: number;
};

/** Whether records of a kind are state. What has been is the journal's to keep: here it would only ever grow. */
const lives: Readonly<Record<RecordKind, boolean>> = {
  meta: true,
  framework: true,
  job: true,
  trigger: true,
  run: true,
  instance: true,
  tally: true,
  calendar: true,
  token: true,
  update: true,
  notice: true,
  letter: true,
  place: true,
  outcome: false,
  missed: false,
  'finished-run': false,
  'finished-attempt': false,
  'finished-update': false,
  'update-event': false,
  'sent-letter': false,
  audit: false,
};

export function createOutbox(options: OutboxOptions): Outbox {
  const { journal, defer, batch_changes_max, onFatal, observe } = options;
  if (!(batch_changes_max >= 1)) throw new Error(`batch_changes_max is ${batch_changes_max}: expected at least 1`);
  const monotonic = options.monotonic ?? (() => 0);
  const open = options.gate ?? (() => true);
  const latest = new Map<string, Book<string, unknown>>();
  const listeners: ((changes: readonly Change[], position: number) => void)[] = [];
  const idlers = new Set<(error: unknown) => void>();
  /** Changes that no append has taken yet. Changes and cuts count from the beginning of the outbox's life. */
  let changes: Change[] = [];
  /** After how many changes each transition ended: the places where the sequence may be cut. */
  const cuts = fifo<number>();
  /** Effects that have not left, each with the number of changes emitted before it. */
  const effects = fifo<{ readonly after: number; readonly effect: OutwardEffect }>();
  let emitted = 0;
  let durable = 0;
  let appending = false;
  /** When the last append began, and whether the next one waits for its time. */
  let began = Number.NEGATIVE_INFINITY;
  let pausing = false;
  let deferred = false;
  let state: 'open' | 'closed' | 'failed' = 'open';
  let failure: unknown;

  const remember = ({ kind, key, body }: Change) => {
    if (!lives[kind]) return;
    const bodies = latest.get(kind);
    if (body === undefined) bodies?.delete(key);
    else if (bodies !== undefined) bodies.set(key, body);
    else latest.set(kind, new Book([[key, body]]));
  };
  for (const record of options.restored.records) remember(record);

  /** From here on nothing leaves and nothing is written. */
  const empty = (error: unknown) => {
    state = 'failed';
    failure = error;
    changes = [];
    cuts.clear();
    effects.clear();
    for (const reject of idlers) reject(error);
    idlers.clear();
  };
  const fail = (error: unknown) => {
    if (state === 'failed') return;
    empty(error);
    onFatal(error);
  };

  /** On a later turn: lets go what waits for nothing, and starts an append when there is something to write. */
  const wake = () => {
    if (deferred) return;
    deferred = true;
    defer(() => {
      deferred = false;
      release();
      write();
    });
  };

  /** Effects emitted by the effects that leave here wait for the next turn, so that this one ends. */
  const release = () => {
    for (let count = effects.length(); count > 0 && state !== 'failed'; count--) {
      if (effects.first()!.after > durable || !open()) return;
      try {
        effects.shift()!.effect();
      } catch (error) {
        fail(error);
      }
    }
    const next = effects.first();
    if (next !== undefined && next.after <= durable && open()) wake();
  };

  const write = () => {
    if (appending || pausing || changes.length === 0 || state === 'failed' || !open()) return;
    const started = monotonic();
    const { pace } = options;
    const early_ms = pace === undefined ? 0 : began + pace.interval_ms - started;
    if (pace !== undefined && early_ms > 0 && changes.length < pace.enough) {
      pausing = true;
      pace.after(early_ms, () => {
        pausing = false;
        write();
      });
      return;
    }
    began = started;
    appending = true;
    const batch = nextBatch();
    journal.append(batch).then(position => committed(batch, position, monotonic() - started), fail);
  };

  /** As many whole transitions as fit, but one at least. */
  const nextBatch = (): readonly Change[] => {
    let end = cuts.shift()!;
    while (cuts.length() > 0 && cuts.first()! - durable <= batch_changes_max) end = cuts.shift()!;
    const count = end - durable;
    const batch = count === changes.length ? changes : changes.slice(0, count);
    changes = count === changes.length ? [] : changes.slice(count);
    return batch;
  };

  const committed = (batch: readonly Change[], position: number, commit_ms: number) => {
    if (state === 'failed') return;
    appending = false;
    durable += batch.length;
    try {
      for (const listener of listeners) listener(batch, position);
    } catch (error) {
      return fail(error);
    }
    observe?.({
      changes: batch.length,
      commit_ms,
      waiting_changes: changes.length,
      waiting_effects: effects.length(),
    });
    release();
    write();
  };

  const emit = (items: readonly (Change | OutwardEffect)[]) => {
    if (state === 'closed') throw new Error('the outbox is closed: expected nothing to be emitted any more');
    if (state === 'failed' || items.length === 0) return;
    const before = emitted;
    for (const item of items) {
      if (typeof item === 'function') {
        effects.push({ after: emitted, effect: item });
        continue;
      }
      changes.push(item);
      emitted++;
      remember(item);
    }
    if (emitted > before) cuts.push(emitted);
    wake();
  };

  const idle = () =>
    new Promise<void>((resolve, reject) => {
      if (state === 'failed') return reject(failure);
      if (state === 'closed') return resolve();
      idlers.add(reject);
      emit([
        () => {
          idlers.delete(reject);
          resolve();
        },
      ]);
    });

  return {
    emit,
    record: change => emit([change]),
    outward: effect => emit([effect]),
    latest: (kind, key) => latest.get(kind)?.get(key),
    entries: kind => latest.get(kind) ?? [],
    waiting: () => ({ changes: emitted - durable, effects: effects.length() }),
    idle,
    onCommitted: listener => listeners.push(listener),
    async close() {
      // What an effect emits while the last ones leave belongs to what must leave as well.
      do await idle();
      while (emitted > durable || effects.length() > 0);
      state = 'closed';
    },
    resume: wake,
    drop(why) {
      if (state === 'open') empty(why);
    },
  };
}

/** A queue whose head is taken in constant time, however long it has grown. */
function fifo<T>() {
  let items: T[] = [];
  let head = 0;
  return {
    push: (item: T) => items.push(item),
    first: (): T | undefined => items[head],
    shift(): T | undefined {
      const item = items[head++];
      if (head === items.length || (head > 1_000 && head * 2 > items.length)) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
    length: () => items.length - head,
    clear() {
      items = [];
      head = 0;
    },
  };
}
