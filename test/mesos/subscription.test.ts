// subscription.test.ts: only events whose shape can be trusted come through, and no strange one costs us the others.

import test from 'ava';
import { readEvent, resubscribeDelay, subscriptionReader } from '../../mesos/subscription.ts';
import { record, subscribed } from './support/scripted-master.ts';

const stream = (...events: readonly unknown[]) =>
  Buffer.from(events.map(event => record(JSON.stringify(event))).join(''));
const offer = {
  id: { value: 'O1' },
  framework_id: { value: 'f' },
  agent_id: { value: 'S1' },
  hostname: 'h',
  resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }],
};

test('SUBSCRIBED tells the framework id and the heartbeat', t => {
  const reader = subscriptionReader(1000);
  t.is(reader.subscribed(), undefined);
  reader.feed(stream(subscribed));
  t.deepEqual(reader.subscribed(), { framework_id: 'framework-1', heartbeat_ms: 15_000 });
});

for (const [seconds, heartbeat_ms] of [
  [2, 2000],
  [undefined, 15_000],
  [0, 15_000],
  [-5, 15_000],
  [1e12, 600_000],
] as const)
  test(`a heartbeat interval of ${seconds} s is taken as ${heartbeat_ms} ms`, t => {
    const reader = subscriptionReader(1000);
    reader.feed(
      stream({ type: 'SUBSCRIBED', subscribed: { framework_id: { value: 'f' }, heartbeat_interval_seconds: seconds } }),
    );
    t.is(reader.subscribed()?.heartbeat_ms, heartbeat_ms);
  });

test('a strange record is put aside with a sentence, and the events around it come through', t => {
  const { events, ignored, garbled } = subscriptionReader(10_000).feed(
    stream(
      subscribed,
      { type: 'TEA' },
      7,
      null,
      [],
      { no: 'type' },
      { type: 'RESCIND', rescind: {} },
      { type: 'HEARTBEAT' },
    ),
  );
  t.deepEqual(events, [subscribed, { type: 'HEARTBEAT' }] as never);
  t.deepEqual(ignored, [
    'an event of unknown type TEA',
    'a record without a type: 7',
    'a record without a type: null',
    'a record without a type: []',
    'a record without a type: {"no":"type"}',
    'RESCIND without rescind.offer_id: {"type":"RESCIND","rescind":{}}',
  ]);
  t.is(garbled, undefined);
});

test('a strange offer does not spoil the others of its event', t => {
  const strange = [
    { ...offer, id: undefined },
    { ...offer, agent_id: 'S1' },
    { ...offer, resources: undefined },
    { ...offer, resources: [null] },
    { ...offer, resources: [{ name: 'ports', ranges: { range: 'all' } }] },
    { ...offer, attributes: [{ text: { value: 'nameless' } }] },
    { ...offer, resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 'many' } }] },
    { ...offer, unavailability: {} },
    { ...offer, allocation_info: { role: 7 } },
    { ...offer, url: { address: { port: 'http' } } },
  ];
  t.deepEqual(readEvent({ type: 'OFFERS', offers: { offers: [strange[0], offer, ...strange.slice(1)] } }), {
    type: 'OFFERS',
    offers: { offers: [offer] },
  } as never);
  t.is(typeof readEvent({ type: 'OFFERS', offers: { offers: strange } }), 'string');
  t.is(typeof readEvent({ type: 'OFFERS', offers: {} }), 'string');
});

for (const event of [
  { type: 'SUBSCRIBED', subscribed: {} },
  { type: 'UPDATE', update: { status: { state: 'TASK_RUNNING' } } },
  { type: 'UPDATE', update: { status: { task_id: { value: 't' } } } },
  { type: 'UPDATE', update: { status: { task_id: { value: 't' }, state: 'TASK_RUNNING', uuid: 7 } } },
  { type: 'ERROR', error: {} },
  { type: 'FAILURE' },
  { type: 'MESSAGE' },
  { type: 'INVERSE_OFFERS' },
  { type: 'INVERSE_OFFERS', inverse_offers: { inverse_offers: [{ id: { value: 'O1' } }] } },
  {
    type: 'INVERSE_OFFERS',
    inverse_offers: { inverse_offers: [{ id: { value: 'O1' }, unavailability: { start: { nanoseconds: 'noon' } } }] },
  },
  { type: 'RESCIND_INVERSE_OFFER', rescind_inverse_offer: {} },
  { type: 'UPDATE_OPERATION_STATUS', update_operation_status: { status: {} } },
  {
    type: 'UPDATE_OPERATION_STATUS',
    update_operation_status: { status: { state: 'OPERATION_FINISHED', uuid: 'bare' } },
  },
  { type: 'MESSAGE', message: { data: 'aGk=' } },
  { type: 'FAILURE', failure: { agent_id: 'S0' } },
])
  test(`${JSON.stringify(event)} is no event`, t => t.is(typeof readEvent(event), 'string'));

test('a task state that is not known yet comes through: it must be acknowledged all the same', t => {
  const event = {
    type: 'UPDATE',
    update: { status: { task_id: { value: 't' }, state: 'TASK_FROZEN', uuid: 'dXVpZA==' } },
  };
  t.is(readEvent(event), event as never);
});

test('once garbled, a subscription stays garbled', t => {
  const reader = subscriptionReader(1000);
  t.is(reader.feed(Buffer.from('oops')).garbled, 'byte 0x6f at 0 of the stream: expected the length of a record');
  t.deepEqual(reader.feed(stream(subscribed)).events, []);
});

test('text outside ASCII that is cut in the middle of a letter comes out whole', t => {
  const event = { type: 'ERROR', error: { message: 'Kärntner Straße \u{1f570}' } };
  const bytes = stream(event);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = subscriptionReader(1000);
    const events = [bytes.subarray(0, cut), bytes.subarray(cut)].flatMap(piece => [...reader.feed(piece).events]);
    t.deepEqual(events, [event] as never);
  }
});

test('records of a chunk that is not all ASCII are read each for itself', t => {
  const events = ['plain', 'Straße', 'plain again'].map(message => ({ type: 'ERROR', error: { message } }));
  t.deepEqual(subscriptionReader(1000).feed(stream(...events)).events, events as never);
});

test('the delay before subscribing again doubles to half a minute, the upper half of it by chance', t => {
  t.deepEqual(
    [1, 2, 3, 6, 7, 1000].map(attempt => resubscribeDelay(attempt, 1)),
    [500, 1000, 2000, 16_000, 30_000, 30_000],
  );
  t.deepEqual(
    [1, 2, 3, 7, 1000].map(attempt => resubscribeDelay(attempt, 0)),
    [250, 500, 1000, 15_000, 15_000],
  );
});
