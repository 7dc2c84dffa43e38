// chaos.ts: `npm run chaos -- --minutes 15 --seed S`: a real cluster under real faults, and whether it kept its word.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Kind, kinds } from './chaos/plan.ts';

const usage =
  'expected --minutes N, --seed N, --faults none|KIND,..., --session-timeout-ms N, --picture FILE.svg, --json, --quiet';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '15' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    faults: { type: 'string' },
    'session-timeout-ms': { type: 'string' },
    picture: { type: 'string' },
    json: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
if (!(minutes > 0 && minutes <= 1_440)) refuse('--minutes', values.minutes, 'a number above 0, at most 1440');
const seed = whole('--seed', values.seed);
const picture = values.picture ?? join(tmpdir(), `horae-chaos-${seed}.svg`);
const session = values['session-timeout-ms'];
const faults = values.faults === undefined ? undefined : faultsOf(values.faults);

// After the line is known to be right: it may have ZooKeeper installed first.
await import('./support/set-up.ts');
const { chaos, lineOf } = await import('./chaos/run.ts');

const cleaners: (() => void | Promise<void>)[] = [];
const clean = async () => {
  for (const each of cleaners.splice(0).reverse()) await each();
};
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void clean().then(() => process.exit(1)));

const say = values.quiet ? () => undefined : (line: string) => console.error(`chaos: ${line}`);
say(`seed ${seed}`);
const report = await chaos(
  { teardown: each => void cleaners.push(each) },
  {
    minutes,
    seed,
    say,
    picture,
    ...(faults === undefined ? {} : { faults }),
    ...(session === undefined ? {} : { session_ms: whole('--session-timeout-ms', session) }),
  },
).finally(clean);
for (const complaint of report.complaints) console.error(`chaos: ${complaint}`);
console.log(values.json ? JSON.stringify(report) : lineOf(report));
say(`the picture of it: ${picture}`);
if (report.complaints.length > 0) {
  const flags = [
    ...['--minutes', minutes, '--seed', seed],
    ...(values.faults === undefined ? [] : ['--faults', values.faults]),
    ...(session === undefined ? [] : ['--session-timeout-ms', session]),
  ];
  console.error(`chaos: again with: npm run chaos -- ${flags.join(' ')}`);
  console.error(`chaos: what is left of it: ${report.directory}`);
  process.exitCode = 1;
}
process.exit();

function whole(flag: string, text: string): number {
  const value = Number(text);
  return /^\d{1,9}$/.test(text) && value > 0 ? value : refuse(flag, text, 'a whole number from 1 on');
}

function faultsOf(text: string): readonly Kind[] {
  if (text === 'none') return [];
  return text
    .split(',')
    .map(name => kinds.find(kind => kind === name) ?? refuse('--faults', name, `none, or some of ${kinds.join(',')}`));
}

function refuse(flag: string, text: string, expected: string): never {
  console.error(`chaos: ${flag} is "${text}": expected ${expected}\nchaos: ${usage}`);
  process.exit(2);
}
