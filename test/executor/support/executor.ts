// executor.ts: Horae's executor for a test: a program in a sandbox of its own, which can be killed.
//
// Never in this process: it hands descriptors over to sockets, of which Node keeps no book. AVA's workers are threads of one
// process, and when one of them ends Node closes what stands in its book, which by then may be somebody else's.

import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packExecutor } from '../../../mesos/executor/archive.ts';
import { type Child, startChild } from '../../support/child.ts';
import { type Owner, tempDir } from '../../support/temp.ts';
import { framework_id, task_id } from './agent.ts';

export type TestExecutor = {
  readonly sandbox: string;
  /** Everything that it noted. */
  readonly notes: () => string;
  /** Why it left, when it has. */
  readonly over: () => Promise<string>;
  readonly child: Child;
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
  HORAE_EXECUTOR_IDLE_MS: '100',
  ...more,
});

export async function testExecutor(
  t: Owner,
  port: number,
  { sandbox, more }: { readonly sandbox?: string; readonly more?: Variables } = {},
): Promise<TestExecutor> {
  const place = sandbox ?? (await tempDir(t));
  const child = await executorProgram(t, port, place, more);
  const over = async () => {
    const [, why] = await child.line(/"msg":"over","why":"(.*)"\}$/);
    await child.ended;
    return why!;
  };
  return { sandbox: place, notes: child.output, over, child };
}

/** As an agent would start it, less the fetching and the start script. */
export async function executorProgram(t: Owner, port: number, sandbox: string, more: Variables = {}): Promise<Child> {
  unpacked ??= unpack();
  const argv = [join(await unpacked, 'horae-executor/mesos/executor/main.js')];
  return startChild(t, { command: process.execPath, argv, cwd: sandbox, env: variablesOf(port, sandbox, more) });
}

/** Packed once for all tests of a file: JavaScript starts in a third of the time that its sources take. */
let unpacked: Promise<string> | undefined;
async function unpack(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'horae-executor-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const node = join(folder, 'no-node');
  await writeFile(node, '');
  const { path } = await packExecutor(folder, '0.0.0', node);
  await promisify(execFile)('tar', ['xzf', path], { cwd: folder });
  return folder;
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
