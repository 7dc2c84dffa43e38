// hour.test.ts: a part of an hour of jobs that follow each other is as the oracle says; and the oracle sees what is wrong.

import test from 'ava';
import { simulate } from './hour.ts';
import { judge, type Ran } from './oracle.ts';

for (const seed of [1, 2, 3])
  test(`every child runs exactly as the runs of its parents say, through failures and failovers (seed ${seed})`, async t => {
    const report = await simulate({ seed, jobs: 80, minutes: 25, failovers: 2 });
    t.deepEqual(
      report.violations,
      [],
      `again: npm run simulate:graph -- --from ${seed} --jobs 80 --minutes 25 --failovers 2`,
    );
    t.true(report.followed > 40 && report.skipped > 0 && report.failed > 0, JSON.stringify(report));
  });

for (const bug of ['lost', 'twice'] as const)
  test(`a token that is ${bug === 'lost' ? 'not written down' : 'left twice'} is found out`, async t => {
    const { violations } = await simulate({ seed: 5, jobs: 80, minutes: 25, failovers: 1, bug });
    t.not(violations.length, 0);
  });

test('the oracle finds a run too many, a run too few, and one that took the wrong thing', t => {
  const place = { role: 'kin', environment: 'sim', command: 'true' } as const;
  const jobs = [
    { ...place, name: 'a', cron: '* * * * *' },
    { ...place, name: 'b', parents: ['a'] },
  ];
  const root = (run: string, outcome = 'succeeded'): Ran => ({
    run,
    outcome,
    created_at: 0,
    ended_at: 1,
    cause: { type: 'target' },
  });
  const child = (run: string, took: string): Ran => ({
    ...root(run),
    cause: { type: 'dependency', parents: [{ job: 'kin/sim/a', run: took, outcome: 'succeeded' }] },
  });
  const verdict = (a: readonly Ran[], b: readonly Ran[], skipped: readonly string[] = []) =>
    judge(jobs, {
      runs: key => (key === 'kin/sim/a' ? a : b),
      skipped: key => (key === 'kin/sim/b' ? skipped.map(run => ({ run, why: '' })) : []),
      lying: () => 0,
    }).violations.length;
  t.is(verdict([root('1'), root('2')], [child('x', '1'), child('y', '2')]), 0);
  t.is(verdict([root('1'), root('2', 'failed')], [child('x', '1')], ['y']), 0);
  t.not(verdict([root('1')], [child('x', '1'), child('y', '1')]), 0);
  t.not(verdict([root('1'), root('2')], [child('x', '1')]), 0);
  t.not(verdict([root('1'), root('2')], [child('x', '2'), child('y', '1')]), 0);
  t.not(verdict([root('1', 'failed')], [child('x', '1')]), 0);
  t.not(verdict([root('1', 'failed')], []), 0);
});
