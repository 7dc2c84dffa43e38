// tries.test.ts: retries, time-outs and call-backs, decided without a world: which failure is tried again, when, until when.

import test from 'ava';
import { deadlineOf } from '../../actors/instance/deadlines.ts';
import { retryDelay } from '../../actors/instance/delays.ts';
import type { InstanceState } from '../../actors/instance/instance.ts';
import { type JobSubmission, readJob } from '../../actors/model/job.ts';
import type { EndReason } from '../../actors/model/reasons.ts';
import type { InstanceRecord } from '../../actors/model/records.ts';
import { isTriedAgain } from '../../actors/model/tries.ts';

const now = Date.UTC(2026, 0, 1);
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'true' };
const times = { retry_delay_ms: 1_000, retry_delay_ms_max: 60_000 };
const key = 'www/prod/hello/1.s0.abc/0';

const jobOf = (more: Partial<JobSubmission>) => {
  const read = readJob({ ...base, ...more });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  return read.value;
};
const problemsOf = (more: object) => {
  const read = readJob({ ...base, ...more });
  return read.ok ? [] : read.problems.map(({ place, message }) => `${place}: ${message}`);
};

test('retries wait as their job says: first delay, factor, ceiling', t => {
  const delays = (retry: JobSubmission['retry'], more: Partial<JobSubmission> = {}) =>
    [1, 2, 3, 4, 5].map(n => retryDelay(jobOf({ retries: 9, retry, ...more }), key, n, times));
  t.deepEqual(delays({ delay_ms: 100, factor: 3, delay_ms_max: 1_000 }), [100, 300, 900, 1_000, 1_000]);
  t.deepEqual(delays({ delay_ms: 5_000, factor: 1 }), [5_000, 5_000, 5_000, 5_000, 5_000]);
  t.deepEqual(delays({ delay_ms: 90_000 }), [90_000, 90_000, 90_000, 90_000, 90_000], 'not less than it asks for');
  t.deepEqual(delays({ delay_ms_max: 2_500 }), [1_000, 2_000, 2_500, 2_500, 2_500]);
  t.deepEqual(delays(undefined, { retry_delay_ms: 20_000 }), [20_000, 40_000, 60_000, 60_000, 60_000]);
  t.deepEqual(delays({ delay_ms: 0 }), [0, 0, 0, 0, 0]);
});

test('jitter spreads what failed together, within its part, and draws the same for the same attempt', t => {
  const job = jobOf({ retries: 9, retry: { delay_ms: 10_000, jitter: 0.5 } });
  const drawn = Array.from({ length: 200 }, (_, n) => retryDelay(job, `www/prod/hello/1.s0.abc/${n}`, 1, times));
  t.true(drawn.every(ms => ms > 5_000 && ms <= 10_000));
  t.true(new Set(drawn).size > 150);
  t.true(drawn.filter(ms => ms < 7_500).length > 60 && drawn.filter(ms => ms > 7_500).length > 60);
  t.deepEqual(
    drawn,
    drawn.map((_, n) => retryDelay(job, `www/prod/hello/1.s0.abc/${n}`, 1, times)),
  );
});

test('with exit codes only these are tried again, and what was not the doing of the command', t => {
  const some = jobOf({ retries: 3, retry: { exit_codes: [75, 3] } });
  const any = jobOf({ retries: 3 });
  const table: readonly (readonly [EndReason, some: boolean, any: boolean])[] = [
    [{ code: 'exited', exit_code: 75 }, true, true],
    [{ code: 'exited', exit_code: 1 }, false, true],
    [{ code: 'called-back', status_code: 3, by: 'bob' }, true, true],
    [{ code: 'called-back', status_code: 4, by: 'bob' }, false, true],
    [{ code: 'signalled', signal: 'Killed' }, false, true],
    [{ code: 'over-limit', message: '' }, false, true],
    [{ code: 'unhealthy', message: '' }, false, true],
    [{ code: 'launch-failed', message: '' }, true, true],
    [{ code: 'result-unknown', message: '' }, true, true],
    [{ code: 'lost', message: '' }, true, true],
    [{ code: 'invalid', message: '' }, false, false],
    [{ code: 'timed-out', which: 'run', limit_ms: 1 }, false, true],
    [{ code: 'timed-out', which: 'start', limit_ms: 1 }, false, false],
    [{ code: 'timed-out', which: 'total', limit_ms: 1 }, false, false],
    [{ code: 'timed-out', which: 'call-back', limit_ms: 1 }, false, false],
  ];
  for (const [reason, with_codes, without] of table) {
    t.is(isTriedAgain(some, reason), with_codes, JSON.stringify(reason));
    t.is(isTriedAgain(any, reason), without, JSON.stringify(reason));
  }
});

const at = (record: InstanceRecord, timeouts: JobSubmission['timeouts'], more: Partial<InstanceState> = {}) =>
  deadlineOf(
    {
      key,
      job_key: 'www/prod/hello',
      run: '1.s0.abc',
      index: 0,
      cause: { type: 'target', schedule: 's0', at: now - 60_000 },
      job: jobOf({ timeouts, async: true }),
      version: 1,
      run_created_at: now - 50_000,
      record,
      ...more,
    },
    { call_back_ms: 9_000 },
  );

test('the first time-out that will pass counts: start from when it was due, run from its process, total from the run', t => {
  const tried = { attempt: 2, failures: 1, since: now - 5_000 };
  const placed = { ...tried, agent_id: 'S0', hostname: 'h0', version: 1 };
  const ran = { ...placed, started_at: now - 3_000 };
  const all = { start_ms: 1_000, run_ms: 2_000, total_ms: 100_000 };
  t.like(at({ status: 'pending', ...tried }, all), { which: 'start', at: now - 59_000 });
  t.like(at({ status: 'assigned', ...placed }, all), { which: 'start', at: now - 59_000 });
  t.like(at({ status: 'pending', ...tried, begun: true }, all), { which: 'total', at: now + 50_000 });
  t.like(at({ status: 'running', ...ran }, all), { which: 'run', at: now - 1_000 });
  t.like(at({ status: 'unreachable', ...ran }, all), { which: 'run', at: now - 1_000 });
  t.like(at({ status: 'running', ...ran }, { ...all, run_ms: 500_000 }), { which: 'total', at: now + 50_000 });
  t.like(at({ status: 'awaiting', ...ran }, all), { which: 'call-back', at: now + 4_000, limit_ms: 9_000 });
  t.like(at({ status: 'awaiting', ...ran }, { call_back_ms: 7_000 }), { which: 'call-back', at: now + 2_000 });
  t.like(at({ status: 'awaiting', ...ran }, { total_ms: 51_000 }), { which: 'total', at: now + 1_000 });
  t.is(at({ status: 'running', ...ran }, undefined), undefined);
  t.is(at({ status: 'killing', ...ran, by: 'ann', replace: false }, all), undefined);
  const caught_up = { cause: { type: 'target', schedule: 's0', at: now - 9e6, caught_up: true } } as const;
  t.like(at({ status: 'pending', ...tried }, all, caught_up), { which: 'start', at: now - 49_000 });
});

test('what makes no sense is refused with its place', t => {
  t.deepEqual(problemsOf({ retry_delay_ms: 5, retry: { delay_ms: 6 } }), [
    '/retry/delay_ms: retry.delay_ms 6 and retry_delay_ms 5 say different things',
  ]);
  t.deepEqual(problemsOf({ retry: { delay_ms: 6, delay_ms_max: 5 } }), [
    '/retry/delay_ms_max: the longest delay 5 is shorter than the first, 6',
  ]);
  t.deepEqual(problemsOf({ service: true, timeouts: { run_ms: 5 }, async: true, retry: { exit_codes: [1] } }), [
    '/retry/exit_codes: a service is always restarted, however it ended',
    '/timeouts: a service runs for ever',
    '/async: a service has no end that could be reported',
  ]);
  t.deepEqual(problemsOf({ timeouts: { call_back_ms: 5 } }), [
    '/timeouts/call_back_ms: nobody waits for a call-back: the job is not async',
  ]);
  for (const bad of [{ factor: 0.5 }, { jitter: 1.5 }, { exit_codes: [] }, { exit_codes: ['1'] }, { delay_ms: -1 }])
    t.is(problemsOf({ retry: bad }).length, 1, JSON.stringify(bad));
  for (const bad of [{ run_ms: 0 }, { run_ms: 1.5 }, { end_ms: 5 }, null])
    t.is(problemsOf({ timeouts: bad }).length, 1, JSON.stringify(bad));
});
