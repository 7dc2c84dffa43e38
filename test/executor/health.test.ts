// health.test.ts: Aurora's arithmetic of health, answer for answer.

import test from 'ava';
import type { HealthDocument } from '../../mesos/executor/document.ts';
import {
  attemptsToBeUp,
  type Checked,
  diagnose,
  forgivenAttempts,
  type Health,
  snoozeOf,
  untested,
  upAlready,
  windowMs,
} from '../../mesos/executor/health.ts';

const check = (more: Partial<HealthDocument> = {}): HealthDocument => ({
  checker: { type: 'shell', command: 'true' },
  initial_interval_ms: 15_000,
  interval_ms: 10_000,
  timeout_ms: 1_000,
  max_consecutive_failures: 0,
  min_consecutive_successes: 1,
  ...more,
});
const ok: Checked = { ok: true };
const bad: Checked = { ok: false, why: 'no' };

/** `+` is a good answer, `-` a bad one; comes back as one letter an answer: w(ait), u(p), s(ick). */
function answers(rules: HealthDocument, text: string, from: Health = untested): string {
  let health = from;
  let verdicts = '';
  for (const [at, sign] of [...text].entries()) {
    const diagnosis = diagnose(health, rules, sign === '+' ? ok : bad, at);
    health = diagnosis.health;
    verdicts += diagnosis.verdict[0];
    if (diagnosis.verdict === 'sick') break;
  }
  return verdicts;
}

test('two attempts are forgiven and three allowed by default; the window says how long that may take', t => {
  t.is(forgivenAttempts(check()), 2);
  t.is(attemptsToBeUp(check()), 3);
  t.is(windowMs(check()), 30_000);
  t.is(forgivenAttempts(check({ initial_interval_ms: 0 })), 0);
});

test('case 125: fail, fail, ok is RUNNING on the third attempt; three failures are FAILED', t => {
  t.is(answers(check(), '--+'), 'wwu');
  t.is(answers(check(), '---'), 'wws');
  const last = diagnose({ ...untested, attempts: 2 }, check(), bad, 0);
  t.is(last.why, 'Not enough successful health checks in time. no');
});

test('case 126: three in a row are three in a row: ok, a forgiven failure, then three more', t => {
  t.is(answers(check({ min_consecutive_successes: 3 }), '+-+++'), 'wwwwu');
});

test('a good first answer is enough, even inside the grace period', t => {
  t.is(answers(check(), '+'), 'u');
});

test('failures inside the grace period are ignored even when the task is up already', t => {
  t.is(answers(check(), '+-'), 'uw');
  t.is(answers(check(), '+--'), 'uws');
});

test('once up, so many failures in a row are borne and one more is not; a success forgives them', t => {
  const rules = check({ initial_interval_ms: 0, max_consecutive_failures: 2 });
  t.is(answers(rules, '+--+--+---'), 'uwwwwwwwws');
  t.is(diagnose({ ...upAlready(rules), failures_in_a_row: 2 }, rules, bad, 0).why, 'Failed health check! no');
});

test('it fails at once when the attempts that are left cannot suffice', t => {
  // n = 0 + 2 + 4: after two failures four are left, after the third only three.
  const rules = check({ initial_interval_ms: 0, max_consecutive_failures: 2, min_consecutive_successes: 4 });
  t.is(answers(rules, '--++++'), 'wwwwwu');
  t.is(answers(rules, '-+-'), 'wws');
});

test('with one attempt left it is made, however hopeless, and then time is up', t => {
  // n = 0 + 2 + 2: two bad ones leave two attempts; a good and a bad one leave none.
  const rules = check({ initial_interval_ms: 0, max_consecutive_failures: 2, min_consecutive_successes: 2 });
  t.is(answers(rules, '-+-+'), 'wwws');
  t.is(answers(rules, '--+-'), 'wwws');
});

test('a task that was up before its executor was started again gets no second grace period', t => {
  t.is(answers(check(), '-', upAlready(check())), 's');
  t.is(answers(check(), '++', upAlready(check())), 'ww');
});

test('a snooze lasts until its instant, for so many seconds, or as long as its file is there', t => {
  const written_at = Date.parse('2026-03-01T12:00:00Z');
  t.deepEqual(snoozeOf('', written_at, written_at), {});
  t.deepEqual(snoozeOf('600\n', written_at, written_at), { until: written_at + 600_000 });
  t.is(snoozeOf('600', written_at, written_at + 600_000), undefined);
  t.deepEqual(snoozeOf('2026-03-01T13:00:00Z', written_at, written_at), { until: written_at + 3_600_000 });
  t.deepEqual(snoozeOf('until I am back', written_at, written_at), {});
});
