// schedules.test.ts: what the server tells of schedules.

import test from 'ava';
import { explanation } from '../../transport/http/schemas.ts';
import { serve } from './support/serve.ts';

const path = '/api/v1/schedules/explain';
const query = (fields: Record<string, string>) => `${path}?${new URLSearchParams(fields)}`;

test('a schedule is explained: its next instants with offsets, its words, the clock changes that touch it', async t => {
  const { ask } = await serve(t);
  const spec = { spec: '30 2 * * *', zone: 'Europe/Vienna', from: '2026-03-28T00:00:00Z', count: '2' };
  const told = await ask('GET', query(spec));
  t.is(told.status, 200);
  const body = explanation.strict().parse(told.json);
  t.deepEqual(body.next, ['2026-03-28T02:30:00+01:00', '2026-03-29T03:00:00+02:00']);
  t.like(body.dst[0], { date: '2026-03-29', kind: 'gap', runs_at: ['2026-03-29T03:00:00+02:00'] });
  const skipped = await ask('GET', query({ ...spec, gap: 'skip' }));
  t.deepEqual(skipped.json.next, ['2026-03-28T02:30:00+01:00', '2026-03-30T02:30:00+02:00']);
});

test('a schedule that names no zone is explained in the default zone of the scheduler', async t => {
  const { ask } = await serve(t, { default_zone: 'Asia/Tokyo' });
  const told = await ask('GET', query({ spec: '0 9 * * *', from: '2026-01-01', count: '1' }));
  t.deepEqual(told.json.next, ['2026-01-01T09:00:00+09:00']);
});

test('a bad schedule is 422 with every problem, its place and what would be right', async t => {
  const { ask } = await serve(t);
  const told = await ask('GET', query({ spec: '0 25 * * *', zone: 'Mars/Base', count: '9999' }));
  t.is(told.status, 422);
  const problems = told.json.problems as { place: string; message: string; expected: string }[];
  t.deepEqual(
    problems.map(each => each.place),
    ['?count', '?spec', '?zone'],
  );
  t.like(problems[1], { message: 'hour 25 in "0 25 * * *": expected 0-23', expected: '0-23' });
  t.is((await ask('GET', query({ spec: 'R/2026-01-01T00:00:00Z/PT0S' }))).status, 422);
  t.is((await ask('GET', query({ spec: '0 0 30 2 *' }))).status, 422);
  t.is((await ask('GET', query({ spec: '* '.repeat(5_000) }))).status, 422);
  t.is((await ask('GET', path)).status, 400);
});
