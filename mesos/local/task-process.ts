// task-process.ts: the first breath of a plain task: its sandbox, its limits, its user, its wrapper.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type { Containers } from './docker/containers.ts';
import { isContained } from './docker/request.ts';
import { rlimitsOf } from './limits/rlimits.ts';
import { confined, confinementOf, handOver, userOf } from './limits/users.ts';
import { capsOf, type Ward } from './limits/ward.ts';
import type { Warden } from './limits/warden.ts';
import type { Launch } from './messages.ts';
import { argumentsOf, environmentOf, type pathsOf } from './sandbox.ts';
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
};

/** Its wrapper, which has no pid when it could not be started. What is thrown is why the task cannot be run here. */
export function startTask(start: TaskStart, ground: TaskGround): ChildProcess {
  const { work_dir, agent_id, wrapper_path, warden, containers } = ground;
  const { framework_id, launch, paths } = start;
  const { sandbox, meta, ended } = paths;
  const cannot = whyNot(launch.task);
  if (cannot !== undefined) throw new Error(cannot);
  const command = launch.task.command ?? {};
  const contained = isContained(launch.task);
  // Who runs in a container, and with which variables, is for its engine; whose the sandbox is, is not.
  const confinement = contained
    ? { user: userOf(command.user), rlimits: [] }
    : confinementOf(command, rlimitsOf(launch.task.container));
  // Not made when it is there: a folder left by an earlier task of that id is the last guard against a second copy.
  mkdirSync(sandbox, { mode: 0o750 });
  mkdirSync(meta, { mode: 0o700 });
  if (confinement.user !== undefined) handOver(sandbox, confinement.user, work_dir);
  warden.admit(wardOf(start, ground));
  const { argv, env } = contained
    ? containers.attendant(launch, framework_id, paths)
    : {
        argv: confined(argumentsOf(command), confinement),
        env: environmentOf(sandbox, agent_id, framework_id, launch),
      };
  const wrapper = spawn('/bin/sh', [wrapper_path, 'watch', meta, ended, ...argv], {
    cwd: sandbox,
    env,
    detached: true,
    stdio: 'ignore',
  });
  wrapper.unref();
  return wrapper;
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
