// vacating.test.ts: agents that go into maintenance are left in time, and no sooner.

import test from 'ava';
import type { Effect } from '../../actors/effects.ts';
import { asked, lookRound, type Notices, noticed, vacating, withdrawn } from '../../actors/framework/vacating.ts';
import type { InverseOffer } from '../../mesos/protocol.ts';

const day = 86_400_000;
const from = 10 * day;
const inverse = (id: string, agent: string | undefined, start = from, length_ms?: number): InverseOffer => ({
  id: { value: id },
  framework_id: { value: 'f' },
  ...(agent === undefined ? {} : { agent_id: { value: agent } }),
  unavailability: {
    start: { nanoseconds: start * 1e6 },
    ...(length_ms === undefined ? {} : { duration: { nanoseconds: length_ms * 1e6 } }),
  },
});
const none: Notices = new Map();
const calls = (effects: readonly Effect[]) => effects.flatMap(one => (one.type === 'call' ? [one.call] : []));
const wakes = (effects: readonly Effect[]) =>
  effects.flatMap(one =>
    one.type === 'tell' && one.to === 'timetable' && one.message.type === 'armed'
      ? one.message.armed.map(({ at }) => at)
      : [],
  );
const gathered = (effects: readonly Effect[]) =>
  effects.flatMap(one => (one.type === 'gather-tasks' ? [...(one.of ?? [])] : []));
const moved = (effects: readonly Effect[]) =>
  effects.flatMap(one =>
    one.type === 'tell' && one.to === 'instance' && one.message.type === 'vacate' ? [[one.key, one.message.all]] : [],
  );
const resident = (task_id: string, agent_id = 'S0') => ({ task_id, agent_id });

test('a notice is accepted, and an hour before it we look who is still there', t => {
  const { state, effects } = noticed(none, [inverse('O1', 'S0')], 0);
  t.deepEqual(calls(effects), [
    {
      type: 'ACCEPT_INVERSE_OFFERS',
      accept_inverse_offers: { inverse_offer_ids: [{ value: 'O1' }], filters: { refuse_seconds: vacating.repeat_s } },
    },
  ]);
  t.deepEqual(wakes(effects), [from - vacating.lead_ms]);
  t.deepEqual([...state.keys()], ['S0']);
});

test('a notice that is given again is accepted again, and said once', t => {
  const first = noticed(none, [inverse('O1', 'S0')], 0);
  const again = noticed(first.state, [inverse('O2', 'S0')], 300_000);
  t.is(calls(again.effects).length, 1);
  t.deepEqual(
    [first, again].map(({ effects }) => effects.filter(one => one.type === 'log').length),
    [1, 0],
  );
  t.is(again.state.get('S0')?.offer_id, 'O2');
});

test('a notice for no agent is nothing that we could answer', t => {
  t.deepEqual(noticed(none, [inverse('O1', undefined)], 0), { state: none, effects: [] });
});

test('before its time nobody is looked for; when it has come, until the agent is gone', t => {
  const { state } = noticed(none, [inverse('O1', 'S0')], from - vacating.lead_ms - 2);
  const early = lookRound(state, from - vacating.lead_ms - 1);
  t.deepEqual([gathered(early.effects), wakes(early.effects)], [[], [from - vacating.lead_ms]]);
  const now = from - vacating.lead_ms;
  const due = lookRound(state, now);
  t.deepEqual([gathered(due.effects), wakes(due.effects)], [['S0'], [now + vacating.step_ms]]);
});

test('a notice that is not given again, is withdrawn, or is over, moves nobody', t => {
  const now = from - 60_000;
  const { state } = noticed(none, [inverse('O1', 'S0', from, 3_600_000)], now);
  t.is(gathered(lookRound(state, now).effects).length, 1);
  t.deepEqual(lookRound(state, now + 2 * vacating.repeat_s * 1000 + 1), { state: none, effects: [] });
  t.deepEqual(withdrawn(state, 'O1'), none);
  t.is(withdrawn(state, 'O2').size, 1);
  const over = from + 3_600_000;
  const { state: late } = noticed(none, [inverse('O1', 'S0', from, 3_600_000)], over - 1);
  t.deepEqual(lookRound(late, over).state, none);
});

test('one instance of a job is asked to go at a time, and every one when it is late', t => {
  const { state } = noticed(none, [inverse('O1', 'S0')], 0);
  const residents = [
    resident('www:prod:a:1.svc:0:1'),
    resident('www:prod:a:1.svc:1:4'),
    resident('www:prod:b:1.svc:0:1'),
    resident('www:prod:a:1.svc:2:1', 'S1'),
    resident('not one of ours'),
  ];
  t.deepEqual(moved(asked(state, residents, from - vacating.lead_ms)), [
    ['www/prod/a/1.svc/0', false],
    ['www/prod/b/1.svc/0', false],
  ]);
  t.deepEqual(moved(asked(state, residents, from - vacating.last_call_ms)), [
    ['www/prod/a/1.svc/0', true],
    ['www/prod/a/1.svc/1', true],
    ['www/prod/b/1.svc/0', true],
  ]);
});
