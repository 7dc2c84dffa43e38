// executor-notes.ts: what an agent must still know of its custom executors after it was killed.
//
// One line per fact, as in the notebook of its plain tasks. Read from the top they give back every executor that has not
// ended, and every task whose last word has not been signed for, with or without an executor that still lives.

import type { Instant } from '../../schedules/clock.ts';
import { type ExecutorInfo, type FrameworkInfo, type TaskInfo, type TaskStatus, terminal_states } from '../protocol.ts';
import { type Executor, freshExecutor, type House, keyOf, newTask, over, type Task } from './executor-state.ts';

export type ExecutorNote =
  /** It will be started. */
  | {
      readonly type: 'executor';
      readonly framework_id: string;
      readonly framework: FrameworkInfo;
      readonly info: ExecutorInfo;
      readonly container_id: string;
      readonly at: Instant;
      readonly boot: string;
    }
  /** It is given its first task. */
  | { readonly type: 'delivered'; readonly container_id: string }
  /** It must go. */
  | { readonly type: 'terminating'; readonly container_id: string }
  | { readonly type: 'ended'; readonly container_id: string }
  /** These have ended under it, and their last words are signed for. */
  | { readonly type: 'done'; readonly container_id: string; readonly tasks: readonly string[] }
  | { readonly type: 'task'; readonly container_id: string; readonly task: TaskInfo }
  | { readonly type: 'update'; readonly framework_id: string; readonly task: string; readonly status: TaskStatus }
  | { readonly type: 'acknowledged'; readonly framework_id: string; readonly task: string; readonly uuid: string };

/** A run of an executor as the notebook has it. */
type RememberedRun = { readonly executor: Executor; over: boolean };

/** What the notebook says, as it is read line by line. */
export type ExecutorMemory = {
  /** By container. */
  readonly runs: Map<string, RememberedRun>;
  /** By framework and task id, until the last word is signed for. */
  readonly tasks: Map<string, Task>;
};

export const emptyMemory = (): ExecutorMemory => ({ runs: new Map(), tasks: new Map() });

export function remember(memory: ExecutorMemory, note: ExecutorNote): void {
  const { runs, tasks } = memory;
  switch (note.type) {
    case 'executor': {
      const { framework_id, framework, info, container_id, at, boot } = note;
      const executor = freshExecutor({ framework_id, framework, info, container_id, at, boot, recovered: true });
      runs.set(container_id, { executor, over: false });
      return;
    }
    case 'delivered':
      withRun(runs, note.container_id, run => {
        run.executor.delivered = true;
      });
      return;
    case 'terminating':
      withRun(runs, note.container_id, run => {
        run.executor.phase = 'terminating';
      });
      return;
    case 'ended':
      withRun(runs, note.container_id, run => {
        run.over = true;
        // Those that were not told of have nobody to be told to.
        for (const { id, framework_id } of run.executor.live.values()) tasks.delete(keyOf(framework_id, id));
      });
      return;
    case 'done':
      withRun(runs, note.container_id, ({ executor }) => {
        for (const id of note.tasks) over(executor, id);
      });
      return;
    case 'task':
      withRun(runs, note.container_id, ({ executor }) => {
        const task = newTask(executor, note.task);
        executor.live.set(task.id, task);
        tasks.set(keyOf(task.framework_id, task.id), task);
      });
      return;
    case 'update': {
      const task = tasks.get(keyOf(note.framework_id, note.task));
      if (task === undefined) return; // Noted after it was forgotten.
      const { status } = note;
      task.pending.push(status);
      task.state = status.state;
      if (status.uuid !== undefined) task.seen.add(status.uuid);
      if (terminal_states.has(status.state)) {
        task.ended = true;
        over(task.executor, task.id);
      }
      return;
    }
    case 'acknowledged': {
      const task = tasks.get(keyOf(note.framework_id, note.task));
      const place = task?.pending.findIndex(({ uuid }) => uuid === note.uuid) ?? -1;
      if (task === undefined || place < 0) return;
      task.acknowledged = task.pending[place]!.state;
      task.pending = task.pending.slice(place + 1);
      if (terminal_states.has(task.acknowledged)) tasks.delete(keyOf(note.framework_id, note.task));
      return;
    }
  }
}

function withRun(
  runs: ReadonlyMap<string, RememberedRun>,
  container_id: string,
  then: (run: RememberedRun) => void,
): void {
  const run = runs.get(container_id);
  if (run !== undefined) then(run);
}

/** Moves what was remembered into the house. Gives back the executors that were not over. */
export function settle(house: House, memory: ExecutorMemory): readonly Executor[] {
  for (const [key, task] of memory.tasks) house.tasks.set(key, task);
  const present = [...memory.runs.values()].filter(({ over }) => !over).map(({ executor }) => executor);
  for (const executor of present) house.executors.set(keyOf(executor.framework_id, executor.id), executor);
  return present;
}

export const intentOf = ({ framework_id, framework, info, container_id, at, boot }: Executor): ExecutorNote => ({
  type: 'executor',
  framework_id,
  framework,
  info,
  container_id,
  at,
  boot,
});

/** The same knowledge in as few lines as it takes. */
export function* notesOf(house: House): Generator<ExecutorNote> {
  const runs = new Map<Executor, Task[]>([...house.executors.values()].map(executor => [executor, []]));
  for (const task of house.tasks.values()) {
    const tasks = runs.get(task.executor);
    if (tasks === undefined) runs.set(task.executor, [task]);
    else tasks.push(task);
  }
  for (const [executor, tasks] of runs) {
    const { framework_id, container_id } = executor;
    yield intentOf(executor);
    if (executor.delivered) yield { type: 'delivered', container_id };
    if (executor.phase === 'terminating') yield { type: 'terminating', container_id };
    const signed = [...executor.ended].filter(id => !house.tasks.has(keyOf(framework_id, id)));
    if (signed.length > 0) yield { type: 'done', container_id, tasks: signed };
    for (const task of tasks) {
      const about = { framework_id, task: task.id };
      yield { type: 'task', container_id, task: task.info };
      if (task.acknowledged !== 'TASK_STAGING') {
        const status = { task_id: { value: task.id }, state: task.acknowledged, uuid: '' };
        yield { type: 'update', ...about, status };
        yield { type: 'acknowledged', ...about, uuid: '' };
      }
      for (const status of task.pending) yield { type: 'update', ...about, status };
    }
    if (house.executors.get(keyOf(framework_id, executor.id)) !== executor) yield { type: 'ended', container_id };
  }
}
