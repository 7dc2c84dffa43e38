// update-cases.test.ts: Aurora's acceptance cases 64-79, 81, 82, 86, 87 and 121: a service in a simulated world is updated.
//
// Cases 80 and 83, in which the scheduler dies, are in update-failover.test.ts and, with real nodes, in test/cluster; 87 with a
// real health check is in test/program. What Horae lacks of 84 and 85 (updates that
// ask how much of a service is up) is said in ARCHITECTURE.md.

import test from 'ava';
import { update_defaults } from '../../actors/model/update-request.ts';
import { lifeOfCommand } from '../../mesos/local/index.ts';
import { retentionOf } from '../../programs/alone.ts';
import { defaultSettings } from '../../settings.ts';
import { job } from '../support/world.ts';
import { key, order, rangesOf, stage, web } from './support/updates.ts';

const minute = 60_000;
const day = 86_400_000;
const old = web();
const next = (more: object = {}) => web({ command: 'sleep infinity # new', ...more });
/** Ends by itself when it has run for so long. */
const sick = (seconds: number, more: object = {}) => web({ command: `sleep ${seconds}; exit 1`, ...more });

test('case 64: three instances are replaced one by one, each watched until it has run long enough', async t => {
  const s = await stage();
  t.like(await s.update(next()), { type: 'update', result: 'started', status: 'ROLLING_FORWARD' });
  await s.pass(9_000);
  t.deepEqual(order(s.diary(), 'UPDATING'), [0], 'the next one waits while the first is watched');
  t.deepEqual(s.running('# new'), [0]);
  await s.pass(5_000);
  t.deepEqual(order(s.diary(), 'UPDATED'), [0]);
  await s.pass(minute);
  t.deepEqual(s.diary(), [
    'ROLLING_FORWARD',
    ...['0 UPDATING', '0 UPDATED', '1 UPDATING', '1 UPDATED', '2 UPDATING', '2 UPDATED'],
    'ROLLED_FORWARD',
  ]);
  t.deepEqual(s.running('# new'), [0, 1, 2]);
  t.is(s.active(), undefined);
  t.like(s.last(), { status: 'ROLLED_FORWARD', failed: [] });
});

test('case 65: a group of two is done when both are, and a queue of two goes on when either is', async t => {
  // Instance 0 comes up 20 s later than the others.
  const life = (task: Parameters<typeof lifeOfCommand>[0]) => {
    const slow = /:0:[2-9]$/.test(task.task_id.value);
    return { ...lifeOfCommand(task), start_delay_ms: slow ? 20_000 : 100 };
  };
  const batch = await stage(old, { life });
  await batch.update(next(), { strategy: { type: 'batch', size: 2 } });
  await batch.pass(15_000);
  t.deepEqual(order(batch.diary(), 'UPDATED'), [1]);
  t.deepEqual(order(batch.diary(), 'UPDATING'), [0, 1], 'the group is not done');
  await batch.pass(2 * minute);
  t.is(batch.status(), 'ROLLED_FORWARD');

  const queue = await stage(old, { life });
  await queue.update(next(), { strategy: { type: 'queue', size: 2 } });
  await queue.pass(15_000);
  t.deepEqual(order(queue.diary(), 'UPDATING'), [0, 1, 2], 'one that was done has made room');
  await queue.pass(2 * minute);
  t.is(queue.status(), 'ROLLED_FORWARD');
});

test('case 66: the last size of a variable batch repeats: 1, 2, 2, 2, 2, 1 of ten', async t => {
  const s = await stage(web({ instances: 10 }));
  await s.update(next({ instances: 10 }), { strategy: { type: 'variable-batch', sizes: [1, 2] } });
  await s.pass(3 * minute);
  t.is(s.status(), 'ROLLED_FORWARD');
  t.deepEqual(groupsOf(s.events(), 'INSTANCE_UPDATING'), [[0], [1, 2], [3, 4], [5, 6], [7, 8], [9]]);
});

test('case 67: a rollback unwinds the groups of the way forward, as far as it went', async t => {
  const strategy = { type: 'variable-batch', sizes: [1, 2, 3] } as const;
  const all = await stage(web({ instances: 6 }));
  await all.update(next({ instances: 6 }), { strategy });
  await all.pass(25_000);
  t.deepEqual(order(all.diary(), 'UPDATING'), [0, 1, 2, 3, 4, 5]);
  await all.steer('rollback');
  await all.pass(2 * minute);
  t.is(all.status(), 'ROLLED_BACK');
  t.deepEqual(groupsOf(all.events(), 'INSTANCE_ROLLING_BACK'), [[5, 4, 3], [2, 1], [0]]);
  t.deepEqual(all.running('# new'), []);

  const three = await stage(web({ instances: 6 }));
  await three.update(next({ instances: 6 }), { strategy });
  await three.pass(15_000);
  await three.steer('rollback');
  await three.pass(2 * minute);
  t.deepEqual(groupsOf(three.events(), 'INSTANCE_ROLLING_BACK'), [[2, 1], [0]]);
  t.is(three.status(), 'ROLLED_BACK');
});

test('case 68: autopause stops before each further group, not at the end, and never on the way back', async t => {
  const s = await stage(web({ instances: 6 }));
  await s.update(next({ instances: 6 }), { strategy: { type: 'variable-batch', sizes: [1, 2, 3], autopause: true } });
  for (const taken of [1, 3]) {
    await s.pass(minute);
    t.is(s.status(), 'ROLL_FORWARD_PAUSED');
    t.is(order(s.diary(), 'UPDATED').length, taken);
    await s.steer('resume');
  }
  await s.pass(minute);
  t.is(s.status(), 'ROLLED_FORWARD');

  await s.update(web({ instances: 6 }), {
    strategy: { type: 'batch', size: 2, autopause: true },
  });
  await s.pass(minute);
  await s.steer('resume');
  await s.pass(minute);
  t.is(s.status(), 'ROLL_FORWARD_PAUSED');
  await s.steer('rollback');
  await s.pass(minute);
  t.is(s.status(), 'ROLLED_BACK');
  t.deepEqual(s.running('# new'), [0, 1, 2, 3, 4, 5]);
});

test('case 69: it creates, then changes, then removes, and goes back in reverse, also after a day of rest', async t => {
  // 1 is new already, of an update that was allowed to touch nothing else and then given up.
  const s = await stage(web({ instances: 4 }));
  await s.update(next({ instances: 4 }), {}, { only: rangesOf([1]) });
  await s.pass(minute);
  t.is(s.status(), 'ROLLED_FORWARD');
  t.deepEqual(s.running('# new'), [1]);
  const answer = await s.update(next({ instances: 5 }));
  t.like(answer, { type: 'update', result: 'started' });
  await s.pass(38_000);
  t.deepEqual(order(s.diary(), 'UPDATING'), [4, 0, 2, 3], 'created first, 1 is left in peace');
  await s.steer('rollback');
  await s.steer('pause');
  t.is(s.status(), 'ROLL_BACK_PAUSED');
  await s.pass(day);
  t.is(s.status(), 'ROLL_BACK_PAUSED');
  await s.steer('resume');
  await s.pass(2 * minute);
  t.is(s.status(), 'ROLLED_BACK');
  t.deepEqual(order(s.diary(), 'ROLLING_BACK'), [3, 2, 0, 4]);
  t.deepEqual(s.running('# new'), [1], 'what was as it should be was never touched');
  t.deepEqual(s.seen(), ['0 running', '1 running', '2 running', '3 running']);
});

test('case 70: without a rollback it fails where it stands', async t => {
  const s = await stage();
  await s.update(sick(3), { rollback_on_failure: false });
  await s.pass(minute);
  t.is(s.status(), 'FAILED');
  t.deepEqual(order(s.diary(), 'UPDATING'), [0]);
  t.deepEqual(s.running('sleep infinity'), [1, 2], 'the others stay what they were');
  // They stay so whatever happens to them: also when the scheduler dies, and when they do.
  await s.w.crash();
  await s.pass(minute);
  t.deepEqual(s.running('sleep infinity'), [1, 2]);
});

test('case 71: a failure on the way back ends it as failed', async t => {
  // The old one does not come up a second time.
  const life = (task: Parameters<typeof lifeOfCommand>[0]) => {
    const of = lifeOfCommand(task);
    return /:0:[3-9]$/.test(task.task_id.value) ? { ...of, duration_ms: 1_000 } : of;
  };
  const s = await stage(old, { life });
  await s.update(next());
  await s.pass(15_000);
  await s.steer('rollback');
  await s.pass(minute);
  t.is(s.status(), 'FAILED');
  t.deepEqual(order(s.diary(), 'ROLLBACK_FAILED'), [0]);
});

test('case 72: an instance may fail as often as it is allowed to, and no more often', async t => {
  const once = (task: Parameters<typeof lifeOfCommand>[0]) => {
    const of = lifeOfCommand(task);
    return /:\d:2$/.test(task.task_id.value) ? { ...of, duration_ms: 2_000 } : of;
  };
  const borne = await stage(old, { life: once });
  await borne.update(next(), { max_per_shard_failures: 1 });
  await borne.pass(3 * minute);
  t.is(borne.status(), 'ROLLED_FORWARD');
  t.is(borne.failures(), 3);

  const not = await stage(old, { life: once });
  await not.update(next(), { max_per_shard_failures: 0 });
  await not.pass(3 * minute);
  t.is(not.status(), 'ROLLED_BACK');
  t.deepEqual(order(not.diary(), 'UPDATE_FAILED'), [0]);
  t.deepEqual(order(not.diary(), 'ROLLED_BACK'), [0]);
});

test('as many instances may fail as it says, and the others are updated all the same', async t => {
  const life = (task: Parameters<typeof lifeOfCommand>[0]) => {
    const of = lifeOfCommand(task);
    return /:1:[2-9]\d*$/.test(task.task_id.value) ? { ...of, duration_ms: 2_000 } : of;
  };
  const s = await stage(old, { life });
  await s.update(next(), { max_total_failures: 1 });
  await s.pass(2 * minute);
  t.is(s.status(), 'ROLLED_FORWARD');
  t.deepEqual(s.last()?.failed, [1]);
});

test('case 73: an update that was paused for a day goes on', async t => {
  const s = await stage();
  await s.update(next());
  await s.pass(5_000);
  t.like(await s.steer('pause'), { result: 'changed', status: 'ROLL_FORWARD_PAUSED' });
  t.like(await s.steer('pause'), { result: 'unchanged', status: 'ROLL_FORWARD_PAUSED' }, 'again: nothing');
  await s.pass(day);
  t.deepEqual(order(s.diary(), 'UPDATING'), [0]);
  await s.steer('resume');
  await s.pass(minute);
  t.is(s.status(), 'ROLLED_FORWARD');
});

test('case 74: an update that is over cannot be asked for anything', async t => {
  const s = await stage();
  const begun = await s.update(next());
  await s.pass(minute);
  const id = begun.type === 'update' ? begun.update : '';
  for (const what of ['abort', 'pause', 'resume', 'rollback'] as const)
    t.like(await s.steer(what, id), { type: 'refused', code: 'not-updating' });
  await s.update(old);
  t.like(
    await s.steer('resume'),
    { type: 'refused', code: 'not-updating' },
    'nor can one that is not paused be resumed',
  );
});

test('cases 75 and 121: while it is updated nobody else may change a job, and is told by which update', async t => {
  const s = await stage();
  const begun = await s.update(next(), {}, { request: 'mine' });
  const id = begun.type === 'update' ? begun.update : 'none';
  const text = new RegExp(`is being updated by ${id.replace('.', '\\.')} `);
  const version = (s.w.outbox.latest('job', key) as { version: number }).version;
  const { submit } = s.w;
  const wishes = [
    s.update(web({ command: 'third' })),
    s.w.create(web({ command: 'third' })),
    submit({ type: 'delete', key }),
    submit({ type: 'kill-all', key }),
    submit({ type: 'kill-run', key, run: '1.service' }),
    submit({ type: 'start-run', key, request: 'x' }),
    submit({ type: 'set-enabled', key, enabled: false }),
  ];
  const answers = await Promise.all(wishes);
  t.like(answers[1], { type: 'refused', code: 'exists' });
  for (const answer of answers.filter((_, n) => n !== 1)) {
    t.like(answer, { type: 'refused', code: 'updating' });
    t.regex(answer.type === 'refused' ? answer.message : '', text);
  }
  t.like(
    await s.update(next(), {}, { request: 'mine' }),
    { result: 'existing', update: id },
    'the same wish, told twice',
  );
  t.is((s.w.outbox.latest('job', key) as { version: number }).version, version);
  await s.steer('abort');
  t.is((await submit({ type: 'delete', key })).type, 'deleted');
  await s.pass(minute);
  t.is(s.instances().size, 0);
});

test('an instance that an update has not made is none: whoever names it is answered', async t => {
  const checked = { health_check: { checker: { type: 'shell', command: 'true' } } } as const;
  const s = await stage(web({ instances: 1, ...checked }));
  await s.update(web({ instances: 3, ...checked }), {}, { only: rangesOf([2]) });
  const [run] = [...s.w.outbox.entries('run')].map(([one]) => one.split('/').at(-1)!);
  const words = [
    { type: 'snooze', key, index: 1 },
    { type: 'progress', key, task_id: `${key.replaceAll('/', ':')}:${run}:1:1`, elements: 1 },
  ] as const;
  for (const word of words) t.like(await s.w.submit(word), { type: 'refused', code: 'not-found' }, word.type);
});

test('what is said of its tasks changes no job, and is heard while it is updated', async t => {
  const s = await stage();
  await s.update(next());
  const [run] = [...s.w.outbox.entries('run')].map(([one]) => one.split('/').at(-1)!);
  const task_id = `${key.replaceAll('/', ':')}:${run}:2:1`;
  t.like(await s.w.submit({ type: 'progress', key, task_id, elements: 3 }), { type: 'progressed', elements: 3 });
  t.is(s.status(), 'ROLLING_FORWARD');

  // Tasks with checks have an executor, and there is none here: so a no is the instance's own.
  const checked = { health_check: { checker: { type: 'shell', command: 'true' } } } as const;
  const waits = await stage(web(checked));
  await waits.update(next(checked));
  for (const type of ['snooze', 'wake'] as const) {
    const answer = await waits.w.submit({ type, key, index: 2 });
    t.regex(answer.type === 'refused' ? answer.message : answer.type, /^instance /);
  }
});

test('case 76: an update to what is there already does nothing, and is not kept', async t => {
  const s = await stage();
  t.like(await s.update(old), { type: 'unchanged', version: 1 });
  t.is(s.status(), undefined);
  t.deepEqual(s.events(), []);
});

test('case 77: to touch an instance that is not there, and would not be, is refused', async t => {
  const s = await stage();
  const answer = await s.update(next(), {}, { only: rangesOf([0, 9]) });
  t.like(answer, { type: 'refused', code: 'invalid' });
  t.regex(answer.type === 'refused' ? answer.message : '', /instances 9 of .* expected some of 0-2/);
  t.is(s.status(), undefined);
});

test('case 78: with pulses it does nothing before the first, and stops when they stop', async t => {
  const s = await stage();
  t.like(await s.update(next(), { pulse_interval_ms: minute }), { status: 'ROLL_FORWARD_AWAITING_PULSE' });
  await s.pass(day);
  t.deepEqual(s.diary(), ['ROLL_FORWARD_AWAITING_PULSE']);
  t.deepEqual(s.running('# new'), []);
  await s.steer('pulse');
  t.is(s.status(), 'ROLLING_FORWARD');
  await s.pass(5_000);
  t.deepEqual(s.running('# new'), [0]);
  // Each instance takes more than ten seconds: a minute is not enough for all of them when the first is slow to be watched.
  const slow = await stage();
  await slow.update(next(), { pulse_interval_ms: minute, watch_ms: 50_000 });
  await slow.steer('pulse');
  await slow.pass(70_000);
  t.is(slow.status(), 'ROLL_FORWARD_AWAITING_PULSE');
  t.deepEqual(order(slow.diary(), 'UPDATING'), [0, 1]);
  t.deepEqual(slow.running('# new'), [0, 1], 'who was on its way is left as it is');
  await slow.pass(10 * minute);
  t.deepEqual(order(slow.diary(), 'UPDATING'), [0, 1]);
  await slow.steer('pulse');
  await slow.pass(59_000);
  await slow.steer('pulse');
  await slow.pass(59_000);
  t.is(slow.status(), 'ROLLED_FORWARD');
});

test('a paused update takes pulses, and waits for one when it is resumed without', async t => {
  const s = await stage();
  await s.update(next(), { pulse_interval_ms: minute });
  await s.steer('pulse');
  await s.steer('pause');
  await s.pass(50_000);
  t.like(await s.steer('pulse'), { result: 'changed', status: 'ROLL_FORWARD_PAUSED' });
  await s.pass(50_000);
  t.like(await s.steer('resume'), { status: 'ROLLING_FORWARD' });
  await s.steer('pause');
  await s.pass(2 * minute);
  t.like(await s.steer('resume'), { status: 'ROLL_FORWARD_AWAITING_PULSE' });
});

test('case 79: a pulse for an update that is over is told so', async t => {
  const s = await stage();
  const begun = await s.update(next(), { pulse_interval_ms: day });
  await s.steer('pulse');
  await s.pass(minute);
  t.is(s.status(), 'ROLLED_FORWARD');
  const id = begun.type === 'update' ? begun.update : '';
  t.like(await s.steer('pulse', id), { type: 'update', result: 'finished' });
  t.like(await s.steer('pulse', '1.99'), { type: 'update', result: 'finished' });
});

test('case 81, decided otherwise: who finds no place is waited for until a deadline, then all goes back', async t => {
  const s = await stage();
  await s.update(next({ cpus: 64 }), { progress_deadline_ms: 5 * minute });
  await s.pass(4 * minute);
  t.is(s.status(), 'ROLLING_FORWARD');
  t.deepEqual(s.seen()[0], '0 pending');
  await s.pass(2 * minute);
  t.is(s.status(), 'ROLLED_BACK');
  t.deepEqual(s.running('sleep infinity'), [0, 1, 2]);
  t.deepEqual(s.running('# new'), []);
  t.true(s.events().some(one => 'index' in one && one.message?.includes('did not come to run') === true));
});

test('an update that is aborted leaves everything as it is', async t => {
  const s = await stage();
  await s.update(next());
  await s.pass(15_000);
  t.like(await s.steer('abort'), { result: 'changed', status: 'ABORTED' });
  const seen = s.running('# new');
  t.deepEqual(seen, [0, 1]);
  await s.pass(day);
  await s.w.crash();
  await s.pass(minute);
  t.deepEqual(s.running('# new'), seen);
  t.deepEqual(s.seen(), ['0 running', '1 running', '2 running']);
});

test('case 82: a job that shrinks from three to one loses 1 and 2, and nothing comes in their place', async t => {
  const s = await stage();
  const kept = s.instances().get(0);
  await s.update(web({ instances: 1 }));
  await s.pass(minute);
  t.is(s.status(), 'ROLLED_FORWARD');
  t.deepEqual(order(s.diary(), 'UPDATED'), [1, 2]);
  await s.pass(day);
  t.deepEqual(s.running('sleep infinity'), [0]);
  t.deepEqual(s.instances().get(0), kept, 'the first was never touched');
  t.is((s.w.outbox.latest('run', `${key}/1.service`) as { instances: number }).instances, 1);
});

test('a job that grows gets its new instances first, and loses them again when it goes back', async t => {
  const s = await stage();
  await s.update(next({ instances: 5 }));
  await s.pass(38_000);
  t.deepEqual(order(s.diary(), 'UPDATING'), [3, 4, 0, 1]);
  await s.steer('rollback');
  await s.pass(2 * minute);
  t.is(s.status(), 'ROLLED_BACK');
  t.deepEqual(order(s.diary(), 'ROLLING_BACK'), [1, 0, 4, 3]);
  t.deepEqual(s.seen(), ['0 running', '1 running', '2 running']);
  t.is((s.w.outbox.latest('run', `${key}/1.service`) as { instances: number }).instances, 3);
  // And can be told to grow once more.
  await s.update(next({ instances: 5 }));
  await s.pass(2 * minute);
  t.is(s.status(), 'ROLLED_FORWARD');
  t.deepEqual(s.running('# new'), [0, 1, 2, 3, 4]);
});

test('case 86: only services can be updated', async t => {
  const s = await stage();
  const once = { ...old, name: 'once', service: false };
  const recurring = { ...once, name: 'nightly', cron: '0 3 * * *' };
  await s.w.create(once);
  await s.w.create(recurring);
  for (const one of [once, recurring]) {
    const of = `www/prod/${one.name}`;
    t.like(await s.w.submit({ type: 'start-update', key: of, job: job(one), how: update_defaults, request: 'x' }), {
      code: 'invalid',
    });
  }
  t.like(await s.update({ ...old, service: false }), { code: 'invalid' });
});

test('case 87, with an instance that ends while it is watched: it has failed, and all goes back', async t => {
  const life = (task: Parameters<typeof lifeOfCommand>[0]) => {
    const of = lifeOfCommand(task);
    return /:0:2$/.test(task.task_id.value) ? { ...of, duration_ms: 3_000, exit: { code: 1 } } : of;
  };
  const s = await stage(old, { life });
  await s.update(next());
  await s.pass(minute);
  t.is(s.status(), 'ROLLED_BACK');
  t.deepEqual(order(s.diary(), 'UPDATE_FAILED'), [0]);
  t.deepEqual(s.running('sleep infinity'), [0, 1, 2]);
  t.deepEqual(s.running('# new'), []);
});

test('an instance that was crashing is brought to what is new at once, not when its delay is over', async t => {
  const s = await stage(sick(1));
  await s.pass(5 * minute);
  t.true([...s.instances().values()].every(at => at.status !== 'running' && at.failures > 3));
  await s.update(next());
  await s.pass(40_000);
  t.is(s.status(), 'ROLLED_FORWARD');
  t.true([...s.instances().values()].every(at => at.failures === 0));
});

test('what no process can notice holds at once, for everybody, without a restart', async t => {
  const s = await stage();
  const before = s.instances();
  t.like(await s.update(web({ labels: { team: 'blue' } })), { status: 'ROLLED_FORWARD' });
  await s.pass(minute);
  t.deepEqual(s.instances(), before);
  t.deepEqual((s.w.outbox.latest('job', key) as { job: { labels: object } }).job.labels, { team: 'blue' });
});

test('a PUT after an update that was given up makes everybody what the job says', async t => {
  const s = await stage();
  await s.update(next());
  await s.pass(15_000);
  await s.steer('abort');
  const put = await s.w.submit({
    type: 'submit',
    mode: 'replace',
    job: job(next({ description: 'all of it' })),
  });
  t.is(put.type, 'replaced');
  await s.pass(minute);
  t.deepEqual(s.running('# new'), [0, 1, 2]);
});

test('an update whose run is no longer there cannot be read: it ends as an error', async t => {
  const s = await stage();
  await s.update(next());
  await s.pass(5_000);
  const record = s.active()!;
  s.w.outbox.record({ kind: 'update', key, body: { ...record, run: '1.elsewhere' } });
  await s.w.settle();
  await s.w.crash();
  t.is(s.status(), 'ERROR');
  t.is((await s.w.submit({ type: 'kill-all', key })).type, 'killing', 'and the job is free again');
});

test('ten updates that are over are kept of each job, for thirty days, with what happened in them', t => {
  const { 'finished-update': over, 'update-event': events } = retentionOf(defaultSettings());
  t.deepEqual(over, { age_ms_max: 30 * day, rows_max: 10 });
  t.is(events.age_ms_max, 30 * day);
});

/** Indexes by the instant at which this was done to them, in order. */
function groupsOf(events: ReturnType<Awaited<ReturnType<typeof stage>>['events']>, action: string) {
  const groups = new Map<number, number[]>();
  for (const one of events)
    if ('index' in one && one.action === action) groups.set(one.at, [...(groups.get(one.at) ?? []), one.index]);
  return [...groups.values()];
}
