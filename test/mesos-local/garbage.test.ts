// garbage.test.ts: calls that were recorded, with junk in them: each is refused or done, and the master goes on.

import test from 'ava';
import { readCall } from '../../mesos/local/wire-call.ts';
import { dice, faultsOf } from './support/books.ts';
import type { Json } from './support/client.ts';
import { conversations, readConversation } from './support/conversation.ts';
import { glass, subscription } from './support/glass.ts';

const seeds = Number(process.env.HORAE_TEST_SEEDS ?? 6);
const junk: readonly Json[] = [
  null,
  [],
  {},
  [[]],
  [null],
  [{}],
  '',
  'x',
  '__proto__',
  -1,
  0.00001,
  1e308,
  2 ** 53,
  true,
  { value: 'x' },
];

/** A copy with one value anywhere in it replaced, or left out. */
function spoiled(body: Json, roll: () => number): Json {
  const copy = structuredClone(body);
  const places: [Json, string | number][] = [];
  const walk = (node: Json) => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Array.isArray(node) ? node.keys() : Object.keys(node)) {
      places.push([node, key]);
      walk(node[key]);
    }
  };
  walk(copy);
  const [node, key] = places[Math.floor(roll() * places.length)] ?? [{}, ''];
  if (roll() < 0.2) delete node[key];
  else node[key] = junk[Math.floor(roll() * junk.length)];
  return copy;
}

const bodies: readonly Json[] = conversations().flatMap(name =>
  readConversation(name).flatMap(row => {
    if (row.is === 'subscribe') return [row.body];
    if (row.is !== 'call' || row.method !== 'POST' || !row.path.endsWith('/scheduler')) return [];
    try {
      return [JSON.parse(row.body)];
    } catch {
      return []; // Malformed as recorded; what junk could do to it has been done.
    }
  }),
);

test('no junk in any recorded call makes the master stumble or its books crooked', async t => {
  const statuses = new Map<number, number>();
  for (let seed = 1; seed <= seeds; seed++) {
    const roll = dice(seed);
    const { mesos, pass, framework } = glass({ agents: 2, master: { allocation_interval_ms: 0 } });
    const scheduler = framework('f');
    const terms = {
      roles: ['*', 'db', 'a'],
      capabilities: [{ type: 'MULTI_ROLE' }, { type: 'RESERVATION_REFINEMENT' }],
    };
    await scheduler.subscribe(subscription('f', terms));
    for (const body of bodies) {
      await pass(10);
      // What it speaks of is there, so that it gets as far as it can.
      const offer = [...mesos.host.master.offers.values()].at(-1);
      const ours = JSON.parse(
        JSON.stringify(body)
          .replace(/"offer_ids":\[[^\]]*\]/, `"offer_ids":[{"value":"${offer?.id}"}]`)
          .replace(/"agent_id":\{"value":"[^"]*"\}/g, `"agent_id":{"value":"${offer?.agent.info.id}"}`)
          .replace(/"(framework_id|id)":\{"value":"[0-9a-f-]{36}-\d{4}"\}/g, '"$1":{"value":"f"}'),
      );
      const twice = roll() < 0.3 ? spoiled(spoiled(ours, roll), roll) : spoiled(ours, roll);
      const read = readCall(JSON.stringify(twice));
      const answered = (status: number) => statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (!read.ok) answered(read.status);
      else if ('subscribe' in read) {
        const stream = { id: `s${statuses.get(200) ?? 0}`, events: () => undefined, closed: () => undefined };
        mesos.host.subscribe(stream, read.subscribe, ({ status }) => answered(status));
        mesos.host.streamClosed(stream.id);
      } else {
        const stream = mesos.host.master.frameworks.get(read.call.framework_id.value)?.stream;
        mesos.host.call(stream, read.call, ({ status }) => answered(status));
      }
      t.deepEqual(faultsOf(mesos.host.master), [], `seed ${seed}: ${JSON.stringify(twice)}`);
      if (mesos.host.master.frameworks.get('f')?.stream === undefined) {
        mesos.host.master.removed.delete('f');
        await scheduler.subscribe(subscription('f', terms));
      }
    }
  }
  t.true((statuses.get(202) ?? 0) > 100 && (statuses.get(400) ?? 0) > 100 && (statuses.get(200) ?? 0) > 10);
});
