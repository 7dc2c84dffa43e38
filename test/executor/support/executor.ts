// executor.ts: Horae's executor for a test, in a sandbox of its own: in this process, or as a program that can be killed.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readIntroduction } from '../../../mesos/executor/environment.ts';
import { startExecutor } from '../../../mesos/executor/executor.ts';
import { endMarked } from '../../../mesos/executor/strays.ts';
import { wrapper_text } from '../../../mesos/local/wrapper.ts';
import { systemClock } from '../../../schedules/clock.ts';
import { type Child, startChild } from '../../support/child.ts';
import { type Owner, tempDir } from '../../support/temp.ts';
import { framework_id, task_id } from './agent.ts';

// AVA runs tests in worker threads, where Node keeps a book of descriptors; those that a Socket takes over and closes stay
// in it, and it complains for each.
process.removeAllListeners('warning');

export type TestExecutor = {
  readonly sandbox: string;
  readonly notes: () => readonly string[];
  /** Why it left, when it has. */
  readonly over: Promise<string>;
  readonly close: () => void;
};

export type Variables = Readonly<Record<string, string>>;
export const variablesOf = (port: number, sandbox: string, more: Variables = {}): Variables => ({
  MESOS_AGENT_ENDPOINT: `127.0.0.1:${port}`,
  MESOS_SLAVE_PID: `slave(1)@127.0.0.1:${port}`,
  MESOS_FRAMEWORK_ID: framework_id,
  MESOS_EXECUTOR_ID: task_id,
  MESOS_SANDBOX: sandbox,
  MESOS_DIRECTORY: sandbox,
  MESOS_CHECKPOINT: '1',
  MESOS_RECOVERY_TIMEOUT: '15mins',
  MESOS_SUBSCRIPTION_BACKOFF_MAX: '100ms',
  MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: '5secs',
  PATH: '/usr/local/bin:/usr/bin:/bin',
  ...more,
});

export async function testExecutor(
  t: Owner,
  port: number,
  { sandbox, more }: { readonly sandbox?: string; readonly more?: Variables } = {},
): Promise<TestExecutor> {
  const place = sandbox ?? (await tempDir(t));
  const own_environment = variablesOf(port, place, more);
  const introduction = readIntroduction(own_environment);
  if (!introduction.ok) throw new Error(introduction.problems.map(({ message }) => message).join('; '));
  await mkdir(join(place, '.horae'), { recursive: true });
  const porter = join(place, '.horae', 'porter');
  await writeFile(porter, wrapper_text);
  const notes: string[] = [];
  let tell: (why: string) => void = () => undefined;
  const over = new Promise<string>(resolve => {
    tell = resolve;
  });
  const executor = startExecutor({
    introduction: introduction.value,
    own_environment,
    porter,
    clock: systemClock(),
    noted: (message, about) => notes.push(`${message} ${JSON.stringify(about)}`),
    over: tell,
  });
  // A clock's timers keep nobody awake, as they would not in the program.
  const alive = setInterval(() => undefined, 2 ** 30);
  t.teardown(() => {
    clearInterval(alive);
    executor.close();
    endMarked(task_id_mark(own_environment));
  });
  return { sandbox: place, notes: () => notes, over, close: executor.close };
}

const task_id_mark = ({ MESOS_EXECUTOR_ID }: Variables) => MESOS_EXECUTOR_ID ?? task_id;

/** As an agent would start it, less the archive. */
export function executorProgram(t: Owner, port: number, sandbox: string, more: Variables = {}): Child {
  return startChild(t, {
    command: process.execPath,
    argv: [new URL('../../../mesos/executor/main.ts', import.meta.url).pathname],
    cwd: sandbox,
    env: variablesOf(port, sandbox, more),
  });
}

/** A file of the sandbox; '' as long as it is not there. */
export const read = (sandbox: string, ...path: string[]): Promise<string> =>
  readFile(join(sandbox, ...path), 'utf8').catch(() => '');

/** Stands in for Node, which takes its time to be packed: calls the one that is here. */
export async function littleNode(t: Owner): Promise<string> {
  const path = join(await tempDir(t), 'node');
  await writeFile(path, `#!/bin/sh\nexec ${process.execPath} "$@"\n`, { mode: 0o755 });
  return path;
}
