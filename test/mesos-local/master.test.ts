// master.test.ts: offers, launches, kills and reconciliation through the master's books.
//
// A simulated clock and agents on which nothing runs: what a conversation with a real master showed, to the second.

import test from 'ava';
import { resourcesFor } from '../../mesos/local/index.ts';
import type { Operation, TaskInfo } from '../../mesos/protocol.ts';
import { glass, taskOn } from './support/glass.ts';

test('a subscription hears SUBSCRIBED, a heartbeat and every agent in one OFFERS event', async t => {
  const { settle, framework } = glass({ agents: 3 });
  const scheduler = framework();
  await scheduler.subscribe();
  await settle();
  t.deepEqual(
    scheduler.events.map(({ type }) => type),
    ['SUBSCRIBED', 'HEARTBEAT', 'OFFERS'],
  );
  t.deepEqual(
    scheduler.offers().map(({ agent_id }) => agent_id.value),
    ['glass-S0', 'glass-S1', 'glass-S2'],
  );
});

test('heartbeats come every 15 seconds', async t => {
  const { pass, framework } = glass({ agents: 0 });
  const scheduler = framework();
  await scheduler.subscribe();
  await pass(46_000);
  t.is(scheduler.events.filter(({ type }) => type === 'HEARTBEAT').length, 4);
});

test('a task starts, runs and finishes, each update after the one before was acknowledged', async t => {
  const { pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  await scheduler.accept(scheduler.offers()[0]!, [taskOn(scheduler.offers()[0]!, 'ok-1')]);
  await pass(6_000);
  t.deepEqual(scheduler.states('ok-1'), ['TASK_STARTING']);
  await scheduler.acknowledgeAll();
  t.deepEqual(scheduler.states('ok-1'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED']);
  t.is(scheduler.statuses('ok-1')[2]?.message, 'Command exited with status 0');
});

test('an update that nobody acknowledges is sent again after 10, 20, 40 seconds with the same uuid', async t => {
  const { clock, pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  await scheduler.accept(scheduler.offers()[0]!, [taskOn(scheduler.offers()[0]!, 'noack-1')]);
  const start = clock.now();
  const seen: number[] = [];
  for (let second = 0; second <= 71; second++) {
    const before = scheduler.statuses('noack-1').length;
    await pass(second === 0 ? 0 : 1000);
    if (scheduler.statuses('noack-1').length > before || second === 0) seen.push((clock.now() - start) / 1000);
  }
  t.deepEqual(seen, [0, 10, 30, 70]);
  t.is(new Set(scheduler.statuses('noack-1').map(({ uuid }) => uuid)).size, 1);
});

test('a wrong or repeated acknowledgement changes nothing', async t => {
  const { pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  await scheduler.accept(scheduler.offers()[0]!, [taskOn(scheduler.offers()[0]!, 'a')]);
  await pass(0);
  const starting = scheduler.statuses('a')[0]!;
  await scheduler.acknowledge({ ...starting, uuid: 'AAAAAAAAAAAAAAAAAAAAAA==' });
  t.deepEqual(scheduler.states('a'), ['TASK_STARTING']);
  await scheduler.acknowledge(starting);
  await scheduler.acknowledge(starting);
  t.deepEqual(scheduler.states('a'), ['TASK_STARTING', 'TASK_RUNNING']);
});

test('what a task leaves of an offer comes back at once when refused for 0 seconds, and after 5 by default', async t => {
  const { pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  await scheduler.accept(scheduler.offers()[0]!, [taskOn(scheduler.offers()[0]!, 'a', 'sleep infinity')]);
  await pass(1);
  t.is(scheduler.offers().length, 2);
  t.deepEqual(scheduler.offers()[1]!.resources.find(({ name }) => name === 'cpus')?.scalar, { value: 3.9 });
  await scheduler.call({ type: 'DECLINE', decline: { offer_ids: [scheduler.offers()[1]!.id] } });
  await pass(4_990);
  t.is(scheduler.offers().length, 2);
  await pass(20);
  t.is(scheduler.offers().length, 3);
});

test('a refusal holds for as much or less: when a task ends and more is free, the agent is offered again', async t => {
  const { pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  await scheduler.accept(scheduler.offers()[0]!, [taskOn(scheduler.offers()[0]!, 'a', 'sleep 2')], 3600);
  await pass(1_000);
  t.is(scheduler.offers().length, 1);
  await pass(1_500);
  t.is(scheduler.offers().length, 2);
});

test('REVIVE clears refusals, SUPPRESS silences, and held offers survive a SUPPRESS', async t => {
  const { pass, framework } = glass({ agents: 2 });
  const scheduler = framework();
  await scheduler.subscribe();
  const ids = scheduler.offers().map(({ id }) => id);
  await scheduler.call({ type: 'DECLINE', decline: { offer_ids: ids, filters: { refuse_seconds: 3600 } } });
  await pass(3_000);
  t.is(scheduler.offers().length, 2);
  await scheduler.call({ type: 'REVIVE' });
  t.is(scheduler.offers().length, 4);
  await scheduler.call({ type: 'SUPPRESS' });
  t.false(scheduler.events.some(({ type }) => type === 'RESCIND'));
  await scheduler.call({
    type: 'DECLINE',
    decline: {
      offer_ids: scheduler
        .offers()
        .slice(2)
        .map(({ id }) => id),
      filters: { refuse_seconds: 0 },
    },
  });
  await pass(10_000);
  t.is(scheduler.offers().length, 4);
  await scheduler.call({ type: 'REVIVE' });
  t.is(scheduler.offers().length, 6);
});

const wrong: readonly [name: string, change: (task: TaskInfo) => TaskInfo, message: string][] = [
  [
    'more than the offer holds',
    task => ({ ...task, resources: resourcesFor({ cpus: 999, mem: 32 }) }),
    'Total resources cpus(allocated: *):999; mem(allocated: *):32 required by task and its executor is more than available cpus(allocated: *):4; mem(allocated: *):4096; disk(allocated: *):10000; ports(allocated: *):[31000-31499]',
  ],
  [
    'a port that was not offered',
    task => ({ ...task, resources: resourcesFor({ cpus: 0.1, mem: 32, ports: [80, 80] }) }),
    'Total resources cpus(allocated: *):0.1; mem(allocated: *):32; ports(allocated: *):[80-80] required by task and its executor is more than available cpus(allocated: *):4; mem(allocated: *):4096; disk(allocated: *):10000; ports(allocated: *):[31000-31499]',
  ],
  [
    'another agent',
    task => ({ ...task, agent_id: { value: 'other-agent' } }),
    'Task uses invalid agent other-agent while agent glass-S0 is expected',
  ],
  ['no resources', task => ({ ...task, resources: [] }), 'Task uses no resources'],
  [
    'an id with a slash',
    task => ({ ...task, task_id: { value: 'i/bad/id' } }),
    "'i/bad/id' contains invalid characters",
  ],
  ['an empty id', task => ({ ...task, task_id: { value: '' } }), 'ID must not be empty'],
  [
    'negative cpus',
    task => ({ ...task, resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: -1 } }] }),
    "Resource 'cpus(allocated: *):-1' is invalid: Invalid scalar resource: value <= 0",
  ],
  [
    'less than a thousandth of a cpu',
    task => ({ ...task, resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 0.0001 } }] }),
    "Resource 'cpus(allocated: *):0' is invalid: Invalid scalar resource: value <= 0",
  ],
  [
    'neither command nor executor',
    ({ command: _, ...task }) => task,
    'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present',
  ],
  [
    'a health check without its half',
    task => ({ ...task, health_check: { type: 'HTTP' } }),
    "Task uses invalid health check: Expecting 'http' to be set for HTTP health check",
  ],
];
for (const [name, change, message] of wrong)
  test(`a task with ${name} is refused in Mesos's words, and its neighbour runs`, async t => {
    const { pass, framework } = glass({ agents: 1 });
    const scheduler = framework();
    await scheduler.subscribe();
    const offer = scheduler.offers()[0]!;
    const bad = change(taskOn(offer, 'bad'));
    await scheduler.accept(offer, [bad, taskOn(offer, 'good')]);
    await pass(1);
    const refusal = scheduler.statuses(bad.task_id.value)[0]!;
    t.like(refusal, { state: 'TASK_ERROR', message, source: 'SOURCE_MASTER', reason: 'REASON_TASK_INVALID' });
    t.is(refusal.uuid, undefined);
    t.deepEqual(scheduler.states('good'), ['TASK_STARTING']);
  });

test('a task id that is in use is refused', async t => {
  const { pass, framework } = glass({ agents: 2 });
  const scheduler = framework();
  await scheduler.subscribe();
  const [one, two] = scheduler.offers();
  await scheduler.accept(one!, [taskOn(one!, 'dup', 'sleep infinity')]);
  await scheduler.accept(two!, [taskOn(two!, 'dup')]);
  await pass(1);
  t.is(scheduler.statuses('dup')[1]?.message ?? '', 'Task has duplicate ID: dup');
});

test('an offer that is unknown, used, mixed or missing drops the task, and nothing is lost of the good ones', async t => {
  const { pass, framework } = glass({ agents: 2 });
  const scheduler = framework();
  await scheduler.subscribe();
  const [one, two] = scheduler.offers();
  const dropped = (id: string) => scheduler.statuses(id).at(-1)?.message;
  await scheduler.accept({ ...one!, id: { value: 'no-such-O1' } }, [taskOn(one!, 'unknown')]);
  t.is(dropped('unknown'), 'Task launched with invalid offers: Offer no-such-O1 is no longer valid');
  await scheduler.accept([], [taskOn(one!, 'none')]);
  t.is(dropped('none'), 'Task launched with invalid offers: No offers specified');
  await scheduler.accept([one!, two!], [taskOn(one!, 'mixed')]);
  t.is(
    dropped('mixed'),
    'Task launched with invalid offers: Aggregated offers must belong to one single agent. Offer glass-O1 uses agent glass-S1 and agent glass-S0',
  );
  await scheduler.accept(one!, [taskOn(one!, 'used')]);
  t.is(dropped('used'), 'Task launched with invalid offers: Offer glass-O0 is no longer valid');
  t.true(
    scheduler.statuses().every(({ state, reason }) => state === 'TASK_DROPPED' && reason === 'REASON_INVALID_OFFERS'),
  );
  await pass(1);
  t.is(scheduler.offers().length, 4);
});

test('two offers of one agent can be spent together', async t => {
  const { pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  const first = scheduler.offers()[0]!;
  await scheduler.accept(first, [taskOn(first, 'small', 'sleep 1', 1, 512)]);
  await scheduler.acknowledgeAll();
  await pass(1_500);
  await scheduler.acknowledgeAll();
  const [, rest, piece] = scheduler.offers();
  await scheduler.accept([rest!, piece!], [taskOn(rest!, 'big', 'sleep 1', 4, 4000)]);
  await pass(1);
  t.deepEqual(scheduler.states('big'), ['TASK_STARTING']);
});

const group = (executor: string, agent_id: { value: string }, tasks: readonly TaskInfo[]): Operation => ({
  type: 'LAUNCH_GROUP',
  launch_group: {
    executor: {
      type: 'DEFAULT',
      executor_id: { value: executor },
      resources: resourcesFor({ cpus: 0.1, mem: 32, disk: 32 }),
    },
    task_group: { tasks: tasks.map(task => ({ ...task, agent_id })) },
  },
});

test('a group counts its executor, dies together, and a FAILURE with status 0 tells of its end', async t => {
  const { pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  const tasks = [taskOn(offer, 'lg-a', 'sleep infinity'), taskOn(offer, 'lg-b', 'sleep infinity')];
  await scheduler.call({
    type: 'ACCEPT',
    accept: {
      offer_ids: [offer.id],
      operations: [group('grp-1', offer.agent_id, tasks)],
      filters: { refuse_seconds: 0 },
    },
  });
  await pass(1);
  t.deepEqual(scheduler.offers()[1]!.resources.find(({ name }) => name === 'cpus')?.scalar, { value: 3.7 });
  t.deepEqual(scheduler.offers()[1]!.resources.find(({ name }) => name === 'disk')?.scalar, { value: 9968 });
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'lg-a' } } });
  await scheduler.acknowledgeAll();
  await pass(1);
  await scheduler.acknowledgeAll();
  for (const task of ['lg-a', 'lg-b'])
    t.deepEqual(scheduler.states(task), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING', 'TASK_KILLED']);
  t.deepEqual(
    scheduler.events.filter(({ type }) => type === 'FAILURE'),
    [{ type: 'FAILURE', failure: { agent_id: offer.agent_id, executor_id: { value: 'grp-1' }, status: 0 } }],
  );
  await pass(1);
  const back = scheduler
    .offers()
    .slice(1)
    .flatMap(({ resources }) => resources);
  t.is(
    back.filter(({ name }) => name === 'cpus').reduce((sum, { scalar }) => sum + scalar!.value * 1000, 0),
    4000,
  );
});

test('in a group a success leaves the others running, a failure takes them along', async t => {
  const { pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  await scheduler.call({
    type: 'ACCEPT',
    accept: {
      offer_ids: [offer.id],
      operations: [
        group('good', offer.agent_id, [taskOn(offer, 'lg-f', 'sleep 5'), taskOn(offer, 'lg-g', 'sleep 1')]),
        group('bad', offer.agent_id, [
          taskOn(offer, 'lg-d', 'sleep infinity'),
          taskOn(offer, 'lg-e', 'sleep 2; exit 1'),
        ]),
      ],
    },
  });
  await pass(3_000);
  await scheduler.acknowledgeAll();
  t.is(scheduler.states('lg-g').at(-1), 'TASK_FINISHED');
  t.is(scheduler.states('lg-f').at(-1), 'TASK_RUNNING');
  t.is(scheduler.states('lg-e').at(-1), 'TASK_FAILED');
  t.is(scheduler.states('lg-d').at(-1), 'TASK_KILLED');
});

test('a group that does not fit is refused as a whole', async t => {
  const { pass, framework } = glass({ agents: 1, resources: resourcesFor({ cpus: 4, mem: 4096, disk: 10_000 }) });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  const tasks = [taskOn(offer, 'lg-h'), taskOn(offer, 'lg-i', 'sleep 1', 500)];
  await scheduler.call({
    type: 'ACCEPT',
    accept: { offer_ids: [offer.id], operations: [group('grp-5', offer.agent_id, tasks)] },
  });
  await pass(1);
  for (const task of ['lg-h', 'lg-i'])
    t.like(scheduler.statuses(task)[0], {
      state: 'TASK_ERROR',
      reason: 'REASON_TASK_GROUP_INVALID',
      message:
        'Total resources cpus(allocated: *):500.2; mem(allocated: *):96; disk(allocated: *):32 required by task group and its executor are more than available cpus(allocated: *):4; mem(allocated: *):4096; disk(allocated: *):10000',
    });
});

test('KILL: unknown tasks, unknown agents, finished tasks and launches under way are answered as Mesos does', async t => {
  const { pass, framework } = glass({
    agents: 1,
    life: () => ({ start_delay_ms: 500, exit: { code: 0 }, term_ms: 0 }),
  });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 'k-race')]);
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'k-race' } } });
  await pass(1);
  t.like(scheduler.statuses('k-race')[0], {
    state: 'TASK_KILLED',
    source: 'SOURCE_AGENT',
    reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
    message: 'Killed before delivery to the executor',
  });
  await scheduler.acknowledgeAll();
  const agent_id = offer.agent_id;
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'k-race' }, agent_id } });
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'nope' } } });
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'nope3' }, agent_id: { value: 'no-such-agent' } } });
  t.like(scheduler.statuses('k-race')[1], {
    state: 'TASK_GONE',
    source: 'SOURCE_MASTER',
    reason: 'REASON_RECONCILIATION',
    message: 'Reconciliation: Task is unknown to the agent',
  });
  t.like(scheduler.statuses('nope')[0], { state: 'TASK_UNKNOWN', message: 'Reconciliation: Task is unknown' });
  t.like(scheduler.statuses('nope3')[0], { state: 'TASK_UNKNOWN', message: 'Reconciliation: Task is unknown' });
});

test('RECONCILE tells what the framework was told last, and no more', async t => {
  const { pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 'r-1')]);
  await pass(6_000);
  scheduler.news();
  await scheduler.call({ type: 'RECONCILE', reconcile: { tasks: [{ task_id: { value: 'r-1' } }] } });
  t.like(scheduler.statuses('r-1').at(-1), {
    state: 'TASK_STARTING',
    reason: 'REASON_RECONCILIATION',
    message: 'Reconciliation: Latest task state',
  });
  await scheduler.acknowledgeAll();
  await scheduler.call({
    type: 'RECONCILE',
    reconcile: { tasks: [{ task_id: { value: 'r-1' }, agent_id: offer.agent_id }] },
  });
  t.is(scheduler.states('r-1').at(-1), 'TASK_GONE');
});

test('RECONCILE right after a launch answers TASK_STAGING; implicit, every live task', async t => {
  const { framework } = glass({ agents: 1, life: () => ({ start_delay_ms: 500, exit: { code: 0 } }) });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 'c-1'), taskOn(offer, 'c-2')]);
  await scheduler.call({ type: 'RECONCILE', reconcile: { tasks: [] } });
  t.deepEqual(
    scheduler.statuses().map(({ task_id, state }) => [task_id.value, state]),
    [
      ['c-1', 'TASK_STAGING'],
      ['c-2', 'TASK_STAGING'],
    ],
  );
});
