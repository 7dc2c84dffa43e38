// graph.test.ts: who follows whom, who would follow himself, and by which way.

import test from 'ava';
import fc from 'fast-check';
import { Graph } from '../../schedules/graph.ts';

const graph = (edges: Readonly<Record<string, string>>): Graph => {
  const made = new Graph();
  for (const [job, parents] of Object.entries(edges)) made.set(job, [...parents]);
  return made;
};

test('Chronos 53, 56: a job has the children that name it, and the parents that it names', t => {
  const g = graph({ B: 'A', D: 'BC' });
  t.deepEqual([...g.children('A')], ['B']);
  t.deepEqual(g.parents('D'), ['B', 'C']);
  t.deepEqual([...g.children('C')], ['D']);
  t.is(g.children('D').size, 0);
});

test('Chronos 54: who would follow himself is told by which way', t => {
  const g = graph({ B: 'A', C: 'B' });
  t.deepEqual(g.cycle('A', ['C']), ['A', 'B', 'C', 'A']);
  t.deepEqual(g.cycle('A', ['X', 'B']), ['A', 'B', 'A']);
  t.deepEqual(g.cycle('A', ['A']), ['A', 'A']);
  t.is(g.cycle('C', ['A', 'B']), undefined);
  t.is(g.cycle('D', ['C']), undefined);
});

test('the way round that is told is the shortest', t => {
  const g = graph({ B: 'A', C: 'B', D: 'CA', E: 'D' });
  t.deepEqual(g.cycle('A', ['E']), ['A', 'D', 'E', 'A']);
});

test('a job that follows others from now on follows those alone, in the order that is said', t => {
  const g = graph({ C: 'AB' });
  g.set('C', ['B', 'D']);
  t.deepEqual([...g.children('A')], []);
  t.deepEqual([...g.children('B')], ['C']);
  t.deepEqual([...g.children('D')], ['C']);
  g.set('C', []);
  t.is(g.size, 0);
  t.is(g.children('B').size, 0);
});

test('all that follow a job are found once each, however many ways there are', t => {
  const g = graph({ B: 'A', C: 'A', D: 'BC', E: 'D', F: 'X' });
  t.deepEqual([...g.descendants('A')].sort(), ['B', 'C', 'D', 'E']);
  t.deepEqual([...g.descendants('E')], []);
});

test('whatever is asked for in whatever order, no cycle ever stands, and none is seen where there is none', t => {
  const node = fc.integer({ min: 0, max: 7 }).map(String);
  fc.assert(
    fc.property(fc.array(fc.tuple(node, fc.uniqueArray(node, { maxLength: 3 })), { maxLength: 40 }), wishes => {
      const g = new Graph();
      const kept = new Map<string, readonly string[]>();
      /** Ancestors by walking up: another way than the graph's own, which walks down. */
      const above = (of: string, seen = new Set<string>()): Set<string> => {
        for (const parent of kept.get(of) ?? [])
          if (!seen.has(parent)) {
            seen.add(parent);
            above(parent, seen);
          }
        return seen;
      };
      for (const [job, parents] of wishes) {
        const closes = parents.some(parent => parent === job || above(parent).has(job));
        const cycle = g.cycle(job, parents);
        if ((cycle !== undefined) !== closes) return false;
        if (cycle !== undefined) {
          // Each follows the one before it, and the last step is the one that was asked for.
          for (let n = 1; n < cycle.length - 1; n++) if (!kept.get(cycle[n]!)?.includes(cycle[n - 1]!)) return false;
          if (cycle[0] !== job || cycle.at(-1) !== job || !parents.includes(cycle.at(-2)!)) return false;
          continue;
        }
        g.set(job, parents);
        kept.set(job, parents);
      }
      return true;
    }),
    { numRuns: 300 },
  );
  t.pass();
});
