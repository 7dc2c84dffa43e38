// checks.test.ts: a job that can be read and means nothing is told everything that is wrong with it.

import test from 'ava';
import { checkJob } from '../../actors/checks.ts';
import { job } from '../support/world.ts';

const base = { role: 'www', environment: 'prod', name: 'hello', command: 'true' };
const context = { default_zone: 'UTC' };

test('a schedule that never runs and a pattern that cannot be used are both told, each with its place', t => {
  const wrong = job({
    ...base,
    cron: '0 0 31 2 *',
    constraints: [
      ['rack', 'EQUALS', '['],
      ['rack', 'LIKE', '['],
      ['rack', 'UNLIKE', '(a{0,30}){0,33}'],
    ],
  });
  const checked = checkJob(wrong, 0, context);
  t.deepEqual(checked.ok ? [] : checked.problems.map(one => one.place), [
    '/schedules/0/cron',
    '/constraints/1/2',
    '/constraints/2/2',
  ]);
});

test('a job whose patterns can be used is accepted', t => {
  t.true(checkJob(job({ ...base, constraints: [['rack', 'LIKE', 'rack-[1-3]|other']] }), 0, context).ok);
});
