// framework.test.ts: subscribed or not, under which id, and what Mesos must be asked until it answers.

import test from 'ava';
import type { Effect } from '../../actors/effects.ts';
import {
  type FrameworkLimits,
  type FrameworkMessage,
  type FrameworkState,
  framework,
  newFramework,
} from '../../actors/framework/framework.ts';
import type { Event, TaskState } from '../../mesos/protocol.ts';

const limits = {
  resubscribe_ms: 100,
  resubscribe_ms_max: 5_000,
  reconcile_ms: 1_000,
  reconcile_ms_max: 60_000,
  reconcile_interval_ms: 600_000,
  reconcile_batch_max: 2,
  removed: 'stop' as const,
};
const task = (index: number) => `www:prod:hello:1.cron.a:${index}:1`;
const subscribed = (id: string): Event => ({ type: 'SUBSCRIBED', subscribed: { framework_id: { value: id } } });
const update = (task_id: string, state: TaskState, uuid?: string): Event => ({
  type: 'UPDATE',
  update: {
    status: {
      task_id: { value: task_id },
      state,
      agent_id: { value: 'S0' },
      ...(uuid === undefined ? {} : { uuid }),
    },
  },
});

function standing(id?: string, removed: FrameworkLimits['removed'] = 'stop') {
  let state: FrameworkState = newFramework(id);
  let now = 0;
  const move = framework({ ...limits, removed });
  return {
    state: () => state,
    tell(message: FrameworkMessage, at = now) {
      now = at;
      const next = move(state, message, now);
      state = next.state;
      return next.effects;
    },
    hear(...events: Event[]) {
      return this.tell({ type: 'events', events });
    },
  };
}
const calls = (effects: readonly Effect[]) => effects.flatMap(one => (one.type === 'call' ? [one.call] : []));
const armed = (effects: readonly Effect[]) =>
  effects.flatMap(one =>
    one.type === 'tell' && one.to === 'timetable' && one.message.type === 'armed'
      ? one.message.armed.map(({ key, at }) => [key, at])
      : [],
  );
const asked = (effects: readonly Effect[]) =>
  calls(effects).flatMap(one =>
    one.type === 'RECONCILE' ? [one.reconcile.tasks.map(({ task_id }) => task_id.value)] : [],
  );

test('the first id that Mesos gives is recorded, and used ever after', t => {
  const one = standing();
  t.like(one.tell({ type: 'begin' })[0], { type: 'subscribe', framework_id: undefined });
  t.like(one.hear(subscribed('F'))[0], { type: 'record', kind: 'framework', key: 'id', body: { framework_id: 'F' } });
  t.false(one.hear(subscribed('F')).some(effect => effect.type === 'record'));
  const again = standing('F');
  t.like(again.tell({ type: 'begin' })[0], { type: 'subscribe', framework_id: 'F' });
});

test('every subscription asks about everything that is with Mesos', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  t.true(
    one.hear(subscribed('F')).some(effect => effect.type === 'gather-tasks' && effect.settled_before === undefined),
  );
});

test('a subscription that ends is tried again, later each time, and from the start after a success', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  const end = { type: 'ended', end: { why: 'closed', message: '' }, random: 1 } as const;
  const pauses = [];
  for (let n = 0; n < 8; n++) {
    const [[what, at] = []] = armed(one.tell(end, 0));
    t.is(what, 'subscribe');
    pauses.push(at);
    t.like(one.tell({ type: 'due', what: 'subscribe' })[0], { type: 'subscribe', framework_id: 'F' });
  }
  t.deepEqual(pauses, [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
  one.hear(subscribed('F'));
  t.deepEqual(armed(one.tell(end, 0)), [['subscribe', 100]]);
  const lucky = standing('F');
  lucky.tell({ type: 'begin' });
  t.deepEqual(armed(lucky.tell({ ...end, random: 0 }, 0)), [['subscribe', 20]]);
});

test('the offers actor hears of the end, so that nothing void is used', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  one.hear(subscribed('F'));
  const effects = one.tell({ type: 'ended', end: { why: 'closed', message: '' }, random: 0 });
  t.true(
    effects.some(effect => effect.type === 'tell' && effect.to === 'offers' && effect.message.type === 'disconnected'),
  );
});

test('a late timer does not subscribe twice', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  one.hear(subscribed('F'));
  t.deepEqual(one.tell({ type: 'due', what: 'subscribe' }), []);
});

test('doubts are asked in batches, the next when one is answered or late, again and again until all are', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  one.hear(subscribed('F'));
  const doubt = [0, 1, 2].map(index => ({ task_id: task(index), agent_id: 'S0' }));
  const first = one.tell({ type: 'doubt', doubt });
  t.deepEqual(asked(first), [[task(0), task(1)]]);
  t.deepEqual(armed(first), [
    ['batch', 1_000],
    ['doubts', 1_000],
  ]);
  t.deepEqual(asked(one.hear(update(task(1), 'TASK_RUNNING'))), [], 'half an answer is not enough');
  const late = one.tell({ type: 'due', what: 'batch' }, 1_000);
  t.deepEqual(asked(late), [[task(2)]]);
  t.deepEqual(armed(late), []);
  const second = one.tell({ type: 'due', what: 'doubts' }, 1_000);
  t.deepEqual(asked(second), [[task(0), task(2)]]);
  t.deepEqual(armed(second), [['doubts', 3_000]]);
  const more = one.tell({ type: 'doubt', doubt: [{ task_id: task(3), agent_id: 'S0' }] }, 1_500);
  t.deepEqual(asked(more), [[task(0), task(2)]]);
  const answered = one.hear(update(task(0), 'TASK_UNKNOWN'), update(task(2), 'TASK_GONE'));
  t.deepEqual(asked(answered), [[task(3)]], 'the answer to one batch brings the next');
  one.hear(update(task(3), 'TASK_RUNNING'));
  t.deepEqual(one.tell({ type: 'due', what: 'doubts' }, 7_000), []);
});

test('a pause between questions has an upper bound', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  one.hear(subscribed('F'));
  one.tell({ type: 'doubt', doubt: [{ task_id: task(0), agent_id: undefined }] });
  for (let n = 0; n < 40; n++) one.tell({ type: 'due', what: 'doubts' }, 0);
  t.deepEqual(armed(one.tell({ type: 'due', what: 'doubts' }, 0)), [['doubts', 60_000]]);
});

test('doubts that come while nobody is subscribed are kept for the next subscription', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  const effects = one.tell({ type: 'doubt', doubt: [{ task_id: task(0), agent_id: 'S0' }] });
  t.deepEqual(asked(effects), []);
  t.deepEqual(armed(effects), [['doubts', 1_000]]);
  one.hear(subscribed('F'));
  t.deepEqual(asked(one.tell({ type: 'due', what: 'doubts' }, 1_000)), [[task(0)]]);
});

test('now and then everything that has settled is asked about', t => {
  const one = standing('F');
  t.deepEqual(armed(one.tell({ type: 'begin' }, 0)), [['round', 600_000]]);
  const effects = one.tell({ type: 'due', what: 'round' }, 600_000);
  t.like(effects[0], { type: 'gather-tasks', settled_before: 0 });
  t.deepEqual(armed(effects), [['round', 1_200_000]]);
});

test('a while after each subscription, and then rarely, Mesos is asked for all that it has of ours', t => {
  const one = standing('F');
  one.tell({ type: 'begin' }, 0);
  t.deepEqual(armed(one.hear(subscribed('F'))), [['sweep', 60_000]]);
  const effects = one.tell({ type: 'due', what: 'sweep' }, 60_000);
  t.deepEqual(calls(effects), [{ type: 'RECONCILE', reconcile: { tasks: [] } }]);
  t.deepEqual(armed(effects), [['sweep', 60_000 + 4 * 600_000]]);
  one.tell({ type: 'ended', end: { why: 'closed', message: '' }, random: 0 });
  t.deepEqual(one.tell({ type: 'due', what: 'sweep' }), []);
});

test('a task that nobody knows is killed if it lives, and acknowledged in any case', t => {
  const one = standing('F');
  const status = (state: TaskState) => ({
    task_id: { value: 'of-yesterday' },
    state,
    agent_id: { value: 'S0' },
    uuid: 'dQ==',
  });
  const said = (state: TaskState) =>
    calls(one.tell({ type: 'unrouted', unrouted: [status(state)] })).map(call => call.type);
  t.deepEqual(said('TASK_RUNNING'), ['ACKNOWLEDGE', 'KILL']);
  t.deepEqual(said('TASK_STAGING'), ['ACKNOWLEDGE', 'KILL']);
  t.deepEqual(said('TASK_FINISHED'), ['ACKNOWLEDGE']);
  t.deepEqual(said('TASK_UNREACHABLE'), ['ACKNOWLEDGE']);
});

test('an update goes to its instance; one whose id is not ours goes to nobody', t => {
  const one = standing('F');
  const keys = one
    .hear(update(task(3), 'TASK_RUNNING'), update('x', 'TASK_RUNNING'))
    .map(effect => (effect.type === 'route' ? effect.key : 'other'));
  t.deepEqual(keys, ['www/prod/hello/1.cron.a/3', undefined]);
});

test('events that nobody has heard of change nothing', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  const before = one.state();
  t.deepEqual(one.hear({ type: 'TOMORROW' } as unknown as Event, { type: 'HEARTBEAT' }), []);
  t.is(one.state(), before);
});

const error = (message: string): Event => ({ type: 'ERROR', error: { message } });
const gaveUp = (effects: readonly Effect[]) =>
  effects.flatMap(one => (one.type === 'give-up' ? [one.reason] : [])).join('; ');
const said = (effects: readonly Effect[], level: string) =>
  effects.flatMap(one => (one.type === 'log' && one.level === level ? [one.message] : []));

test('somebody else with our id is the end: to subscribe again would throw him out, and then us', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  t.regex(gaveUp(one.hear(error('Framework failed over'))), /Framework failed over: another scheduler .* F$/);
  t.deepEqual(one.tell({ type: 'ended', end: { why: 'closed', message: '' }, random: 0 }), []);
  t.deepEqual(one.tell({ type: 'due', what: 'subscribe' }), []);
});

test('a framework that Mesos has removed is the end, unless the setting says otherwise', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  const effects = one.hear(error('Framework has been removed'));
  t.regex(gaveUp(effects), /removed our framework F and killed its tasks: Framework has been removed.*register-anew/);
  t.false(
    effects.some(effect => effect.type === 'record'),
    'its id is kept',
  );
});

test('registering anew: the id goes, the tasks are told lost before anybody subscribes, and the next id is recorded', t => {
  const one = standing('F', 'register-anew');
  one.tell({ type: 'begin' });
  one.tell({ type: 'doubt', doubt: [{ task_id: task(7), agent_id: 'S9' }] });
  const effects = one.hear(error('Framework has been removed'));
  t.is(gaveUp(effects), '');
  t.is(said(effects, 'error').length, 1);
  t.like(effects.at(-2), { type: 'record', kind: 'framework', key: 'id', body: undefined });
  t.like(effects.at(-1), { type: 'gather-tasks', settled_before: undefined });
  const gone = one.tell({ type: 'doubt', doubt: [{ task_id: task(0), agent_id: 'S0' }] });
  t.like(gone[0], {
    type: 'route',
    key: 'www/prod/hello/1.cron.a/0',
    message: { type: 'updated', status: { state: 'TASK_GONE', agent_id: { value: 'S0' } } },
  });
  t.is(gone.filter(effect => effect.type === 'route').length, 1);
  t.deepEqual(asked(gone), []);
  one.tell({ type: 'ended', end: { why: 'closed', message: '' }, random: 0 });
  t.like(one.tell({ type: 'due', what: 'subscribe' })[0], { type: 'subscribe', framework_id: undefined });
  t.like(one.hear(subscribed('G'))[0], { type: 'record', kind: 'framework', key: 'id', body: { framework_id: 'G' } });
  t.deepEqual(asked(one.tell({ type: 'doubt', doubt: [] })), []);
  t.deepEqual(asked(one.tell({ type: 'doubt', doubt: [{ task_id: task(1), agent_id: 'S0' }] })), [[task(1)]]);
});

test('a role that was removed is no framework that was removed', t => {
  const one = standing('F', 'register-anew');
  one.tell({ type: 'begin' });
  const effects = one.hear(error("Role 'x' has been removed from the whitelist"));
  t.is(gaveUp(effects), '');
  t.false(effects.some(effect => effect.type === 'record'));
  t.is(one.state().framework_id, 'F');
});

test('a master that will not have us as we are is asked again, slowly, and its words are told', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  t.deepEqual(said(one.hear(error("Role 'x' is not on the master's list")), 'error').length, 1);
  const closed = { type: 'ended', end: { why: 'closed', message: 'the stream has ended' }, random: 1 } as const;
  t.deepEqual(armed(one.tell(closed, 0)), [['subscribe', 5_000]]);
  one.tell({ type: 'due', what: 'subscribe' });
  for (const status of [400, 401, 403, 404]) {
    const end = { why: 'refused', status, message: `http://m: ${status} no.` } as const;
    const effects = one.tell({ type: 'ended', end, random: 1 }, 0);
    t.deepEqual(armed(effects), [['subscribe', 5_000]], `${status}`);
    t.deepEqual(said(effects, 'error'), [`Mesos does not take us: http://m: ${status} no.`]);
    one.tell({ type: 'due', what: 'subscribe' });
  }
});

test('a master that does not lead yet is asked again soon', t => {
  for (const status of [307, 503]) {
    const one = standing('F');
    one.tell({ type: 'begin' });
    const end = { why: 'refused', status, message: '' } as const;
    t.deepEqual(armed(one.tell({ type: 'ended', end, random: 1 }, 0)), [['subscribe', 200]], `${status}`);
  }
});

test('whoever waits to subscribe does not wait on when a master is found', t => {
  const one = standing('F');
  one.tell({ type: 'begin' });
  t.deepEqual(one.tell({ type: 'master-found' }), []);
  one.tell({ type: 'ended', end: { why: 'unreachable', message: '' }, random: 1 }, 0);
  t.like(one.tell({ type: 'master-found' })[0], { type: 'subscribe', framework_id: 'F' });
  t.deepEqual(one.tell({ type: 'due', what: 'subscribe' }), []);
  one.hear(subscribed('F'));
  t.deepEqual(one.tell({ type: 'master-found' }), []);
});

test('a timer that means nothing is a mistake of ours, and says so', t => {
  t.throws(() => standing('F').tell({ type: 'due', what: 'tea' }), { message: /invalid due "tea"/ });
});

test('the status of an operation that somebody else asked for is acknowledged, so that it rests', t => {
  const one = standing('F');
  one.hear(subscribed('F'));
  const status = { state: 'OPERATION_FINISHED', operation_id: { value: 'o' }, uuid: { value: 'dQ==' } } as const;
  const effects = one.hear({ type: 'UPDATE_OPERATION_STATUS', update_operation_status: { status } });
  t.deepEqual(
    calls(effects).map(({ type }) => type),
    ['ACKNOWLEDGE_OPERATION_STATUS'],
  );
  const { uuid: _, ...bare } = status;
  t.deepEqual(calls(one.hear({ type: 'UPDATE_OPERATION_STATUS', update_operation_status: { status: bare } })), []);
});

test('notices of maintenance are accepted, looked after, and forgotten with the subscription', t => {
  const one = standing('F');
  one.hear(subscribed('F'));
  const inverse_offer = {
    id: { value: 'I1' },
    framework_id: { value: 'F' },
    agent_id: { value: 'S0' },
    unavailability: { start: { nanoseconds: 1e12 } },
  };
  const heard = one.hear({ type: 'INVERSE_OFFERS', inverse_offers: { inverse_offers: [inverse_offer] } });
  t.deepEqual(
    calls(heard).map(({ type }) => type),
    ['ACCEPT_INVERSE_OFFERS'],
  );
  const looked = one.tell({ type: 'due', what: 'notices' });
  t.true(looked.some(effect => effect.type === 'gather-tasks' && effect.of?.has('S0') === true));
  const asked = one.tell({ type: 'residents', residents: [{ task_id: task(0), agent_id: 'S0' }] });
  t.true(asked.some(effect => effect.type === 'tell' && effect.to === 'instance'));
  one.hear({ type: 'RESCIND_INVERSE_OFFER', rescind_inverse_offer: { inverse_offer_id: { value: 'I1' } } });
  t.is(one.state().notices.size, 0);
  one.hear({ type: 'INVERSE_OFFERS', inverse_offers: { inverse_offers: [inverse_offer] } });
  one.hear(subscribed('F'));
  t.is(one.state().notices.size, 0);
});
