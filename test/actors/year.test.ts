// year.test.ts: weeks in the life of a few hundred schedules, through the actors: every target is accounted for.
//
// The long year, of ten thousand schedules, is told below the actors (test/schedules/year.ts). Here the whole scheduler
// lives through a short one, with clocks that are set and a stop in the middle.

import test from 'ava';
import type { JobSubmission } from '../../actors/model/job.ts';
import { seededRandom } from '../../actors/runtime/seeded.ts';
import { tree_settings, world } from '../support/world.ts';
import { account } from './support/accounts.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
const seed = 20_260_101;
const jobs = 300;
const weeks = 3;

test(`${jobs} mixed schedules over ${weeks} weeks, with clock steps and a stop in the middle (seed ${seed})`, async t => {
  const random = seededRandom(seed);
  const below = (n: number) => Math.floor(random() * n);
  const pick = <T>(all: readonly T[]): T => all[below(all.length)]!;
  const start = Date.UTC(2026, 2, 20, 0, 0, 7);
  const w = await world({
    seed,
    start,
    agents: 8,
    settings: {
      timetable: { due_batch_max: 1_000, backlog_max: 10_000, sleep_ms_max: 60 * minute },
      offers: { hold_ms: 30 * day, offers_max: 10_000, refuse_seconds: 0, revive_interval_ms: 1_000 },
      framework: { ...tree_settings.framework, reconcile_interval_ms: 10 * day },
      trigger: { ...tree_settings.trigger, waiting_max: 100, runs_max: 100 },
    },
    life: () => ({ start_delay_ms: 50, duration_ms: 200, exit: { code: 0 }, term_ms: 10 }),
  });
  const zone = () => pick(['UTC', 'Europe/Vienna', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata']);
  const schedule = (): Pick<JobSubmission, 'schedules'> => ({
    schedules: [
      pick<NonNullable<JobSubmission['schedules']>[number]>([
        { cron: `${below(60)} ${below(24)} * * *`, zone: zone() },
        { cron: `${below(60)} ${below(4)} * * *`, zone: zone(), dst: { gap: 'skip', fold: 'both' } },
        { cron: `${below(60)} */8 * * *`, zone: zone() },
        { cron: `${below(60)} 3 * * MON-FRI`, zone: zone(), jitter_ms: 600_000 },
        {
          cron: `${below(60)} 6 * * *`,
          zone: zone(),
          calendar: { exclude: [{ weekdays: ['SUN'] }], on_excluded: 'next_day' },
        },
        { iso8601: `R/2026-03-20T0${below(10)}:00:00Z/P1D`, zone: zone() },
        { iso8601: `R/2026-03-20T0${below(10)}:00:00Z/PT13H` },
        { iso8601: `R5/2026-03-2${below(10)}T00:30:00Z/PT36H` },
      ]),
    ],
  });
  for (let n = 0; n < jobs; n++)
    await w.create({
      role: 'www',
      environment: 'prod',
      name: `job-${n}`,
      command: 'true',
      cpus: 0.01,
      mem: 1,
      catch_up: { policy: pick(['none', 'last', 'all', 'first']), ...(below(2) === 0 ? {} : { window_ms: 2 * day }) },
      overlap: { policy: pick(['skip', 'buffer-one', 'buffer-all', 'allow']) },
      ...schedule(),
    });
  const end = start + weeks * 7 * day;
  let steps = 0;
  for (let at = start + 2 * day; at < end; at += 2 * day) {
    await w.until(Math.max(at, w.clock.now()));
    const fate = steps++ % 4;
    if (fate === 0) w.clock.step(w.clock.now() + 3 * 60 * minute);
    if (fate === 1) w.clock.step(w.clock.now() - 2 * 60 * minute);
    if (fate === 2) {
      // Everything stops for a day and a half, and begins again from what was durable.
      w.clock.step(w.clock.now() + 1.5 * day);
      await w.crash();
    }
  }
  await w.until(Math.max(end, w.clock.now()));
  const { complaints, targets, ran } = account(w, w.clock.now(), 2 * 60 * minute);
  t.log(`${targets} targets, ${ran} runs, ${steps} turns of fate`);
  t.deepEqual(complaints, [], `seed ${seed}`);
  t.true(targets > 2_000 && ran > 1_500);
  t.deepEqual(w.fatal, []);
  for (const id of w.launched) t.is(w.mesos.agents.launches(id), 1, id);
});
