// task-terms.ts: what the agent does not do for a plain task is said, not left out.

import type { TaskInfo } from '../protocol.ts';
import { isContained } from './docker/request.ts';

export function whyNot(task: TaskInfo): string | undefined {
  const contained = isContained(task);
  // A container of Mesos's own without an image is this machine's files, with limits perhaps.
  const { container } = task;
  const bare =
    container?.type === 'MESOS' &&
    container.mesos?.image === undefined &&
    container.docker === undefined &&
    (container.volumes ?? []).every(({ source }) => source?.type === 'SECRET');
  if (container !== undefined && !bare && !contained) return 'this agent runs no containers without an image';
  if (task.health_check !== undefined || task.check !== undefined) return 'this agent runs no health checks';
  return undefined;
}
