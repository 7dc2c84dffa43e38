// year.test.ts: a year of a few hundred schedules; ten thousand of them by `node test/schedules/year.ts`.

import test from 'ava';
import { simulateYear } from './year.ts';

for (const seed of [1, 2026])
  test(`a simulated year accounts for every target, over clock steps and a stop (seed ${seed})`, t => {
    const year = simulateYear({ schedules: 150, days: 365, seed });
    t.log(JSON.stringify({ ...year, complaints: year.complaints.length }));
    t.deepEqual(year.complaints, [], `seed ${seed}`);
    t.true(year.targets > 50_000 && year.clock_steps > 10 && year.stopped_ms > 0);
    t.true(year.runs > 0 && year.caught_up > 0 && year.passed_over > 0);
    t.is(year.runs + year.caught_up + year.passed_over, year.targets);
  });
