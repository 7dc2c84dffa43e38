// crash.test.ts: kill -9 of the real program, twenty times at moments that a seed chooses.
//
// `npm run crash -- --kills 500` does the same for as long as one likes.

import test from 'ava';
import { reportLine, storm } from './storm/storm.ts';

test('killed twenty times, it loses no job and no target, starts nothing twice, and tells the true end of each task', async t => {
  t.timeout(300_000);
  const seed = Number(process.env.HORAE_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
  const report = await storm(t, { kills: 20, seed, say: () => undefined });
  t.log(reportLine(report));
  const replay = `npm run crash -- --kills 20 --seed ${seed} (what is left of it: ${report.directory})`;
  t.deepEqual(report.complaints, [], replay);
  // A storm in which nothing happened proves nothing.
  t.true(report.runs > 20 && report.targets > 50 && report.adopted > 0, reportLine(report));
});
