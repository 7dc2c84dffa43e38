// time-chronos.test.ts: jobs of Chronos's API live by the rules of its third generation, or of its second.

import test from 'ava';
import type { OutcomeRow } from '../../actors/model/records.ts';
import { readChronos } from '../../transport/http/chronos/document.ts';
import { chronos_rules_default } from '../../transport/http/chronos/rules.ts';
import { type World, world } from '../support/world.ts';

const minute = 60_000;
const start = Date.UTC(2026, 0, 1, 0, 0, 20);
const rows = (w: World) => w.committed.filter(one => one.kind === 'outcome').map(one => one.body as OutcomeRow);
const told = (w: World) => rows(w).map(row => [row.outcome, new Date(row.from).toISOString().slice(11, 19), row.count]);

async function posted(document: object, generation: 2 | 3, seconds = 1): Promise<World> {
  const w = await world({ start });
  const read = readChronos(
    { name: 'old', command: `sleep ${seconds}; exit 0`, ...document },
    { ...chronos_rules_default, generation },
  );
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const { job, document: origin } = read.value;
  await w.submit({ type: 'submit', mode: 'upsert', job, origin: { dialect: 'chronos', document: origin } });
  return w;
}

test('generation 3: a start in the past is one late run, and a count counts launches', async t => {
  const w = await posted({ schedule: 'R3/2025-12-31T23:57:00Z/PT1M' }, 3);
  await w.until(start + 5 * minute);
  t.deepEqual(told(w), [
    ['superseded', '23:57:00', 3],
    ['caught-up', '00:00:00', 1],
    ['ran', '00:01:00', 1],
    ['ran', '00:02:00', 1],
  ]);
});

test('generation 2: what is later than epsilon is missed, and uses a repetition up', async t => {
  const w = await posted({ schedule: 'R5/2025-12-31T23:57:00Z/PT1M', epsilon: 'PT1M' }, 2);
  await w.until(start + 5 * minute);
  t.deepEqual(told(w), [
    ['missed', '23:57:00', 3],
    ['caught-up', '00:00:00', 1],
    ['ran', '00:01:00', 1],
  ]);
});

test('generation 2: epsilon is strict: a target exactly as old is missed', async t => {
  const w = await posted({ schedule: 'R1/2025-12-31T23:59:20Z/PT1M', epsilon: 'PT1M' }, 2);
  await w.until(start + minute);
  t.deepEqual(told(w), [['missed', '23:59:20', 1]]);
  const within = await posted({ schedule: 'R1/2025-12-31T23:59:21Z/PT1M', epsilon: 'PT1M' }, 2);
  await within.until(start + minute);
  t.deepEqual(told(within), [['caught-up', '23:59:21', 1]]);
});

test('a run that finds another one active is kept by generation 3 and dropped by generation 2', async t => {
  const document = { schedule: 'R2/2026-01-01T00:01:00Z/PT1M' };
  const kept = await posted(document, 3, 90);
  await kept.until(start + 6 * minute);
  t.deepEqual(
    rows(kept).map(row => row.outcome),
    ['ran', 'ran'],
  );
  const dropped = await posted(document, 2, 90);
  await dropped.until(start + 6 * minute);
  t.deepEqual(
    rows(dropped).map(row => [row.outcome, row.why]),
    [
      ['ran', undefined],
      ['skipped', 'overlap'],
    ],
  );
});

test('the zone takes the place of the offset in the text, and may be one of Java', async t => {
  const w = await posted({ schedule: 'R1/2026-01-01T01:05:00Z/PT1M', scheduleTimeZone: 'GMT+01:00' }, 3);
  await w.until(start + 10 * minute);
  t.deepEqual(told(w), [['ran', '00:05:00', 1]]);
  const east = await posted({ schedule: 'R1/2026-01-01T01:05:00Z/PT1M', scheduleTimeZone: 'ECT' }, 3);
  await east.until(start + 10 * minute);
  t.deepEqual(told(east), [['ran', '00:05:00', 1]]);
});

test('an empty start and a bare P are understood, and survive a restart', async t => {
  const w = await posted({ schedule: 'R1//P' }, 3);
  await w.crash();
  await w.until(start + 2 * minute);
  t.is(rows(w).length, 1);
  t.is(rows(w)[0]?.run !== undefined, true);
});
