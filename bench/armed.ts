// armed.ts: a million triggers that wait: what each costs in memory, and all of them in processor time.
//
// Trigger actors as production spawns them, on nact, below quiet shards, armed in the production timetable by their own
// first message. They share a few hundred job documents, as if everybody had a like job: what is measured is the actors
// that wait, not the documents that people write. None is due while we look.

import type { Address } from '../actors/actor.ts';
import type { Effect } from '../actors/effects.ts';
import { no_kin } from '../actors/job/kin.ts';
import { treeSettings } from '../actors/limits.ts';
import { readJob } from '../actors/model/job.ts';
import type { JobRecord } from '../actors/model/records.ts';
import { createPost } from '../actors/post.ts';
import { nactRuntime } from '../actors/runtime/nact.ts';
import { type Host, type Kind, Shell } from '../actors/shell.ts';
import { step } from '../actors/step.ts';
import { newTimetable, type TimetableMessage, type TimetableState, timetable } from '../actors/timetable.ts';
import { newTrigger, type TriggerMessage, type TriggerState, trigger } from '../actors/trigger/trigger.ts';
import { systemClock } from '../schedules/clock.ts';
import { defaultSettings } from '../settings.ts';
import { readOptions, report } from './report.ts';

const options = readOptions(process.argv.slice(2), { triggers: 1_000_000, documents: 500, seconds: 60 });
const settings = treeSettings(defaultSettings(), { name: 'bench', user: 'nobody', hostname: 'localhost' });
const clock = systemClock();
const runtime = nactRuntime();
const post = createPost(runtime);
/** Only what travels between trigger and timetable: there is no journal behind this. */
const perform = (effects: readonly Effect[]) => {
  for (const effect of effects) {
    if (effect.type === 'tell' && effect.to === 'timetable') post.send(effect);
    if (effect.type === 'wake' && effect.at !== undefined)
      clock.wakeAt(effect.at, () => void post.send({ to: 'timetable', message: { type: 'woke' } }));
  }
};

const host: Host = {
  world: {
    clock,
    count: () => undefined,
    log: () => undefined,
    crashed: (_, error) => {
      throw error;
    },
    settings,
  },
  quarantined: new Map(),
  crashes: new Map(),
  perform,
};

// --- a year from now and later: cron lines in many zones ------------------------------------------------------------------

const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Tokyo', 'Australia/Sydney'];
const month = new Date(clock.now() - 86_400_000 * 40).getUTCMonth() + 1;
const documents = Array.from({ length: options.documents }, (_, n): JobRecord => {
  const job = readJob({
    role: 'bench',
    environment: 'prod',
    name: `armed-${n}`,
    command: 'true',
    cron: `${n % 60} ${n % 24} ${1 + (n % 27)} ${month} *`,
    zone: zones[n % zones.length]!,
  });
  if (!job.ok) throw new Error(job.problems.map(one => one.message).join('; '));
  return { job: job.value, incarnation: 1, version: 1, created_at: clock.now(), updated_at: clock.now() } as JobRecord;
});

// --- born, armed, at rest -----------------------------------------------------------------------------------------------

const quiet = (name: string): Address<never> =>
  runtime.spawn(
    undefined,
    name,
    new Shell<undefined, never>(host, { name, initial: () => undefined, transition: s => step(s) }, ''),
  );
const timetable_kind: Kind<TimetableState, TimetableMessage> = {
  name: 'timetable',
  initial: newTimetable,
  transition: timetable(settings.timetable),
};
let states = 0;
const queue = newTimetable();
post.singletons.set(
  'timetable',
  runtime.spawn(
    undefined,
    'timetable',
    new Shell(host, { ...timetable_kind, initial: () => queue }, ''),
  ) as Address<never>,
);
const trigger_kind: Kind<TriggerState, TriggerMessage> = {
  name: 'trigger',
  initial: key =>
    newTrigger(key, documents[states++ % documents.length]!, undefined, [], settings.trigger, {
      reign_at: clock.now(),
      calendars: () => ({}),
      room: () => Number.POSITIVE_INFINITY,
      kin: no_kin,
    }),
  transition: trigger(settings.trigger),
};
const shards = Array.from({ length: 64 }, (_, n) => quiet(`shard-${n}`));
globalThis.gc?.();
const empty_mb = process.memoryUsage().rss / 2 ** 20;
const began = performance.now();
for (let n = 0; n < options.triggers; n++) {
  const key = `bench/prod/armed-${n}`;
  const address = runtime.spawn(
    shards[n % shards.length],
    `trigger,bench,prod,armed-${n}`,
    new Shell(host, trigger_kind, key),
  );
  post.triggers.set(key, address as Address<never>);
  runtime.send(address, { type: 'begin' });
  // As submissions come: some, then the loop.
  if (n % 1_000 === 999) await new Promise(resolve => setImmediate(resolve));
}
while (queue.queue.size < options.triggers) await new Promise(resolve => setImmediate(resolve));
const armed_per_s = options.triggers / ((performance.now() - began) / 1000);
globalThis.gc?.();
const cpu = process.cpuUsage();
const rest = performance.now();
await new Promise(resolve => setTimeout(resolve, options.seconds * 1000));
const { user, system } = process.cpuUsage(cpu);
const rss_mb = process.memoryUsage().rss / 2 ** 20;
report(
  {
    name: 'armed',
    figures: {
      live_triggers: post.triggers.size,
      live_actors: runtime.count(),
      armed: queue.queue.size,
      armed_per_s,
      rss_mb,
      bytes_per_trigger: ((rss_mb - empty_mb) * 2 ** 20) / options.triggers,
      idle_cpu_percent: (user + system) / 10 / (performance.now() - rest),
    },
    floors: {
      live_triggers: { at_least: options.triggers },
      armed: { at_least: options.triggers },
      rss_mb: { at_most: 2_500 },
      idle_cpu_percent: { at_most: 2 },
    },
  },
  options,
);
process.exit();
