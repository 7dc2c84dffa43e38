// agent-containers.ts: what the agent concludes from what the attendants of containers say, and from their silence.

import type { TaskState, TaskStatus } from '../protocol.ts';
import { readResult } from '../result-file.ts';
import type { Remembered } from './checkpoint.ts';
import type { Containers } from './docker/containers.ts';
import { isContained } from './docker/request.ts';
import { type End, statusOfEnd, statusOfStart } from './docker/word.ts';
import type { Limitation } from './limits/ward.ts';

type Status = Partial<TaskStatus> & { readonly state: TaskState };
type Contained = Remembered & {
  readonly paths: { readonly sandbox: string };
  readonly id: string;
  readonly phase: 'waiting' | 'running' | 'ended';
};

/** It was ended for having used too much. */
export const statusOfLimitation = ({ reason, message, resources }: Limitation): Status => ({
  state: 'TASK_FAILED',
  source: 'SOURCE_AGENT',
  reason,
  message,
  limitation: { resources },
});

export function heedAttendants<Task extends Contained>(
  containers: Containers,
  boot: string,
  agent: {
    readonly isOpen: () => boolean;
    readonly tell: (task: Task, statuses: readonly Status[]) => void;
    readonly end: (task: Task, status: Status) => void;
    /** It runs since then: the time that it has begins. */
    readonly began: (task: Task, at_ms: number) => void;
  },
) {
  /** Tasks of which the engine is being asked. */
  const settling = new Set<string>();
  return {
    /** Tells that a container runs, once its attendant has said so. */
    hear(task: Task): void {
      if (!isContained(task.launch.task) || task.phase !== 'running' || task.acknowledged === 'TASK_KILLING') return;
      if (task.acknowledged === 'TASK_RUNNING' || task.pending.some(({ state }) => state === 'TASK_RUNNING')) return;
      const { started, container } = containers.word(task.id);
      if (started === undefined) return;
      agent.tell(task, [{ state: 'TASK_RUNNING', ...statusOfStart(started, container) }]);
      agent.began(task, started.at_ms);
    },
    /** The attendant is gone. It ends by leaving word; if there is none, the engine must know. */
    over(task: Task, limitation?: Limitation): void {
      const say = (last: End) => {
        if (!agent.isOpen() || task.phase === 'ended') return;
        if (limitation === undefined || task.killing !== undefined || (last.type === 'exited' && last.exit_code === 0))
          agent.end(task, statusOfEnd(last, task.killing, readResult(task.paths.sandbox)));
        else agent.end(task, statusOfLimitation(limitation));
      };
      const { end } = containers.word(task.id);
      if (end !== undefined) say(end);
      else if (!settling.has(task.id)) {
        settling.add(task.id);
        void containers.settle(task.id, boot).then(found => {
          settling.delete(task.id);
          say(found);
        });
      }
    },
  };
}
