// zookeeper-reading.test.ts: several things are fetched at once; one that fails early is heard when its turn comes.

import test from 'ava';
import { ahead, inOrder } from '../../transport/journal/zookeeper-reading.ts';

test.serial('what fails while one before it is still waited for ends the reading, and not the program', async t => {
  const unheard: unknown[] = [];
  const hear = (error: unknown) => unheard.push(error);
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', hear);
  t.teardown(() => {
    process.removeAllListeners('unhandledRejection');
    for (const other of others) process.on('unhandledRejection', other);
  });
  const first = Promise.withResolvers<string>();
  const reading = inOrder(['first', 'second'], async item => {
    if (item === 'first') return await first.promise;
    throw new Error('closed');
  });
  // Node tells of a rejection that nobody hears when the microtasks have run.
  await new Promise(resolve => setImmediate(resolve));
  first.resolve('here');
  await t.throwsAsync(reading, { message: 'closed' });
  t.deepEqual(unheard, []);
});

test('whoever stops reading early does not hear of the rest', async t => {
  const seen: number[] = [];
  for await (const item of ahead([1, 2, 3], async n => (n === 1 ? n : Promise.reject(new Error('late')))))
    if (seen.push(item) === 1) break;
  t.deepEqual(seen, [1]);
});
