// task-process.ts: the first breath of a plain task: its sandbox, its limits, its user, its wrapper.

import type { ChildProcess } from 'node:child_process';
import { appendFileSync, mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Instant } from '../../schedules/clock.ts';
import type { Log } from './agent-options.ts';
import type { Containers } from './docker/containers.ts';
import { isContained } from './docker/request.ts';
import { forgetInside, layOutInside } from './docker/secrets.ts';
import { dressed } from './dress.ts';
import { type FetchTerms, fetchAll } from './fetch/fetcher.ts';
import { rlimitsOf } from './limits/rlimits.ts';
import { type Confinement, confinementOf, handOver, userOf } from './limits/users.ts';
import { capsOf, type Ward } from './limits/ward.ts';
import type { Warden } from './limits/warden.ts';
import type { Launch } from './messages.ts';
import { startWrapper } from './process-start.ts';
import { forgetFetched, markFetching, unmarkFetching } from './removal.ts';
import { argumentsOf, environmentOf, type pathsOf } from './sandbox.ts';
import { secretsOf } from './secret-wishes.ts';
import { forgetSecrets, getSecrets, layOut, no_secrets, type SecretSource, type Secrets } from './secrets.ts';
import { whyNot } from './task-terms.ts';

export type TaskStart = {
  readonly framework_id: string;
  readonly launch: Launch;
  readonly paths: ReturnType<typeof pathsOf>;
};
export type TaskGround = {
  readonly work_dir: string;
  readonly agent_id: string;
  readonly wrapper_path: string;
  readonly warden: Warden;
  readonly containers: Containers;
  readonly boot: string;
  readonly log: Log;
  readonly fetch: FetchTerms;
  /** Who keeps secrets; undefined: nobody. */
  readonly secrets: SecretSource | undefined;
  /** Where what is fetched for all lies. */
  readonly fetched: string;
};

export type Furnished = {
  readonly confinement: Confinement;
  /** What it asks for is there when this resolves, with what nobody else may know; undefined: it asks for nothing. */
  readonly fetched: Promise<Secrets> | undefined;
};

/** Its sandbox, and in it what its command asks for. What is thrown is why the task cannot be run here. */
export function furnish(start: TaskStart, ground: TaskGround, now: Instant, signal: AbortSignal): Furnished {
  const { launch, paths } = start;
  const cannot = whyNot(launch.task);
  if (cannot !== undefined) throw new Error(cannot);
  // Who runs in a container, and with which variables, is for its engine; whose the sandbox is, is not.
  const confinement: Confinement = isContained(launch.task)
    ? { user: userOf(launch.task.command?.user), rlimits: [] }
    : confinementOf(launch.task.command, rlimitsOf(launch.task.container));
  // Not made when it is there: a folder left by an earlier task of that id is the last guard against a second copy.
  mkdirSync(paths.sandbox, { mode: 0o750 });
  const uris = launch.task.command?.uris ?? [];
  const wishes = secretsOf(launch.task);
  if (uris.length === 0 && wishes === undefined) return { confinement, fetched: undefined };
  if (uris.length > 0) markFetching(paths.sandbox);
  const stderr = join(paths.sandbox, 'stderr');
  const say = (line: string) => appendFileSync(stderr, `${line}\n`);
  const { user } = confinement;
  const fetch = { sandbox: paths.sandbox, cache: ground.fetched, now, user, terms: ground.fetch, say, signal };
  const brought = fetchAll(uris, fetch).catch(error => {
    const why = error instanceof Error ? error.message : String(error);
    const of = `Failed to fetch all URIs for container '${launch.task.task_id.value}'`;
    throw new Error(`${of}: exited with status 1 (${why.slice(0, 1_000)})`, { cause: error });
  });
  const handed = async () => {
    await brought;
    return getSecrets(wishes, ground.secrets, signal);
  };
  return { confinement, fetched: handed() };
}

/** Its wrapper, which has no pid when it could not be started. What is thrown is why it cannot be, in its furnished sandbox. */
export function startTask(
  start: TaskStart,
  { confinement }: Furnished,
  ground: TaskGround,
  secrets = no_secrets,
): ChildProcess {
  const { work_dir, agent_id, wrapper_path, warden, containers } = ground;
  const { framework_id, launch, paths } = start;
  const { sandbox, meta } = paths;
  const command = launch.task.command ?? {};
  const contained = isContained(launch.task);
  mkdirSync(meta, { mode: 0o700 });
  unmarkFetching(sandbox);
  if (contained) layOutInside(secrets, paths);
  else layOut(secrets, sandbox);
  if (confinement.user !== undefined) handOver(sandbox, confinement.user, work_dir);
  warden.admit(wardOf(start, ground));
  const known = () => ({ ...environmentOf(sandbox, agent_id, framework_id, launch), ...secrets.variables });
  const dress = contained
    ? { ...containers.attendant(launch, framework_id, paths), wardrobe: undefined }
    : dressed(argumentsOf(command), known(), confinement, meta);
  return startWrapper(wrapper_path, paths, dress);
}

/** Less room than this may be too little for the lines that a wrapper writes, and it leaves when it cannot. */
const room_bytes_min = 64 * 1024;

/** Why a wrapper that was started is gone and has not signed. */
export function whyNotBegun(work_dir: string): string {
  const gone = 'the wrapper of the task was gone before it began';
  try {
    const { bavail, bsize } = statfsSync(work_dir);
    if (bavail * bsize < room_bytes_min) return `nothing can be written to ${work_dir}: no space left on its disk`;
    return gone;
  } catch (error) {
    return `${gone}, and how its disk is cannot be told: ${String(error)}`;
  }
}

/** What a container may use of the rest its engine sees to. */
const diskOnly = ({ task }: Launch) => capsOf([task.resources.filter(({ name }) => name === 'disk')]);

/** A task of a group has its executor's share too: here no process of that executor is running. */
export const wardOf = (
  { framework_id, launch, paths }: TaskStart,
  { containers, boot }: Pick<TaskGround, 'containers' | 'boot'>,
): Ward => ({
  id: launch.task.task_id.value,
  framework_id,
  executor_id: launch.executor_id,
  sandbox: paths.sandbox,
  meta: paths.meta,
  ...(isContained(launch.task) ? { beside: () => containers.process(launch.task.task_id.value, boot) } : {}),
  caps: isContained(launch.task) ? diskOnly(launch) : capsOf([launch.task.resources], launch.executor?.resources),
});

const grace_ms_default = 3_000;
/** Between SIGTERM and SIGKILL, where a kill does not say it. */
export const graceOf = ({ task }: Launch): number =>
  (task.kill_policy?.grace_period?.nanoseconds ?? grace_ms_default * 1e6) / 1e6;

/** Whatever ended it, nobody of it stays, and none of its secrets; of one that never began, nothing that was brought for it. */
export function leaveNothing({ launch, paths }: TaskStart, { warden, log }: TaskGround): void {
  const task = launch.task.task_id.value;
  warden.release(task);
  try {
    forgetSecrets(paths.sandbox);
    forgetInside(paths);
  } catch (error) {
    // How it ended is told all the same.
    log.warn({ task, error: String(error) }, 'the secrets of a task that ended cannot be removed');
  }
  forgetFetched(paths.sandbox).catch(error =>
    log.warn({ task, error: String(error) }, 'what was fetched for a task that never began cannot be removed'),
  );
}
