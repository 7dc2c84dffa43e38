// update-failover.test.ts: Aurora's cases 80 and 83: the scheduler dies in the middle of an update, and the next one goes on.

import test from 'ava';
import type { UpdateEvent } from '../../actors/model/updates.ts';
import { lifeOfCommand } from '../../mesos/local/index.ts';
import { key, order, type Stage, stage, web } from './support/updates.ts';

const minute = 60_000;
const next = (more: object = {}) => web({ command: 'sleep infinity # new', ...more });
const failing = (which: RegExp, after_ms: number) => (task: Parameters<typeof lifeOfCommand>[0]) => ({
  ...lifeOfCommand(task),
  ...(which.test(task.task_id.value) ? { duration_ms: after_ms } : {}),
});

test('case 80: an update that waits for a pulse waits for it after a failover too', async t => {
  const s = await stage();
  await s.update(next(), { pulse_interval_ms: minute });
  await s.w.crash();
  await s.pass(5 * minute);
  t.is(s.status(), 'ROLL_FORWARD_AWAITING_PULSE');
  t.deepEqual(s.diary(), ['ROLL_FORWARD_AWAITING_PULSE'], 'and nothing was done meanwhile');
  await s.steer('pulse');
  await s.pass(50_000);
  t.is(s.status(), 'ROLLED_FORWARD');
});

test('a failover is worth no pulse: what was silent before is silent after it', async t => {
  const s = await stage();
  await s.update(next(), { pulse_interval_ms: minute, watch_ms: 100_000 });
  await s.steer('pulse');
  await s.pass(40_000);
  await s.w.crash();
  await s.pass(15_000);
  t.is(s.status(), 'ROLLING_FORWARD', 'the pulse of before still counts');
  await s.pass(10_000);
  t.is(s.status(), 'ROLL_FORWARD_AWAITING_PULSE');
});

test('a paused update is paused after a failover', async t => {
  const s = await stage();
  await s.update(next());
  await s.steer('pause');
  await s.w.crash();
  await s.pass(10 * minute);
  t.is(s.status(), 'ROLL_FORWARD_PAUSED');
  t.deepEqual(order(s.diary(), 'UPDATING'), [0]);
  await s.steer('resume');
  await s.pass(minute);
  t.is(s.status(), 'ROLLED_FORWARD');
});

test('failures that were counted before a failover count after it', async t => {
  const s = await stage(web(), { life: failing(/:0:[23]$/, 3_000) });
  await s.update(next(), { max_per_shard_failures: 1 });
  await s.pass(3_500);
  t.is(s.active()?.flights[0]?.failures, 1);
  await s.w.crash();
  await s.pass(minute);
  t.is(s.status(), 'ROLLED_BACK', 'the second one was one too many');
});

test('how long an instance has been watched is not forgotten in a failover', async t => {
  const s = await stage();
  await s.update(next(), { watch_ms: minute });
  await s.pass(50_000);
  await s.w.crash();
  await s.pass(11_000);
  t.deepEqual(order(s.diary(), 'UPDATED'), [0]);
});

test('a scheduler that was away while an instance failed finds it, and draws the conclusion', async t => {
  const s = await stage(web(), { life: failing(/:0:2$/, 3_000) });
  await s.update(next());
  await s.pass(1_000);
  s.w.scheduler.abandon();
  s.w.link.cut();
  s.w.clock.step(s.w.clock.now() + 30_000);
  await s.w.crash();
  await s.pass(minute);
  t.is(s.status(), 'ROLLED_BACK');
});

/** An update from its beginning, interrupted when record `stall_at` would have been written: `kept` of them are found. */
async function interrupted(play: Play, stall_at?: number, kept?: number) {
  const { life } = play;
  const s = await stage(web(), {
    seed: 3,
    batch_changes_max: 1,
    ...(life === undefined ? {} : { life }),
    ...(stall_at === undefined ? {} : { stall_at }),
  });
  const begun = s.w.clock.now();
  const least: number[] = [];
  const look = () => least.push(s.running('sleep infinity').length);
  // The answer may be the next life's to give, and then the wish is told once more.
  const wish = () => s.update(next({ instances: play.instances }), play.how, { request: 'once' });
  void wish();
  for (let at = begun; at < begun + 2 * minute; at += 500) {
    await s.w.until(at);
    look();
    if (stall_at !== undefined && kept !== undefined && s.w.journal.written() >= stall_at) {
      await s.w.crash(kept);
      void wish();
      kept = undefined;
    }
  }
  return { s, least: Math.min(...least) };
}
type Play = {
  readonly name: string;
  readonly instances: number;
  readonly how: object;
  readonly life?: (task: Parameters<typeof lifeOfCommand>[0]) => ReturnType<typeof lifeOfCommand>;
  readonly status: string;
  readonly running: readonly number[];
  readonly renewed: readonly number[];
};
const plays: readonly Play[] = [
  {
    name: 'one more instance, and all of them changed',
    instances: 4,
    how: { watch_ms: 5_000 },
    status: 'ROLLED_FORWARD',
    running: [0, 1, 2, 3],
    renewed: [0, 1, 2, 3],
  },
  {
    name: 'one instance less, and the second fails, so that all goes back',
    instances: 2,
    how: { watch_ms: 5_000, strategy: { type: 'batch', size: 1 } },
    life: task => ({
      ...lifeOfCommand(task),
      ...(/:1:\d+$/.test(task.task_id.value) && task.command?.value?.includes('# new') ? { duration_ms: 2_000 } : {}),
    }),
    status: 'ROLLED_BACK',
    running: [0, 1, 2],
    renewed: [],
  },
];
for (const play of plays)
  test(`case 83: a crash at every commit of an update is not to be seen in the end: ${play.name}`, async t => {
    t.timeout(5 * minute);
    const whole = await interrupted(play);
    const judge = ({ s, least }: { s: Stage; least: number }, at: string) => {
      t.deepEqual(s.w.fatal, [], at);
      t.is(s.last()?.status, play.status as never, `${at}: ${s.diary().join(', ')}`);
      t.is(s.active(), undefined, at);
      t.deepEqual(s.running('sleep infinity'), play.running, at);
      t.deepEqual(s.running('# new'), play.renewed, at);
      const told = s.events().map(one => JSON.stringify(without(one)));
      t.is(new Set(told).size, told.length, `${at}: told twice: ${told.join(' ')}`);
      t.true(least >= 2, `${at}: ${least} of three were up`);
      for (const id of s.w.launched) t.true(s.w.mesos.agents.launches(id) <= 1, `${at}: ${id} was launched twice`);
    };
    judge(whole, 'without a crash');
    const { commits, committed } = whole.s.w;
    const first = commits.find(position => committed.slice(0, position).some(one => one.kind === 'update'))!;
    const last = commits.find(position => committed.slice(0, position).some(one => one.kind === 'finished-update'))!;
    let crashes = 0;
    const points = commits.filter(position => position >= first && position <= last);
    for (const [n, before] of points.entries()) {
      const after = commits[commits.indexOf(before) + 1];
      if (after === undefined) continue;
      const kept = n % 2 === 0 ? before : after;
      judge(await interrupted(play, before + 1, kept), `crash at record ${before}, ${kept} kept`);
      crashes++;
    }
    t.log(`${crashes} crashes over ${points.length} commits`);
    t.true(crashes > 20);
    t.is(key, 'www/prod/web');
  });

const without = (event: UpdateEvent) => ({ ...event, at: 0 });
