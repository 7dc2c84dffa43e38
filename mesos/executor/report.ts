// report.ts: a task as a person would like to see it, small enough to travel with a status update.

import type { Instant } from '../../schedules/clock.ts';
import { stateOf } from './plan.ts';
import type { Ending } from './progress.ts';
import type { Stage, TaskState } from './task.ts';
import type { Bindings } from './template.ts';

/** JSON in TaskStatus.data, and in the answer to a MESSAGE {"type": "report"}. */
export type TaskReport = {
  readonly format: 1;
  readonly stage: Stage;
  readonly processes: readonly {
    readonly name: string;
    readonly status: 'waiting' | 'forked' | 'running' | 'succeeded' | 'failed' | 'stopped';
    readonly runs: number;
    readonly failures: number;
    readonly losses: number;
    readonly pid?: number;
    readonly since?: Instant;
    /** `exit 3`, `signal 9`, `failed`, `unknown`. */
    readonly last?: string;
  }[];
  readonly ports: Readonly<Record<string, number>>;
  readonly health?: {
    readonly up: boolean;
    readonly attempts: number;
    readonly failures_in_a_row: number;
    readonly successes_in_a_row: number;
    readonly snoozed_since?: Instant;
    readonly snoozed_until?: Instant;
    /** The last few answers, oldest first; `why` where one was bad. */
    readonly history: readonly { readonly at: Instant; readonly ok: boolean; readonly why?: string }[];
  };
};

export function reportOf({ document, processes, stage, check, up }: TaskState, { ports }: Bindings): TaskReport {
  return {
    format: 1,
    stage,
    processes: document.processes.map(({ name }) => {
      const of = stateOf(processes, name);
      const { runs, failures, losses, last } = of;
      return {
        name,
        status: of.status === 'done' ? of.outcome : of.status,
        runs,
        failures,
        losses,
        ...(of.status === 'running' ? { pid: of.pid } : {}),
        ...(of.status === 'running' || of.status === 'forked' ? { since: of.since } : {}),
        ...(last === undefined ? {} : { last: inWords(last) }),
      };
    }),
    ports,
    ...(check === undefined
      ? {}
      : {
          health: {
            up,
            attempts: check.health.attempts,
            failures_in_a_row: check.health.failures_in_a_row,
            successes_in_a_row: check.health.successes_in_a_row,
            ...(check.snoozed === undefined ? {} : { snoozed_since: check.snoozed.since }),
            ...(check.snoozed?.until === undefined ? {} : { snoozed_until: check.snoozed.until }),
            history: check.health.history.map(one => (one.ok ? one : { ...one, why: one.why.slice(0, 120) })),
          },
        }),
  };
}

function inWords(ending: Ending): string {
  if (ending.type !== 'exit') return ending.type;
  return 'code' in ending.exit ? `exit ${ending.exit.code}` : `signal ${ending.exit.signal}`;
}

/** Whether the task does well, as far as its checks tell; undefined when it has none, and until it was well for once. */
export function healthyOf({ check, up }: TaskState): boolean | undefined {
  return check === undefined || !up ? undefined : check.health.failures_in_a_row === 0;
}
