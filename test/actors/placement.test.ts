// placement.test.ts: who waits, what is offered, and who is given what.

import test from 'ava';
import type { Effect } from '../../actors/effects.ts';
import {
  inWords,
  newPlacement,
  type PlacementMessage,
  type PlacementState,
  placement,
} from '../../actors/framework/placement.ts';
import { requirements } from '../../actors/instance/launch.ts';
import { readJob } from '../../actors/model/job.ts';
import { offer } from '../mesos/support/offers.ts';

const executor = { cpus: 0.01, mem: 32, disk: 1 };
const instance = (index: number) => `www/prod/hello/1.cron.a/${index}`;

function wanted(index: number, more: object = {}, version = 1) {
  const read = readJob({ role: 'www', environment: 'prod', name: 'hello', command: 'true', cpus: 1, ...more });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  const key = instance(index);
  return {
    key,
    task_id: `${key.replaceAll('/', ':')}:1`,
    since: 0,
    requirements: requirements('www/prod/hello', version, read.value, executor),
  };
}

function counter(placements_max = 100) {
  let state: PlacementState = newPlacement();
  const move = placement({ placements_max, priority_step_ms: 600_000 });
  return {
    state: () => state,
    tell(message: PlacementMessage) {
      const next = move(state, message, 0);
      state = next.state;
      return next.effects;
    },
    want(...all: ReturnType<typeof wanted>[]) {
      return this.tell({ type: 'wanted', wanted: all });
    },
    offered(...all: ReturnType<typeof offer>[]) {
      return this.tell({ type: 'offered', offered: all });
    },
  };
}
/** Indexes of the instances that were given a place, in order. */
const granted = (effects: readonly Effect[]) =>
  effects.flatMap(one =>
    one.type === 'tell' && one.to === 'instance' && one.message.type === 'granted' ? [Number(one.key.at(-1))] : [],
  );
const needs = (effects: readonly Effect[]) =>
  effects.flatMap(one =>
    one.type === 'tell' && one.to === 'offers' && one.message.type === 'needed' ? [one.message.needed] : [],
  );

test('whoever waits gets the first place that will do, whichever came first', t => {
  const one = counter();
  one.want(wanted(0));
  t.deepEqual(granted(one.offered(offer())), [0]);
  t.deepEqual(granted(one.offered(offer())), []);
  t.deepEqual(granted(one.want(wanted(1))), [1]);
  t.is(one.state().waiting.size, 0);
});

test('the offers of a host are taken before anybody is told, and are not given twice', t => {
  const one = counter();
  one.offered(offer({ id: 'a', cpus: 1.5 }));
  const effects = one.want(wanted(0), wanted(1));
  const told = effects.flatMap(effect => (effect.type === 'tell' ? [effect.message.type] : []));
  t.deepEqual(told.slice(0, 2), ['taken', 'granted']);
  t.deepEqual(granted(effects), [0]);
  t.is(one.state().offers.size, 0);
  t.is(one.state().waiting.size, 1);
});

test('offers are asked for when somebody begins to wait, beside others too, and not by whoever finds a place', t => {
  const one = counter();
  t.deepEqual(needs(one.want(wanted(0, { cpus: 64 }, 2))), [true]);
  t.deepEqual(needs(one.want(wanted(1), wanted(2))), [true], 'what was no good to him may be to them');
  t.deepEqual(needs(one.offered(offer())), []);
  one.offered(offer({ agent: 'S1' }));
  t.deepEqual(needs(one.want(wanted(3))), [], 'has a place');
  t.deepEqual(needs(one.want()), []);
  t.deepEqual(needs(one.tell({ type: 'withdrawn', withdrawn: [instance(0)] })), [false]);
});

test('higher priority goes first, then whoever came first', t => {
  const one = counter(3);
  one.want(wanted(0), wanted(1), wanted(2, { priority: 5 }, 2), wanted(3, { priority: 5 }, 2));
  t.deepEqual(granted(one.offered(offer())), [2, 3, 0]);
});

test('whoever has waited long enough goes before those of higher priority that come later, so nobody starves', t => {
  const high = (index: number, since: number) => ({ ...wanted(index, { priority: 1 }, 2), since });
  const one = counter(1);
  one.want(wanted(0), high(1, 599_999), high(2, 600_001));
  t.deepEqual(granted(one.offered(offer())), [1]);
  t.deepEqual(granted(one.offered(offer({ id: 'b', agent: 'S1' }))), [0]);
  const urgent = counter(1);
  urgent.want(wanted(0), { ...wanted(1, { priority: 1_000 }, 2), since: 86_400_000 });
  t.deepEqual(granted(urgent.offered(offer())), [1], 'a thousand steps are a week');
});

test('an offer that was taken back is given to nobody', t => {
  const one = counter();
  one.offered(offer({ id: 'a' }), offer({ id: 'b', agent: 'S1', cpus: 0.1 }));
  one.tell({ type: 'rescinded', rescinded: ['a', 'unknown'] });
  t.deepEqual(granted(one.want(wanted(0))), []);
});

test('several offers of one host are one place', t => {
  const one = counter();
  one.want(wanted(0, { cpus: 3 }));
  t.deepEqual(granted(one.offered(offer({ cpus: 2, mem: 100, ports: [] }))), []);
  t.deepEqual(granted(one.offered(offer({ cpus: 2, mem: 100, ports: [] }))), [0]);
});

test('whoever withdraws is not given anything', t => {
  const one = counter();
  one.want(wanted(0), wanted(1));
  one.tell({ type: 'withdrawn', withdrawn: [instance(0), instance(7)] });
  t.deepEqual(granted(one.offered(offer())), [1]);
});

test('offers are asked for while somebody waits, and said to be enough when nobody does', t => {
  const one = counter();
  t.deepEqual(needs(one.want(wanted(0))), [true]);
  t.deepEqual(needs(one.want(wanted(1))), [true]);
  t.deepEqual(needs(one.offered(offer())), [false]);
  one.want(wanted(2, { cpus: 64 }));
  t.deepEqual(needs(one.tell({ type: 'withdrawn', withdrawn: [instance(2)] })), [false]);
});

test('asking twice is waiting once', t => {
  const one = counter();
  one.want(wanted(0));
  one.want(wanted(0));
  t.deepEqual(granted(one.offered(offer())), [0]);
  t.deepEqual(granted(one.offered(offer({ agent: 'S1' }))), []);
});

test('every no says what is short, by how much, and where it was nearest', t => {
  const one = counter();
  one.want(wanted(0, { cpus: 64 }));
  const note = one.offered(offer()).find(effect => effect.type === 'note-pending');
  const why = note?.type === 'note-pending' ? [...note.why.values()][0] : undefined;
  t.regex(inWords(why!), /cpus: needs 64(\.\d+)?, 1 of 1 hosts have less \(most: 4 on host-S0\)/);
  t.is(inWords({ code: 'no-offers' }), 'no agent offers anything at the moment');
});
