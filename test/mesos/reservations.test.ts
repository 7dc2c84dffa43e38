// reservations.test.ts: whose a resource is, and what may be done to change that. (How it is asked for: replay.test.ts, 25.)

import test from 'ava';
import type { Event, Resource } from '../../mesos/protocol.ts';
import {
  isDynamic,
  mayUse,
  persistentVolume,
  reserved,
  reservedFor,
  unreserved,
  volumesIn,
} from '../../mesos/reservations.ts';
import { recording, recordsIn, unchunked } from './support/recordings.ts';

const disk: Resource = { name: 'disk', type: 'SCALAR', scalar: { value: 100 }, allocation_info: { role: 'a/b' } };
const ops = { type: 'STATIC', role: 'a' } as const;

test('the topmost reservation says whose a resource is, and an old master says it with a role', t => {
  t.is(reservedFor(disk), '*');
  t.is(reservedFor({ role: 'a' }), 'a');
  t.is(reservedFor({ reservations: [ops, { type: 'DYNAMIC', role: 'a/b' }] }), 'a/b');
});

test('a role may use what is anybody’s, its own, and what is kept for a role above it', t => {
  for (const [kept_for, ours] of [
    ['*', true],
    ['a', true],
    ['a/b', true],
    ['a/b/c', false],
    ['ab', false],
    ['a/', false],
  ] as const)
    t.is(mayUse({ reservations: kept_for === '*' ? [] : [{ role: kept_for }] }, 'a/b'), ours, kept_for);
});

test('a reservation goes on top of those that are there, and only it is undone', t => {
  const once = { ...disk, reservations: [ops] };
  const twice = reserved(once, { role: 'a/b', principal: 'fw' });
  t.deepEqual(twice.reservations, [ops, { type: 'DYNAMIC', role: 'a/b', principal: 'fw' }]);
  t.true(isDynamic(twice));
  t.deepEqual(unreserved(twice), once);
  t.throws(() => unreserved(once), { message: /disk reserved for "a": expected a dynamic reservation/ });
  t.deepEqual(unreserved(reserved(disk, { role: 'a' })), disk);
});

test('a volume is made of reserved disk only, and of none that is a volume', t => {
  const wish = { id: 'v', container_path: 'data' };
  t.throws(() => persistentVolume(disk, wish), {
    message: /volume v on disk reserved for "\*": expected reserved disk/,
  });
  const volume = persistentVolume(reserved(disk, { role: 'a/b' }), wish);
  t.deepEqual(volume.disk, { persistence: { id: 'v' }, volume: { mode: 'RW', container_path: 'data' } });
  t.throws(() => persistentVolume(volume, wish));
  t.throws(() => persistentVolume(reserved({ ...disk, name: 'mem' }, { role: 'a' }), wish));
});

test('the volume that a real master made is found in its next offer', t => {
  const [stream] = recording('25').streams;
  const found = recordsIn(unchunked(stream!.raw).body)
    .map(text => JSON.parse(text) as Event)
    .flatMap(event => (event.type === 'OFFERS' ? event.offers.offers : []))
    .flatMap(offer => [...volumesIn(offer.resources)]);
  t.deepEqual(
    found.map(([id, { scalar, reservations }]) => [id, scalar?.value, reservations?.at(-1)?.role]),
    [['vol-1', 100, 'db']],
  );
});
