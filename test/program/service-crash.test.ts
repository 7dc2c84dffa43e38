// service-crash.test.ts: ten kills of whatever a service stands on, at moments that a seed chooses.
//
// `npm run crash -- --service --kills 100` does the same for as long as one likes.

import test from 'ava';
import { serviceLine, serviceStorm } from './storm/service.ts';

test('whatever it stands on is killed, there is one copy of each instance of a service again, and never two', async t => {
  // Each kill may fall on a start, and on a busy machine each start takes seconds.
  t.timeout(300_000);
  const seed = Number(process.env.HORAE_TEST_SEED ?? Math.floor(Math.random() * 1_000_000));
  const report = await serviceStorm(t, { kills: 10, seed, say: () => undefined });
  t.log(serviceLine(report));
  const replay = `npm run crash -- --service --kills 10 --seed ${seed} (what is left of it: ${report.directory})`;
  t.deepEqual(report.complaints, [], replay);
});
