// task-reports.test.ts: what executors say beside the states of tasks, as far as it is kept.

import test from 'ava';
import type { Event, TaskState } from '../../mesos/protocol.ts';
import { hearReports } from '../../mesos/task-reports.ts';

const said = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
const report = (more: object = {}) => said({ format: 1, stage: 'active', processes: [], ports: {}, ...more });
const health = { up: true, attempts: 3, failures_in_a_row: 0, successes_in_a_row: 3, history: [] };
const update = (task: string, state: TaskState, data?: string): Event => ({
  type: 'UPDATE',
  update: { status: { task_id: { value: task }, state, ...(data === undefined ? {} : { data }) } },
});

test('the last that was said of a task is known, with when, also when an update after it says nothing', t => {
  let now = 1;
  const reports = hearReports(() => now, 10);
  reports.heard([update('a', 'TASK_STARTING', report({ stage: 'starting' }))]);
  now = 2;
  reports.heard([update('a', 'TASK_RUNNING', report())]);
  now = 3;
  reports.heard([update('a', 'TASK_RUNNING'), update('b', 'TASK_RUNNING')]);
  t.like(reports.of('a'), { stage: 'active', heard_at: 2, over: false });
  t.is(reports.of('b'), undefined);
  reports.heard([update('a', 'TASK_FAILED')]);
  t.like(reports.of('a'), { stage: 'active', over: true });
});

test('what others write there, and what is no report, means nothing', t => {
  const reports = hearReports(() => 0, 10);
  for (const data of ['', '%', said(null), said([]), said({ format: 2 }), said({ format: 1 }), 'A'.repeat(100_000)])
    reports.heard([update('a', 'TASK_RUNNING', data)]);
  t.is(reports.of('a'), undefined);
});

test('so many are kept, and those of whom nothing was heard for longest go first', t => {
  const reports = hearReports(() => 0, 2);
  for (const task of ['a', 'b', 'a', 'c']) reports.heard([update(task, 'TASK_RUNNING', report())]);
  t.deepEqual(
    ['a', 'b', 'c'].filter(task => reports.of(task) !== undefined),
    ['a', 'c'],
  );
});

test('live tasks are counted by their health: a snoozed one is neither well nor sick', t => {
  const reports = hearReports(() => 0, 10);
  reports.heard([
    update('well', 'TASK_RUNNING', report({ health })),
    update('new', 'TASK_STARTING', report({ health: { ...health, up: false } })),
    update('sick', 'TASK_RUNNING', report({ health: { ...health, failures_in_a_row: 1 } })),
    update('snoozed', 'TASK_RUNNING', report({ health: { ...health, failures_in_a_row: 1, snoozed_since: 5 } })),
    update('unasked', 'TASK_RUNNING', report()),
    update('gone', 'TASK_KILLED', report({ health })),
  ]);
  t.deepEqual(reports.counts(), { well: 1, sick: 2, snoozed: 1 });
});

test('an answer to a question is heard of the task of whoever gives it, and not after its last word', t => {
  const reports = hearReports(() => 7, 10);
  const answer = (executor: string, tasks: unknown, type = 'report') => ({
    type: 'MESSAGE' as const,
    message: {
      agent_id: { value: 'S0' },
      executor_id: { value: executor },
      data: Buffer.from(JSON.stringify({ type, tasks })).toString('base64'),
    },
  });
  const well = JSON.parse(Buffer.from(report(), 'base64').toString());
  reports.heard([
    answer('a', { a: well, b: well }),
    answer('c', { c: well }, 'withdraw'),
    answer('d', null),
    answer('e', 7),
  ]);
  t.is(reports.of('a')?.heard_at, 7);
  t.deepEqual(
    ['b', 'c', 'd', 'e'].filter(task => reports.of(task) !== undefined),
    [],
  );
  reports.heard([update('a', 'TASK_FINISHED'), answer('a', { a: well })]);
  t.true(reports.of('a')?.over);
});
