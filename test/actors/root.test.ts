// root.test.ts: whoever crashes is set right from the records, or put aside, and everybody else goes on.
//
// Crashes are provoked from outside: a setting or a document that throws when it is read, as a broken one would. A fuse says
// how often.

import test from 'ava';
import type { Answer } from '../../actors/model/commands.ts';
import { type Job, readJob } from '../../actors/model/job.ts';
import type { FinishedRun, OutcomeRow } from '../../actors/model/records.ts';
import { tree_settings, type World, world } from '../support/world.ts';

const key = 'www/prod/hello';
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'sleep 1; exit 0' };
const runs = (w: World) => w.committed.filter(one => one.kind === 'finished-run').map(one => one.body as FinishedRun);
const outcomes = (w: World) => w.committed.filter(one => one.kind === 'outcome').map(one => one.body as OutcomeRow);

/** Throws as often as it is set to when somebody reads through it. */
function fuse() {
  let left = 0;
  return {
    set: (times: number) => {
      left = times;
    },
    burn<T>(value: T): T {
      if (left > 0) {
        left -= 1;
        throw new Error('as the test wanted it');
      }
      return value;
    },
  };
}

/** An instance whose task fails reads the retry delay. */
async function fragileInstances() {
  const own = fuse();
  const instance = {
    ...tree_settings.instance,
    get retry_delay_ms() {
      return own.burn(1_000);
    },
  };
  return { own, w: await world({ settings: { instance } }) };
}

/** A trigger whose job allows runs side by side reads how many. */
async function fragileTriggers() {
  const own = fuse();
  const trigger = {
    ...tree_settings.trigger,
    get runs_max() {
      return own.burn(10);
    },
  };
  return { own, w: await world({ settings: { trigger } }) };
}

/** Placement reads its limit whenever somebody waits and something is offered. */
async function fragilePlacement(life?: Parameters<typeof world>[0]) {
  const own = fuse();
  const placement = {
    priority_step_ms: 0,
    get placements_max() {
      return own.burn(1_000);
    },
  };
  return { own, w: await world({ ...life, settings: { placement } }) };
}

function jobOf(submission: object): Job {
  const read = readJob(submission);
  if (!read.ok) throw new Error(read.problems[0]!.message);
  return read.value;
}
/** A document that throws when it is compared. */
function fragileJob(): { own: ReturnType<typeof fuse>; job: Job } {
  const own = fuse();
  const env = { A: '2' };
  Object.defineProperty(env, 'toJSON', { value: () => own.burn({ A: '2' }) });
  return { own, job: { ...jobOf({ ...base, cron: '* * * * *' }), env } };
}

test('an instance that crashes on an update goes on from its last record, and hears the update again', async t => {
  const { own, w } = await fragileInstances();
  await w.create({ ...base, command: 'sleep 1; exit 3', retries: 2 });
  own.set(1);
  await w.until(w.clock.now() + 60_000);
  t.like(runs(w)[0], { outcome: 'failed', results: [{ attempts: 3, failures: 3 }] });
  t.is(w.scheduler.quarantined().size, 0);
  t.is(w.scheduler.counts().restarts, 0);
});

test('an instance that crashes again is put aside: visibly, its updates acknowledged, the others go on', async t => {
  const { own, w } = await fragileInstances();
  await w.create({ ...base, command: 'sleep 1; exit 3', retries: 2 });
  await w.create({ ...base, name: 'other' });
  own.set(2);
  await w.until(w.clock.now() + 60_000);
  t.deepEqual([...w.scheduler.quarantined().keys()], ['instance www/prod/hello/1.once/0']);
  t.true(w.complaints.some(one => one.includes('an update for an instance that was put aside')));
  t.deepEqual(
    runs(w).map(one => one.run),
    ['2.once'],
  );
  // A restart is another chance, and Mesos has been told that we heard: the task is gone, and its failure counts.
  await w.crash();
  await w.until(w.clock.now() + 120_000);
  t.is(w.scheduler.quarantined().size, 0);
  t.like(runs(w)[1], { run: '1.once', outcome: 'failed', results: [{ failures: 3 }] });
  for (const id of w.launched) t.is(w.mesos.agents.launches(id), 1);
  t.deepEqual(w.fatal, []);
});

test('what Mesos says of an instance that was put aside is in the records before it is acknowledged', async t => {
  const { own, w } = await fragileInstances();
  await w.create({ ...base, command: 'sleep 1; exit 3', retries: 2 });
  own.set(2);
  await w.until(w.clock.now() + 60_000);
  const key = 'www/prod/hello/1.once/0';
  t.like(w.outbox.latest('instance', key), { status: 'pending', attempt: 2, failures: 1 });
  const [attempt] = w.journal.page('finished-attempt', 'www/prod/hello/', 10).rows;
  t.like(attempt?.body, { attempt: 1, outcome: 'failed', reason: { code: 'exited', exit_code: 3 } });
  // Whoever does not want to wait for the next start of the scheduler may end it.
  t.like(await w.submit({ type: 'kill-all', key: 'www/prod/hello' }), { type: 'killing', count: 1 });
  await w.until(w.clock.now() + 1_000);
  t.like(runs(w)[0], { outcome: 'killed', by: 'tester' });
  t.deepEqual([...w.outbox.entries('run'), ...w.outbox.entries('instance')], []);
});

test('an instance that was put aside while its task runs is killed when its run is, and ends with what became of it', async t => {
  const own = fuse();
  // A service that ended before it was well reads how long it must have run for that.
  const instance = {
    ...tree_settings.instance,
    get well_after_ms() {
      return own.burn(300_000);
    },
  };
  const life = () => ({ start_delay_ms: 10, duration_ms: 5_000, exit: { code: 0 }, term_ms: 500 });
  const w = await world({ settings: { instance }, life });
  await w.create({ ...base, service: true });
  await w.until(w.clock.now() + 4_000);
  own.set(2);
  await w.until(w.clock.now() + 4_000);
  t.is(w.scheduler.quarantined().size, 1);
  const at = () => w.outbox.latest('instance', 'www/prod/hello/1.service/0');
  t.like(at(), { status: 'pending', attempt: 2 });
  await w.submit({ type: 'kill-all', key: 'www/prod/hello' });
  await w.until(w.clock.now() + 4_000);
  t.is(at(), undefined);
  t.like(runs(w)[0], { outcome: 'killed' });
});

test('a job whose trigger was put aside can still be stilled', async t => {
  const { own, w } = await fragileTriggers();
  await w.create({ ...base, command: 'sleep 900; exit 0', cron: '* * * * *', overlap: { policy: 'allow' } });
  await w.until(w.clock.now() + 60_000);
  own.set(2);
  await w.until(w.clock.now() + 60_000);
  t.deepEqual([...w.scheduler.quarantined().keys()], [`trigger ${key}`]);
  t.like(await w.submit({ type: 'kill-all', key }), { type: 'killing', count: 1 });
  t.like(await w.submit({ type: 'kill-run', key, run: '1.s0.none' }), { type: 'refused', code: 'quarantined' });
});

test('a trigger that crashes when it is due decides all the same, and rests for the next time', async t => {
  const { own, w } = await fragileTriggers();
  await w.create({ ...base, cron: '* * * * *', overlap: { policy: 'allow' } });
  own.set(1);
  await w.until(w.clock.now() + 3 * 60_000);
  t.deepEqual(
    outcomes(w).map(one => one.outcome),
    ['ran', 'ran', 'ran'],
  );
  t.is(w.scheduler.quarantined().size, 0);
});

test('a trigger that was put aside says so to whoever asks it, and its job can still be deleted', async t => {
  const { own, w } = await fragileTriggers();
  await w.create({ ...base, cron: '* * * * *', overlap: { policy: 'allow' } });
  await w.create({ ...base, name: 'other', cron: '* * * * *' });
  own.set(2);
  await w.until(w.clock.now() + 3 * 60_000);
  t.deepEqual([...w.scheduler.quarantined().keys()], [`trigger ${key}`]);
  t.like(await w.submit({ type: 'start-run', key, request: 'a' }), { type: 'refused', code: 'quarantined' });
  t.is(runs(w).length, 3, 'the other job ran at its targets');
  t.is((await w.submit({ type: 'delete', key })).type, 'deleted');
  t.is(w.outbox.latest('job', key), undefined);
});

test('a job that crashes on a command is told it once more, and answers', async t => {
  const w = await world();
  await w.create({ ...base, cron: '* * * * *' });
  const { own, job } = fragileJob();
  own.set(1);
  t.like(await w.submit({ type: 'submit', mode: 'replace', job }), { type: 'replaced', version: 2 });
  await w.until(w.clock.now() + 2 * 60_000);
  t.is(runs(w).length, 2);
  t.is(w.scheduler.quarantined().size, 0);
});

test('a job that was put aside refuses commands as quarantined; what it runs and all other jobs go on', async t => {
  const w = await world();
  await w.create({ ...base, cron: '* * * * *' });
  await w.create({ ...base, name: 'other', cron: '* * * * *' });
  const { own, job } = fragileJob();
  own.set(2);
  t.like(await w.submit({ type: 'submit', mode: 'replace', job }), { type: 'refused', code: 'quarantined' });
  t.deepEqual([...w.scheduler.quarantined().keys()], [`job ${key}`]);
  t.like(await w.submit({ type: 'delete', key }), { type: 'refused', code: 'quarantined' });
  await w.until(w.clock.now() + 2 * 60_000);
  t.is(runs(w).length, 2);
  await w.crash();
  t.is((await w.submit({ type: 'delete', key })).type, 'deleted');
});

test('a singleton that crashes has the tree planted again: no task is lost, none doubled, every command answered', async t => {
  const { own, w } = await fragilePlacement({ life: () => ({ start_delay_ms: 10, exit: { code: 0 }, term_ms: 5 }) });
  await w.create({ ...base, service: true, instances: 3 });
  await w.until(w.clock.now() + 10_000);
  own.set(1);
  const answers = await Promise.all([
    w.create({ ...base, name: 'other', service: true }),
    w.submit({ type: 'kill-run', key, run: 'none' }),
    w.submit({ type: 'delete', key: 'www/prod/nobody' }),
  ]);
  t.is(answers.length, 3);
  await w.until(w.clock.now() + 120_000);
  t.is(w.scheduler.counts().restarts, 1);
  t.is(w.mesos.agents.running(), 4);
  t.is(w.launched.size, 4);
  for (const id of w.launched) t.is(w.mesos.agents.launches(id), 1);
  t.deepEqual(w.fatal, []);
  t.is((await w.submit({ type: 'delete', key })).type, 'deleted');
  await w.until(w.clock.now() + 10_000);
  t.is(w.mesos.agents.running(), 1);
});

test('every command is answered, whatever falls around it, and what was answered with yes is so', async t => {
  const { own, w } = await fragilePlacement();
  const said: { name: string; answer: Promise<Answer> }[] = [];
  for (let n = 0; n < 30; n++) {
    const name = `job-${n}`;
    const command = { type: 'submit', mode: 'create', job: jobOf({ ...base, name }) } as const;
    const answer = w.scheduler.submit({ command, principal: { name: 'tester' }, request_id: name });
    said.push({ name, answer });
    if (n % 10 === 5) own.set(1);
    if (n % 3 === 0) await w.settle();
  }
  await w.until(w.clock.now() + 60_000);
  for (const { name, answer } of said) {
    const { type } = await answer;
    if (type === 'created') t.truthy(w.outbox.latest('job', `www/prod/${name}`), name);
    else t.is(type, 'refused');
  }
  t.true(w.scheduler.counts().restarts > 0);
  t.is(w.scheduler.counts().commands, 0);
  t.deepEqual(w.fatal, []);
});

test('too many crashes of singletons end the process, once and with a reason', async t => {
  const { own, w } = await fragilePlacement();
  own.set(1_000);
  // Whatever the answer is: it must come.
  await w.create(base);
  await w.until(w.clock.now() + 10_000);
  t.is(w.fatal.length, 1);
  t.regex(w.fatal[0]!.reason, /placement crashed 4 times within 60000 ms: giving up/);
  t.is(w.launched.size, 0);
  t.like(await w.create({ ...base, name: 'late' }), { type: 'refused', code: 'shutting-down' });
  await w.until(w.clock.now() + 600_000);
  t.is(w.fatal.length, 1);
});

test('when the journal fails nothing leaves any more: no answer, no launch, and the process is told to end once', async t => {
  const w = await world();
  await w.create({ ...base, name: 'before' });
  const launched = w.launched.size;
  await w.journal.close();
  let answered = false;
  void w.scheduler
    .submit({
      command: { type: 'submit', mode: 'create', job: fragileJob().job },
      principal: { name: 'tester' },
      request_id: 'x',
    })
    .then(() => {
      answered = true;
    });
  await w.until(w.clock.now() + 300_000);
  t.false(answered);
  t.is(w.launched.size, launched);
  t.deepEqual(
    w.fatal.map(one => one.reason),
    ['journal'],
  );
});

test('what Mesos says is final ends the process: another scheduler has our id', async t => {
  const w = await world();
  const thief = w.mesos.link();
  const subscribe = tree_settings.subscribe(
    (w.outbox.latest('framework', 'id') as { framework_id: string }).framework_id,
  );
  thief.subscribe(subscribe, { events: () => undefined, ended: () => undefined });
  await w.settle();
  t.is(w.fatal.length, 1);
  t.regex(w.fatal[0]!.reason, /Mesos ended our subscription: Framework failed over/);
});

test('a scheduler that is deposed while it stops is felled all the same, and lets go of Mesos', async t => {
  const w = await world({ stall_at: 1 });
  const stopping = t.throwsAsync(w.scheduler.stop(), { message: 'another node leads' });
  await w.settle();
  w.outbox.drop(new Error('another node leads'));
  await stopping;
  const deposed = w.scheduler.depose('another node leads');
  await w.settle();
  await deposed;
  const subscribed = () => [...w.mesos.host.master.frameworks.values()].some(({ stream }) => stream !== undefined);
  t.false(subscribed());
  await w.until(w.clock.now() + 600_000);
  t.false(subscribed());
  t.is(w.scheduler.counts().jobs, 0);
});

test('a scheduler that is deposed launches nothing more, and whoever waits is told that the fate is unknown', async t => {
  const w = await world();
  const answer = w.scheduler.submit({
    command: { type: 'submit', mode: 'create', job: fragileJob().job },
    principal: { name: 'tester' },
    request_id: 'x',
  });
  w.outbox.drop(new Error('another node leads'));
  const deposed = w.scheduler.depose('another node leads');
  await w.settle();
  await deposed;
  t.like(await answer, { type: 'refused', code: 'interrupted' });
  t.regex(
    JSON.stringify(await answer),
    /request x was interrupted \(another node leads\): look whether it took effect/,
  );
  await w.until(w.clock.now() + 300_000);
  t.is(w.launched.size, 0);
  t.is(w.fatal.length, 0);
});
