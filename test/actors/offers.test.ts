// offers.test.ts: what is lent is used or goes back, whatever happens between the choosing and the launching.

import test from 'ava';
import type { Effect } from '../../actors/effects.ts';
import { newOffers, type OffersMessage, type OffersState, offers } from '../../actors/framework/offers.ts';
import type { LaunchPlan, Placement } from '../../mesos/match.ts';
import type { CallAnswer } from '../../mesos/protocol.ts';
import { offer } from '../mesos/support/offers.ts';

const limits = { hold_ms: 60_000, offers_max: 3, refuse_seconds: 5, revive_interval_ms: 1_000 };
const start = 1_000_000;
const task = (index: number) => `www:prod:hello:1.cron.a:${index}:1`;
const instance = (index: number) => `www/prod/hello/1.cron.a/${index}`;

const plan = (index: number): LaunchPlan => ({
  task_id: task(index),
  name: 'hello',
  group: 'www/prod/hello@1',
  resources: { cpus: 1, mem: 32, disk: 0 },
  ports: [],
  executor: { cpus: 0.01, mem: 32, disk: 1 },
  constraints: [],
  command: { value: 'true' },
  kill_grace_ms: 3_000,
  labels: {},
});
const place = (index: number, offer_ids: readonly string[]): Placement => ({
  plan: plan(index),
  agent_id: 'S0',
  hostname: 'h0',
  offer_ids,
  ports: {},
  resources: [],
  executor_resources: [],
  index: 0,
});

/** An offers actor in the middle of its day, told one thing after the other. */
function desk() {
  let state: OffersState = newOffers();
  let now = start;
  const groups = new Map<string, readonly number[]>();
  const placeOf = (group: string, index: number) => groups.get(group)?.indexOf(index) ?? 0;
  const move = offers(limits);
  const tell = (message: OffersMessage): readonly string[] => {
    const next = move(state, message, now);
    state = next.state;
    return next.effects.flatMap(brief);
  };
  return {
    tell,
    wait(ms: number) {
      now += ms;
    },
    state: () => state,
    offered: (...ids: string[]) => tell({ type: 'offered', offered: ids.map(id => offer({ id })) }),
    taken: (group: string, ids: readonly string[], ...tasks: number[]) => {
      groups.set(group, tasks);
      const chosen = tasks.map(index => ({ task_id: task(index), placement: place(index, ids) }));
      return tell({ type: 'taken', taken: [{ group, chosen }] });
    },
    yes: (group: string, index: number) =>
      tell({
        type: 'answered',
        answered: [{ group, place: placeOf(group, index), task_id: task(index), plan: plan(index) }],
      }),
    no: (group: string, index: number) =>
      tell({
        type: 'answered',
        answered: [{ group, place: placeOf(group, index), task_id: task(index), plan: undefined }],
      }),
    sent: (tag: string, answer: CallAnswer) => tell({ type: 'sent', sent: [{ tag, answer }] }),
  };
}
const open = () => {
  const one = desk();
  one.tell({ type: 'subscribed', framework_id: 'F' });
  return one;
};

/** What an effect says, short; counts, log lines and timers aside. */
function brief(effect: Effect): string[] {
  if (effect.type === 'call') {
    const { call } = effect;
    if (call.type === 'DECLINE') return [`DECLINE ${call.decline.offer_ids.map(one => one.value).join(' ')}`];
    if (call.type === 'ACCEPT') {
      const launched = call.accept.operations.flatMap(one =>
        one.type === 'LAUNCH_GROUP' ? one.launch_group.task_group.tasks.map(({ task_id }) => task_id.value.at(-3)) : [],
      );
      return [`ACCEPT ${call.accept.offer_ids.map(one => one.value).join(' ')} for ${launched.join(' ')}`];
    }
    return [call.type];
  }
  if (effect.type !== 'tell' || effect.to === 'timetable') return [];
  const { message } = effect;
  if (message.type === 'offered') return [`placement has ${message.offered.length}`];
  if (message.type === 'rescinded') return [`placement lacks ${message.rescinded.join(' ')}`];
  if (message.type === 'doubt') return [`doubt ${message.doubt.map(one => one.task_id.at(-3)).join(' ')}`];
  return [`${effect.to} ${'key' in effect ? effect.key.at(-1) : ''} ${message.type}`];
}

test('a group is launched with one ACCEPT when all of it have said yes', t => {
  const one = open();
  t.deepEqual(one.offered('a', 'b'), ['placement has 2']);
  t.deepEqual(one.taken('g', ['a', 'b'], 0, 1, 2), []);
  t.deepEqual(one.yes('g', 0), []);
  t.deepEqual(one.no('g', 1), []);
  t.deepEqual(one.yes('g', 2), ['ACCEPT a b for 0 2']);
  t.deepEqual(one.sent('g', { type: 'accepted' }), []);
  t.is(one.state().open.size + one.state().groups.size + one.state().sent.size, 0);
});

test('a group of which all said no gives its offers back at once', t => {
  const one = open();
  one.offered('a');
  one.taken('g', ['a'], 0, 1);
  one.no('g', 0);
  t.deepEqual(one.no('g', 1), ['DECLINE a']);
});

test('an offer that is rescinded while its group is asked launches nothing, and the rest goes back', t => {
  const one = open();
  one.offered('a', 'b');
  one.taken('g', ['a', 'b'], 0, 1);
  one.yes('g', 0);
  t.deepEqual(one.tell({ type: 'rescinded', rescinded: ['a'] }), []);
  t.deepEqual(one.yes('g', 1), ['DECLINE a b', 'instance 0 dropped', 'instance 1 dropped']);
});

test('an offer that is rescinded before the news of its taking arrives launches nothing', t => {
  const one = open();
  one.offered('a');
  t.deepEqual(one.tell({ type: 'rescinded', rescinded: ['a'] }), ['placement lacks a']);
  one.taken('g', ['a'], 0);
  t.deepEqual(one.yes('g', 0), ['DECLINE a', 'instance 0 dropped']);
});

test('a disconnection between taken and answered launches nothing', t => {
  const one = open();
  one.offered('a', 'b');
  one.taken('g', ['a'], 0);
  t.deepEqual(one.tell({ type: 'disconnected' }), ['placement lacks b']);
  one.tell({ type: 'subscribed', framework_id: 'F' });
  t.deepEqual(one.yes('g', 0), ['DECLINE a', 'instance 0 dropped']);
  t.is(one.state().open.size, 0);
});

test('an ACCEPT that Mesos refused, or that never left, returns its instances to the queue', t => {
  for (const [answer, back] of [
    [{ type: 'refused', status: 400, message: 'no' }, ['DECLINE a', 'instance 0 dropped', 'instance 1 dropped']],
    [{ type: 'unsent', message: 'no subscription' }, ['instance 0 dropped', 'instance 1 dropped']],
  ] as const) {
    const one = open();
    one.offered('a');
    one.taken('g', ['a'], 0, 1);
    one.yes('g', 0);
    one.yes('g', 1);
    t.deepEqual(one.sent('g', answer), back);
    t.deepEqual(one.sent('g', answer), [], 'told once');
  }
});

test('an ACCEPT of unknown fate is asked about, and cannot arrive late', t => {
  const one = open();
  one.offered('a');
  one.taken('g', ['a'], 0, 1);
  one.yes('g', 0);
  one.yes('g', 1);
  t.deepEqual(one.sent('g', { type: 'unknown', message: 'reset' }), ['DECLINE a', 'doubt 0 1']);
});

test('no more offers are held than the limit says', t => {
  const one = open();
  t.deepEqual(one.offered('a', 'b', 'c', 'd', 'e'), ['placement has 3', 'DECLINE d e']);
  t.deepEqual(one.offered('f'), ['DECLINE f']);
});

test('an offer goes back after its holding time, and with nobody waiting we ask for no more', t => {
  const one = open();
  one.offered('a');
  one.wait(30_000);
  one.offered('b');
  one.wait(30_000);
  t.deepEqual(one.tell({ type: 'due' }), ['DECLINE a', 'placement lacks a']);
  one.wait(30_000);
  t.deepEqual(one.tell({ type: 'due' }), ['DECLINE b', 'placement lacks b', 'SUPPRESS']);
  t.deepEqual(one.tell({ type: 'needed', needed: true }), ['REVIVE']);
  t.deepEqual(one.tell({ type: 'needed', needed: true }), [], 'once');
});

test('whoever begins to wait has what was given back offered again, though not as often as we like', t => {
  const one = open();
  t.deepEqual(one.tell({ type: 'needed', needed: true }), [], 'nothing is kept from us');
  one.tell({ type: 'needed', needed: false });
  one.offered('a');
  one.taken('g', ['a'], 0);
  t.deepEqual(one.yes('g', 0), ['ACCEPT a for 0'], 'and the rest of it goes back for a while');
  t.deepEqual(one.tell({ type: 'needed', needed: true }), ['REVIVE']);
  t.deepEqual(one.tell({ type: 'needed', needed: true }), [], 'it is on its way');
  one.offered('b', 'c');
  one.wait(400);
  one.taken('h', ['b'], 1);
  one.yes('h', 1);
  t.deepEqual(one.tell({ type: 'needed', needed: true }), [], 'too soon');
  t.true(one.state().reviving);
  t.deepEqual(one.tell({ type: 'needed', needed: true }), []);
  one.wait(599);
  t.deepEqual(
    one.tell({ type: 'due' }).filter(each => each === 'REVIVE'),
    [],
  );
  one.wait(1);
  t.deepEqual(
    one.tell({ type: 'due' }).filter(each => each === 'REVIVE'),
    ['REVIVE'],
  );
  t.deepEqual(
    one.tell({ type: 'due' }).filter(each => each === 'REVIVE'),
    [],
  );
});

test('a REVIVE that waits is forgotten when nobody waits any more', t => {
  const one = open();
  one.offered('a');
  one.taken('g', ['a'], 0);
  one.yes('g', 0);
  one.tell({ type: 'needed', needed: true });
  one.offered('b');
  one.taken('h', ['b'], 1);
  one.yes('h', 1);
  one.tell({ type: 'needed', needed: true });
  t.true(one.state().reviving);
  one.tell({ type: 'needed', needed: false });
  one.wait(1_000);
  t.deepEqual(
    one.tell({ type: 'due' }).filter(each => each === 'REVIVE'),
    [],
  );
});

test('offers that go unused while somebody waits go back, but others are still wanted', t => {
  const one = open();
  one.tell({ type: 'needed', needed: true });
  one.offered('a');
  one.wait(60_000);
  t.deepEqual(one.tell({ type: 'due' }), ['DECLINE a', 'placement lacks a']);
});

test('a new subscription is not suppressed, whatever the last one was', t => {
  const one = open();
  one.offered('a');
  one.wait(60_000);
  one.tell({ type: 'due' });
  t.true(one.state().suppressed);
  one.tell({ type: 'disconnected' });
  one.tell({ type: 'subscribed', framework_id: 'F' });
  t.deepEqual(one.tell({ type: 'needed', needed: true }), []);
});

test('whoever does not answer in a holding time holds up nobody; an answer after that is too late', t => {
  const one = open();
  one.offered('a');
  one.taken('g', ['a'], 0, 1);
  one.yes('g', 0);
  one.wait(60_000);
  t.deepEqual(one.tell({ type: 'due' }), ['ACCEPT a for 0']);
  t.deepEqual(one.yes('g', 1), ['instance 1 dropped']);
  t.deepEqual(one.no('g', 1), []);
});

test('an instance that is killed is kept back while its group is asked, and killed once the ACCEPT has left', t => {
  const one = open();
  one.offered('a');
  one.taken('g', ['a'], 0, 1);
  one.yes('g', 0);
  t.deepEqual(one.tell({ type: 'revoked', revoked: [task(0)] }), ['instance 0 dropped']);
  t.deepEqual(one.yes('g', 1), ['ACCEPT a for 1']);
  t.deepEqual(one.tell({ type: 'revoked', revoked: [task(1)] }), ['instance 1 due']);
  t.is(instance(1).at(-1), '1');
});
