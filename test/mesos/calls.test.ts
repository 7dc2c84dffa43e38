// calls.test.ts: what is not visible in the recordings of a well-behaved client. (The rest is in replay.test.ts.)

import test from 'ava';
import { acknowledgeCall, killCall, reviveCall, subscribeCall, suppressCall } from '../../mesos/calls.ts';

test('only an update that has a uuid is acknowledged', t => {
  const status = { task_id: { value: 't' }, state: 'TASK_GONE', agent_id: { value: 'S0' } } as const;
  t.is(acknowledgeCall(status), undefined);
  t.deepEqual(acknowledgeCall({ ...status, uuid: 'dXVpZA==' }), {
    type: 'ACKNOWLEDGE',
    acknowledge: { agent_id: { value: 'S0' }, task_id: { value: 't' }, uuid: 'dXVpZA==' },
  });
});

test('a framework that has an id gives it in both places', t => {
  const info = { user: 'root', name: 'horae' };
  t.false('framework_id' in subscribeCall(info));
  t.deepEqual(subscribeCall({ ...info, id: { value: 'f' } }), {
    type: 'SUBSCRIBE',
    framework_id: { value: 'f' },
    subscribe: { framework_info: { ...info, id: { value: 'f' } } },
  });
  t.deepEqual(subscribeCall(info, ['a']).subscribe.suppressed_roles, ['a']);
});

test('a kill may hurry', t => {
  t.deepEqual(killCall({ task_id: 't', agent_id: 'S0' }, 2000), {
    type: 'KILL',
    kill: {
      task_id: { value: 't' },
      agent_id: { value: 'S0' },
      kill_policy: { grace_period: { nanoseconds: 2_000_000_000 } },
    },
  });
});

test('suppress and revive name roles only where there are any', t => {
  t.deepEqual([suppressCall(), reviveCall()], [{ type: 'SUPPRESS' }, { type: 'REVIVE' }]);
  t.deepEqual(
    [suppressCall(['a']), reviveCall(['a'])],
    [
      { type: 'SUPPRESS', suppress: { roles: ['a'] } },
      { type: 'REVIVE', revive: { roles: ['a'] } },
    ],
  );
});
