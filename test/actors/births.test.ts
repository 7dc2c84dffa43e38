// births.test.ts: from any records to what each job is born with.

import test from 'ava';
import { restored } from '../../actors/births.ts';

/** An outbox that holds these records. */
function holding(all: Readonly<Record<string, Readonly<Record<string, unknown>>>>) {
  return {
    entries: (kind: string) => Object.entries(all[kind] ?? {}),
    latest: (kind: string, key: string) => all[kind]?.[key],
  };
}
const records = {
  job: { 'www/prod/a': { version: 1 }, 'www/prod/b': { version: 2 } },
  tally: { 'www/prod/a': { successes: 3 } },
  trigger: { 'www/prod/b': { cursors: {}, waiting: [] } },
  run: {
    'www/prod/a/1.s0.x': { run: '1.s0.x' },
    'www/prod/a/1.s0.y': { run: '1.s0.y' },
    'www/prod/gone/1.once': { run: '1.once' },
  },
  instance: {
    'www/prod/a/1.s0.x/0': { status: 'pending' },
    'www/prod/a/1.s0.x/11': { status: 'running' },
    'www/prod/a/1.s0.past/0': { status: 'over' },
  },
};

test('every job is born with its own runs, and every run with its own instances', t => {
  const [a, b, ...others] = restored(holding(records));
  t.deepEqual(others, []);
  t.like(a, { key: 'www/prod/a', tally: { successes: 3 }, trigger: undefined });
  t.deepEqual(
    a?.runs.map(run => [run.record.run, run.instances.map(one => one.index)]),
    [
      ['1.s0.x', [0, 11]],
      ['1.s0.y', []],
    ],
  );
  t.like(b, { key: 'www/prod/b', runs: [], trigger: { waiting: [] } });
});

test('one job can be asked for alone', t => {
  t.deepEqual(restored(holding(records), 'www/prod/a'), restored(holding(records)).slice(0, 1));
  t.deepEqual(restored(holding(records), 'www/prod/gone'), []);
});

test('no records, no jobs', t => {
  t.deepEqual(restored(holding({})), []);
});
