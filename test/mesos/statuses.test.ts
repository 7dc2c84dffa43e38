// statuses.test.ts: the whole table, a test per row; rows marked with a number were recorded from a real master.

import test from 'ava';
import { type TaskStatus, task_states } from '../../mesos/protocol.ts';
import { type Conclusion, conclude, exitOf } from '../../mesos/statuses.ts';
import { json_streams, recordsIn, unchunked } from './support/recordings.ts';

type Row = readonly [
  status: Partial<TaskStatus> & Pick<TaskStatus, 'state'>,
  kind: Conclusion['kind'],
  cause: Conclusion['cause'],
  /** final, never started, result known. */
  flags: readonly [boolean, boolean, boolean],
  exit?: { readonly exit_code?: number; readonly signal?: string },
];
const under_way = [false, false, false] as const;
const ended = [true, false, true] as const;
const ended_somehow = [true, false, false] as const;
const never_ran = [true, true, false] as const;
const refused = [true, true, true] as const;

const table: readonly Row[] = [
  // on its way
  [
    {
      state: 'TASK_STAGING',
      source: 'SOURCE_MASTER',
      reason: 'REASON_RECONCILIATION',
      message: 'Reconciliation: Latest task state',
    },
    'starting',
    'progress',
    under_way,
  ], // 40
  [{ state: 'TASK_STARTING', source: 'SOURCE_EXECUTOR' }, 'starting', 'progress', under_way], // 02
  [{ state: 'TASK_RUNNING', source: 'SOURCE_EXECUTOR' }, 'running', 'progress', under_way], // 02
  [
    { state: 'TASK_RUNNING', reason: 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED', healthy: true },
    'running',
    'progress',
    under_way,
  ], // 15
  [
    { state: 'TASK_RUNNING', reason: 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED', healthy: false },
    'running',
    'progress',
    under_way,
  ], // 16
  [{ state: 'TASK_RUNNING', reason: 'REASON_TASK_CHECK_STATUS_UPDATED' }, 'running', 'progress', under_way], // 15
  [
    {
      state: 'TASK_RUNNING',
      source: 'SOURCE_MASTER',
      reason: 'REASON_AGENT_REREGISTERED',
      message: 'Unreachable agent re-reregistered',
    },
    'running',
    'progress',
    under_way,
  ], // 21
  [
    { state: 'TASK_RUNNING', source: 'SOURCE_MASTER', reason: 'REASON_RECONCILIATION' },
    'running',
    'progress',
    under_way,
  ], // 07
  [{ state: 'TASK_KILLING', source: 'SOURCE_EXECUTOR' }, 'killing', 'progress', under_way], // 05
  [{ state: 'TASK_KILLING', reason: 'REASON_AGENT_DRAINING' }, 'killing', 'progress', under_way], // 29
  // ended by itself
  [{ state: 'TASK_FINISHED', message: 'Command exited with status 0' }, 'finished', 'exited', ended, { exit_code: 0 }], // 02
  [{ state: 'TASK_FINISHED' }, 'finished', 'exited', ended],
  [{ state: 'TASK_FAILED', message: 'Command exited with status 3' }, 'failed', 'exited', ended, { exit_code: 3 }], // 03
  [
    { state: 'TASK_FAILED', message: 'Command terminated with signal Killed' },
    'failed',
    'signalled',
    ended,
    { signal: 'Killed' },
  ],
  [
    { state: 'TASK_FAILED', message: 'Command terminated with signal Segmentation fault (core dumped)' },
    'failed',
    'signalled',
    ended,
    { signal: 'Segmentation fault' },
  ],
  [
    { state: 'TASK_FAILED', message: 'Container exited with status 137' },
    'failed',
    'exited',
    ended,
    { exit_code: 137 },
  ],
  [
    { state: 'TASK_FAILED', reason: 'REASON_COMMAND_EXECUTOR_FAILED', message: 'Command exited with status 2' },
    'failed',
    'exited',
    ended,
    { exit_code: 2 },
  ],
  [{ state: 'TASK_FAILED', message: 'the plan went wrong at step 2' }, 'failed', 'exited', ended],
  [{ state: 'TASK_FAILED', healthy: false }, 'failed', 'unhealthy', ended],
  [
    {
      state: 'TASK_FAILED',
      reason: 'REASON_MAX_COMPLETION_TIME_REACHED',
      message: 'Command terminated with signal Terminated',
    },
    'failed',
    'timed-out',
    ended,
    { signal: 'Terminated' },
  ], // 17
  [{ state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LIMITATION_MEMORY' }, 'failed', 'over-limit', ended],
  [{ state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LIMITATION_DISK' }, 'failed', 'over-limit', ended],
  [{ state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LIMITATION' }, 'failed', 'over-limit', ended],
  [{ state: 'TASK_FAILED', reason: 'REASON_CONTAINER_PREEMPTED' }, 'failed', 'preempted', ended],
  // ended, and nobody knows how
  [{ state: 'TASK_FAILED', reason: 'REASON_COMMAND_EXECUTOR_FAILED' }, 'failed', 'result-unknown', ended_somehow],
  [
    {
      state: 'TASK_FAILED',
      source: 'SOURCE_AGENT',
      reason: 'REASON_EXECUTOR_TERMINATED',
      message: 'Executor terminated',
    },
    'failed',
    'result-unknown',
    ended_somehow,
  ], // 19, 20
  [{ state: 'TASK_FAILED', reason: 'REASON_EXECUTOR_UNREGISTERED' }, 'failed', 'result-unknown', ended_somehow],
  [
    { state: 'TASK_FAILED', reason: 'REASON_EXECUTOR_REREGISTRATION_TIMEOUT' },
    'failed',
    'result-unknown',
    ended_somehow,
  ],
  [{ state: 'TASK_FAILED', reason: 'REASON_SLAVE_RESTARTED' }, 'failed', 'result-unknown', ended_somehow],
  [{ state: 'TASK_FAILED', reason: 'REASON_AGENT_RESTARTED' }, 'failed', 'result-unknown', ended_somehow],
  [{ state: 'TASK_FAILED', reason: 'REASON_CONTAINER_UPDATE_FAILED' }, 'failed', 'result-unknown', ended_somehow],
  [{ state: 'TASK_FAILED', reason: 'REASON_IO_SWITCHBOARD_EXITED' }, 'failed', 'result-unknown', ended_somehow],
  // never came to run
  [
    {
      state: 'TASK_FAILED',
      source: 'SOURCE_AGENT',
      reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      message: "Failed to launch container: Failed to fetch all URIs for container 'c' exited with status 1",
    },
    'failed',
    'launch-failed',
    refused,
  ], // 18
  [{ state: 'TASK_FAILED', reason: 'REASON_EXECUTOR_REGISTRATION_TIMEOUT' }, 'failed', 'launch-failed', refused],
  [{ state: 'TASK_FAILED', reason: 'REASON_RESOURCES_UNKNOWN' }, 'failed', 'launch-failed', refused],
  [
    { state: 'TASK_ERROR', source: 'SOURCE_MASTER', reason: 'REASON_TASK_INVALID', message: 'Task uses no resources' },
    'invalid',
    'invalid',
    refused,
  ], // 09
  [
    { state: 'TASK_ERROR', source: 'SOURCE_MASTER', reason: 'REASON_TASK_GROUP_INVALID' },
    'invalid',
    'invalid',
    refused,
  ], // 15
  [{ state: 'TASK_ERROR', reason: 'REASON_TASK_UNAUTHORIZED' }, 'invalid', 'invalid', refused],
  [
    {
      state: 'TASK_DROPPED',
      source: 'SOURCE_MASTER',
      reason: 'REASON_INVALID_OFFERS',
      message: 'Task launched with invalid offers: Offer O1 is no longer valid',
    },
    'lost',
    'never-started',
    never_ran,
  ], // 09
  [{ state: 'TASK_DROPPED', source: 'SOURCE_AGENT', reason: 'REASON_GC_ERROR' }, 'lost', 'never-started', never_ran], // ex-29
  [{ state: 'TASK_DROPPED', reason: 'REASON_SLAVE_DISCONNECTED' }, 'lost', 'never-started', never_ran],
  // killed
  [
    { state: 'TASK_KILLED', message: 'Command terminated with signal Terminated' },
    'killed',
    'killed',
    ended,
    { signal: 'Terminated' },
  ], // 05
  [
    { state: 'TASK_KILLED', message: 'Command terminated with signal Killed' },
    'killed',
    'killed',
    ended,
    { signal: 'Killed' },
  ], // 06
  [{ state: 'TASK_KILLED', message: 'Command exited with status 0' }, 'killed', 'killed', ended, { exit_code: 0 }],
  [
    {
      state: 'TASK_KILLED',
      source: 'SOURCE_AGENT',
      reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
      message: 'Killed before delivery to the executor',
    },
    'killed',
    'killed',
    refused,
  ], // 05
  [
    { state: 'TASK_KILLED', healthy: false, message: 'Command terminated with signal Terminated' },
    'failed',
    'unhealthy',
    ended,
    { signal: 'Terminated' },
  ], // 16
  [
    { state: 'TASK_KILLED', healthy: true, message: 'Command terminated with signal Terminated' },
    'killed',
    'killed',
    ended,
    { signal: 'Terminated' },
  ],
  [
    { state: 'TASK_KILLED', reason: 'REASON_AGENT_DRAINING', message: 'Command terminated with signal Terminated' },
    'killed',
    'drained',
    ended,
    { signal: 'Terminated' },
  ], // 29
  [{ state: 'TASK_KILLED', reason: 'REASON_SLAVE_DRAINING' }, 'killed', 'drained', ended],
  // away, gone, unknown
  [
    {
      state: 'TASK_UNREACHABLE',
      source: 'SOURCE_MASTER',
      reason: 'REASON_AGENT_REMOVED',
      message: 'health check timed out',
    },
    'unreachable',
    'agent-away',
    under_way,
  ], // 21
  [
    {
      state: 'TASK_UNREACHABLE',
      source: 'SOURCE_MASTER',
      reason: 'REASON_RECONCILIATION',
      message: 'Reconciliation: Task is unreachable',
    },
    'unreachable',
    'agent-away',
    under_way,
  ], // 21
  [
    {
      state: 'TASK_LOST',
      source: 'SOURCE_MASTER',
      reason: 'REASON_AGENT_DISCONNECTED',
      message: 'Agent 127.0.0.1 disconnected',
    },
    'unreachable',
    'agent-away',
    under_way,
  ], // 23
  [
    { state: 'TASK_LOST', source: 'SOURCE_MASTER', reason: 'REASON_AGENT_REMOVED', message: 'health check timed out' },
    'unreachable',
    'agent-away',
    under_way,
  ], // 22
  [
    {
      state: 'TASK_LOST',
      source: 'SOURCE_MASTER',
      reason: 'REASON_RECONCILIATION',
      message: 'Reconciliation: Task is unknown',
    },
    'unknown',
    'not-known',
    under_way,
  ], // 07b
  [{ state: 'TASK_LOST', reason: 'REASON_INVALID_OFFERS' }, 'lost', 'never-started', never_ran],
  [{ state: 'TASK_LOST', reason: 'REASON_MASTER_DISCONNECTED' }, 'lost', 'never-started', never_ran],
  [{ state: 'TASK_LOST', reason: 'REASON_FRAMEWORK_REMOVED' }, 'lost', 'never-started', never_ran],
  [{ state: 'TASK_LOST', reason: 'REASON_INVALID_FRAMEWORKID' }, 'lost', 'never-started', never_ran],
  [{ state: 'TASK_LOST', reason: 'REASON_GC_ERROR' }, 'lost', 'never-started', never_ran],
  [{ state: 'TASK_LOST', reason: 'REASON_TASK_UNAUTHORIZED' }, 'lost', 'never-started', never_ran],
  [{ state: 'TASK_LOST', reason: 'REASON_TASK_GROUP_UNAUTHORIZED' }, 'lost', 'never-started', never_ran],
  [{ state: 'TASK_LOST', reason: 'REASON_EXECUTOR_TERMINATED' }, 'failed', 'result-unknown', ended_somehow],
  [{ state: 'TASK_LOST' }, 'unreachable', 'agent-away', under_way],
  [
    {
      state: 'TASK_GONE',
      source: 'SOURCE_MASTER',
      reason: 'REASON_RECONCILIATION',
      message: 'Reconciliation: Task is unknown to the agent',
    },
    'gone',
    'agent-gone',
    ended_somehow,
  ], // 05, 07
  [{ state: 'TASK_GONE', reason: 'REASON_CONTAINER_PREEMPTED' }, 'gone', 'preempted', ended_somehow],
  [
    {
      state: 'TASK_GONE_BY_OPERATOR',
      source: 'SOURCE_MASTER',
      reason: 'REASON_AGENT_REMOVED_BY_OPERATOR',
      message: 'Agent has been marked gone',
    },
    'gone',
    'agent-gone',
    under_way,
  ], // 29
  [
    {
      state: 'TASK_UNKNOWN',
      source: 'SOURCE_MASTER',
      reason: 'REASON_RECONCILIATION',
      message: 'Reconciliation: Task is unknown',
    },
    'unknown',
    'not-known',
    under_way,
  ], // 07
  // a state of the future
  [{ state: 'TASK_FROZEN' as TaskStatus['state'] }, 'unknown', 'not-known', under_way],
];

for (const [n, [given, kind, cause, [final, never_started, result_known], exit = {}]] of table.entries()) {
  const { state, reason, healthy, message } = given;
  const what = [state, reason, healthy === undefined ? undefined : `healthy=${healthy}`, message && `"${message}"`]
    .filter(Boolean)
    .join(' ');
  test(`row ${n}: ${what} is ${kind}, ${cause}`, t => {
    const conclusion = conclude({ task_id: { value: 't' }, ...given });
    t.deepEqual(conclusion, {
      kind,
      cause,
      final,
      never_started,
      result_known,
      ...exit,
      ...(healthy === undefined ? {} : { healthy }),
      reconciled: reason === 'REASON_RECONCILIATION',
      detail: [state, reason, message].filter(Boolean).join(' '),
    });
  });
}

test('every state that Mesos has is in the table', t => {
  const states = new Set(table.map(([{ state }]) => state));
  t.deepEqual(
    task_states.filter(state => !states.has(state)),
    [],
  );
});

test('the time of a status is in milliseconds', t => {
  t.is(
    conclude({ task_id: { value: 't' }, state: 'TASK_RUNNING', timestamp: 1795314015.7988117 }).at,
    1_795_314_015_799,
  );
});

test('only the words of the command itself tell an exit', t => {
  t.deepEqual(exitOf('Command exited with status 0'), { exit_code: 0 });
  t.deepEqual(exitOf('Command terminated with signal Terminated'), { signal: 'Terminated' });
  for (const message of [
    undefined,
    '',
    'Executor terminated',
    "Failed to fetch all URIs for container 'x' exited with status 1",
    'Killed before delivery to the executor',
  ])
    t.is(exitOf(message), undefined);
});

test('each recorded status leads to a conclusion, and none with words of an exit leaves it out', t => {
  for (const { recording, stream } of json_streams)
    for (const text of recordsIn(unchunked(stream.raw).body)) {
      const status = (JSON.parse(text) as { update?: { status: TaskStatus } }).update?.status;
      if (status === undefined) continue;
      const conclusion = conclude(status);
      const said = /^Command exited with status (\d+)$/.exec(status.message ?? '');
      t.is(conclusion.exit_code, said === null ? undefined : Number(said[1]), `${recording.name}: ${status.message}`);
      t.is(conclusion.at, Math.round(status.timestamp! * 1000));
    }
});
