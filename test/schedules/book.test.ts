// book.test.ts: Book and Roll are a Map and a Set to whoever uses them, and hold nothing that has left them.

import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import fc from 'fast-check';
import { Book, Roll } from '../../schedules/book.ts';

const act = fc.record({
  what: fc.constantFrom('set', 'set', 'delete', 'get', 'clear'),
  key: fc.nat(60),
  value: fc.nat(),
});

test('a book does what a Map does, in the same order, whatever comes and goes', t => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 2_000 }), acts => {
      const book = new Book<number, number>();
      const map = new Map<number, number>();
      for (const { what, key, value } of acts) {
        // A clear now and then only: the tables must have time to grow.
        if (what === 'clear' && value % 50 !== 0) continue;
        switch (what) {
          case 'set':
            book.set(key, value);
            map.set(key, value);
            break;
          case 'delete':
            if (book.delete(key) !== map.delete(key)) return false;
            break;
          case 'get':
            if (book.get(key) !== map.get(key) || book.has(key) !== map.has(key)) return false;
            break;
          default:
            book.clear();
            map.clear();
        }
        if (book.size !== map.size) return false;
      }
      return (
        JSON.stringify([...book]) === JSON.stringify([...map]) && [...book.keys()].join() === [...map.keys()].join()
      );
    }),
  );
  t.pass();
});

test('an entry may be deleted while the book is read', t => {
  const book = new Book(Array.from({ length: 1_000 }, (_, n) => [n, n] as const));
  const read: number[] = [];
  for (const [key] of book) {
    read.push(key);
    book.delete(key);
  }
  t.is(read.length, 1_000);
  t.is(book.size, 0);
});

test('a roll does what a Set does', t => {
  const roll = new Roll<string>();
  t.is(roll.add('a').add('b').add('a').size, 2);
  t.true(roll.has('a'));
  t.true(roll.delete('a'));
  t.false(roll.delete('a'));
  t.deepEqual([...roll], ['b']);
  roll.clear();
  t.is(roll.size, 0);
});

test('what has left a book is not held by it, however old the book is', t => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as (options?: object) => void;
  const old_bytes = () => getHeapSpaceStatistics().find(one => one.space_name === 'old_space')!.space_used_size;
  const book = new Book<number, readonly number[]>();
  for (let n = 0; n < 150; n++) book.set(n, []);
  gc();
  gc();
  // Old by now. What passes through is young, and a young collection must be enough to be rid of it: 16 MB in all.
  const before = old_bytes();
  for (let n = 150; n < 20_150; n++) {
    book.set(
      n,
      Array.from({ length: 100 }, () => n),
    );
    book.delete(n - 150);
    if (n % 1_000 === 0) gc({ type: 'minor' });
  }
  const grown_mb = (old_bytes() - before) / 2 ** 20;
  t.true(grown_mb < 5, `the old generation has grown by ${grown_mb.toFixed(1)} MB`);
});
