// executors.ts: tasks for the executor of `executor.mjs`, as a framework writes them.

import { join } from 'node:path';
import { type Json, scalar } from './client.ts';

export const script = join(import.meta.dirname, 'executor.mjs');
export const base64 = (steps: unknown) => Buffer.from(JSON.stringify(steps)).toString('base64');

export const running = [
  ['update', { state: 'TASK_STARTING' }],
  ['update', { state: 'TASK_RUNNING' }],
];

/** Fetched as a file of this machine, run by this very Node. */
export const executor = (id: string, conf: object = {}, { command, ...more }: Json = {}): Json => ({
  type: 'CUSTOM',
  executor_id: { value: id },
  name: 'of a test',
  resources: [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 16)],
  command: {
    value: `exec ${process.execPath} executor.mjs`,
    uris: [{ value: `file://${script}` }],
    environment: { variables: [{ name: 'EX_CONF', value: JSON.stringify(conf) }] },
    ...command,
  },
  ...more,
});

export const task = (id: string, executor: Json | undefined, steps: unknown = running): Json => ({
  name: id,
  task_id: { value: id },
  resources: [scalar('cpus', 0.1), scalar('mem', 16)],
  ...(executor === undefined ? {} : { executor }),
  data: base64(steps),
});
