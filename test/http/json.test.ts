// json.test.ts: JSON and YAML from strangers.

import test from 'ava';
import fc from 'fast-check';
import { depth_max, readJson } from '../../transport/http/json.ts';
import { aliases_max, readYaml, yaml_bytes_max } from '../../transport/http/yaml.ts';

const problemOf = (read: ReturnType<typeof readJson>) => (read.ok ? undefined : read.problems[0]);

test('whatever JSON.stringify writes is read back, and no other reader is needed to know it', t => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 1, '\t'), (value, space) => {
      const text = JSON.stringify(value, null, space);
      if (text.includes('"__proto__"')) return;
      const read = readJson(text);
      t.deepEqual(read.ok && read.value, JSON.parse(text));
    }),
    { seed: 7, numRuns: 500 },
  );
});

test('a text that JSON.parse refuses is refused, and the other way round', t => {
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 3 }),
      fc.nat(),
      fc.constantFrom(',', '"', '{', '}', '[', ']', ':', '0', 'e', '-', '\\', 'null', ' ', '\n', '\u0000'),
      (value, at, noise) => {
        const whole = JSON.stringify(value);
        const cut = at % (whole.length + 1);
        const text = whole.slice(0, cut) + noise + whole.slice(cut + (at % 3));
        let parses = true;
        try {
          JSON.parse(text);
        } catch (error) {
          t.true(error instanceof SyntaxError);
          parses = false;
        }
        const read = readJson(text);
        const stricter = /given twice|__proto__/.test(problemOf(read)?.message ?? '');
        t.is(read.ok, parses && !stricter, text);
      },
    ),
    { seed: 11, numRuns: 3_000 },
  );
});

test('a mistake is told with its line and column, and with what would be right there', t => {
  t.like(problemOf(readJson('{\n  "a": 1,\n  b: 2\n}')), {
    place: 'line 3, column 3',
    expected: 'a key in double quotes',
  });
  t.like(problemOf(readJson('{"a": 1,}')), { place: 'line 1, column 9' });
  t.like(problemOf(readJson('[1 2]')), { place: 'line 1, column 4', expected: '"," or "]"' });
  t.like(problemOf(readJson('')), { place: 'line 1, column 1' });
  t.like(problemOf(readJson('{"a": "x')), { place: 'line 1, column 7', expected: 'a string' });
  t.like(problemOf(readJson('1 1')), { place: 'line 1, column 3', expected: 'nothing more' });
});

test('a key given twice is refused, in JSON and in YAML', t => {
  t.like(problemOf(readJson('{"a": 1,\n "a": 2}')), { place: 'line 2, column 2' });
  t.like(problemOf(readYaml('a: 1\nb: {c: 1, c: 2}\n')), { place: 'line 2, column 11', value: 'c' });
  t.like(problemOf(readYaml('a: 1\na: 2\n')), { place: 'line 2, column 1' });
});

test('what is nested deeper than anybody writes is refused, however deep, and nothing breaks', t => {
  t.true(readJson('['.repeat(depth_max) + ']'.repeat(depth_max)).ok);
  for (const opening of ['[', '{"a":', '[{"a":']) {
    const text = opening.repeat(200_000);
    t.regex(problemOf(readJson(text))?.message ?? '', /nested more than/);
  }
  for (const opening of ['[', '{a: ', '- ', '? ', '[{a: '])
    t.regex(problemOf(readYaml(opening.repeat(30_000)))?.message ?? '', /nested more than/, opening);
  const stairs = Array.from({ length: 300 }, (_, level) => `${' '.repeat(level)}a:`).join('\n');
  t.regex(problemOf(readYaml(stairs))?.message ?? '', /nested more than/);
});

test('aliases work as people use them, and a bomb of them does not go off', t => {
  const shared = readYaml('base: &base [a, b]\none: *base\ntwo: *base\n');
  t.deepEqual(shared.ok && shared.value, { base: ['a', 'b'], one: ['a', 'b'], two: ['a', 'b'] });
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let n = 1; n < 12; n++)
    lines.push(`a${n}: &a${n} [${Array.from({ length: 9 }, () => `*a${n - 1}`).join(', ')}]`);
  t.regex(problemOf(readYaml(lines.join('\n')))?.expected ?? '', new RegExp(`at most ${aliases_max}`));
});

test('YAML that means more than JSON can say is refused', t => {
  for (const text of ['a: !!js/function "x"', 'a: 1\n---\nb: 2\n', '', 'a: [1\nb: 2', '__proto__: {x: 1}'])
    t.false(readYaml(text).ok, text);
  const read = readYaml('a: 2026-01-01\nb: yes\nc: 0x10\nd: ~\n1: x\n');
  t.deepEqual(read.ok && read.value, { a: '2026-01-01', b: 'yes', c: 16, d: null, 1: 'x' });
});

test('many keys cost time in proportion: the whole allowance of them is read', t => {
  // One of the library's checks took minutes for this, and would have stopped the scheduler for as long.
  const count = Math.floor(yaml_bytes_max / 12);
  const read = readYaml(Array.from({ length: count }, (_, n) => `k${n}: v`).join('\n'));
  t.is(read.ok && Object.keys(read.value as object).length, count);
  t.false(readYaml(`a: ${'x'.repeat(yaml_bytes_max)}`).ok);
});

test('brackets in a shell script are text, not nesting', t => {
  const script = Array.from({ length: 200 }, (_, n) => `  if [ $x -eq ${n} ]; then echo "\${x[${n}]"; fi`).join('\n');
  t.true(readYaml(`command: |\n${script}\n`).ok);
});
