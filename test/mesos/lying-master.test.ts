// lying-master.test.ts: events as no honest master would write them.
//
// Recorded events are bent: fields go missing, become something else, huge, negative, or of another event. Whatever comes of
// it, the driver goes on: what cannot be trusted is put aside with a sentence, and what it then asks for is something that it was
// offered. HORAE_LIE_SEED sets where the lies begin.

import test from 'ava';
import { acknowledgeCall, acknowledgeOperationCall } from '../../mesos/calls.ts';
import { hostsOf } from '../../mesos/hosts.ts';
import { httpLink } from '../../mesos/http-link.ts';
import { type LaunchPlan, match } from '../../mesos/match.ts';
import { fateOfOperation } from '../../mesos/operations.ts';
import type { Event, Offer, Resource, TaskStatus } from '../../mesos/protocol.ts';
import { mayUse, volumesIn } from '../../mesos/reservations.ts';
import { conclude } from '../../mesos/statuses.ts';
import { readEvent } from '../../mesos/subscription.ts';
import { acceptCall, byHost } from '../../mesos/task-info.ts';
import { systemClock } from '../../schedules/clock.ts';
import { listener } from './support/listener.ts';
import { json_streams, recordsIn, unchunked } from './support/recordings.ts';
import { eventChunk, scriptedMaster, stream_head, subscribed } from './support/scripted-master.ts';
import { mulberry32 } from './support/seeded.ts';

const first_seed = Number(process.env.HORAE_LIE_SEED ?? 1);
const lies_per_event = 12;

const recorded: readonly string[] = [
  // By type and text: heartbeats by the thousand would teach us nothing.
  ...new Set(json_streams.flatMap(({ stream }) => recordsIn(unchunked(stream.raw).body))),
];

const instead: readonly unknown[] = [
  undefined,
  null,
  true,
  '',
  'no such thing',
  '\u0000\ud800',
  0,
  -1,
  1.5,
  -0.0001,
  1e308,
  -1e308,
  2 ** 53,
  [],
  [null],
  {},
  { value: -7 },
  { value: 'x' },
  { range: [{ begin: 9, end: 1 }] },
  { range: [{ begin: -5, end: 1e12 }] },
];

/** The event with one to three of its parts replaced or gone. */
function bent(text: string, random: () => number): unknown {
  const root = { event: JSON.parse(text) as unknown };
  const choose = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  for (let lies = 1 + Math.floor(random() * 3); lies > 0; lies--) {
    let holder: Record<string, unknown> = root;
    let key = 'event';
    for (;;) {
      const inner = holder[key];
      if (typeof inner !== 'object' || inner === null || Object.keys(inner).length === 0) break;
      // Deep lies are the dangerous ones.
      if (key !== 'event' && random() < 0.05) break;
      holder = inner as Record<string, unknown>;
      const deeper = Object.keys(inner).filter(name => typeof holder[name] === 'object');
      key = choose(deeper.length > 0 && random() < 0.8 ? deeper : Object.keys(inner));
    }
    if (key === 'event') continue;
    if (random() < 0.3) delete holder[key];
    else holder[key] = structuredClone(choose(instead));
  }
  return JSON.parse(JSON.stringify(root.event) ?? 'null') as unknown;
}

const plan = (n: number): LaunchPlan => ({
  task_id: `t${n}`,
  name: 't',
  group: 'g',
  resources: { cpus: 0.1, mem: 32, disk: 1 },
  ports: n % 2 === 0 ? ['http'] : [],
  executor: { cpus: 0.1, mem: 32, disk: 0 },
  constraints: [['rack', 'UNLIKE', 'z.*']],
  command: { value: 'true' },
  kill_grace_ms: 3000,
  labels: {},
});

const amount = (resources: readonly Resource[], name: string) =>
  resources.reduce((sum, { name: of, scalar }) => (of === name ? sum + Math.max(0, scalar?.value ?? 0) : sum), 0);

/** What the driver does with an event that came through. */
function handled(event: Event): void {
  switch (event.type) {
    case 'OFFERS':
      placed(event.offers.offers);
      return;
    case 'UPDATE': {
      const { status } = event.update;
      const { kind, final } = conclude(status);
      if (final && (kind === 'running' || kind === 'starting' || kind === 'unknown'))
        throw new Error(`concluded ${kind}`);
      acknowledgeCall(status);
      return;
    }
    case 'UPDATE_OPERATION_STATUS':
      fateOfOperation(event.update_operation_status.status);
      acknowledgeOperationCall(event.update_operation_status.status);
      return;
  }
}

function placed(offers: readonly Offer[]): void {
  const hosts = hostsOf(offers);
  for (const { resources } of offers) {
    volumesIn(resources);
    for (const resource of resources) mayUse(resource, 'a/b');
  }
  const { placements } = match(
    hosts,
    Array.from({ length: 20 }, (_, n) => plan(n)),
    {},
  );
  for (const host of byHost(placements)) {
    const { accept } = acceptCall(host, { framework_id: 'f', refuse_seconds: 1 });
    const ids = accept.offer_ids.map(({ value }) => value);
    const accepted = offers.filter(({ id }) => ids.includes(id.value)).flatMap(({ resources }) => resources);
    const asked = host.flatMap(({ resources, executor_resources }) => [...resources, ...executor_resources]);
    for (const { name, scalar, ranges } of asked) {
      if (scalar !== undefined && !(scalar.value > 0 && Number.isFinite(scalar.value)))
        throw new Error(`asked for ${scalar.value} ${name}`);
      for (const { begin, end } of ranges?.range ?? [])
        if (!(begin >= 1 && end <= 65_535 && begin <= end)) throw new Error(`asked for ports ${begin}-${end}`);
    }
    for (const name of ['cpus', 'mem', 'disk'])
      if (amount(asked, name) > amount(accepted, name) + 1e-3)
        throw new Error(`asked for ${amount(asked, name)} ${name} of ${amount(accepted, name)}`);
  }
}

test('a bent event is put aside with a sentence or handled, and we ask for nothing but what was offered', t => {
  const random = mulberry32(first_seed);
  let [through, aside] = [0, 0];
  for (const text of recorded)
    for (let n = 0; n < lies_per_event; n++) {
      const lie = bent(text, random);
      try {
        const event = readEvent(lie);
        if (typeof event === 'string') {
          aside++;
          if (event.length < 10 || event.length > 300) throw new Error(`put aside with "${event}"`);
        } else {
          through++;
          handled(event);
        }
      } catch (error) {
        t.fail(
          `seed ${first_seed}: ${String(error)}\n${error instanceof Error ? error.stack : ''}\n${JSON.stringify(lie)}`,
        );
        return;
      }
    }
  t.true(through > 1000 && aside > 1000, `${through} came through, ${aside} were put aside`);
});

test('a status of a state that does not exist is nobody’s end, and is acknowledged', t => {
  const status = {
    task_id: { value: 't' },
    agent_id: { value: 'S0' },
    state: 'TASK_ASCENDED',
    uuid: 'dQ==',
  } as unknown as TaskStatus;
  t.like(conclude(status), { kind: 'unknown', final: false });
  t.is(acknowledgeCall(status)?.type, 'ACKNOWLEDGE');
});

test('an agent whose attributes change is what its newest offer says', t => {
  const offer = (id: string, rack: string): Offer => ({
    id: { value: id },
    framework_id: { value: 'f' },
    agent_id: { value: 'S0' },
    hostname: 'h',
    resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }],
    attributes: [{ name: 'rack', type: 'TEXT', text: { value: rack } }],
  });
  const [host, ...others] = hostsOf([offer('O1', 'a'), offer('O2', 'b')]);
  t.deepEqual(others, []);
  t.deepEqual(host!.attributes.get('rack')?.[0]?.text, { value: 'b' });
  t.is(host!.free.cpus, 2000);
});

test('strange events are all counted, and only the first of a subscription fill the log', async t => {
  const master = await scriptedMaster(t, {
    subscribe({ socket }) {
      const strange = Array.from({ length: 100 }, () => eventChunk({ type: 'TEA' })).join('');
      socket.write(stream_head + eventChunk(subscribed) + strange + eventChunk({ type: 'HEARTBEAT' }));
    },
  });
  const lines: string[] = [];
  let counted = 0;
  const log = { info: () => undefined, warn: (_fields: object, line: string) => void lines.push(line) };
  const link = httpLink({
    urls: [master.url],
    clock: systemClock(),
    log,
    ignored: count => {
      counted += count;
    },
  });
  t.teardown(() => link.close());
  const heard = listener();
  link.subscribe({ type: 'SUBSCRIBE', subscribe: { framework_info: { user: 'root', name: 'horae' } } }, heard);
  await heard.count(2);
  t.deepEqual(
    heard.list.map(({ type }) => type),
    ['SUBSCRIBED', 'HEARTBEAT'],
  );
  t.is(counted, 100);
  t.is(lines.length, 20);
  t.is(lines[0], 'mesos: ignored an event of unknown type TEA');
  t.regex(lines[19]!, /only counted$/);
  t.deepEqual(heard.ends, []);
});
