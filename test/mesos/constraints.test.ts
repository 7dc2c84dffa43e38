// constraints.test.ts: EQUALS, LIKE and UNLIKE on every kind of attribute, present and absent.

import test from 'ava';
import { attributesOf, type Constraint, compileConstraint, valuesOf } from '../../mesos/constraints.ts';
import type { Attribute } from '../../mesos/protocol.ts';

const agent = attributesOf('node-7.example.org', [
  { name: 'rack', type: 'TEXT', text: { value: 'rack-1' } },
  { name: 'cores', type: 'SCALAR', scalar: { value: 1 } },
  { name: 'load', type: 'SCALAR', scalar: { value: 2.5 } },
  { name: 'zones', type: 'SET', set: { item: ['north', 'south'] } },
  { name: 'slots', type: 'RANGES', ranges: { range: [{ begin: 1, end: 5 }] } },
  { name: 'tag', type: 'TEXT', text: { value: 'a' } },
  { name: 'tag', type: 'TEXT', text: { value: 'b' } },
]);

function holds(constraint: Constraint, attributes = agent): boolean {
  const compiled = compileConstraint(constraint);
  if (!compiled.ok) throw new Error(compiled.problems[0]!.message);
  return compiled.value(attributes);
}

for (const [attribute, operator, value, expected] of [
  ['rack', 'EQUALS', 'rack-1', true],
  ['rack', 'EQUALS', 'rack-2', false],
  ['rack', 'EQUALS', 'rack', false],
  ['rack', 'EQUALS', 'rack-.', false],
  ['rack', 'LIKE', 'rack-[1-3]', true],
  ['rack', 'LIKE', 'rack-[2-3]', false],
  ['rack', 'LIKE', 'rack', false],
  ['rack', 'LIKE', 'ack-1', false],
  ['rack', 'LIKE', 'x|rack-1', true],
  ['rack', 'LIKE', 'rack|rack-', false],
  ['rack', 'UNLIKE', 'rack-[1-3]', false],
  ['rack', 'UNLIKE', 'rack-[2-3]', true],
  ['rack', 'UNLIKE', 'rack', true],
  ['cores', 'LIKE', '\\d\\.\\d', true],
  ['cores', 'LIKE', '1', false],
  ['cores', 'UNLIKE', '1\\.0', false],
  ['cores', 'EQUALS', '1.0', false],
  ['load', 'LIKE', '2\\.5', true],
  ['zones', 'LIKE', '^n.*', true],
  ['zones', 'LIKE', 'west', false],
  ['zones', 'UNLIKE', 'north', false],
  ['zones', 'UNLIKE', 'west', true],
  ['zones', 'EQUALS', 'north', false],
  ['slots', 'LIKE', '.*', false],
  ['slots', 'UNLIKE', 'x', false],
  ['tag', 'EQUALS', 'b', true],
  ['tag', 'LIKE', 'b', true],
  ['tag', 'UNLIKE', 'b', false],
  ['absent', 'EQUALS', '', false],
  ['absent', 'LIKE', '.*', false],
  ['absent', 'UNLIKE', 'x', false],
  ['hostname', 'EQUALS', 'node-7.example.org', true],
  ['hostname', 'LIKE', 'node-\\d+\\..*', true],
  ['hostname', 'UNLIKE', 'node-7.*', false],
] as const)
  test(`${attribute} ${operator} "${value}" is ${expected}`, t => t.is(holds([attribute, operator, value]), expected));

test('an attribute named hostname goes before the name of the host', t => {
  const own: Attribute[] = [{ name: 'hostname', type: 'TEXT', text: { value: 'alias' } }];
  t.true(holds(['hostname', 'EQUALS', 'alias'], attributesOf('node-7', own)));
  t.false(holds(['hostname', 'EQUALS', 'node-7'], attributesOf('node-7', own)));
});

test('a hostile pattern is answered in time that grows with its length and no faster', t => {
  const long = attributesOf('h', [{ name: 'rack', type: 'TEXT', text: { value: `${'a'.repeat(1_000)}!` } }]);
  // Each of these would keep a backtracking engine busy for longer than the universe has been there.
  for (const pattern of ['(a+)+$', '(a|aa)+$', '(.*a){20}x', '((a*)*)*b', '^(([a-z])+.)+[A-Z]([a-z])+$'])
    t.false(holds(['rack', 'LIKE', pattern], long), pattern);
  t.true(holds(['rack', 'UNLIKE', '(a+)+$'], long));
});

test('a pattern whose program or text would be large is refused, and a value that is too long is like nothing', t => {
  const refused = (pattern: string) => {
    const compiled = compileConstraint(['rack', 'LIKE', pattern]);
    return compiled.ok ? '' : compiled.problems[0]!.message;
  };
  t.regex(refused('(a{0,30}){0,33}'), /its program has \d+ steps, and may have 1000/);
  t.regex(refused('(a{0,30}){0,33}'.repeat(40)), /has 600 characters and a counted repetition/);
  t.regex(refused('(?=a)a'), /in rack LIKE is not a regular expression that is taken: .*\(\?=/);
  t.is(refused(Array.from({ length: 100 }, (_, n) => `rack-${n}`).join('|')), '', 'a list of a hundred racks');
  const text = { value: 'a'.repeat(1_025) };
  const long = attributesOf('h', [{ name: 'rack', type: 'TEXT', text }]);
  for (const operator of ['LIKE', 'UNLIKE'] as const) t.false(holds(['rack', operator, 'a*'], long), operator);
  t.true(holds(['rack', 'EQUALS', text.value], long));
});

for (const pattern of ['[[[', '(', 'a)|(b', '*'])
  test(`"${pattern}" is refused as a regular expression, with its place`, t => {
    const compiled = compileConstraint(['rack', 'LIKE', pattern]);
    t.false(compiled.ok);
    t.like(compiled.ok ? {} : compiled.problems[0], { place: '/constraints/rack', value: pattern });
    t.true(compileConstraint(['rack', 'EQUALS', pattern]).ok, 'EQUALS takes any text');
  });

test('the values of an attribute can be shown, whatever their kind', t => {
  t.deepEqual(
    ['rack', 'load', 'zones', 'slots', 'tag', 'absent'].map(name => valuesOf(agent, name)),
    [['rack-1'], ['2.5'], ['north', 'south'], ['1-5'], ['a', 'b'], []],
  );
});
