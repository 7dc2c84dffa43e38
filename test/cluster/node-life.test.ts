// node-life.test.ts: a node leads only while it may, gives up whatever it loses, and never stands still for ever.

import test from 'ava';
import fc from 'fast-check';
import { type NodeEffect, type NodeMessage, type NodeState, new_node, nodeLife } from '../../programs/node-life.ts';

const messages: readonly NodeMessage[] = [
  { type: 'begin' },
  { type: 'opened' },
  { type: 'elected' },
  { type: 'planted', epoch: 1 },
  { type: 'doubted' },
  { type: 'confirmed' },
  { type: 'lost', why: 'fenced' },
  { type: 'expired' },
  { type: 'broken', why: 'corrupt' },
  { type: 'transfer', to: undefined },
  { type: 'transfer', to: 'b' },
  { type: 'drained' },
  { type: 'felled' },
  { type: 'stop' },
];
type Lived = { readonly state: NodeState; readonly effects: readonly NodeEffect[] };
const live = (...list: readonly NodeMessage[]): Lived => {
  let state = new_node;
  const effects: NodeEffect[] = [];
  for (const message of list) {
    const next = nodeLife(state, message);
    state = next.state;
    effects.push(...next.effects);
  }
  return { state, effects };
};
const [
  begin,
  opened,
  elected,
  planted,
  doubted,
  confirmed,
  lost,
  expired,
  broken,
  transfer,
  transferTo,
  drained,
  felled,
  stop,
] = messages as unknown as NodeMessage[] & { readonly length: 14 };
const reign = [begin!, opened!, elected!, planted!];
const names = (effects: readonly NodeEffect[]) => effects.map(effect => effect.type);

test('a node follows before it stands, stands before it leads, and leads when the tree stands', t => {
  const { state, effects } = live(...reign);
  t.deepEqual(names(effects), ['open-session', 'stand', 'plant']);
  t.deepEqual(state, { mode: 'leading', epoch: 1, sure: true });
});

test('a doubt holds everything back, and nothing is lost when it proves unfounded', t => {
  const doubting = live(...reign, doubted!);
  t.is(doubting.effects.at(-1)!.type, 'hold');
  const sure = live(...reign, doubted!, doubted!, confirmed!, confirmed!);
  t.deepEqual(names(sure.effects.slice(3)), ['hold', 'release']);
});

test('a doubt that comes while the tree is planted holds it back from its first moment', t => {
  t.deepEqual(names(live(begin!, opened!, elected!, doubted!, planted!).effects).at(-1), 'hold');
  t.deepEqual(names(live(begin!, opened!, elected!, doubted!, confirmed!, planted!).effects).at(-1), 'plant');
});

test('whoever is fenced lets go in process and stands again; whoever has lost the session makes another first', t => {
  t.deepEqual(names(live(...reign, lost!, felled!).effects.slice(3)), ['fell', 'stand']);
  t.deepEqual(names(live(...reign, expired!, felled!).effects.slice(3)), ['fell', 'open-session']);
  t.deepEqual(names(live(...reign, lost!, expired!, felled!).effects.slice(3)), ['fell', 'open-session']);
  t.deepEqual(names(live(begin!, opened!, elected!, lost!, felled!).effects.slice(3)), ['fell', 'stand']);
});

test('a transfer finishes what was decided before it gives up the place in line, and lets the right one pass first', t => {
  t.deepEqual(names(live(...reign, transferTo!, drained!).effects.slice(3)), ['drain', 'stand']);
  t.deepEqual(live(...reign, transferTo!, drained!).effects.at(-1), { type: 'stand', to: 'b' });
  t.deepEqual(names(live(...reign, transfer!).effects.slice(3)), ['drain']);
});

test('a leader that stops hands over before it leaves; a standby simply leaves', t => {
  t.deepEqual(names(live(...reign, stop!, drained!).effects.slice(3)), ['drain', 'close-session', 'end']);
  t.deepEqual(names(live(begin!, opened!, stop!).effects.slice(2)), ['close-session', 'end']);
  t.deepEqual(names(live(...reign, stop!, expired!, felled!).effects.slice(3)), [
    'drain',
    'fell',
    'close-session',
    'end',
  ]);
});

test('what no other node could do better ends the process, with its reason, and frees the place in line', t => {
  const { effects } = live(...reign, broken!, felled!);
  t.deepEqual(names(effects.slice(3)), ['fell', 'close-session', 'end']);
  t.deepEqual(effects.at(-1), { type: 'end', why: 'corrupt' });
});

test('whatever happens in whatever order: at most one tree, felled before another is planted, nothing released in doubt', t => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...messages), { maxLength: 60 }), list => {
      let state = new_node;
      let tree: 'none' | 'planting' | 'standing' | 'draining' | 'felling' = 'none';
      let ends = 0;
      let held = false;
      for (const message of list) {
        // What answers an effect comes only after it.
        if (message.type === 'planted' && tree !== 'planting') continue;
        if (message.type === 'drained' && tree !== 'draining') continue;
        if (message.type === 'felled' && tree !== 'felling') continue;
        if (message.type === 'drained' || message.type === 'felled') tree = 'none';
        if (message.type === 'planted') tree = 'standing';
        const next = nodeLife(state, message);
        for (const effect of next.effects) {
          t.is(ends, 0);
          if (effect.type === 'plant') {
            t.is(tree, 'none');
            tree = 'planting';
          }
          if (effect.type === 'drain') {
            t.is(tree, 'standing');
            tree = 'draining';
          }
          if (effect.type === 'fell') {
            t.not(tree, 'none');
            tree = 'felling';
          }
          if (effect.type === 'stand' || effect.type === 'open-session') t.is(tree, 'none');
          if (effect.type === 'plant') held = false;
          if (effect.type === 'hold') held = true;
          if (effect.type === 'release') {
            t.is(message.type, 'confirmed');
            held = false;
          }
          if (effect.type === 'end') {
            t.is(tree, 'none');
            ends += 1;
          }
        }
        state = next.state;
        if (message.type === 'doubted' && tree === 'standing') t.true(held);
        if (message.type === 'confirmed' && tree === 'standing') t.false(held);
      }
      // However it has gone, a stop and the answers to what is under way end it.
      for (const message of [stop!, drained!, felled!]) state = nodeLife(state, message).state;
      t.is(state.mode, 'ended');
    }),
    { numRuns: 3_000 },
  );
});

test('every message is borne in every mode', t => {
  const modes: NodeState[] = [
    { mode: 'new' },
    { mode: 'connecting' },
    { mode: 'standing' },
    { mode: 'taking-over', sure: true },
    { mode: 'taking-over', sure: false },
    { mode: 'leading', epoch: 3, sure: true },
    { mode: 'leading', epoch: 3, sure: false },
    { mode: 'leaving', epoch: 3, next: { type: 'stand', to: 'b' } },
    { mode: 'leaving', epoch: 3, next: { type: 'end', why: undefined } },
    { mode: 'felling', next: { type: 'open-session' } },
    { mode: 'felling', next: { type: 'stand', to: 'b' } },
    { mode: 'ended' },
  ];
  for (const state of modes) for (const message of messages) t.truthy(nodeLife(state, message).state.mode);
});
