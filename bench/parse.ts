// parse.ts: what reading a master's stream costs, beside JSON.parse alone on the same bytes.
//
// A stream of offers and updates as a real master writes them is read as the driver reads it: cut into records, decoded, parsed,
// each event looked at whether it is what its type promises. Beside it, in turn and in the same process, JSON.parse is
// given the same records as finished strings. Then ten thousand offers in one stream are read and made into hosts. Chunks are as
// large as sockets hand them out under load.

import { hostsOf } from '../mesos/hosts.ts';
import type { Event, Offer } from '../mesos/protocol.ts';
import { subscriptionReader } from '../mesos/subscription.ts';
import { quantile, readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), {
  updates: 20_000,
  offers: 10_000,
  /** Agents that a master offers together. */
  offers_per_event: 100,
  chunk_bytes: 64 * 1024,
  rounds: 25,
});

const subscribed = {
  type: 'SUBSCRIBED',
  subscribed: { framework_id: { value: 'f1d2b1ba-5a6c-4f6c-9b30-6a4c1c3dd6f1-0000' }, heartbeat_interval_seconds: 15 },
};
const updates = Array.from({ length: options.updates }, (_, n) => JSON.stringify(updateOf(n)));
const offers = Array.from({ length: Math.ceil(options.offers / options.offers_per_event) }, (_, n) => {
  const first = n * options.offers_per_event;
  const count = Math.min(options.offers_per_event, options.offers - first);
  return JSON.stringify({
    type: 'OFFERS',
    offers: { offers: Array.from({ length: count }, (_, m) => offerOf(first + m)) },
  });
});
const mixed = { texts: [...updates, ...offers], stream: streamOf([...updates, ...offers]) };
const only_offers = { texts: offers, stream: streamOf(offers) };

type Timed = { readonly ms: number; readonly cpu_us: number };
const reading: Timed[] = [];
const parsing: Timed[] = [];
const taking_in: Timed[] = [];
for (let round = 0; round < options.rounds; round++) {
  // In turn, so that both see the same machine, and with an empty nursery each.
  globalThis.gc?.();
  reading.push(timed(() => read(mixed.stream), updates.length + offers.length));
  globalThis.gc?.();
  parsing.push(timed(() => parseAlone(mixed.texts), updates.length + offers.length));
  globalThis.gc?.();
  taking_in.push(
    timed(() => {
      const events: Event[] = [];
      feed(only_offers.stream, batch => events.push(...batch));
      return hostsOf(events.flatMap((event): readonly Offer[] => (event.type === 'OFFERS' ? event.offers.offers : [])))
        .length;
    }, options.offers),
  );
}

// The ratio is of CPU time, garbage collectors included, round by round: whoever else uses the machine does not bend it.
const ratios = reading.map(({ cpu_us }, round) => parsing[round]!.cpu_us / cpu_us);
const median_ms = (times: readonly Timed[]) =>
  quantile(
    times.map(({ ms }) => ms),
    0.5,
  );
const [read_ms, parse_ms] = [median_ms(reading), median_ms(parsing)];
const bytes = mixed.stream.reduce((sum, chunk) => sum + chunk.length, 0);
report(
  {
    name: 'parse',
    figures: {
      read_mb_per_s: bytes / 2 ** 20 / (read_ms / 1000),
      json_parse_mb_per_s: bytes / 2 ** 20 / (parse_ms / 1000),
      ratio_to_json_parse: quantile(ratios, 0.5),
      events_per_s: mixed.texts.length / (read_ms / 1000),
      offers_taken_in_ms: median_ms(taking_in),
    },
    floors: { ratio_to_json_parse: { at_least: 0.7 }, offers_taken_in_ms: { at_most: 1000 } },
  },
  options,
);

function timed(work: () => number, expected: number): Timed {
  const cpu = process.cpuUsage();
  const began = performance.now();
  const done = work();
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  if (done !== expected) throw new Error(`${done} of ${expected} were read`);
  return { ms, cpu_us: user + system };
}

function feed(stream: readonly Uint8Array[], tell: (events: readonly Event[]) => void): void {
  const reader = subscriptionReader(64 * 2 ** 20);
  for (const chunk of stream) {
    const { events, ignored, garbled } = reader.feed(chunk);
    if (garbled !== undefined || ignored.length > 0) throw new Error(garbled ?? ignored[0]);
    tell(events);
  }
}

function read(stream: readonly Uint8Array[]): number {
  let count = -1; // SUBSCRIBED is not counted.
  feed(stream, events => {
    count += events.length;
  });
  return count;
}

function parseAlone(texts: readonly string[]): number {
  let count = 0;
  for (const text of texts) if ((JSON.parse(text) as Event).type !== 'HEARTBEAT') count++;
  return count;
}

/** The texts as records behind SUBSCRIBED, in pieces as a socket would hand them out. */
function streamOf(texts: readonly string[]): readonly Uint8Array[] {
  const whole = Buffer.from(
    [JSON.stringify(subscribed), ...texts].map(text => `${Buffer.byteLength(text)}\n${text}`).join(''),
  );
  return Array.from({ length: Math.ceil(whole.length / options.chunk_bytes) }, (_, n) =>
    whole.subarray(n * options.chunk_bytes, (n + 1) * options.chunk_bytes),
  );
}

function updateOf(n: number): object {
  return {
    type: 'UPDATE',
    update: {
      status: {
        task_id: { value: `prod~web~frontend.1.svc-${n}.0.1` },
        state: 'TASK_RUNNING',
        source: 'SOURCE_EXECUTOR',
        agent_id: { value: `59a69e9d-9c21-4152-8b1b-a1ca7865e1da-S${n % 997}` },
        executor_id: { value: `prod~web~frontend.1.svc-${n}.0.1` },
        timestamp: 1795314757.589 + n / 1000,
        uuid: Buffer.from(`uuid of update ${n}`.slice(0, 16)).toString('base64'),
        container_status: {
          container_id: { value: '4a1ac1fa-0f2c-4c35-a4f9-6a0b3c5a3f7e' },
          network_infos: [{ ip_addresses: [{ protocol: 'IPv4', ip_address: '10.1.2.3' }] }],
        },
      },
    },
  };
}

function offerOf(n: number): object {
  const [framework, agent] = ['59a69e9d-9c21-4152-8b1b-a1ca7865e1da', `59a69e9d-9c21-4152-8b1b-a1ca7865e1da-S${n}`];
  const address = { hostname: `node-${n}.example.org`, ip: '10.1.2.3', port: 5051 };
  const allocation_info = { role: '*' };
  const scalar = (name: string, value: number) => ({
    name,
    type: 'SCALAR',
    scalar: { value },
    role: '*',
    allocation_info,
  });
  return {
    id: { value: `${framework}-O${n}` },
    framework_id: { value: `${framework}-0000` },
    agent_id: { value: agent },
    hostname: address.hostname,
    url: { scheme: 'http', address, path: '/slave(1)' },
    allocation_info,
    attributes: [
      { name: 'rack', type: 'TEXT', text: { value: `r${n % 50}` } },
      { name: 'zone', type: 'TEXT', text: { value: `z${n % 3}` } },
    ],
    resources: [
      { name: 'ports', type: 'RANGES', ranges: { range: [{ begin: 31000, end: 32000 }] }, role: '*', allocation_info },
      scalar('cpus', 4 + (n % 60)),
      scalar('mem', 4096 + n),
      scalar('disk', 10000),
    ],
  };
}
