// word.ts: what the attendant of a container writes down for the agent: that it runs, and how it ended.

import type { TaskState, TaskStatus } from '../../protocol.ts';
import type { Identity } from '../wrapper.ts';

export type Word = {
  /** Its id, once the engine has made it. */
  readonly container?: string;
  /** Once it runs. */
  readonly started?: {
    readonly at_ms: number;
    /** Its first process, as this machine sees it; absent where it does not. */
    readonly process?: Identity;
    readonly pid?: number;
    readonly ip?: string;
  };
  readonly end?: End;
};

export type End =
  /** `oom`: it ran into its memory limit. */
  | { readonly type: 'exited'; readonly exit_code: number; readonly oom: boolean; readonly at_ms: number }
  /** It never ran, and why, in the engine's words. */
  | { readonly type: 'refused'; readonly message: string }
  /** It was to end before it had begun. */
  | { readonly type: 'withdrawn' }
  /** It ran and does not any more, and nobody can say how it ended. */
  | { readonly type: 'lost'; readonly message: string };

export const textOfWord = (word: Word): string => `${JSON.stringify(word)}\n`;

/** Written by rename, so it is there whole or not at all. */
export const parseWord = (text: string | undefined): Word => (text === undefined ? {} : (JSON.parse(text) as Word));

/** How a container ended, put so that the life of a task turns on it as on any other. */
export const textOfEnd = ({ exit_code }: { readonly exit_code: number }): string =>
  `Container exited with status ${exit_code}`;

/** What the agent says of a task whose container has come to its end. `killing`: it was to end, and why. */
export function statusOfEnd(
  end: End,
  killing: { readonly reason?: 'max_completion_time' } | undefined,
  /** The note that it left for those that follow. */
  result?: string,
): Partial<TaskStatus> & { readonly state: TaskState } {
  const killed = killing !== undefined && killing.reason === undefined;
  const by_agent = { source: 'SOURCE_AGENT' } as const;
  switch (end.type) {
    case 'exited': {
      const { exit_code, oom, at_ms } = end;
      const noted = result === undefined ? {} : { result };
      const data = Buffer.from(JSON.stringify({ ...noted, ended_at_ms: at_ms, exit_code })).toString('base64');
      const said = { message: textOfEnd(end), data, ...(at_ms > 0 ? { timestamp: at_ms / 1000 } : {}) };
      if (killing?.reason !== undefined)
        return { state: 'TASK_FAILED', reason: 'REASON_MAX_COMPLETION_TIME_REACHED', ...said };
      if (killed) return { state: 'TASK_KILLED', ...said };
      if (oom) {
        const message = `Memory limit exceeded: ${textOfEnd(end)}, killed by the kernel for want of memory`;
        return { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LIMITATION_MEMORY', ...by_agent, ...said, message };
      }
      return { state: exit_code === 0 ? 'TASK_FINISHED' : 'TASK_FAILED', ...said };
    }
    case 'refused':
    case 'withdrawn': {
      if (killing !== undefined) {
        const message = 'Killed before delivery to the executor';
        return { state: 'TASK_KILLED', reason: 'REASON_TASK_KILLED_DURING_LAUNCH', ...by_agent, message };
      }
      const why = end.type === 'refused' ? end.message : 'its attendant was gone before the container began';
      const message = `Failed to launch container: ${why}`;
      return { state: 'TASK_FAILED', reason: 'REASON_CONTAINER_LAUNCH_FAILED', ...by_agent, message };
    }
    case 'lost':
      if (killed) return { state: 'TASK_KILLED', ...by_agent, message: `Killed: ${end.message}` };
      return {
        state: 'TASK_FAILED',
        reason: 'REASON_EXECUTOR_TERMINATED',
        ...by_agent,
        message: `Executor terminated: ${end.message}`,
      };
  }
}

/** What a RUNNING task tells of its container. */
export const statusOfStart = (started: NonNullable<Word['started']>, container: string | undefined) => ({
  timestamp: started.at_ms / 1000,
  data: Buffer.from(JSON.stringify({ pid: started.pid, started_at_ms: started.at_ms, container })).toString('base64'),
  container_status: {
    ...(container === undefined ? {} : { container_id: { value: container } }),
    ...(started.ip === undefined ? {} : { network_infos: [{ ip_addresses: [{ ip_address: started.ip }] }] }),
    ...(started.pid === undefined ? {} : { executor_pid: started.pid }),
  },
});
