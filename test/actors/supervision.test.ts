// supervision.test.ts: how many crashes are too many.

import test from 'ava';
import { addCrash, asideOf } from '../../actors/supervision.ts';

const limit = { crashes_max: 2, period_ms: 1_000 };

test('crashes are forgiven until there are more than the limit within the period', t => {
  let crashes: readonly number[] = [];
  const crash = (at: number) => {
    const next = addCrash(crashes, at, limit);
    crashes = next.crashes;
    return next.exceeded;
  };
  t.deepEqual([0, 400, 900].map(crash), [false, false, true]);
  t.deepEqual([3_000, 4_000, 5_000, 6_000].map(crash), [false, false, false, false], 'far apart they never are');
});

test('what lies a whole period back is forgotten', t => {
  t.deepEqual(addCrash([0, 1, 999], 1_000, limit), { crashes: [1, 999, 1_000], exceeded: true });
  t.deepEqual(addCrash([0], 1_000, { crashes_max: 0, period_ms: 1_000 }), { crashes: [1_000], exceeded: true });
});

test('a job shows that it, its trigger or one of its instances was put aside, and nobody else does', t => {
  const aside = new Map([
    ['instance www/prod/hello/1.once/3', 'no such thing'],
    ['trigger www/prod/tick', 'cannot count'],
  ]);
  t.is(asideOf(aside, 'www/prod/hello'), '1.once/3: no such thing');
  t.is(asideOf(aside, 'www/prod/tick'), 'cannot count');
  t.is(asideOf(aside, 'www/prod/hell'), undefined);
  t.is(asideOf(new Map(), 'www/prod/hello'), undefined);
});
