// lmdb.test.ts: the journal in lmdb keeps the contract, makes its snapshots by itself, and does not grow without need.

import { cp, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Change } from '../../transport/journal/journal.ts';
import { lmdbJournal } from '../../transport/journal/lmdb.ts';
import { contract, folded, gone, type Home, type HomeOptions, opened, put, stateOf } from './contract.ts';

const scratch = await mkdtemp(join(tmpdir(), 'horae-journal-'));
let homes = 0;
test.after.always(() => rm(scratch, { recursive: true, force: true }));

function lmdbHome(path: string, options: HomeOptions): Home {
  return {
    next: (changed = {}) =>
      lmdbJournal({ path, schemas: {}, retention: {}, now: () => 0, map_size: 2 ** 28, ...options, ...changed }),
    crashed: async () => {
      const copy = join(scratch, String(homes++));
      await cp(path, copy, { recursive: true });
      await rm(join(copy, 'instance.lock'), { force: true }); // Its holder is this process, which lives on.
      return lmdbHome(copy, options);
    },
  };
}

contract(test, 'in lmdb', async options => lmdbHome(join(scratch, String(homes++)), options), 6);

test('a snapshot is made by itself after so many segments, and covers them', async t => {
  const path = join(scratch, String(homes++));
  const covered = Promise.withResolvers<number>();
  const log = {
    info: (fields: object) => covered.resolve((fields as { position: number }).position),
    warn: (fields: object, message: string) => t.fail(`${message} ${JSON.stringify(fields)}`),
  };
  const options = { path, schemas: {}, retention: {}, now: () => 0, map_size: 2 ** 28, segments_per_snapshot: 5, log };
  const journal = lmdbJournal(options);
  await journal.open();
  const changes: Change[] = [];
  for (let n = 0; n < 5; n++) {
    changes.push(put('job', `j${n}`, { n }));
    await journal.append(changes.slice(n));
  }
  t.is(await covered.promise, 5);
  t.throws(() => journal.follow(4, () => {}), { instanceOf: RangeError });
  changes.push(gone('job', 'j1'));
  await journal.append(changes.slice(5));
  await journal.close();
  const next = await opened(lmdbJournal(options));
  t.deepEqual(stateOf(next.restored), folded(changes));
  t.is(next.restored.position, 6);
  await next.journal.close();
});

test('what snapshots and retention drop is used again: the file does not grow with every commit', async t => {
  const path = join(scratch, String(homes++));
  const journal = lmdbJournal({
    path,
    schemas: {},
    retention: { outcome: { rows_max: 10 } },
    now: () => 0,
    map_size: 2 ** 28,
  });
  await journal.open();
  let n = 0;
  const round = async () => {
    for (let k = 0; k < 20; k++, n++)
      await journal.append([
        ...Array.from({ length: 20 }, (_, i) => put('instance', `i/${i}`, { n, text: 'x'.repeat(100) })),
        put('outcome', `a/b/c/${n + 10_000}`, { n }),
      ]);
    await journal.snapshot();
    await journal.compact(0);
    return (await stat(join(path, 'data.mdb'))).size;
  };
  const sizes: number[] = [];
  for (let k = 0; k < 10; k++) sizes.push(await round());
  t.true(sizes.at(-1)! <= sizes[4]! * 1.3, `twice the commits in the same room: ${sizes}`);
  await journal.close();
});
