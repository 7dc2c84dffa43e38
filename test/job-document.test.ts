// job-document.test.ts: what is read of a job says the same thing in the same words.

import test from 'ava';
import { readJob } from '../actors/model/job.ts';

const textOf = (input: unknown): string => {
  const read = readJob(input);
  return read.ok ? JSON.stringify(read.value) : JSON.stringify(read.problems);
};
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'true' };

test('a canonical document, read again, is the same text: sending back what was read changes nothing', t => {
  for (const more of [
    { cron: '* * * * *', zone: 'UTC' },
    { schedule: 'R/2030-01-01T00:00:00Z/P1D' },
    {
      zone: 'UTC',
      schedules: [
        { jitter_ms: 5, dst: { fold: 'both' }, cron: '@daily' },
        { id: 'x', iso8601: 'R//PT1H' },
      ],
    },
    { retries: 3, collision_policy: 'KILL_EXISTING' },
    { catch_up: { window_ms: 5, policy: 'all' }, overlap: { max: 2, policy: 'allow' } },
  ]) {
    const once = textOf({ ...base, ...more });
    t.is(textOf(JSON.parse(once)), once);
  }
});

test('the order in which a client writes its fields and variables means nothing', t => {
  const one = { ...base, env: { A: '1', B: '2' }, labels: { x: '1', y: '2' }, cron: '@daily', cpus: 1 };
  const other = { cpus: 1, cron: '@daily', labels: { y: '2', x: '1' }, env: { B: '2', A: '1' }, ...base };
  t.is(textOf(one), textOf(other));
});
