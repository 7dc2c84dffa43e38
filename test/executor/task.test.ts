// task.test.ts: what a task of several processes comes to, and what happens on the way.

import test from 'ava';
import { exit, killed, shell, stage, task } from './support/stage.ts';

test('processes start when all before them have succeeded, the others at once', t => {
  const play = stage(task({ processes: ['a', 'b', 'c', 'd'].map(name => shell(name)), order: [['a', 'b', 'c']] }));
  t.deepEqual(play.done(), ['TASK_STARTING', 'start a 0', 'start d 0', 'TASK_RUNNING']);
  play.end('a', exit(0));
  t.deepEqual(play.done(), ['start b 0']);
  play.end('b', exit(0));
  play.end('d', exit(0));
  t.deepEqual(play.done(), ['start c 0']);
  play.end('c', exit(0));
  t.deepEqual(play.done(), ['sweep', 'TASK_FINISHED']);
});

test('no more processes run at a time than the task says', t => {
  const play = stage(task({ processes: ['a', 'b', 'c'].map(name => shell(name)), max_concurrency: 2 }));
  t.deepEqual(play.done().slice(1, 3), ['start a 0', 'start b 0']);
  play.end('b', exit(0));
  t.deepEqual(play.done(), ['TASK_RUNNING', 'start c 0'].slice(1));
});

test('case 129: ephemeral, daemon and final: a task completes when the regular ones are done, and final ran once', t => {
  const play = stage(
    task({
      processes: [shell('work'), shell('metrics', { ephemeral: true, daemon: true }), shell('tidy', { final: true })],
      max_failures: 1,
    }),
  );
  t.deepEqual(play.done(), ['TASK_STARTING', 'start work 0', 'start metrics 0', 'TASK_RUNNING']);
  play.end('metrics', exit(0));
  t.deepEqual(play.done(), ['start metrics 1'], 'a daemon that succeeds is started again');
  play.end('work', exit(0));
  t.deepEqual(play.done(), ['SIGTERM metrics 1']);
  play.end('metrics', exit(143));
  t.deepEqual(play.done(), ['start tidy 0']);
  play.end('tidy', exit(0));
  t.deepEqual(play.done(), ['sweep', 'TASK_FINISHED']);
});

test('case 130: a process that is SIGKILLed is run again and not counted as failed', t => {
  const play = stage(task({ processes: [shell('web', { min_duration_ms: 5_000 })] }));
  play.done();
  play.end('web', killed);
  t.deepEqual(play.done(), [], 'it rests first');
  play.pass(4_999);
  t.deepEqual(play.done(), []);
  play.pass(1);
  t.deepEqual(play.done(), ['start web 1']);
  t.like(play.state().processes.web, { failures: 0, losses: 1, runs: 2 });
});

test('a run whose end nobody saw is lost, not failed', t => {
  const play = stage(task({ processes: [shell('web')] }));
  play.end('web', { type: 'unknown' });
  t.like(play.state().processes.web, { failures: 0, losses: 1, runs: 2, status: 'running' });
});

test('case 131: after two failures of three there is a third try; when it fails too, the task fails', t => {
  const play = stage(task({ processes: [shell('web', { max_failures: 3 }), shell('other')], max_failures: 1 }));
  play.done();
  play.end('web', exit(3));
  play.end('web', exit(4));
  t.deepEqual(play.done(), ['start web 1', 'start web 2']);
  play.end('web', exit(5));
  t.deepEqual(play.done(), ['SIGTERM other 0']);
  play.end('other', exit(0));
  t.deepEqual(play.done(), ['sweep', 'TASK_FAILED']);
  t.deepEqual(play.verdict(), {
    outcome: 'failed',
    message: 'Command exited with status 5: process "web" failed 3 of 3 times',
  });
});

test('a process that may fail for ever is tried for ever, a hundred times', t => {
  const play = stage(task({ processes: [shell('web', { max_failures: 0 })] }));
  for (let run = 0; run < 99; run++) play.end('web', exit(1));
  t.like(play.state().processes.web, { status: 'running', runs: 100 });
  play.end('web', killed);
  t.is(play.verdict()?.message, 'Command terminated with signal Killed: process "web" failed after 100 runs');
});

test('who waits for somebody who failed waits for ever, and then the task fails, although it may have failures', t => {
  const play = stage(task({ processes: [shell('a'), shell('b')], order: [['a', 'b']], max_failures: 0 }));
  play.end('a', exit(1));
  t.regex(play.verdict()!.message!, /^Command exited with status 1: .*; what is left waits for it$/);
});

test('a task that may have any number of failures is finished when everybody is done', t => {
  const play = stage(task({ processes: [shell('a'), shell('b')], max_failures: 0 }));
  play.end('a', exit(1));
  t.is(play.verdict(), undefined);
  play.end('b', exit(1));
  t.is(play.verdict()?.outcome, 'finished');
});

test('the failure of an ephemeral process is nobody’s', t => {
  const play = stage(task({ processes: [shell('a'), shell('e', { ephemeral: true })] }));
  play.end('e', exit(1));
  t.is(play.verdict(), undefined);
  play.end('a', exit(0));
  t.is(play.verdict()?.outcome, 'finished');
});

test('a kill is SIGTERM, then final processes, then SIGKILL, all within the finalization wait', t => {
  const play = stage(task({ processes: [shell('web'), shell('tidy', { final: true })], finalization_wait_ms: 10_000 }));
  play.done();
  play.tell({ type: 'kill' });
  t.deepEqual(play.done(), ['TASK_KILLING', 'SIGTERM web 0']);
  play.pass(4_000);
  play.end('web', exit(143));
  t.deepEqual(play.done(), ['start tidy 0']);
  play.pass(5_999);
  t.deepEqual(play.done(), []);
  play.pass(1);
  t.deepEqual(play.done(), ['SIGKILL tidy 0']);
  play.end('tidy', killed);
  t.deepEqual(play.done(), ['sweep', 'TASK_KILLED']);
});

test('who ignores SIGTERM gets SIGKILL when the wait is over, again and again, and final processes no time', t => {
  const play = stage(task({ processes: [shell('web'), shell('tidy', { final: true })], finalization_wait_ms: 1_000 }));
  play.tell({ type: 'kill' });
  play.done();
  play.pass(2_500);
  t.deepEqual(play.done(), ['SIGKILL web 0', 'SIGKILL web 0']);
  play.end('web', killed);
  t.deepEqual(play.done(), ['sweep', 'TASK_KILLED']);
});

test('a second kill can only make it shorter, and a kill’s own grace period counts', t => {
  const play = stage(task({ processes: [shell('web')] }));
  play.tell({ type: 'kill', grace_ms: 20_000 });
  play.tell({ type: 'kill', grace_ms: 50_000 });
  t.is(play.state().until, 20_000);
  play.tell({ type: 'kill', grace_ms: 1_000 });
  t.is(play.state().until, 1_000);
});

test('a task with a lifecycle is asked to go, asked again, and then told', t => {
  const play = stage(task({ processes: [shell('web')], ports: ['health'], lifecycle: {} }));
  play.done();
  play.tell({ type: 'kill' });
  t.deepEqual(play.done(), ['TASK_KILLING', 'asking']);
  play.pass(5_000);
  t.deepEqual(play.done(), ['insisting']);
  play.pass(5_000);
  t.deepEqual(play.done(), ['SIGTERM web 0']);
  play.pass(30_000);
  t.deepEqual(play.done(), ['SIGKILL web 0']);
});

test('a request to go that nobody answers is not waited for, and a task that goes when asked is left in peace', t => {
  const document = task({ processes: [shell('web')], ports: ['health'], lifecycle: {} });
  const deaf = stage(document);
  deaf.tell({ type: 'kill' });
  deaf.tell({ type: 'answered', stage: 'asking', answered: false });
  deaf.tell({ type: 'answered', stage: 'insisting', answered: false });
  t.deepEqual(deaf.done().slice(3), ['TASK_KILLING', 'asking', 'insisting', 'SIGTERM web 0']);
  const polite = stage(document);
  polite.tell({ type: 'kill' });
  polite.tell({ type: 'answered', stage: 'asking', answered: true });
  polite.end('web', exit(0));
  t.deepEqual(polite.done().slice(3), ['TASK_KILLING', 'asking', 'sweep', 'TASK_KILLED']);
});

const checked = { checker: { type: 'tcp', port: 'http' }, interval_ms: 10_000 };

test('a task with a health check is running when it is healthy, not before', t => {
  const play = stage(task({ processes: [shell('web')], ports: ['http'], health: checked }));
  t.deepEqual(play.done(), ['TASK_STARTING', 'start web 0', 'check'], 'the first check comes at once');
  play.tell({ type: 'checked', checked: { ok: false, why: 'refused' } });
  play.pass(9_999);
  t.deepEqual(play.done(), []);
  play.pass(1);
  t.deepEqual(play.done(), ['check']);
  play.tell({ type: 'checked', checked: { ok: true } });
  t.deepEqual(play.done(), ['TASK_RUNNING']);
});

test('a task that is sick is asked to go like one that is killed, and has failed', t => {
  const play = stage(
    task({ processes: [shell('web')], ports: ['http'], health: checked, lifecycle: { port: 'http' } }),
  );
  for (let attempt = 0; attempt < 3; attempt++) {
    play.tell({ type: 'checked', checked: { ok: false, why: 'refused' } });
    play.pass(10_000);
  }
  t.true(play.done().includes('asking'));
  play.end('web', exit(0));
  t.deepEqual(play.done().slice(-2), ['sweep', 'TASK_FAILED']);
  t.deepEqual(play.verdict(), {
    outcome: 'failed',
    message: 'Not enough successful health checks in time. refused',
    healthy: false,
  });
});

test('case 127: while a snooze file is there a failing endpoint is ignored; it makes nobody healthy, and it is shown', t => {
  const play = stage(task({ processes: [shell('web')], ports: ['http'], health: checked }));
  for (let attempt = 0; attempt < 20; attempt++) {
    play.tell({ type: 'snoozed', snooze: {} });
    play.pass(10_000);
  }
  t.is(play.state().stage, 'active');
  t.false(play.state().up, 'a snooze is no proof of health');
  t.like(play.state().check?.snoozed, { since: 0 });
  play.tell({ type: 'checked', checked: { ok: true } });
  t.true(play.state().up);
  t.is(play.state().check?.snoozed, undefined);
});

test('a task that runs for longer than it may has failed, with the reason that Mesos has for it', t => {
  const play = stage(task({ processes: [shell('web')] }), [], { max_completion_ms: 60_000 });
  play.pass(59_999);
  t.is(play.state().stage, 'active');
  play.pass(1);
  t.is(play.done().at(-1), 'SIGTERM web 0');
  play.end('web', exit(143));
  t.like(play.verdict(), { outcome: 'failed', reason: 'REASON_MAX_COMPLETION_TIME_REACHED' });
});

test('case 132: from every prefix of its records a task goes on, and no run that was done is done again', t => {
  const document = task({
    processes: [shell('a'), shell('b', { max_failures: 2 }), shell('c'), shell('tidy', { final: true })],
    order: [['a', 'b', 'c']],
  });
  const whole = stage(document);
  whole.end('a', exit(0));
  whole.end('b', exit(1));
  whole.end('b', exit(0));
  whole.tell({ type: 'kill' });
  whole.end('c', exit(143));
  whole.end('tidy', exit(0));
  t.is(whole.verdict()?.outcome, 'killed');
  const records = whole.records();
  t.true(records.length > 12);
  for (let cut = 0; cut <= records.length; cut++) {
    const before = records.slice(0, cut);
    const play = stage(document, before);
    const ended_before = before.filter(record => record.kind === 'ended').length;
    // Whoever was alive when the records stop is still alive, or lost: here it ends well.
    for (let turn = 0; turn < 20 && play.verdict() === undefined; turn++)
      for (const [name, of] of Object.entries(play.state().processes))
        if (of.status === 'running' || of.status === 'forked') play.end(name, exit(0));
    const runs = play.records().filter(record => record.kind === 'forked');
    const ends = play.records().filter(record => record.kind === 'ended');
    t.is(runs.length, ends.length, `cut at ${cut}`);
    t.true(ends.length >= ended_before);
    const succeeded = ends.filter(
      record => record.ending.type === 'exit' && 'code' in record.ending.exit && record.ending.exit.code === 0,
    );
    t.is(
      new Set(succeeded.map(record => record.process)).size,
      succeeded.length,
      `cut at ${cut}: nobody succeeds twice`,
    );
    t.is(runs.filter(record => record.process === 'tidy').length, 1, `cut at ${cut}`);
  }
});

test('a process of which nothing is seen for a minute is given up, and run again', t => {
  const play = stage(task({ processes: [shell('web')] }));
  const forked_only = play.records().filter(record => record.kind === 'forked');
  const blind = stage(task({ processes: [shell('web')] }), forked_only);
  blind.done();
  blind.pass(60_000);
  t.deepEqual(blind.done(), ['abandon web 0']);
  blind.end('web', { type: 'unknown' });
  t.deepEqual(blind.done(), ['start web 1', 'TASK_RUNNING']);
});

test('when the executor itself has to go, everybody gets SIGTERM at once and SIGKILL in time', t => {
  const play = stage(task({ processes: [shell('web')], ports: ['health'], lifecycle: {} }));
  play.done();
  play.tell({ type: 'hurry', within_ms: 4_000, why: 'the agent says so' });
  t.deepEqual(play.done(), ['SIGTERM web 0']);
  play.pass(4_000);
  t.deepEqual(play.done(), ['SIGKILL web 0']);
  play.end('web', killed);
  t.deepEqual(play.verdict(), { outcome: 'killed', message: 'the agent says so' });
});

const announced = (more: object = {}) =>
  stage(task({ processes: [shell('web'), shell('side')], ports: ['http'], withdraw_wait_ms: 5_000, ...more }));

test('case 134: a task that others find by its name is off their list before SIGTERM, whoever ends it', t => {
  const killed_one = announced({ lifecycle: { port: 'http' } });
  killed_one.done();
  killed_one.tell({ type: 'kill' });
  t.deepEqual(killed_one.done(), ['TASK_KILLING', 'withdraw']);
  killed_one.tell({ type: 'withdrawn' });
  t.deepEqual(killed_one.done(), ['asking'], 'asked to go only now');
  const failed_one = announced();
  failed_one.done();
  failed_one.end('web', exit(1));
  t.deepEqual(failed_one.done(), ['withdraw']);
  failed_one.tell({ type: 'withdrawn' });
  t.deepEqual(failed_one.done(), ['SIGTERM side 0']);
  failed_one.end('side', exit(0));
  t.is(failed_one.verdict()?.outcome, 'failed');
});

test('a scheduler that does not answer is waited for, but not for ever; who is gone by then is gone', t => {
  const patient = announced();
  patient.done();
  patient.tell({ type: 'kill' });
  patient.pass(4_999);
  t.deepEqual(patient.done(), ['TASK_KILLING', 'withdraw']);
  patient.pass(1);
  t.deepEqual(patient.done(), ['SIGTERM web 0', 'SIGTERM side 0']);
  const gone = announced();
  gone.tell({ type: 'kill' });
  gone.end('web', exit(0));
  gone.end('side', exit(0));
  t.is(gone.verdict()?.outcome, 'killed');
});

test('when the executor has to go in a hurry nobody is waited for', t => {
  const play = announced();
  play.done();
  play.tell({ type: 'hurry', within_ms: 1_000, why: 'the agent says so' });
  t.deepEqual(play.done(), ['SIGTERM web 0', 'SIGTERM side 0']);
});

test('a request to withdraw that may have got lost is repeated when the scheduler can be spoken to again', t => {
  const play = announced();
  play.tell({ type: 'kill' });
  const again = stage(play.state().document, play.records());
  t.deepEqual(again.done(), [], 'nobody can hear yet');
  again.tell({ type: 'connected' });
  t.deepEqual(again.done(), ['withdraw']);
});
