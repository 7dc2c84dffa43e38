// task-any.test.ts: what holds of every task, whatever its processes are like and whatever happens to it.

import test from 'ava';
import fc from 'fast-check';
import { readTask, type TaskDocument } from '../../mesos/executor/document.ts';
import { type Ending, isLive } from '../../mesos/executor/progress.ts';
import { liveOf, type TaskEffect, type TaskMessage, taskOf, transition, wakeOf } from '../../mesos/executor/task.ts';

const process = (index: number) =>
  fc.record({
    name: fc.constant(`p${index}`),
    command: fc.constant('true'),
    max_failures: fc.integer({ min: 0, max: 3 }),
    daemon: fc.boolean(),
    ephemeral: fc.boolean(),
    final: fc.boolean(),
    min_duration_ms: fc.constantFrom(0, 10, 5_000),
  });
const document: fc.Arbitrary<TaskDocument> = fc
  .tuple(
    fc.tuple(...[0, 1, 2, 3, 4].map(process)),
    fc.array(fc.uniqueArray(fc.constantFrom('p0', 'p1', 'p2', 'p3', 'p4'), { maxLength: 3 }), { maxLength: 3 }),
    fc.record({
      max_failures: fc.integer({ min: 0, max: 2 }),
      max_concurrency: fc.integer({ min: 0, max: 3 }),
      finalization_wait_ms: fc.constantFrom(0, 1_000, 30_000),
      withdraw_wait_ms: fc.constantFrom(0, 500),
      ports: fc.constant(['health']),
    }),
    fc.constantFrom(
      {},
      { lifecycle: {} },
      { health: { checker: { type: 'tcp' } } },
      { health: { checker: { type: 'tcp' } }, lifecycle: {} },
    ),
  )
  .map(([processes, order, more, extras]) => readTask({ processes, order, ...more, ...extras }))
  .filter(read => read.ok)
  .map(read => (read.ok ? read.value : (undefined as never)));

const ending: fc.Arbitrary<Ending> = fc.constantFrom<Ending>(
  { type: 'exit', exit: { code: 0 } },
  { type: 'exit', exit: { code: 1 } },
  { type: 'exit', exit: { signal: 9 } },
  { type: 'unknown' },
  { type: 'failed' },
);
type Happening =
  | {
      readonly what:
        | 'seen'
        | 'answered'
        | 'deaf'
        | 'withdrawn'
        | 'connected'
        | 'kill'
        | 'hurry'
        | 'well'
        | 'sick'
        | 'snoozed';
    }
  | { readonly what: 'ended'; readonly which: number; readonly ending: Ending }
  | { readonly what: 'passed'; readonly ms: number };
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('ended' as const), which: fc.nat(10), ending }) },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant('passed' as const), ms: fc.constantFrom(1, 100, 6_000, 61_000) }),
  },
  { weight: 3, arbitrary: fc.constant({ what: 'seen' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constantFrom('well', 'sick', 'snoozed', 'answered', 'deaf', 'withdrawn', 'connected'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('kill', 'hurry') }) },
) as fc.Arbitrary<Happening>;

test('nobody is started while alive, no wake is in the past, the last word is said once, and records are all there is', t => {
  fc.assert(
    fc.property(document, fc.array(happening, { maxLength: 60 }), (document, happenings) => {
      let now = 0;
      let state = taskOf({ document, at: 0 }, [], now);
      const records: Parameters<typeof taskOf>[1][number][] = [];
      const live = new Map<string, number>();
      const unseen: TaskMessage[] = [];
      let last_words = 0;
      const perform = (effect: TaskEffect) => {
        if (effect.type === 'start') {
          if (live.has(effect.process.name)) throw new Error(`${effect.process.name} started while it lives`);
          if (state.stage !== 'active' && !effect.process.final) throw new Error(`started in stage ${state.stage}`);
          if (document.max_concurrency > 0 && live.size >= document.max_concurrency)
            throw new Error('too many at a time');
          live.set(effect.process.name, effect.run);
          unseen.push({ type: 'started', process: effect.process.name, run: effect.run, pid: 100 });
        }
        if (effect.type === 'say' && effect.verdict !== undefined) last_words++;
      };
      const tell = (message: TaskMessage) => {
        const step = transition(state, message, now);
        state = step.state;
        records.push(...step.records);
        step.effects.forEach(perform);
        const wake = wakeOf(state, now);
        // At once is fine when the world has to answer first, but the task itself must have nothing left to do.
        if (wake !== undefined && wake <= now) {
          const idle = transition(state, { type: 'due' }, now);
          if (idle.records.length > 0 || idle.effects.length > 0) throw new Error(`left something to do at ${now}`);
          throw new Error(`wants to be woken at ${wake}, and it is ${now}`);
        }
        const restored = taskOf({ document, at: 0 }, records, now);
        t.deepEqual(
          { stage: restored.stage, verdict: restored.verdict, up: restored.up, live: liveOf(restored) },
          { stage: state.stage, verdict: state.verdict, up: state.up, live: liveOf(state) },
        );
      };
      const pass = (ms: number) => {
        const until = now + ms;
        for (let wake = wakeOf(state, now); wake !== undefined && wake <= until; wake = wakeOf(state, now)) {
          now = wake;
          tell({ type: 'due' });
        }
        now = until;
      };
      const end = (name: string, ending: Ending) => {
        const run = live.get(name)!;
        live.delete(name);
        // A runner tells of the beginning before it tells of the end.
        for (const message of unseen.splice(0)) tell(message);
        tell({ type: 'ended', process: name, run, ending });
      };
      tell({ type: 'begun' });
      for (const one of happenings) {
        const names = [...live.keys()];
        if (one.what === 'ended' && names.length > 0) end(names[one.which % names.length]!, one.ending);
        if (one.what === 'passed') pass(one.ms);
        if (one.what === 'seen') for (const message of unseen.splice(0)) tell(message);
        if (one.what === 'kill') tell({ type: 'kill', grace_ms: 700 });
        if (one.what === 'hurry') tell({ type: 'hurry', within_ms: 400, why: 'w' });
        if (one.what === 'connected' || one.what === 'withdrawn') tell({ type: one.what });
        if (one.what === 'answered') tell({ type: 'answered', stage: 'asking', answered: true });
        if (one.what === 'deaf') tell({ type: 'answered', stage: 'insisting', answered: false });
        if (state.check?.under_way && one.what === 'well') tell({ type: 'checked', checked: { ok: true } });
        if (state.check?.under_way && one.what === 'sick') tell({ type: 'checked', checked: { ok: false, why: 'x' } });
        if (state.check?.under_way && one.what === 'snoozed') tell({ type: 'snoozed', snooze: {} });
      }
      // Whatever it was: a kill, obedience and time bring it to its end.
      tell({ type: 'kill' });
      for (let round = 0; round < 300 && state.stage !== 'over'; round++) {
        for (const name of [...live.keys()]) end(name, { type: 'exit', exit: { signal: 9 } });
        pass(1_000);
      }
      t.is(state.stage, 'over');
      t.is(last_words, 1);
      t.false(Object.values(state.processes).some(isLive));
    }),
    { numRuns: 400 },
  );
});
