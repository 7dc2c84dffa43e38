// address-guard.test.ts: addresses of the inside are told from those of the world, however they are spelt.

import { type LookupAddress, lookup } from 'node:dns';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import test from 'ava';
import { ForbiddenAddress, guardedLookup, guardLiteral, isPublic } from '../../transport/notify/address-guard.ts';
import { httpSink } from '../support/http-sink.ts';

const inside = [
  // This machine, private networks, links, translators.
  ...[
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '10.255.255.255',
    '172.16.0.1',
    '172.31.255.255',
  ],
  ...['192.168.0.1', '192.168.255.255', '169.254.169.254', '100.64.0.1', '100.127.255.255'],
  // Multicast, broadcast, documentation, benchmarks, protocols.
  ...['224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255', '192.0.2.1', '198.51.100.1', '203.0.113.1'],
  ...['198.18.0.1', '198.19.255.255', '192.0.0.1', '192.88.99.1'],
  ...[
    '::',
    '::1',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    'fc00::1',
    'fdff::1',
    'fec0::1',
    'ff02::1',
    'ff0e::1',
    '100::1',
  ],
  ...[
    '2001:db8::1',
    '2001::1',
    '2001:0:1:2:3:4:5:6',
    '2002:7f00:1::',
    '2002:808:808::1',
    '3fff::1',
    '5f00::1',
    '4000::1',
  ],
  // IPv4 in IPv6: mapped, translated, compatible, of a network's own translator.
  ...[
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:10.0.0.1',
    '::ffff:a9fe:a9fe',
    '::ffff:0:0',
    '::127.0.0.1',
    '::a00:1',
  ],
  ...[
    '64:ff9b::127.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b::',
    '64:ff9b::c0a8:0',
    '64:ff9b:1::808:808',
    '::ffff:0:808:808',
  ],
  ...['', 'localhost', '127.1', '1.2.3', '0x7f000001', '2606:4700::1%eth0', '8.8.8.8%1'],
];
const outside = [
  ...[
    '8.8.8.8',
    '1.1.1.1',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
  ],
  ...[
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '192.169.0.0',
    '198.17.255.255',
  ],
  ...['198.20.0.0', '223.255.255.255', '191.255.255.255', '192.0.1.1'],
  ...[
    '2606:4700:4700::1111',
    '2a00:1450:4001::1',
    '2001:200::1',
    '2001:4860:4860::8888',
    '3ffe::1',
    '2003::1',
    '2400::',
  ],
  ...['::ffff:8.8.8.8', '::ffff:808:808', '64:ff9b::8.8.8.8', '64:ff9b::808:808', '64:ff9b::100:0'],
];

test('addresses of the inside are told from those of the world, with their neighbours on both sides', t => {
  for (const address of inside) t.false(isPublic(address), address);
  for (const address of outside) t.true(isPublic(address), address);
});

test('an address in a URL is judged as what it means, however it is spelt', t => {
  const odd = [
    ...[
      'http://127.0.0.1/',
      'http://127.1/',
      'http://0x7f.1/',
      'http://0x7f000001/',
      'http://2130706433/',
      'http://017700000001/',
    ],
    ...['http://0/', 'http://%31%32%37.0.0.1/', 'http://127。0。0。1/', 'http://①②⑦.0.0.1/', 'http://0xA9FEA9FE/'],
    ...[
      'http://[::1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://[0:0:0:0:0:ffff:7f00:0001]/',
      'http://[64:ff9b::7f00:1]/',
    ],
    ...['https://[fe80::1]:8443/x', 'http://127.0.0.1./'],
  ];
  for (const address of odd) {
    const error = t.throws(() => guardLiteral(new URL(address)), { instanceOf: ForbiddenAddress }, address);
    t.regex(error?.message ?? '', /is not on the public internet: expected .* --notify-private-allowed/);
  }
  for (const fine of ['http://8.8.8.8/', 'http://134744072/', 'http://[2606:4700::1]/', 'https://example.com/'])
    t.notThrows(() => guardLiteral(new URL(fine)), fine);
});

/** A resolver that says what it is told to. */
const resolver = (...answers: (readonly LookupAddress[] | Error)[]) => {
  const asked: string[] = [];
  const resolve = ((host: string, _options: object, done: (error: Error | null, found: unknown) => void) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)]!;
    asked.push(host);
    if (answer instanceof Error) done(answer, []);
    else done(null, answer);
  }) as unknown as typeof lookup;
  return { look: promisify(guardedLookup(resolve)), asked };
};
const v4 = (address: string): LookupAddress => ({ address, family: 4 });
const v6 = (address: string): LookupAddress => ({ address, family: 6 });

test('a name that means the inside is no way to it, also when it meant something else before', async t => {
  const { look } = resolver([v4('93.184.215.14')], [v4('127.0.0.1')], [v4('10.0.0.1'), v6('fd00::1')]);
  t.deepEqual(await look('rebind.example', { all: true }), [v4('93.184.215.14')] as never);
  const error = await t.throwsAsync(() => look('rebind.example', { all: true }), { instanceOf: ForbiddenAddress });
  t.regex(error?.message ?? '', /^rebind\.example \(127\.0\.0\.1\) is not on the public internet/);
  await t.throwsAsync(() => look('inside.example', { all: true }), { instanceOf: ForbiddenAddress });
  await t.throwsAsync(() => look('inside.example', {}), { instanceOf: ForbiddenAddress });
});

test('of a name that means both, the socket gets only the public ones; where none is found, that is said', async t => {
  const both = [v4('127.0.0.1'), v6('2606:4700::1'), v6('::1'), v4('93.184.215.14')];
  const { look } = resolver(both);
  t.deepEqual(await look('both.example', { all: true }), [both[1], both[3]] as never);
  await t.throwsAsync(() => resolver(new Error('getaddrinfo ENOTFOUND x')).look('x', { all: true }), {
    message: /ENOTFOUND/,
  });
  await t.throwsAsync(() => resolver([]).look('x', { all: true }), { instanceOf: ForbiddenAddress });
});

test('a socket that asks goes to an allowed address and to no other, whether it tries several or one', async t => {
  const sink = await httpSink(t);
  const resolve = ((_host: string, _options: object, done: (error: null, found: LookupAddress[]) => void) =>
    done(null, [v4('127.0.0.2'), v4('127.0.0.1'), v4('127.0.0.3')])) as unknown as typeof lookup;
  const tried: string[] = [];
  const isAllowed = (address: string) => {
    tried.push(address);
    return address === '127.0.0.1';
  };
  for (const autoSelectFamily of [true, false]) {
    const request = get({
      host: 'name.example',
      port: sink.port,
      agent: new Agent({ autoSelectFamily }),
      lookup: guardedLookup(resolve, isAllowed),
    });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    t.is(response.socket.remoteAddress, '127.0.0.1');
    response.resume();
  }
  t.deepEqual(tried, ['127.0.0.2', '127.0.0.1', '127.0.0.3', '127.0.0.2', '127.0.0.1', '127.0.0.3']);
});

test('the real resolver knows this machine by name, and the guard knows it too', async t => {
  const look = promisify(guardedLookup(lookup));
  await t.throwsAsync(() => look('localhost', { all: true }), { instanceOf: ForbiddenAddress });
});
