// processes.ts: which tasks of a data directory have processes at this moment, as the kernel tells it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runningUnder } from '../support/processes.ts';

/** Task id -> its processes, the wrapper among them. A task is known by its environment, which its children inherit. */
export function liveTasks(data_dir: string, agent = 'agent'): ReadonlyMap<string, readonly number[]> {
  const tasks = new Map<string, number[]>();
  for (const pid of runningUnder(join(data_dir, agent, 'sandboxes'))) {
    const task = taskOf(pid);
    if (task !== undefined) tasks.set(task, [...(tasks.get(task) ?? []), pid]);
  }
  return tasks;
}

/** The wrapper that stands beside a task, as it signed; undefined before it did. */
export function wrapperPid(data_dir: string, task_id: string, agent = 'agent'): number | undefined {
  const text = orUndefined(() => readFileSync(join(data_dir, agent, 'meta', task_id, 'claim'), 'utf8'));
  return text === undefined ? undefined : Number(text.split(' ')[0]);
}

function taskOf(pid: number): string | undefined {
  const text = orUndefined(() => readFileSync(`/proc/${pid}/environ`, 'latin1'));
  return text
    ?.split('\0')
    .find(entry => entry.startsWith('MESOS_TASK_ID='))
    ?.slice('MESOS_TASK_ID='.length);
}

/** A process may end between two looks at it. */
function orUndefined<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(String((error as NodeJS.ErrnoException).code))) return undefined;
    throw error;
  }
}
