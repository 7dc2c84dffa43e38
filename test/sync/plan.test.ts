// plan.test.ts: what is done, in which order, and what a wrong file keeps back: itself, and nothing else.

import test from 'ava';
import fc from 'fast-check';
import { differences } from '../../transport/sync/diff.ts';
import { type Found, inOrder, type Planned, plan, type Wanted } from '../../transport/sync/plan.ts';

const wanted = (name: string, parents: readonly string[] = [], fields: object = {}): Wanted => ({
  name,
  file: `${name}.yaml`,
  parents,
  fields: { ...fields, ...(parents.length === 0 ? {} : { parents }) },
  document: fields as Wanted['document'],
  placeOf: pointer => ({ line: pointer.startsWith('/parents') ? 7 : 1, column: 1 }),
});
const found = (name: string, parents: readonly string[] = [], fields: object = {}): Found =>
  wanted(name, parents, fields);
const planned = (given: Partial<Planned>) =>
  plan({
    wanted: [],
    broken: new Set(),
    found: [],
    compare: (one, other) => differences(other.fields, one.fields),
    brandNew: one => differences({}, one.fields),
    delete_missing: false,
    force: false,
    covers: () => true,
    elsewhere: () => false,
    ...given,
  });
const did = ({ steps }: ReturnType<typeof plan>) => steps.map(step => `${step.kind} ${step.name}`);

test('parents go before those that follow them, brand-new ones too', t => {
  const result = planned({
    wanted: [wanted('c', ['b']), wanted('b', ['a', 'x']), wanted('a')],
    found: [found('x'), found('c', ['x'])],
  });
  t.deepEqual(did(result), ['create a', 'create b', 'change c']);
  t.deepEqual(result.unnamed, ['x']);
  t.deepEqual(result.findings, []);
});

test('in any family each comes after all its parents, and nobody is left out', t => {
  const families = fc.integer({ min: 1, max: 60 }).chain(count =>
    fc.tuple(
      ...Array.from({ length: count }, (_, index) =>
        fc.record({
          name: fc.constant(String(index)),
          parents: fc.subarray([...Array(index).keys()].map(n => String(n))),
        }),
      ),
    ),
  );
  fc.assert(
    fc.property(families, fc.integer(), (family, seed) => {
      // As they might stand in a directory: in an order that says nothing.
      const shuffled = [...family].sort((a, b) => hash(a.name, seed) - hash(b.name, seed));
      const ordered = inOrder(shuffled);
      t.is(ordered.length, family.length);
      const at = new Map(ordered.map((one, index) => [one.name, index]));
      for (const one of ordered) for (const parent of one.parents) t.true(at.get(parent)! < at.get(one.name)!);
    }),
    { numRuns: 50 },
  );
});
const hash = (text: string, seed: number) =>
  [...text].reduce((sum, c) => Math.imul(sum ^ c.charCodeAt(0), 16777619), seed);

test('what is missing goes last, children first, and only where that was asked for', t => {
  const there = [found('a'), found('b', ['a']), found('c', ['b']), { ...found('d'), foreign: 'it came otherwise' }];
  t.deepEqual(did(planned({ wanted: [wanted('n')], found: there, delete_missing: true })), [
    'create n',
    'delete c',
    'delete b',
    'delete a',
  ]);
  const kept = planned({ wanted: [wanted('n')], found: there });
  t.deepEqual(did(kept), ['create n']);
  t.deepEqual(kept.unnamed, ['a', 'b', 'c'], 'what came otherwise is none of this directory');
  t.deepEqual(did(planned({ found: there, delete_missing: true, covers: name => name === 'c' })), ['delete c']);
});

test('a cycle is told once with its way through the files, and keeps back those that are part of it alone', t => {
  const result = planned({
    wanted: [wanted('f', ['b']), wanted('a', ['b']), wanted('b', ['s']), wanted('z')],
    found: [found('s', ['a']), found('b')],
  });
  t.deepEqual(did(result), ['create f', 'create z'], 'b is there already, so f can follow it');
  t.is(result.findings.length, 1);
  t.like(result.findings[0], { file: 'a.yaml', line: 7 });
  t.regex(
    result.findings[0]!.message,
    /^a would follow itself: a \(a.yaml\) follows b \(b.yaml\) follows s \(on the server\) follows a \(a.yaml\)$/,
  );
  t.regex(planned({ wanted: [wanted('a', ['a'])] }).findings[0]!.message, /a \(a.yaml\) follows a \(a.yaml\)$/);
});

test('a parent that is nowhere, or whose own file is wrong, keeps back those that cannot be without it', t => {
  const result = planned({
    wanted: [wanted('a', ['nobody']), wanted('b', ['a']), wanted('c', ['old']), wanted('d', ['new'])],
    broken: new Set(['old', 'new']),
    found: [found('old')],
  });
  t.deepEqual(did(result), ['create c'], 'the old one is still there');
  t.deepEqual(
    result.findings.map(each => `${each.file}:${each.line}: ${each.message}`),
    [
      'a.yaml:7: there is no job nobody, neither in a file nor on the server',
      'b.yaml:7: its parent a cannot be made: see its file',
      'd.yaml:7: its parent new cannot be made: see its file',
    ],
  );
});

test('nobody is left behind by a parent that goes', t => {
  const result = planned({ wanted: [wanted('b', ['a'])], found: [found('a'), found('b')], delete_missing: true });
  t.regex(result.findings[0]!.message, /its parent a has no file, and would be deleted/);
});

test('the job of a file that cannot be read is neither changed nor missing', t => {
  const result = planned({ broken: new Set(['a']), found: [found('a'), found('b')], delete_missing: true });
  t.deepEqual(did(result), ['delete b']);
});

test('what does not differ is left alone, unless everything is to be sent', t => {
  const same = { wanted: [wanted('a', [], { x: 1 })], found: [found('a', [], { x: 1 })] };
  t.like(planned(same), { steps: [], same: 1 });
  t.deepEqual(did(planned({ ...same, force: true })), ['change a']);
});

test('a difference is told by field, within objects by their fields, and by value in lists', t => {
  t.deepEqual(
    differences(
      { env: { A: '1', B: '2' }, words: ['x', 'y'], same: { b: 1, a: [{ z: 1, y: 2 }] }, gone: 0 },
      { env: { A: '1', B: '3', 'C/~': '' }, words: ['y', 'x'], same: { a: [{ y: 2, z: 1 }], b: 1 }, come: null },
    ),
    [
      { field: '/come', to: null },
      { field: '/env/B', from: '2', to: '3' },
      { field: '/env/C~1~0', to: '' },
      { field: '/gone', from: 0 },
      { field: '/words', from: ['x', 'y'], to: ['y', 'x'] },
    ],
  );
});
