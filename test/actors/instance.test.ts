// instance.test.ts: the whole matrix of one instance, every status by every message, and what the table cannot say.
//
// The expected column was written by hand from what Mesos does and what a scheduler owes its users, not from the code.

import test from 'ava';
import fc from 'fast-check';
import type { Effect } from '../../actors/effects.ts';
import { type InstanceMessage, type InstanceState, instance } from '../../actors/instance/instance.ts';
import { requirements } from '../../actors/instance/launch.ts';
import { taskId } from '../../actors/model/ids.ts';
import type { FinishedAttempt, InstanceRecord } from '../../actors/model/records.ts';
import { type TaskState, type TaskStatus, task_states } from '../../mesos/protocol.ts';
import { jobOf as anyJob, now, stateOf, times } from './support/lone-instance.ts';
import { brief } from './support/shorthand.ts';

const key = 'www/prod/hello/1.cron.abc/0';
const move = instance(times);

const jobOf = (more: object = {}) => anyJob({ retries: 2, ...more });
const job = jobOf();
const at = (record: InstanceRecord | undefined, the = job): InstanceState =>
  stateOf('1.cron.abc', { type: 'target', schedule: 'cron', at: now - 60_000 }, the, record);

const base = { attempt: 2, failures: 0, since: now - 1_000 };
const placed = { ...base, agent_id: 'S0', hostname: 'h0', version: 1 };
const ran = { ...placed, started_at: now - 500 };
/** Every status there is, at attempt 2. */
const statuses = {
  none: undefined,
  pending: { status: 'pending', ...base },
  delayed: { status: 'pending', ...base, not_before: now + 1_000 },
  assigned: { status: 'assigned', ...placed },
  starting: { status: 'starting', ...placed },
  running: { status: 'running', ...ran },
  unreachable: { status: 'unreachable', ...ran },
  killing: { status: 'killing', ...ran, by: 'ann', replace: false },
  replacing: { status: 'killing', ...ran, by: 'ann', replace: true },
  over: { status: 'over', ...base, outcome: 'succeeded', reason: { code: 'exited', exit_code: 0 } },
} as const satisfies Record<string, InstanceRecord | undefined>;
type Status = keyof typeof statuses;

const { plan: matched } = requirements('www/prod/hello', 1, job, times.executor);
const granted = (attempt: number, group = matched.group) =>
  ({
    type: 'granted',
    granted: {
      group: 'g0',
      place: 0,
      task_id: taskId(key, attempt),
      agent_id: 'S1',
      hostname: 'h1',
      ports: {},
      matched: { ...matched, group },
    },
  }) as const;
const update = (state: string, more: Partial<TaskStatus> = {}, attempt = 2): InstanceMessage => ({
  type: 'updated',
  status: {
    task_id: { value: taskId(key, attempt) },
    state: state as TaskState,
    agent_id: { value: 'S0' },
    uuid: 'dXVpZA==',
    timestamp: now / 1000,
    ...more,
  },
});
const kill = (more: { replace?: boolean; grace?: boolean } = {}) =>
  ({ type: 'kill', by: 'bob', replace: false, grace: true, ...more }) as const;

const messages = {
  begin: { type: 'begin' },
  granted: granted(2),
  'granted, stale': granted(1),
  'granted, for an older version': granted(2, 'www/prod/hello@0'),
  dropped: { type: 'dropped', task_id: taskId(key, 2), why: 'test' },
  'dropped, stale': { type: 'dropped', task_id: taskId(key, 1), why: 'test' },
  STAGING: update('TASK_STAGING'),
  STARTING: update('TASK_STARTING'),
  RUNNING: update('TASK_RUNNING'),
  KILLING: update('TASK_KILLING'),
  FINISHED: update('TASK_FINISHED'),
  FAILED: update('TASK_FAILED', { message: 'Command exited with status 3' }),
  'FAILED, result lost': update('TASK_FAILED', { reason: 'REASON_EXECUTOR_TERMINATED' }),
  KILLED: update('TASK_KILLED'),
  'KILLED, unhealthy': update('TASK_KILLED', { healthy: false }),
  'KILLED, drained': update('TASK_KILLED', { reason: 'REASON_AGENT_DRAINING' }),
  ERROR: update('TASK_ERROR', { reason: 'REASON_TASK_INVALID' }),
  LOST: update('TASK_LOST', { reason: 'REASON_AGENT_DISCONNECTED' }),
  'LOST, offer gone': update('TASK_LOST', { reason: 'REASON_INVALID_OFFERS' }),
  'LOST, reconciled': update('TASK_LOST', { reason: 'REASON_RECONCILIATION' }),
  DROPPED: update('TASK_DROPPED'),
  UNREACHABLE: update('TASK_UNREACHABLE'),
  GONE: update('TASK_GONE'),
  GONE_BY_OPERATOR: update('TASK_GONE_BY_OPERATOR'),
  UNKNOWN: update('TASK_UNKNOWN'),
  'a state of tomorrow': update('TASK_HIBERNATING'),
  'RUNNING, earlier attempt': update('TASK_RUNNING', {}, 1),
  'FINISHED, earlier attempt': update('TASK_FINISHED', {}, 1),
  kill: kill(),
  'kill at once': kill({ grace: false }),
  'kill and replace': kill({ replace: true }),
  vacate: { type: 'vacate', agent_id: 'S0', all: false },
  'vacate, all': { type: 'vacate', agent_id: 'S0', all: true },
  'vacate, another agent': { type: 'vacate', agent_id: 'S9', all: true },
  reconfigured: { type: 'reconfigured', job: jobOf({ cpus: 2 }), version: 2 },
  due: { type: 'due' },
} as const satisfies Record<string, InstanceMessage>;

/** The status that follows (= the same) and what is done, in order; see support/shorthand.ts. `.` = nothing at all. */
const table: Record<keyof typeof messages, Record<Status, string>> = rows(`
message                       | none         | pending       | delayed        | assigned                | over
begin                         | pending: W   | =: W          | =: T           | .                       | .
granted                       | =: N         | assigned: R Y | =: N           | =: N                    | =: N
granted, stale                | =: N         | =: N          | =: N           | =: N                    | =: N
granted, for an older version | =: N         | =: N          | =: N           | =: N                    | =: N
dropped                       | .            | .             | .              | pending: R W            | .
dropped, stale                | .            | .             | .              | .                       | .
STAGING                       | =: K A       | =: K A        | =: K A         | starting: R A           | =: K A
STARTING                      | =: K A       | =: K A        | =: K A         | starting: R A           | =: K A
RUNNING                       | =: K A       | =: K A        | =: K A         | running: R J+ A         | =: K A
KILLING                       | =: A         | =: A          | =: A           | =: A                    | =: A
FINISHED                      | =: A         | =: A          | =: A           | over: F:finished R J- A | =: A
FAILED                        | =: A         | =: A          | =: A           | delayed: F:failed R T A | =: A
FAILED, result lost           | =: A         | =: A          | =: A           | delayed: F:failed R T A | =: A
KILLED                        | =: A         | =: A          | =: A           | pending: F:lost R W A   | =: A
KILLED, unhealthy             | =: A         | =: A          | =: A           | delayed: F:failed R T A | =: A
KILLED, drained               | =: A         | =: A          | =: A           | pending: F:lost R W A   | =: A
ERROR                         | =: A         | =: A          | =: A           | over: F:failed R J- A   | =: A
LOST                          | =: A         | =: A          | =: A           | unreachable: R A        | =: A
LOST, offer gone              | =: A         | =: A          | =: A           | pending: R W A          | =: A
LOST, reconciled              | =: A         | =: A          | =: A           | =: A                    | =: A
DROPPED                       | =: A         | =: A          | =: A           | pending: R W A          | =: A
UNREACHABLE                   | =: A         | =: A          | =: A           | unreachable: R A        | =: A
GONE                          | =: A         | =: A          | =: A           | pending: R W A          | =: A
GONE_BY_OPERATOR              | =: A         | =: A          | =: A           | pending: R W A          | =: A
UNKNOWN                       | =: A         | =: A          | =: A           | pending: R W A          | =: A
a state of tomorrow           | =: A         | =: A          | =: A           | =: A                    | =: A
RUNNING, earlier attempt      | =: K A       | =: K A        | =: K A         | =: K A                  | =: K A
FINISHED, earlier attempt     | =: A         | =: A          | =: A           | =: A                    | =: A
kill                          | .            | over: w R J-  | over: w t R J- | killing: R V T          | .
kill at once                  | .            | over: w R J-  | over: w t R J- | killing: R V T          | .
kill and replace              | .            | .             | .              | replacing: R V T        | .
vacate                        | .            | .             | .              | .                       | .
vacate, all                   | .            | .             | .              | replacing: R V T        | .
vacate, another agent         | .            | .             | .              | .                       | .
reconfigured                  | .            | =: w W        | =: w T         | .                       | .
due                           | .            | =: W          | =: T           | .                       | .

message                       | starting                | running                 | unreachable
begin                         | .                       | .                       | .
granted                       | =: N                    | =: N                    | =: N
granted, stale                | =: N                    | =: N                    | =: N
granted, for an older version | =: N                    | =: N                    | =: N
dropped                       | .                       | .                       | .
dropped, stale                | .                       | .                       | .
STAGING                       | =: A                    | =: A                    | starting: R A
STARTING                      | =: A                    | =: A                    | starting: R A
RUNNING                       | running: R J+ A         | =: A                    | running: R A
KILLING                       | =: A                    | =: A                    | =: A
FINISHED                      | over: F:finished R J- A | over: F:finished R J- A | over: F:finished R J- A
FAILED                        | delayed: F:failed R T A | delayed: F:failed R T A | delayed: F:failed R T A
FAILED, result lost           | delayed: F:failed R T A | delayed: F:failed R T A | delayed: F:failed R T A
KILLED                        | pending: F:lost R W A   | pending: F:lost R W A   | pending: F:lost R W A
KILLED, unhealthy             | delayed: F:failed R T A | delayed: F:failed R T A | delayed: F:failed R T A
KILLED, drained               | pending: F:lost R W A   | pending: F:lost R W A   | pending: F:lost R W A
ERROR                         | over: F:failed R J- A   | over: F:failed R J- A   | over: F:failed R J- A
LOST                          | unreachable: R A        | unreachable: R A        | =: A
LOST, offer gone              | pending: F:lost R W A   | pending: F:lost R W A   | pending: F:lost R W A
LOST, reconciled              | =: A                    | =: A                    | =: A
DROPPED                       | pending: F:lost R W A   | pending: F:lost R W A   | pending: F:lost R W A
UNREACHABLE                   | unreachable: R A        | unreachable: R A        | =: A
GONE                          | delayed: F:failed R T A | delayed: F:failed R T A | delayed: F:failed R T A
GONE_BY_OPERATOR              | delayed: F:failed R T A | delayed: F:failed R T A | delayed: F:failed R T A
UNKNOWN                       | delayed: F:failed R T A | delayed: F:failed R T A | delayed: F:failed R T A
a state of tomorrow           | =: A                    | =: A                    | =: A
RUNNING, earlier attempt      | =: K A                  | =: K A                  | =: K A
FINISHED, earlier attempt     | =: A                    | =: A                    | =: A
kill                          | killing: R K T          | killing: R K T          | killing: R K T
kill at once                  | killing: R K0 T         | killing: R K0 T         | killing: R K0 T
kill and replace              | replacing: R K T        | replacing: R K T        | replacing: R K T
vacate                        | .                       | .                       | .
vacate, all                   | replacing: R K T        | replacing: R K T        | replacing: R K T
vacate, another agent         | .                       | .                       | .
reconfigured                  | .                       | .                       | .
due                           | .                       | .                       | .

message                       | killing                 | replacing
begin                         | =: K T                  | =: K T
granted                       | =: N                    | =: N
granted, stale                | =: N                    | =: N
granted, for an older version | =: N                    | =: N
dropped                       | over: F:killed t R J-   | pending: F:killed t R W
dropped, stale                | .                       | .
STAGING                       | =: A                    | =: A
STARTING                      | =: A                    | =: A
RUNNING                       | =: K A                  | =: K A
KILLING                       | =: A                    | =: A
FINISHED                      | over: F:killed t R J- A | pending: F:killed t R W A
FAILED                        | over: F:killed t R J- A | pending: F:killed t R W A
FAILED, result lost           | over: F:killed t R J- A | pending: F:killed t R W A
KILLED                        | over: F:killed t R J- A | pending: F:killed t R W A
KILLED, unhealthy             | over: F:killed t R J- A | pending: F:killed t R W A
KILLED, drained               | over: F:killed t R J- A | pending: F:killed t R W A
ERROR                         | over: F:killed t R J- A | pending: F:killed t R W A
LOST                          | =: A                    | =: A
LOST, offer gone              | over: F:killed t R J- A | pending: F:killed t R W A
LOST, reconciled              | =: A                    | =: A
DROPPED                       | over: F:killed t R J- A | pending: F:killed t R W A
UNREACHABLE                   | =: A                    | =: A
GONE                          | over: F:killed t R J- A | pending: F:killed t R W A
GONE_BY_OPERATOR              | over: F:killed t R J- A | pending: F:killed t R W A
UNKNOWN                       | over: F:killed t R J- A | pending: F:killed t R W A
a state of tomorrow           | =: A                    | =: A
RUNNING, earlier attempt      | =: K A                  | =: K A
FINISHED, earlier attempt     | =: A                    | =: A
kill                          | .                       | killing: R
kill at once                  | killing: R K0 T         | killing: R K0 T
kill and replace              | .                       | .
vacate                        | .                       | .
vacate, all                   | .                       | .
vacate, another agent         | .                       | .
reconfigured                  | .                       | .
due                           | =: K T                  | =: K T
`);

/** Reads the tables, whose columns are statuses, into one. */
function rows(text: string) {
  const all: Record<string, Record<string, string>> = {};
  for (const part of text.trim().split('\n\n')) {
    const [head, ...lines] = part.split('\n').map(line => line.split('|').map(cell => cell.trim()));
    for (const [name, ...cells] of lines)
      all[name!] = { ...all[name!], ...Object.fromEntries(cells.map((cell, n) => [head![n + 1], cell])) };
  }
  return all;
}

const nameOf = (record: InstanceRecord | undefined): Status | 'awaiting' => {
  if (record === undefined) return 'none';
  if (record.status === 'pending')
    return record.not_before !== undefined && record.not_before > now ? 'delayed' : 'pending';
  if (record.status === 'killing') return record.replace ? 'replacing' : 'killing';
  return record.status;
};
const lastRecord = (effects: readonly Effect[]) =>
  effects.findLast(one => one.type === 'record' && one.kind === 'instance');

for (const [name, message] of Object.entries(messages) as [keyof typeof messages, InstanceMessage][])
  test(`${name}, in every status`, t => {
    for (const [status, record] of Object.entries(statuses) as [Status, InstanceRecord | undefined][]) {
      const before = at(record);
      const after = move(before, message, now);
      const same = after.state.record === record;
      const said = brief(after.effects);
      const told = same && said === '' ? '.' : `${same ? '=' : nameOf(after.state.record)}: ${said}`;
      t.is(told, table[name][status], status);
      // What is kept in memory is what is kept in the journal, and nothing is written that did not change.
      const written = lastRecord(after.effects);
      // That a new one waits for its first place is said by the record of its run.
      if (same || status === 'none') t.is(written, undefined, `${status}: no record without a change`);
      else t.like(written, { key, body: after.state.record }, status);
      // Mesos forgets an update once it is acknowledged: so that comes last, once, and only when it was asked for.
      const kinds = after.effects.map(one => (one.type === 'call' ? one.call.type : one.type));
      const wants = message.type === 'updated';
      t.is(kinds.filter(kind => kind === 'ACKNOWLEDGE').length, wants ? 1 : 0, status);
      if (wants) t.true(kinds.indexOf('ACKNOWLEDGE') > kinds.lastIndexOf('record'), status);
      if (message.type === 'updated') {
        const { uuid: _, ...status_without } = message.status;
        const bare = move(before, { type: 'updated', status: status_without }, now);
        t.is(
          brief(bare.effects),
          said.replace(/ ?\bA\b/, '').trim(),
          `${status}: the same without a uuid, unacknowledged`,
        );
        t.deepEqual(bare.state, after.state);
      }
    }
  });

test('a service leaves an agent that goes into maintenance at once, and is begun again elsewhere', t => {
  const { state, effects } = move(
    at(statuses.running, jobOf({ service: true, retries: undefined })),
    messages.vacate,
    now,
  );
  t.like(state.record, { status: 'killing', replace: true, by: 'maintenance' });
  t.like(move(state, messages.KILLED, now).state.record, { status: 'pending', attempt: 3, failures: 0 });
  t.is(brief(effects), 'R K T');
});

test('a kill that nobody confirms is asked again, each time after twice as long, up to five minutes', t => {
  let state = at({ ...statuses.killing, since: now });
  const gaps: number[] = [];
  for (let clock = now + times.kill_retry_ms; gaps.length < 9; ) {
    const after = move(state, { type: 'due' }, clock);
    t.is(brief(after.effects), 'K T');
    const [told] = after.effects.flatMap(one => (one.type === 'tell' && one.to === 'timetable' ? [one.message] : []));
    const next = told?.type === 'armed' ? told.armed[0]!.at : clock;
    gaps.push((next - clock) / 1000);
    clock = next;
    state = after.state;
  }
  t.deepEqual(gaps, [10, 20, 40, 80, 160, 300, 300, 300, 300]);
});

test('an attempt of which nothing comes is killed and begun again elsewhere, when Mesos is asked and still says so', t => {
  const late = now + times.start_timeout_ms - 1_000;
  for (const status of ['assigned', 'starting'] as const)
    for (const message of [messages.STAGING, messages.STARTING]) {
      t.not(move(at(statuses[status]), message, late - 1).state.record?.status, 'killing');
      const { state, effects } = move(at(statuses[status]), message, late);
      t.like(state.record, { status: 'killing', by: 'start-timeout', replace: true });
      t.regex(brief(effects), /^R [KV] T A$/);
      t.like(move(state, messages.KILLED, late).state.record, { status: 'pending', attempt: 3, failures: 0 });
    }
  for (const status of ['running', 'unreachable', 'killing', 'over'] as const)
    t.not(move(at(statuses[status]), messages.STARTING, late).state.record?.status === 'killing', status !== 'killing');
});

test('whoever is behind a partition is waited for, or replaced after the delay that the job asks for', t => {
  const patient = at(statuses.running, jobOf({ partition_policy: { reschedule: false, delay_ms: 5 } }));
  t.is(brief(move(patient, messages.UNREACHABLE, now).effects), 'R A');
  t.is(brief(move(at(statuses.unreachable, patient.job), messages.due, now + 1e9).effects), '');

  const policy = { partition_policy: { reschedule: true, delay_ms: 60_000 } };
  const away = move(at(statuses.running, jobOf(policy)), messages.UNREACHABLE, now);
  t.is(brief(away.effects), 'R T A');
  t.is(brief(move(away.state, messages.due, now + 59_999).effects), 'T', 'not before its time');
  const given_up = move(away.state, messages.due, now + 60_000);
  t.like(given_up.state.record, { status: 'pending', attempt: 3, failures: 0 });
  t.is(brief(given_up.effects), 'F:lost t R W K');
  t.is(
    brief(move(given_up.state, messages.RUNNING, now + 60_001).effects),
    'K A',
    'it is not let live when it comes back',
  );

  t.is(brief(move(away.state, messages.RUNNING, now + 1).effects), 't R A', 'in time');
  t.is(brief(move(away.state, messages.STARTING, now + 1).effects), 't R A', 'in time, and not so far yet');
  t.regex(brief(move(away.state, messages.FAILED, now + 1).effects), /^F:failed t R T A$/);
  t.is(brief(move(away.state, { type: 'begin' }, now + 1).effects), 'T', 'after a restart of the scheduler');
  t.is(brief(move(away.state, messages.kill, now + 1).effects), 'R K T');
});

test('a partition, a drain and a replacement are not the doing of a service: none of them counts as flapping', t => {
  const service = jobOf({ service: true, retries: undefined });
  const fresh = { ...statuses.unreachable, failures: 3 };
  for (const name of ['GONE', 'GONE_BY_OPERATOR', 'UNKNOWN', 'KILLED, drained'] as const)
    t.like(move(at(fresh, service), messages[name], now).state.record, { status: 'pending', failures: 3 }, name);
  const replaced = move(at({ ...statuses.replacing, failures: 3 }, service), messages.KILLED, now).state.record;
  t.like(replaced, { status: 'pending', failures: 3 });
  t.is(replaced?.status === 'pending' ? replaced.not_before : 0, undefined);
  // What ends by itself behind a partition is begun again as well.
  t.like(move(at(fresh, service), messages.FINISHED, now).state.record, { status: 'pending', attempt: 3 });
});

test('the table has every state of Mesos', t => {
  for (const state of task_states) t.true(state.replace('TASK_', '') in table, state);
});

test('a new attempt has a new number, and carries the failures', t => {
  const failed = move(at(statuses.running), messages.FAILED, now).state.record;
  t.like(failed, { status: 'pending', attempt: 3, failures: 1, not_before: now + 1_000 });
  const lost = move(at(statuses.running), messages.KILLED, now).state.record;
  t.like(lost, { status: 'pending', attempt: 3, failures: 0 });
});

test('max_task_failures ends the instance, counted in failures and not in attempts', t => {
  const failing = (failures: number, the = job) =>
    move(at({ ...statuses.running, attempt: 2, failures }, the), messages.FAILED, now).state.record;
  t.like(failing(1), { status: 'pending', failures: 2 });
  t.like(failing(2), { status: 'over', outcome: 'failed', failures: 3, reason: { code: 'exited', exit_code: 3 } });
  t.like(failing(500, jobOf({ retries: undefined, max_task_failures: -1 })), { status: 'pending', failures: 501 });
});

test('a result that nobody saw counts as a failure, and says so', t => {
  const once = jobOf({ retries: 0 });
  for (const message of [messages['FAILED, result lost'], messages.GONE, messages.UNKNOWN]) {
    const { state } = move(at(statuses.running, once), message, now);
    t.like(state.record, { status: 'over', outcome: 'failed', failures: 1 });
    t.regex(state.record?.status === 'over' ? state.record.reason.code : '', /^(result-unknown|lost)$/);
  }
});

test('a service is restarted however it ends, for ever', t => {
  const service = jobOf({ service: true, retries: undefined });
  for (const message of [messages.FINISHED, messages.FAILED, messages.KILLED, messages.ERROR, messages.GONE]) {
    const { state } = move(at({ ...statuses.running, failures: 10_000 }, service), message, now);
    t.like(state.record, { status: 'pending', attempt: 3 });
  }
});

test('a service that is being killed is not restarted, whatever Mesos says of it', t => {
  const service = jobOf({ service: true, retries: undefined });
  for (const name of [
    'FINISHED',
    'FAILED',
    'KILLED',
    'ERROR',
    'DROPPED',
    'GONE',
    'UNKNOWN',
    'KILLED, unhealthy',
  ] as const)
    t.like(
      move(at(statuses.killing, service), messages[name], now).state.record,
      { status: 'over', outcome: 'killed' },
      name,
    );
});

test('retries wait longer each time, up to a limit; a service that was well starts anew', t => {
  const delay = (failures: number, the = job, started_at = now - 500) => {
    const { state } = move(at({ ...statuses.running, failures, started_at }, the), messages.FAILED, now);
    return state.record?.status === 'pending' ? (state.record.not_before ?? now) - now : undefined;
  };
  const patient = jobOf({ retries: undefined, max_task_failures: -1 });
  t.deepEqual(
    [0, 1, 2, 5, 6, 100].map(n => delay(n, patient)),
    [1_000, 2_000, 4_000, 32_000, 60_000, 60_000],
  );
  t.is(delay(0, jobOf({ retry_delay_ms: 7 })), 7);
  const service = jobOf({ service: true, retries: undefined });
  t.is(delay(9, service), 60_000);
  t.is(delay(9, service, now - times.well_after_ms), 0);
});

test('a place that vanishes again and again is looked for more slowly, but not after a task that was well', t => {
  const delay = (attempt: number, started_at: number) => {
    const message = update('TASK_KILLED', {}, attempt);
    const { state } = move(at({ ...statuses.running, attempt, started_at }), message, now);
    return state.record?.status === 'pending' ? (state.record.not_before ?? now) - now : undefined;
  };
  t.deepEqual(
    [1, 2, 3, 4, 40].map(n => delay(n, now - 500)),
    [0, 0, 1_000, 2_000, 60_000],
  );
  t.is(delay(40, now - times.well_after_ms), 0);
});

test('a delay that is over leads to asking', t => {
  const after = move(at(statuses.delayed), { type: 'due' }, now + 1_000);
  t.is(brief(after.effects), 'W');
});

test('a kill is repeated until it is answered, always with its own haste', t => {
  const first = move(at(statuses.running), kill({ grace: false }), now);
  t.is(brief(first.effects), 'R K0 T');
  t.is(brief(move(first.state, { type: 'due' }, now + 5_000).effects), 'K0 T');
  t.is(brief(move(at(first.state.record), { type: 'begin' }, now).effects), 'K0 T', 'after a restart as well');
  t.is(brief(move(at(statuses.killing), { type: 'due' }, now).effects), 'K T');
});

test('how an attempt ended is told with where and since when it ran', t => {
  const { effects } = move(
    at(statuses.running),
    update('TASK_FAILED', { message: 'Command terminated with signal Killed' }),
    now,
  );
  const row = effects.find(one => one.type === 'record' && one.kind === 'finished-attempt');
  t.like(row, {
    body: {
      task_id: taskId(key, 2),
      attempt: 2,
      agent_id: 'S0',
      hostname: 'h0',
      started_at: now - 500,
      ended_at: now,
      outcome: 'failed',
      reason: { code: 'signalled', signal: 'Killed' },
    } satisfies Partial<FinishedAttempt>,
  });
});

test('the start is counted once per attempt, however often Mesos tells of it', t => {
  const first = move(at(statuses.assigned), messages.RUNNING, now);
  const away = move(first.state, messages.UNREACHABLE, now);
  const back = move(away.state, messages.RUNNING, now);
  t.is([first, away, back].flatMap(one => brief(one.effects).split(' ')).filter(one => one === 'J+').length, 1);
  t.deepEqual(back.state.record, {
    ...first.state.record,
    since: now,
    assigned_at: statuses.assigned.since,
    away_at: now,
  });
});

test('after any afternoon: attempts only grow, no attempt is launched twice, the end is the end', t => {
  const any_message = fc.oneof(
    fc.constantFrom(...Object.values(messages).filter(one => one.type !== 'updated' && one.type !== 'granted')),
    fc.record({ state: fc.constantFrom(...task_states), behind: fc.nat(2) }),
    fc.constant('grant' as const),
    fc.nat(4_000).map(wait_ms => ({ wait_ms })),
  );
  fc.assert(
    fc.property(fc.array(any_message, { maxLength: 60 }), fc.boolean(), (afternoon, service) => {
      let time = now;
      let state = at(undefined, service ? jobOf({ service, retries: undefined }) : job);
      const launched = new Set<string>();
      for (const one of [{ type: 'begin' } as const, ...afternoon]) {
        if (typeof one === 'object' && 'wait_ms' in one) {
          time += one.wait_ms;
          continue;
        }
        const attempt = state.record?.attempt ?? 1;
        const message: InstanceMessage =
          one === 'grant'
            ? granted(attempt, `www/prod/hello@${state.version}`)
            : 'behind' in one
              ? update(one.state, {}, Math.max(1, attempt - one.behind))
              : one;
        const before = state;
        const after = move(state, message, time);
        state = after.state;
        if ((state.record?.attempt ?? 1) < attempt) return false;
        if (before.record?.status === 'over' && state.record !== before.record) return false;
        const written = after.effects.filter(effect => effect.type === 'record' && effect.kind === 'instance');
        // That it waits for its first place is said by the record of its run, if it is of no service.
        const silent = state.record === before.record || (before.record === undefined && !service);
        if (written.length !== (silent ? 0 : 1)) return false;
        for (const effect of after.effects)
          if (effect.type === 'tell' && effect.to === 'offers' && effect.message.type === 'answered')
            for (const { plan } of effect.message.answered) {
              if (plan === undefined) continue;
              if (launched.has(plan.task_id)) return false;
              launched.add(plan.task_id);
            }
      }
      return true;
    }),
    { numRuns: 500, seed: 11 },
  );
  t.pass();
});
