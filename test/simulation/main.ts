// main.ts: many hours of a whole cluster: `npm run simulate -- --seeds 10000 [--from 1] [--minutes 60] [--workers 2] [--bug NAME]
// [--trace]`.
//
// Prints a line for each seed with its faults by kind, and for one that went wrong the command that plays it again; the
// last lines are the verdict. Any number of seeds, several at once; the exit status says whether all were clean.

import { parseArgs } from 'node:util';
import { type Bug, bugs } from './bugs.ts';
import { type Report, simulate } from './cluster.ts';
import { playAll, workers_default } from './crew.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    from: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '60' },
    workers: { type: 'string', default: String(workers_default) },
    bug: { type: 'string' },
    trace: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
    calm: { type: 'boolean', default: false },
  },
});
const bug = values.bug as Bug | undefined;
if (bug !== undefined && !(bug in bugs)) {
  console.error(`there is no bug "${bug}": expected one of ${Object.keys(bugs).join(', ')}`);
  process.exit(2);
}
const minutes = Number(values.minutes);
const from = Number(values.from);
const workers = Math.min(Number(values.workers), Number(values.seeds));
if (!(Number.isInteger(workers) && workers > 0)) {
  console.error(`--workers is "${values.workers}": expected a whole number from 1 on`);
  process.exit(2);
}
const all = new Map<string, number>();
const began = performance.now();
let failed = 0;
let simulated_ms = 0;
const sums = { targets: 0, launches: 0, reigns: 0 };
const updates = new Map<string, number>();

function* wishes() {
  for (let seed = from; seed < from + Number(values.seeds); seed++)
    yield { seed, minutes, faults: !values.calm, ...(bug === undefined ? {} : { bug }) };
}

function tell(seed: number, played: Report | Error): void {
  if (played instanceof Error) wrong(seed, [`it could not be played: ${played.stack ?? played}`]);
  else count(played);
}

function count(report: Report): void {
  const { seed } = report;
  simulated_ms += report.simulated_ms;
  sums.targets += report.targets;
  sums.launches += report.launches;
  sums.reigns += report.reigns;
  for (const [kind, count] of Object.entries(report.faults)) all.set(kind, (all.get(kind) ?? 0) + count);
  for (const [status, count] of Object.entries(report.updates)) updates.set(status, (updates.get(status) ?? 0) + count);
  if (!values.quiet) {
    const { targets, launches, reigns, records, entries } = report;
    console.log(
      `seed ${seed}: ${(report.simulated_ms / 60_000).toFixed(0)} minutes, ${targets} targets, ${launches} launches, ${reigns} reigns, ${records} records, ${entries} entries; ${inWords(report.faults)}`,
    );
  }
  if (report.violations.length > 0) wrong(seed, report.violations.slice(0, 10));
}

function wrong(seed: number, lines: readonly string[]): void {
  failed += 1;
  const again = `npm run simulate -- --from ${seed} --seeds 1 --minutes ${minutes}`;
  const how = `${bug === undefined ? '' : ` --bug '${bug}'`}${values.calm ? ' --calm' : ''}`;
  console.log(`seed ${seed} went wrong; again: ${again}${how}`);
  for (const line of lines) console.log(`  ${line}`);
}

// One after the other where every step is told.
if (values.trace)
  for (const wish of wishes()) {
    const playing = simulate({ ...wish, trace: line => console.log(line) });
    tell(
      wish.seed,
      await playing.catch((error: unknown) => (error instanceof Error ? error : new Error(String(error)))),
    );
  }
else await playAll(wishes(), workers, tell);
const real_minutes = (performance.now() - began) / 60_000;
const hours = simulated_ms / 3_600_000;
console.log(`faults: ${inWords(Object.fromEntries(all))}`);
console.log(`updates: ${inWords(Object.fromEntries(updates))}`);
console.log(
  `${values.seeds} seeds, ${failed} wrong; ${sums.targets} targets, ${sums.launches} launches, ${sums.reigns} reigns; ${hours.toFixed(1)} simulated hours in ${real_minutes.toFixed(1)} minutes: ${(hours / real_minutes).toFixed(0)} hours per minute`,
);
process.exitCode = failed === 0 ? 0 : 1;

function inWords(faults: Readonly<Record<string, number>>): string {
  return Object.entries(faults)
    .sort(([, a], [, b]) => b - a)
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', ');
}
