// line.test.ts: of those in line one leads, and each of the others is woken by one.

import test from 'ava';
import fc from 'fast-check';
import {
  lineOf,
  namesOf,
  packCandidate,
  packWish,
  placeOf,
  prefixOf,
  unpackCandidate,
  unpackWish,
} from '../../transport/zookeeper/line.ts';

const nonceOf = (n: number) => n.toString(16).padStart(16, '0');
const nameOf = (nonce: number, number: number) => `${prefixOf(nonceOf(nonce))}${String(number).padStart(10, '0')}`;

test('whoever came first leads; everybody else watches the one just before, so that an end wakes one', t => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(2 ** 31 - 1), { minLength: 1, maxLength: 12 }), numbers => {
      const names = numbers.map((number, nonce) => nameOf(nonce, number));
      const places = names.map(name => placeOf(names, name));
      t.is(places.filter(place => place.at === 'head').length, 1);
      const watched = places.flatMap(place => (place.at === 'behind' ? [place.before] : []));
      t.is(new Set(watched).size, names.length - 1, 'nobody is watched by two');
      const first = names[numbers.indexOf(Math.min(...numbers))]!;
      t.deepEqual(placeOf(names, first), { at: 'head' });
      for (const place of places) if (place.at === 'behind') t.is(place.head, first);
    }),
  );
});

test('nodes that are no candidates are left out, and a creation that was repeated counts once', t => {
  const names = ['other', 'candidate-1', nameOf(1, 7), nameOf(2, 5), nameOf(1, 6)];
  t.deepEqual(lineOf(names), [nameOf(2, 5), nameOf(1, 6), nameOf(1, 7)]);
  t.deepEqual(namesOf(names, nonceOf(1)), [nameOf(1, 6), nameOf(1, 7)]);
  t.deepEqual(namesOf(names, nonceOf(3)), []);
  t.deepEqual(placeOf(names, nameOf(3, 1)), { at: 'nowhere' });
});

test('a candidate and a wish are read as they were written, and what is neither is nothing', t => {
  const candidate = { id: 'a', http: 'http://a', link: 'ws://a', version: '1' };
  t.deepEqual(unpackCandidate(packCandidate(candidate)), candidate);
  t.is(unpackWish(packWish('a')), 'a');
  t.is(unpackWish(packWish(undefined)), undefined);
  for (const text of ['', 'x', '{}', '{"id":1}', 'null'])
    t.deepEqual([unpackCandidate(Buffer.from(text)), unpackWish(Buffer.from(text))], [undefined, undefined], text);
});
