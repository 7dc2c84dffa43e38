// memory.test.ts: the journal in memory keeps the contract, and crashes where a test wants it to.

import test from 'ava';
import { type MemoryJournal, memoryJournal } from '../../transport/journal/memory.ts';
import { contract, folded, gone, type Home, type HomeOptions, opened, put, stateOf } from './contract.ts';

contract(test, 'in memory', async options => memoryHome(options), 40);

/** The imagined device is inside the journal; its next life is what a crash leaves of it. */
function memoryHome(options: HomeOptions, left?: (options: HomeOptions) => MemoryJournal): Home {
  let current: MemoryJournal | undefined;
  return {
    next(changed = {}) {
      const all = { ...options, ...changed };
      current = current ? current.crash(current.durable(), all) : left ? left(all) : memoryJournal(all);
      return current;
    },
    crashed: async () => {
      const at = current!.durable();
      return memoryHome(options, all => current!.crash(at, all));
    },
  };
}

test('a crash after any record leaves exactly the records before it, whatever the batches were', async t => {
  const journal = memoryJournal();
  await journal.open();
  const changes = [put('job', 'a', 1), put('job', 'b', 2), gone('job', 'a'), put('run', 'a', 3), put('job', 'a', 4)];
  await journal.append(changes.slice(0, 3));
  await journal.snapshot();
  await journal.append(changes.slice(3));
  for (let records = 0; records <= changes.length; records++) {
    const { restored, journal: next } = await opened(journal.crash(records));
    t.is(restored.position, records);
    t.deepEqual(stateOf(restored), folded(changes.slice(0, records)));
    t.is(await next.append([put('job', 'z', 9)]), records + 1);
  }
  t.throws(() => journal.crash(6), { message: /expected 0 to 5/ });
  t.is(await journal.append([put('job', 'c', 5)]), 6, 'the journal that was crashed goes on untouched');
});

test('records of a withheld flush may or may not survive: a crash can be taken on either side', async t => {
  let withheld = false;
  const journal = memoryJournal({ flush: flushed => (withheld ? new Promise(() => {}) : flushed) });
  await journal.open();
  await journal.append([put('job', 'a', 1)]);
  withheld = true;
  void journal.append([put('job', 'b', 2)]);
  t.is(journal.durable(), 1);
  t.is(journal.written(), 2);
  t.deepEqual(stateOf((await opened(journal.crash())).restored), ['job a 1']);
  t.deepEqual(stateOf((await opened(journal.crash(2))).restored), ['job a 1', 'job b 2']);
});
