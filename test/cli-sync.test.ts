// cli-sync.test.ts: `horae sync`: what a line asks for, and what is printed.

import test from 'ava';
import { printFinding, printStep, readSync } from '../transport/cli/sync.ts';
import type { Found, Wanted } from '../transport/sync/plan.ts';

const read = (line: string, env: Readonly<Record<string, string>> = {}) => readSync(line.split(' '), env);

test('a line names a directory, what is to be done, and where', t => {
  t.like(read('jobs'), {
    ok: true,
    value: {
      dir: 'jobs',
      what: 'apply',
      delete_missing: false,
      url: 'http://127.0.0.1:8080',
      roles: [],
      timeout_ms: 30_000,
    },
  });
  t.like(read('jobs --dry-run'), { value: { what: 'plan' } });
  t.like(read('jobs --plan --delete-missing --role a --role=b --timeout-s 5'), {
    value: { what: 'plan', delete_missing: true, roles: ['a', 'b'], timeout_ms: 5_000 },
  });
  t.like(read('--init jobs --layout chronos --url http://old:4400/scheduler/'), {
    value: { dir: 'jobs', what: 'init', layout: 'chronos', url: 'http://old:4400' },
  });
});

test('who one is, is said by a token or by a name and a password, from the line or the environment', t => {
  const headersOf = (line: string, env: Readonly<Record<string, string>>) => {
    const asked = read(line, env);
    return asked.ok ? asked.value.headers : asked.problems;
  };
  t.deepEqual(headersOf('jobs', { HORAE_TOKEN: 't' }), { authorization: 'Bearer t' });
  t.deepEqual(headersOf('jobs', { HORAE_HTTP_AUTH: 'a:b:c' }), { authorization: 'Basic YTpiOmM=' });
  t.deepEqual(headersOf('jobs --http-auth a:b', { HORAE_TOKEN: 't' }), { authorization: 'Basic YTpi' });
  t.deepEqual(headersOf('jobs --token x', { HORAE_HTTP_AUTH: 'a:b' }), { authorization: 'Bearer x' });
  t.deepEqual(headersOf('jobs', {}), {});
});

test('a line that cannot be done is refused with what would be right', t => {
  for (const [line, said] of [
    ['--plan', /"" after "horae sync": expected one directory/],
    ['a b', /"a b" after "horae sync": expected one directory/],
    ['a --plan --init', /--plan and --init are given: expected one of them/],
    ['a --validate --delete-missing', /--delete-missing with --validate: expected it without/],
    ['a --keep-disabled', /--keep-disabled with a sync: expected --init/],
    ['a --layout flat', /--layout is flat: expected native or chronos/],
    ['a --timeout-s 0', /--timeout-s is 0: expected 1-9999/],
    ['a --url horae', /--url is horae: expected an address/],
    ['a --url http://me:secret@old:4400', /^there is a user in --url: expected the address alone(?!.*secret)/],
    ['a --http-auth me', /--http-auth is no such pair: expected USER:PASSWORD/],
    ['a --token t --http-auth a:b', /both --token and --http-auth are given/],
    ['a --delete', /unknown flag --delete: expected --delete-missing/],
  ] as const) {
    const asked = read(line);
    t.regex(asked.ok ? 'taken' : asked.problems.map(each => each.message).join('\n'), said, line);
  }
});

const wanted = { file: 'scheduled/a.yaml' } as Wanted;
const found = { name: 'a' } as Found;

test('a mistake is printed as compilers do it, and nothing that a file says reaches the terminal raw', t => {
  const finding = { file: 'www/prod/a.yaml', line: 3, column: 5, message: 'no\u001b[2J', expected: '' };
  t.is(printFinding('jobs/', finding), 'jobs/www/prod/a.yaml:3:5: no?[2J');
  t.is(printFinding('jobs', { file: '', message: 'it is empty', expected: '' }), 'jobs: it is empty');
});

test('a long text is shown where it begins to differ', t => {
  const [from, to] = [`${'x'.repeat(300)}a${'y'.repeat(300)}`, `${'x'.repeat(300)}b`];
  const step = { kind: 'change', name: 'a', wanted, found, changes: [{ field: '/env/A~1B', from, to }] } as const;
  t.is(
    printStep(step),
    `~ a  (scheduled/a.yaml)\n    env.A/B: ..."${'x'.repeat(20)}a${'y'.repeat(78)}... -> ..."${'x'.repeat(20)}b"`,
  );
});
