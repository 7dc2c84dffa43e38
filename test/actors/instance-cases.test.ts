// instance-cases.test.ts: the cases 1 to 30 by which Aurora's life of a task is known, each a test that states its outcome.
//
// Their meanings are kept. Where Horae has decided otherwise the title says so. What is said of executors stands with those.

import test from 'ava';
import type { Effect } from '../../actors/effects.ts';
import { type InstanceMessage, type InstanceState, instance } from '../../actors/instance/instance.ts';
import { requirements } from '../../actors/instance/launch.ts';
import { taskId } from '../../actors/model/ids.ts';
import type { InstanceRecord } from '../../actors/model/records.ts';
import type { TaskState, TaskStatus } from '../../mesos/protocol.ts';
import { jobOf, now, times as ours, stateOf } from './support/lone-instance.ts';
import { brief } from './support/shorthand.ts';

const key = 'www/prod/hello/1.service/0';
/** Aurora's own numbers. */
const times = {
  ...ours,
  retry_delay_ms: 30_000,
  retry_delay_ms_max: 300_000,
  kill_retry_ms: 15_000,
  start_timeout_ms: 300_000,
};
const move = instance(times);
const once = jobOf();
const service = jobOf({ service: true });
const at = (record: InstanceRecord, job = service): InstanceState =>
  stateOf('1.service', { type: 'service' }, job, record);
const base = { attempt: 2, failures: 0, since: now };
const placed = { ...base, agent_id: 'S0', hostname: 'h0', version: 1 };
const pending = { status: 'pending', ...base } as const;
const assigned = { status: 'assigned', ...placed } as const;
const starting = { status: 'starting', ...placed } as const;
const running = { status: 'running', ...placed, started_at: now - 240_000 } as const;
const killing = { ...running, status: 'killing', by: 'ann', replace: false } as const;
const restarting = { ...killing, replace: true } as const;
const update = (state: TaskState, more: Partial<TaskStatus> = {}, attempt = 2): InstanceMessage => ({
  type: 'updated',
  status: { task_id: { value: taskId(key, attempt) }, state, agent_id: { value: 'S0' }, uuid: 'dXVpZA==', ...more },
});
const failed = update('TASK_FAILED', { message: 'Command exited with status 3' });
const kill = { type: 'kill', by: 'ann', replace: false, grace: true } as const;
const due = { type: 'due' } as const;
const begin = { type: 'begin' } as const;

/** What follows, as `status: effects`; see support/shorthand.ts. */
function told(state: InstanceState, message: InstanceMessage, when = now): string {
  const after = move(state, message, when);
  const said = brief(after.effects);
  return after.state.record === state.record
    ? `=${said === '' ? '' : `: ${said}`}`
    : `${after.state.record?.status}: ${said}`;
}
const then = (state: InstanceState, message: InstanceMessage, when = now) => move(state, message, when).state;
const armedAt = (effects: readonly Effect[]): number | undefined => {
  const [told] = effects.flatMap(one => (one.type === 'tell' && one.to === 'timetable' ? [one.message] : []));
  return told?.type === 'armed' ? told.armed[0]?.at : undefined;
};
const policy = (reschedule: boolean, delay_ms?: number) =>
  jobOf({ service: true, partition_policy: { reschedule, ...(delay_ms === undefined ? {} : { delay_ms }) } });

test('case 1: a kill ends who waits for a place, and no kill goes to an agent', t => {
  t.is(told(at(pending), kill), 'over: w R J-');
});

test('case 2: a kill of what runs is sent, and confirmed it is the end, without replacement', t => {
  t.is(told(at(running), kill), 'killing: R K T');
  t.is(told(at(killing), update('TASK_KILLED')), 'over: F:killed t R J- A');
});

test('case 3: whatever its end, what is being killed is not replaced', t => {
  for (const state of ['TASK_FINISHED', 'TASK_FAILED', 'TASK_GONE'] as const)
    t.is(told(at(killing), update(state)), 'over: F:killed t R J- A', state);
});

test('case 4: what was killed and says that it runs is killed again, and nothing else changes', t => {
  const over = then(at(killing), update('TASK_KILLED'));
  t.is(told(over, update('TASK_RUNNING')), '=: K A');
});

test('case 5: an attempt that nobody knows any more and that runs is killed, and nothing is kept of it', t => {
  t.is(told(at(running), update('TASK_RUNNING', {}, 1)), '=: K A');
  t.is(told(at(running), update('TASK_STARTING', {}, 77)), '=: K A');
});

test('case 6: a service that finishes is begun again under the next attempt of the same instance', t => {
  const { state, effects } = move(at(running), update('TASK_FINISHED'), now);
  t.like(state.record, { status: 'pending', attempt: 3 });
  t.regex(brief(effects), /^F:finished R [WT] A$/);
});

test('case 7: what runs once and finishes is over', t => {
  t.is(told(at(running, once), update('TASK_FINISHED')), 'over: F:finished R J- A');
});

test('case 8: the failure that reaches max_task_failures is the last, the one before it is not', t => {
  const ten = jobOf({ max_task_failures: 10 });
  t.like(then(at({ ...running, failures: 8 }, ten), failed).record, { status: 'pending', failures: 9 });
  t.like(then(at({ ...running, failures: 9 }, ten), failed).record, {
    status: 'over',
    outcome: 'failed',
    failures: 10,
  });
});

test('case 9: with -1 every failure is followed by another attempt', t => {
  const never = jobOf({ max_task_failures: -1 });
  for (const failures of [0, 1, 100, 100_000])
    t.like(then(at({ ...running, failures }, never), failed).record, { status: 'pending' });
});

test('case 10: a service is begun again however often it fails', t => {
  t.like(then(at({ ...running, failures: 1_000 }), failed).record, { status: 'pending', attempt: 3 });
});

test('case 11: what fails while it is restarted is begun again, and the failure is not counted', t => {
  t.like(then(at({ ...restarting, failures: 4 }), failed).record, { status: 'pending', attempt: 3, failures: 4 });
});

test('case 12, decided otherwise: assigned or starting for too long, it is killed and then begun again, never doubled', t => {
  for (const record of [assigned, starting]) {
    t.not(then(at(record), update('TASK_STARTING'), now + 299_999).record?.status, 'killing');
    const late = then(at(record), update('TASK_STARTING'), now + 300_000);
    t.like(late.record, { status: 'killing', by: 'start-timeout', replace: true });
    t.like(then(late, update('TASK_KILLED'), now + 300_001).record, { status: 'pending', attempt: 3, failures: 0 });
  }
});

test('case 13: a place that comes for an instance which waits no longer is given back, and nothing else happens', t => {
  const matched = requirements('www/prod/hello', 1, service, times.executor).plan;
  const granted = {
    group: 'g0',
    place: 0,
    task_id: taskId(key, 2),
    agent_id: 'S1',
    hostname: 'h1',
    ports: {},
    matched,
  };
  t.is(told(at(pending), { type: 'granted', granted }), 'assigned: R Y');
  for (const record of [assigned, starting, running, killing, restarting])
    t.is(told(at(record), { type: 'granted', granted }), '=: N', record.status);
});

test('case 14: told what is known already, it acknowledges and writes nothing', t => {
  t.is(told(at(running), update('TASK_RUNNING')), '=: A');
  t.is(told(at(starting), update('TASK_STARTING')), '=: A');
});

test('case 15: an instance that is there is not begun a second time', t => {
  for (const record of [assigned, starting, running]) t.is(told(at(record), begin), '=', record.status);
});

test('case 16: a kill without an answer is sent again after 15, 30, 60, 120, 240 and then every 300 s', t => {
  const first = move(at(running), kill, now);
  const gaps = [(armedAt(first.effects)! - now) / 1000];
  let clock = armedAt(first.effects)!;
  for (let more = 0; more < 7; more++) {
    const { effects } = move(first.state, due, clock);
    t.is(brief(effects), 'K T');
    gaps.push((armedAt(effects)! - clock) / 1000);
    clock = armedAt(effects)!;
  }
  t.deepEqual(gaps, [15, 30, 60, 120, 240, 300, 300, 300]);
  t.is(told(then(first.state, update('TASK_KILLED')), due), '=');
});

test('case 17: a service that fails soon waits 30 s, then twice as long each time, 300 s at most', t => {
  const waits = [0, 1, 2, 3, 4, 50].map(failures => {
    const record = then(at({ ...running, failures }), failed).record;
    return record?.status === 'pending' ? ((record.not_before ?? now) - now) / 1000 : undefined;
  });
  t.deepEqual(waits, [30, 60, 120, 240, 300, 300]);
  const well = then(at({ ...running, started_at: now - 300_000, failures: 4 }), failed).record;
  t.like(well, { status: 'pending', failures: 0 });
  t.false(well !== undefined && 'not_before' in well);
});

test('case 18: after a restart, a drain or a preemption nobody waits', t => {
  for (const by of ['ann', 'maintenance', 'preemption']) {
    const { record } = then(at({ ...restarting, by, started_at: now - 1_000, failures: 3 }), update('TASK_KILLED'));
    t.like(record, { status: 'pending', failures: 3 });
    t.false(record !== undefined && 'not_before' in record);
  }
  const drained = then(at(running), update('TASK_KILLED', { reason: 'REASON_AGENT_DRAINING' })).record;
  t.like(drained, { status: 'pending', failures: 0 });
});

test('case 19: what it waits does not hang on how much of its history is still kept', t => {
  const waits = [2, 20_000].map(attempt => {
    const record = then(
      at({ ...running, attempt }),
      update('TASK_FAILED', { message: 'Command exited with status 3' }, attempt),
    ).record;
    return record?.status === 'pending' ? record.not_before : undefined;
  });
  t.deepEqual(waits, [now + 30_000, now + 30_000]);
});

test('case 20: the ports of an attempt end with it; the next has none until it has a place, and then its own', t => {
  const web = jobOf({ service: true, ports: ['http'] });
  const again = then(at({ ...running, ports: { http: 31_000 } }, web), failed);
  t.false(again.record !== undefined && 'ports' in again.record);
  const matched = requirements('www/prod/hello', 1, web, times.executor).plan;
  const ready = { ...again, record: { status: 'pending', attempt: 3, failures: 1, since: now } } as const;
  const granted = {
    group: 'g0',
    place: 0,
    task_id: taskId(key, 3),
    agent_id: 'S1',
    hostname: 'h1',
    ports: { http: 31_777 },
    matched,
  };
  t.like(then(ready, { type: 'granted', granted }).record, { status: 'assigned', ports: { http: 31_777 } });
});

test('case 21, decided otherwise: what does not answer to a kill is not taken for gone; the kill is repeated', t => {
  t.is(told(at(killing), due, now + 10 * 300_000), '=: K T');
  t.is(told(at(killing), update('TASK_UNKNOWN')), 'over: F:killed t R J- A');
});

test('case 22: where the policy is to reschedule at once, a partitioned attempt is lost and another begins', t => {
  const away = move(at(running, policy(true)), update('TASK_UNREACHABLE'), now);
  t.is(away.state.record?.status, 'unreachable');
  t.is(armedAt(away.effects), now);
  t.is(told(away.state, due), 'pending: F:lost t R W K');
});

test('case 22, where nothing is said: a service is begun again, and what is to run once is waited for', t => {
  const away = move(at(running, service), update('TASK_UNREACHABLE'), now);
  t.is(told(away.state, due), 'pending: F:lost t R W K');
  t.is(told(then(at(running, once), update('TASK_UNREACHABLE')), due, now + 1e12), '=');
});

test('case 23: where the policy is not to reschedule, it stays partitioned however long, and comes back as itself', t => {
  const away = then(at(running, policy(false)), update('TASK_UNREACHABLE'));
  t.is(told(away, due, now + 1e12), '=');
  const back = then(away, update('TASK_RUNNING'), now + 1e12);
  t.like(back.record, { status: 'running', attempt: 2, started_at: running.started_at });
});

test('case 24: who comes back within the delay runs on, and nothing was lost', t => {
  const away = then(at(running, policy(true, 30_000)), update('TASK_UNREACHABLE'));
  t.is(told(away, update('TASK_RUNNING'), now + 20_000), 'running: t R A');
  t.is(told(then(away, update('TASK_RUNNING'), now + 20_000), due, now + 30_000), '=');
});

test('case 25: who does not come back within the delay is lost and replaced', t => {
  const away = then(at(running, policy(true, 30_000)), update('TASK_UNREACHABLE'));
  t.is(told(away, due, now + 29_999), '=: T');
  t.is(told(away, due, now + 30_000), 'pending: F:lost t R W K');
});

test('case 26: a new scheduler gives up when the old one would have', t => {
  const away = then(at(running, policy(true, 60_000)), update('TASK_UNREACHABLE'));
  t.is(armedAt(move(away, begin, now + 40_000).effects), now + 60_000);
});

test('case 27: under a policy, what is being killed behind a partition is over; without one the kill is repeated', t => {
  for (const reschedule of [true, false])
    t.is(told(at(killing, policy(reschedule)), update('TASK_UNREACHABLE')), 'over: F:killed t R J- A');
  t.is(told(at(killing, once), update('TASK_UNREACHABLE')), '=: A');
});

test('case 28: under any policy, what is drained or restarted behind a partition is replaced', t => {
  for (const reschedule of [true, false])
    t.is(told(at(restarting, policy(reschedule, 60_000)), update('TASK_UNREACHABLE')), 'pending: F:killed t R W A');
});

test('case 29: given up behind a partition and back again, it is killed', t => {
  const away = then(at(running, policy(true)), update('TASK_UNREACHABLE'));
  t.is(told(then(away, due), update('TASK_RUNNING')), '=: K A');
});

test('case 30: however often its agent goes and comes, one record says where it stands', t => {
  let state = at(running, policy(false));
  let size = 0;
  for (let cycle = 0; cycle < 100; cycle++) {
    state = then(state, update('TASK_UNREACHABLE'), now + cycle);
    state = then(state, update('TASK_RUNNING'), now + cycle);
    if (cycle === 0) size = JSON.stringify(state.record).length;
  }
  t.true(JSON.stringify(state.record).length <= size);
  t.like(state.record, { status: 'running', attempt: 2 });
});
