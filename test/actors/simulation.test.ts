// simulation.test.ts: a handful of the weeks that `node test/actors/simulate.ts` plays by the hundred.

import test from 'ava';
import { simulate } from './support/simulation.ts';

const seeds = Array.from({ length: 30 }, (_, n) => n + 1);
let targets = 0;
let crashes = 0;
let timed_out = 0;
let called_back = 0;

for (const seed of seeds)
  test(`week ${seed}: every target has one outcome, no task runs twice, nothing is left behind`, async t => {
    const report = await simulate(seed);
    targets += report.targets;
    crashes += report.crashes;
    timed_out += report.timed_out;
    called_back += report.called_back;
    t.deepEqual(report.violations, [], `again: node test/actors/simulate.ts --from ${seed} --seeds 1`);
  });

test.after('the weeks were not empty', t => {
  t.true(targets > 50 * seeds.length, `${targets} targets`);
  t.true(crashes > seeds.length, `${crashes} crashes`);
  t.true(timed_out > seeds.length && called_back > 10, `${timed_out} timed out, ${called_back} called back`);
  t.log(`${targets} targets, ${crashes} crashes, ${timed_out} timed out, ${called_back} called back`);
});

test('the same seed plays the same week', async t => {
  t.deepEqual(await simulate(7, 30), await simulate(7, 30));
});
