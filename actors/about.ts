// about.ts: what a line of the log is about: which job, run and tasks, as fields of one name wherever it is written.

import type { Call } from '../mesos/protocol.ts';
import { splitInstanceKey } from './model/ids.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Of an actor by its kind and key. A singleton is about nobody in particular. */
export function aboutActor(kind: string, key: string): Fields {
  if (kind === 'job' || kind === 'trigger') return { job: key };
  if (kind !== 'instance') return {};
  const { job, run, index } = splitInstanceKey(key);
  return { job, run, instance: index };
}

/** Of a call to Mesos. */
export function aboutCall(call: Call): Fields {
  switch (call.type) {
    case 'KILL':
      return { task: call.kill.task_id.value };
    case 'ACKNOWLEDGE':
      return { task: call.acknowledge.task_id.value };
    case 'ACCEPT':
      return aboutTasks(
        (call.accept.operations ?? []).flatMap(operation =>
          operation.type === 'LAUNCH'
            ? operation.launch.task_infos.map(one => one.task_id.value)
            : operation.type === 'LAUNCH_GROUP'
              ? operation.launch_group.task_group.tasks.map(one => one.task_id.value)
              : [],
        ),
      );
    default:
      return {};
  }
}

/** Of several tasks: the one there is, or so many, the first by name. */
export function aboutTasks(tasks: readonly string[]): Fields {
  const [only, ...others] = tasks;
  if (only === undefined) return {};
  return others.length === 0 ? { task: only } : { tasks: tasks.length, task_ids: tasks.slice(0, tasks_named_max) };
}
const tasks_named_max = 20;
