// chronos-cases.test.ts: what the unit tests of Chronos said about schedules, as cases by their number in our facts.
// The others: 24, 59-61 in test/command-line.test.ts; 30, 31, 44-54, 56-58 in test/actors/following-chronos.test.ts and
// test/schedules/{graph,join}.test.ts; 75, 77 in test/cluster/cases.test.ts; the rest in test/chronos-cases/.
//
// Cases 33-43 are the rules of generation 2 (missed runs use up repetitions, an epsilon decides what is late), all others
// those of generation 3 (one late run for all that was missed, n counts launches).

import test from 'ava';
import { type Cursor, chronos_2, chronos_3, type Decision, decide, initialCursor } from '../../schedules/catch-up.ts';
import { DueQueue } from '../../schedules/due-queue.ts';
import { compile, next, type Schedule } from '../../schedules/schedule.ts';
import { printInstant } from '../../schedules/zone.ts';
import { at, context, day, good, iso, minute, second } from './samples.ts';

const now = at('2026-03-15T12:00:00Z');
const chronos = (iso8601: string, zone?: string): Schedule =>
  good(zone === undefined ? { iso8601 } : { iso8601, zone }, { now, dialect: 'chronos' });
const runs = (decision: Decision): string[] =>
  decision.verdicts.flatMap(one => (one.outcome === 'run' ? [iso(one.at)] : []));
const missed = (decision: Decision): number =>
  decision.verdicts.reduce((sum, one) => sum + (one.outcome === 'run' ? 0 : one.count), 0);
/** One look of generation 3 at a job that was just made. */
const launch = (schedule: Schedule, when = now): Decision =>
  decide(schedule, initialCursor(schedule, when, 'chronos_3'), chronos_3, when, 100);
const start = (schedule: Schedule): string => printInstant(schedule.start!, schedule.zone_data);

test('case 1: "FOO" cannot be parsed', t => {
  t.false(compile({ iso8601: 'FOO' }, { ...context, dialect: 'chronos' }).ok);
});
test('case 2: R5/2008-03-01T13:00:00Z/P1D is five runs from that instant, a day apart', t => {
  const schedule = chronos('R5/2008-03-01T13:00:00Z/P1D');
  t.is(schedule.count, 5);
  t.is(schedule.start, at('2008-03-01T13:00:00Z'));
  t.is(next(schedule, schedule.start!), at('2008-03-02T13:00:00Z'));
});
test('case 3: R without a number is for ever', t => {
  t.is(chronos('R/2008-03-01T13:00:00Z/P1D').count, undefined);
});
test('case 4: R1//P1D is one run that starts within 60 s of now', t => {
  const schedule = chronos('R1//P1D');
  t.is(schedule.count, 1);
  t.true(Math.abs(schedule.start! - now) < minute);
});
test('case 5: R1//P is one run now, with a period of zero', t => {
  const schedule = chronos('R1//P');
  t.is(schedule.count, 1);
  t.deepEqual(runs(launch(schedule)), [iso(now - second)]);
  t.true(launch(schedule).exhausted);
});
test('case 6: the zone BST is Bangladesh: 13:00Z becomes 13:00+06:00', t => {
  t.is(start(chronos('R5/2008-03-01T13:00:00Z/P1D', 'BST')), '2008-03-01T13:00:00+06:00');
});
test('case 7: the zone PST is Los Angeles: 13:00Z becomes 13:00-08:00', t => {
  t.is(start(chronos('R5/2008-03-01T13:00:00Z/P1D', 'PST')), '2008-03-01T13:00:00-08:00');
});
test('case 8: in Europe/Paris 13:00Z becomes 13:00+01:00', t => {
  t.is(start(chronos('R5/2008-03-01T13:00:00Z/P1D', 'Europe/Paris')), '2008-03-01T13:00:00+01:00');
});
test('case 9: the zone wins over an offset in the text: 13:00-04:00 in PST is 13:00-08:00', t => {
  t.is(start(chronos('R5/2008-03-01T13:00:00-04:00/P1D', 'PST')), '2008-03-01T13:00:00-08:00');
});
test('case 10: without a period part a schedule is refused', t => {
  t.false(compile({ iso8601: 'R5/2008-03-01T13:00:00Z' }, { ...context, dialect: 'chronos' }).ok);
  t.false(compile({ iso8601: 'R5/2008-03-01T13:00:00Z/' }, { ...context, dialect: 'chronos' }).ok);
});
test('case 11: a date alone is local midnight: 2008-03-01 in PST is 2008-03-01T00:00-08:00', t => {
  t.is(start(chronos('R/2008-03-01/P1D', 'PST')), '2008-03-01T00:00:00-08:00');
});

test('case 12: after a launch R/2012-01-01T00:00:01Z/PT1M is next due today', t => {
  const decision = launch(chronos('R/2012-01-01T00:00:01Z/PT1M'));
  t.is(decision.next, at('2026-03-15T12:00:01Z'));
});
test('case 13: after a launch R/2012-01-01T00:00:01Z/P1M is next due after now and on day 1, whatever the date', t => {
  const schedule = chronos('R/2012-01-01T00:00:01Z/P1M');
  for (let days = 0; days < 800; days++) {
    const when = now + days * day;
    const due = launch(schedule, when).next!;
    t.true(due > when);
    t.is(new Date(due).getUTCDate(), 1);
    t.true(due - when <= 31 * day + second);
  }
});
test('case 14: a start tomorrow is left as it is', t => {
  const decision = launch(chronos('R/2026-03-16T12:00:00Z/P1D'));
  t.deepEqual(decision.verdicts, []);
  t.is(decision.next, now + day);
});
test('case 15: R0/yesterday/PT0S stays exhausted', t => {
  const decision = launch(chronos('R0/2026-03-14T12:00:00Z/PT0S'));
  t.deepEqual(decision.verdicts, []);
  t.true(decision.exhausted);
  t.is(decision.cursor.remaining, 0);
});
test('case 16: R1/yesterday/PT0S launched leaves 0, its start unchanged', t => {
  const decision = launch(chronos('R1/2026-03-14T12:00:00Z/PT0S'));
  t.deepEqual(runs(decision), [iso(now - day)]);
  t.is(decision.cursor.remaining, 0);
  t.true(decision.exhausted);
});
test('case 17: R1/now/P1D launched leaves 0', t => {
  const decision = launch(chronos('R1/2026-03-15T12:00:00Z/P1D'));
  t.deepEqual(runs(decision), [iso(now)]);
  t.is(decision.cursor.remaining, 0);
});
test('case 18: R3/now/P1D launched leaves 2', t => {
  const decision = launch(chronos('R3/2026-03-15T12:00:00Z/P1D'));
  t.is(decision.cursor.remaining, 2);
  t.is(decision.next, now + day);
});
test('case 19: R1/now/PT1S launched leaves 0', t => {
  t.is(launch(chronos('R1/2026-03-15T12:00:00Z/PT1S')).cursor.remaining, 0);
});
test('case 20: R1/yesterday/PT1S launched leaves 0 and its run is of today: what was missed uses up nothing', t => {
  const decision = launch(chronos('R1/2026-03-14T12:00:00Z/PT1S'));
  t.deepEqual(runs(decision), [iso(now)]);
  t.is(missed(decision), 86_400);
  t.is(decision.cursor.remaining, 0);
});
test('case 21: R/yesterday/P1D launched is next due tomorrow', t => {
  t.is(launch(chronos('R/2026-03-14T12:00:00Z/P1D')).next, now + day);
  t.is(launch(chronos('R/2026-03-14T13:00:00Z/P1D')).next, now + 60 * minute);
});
test('case 22: R/yesterday/P1Y launched is next due a year after yesterday', t => {
  t.is(launch(chronos('R/2026-03-14T12:00:00Z/P1Y')).next, at('2027-03-14T12:00:00Z'));
});

/** Launches one run after another, each as soon as it is due. */
function launches(
  schedule: Schedule,
  from: number,
  count_max: number,
): { run: string; remaining: number | undefined; next: string }[] {
  const seen: { run: string; remaining: number | undefined; next: string }[] = [];
  let cursor: Cursor = initialCursor(schedule, from, 'chronos_3');
  for (let when: number | undefined = schedule.start; when !== undefined && seen.length < count_max; ) {
    const decision: Decision = decide(schedule, cursor, chronos_3, when, 100);
    seen.push({ run: runs(decision).join(), remaining: decision.cursor.remaining, next: iso(decision.next) });
    cursor = decision.cursor;
    when = decision.next;
  }
  return seen;
}
test('case 25: R3/01-01/P1D goes R2/01-02, R1/01-03, R0, and ends', t => {
  const schedule = chronos('R3/2026-01-01T00:00:00Z/P1D');
  t.deepEqual(launches(schedule, at('2025-12-31T00:00:00Z'), 10), [
    { run: '2026-01-01T00:00:00.000Z', remaining: 2, next: '2026-01-02T00:00:00.000Z' },
    { run: '2026-01-02T00:00:00.000Z', remaining: 1, next: '2026-01-03T00:00:00.000Z' },
    { run: '2026-01-03T00:00:00.000Z', remaining: 0, next: 'never' },
  ]);
});
test('case 26: R/start/P1D stays for ever and advances', t => {
  const seen = launches(chronos('R/2026-01-01T00:00:00Z/P1D'), at('2025-12-31T00:00:00Z'), 40);
  t.is(seen.length, 40);
  t.is(seen.at(-1)!.next, '2026-02-10T00:00:00.000Z');
  t.true(seen.every(one => one.remaining === undefined));
});
test('case 27: of a due job and one due in a year only the first is enqueued, and once', t => {
  const due = chronos('R/2026-03-15T11:59:00Z/P1D');
  const first = launch(due);
  t.is(runs(first).length, 1);
  t.deepEqual(decide(due, first.cursor, chronos_3, now, 100).verdicts, []);
  t.deepEqual(launch(chronos('R/2027-03-15T11:59:00Z/P1D')).verdicts, []);
});
test('case 28: jobs given in any order are due in the order of their starts, the future one not at all', t => {
  const queue = new DueQueue();
  for (const month of ['2026-03', '2026-01', '2027-01', '2026-02']) {
    const schedule = chronos(`R1/${month}-01T00:00:00Z/P1D`);
    queue.arm(month, next(schedule, schedule.start! - 1)!);
  }
  t.deepEqual(
    queue.popDue(now).map(one => one.key),
    ['2026-01', '2026-02', '2026-03'],
  );
  t.is(queue.size, 1);
});
test('case 29: an overdue job is due at once, one in an hour in an hour, an exhausted R0 never', t => {
  const overdue = chronos('R/2026-03-15T11:00:00Z/P1D');
  t.true(next(overdue, initialCursor(overdue, now, 'chronos_3').decided)! <= now);
  t.is(launch(chronos('R/2026-03-15T13:00:00Z/P1D')).next, now + 60 * minute);
  t.is(launch(chronos('R0/2026-03-15T11:00:00Z/P1D')).next, undefined);
});
test('case 32: an R1 job that was launched is done, and asking again is no error', t => {
  const schedule = chronos('R1/2026-03-15T11:00:00Z/P1D');
  const first = launch(schedule);
  const again = decide(schedule, first.cursor, chronos_3, now + 365 * day, 100);
  t.deepEqual(again.verdicts, []);
  t.true(again.exhausted);
});

// --- generation 2 ---------------------------------------------------------------------------------------------------

/** One pass of generation 2 over a schedule that was just loaded. */
function pass(
  text: string,
  when: number,
  epsilon_ms: number,
  horizon_ms: number,
): { schedule: Schedule; decision: Decision } {
  const schedule = good({ iso8601: text }, { now: when, dialect: 'chronos' });
  return {
    schedule,
    decision: decide(
      schedule,
      initialCursor(schedule, when, 'chronos_2'),
      chronos_2(epsilon_ms, horizon_ms),
      when,
      1000,
    ),
  };
}
const midnight = at('2026-01-01T00:00:00Z');

test('case 33 (generation 2): R1 at 00:00:01, now 00:00:00, horizon 10 min: one task due 00:00:01, then exhausted', t => {
  const { decision } = pass('R1/2026-01-01T00:00:01Z/PT1M', midnight, minute, 10 * minute);
  t.deepEqual(runs(decision), ['2026-01-01T00:00:01.000Z']);
  t.true(decision.exhausted);
});
test('case 34 (generation 2): at start + epsilon exactly the run is missed; a millisecond earlier it is not', t => {
  const text = 'R1/2026-01-01T00:00:00Z/PT1M';
  const late = pass(text, midnight + minute, minute, 10 * minute).decision;
  t.deepEqual(runs(late), []);
  t.is(missed(late), 1);
  t.is(runs(pass(text, midnight + minute - 1, minute, 10 * minute).decision).length, 1);
});
test('case 35 (generation 2): R0 gives nothing', t => {
  const { decision } = pass('R0/2026-01-01T00:00:00Z/PT1M', midnight, minute, 10 * minute);
  t.deepEqual(decision.verdicts, []);
  t.true(decision.exhausted);
});
test('case 36 (generation 2): a single run one day late is missed and the schedule is over', t => {
  const { decision } = pass('R1/2026-01-01T00:00:00Z/PT1M', midnight + day, minute, minute);
  t.deepEqual(runs(decision), []);
  t.is(missed(decision), 1);
  t.true(decision.exhausted);
});
test('case 37 (generation 2): R10 each minute, epsilon 20 s, now 00:01:01, horizon 5 min: one missed, six tasks', t => {
  const { decision } = pass('R10/2026-01-01T00:00:00Z/PT1M', midnight + 61 * second, 20 * second, 5 * minute);
  t.is(missed(decision), 1);
  t.deepEqual(
    runs(decision),
    [1, 2, 3, 4, 5, 6].map(m => iso(midnight + m * minute)),
  );
  t.is(decision.target, midnight + 7 * minute);
});
test('case 38 (generation 2): a start beyond the horizon is left untouched', t => {
  const { schedule, decision } = pass('R10/2026-01-01T01:00:00Z/PT1M', midnight, minute, 10 * minute);
  t.deepEqual(decision.verdicts, []);
  t.deepEqual(decision.cursor, initialCursor(schedule, midnight, 'chronos_2'));
});
test('case 39 (generation 2): R60 each second, epsilon 5 min, now 60 s later: all sixty run', t => {
  const { decision } = pass('R60/2026-01-01T00:00:00Z/PT1S', midnight + 60 * second, 5 * minute, minute);
  t.is(runs(decision).length, 60);
  t.true(decision.exhausted);
});
test('case 40 (generation 2): each minute for ever, epsilon 60 s, now +61 s, horizon 30 s: exactly one runs', t => {
  const { decision } = pass('R/2026-01-01T00:00:00Z/PT1M', midnight + 61 * second, minute, 30 * second);
  t.deepEqual(runs(decision), ['2026-01-01T00:01:00.000Z']);
});
test('case 41 (generation 2): R5/01-01/P1D, epsilon 60 s, now 01-03T00:00: after the pass two are left, from 01-04', t => {
  const { schedule, decision } = pass('R5/2026-01-01T00:00:00Z/P1D', at('2026-01-03T00:00:00Z'), minute, minute);
  t.deepEqual(runs(decision), ['2026-01-03T00:00:00.000Z']);
  t.is(missed(decision), 2);
  t.is(decision.target, at('2026-01-04T00:00:00Z'));
  const left: string[] = [];
  for (let target = decision.target; target !== undefined; target = next(schedule, target)) left.push(iso(target));
  t.is(left.length, 2);
});
test('case 42 (generation 2): the cursor after a run is plain data, and what is read back goes on from there', t => {
  const { schedule, decision } = pass('R5/2026-01-01T00:00:00Z/P1D', midnight, minute, minute);
  const stored = JSON.parse(JSON.stringify(decision.cursor)) as Cursor;
  t.deepEqual(runs(decide(schedule, stored, chronos_2(minute, minute), midnight + day, 10)), [
    '2026-01-02T00:00:00.000Z',
  ]);
});
test("case 43 (generation 2): removing one of two jobs leaves the other's due time", t => {
  const queue = new DueQueue();
  queue.arm('one', midnight);
  queue.arm('two', midnight + minute);
  t.true(queue.cancel('one'));
  t.deepEqual(queue.popDue(midnight + day), [{ key: 'two', at: midnight + minute }]);
});
