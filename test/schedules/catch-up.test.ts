// catch-up.test.ts: every target gets exactly one verdict, whatever happened in between.

import test from 'ava';
import fc from 'fast-check';
import {
  type CatchUp,
  type Cursor,
  type Decision,
  decide,
  initialCursor,
  type PassedOver,
  type Policy,
  passOver,
  type Verdict,
} from '../../schedules/catch-up.ts';
import { countBetween, next, type Schedule } from '../../schedules/schedule.ts';
import { dice } from './oracle.ts';
import { at, day, good, hour, minute, second, short } from './samples.ts';

const start = at('2026-01-01T00:00:00Z');
const minutely = good({ cron: '* * * * *' });
const policy = (catch_up: CatchUp, changes: Partial<Policy> = {}): Policy => ({
  catch_up,
  count: 'targets',
  grace_ms: second,
  ...changes,
});
const look = (catch_up: CatchUp, now: number, cursor: Cursor = { decided: start }, limit = 1000): Decision =>
  decide(minutely, cursor, policy(catch_up), now, limit);

/** `run 00:05`, `missed 00:01-00:04 x4 window`: a verdict at a glance. */
const glance = (verdict: Verdict): string => {
  const time = (instant: number) => short(instant).slice(11, -1);
  if (verdict.outcome === 'run') return `run ${time(verdict.at)}${verdict.caught_up ? ' caught up' : ''}`;
  return `${verdict.outcome} ${time(verdict.from)}-${time(verdict.to)} x${verdict.count} ${verdict.why}`;
};
const told = (decision: Decision): string[] => decision.verdicts.map(glance);
const ten_past = start + 10 * minute + 300;

test('a target decided within its grace is simply a run', t => {
  const decision = look({ policy: 'none' }, start + minute + 999);
  t.deepEqual(decision.verdicts, [{ outcome: 'run', at: start + minute, late_ms: 999, caught_up: false }]);
  t.is(decision.next, start + 2 * minute);
  t.false(decision.more || decision.exhausted);
});
test('too early nothing is decided, and nothing about the cursor changes', t => {
  const decision = look({ policy: 'all' }, start + 59_999);
  t.deepEqual(decision.verdicts, []);
  t.deepEqual(decision.cursor, { decided: start });
  t.is(decision.next, start + minute);
});
test('none: what was missed stays missed, in one record', t => {
  t.deepEqual(told(look({ policy: 'none' }, ten_past)), ['missed 00:01-00:09 x9 not_caught_up', 'run 00:10']);
});
test('last: the latest late target runs for all of them; one that is due just now does so in its place', t => {
  t.deepEqual(told(look({ policy: 'last' }, ten_past)), ['superseded 00:01-00:09 x9 later_target', 'run 00:10']);
  t.deepEqual(told(look({ policy: 'last' }, ten_past + 30_000)), [
    'superseded 00:01-00:09 x9 later_target',
    'run 00:10 caught up',
  ]);
});
test('all: every late target runs, oldest first, as many at a time as asked for', t => {
  t.deepEqual(told(look({ policy: 'all' }, start + 3 * minute + 30_000)), [
    'run 00:01 caught up',
    'run 00:02 caught up',
    'run 00:03 caught up',
  ]);
  const first = look({ policy: 'all' }, ten_past, undefined, 4);
  t.is(first.verdicts.length, 4);
  t.true(first.more);
  t.is(first.next, ten_past);
  const rest = look({ policy: 'all' }, ten_past, first.cursor, 100);
  t.deepEqual(told(rest), [
    'run 00:05 caught up',
    'run 00:06 caught up',
    'run 00:07 caught up',
    'run 00:08 caught up',
    'run 00:09 caught up',
    'run 00:10',
  ]);
  t.false(rest.more);
});
test('first n: the first few run, the rest is missed, also when one look is not enough', t => {
  const expected = [
    'run 00:01 caught up',
    'run 00:02 caught up',
    'run 00:03 caught up',
    'missed 00:04-00:09 x6 beyond_first',
    'run 00:10',
  ];
  t.deepEqual(told(look({ policy: 'first', first_n: 3 }, ten_past)), expected);
  const half = look({ policy: 'first', first_n: 3 }, ten_past, undefined, 2);
  t.deepEqual(
    [...told(half), ...told(look({ policy: 'first', first_n: 3 }, ten_past, JSON.parse(JSON.stringify(half.cursor))))],
    expected,
  );
  t.deepEqual(told(look({ policy: 'first' }, ten_past))[1], 'missed 00:02-00:09 x8 beyond_first');
});
test('a window bounds every policy: what is as old as it or older is missed', t => {
  const window_ms = 5 * minute;
  const now = start + 10 * minute + 30_000;
  t.deepEqual(told(look({ policy: 'all', window_ms }, now)), [
    'missed 00:01-00:05 x5 window',
    'run 00:06 caught up',
    'run 00:07 caught up',
    'run 00:08 caught up',
    'run 00:09 caught up',
    'run 00:10 caught up',
  ]);
  t.deepEqual(told(look({ policy: 'last', window_ms }, now)), [
    'missed 00:01-00:05 x5 window',
    'superseded 00:06-00:09 x4 later_target',
    'run 00:10 caught up',
  ]);
  t.deepEqual(told(look({ policy: 'last', window_ms: 20_000 }, now)), ['missed 00:01-00:10 x10 window']);
  t.deepEqual(told(look({ policy: 'all', window_ms }, start + 6 * minute)), [
    'missed 00:01-00:01 x1 window',
    'run 00:02 caught up',
    'run 00:03 caught up',
    'run 00:04 caught up',
    'run 00:05 caught up',
    'run 00:06',
  ]);
});
test('a rate spreads the catching up: next says when another is admitted', t => {
  const catch_up: CatchUp = { policy: 'all', rate: { runs: 2, per_ms: 10 * second } };
  const now = start + 5 * minute + 30_000;
  const first = look(catch_up, now);
  t.deepEqual(told(first), ['run 00:01 caught up', 'run 00:02 caught up']);
  t.is(first.next, now + 10 * second);
  t.deepEqual(told(look(catch_up, now + 9 * second, first.cursor)), []);
  const second_look = look(catch_up, now + 10 * second, first.cursor);
  t.deepEqual(told(second_look), ['run 00:03 caught up', 'run 00:04 caught up']);
  t.deepEqual(told(look(catch_up, now + 20 * second, second_look.cursor)), ['run 00:05 caught up']);
  t.deepEqual(
    told(look(catch_up, now - hour, { ...first.cursor, decided: start - 2 * hour })).length,
    2,
    'a clock set back holds nothing up',
  );
});

test('a clock set back decides nothing twice', t => {
  const decision = look({ policy: 'all' }, ten_past);
  const back = look({ policy: 'all' }, start + 3 * minute, decision.cursor);
  t.deepEqual(back.verdicts, []);
  t.is(back.next, start + 11 * minute);
});
test('a clock set forward is an absence like another', t => {
  t.deepEqual(told(look({ policy: 'last' }, start + 2 * day + 30_000)), [
    'superseded 00:01-23:59 x2879 later_target',
    'run 00:00 caught up',
  ]);
});
test('fourteen years away are one record', t => {
  const schedule = good({ cron: '*/2 * * * * *', zone: 'Europe/Vienna' });
  const [from, now] = [at('2012-01-01T00:00:00Z'), at('2026-01-01T00:00:01Z')];
  const decision = decide(schedule, { decided: from }, policy({ policy: 'last' }, { grace_ms: 0 }), now, 10);
  t.is(decision.verdicts.length, 2);
  t.is((decision.verdicts[0] as PassedOver).count, (at('2026-01-01T00:00:00Z') - from) / 2000 - 1);
});
test('a finite count of targets is used up by missed ones too, a count of launches by runs alone', t => {
  const schedule = good({ iso8601: 'R5/2026-01-01T00:00:00Z/PT1M' });
  const now = start + 3 * minute + 30_000;
  const cursor = { decided: start - 1 };
  const targets = decide(schedule, cursor, policy({ policy: 'none' }), now, 10);
  t.deepEqual(told(targets), ['missed 00:00-00:03 x4 not_caught_up']);
  t.deepEqual(told(decide(schedule, targets.cursor, policy({ policy: 'none' }), start + hour, 10)), [
    'missed 00:04-00:04 x1 not_caught_up',
  ]);
  t.true(decide(schedule, { decided: start + 5 * minute }, policy({ policy: 'none' }), start + hour, 10).exhausted);
  const launches = decide(
    schedule,
    { ...cursor, remaining: 5 },
    policy({ policy: 'last' }, { count: 'launches' }),
    now,
    10,
  );
  t.deepEqual(told(launches), ['superseded 00:00-00:02 x3 later_target', 'run 00:03 caught up']);
  t.is(launches.cursor.remaining, 4);
  const few = decide(schedule, { ...cursor, remaining: 2 }, policy({ policy: 'all' }, { count: 'launches' }), now, 10);
  t.deepEqual(told(few), ['run 00:00 caught up', 'run 00:01 caught up']);
  t.true(few.exhausted);
  t.is(few.next, undefined);
});
test('with jitter a target is due later, and next says when to look', t => {
  const schedule = good({ cron: '* * * * *', jitter_ms: 30_000 });
  const cursor = { decided: start };
  const before = decide(schedule, cursor, policy({ policy: 'none' }), start + minute - 1, 10);
  t.true(before.next! >= start + minute && before.next! <= start + minute + 30_000);
  t.is(before.target, start + minute);
  t.deepEqual(decide(schedule, cursor, policy({ policy: 'none' }), before.next! - 1, 10).verdicts, []);
  t.deepEqual(decide(schedule, cursor, policy({ policy: 'none' }), before.next!, 10).verdicts, [
    { outcome: 'run', at: start + minute, late_ms: 0, caught_up: false },
  ]);
});
test('a new schedule owes nothing from before its creation unless it says so', t => {
  const schedule = good({ iso8601: 'R/2025-01-01T00:00:00Z/PT1H' });
  const created = start + 30 * minute;
  t.is(next(schedule, initialCursor(schedule, created, 'native').decided), start + hour);
  t.is(next(schedule, initialCursor(schedule, created, 'native', { policy: 'all' }).decided), start + hour);
  t.is(
    next(schedule, initialCursor(schedule, created, 'native', { policy: 'all', from: 'start' }).decided),
    at('2025-01-01T00:00:00Z'),
  );
  const now = good({ iso8601: 'R2//PT1H' }, { now: created });
  t.is(next(now, initialCursor(now, created, 'native').decided), created, 'an empty start is due at its creation');
});
test('a pause passes over its targets in one record and uses up no launch', t => {
  const schedule = good({ iso8601: 'R5/2026-01-01T00:00:00Z/PT1M' });
  const passed = passOver(
    schedule,
    { decided: start - 1, remaining: 5 },
    'launches',
    start + hour,
    'skipped',
    'paused',
  );
  t.is(glance(passed!.verdict), 'skipped 00:00-01:00 x61 paused');
  t.deepEqual(passed!.cursor, { decided: start + hour, remaining: 5 });
  t.is(
    glance(passOver(schedule, { decided: start - 1 }, 'targets', start + hour, 'skipped', 'disabled')!.verdict),
    'skipped 00:00-00:04 x5 disabled',
  );
  t.is(passOver(schedule, { decided: start + hour }, 'targets', start + 2 * hour, 'skipped', 'paused'), undefined);
});
test('@reboot is never due by itself and never exhausted', t => {
  const decision = decide(good({ cron: '@reboot' }), { decided: start }, policy({ policy: 'all' }), start + day, 10);
  t.deepEqual(decision.verdicts, []);
  t.false(decision.exhausted);
});

// --- accounting -----------------------------------------------------------------------------------------------------

const policies: fc.Arbitrary<CatchUp> = fc
  .record({
    policy: fc.constantFrom('none' as const, 'last' as const, 'all' as const, 'first' as const),
    first_n: fc.integer({ min: 1, max: 5 }),
    window_ms: fc.constantFrom(undefined, 30 * second, 10 * minute, 3 * hour),
    rate: fc.constantFrom(undefined, undefined, { runs: 3, per_ms: 5 * minute }),
  })
  .map(({ window_ms, rate, ...rest }) => ({
    ...rest,
    ...(window_ms === undefined ? {} : { window_ms }),
    ...(rate === undefined ? {} : { rate }),
  }));
const schedules = fc.constantFrom(
  good({ cron: '* * * * *' }),
  good({ cron: '*/7 1-5 * * *', zone: 'Europe/Vienna', dst: { fold: 'both' } }),
  good({ iso8601: 'R40/2026-03-28T22:00:00Z/PT11M', jitter_ms: 20_000 }),
  good({ iso8601: 'R/2026-03-28T02:30:00/P1D', zone: 'Europe/Vienna', dst: { gap: 'skip' } }),
);

test('looks at any times, with a clock that steps, give every target exactly one verdict, in order', t => {
  const from = at('2026-03-28T00:00:00Z');
  fc.assert(
    fc.property(
      schedules,
      policies,
      fc.array(fc.integer({ min: -2 * hour, max: 9 * hour }), { minLength: 1, maxLength: 12 }),
      fc.constantFrom(1, 3, 1000),
      (schedule, catch_up, steps, limit) => {
        let cursor: Cursor = { decided: from };
        let now = from;
        let accounted = 0;
        let edge = from;
        for (const step of steps) {
          now += step;
          for (let looks = 0, more = true; more; looks++) {
            if (looks > 5000) return t.fail('a look never came to an end');
            const decision = decide(schedule, cursor, policy(catch_up), now, limit);
            for (const verdict of decision.verdicts) {
              const [first, last] = verdict.outcome === 'run' ? [verdict.at, verdict.at] : [verdict.from, verdict.to];
              t.true(first > edge && last >= first && last <= now);
              t.is(next(schedule, edge), first, 'no target lies between one verdict and the next');
              accounted += verdict.outcome === 'run' ? 1 : verdict.count;
              edge = last;
            }
            t.true(decision.cursor.decided >= cursor.decided);
            t.true(decision.next === undefined || decision.more || decision.next > now, 'the next look lies ahead');
            cursor = decision.cursor;
            more = decision.more;
          }
        }
        t.is(accounted, countBetween(schedule, from, cursor.decided, 1_000_000).count);
        return undefined;
      },
    ),
    { numRuns: 400, seed: 31 },
  );
});

test('decide never throws and is bounded, whatever cursor and time it is given', t => {
  const throwDie = dice(32);
  const all: Schedule[] = [
    minutely,
    good({ cron: '@reboot' }),
    good({ iso8601: 'R0//PT0S' }),
    good({ iso8601: 'R1/2026-01-01/PT0S' }),
    good({ cron: '0 0 29 2 *' }),
    good({ iso8601: 'R/9999-12-31T23:59:59Z/PT1S' }),
    good({ cron: '* * * * * *', not_after: '2026-01-02' }),
  ];
  for (let i = 0; i < 3000; i++) {
    const schedule = all[i % all.length]!;
    const scale = [1e5, 1e9, 1e12, 8e15][Math.floor(throwDie() * 4)]!;
    const decided = start + Math.floor((throwDie() - 0.5) * Math.min(scale, 1e13));
    const now = start + Math.floor((throwDie() - 0.5) * scale);
    const kind = (['none', 'last', 'all', 'first'] as const)[Math.floor(throwDie() * 4)]!;
    const decision = decide(
      schedule,
      { decided },
      policy({ policy: kind }, { count: i % 2 === 0 ? 'targets' : 'launches' }),
      now,
      10,
    );
    t.true(decision.verdicts.length <= 12);
    t.true(decision.cursor.decided >= decided);
  }
});
