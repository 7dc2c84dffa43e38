// outbox.test.ts: records first, then the world; in order, in whole transitions, and nothing after a failure.

import test from 'ava';
import fc from 'fast-check';
import { createOutbox, type Outbox, type OutboxOptions } from '../actors/outbox.ts';
import { type Change, history_kinds, type RecordEnvelope, state_kinds } from '../transport/journal/journal.ts';
import { memoryJournal } from '../transport/journal/memory.ts';

const job = (key: string, body: unknown = { n: key }): Change => ({ kind: 'job', key, body });

/** A journal whose appends end when the test says so. */
function heldJournal() {
  const appends: { changes: readonly Change[]; commit: () => Promise<void>; fail: (error: Error) => Promise<void> }[] =
    [];
  let position = 0;
  return {
    appends,
    append: (changes: readonly Change[]) =>
      new Promise<number>((resolve, reject) => {
        appends.push({
          changes,
          async commit() {
            position += changes.length;
            resolve(position);
            await settled();
          },
          async fail(error) {
            reject(error);
            await settled();
          },
        });
      }),
  };
}
/** Lets every promise that can go on do so. */
const settled = () => new Promise<void>(resolve => setImmediate(resolve));

/** An outbox whose deferred work runs when `turn` is called. */
function held(options: Partial<OutboxOptions> = {}) {
  const journal = heldJournal();
  const turns: (() => void)[] = [];
  const fatal: unknown[] = [];
  const outbox = createOutbox({
    journal,
    restored: { records: [] },
    defer: callback => turns.push(callback),
    batch_changes_max: 100,
    onFatal: error => fatal.push(error),
    ...options,
  });
  const turn = () => {
    for (const callback of turns.splice(0)) callback();
  };
  return { outbox, appends: journal.appends, fatal, turn };
}

test('an effect leaves when every record before it is durable, and not a moment earlier', async t => {
  const { outbox, appends, turn } = held();
  const left: string[] = [];
  outbox.emit([job('a'), () => left.push('after a'), job('b'), () => left.push('after b')]);
  t.deepEqual(left, []);
  turn();
  t.is(appends.length, 1);
  t.deepEqual(left, []);
  outbox.emit([() => left.push('behind b'), job('c'), () => left.push('after c')]);
  turn();
  t.deepEqual(left, [], 'nothing leaves while the append is under way');
  await appends[0]!.commit();
  t.deepEqual(left, ['after a', 'after b', 'behind b']);
  t.is(appends.length, 2);
  await appends[1]!.commit();
  t.deepEqual(left, ['after a', 'after b', 'behind b', 'after c']);
});

test('an effect with no record pending leaves on the next turn, even while nothing is written', t => {
  const { outbox, appends, turn } = held();
  let left = false;
  outbox.outward(() => {
    left = true;
  });
  t.false(left);
  turn();
  t.true(left);
  t.is(appends.length, 0);
});

test('what is emitted during an append makes the next batch, whole transitions up to the limit', async t => {
  const { outbox, appends, turn } = held({ batch_changes_max: 3 });
  outbox.record(job('a'));
  turn();
  outbox.emit([job('b'), job('c')]);
  outbox.emit([job('d'), job('e')]);
  outbox.emit([job('f'), job('g'), job('h'), job('i')]);
  outbox.emit([job('j')]);
  turn();
  const keys = () => appends.map(append => append.changes.map(change => change.key).join(''));
  t.deepEqual(keys(), ['a'], 'one append at a time');
  for (let index = 0; index < 5; index++) await appends[index]?.commit();
  t.deepEqual(keys(), ['a', 'bc', 'de', 'fghi', 'j']);
});

test('a failed append stops everything: no effect leaves, and it is told once', async t => {
  const { outbox, appends, fatal, turn } = held();
  const left: string[] = [];
  outbox.emit([job('a'), () => left.push('a')]);
  const idle = outbox.idle();
  turn();
  const error = new Error('the device is full');
  await appends[0]!.fail(error);
  t.deepEqual(fatal, [error]);
  await t.throwsAsync(idle, { is: error });
  outbox.emit([() => left.push('later')]);
  outbox.record(job('b'));
  turn();
  turn();
  t.deepEqual(left, []);
  t.is(appends.length, 1);
  t.is(fatal.length, 1);
  await t.throwsAsync(outbox.close(), { is: error });
});

test('an effect that throws ends the process as a failed journal does, and those behind it stay', t => {
  const { outbox, fatal, turn } = held();
  const error = new Error('a broken promise');
  let left = false;
  outbox.emit([
    () => {
      throw error;
    },
    () => {
      left = true;
    },
  ]);
  turn();
  turn();
  t.deepEqual(fatal, [error]);
  t.false(left);
});

test('what has been is handed on and not kept: the outbox does not grow with history', t => {
  const { outbox } = held();
  for (const kind of history_kinds) outbox.record({ kind, key: 'k', body: {} });
  t.is(outbox.waiting().changes, history_kinds.length);
  for (const kind of history_kinds) t.deepEqual([...outbox.entries(kind as never)], [], kind);
  for (const kind of state_kinds) {
    outbox.record({ kind, key: 'k', body: {} });
    t.deepEqual(outbox.latest(kind, 'k'), {}, kind);
  }
});

test('the last body of a key is there at once, by reference, restored ones too, and gone with its deletion', t => {
  const restored: RecordEnvelope[] = [
    { kind: 'job', key: 'old', body: { n: 1 }, schema: 1, sequence: 1 },
    { kind: 'run', key: 'old', body: { n: 2 }, schema: 1, sequence: 2 },
  ];
  const { outbox } = held({ restored: { records: restored } });
  t.is(outbox.latest('job', 'old'), restored[0]!.body);
  t.is(outbox.latest('run', 'old'), restored[1]!.body);
  const body = { n: 3 };
  outbox.record(job('new', body));
  t.is(outbox.latest('job', 'new'), body);
  t.deepEqual(
    [...outbox.entries('job')].map(([key]) => key),
    ['old', 'new'],
  );
  outbox.record({ kind: 'job', key: 'old', body: undefined });
  t.is(outbox.latest('job', 'old'), undefined);
  t.deepEqual([...outbox.entries('job')], [['new', body]]);
  t.deepEqual([...outbox.entries('trigger')], []);
});

test('listeners hear of a commit before the effects that waited for it', async t => {
  const { outbox, appends, turn } = held();
  const heard: string[] = [];
  outbox.onCommitted((changes, position) => heard.push(`${changes.map(change => change.key)} at ${position}`));
  outbox.emit([job('a'), job('b'), () => heard.push('effect')]);
  turn();
  await appends[0]!.commit();
  t.deepEqual(heard, ['a,b at 2', 'effect']);
});

test('an effect that emits gets its turn later: a chain of effects cannot hold the turn', t => {
  const { outbox, turn } = held();
  let left = 0;
  const again = () => {
    left++;
    outbox.outward(again);
  };
  outbox.outward(again);
  turn();
  t.is(left, 1);
  turn();
  t.is(left, 2);
});

test('a closed outbox has let everything leave, what effects emitted too, and takes nothing more', async t => {
  const journal = memoryJournal();
  await journal.open();
  const left: string[] = [];
  const outbox = createOutbox({
    journal,
    restored: await journal.restore(),
    defer: setImmediate,
    batch_changes_max: 10,
    onFatal: error => t.fail(String(error)),
  });
  outbox.emit([
    job('a'),
    () => {
      left.push('a');
      outbox.emit([job('b'), () => left.push('b')]);
    },
  ]);
  await outbox.close();
  t.deepEqual(left, ['a', 'b']);
  t.is(journal.written(), 2);
  t.throws(() => outbox.record(job('c')), { message: /closed/ });
});

// The model: everything leaves exactly once, in order, never before its records, never in the middle of a transition.
test('any mixture of transitions, turns and commits keeps the order of the sequence', async t => {
  const item = fc.constantFrom('record', 'effect');
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.record({ emit: fc.array(item, { maxLength: 5 }) }) },
    { weight: 2, arbitrary: fc.constant('turn' as const) },
    { weight: 2, arbitrary: fc.constant('commit' as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), fc.integer({ min: 1, max: 4 }), async (actions, most) => {
      const { outbox, appends, turn } = held({ batch_changes_max: most });
      const ends = new Set<number>([0]);
      const left: { id: number; records: number }[] = [];
      let records = 0;
      let effects = 0;
      let committed = 0;
      let durable = 0;
      const check = (id: number, after: number) => {
        if (after > durable) throw new Error(`effect ${id} left after ${durable} durable records: expected ${after}`);
        left.push({ id, records: after });
      };
      const commitNext = async () => {
        const append = appends[committed];
        if (append === undefined) return;
        committed++;
        durable += append.changes.length;
        if (!ends.has(durable)) throw new Error(`a commit ended inside a transition, after ${durable} records`);
        await append.commit();
      };
      const run = async (step: (typeof actions)[number]) => {
        if (step === 'turn') turn();
        else if (step === 'commit') await commitNext();
        else {
          outbox.emit(
            step.emit.map(what => {
              if (what === 'record') return job(String(records++));
              const id = effects++;
              const after = records;
              return () => check(id, after);
            }),
          );
          ends.add(records);
        }
      };
      for (const step of actions) await run(step);
      for (let count = 0; count < 200 && (durable < records || left.length < effects); count++) {
        turn();
        await commitNext();
      }
      t.is(durable, records);
      t.deepEqual(
        left.map(({ id }) => id),
        Array.from({ length: effects }, (_, id) => id),
      );
      const written = appends.flatMap(append => append.changes.map(change => Number(change.key)));
      t.deepEqual(
        written,
        Array.from({ length: records }, (_, key) => key),
      );
    }),
    { numRuns: 150 },
  );
});

test('over the memory journal, what was replied is there after a crash', async t => {
  const journal = memoryJournal();
  await journal.open();
  const outbox: Outbox = createOutbox({
    journal,
    restored: await journal.restore(),
    defer: setImmediate,
    batch_changes_max: 7,
    onFatal: error => t.fail(String(error)),
  });
  const replied: { key: string; written: number }[] = [];
  for (let n = 0; n < 100; n++)
    outbox.emit([job(`job ${n}`), () => replied.push({ key: `job ${n}`, written: journal.written() })]);
  await outbox.idle();
  t.is(replied.length, 100);
  for (const { key, written } of replied) {
    const next = journal.crash(written);
    await next.open();
    const keys = [...(await next.restore()).records].map(record => record.key);
    t.true(keys.includes(key));
  }
});

test('commits keep their distance, unless enough has piled up; the first one does not wait', async t => {
  let now = 0;
  const pauses: { delay_ms: number; callback: () => void }[] = [];
  const { outbox, appends, turn } = held({
    monotonic: () => now,
    pace: { interval_ms: 4, enough: 3, after: (delay_ms, callback) => pauses.push({ delay_ms, callback }) },
  });
  const left: string[] = [];
  outbox.record(job('a'));
  turn();
  t.is(appends.length, 1);
  now = 1;
  outbox.emit([job('b'), () => left.push('after b')]);
  turn();
  await appends[0]!.commit();
  t.is(appends.length, 1);
  t.deepEqual(
    pauses.map(one => one.delay_ms),
    [3],
  );
  outbox.record(job('c'));
  turn();
  t.is(pauses.length, 1);
  now = 4;
  pauses[0]!.callback();
  t.deepEqual(
    appends[1]?.changes.map(one => one.key),
    ['b', 'c'],
  );
  t.deepEqual(left, []);
  await appends[1]!.commit();
  t.deepEqual(left, ['after b']);
  now = 5;
  for (const key of ['d', 'e', 'f']) outbox.record(job(key));
  turn();
  t.is(appends[2]?.changes.length, 3);
});

test('while the gate is closed nothing leaves and no commit begins; afterwards everything goes on in its order', async t => {
  let is_open = true;
  const { outbox, appends, turn } = held({ gate: () => is_open });
  const left: string[] = [];
  outbox.emit([job('a'), () => left.push('after a')]);
  turn();
  is_open = false;
  // What was being written may become durable; what waited for it stays.
  await appends[0]!.commit();
  outbox.emit([() => left.push('free'), job('b'), () => left.push('after b')]);
  turn();
  outbox.resume();
  turn();
  t.deepEqual(left, []);
  t.is(appends.length, 1);
  is_open = true;
  outbox.resume();
  turn();
  t.deepEqual(left, ['after a', 'free']);
  await appends[1]!.commit();
  t.deepEqual(left, ['after a', 'free', 'after b']);
});

test('a gate that closes while effects leave keeps the rest of them', t => {
  let is_open = true;
  const { outbox, turn } = held({ gate: () => is_open });
  const left: number[] = [];
  for (const n of [1, 2, 3])
    outbox.outward(() => {
      left.push(n);
      if (n === 2) is_open = false;
    });
  turn();
  t.deepEqual(left, [1, 2]);
  is_open = true;
  outbox.resume();
  turn();
  t.deepEqual(left, [1, 2, 3]);
});

test('an outbox that was dropped lets nothing leave, writes nothing, and tells whoever waits; it is no failure', async t => {
  const { outbox, appends, fatal, turn } = held();
  const left: string[] = [];
  outbox.emit([job('a'), () => left.push('after a')]);
  turn();
  const idle = outbox.idle();
  outbox.drop(new Error('another leads'));
  await t.throwsAsync(idle, { message: 'another leads' });
  await appends[0]!.commit();
  outbox.emit([job('b'), () => left.push('after b')]);
  turn();
  t.deepEqual(left, []);
  t.is(appends.length, 1);
  t.deepEqual(fatal, []);
});
