// report.test.ts: what a benchmark says is what it measured.

import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { brokenFloors, humanLine, jsonLine, machine, quantile, readOptions } from '../bench/report.ts';
import { startChild } from './support/child.ts';
import { tempDir } from './support/temp.ts';

const figures = {
  n: 10_000,
  placements_per_s: 5_234.4,
  p50_ms: 1.2345,
  p99_ms: 123.4,
  rss_mb: 99,
  ratio_to_raw: 0.0214,
};

test('a report is one line for people, with units and the machine', t => {
  t.is(
    humanLine({ name: 'offers', figures }, 'a machine'),
    'offers: n 10,000, 5,234 placements/s, p50 1.23 ms, p99 123 ms, rss 99 MB, ratio to raw 0.0214 (a machine)',
  );
  t.regex(machine(), /^\d+ x .+, \d+ GB, Node 24\.\S+, \w+ \w+$/);
});

test('a report is one line for programs, with the figures as they are', t => {
  const line = jsonLine({ name: 'offers', figures }, 'a machine');
  t.false(line.includes('\n'));
  t.deepEqual(JSON.parse(line), { bench: 'offers', machine: 'a machine', ...figures });
});

test('a floor is broken by a figure on its wrong side, and by one that is missing', t => {
  const messages = (floors: Parameters<typeof brokenFloors>[0]['floors'] & {}) =>
    brokenFloors({ name: 'offers', figures, floors }).map(problem => problem.message);
  t.deepEqual(messages({ placements_per_s: { at_least: 5_000 }, p99_ms: { at_most: 123.4 } }), []);
  t.deepEqual(
    messages({ placements_per_s: { at_least: 6_000 }, p99_ms: { at_most: 50 }, cpu_percent: { at_most: 1 } }),
    [
      'offers: placements_per_s is 5,234: expected at least 6000',
      'offers: p99_ms is 123: expected at most 50',
      'offers: cpu_percent was not measured: expected at most 1',
    ],
  );
});

test('a quantile is a value that was measured, and most do not exceed it', t => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  t.is(quantile(hundred, 0.5), 50);
  t.is(quantile(hundred, 0.99), 99);
  t.is(quantile(hundred, 0), 1);
  t.is(quantile(hundred, 1), 100);
  t.is(quantile([7], 0.99), 7);
  t.is(quantile([10, 9, 100], 0.5), 10);
  t.throws(() => quantile([], 0.5), { message: /expected some/ });
  t.throws(() => quantile([1], Number.NaN), { message: /0 to 1/ });
});

test("a benchmark's options are its sizes by name, with the usual ones as defaults", t => {
  const sizes = { agents: 1_000, tasks_per_agent: 10 };
  t.deepEqual(readOptions([], sizes), { ...sizes, json: false, check: false });
  t.deepEqual(readOptions(['--tasks-per-agent=3', '--json', '--check'], sizes), {
    agents: 1_000,
    tasks_per_agent: 3,
    json: true,
    check: true,
  });
});

test('npm run bench runs one benchmark or all, and its status tells whether a floor is broken', async t => {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const directory = await tempDir(t);
  await mkdir(join(directory, 'bench'));
  for (const path of ['bench/main.ts', 'bench/report.ts', 'schedules', 'transport/cli', 'package.json'])
    await cp(join(root, path), join(directory, path), { recursive: true });
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
  const benchmark = (name: string) => `
    import { readOptions, report } from './report.ts';
    const options = readOptions(process.argv.slice(2), { size: 5 });
    report({ name: '${name}', figures: { size: options.size }, floors: { size: { at_least: 4 } } }, options);`;
  for (const name of ['alpha', 'beta']) await writeFile(join(directory, 'bench', `${name}.ts`), benchmark(name));
  const bench = async (...argv: string[]) => {
    const child = startChild(t, { command: process.execPath, argv: ['bench/main.ts', ...argv], cwd: directory });
    const { status } = await child.ended;
    return { status, output: child.output() };
  };

  const all = await bench();
  t.is(all.status, 0);
  t.regex(all.output, /^alpha: size 5 \(.*\)\nbeta: size 5 \(.*\)$/);
  const one = await bench('beta', '--size', '9', '--json');
  t.is(JSON.parse(one.output).size, 9);
  const low = await bench('alpha', '--size', '3', '--check');
  t.is(low.status, 1);
  t.regex(low.output, /alpha: size is 3: expected at least 4/);
  const wrong = await bench('alhpa');
  t.deepEqual(wrong, { status: 2, output: 'bench: there is no benchmark "alhpa": did you mean alpha?' });
  const unknown = await bench('alpha', '--sise', '3');
  t.is(unknown.status, 1);
  t.regex(unknown.output, /unknown flag "--sise": did you mean --size\?/);
});
