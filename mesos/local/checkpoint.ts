// checkpoint.ts: what an agent must still know after it was killed: a notebook, one line per fact.
//
// An intent is on the disk before its task is started; whatever else is noted only has to outlive the process, not the
// power. Reading the notebook from the top gives back every task that is not forgotten. It is rewritten, shorter, when most
// of it speaks of the forgotten.

import type { Instant } from '../../schedules/clock.ts';
import type { TaskState, TaskStatus } from '../protocol.ts';
import { type Notebook, openNotebook } from './checkpoint-notebook.ts';
import type { Launch } from './messages.ts';

export type Killing = {
  readonly at: Instant;
  readonly grace_ms: number;
  /** Absent for a kill that the framework asked for. */
  readonly reason?: 'max_completion_time';
};

/** A task as the notebook has it. */
export type Remembered = {
  readonly framework_id: string;
  readonly launch: Launch;
  readonly at: Instant;
  readonly boot: string;
  acknowledged: TaskState;
  pending: TaskStatus[];
  killing: Killing | undefined;
};

export type Note =
  | {
      readonly type: 'intent';
      readonly framework_id: string;
      readonly launch: Launch;
      readonly at: Instant;
      readonly boot: string;
    }
  | { readonly type: 'update'; readonly task: string; readonly status: TaskStatus }
  | { readonly type: 'acknowledged'; readonly task: string; readonly uuid: string }
  | ({ readonly type: 'killing'; readonly task: string } & Killing)
  | { readonly type: 'forgotten'; readonly task: string };

export interface Checkpoint extends Notebook<Note> {
  /** What was known when it was opened, by task id, in the order of the intents. */
  readonly remembered: ReadonlyMap<string, Remembered>;
}

/** Opens the notebook. `live` gives what is worth keeping when it is rewritten. */
export function openCheckpoint(path: string, live: () => Iterable<Remembered>): Checkpoint {
  const remembered = new Map<string, Remembered>();
  let opened = false;
  const notebook = openNotebook<Note>(
    path,
    note => apply(remembered, note),
    () => notesOfAll(opened ? live() : remembered.values()),
  );
  opened = true;
  return { remembered, ...notebook };
}

function* notesOfAll(tasks: Iterable<Remembered>): Generator<Note> {
  for (const task of tasks) yield* notesOf(task);
}

function apply(tasks: Map<string, Remembered>, note: Note): void {
  if (note.type === 'intent') {
    const { framework_id, launch, at, boot } = note;
    const fresh = { acknowledged: 'TASK_STAGING', pending: [], killing: undefined } as const;
    tasks.set(launch.task.task_id.value, { framework_id, launch, at, boot, ...fresh, pending: [] });
    return;
  }
  const task = tasks.get(note.task);
  if (task === undefined) return; // Noted after it was forgotten.
  if (note.type === 'update') task.pending.push(note.status);
  else if (note.type === 'killing') {
    const { type: _, task: __, ...killing } = note;
    task.killing = killing;
  } else if (note.type === 'forgotten') tasks.delete(note.task);
  else {
    const index = task.pending.findIndex(({ uuid }) => uuid === note.uuid);
    if (index < 0) return;
    task.acknowledged = task.pending[index]!.state;
    task.pending = task.pending.slice(index + 1);
  }
}

/** The same knowledge in as few lines as it takes. */
function* notesOf(task: Remembered): Generator<Note> {
  const id = task.launch.task.task_id.value;
  const { framework_id, launch, at, boot } = task;
  yield { type: 'intent', framework_id, launch, at, boot };
  if (task.killing !== undefined) yield { type: 'killing', task: id, ...task.killing };
  if (task.acknowledged !== 'TASK_STAGING') {
    yield { type: 'update', task: id, status: { task_id: { value: id }, state: task.acknowledged, uuid: '' } };
    yield { type: 'acknowledged', task: id, uuid: '' };
  }
  for (const status of task.pending) yield { type: 'update', task: id, status };
}

/** A task as the master is told of it when the agent comes back. */
export const reportOf = ({ framework_id, launch, acknowledged, pending }: Remembered) => ({
  framework_id,
  task_id: launch.task.task_id.value,
  executor_id: launch.executor_id,
  resources: launch.task.resources,
  ...(launch.executor === undefined ? {} : { executor: launch.executor }),
  state: acknowledged,
  pending: [...pending],
});
