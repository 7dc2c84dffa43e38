// main.ts: `npm run simulate:graph -- --jobs 2000 --minutes 60 --seeds 1 [--from 1] [--failovers 1]`: hours of jobs that follow
// each other, each judged by the oracle.
//
// Prints a line per seed; for one that went wrong what was wrong, and the command that plays it again.

import { parseArgs } from 'node:util';
import { simulate } from './hour.ts';

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '2000' },
    minutes: { type: 'string', default: '60' },
    seeds: { type: 'string', default: '1' },
    from: { type: 'string', default: '1' },
    failovers: { type: 'string', default: '1' },
  },
});
const [jobs, minutes, from, failovers] = [values.jobs, values.minutes, values.from, values.failovers].map(Number) as [
  number,
  number,
  number,
  number,
];
let wrong = 0;
for (let seed = from; seed < from + Number(values.seeds); seed++) {
  const began = performance.now();
  const { violations, ...report } = await simulate({ seed, jobs, minutes, failovers });
  const took = `${((performance.now() - began) / 1000).toFixed(0)} s`;
  console.log(`${violations.length === 0 ? 'clean' : 'WRONG'} ${JSON.stringify(report)} in ${took}`);
  if (violations.length === 0) continue;
  wrong++;
  for (const line of violations) console.log(`  ${line}`);
  console.log(
    `  again: npm run simulate:graph -- --from ${seed} --jobs ${jobs} --minutes ${minutes} --failovers ${failovers}`,
  );
}
process.exitCode = wrong === 0 ? 0 : 1;
