// simulate.ts: many weeks of a scheduler's life: `node test/actors/simulate.ts --seeds 100 [--from 1] [--steps 80]`.
//
// Prints a line per seed that went wrong, with the command that plays it again; the last line is the verdict.

import { parseArgs } from 'node:util';
import { simulate } from './support/simulation.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    from: { type: 'string', default: '1' },
    steps: { type: 'string', default: '80' },
  },
});
const steps = Number(values.steps);
const from = Number(values.from);
let failed = 0;
let targets = 0;
let launches = 0;
let crashes = 0;
for (let seed = from; seed < from + Number(values.seeds); seed++) {
  const report = await simulate(seed, steps);
  targets += report.targets;
  launches += report.launches;
  crashes += report.crashes;
  if (report.violations.length === 0) continue;
  failed += 1;
  console.log(`seed ${seed} went wrong; again: node test/actors/simulate.ts --from ${seed} --seeds 1 --steps ${steps}`);
  for (const line of report.violations.slice(0, 10)) console.log(`  ${line}`);
}
console.log(`${values.seeds} seeds, ${failed} wrong; ${targets} targets, ${launches} launches, ${crashes} crashes`);
process.exitCode = failed === 0 ? 0 : 1;
