// updates.ts: what has been said of tasks and not yet been acknowledged.
//
// A clerk's copies of registered letters. Each update has an id of its own and is kept until the agent says that it has it;
// when the agent went away and comes back it is shown all copies, and every task of which it never acknowledged a word.

import type { TaskInfo, TaskState, TaskStatus } from '../protocol.ts';

export type TaskBook = {
  readonly task_info: TaskInfo;
  /** An update of it was acknowledged: the agent knows that we know the task. */
  readonly known: boolean;
  /** The last state said of it. */
  readonly said?: TaskState;
};
export type Updates = {
  readonly tasks: Readonly<Record<string, TaskBook>>;
  /** Oldest first. */
  readonly waiting: readonly TaskStatus[];
};
/** What survives of this. */
export type UpdateRecord =
  | {
      readonly kind: 'launched';
      readonly task_info: TaskInfo;
      /** Of the agent, as it called itself then. */
      readonly hostname: string;
      readonly at: number;
    }
  | { readonly kind: 'said'; readonly status: TaskStatus }
  | { readonly kind: 'acknowledged'; readonly task_id: string; readonly uuid: string };

export const no_updates: Updates = { tasks: {}, waiting: [] };

const terminal = new Set<TaskState>(['TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED', 'TASK_ERROR']);
export const isTerminal = (state: TaskState | undefined): boolean => state !== undefined && terminal.has(state);

export function noteUpdate(updates: Updates, record: UpdateRecord): Updates {
  switch (record.kind) {
    case 'launched': {
      const { task_info } = record;
      return { ...updates, tasks: { ...updates.tasks, [task_info.task_id.value]: { task_info, known: false } } };
    }
    case 'said': {
      const { status } = record;
      return {
        tasks: changed(updates, status.task_id.value, { said: status.state }),
        waiting: [...updates.waiting, status],
      };
    }
    case 'acknowledged':
      return {
        tasks: changed(updates, record.task_id, { known: true }),
        waiting: updates.waiting.filter(({ uuid }) => uuid !== record.uuid),
      };
  }
}

function changed(updates: Updates, task_id: string, change: Partial<TaskBook>): Updates['tasks'] {
  const book = updates.tasks[task_id];
  // An agent that acknowledges what was never said is none of ours to mend.
  return book === undefined ? updates.tasks : { ...updates.tasks, [task_id]: { ...book, ...change } };
}

/** For a SUBSCRIBE. Only of tasks that were launched here: an agent that is told of others falls over. */
export const unacknowledged = ({ tasks, waiting }: Updates) => ({
  unacknowledged_tasks: Object.values(tasks)
    .filter(({ known }) => !known)
    .map(({ task_info }) => task_info),
  unacknowledged_updates: waiting.map(status => ({ status })),
});

/** Everything has been said of every task, and nothing is left to be acknowledged. */
export const isOver = ({ tasks, waiting }: Updates): boolean =>
  waiting.length === 0 && Object.values(tasks).every(({ said }) => isTerminal(said));
