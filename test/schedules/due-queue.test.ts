// due-queue.test.ts: the earliest first, against a plain sorted list.

import test from 'ava';
import fc from 'fast-check';
import { DueQueue } from '../../schedules/due-queue.ts';
import { dice } from './oracle.ts';

test('the earliest is on top, arming again replaces, cancelling forgets', t => {
  const queue = new DueQueue();
  t.is(queue.earliest(), undefined);
  queue.arm('b', 20);
  queue.arm('a', 10);
  t.is(queue.earliest(), 10);
  queue.arm('a', 30);
  t.is(queue.earliest(), 20);
  t.is(queue.at('a'), 30);
  t.is(queue.size, 2);
  t.true(queue.cancel('b'));
  t.false(queue.cancel('b'));
  t.is(queue.earliest(), 30);
  t.deepEqual(queue.popDue(29), []);
  t.deepEqual(queue.popDue(30), [{ key: 'a', at: 30 }]);
  t.is(queue.at('a'), undefined);
});
test('ties come out in the order of arming', t => {
  const queue = new DueQueue();
  for (const key of ['c', 'a', 'b']) queue.arm(key, 5);
  queue.arm('c', 5);
  t.deepEqual(
    queue.popDue(5).map(one => one.key),
    ['a', 'b', 'c'],
  );
});
test('no more come out than asked for', t => {
  const queue = new DueQueue();
  for (let i = 0; i < 10; i++) queue.arm(`k${i}`, i);
  t.is(queue.popDue(100, 3).length, 3);
  t.is(queue.size, 7);
  t.is(queue.earliest(), 3);
});
test('an instant that is none is refused', t => {
  t.throws(() => new DueQueue().arm('a', Number.NaN), { message: 'cannot arm "a" at NaN: expected an instant' });
});

test('whatever is done, it answers as a sorted list would', t => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant('arm' as const),
      key: fc.integer({ min: 0, max: 40 }),
      at: fc.integer({ min: 0, max: 30 }),
    }),
    fc.record({ do: fc.constant('cancel' as const), key: fc.integer({ min: 0, max: 40 }), at: fc.constant(0) }),
    fc.record({
      do: fc.constant('pop' as const),
      key: fc.integer({ min: 1, max: 5 }),
      at: fc.integer({ min: 0, max: 30 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const queue = new DueQueue<number>();
      let list: { key: number; at: number; order: number }[] = [];
      let order = 0;
      for (const one of steps) {
        if (one.do === 'arm') {
          queue.arm(one.key, one.at);
          list = list.filter(entry => entry.key !== one.key);
          list.push({ key: one.key, at: one.at, order: order++ });
        } else if (one.do === 'cancel') {
          t.is(
            queue.cancel(one.key),
            list.some(entry => entry.key === one.key),
          );
          list = list.filter(entry => entry.key !== one.key);
        } else {
          list.sort((a, b) => a.at - b.at || a.order - b.order);
          const due = list.filter(entry => entry.at <= one.at).slice(0, one.key);
          list = list.filter(entry => !due.includes(entry));
          t.deepEqual(
            queue.popDue(one.at, one.key),
            due.map(({ key, at }) => ({ key, at })),
          );
        }
        t.is(queue.size, list.length);
        t.is(queue.earliest(), list.length === 0 ? undefined : Math.min(...list.map(entry => entry.at)));
      }
    }),
    { numRuns: 300, seed: 41 },
  );
});
test('two hundred thousand keys come out in order after a third was cancelled and a third armed again', t => {
  const throwDie = dice(42);
  const queue = new DueQueue<number>();
  for (let i = 0; i < 200_000; i++) queue.arm(i, Math.floor(throwDie() * 1e12));
  for (let i = 0; i < 200_000; i += 3) queue.cancel(i);
  for (let i = 1; i < 200_000; i += 3) queue.arm(i, Math.floor(throwDie() * 1e12));
  let last = -1;
  let popped = 0;
  for (let due = queue.popDue(Infinity, 1000); due.length > 0; due = queue.popDue(Infinity, 1000))
    for (const one of due) {
      if (one.at < last) t.fail(`${one.at} after ${last}`);
      last = one.at;
      popped++;
    }
  t.is(popped, 200_000 - 66_667);
});
