// aurora-cases.test.ts: the crontab grammar of Aurora, which our strict mode keeps to.

import test from 'ava';
import { overlapOfAurora } from '../../schedules/overlap.ts';
import { compile } from '../../schedules/schedule.ts';
import { at, context, good, nextFew, refusals } from './samples.ts';

const strict = (cron: string) => compile({ cron }, { ...context, dialect: 'aurora' });

const refused = [
  '* * * * MON-SUN',
  '* * **',
  '0-59 0-59 * * *',
  '1/1 * * * *',
  '5 5 * MAR-JAN *',
  '*/0 * * * *',
  '0-59/0 * * * *',
  '0-59/60 * * * *',
  '* * 1 * 1',
];
for (const cron of refused)
  test(`case 88: "${cron}" is refused`, t => {
    t.false(strict(cron).ok);
  });
for (const cron of [
  '*/5 * * * *',
  '0-30/10 * * * *',
  '* * * jan-MAR *',
  '1,3-5 * * * *',
  '* 1,3-5 * * *',
  '0 0 * * SUN-sat',
  '0 0 * * 0-6',
])
  test(`case 88: "${cron}" is accepted`, t => {
    t.true(strict(cron).ok);
  });
test('case 88: seconds, macros, 7, ?, L, W, # and H are not in the strict grammar', t => {
  for (const cron of [
    '0 * * * * *',
    '@daily',
    '0 0 * * 7',
    '0 0 ? * 1',
    '0 0 L * *',
    '0 0 15W * *',
    '0 0 * * 1#2',
    'H * * * *',
  ])
    t.false(strict(cron).ok, cron);
});
test('case 88: a refusal names the part, the line and what is allowed', t => {
  t.deepEqual(refusals({ cron: '0-59 0-59 * * *' }, { dialect: 'aurora' }), [
    'hour 59 in "0-59 0-59 * * *": expected 0-23',
  ]);
  t.deepEqual(refusals({ cron: '* * 1 * 1' }, { dialect: 'aurora' }), [
    'both day fields restrict in "* * 1 * 1": expected * in day-of-month or in day-of-week',
  ]);
});
test('what the strict grammar takes means the same as elsewhere', t => {
  const from = '2026-01-01T00:00:00Z';
  for (const cron of ['0-30/10 4 * jan-MAR *', '5 5 * * FRI'])
    t.deepEqual(
      nextFew(good({ cron }, { dialect: 'aurora', now: at(from) }), from, 20),
      nextFew(good({ cron }), from, 20),
    );
});
test('the collision policies KILL_EXISTING and CANCEL_NEW are ending the other and skipping', t => {
  t.deepEqual(overlapOfAurora('KILL_EXISTING'), { policy: 'cancel_other' });
  t.deepEqual(overlapOfAurora('CANCEL_NEW'), { policy: 'skip' });
  t.deepEqual(overlapOfAurora('RUN_OVERLAP'), { policy: 'skip' });
});
