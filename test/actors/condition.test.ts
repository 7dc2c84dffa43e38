// condition.test.ts: a task that runs and is not well is known to be so, until it is well again.

import test from 'ava';
import type { Effect } from '../../actors/effects.ts';
import { instance } from '../../actors/instance/instance.ts';
import type { InstanceRecord } from '../../actors/model/records.ts';
import type { TaskState, TaskStatus } from '../../mesos/protocol.ts';
import { jobOf, stateOf, times } from './support/lone-instance.ts';

const job = jobOf({ command: 'serve', service: true, partition_policy: { reschedule: false } });
const move = instance(times);

function play() {
  const placed = { attempt: 2, failures: 0, since: 0, agent_id: 'S0', hostname: 'h0', version: 1 };
  let state = stateOf('1.service', { type: 'service' }, job, { status: 'starting', ...placed });
  const hear = (said: TaskState, healthy?: boolean): readonly InstanceRecord[] => {
    const status: TaskStatus = {
      task_id: { value: 'www:prod:hello:1.service:0:2' },
      state: said,
      agent_id: { value: 'S0' },
      uuid: 'dXVpZA==',
      ...(healthy === undefined ? {} : { healthy }),
    };
    const next = move(state, { type: 'updated', status }, 1_000);
    state = next.state;
    const acknowledged = next.effects.at(-1) as Effect;
    if (acknowledged.type !== 'call' || acknowledged.call.type !== 'ACKNOWLEDGE')
      throw new Error('an update is acknowledged, whatever it says, after what is recorded of it');
    return next.effects.flatMap(one => (one.type === 'record' && one.kind === 'instance' ? [one.body!] : []));
  };
  return { hear, record: () => state.record };
}
const sick = (record: InstanceRecord | undefined) => record !== undefined && 'unhealthy' in record && record.unhealthy;

test('that a running task is sick, and that it is well again, is written down once each', t => {
  const { hear, record } = play();
  t.is(hear('TASK_RUNNING', true).length, 1);
  t.falsy(sick(record()));
  t.is(hear('TASK_RUNNING', true).length, 0, 'nothing new');
  const [ill] = hear('TASK_RUNNING', false);
  t.true(sick(ill));
  t.is(ill?.status, 'running', 'it runs all the same');
  t.is(hear('TASK_RUNNING', false).length, 0);
  t.is(hear('TASK_RUNNING').length, 0, 'who says nothing of health changes nothing');
  const [well] = hear('TASK_RUNNING', true);
  t.false('unhealthy' in well!);
});

test('who was sick when its agent went out of reach is sick when it is back, unless it says otherwise', t => {
  for (const [healthy, expected] of [
    [undefined, true],
    [false, true],
    [true, undefined],
  ] as const) {
    const { hear, record } = play();
    hear('TASK_RUNNING', true);
    hear('TASK_RUNNING', false);
    hear('TASK_UNREACHABLE');
    t.true(sick(record()), 'out of reach');
    hear('TASK_RUNNING', healthy);
    t.is(record()?.status, 'running');
    t.is(sick(record()) || undefined, expected);
  }
});
