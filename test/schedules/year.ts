// year.ts: a year in the life of many schedules, below the actors: due queue, decisions, cursors, and a clock that misbehaves.
//
//   node test/schedules/year.ts [--schedules 10000] [--days 365] [--seed 1]
//
// Time goes from one due moment to the next. On the way the wall clock is set forward and back, and once everything stops
// for a while. At the end every target up to each cursor must have had exactly one verdict: the verdicts' own counts are
// held against the number of targets, which another part of schedules/ works out without visiting them.

import { parseArgs } from 'node:util';
import { type CatchUp, type Cursor, decide, type Policy } from '../../schedules/catch-up.ts';
import { DueQueue } from '../../schedules/due-queue.ts';
import { countBetween, next, type Schedule, type ScheduleSpec } from '../../schedules/schedule.ts';
import { dice } from './oracle.ts';
import { at, day, good, hour, iso, minute } from './samples.ts';

export type Year = {
  readonly seed: number;
  readonly schedules: number;
  targets: number;
  runs: number;
  caught_up: number;
  passed_over: number;
  looks: number;
  clock_steps: number;
  stopped_ms: number;
  readonly complaints: string[];
};

const begin = at('2026-01-01T00:00:00Z');
const zones = [
  'UTC',
  'Europe/Vienna',
  'America/New_York',
  'Australia/Lord_Howe',
  'America/Santiago',
  'Asia/Kolkata',
  'Africa/Casablanca',
];

export function simulateYear(options: {
  readonly schedules: number;
  readonly days: number;
  readonly seed: number;
}): Year {
  const throwDie = dice(options.seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(throwDie() * list.length)]!;
  const year: Year = {
    seed: options.seed,
    schedules: options.schedules,
    targets: 0,
    runs: 0,
    caught_up: 0,
    passed_over: 0,
    looks: 0,
    clock_steps: 0,
    stopped_ms: 0,
    complaints: [],
  };
  const end = begin + options.days * day;
  const lives = Array.from({ length: options.schedules }, (_, i) => {
    const schedule = good(someSpec(throwDie, pick), { job_key: `www/prod/job-${i}` });
    return {
      schedule,
      policy: somePolicy(throwDie, pick),
      cursor: { decided: begin } as Cursor,
      edge: begin,
      accounted: 0,
    };
  });
  const queue = new DueQueue<number>();
  for (const [i, life] of lives.entries()) queue.arm(i, next(life.schedule, begin) ?? Infinity);

  const stop_at = begin + (0.3 + 0.4 * throwDie()) * options.days * day;
  const stop_ms = Math.floor((0.1 + 3 * throwDie()) * day);
  let stopped = false;
  let step_at = begin + throwDie() * 20 * day;
  let now = begin;
  for (let due = queue.earliest(); due !== undefined && due < end; due = queue.earliest()) {
    now = Math.max(now, due);
    if (!stopped && now >= stop_at) {
      stopped = true;
      now += stop_ms;
      year.stopped_ms = stop_ms;
    } else if (now >= step_at) {
      now += Math.floor((throwDie() - 0.5) * 6 * hour);
      step_at = now + throwDie() * 20 * day + 7 * hour;
      year.clock_steps++;
    }
    for (const { key } of queue.popDue(now, 256)) look(key, now);
  }
  for (const [i, life] of lives.entries()) account(i, life);
  return year;

  function look(i: number, when: number): void {
    const life = lives[i]!;
    for (let more = true; more; ) {
      const decision = decide(life.schedule, life.cursor, life.policy, when, 100);
      year.looks++;
      for (const verdict of decision.verdicts) {
        const [first, last, count] =
          verdict.outcome === 'run' ? [verdict.at, verdict.at, 1] : [verdict.from, verdict.to, verdict.count];
        if (first <= life.edge || last > when)
          year.complaints.push(`schedule ${i}: ${verdict.outcome} ${iso(first)} after ${iso(life.edge)}`);
        life.edge = last;
        life.accounted += count;
        if (verdict.outcome !== 'run') year.passed_over += count;
        else if (verdict.caught_up) year.caught_up++;
        else year.runs++;
      }
      life.cursor = decision.cursor;
      more = decision.more;
      if (!more && decision.next !== undefined) queue.arm(i, decision.next);
    }
  }

  function account(i: number, life: { schedule: Schedule; cursor: Cursor; accounted: number }): void {
    const { count, complete } = countBetween(life.schedule, begin, life.cursor.decided, 1_000_000);
    const left = next(life.schedule, life.cursor.decided);
    year.targets += count;
    if (!complete || count !== life.accounted)
      year.complaints.push(
        `schedule ${i} ${JSON.stringify(life.schedule.spec)}: ${count} targets, ${life.accounted} accounted for`,
      );
    if (left !== undefined && left < end - day && left <= now - 2 * day)
      year.complaints.push(`schedule ${i}: ${iso(left)} was never decided`);
  }
}

function someSpec(throwDie: () => number, pick: <T>(list: readonly T[]) => T): ScheduleSpec {
  const n = (size: number) => Math.floor(throwDie() * size);
  const kinds: readonly (() => ScheduleSpec)[] = [
    () => ({ cron: `${n(60)} ${n(24)} * * *` }),
    () => ({ cron: `${n(60)} ${n(24)} * * ${n(7)}` }),
    () => ({ cron: `${n(60)} 1-3 * * *` }),
    () => ({
      cron: `${n(60)} ${n(24)} L * *`,
      calendar: { exclude: [{ weekdays: ['SAT', 'SUN'] }], on_excluded: 'next_day' },
    }),
    () => ({ cron: `${n(60)} */3 * * MON-FRI` }),
    () => ({ iso8601: `R/2026-01-${10 + n(20)}T0${n(10)}:${10 + n(50)}:00/P1D` }),
    () => ({ iso8601: `R${1 + n(400)}/2026-01-31T02:30:00/P${1 + n(2)}M` }),
    () => ({ iso8601: `R/2026-01-01T00:00:00/PT${2 + n(10)}H${n(60)}M` }),
    () => ({ iso8601: `R500/2026-02-01T00:00:00Z/PT${30 + n(500)}M`, jitter_ms: n(10) * minute }),
    () => ({ cron: `*/${10 + n(20)} ${n(20)}-23 1-7 * *` }),
  ];
  const dst = { gap: pick(['skip', 'next_valid', 'shift'] as const), fold: pick(['first', 'second', 'both'] as const) };
  return { ...pick(kinds)(), zone: pick(zones), dst };
}

function somePolicy(throwDie: () => number, pick: <T>(list: readonly T[]) => T): Policy {
  const catch_up: CatchUp = {
    policy: pick(['none', 'last', 'all', 'first'] as const),
    first_n: 2,
    ...(throwDie() < 0.4 ? { window_ms: Math.floor(throwDie() * 12) * hour } : {}),
    ...(throwDie() < 0.2 ? { rate: { runs: 5, per_ms: 10 * minute } } : {}),
  };
  return { catch_up, count: 'targets', grace_ms: 5000 };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      schedules: { type: 'string', default: '10000' },
      days: { type: 'string', default: '365' },
      seed: { type: 'string', default: '1' },
    },
  });
  const started = performance.now();
  const year = simulateYear({
    schedules: Number(values.schedules),
    days: Number(values.days),
    seed: Number(values.seed),
  });
  const { complaints, ...figures } = year;
  console.log(
    `${JSON.stringify(figures)} ${((performance.now() - started) / 1000).toFixed(1)} s, ${complaints.length} complaints`,
  );
  for (const complaint of complaints.slice(0, 20)) console.log(`FAILED ${complaint}`);
  process.exitCode = complaints.length === 0 ? 0 : 1;
}
