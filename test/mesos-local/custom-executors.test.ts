// custom-executors.test.ts: what the master makes of executors that a framework brings along.
//
// The agent is a notebook here: it writes down what it is ordered, and the test speaks in its place.

import test from 'ava';
import { hostMaster } from '../../mesos/local/host.ts';
import { resourcesFor } from '../../mesos/local/index.ts';
import type { AgentOrder } from '../../mesos/local/messages.ts';
import type { Call, Event, ExecutorInfo, Offer, TaskInfo, TaskState } from '../../mesos/protocol.ts';
import { simulatedClock } from '../../schedules/clock.ts';
import { subscription } from './support/glass.ts';

const machine = resourcesFor({ cpus: 4, mem: 4096, disk: 10_000 });

function house(checkpoint = true) {
  const clock = simulatedClock(1_000_000_000_000);
  const host = hostMaster(clock, { ids_prefix: 'm' });
  const orders: AgentOrder[] = [];
  const events: Event[] = [];
  const agent = { id: 'a', obey: (order: AgentOrder) => void orders.push(order) };
  const info = { id: 'a', hostname: 'here', resources: machine };
  host.register(agent, info, []);
  host.subscribe(
    { id: 's', events: more => void events.push(...more), closed: () => undefined },
    subscription(undefined, { checkpoint }),
    () => undefined,
  );
  let uuids = 0;
  const call = (call: Call) => host.call('s', { ...call, framework_id: { value: 'm-0000' } }, () => undefined);
  const offers = () => events.flatMap(event => (event.type === 'OFFERS' ? event.offers.offers : []));
  return {
    host,
    agent,
    info,
    events,
    call,
    offers,
    /** Orders since the last look. */
    ordered: () => orders.splice(0),
    statuses: () => events.flatMap(event => (event.type === 'UPDATE' ? [event.update.status] : [])),
    pass(ms: number) {
      const until = clock.now() + ms;
      for (let next = clock.nextWake(); next !== undefined && next <= until; next = clock.nextWake())
        clock.advanceTo(Math.max(next, clock.now()));
      clock.advanceTo(until);
    },
    launch(tasks: readonly TaskInfo[], offer: Offer = offers().at(-1)!) {
      const operations = [{ type: 'LAUNCH', launch: { task_infos: tasks } }] as const;
      call({ type: 'ACCEPT', accept: { offer_ids: [offer.id], operations, filters: { refuse_seconds: 0 } } });
    },
    update(task: string, state: TaskState, more: { stray?: true } = {}) {
      const uuid = btoa(String.fromCharCode(...new Uint8Array(16).fill(++uuids)));
      const status = { task_id: { value: task }, state, agent_id: { value: 'a' }, uuid };
      host.updates('a', [{ framework_id: 'm-0000', status, ...more }]);
      return status;
    },
  };
}

const executor: ExecutorInfo = {
  type: 'CUSTOM',
  executor_id: { value: 'x' },
  command: {
    value: './x',
    environment: {
      variables: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
    },
  },
  resources: resourcesFor({ cpus: 1, mem: 64 }),
};
const task = (id: string, more: Partial<ExecutorInfo> = {}): TaskInfo => ({
  name: id,
  task_id: { value: id },
  agent_id: { value: 'a' },
  resources: resourcesFor({ cpus: 0.5, mem: 128 }),
  executor: { ...executor, ...more },
});
const cpusOf = (offer: Offer | undefined) => offer?.resources.find(({ name }) => name === 'cpus')?.scalar?.value;

test('an executor is booked with its first task, keeps its own when that ends, and is free when it ends itself', t => {
  const { launch, ordered, offers, update, pass, call, host, events } = house();
  launch([task('one')]);
  const order = ordered().find(each => each.type === 'launch-on-executor');
  t.like(order, {
    framework_id: 'm-0000',
    framework: { name: 'test' },
    group: false,
    executor: { executor_id: { value: 'x' }, framework_id: { value: 'm-0000' } },
  });
  t.deepEqual(
    order?.type === 'launch-on-executor'
      ? order.tasks[0]!.resources.map(({ name, allocation_info }) => [name, allocation_info?.role])
      : undefined,
    [
      ['cpus', '*'],
      ['mem', '*'],
    ],
  );
  pass(1);
  t.is(cpusOf(offers().at(-1)), 2.5);
  t.deepEqual(offers().at(-1)?.executor_ids, [{ value: 'x' }]);
  launch([task('two')]);
  pass(1);
  t.is(cpusOf(offers().at(-1)), 2);
  for (const id of ['one', 'two']) update(id, 'TASK_FINISHED');
  t.false(events.some(({ type }) => type === 'FAILURE'));
  pass(1);
  call({ type: 'DECLINE', decline: { offer_ids: offers().map(({ id }) => id), filters: { refuse_seconds: 0 } } });
  pass(1);
  t.is(cpusOf(offers().at(-1)), 3);
  call({ type: 'SHUTDOWN', shutdown: { executor_id: { value: 'x' }, agent_id: { value: 'a' } } });
  t.like(ordered().at(-1), { type: 'shutdown', executor_id: 'x', framework_over: false });
  host.executorEnded('a', { framework_id: 'm-0000', executor_id: 'x', status: 9 });
  t.deepEqual(events.at(-1), {
    type: 'FAILURE',
    failure: { agent_id: { value: 'a' }, executor_id: { value: 'x' }, status: 9 },
  });
  pass(1);
  t.is(cpusOf(offers().at(-1)), 1);
});

test('a group for a custom executor goes out in one piece, and a member that ends badly does not kill the others', t => {
  const { call, offers, ordered, update } = house();
  const members = ['a', 'b'].map(id => ({ ...task(id), executor: undefined })).map(({ executor: _, ...each }) => each);
  const with_disk = { ...executor, resources: resourcesFor({ cpus: 1, mem: 64, disk: 10 }) };
  const group = (executor: ExecutorInfo) =>
    call({
      type: 'ACCEPT',
      accept: {
        offer_ids: [offers().at(-1)!.id],
        operations: [{ type: 'LAUNCH_GROUP', launch_group: { executor, task_group: { tasks: members } } }],
      },
    });
  group(with_disk);
  t.like(ordered()[0], { type: 'launch-on-executor', group: true, tasks: [{ name: 'a' }, { name: 'b' }] });
  update('a', 'TASK_FAILED');
  t.deepEqual(ordered(), []);
});

const wrong: readonly [name: string, more: Partial<ExecutorInfo>, message: string][] = [
  [
    'another environment',
    { command: { value: './x' } },
    'ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.',
  ],
  [
    'other resources',
    { resources: resourcesFor({ cpus: 2, mem: 64 }) },
    'ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.',
  ],
  [
    'another framework',
    { framework_id: { value: 'other' } },
    'ExecutorInfo has an invalid FrameworkID (Actual: other vs Expected: m-0000)',
  ],
  ['type DEFAULT and a command', { type: 'DEFAULT' }, "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"],
  ['a slash in its id', { executor_id: { value: 'a/b' } }, "'a/b' contains invalid characters"],
  ['dots for an id', { executor_id: { value: '..' } }, "'..' is disallowed"],
  [
    'a negative grace period',
    { executor_id: { value: 'n' }, shutdown_grace_period: { nanoseconds: -1 } },
    "ExecutorInfo's 'shutdown_grace_period' must be non-negative",
  ],
];
for (const [name, more, message] of wrong)
  test(`a task whose executor has ${name} is refused in Mesos's words`, t => {
    const { launch, statuses, pass } = house();
    launch([task('first')]);
    pass(1);
    launch([task('second', more)]);
    t.like(statuses().at(-1), { state: 'TASK_ERROR', reason: 'REASON_TASK_INVALID', message });
  });

test('the order of variables and resources in an executor is nothing, nor are its labels', t => {
  const { launch, statuses, pass } = house();
  launch([task('first')]);
  pass(1);
  launch([
    task('second', {
      command: {
        value: './x',
        environment: { variables: [...executor.command!.environment!.variables].reverse() },
      },
      resources: [...executor.resources!].reverse(),
    }),
  ]);
  t.deepEqual(statuses(), []);
});

test('an executor that does not fit beside its task is refused with it', t => {
  const { launch, statuses } = house();
  launch([task('big', { resources: resourcesFor({ cpus: 4, mem: 64 }) })]);
  t.regex(statuses().at(-1)?.message ?? '', /^Total resources cpus\(allocated: \*\):4\.5; .* is more than available/);
});

test('messages pass both ways between a framework and its executor, and a KILL carries its own policy', t => {
  const { launch, call, ordered, host, events } = house();
  launch([task('one')]);
  ordered();
  const to = { agent_id: { value: 'a' }, executor_id: { value: 'x' } };
  call({ type: 'MESSAGE', message: { ...to, data: btoa('hello') } });
  call({ type: 'MESSAGE', message: { ...to, executor_id: { value: 'nobody' }, data: btoa('hello') } });
  const kill_policy = { grace_period: { nanoseconds: 7e9 } };
  call({ type: 'KILL', kill: { task_id: { value: 'one' }, kill_policy } });
  t.deepEqual(ordered(), [
    { type: 'message', framework_id: 'm-0000', executor_id: 'x', data: btoa('hello') },
    { type: 'kill', framework_id: 'm-0000', task_id: 'one', grace_ms: 7000, kill_policy },
  ]);
  host.executorMessage('a', { framework_id: 'm-0000', executor_id: 'x', data: btoa('back') });
  t.deepEqual(events.at(-1), { type: 'MESSAGE', message: { ...to, data: btoa('back') } });
});

test('an update of a task that nobody launched is passed on once, and nothing is booked', t => {
  const { update, statuses, pass } = house();
  update('ghost', 'TASK_RUNNING', { stray: true });
  pass(60_000);
  t.is(statuses().filter(({ task_id }) => task_id.value === 'ghost').length, 1);
});

test('a framework that is torn down takes its executors with it, and its tasks are not killed one by one', t => {
  const { launch, call, ordered } = house();
  launch([task('one'), task('two')]);
  ordered();
  call({ type: 'TEARDOWN' });
  t.deepEqual(ordered(), [{ type: 'shutdown', framework_id: 'm-0000', executor_id: 'x', framework_over: true }]);
});

test('an idle executor that a returning agent still has is held, and one that it has no longer is free', t => {
  const { launch, update, host, agent, info, offers, pass } = house();
  launch([task('one')]);
  update('one', 'TASK_FINISHED');
  host.agentGone('a');
  const reported = { framework_id: 'm-0000', executor };
  host.register(agent, info, [], [reported]);
  pass(1);
  t.is(cpusOf(offers().at(-1)), 3);
  host.agentGone('a');
  host.register(agent, info, [], []);
  pass(1);
  t.is(cpusOf(offers().at(-1)), 4);
});

test('without checkpoints the tasks of an agent are lost with its connection, at once', t => {
  const { launch, host, statuses, agent, info, offers, pass } = house(false);
  launch([task('one')]);
  host.agentGone('a');
  t.like(statuses().at(-1), {
    state: 'TASK_LOST',
    reason: 'REASON_AGENT_DISCONNECTED',
    message: 'Agent here disconnected',
  });
  host.register(agent, info, [], []);
  pass(1);
  t.is(cpusOf(offers().at(-1)), 4);
});
