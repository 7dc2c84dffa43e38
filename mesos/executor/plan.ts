// plan.ts: which processes may run now, and whether what they are to do together is done, has failed, or is stuck.
//
// A task has two plans: the regular one, and the one for final processes when the task is over. In both a process may
// start when all before it have succeeded, when it has rested since its last run, and when a place is free.

import type { Instant } from '../../schedules/clock.ts';
import type { ProcessDocument, TaskDocument } from './document.ts';
import { predecessors } from './order.ts';
import { isLive, type ProcessState, unborn } from './progress.ts';

export type Plan = {
  readonly processes: readonly ProcessDocument[];
  /** Whom each has to wait for. */
  readonly needs: ReadonlyMap<string, ReadonlySet<string>>;
  readonly max_concurrency: number;
};
export type States = Readonly<Record<string, ProcessState>>;

/** How a plan stands at one instant. */
export type Standing = {
  /** May start now, in the order of the document. */
  readonly ready: readonly ProcessDocument[];
  readonly live: readonly ProcessDocument[];
  readonly failed: readonly ProcessDocument[];
  /** Nobody is waited for any more: all but the ephemeral ones are done, well or not. */
  readonly complete: boolean;
  /** Not complete, and nothing that happens will change that: who waits, waits for somebody who failed. */
  readonly stuck: boolean;
  /** When the next of those that only rest may start. */
  readonly next_at?: Instant;
};

export const planOf = (task: TaskDocument, kind: 'regular' | 'final'): Plan => ({
  processes: task.processes.filter(({ final }) => final === (kind === 'final')),
  needs: predecessors(task.order),
  max_concurrency: task.max_concurrency,
});

export const stateOf = (states: States, name: string): ProcessState => states[name] ?? unborn;

export function standingOf(plan: Plan, states: States, now: Instant): Standing {
  const of = ({ name }: ProcessDocument) => stateOf(states, name);
  const isFree = ({ name }: ProcessDocument) =>
    [...(plan.needs.get(name) ?? [])].every(earlier => {
      const state = stateOf(states, earlier);
      return state.status === 'done' && state.outcome === 'succeeded';
    });
  const live = plan.processes.filter(process => isLive(of(process)));
  const free = plan.processes.filter(process => of(process).status === 'waiting' && isFree(process));
  const rested = free.filter(process => restsUntil(of(process)) <= now);
  const places = plan.max_concurrency === 0 ? rested.length : Math.max(0, plan.max_concurrency - live.length);
  const later = free.map(process => restsUntil(of(process))).filter(at => at > now);
  const awaited = plan.processes.filter(({ ephemeral }) => !ephemeral);
  const complete = awaited.every(process => of(process).status === 'done');
  return {
    ready: rested.slice(0, places),
    live,
    failed: plan.processes.filter(process => {
      const state = of(process);
      return state.status === 'done' && state.outcome === 'failed';
    }),
    complete,
    stuck: !complete && ![...live, ...free].some(({ ephemeral }) => !ephemeral),
    ...(later.length === 0 ? {} : { next_at: Math.min(...later) }),
  };
}

const restsUntil = (state: ProcessState): Instant => (state.status === 'waiting' ? state.not_before : 0);
