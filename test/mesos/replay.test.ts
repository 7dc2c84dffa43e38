// replay.test.ts: the driver, beside every recorded conversation with a real master.
//
// The recorded bytes are played to it unchanged. What it makes of them must be what was recorded; what it then asks for must be
// what the recorded client asked for. Compared of every call: method and path, Content-Type, Accept (of SUBSCRIBE),
// Authorization, Mesos-Stream-Id, that Content-Length is true, and the whole body. Of a launch: its kind; the executor's
// type, framework and resources; each task's name, ids, agent, command and resources; of a resource everything but `role`.
// (Ours differ in the executor's id, which is the task's, and in naming the kill policy.)

import test from 'ava';
import { acknowledgeCall, acknowledgeOperationCall, subscribeCall } from '../../mesos/calls.ts';
import { type Credentials, type HttpLinkOptions, httpLink } from '../../mesos/http-link.ts';
import type { Call, Event, Id, Subscribe } from '../../mesos/protocol.ts';
import { systemClock } from '../../schedules/clock.ts';
import { listener } from './support/listener.ts';
import { comparable, matchedAsRecorded, rebuilt } from './support/rebuilt.ts';
import {
  callOf,
  type HttpText,
  json_streams,
  type RecordedCall,
  type RecordedStream,
  type Recording,
  recording,
  recordings,
  recordsIn,
  unchunked,
} from './support/recordings.ts';
import { accepted, last_chunk, type Script, scriptedMaster } from './support/scripted-master.ts';

const clock = systemClock();

/** Calls that no driver of ours makes, by recording, and why. Their answers are played in the tests further down. */
const never_ours: { readonly [number: string]: { readonly [label: string]: string } } = {
  '04': {
    '02-ACK-wrong-uuid': 'we echo',
    '03-ACK-invalid-uuid': 'we echo',
    '07-ACK-again-duplicate': 'one for each time that it is told',
  },
  '07': {
    '10-RECONCILE-missing-body': 'it is refused',
    '09-RECONCILE-empty-object': 'we write the empty list',
    '11-RECONCILE_OPERATIONS-implicit': 'we write the empty list',
  },
  '08': { '43-DECLINE-unknown-offer': 'we always name the filter', '21-master-prefixed-path': 'we know one path' },
  '09': {
    '01-ACCEPT-exceeds-offer': 'no match',
    '02-ACCEPT-wrong-agent': 'the agent is that of the offer',
    '03-ACCEPT-no-resources': 'every plan wants something',
    '08-ACCEPT-no-allocation-info': 'resources go back as they were offered',
    '12-ACCEPT-port-not-offered': 'ports are taken from the offer',
    '13-ACCEPT-no-command-no-executor': 'every plan has a command',
    '16-ACCEPT-negative-cpus': 'amounts are refused where jobs are read',
    '17-ACCEPT-tiny-cpus': 'rounded up',
    '18-ACCEPT-one-good-one-bad': 'no match for the bad one',
    '33-ACCEPT-unknown-offer': 'placements are made of offers',
    '39-ACCEPT-two-agents': 'one ACCEPT for each host',
    '40-ACCEPT-no-offers': 'placements are made of offers',
  },
  '10': {
    '05-REVIVE': 'we leave out what is empty',
    '06-DECLINE-default-filter-5s': 'we always name the filter',
  },
  '11': {
    '06-REVIVE-with-old-stream-after-disconnect': 'calls end with their subscription',
    '09-OLD-STREAM-ID': 'calls end with their subscription',
  },
  '12': { '04-call-by-first': 'calls end with their subscription' },
  '15': {
    '01-ACCEPT': 'our groups hold one task',
    '29-ACCEPT-4': 'our groups hold one task',
    '21-ACCEPT-3': 'our groups hold one task',
    '36-ACCEPT-5': 'our groups hold one task',
  },
  '25': { '08-ACCEPT-RESERVE-too-much': 'amounts are taken from the offer' },
  '27': { '06-ACCEPT-wrong-role': 'resources go back as they were offered' },
  '31': {
    '08-REVIVE-without-auth': 'every call has our credentials',
    '09-REVIVE-other-principal': 'every call has our credentials',
  },
  '34': { '01-ACCEPT': 'our groups hold one task' },
  '39': { '01-pipelined': 'three calls in one' },
  '40': { '11-ACCEPT-20-tasks': 'one LAUNCH for all' },
};

type CallOfClient = {
  readonly label: string;
  readonly call: Call & { framework_id: Id };
  readonly recorded: RecordedCall;
};

/** The calls that belong to a stream, as far as they are of the kind that we make. */
function callsOn({ number, calls }: Recording, { headers }: RecordedStream): readonly CallOfClient[] {
  return calls
    .filter(({ label, request }) => {
      if (never_ours[number]?.[label] !== undefined) return false;
      return request.headers.get('mesos-stream-id') === headers.get('mesos-stream-id');
    })
    .map(recorded => ({
      label: recorded.label,
      call: JSON.parse(recorded.request.body) as Call & { framework_id: Id },
      recorded,
    }));
}

/** The SUBSCRIBE that we make of the framework that the recorded client was. */
function subscribeAs({ body }: HttpText): Subscribe {
  const { framework_info, suppressed_roles, offer_constraints } = (JSON.parse(body) as Subscribe).subscribe;
  return subscribeCall(framework_info, suppressed_roles, offer_constraints);
}

function credentialsOf({ headers }: HttpText): { readonly credentials?: Credentials } {
  const pair = /^Basic (.+)$/.exec(headers.get('authorization') ?? '')?.[1];
  if (pair === undefined) return {};
  const [principal = '', secret = ''] = Buffer.from(pair, 'base64').toString('utf8').split(':');
  return { credentials: { type: 'basic', principal, secret } };
}

/** Of a request: method and path, the headers that masters look at, and the body as a value. */
const fieldsOf = ({ head, headers, body }: HttpText) => ({
  ...headOf({ head, headers, body }),
  body: JSON.parse(body) as unknown,
});
const headOf = ({ head, headers }: HttpText) => ({
  head,
  type: headers.get('content-type'),
  accept: headers.get('accept'),
  authorization: headers.get('authorization'),
});

/** A scripted master that speaks as recorded, and our link to it. */
async function stage(
  t: { readonly teardown: (clean: () => void | Promise<void>) => void },
  request: HttpText,
  script: Script,
  options: Partial<HttpLinkOptions> = {},
) {
  const master = await scriptedMaster(t, script);
  const link = httpLink({ urls: [master.url], clock, ...credentialsOf(request), ...options });
  t.teardown(() => link.close());
  return { master, link };
}

for (const { recording: one, stream } of json_streams)
  test(`${one.name}, ${stream.name}: its events arrive as recorded, our calls are those recorded`, async t => {
    const { request, raw } = stream;
    const { body, complete } = unchunked(raw);
    const recorded = recordsIn(body).map(text => JSON.parse(text) as Event);
    const ours = callsOn(one, stream);
    const { master, link } = await stage(t, request, {
      // The last chunk is kept back until our calls have been answered: the recorded client's last call led to it.
      subscribe: ({ socket }) => void socket.write(complete ? raw.subarray(0, raw.length - last_chunk.length) : raw),
      call({ socket, value }) {
        const answer = one.calls.find(call => call.request.body === JSON.stringify(value))?.response ?? '';
        // Where a connection broke under a call we are told that it was accepted: breaking is for faults.test.ts.
        socket.write(answer === '' ? accepted : answer);
      },
    });
    const made: Promise<readonly [status: number, fate: string]>[] = [];
    const say = (call: Call) => {
      const text = JSON.stringify({
        framework_id: (recorded[0] as { subscribed?: { framework_id: Id } }).subscribed?.framework_id,
        ...call,
      });
      const answer = one.calls.find(({ request }) => request.body === text)?.response ?? '';
      made.push(link.call(call).then(({ type }) => [Number(answer.split(' ')[1] ?? 202), type] as const));
    };
    const heard = listener(event => {
      if (event.type === 'UPDATE') {
        const call = acknowledgeCall(event.update.status);
        if (call !== undefined) say(call);
      } else if (event.type === 'UPDATE_OPERATION_STATUS') {
        const call = acknowledgeOperationCall(event.update_operation_status.status);
        if (call !== undefined) say(call);
      }
    });

    link.subscribe(subscribeAs(request), heard);
    await heard.count(recorded.length);
    t.deepEqual(heard.list, recorded);
    const events = one.streams
      .filter(({ headers }) => headers.get('content-type') === 'application/json')
      .flatMap(({ raw }) => recordsIn(unchunked(raw).body).map(text => JSON.parse(text) as Event));
    const asked = ours.filter(({ call }) => !call.type.startsWith('ACKNOWLEDGE'));
    for (const { call } of asked) say(rebuilt(call, events));
    const fates = await Promise.all(made);
    for (const [status, fate] of fates) t.is(fate, status < 300 ? 'accepted' : 'refused');
    // "Framework is not subscribed": the link knows by this that the stream is over, also where nothing has ended it.
    const forsaken = fates.some(([status]) => status === 403);

    t.deepEqual(fieldsOf(master.subscribes[0]!), fieldsOf(request));
    for (const { headers, body } of master.calls) {
      t.is(headers.get('mesos-stream-id'), stream.headers.get('mesos-stream-id'));
      t.is(headers.get('content-length'), String(body.length));
    }
    const sent = master.calls.map(call => ({ ...call, value: JSON.parse(call.body) as Call }));
    const others = sent.filter(({ value }) => !value.type.startsWith('ACKNOWLEDGE'));
    for (const [n, { label, call, recorded }] of asked.entries()) {
      t.deepEqual(comparable(others[n]!.value), comparable(call), label);
      // Some of the recorded calls left out Accept, which masters read with SUBSCRIBE alone.
      t.deepEqual({ ...headOf(recorded.request), accept: 'application/json' }, headOf(others[n]!), label);
    }
    // Updates come again until they are acknowledged, so as sets: each that was acknowledged then is acknowledged now.
    const acknowledged = (calls: readonly Call[]) =>
      new Set(calls.filter(({ type }) => type.startsWith('ACKNOWLEDGE')).map(call => JSON.stringify(sorted(call))));
    const [now, then] = [acknowledged(sent.map(({ value }) => value)), acknowledged(ours.map(({ call }) => call))];
    t.deepEqual(
      [...then].filter(call => !now.has(call)),
      [],
    );

    const [subscription] = master.subscribes;
    t.is(heard.ends.length, forsaken ? 1 : 0);
    if (forsaken) subscription!.socket.destroy();
    else if (complete) subscription!.socket.write(last_chunk);
    else subscription!.socket.end();
    t.is((await heard.end()).why, 'closed', 'the end of the body is the end, also where the connection stands');
  });

/** With its keys in order, at every depth. */
const sorted = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(
        Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, part]) => [key, sorted(part)]),
      )
    : value;

// --- what was refused -----------------------------------------------------------------------------------------------

const wordsOf = (response: string) => response.slice(response.indexOf('\r\n\r\n') + 4);
const statusOf = (response: string) => Number(response.split(' ')[1]);

for (const one of recordings)
  for (const { label, request, response } of one.calls.filter(({ response }) => statusOf(response) >= 300)) {
    const call = JSON.parse(request.body) as (Call & { framework_id: Id }) | Subscribe;
    test(`${one.name}, ${label}: what a real master refused is told as refused, in its words`, async t => {
      const status = statusOf(response);
      const words = wordsOf(response);
      if (call.type === 'SUBSCRIBE') {
        const { link } = await stage(t, request, { subscribe: ({ socket }) => void socket.write(response) });
        const heard = listener();
        link.subscribe(subscribeAs(request), heard);
        t.like(await heard.end(), { why: 'refused', status });
        t.true(heard.ends[0]!.message.endsWith(words), heard.ends[0]!.message);
        return;
      }
      const { stream } = json_streams[0]!;
      const { link } = await stage(t, request, {
        subscribe: ({ socket }) => void socket.write(stream.raw.subarray(0, stream.raw.length - last_chunk.length)),
        call: ({ socket }) => void socket.write(response),
      });
      const heard = listener();
      link.subscribe(subscribeAs(stream.request), heard);
      await heard.count(1);
      t.deepEqual(await link.call(call), { type: 'refused', status, message: words.trim() });
    });
  }

test('30-protobuf-stream: we ask for JSON, and leave a master that answers in protobuf with clear words', async t => {
  const one = recording('30');
  const asked = one.streams.map(({ request }) => subscribeAs(request));
  const { master, link } = await stage(t, one.streams[0]!.request, {
    subscribe: ({ socket }, n) => void socket.write(one.streams[n]!.raw),
  });
  const ends: string[] = [];
  for (const [n, stream] of one.streams.entries()) {
    const heard = listener();
    link.subscribe(asked[n]!, heard);
    const { why, message } = await heard.end();
    t.deepEqual(heard.list, []);
    ends.push(`${stream.status} ${why}: ${message.slice(master.url.length + 2)}`);
  }
  t.deepEqual(ends.sort(), [
    '200 garbled: the answer to SUBSCRIBE is application/x-protobuf: expected application/json',
    "406 refused: Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
  ]);
  t.true(master.subscribes.every(({ headers }) => headers.get('accept') === 'application/json'));
});

test('32-zk-failover: one that redirects to the dead leader is left for the other, until the new leader is found', async t => {
  const one = recording('32');
  const port = ({ request }: RecordedStream) => request.headers.get('host')!.split(':')[1]!;
  /** What each of the recorded masters says, in order. */
  const script = (of: string) => one.streams.filter(stream => port(stream) === of);
  const told: string[] = [];
  const bodies: (readonly [made: unknown, recorded: unknown])[] = [];
  const standing = async (of: string): Promise<string> => {
    const says = script(of);
    const { url } = await scriptedMaster(t, {
      subscribe({ socket, body }, n) {
        const { name, raw, request } = says[n]!;
        told.push(name);
        bodies.push([JSON.parse(body), JSON.parse(request.body)]);
        // A redirect leads to a port of then: here to whoever stands for it. The last chunk came long after.
        const there = raw
          .toString('latin1')
          .replace(/\/\/127\.0\.0\.1:(\d+)/, (_, to: string) => urls[to]!.slice('http:'.length))
          .replace(/\r\n0\r\n\r\n$/, '\r\n');
        socket.write(Buffer.from(there, 'latin1'));
      },
    });
    return url;
  };
  const leader = await scriptedMaster(t, { subscribe: ({ socket }) => void socket.write(script('5050')[0]!.raw) });
  const urls: Record<string, string> = { '5050': leader.url };
  urls['5055'] = await standing('5055');
  urls['5058'] = await standing('5058');
  const link = httpLink({ urls: [urls['5055'], urls['5058']], clock });
  t.teardown(() => link.close());

  const first = listener();
  link.subscribe(subscribeAs(one.streams.find(({ name }) => name === 'try-non-leader')!.request), first);
  await first.count(1);
  // kill -9
  await leader.stopListening();
  leader.subscribes[0]!.socket.destroy();
  await first.end();
  const again = one.streams.find(({ name }) => name.startsWith('failover-try'))!;
  const ends: string[] = [];
  for (;;) {
    const heard = listener();
    link.subscribe(subscribeAs(again.request), heard);
    const end = await Promise.race([heard.end(), heard.count(1).then(() => undefined)]);
    if (end === undefined) break;
    ends.push(end.why);
  }
  t.deepEqual(
    ends,
    Array.from(ends, () => 'unreachable'),
  );
  t.deepEqual(told, [...one.streams.map(({ name }) => name).filter(name => name !== 'try-5050')]);
});

test('39-ack-while-disconnected-and-keepalive: three calls of one turn go out in one piece, and all are answered', async t => {
  const one = recording('39');
  const [stream] = one.streams;
  const { request, response } = callOf(one, '01-pipelined');
  const bodies = request.body.match(/\{"framework_id.*?\}(?=POST|$)/g)!;
  let asked = 0;
  const { master, link } = await stage(t, stream!.request, {
    subscribe: ({ socket }) => void socket.write(stream!.raw.subarray(0, stream!.raw.length - last_chunk.length)),
    call({ socket }) {
      if (++asked === bodies.length) socket.write(response);
    },
  });
  const heard = listener();
  link.subscribe(subscribeAs(stream!.request), heard);
  await heard.count(1);
  const fates = await Promise.all(bodies.map(body => link.call(rebuilt(JSON.parse(body), []))));
  t.deepEqual(
    fates,
    Array.from(bodies, () => ({ type: 'accepted' })),
  );
  t.deepEqual(
    master.calls.map(({ value }) => value.type),
    ['SUPPRESS', 'REVIVE', 'DECLINE'],
  );
  t.is(new Set(master.calls.map(({ socket }) => socket)).size, 1);
});

// --- launches -------------------------------------------------------------------------------------------------------

const eventsOf = ({ streams }: Recording) =>
  streams.flatMap(({ raw }) => recordsIn(unchunked(raw).body).map(text => JSON.parse(text) as Event));
const acceptOf = (one: Recording, label: string) =>
  JSON.parse(callOf(one, label).request.body) as Extract<Call, { type: 'ACCEPT' }> & { framework_id: Id };

test('what a real master refused as more than its offer is not sent: the match says what is short', t => {
  const one = recording('09');
  const { matched, calls } = matchedAsRecorded(acceptOf(one, '01-ACCEPT-exceeds-offer'), eventsOf(one));
  t.deepEqual(calls, []);
  const why = [...matched.why.values()][0];
  t.is(why?.code, 'no-fit');
  t.like(why?.code === 'no-fit' && why.short.cpus, { hosts_excluded: 1, needs: 999, nearest: { has: 4 } });
});

test('of two tasks of which a real master refused one, the other is sent', t => {
  const one = recording('09');
  const { matched, calls } = matchedAsRecorded(acceptOf(one, '18-ACCEPT-one-good-one-bad'), eventsOf(one));
  t.deepEqual(
    matched.placements.map(({ plan }) => plan.task_id),
    ['i-good'],
  );
  t.is(calls.length, 1);
});

test('cpus that a real master rounded to nothing and refused are rounded up before they are sent', t => {
  const one = recording('09');
  const { calls } = matchedAsRecorded(acceptOf(one, '17-ACCEPT-tiny-cpus'), eventsOf(one));
  const [call] = calls as Extract<Call, { type: 'ACCEPT' }>[];
  const [operation] = call!.accept.operations;
  t.is(operation?.type === 'LAUNCH' && operation.launch.task_infos[0]?.resources[0]?.scalar?.value, 0.001);
});

test('resources go back under the role to which they were offered, where a real master refused another', t => {
  const one = recording('27');
  const accept = acceptOf(one, '06-ACCEPT-wrong-role');
  const { calls } = matchedAsRecorded(accept, eventsOf(one));
  const [call] = calls as Extract<Call, { type: 'ACCEPT' }>[];
  const roles = call!.accept.operations.flatMap(operation =>
    operation.type === 'LAUNCH'
      ? operation.launch.task_infos.flatMap(task => task.resources.map(({ allocation_info }) => allocation_info?.role))
      : [],
  );
  t.deepEqual(new Set(roles), new Set(['b/c']));
});

test('twenty tasks for one host go out in one LAUNCH on both of its offers', t => {
  const one = recording('40');
  const accept = acceptOf(one, '11-ACCEPT-20-tasks');
  const { calls } = matchedAsRecorded(accept, eventsOf(one));
  const [call] = calls as Extract<Call, { type: 'ACCEPT' }>[];
  t.deepEqual(
    call!.accept.offer_ids.map(({ value }) => value).sort(),
    accept.accept.offer_ids.map(({ value }) => value).sort(),
  );
  t.deepEqual(
    call!.accept.operations.map(operation => operation.type === 'LAUNCH' && operation.launch.task_infos.length),
    [20],
  );
});
