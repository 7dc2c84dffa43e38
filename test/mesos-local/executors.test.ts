// executors.test.ts: custom executors as real processes of a real agent.

import { join } from 'node:path';
import test from 'ava';
import { type Json, scalar, subscribe } from './support/client.ts';
import { machine } from './support/machine.ts';

const script = join(import.meta.dirname, 'support', 'executor.mjs');
const base64 = (steps: unknown) => Buffer.from(JSON.stringify(steps)).toString('base64');
const running = [
  ['update', { state: 'TASK_STARTING' }],
  ['update', { state: 'TASK_RUNNING' }],
];

/** An executor whose sandbox holds the script: fetched as a file, run by this very Node. */
const executor = (id: string, conf: object = {}, more: Json = {}): Json => ({
  type: 'CUSTOM',
  executor_id: { value: id },
  name: 'of a test',
  resources: [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 16)],
  command: {
    value: `exec ${process.execPath} executor.mjs`,
    uris: [{ value: `file://${script}` }],
    environment: { variables: [{ name: 'EX_CONF', value: JSON.stringify(conf) }] },
  },
  ...more,
});
const task = (id: string, executor: Json, steps: unknown = running): Json => ({
  name: id,
  task_id: { value: id },
  resources: [scalar('cpus', 0.1), scalar('mem', 16)],
  executor,
  data: base64(steps),
});

test('a custom executor is fetched, started, given its task, heard, and shut down', async t => {
  const mesos = await machine(t);
  const scheduler = await subscribe(mesos);
  await scheduler.launch([
    task('t-1', executor('ex'), [
      ...running,
      ['message', 'hello'],
      ['update', { state: 'TASK_FINISHED', message: 'ok' }],
    ]),
  ]);
  const status = await scheduler.reached('t-1', 'TASK_FINISHED');
  t.deepEqual(scheduler.states('t-1'), ['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED']);
  t.like(status, { source: 'SOURCE_EXECUTOR', message: 'ok', executor_id: { value: 'ex' } });
  await scheduler.until(events => events.some(({ type }) => type === 'MESSAGE'));
  t.regex(mesos.output('t-1', 'events'), /begun \d+\nSUBSCRIBED\nLAUNCH t-1\n/);
  await scheduler.call({
    type: 'SHUTDOWN',
    shutdown: { executor_id: { value: 'ex' }, agent_id: { value: mesos.agent.id } },
  });
  await scheduler.until(events => events.some(({ type, failure }) => type === 'FAILURE' && failure.status === 0));
  t.is(mesos.agent.running(), 0);
});
