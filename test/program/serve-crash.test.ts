// serve-crash.test.ts: kill -9 of a scheduler and of the Mesos beside it, at moments that a seed chooses.
//
// `npm run crash -- --kills 200 --apart` does the same for as long as one likes.

import test from 'ava';
import { reportLine, storm } from './storm/storm.ts';

test('scheduler and Mesos, each killed again and again, lose no job and no target and start nothing twice', async t => {
  t.timeout(300_000);
  const seed = Number(process.env.HORAE_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
  const report = await storm(t, { kills: 5, seed, say: () => undefined, apart: true });
  t.log(reportLine(report));
  t.deepEqual(
    report.complaints,
    [],
    `npm run crash -- --apart --kills 5 --seed ${seed} (what is left of it: ${report.directory})`,
  );
  t.true(report.runs > 5 && report.targets > 10, reportLine(report));
});
