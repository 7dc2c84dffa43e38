// http-link.test.ts: a link between a faulty master, a faulty network and a scheduler that must know what happened.

import test from 'ava';
import { httpLink, type LinkLog } from '../../mesos/http-link.ts';
import type { Call, Event, Subscribe } from '../../mesos/protocol.ts';
import { simulatedClock, systemClock } from '../../schedules/clock.ts';
import { until } from '../support/until.ts';
import { listener } from './support/listener.ts';
import {
  accepted,
  answer,
  eventChunk,
  last_chunk,
  rawChunk,
  record,
  reset,
  scriptedMaster,
  stream_head,
  subscribed,
} from './support/scripted-master.ts';

const clock = systemClock();
const request: Subscribe = { type: 'SUBSCRIBE', subscribe: { framework_info: { user: 'root', name: 'horae' } } };
const opening = stream_head + eventChunk(subscribed);
const update = (n: number): Event => ({
  type: 'UPDATE',
  update: {
    status: { task_id: { value: `t-${n}` }, state: 'TASK_RUNNING', agent_id: { value: 'S0' }, uuid: 'dXVpZA==' },
  },
});
const revive: Call = { type: 'REVIVE' };
const acknowledge = (n: number): Call => ({
  type: 'ACKNOWLEDGE',
  acknowledge: { agent_id: { value: 'S0' }, task_id: { value: `t-${n}` }, uuid: 'dXVpZA==' },
});

/** A master that takes everybody, and one who has subscribed to it. */
async function conversation(
  t: Parameters<typeof scriptedMaster>[0],
  call?: Parameters<typeof scriptedMaster>[1]['call'],
  options: Partial<Parameters<typeof httpLink>[0]> = {},
) {
  const master = await scriptedMaster(t, {
    subscribe: ({ socket }) => void socket.write(opening),
    ...(call === undefined ? {} : { call }),
  });
  const link = httpLink({ urls: [master.url], clock, ...options });
  t.teardown(() => link.close());
  const heard = listener();
  link.subscribe(request, heard);
  await heard.count(1);
  return { master, link, heard, stream: master.subscribes[0]!.socket };
}

// --- the stream -------------------------------------------------------------------------------------------------------

test('a stream that is cut in the middle of a record ends as closed, after the events before the cut', async t => {
  const { heard, stream } = await conversation(t);
  const chunk = eventChunk(update(2));
  stream.write(eventChunk(update(1)) + chunk.slice(0, chunk.length / 2));
  await heard.count(2);
  stream.destroy();
  t.is((await heard.end()).why, 'closed');
  t.deepEqual(heard.list, [subscribed as Event, update(1)]);
});

test('a stream that ends without its connection being closed has ended', async t => {
  const { heard, stream } = await conversation(t);
  stream.write(eventChunk({ type: 'ERROR', error: { message: 'Framework failed over' } }) + last_chunk);
  t.like(await heard.end(), { why: 'closed' });
  t.deepEqual(heard.list.at(-1), { type: 'ERROR', error: { message: 'Framework failed over' } });
});

test('a SUBSCRIBE that is answered with an ERROR event tells it, then ends', async t => {
  const master = await scriptedMaster(t, {
    subscribe: ({ socket }) =>
      void socket.write(
        stream_head + eventChunk({ type: 'ERROR', error: { message: 'Framework has been removed' } }) + last_chunk,
      ),
  });
  const link = httpLink({ urls: [master.url], clock });
  const heard = listener();
  link.subscribe(request, heard);
  t.is((await heard.end()).why, 'closed');
  t.deepEqual(
    heard.list.map(event => event.type),
    ['ERROR'],
  );
});

test('a stream without a heartbeat for five intervals is silent; a heartbeat, or any event, keeps it', async t => {
  const simulated = simulatedClock(0);
  const { heard, stream } = await conversation(t, undefined, { clock: simulated });
  simulated.advanceTo(74_000);
  stream.write(eventChunk({ type: 'HEARTBEAT' }));
  await heard.count(2);
  simulated.advanceTo(74_000 + 74_999);
  t.deepEqual(heard.ends, []);
  simulated.advanceTo(74_000 + 75_000);
  t.is((await heard.end()).why, 'silent');
  await until('the link to hang up', () => stream.destroyed);
});

test('a master that takes the connection and never answers is silent', async t => {
  const simulated = simulatedClock(0);
  const master = await scriptedMaster(t, { subscribe: () => undefined });
  const link = httpLink({ urls: [master.url], clock: simulated, subscribe_timeout_ms: 20_000 });
  const heard = listener();
  link.subscribe(request, heard);
  await until('the SUBSCRIBE to arrive', () => master.subscribes.length === 1);
  simulated.advanceTo(20_000);
  t.like(await heard.end(), { why: 'silent', message: 'no SUBSCRIBED within 20000 ms' });
});

test('a length that is none ends the stream as garbled, after the events before it', async t => {
  const { heard, stream } = await conversation(t);
  stream.write(eventChunk(update(1)) + rawChunk('<html>Bad Gateway</html>'));
  t.regex((await heard.end()).message, /byte 0x3c at \d+ of the stream: expected the length of a record/);
  t.is(heard.ends[0]!.why, 'garbled');
  t.deepEqual(heard.list.slice(1), [update(1)]);
});

test('a record that is not JSON ends the stream as garbled', async t => {
  const { heard, stream } = await conversation(t);
  stream.write(rawChunk(record('{"type":"HEARTB')));
  t.like(await heard.end(), { why: 'garbled' });
});

test('a record above the limit ends the stream at its length, before it has been sent', async t => {
  const { heard, stream } = await conversation(t, undefined, { record_bytes_max: 1_000_000 });
  stream.write(rawChunk('104857600\n'));
  t.like(await heard.end(), { why: 'garbled' });
  t.regex(heard.ends[0]!.message, /expected at most 1000000/);
});

test('a stream that begins with anything but SUBSCRIBED is garbled', async t => {
  const master = await scriptedMaster(t, {
    subscribe: ({ socket }) => void socket.write(stream_head + eventChunk(update(1))),
  });
  const link = httpLink({ urls: [master.url], clock });
  const heard = listener();
  link.subscribe(request, heard);
  t.regex((await heard.end()).message, /the first event is UPDATE: expected SUBSCRIBED/);
  t.deepEqual(heard.list, []);
});

test('an answer to SUBSCRIBE without a stream id is garbled', async t => {
  const master = await scriptedMaster(t, { subscribe: ({ socket }) => void socket.write(answer('200 OK', 'hello')) });
  const heard = listener();
  httpLink({ urls: [master.url], clock }).subscribe(request, heard);
  t.like(await heard.end(), { why: 'garbled' });
});

test('events that come twice are told twice, and what is strange is put aside, counted and logged', async t => {
  const warnings: string[] = [];
  const log: LinkLog = { info: () => undefined, warn: (_fields, message) => void warnings.push(message) };
  const { heard, stream, link } = await conversation(t, undefined, { log });
  stream.write(
    eventChunk(update(1)) +
      eventChunk({ type: 'COFFEE' }) +
      eventChunk({ type: 'UPDATE', update: {} }) +
      eventChunk(update(1)),
  );
  await heard.count(3);
  t.deepEqual(heard.list.slice(1), [update(1), update(1)]);
  t.is(link.counts().ignored, 2);
  t.deepEqual(warnings, [
    'mesos: ignored an event of unknown type COFFEE',
    'mesos: ignored UPDATE without a status with task_id and state: {"type":"UPDATE","update":{}}',
  ]);
});

test('events that arrive together are told together, in order', async t => {
  const { heard, stream } = await conversation(t);
  const events = Array.from({ length: 200 }, (_, n) => update(n));
  stream.write(events.map(eventChunk).join(''));
  await heard.count(201);
  t.deepEqual(heard.list.slice(1), events);
  t.true(heard.batches.length < 100, `${heard.batches.length} batches for 200 events`);
});

test('ten thousand offers in one event arrive whole', async t => {
  const { heard, stream } = await conversation(t);
  const offers = Array.from({ length: 10_000 }, (_, n) => ({
    id: { value: `O${n}` },
    framework_id: { value: 'framework-1' },
    agent_id: { value: `S${n}` },
    hostname: `host-${n}`,
    resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 4 }, role: '*', allocation_info: { role: '*' } }],
  }));
  stream.write(eventChunk({ type: 'OFFERS', offers: { offers } }));
  await heard.count(2);
  const [, event] = heard.list;
  t.is(event?.type === 'OFFERS' && event.offers.offers.length, 10_000);
});

// --- getting through to a master ----------------------------------------------------------------------------------------

test('a master that is not there is unreachable, and the next subscription goes to the next one', async t => {
  const dead = await scriptedMaster(t, { subscribe: () => undefined });
  await dead.stopListening();
  const master = await scriptedMaster(t, { subscribe: ({ socket }) => void socket.write(opening) });
  const link = httpLink({ urls: [dead.url, master.url], clock });
  t.teardown(() => link.close());
  const first = listener();
  link.subscribe(request, first);
  t.deepEqual(await first.end(), { why: 'unreachable', message: `${dead.url}: ECONNREFUSED` });
  const second = listener();
  link.subscribe(request, second);
  await second.count(1);
  t.is(master.subscribes.length, 1);
});

test('an address that is none, and no address at all, are unreachable', async t => {
  for (const [urls, message] of [
    [['zk://h:2181'], '"zk://h:2181" is not the address of a master'],
    [[], 'no master is known'],
  ] as const) {
    const heard = listener();
    httpLink({ urls, clock }).subscribe(request, heard);
    t.deepEqual(await heard.end(), { why: 'unreachable', message });
  }
});

test('503, 401 and 400 are refusals, with the status and the words of the master', async t => {
  for (const [status, body, expected] of [
    ['503 Service Unavailable', '', 'HTTP 503 Service Unavailable'],
    ['401 Unauthorized', '401 Unauthorized.', '401 Unauthorized.'],
    ['400 Bad Request', 'Failed to validate scheduler::Call', 'Failed to validate scheduler::Call'],
  ] as const) {
    const master = await scriptedMaster(t, { subscribe: ({ socket }) => void socket.write(answer(status, body)) });
    const heard = listener();
    httpLink({ urls: [master.url], clock }).subscribe(request, heard);
    t.deepEqual(await heard.end(), {
      why: 'refused',
      status: Number(status.slice(0, 3)),
      message: `${master.url}: ${expected}`,
    });
  }
});

test('a redirect without a scheme is followed, and calls go where it led', async t => {
  const leader = await scriptedMaster(t, { subscribe: ({ socket }) => void socket.write(opening) });
  const follower = await scriptedMaster(t, {
    subscribe: ({ socket }) =>
      void socket.write(
        answer('307 Temporary Redirect', '', [`Location: //127.0.0.1:${leader.port}/master/api/v1/scheduler`]),
      ),
  });
  const link = httpLink({ urls: [follower.url], clock });
  t.teardown(() => link.close());
  const heard = listener();
  link.subscribe(request, heard);
  await heard.count(1);
  t.deepEqual(await link.call(revive), { type: 'accepted' });
  t.is(leader.subscribes[0]!.head, 'POST /master/api/v1/scheduler HTTP/1.1');
  t.is(leader.calls[0]!.head, 'POST /master/api/v1/scheduler HTTP/1.1');
  t.is(follower.calls.length, 0);
});

test('masters that redirect to each other are asked a few times, then it is a refusal', async t => {
  const ports: number[] = [];
  const script = {
    subscribe: ({ socket }: { socket: { write: (text: string) => void } }, n: number) =>
      socket.write(answer('307 Temporary Redirect', '', [`Location: //127.0.0.1:${ports[(n + 1) % 2]}/`])),
  };
  const one = await scriptedMaster(t, script);
  const other = await scriptedMaster(t, script);
  ports.push(one.port, other.port);
  const heard = listener();
  httpLink({ urls: [one.url], clock, redirects_max: 5 }).subscribe(request, heard);
  t.like(await heard.end(), { why: 'refused', status: 307 });
  t.is(one.subscribes.length + other.subscribes.length, 6);
});

test('a redirect to a leader that is dead is unreachable, by the name of the dead one', async t => {
  const dead = await scriptedMaster(t, { subscribe: () => undefined });
  await dead.stopListening();
  const follower = await scriptedMaster(t, {
    subscribe: ({ socket }) =>
      void socket.write(
        answer('307 Temporary Redirect', '', [`Location: //127.0.0.1:${dead.port}/master/api/v1/scheduler`]),
      ),
  });
  const heard = listener();
  httpLink({ urls: [follower.url], clock }).subscribe(request, heard);
  t.deepEqual(await heard.end(), { why: 'unreachable', message: `${dead.url}: ECONNREFUSED` });
});

test('credentials go with every request, in the form that masters want', async t => {
  for (const [credentials, expected] of [
    [{ type: 'basic', principal: 'fw', secret: 'geheim' }, 'Basic Znc6Z2VoZWlt'],
    [{ type: 'bearer', token: 'abc.def' }, 'Bearer abc.def'],
  ] as const) {
    const { master, link } = await conversation(t, undefined, { credentials });
    await link.call(revive);
    t.is(master.subscribes[0]!.headers.get('authorization'), expected);
    t.is(master.calls[0]!.headers.get('authorization'), expected);
  }
});

// --- one subscription after the other -----------------------------------------------------------------------------------

test('a second subscription ends the first without a word', async t => {
  const { master, link, heard, stream } = await conversation(t);
  const second = listener();
  link.subscribe(request, second);
  await second.count(1);
  stream.write(eventChunk(update(1)));
  master.subscribes[1]!.socket.write(eventChunk(update(2)));
  await second.count(2);
  t.deepEqual(heard.list, [subscribed as Event]);
  t.deepEqual(heard.ends, []);
  await until('the first stream to be hung up', () => stream.destroyed);
});

test('whoever subscribes again from within the end hears the new subscription, and the old one is over', async t => {
  const master = await scriptedMaster(t, { subscribe: ({ socket }) => void socket.write(opening) });
  const link = httpLink({ urls: [master.url], clock });
  t.teardown(() => link.close());
  const second = listener();
  const first = listener();
  link.subscribe(request, {
    events: first.events,
    ended(end) {
      first.ended(end);
      link.subscribe(request, second);
    },
  });
  await first.count(1);
  master.subscribes[0]!.socket.destroy();
  await second.count(1);
  t.is((await link.call(revive)).type, 'accepted');
  t.is(first.ends.length, 1);
  t.deepEqual(second.ends, []);
});

test('close hangs up without a word and without a TEARDOWN; calls are unsent from then on', async t => {
  const { master, link, heard, stream } = await conversation(t);
  await link.close();
  await until('the stream to be hung up', () => stream.destroyed);
  t.deepEqual(heard.ends, []);
  t.like(await link.call(revive), { type: 'unsent' });
  t.deepEqual(master.calls, []);
});

// --- the fate of a call -------------------------------------------------------------------------------------------------

test('a call carries the framework id and the stream id that SUBSCRIBED and its head told', async t => {
  const { master, link } = await conversation(t);
  t.deepEqual(await link.call(revive), { type: 'accepted' });
  t.deepEqual(master.calls[0]!.value, { framework_id: { value: 'framework-1' }, type: 'REVIVE' });
  t.is(master.calls[0]!.headers.get('mesos-stream-id'), 'stream-1');
  t.is(master.calls[0]!.headers.get('content-type'), 'application/json', 'a charset behind it would be refused');
});

test('a thousand calls arrive in the order in which they were made, on one connection', async t => {
  const { master, link } = await conversation(t);
  const fates = await Promise.all(Array.from({ length: 1000 }, (_, n) => link.call(acknowledge(n))));
  t.true(fates.every(fate => fate.type === 'accepted'));
  t.deepEqual(
    master.calls.map(call => call.value),
    Array.from({ length: 1000 }, (_, n) => ({ framework_id: { value: 'framework-1' }, ...acknowledge(n) }) as never),
  );
  t.is(new Set(master.calls.map(call => call.socket)).size, 1);
});

test('no more calls are under way than the limit says', async t => {
  const held: (() => void)[] = [];
  const { master, link } = await conversation(t, ({ socket }) => void held.push(() => socket.write(accepted)), {
    calls_in_flight_max: 3,
  });
  const fates = Promise.all(Array.from({ length: 10 }, (_, n) => link.call(acknowledge(n))));
  for (let n = 0; n < 10; n++) {
    await until(`call ${n}`, () => held.length > n);
    t.true(master.calls.length <= n + 3, `${master.calls.length} calls arrived when ${n} were answered`);
    held[n]!();
  }
  t.true((await fates).every(fate => fate.type === 'accepted'));
});

test('a call before SUBSCRIBED is unsent', async t => {
  const master = await scriptedMaster(t, { subscribe: () => undefined });
  const link = httpLink({ urls: [master.url], clock });
  t.teardown(() => link.close());
  t.like(await link.call(revive), { type: 'unsent' });
  link.subscribe(request, listener());
  t.like(await link.call(revive), { type: 'unsent' });
});

test('a no of the master is told with its status and words, and the calls behind it go on', async t => {
  const { link } = await conversation(
    t,
    ({ socket }, n) =>
      void socket.write(n === 0 ? answer('400 Bad Request', "Expecting 'reconcile' to be present") : accepted),
  );
  const [first, second] = await Promise.all([link.call(revive), link.call(revive)]);
  t.deepEqual(first, { type: 'refused', status: 400, message: "Expecting 'reconcile' to be present" });
  t.deepEqual(second, { type: 'accepted' });
});

test('an answer that comes in crumbs, chunked, after a 100 Continue is understood', async t => {
  const { link } = await conversation(t, async ({ socket }) => {
    socket.setNoDelay(true);
    const text =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nFrame\r\n4\r\nwork\r\n0\r\n\r\n';
    for (const byte of text) {
      socket.write(byte);
      await new Promise(resolve => setImmediate(resolve));
    }
  });
  t.deepEqual(await link.call(revive), { type: 'refused', status: 403, message: 'Framework' });
  t.deepEqual(await link.call(revive), { type: 'refused', status: 403, message: 'Framework' });
});

test('a connection that is reset after the call was written leaves its fate unknown; what was not written goes on', async t => {
  const { link, master } = await conversation(
    t,
    ({ socket }, n) => (n === 0 ? reset(socket) : void socket.write(accepted)),
    { calls_in_flight_max: 1 },
  );
  const fates = await Promise.all([link.call(acknowledge(0)), link.call(acknowledge(1)), link.call(acknowledge(2))]);
  t.deepEqual(
    fates.map(fate => fate.type),
    ['unknown', 'accepted', 'accepted'],
  );
  t.deepEqual(
    master.calls.map(call => (call.value as unknown as { acknowledge: { task_id: unknown } }).acknowledge.task_id),
    [0, 1, 2].map(n => ({ value: `t-${n}` })),
    'none was sent twice',
  );
});

test('calls written behind an answer that closes the connection are unknown: they are not sent again', async t => {
  const { link, master } = await conversation(t, ({ socket }, n) => {
    if (n === 0) socket.end(answer('202 Accepted', '', ['Connection: close']));
    else if (n > 2) socket.write(accepted);
  });
  const early = await Promise.all([link.call(acknowledge(0)), link.call(acknowledge(1)), link.call(acknowledge(2))]);
  t.deepEqual(
    early.map(fate => fate.type),
    ['accepted', 'unknown', 'unknown'],
  );
  t.is((await link.call(acknowledge(3))).type, 'accepted');
  t.is(master.calls.length, 4);
});

test('calls that still wait when an answer closes the connection go over a new one', async t => {
  const { link, master } = await conversation(
    t,
    ({ socket }) => void socket.end(answer('202 Accepted', '', ['Connection: close'])),
    { calls_in_flight_max: 1 },
  );
  const fates = await Promise.all([0, 1, 2].map(n => link.call(acknowledge(n))));
  t.deepEqual(fates, [{ type: 'accepted' }, { type: 'accepted' }, { type: 'accepted' }]);
  t.is(new Set(master.calls.map(call => call.socket)).size, 3);
});

test('a call that is never answered is unknown when its time is up', async t => {
  const simulated = simulatedClock(0);
  const { link, master } = await conversation(t, () => undefined, { clock: simulated, call_timeout_ms: 30_000 });
  const fate = link.call(revive);
  await until('the call to arrive', () => master.calls.length === 1);
  simulated.advanceTo(30_000);
  t.like(await fate, { type: 'unknown' });
});

test('a call to a master that no longer listens is unsent', async t => {
  const { link, master } = await conversation(t);
  await master.stopListening();
  t.deepEqual(await link.call(revive), { type: 'unsent', message: `cannot reach ${master.url}: ECONNREFUSED` });
});

test('when the stream ends, what waits is unsent and what is under way is still answered', async t => {
  const held: (() => void)[] = [];
  const { link, heard, stream } = await conversation(t, ({ socket }) => void held.push(() => socket.write(accepted)), {
    calls_in_flight_max: 1,
  });
  const fates = [link.call(acknowledge(0)), link.call(acknowledge(1))];
  await until('the first call', () => held.length === 1);
  stream.destroy();
  await heard.end();
  t.like(await fates[1], { type: 'unsent' });
  t.like(await link.call(acknowledge(2)), { type: 'unsent' });
  held[0]!();
  t.deepEqual(await fates[0], { type: 'accepted' });
});

test('an answer that is no HTTP leaves the call unknown', async t => {
  const { link } = await conversation(t, ({ socket }) => void socket.write('220 smtp.example.org ESMTP\r\n\r\n'));
  const fate = await link.call(revive);
  t.is(fate.type, 'unknown');
  t.regex(fate.type === 'unknown' ? fate.message : '', /unreadable answer: "220 smtp/);
});

test('one call more than may wait is unsent', async t => {
  const { link } = await conversation(t, () => undefined, { calls_waiting_max: 2 });
  void link.call(revive);
  void link.call(revive);
  t.deepEqual(await link.call(revive), { type: 'unsent', message: '2 calls are waiting to be sent: expected fewer' });
});
