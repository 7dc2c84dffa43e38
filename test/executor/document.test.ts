// document.test.ts: what may be said of a task of several processes, and what is refused, with its place.

import test from 'ava';
import { portsOf, readTask, sequence } from '../../mesos/executor/document.ts';
import { bind, templateProblems } from '../../mesos/executor/template.ts';

const refusals = (input: unknown) => {
  const read = readTask(input, '/task');
  return read.ok ? [] : read.problems.map(({ place, message }) => `${place}: ${message}`);
};
const shell = (name: string, more: object = {}) => ({ name, command: 'true', ...more });

test('a task of one line gets every default that Aurora has, and a log that rotates', t => {
  const read = readTask({ processes: [shell('web')] });
  t.deepEqual(read, {
    ok: true,
    value: {
      processes: [
        {
          name: 'web',
          command: 'true',
          max_failures: 1,
          daemon: false,
          ephemeral: false,
          final: false,
          min_duration_ms: 5_000,
          logger: { destination: 'file', mode: 'rotate', size_bytes: 104_857_600, backups: 5 },
        },
      ],
      order: [],
      max_failures: 1,
      max_concurrency: 0,
      finalization_wait_ms: 30_000,
      withdraw_wait_ms: 0,
      ports: [],
      env: {},
    },
  });
});

test('steps one after the other are a task with one order', t => {
  const read = readTask(sequence([shell('a'), shell('b')]));
  t.deepEqual(read.ok && read.value.order, [['a', 'b']]);
});

test('case 133: a process named a/b is refused, and so are other names that are no folders', t => {
  for (const name of ['a/b', '.hidden', '', '..'])
    t.is(refusals({ processes: [shell('ok'), shell(name)] })[0]?.split(':')[0], '/task/processes/1/name', name);
});

test('case 133: a cyclic order is refused, and the circle is told', t => {
  const processes = ['a', 'b', 'c', 'd'].map(name => shell(name));
  const [only, ...more] = refusals({
    processes,
    order: [
      ['a', 'b', 'c'],
      ['d', 'b'],
      ['c', 'b'],
    ],
  });
  t.deepEqual(more, []);
  t.regex(only!, /^\/task\/order: the order has no beginning: (b -> c -> b|c -> b -> c)$/);
  t.regex(refusals({ processes, order: [['a', 'a']] })[0]!, /a -> a/);
});

test('nothing comes after a daemon, nothing that counts after an ephemeral process, and final ones keep to themselves', t => {
  const processes = [
    shell('d', { daemon: true }),
    shell('e', { ephemeral: true }),
    shell('f', { final: true }),
    shell('x'),
    shell('y', { ephemeral: true }),
  ];
  t.deepEqual(
    [[['d', 'x']], [['e', 'x']], [['f', 'x']], [['x', 'f']], [['e', 'y']], [['x', 'd']]].map(
      order => refusals({ processes, order }).length,
    ),
    [1, 1, 1, 1, 0, 0],
  );
  t.regex(refusals({ processes, order: [['d', 'x']] })[0]!, /^\/task\/order\/0\/1: "x" comes after "d", a daemon/);
});

test('a task that has nothing to wait for, the same name twice, and names that nobody has, are refused', t => {
  t.regex(refusals({ processes: [shell('a', { final: true })] })[0]!, /nothing that the task could wait for/);
  t.regex(refusals({ processes: [] })[0]!, /nothing that the task could wait for/);
  t.regex(refusals({ processes: [shell('a'), shell('a')] })[0]!, /"a" is named twice/);
  t.regex(
    refusals({ processes: [shell('a')], order: [['a', 'b']] })[0]!,
    /^\/task\/order\/0\/1: there is no process "b"/,
  );
  t.regex(refusals({ processes: [shell('a', { final: true, daemon: true }), shell('b')] })[0]!, /never be done/);
});

test('every problem of a task is told at once, unknown fields among them', t => {
  t.deepEqual(
    refusals({
      processes: [{ name: 'a', command: 'true', max_failure: 3, min_duration_ms: -1 }],
      finalization_wait_ms: '30s',
      health: { checker: { type: 'ping' } },
    }).map(text => text.split(':')[0]),
    [
      '/task/health/checker/type',
      '/task/processes/0/min_duration_ms',
      '/task/processes/0/max_failure',
      '/task/finalization_wait_ms',
      '/task/health/checker/port',
    ],
  );
  t.regex(refusals('nonsense')[0]!, /expected|an object/);
});

test('a health check or a shutdown request to a port that is not asked for is refused', t => {
  const health = { checker: { type: 'http' } };
  t.regex(
    refusals({ processes: [shell('a')], health })[0]!,
    /^\/task\/health\/checker\/port: the health check asks port "health"/,
  );
  t.deepEqual(refusals({ processes: [shell('a')], health, ports: ['health'] }), []);
  t.deepEqual(refusals({ processes: [{ name: 'a', command: 'serve {{thermos.ports[health]}}' }], health }), []);
  t.regex(refusals({ processes: [shell('a')], lifecycle: {} })[0]!, /^\/task\/lifecycle\/port/);
});

test('each distinct port of a template is asked for', t => {
  const read = readTask({
    processes: [
      { name: 'a', command: 'serve {{thermos.ports[http]}} {{ thermos.ports[admin] }} {{thermos.ports[http]}}' },
    ],
    ports: ['debug'],
    env: { AT: '{{mesos.hostname}}:{{thermos.ports[http]}}' },
  });
  t.deepEqual(read.ok && portsOf(read.value), ['admin', 'debug', 'http']);
});

test('an unbound variable is refused at submission, wherever it stands', t => {
  t.deepEqual(
    refusals({
      processes: [{ name: 'a', command: 'echo {{profile.size}} {{mesos.instance}}' }],
      env: { B: '{{toString}}' },
    }),
    [
      '/task/processes/0/command: nobody knows what {{profile.size}} is',
      '/task/env/B: nobody knows what {{toString}} is',
    ],
  );
  t.deepEqual(templateProblems('docker ps --format {{&.Names}}', ''), []);
});

test('templates are filled in with what is known where the task runs', t => {
  const bindings = { task_id: 'T-1', instance: 3, hostname: 'h1', user: 'www', ports: { http: 31_000 } };
  const text =
    '{{thermos.task_id}} {{ mesos.instance }} {{mesos.hostname}} {{thermos.user}} {{thermos.ports[http]}} {{&.x}}';
  t.deepEqual(bind(text, bindings, ''), { ok: true, value: 'T-1 3 h1 www 31000 {{.x}}' });
  const missing = bind('{{thermos.ports[admin]}}', bindings, '/processes/0/command');
  t.is(missing.ok, false);
  t.like(!missing.ok && missing.problems[0], { place: '/processes/0/command', expected: 'one of http' });
});
