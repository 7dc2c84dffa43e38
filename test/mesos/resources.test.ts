// resources.test.ts: thousandths that add up, and stocks that give back what was offered.

import test from 'ava';
import type { Resource } from '../../mesos/protocol.ts';
import {
  add,
  contains,
  countRanges,
  mergeRanges,
  quantitiesIn,
  quantitiesOf,
  stockOf,
  subtract,
  subtractRanges,
  take,
} from '../../mesos/resources.ts';
import { mulberry32 } from './support/seeded.ts';

const scalar = (name: string, value: number, extra: Partial<Resource> = {}): Resource => ({
  name,
  type: 'SCALAR',
  scalar: { value },
  ...extra,
});
const ports = (...range: readonly (readonly [number, number])[]): Resource => ({
  name: 'ports',
  type: 'RANGES',
  ranges: { range: range.map(([begin, end]) => ({ begin, end })) },
});
const allocated = { allocation_info: { role: '*' } };

test('a tenth and two tenths are three tenths', t => {
  const sum = add(quantitiesOf({ cpus: 0.1, mem: 0, disk: 0 }), quantitiesOf({ cpus: 0.2, mem: 0, disk: 0 }));
  t.deepEqual(sum, quantitiesOf({ cpus: 0.3, mem: 0, disk: 0 }));
  t.true(contains(quantitiesOf({ cpus: 0.3, mem: 0, disk: 0 }), sum));
});

test('what is wanted is rounded up to thousandths, and no further', t => {
  t.is(quantitiesOf({ cpus: 0.0001, mem: 1, disk: 0 }).cpus, 1);
  t.is(quantitiesOf({ cpus: 1.1, mem: 1, disk: 0 }).cpus, 1100);
  for (let n = 1; n < 5000; n++) t.is(quantitiesOf({ cpus: n / 1000, mem: 0, disk: 0 }).cpus, n);
});

test('add and subtract undo each other', t => {
  const a = quantitiesOf({ cpus: 1.5, mem: 100, disk: 7, gpus: 2 }, 3);
  const b = quantitiesOf({ cpus: 0.7, mem: 50.5, disk: 7, gpus: 1 }, 1);
  t.deepEqual(subtract(add(a, b), b), a);
  t.true(contains(a, b));
  t.false(contains(b, a));
});

test('each single thing that is short means not contained', t => {
  const all = quantitiesOf({ cpus: 1, mem: 1, disk: 1, gpus: 1 }, 1);
  for (const name of ['cpus', 'mem', 'disk', 'gpus', 'ports'] as const)
    t.false(contains({ ...all, [name]: 0 }, all), name);
});

test('offers of one agent are summed, and taken from box by box with what Mesos wrote on each', t => {
  const mine = {
    reservations: [{ type: 'DYNAMIC' as const, role: 'db', principal: 'p' }],
    allocation_info: { role: 'db' },
  };
  const anyones = { role: '*', allocation_info: { role: 'db' } };
  const stock = stockOf([
    scalar('cpus', 2, anyones),
    scalar('cpus', 1, mine),
    scalar('cpus', 0.5, anyones),
    scalar('mem', 64, anyones),
  ]);
  t.deepEqual(quantitiesIn(stock), quantitiesOf({ cpus: 3.5, mem: 64, disk: 0 }));
  const taken = take(stock, quantitiesOf({ cpus: 1.25, mem: 64, disk: 0 }));
  t.deepEqual(
    taken.resources,
    [scalar('cpus', 1, mine), scalar('cpus', 0.25, anyones), scalar('mem', 64, anyones)].map(ordered),
  );
  t.deepEqual(quantitiesIn(taken.stock), quantitiesOf({ cpus: 2.25, mem: 0, disk: 0 }));
  t.deepEqual(
    quantitiesIn(stock),
    quantitiesOf({ cpus: 3.5, mem: 64, disk: 0 }),
    'the stock it was taken from is as it was',
  );
});

test('ports are taken lowest first, over holes and offers, and none is given twice', t => {
  const stock = stockOf([
    { ...ports([31_002, 31_003], [31_000, 31_000]), ...allocated },
    { ...ports([31_003, 31_005]), ...allocated },
  ]);
  t.is(quantitiesIn(stock).ports, 5);
  const first = take(stock, quantitiesOf({ cpus: 0, mem: 0, disk: 0 }, 2));
  t.deepEqual(first.ports, [31_000, 31_002]);
  t.deepEqual(first.resources, [{ ...ports([31_000, 31_000], [31_002, 31_002]), ...allocated }].map(ordered));
  const rest = take(first.stock, quantitiesOf({ cpus: 0, mem: 0, disk: 0 }, 3));
  t.deepEqual(rest.ports, [31_003, 31_004, 31_005]);
  t.is(quantitiesIn(rest.stock).ports, 0);
});

test('taking what is not there throws with what there was', t => {
  const stock = stockOf([scalar('cpus', 1), ports([1, 2])]);
  t.throws(() => take(stock, quantitiesOf({ cpus: 2, mem: 0, disk: 0 })), {
    message: 'cannot take 2 cpus from a stock of 1: expected enough',
  });
  t.throws(() => take(stock, quantitiesOf({ cpus: 0, mem: 0, disk: 0 }, 3)), {
    message: 'cannot take 3 ports from a stock of 2: expected enough',
  });
});

test('a master that lies offers nothing', t => {
  const lies = [
    scalar('cpus', -4),
    scalar('cpus', Number.NaN),
    scalar('mem', Number.POSITIVE_INFINITY),
    scalar('disk', 'much' as unknown as number),
    scalar('cpus', 1, { revocable: {} }),
    scalar('disk', 100, { disk: { persistence: { id: 'v' } } }),
    scalar('unobtainium', 3),
    ports([70_000, 80_000], [5, 1], [-10, 0], [1.5, 2.5]),
    { name: 'cpus', type: 'SCALAR' } as Resource,
    { name: 'ports', type: 'RANGES', ranges: {} } as Resource,
  ];
  t.deepEqual(quantitiesIn(stockOf(lies)), quantitiesOf({ cpus: 0, mem: 0, disk: 0 }));
});

test('ranges merge and subtract as sets of numbers do', t => {
  const random = mulberry32(7);
  const some = () =>
    Array.from({ length: Math.floor(random() * 6) }, () => ({
      begin: Math.floor(random() * 30),
      end: Math.floor(random() * 30),
    }));
  const numbers = (ranges: readonly { begin: number; end: number }[]) =>
    new Set(
      ranges.flatMap(({ begin, end }) => Array.from({ length: Math.max(0, end - begin + 1) }, (_, n) => begin + n)),
    );
  for (let n = 0; n < 500; n++) {
    const [a, b] = [some(), some()];
    const [merged, hole] = [mergeRanges(a), mergeRanges(b)];
    t.deepEqual(numbers(merged), new Set([...numbers(a)].sort((x, y) => x - y)));
    t.is(countRanges(merged), numbers(a).size);
    t.deepEqual(
      numbers(subtractRanges(merged, hole)),
      new Set([...numbers(merged)].filter(n => !numbers(hole).has(n))),
    );
  }
});

/** The same resource with its keys in the order in which a stock writes them: the box, then the amount. */
function ordered({ scalar, ranges, ...box }: Resource): Resource {
  return { ...box, ...(scalar === undefined ? {} : { scalar }), ...(ranges === undefined ? {} : { ranges }) };
}

test('more of a thing than there can be is as much as can be counted', t => {
  const { cpus } = quantitiesIn(stockOf([{ name: 'cpus', type: 'SCALAR', scalar: { value: 1e308 } }]));
  t.true(Number.isSafeInteger(cpus) && cpus > 1e12);
});
