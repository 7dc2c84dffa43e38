// terms.test.ts: what a framework and its master agree on, and what of an agent is lent to whom.
//
// Roles, constraints on offers, reservations and volumes, the answers that operations get, and agents that are asked back,
// drained and given up: with simulated agents, whose clock the test moves.

import test from 'ava';
import type { AttributePredicate, Event, Offer, OfferConstraints, Operation, Resource } from '../../mesos/protocol.ts';
import { glass, subscription, taskOn } from './support/glass.ts';

const rack = (name: string) => ({ name: 'rack', type: 'TEXT', text: { value: name } }) as const;
const racks = (index: number) => (index === 2 ? [] : [rack('ab'[index]!)]);
const info = (more: object = {}) => subscription(undefined, more).subscribe.framework_info;

const constrained = (predicate: AttributePredicate, role = '*'): OfferConstraints => ({
  role_constraints: {
    [role]: { groups: [{ attribute_constraints: [{ selector: { attribute_name: 'rack' }, predicate }] }] },
  },
});
const agentsIn = (offers: readonly Offer[]) => offers.map(({ agent_id }) => agent_id.value.slice(-1)).sort();

const predicates: readonly [predicate: AttributePredicate, agents: readonly string[]][] = [
  [{ exists: {} }, ['0', '1']],
  [{ not_exists: {} }, ['2']],
  [{ text_equals: { value: 'a' } }, ['0']],
  [{ text_not_equals: { value: 'a' } }, ['1', '2']],
  [{ text_matches: { regex: 'a|c' } }, ['0']],
  [{ text_not_matches: { regex: '[ab]' } }, ['2']],
];
for (const [predicate, agents] of predicates)
  test(`offers come only from agents that satisfy ${JSON.stringify(predicate)}`, async t => {
    const { framework, pass } = glass({ agents: 3, attributes: racks });
    const scheduler = framework();
    const request = subscription();
    await scheduler.subscribe({
      ...request,
      subscribe: { ...request.subscribe, offer_constraints: constrained(predicate) },
    });
    await pass(10);
    t.deepEqual(agentsIn(scheduler.offers()), agents);
  });

test('constraints of one role say nothing of another, and a host name is chosen like an attribute', async t => {
  const { framework, pass } = glass({ agents: 3, hostname: index => `host-${index}` });
  const scheduler = framework();
  const request = subscription(undefined, { roles: ['x', 'y'] });
  const offer_constraints: OfferConstraints = {
    role_constraints: {
      x: {
        groups: [
          {
            attribute_constraints: [
              { selector: { pseudoattribute_type: 'HOSTNAME' }, predicate: { text_equals: { value: 'host-1' } } },
            ],
          },
        ],
      },
    },
  };
  await scheduler.subscribe({ ...request, subscribe: { ...request.subscribe, offer_constraints } });
  await pass(10);
  const of = (role: string) => scheduler.offers().filter(({ allocation_info }) => allocation_info?.role === role);
  t.deepEqual(agentsIn(of('x')), ['1']);
  t.deepEqual(agentsIn(of('y')), ['0', '2']);
});

test('a constraint that cannot be is refused with the subscription', async t => {
  const { framework } = glass({ agents: 1 });
  const scheduler = framework();
  const request = subscription();
  const offer_constraints = constrained({ text_matches: { regex: '(' } });
  await scheduler.subscribe({ ...request, subscribe: { ...request.subscribe, offer_constraints } });
  t.deepEqual(scheduler.events, [
    { type: 'ERROR', error: { message: "Offer constraints are not valid: '(' is no regular expression" } },
  ]);
});

test('UPDATE_FRAMEWORK changes roles and constraints at once, and takes back offers of a role that is given up', async t => {
  const { framework, pass } = glass({ agents: 2, attributes: racks });
  const scheduler = framework();
  await scheduler.subscribe(subscription(undefined, { roles: ['x'] }));
  t.deepEqual(agentsIn(scheduler.offers()), ['0', '1']);
  scheduler.news();
  const update_framework = {
    framework_info: info({ roles: ['y'] }),
    offer_constraints: constrained({ text_equals: { value: 'b' } }, 'y'),
  };
  t.deepEqual(await scheduler.call({ type: 'UPDATE_FRAMEWORK', update_framework }), { type: 'accepted' });
  await pass(10);
  const news = scheduler.news();
  t.is(news.filter(({ type }) => type === 'RESCIND').length, 2);
  t.deepEqual(agentsIn(news.flatMap(event => (event.type === 'OFFERS' ? event.offers.offers : []))), ['1']);
});

test('UPDATE_FRAMEWORK cannot change who a framework is', async t => {
  const { framework } = glass({ agents: 0 });
  const scheduler = framework();
  await scheduler.subscribe();
  for (const [change, message] of [
    [{ user: 'nobody' }, "Updating 'FrameworkInfo.user' is unsupported; attempted to update from 'root' to 'nobody'"],
    [
      { checkpoint: false },
      "Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from 'true' to 'false'",
    ],
    [{ roles: ['a b'] }, /^'FrameworkInfo.roles' contains invalid role/],
  ] as const) {
    const answer = await scheduler.call({
      type: 'UPDATE_FRAMEWORK',
      update_framework: { framework_info: info(change) },
    });
    t.like(answer, { type: 'refused', status: 400 });
    const said = answer.type === 'refused' ? answer.message.replace('FrameworkInfo update is not valid: ', '') : '';
    if (typeof message === 'string') t.is(said, message);
    else t.regex(said, message);
  }
});

// --- reservations and volumes -----------------------------------------------------------------------------------------

const reservation = { type: 'DYNAMIC', role: 'db', principal: 'fw' } as const;
const reserved = (name: string, value: number, more: Partial<Resource> = {}): Resource => ({
  name,
  type: 'SCALAR',
  scalar: { value },
  reservations: [reservation],
  ...more,
});
const volume = reserved('disk', 100, {
  disk: { persistence: { id: 'v', principal: 'fw' }, volume: { mode: 'RW', container_path: 'data' } },
});
const db = subscription(undefined, {
  roles: ['db'],
  principal: 'fw',
  capabilities: [{ type: 'MULTI_ROLE' }, { type: 'RESERVATION_REFINEMENT' }, { type: 'PARTITION_AWARE' }],
});

type Framework = ReturnType<ReturnType<typeof glass>['framework']>;
const accept = (scheduler: Framework, operations: readonly Operation[]) =>
  scheduler.call({
    type: 'ACCEPT',
    accept: { offer_ids: [scheduler.offers().at(-1)!.id], operations, filters: { refuse_seconds: 0 } },
  });
const statusesOf = (events: readonly Event[]) =>
  events.flatMap(event => (event.type === 'UPDATE_OPERATION_STATUS' ? [event.update_operation_status.status] : []));
const amountIn = (offer: Offer | undefined, which: (resource: Resource) => boolean) =>
  offer?.resources.find(which)?.scalar?.value;

test('what is reserved is offered to its role alone, in what that role and others can read', async t => {
  const { framework, pass } = glass({ agents: 1 });
  const owner = framework();
  await owner.subscribe(db);
  await accept(owner, [
    { type: 'RESERVE', id: { value: 'r' }, reserve: { resources: [reserved('cpus', 3.5), reserved('mem', 64)] } },
  ]);
  await pass(10);
  const mine = owner.offers().at(-1);
  t.is(
    amountIn(mine, ({ name, reservations }) => name === 'cpus' && reservations?.[0]?.role === 'db'),
    3.5,
  );
  t.is(
    amountIn(mine, ({ name, reservations }) => name === 'cpus' && reservations === undefined),
    0.5,
  );
  const stranger = framework();
  await stranger.subscribe();
  await owner.call({ type: 'DECLINE', decline: { offer_ids: [mine!.id], filters: { refuse_seconds: 3600 } } });
  await pass(10);
  const theirs = stranger.offers().at(-1);
  t.is(
    amountIn(theirs, ({ name }) => name === 'cpus'),
    0.5,
  );
  t.true(theirs?.resources.every(({ role }) => role === '*'));
  await owner.call({ type: 'REVIVE' });
  t.is(
    amountIn(owner.offers().at(-1), ({ name }) => name === 'cpus'),
    3.5,
  );
});

test('a volume is made of what is reserved, launched on, destroyed and given back', async t => {
  const { framework, pass, mesos } = glass({ agents: 1 });
  const owner = framework();
  await owner.subscribe(db);
  await accept(owner, [
    { type: 'RESERVE', id: { value: 'r' }, reserve: { resources: [reserved('disk', 100)] } },
    { type: 'CREATE', id: { value: 'c' }, create: { volumes: [volume] } },
    {
      type: 'LAUNCH',
      launch: {
        task_infos: [
          {
            ...taskOn(owner.offers().at(-1)!, 'one', 'sleep 1'),
            resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }, volume],
          },
        ],
      },
    },
  ]);
  await pass(100);
  t.is(mesos.agents.running(), 1);
  const is_volume = ({ disk }: Resource) => disk?.persistence?.id === 'v';
  t.is(amountIn(owner.offers().at(-1), is_volume), undefined);
  await owner.acknowledgeAll();
  await pass(2_000);
  const back = owner.offers().at(-1);
  t.is(amountIn(back, is_volume), 100);
  await accept(owner, [
    { type: 'DESTROY', id: { value: 'd' }, destroy: { volumes: [volume] } },
    { type: 'UNRESERVE', id: { value: 'u' }, unreserve: { resources: [reserved('disk', 100)] } },
  ]);
  await pass(10);
  const plain = owner.offers().at(-1);
  t.false(plain?.resources.some(({ reservations }) => reservations !== undefined));
  t.deepEqual(
    statusesOf(owner.events).map(({ operation_id, state }) => [operation_id?.value, state]),
    ['r', 'c', 'd', 'u'].map(id => [id, 'OPERATION_FINISHED']),
  );
});

const impossible: readonly [name: string, operation: Operation, message: RegExp][] = [
  [
    'more than is offered',
    { type: 'RESERVE', id: { value: 'x' }, reserve: { resources: [reserved('cpus', 400)] } },
    /^cpus\(allocated: db\):4; .* does not contain cpus\(allocated: db\):400$/,
  ],
  [
    'for another role',
    {
      type: 'RESERVE',
      id: { value: 'x' },
      reserve: { resources: [reserved('cpus', 1, { reservations: [{ ...reservation, role: 'web' }] })] },
    },
    /for role 'web', but its offer is allocated to role 'db'$/,
  ],
  [
    'of what is not reserved',
    {
      type: 'CREATE',
      id: { value: 'x' },
      create: { volumes: [{ name: 'disk', type: 'SCALAR', scalar: { value: 1 }, ...{ disk: volume.disk! } }] },
    },
    /^Persistent volumes cannot be created from unreserved resources$/,
  ],
  [
    'that is not there',
    { type: 'UNRESERVE', id: { value: 'x' }, unreserve: { resources: [reserved('cpus', 1)] } },
    /does not contain cpus\(allocated: db\)\(reservations: \[\(DYNAMIC,db,fw\)\]\):1$/,
  ],
];
for (const [name, operation, message] of impossible)
  test(`${operation.type} ${name} is an OPERATION_ERROR that wants no signature, and nothing is lost`, async t => {
    const { framework, pass } = glass({ agents: 1 });
    const owner = framework();
    await owner.subscribe(db);
    const before = owner.offers().at(-1)!.resources;
    await accept(owner, [operation]);
    await pass(60_000);
    const [status, ...more] = statusesOf(owner.events);
    t.deepEqual(more, []);
    t.like(status, { operation_id: { value: 'x' }, state: 'OPERATION_ERROR' });
    t.is(status?.uuid, undefined);
    t.regex(status?.message ?? '', message);
    t.deepEqual(owner.offers().at(-1)!.resources, before);
  });

test('a status is said again after 10 and 20 seconds, at a new subscription, and until it is signed for', async t => {
  const { framework, pass } = glass({ agents: 1 });
  const owner = framework();
  await owner.subscribe(db);
  const subscribed = owner.events[0];
  const id = subscribed?.type === 'SUBSCRIBED' ? subscribed.subscribed.framework_id : { value: '' };
  await accept(owner, [{ type: 'RESERVE', id: { value: 'r' }, reserve: { resources: [reserved('cpus', 1)] } }]);
  await pass(31_000);
  t.is(statusesOf(owner.events).length, 3);
  owner.link.cut();
  await owner.subscribe({
    ...db,
    framework_id: id,
    subscribe: { framework_info: { ...db.subscribe.framework_info, id } },
  });
  const told = statusesOf(owner.events);
  t.is(told.length, 4);
  t.is(new Set(told.map(({ uuid }) => uuid?.value)).size, 1);
  const signature = (uuid: string) =>
    owner.call({
      type: 'ACKNOWLEDGE_OPERATION_STATUS',
      acknowledge_operation_status: { agent_id: told[0]!.agent_id!, uuid, operation_id: { value: 'r' } },
    });
  await signature(btoa('0123456789abcdef'));
  await owner.call({ type: 'RECONCILE_OPERATIONS', reconcile_operations: { operations: [] } });
  t.like(statusesOf(owner.events).at(-1), {
    state: 'OPERATION_FINISHED',
    message: 'Reconciliation: Latest operation state',
  });
  await signature(told[0]!.uuid!.value);
  owner.news();
  await pass(600_000);
  t.deepEqual(statusesOf(owner.news()), []);
});

test('what was reserved is still so after the agent was away', async t => {
  const { framework, pass, mesos } = glass({ agents: 1 });
  const owner = framework();
  await owner.subscribe(db);
  await accept(owner, [{ type: 'RESERVE', reserve: { resources: [reserved('cpus', 1)] } }]);
  mesos.agents.lose(mesos.agents.ids[0]!);
  await pass(10);
  mesos.agents.restore(mesos.agents.ids[0]!);
  await pass(10);
  t.is(
    amountIn(owner.offers().at(-1), ({ name, reservations }) => name === 'cpus' && reservations !== undefined),
    1,
  );
});

// --- an operator's levers ---------------------------------------------------------------------------------------------

const unavailability = { start: { nanoseconds: 2e18 }, duration: { nanoseconds: 3.6e12 } };
const inverseIn = (events: readonly Event[]) =>
  events.flatMap(event => (event.type === 'INVERSE_OFFERS' ? event.inverse_offers.inverse_offers : []));

test('before maintenance whoever has something on an agent is asked to give it back, again and again', async t => {
  const { framework, pass, mesos } = glass({ agents: 2 });
  const scheduler = framework();
  await scheduler.subscribe();
  await scheduler.accept(scheduler.offers()[0]!, [taskOn(scheduler.offers()[0]!, 'one', 'sleep infinity')], 3600);
  await pass(10);
  scheduler.news();
  const agent = scheduler.offers()[0]!.agent_id.value;
  mesos.host.operate({ type: 'maintain', agents: [agent], unavailability });
  await pass(10);
  const asked = inverseIn(scheduler.news());
  t.deepEqual(
    asked.map(({ agent_id, unavailability }) => [agent_id?.value, unavailability]),
    [[agent, unavailability]],
  );
  await scheduler.call({
    type: 'ACCEPT_INVERSE_OFFERS',
    accept_inverse_offers: { inverse_offer_ids: [asked[0]!.id], filters: { refuse_seconds: 2 } },
  });
  await pass(1_900);
  t.deepEqual(inverseIn(scheduler.news()), []);
  await pass(200);
  const again = inverseIn(scheduler.news());
  t.is(again.length, 1);
  mesos.host.operate({ type: 'maintain', agents: [agent] });
  await pass(10);
  t.deepEqual(
    scheduler.news().filter(({ type }) => type === 'RESCIND_INVERSE_OFFER'),
    [{ type: 'RESCIND_INVERSE_OFFER', rescind_inverse_offer: { inverse_offer_id: again[0]!.id } }],
  );
});

test('an agent that is drained is offered to nobody, kills what it has with the reason, and comes back when it may', async t => {
  const { framework, pass, mesos } = glass({ agents: 1, life: () => ({ start_delay_ms: 0, exit: { code: 0 } }) });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 'stubborn')]);
  await pass(10);
  await scheduler.acknowledgeAll();
  scheduler.news();
  const agents = [offer.agent_id.value];
  mesos.host.operate({ type: 'drain', agents, grace_ms_max: 1_000 });
  await pass(1_100);
  await scheduler.acknowledgeAll();
  await pass(10);
  t.deepEqual(
    scheduler
      .statuses('stubborn')
      .slice(-2)
      .map(({ state, reason }) => [state, reason]),
    [
      ['TASK_KILLING', 'REASON_AGENT_DRAINING'],
      ['TASK_KILLED', 'REASON_AGENT_DRAINING'],
    ],
  );
  await pass(10_000);
  t.deepEqual(
    scheduler.news().filter(({ type }) => type === 'OFFERS'),
    [],
  );
  mesos.host.operate({ type: 'reactivate', agents });
  await pass(10);
  t.is(scheduler.offers().at(-1)?.agent_id.value, agents[0]);
});

test('an agent that was given up takes its tasks along for good, and is not heard when it comes back', async t => {
  const { framework, pass, mesos } = glass({ agents: 1 });
  const scheduler = framework();
  await scheduler.subscribe();
  const offer = scheduler.offers()[0]!;
  await scheduler.accept(offer, [taskOn(offer, 'one', 'sleep infinity')], 3600);
  await scheduler.acknowledgeAll();
  const agents = [offer.agent_id.value];
  mesos.host.operate({ type: 'mark-gone', agents });
  await pass(10);
  t.like(scheduler.statuses('one').at(-1), {
    state: 'TASK_GONE_BY_OPERATOR',
    reason: 'REASON_AGENT_REMOVED_BY_OPERATOR',
  });
  t.deepEqual(scheduler.events.at(-1), { type: 'FAILURE', failure: { agent_id: offer.agent_id } });
  mesos.agents.lose(agents[0]!);
  mesos.agents.restore(agents[0]!);
  await pass(1_000);
  t.deepEqual(scheduler.events.at(-1), { type: 'FAILURE', failure: { agent_id: offer.agent_id } });
  await scheduler.call({
    type: 'RECONCILE',
    reconcile: { tasks: [{ task_id: { value: 'one' }, agent_id: offer.agent_id }, { task_id: { value: 'one' } }] },
  });
  t.deepEqual(scheduler.states('one').slice(-2), ['TASK_GONE_BY_OPERATOR', 'TASK_UNKNOWN']);
});

test('a new master says nothing of what agents may have that it still waits for', async t => {
  const { framework, pass } = glass({ agents: 1, master: { awaited_agents: ['glass-S7'] } });
  const scheduler = framework('known');
  await scheduler.subscribe();
  await pass(10);
  scheduler.news();
  const tasks = [
    { task_id: { value: 'a' } },
    { task_id: { value: 'b' }, agent_id: { value: 'glass-S7' } },
    { task_id: { value: 'c' }, agent_id: { value: 'glass-S0' } },
  ];
  await scheduler.call({ type: 'RECONCILE', reconcile: { tasks } });
  t.deepEqual(
    scheduler.statuses().map(({ task_id, state }) => [task_id.value, state]),
    [['c', 'TASK_GONE']],
  );
});

test('an offer that is held too long is rescinded and offered anew', async t => {
  const { framework, pass } = glass({ agents: 1, master: { offer_timeout_ms: 5_000 } });
  const holder = framework();
  await holder.subscribe();
  const waiting = framework();
  await waiting.subscribe();
  await pass(4_000);
  t.deepEqual(waiting.offers(), []);
  await pass(1_100);
  t.true(holder.events.some(({ type }) => type === 'RESCIND'));
  t.is(waiting.offers().length + holder.offers().length, 2);
});
