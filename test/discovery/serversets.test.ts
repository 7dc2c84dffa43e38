// serversets.test.ts: what a member looks like, and what must be written for a list to be as it should.

import test from 'ava';
import fc from 'fast-check';
import { changesOf, isMember, listOf, memberText } from '../../transport/discovery/serversets.ts';

test('a member is what readers of Aurora know: its service, every port by name and by further names, status and shard', t => {
  const member = { host: 'h1.example.com', ports: { http: 31_000, admin: 31_001 }, index: 3 };
  t.deepEqual(JSON.parse(memberText(member, 'http', { aurora: 'http', fixed: 9_000, gone: 'nowhere' })!), {
    serviceEndpoint: { host: 'h1.example.com', port: 31_000 },
    additionalEndpoints: {
      admin: { host: 'h1.example.com', port: 31_001 },
      aurora: { host: 'h1.example.com', port: 31_000 },
      fixed: { host: 'h1.example.com', port: 9_000 },
      http: { host: 'h1.example.com', port: 31_000 },
    },
    status: 'ALIVE',
    shard: 3,
  });
  t.is(memberText(member, 'other', {}), undefined, 'launched before its job had that port');
  t.is(
    memberText(member, 'http', { a: 'http' }),
    memberText({ ...member, ports: { admin: 31_001, http: 31_000 } }, 'http', { a: 'http' }),
  );
});

test('lists and members are where the recipe has them', t => {
  t.is(listOf('/aurora', 'www/prod/web'), '/aurora/www/prod/web');
  t.is(listOf('/', 'www/prod/web'), '/www/prod/web');
  for (const name of ['member_0000000000', 'member_2147483647', 'member_-2147483648']) t.true(isMember(name), name);
  for (const name of ['member_', 'member_1', 'amember_0000000000', 'singleton_0000000001'])
    t.false(isMember(name), name);
});

test('after the changes the list is as it should be, whatever was there, and nobody who was right was touched', t => {
  const text = fc.constantFrom('a', 'b', 'c', 'd');
  fc.assert(
    fc.property(fc.array(text), fc.uniqueArray(text), (before, wished) => {
      const there = before.map((one, index) => ({ name: `member_${String(index).padStart(10, '0')}`, text: one }));
      const { add, remove } = changesOf(there, wished);
      const left = there.filter(({ name }) => !remove.includes(name)).map(one => one.text);
      t.deepEqual([...left, ...add].sort(), [...wished].sort());
      for (const one of wished) if (before.includes(one)) t.false(add.includes(one));
      // Of two that say the same the older stays.
      for (const { name, text } of there)
        if (wished.includes(text)) t.is(remove.includes(name), before.indexOf(text) !== Number(name.slice(7)));
    }),
    { numRuns: 500 },
  );
});
