// statuses.ts: what a scheduler must conclude from what Mesos says of a task.
//
// A state alone does not tell. TASK_KILLED may be our kill, a failed health check or an operator draining the machine;
// TASK_FAILED may be the task's own exit code or an executor that died and took the result with it; and only some of the ends
// are ends: a lost or unreachable task may be back in an hour, running. So state, reason, source and words are read together,
// and come out as one conclusion whose fields are what the life of an instance turns on.

import type { Instant } from '../schedules/clock.ts';
import type { TaskStatus } from './protocol.ts';

/** How a status came about, as far as it matters to people and to retries. */
export type Cause =
  | 'progress' // on its way: nothing has ended
  | 'exited' // by itself, with an exit code
  | 'signalled' // by a signal that was not our kill
  | 'killed' // somebody asked for it
  | 'drained' // the agent is being emptied: not our kill, wanted elsewhere
  | 'preempted' // revocable resources were taken back
  | 'unhealthy' // its health check failed too often
  | 'timed-out' // ran longer than its max_completion_time
  | 'over-limit' // used more than its resources
  | 'launch-failed' // never came to run: image, URI, user, container
  | 'result-unknown' // it ended, and how is not known
  | 'never-started' // Mesos is sure that it was not launched
  | 'invalid' // Mesos refused the task as it is written
  | 'agent-away' // the agent cannot be reached: the task may be running
  | 'agent-gone' // the agent is gone for good, so they say
  | 'not-known'; // nobody knows this task

export type Conclusion = {
  /**
   * `lost`: never started, safe to launch again. `gone`: surely ends or has ended, result unknown. `invalid`: refused as
   * written.
   */
  readonly kind:
    | 'starting'
    | 'running'
    | 'killing'
    | 'finished'
    | 'failed'
    | 'killed'
    | 'lost'
    | 'unreachable'
    | 'gone'
    | 'unknown'
    | 'invalid';
  readonly cause: Cause;
  /** This task id will never run (again). A later status that says otherwise is a stale or a mistaken one. */
  readonly final: boolean;
  /** The task is known never to have run its command. */
  readonly never_started: boolean;
  /** How the command ended is known. False as long as it has not ended. */
  readonly result_known: boolean;
  readonly exit_code?: number;
  /** As Mesos names it: `Killed`, `Terminated`, `Segmentation fault`. */
  readonly signal?: string;
  readonly healthy?: boolean;
  /** It answers a RECONCILE or a KILL from what the master knows; it is not news from the task. */
  readonly reconciled: boolean;
  /** When it happened, by the clock of whoever reported it. */
  readonly at?: Instant;
  /** Mesos's own words, state and reason first. */
  readonly detail: string;
};

type Verdict = Pick<Conclusion, 'kind' | 'cause'> &
  Partial<Pick<Conclusion, 'final' | 'never_started' | 'result_known'>>;

const progress = (kind: Conclusion['kind']): Verdict => ({ kind, cause: 'progress' });
const away: Verdict = { kind: 'unreachable', cause: 'agent-away' };
const never_started: Verdict = { kind: 'lost', cause: 'never-started', final: true, never_started: true };
const launch_failed: Verdict = {
  kind: 'failed',
  cause: 'launch-failed',
  final: true,
  never_started: true,
  result_known: true,
};
const result_unknown: Verdict = { kind: 'failed', cause: 'result-unknown', final: true };
const over_limit: Verdict = { kind: 'failed', cause: 'over-limit', final: true, result_known: true };
const gone: Verdict = { kind: 'gone', cause: 'agent-gone', final: true };
const not_known: Verdict = { kind: 'unknown', cause: 'not-known' };

/**
 * TASK_FAILED by reason. Without one, or with a reason that is not here, the words of the executor tell.
 * `sleep 6; exit 0` that ends while its agent restarts is TASK_FAILED with REASON_EXECUTOR_TERMINATED: that is no failure of
 * the task, it is ignorance.
 */
const failed_by_reason: { readonly [reason: string]: Verdict } = {
  REASON_EXECUTOR_TERMINATED: result_unknown,
  REASON_EXECUTOR_UNREGISTERED: result_unknown,
  REASON_EXECUTOR_REREGISTRATION_TIMEOUT: result_unknown,
  REASON_SLAVE_RESTARTED: result_unknown,
  REASON_AGENT_RESTARTED: result_unknown,
  REASON_COMMAND_EXECUTOR_FAILED: result_unknown,
  REASON_CONTAINER_UPDATE_FAILED: result_unknown,
  REASON_IO_SWITCHBOARD_EXITED: result_unknown,
  REASON_CONTAINER_LAUNCH_FAILED: launch_failed,
  REASON_EXECUTOR_REGISTRATION_TIMEOUT: launch_failed,
  REASON_RESOURCES_UNKNOWN: launch_failed,
  REASON_CONTAINER_LIMITATION: over_limit,
  REASON_CONTAINER_LIMITATION_MEMORY: over_limit,
  REASON_CONTAINER_LIMITATION_DISK: over_limit,
  REASON_CONTAINER_PREEMPTED: { kind: 'failed', cause: 'preempted', final: true, result_known: true },
  REASON_MAX_COMPLETION_TIME_REACHED: { kind: 'failed', cause: 'timed-out', final: true, result_known: true },
};

/**
 * TASK_LOST by reason. Masters say it to frameworks that are not partition aware, and to all when an agent that does not
 * checkpoint goes away. Only where the launch itself was dropped is it sure that nothing runs.
 */
const lost_by_reason: { readonly [reason: string]: Verdict } = {
  REASON_INVALID_OFFERS: never_started,
  REASON_INVALID_FRAMEWORKID: never_started,
  REASON_MASTER_DISCONNECTED: never_started,
  REASON_FRAMEWORK_REMOVED: never_started,
  REASON_GC_ERROR: never_started,
  REASON_TASK_UNAUTHORIZED: never_started,
  REASON_TASK_GROUP_UNAUTHORIZED: never_started,
  REASON_EXECUTOR_TERMINATED: result_unknown,
  REASON_RECONCILIATION: not_known,
};

/** What `status` means. Every state that Mesos has is here; one that it has not yet is `unknown`, never a guess. */
export function conclude(status: TaskStatus): Conclusion {
  const verdict = verdictOf(status);
  const { final = false, never_started = false, result_known = false } = verdict;
  const exit = exitOf(status.message);
  const known = result_known || (final && exit !== undefined && verdict.cause !== 'invalid');
  // Field by field: this is made for every status, and a spread for each that may be absent is garbage for each.
  const concluded: { -readonly [field in keyof Conclusion]: Conclusion[field] } = {
    kind: verdict.kind,
    cause: verdict.cause,
    final,
    never_started,
    result_known: known,
    reconciled: status.reason === 'REASON_RECONCILIATION',
    // Words for a person are wanted when something went wrong.
    detail:
      verdict.cause === 'progress' && status.message === undefined && status.reason === undefined
        ? status.state
        : [status.state, status.reason, status.message].filter(Boolean).join(' '),
  };
  if (final && exit?.exit_code !== undefined) concluded.exit_code = exit.exit_code;
  if (final && exit?.signal !== undefined) concluded.signal = exit.signal;
  if (status.healthy !== undefined) concluded.healthy = status.healthy;
  if (typeof status.timestamp === 'number') concluded.at = Math.round(status.timestamp * 1000);
  return concluded;
}

function verdictOf(status: TaskStatus): Verdict {
  const { state, reason = '' } = status;
  switch (state) {
    case 'TASK_STAGING':
    case 'TASK_STARTING':
      return progress('starting');
    case 'TASK_RUNNING':
      return progress('running');
    case 'TASK_KILLING':
      return progress('killing');
    case 'TASK_FINISHED':
      return { kind: 'finished', cause: 'exited', final: true, result_known: true };
    case 'TASK_FAILED':
      return failed(status);
    case 'TASK_KILLED':
      return killed(status);
    case 'TASK_ERROR':
      return { kind: 'invalid', cause: 'invalid', final: true, never_started: true, result_known: true };
    case 'TASK_DROPPED':
      return never_started;
    case 'TASK_LOST':
      return lost_by_reason[reason] ?? away;
    case 'TASK_UNREACHABLE':
      return away;
    case 'TASK_GONE':
      return reason === 'REASON_CONTAINER_PREEMPTED' ? { ...gone, cause: 'preempted' } : gone;
    case 'TASK_GONE_BY_OPERATOR':
      // The operator may be mistaken, and then the agent's tasks live on where nobody can see them.
      return { ...gone, final: false };
    case 'TASK_UNKNOWN':
      return not_known;
    default:
      return unheardOf(state);
  }
}

function failed({ reason = '', healthy, message }: TaskStatus): Verdict {
  const by_reason = failed_by_reason[reason];
  const exit = exitOf(message);
  // The words of an exit are knowledge, whatever became of the executor that said them.
  if (by_reason !== undefined && (by_reason !== result_unknown || exit === undefined)) return by_reason;
  if (healthy === false) return { kind: 'failed', cause: 'unhealthy', final: true, result_known: true };
  if (exit?.exit_code !== undefined) return { kind: 'failed', cause: 'exited', final: true, result_known: true };
  if (exit?.signal !== undefined) return { kind: 'failed', cause: 'signalled', final: true, result_known: true };
  // An executor says that the task failed, in words of its own: that is a result, although it has no number.
  return { kind: 'failed', cause: 'exited', final: true, result_known: true };
}

function killed({ reason, healthy }: TaskStatus): Verdict {
  if (reason === 'REASON_TASK_KILLED_DURING_LAUNCH')
    return { kind: 'killed', cause: 'killed', final: true, never_started: true, result_known: true };
  if (reason === 'REASON_AGENT_DRAINING' || reason === 'REASON_SLAVE_DRAINING')
    return { kind: 'killed', cause: 'drained', final: true, result_known: true };
  // A health check that fails too often ends in TASK_KILLED, though nobody asked for it: it counts as a failure.
  if (healthy === false) return { kind: 'failed', cause: 'unhealthy', final: true, result_known: true };
  return { kind: 'killed', cause: 'killed', final: true, result_known: true };
}

/** The type says that no other state exists; a newer master may say otherwise. */
const unheardOf = (_state: never): Verdict => not_known;

/** Mesos puts the exit status into words only: `Command exited with status 3`, `Command terminated with signal Killed`. */
export function exitOf(
  message: string | undefined,
):
  | { readonly exit_code: number; readonly signal?: undefined }
  | { readonly signal: string; readonly exit_code?: undefined }
  | undefined {
  // Anchored: "Failed to fetch all URIs for container ... exited with status 1" is the fetcher's exit, not the task's.
  const exited = /^(?:Command|Container) exited with status (\d+)/.exec(message ?? '');
  if (exited !== null) return { exit_code: Number(exited[1]) };
  const signalled = /^(?:Command|Container) terminated with signal (.+?)(?: \(core dumped\))?$/.exec(message ?? '');
  if (signalled !== null) return { signal: signalled[1]! };
  return undefined;
}
