// trigger.test.ts: targets, starts by hand and absences, and what becomes of each.

import test from 'ava';
import fc from 'fast-check';
import type { Effect } from '../../actors/effects.ts';
import { type Job, readJob } from '../../actors/model/job.ts';
import type { JobRecord, OutcomeRow, RunRecord, TriggerRecord } from '../../actors/model/records.ts';
import { newTrigger, type TriggerMessage, type TriggerState, trigger } from '../../actors/trigger/trigger.ts';
import { compile, targetsBetween } from '../../schedules/schedule.ts';

const settings = { default_zone: 'UTC', late_grace_ms: 1_000, verdicts_max: 10, waiting_max: 2, runs_max: 2 };
const start = Date.UTC(2026, 0, 1, 0, 0, 20);
const minute = 60_000;
const key = 'www/prod/hello';
const move = trigger(settings);
/** The n-th full minute after the start. */
const target = (n: number) => Date.UTC(2026, 0, 1, 0, n);

function jobOf(more: object = {}): Job {
  const read = readJob({
    role: 'www',
    environment: 'prod',
    name: 'hello',
    command: 'true',
    cron: '* * * * *',
    ...more,
  });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  return read.value;
}

/** A trigger with its clock, its records and everything that it ever said. */
function gate(job: Job = jobOf()) {
  let now = start;
  let jobs: JobRecord = { job, incarnation: 1, version: 1, created_at: start, updated_at: start };
  let kept: TriggerRecord | undefined;
  const runs = new Map<string, RunRecord>();
  const rows: OutcomeRow[] = [];
  let wake: number | undefined;
  let state: TriggerState = newTrigger(key, jobs, undefined, [], settings);
  const said: string[] = [];
  const take = (message: TriggerMessage): readonly Effect[] => {
    const { state: next, effects } = move(state, message, now);
    state = next;
    for (const effect of effects) {
      if (effect.type === 'record' && effect.kind === 'trigger') kept = effect.body;
      if (effect.type === 'record' && effect.kind === 'run') runs.set(effect.body!.run, effect.body!);
      if (effect.type === 'record' && effect.kind === 'outcome') rows.push(effect.body!);
      if (effect.type === 'reply') said.push('code' in effect.answer ? effect.answer.code : effect.answer.type);
      if (effect.type === 'tell' && effect.to === 'timetable')
        wake = effect.message.type === 'armed' ? effect.message.armed[0]!.at : undefined;
    }
    return effects;
  };
  const one = {
    take,
    rows,
    runs,
    said,
    now: () => now,
    state: () => state,
    wake: () => wake,
    /** Outcomes, short: minute, and what. */
    told: () =>
      rows.map(row => `${new Date(row.from).getUTCMinutes()} ${row.outcome}${row.count > 1 ? ` x${row.count}` : ''}`),
    /** Time passes, and the timer has not rung yet. */
    pass(instant: number) {
      now = instant;
    },
    at(instant: number) {
      now = instant;
      if (wake !== undefined && wake <= now) {
        wake = undefined;
        return take({ type: 'due', noticed_at: now });
      }
      return [];
    },
    end(run = [...runs.keys()][0]!) {
      runs.delete(run);
      return take({ type: 'run-ended', run });
    },
    start: (request: string) =>
      take({
        type: 'start',
        envelope: { command: { type: 'start-run', key, request }, principal: { name: 'ann' }, request_id: request },
      }),
    change(more: Partial<Job>) {
      jobs = { ...jobs, job: { ...jobs.job, ...more }, version: jobs.version + 1, updated_at: now };
      return take({ type: 'changed', record: jobs });
    },
    /** The process dies and another one reads the records. */
    restart() {
      wake = undefined;
      state = newTrigger(key, jobs, kept, [...runs.keys()], settings);
      return take({ type: 'begin' });
    },
  };
  take({ type: 'begin' });
  return one;
}

test('a target, its run and its outcome are written in one step, with the cursor', t => {
  const one = gate();
  t.is(one.wake(), target(1));
  const effects = one.at(target(1));
  const records = effects.flatMap(effect => (effect.type === 'record' ? [effect.kind] : []));
  t.deepEqual(records, ['trigger', 'run', 'outcome']);
  t.like(one.rows[0], { outcome: 'ran', from: target(1), to: target(1), count: 1, late_ms: 0 });
  t.is(one.wake(), target(2));
});

for (const [policy, at_the_second, at_the_third, after_the_end] of [
  ['skip', ['2 skipped'], ['3 skipped'], []],
  ['buffer-one', [], ['2 superseded'], ['3 ran']],
  ['buffer-all', [], [], ['2 ran']],
  ['cancel-other', [], ['2 superseded'], ['3 ran']],
  ['kill-other', [], ['2 superseded'], ['3 ran']],
  ['allow', ['2 ran'], ['3 skipped'], []],
] as const)
  test(`overlap ${policy}: what becomes of a target that finds a run active`, t => {
    const one = gate(jobOf({ overlap: { policy } }));
    const since = (act: () => unknown) => {
      const before = one.rows.length;
      act();
      return one.told().slice(before);
    };
    t.deepEqual(
      since(() => one.at(target(1))),
      ['1 ran'],
    );
    t.deepEqual(
      since(() => one.at(target(2))),
      at_the_second,
    );
    t.deepEqual(
      since(() => one.at(target(3))),
      at_the_third,
    );
    t.deepEqual(
      since(() => one.end()),
      after_the_end,
    );
  });

test('cancel-other and kill-other tell the job whom to end, and how', t => {
  for (const [policy, grace] of [
    ['cancel-other', true],
    ['kill-other', false],
  ] as const) {
    const one = gate(jobOf({ overlap: { policy } }));
    one.at(target(1));
    const told = one.at(target(2)).find(effect => effect.type === 'tell' && effect.to === 'job');
    t.like(told, { message: { type: 'make-way', runs: [...one.runs.keys()], by: 'overlap', grace } });
  }
});

test('no more starts wait than the job or the settings allow', t => {
  const waiting = (overlap: object) => {
    const one = gate(jobOf({ overlap }));
    for (let n = 1; n <= 6; n++) one.at(target(n));
    return one.state().record.waiting.length;
  };
  t.is(waiting({ policy: 'buffer-all' }), 2);
  t.is(waiting({ policy: 'buffer-all', max: 4 }), 4);
  t.is(waiting({ policy: 'buffer-one' }), 1);
});

test('two schedules due in the same instant overlap exactly', t => {
  const schedules = [
    { id: 'a', cron: '* * * * *' },
    { id: 'b', cron: '* * * * *' },
  ];
  const one = gate(jobOf({ cron: undefined, schedules }));
  const effects = one.at(target(1));
  t.deepEqual(
    one.rows.map(row => [row.schedule, row.outcome]),
    [
      ['a', 'ran'],
      ['b', 'skipped'],
    ],
  );
  t.is(effects.filter(effect => effect.type === 'record' && effect.kind === 'trigger').length, 1);
});

for (const [policy, told] of [
  ['last', ['1 superseded x9', '10 caught-up']],
  ['none', ['1 missed x10']],
  ['first', ['1 caught-up', '2 missed x9']],
] as const)
  test(`after an absence of ten targets, catch-up ${policy}`, t => {
    const one = gate(jobOf({ catch_up: { policy } }));
    one.at(target(10) + 30_000);
    t.deepEqual(one.told(), told);
    t.is(one.wake(), target(11));
  });

test('a long catching-up is done in turns, and nobody waits behind it', t => {
  const one = gate(jobOf({ catch_up: { policy: 'all' }, overlap: { policy: 'allow', max: 100 } }));
  one.at(target(25) + 30_000);
  t.is(one.rows.length, settings.verdicts_max);
  t.is(one.wake(), one.now());
  one.at(one.now());
  one.at(one.now());
  t.is(one.rows.length, 25);
  t.is(one.wake(), target(26));
});

test('a disabled job starts nothing by itself, and its targets are told when it is enabled', t => {
  const one = gate();
  one.change({ enabled: false });
  t.is(one.wake(), undefined);
  one.at(target(5) + 1);
  one.start('by-hand');
  t.deepEqual(one.said, ['started']);
  one.change({ enabled: true });
  t.deepEqual(one.told(), ['1 skipped x5']);
  t.like(one.rows[0], { why: 'disabled', from: target(1), to: target(5) });
  t.is(one.wake(), target(6));
});

test('a change of anything but the schedule keeps the place in it', t => {
  const one = gate();
  one.at(target(1));
  one.end();
  one.at(target(1) + 1);
  one.change({ cpus: 2 });
  t.is(one.wake(), target(2));
  one.at(target(2));
  t.deepEqual(one.told(), ['1 ran', '2 ran']);
});

test('a target that came due under the old definition is decided by it, though the change was noticed first', t => {
  const one = gate();
  one.pass(target(1));
  one.change({ schedules: [{ id: 's0', cron: '0 0 1 1 *' }] });
  t.deepEqual(one.told(), ['1 ran']);
});

test('a new definition owes nothing from before it was made', t => {
  const one = gate();
  one.at(target(1));
  one.end();
  one.at(target(3) + 30_000);
  one.change({ schedules: [{ id: 's0', cron: '*/2 * * * *' }] });
  t.is(one.wake(), target(4));
  one.at(target(4));
  t.is(
    one.rows.filter(row => row.from <= target(3)).reduce((sum, row) => sum + row.count, 0),
    3,
  );
  t.is(one.rows.at(-1)?.from, target(4));
});

test('a start by hand that is asked for twice is one run, while it waits, while it runs, and after', t => {
  const one = gate(jobOf({ overlap: { policy: 'buffer-one' } }));
  one.at(target(1));
  for (const request of ['a', 'a']) one.start(request);
  one.end();
  one.start('a');
  one.end();
  one.start('a');
  one.restart();
  one.start('a');
  t.deepEqual(one.said, ['waiting', 'existing', 'existing', 'existing', 'existing']);
  one.start('b');
  t.is(one.said.at(-1), 'started');
});

test('a start by hand under skip is refused while a run is active, with its name', t => {
  const one = gate();
  one.at(target(1));
  const effects = one.start('a');
  t.is(one.said[0], 'already-running');
  const reply = effects.find(effect => effect.type === 'reply');
  t.regex(reply?.answer.type === 'refused' ? reply.answer.message : '', /1 active run\(s\) \(1\.s0\./);
});

test('the same request, long forgotten, never gets the same run id', t => {
  const one = gate();
  one.start('a');
  const [first] = [...one.runs.keys()];
  one.end();
  for (let n = 0; n < 40; n++) {
    one.start(`other-${n}`);
    one.end();
  }
  one.at(start + 1);
  one.start('a');
  t.is(one.said.at(-1), 'started');
  t.not([...one.runs.keys()][0], first);
});

test('waiting starts survive a restart, and go when the run that they waited for has ended meanwhile', t => {
  const one = gate(jobOf({ overlap: { policy: 'buffer-one' } }));
  one.at(target(1));
  one.at(target(2));
  one.restart();
  t.is(one.state().record.waiting.length, 1);
  one.runs.clear();
  one.restart();
  t.deepEqual(one.told(), ['1 ran', '2 ran']);
});

test('a trigger that is closed tells what waited and what had come due, starts nothing, and says goodbye', t => {
  const one = gate(jobOf({ overlap: { policy: 'buffer-one' } }));
  one.at(target(1));
  one.at(target(2));
  const effects = one.take({ type: 'close' });
  t.deepEqual(one.told(), ['1 ran', '2 skipped']);
  t.like(effects.at(-1), { type: 'tell', to: 'job', message: { type: 'closed' } });
  one.end();
  one.start('a');
  t.deepEqual(one.said, ['not-found']);
  t.is(one.wake(), undefined);
  t.is(one.take({ type: 'close' }).filter(effect => effect.type === 'record').length, 0, 'told once');
});

test('R0 never runs, R3 runs three times and then rests for ever', t => {
  const at = (schedule: string) => {
    const one = gate(jobOf({ cron: undefined, schedule }));
    for (let n = 1; n < 10; n++) {
      one.at(target(n));
      if (one.runs.size > 0) one.end();
    }
    return { told: one.told(), wake: one.wake() };
  };
  t.deepEqual(at('R0/2026-01-01T00:01:00Z/PT1M'), { told: [], wake: undefined });
  t.deepEqual(at('R3/2026-01-01T00:01:00Z/PT1M'), { told: ['1 ran', '2 ran', '3 ran'], wake: undefined });
});

test('a clock that is set back decides nothing twice', t => {
  const one = gate();
  one.at(target(2));
  one.end();
  const before = one.rows.length;
  one.at(target(1));
  one.take({ type: 'due', noticed_at: target(1) });
  t.is(one.rows.length, before);
  t.is(one.wake(), target(3));
});

test('a change that is told again after a later one is not taken back', t => {
  const one = gate();
  const old = { ...one.state().jobs };
  one.change({ cpus: 3 });
  one.take({ type: 'changed', record: old });
  t.is(one.state().jobs.job.cpus, 3);
});

test('a schedule that cannot be read any more is a crash that names it', t => {
  const job = { ...jobOf(), schedules: [{ id: 'x', cron: 'not a cron' }] };
  const jobs = { job, incarnation: 1, version: 1, created_at: start, updated_at: start };
  t.throws(() => newTrigger(key, jobs, undefined, [], settings), {
    message: /schedule "x" of www\/prod\/hello cannot be read/,
  });
});

test('whatever happens, every target has exactly one outcome', t => {
  const act = fc.oneof(
    fc.record({ wait: fc.integer({ min: 1, max: 200_000 }) }),
    fc.constantFrom('end', 'restart', 'enable', 'disable', 'start', 'absence'),
  );
  fc.assert(
    fc.property(
      fc.constantFrom('skip', 'buffer-one', 'buffer-all', 'cancel-other', 'kill-other', 'allow'),
      fc.constantFrom('none', 'last', 'all', 'first'),
      fc.constantFrom('* * * * *', '*/3 * * * *', '1,2,30 * * * *'),
      fc.array(act, { maxLength: 60 }),
      (overlap, catch_up, cron, story) => {
        const one = gate(jobOf({ overlap: { policy: overlap }, catch_up: { policy: catch_up }, cron }));
        let requests = 0;
        for (const what of story) {
          if (what === 'end' && one.runs.size > 0) one.end();
          else if (what === 'restart') one.restart();
          else if (what === 'enable' || what === 'disable') one.change({ enabled: what === 'enable' });
          else if (what === 'start') one.start(`r${requests++}`);
          else if (what === 'absence') one.at(one.now() + 90 * minute);
          else if (typeof what === 'object') one.at(one.now() + what.wait);
          for (let turn = 0; turn < 50 && (one.wake() ?? Infinity) <= one.now(); turn++) one.at(one.now());
        }
        one.take({ type: 'close' });
        const compiled = compile({ cron }, { now: start, default_zone: 'UTC', job_key: key });
        if (!compiled.ok) return false;
        const owed = targetsBetween(compiled.value, start - 1, one.now(), 1_000_000);
        const counted = one.rows.reduce((sum, row) => sum + row.count, 0);
        return (
          counted === owed.length &&
          owed.every(at => one.rows.filter(row => row.from <= at && at <= row.to).length === 1)
        );
      },
    ),
    { numRuns: 300, seed: 3 },
  );
  t.pass();
});

test('targets of a definition that was replaced just before the process died are told at the next beginning', t => {
  const text = JSON.stringify({ cron: '* * * * *' });
  const kept: TriggerRecord = { cursors: { s0: { decided: target(1), text, since: start } }, waiting: [] };
  const updated_at = target(3) + 1_000;
  const jobs: JobRecord = {
    job: jobOf({ cron: '0 5 * * *' }),
    incarnation: 1,
    version: 2,
    created_at: start,
    updated_at,
  };
  const born = newTrigger(key, jobs, kept, [], settings);
  const { state, effects } = move(born, { type: 'begin' }, target(10));
  const rows = effects.flatMap(one =>
    one.type === 'record' && one.kind === 'outcome' ? [one.body as OutcomeRow] : [],
  );
  t.deepEqual(
    rows.map(({ from, to, count, outcome, why }) => ({ from, to, count, outcome, why })),
    [{ from: target(2), to: target(3), count: 2, outcome: 'skipped', why: 'replaced' }],
  );
  const again = move(state, { type: 'begin' }, target(11));
  t.false(again.effects.some(one => one.type === 'record' && one.kind === 'outcome'));
});
