// progress.ts: how far one process of a task has come, and what the end of a run means for it.
//
//   waiting --fork--> forked --its pid is known--> running --it ends--> waiting again, or done
//
// A run that a signal ended, or of which nobody knows how it ended, is lost: it says nothing about the process, so it is
// run again and not counted as a failure. Only so many runs, though, whatever they came to.

import type { Instant } from '../../schedules/clock.ts';
import { type Exit, textOfExit } from '../local/signals.ts';
import { type ProcessDocument, runs_max } from './document.ts';

/** How a run ended. */
export type Ending =
  | { readonly type: 'exit'; readonly exit: Exit }
  /** The command could not be started at all. */
  | { readonly type: 'failed' }
  | { readonly type: 'unknown' };

type Counts = {
  /** Runs begun; the number of the present or last one is one less. */
  readonly runs: number;
  readonly failures: number;
  readonly losses: number;
  /** How the last run ended. */
  readonly last?: Ending;
};
export type ProcessState = Counts &
  (
    | { readonly status: 'waiting'; readonly not_before: Instant }
    | { readonly status: 'forked'; readonly since: Instant }
    | { readonly status: 'running'; readonly since: Instant; readonly pid: number }
    /** `stopped`: by us, because the task was over. */
    | { readonly status: 'done'; readonly outcome: 'succeeded' | 'failed' | 'stopped' }
  );

export const unborn: ProcessState = { status: 'waiting', not_before: 0, runs: 0, failures: 0, losses: 0 };

export const isLive = (state: ProcessState): boolean => state.status === 'forked' || state.status === 'running';

/** The number of the present run, from 0 on; also the name of its folder of logs. */
export const runOf = (state: ProcessState): number => state.runs - 1;

export function forked(state: ProcessState, at: Instant): ProcessState {
  return { status: 'forked', since: at, ...countsOf(state), runs: state.runs + 1 };
}

export function started(state: ProcessState, pid: number, at: Instant): ProcessState {
  return { status: 'running', since: at, pid, ...countsOf(state) };
}

/** What becomes of a process when a run of it ends. `leaving`: the task is being ended, nothing starts any more. */
export function ended(
  state: ProcessState,
  process: ProcessDocument,
  ending: Ending,
  at: Instant,
  leaving: boolean,
): ProcessState {
  const what = meaningOf(ending);
  const counts: Counts = {
    runs: state.runs,
    failures: state.failures + (what === 'failure' && !leaving ? 1 : 0),
    losses: state.losses + (what === 'lost' && !leaving ? 1 : 0),
    last: ending,
  };
  const done = (outcome: 'succeeded' | 'failed' | 'stopped'): ProcessState => ({ status: 'done', outcome, ...counts });
  const again: ProcessState = { status: 'waiting', not_before: at + process.min_duration_ms, ...counts };
  if (leaving) return done(what === 'success' && !process.daemon ? 'succeeded' : 'stopped');
  const spent = counts.runs >= runs_max;
  if (what === 'success') return process.daemon && !spent ? again : done('succeeded');
  const failed_for_good = what === 'failure' && process.max_failures > 0 && counts.failures >= process.max_failures;
  if (!failed_for_good && !spent) return again;
  // Nobody waits for an ephemeral process, so its failure is nobody's.
  return done(process.ephemeral ? 'succeeded' : 'failed');
}

const countsOf = ({ runs, failures, losses, last }: ProcessState): Counts => ({
  runs,
  failures,
  losses,
  ...(last === undefined ? {} : { last }),
});

export function meaningOf(ending: Ending): 'success' | 'failure' | 'lost' {
  if (ending.type === 'unknown') return 'lost';
  if (ending.type === 'failed') return 'failure';
  if ('signal' in ending.exit) return 'lost';
  return ending.exit.code === 0 ? 'success' : 'failure';
}

/** Why a process has failed for good. Begins with Mesos's own words for an exit, so that a scheduler finds the code. */
export function whyFailed(process: ProcessDocument, state: ProcessState): string {
  const { last, failures, runs } = state;
  const often = runs >= runs_max ? `after ${runs} runs` : `${failures} of ${process.max_failures} times`;
  const which = `process "${process.name}" failed ${often}`;
  if (last?.type === 'failed') return `Process "${process.name}" could not be started: ${which}`;
  if (last?.type !== 'exit') return `Nobody knows how the last run ended: ${which}`;
  const hint = 'code' in last.exit && last.exit.code === 127 ? ', its last command was not found' : '';
  return `${textOfExit(last.exit)}: ${which}${hint}`;
}
