// command-line.test.ts: what stands beside a command: words, another executor, the variables of another scheduler.

import { spawnSync } from 'node:child_process';
import test from 'ava';
import fc from 'fast-check';
import { type CommandLineFields, splitWords, withWords } from '../actors/model/command-line.ts';
import { chronosTaskId, parseChronosTaskId } from '../actors/model/ids.ts';
import { readJob } from '../actors/model/job.ts';

const hello = { role: 'www', environment: 'prod', name: 'hello', command: 'echo' };
const places = (more: object) => {
  const read = readJob({ ...hello, ...more });
  return read.ok ? [] : read.problems.map(one => one.place);
};

test('whatever is in a word, a shell sees that word and nothing else', t => {
  const word = fc.string({
    unit: fc.constantFrom('a', ' ', "'", '"', '$', '(', ')', ';', '&', '|', '\\', '`', '\n', 'é'),
  });
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), words => {
      const line = withWords(`${process.execPath} -e 'console.log(JSON.stringify(process.argv.slice(1)))' --`, words);
      const said = spawnSync('/bin/sh', ['-c', line], { encoding: 'utf8' });
      t.deepEqual(JSON.parse(said.stdout), words, line);
    }),
    { seed: 8, numRuns: 12 },
  );
});

test('a text is split into the words that a shell would see, and nothing in it is done', t => {
  for (const [text, words] of [
    ['', []],
    ['  ', []],
    ['-a 1 -b 2', ['-a', '1', '-b', '2']],
    [`one "two three" 'four five'six`, ['one', 'two three', 'four fivesix']],
    [`a\\ b "c\\"d" 'e\\f' ""`, ['a b', 'c"d', 'e\\f', '']],
    ['$(id) ; rm * && x', ['$(id)', ';', 'rm', '*', '&&', 'x']],
    [`"open end`, ['open end']],
    ['tail\\', ['tail\\']],
  ] as const)
    t.deepEqual(splitWords(text), words, text);
});

test('what is quoted word by word is split into the same words', t => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 8 }), words => {
      t.deepEqual(splitWords(withWords('x', words)).slice(1), words);
    }),
    { seed: 9, numRuns: 500 },
  );
});

test('a canonical job keeps what was said beside its command, in one form', t => {
  const fields: CommandLineFields = {
    shell: false,
    arguments: ['-n', 'a b'],
    variables: 'chronos',
    executor: { id: 'x', command: './run', data: '|go' },
  };
  const read = readJob({ ...hello, ...fields });
  t.true(read.ok && read.value.shell === false);
  if (read.ok) t.like(read.value, fields);
  const plain = readJob({ ...hello, shell: true, arguments: [] });
  t.true(plain.ok && !('shell' in plain.value) && !('arguments' in plain.value));
});

test('what cannot stand together is refused where it stands', t => {
  const health_check = { checker: { type: 'shell', command: 'true' } };
  t.deepEqual(places({ shell: false, service: true, health_check }), ['/shell']);
  t.deepEqual(places({ arguments: ['x'], service: true, health_check }), ['/arguments']);
  t.deepEqual(places({ container: { image: 'x', shell: false }, arguments: ['x'] }), ['/arguments']);
  t.deepEqual(places({ container: { image: 'x' }, arguments: ['x'] }), []);
  t.deepEqual(places({ container: { image: 'x' }, executor: { id: 'x', command: 'y' } }), ['/executor']);
  t.deepEqual(places({ executor: { id: 'a b', command: 'y' } }), ['/executor/id']);
});

test('case 59: a task has the id that Chronos gave it: due instant, retries so far, name, arguments', t => {
  const id = (words: readonly string[]) =>
    chronosTaskId({ due: 1_420_843_781_398, attempt: 1, name: 'sample-name', words });
  t.is(id(['-a', '1', '-b', '2']), 'ct:1420843781398:0:sample-name:-a 1 -b 2');
  t.is(id([]), 'ct:1420843781398:0:sample-name:');
});

test('case 60: of "-c 1 ; ./evil.sh" the id has no ";", and the shell sees words', t => {
  const words = splitWords('-c 1 ; ./evil.sh');
  t.is(chronosTaskId({ due: 0, attempt: 1, name: 'x', words }), 'ct:0:0:x:-c 1  ./evil.sh');
  t.is(withWords('run', words), "run -c 1 ';' ./evil.sh");
});

test('case 61: colons in arguments are kept, and an id may end with the name', t => {
  t.deepEqual(parseChronosTaskId('ct:1420843781398:0:test:-a 1:2 --B test'), {
    due: 1_420_843_781_398,
    attempt: 1,
    name: 'test',
    words: '-a 1:2 --B test',
  });
  t.like(parseChronosTaskId('ct:1420843781398:2:test'), { name: 'test', attempt: 3, words: '' });
  for (const other of ['ct:x:0:test:', 'test', 'ct:1:0', 'ct:1:0:', 'chronos:default:a:1.m.x:0:1'])
    t.is(parseChronosTaskId(other), undefined, other);
});

test('case 24: a command and its argument "--help" are one line', t => {
  t.is(withWords('sample-command', ['--help']), 'sample-command --help');
});
