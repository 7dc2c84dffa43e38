// absence.test.ts: frameworks and agents that come, stay away, come back and go.
//
// A simulated clock and agents on which nothing runs: what a conversation with a real master showed, to the second.

import test from 'ava';
import { resourcesFor } from '../../mesos/local/index.ts';
import { glass, subscription, taskOn } from './support/glass.ts';

test('a second subscriber with the same id takes over; the first is told so and shut out', async t => {
  const { pass, framework } = glass({ agents: 1 });
  const first = framework();
  await first.subscribe();
  const id = first.events[0]!.type === 'SUBSCRIBED' ? first.events[0]!.subscribed.framework_id.value : '';
  const second = framework(id);
  await second.subscribe();
  t.deepEqual(first.events.at(-1), { type: 'ERROR', error: { message: 'Framework failed over' } });
  t.is(first.ends.length, 1);
  t.is((await first.call({ type: 'REVIVE' })).type, 'unsent');
  await pass(1);
  t.is(second.offers().length, 1);
});

test('after a cut the same id resubscribes: void offers come anew, and what it missed is redelivered at once', async t => {
  const { pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  const id = scheduler.events[0]!.type === 'SUBSCRIBED' ? scheduler.events[0]!.subscribed.framework_id.value : '';
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 'f-1', 'sleep 5; exit 1')]);
  await scheduler.acknowledgeAll();
  scheduler.link.cut();
  await pass(10_000);
  t.deepEqual(scheduler.states('f-1'), ['TASK_STARTING', 'TASK_RUNNING']);
  scheduler.news();
  await scheduler.subscribe(subscription(id));
  const news = scheduler.news();
  t.deepEqual(
    news.map(({ type }) => type),
    ['SUBSCRIBED', 'HEARTBEAT', 'UPDATE', 'OFFERS'],
  );
  t.is(scheduler.states('f-1').at(-1), 'TASK_FAILED');
});

test('TEARDOWN kills the tasks, frees what they held and makes the id dead', async t => {
  const { mesos, pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  const id = scheduler.events[0]!.type === 'SUBSCRIBED' ? scheduler.events[0]!.subscribed.framework_id.value : '';
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 't-1', 'sleep infinity')]);
  t.deepEqual(await scheduler.call({ type: 'TEARDOWN' }), { type: 'accepted' });
  t.is(scheduler.ends.length, 1);
  await pass(10);
  t.is(mesos.agents.running(), 0);
  await scheduler.subscribe(subscription(id));
  t.deepEqual(scheduler.events.at(-1), { type: 'ERROR', error: { message: 'Framework has been removed' } });
  const other = framework();
  await other.subscribe();
  t.deepEqual(other.offers()[0]!.resources.find(({ name }) => name === 'cpus')?.scalar, { value: 4 });
});

test('a framework that stays away longer than its failover timeout loses its tasks and its id', async t => {
  const { mesos, pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe(subscription(undefined, { failover_timeout: 60 }));
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 't-1', 'sleep infinity')]);
  scheduler.link.cut();
  await pass(59_000);
  t.is(mesos.agents.running(), 1);
  await pass(2_000);
  t.is(mesos.agents.running(), 0);
  await scheduler.subscribe(subscription('glass-0000'));
  t.deepEqual(scheduler.events.at(-1), { type: 'ERROR', error: { message: 'Framework has been removed' } });
});

test('a framework id that no master ever gave is accepted', async t => {
  const { framework } = glass({ agents: 0 });
  const scheduler = framework('never-seen-id');
  await scheduler.subscribe();
  t.like(scheduler.events[0], { type: 'SUBSCRIBED', subscribed: { framework_id: { value: 'never-seen-id' } } });
});

test('a lost agent: offers rescinded at once, tasks unreachable after 75 s, running again unasked when it is back', async t => {
  const { mesos, pass, framework } = glass({ agents: 2 });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 'al-1', 'sleep infinity'), taskOn(offer, 'al-2', 'sleep 100; exit 7')]);
  await scheduler.acknowledgeAll();
  await pass(1);
  const agent_id = offer.agent_id;
  scheduler.news();
  mesos.agents.lose(agent_id.value);
  await pass(0);
  t.deepEqual(
    scheduler.news().map(({ type }) => type),
    ['RESCIND'],
  );
  await pass(74_900);
  t.false(scheduler.news().some(({ type }) => type === 'UPDATE'));
  await pass(200);
  for (const task of ['al-1', 'al-2'])
    t.like(scheduler.statuses(task).at(-1), {
      state: 'TASK_UNREACHABLE',
      reason: 'REASON_AGENT_REMOVED',
      message: 'health check timed out',
    });
  t.true(scheduler.news().some(event => event.type === 'FAILURE' && event.failure.agent_id?.value === agent_id.value));
  await scheduler.call({
    type: 'RECONCILE',
    reconcile: {
      tasks: [
        { task_id: { value: 'al-1' }, agent_id },
        { task_id: { value: 'al-2' } },
        { task_id: { value: 'al-never' }, agent_id },
      ],
    },
  });
  t.deepEqual(
    ['al-1', 'al-2', 'al-never'].map(task => scheduler.states(task).at(-1)),
    ['TASK_UNREACHABLE', 'TASK_UNKNOWN', 'TASK_UNREACHABLE'],
  );
  await scheduler.call({ type: 'RECONCILE', reconcile: { tasks: [] } });
  t.false(
    scheduler
      .statuses()
      .slice(-1)
      .some(({ state }) => state === 'TASK_RUNNING'),
  );
  await pass(50_000);
  mesos.agents.restore(agent_id.value);
  await pass(0);
  t.like(scheduler.statuses('al-1').at(-1), { state: 'TASK_RUNNING', reason: 'REASON_AGENT_REREGISTERED' });
  t.like(scheduler.statuses('al-2').at(-1), { state: 'TASK_FAILED', message: 'Command exited with status 7' });
});

test('a kill while the agent is away is carried out when it is back', async t => {
  const { mesos, pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 'ar-1', 'sleep infinity')]);
  await scheduler.acknowledgeAll();
  mesos.agents.lose(offer.agent_id.value);
  await scheduler.call({ type: 'KILL', kill: { task_id: { value: 'ar-1' } } });
  await pass(10_000);
  t.is(scheduler.states('ar-1').at(-1), 'TASK_RUNNING');
  mesos.agents.restore(offer.agent_id.value);
  await pass(1);
  await scheduler.acknowledgeAll();
  t.is(scheduler.states('ar-1').at(-1), 'TASK_KILLED');
});

test('an agent that comes back without a task: TASK_GONE when it had run, and what it held is free', async t => {
  const { mesos, pass, framework } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 'a', 'sleep infinity', 3)], 3600);
  await scheduler.acknowledgeAll();
  mesos.agents.lose(offer.agent_id.value, { reboot: true });
  mesos.agents.restore(offer.agent_id.value);
  await pass(1);
  t.like(scheduler.statuses('a').at(-1), { state: 'TASK_GONE', reason: 'REASON_RECONCILIATION' });
  t.deepEqual(
    scheduler
      .offers()
      .at(-1)
      ?.resources.find(({ name }) => name === 'cpus')?.scalar,
    { value: 4 },
  );
});

test('10,000 tasks on 1,000 agents are launched, told and finished, every one once', async t => {
  const { mesos, pass, framework } = glass({ agents: 1000, resources: resourcesFor({ cpus: 16, mem: 65_536 }) });
  const scheduler = framework();
  await scheduler.subscribe();
  const offers = scheduler.offers();
  t.is(offers.length, 1000);
  const calls = offers.map((offer, agent) =>
    scheduler.link.call({
      type: 'ACCEPT',
      accept: {
        offer_ids: [offer.id],
        operations: [
          {
            type: 'LAUNCH',
            launch: {
              task_infos: Array.from({ length: 10 }, (_, index) =>
                taskOn(offer, `t-${agent}-${index}`, 'sleep 60', 1, 128),
              ),
            },
          },
        ],
      },
    }),
  );
  await pass(10);
  t.true((await Promise.all(calls)).every(({ type }) => type === 'accepted'));
  t.is(mesos.agents.running(), 10_000);
  t.is(new Set(scheduler.statuses().map(({ task_id }) => task_id.value)).size, 10_000);
  await pass(61_000);
  t.is(mesos.agents.running(), 0);
  for (let index = 0; index < scheduler.events.length; index++) {
    const event = scheduler.events[index]!;
    if (event.type !== 'UPDATE') continue;
    const { status } = event.update;
    void scheduler.link.call({
      type: 'ACKNOWLEDGE',
      acknowledge: { agent_id: status.agent_id!, task_id: status.task_id, uuid: status.uuid! },
    });
    if (index % 1000 === 0 || index === scheduler.events.length - 1) await pass(0);
  }
  const finished = scheduler.statuses().filter(({ state }) => state === 'TASK_FINISHED');
  t.is(new Set(finished.map(({ task_id }) => task_id.value)).size, 10_000);
  t.is(mesos.host.master.agents.get('glass-S0')?.tasks.size, 0);
});
