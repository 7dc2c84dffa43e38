// offer-constraints.test.ts: a fence around the framework, written shortly and said as a real master understood it.

import test from 'ava';
import { treeSettings } from '../../actors/limits.ts';
import { offerConstraints, readOfferConstraint } from '../../mesos/offer-constraints.ts';
import type { Subscribe } from '../../mesos/protocol.ts';
import { defaultSettings, readSettings } from '../../settings.ts';
import { recording } from './support/recordings.ts';

test('rack=b is what a real master kept for its framework', t => {
  const { subscribe } = JSON.parse(recording('28').streams[0]!.request.body) as Subscribe;
  t.deepEqual(offerConstraints(['*'], ['rack=b']), subscribe.offer_constraints);
});

for (const [text, selector, predicate] of [
  ['rack', { attribute_name: 'rack' }, { exists: {} }],
  ['!rack', { attribute_name: 'rack' }, { not_exists: {} }],
  ['rack!=a', { attribute_name: 'rack' }, { text_not_equals: { value: 'a' } }],
  ['rack~r[1-3]', { attribute_name: 'rack' }, { text_matches: { regex: 'r[1-3]' } }],
  ['rack!~r=~.*', { attribute_name: 'rack' }, { text_not_matches: { regex: 'r=~.*' } }],
  ['@hostname=node-1', { pseudoattribute_type: 'HOSTNAME' }, { text_equals: { value: 'node-1' } }],
  ['@zone~eu-.*', { pseudoattribute_type: 'ZONE' }, { text_matches: { regex: 'eu-.*' } }],
  ['hostname=x', { attribute_name: 'hostname' }, { text_equals: { value: 'x' } }],
] as const)
  test(`${text} asks for ${JSON.stringify(predicate)}`, t => {
    t.deepEqual(readOfferConstraint(text), { ok: true, value: { selector, predicate } });
  });

for (const text of ['', '=', 'rack=', '!rack=a', '@planet=mars', 'two words', 'rack<3'])
  test(`"${text}" is refused with what would be right`, t => {
    const read = readOfferConstraint(text);
    t.regex(read.ok ? '' : read.problems[0]!.expected, /rack=a/);
  });

test('several hold together, and for every role', t => {
  const fence = offerConstraints(['a', 'b'], ['rack=a', '!gone']);
  t.deepEqual(Object.keys(fence!.role_constraints), ['a', 'b']);
  t.is(fence!.role_constraints.a!.groups.length, 1);
  t.is(fence!.role_constraints.a!.groups[0]!.attribute_constraints.length, 2);
  t.is(offerConstraints(['a'], []), undefined);
});

test('what is set as constraints on offers stands in SUBSCRIBE, for each of our roles', t => {
  const identity = { name: 'horae', user: 'root', hostname: 'h', roles: ['a'], offer_constraints: ['rack=a'] };
  const { subscribe } = treeSettings(defaultSettings(), identity).subscribe(undefined);
  t.deepEqual(subscribe.offer_constraints, offerConstraints(['a'], ['rack=a']));
  const { offer_constraints: _, ...unfenced } = identity;
  t.false('offer_constraints' in treeSettings(defaultSettings(), unfenced).subscribe(undefined).subscribe);
});

test('the setting takes what can be read, and nothing else', t => {
  const problems = (text: string) => {
    const read = readSettings(['--mesos-offer-constraints', text], {});
    return read.ok ? [] : read.problems;
  };
  for (const text of ['rack', '!rack', 'rack=a b', 'rack!~x', '@zone!=z', '@hostname~n-[0-9]+']) {
    t.true(readOfferConstraint(text).ok, text);
    t.deepEqual(problems(text), [], text);
  }
  for (const text of ['rack=', '!rack=a', '@planet=mars', 'two words', '-rack=a']) {
    t.false(readOfferConstraint(text).ok, text);
    t.is(problems(text).length, 1, text);
  }
});
