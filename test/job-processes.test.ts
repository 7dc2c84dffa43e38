// job-processes.test.ts: what a job may say of its processes, its health and its end, and what is refused when it is submitted.

import test from 'ava';
import { type Job, readJob } from '../actors/model/job.ts';
import { taskOf } from '../actors/model/processes.ts';

const base = { role: 'www', environment: 'prod', name: 'hello' };
const job = (more: object): Job => {
  const read = readJob({ ...base, ...more });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.value;
};
const problems = (more: object) => {
  const read = readJob({ ...base, ...more });
  return read.ok ? [] : read.problems;
};
const two = [
  { name: 'first', command: 'true' },
  { name: 'second', command: 'true' },
];

test('processes run one after the other as they stand, when no order is given', t => {
  const processes = [
    ...two,
    { name: 'logs', command: 'tail', ephemeral: true },
    { name: 'tidy', command: 'rm', final: true },
  ];
  t.deepEqual(taskOf(job({ processes })).order, [['first', 'second']]);
  t.deepEqual(taskOf(job({ processes, order: [] })).order, [], 'all at once, if that is what is wanted');
});

test('everything that the executor takes passes through a job, and a job read again says the same', t => {
  const said = {
    processes: [
      { name: 'first', command: 'true', max_failures: 0, min_duration_ms: 10, logger: { mode: 'rotate', backups: 2 } },
      { name: 'second', command: 'serve {{thermos.ports[http]}}', daemon: true },
    ],
    order: [['first', 'second']],
    max_process_failures: 2,
    max_concurrency: 3,
    health_check: { checker: { type: 'http', port: 'http', expected_code: 200 }, interval_ms: 500 },
    lifecycle: { port: 'http', graceful_wait_ms: 100 },
    finalization_wait_ms: 7_000,
  };
  const read = job(said);
  const task = taskOf(read);
  t.like(task, { max_failures: 2, max_concurrency: 3, finalization_wait_ms: 7_000, ports: ['http'] });
  t.like(task.processes[0], { max_failures: 0, min_duration_ms: 10, logger: { mode: 'rotate', backups: 2 } });
  t.like(task.health, {
    interval_ms: 500,
    checker: { type: 'http', port: 'http', path: '/health', expected_code: 200 },
  });
  t.like(task.lifecycle, { port: 'http', graceful_path: '/quitquitquit', graceful_wait_ms: 100 });
  const again = readJob(JSON.parse(JSON.stringify(read)));
  t.true(again.ok);
  t.is(JSON.stringify(again.ok && again.value), JSON.stringify(read));
});

test('a port that only a template names is asked for all the same', t => {
  const templates = 'serve {{thermos.ports[http]}} {{thermos.ports[admin]}}';
  t.deepEqual(job({ command: templates, ports: ['other', 'http'] }).ports, ['other', 'http', 'admin']);
  const processes = [{ name: 'serve', command: templates }];
  t.deepEqual(job({ processes, env: { X: '{{thermos.ports[x]}}' } }).ports, ['admin', 'http', 'x']);
});

test('a plain command has three seconds between SIGTERM and SIGKILL, processes have thirty, and a job may say otherwise', t => {
  t.is(job({ command: 'true' }).kill_grace_ms, 3_000);
  t.is(job({ processes: two }).kill_grace_ms, 30_000);
  t.is(job({ processes: two, kill_grace_ms: 5 }).kill_grace_ms, 5);
  t.is(taskOf(job({ processes: two, kill_grace_ms: 5 })).finalization_wait_ms, 5);
  t.like(problems({ processes: two, kill_grace_ms: 5, finalization_wait_ms: 6 }), [{ place: '/finalization_wait_ms' }]);
});

test('whose braces are not ours keeps them, in a plain command', t => {
  t.is(job({ command: 'docker inspect -f "{{.State}}" {{&x}}' }).command, 'docker inspect -f "{{.State}}" {{&x}}');
});

const refused: readonly (readonly [what: string, more: object, place: string, message: RegExp])[] = [
  [
    'an order that goes round in a circle',
    {
      processes: two,
      order: [
        ['first', 'second'],
        ['second', 'first'],
      ],
    },
    '/order',
    /no beginning: first -> second -> first|no beginning: second -> first -> second/,
  ],
  [
    'a process that comes after a daemon',
    { processes: [{ ...two[0], daemon: true }, two[1]], order: [['first', 'second']] },
    '/order/0/1',
    /a daemon, which never ends/,
  ],
  [
    'a process that nobody knows in the order',
    { processes: two, order: [['third']] },
    '/order/0/0',
    /no process "third"/,
  ],
  ['a name with a slash', { processes: [{ name: 'a/b', command: 'true' }] }, '/processes/0/name', /a\/b/],
  ['a name twice', { processes: [two[0], two[0]] }, '/processes/1/name', /named twice/],
  [
    'nothing that the task could wait for',
    { processes: [{ ...two[0], final: true }] },
    '/processes',
    /nothing that the task could wait for/,
  ],
  [
    'a blank that nobody can fill in',
    { processes: [{ name: 'a', command: 'echo {{mesos.instanze}}' }] },
    '/processes/0/command',
    /nobody knows what \{\{mesos.instanze\}\} is/,
  ],
  ['the same in a plain command', { command: 'echo {{thermos.usr}}' }, '/command', /nobody knows what/],
  ['the same in a variable', { command: 'true', env: { A: '{{thermos.usr}}' } }, '/env/A', /nobody knows what/],
  [
    'the same in a command whose health is looked at',
    { command: 'echo {{x}}', health_check: { checker: { type: 'shell', command: 'true' } } },
    '/command',
    /nobody knows what \{\{x\}\} is/,
  ],
  [
    'a health check of a port that is not asked for',
    { command: 'true', health_check: { checker: { type: 'tcp', port: 'http' } } },
    '/health_check/checker/port',
    /"http", which the task does not ask for/,
  ],
  [
    'a health check of a kind that there is not',
    { command: 'true', health_check: { checker: { type: 'smtp' } } },
    '/health_check/checker/type',
    /"http", "tcp" or "shell"/,
  ],
  [
    'a field that there is not, inside',
    { command: 'true', health_check: { checker: { type: 'tcp' }, intervall_ms: 1 } },
    '/health_check/intervall_ms',
    /unknown field "intervall_ms"/,
  ],
  [
    'a lifecycle at a port that is not asked for',
    { command: 'true', lifecycle: { port: 'http' } },
    '/lifecycle/port',
    /does not ask for/,
  ],
  ['an order without processes', { command: 'true', order: [] }, '/order', /there is a plain command/],
  ['both a command and processes', { command: 'true', processes: two }, '/command', /both "command" and "processes"/],
];
for (const [what, more, place, message] of refused)
  test(`refused at submission: ${what}`, t => {
    const found = problems(more);
    const one = found.find(problem => problem.place === place);
    t.truthy(one, JSON.stringify(found));
    t.regex(one?.message ?? '', message);
    t.is(found.length, 1, JSON.stringify(found));
  });
