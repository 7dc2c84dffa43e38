// following.test.ts: jobs that run after others, on the whole scheduler: whose runs go together, and what is told of the rest.

import test from 'ava';
import type { JobSubmission } from '../../actors/model/job.ts';
import type { Cause } from '../../actors/model/reasons.ts';
import type { FinishedRun, JobRecord, OutcomeRow, TokenRecord } from '../../actors/model/records.ts';
import { job, type World, world } from '../support/world.ts';

const place = { role: 'www', environment: 'prod' } as const;
const keyOf = (name: string) => `www/prod/${name}`;
/** A job that a person starts: its only target lies far away. */
const root = (name: string, command = 'sleep 1', more: Partial<JobSubmission> = {}): JobSubmission => ({
  ...place,
  name,
  command,
  cron: '0 0 1 1 *',
  ...more,
});
const after = (name: string, parents: readonly string[], more: Partial<JobSubmission> = {}): JobSubmission => ({
  ...place,
  name,
  command: 'sleep 1',
  parents: [...parents],
  ...more,
});
const pass = (w: World, ms = 5_000) => w.until(w.clock.now() + ms);
let starts = 0;
const start = async (w: World, name: string) => {
  const answer = await w.submit({ type: 'start-run', key: keyOf(name), request: `s${starts++}` });
  if (answer.type !== 'started' && answer.type !== 'waiting') throw new Error(JSON.stringify(answer));
};
const runs = (w: World, name: string): readonly FinishedRun[] =>
  w.committed
    .filter(one => one.kind === 'finished-run' && one.key.startsWith(`${keyOf(name)}/`))
    .map(one => one.body as FinishedRun);
const outcomes = (w: World, name: string) =>
  w.committed
    .filter(one => one.kind === 'outcome' && one.key.startsWith(`${keyOf(name)}/`))
    .map(one => one.body as OutcomeRow);
const causes = (w: World, name: string) =>
  runs(w, name).map(one => one.cause as Extract<Cause, { type: 'dependency' }>);
const tokens = (w: World, name: string) =>
  [...w.outbox.entries('token')]
    .filter(([key]) => key.startsWith(`${keyOf(name)}/`))
    .map(([, body]) => body as TokenRecord);
const parentsOf = (w: World, name: string) => (w.outbox.latest('job', keyOf(name)) as JobRecord).job.parents;

test('a child runs once after each run of its only parent, and knows which', async t => {
  const w = await world();
  await w.create(root('a'));
  await w.create(after('b', ['a']));
  await pass(w);
  t.deepEqual(runs(w, 'b'), [], 'it does not run because it was made');
  for (let n = 0; n < 3; n++) {
    await start(w, 'a');
    await pass(w);
  }
  t.deepEqual(
    causes(w, 'b').map(one => one.parents.map(each => [each.job, each.run, each.outcome, each.exit_code])),
    runs(w, 'a').map(one => [[keyOf('a'), one.run, 'succeeded', 0]]),
  );
  t.is(causes(w, 'b')[0]!.at, runs(w, 'a')[0]!.ended_at);
  t.deepEqual(tokens(w, 'b'), []);
  t.deepEqual(w.fatal, []);
});

test('a diamond is exact: the slow side of one wave is never paired with the fast side of the next', async t => {
  const w = await world({ agents: 4 });
  await w.create(root('top', 'sleep 1', { overlap: { policy: 'allow' } }));
  await w.create(after('fast', ['top']));
  await w.create(after('slow', ['top'], { command: 'sleep 20' }));
  await w.create(after('end', ['fast', 'slow']));
  for (let n = 0; n < 4; n++) {
    await start(w, 'top');
    await pass(w, 3_000);
  }
  await pass(w, 200_000);
  const waves = causes(w, 'end').map(one => one.parents.map(each => each.run));
  t.deepEqual(
    waves,
    runs(w, 'fast').map((one, n) => [one.run, runs(w, 'slow')[n]!.run]),
  );
  t.is(waves.length, 4);
});

test('a wave in which one side failed comes to nothing all the way down, and the next one is whole', async t => {
  let fails = true;
  const life = () => ({ start_delay_ms: 10, duration_ms: 1_000, exit: { code: fails ? 7 : 0 }, term_ms: 5 });
  const v = await world({
    agents: 4,
    life: task => (task.name === keyOf('left') ? life() : { ...life(), exit: { code: 0 } }),
  });
  for (const one of [root('top'), after('left', ['top']), after('right', ['top']), after('mid', ['left', 'right'])])
    await v.create(one);
  await v.create(after('end', ['mid', 'right']));
  await v.create(after('always', ['mid', 'right'], { trigger_rule: 'all_done' }));
  await start(v, 'top');
  await pass(v, 10_000);
  t.deepEqual(runs(v, 'mid'), []);
  t.like(outcomes(v, 'mid')[0], { schedule: 'parents', outcome: 'skipped', why: 'www/prod/left failed' });
  t.like(outcomes(v, 'end')[0], { outcome: 'skipped', why: 'www/prod/mid skipped' });
  t.deepEqual(tokens(v, 'end'), []);
  t.deepEqual(
    causes(v, 'always').map(one => one.parents.map(each => each.outcome)),
    [['skipped', 'succeeded']],
  );
  fails = false;
  await start(v, 'top');
  await pass(v, 10_000);
  t.deepEqual(
    causes(v, 'end').map(one => one.parents.map(each => each.run)),
    [[runs(v, 'mid')[0]!.run, runs(v, 'right')[1]!.run]],
  );
  t.deepEqual(v.fatal, []);
});

test('a set that comes to nothing waits for the run before it, so that those further down hear of them in order', async t => {
  let n = 0;
  const exits = [0, 1, 0];
  const w = await world({
    agents: 4,
    life: task => ({
      start_delay_ms: 10,
      duration_ms: task.name === keyOf('mid') ? 30_000 : 1_000,
      exit: { code: task.name === keyOf('top') ? exits[n++]! : 0 },
      term_ms: 5,
    }),
  });
  await w.create(root('top'));
  await w.create(after('mid', ['top']));
  await w.create(after('end', ['mid'], { trigger_rule: 'all_done' }));
  for (let each = 0; each < 3; each++) {
    await start(w, 'top');
    await pass(w, 3_000);
  }
  await pass(w, 200_000);
  t.deepEqual(
    causes(w, 'end').map(one => one.parents.map(each => each.outcome)),
    [['succeeded'], ['skipped'], ['succeeded']],
  );
});

test('what a failed run exited with is known to whoever follows it whatever happens', async t => {
  const w = await world();
  await w.create(root('a', 'sleep 1; exit 3'));
  await w.create(root('soft', 'sleep 1; exit 4', { soft_error: true }));
  await w.create(after('any', ['a', 'soft'], { trigger_rule: 'any_success' }));
  await w.create(after('done', ['a'], { trigger_rule: 'all_done' }));
  await w.create(after('never', ['a']));
  await start(w, 'a');
  await start(w, 'soft');
  await pass(w, 10_000);
  t.deepEqual(
    causes(w, 'any')[0]!.parents.map(one => [one.outcome, one.exit_code]),
    [
      ['failed', 3],
      ['failed', 4],
    ],
  );
  t.is(causes(w, 'done').length, 1);
  t.deepEqual(runs(w, 'never'), []);
});

test('runs of a child come one after the other, and what waits lies on its edge', async t => {
  const w = await world();
  await w.create(root('a', 'sleep 1', { overlap: { policy: 'allow' } }));
  await w.create(after('b', ['a'], { command: 'sleep 30' }));
  for (let n = 0; n < 4; n++) await start(w, 'a');
  await pass(w, 10_000);
  t.is(tokens(w, 'b').length, 3);
  t.is([...w.outbox.entries('run')].length, 1);
  await pass(w, 200_000);
  t.is(runs(w, 'b').length, 4);
});

test('a child that is paused waits with whatever comes, and goes on with all of it', async t => {
  const w = await world();
  await w.create(root('a'));
  await w.create(after('b', ['a']));
  await w.submit({ type: 'pause', key: keyOf('b'), note: 'repairs' });
  for (let n = 0; n < 2; n++) {
    await start(w, 'a');
    await pass(w);
  }
  t.is(tokens(w, 'b').length, 2);
  await w.crash();
  await pass(w);
  t.deepEqual(runs(w, 'b'), []);
  await w.submit({ type: 'resume', key: keyOf('b') });
  await pass(w, 20_000);
  t.is(runs(w, 'b').length, 2);
});

test('Chronos 31, 46: a child that is disabled does not run, and what ended meanwhile is told, not made up for', async t => {
  const w = await world();
  await w.create(root('a'));
  await w.create(after('b', ['a'], { enabled: false }));
  await w.create(after('c', ['b']));
  await start(w, 'a');
  await pass(w);
  t.like(outcomes(w, 'b')[0], { outcome: 'skipped', why: 'disabled' });
  await w.submit({ type: 'set-enabled', key: keyOf('b'), enabled: true });
  await pass(w);
  t.deepEqual([...runs(w, 'b'), ...runs(w, 'c')], []);
  await start(w, 'a');
  await pass(w, 10_000);
  t.is(runs(w, 'b').length, 1);
  t.is(runs(w, 'c').length, 1);
});

test('an edge forgets its oldest token when it holds too many, and says so', async t => {
  const w = await world();
  await w.create(root('a'));
  await w.create(root('b'));
  await w.create(after('c', ['a', 'b'], { tokens_max: 2 }));
  for (let n = 0; n < 4; n++) {
    await start(w, 'a');
    await pass(w);
  }
  t.deepEqual(
    tokens(w, 'c').map(one => one.run),
    runs(w, 'a')
      .slice(2)
      .map(one => one.run),
  );
  t.is(w.complaints.filter(line => line.includes('forgotten')).length, 2);
});

test('tokens can be cleared, of one parent or of all', async t => {
  const w = await world();
  for (const name of ['a', 'b', 'c']) await w.create(root(name));
  await w.create(after('d', ['a', 'b', 'c']));
  await start(w, 'a');
  await start(w, 'b');
  await pass(w);
  t.like(await w.submit({ type: 'clear-tokens', key: keyOf('d'), parent: keyOf('a') }), { type: 'cleared', count: 1 });
  t.deepEqual(
    tokens(w, 'd').map(one => one.job),
    [keyOf('b')],
  );
  t.like(await w.submit({ type: 'clear-tokens', key: keyOf('d'), parent: keyOf('x') }), { code: 'not-found' });
  t.like(await w.submit({ type: 'clear-tokens', key: keyOf('d') }), { type: 'cleared', count: 1 });
  await start(w, 'c');
  await pass(w);
  t.deepEqual(runs(w, 'd'), []);
});

test('parents that are not there, services and cycles are refused, with the way round', async t => {
  const w = await world();
  await w.create(root('a'));
  await w.create({ ...place, name: 'web', command: 'sleep 100', service: true });
  await w.create(after('b', ['a']));
  await w.create(after('c', ['b']));
  t.like(await w.create(after('d', ['a', 'nobody'])), {
    type: 'refused',
    code: 'invalid',
    problems: [{ place: '/parents/1', value: 'www/prod/nobody', message: 'there is no job www/prod/nobody' }],
  });
  t.like(await w.create(after('d', ['web'])), { code: 'invalid' });
  t.like(await w.create(after('d', ['d'])), {
    code: 'cycle',
    message: 'job www/prod/d would follow itself: www/prod/d -> www/prod/d',
  });
  const answer = await w.submit({ type: 'submit', mode: 'replace', job: job(after('a', ['c'])) });
  t.like(answer, {
    type: 'refused',
    code: 'cycle',
    message: 'job www/prod/a would follow itself: www/prod/a -> www/prod/b -> www/prod/c -> www/prod/a',
  });
  await w.submit({ type: 'delete', key: keyOf('c') });
  t.like(await w.create(after('d', ['c'])), { code: 'invalid' });
});

test('two changes that pass each other cannot close a cycle', async t => {
  const w = await world();
  await w.create(root('a'));
  await w.create(root('b'));
  const answers = await Promise.all([
    w.scheduler.submit({
      command: { type: 'submit', mode: 'replace', job: job(after('a', ['b'])) },
      principal: { name: 'one' },
      request_id: 'x1',
    }),
    w.scheduler.submit({
      command: { type: 'submit', mode: 'replace', job: job(after('b', ['a'])) },
      principal: { name: 'two' },
      request_id: 'x2',
    }),
    w.settle(),
  ]);
  t.deepEqual(
    answers
      .slice(0, 2)
      .map(one => one?.type)
      .sort(),
    ['refused', 'replaced'],
  );
});

test('edges that stay keep their tokens when a job follows others from now on', async t => {
  const w = await world();
  for (const name of ['a', 'b', 'c']) await w.create(root(name));
  await w.create(after('d', ['a', 'b']));
  await start(w, 'a');
  await pass(w);
  await w.submit({ type: 'submit', mode: 'replace', job: job(after('d', ['a', 'c'])) });
  t.is(tokens(w, 'd').length, 1);
  await start(w, 'c');
  await pass(w);
  t.is(runs(w, 'd').length, 1);
  await start(w, 'a');
  await pass(w);
  await w.submit({ type: 'submit', mode: 'replace', job: job(after('d', ['b', 'c'])) });
  t.deepEqual(tokens(w, 'd'), []);
  await start(w, 'b');
  await pass(w);
  // What has ended already is enough when the last that was waited for is waited for no more.
  await w.submit({ type: 'submit', mode: 'replace', job: job(after('d', ['b'])) });
  await pass(w);
  t.is(runs(w, 'd').length, 2);
});

test('whoever kills all runs of a child ends what waited for them too', async t => {
  const w = await world();
  await w.create(root('a', 'sleep 1', { overlap: { policy: 'allow' } }));
  await w.create(after('b', ['a'], { command: 'sleep 100' }));
  for (let n = 0; n < 3; n++) await start(w, 'a');
  await pass(w, 10_000);
  t.is(tokens(w, 'b').length, 2);
  await w.submit({ type: 'kill-all', key: keyOf('b') });
  await pass(w, 20_000);
  t.deepEqual(
    runs(w, 'b').map(one => one.outcome),
    ['killed'],
  );
  t.deepEqual(
    outcomes(w, 'b').map(one => one.why),
    ['killed', 'killed'],
  );
});

// --- a parent that is deleted ---------------------------------------------------------------------------------------------

test('a parent is not deleted unless somebody says what becomes of its children', async t => {
  const w = await world();
  await w.create(root('a'));
  await w.create(after('b', ['a']));
  t.like(await w.submit({ type: 'delete', key: keyOf('a') }), { type: 'refused', code: 'in-use' });
  t.is((await w.submit({ type: 'delete', key: keyOf('b') })).type, 'deleted');
  await pass(w);
  t.is((await w.submit({ type: 'delete', key: keyOf('a') })).type, 'deleted');
});

test('children that are detached follow the others, or nobody', async t => {
  const w = await world();
  for (const name of ['a', 'b']) await w.create(root(name));
  await w.create(after('c', ['a', 'b'], { description: 'keeps it' }));
  await w.create(after('d', ['a'], { join: 'latest' }));
  await start(w, 'a');
  await pass(w);
  const answer = w.submit({ type: 'delete', key: keyOf('a'), orphans: 'detach' });
  t.is((await answer).type, 'deleted');
  t.deepEqual(parentsOf(w, 'c'), [keyOf('b')]);
  const d = (w.outbox.latest('job', keyOf('d')) as JobRecord).job;
  t.deepEqual([d.parents, d.join, d.schedules], [undefined, undefined, []]);
  await start(w, 'b');
  await pass(w);
  t.is(runs(w, 'c').length, 1);
  t.is(w.outbox.latest('job', keyOf('a')), undefined);
});

test('children that are deleted take theirs along', async t => {
  const w = await world();
  await w.create(root('a'));
  await w.create(after('b', ['a']));
  await w.create(after('c', ['a', 'b']));
  await w.create(root('other'));
  await w.submit({ type: 'delete', key: keyOf('a'), orphans: 'delete' });
  await pass(w);
  t.deepEqual(
    [...w.outbox.entries('job')].map(([key]) => key),
    [keyOf('other')],
  );
});

test('children that are rescheduled run when their parent would have: by its schedule, or after its parents', async t => {
  const w = await world();
  await w.create(root('a', 'sleep 1', { cron: '*/10 * * * *' }));
  await w.create(after('b', ['a']));
  await w.create(after('c', ['b'], { description: 'keeps it', env: { KEPT: '1' } }));
  await w.submit({ type: 'delete', key: keyOf('b'), orphans: 'reschedule' });
  t.deepEqual(parentsOf(w, 'c'), [keyOf('a')]);
  await w.submit({ type: 'delete', key: keyOf('a'), orphans: 'reschedule' });
  const c = (w.outbox.latest('job', keyOf('c')) as JobRecord).job;
  t.is(c.parents, undefined);
  t.is(c.schedules[0]!.cron, '*/10 * * * *');
  t.like(c, { description: 'keeps it', env: { KEPT: '1' } });
  await w.until(w.clock.now() + 21 * 60_000);
  t.is(runs(w, 'c').length, 2);
});

test('a crash at any record while a parent is deleted leaves no child that follows nobody', async t => {
  const day = async (stall_at?: number, kept?: number) => {
    const w = await world({ seed: 3, batch_changes_max: 1, ...(stall_at === undefined ? {} : { stall_at }) });
    void w.create(root('a', 'sleep 1', { cron: '*/10 * * * *' }));
    void w.create(root('z'));
    await w.settle();
    void w.create(after('b', ['a', 'z']));
    void w.create(after('c', ['a']));
    await w.settle();
    const made = w.journal.written();
    void w.submit({ type: 'start-run', key: keyOf('a'), request: 'one' });
    await w.until(w.clock.now() + 500);
    void w.submit({ type: 'delete', key: keyOf('a'), orphans: 'reschedule' });
    await w.until(w.clock.now() + 5_000);
    if (stall_at !== undefined) await w.crash(kept);
    await w.until(w.clock.now() + 30_000);
    return { w, made };
  };
  const whole = await day();
  const from = whole.w.committed.findIndex(one => one.kind === 'job' && (one.body as JobRecord)?.deleting === true) + 1;
  t.true(from > whole.made);
  for (const [n, before] of whole.w.commits.entries()) {
    const next = whole.w.commits[n + 1];
    if (before < from || next === undefined) continue;
    for (const kept of [before, next]) {
      const { w } = await day(before + 1, kept);
      const at = `crash at record ${before}, ${kept} kept`;
      t.deepEqual(w.fatal, [], at);
      t.is(w.outbox.latest('job', keyOf('a')), undefined, at);
      t.deepEqual(parentsOf(w, 'b'), [keyOf('z')], at);
      const c = (w.outbox.latest('job', keyOf('c')) as JobRecord).job;
      t.deepEqual([c.parents, c.schedules[0]?.cron], [undefined, '*/10 * * * *'], at);
      t.deepEqual([...w.outbox.entries('token')], [], at);
    }
  }
});

// --- crashes --------------------------------------------------------------------------------------------------------------

test('a crash at every commit of a diamond loses no token and takes none twice', async t => {
  const day = async (stall_at?: number, kept?: number) => {
    const w = await world({ seed: 5, batch_changes_max: 1, ...(stall_at === undefined ? {} : { stall_at }) });
    const begun = w.clock.now();
    void w.create(root('a', 'sleep 1', { cron: '* * * * *' }));
    await w.settle();
    void w.create(after('b', ['a']));
    void w.create(after('c', ['a'], { command: 'sleep 1; exit 2', trigger_rule: 'all_done' }));
    await w.settle();
    void w.create(after('d', ['b', 'c'], { trigger_rule: 'any_success', command: 'sleep 70' }));
    await w.settle();
    void w.create(after('e', ['b', 'c']));
    await w.settle();
    const made = w.journal.written();
    if (stall_at !== undefined) {
      for (let at = begun; w.journal.written() < stall_at && at < begun + 130_000; at += 500) await w.until(at);
      await w.crash(kept);
    }
    await w.until(begun + 350_000);
    await w.submit({ type: 'set-enabled', key: keyOf('a'), enabled: false });
    await w.until(begun + 900_000);
    return { w, made };
  };
  const whole = await day();
  let crashes = 0;
  const of_interest = whole.w.commits.filter(position => position >= whole.made && position < whole.made + 75);
  for (const [n, before] of of_interest.entries()) {
    const next = whole.w.commits[whole.w.commits.indexOf(before) + 1]!;
    // The commit under way is there or it is not: taken in turns, since each is a day of its own.
    const { w } = await day(before + 1, n % 2 === 0 ? before : next);
    crashes++;
    const at = `crash at record ${before}`;
    t.deepEqual(w.fatal, [], at);
    const kept = (name: string) =>
      w.journal
        .page('finished-run', `${keyOf(name)}/`, 100)
        .rows.map(row => row.body as FinishedRun)
        .reverse();
    const tops = kept('a');
    t.true(tops.length >= 5, at);
    for (const name of ['b', 'c'])
      t.deepEqual(
        kept(name).map(one => (one.cause as Extract<Cause, { type: 'dependency' }>).parents[0]!.run),
        tops.map(one => one.run),
        `${at}: ${name}`,
      );
    t.deepEqual(
      kept('d').map(one => (one.cause as Extract<Cause, { type: 'dependency' }>).parents.map(each => each.run)),
      kept('b').map((one, index) => [one.run, kept('c')[index]!.run]),
      `${at}: d`,
    );
    t.deepEqual(kept('e'), [], at);
    const told = w.journal.page('outcome', `${keyOf('e')}/`, 100).rows.map(row => (row.body as OutcomeRow).outcome);
    t.deepEqual(
      told,
      tops.map(() => 'skipped'),
      at,
    );
    t.deepEqual([...w.outbox.entries('token')], [], at);
  }
  t.log(`${crashes} crashes`);
});
