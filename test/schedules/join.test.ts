// join.test.ts: which tokens go together, and whether a run starts for them.

import test from 'ava';
import { type JoinRule, nextSet } from '../../schedules/join.ts';

/** `+` is a run that went well, `-` one that did not: an edge is read from its oldest token on. */
const edges = (...texts: readonly string[]) =>
  texts.map(text => [...text].map((sign, place) => ({ well: sign === '+', place })));
const places = (rule: JoinRule, from: number, ...texts: readonly string[]) => {
  const set = nextSet(rule, edges(...texts), from);
  return set === undefined ? undefined : { runs: set.runs, taken: set.taken.map(edge => edge.map(one => one.place)) };
};
const each = (rule: JoinRule['rule']): JoinRule => ({ join: 'each', rule });
const latest = (rule: JoinRule['rule']): JoinRule => ({ join: 'latest', rule });

test('nothing begins before every parent has ended, whatever the rule', t => {
  for (const rule of ['all_success', 'all_done', 'any_success'] as const) {
    t.is(nextSet(each(rule), edges('+', '')), undefined);
    t.is(nextSet(latest(rule), edges('', '+++')), undefined);
    t.is(nextSet(each(rule), []), undefined);
  }
});

test('each: the first runs of all parents go together, then the second ones', t => {
  t.deepEqual(places(each('all_success'), 0, '++', '+++'), { runs: true, taken: [[0], [0]] });
  t.deepEqual(places(each('all_success'), 1, '++', '+++'), { runs: true, taken: [[1], [1]] });
  t.is(places(each('all_success'), 2, '++', '+++'), undefined);
});

test('each: a set with a failure is taken and comes to nothing, so that the next one is whole', t => {
  t.deepEqual(places(each('all_success'), 0, '-+', '++'), { runs: false, taken: [[0], [0]] });
  t.deepEqual(places(each('all_success'), 1, '-+', '++'), { runs: true, taken: [[1], [1]] });
});

test('each: any_success wants one, all_done none', t => {
  t.true(nextSet(each('any_success'), edges('-', '+'))!.runs);
  t.false(nextSet(each('any_success'), edges('-', '-'))!.runs);
  t.true(nextSet(each('all_done'), edges('-', '-'))!.runs);
});

test('latest: a run takes all there is, and failures are as if the parent had not run', t => {
  t.deepEqual(places(latest('all_success'), 0, '+++', '+'), { runs: true, taken: [[0, 1, 2], [0]] });
  t.is(places(latest('all_success'), 0, '+++', '-'), undefined);
  t.deepEqual(places(latest('all_success'), 0, '+', '-+'), { runs: true, taken: [[0], [0, 1]] });
  t.deepEqual(places(latest('all_done'), 0, '+', '--'), { runs: true, taken: [[0], [0, 1]] });
});

test('latest: any_success waits where all have ended and none went well', t => {
  t.is(places(latest('any_success'), 0, '-', '--'), undefined);
  t.deepEqual(places(latest('any_success'), 0, '-', '--+'), { runs: true, taken: [[0], [0, 1, 2]] });
});

test('Chronos 57: in a graph of six edges each success starts whom it completes, and what has begun counts anew', t => {
  const parents: Readonly<Record<string, readonly string[]>> = { B: ['A'], C: ['A'], D: ['B'], E: ['B', 'C'] };
  const counters = new Map<string, number>();
  const done = (job: string): readonly string[] => {
    for (const child of Object.keys(parents))
      if (parents[child]!.includes(job)) counters.set(`${job}${child}`, (counters.get(`${job}${child}`) ?? 0) + 1);
    return Object.keys(parents).filter(child => {
      const lying = parents[child]!.map(parent => edges('+'.repeat(counters.get(`${parent}${child}`) ?? 0))[0]!);
      if (nextSet(latest('all_success'), lying)?.runs !== true) return false;
      for (const parent of parents[child]!) counters.delete(`${parent}${child}`);
      return true;
    });
  };
  t.deepEqual(done('A'), ['B', 'C']);
  t.deepEqual(done('B'), ['D']);
  t.deepEqual(done('C'), ['E']);
  t.deepEqual(done('A'), ['B', 'C']);
  t.deepEqual(done('C'), []);
  t.deepEqual(done('B'), ['D', 'E']);
});
