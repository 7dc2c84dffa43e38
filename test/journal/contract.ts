// contract.ts: what every home of a journal promises, as tests to be run over each of them.

import type { TestFn } from 'ava';
import fc from 'fast-check';
import {
  type Change,
  type History,
  type HistoryKind,
  type Journal,
  JournalError,
  type RecordEnvelope,
  type Restored,
  type Retention,
  type Schemas,
} from '../../transport/journal/journal.ts';

export type HomeOptions = {
  readonly schemas?: Schemas;
  readonly retention?: Retention;
  readonly now?: () => number;
  readonly flush?: (flushed: Promise<unknown>) => Promise<unknown>;
};
/** A place where a journal lives, across the lives of the processes that use it. */
export type Home = {
  /** The next process's journal on what is durable here; not opened. The one before is closed, or gone. */
  readonly next: (options?: HomeOptions) => Journal & History;
  /** What a crash at this moment leaves behind, as a home of its own. */
  readonly crashed: () => Promise<Home>;
};
export type MakeHome = (options: HomeOptions) => Promise<Home>;

export const put = (kind: Change['kind'], key: string, body: unknown): Change => ({ kind, key, body });
export const gone = (kind: Change['kind'], key: string): Change => ({ kind, key, body: undefined });

/** State as a test compares it: in order of kind and key. */
export const stateOf = (restored: Restored): string[] =>
  [...restored.records].map(({ kind, key, body }) => `${kind} ${key} ${JSON.stringify(body)}`).sort();

/** What the changes leave, told by the simplest means. */
export function folded(changes: readonly Change[]): string[] {
  const state = new Map<string, string>();
  for (const { kind, key, body } of changes) {
    if (history.has(kind)) continue;
    if (body === undefined) state.delete(`${kind} ${key}`);
    else state.set(`${kind} ${key}`, `${kind} ${key} ${JSON.stringify(body)}`);
  }
  return [...state.values()].sort();
}
const history = new Set<string>(['outcome', 'finished-run', 'finished-attempt', 'audit']);

export async function opened(journal: Journal & History): Promise<{ journal: Journal & History; restored: Restored }> {
  await journal.open();
  return { journal, restored: await journal.restore() };
}

const stateKind = fc.constantFrom('job', 'trigger', 'run', 'instance' as const);
const key = fc.constantFrom('a/b/c', 'a/b/d', 'a/b/c/1', 'a/b/c/2', 'ä/ö/ü', 'x');
const body = fc.oneof(
  fc.record({ status: fc.constantFrom('pending', 'running'), attempt: fc.nat(9), since: fc.integer() }),
  fc.jsonValue().filter(value => value !== null),
);
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: stateKind, key, body }) },
  { weight: 2, arbitrary: fc.record({ kind: stateKind, key, body: fc.constant(undefined) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('outcome', 'audit' as const), key, body }) },
);
const batches = fc.array(fc.array(change, { minLength: 1, maxLength: 6 }), { maxLength: 8 });

export function contract(test: TestFn, name: string, make: MakeHome, runs: number): void {
  const title = (promise: string) => `${name}: ${promise}`;

  test(title('a new journal is empty, at position 0, in epoch 1'), async t => {
    const journal = (await make({})).next();
    t.is(await journal.open(), 1);
    const restored = await journal.restore();
    t.is(restored.position, 0);
    t.deepEqual([...restored.records], []);
    t.deepEqual(restored.poison, []);
    await journal.close();
  });

  test(title('what was appended is restored: the newest body of each key, without the deleted'), async t => {
    const home = await make({});
    const { journal } = await opened(home.next());
    t.is(await journal.append([put('job', 'a', { n: 1 }), put('job', 'b', { n: 1 })]), 2);
    t.is(
      await journal.append([put('job', 'a', { n: 2 }), gone('job', 'b'), put('run', 'a', { deep: [{ x: null }] })]),
      5,
    );
    t.is(await journal.append([]), 5);
    await journal.close();
    const next = await opened(home.next());
    t.is(next.restored.position, 5);
    t.deepEqual(stateOf(next.restored), ['job a {"n":2}', 'run a {"deep":[{"x":null}]}']);
    t.deepEqual(
      [...next.restored.records].map(({ sequence, schema }) => [sequence, schema]),
      [
        [3, 1],
        [5, 1],
      ],
    );
    t.is(await next.journal.append([put('job', 'c', { n: 3 })]), 6, 'and goes on where the last life ended');
    await next.journal.close();
  });

  test(title('a body that is changed after the append is restored as it was'), async t => {
    const home = await make({});
    const { journal } = await opened(home.next());
    const body = { n: 1 };
    await journal.append([put('job', 'a', body)]);
    body.n = 2;
    await journal.close();
    const next = await opened(home.next());
    t.deepEqual(stateOf(next.restored), ['job a {"n":1}']);
    await next.journal.close();
  });

  test(title('an epoch must be larger than every one before'), async t => {
    const home = await make({});
    const first = home.next();
    t.is(await first.open(7), 7);
    await first.close();
    for (const epoch of [7, 6]) {
      const error = await t.throwsAsync(home.next().open(epoch), { instanceOf: JournalError });
      t.is((error as JournalError).code, 'fenced');
    }
    const next = home.next();
    t.is(await next.open(), 8);
    await next.close();
  });

  test(title('an open journal cannot be opened again'), async t => {
    const { journal } = await opened((await make({})).next());
    const error = await t.throwsAsync(journal.open(), { instanceOf: JournalError });
    t.is((error as JournalError).code, 'locked');
    await journal.append([put('job', 'a', {})]);
    await journal.close();
  });

  test(title('an append resolves only when its flush has been let through'), async t => {
    let letThrough = () => {};
    const gate = new Promise<void>(resolve => {
      letThrough = resolve;
    });
    let flushed = false;
    const flush = async (done: Promise<unknown>) => {
      await done;
      flushed = true;
      await gate;
    };
    const { journal } = await opened((await make({ flush })).next());
    let acknowledged = false;
    const append = journal.append([put('job', 'a', {})]).then(position => {
      acknowledged = true;
      return position;
    });
    while (!flushed) await new Promise(resolve => setImmediate(resolve));
    await new Promise(resolve => setImmediate(resolve));
    t.false(acknowledged);
    await t.throwsAsync(journal.append([put('job', 'b', {})]), { message: /second append/ });
    letThrough();
    t.is(await append, 1);
    await journal.close();
  });

  test(title('after a failed append every call is refused with the same error'), async t => {
    const failure = Object.assign(new Error('write failed'), { code: 'EIO' });
    let failing = false;
    const flush = (done: Promise<unknown>) => (failing ? done.then(() => Promise.reject(failure)) : done);
    const { journal } = await opened((await make({ flush })).next());
    await journal.append([put('job', 'a', {})]);
    failing = true;
    const error = await t.throwsAsync(journal.append([put('job', 'b', {})]), { instanceOf: JournalError });
    t.is((error as JournalError).code, 'io');
    t.is(error?.cause, failure);
    failing = false;
    await t.throwsAsync(journal.append([put('job', 'c', {})]), { is: error as Error });
    await t.throwsAsync(journal.snapshot(), { is: error as Error });
    await t.throwsAsync(journal.compact(0), { is: error as Error });
    await t.throwsAsync(journal.restore(), { is: error as Error });
    t.throws(() => journal.follow(0, () => {}), { is: error as Error });
    await journal.close();
  });

  test(title('a closed journal takes nothing more'), async t => {
    const { journal } = await opened((await make({})).next());
    await journal.close();
    await t.throwsAsync(journal.append([put('job', 'a', {})]), { instanceOf: JournalError, message: /closed/ });
  });

  test(title('a change that no journal can take is refused'), async t => {
    const wrong: [Change, RegExp][] = [
      [put('job', '', {}), /key/],
      [put('job', 'k'.repeat(2_000), {}), /key/],
      [gone('outcome', 'a'), /deletion/],
      [{ kind: 'nonsense' as 'job', key: 'a', body: {} }, /kind/],
    ];
    for (const [change, message] of wrong) {
      const { journal } = await opened((await make({})).next());
      await t.throwsAsync(journal.append([change]), { message });
      await journal.close();
    }
  });

  test(title('a follower hears every record once, in order, from where it asked'), async t => {
    const { journal } = await opened((await make({})).next());
    await journal.append([put('job', 'a', 1), put('job', 'b', 2)]);
    await journal.append([put('outcome', 'a/1', 3)]);
    const heard: [number, unknown, number][] = [];
    const stop = journal.follow(1, (records, position) => {
      for (const { sequence, body } of records) heard.push([sequence, body, position]);
    });
    t.deepEqual(
      heard.map(([sequence, body]) => [sequence, body]),
      [
        [2, 2],
        [3, 3],
      ],
    );
    await journal.append([put('job', 'c', 4), gone('job', 'a')]);
    t.deepEqual(heard.slice(2), [
      [4, 4, 5],
      [5, undefined, 5],
    ]);
    stop();
    await journal.append([put('job', 'd', 6)]);
    t.is(heard.length, 4);
    await journal.snapshot();
    t.throws(() => journal.follow(1, () => {}), { instanceOf: RangeError, message: /position 1/ });
    t.throws(() => journal.follow(7, () => {}), { instanceOf: RangeError, message: /position 7/ });
    await journal.close();
  });

  test(title('history comes in pages, newest first, and never as state'), async t => {
    const home = await make({});
    const { journal } = await opened(home.next());
    const keys = ['a/b/c/1', 'a/b/c/2', 'a/b/c/3', 'a/b/d/1', 'a/bb/c/1'];
    await journal.append(keys.map(key => put('outcome', key, { key })));
    await journal.append([put('audit', 'a/b/c/9', { who: 'bob' })]);
    const check = (history: History) => {
      const page = (limit: number, before?: string) => history.page('outcome', 'a/b/c/', limit, before);
      t.deepEqual(page(2), {
        rows: [
          { key: 'a/b/c/3', body: { key: 'a/b/c/3' } },
          { key: 'a/b/c/2', body: { key: 'a/b/c/2' } },
        ],
        next: 'a/b/c/2',
      });
      t.deepEqual(page(2, 'a/b/c/2'), { rows: [{ key: 'a/b/c/1', body: { key: 'a/b/c/1' } }] });
      t.deepEqual(page(3).rows.length, 3);
      t.is(page(3).next, undefined);
      t.deepEqual(page(5, 'a'), { rows: [] });
      t.is(page(5, 'z').rows.length, 3);
      t.deepEqual(
        history.page('outcome', '', 10).rows.map(row => row.key),
        keys.toReversed(),
      );
      t.deepEqual(history.page('finished-run', '', 10), { rows: [] });
      t.is(history.count('outcome', ''), 5);
      t.is(history.count('outcome', 'a/b/'), 4);
      t.is(history.count('outcome', 'b'), 0);
      t.deepEqual(history.get('audit', 'a/b/c/9'), { who: 'bob' });
      t.is(history.get('outcome', 'a/b/c/9'), undefined);
    };
    check(journal);
    await journal.snapshot();
    check(journal);
    await journal.close();
    const next = await opened(home.next());
    t.deepEqual([...next.restored.records], []);
    check(next.journal);
    await next.journal.close();
  });

  test(title('rows past their age or their number per job are dropped, the others stay'), async t => {
    let now = 0;
    const home = await make({
      now: () => now,
      retention: { outcome: { age_ms_max: 100, rows_max: 2 }, audit: { rows_max: 3, group_parts: 0 } },
    });
    const { journal } = await opened(home.next());
    for (now = 0; now <= 300; now += 50)
      await journal.append([
        put('outcome', `a/b/c/${now + 1_000}`, now),
        ...(now === 0 ? [put('outcome', 'a/b/d/1', now)] : []),
        put('audit', `${now + 1_000}`, now),
        put('finished-run', `a/b/c/${now + 1_000}`, now),
      ]);
    await journal.compact(300);
    const keys = (kind: HistoryKind) => journal.page(kind, '', 100).rows.map(row => row.key);
    t.deepEqual(keys('outcome'), ['a/b/c/1300', 'a/b/c/1250']);
    t.deepEqual(keys('audit'), ['1300', '1250', '1200']);
    t.is(keys('finished-run').length, 7, 'no retention: kept');
    await journal.compact(351);
    t.deepEqual(keys('outcome'), ['a/b/c/1300']);
    await journal.close();
  });

  test(
    title('a body is upgraded step by step; one that cannot be is set aside and the others are not touched'),
    async t => {
      const home = await make({});
      const { journal } = await opened(home.next());
      await journal.append([
        put('job', 'good', { size: 1 }),
        put('job', 'throws', { size: 'large' }),
        put('job', 'mended', { size: 'large' }),
        put('run', 'plain', { other: true }),
        put('outcome', 'good', { size: 1 }),
      ]);
      await journal.append([put('job', 'mended', { size: 3 })]);
      await journal.snapshot();
      await journal.append([put('job', 'invalid', { size: -2 })]);
      await journal.close();
      const job = {
        version: 3,
        upgrades: {
          1: (body: unknown) => {
            const { size } = body as { size: number };
            if (typeof size !== 'number') throw new Error(`size is "${size}": expected a number`);
            return { bytes: size };
          },
          2: (body: unknown) => ({ bytes: (body as { bytes: number }).bytes * 1_000 }),
        },
        valid: (body: unknown) => (body as { bytes: number }).bytes > 0,
      };
      const { journal: next, restored } = await opened(home.next({ schemas: { job, outcome: job } }));
      t.deepEqual(stateOf(restored), [
        'job good {"bytes":1000}',
        'job mended {"bytes":3000}',
        'run plain {"other":true}',
      ]);
      t.deepEqual(
        restored.poison
          .map(({ key, schema, reason }) => ({ key, schema, reason }))
          .sort((a, b) => (a.key < b.key ? -1 : 1)),
        [
          { key: 'invalid', schema: 1, reason: 'not of shape 3' },
          { key: 'throws', schema: 1, reason: 'size is "large": expected a number' },
        ],
      );
      t.deepEqual(next.get('outcome', 'good'), { bytes: 1_000 });
      // Poison stays where it is, through snapshots too, until its key is written anew.
      await next.append([put('job', 'invalid', { bytes: 5 })]);
      await next.snapshot();
      await next.close();
      const later = await opened(home.next({ schemas: { job, outcome: job } }));
      t.deepEqual(
        later.restored.poison.map(poison => poison.key),
        ['throws'],
      );
      t.true(stateOf(later.restored).includes('job invalid {"bytes":5}'));
      await later.journal.close();
    },
  );

  for (const kind of ['job', 'outcome'] as const)
    test(title(`a record of a newer version refuses the whole journal (${kind})`), async t => {
      const home = await make({ schemas: { [kind]: { version: 2, upgrades: { 1: (body: unknown) => body } } } });
      const { journal } = await opened(home.next());
      await journal.append([put('run', 'a', {}), put(kind, 'a', {})]);
      await journal.close();
      const older = home.next({ schemas: { [kind]: { version: 1, upgrades: {} } } });
      const error = await t.throwsAsync(opened(older), { instanceOf: JournalError, message: /shape 2/ });
      t.is((error as JournalError).code, 'newer');
      await t.throwsAsync(older.append([put('run', 'b', {})]), { is: error as Error });
      await older.close();
      const { restored } = await opened(home.next());
      t.is(restored.position, 2, 'the newer version still reads it');
    });

  test(
    title('any batches restore to what they fold to, with snapshots anywhere, and at every crash between'),
    async t => {
      await fc.assert(
        fc.asyncProperty(batches, fc.array(fc.nat(8), { maxLength: 3 }), async (batches, snapshots) => {
          const home = await make({});
          let { journal } = await opened(home.next());
          const changes: Change[] = [];
          for (const [index, batch] of batches.entries()) {
            const position = await journal.append(batch);
            changes.push(...batch);
            t.is(position, changes.length);
            if (snapshots.includes(index)) await journal.snapshot();
            const crash = await opened((await home.crashed()).next());
            t.is(crash.restored.position, changes.length);
            t.deepEqual(stateOf(crash.restored), folded(changes));
            await crash.journal.close();
          }
          await journal.snapshot();
          await journal.close();
          const next = await opened(home.next());
          journal = next.journal;
          t.is(next.restored.position, changes.length);
          t.deepEqual(stateOf(next.restored), folded(changes));
          const rows = new Set(changes.filter(change => change.kind === 'outcome').map(change => change.key));
          t.is(journal.count('outcome', ''), rows.size);
          await journal.close();
        }),
        { numRuns: runs },
      );
    },
  );

  test(title('an append while a snapshot is made is in neither place lost'), async t => {
    const home = await make({});
    const { journal } = await opened(home.next());
    const changes: Change[] = [];
    const append = async (count: number, from: number) => {
      const batch = Array.from({ length: count }, (_, n) => put('instance', `i/${from + n}`, { n: from + n }));
      changes.push(...batch);
      await journal.append(batch);
    };
    for (let n = 0; n < 5; n++) await append(1_000, n * 700);
    const snapshot = journal.snapshot();
    for (let n = 0; n < 5; n++) await append(10, n * 300);
    await snapshot;
    const deletions = Array.from({ length: 200 }, (_, n) => gone('instance', `i/${n * 3}`));
    changes.push(...deletions);
    await journal.append(deletions);
    await journal.snapshot();
    await append(1, 1);
    await journal.close();
    const next = await opened(home.next());
    t.deepEqual(stateOf(next.restored), folded(changes));
    t.is(next.restored.position, changes.length);
    await next.journal.close();
  });

  test(title('followers and restoring agree: folding what was heard gives what is restored'), async t => {
    const home = await make({});
    const { journal } = await opened(home.next());
    const heard: RecordEnvelope[] = [];
    journal.follow(0, records => heard.push(...records));
    for (let n = 0; n < 20; n++)
      await journal.append([
        put('job', `j${n % 7}`, { n }),
        n % 5 === 0 ? gone('job', `j${n % 3}`) : put('run', 'r', { n }),
      ]);
    await journal.close();
    const next = await opened(home.next());
    t.deepEqual(stateOf(next.restored), folded(heard));
    await next.journal.close();
  });
}
