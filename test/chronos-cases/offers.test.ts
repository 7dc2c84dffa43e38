// offers.test.ts: Chronos's cases 64 and 67-69: when Mesos is asked for offers, and what is said with one that goes back.

import test from 'ava';
import { newOffers, type OffersMessage, type OffersState, offers } from '../../actors/framework/offers.ts';
import type { Call } from '../../mesos/protocol.ts';
import { readSettings } from '../../settings.ts';
import { offer } from '../mesos/support/offers.ts';

/** The desk at which offers lie, as the settings make it. */
function desk(...flags: readonly string[]) {
  const read = readSettings(flags, {});
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const { offer_hold_ms: hold_ms, offers_max, refuse_seconds, revive_interval_ms } = read.value;
  const move = offers({ hold_ms, offers_max, refuse_seconds, revive_interval_ms });
  let state: OffersState = newOffers();
  let now = 1_000_000;
  return {
    hold_ms,
    wait(ms: number) {
      now += ms;
    },
    tell(message: OffersMessage): readonly Call[] {
      const next = move(state, message, now);
      state = next.state;
      return next.effects.flatMap(effect => (effect.type === 'call' ? [effect.call] : []));
    },
  };
}
const subscribed: OffersMessage = { type: 'subscribed', framework_id: 'F' };
const needed = (yes: boolean): OffersMessage => ({ type: 'needed', needed: yes });
const offered = (id: string): OffersMessage => ({ type: 'offered', offered: [offer({ id })] });
const types = (calls: readonly Call[]) => calls.map(call => call.type);

test('case 64 of Chronos, without its flag: who begins to wait has kept back offers revived, once; nothing else revives', t => {
  const one = desk();
  one.tell(subscribed);
  t.deepEqual(one.tell(needed(true)), [], 'nothing is kept back');
  one.tell(needed(false));
  one.tell(offered('a'));
  one.wait(one.hold_ms);
  t.deepEqual(types(one.tell({ type: 'due' })), ['DECLINE', 'SUPPRESS'], 'nobody waits');
  t.deepEqual(types(one.tell(needed(true))), ['REVIVE']);
  t.deepEqual(one.tell(needed(true)), []);
});

test('case 67 of Chronos, decided otherwise: a subscription brings offers by itself, so that none is followed by a REVIVE', t => {
  const one = desk();
  for (const again of [false, true]) {
    t.deepEqual(one.tell(subscribed), [], String(again));
    t.deepEqual(one.tell(needed(true)), [], 'though somebody waits, and asked to be offered nothing before');
    one.tell(needed(false));
    one.tell(offered('a'));
    one.wait(one.hold_ms);
    t.deepEqual(types(one.tell({ type: 'due' })), ['DECLINE', 'SUPPRESS']);
    one.tell({ type: 'disconnected' });
  }
});

for (const [flags, refuse_seconds] of [
  [[], 5],
  [['--refuse-seconds', '3'], 3],
] as const)
  test(`case 68 of Chronos: an offer that nobody used goes back for ${refuse_seconds} s (${flags.join(' ') || 'default'})`, t => {
    const one = desk(...flags);
    one.tell(subscribed);
    one.tell(offered('a'));
    one.wait(one.hold_ms);
    const [decline] = one.tell({ type: 'due' });
    t.deepEqual(decline, {
      type: 'DECLINE',
      decline: { offer_ids: [{ value: 'a' }], filters: { refuse_seconds } },
    });
  });

test('case 69 of Chronos: a second wish for offers within the interval is one REVIVE now and one when it is over', t => {
  const one = desk('--revive-interval-ms', '5000', '--offers-max', '1');
  one.tell(subscribed);
  one.tell(offered('a'));
  // One more than may be held goes back, and is kept from us for a while.
  const keepBack = () => t.deepEqual(types(one.tell(offered('b'))), ['DECLINE']);
  keepBack();
  t.deepEqual(types(one.tell(needed(true))), ['REVIVE']);
  keepBack();
  one.wait(1_000);
  for (let time = 0; time < 3; time++) t.deepEqual(one.tell(needed(true)), [], 'not yet, however often');
  one.wait(3_999);
  t.false(types(one.tell({ type: 'due' })).includes('REVIVE'));
  one.wait(1);
  t.is(types(one.tell({ type: 'due' })).filter(type => type === 'REVIVE').length, 1);
  one.wait(5_000);
  t.false(types(one.tell({ type: 'due' })).includes('REVIVE'), 'and no further one');
});
