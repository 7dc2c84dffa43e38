// dependencies.test.ts: who may follow whose jobs, who may change those that follow, and what a document may say of parents.

import test from 'ava';
import { readJob } from '../../actors/model/job.ts';
import type { Credentials, Grant } from '../../transport/credentials.ts';
import { serve } from './support/serve.ts';

const submission = (role: string, name: string, more: object = {}) => ({
  role,
  environment: 'prod',
  name,
  command: 'true',
  ...more,
});
/** Whoever names himself in his token is taken at his word, with these grants. */
const known = (grants: Readonly<Record<string, readonly Grant[]>>): Credentials => ({
  async authenticate(header) {
    const name = header?.replace(/^Bearer /, '') ?? '';
    const given = grants[name];
    return given === undefined ? { type: 'unknown' } : { type: 'known', who: { name, grants: given } };
  },
});
const as = (name: string) => ({ authorization: `Bearer ${name}` });

test('a job may follow those whose runs its submitter may read, and no others', async t => {
  const credentials = known({
    root: [{ role: 'admin', scope: '*' }],
    www: [{ role: 'submit', scope: 'www' }],
    both: [
      { role: 'submit', scope: 'www' },
      { role: 'read', scope: 'db' },
    ],
  });
  const { ask, core } = await serve(t, { credentials });
  await ask('POST', '/api/v1/jobs', { json: submission('db', 'dump'), headers: as('root') });
  const child = submission('www', 'load', { parents: ['db/prod/dump'] });
  const refused = await ask('POST', '/api/v1/jobs', { json: child, headers: as('www') });
  t.is(refused.status, 403);
  t.is(core.views.job('www/prod/load'), undefined);
  t.is((await ask('POST', '/api/v1/jobs', { json: child, headers: as('both') })).status, 201);
  const shown = await ask('GET', '/api/v1/jobs/db/prod/dump', { headers: as('root') });
  t.deepEqual(shown.json.children, ['www/prod/load']);
});

test('whoever deletes a parent may do to its children what he may do to them, and hears of no others', async t => {
  const credentials = known({
    root: [{ role: 'admin', scope: '*' }],
    db: [{ role: 'admin', scope: 'db' }],
  });
  const { ask, core } = await serve(t, { credentials });
  for (const json of [
    submission('db', 'dump'),
    submission('db', 'check', { parents: ['dump'] }),
    submission('www', 'load', { parents: ['db/prod/check'] }),
  ])
    await ask('POST', '/api/v1/jobs', { json, headers: as('root') });
  const { json } = await ask('GET', '/api/v1/jobs/db/prod/check', { headers: as('db') });
  t.false('children' in json);
  const path = '/api/v1/jobs/db/prod/dump';
  t.is((await ask('DELETE', `${path}?children=delete`, { headers: as('db') })).status, 403, 'a grandchild is not his');
  t.not(core.views.job('db/prod/dump'), undefined);
  t.is((await ask('DELETE', `${path}?children=reschedule`, { headers: as('db') })).status, 204);
  await ask('POST', '/api/v1/jobs', { json: submission('db', 'other'), headers: as('root') });
  await ask('POST', '/api/v1/jobs', {
    json: submission('www', 'more', { parents: ['db/prod/other'] }),
    headers: as('root'),
  });
  const other = '/api/v1/jobs/db/prod/other';
  t.is((await ask('DELETE', `${other}?children=reschedule`, { headers: as('db') })).status, 403);
  t.is(
    (await ask('DELETE', `${other}?children=detach`, { headers: as('db') })).status,
    204,
    'nobody can keep it alive',
  );
  t.is((await ask('DELETE', `${path}?children=orphan`, { headers: as('root') })).status, 400);
});

test('what a document says of parents is read, and what makes no sense is told by its place', t => {
  const problems = (more: object) => {
    const read = readJob(submission('www', 'child', more));
    return read.ok ? [] : read.problems.map(one => one.place);
  };
  const read = readJob(submission('www', 'child', { parents: ['one', 'db/prod/two'], join: 'latest', tokens_max: 3 }));
  t.like(read.ok && read.value, {
    parents: ['www/prod/one', 'db/prod/two'],
    join: 'latest',
    tokens_max: 3,
    overlap: { policy: 'buffer-all' },
    schedules: [],
  });
  t.deepEqual(problems({ parents: ['a', 'www/prod/a'] }), ['/parents/1']);
  t.deepEqual(problems({ parents: ['a/b'] }), ['/parents/0']);
  t.deepEqual(problems({ parents: ['a'], cron: '* * * * *' }), ['/parents']);
  t.deepEqual(problems({ parents: ['a'], service: true }), ['/parents']);
  t.deepEqual(problems({ join: 'each' }), ['/join']);
  t.deepEqual(problems({ trigger_rule: 'all_done', tokens_max: 2 }), ['/trigger_rule', '/tokens_max']);
  t.deepEqual(problems({ parents: ['a'], join: 'all' }), ['/join']);
  t.deepEqual(problems({ parents: Array.from({ length: 257 }, (_, n) => `p${n}`) }), ['/parents']);
  t.deepEqual(problems({ parents: null }), ['/parents']);
  t.deepEqual(problems({ service: true, soft_error: true }), ['/soft_error']);
});
