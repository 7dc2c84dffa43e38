// sandbox.test.ts: what becomes of the line that a task is to run.

import test from 'ava';
import { argumentsOf, plainWords } from '../../mesos/local/sandbox.ts';

test('a line that only names a program and its arguments needs no shell beside it', t => {
  t.deepEqual(argumentsOf({ value: 'sleep 1000' }), ['sleep', '1000']);
  t.deepEqual(argumentsOf({ value: ' /usr/bin/env  --chdir=/tmp A=b python3 ./serve.py -p 80 ' }), [
    ...['/usr/bin/env', '--chdir=/tmp', 'A=b', 'python3', './serve.py', '-p', '80'],
  ]);
  t.deepEqual(argumentsOf({ shell: false, value: '/bin/echo', arguments: ['echo', 'a b'] }), ['/bin/echo', 'a b']);
});

test('whatever a shell would read in its own way is left to a shell, as it stands', t => {
  for (const line of [
    'exit 3',
    'echo hello',
    'true',
    'exec sleep 5',
    'A=b env',
    'sleep 5; exit 1',
    'sleep 5 &',
    'cat *',
    'ls ~',
    'cat <in >out',
    'echo "a b"',
    "echo 'a'",
    'echo $HOME',
    'ls {a,b}',
    'sleep 5 # a nap',
    '! ls',
    'sleep\t5',
    'sleep 5\nexit',
    'a\\ b',
    '`ls`',
    '-x',
    '',
    '[ -e a ]',
  ]) {
    t.is(plainWords(line), undefined, line);
    t.deepEqual(argumentsOf({ value: line }), ['/bin/sh', '-c', line]);
  }
});
