// simulation.test.ts: a minute of what `npm run simulate` plays by the thousand, and whether it would notice.

import test from 'ava';
import { type Bug, bugs } from './simulation/bugs.ts';
import { type Report, simulate } from './simulation/cluster.ts';
import { playAll } from './simulation/crew.ts';

/** The last ones have found something once: a cluster without a leader, and a copy that took folded records for lost ones. */
const seeds = [...Array.from({ length: 8 }, (_, n) => n + 1), 111, 212];
const updates = new Map<string, number>();
const hour_ms = 3_600_000;
const seeds_max = 50;
/** An hour takes seconds; on a machine that is asked for much else, it takes what it takes. */
const minutes_max = 20 * 60_000;
const faults = new Map<string, number>();
let reigns = 0;
let letters = 0;
let simulated_ms = 0;

for (const seed of seeds)
  test.serial(
    `hour ${seed} of a cluster: nothing is lost, nothing runs twice, and a deposed leader harms nothing`,
    async t => {
      t.timeout(minutes_max);
      const report = await simulate({ seed });
      for (const [status, n] of Object.entries(report.updates)) updates.set(status, (updates.get(status) ?? 0) + n);
      for (const [kind, count] of Object.entries(report.faults)) faults.set(kind, (faults.get(kind) ?? 0) + count);
      reigns += report.reigns;
      letters += report.letters;
      simulated_ms += report.simulated_ms;
      t.deepEqual(report.violations, [], `again: npm run simulate -- --from ${seed} --seeds 1`);
      t.true(report.simulated_ms >= hour_ms);
      t.true(report.targets > 0 && report.launches > 0);
    },
  );

test.serial('these hours were not quiet ones: each kind of fault came, and leaders changed', t => {
  t.true(faults.size >= 25, [...faults.keys()].join(', '));
  t.true(reigns > 5 * seeds.length, `${reigns} reigns`);
  for (const status of ['ROLLED_FORWARD', 'ROLLED_BACK']) t.true((updates.get(status) ?? 0) > 0, status);
  t.true(letters > 10, `${letters} letters`);
  t.log(`${(simulated_ms / hour_ms).toFixed(1)} hours, ${reigns} reigns, ${letters} letters to people`);
  t.log([...updates].map(([status, count]) => `${status} ${count}`).join(', '));
  t.log([...faults].map(([kind, count]) => `${kind} ${count}`).join(', '));
});

for (const bug of Object.keys(bugs) as Bug[])
  test.serial(`a cluster with its ${bug} is found out within ${seeds_max} hours`, async t => {
    t.timeout(minutes_max);
    for (let seed = 1; seed <= seeds_max; seed++) {
      const { violations } = await simulate({ seed, bug });
      if (violations.length === 0) continue;
      t.log(`seed ${seed}: ${violations[0]}`);
      t.pass();
      return;
    }
    t.fail(`${seeds_max} hours, and nothing was noticed`);
  });

test.serial('the same seed plays the same hour', async t => {
  t.timeout(minutes_max);
  const traces = await Promise.all(
    [0, 1].map(async () => {
      const lines: string[] = [];
      const report = await simulate({ seed: 7, minutes: 10, trace: line => lines.push(told(line)) });
      return { lines, report };
    }),
  );
  t.true(traces[0]!.lines.length > 100);
  t.deepEqual(traces[0], traces[1]);
});

test.serial('a seed that cannot be played is told as such, and the others are played', async t => {
  t.timeout(minutes_max);
  const told = new Map<number, Report | Error>();
  /** No number: to take it for one throws. */
  const unplayable = 2n as unknown as number;
  const wishes = [1, unplayable, 3].map(seed => ({ seed, minutes: 1 }));
  await playAll(wishes, 1, (seed, played) => void told.set(seed, played));
  t.deepEqual([...told.keys()], [1, unplayable, 3]);
  t.deepEqual(
    [...told.values()].map(played => played instanceof Error),
    [false, true, false],
  );
});

/** Without what the log's own library reads off the real clock. */
const told = (line: string) => line.replace(/"time":\d+,/, '');
