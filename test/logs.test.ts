// logs.test.ts: how much is logged, by whom, and the last of it at hand.

import test from 'ava';
import { log_modules, openLogs } from '../transport/logs.ts';

type Line = Readonly<Record<string, unknown>>;

function opened(level: 'debug' | 'info' | 'error' = 'info', lines_max = 100) {
  const written: string[] = [];
  const logs = openLogs(level, lines_max, { write: line => written.push(line) });
  return { logs, written, lines: () => written.map(line => JSON.parse(line) as Line) };
}

test('the level holds for all modules, and one of them may have its own until it is taken back', t => {
  const { logs, lines } = opened();
  const since = () => {
    const before = lines().length;
    for (const module of log_modules) logs.of(module).debug({}, 'closely');
    return lines()
      .slice(before)
      .map(line => line.module);
  };
  t.deepEqual(since(), []);
  t.deepEqual(logs.change({ modules: { http: 'debug' } }), { level: 'info', modules: { http: 'debug' } });
  t.deepEqual(since(), ['http']);
  logs.change({ level: 'debug' });
  t.deepEqual(since(), [...log_modules]);
  logs.change({ level: 'error', modules: { actors: 'trace' } });
  t.deepEqual(since(), ['actors', 'http'], 'what is left out stays as it is');
  t.deepEqual(logs.change({ modules: { http: null, actors: null } }), { level: 'error', modules: {} });
  t.deepEqual(since(), []);
});

test('a line that names a task names its job, run, instance and attempt too; one of somebody else names what it can', t => {
  const { logs, lines } = opened();
  logs.of('agent').info({ task: 'www:prod:hello:1.cron.abc:3:2', state: 'TASK_RUNNING' }, 'task');
  logs.of('agent').info({ task: 'strange' }, 'task');
  const [ours, theirs] = lines();
  const whose = { job: 'www/prod/hello', run: '1.cron.abc', instance: 3, attempt: 2 };
  t.like(ours, { module: 'agent', task: 'www:prod:hello:1.cron.abc:3:2', state: 'TASK_RUNNING', ...whose });
  t.is(theirs?.task, 'strange');
  t.false('job' in theirs!);
});

test('the last lines are at hand, so many and no longer than that, oldest first', t => {
  const { logs, written } = opened('info', 3);
  for (let n = 1; n <= 5; n++) logs.of('program').info({ n }, 'line');
  const numbers = () => logs.recent().map(line => (JSON.parse(line) as Line).n);
  t.deepEqual(numbers(), [3, 4, 5]);
  t.is(written.length, 5);
  logs.of('program').debug({ n: 6 }, 'not written');
  t.deepEqual(numbers(), [3, 4, 5]);
  logs.of('program').info({ long: 'x'.repeat(100_000) }, 'line');
  t.true(logs.recent().at(-1)!.length < 10_000);
  const none = opened('info', 0);
  none.logs.of('program').info({}, 'line');
  t.deepEqual(none.logs.recent(), []);
});
