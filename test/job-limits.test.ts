// job-limits.test.ts: user and limits of processes in a job: what is read, and what is refused with what would be right.

import test from 'ava';
import { readJob } from '../actors/model/job.ts';

const base = { role: 'www', environment: 'prod', name: 'hello', command: 'true' };

test('limits come in the order of their names, a number being soft and hard, and read back as they are', t => {
  const read = readJob({
    ...base,
    user: 'www-data',
    rlimits: { nofile: 10, core: 'unlimited', as: { soft: 1, hard: 2 } },
  });
  if (!read.ok) return t.fail(JSON.stringify(read.problems));
  t.is(read.value.user, 'www-data');
  t.is(
    JSON.stringify(read.value.rlimits),
    '{"as":{"soft":1,"hard":2},"core":"unlimited","nofile":{"soft":10,"hard":10}}',
  );
  t.deepEqual(readJob(JSON.parse(JSON.stringify(read.value))), read);
  const without = readJob(base);
  t.true(without.ok && !('rlimits' in without.value) && !('user' in without.value));
});

const refused: readonly [fields: object, place: string, words: RegExp][] = [
  [
    { rlimits: { nofile: { soft: 3, hard: 2 } } },
    '/rlimits/nofile/soft',
    /soft limit 3 of nofile is above the hard one/,
  ],
  [{ rlimits: { luck: 3 } }, '/rlimits', /luck|option|key/],
  [{ rlimits: { nofile: -1 } }, '/rlimits/nofile', /./],
  [{ rlimits: { nofile: { soft: 1 } } }, '/rlimits/nofile', /./],
  [{ user: '-u 0' }, '/user', /expected the name of a user/],
  [{ user: 'a:b' }, '/user', /expected the name of a user/],
  [
    { container: { image: 'busybox' }, rlimits: { nofile: 3 } },
    '/rlimits',
    /do not reach into a container of Docker's/,
  ],
];
test('limits that cannot be are refused at their place', t => {
  for (const [fields, place, words] of refused) {
    const read = readJob({ ...base, ...fields });
    if (read.ok) return t.fail(JSON.stringify(fields));
    const problem = read.problems.find(each => each.place.startsWith(place));
    t.regex(problem?.message ?? JSON.stringify(read.problems), words);
  }
});
