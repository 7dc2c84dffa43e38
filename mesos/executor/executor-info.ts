// executor-info.ts: how a scheduler asks Mesos for this executor, beside a task of several processes.
//
// One executor for each task, named like it: it lives and dies with it, and its sandbox is the task's. What the executor
// itself needs comes on top of what the task asked for, so that nobody's disk is eaten by our archive.

import type { ExecutorInfo, Resource, TaskInfo } from '../protocol.ts';
import { archive_command } from './archive-name.ts';
import type { TaskDocument } from './document.ts';
import { timings_default } from './environment.ts';
import { type LaunchDocument, launchData } from './launch.ts';

/** What the executor itself holds: measured, with room. */
export const executor_needs = { cpus: 0.05, mem: 96, disk: 192 } as const;

export type ExecutorSupply = {
  /** Where the fetcher finds the archive. It has the version in its name, so it may be kept for ever. */
  readonly archive_url: string;
  /** As they were taken from the offers. */
  readonly resources: readonly Resource[];
};

/** For TaskInfo.executor. */
export function executorInfo(
  task_id: string,
  framework_id: string,
  task: TaskDocument,
  supply: ExecutorSupply,
): ExecutorInfo {
  return {
    type: 'CUSTOM',
    executor_id: { value: task_id },
    framework_id: { value: framework_id },
    name: 'horae-executor',
    resources: supply.resources,
    command: { shell: true, value: archive_command, uris: [{ value: supply.archive_url, extract: true, cache: true }] },
    shutdown_grace_period: { nanoseconds: shutdownMs(task) * 1_000_000 },
  };
}

/** The whole TaskInfo, but for what the placement knows of it. */
export function processesTask(
  info: Omit<TaskInfo, 'command' | 'data' | 'executor'>,
  launch: LaunchDocument,
  executor: ExecutorInfo,
): TaskInfo {
  return { ...info, executor, data: launchData(launch) };
}

/** An agent that shuts an executor down kills it after this: SIGTERM, final processes and SIGKILL must fit in. */
const shutdownMs = ({ finalization_wait_ms }: TaskDocument): number =>
  finalization_wait_ms + 2 * timings_default.shutdown_margin_ms;

/**
 * How long it may take from KILL to the last word, everything that is waited for included: for a scheduler that wonders
 * whether a kill got lost.
 */
export const killMs = ({ withdraw_wait_ms, lifecycle, finalization_wait_ms }: TaskDocument): number =>
  withdraw_wait_ms + (lifecycle?.graceful_wait_ms ?? 0) + (lifecycle?.abort_wait_ms ?? 0) + finalization_wait_ms;
