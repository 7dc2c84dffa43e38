// launch.test.ts: what a scheduler puts into the envelope, and what the executor takes out of it.

import test from 'ava';
import { readTask } from '../../mesos/executor/document.ts';
import { executorInfo, killMs, processesTask } from '../../mesos/executor/executor-info.ts';
import { type LaunchDocument, readLaunch } from '../../mesos/executor/launch.ts';

const task = {
  processes: [{ name: 'web', command: 'serve {{thermos.ports[http]}} {{mesos.instance}}' }],
  env: { WHERE: '{{mesos.hostname}}' },
  health: { checker: { type: 'shell', command: 'check {{thermos.ports[http]}}' } },
};
const launch: LaunchDocument = { format: 1, task, instance: 2, user: 'www', ports: { http: 31_000 } };
const info = { name: 'web', task_id: { value: 'T-1' }, agent_id: { value: 'A' }, resources: [] };
const supply = { archive_url: 'http://scheduler/executor-1.tar.gz', resources: [] };
const document = (input: unknown) => {
  const read = readTask(input);
  if (!read.ok) throw new Error('no task');
  return read.value;
};
const whole = (changed: object) =>
  processesTask(info, { ...launch, ...changed }, executorInfo('T-1', 'F', document(task), supply));

test('what a scheduler launches the executor can read, with every blank filled in', t => {
  const read = readLaunch(whole({}), 'host-1');
  t.true(read.ok);
  if (!read.ok) return;
  t.is(read.value.document.processes[0]!.command, 'serve 31000 2');
  t.is(read.value.document.env.WHERE, 'host-1');
  t.like(read.value.document.health, { checker: { type: 'shell', command: 'check 31000' } });
  t.deepEqual(read.value.bindings, {
    task_id: 'T-1',
    instance: 2,
    hostname: 'host-1',
    user: 'www',
    ports: { http: 31_000 },
  });
});

test('the executor is named like its task, fetched once for each version, and given time to shut down', t => {
  t.deepEqual(executorInfo('T-1', 'F', document({ ...task, finalization_wait_ms: 5_000 }), supply), {
    type: 'CUSTOM',
    executor_id: { value: 'T-1' },
    framework_id: { value: 'F' },
    name: 'horae-executor',
    resources: [],
    command: {
      shell: true,
      value: 'exec ./horae-executor/run',
      uris: [{ value: 'http://scheduler/executor-1.tar.gz', extract: true, cache: true }],
    },
    shutdown_grace_period: { nanoseconds: 7_000_000_000 },
  });
  t.is(killMs(document({ ...task, lifecycle: { port: 'http' }, withdraw_wait_ms: 1_000 })), 41_000);
});

test('an envelope that lacks a port, has another format or is none at all is refused in words', t => {
  const message = (changed: object, data?: string) => {
    const read = readLaunch({ ...whole(changed), ...(data === undefined ? {} : { data }) }, 'h');
    return read.ok ? '' : read.problems.map(one => `${one.place}: ${one.message}`).join('; ');
  };
  t.regex(message({ ports: {} }), /\/data\/task\/processes\/0\/command: the task has no port "http"/);
  t.regex(message({ format: 2 }), /^\/data\/format: /);
  t.regex(message({ ports: { http: 0 } }), /^\/data\/ports\/http: 0 will not do/);
  t.regex(message({}, 'bm9uc2Vuc2U='), /^\/data: TaskInfo.data is no JSON/);
  t.regex(message({}, Buffer.from('7').toString('base64')), /^\/data: 7 will not do: an object/);
});
