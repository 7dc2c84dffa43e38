// statistics.test.ts: the counts and durations of a job through the whole scheduler: what they count, and what they survive.

import test from 'ava';
import { figuresOf } from '../../actors/model/durations.ts';
import type { FinishedRun, TallyRecord } from '../../actors/model/records.ts';
import { job, type World, world } from '../support/world.ts';

const base = { role: 'www', environment: 'prod', name: 'work' } as const;
const key = 'www/prod/work';
const tallyOf = (w: World) => new Map(w.outbox.entries('tally')).get(key) as TallyRecord | undefined;
const minutes = (w: World, n: number) => w.until(w.clock.now() + n * 60_000);

test('durations are those of the work, from its first process to its end: waiting counts nowhere, failures neither', async t => {
  const w = await world();
  await w.create({ ...base, command: 'sleep 7', schedule: 'R4/2026-01-01T00:01:00Z/PT1M' });
  await w.create({ ...base, name: 'bad', command: 'sleep 3; exit 1', schedule: 'R4/2026-01-01T00:01:00Z/PT1M' });
  await minutes(w, 6);
  const { durations } = tallyOf(w)!;
  t.is(durations!.count, 4);
  const { p50_ms, max_ms } = figuresOf(durations!);
  t.true(p50_ms >= 7_000 && p50_ms < 7_200, `${p50_ms}`);
  t.true(max_ms >= 7_000 && max_ms < 7_200, `${max_ms}`);
  const bad = new Map(w.outbox.entries('tally')).get('www/prod/bad') as TallyRecord;
  t.like(bad, { successes: 0, failures: 4, failures_since_success: 4 });
  t.is(bad.durations, undefined);
});

test('counts and durations survive a failover and every replacement, and end with the job', async t => {
  const w = await world();
  const submission = { ...base, command: 'sleep 7', schedule: 'R/2026-01-01T00:01:00Z/PT1M' };
  await w.create(submission);
  await minutes(w, 3);
  const before = tallyOf(w)!;
  t.is(before.successes, 3);
  await w.submit({ type: 'submit', mode: 'replace', job: job({ ...submission, command: 'sleep 11' }) });
  t.deepEqual(tallyOf(w), before);
  await w.crash();
  t.deepEqual(tallyOf(w), before);
  await minutes(w, 2);
  const after = tallyOf(w)!;
  t.is(after.successes, 5);
  t.like(figuresOf(after.durations!), { count: 5 });
  t.true(figuresOf(after.durations!).max_ms >= 11_000);
  await w.submit({ type: 'delete', key });
  await minutes(w, 1);
  t.is(tallyOf(w), undefined);
});

test('case 44: without retries two runs that end well and one that does not are two successes and one error', async t => {
  let n = 0;
  const w = await world({
    life: () => ({ start_delay_ms: 0, duration_ms: 1_000, exit: { code: n++ === 1 ? 1 : 0 }, term_ms: 0 }),
  });
  await w.create({ ...base, command: 'x', schedule: 'R3/2026-01-01T00:01:00Z/PT1M', retries: 0 });
  await minutes(w, 5);
  t.like(tallyOf(w), { successes: 2, failures: 1, failures_since_success: 0 });
});

test('a finished run says where each of its instances ran', async t => {
  const w = await world();
  await w.create({ ...base, command: 'true', instances: 2 });
  await minutes(w, 1);
  const [run] = w.committed.filter(one => one.kind === 'finished-run').map(one => one.body as FinishedRun);
  for (const one of run!.results) t.truthy(one.hostname);
});
