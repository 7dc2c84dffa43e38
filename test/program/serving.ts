// serving.ts: `horae mesos` and `horae serve` as two programs, as they stand on two machines.

import { join } from 'node:path';
import { type Child, endOf, startChild } from '../support/child.ts';
import type { Owner } from '../support/temp.ts';
import { apiAt, type Running } from './horae.ts';

const main = join(import.meta.dirname, '..', '..', 'main.ts');
/** A first start beside a busy compiler takes seconds; far more than that is broken. */
const ready_ms_max = 60_000;

/** `enter` stands before the command: how a machine of its own is entered. */
export function launch(t: Owner, argv: readonly string[], enter: readonly string[] = []): Child {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HORAE_')));
  const [command, ...rest] = [...enter, process.execPath, main, ...argv] as [string, ...string[]];
  return startChild(t, { command, argv: rest, cwd: '/', env });
}

/** A Mesos with real agents on this address; resolves when it can be called. */
export async function startMesos(
  t: Owner,
  work_dir: string,
  flags: readonly string[] = [],
  listen = '127.0.0.1:0',
  enter: readonly string[] = [],
): Promise<{ readonly child: Child; readonly url: string; readonly listen: string }> {
  const resources = ['--agent-resources', 'cpus:4;mem:4096;disk:1000;ports:[31000-31099]'];
  const child = launch(t, ['mesos', '--listen', listen, '--work-dir', work_dir, ...resources, ...flags], enter);
  const [, url = ''] = await child.line(/^Mesos on (\S+) with /, ready_ms_max);
  return { child, url, listen: new URL(url).host };
}

/** A scheduler on whatever --mesos says, on any free port. */
export function launchServe(
  t: Owner,
  mesos: string | undefined,
  data_dir: string,
  flags: readonly string[] = [],
): Child {
  const delays = { resubscribe: 20, reconcile: 100 };
  const soon = Object.entries(delays).flatMap(([what, ms]) => [
    ...[`--${what}-delay-ms`, String(ms)],
    ...[`--${what}-delay-ms-max`, '500'],
  ]);
  const place = ['--data-dir', data_dir, '--http', '127.0.0.1:0', ...(mesos === undefined ? [] : ['--mesos', mesos])];
  return launch(t, ['serve', ...place, ...soon, ...flags]);
}

/** The same, and resolves when it says where its console is. */
export async function startServe(
  t: Owner,
  mesos: string,
  data_dir: string,
  flags: readonly string[] = [],
): Promise<Running> {
  const child = launchServe(t, mesos, data_dir, flags);
  return { child, api: apiAt((await child.line(/Console: (\S+)/, ready_ms_max))[1]!) };
}

/** SIGKILL to this process alone: what it has started runs on. */
export async function killAlone(child: Child): Promise<void> {
  child.send('SIGKILL');
  await endOf(child);
}
