// statistics.test.ts: how long runs take and what became of attempts, over the API.

import test from 'ava';
import { tallied } from '../../actors/job/tally.ts';
import type { FinishedAttempt, TallyRecord } from '../../actors/model/records.ts';
import { sortable } from '../../actors/model/records.ts';
import { attempt_page, slowest_jobs, statistics } from '../../transport/http/routes/statistics.ts';
import { hello, hello_path, serve } from './support/serve.ts';

const key = 'www/prod/hello';
const tallyOf = (...took: readonly number[]) =>
  took.reduce<TallyRecord | undefined>((tally, ms, n) => tallied(tally, 'succeeded', n, ms), undefined);

test('a job tells its counts and its durations; before its first success it has no durations', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  const before = await ask('GET', `${hello_path}/statistics`);
  t.is(before.status, 200);
  t.like(before.json, { job: key, successes: 0, failures: 0 });
  t.false('durations' in before.json);
  const body = tallied(tallyOf(100, 200, 300, 100_000), 'failed', 7);
  core.commit({ kind: 'tally', key, body });
  const after = statistics.parse((await ask('GET', `${hello_path}/statistics`)).json);
  t.like(after, { successes: 4, failures: 1, failures_since_success: 1, last_failure_at: '1970-01-01T00:00:00.007Z' });
  t.like(after.durations, { count: 4, p50_ms: 200, p75_ms: 301, max_ms: 100_000, p99_ms: 100_000, mean_ms: 25_150 });
  t.is((await ask('GET', '/api/v1/jobs/www/prod/nobody/statistics')).status, 404);
});

test('the slowest jobs come first, by whichever figure is asked for; who never succeeded is not among them', async t => {
  const { ask, core } = await serve(t);
  const took = { steady: [5_000, 5_000, 5_000], wild: [1, 1, 90_000], quick: [2, 2, 2], never: [] };
  for (const [name, all] of Object.entries(took)) {
    await ask('POST', '/api/v1/jobs', { json: { ...hello, name } });
    if (all.length > 0) core.commit({ kind: 'tally', key: `www/prod/${name}`, body: tallyOf(...all) });
  }
  const order = async (query: string) => {
    const answer = await ask('GET', `/api/v1/statistics${query}`);
    t.is(answer.status, 200);
    return slowest_jobs.parse(answer.json).jobs.map(one => one.job.split('/')[2]);
  };
  t.deepEqual(await order(''), ['wild', 'steady', 'quick']);
  t.deepEqual(await order('?percentile=p50'), ['steady', 'quick', 'wild']);
  t.deepEqual(await order('?percentile=max&limit=1'), ['wild']);
  t.is((await ask('GET', '/api/v1/statistics?percentile=p42')).status, 400);
});

test('attempts that are over are told newest first, a page at a time, with their host, their times and their logs', async t => {
  const { ask, core } = await serve(t);
  await ask('POST', '/api/v1/jobs', { json: hello });
  for (let attempt = 1; attempt <= 3; attempt++) {
    const task_id = `www:prod:hello:1.once:0:${attempt}`;
    const body: FinishedAttempt = {
      ...{ task_id, index: 0, attempt, agent_id: 'S0', hostname: 'h0', started_at: attempt * 1_000 },
      ...{ ended_at: attempt * 1_000 + 250, outcome: 'failed', reason: { code: 'exited', exit_code: attempt } },
    };
    core.commit({ kind: 'finished-attempt', key: `${key}/${sortable(body.ended_at)}/${task_id}`, body });
  }
  const first = await ask('GET', `${hello_path}/attempts?limit=2`);
  const page = attempt_page.parse(first.json);
  t.deepEqual(
    page.attempts.map(one => one.attempt),
    [3, 2],
  );
  t.like(page.attempts[0], {
    ...{ run: '1.once', hostname: 'h0', ran_ms: 250, started_at: '1970-01-01T00:00:03.000Z' },
    reason: { code: 'exited', exit_code: 3 },
    links: { run: `${hello_path}/runs/1.once`, stdout: `${hello_path}/runs/1.once/logs/0/stdout?attempt=3` },
  });
  const rest = attempt_page.parse((await ask('GET', page.next!)).json);
  t.deepEqual(
    rest.attempts.map(one => one.attempt),
    [1],
  );
  t.is(rest.next, undefined);
  const foreign = Buffer.from('www/prod/other/x').toString('base64url');
  t.is((await ask('GET', `${hello_path}/attempts?before=${foreign}`)).status, 400);
});
