// timetable.test.ts: one heap, one timer, everybody told when due.

import test from 'ava';
import type { Effect } from '../../actors/effects.ts';
import {
  newTimetable,
  type Resting,
  type TimetableMessage,
  type TimetableState,
  timetable,
} from '../../actors/timetable.ts';

function clockwork() {
  let state: TimetableState = newTimetable();
  let backlog = 0;
  const move = timetable({ due_batch_max: 2, backlog_max: 10, sleep_ms_max: 1_000 }, () => backlog);
  const tell = (message: TimetableMessage, now: number) => {
    const next = move(state, message, now);
    state = next.state;
    return next.effects;
  };
  return {
    arm: (to: Resting['to'], key: string, at: number, now = 0) =>
      wake(tell({ type: 'armed', armed: [{ to, key, at }] }, now)),
    journal(waiting: number) {
      backlog = waiting;
    },
    disarm: (to: Resting['to'], key: string) => tell({ type: 'disarmed', disarmed: [{ to, key }] }, 0),
    woke(now: number) {
      const effects = tell({ type: 'woke' }, now);
      return { told: effects.flatMap(told), wake: wake(effects), effects };
    },
  };
}
const wake = (effects: readonly Effect[]) => effects.flatMap(one => (one.type === 'wake' ? [one.at] : []));
const told = (effect: Effect) =>
  effect.type === 'tell' ? [`${effect.to} ${'key' in effect ? effect.key : ''}`.trim()] : [];

test('the timer is set for the earliest, and not set again for a later one', t => {
  const one = clockwork();
  t.deepEqual(one.arm('trigger', 'a', 500), [500]);
  t.deepEqual(one.arm('trigger', 'b', 700), []);
  t.deepEqual(one.arm('instance', 'c', 300), [300]);
  const { told: who, wake: next } = one.woke(300);
  t.deepEqual(who, ['instance c']);
  t.deepEqual(next, [500]);
});

test('everybody is told once, earliest first, so many in a turn; the rest comes the next turn at once', t => {
  const one = clockwork();
  for (const [key, at] of [
    ['c', 30],
    ['a', 10],
    ['b', 20],
  ] as const)
    one.arm('trigger', key, at);
  const first = one.woke(100);
  t.deepEqual(first.told, ['trigger a', 'trigger b']);
  t.deepEqual(first.wake, [100]);
  t.deepEqual(one.woke(100).told, ['trigger c']);
  t.deepEqual(one.woke(100).told, []);
});

test('nobody is told while the journal is behind, and then everybody hears when it was noticed', t => {
  const one = clockwork();
  one.arm('trigger', 'a', 10);
  one.journal(11);
  const waiting = one.woke(100);
  t.deepEqual(waiting.told, []);
  t.true(waiting.wake[0]! > 100);
  one.journal(10);
  const after = one.woke(5_000);
  t.deepEqual(after.told, ['trigger a']);
  const [due] = after.effects.flatMap(each => (each.type === 'tell' && each.to === 'trigger' ? [each.message] : []));
  t.deepEqual(due, { type: 'due', noticed_at: 100 });
});

test('whoever is told in a later turn hears when it was noticed', t => {
  const one = clockwork();
  for (const key of ['a', 'b', 'c']) one.arm('trigger', key, 10);
  one.woke(100);
  t.like(one.woke(900).effects[0], { message: { type: 'due', noticed_at: 100 } });
  one.arm('trigger', 'd', 950, 900);
  t.like(one.woke(960).effects[0], { message: { type: 'due', noticed_at: 960 } });
});

test('arming again moves, disarming forgets', t => {
  const one = clockwork();
  one.arm('trigger', 'a', 10);
  one.arm('trigger', 'a', 50);
  one.arm('instance', 'a', 20);
  one.disarm('instance', 'a');
  one.disarm('instance', 'never');
  t.deepEqual(one.woke(30).told, []);
  t.deepEqual(one.woke(50).told, ['trigger a']);
});

test('the timer never sleeps longer than the limit, so that a clock that was set is noticed', t => {
  const one = clockwork();
  t.deepEqual(one.arm('trigger', 'a', 86_400_000), [1_000]);
  t.deepEqual(one.woke(1_000).wake, [2_000]);
  t.deepEqual(one.woke(86_500_000).told, ['trigger a']);
});

test('a timer that rings too early, because the clock was set back, tells nobody and is set again', t => {
  const one = clockwork();
  one.arm('trigger', 'a', 500);
  t.deepEqual(one.woke(100).told, []);
  t.deepEqual(one.woke(500).told, ['trigger a']);
});

test('all four who rest here are told in their own way', t => {
  const one = clockwork();
  one.arm('framework', 'doubts', 1);
  one.arm('offers', '', 2);
  const { effects } = one.woke(10);
  t.like(effects[0], { to: 'framework', message: { type: 'due', what: 'doubts' } });
  t.like(effects[1], { to: 'offers', message: { type: 'due' } });
});
