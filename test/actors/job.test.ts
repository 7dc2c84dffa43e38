// job.test.ts: what a job makes of its runs, and of those who want to change it.

import test from 'ava';
import type { Effect, JobBirth } from '../../actors/effects.ts';
import { type JobMessage, type JobState, job, newJob } from '../../actors/job/job.ts';
import type { Command } from '../../actors/model/commands.ts';
import { readJob } from '../../actors/model/job.ts';
import type { InstanceRecord, JobRecord, RunRecord } from '../../actors/model/records.ts';

const now = Date.UTC(2026, 0, 1);
const key = 'www/prod/hello';
const base = { role: 'www', environment: 'prod', name: 'hello', command: 'true' };

function documentOf(more: object = {}) {
  const read = readJob({ ...base, ...more });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  return read.value;
}
const recordOf = (more: object = {}, also: Partial<JobRecord> = {}): JobRecord => ({
  job: documentOf(more),
  incarnation: 1,
  version: 1,
  created_at: now,
  updated_at: now,
  ...also,
});
const runOf = (run: string, instances = 1, also: Partial<RunRecord> = {}): RunRecord => ({
  run,
  cause: run.endsWith('service') ? { type: 'service' } : { type: 'once' },
  instances,
  created_at: now,
  ...also,
});
type Instances = JobBirth['runs'][number]['instances'];
const over = (attempt = 1, outcome: 'succeeded' | 'failed' | 'killed' = 'succeeded', by = 'ann') =>
  ({
    status: 'over',
    attempt,
    failures: 0,
    since: now,
    outcome,
    reason: outcome === 'killed' ? { code: 'killed', by } : { code: 'exited', exit_code: outcome === 'failed' ? 1 : 0 },
  }) as const satisfies InstanceRecord;
const running = (version: number): InstanceRecord => ({
  status: 'running',
  attempt: 1,
  failures: 0,
  since: now,
  agent_id: 'S0',
  hostname: 'h0',
  version,
  started_at: now,
});

/** A job in its tree: `told` is what it says, short. */
function house(record: JobRecord, ...runs: (readonly [RunRecord, Instances?])[]) {
  const birth: JobBirth = {
    key,
    record,
    tally: undefined,
    trigger: undefined,
    runs: runs.map(([run, instances = []]) => ({ record: run, instances })),
  };
  let state: JobState = newJob(birth);
  let passed_ms = 0;
  const take = (message: JobMessage): readonly string[] => {
    const next = job(state, message, now + passed_ms);
    state = next.state;
    return next.effects.flatMap(brief);
  };
  return {
    state: () => state,
    wait(ms: number) {
      passed_ms += ms;
    },
    take,
    begin: () => take({ type: 'begin', birth }),
    ask: (command: Command) =>
      take({ type: 'command', envelope: { command, principal: { name: 'ann' }, request_id: 'r' } }),
    over: (index: number, how = over(), run = '1.service') => take({ type: 'instance-over', run, index, record: how }),
    runs: (index: number, version: number) =>
      take({ type: 'instance-running', run: '1.service', index, version, failures: 0 }),
  };
}
const begun = (...given: Parameters<typeof house>) => {
  const one = house(...given);
  one.begin();
  return one;
};

/** What an effect says; audit, counts and log lines aside. */
function brief(effect: Effect): string[] {
  switch (effect.type) {
    case 'record':
      if (effect.kind === 'audit') return [];
      if (effect.kind === 'finished-run') return [`finished ${effect.body?.outcome}`];
      return [
        `${effect.body === undefined ? '-' : '+'}${effect.kind}${effect.kind === 'instance' ? ` ${effect.key.at(-1)}` : ''}`,
      ];
    case 'spawn-instance':
      return [`spawn ${effect.state.index}`];
    case 'stop-instance':
      return [`stop ${effect.key.at(-1)}`];
    case 'reply':
      return [`says ${'code' in effect.answer ? effect.answer.code : effect.answer.type}`];
    case 'tell': {
      const { message } = effect;
      const name = message.type === 'kill' && message.replace ? 'replace' : message.type;
      const hurry = message.type === 'kill' && !message.grace ? ' at once' : '';
      return [`${effect.to === 'instance' ? `${name} ${effect.key.at(-1)}${hurry}` : `${effect.to} ${name}`}`];
    }
    case 'spawn-trigger':
    case 'stop-job':
      return [effect.type];
    default:
      return [];
  }
}
const says = (effects: readonly string[]) => effects.findLast(one => one.startsWith('says'))?.slice(5);

test('a run that was recorded gets its instances, also after the world ended in between', t => {
  const one = house(recordOf(), [runOf('1.once', 3), [{ index: 1, record: over() }]]);
  t.deepEqual(one.begin(), ['spawn-trigger', 'spawn 0', 'spawn 2']);
});

test('the last instance closes the run: history, tally and the end of its records in one step', t => {
  const one = begun(recordOf(), [runOf('1.once', 2)]);
  t.deepEqual(one.over(0, over(), '1.once'), ['stop 0']);
  t.deepEqual(one.over(1, over(1, 'failed'), '1.once'), [
    'stop 1',
    'finished failed',
    '-instance 0',
    '-instance 1',
    '-run',
    '+tally',
    'trigger run-ended',
  ]);
  t.like(one.state().tally, { failures: 1, failures_since_success: 1, successes: 0 });
  t.deepEqual(one.over(1, over(), '1.once'), [], 'told again: nothing');
});

test('a run that is told twice is begun once', t => {
  const one = begun(recordOf({ cron: '* * * * *' }));
  t.deepEqual(one.take({ type: 'started', run: runOf('1.s0.a', 2) }), ['spawn 0', 'spawn 1']);
  t.deepEqual(one.take({ type: 'started', run: runOf('1.s0.a', 2) }), []);
});

test('a kill is recorded with the run, goes to everyone who lives, and is not repeated', t => {
  const one = begun(recordOf(), [runOf('1.once', 3), [{ index: 0, record: over() }]]);
  t.deepEqual(one.ask({ type: 'kill-run', key, run: '1.once' }), ['+run', 'kill 1', 'kill 2', 'says killing']);
  t.deepEqual(one.ask({ type: 'kill-run', key, run: '1.once' }), ['says killing']);
  // What it does not know itself, its trigger may know as waiting.
  t.deepEqual(one.ask({ type: 'kill-all', key }), ['trigger withdraw']);
  t.deepEqual(one.ask({ type: 'kill-run', key, run: '1.never' }), ['trigger withdraw']);
});

test('a run that must go at once is hurried, even when it was asked kindly before', t => {
  const one = begun(recordOf(), [runOf('1.once', 2)]);
  one.ask({ type: 'kill-all', key });
  const hurry = { type: 'make-way', runs: ['1.once'], by: 'overlap', grace: false } as const;
  t.deepEqual(one.take(hurry), ['+run', 'kill 0 at once', 'kill 1 at once']);
  t.deepEqual(one.take(hurry), []);
});

test('a kill that was recorded is carried out after a restart, with its haste', t => {
  const killing = { by: 'ann', at: now, at_once: true } as const;
  const one = house(recordOf(), [runOf('1.once', 2, { killing }), [{ index: 0, record: running(1) }]]);
  t.deepEqual(one.begin(), ['spawn-trigger', 'spawn 0', 'kill 0 at once', 'spawn 1', 'kill 1 at once']);
});

test('a write is refused unless it is about the version that is there', t => {
  const one = begun(recordOf({ cron: '* * * * *' }));
  const replace = (if_version: number) =>
    one.ask({ type: 'submit', mode: 'replace', job: documentOf({ cpus: 2 }), if_version });
  t.is(says(replace(7)), 'version-mismatch');
  t.deepEqual(replace(1).at(-1), 'says replaced');
  t.is(says(replace(1)), 'version-mismatch');
  t.is(says(replace(2)), 'unchanged');
  t.is(says(one.ask({ type: 'delete', key, if_version: 1 })), 'version-mismatch');
});

test('a job that is replaced while a run is active leaves that run as it was begun', t => {
  const one = begun(recordOf({ cron: '* * * * *' }));
  one.take({ type: 'started', run: runOf('1.s0.a') });
  const effects = one.ask({ type: 'submit', mode: 'replace', job: documentOf({ cron: '* * * * *', cpus: 2 }) });
  t.deepEqual(effects, ['+job', '+run', 'trigger changed', 'says replaced']);
  t.like(one.state().runs.get('1.s0.a')?.record, { job: { cpus: 0.1 }, version: 1 });
});

test('a job cannot become a service, nor a service a job', t => {
  t.is(says(begun(recordOf()).ask({ type: 'submit', mode: 'replace', job: documentOf({ service: true }) })), 'invalid');
});

test('a start by hand needs a name that can stand in a task id', t => {
  const one = begun(recordOf({ cron: '* * * * *' }));
  t.deepEqual(one.ask({ type: 'start-run', key, request: 'a-1' }), ['trigger start']);
  for (const request of ['', 'a/b', 'a:b', 'x'.repeat(33)])
    t.is(says(one.ask({ type: 'start-run', key, request })), 'invalid');
});

test('a deleted job goes when its runs are over and everybody has written the last letter', t => {
  const one = begun(recordOf({ cron: '* * * * *' }), [runOf('1.s0.a')]);
  t.deepEqual(one.ask({ type: 'delete', key }), [
    '+job',
    'directory leaving',
    'trigger close',
    '+run',
    'kill 0',
    'says deleted',
  ]);
  t.is(says(one.ask({ type: 'kill-all', key })), 'not-found');
  t.deepEqual(one.take({ type: 'started', run: runOf('1.s0.b') }), ['spawn 0'], 'it was on its way');
  t.deepEqual(one.take({ type: 'dismissed' }), []);
  one.over(0, over(1, 'killed'), '1.s0.a');
  t.deepEqual(one.take({ type: 'closed' }), [], 'one run is left');
  t.deepEqual(one.over(0, over(), '1.s0.b').slice(-5), ['-trigger', '-tally', '-job', 'stop-job', 'directory gone']);
});

test('a deletion that was interrupted goes on', t => {
  const one = house(recordOf({ cron: '* * * * *' }, { deleting: true }));
  t.deepEqual(one.begin(), ['spawn-trigger', 'directory leaving', 'trigger close']);
  one.take({ type: 'closed' });
  t.true(one.take({ type: 'dismissed' }).includes('stop-job'));
});

const service = (instances: number, more: object = {}) => documentOf({ service: true, instances, ...more });
const put = (one: ReturnType<typeof house>, instances: number, more: object = {}) =>
  one.ask({ type: 'submit', mode: 'replace', job: service(instances, more) });
const serving = (instances: number, more: object = {}) =>
  begun(recordOf({ service: true, instances, ...more }), [
    runOf('1.service', instances),
    Array.from({ length: instances }, (_, index) => ({ index, record: running(1) })),
  ]);

test('a service grows and shrinks without touching those that stay', t => {
  const one = serving(2);
  t.deepEqual(put(one, 3), ['+job', '+run', 'reconfigured 0', 'reconfigured 1', 'spawn 2', 'says replaced']);
  t.deepEqual(put(one, 1), ['+job', '+run', 'reconfigured 0', 'kill 1', 'kill 2', 'says replaced']);
  t.deepEqual(one.over(2, over(1, 'killed', 'resized')), ['stop 2']);
});

test('an instance that comes back after a service has shrunk goes on counting its attempts', t => {
  const one = serving(2);
  put(one, 1);
  one.over(1, over(4, 'killed', 'resized'));
  t.deepEqual(put(one, 2), ['+job', '+run', 'reconfigured 0', '+instance 1', 'spawn 1', 'says replaced']);
  const early = serving(2);
  put(early, 1);
  put(early, 2);
  t.deepEqual(early.over(1, over(4, 'killed', 'resized')), ['stop 1', '+instance 1', 'spawn 1'], 'before it had ended');
});

test('a service that is deleted waits for those that left when it shrank', t => {
  const one = serving(2);
  put(one, 1);
  one.ask({ type: 'delete', key });
  one.take({ type: 'dismissed' });
  t.false(one.over(0, over(1, 'killed')).includes('stop-job'));
  const last = one.over(1, over(1, 'killed', 'resized'));
  t.true(last.includes('-instance 0') && last.includes('-instance 1') && last.includes('stop-job'));
});

test('a shrinking that was interrupted goes on', t => {
  const one = house(recordOf({ service: true }), [
    runOf('1.service', 1),
    [0, 1].map(index => ({ index, record: running(1) })),
  ]);
  t.deepEqual(one.begin(), ['spawn 0', 'spawn 1', 'kill 1']);
});

test('a service that changes while its run is being killed waits for nobody but those who live', t => {
  const one = serving(2);
  one.ask({ type: 'kill-all', key });
  one.over(0, over(1, 'killed'));
  t.deepEqual(put(one, 4, { cpus: 2 }), ['+job', 'says replaced']);
  t.true(one.over(1, over(1, 'killed')).includes('-run'));
});

test('a new version replaces a service one instance at a time, each when the one before runs', t => {
  const one = serving(3);
  const effects = put(one, 3, { command: 'false' });
  t.deepEqual(
    effects.filter(effect => effect.startsWith('replace')),
    ['replace 0'],
  );
  t.deepEqual(one.runs(0, 1), [], 'the old version, told late');
  t.deepEqual(one.runs(0, 2), ['replace 1']);
  t.deepEqual(one.runs(1, 2), ['replace 2']);
  t.deepEqual(one.runs(2, 2), []);
  t.is(one.state().rollout, undefined);
});

test('what no process can notice restarts none', t => {
  const one = serving(2);
  for (const more of [
    { description: 'x' },
    { priority: 3 },
    { retry_delay_ms: 5 },
    { kill_grace_ms: 9 },
    { enabled: false },
  ])
    t.false(
      put(one, 2, more).some(effect => effect.startsWith('replace')),
      JSON.stringify(more),
    );
  t.true(put(serving(2), 2, { env: { A: '1' } }).includes('replace 0'));
});

test('whatever a task is launched with is a reason to begin it anew', t => {
  const container = { image: 'busybox:1.36' };
  for (const more of [
    { container },
    { user: 'www-data' },
    { rlimits: { nofile: 64 } },
    { fetch: [{ uri: 'https://example.org/a.tgz' }] },
    { secrets: [{ name: 'token', env: 'TOKEN' }] },
    { shell: false },
    { arguments: ['--fast'] },
    { variables: 'chronos' },
    { executor: { id: 'own', command: './own' } },
  ])
    t.true(put(serving(2), 2, more).includes('replace 0'), JSON.stringify(more));
  const other = serving(2, { container });
  t.true(put(other, 2, { container: { image: 'busybox:1.37' } }).includes('replace 0'), 'another image');
});

test('a rollout that is overtaken by another begins with the instance that is down, so that no second one is', t => {
  const one = serving(3);
  put(one, 3, { command: 'v2' });
  one.runs(0, 2);
  const effects = put(one, 3, { command: 'v3' });
  t.deepEqual(
    effects.filter(effect => effect.startsWith('replace')),
    ['replace 1'],
  );
  t.deepEqual(one.runs(1, 2), [], 'it had been given the second version already');
  t.deepEqual(one.runs(1, 3), ['replace 0']);
});

test('a rollout outlives a change that it need not follow, and a shrinking of the one under way', t => {
  const one = serving(3);
  put(one, 3, { command: 'v2' });
  put(one, 3, { command: 'v2', description: 'x' });
  t.deepEqual(one.runs(0, 2), ['replace 1'], 'the second version is as good as the third');
  one.runs(1, 3);
  put(one, 2, { command: 'v2', description: 'x' });
  t.is(one.state().rollout, undefined);
});

test('a rollout that was interrupted goes on with whoever is old', t => {
  const old = recordOf({ service: true, instances: 3 }, { version: 3, launch_version: 2 });
  const under_way: InstanceRecord = {
    ...running(1),
    status: 'killing',
    by: 'replaced',
    replace: true,
  } as InstanceRecord;
  const one = house(old, [
    runOf('1.service', 3),
    [
      { index: 0, record: running(1) },
      { index: 1, record: under_way },
      { index: 2, record: running(2) },
    ],
  ]);
  t.deepEqual(one.begin(), ['spawn 0', 'spawn 1', 'spawn 2', 'replace 1']);
  t.deepEqual(one.runs(1, 3), ['replace 0']);
});

test('beginning again after a crash begins nothing twice', t => {
  const one = begun(recordOf({ cron: '* * * * *' }), [runOf('1.s0.a')]);
  one.over(0, over(), '1.s0.a');
  t.deepEqual(one.begin(), ['spawn-trigger'], 'what has ended since is not spawned');
});

test('a service that was stopped starts again by hand, once per request, and never under an old id', t => {
  const one = serving(1);
  const start = () => one.ask({ type: 'start-run', key, request: 'a' });
  const run = () => [...one.state().runs.keys()].at(-1)!;
  one.ask({ type: 'kill-all', key });
  t.is(says(start()), 'already-running');
  one.over(0, over(1, 'killed'));
  t.is(says(start()), 'started');
  t.is(says(start()), 'existing');
  const first = run();
  one.ask({ type: 'kill-all', key });
  one.over(0, over(1, 'killed'), first);
  one.wait(1);
  t.is(says(start()), 'started');
  t.not(run(), first);
});
