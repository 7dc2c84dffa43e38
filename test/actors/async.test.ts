// async.test.ts: runs that take too long, and runs whose end somebody reports, played through the whole scheduler.

import test from 'ava';
import { instanceAside } from '../../actors/aside.ts';
import { type InstanceMessage, type InstanceState, instance } from '../../actors/instance/instance.ts';
import { type JobSubmission, readJob } from '../../actors/model/job.ts';
import type { FinishedAttempt, FinishedRun, InstanceRecord } from '../../actors/model/records.ts';
import type { TaskStatus } from '../../mesos/protocol.ts';
import { tree_settings, type World, type WorldOptions, world } from '../support/world.ts';

const base = { role: 'www', environment: 'prod', name: 'work' } as const;
const key = 'www/prod/work';
const retry = { delay_ms: 10_000, factor: 1 };

async function stage(submission: Partial<JobSubmission>, options: WorldOptions = {}) {
  const w = await world(options);
  const created = await w.create({ ...base, command: 'true', ...submission });
  if (created.type !== 'created') throw new Error(`not created: ${JSON.stringify(created)}`);
  return w;
}
const rows = <T>(w: World, kind: string): T[] =>
  w.committed.filter(one => one.kind === kind && one.key.startsWith(`${key}/`)).map(one => one.body as T);
const runs = (w: World) => rows<FinishedRun>(w, 'finished-run');
const attempts = (w: World) => rows<FinishedAttempt>(w, 'finished-attempt');
const after = (w: World, ms: number) => w.until(w.clock.now() + ms);
const standing = (w: World) => [...w.outbox.entries('instance')].map(([, body]) => (body as { status: string }).status);
const task = (attempt: number) => `www:prod:work:1.once:0:${attempt}`;
const complete = (w: World, attempt: number, status_code: number, more: object = {}) =>
  w.submit({ type: 'complete-task', key, task_id: task(attempt), status_code, ...more });

test('a retry uses up no repetition: three targets that fail twice each are three targets', async t => {
  const w = await stage({
    schedule: 'R3/2026-01-01T00:01:00Z/PT5M',
    command: 'exit 3',
    retries: 1,
    retry,
  });
  await after(w, 30 * 60_000);
  t.is(runs(w).length, 3);
  t.deepEqual(
    runs(w).map(run => run.results[0]!.failures),
    [2, 2, 2],
  );
  t.is(attempts(w).filter(one => one.outcome === 'failed').length, 6);
});

test('an exit code that is not to be retried ends the run at once', async t => {
  const w = await stage({ command: 'exit 4', retries: 5, retry: { ...retry, exit_codes: [75] } });
  await after(w, 60_000);
  t.like(runs(w)[0], { outcome: 'failed', results: { 0: { attempts: 1, reason: { code: 'exited', exit_code: 4 } } } });
});

test('an attempt that runs too long is killed, has failed, and is tried again; each has its own time', async t => {
  const w = await stage({ command: 'sleep infinity', retries: 1, retry, timeouts: { run_ms: 30_000 } });
  await after(w, 29_000);
  t.deepEqual(standing(w), ['running']);
  await after(w, 120_000);
  t.deepEqual(
    attempts(w).map(({ attempt, outcome, reason }) => ({ attempt, outcome, reason })),
    [1, 2].map(attempt => ({
      attempt,
      outcome: 'failed',
      reason: { code: 'timed-out', which: 'run', limit_ms: 30_000 },
    })),
  );
  for (const { started_at, ended_at } of attempts(w)) t.true(ended_at - started_at! >= 30_000);
  t.like(runs(w)[0], { outcome: 'failed', results: { 0: { attempts: 2, failures: 2 } } });
});

test('what has found no place when its start time-out passes has failed, and why stands there', async t => {
  const w = await stage({ timeouts: { start_ms: 20_000 } }, { agents: 0 });
  await after(w, 19_000);
  t.is([...w.outbox.entries('run')].length, 1);
  await after(w, 2_000);
  t.like(runs(w)[0], {
    outcome: 'failed',
    results: { 0: { reason: { code: 'timed-out', which: 'start', limit_ms: 20_000 } } },
  });
  t.is(w.launched.size, 0);
});

test('the total time-out counts waits and retries in, and ends the run for good', async t => {
  const w = await stage({ command: 'exit 1', retries: 100, retry, timeouts: { total_ms: 35_000 } });
  await after(w, 60_000);
  t.like(runs(w)[0], { outcome: 'failed', results: { 0: { reason: { code: 'timed-out', which: 'total' } } } });
  t.is(w.launched.size, 4, 'at 0, 10, 20 and 30 seconds');
  const running = await stage({ command: 'sleep infinity', retries: 100, timeouts: { total_ms: 35_000 } });
  await after(running, 60_000);
  t.like(runs(running)[0], { outcome: 'failed', results: { 0: { reason: { code: 'timed-out', which: 'total' } } } });
  t.is(running.launched.size, 1);
});

test('whoever kills a run that is being killed for its time has killed it: it is not tried again', async t => {
  const w = await stage(
    { command: 'sleep infinity', retries: 5, timeouts: { run_ms: 30_000 } },
    { life: () => ({ start_delay_ms: 0, exit: { code: 0 }, term_ms: 2_000 }) },
  );
  await after(w, 31_000);
  t.deepEqual(standing(w), ['killing']);
  await w.submit({ type: 'kill-all', key });
  await after(w, 30_000);
  t.like(runs(w)[0], { outcome: 'killed', results: { 0: { reason: { code: 'killed', by: 'tester' } } } });
  t.is(w.launched.size, 1);
});

test('time-outs survive a failover: what is left is waited for, and what passed meanwhile is past at once', async t => {
  const w = await stage({ command: 'sleep infinity', timeouts: { run_ms: 60_000 } });
  await after(w, 40_000);
  await w.crash();
  await after(w, 19_000);
  t.deepEqual(standing(w), ['running']);
  await after(w, 5_000);
  t.like(runs(w)[0], { outcome: 'failed', results: { 0: { reason: { code: 'timed-out', which: 'run' } } } });
  const away = await stage({ command: 'sleep infinity', timeouts: { run_ms: 60_000 } });
  await after(away, 10_000);
  away.scheduler.abandon();
  away.link.cut();
  away.clock.step(away.clock.now() + 90_000);
  await away.crash();
  await after(away, 5_000);
  t.like(runs(away)[0], { outcome: 'failed', results: { 0: { reason: { code: 'timed-out', which: 'run' } } } });
});

test('the end of its command is not the end of an async run: it lives until its call-back, whose code is kept', async t => {
  const w = await stage({ async: true });
  await after(w, 3_600_000);
  t.deepEqual(standing(w), ['awaiting']);
  t.deepEqual(attempts(w), [], 'the attempt is not over');
  t.deepEqual(await complete(w, 1, 0), { type: 'completed', key, task_id: task(1) });
  const reason = { code: 'called-back', status_code: 0, by: 'tester' };
  t.like(runs(w)[0], { outcome: 'succeeded', results: { 0: { reason } } });
  t.like(attempts(w)[0], { outcome: 'finished', reason });
});

test('a bad code is a failure, tried again under a new task id; word of the old one is refused', async t => {
  const w = await stage({ async: true, retries: 1, retry });
  await after(w, 5_000);
  t.like(await complete(w, 1, 7), { type: 'completed' });
  await after(w, 20_000);
  t.deepEqual(standing(w), ['awaiting']);
  t.like(await complete(w, 1, 0), { type: 'refused', code: 'not-awaited' });
  t.deepEqual(standing(w), ['awaiting'], 'and changed nothing');
  await complete(w, 2, 8);
  t.like(runs(w)[0], {
    outcome: 'failed',
    results: { 0: { attempts: 2, reason: { code: 'called-back', status_code: 8 } } },
  });
  t.like(await complete(w, 2, 0), { type: 'refused', code: 'not-awaited' }, 'it is over');
});

test('word that is ahead of the end of the command counts when that has ended well, and its failure counts more', async t => {
  for (const [command, outcome, code] of [
    ['sleep 20', 'succeeded', 'called-back'],
    ['sleep 20; exit 3', 'failed', 'exited'],
  ] as const) {
    const w = await stage({ command, async: true });
    await after(w, 5_000);
    t.like(await complete(w, 1, 0), { type: 'completed' });
    t.like(await complete(w, 1, 0), { type: 'completed' }, 'saying it again is no mistake');
    t.like(await complete(w, 1, 1), { type: 'refused', code: 'not-awaited' }, 'saying otherwise is');
    t.deepEqual(standing(w), ['running']);
    await after(w, 30_000);
    t.like(runs(w)[0], { outcome, results: { 0: { reason: { code } } } });
  }
});

test('foreign and unknown task ids are refused, and so is word of a job that is not async', async t => {
  const w = await stage({ async: true });
  await after(w, 5_000);
  for (const task_id of ['nonsense', 'www:prod:other:1.once:0:1', 'ct:1:0:work:'])
    t.like(await complete(w, 1, 0, { task_id }), { type: 'refused', code: 'not-found' }, task_id);
  for (const task_id of ['www:prod:work:2.once:0:1', 'www:prod:work:1.once:9:1', 'www:prod:work:1.once:0:2'])
    t.like(await complete(w, 1, 0, { task_id }), { type: 'refused', code: 'not-awaited' }, task_id);
  t.deepEqual(standing(w), ['awaiting']);
  const plain = await stage({ command: 'sleep infinity' });
  await after(plain, 5_000);
  t.like(await complete(plain, 1, 0), { type: 'refused', code: 'not-awaited' });
  t.deepEqual(standing(plain), ['running']);
});

test('a child of an async job waits for the call-back, and is told its code', async t => {
  const w = await stage({ async: true, schedule: 'R1/2026-01-01T00:01:00Z/PT1M' });
  await w.create({ ...base, name: 'child', command: 'true', parents: [key], trigger_rule: 'all_done' });
  await after(w, 5 * 60_000);
  const [instance] = [...w.outbox.entries('instance')].map(([one]) => one);
  const task_id = `${instance!.replaceAll('/', ':')}:1`;
  t.false([...w.launched].some(id => id.includes(':child:')));
  await w.submit({ type: 'complete-task', key, task_id, status_code: 9 });
  await after(w, 10_000);
  const [child] = w.committed
    .filter(one => one.kind === 'finished-run' && one.key.startsWith('www/prod/child/'))
    .map(one => one.body as FinishedRun);
  t.like(child?.cause, { type: 'dependency', parents: { 0: { job: key, outcome: 'failed', exit_code: 9 } } });
});

test('an instance that was put aside keeps what awaits: word of it is refused, a kill ends it', t => {
  const at = {
    status: 'awaiting',
    attempt: 1,
    failures: 0,
    since: 0,
    agent_id: 'S0',
    hostname: 'h',
    version: 1,
  } as const;
  const read = readJob({ ...base, command: 'true', async: true });
  if (!read.ok) throw new Error('not a job');
  const state: InstanceState = {
    ...{ key: `${key}/1.once/0`, job_key: key, run: '1.once', index: 0, cause: { type: 'once' } },
    ...{ job: read.value, version: 1, run_created_at: 0, record: at },
  };
  const command = { type: 'complete-task', key, task_id: task(1), status_code: 0 } as const;
  const envelope = { command, principal: { name: 'bob' }, request_id: 'r' };
  t.like(instanceAside(state, { type: 'complete', envelope }, 5, 5_000), {
    0: { type: 'reply', answer: { type: 'refused', code: 'quarantined' } },
  });
  const killed = instanceAside(state, { type: 'kill', by: 'bob', replace: false, grace: true }, 5, 5_000);
  t.like(killed[0], { type: 'record', kind: 'instance', body: { status: 'over', outcome: 'killed' } });
  const finished = { task_id: { value: task(1) }, state: 'TASK_FINISHED', agent_id: { value: 'S0' } } as const;
  const running: InstanceState = { ...state, record: { ...at, status: 'running', started_at: 1 } };
  const [record] = instanceAside(running, { type: 'updated', status: finished }, 5, 5_000).filter(
    one => one.type === 'record',
  );
  t.like(record, { kind: 'instance', body: { status: 'awaiting', since: 5 } }, 'the end of its command is not its end');
});

test('an instance that was put aside ends as its job says: too late is failed, and what is not to be tried again is not', t => {
  const read = readJob({
    ...base,
    command: 'true',
    max_task_failures: 3,
    retry: { exit_codes: [7] },
    timeouts: { total_ms: 9 },
  });
  if (!read.ok) throw new Error('not a job');
  const at = { attempt: 1, failures: 0, since: 0, agent_id: 'S0', hostname: 'h', version: 1, started_at: 1 };
  const told = (record: InstanceRecord, message: InstanceMessage) => {
    const state: InstanceState = {
      ...{ key: `${key}/1.once/0`, job_key: key, run: '1.once', index: 0, cause: { type: 'once' } },
      ...{ job: read.value, version: 1, run_created_at: 0, record },
    };
    const effects = instanceAside(state, message, 5, 5_000);
    return effects.flatMap(one => (one.type === 'record' && one.kind === 'instance' ? [one.body] : []))[0];
  };
  const after = (record: InstanceRecord, status: Pick<TaskStatus, 'state' | 'message' | 'data'>) =>
    told(record, { type: 'updated', status: { task_id: { value: task(1) }, ...status } });
  const timed_out = { which: 'total', limit_ms: 9 } as const;
  t.like(
    after({ status: 'killing', by: 'its total time-out', replace: false, timed_out, ...at }, { state: 'TASK_KILLED' }),
    { status: 'over', outcome: 'failed', reason: { code: 'timed-out', ...timed_out } },
  );
  const late: InstanceRecord = { status: 'killing', by: 'its run time-out', replace: true, timed_out, ...at };
  const for_good = told(late, { type: 'kill', by: 'bob', replace: false, grace: true });
  t.like(for_good, { status: 'killing', by: 'bob', replace: false, timed_out: undefined }, 'bob outweighs the time');
  const running: InstanceRecord = { status: 'running', ...at };
  const exited = (code: number) => ({ state: 'TASK_FAILED', message: `Command exited with status ${code}` }) as const;
  t.like(after(running, exited(7)), { status: 'pending', failures: 1 });
  t.like(after(running, exited(8)), { status: 'over', outcome: 'failed' });
  t.like(after(running, { state: 'TASK_FINISHED', data: btoa(JSON.stringify({ result: 'left' })) }), {
    ...{ status: 'over', outcome: 'succeeded', hostname: 'h', result: 'left' },
  });
  const called_back = { status_code: 0, by: 'bob' };
  t.like(after({ ...running, called_back }, { state: 'TASK_FINISHED' }), {
    ...{ status: 'over', outcome: 'succeeded', reason: { code: 'called-back', ...called_back } },
  });
});

test('what its command left for those that follow is kept until its call-back', t => {
  const read = readJob({ ...base, command: 'true', async: true });
  if (!read.ok) throw new Error('not a job');
  const at = { attempt: 1, failures: 0, since: 0, agent_id: 'S0', hostname: 'h', version: 1, started_at: 1 };
  const state: InstanceState = {
    ...{ key: `${key}/1.once/0`, job_key: key, run: '1.once', index: 0, cause: { type: 'once' } },
    ...{ job: read.value, version: 1, run_created_at: 0, record: { status: 'running', ...at } },
  };
  const move = instance(tree_settings.instance);
  const data = btoa(JSON.stringify({ result: 'left', exit_code: 0 }));
  const status = { task_id: { value: task(1) }, state: 'TASK_FINISHED', data } as const;
  const awaiting = move(state, { type: 'updated', status }, 5).state;
  t.like(awaiting.record, { status: 'awaiting', result: 'left' });
  const command = { type: 'complete-task', key, task_id: task(1), status_code: 0 } as const;
  const envelope = { command, principal: { name: 'bob' }, request_id: 'r' };
  t.like(move(awaiting, { type: 'complete', envelope }, 9).state.record, { status: 'over', result: 'left' });
});

test('when nobody calls back in time the run has failed and says so; it is not tried again', async t => {
  const w = await stage({ async: true, retries: 5, timeouts: { call_back_ms: 60_000 } });
  await after(w, 59_000);
  t.deepEqual(standing(w), ['awaiting']);
  await after(w, 5_000);
  t.like(runs(w)[0], {
    outcome: 'failed',
    results: { 0: { reason: { code: 'timed-out', which: 'call-back', limit_ms: 60_000 } } },
  });
  t.is(w.launched.size, 1);
});

test('the next target waits for the call-back of the one before, and a person may kill what awaits', async t => {
  const w = await stage({ async: true, schedule: 'R/2026-01-01T00:01:00Z/PT1M', overlap: { policy: 'skip' } });
  await after(w, 10 * 60_000);
  t.is(w.launched.size, 1, 'the others were skipped');
  await w.submit({ type: 'kill-all', key });
  t.like(runs(w)[0], { outcome: 'killed', results: { 0: { reason: { code: 'killed', by: 'tester' } } } });
  await after(w, 60_000);
  t.is(w.launched.size, 2);
});

test('a run that awaits its call-back is asked of nobody, and survives a failover', async t => {
  const w = await stage({ async: true, timeouts: { call_back_ms: 100_000 } });
  await after(w, 5_000);
  await w.crash();
  await after(w, 30_000);
  t.deepEqual(standing(w), ['awaiting'], 'Mesos knows nothing of its task, and that is as it should be');
  await complete(w, 1, 0);
  t.like(runs(w)[0], { outcome: 'succeeded' });
  t.is(w.launched.size, 1);
});

test('wherever the records are cut, an async run that fails once ends the same: two attempts, two words', async t => {
  const submission = { ...base, command: 'true', async: true, retries: 1, retry, timeouts: { run_ms: 50_000 } };
  const play = async (stall_at?: number, kept?: number) => {
    const w = await world({ batch_changes_max: 1, ...(stall_at === undefined ? {} : { stall_at }) });
    const start = w.clock.now();
    // Withheld answers are for the next life to give; what is asked is asked all the same.
    void w.create(submission);
    // The first attempt of which there can be word failed, the next did well.
    const speak = () => {
      for (const [, body] of w.outbox.entries('instance')) {
        const { attempt, failures } = body as InstanceRecord;
        void complete(w, attempt, failures === 0 ? 5 : 0);
      }
      return w.settle();
    };
    for (const at of [5_000, 25_000]) {
      if (stall_at !== undefined && w.journal.written() >= stall_at) break;
      await w.until(start + at);
      await speak();
    }
    if (stall_at === undefined) return w;
    await w.crash(kept);
    // Whoever got no answer asks again.
    for (let n = 0; n < 5 && runs(w).length === 0; n++) {
      await after(w, 15_000);
      await speak();
    }
    return w;
  };
  const whole = await play();
  t.is(runs(whole).length, 1);
  const there = whole.commits.findIndex((_, n) =>
    whole.committed.slice(0, whole.commits[n]).some(one => one.kind === 'run'),
  );
  let cuts = 0;
  for (let n = there; n < whole.commits.length - 1; n++)
    for (const kept of [whole.commits[n]!, whole.commits[n + 1]!]) {
      const w = await play(whole.commits[n]! + 1, kept);
      cuts += 1;
      const at = `cut at record ${whole.commits[n]}, ${kept} kept`;
      const ended = w.journal.page('finished-run', key, 10).rows.map(row => row.body as FinishedRun);
      t.deepEqual(
        ended.map(({ outcome, results }) => [outcome, results[0]!.failures, results[0]!.reason.code]),
        [['succeeded', 1, 'called-back']],
        at,
      );
      for (const id of w.launched) t.true(w.mesos.agents.launches(id) <= 1, `${at}: ${id} was launched twice`);
      t.deepEqual([...w.outbox.entries('run'), ...w.outbox.entries('instance')], [], at);
    }
  t.true(cuts > 10, `${cuts} cuts`);
});
