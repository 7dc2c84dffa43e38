// cli-schedule.test.ts: `horae schedule explain`: a question on the command line, its answer, and how it is refused.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { readFlags } from '../transport/cli/flags.ts';
import { explainLine } from '../transport/cli/schedule.ts';
import { startChild } from './support/child.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const now = Date.UTC(2026, 0, 1);
const explained = (...argv: string[]) => {
  const told = explainLine(['explain', ...argv], now, 'UTC');
  return told.ok ? told.value : told.problems.map(each => `${each.place}: ${each.message}`).join('\n');
};
const json = (...argv: string[]) =>
  JSON.parse(explained(...argv, '--json')) as { next: string[]; words: string; dst: { date: string; kind: string }[] };

test('the next instants carry the offset that holds there, and the changes of clocks are foretold', t => {
  const told = json('30 2 * * *', '--zone', 'Europe/Vienna', '--from', '2026-03-28T00:00:00Z', '--count', '3');
  t.deepEqual(told.next, ['2026-03-28T02:30:00+01:00', '2026-03-29T03:00:00+02:00', '2026-03-30T02:30:00+02:00']);
  t.is(told.words, 'at 02:30, in Europe/Vienna');
  t.like(told.dst[0], { date: '2026-03-29', kind: 'gap' });
  t.is(told.dst.length, 11);
});

test('the rules for clock changes can be chosen', t => {
  const line = ['30 2 25,29 3,10 *', '--zone=Europe/Vienna', '--from=2026-03-26', '--count=3'];
  t.deepEqual(json(...line, '--gap', 'skip').next.slice(0, 1), ['2026-10-25T02:30:00+02:00']);
  t.is(json(...line, '--gap', 'shift').next[0], '2026-03-29T03:30:00+02:00');
  t.is(json(...line, '--gap', 'skip', '--fold', 'both').next[1], '2026-10-25T02:30:00+01:00');
});

test('an interval is told from a crontab line by its look, and one without a start begins at the question', t => {
  const told = json('R3//PT1H', '--from', '2026-05-01T10:00:00Z');
  t.deepEqual(told.next, ['2026-05-01T10:00:00Z', '2026-05-01T11:00:00Z', '2026-05-01T12:00:00Z']);
  t.is(json('R/2026-01-31T09:00:00Z/P1M', '--from', '2026-02-01T00:00:00Z').next[0], '2026-02-28T09:00:00Z');
});

test('a dialect has its own rules: Chronos puts its zone in the place of the offset, Aurora has a narrower grammar', t => {
  const line = ['R/2026-01-05T13:00:00Z/P1D', '--zone', 'Europe/Paris'];
  t.is(json(...line).next[0], '2026-01-05T14:00:00+01:00');
  t.is(json(...line, '--dialect', 'chronos').next[0], '2026-01-05T13:00:00+01:00');
  t.regex(explained('0 0 L * *', '--dialect', 'aurora'), /^SPEC: /);
});

test('everything wrong with the question is told with its place and what would be right', t => {
  t.is(
    explained('0 25 * * *', '--zone', 'Europe/Viena', '--count', '0', '--gap', 'jump'),
    [
      '--count: count "0": expected 1-1000',
      '--gap: gap "jump": expected one of skip, next_valid, shift',
      'SPEC: hour 25 in "0 25 * * *": expected 0-23',
      '--zone: unknown time zone "Europe/Viena": expected Europe/Vienna',
    ].join('\n'),
  );
  t.regex(explained('0 0 30 2 *'), /never runs/);
  t.regex(explained('* * * * *', '--from', '2026-13-01T00:00:00Z'), /^--from: month 13/);
  t.regex(explained(), /there is no schedule/);
  t.regex(explained('0', '3', '*'), /3 words/);
  t.regex(explained('* * * * *', '--zon', 'UTC'), /unknown flag --zon: expected --zone/);
  t.regex(explained(`R999999999999999/2026-01-01T00:00:00Z/PT1S${' '.repeat(10_000)}x`), /^SPEC: /);
});

test('a flag takes its value after a space or an equals sign, once', t => {
  const read = (...argv: string[]) => readFlags(argv, { values: ['--a'], switches: ['--s'] });
  const read_a = read('x', '--a=1', '--s', '--', '--y');
  t.true(read_a.ok && read_a.value.words.join() === 'x,--y' && read_a.value.values.get('--a') === '1');
  for (const argv of [['--a'], ['--a', '1', '--a', '2'], ['--s=1'], ['--b', '1']])
    t.false(read(...argv).ok, argv.join(' '));
});

test('the program answers without a scheduler, and ends with 2 on a bad line', async t => {
  const ask = async (...argv: string[]) => {
    const child = startChild(t, { command: process.execPath, argv: [join(root, 'main.ts'), 'schedule', ...argv] });
    const ended = await child.ended;
    return { ...ended, text: child.output() };
  };
  const good = await ask('explain', '0 3 * * *', '--from', '2026-01-01T00:00:00Z', '--count', '1', '--json');
  t.is(good.status, 0);
  t.deepEqual((JSON.parse(good.text) as { next: string[] }).next, ['2026-01-01T03:00:00Z']);
  const bad = await ask('explain', '0 25 * * *');
  t.is(bad.status, 2);
  t.regex(bad.text, /hour 25 in "0 25 \* \* \*": expected 0-23/);
});
