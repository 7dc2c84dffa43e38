// steering.test.ts: pause, resume, backfill, and what a job shows of them.

import test from 'ava';
import { backfill_started, job_resource } from '../../transport/http/schemas.ts';
import { hello, hello_path, serve } from './support/serve.ts';

test('a paused job says why, since when and by whom, and goes on when resumed', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: { ...hello, cron: '* * * * *' } });
  const paused = await ask('POST', `${hello_path}/pause`, { json: { note: 'the disk is full' } });
  t.is(paused.status, 200);
  const shown = job_resource.parse(paused.json);
  t.is(shown.state, 'paused');
  t.like(shown.paused, { note: 'the disk is full', by: 'local' });
  const resumed = await ask('POST', `${hello_path}/resume`);
  t.is(resumed.status, 200);
  t.is(job_resource.parse(resumed.json).paused, undefined);
});

test('a pause without a note is refused', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: { ...hello, cron: '* * * * *' } });
  const refused = await ask('POST', `${hello_path}/pause`, { json: {} });
  t.is(refused.status, 422);
  t.like((refused.json.problems as object[])[0], { place: '/note' });
});

test('a backfill is handed on with its range in instants, under an id that follows from the idempotency key', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: { ...hello, cron: '0 * * * *' } });
  const wish = { from: '2026-01-01T00:00:00Z', to: '2026-01-02T01:00:00+01:00', overlap: { policy: 'allow', max: 2 } };
  const headers = { 'idempotency-key': 'january' };
  const begun = await ask('POST', `${hello_path}/backfill`, { json: wish, headers });
  t.is(begun.status, 202);
  backfill_started.parse(begun.json);
  const again = await ask('POST', `${hello_path}/backfill`, { json: wish, headers });
  t.is(again.json.backfill, begun.json.backfill);
  t.like(core.asked.at(-1)?.command, {
    type: 'backfill',
    from: Date.UTC(2026, 0, 1),
    to: Date.UTC(2026, 0, 2),
    overlap: { policy: 'allow', max: 2 },
  });
});

test('every problem of a backfill is told', async t => {
  const { ask } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: { ...hello, cron: '0 * * * *' } });
  const refused = await ask('POST', `${hello_path}/backfill`, { json: { from: 'yesterday', to: '2026-13-01' } });
  t.is(refused.status, 422);
  t.deepEqual(
    (refused.json.problems as { place: string }[]).map(each => each.place),
    ['/from', '/to'],
  );
});

test('what a finite schedule has left is shown, by its id', async t => {
  const { ask, core } = await serve(t);
  const schedules = [
    { id: 'few', iso8601: 'R5/2026-01-01T00:00:00Z/PT1H' },
    { id: 'ever', iso8601: 'R/2026-01-01T00:00:00Z/PT1H' },
  ];
  await ask('POST', '/api/v1/jobs', { json: { ...hello, schedules } });
  t.deepEqual((await ask('GET', hello_path)).json.remaining, { few: 5 });
  const cursor = { text: '', since: 0, decided: Date.UTC(2026, 0, 1, 1) };
  core.commit({
    kind: 'trigger',
    key: 'www/prod/hello',
    body: { cursors: { few: cursor, ever: cursor }, waiting: [] },
  });
  t.deepEqual((await ask('GET', hello_path)).json.remaining, { few: 3 });
  t.deepEqual((await ask('GET', '/api/v1/jobs')).json.jobs, [(await ask('GET', hello_path)).json]);
});
