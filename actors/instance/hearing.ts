// hearing.ts: what a message means to an instance: which row of its table it is, with what came along.
//
// Every condition is here: is this place still wanted, is that task ours, is it too late, what does the policy say. What comes
// out is one happening, and from there on nothing is weighed any more: the table says what follows.

import type { TaskStatus } from '../../mesos/protocol.ts';
import { resultOf } from '../../mesos/results.ts';
import { type Conclusion, conclude } from '../../mesos/statuses.ts';
import { attemptOf } from '../model/ids.ts';
import type { Job } from '../model/job.ts';
import { givenUpAt, policyOf } from '../model/partition.ts';
import { checksMs } from '../model/processes.ts';
import type { EndReason } from '../model/reasons.ts';
import type { Attempted, InstanceRecord, Snooze } from '../model/records.ts';
import { reportHeard } from './call-backs.ts';
import { heardOf } from './condition.ts';
import { deadlineOf } from './deadlines.ts';
import { progressHeard } from './elements.ts';
import type { InstanceMessage, InstanceSettings, InstanceState, Live } from './instance.ts';
import type { Happening } from './instance-table.ts';
import { groupOf } from './launch.ts';
import { isHeard, snoozeOf } from './snooze.ts';

/** What happened, and what came along. */
export type Heard = {
  readonly what: Happening;
  /** Who wants it killed. */
  readonly by?: string;
  readonly at_once?: true;
  /** Why the attempt ended. A kill of our own outweighs it. */
  readonly reason?: EndReason;
  /** What its task left for those that follow. */
  readonly result?: string;
  /** What is to be known of its snooze from now on. */
  readonly snooze?: Snooze;
  /** What was reported of its work. */
  readonly called_back?: NonNullable<Attempted['called_back']>;
  /** How many it has done with. */
  readonly elements?: number;
  /** What it took longer than. */
  readonly timed_out?: NonNullable<Extract<InstanceRecord, { status: 'killing' }>['timed_out']>;
};

export function hear(state: InstanceState, message: InstanceMessage, now: number, times: InstanceSettings): Heard {
  const at = state.record;
  switch (message.type) {
    case 'begin':
      return at === undefined && !state.job.service ? run_begun : begun;
    case 'granted': {
      // Stale when this instance was killed, or asked for something else, while placement was choosing.
      const { task_id, matched } = message.granted;
      if (at === undefined || attemptOf(task_id) !== at.attempt) return granted_other;
      if (at.status !== 'pending') return granted;
      return matched.group !== groupOf(state.job_key, state.version) || (at.not_before ?? now) > now
        ? granted_other
        : granted;
    }
    case 'dropped':
      return at !== undefined && attemptOf(message.task_id) === at.attempt ? dropped : nothing;
    case 'kill':
      return wantsKilled(state, message.by, message.replace, message.grace);
    case 'vacate': {
      if (at === undefined || !('agent_id' in at) || at.agent_id !== message.agent_id) return nothing;
      return message.all || state.job.service ? wantsKilled(state, 'maintenance', true, true) : nothing;
    }
    case 'reconfigured':
      if (message.version < state.version) return nothing;
      return { what: message.anew === true ? 'renewed' : 'reconfigured' };
    case 'due': {
      const late = deadlineOf(state, times);
      if (late !== undefined && now >= late.at) {
        const { which, limit_ms } = late;
        return {
          what: which === 'run' ? 'ran too long' : 'out of time',
          by: `its ${which} time-out`,
          timed_out: { which, limit_ms },
          reason: { code: 'timed-out', which, limit_ms },
        };
      }
      if (at?.status === 'unreachable' && now >= (givenUpAt(state.job, at.since) ?? Number.POSITIVE_INFINITY))
        return {
          what: 'waited enough',
          reason: { code: 'lost', message: `its agent was unreachable for ${now - at.since} ms` },
        };
      return due;
    }
    case 'snooze':
      return { what: 'snooze', snooze: snoozeOf(message.envelope, now) };
    case 'progress':
      return progressHeard(state, message.envelope);
    case 'complete':
      return reportHeard(state, message.envelope);
    case 'updated': {
      const concluded = conclude(message.status);
      if (at === undefined || attemptOf(message.status.task_id.value) !== at.attempt) {
        // An attempt that is behind us. If Mesos says that it lives, it must not.
        return concluded.kind === 'starting' || concluded.kind === 'running' ? ghost : nothing;
      }
      return said(state, concluded, message.status, now, times);
    }
  }
}

const begun: Heard = { what: 'begun' };
const run_begun: Heard = { what: 'run begun' };
const granted: Heard = { what: 'granted' };
const granted_other: Heard = { what: 'granted other' };
const dropped: Heard = { what: 'dropped' };
const nothing: Heard = { what: 'nothing new' };
const due: Heard = { what: 'due' };
const ghost: Heard = { what: 'a ghost' };
const starting: Heard = { what: 'starting' };
const running: Heard = { what: 'running' };
const health_changed: Heard = { what: 'health changed' };

/** Without grace a kill hurries the one before; repeated, it is like any other. */
function wantsKilled({ record: at }: InstanceState, by: string, replace: boolean, grace: boolean): Heard {
  if (grace || (at?.status === 'killing' && at.at_once === true)) return { what: replace ? 'replace' : 'kill', by };
  return { what: replace ? 'replace at once' : 'kill at once', by, at_once: true };
}

/** What Mesos says of the present attempt. */
function said(
  state: InstanceState,
  concluded: Conclusion,
  status: TaskStatus,
  now: number,
  times: InstanceSettings,
): Heard {
  const at = state.record;
  switch (concluded.kind) {
    case 'starting':
      // Nobody else ever gives up on a task of which nothing comes: an executor may hang, an image never arrive.
      if ((at?.status === 'assigned' || at?.status === 'starting') && now - at.since >= startMs(state.job, times))
        return wantsKilled(state, 'start-timeout', true, true);
      return (at?.status === 'starting' ? ofSnooze(at, status) : undefined) ?? starting;
    case 'running':
      if (at?.status !== 'running') return running;
      return heardOf(at, status) !== at ? health_changed : (ofSnooze(at, status) ?? running);
    case 'killing':
      return nothing;
    case 'finished':
      if (state.job.async === true) return { ...handedOver(at as Live), ...left(state, status) };
      return { what: concluded.kind, reason: reasonOf(concluded), ...left(state, status) };
    case 'failed':
    case 'killed':
      return { what: concluded.kind, reason: reasonOf(concluded), ...left(state, status) };
    case 'invalid':
      return { what: 'failed', reason: reasonOf(concluded) };
    case 'lost':
      return { what: 'never started', reason: reasonOf(concluded) };
    case 'unknown':
      // Only Mesos's own TASK_UNKNOWN says that nobody has it; a state that we have never heard of says nothing.
      if (status.state !== 'TASK_UNKNOWN') return nothing;
      return { what: state.job.service ? 'service gone' : 'gone', reason: reasonOf(concluded) };
    case 'gone':
      return { what: state.job.service ? 'service gone' : 'gone', reason: reasonOf(concluded) };
    case 'unreachable':
      return { what: policyOf(state.job) === undefined ? 'cut off' : 'cut off, policy' };
  }
}

/** The command of an async job has ended well; of its work there may have been word before. */
function handedOver({ called_back }: Live): Heard {
  if (called_back === undefined) return { what: 'handed over' };
  return {
    what: called_back.status_code === 0 ? 'finished' : 'failed',
    reason: { code: 'called-back', ...called_back },
  };
}

/** What it left for those that follow its job: the first instance speaks for all. */
export function left({ index }: InstanceState, { data }: TaskStatus): { readonly result?: string } {
  const result = index === 0 ? resultOf(data) : undefined;
  return result === undefined ? {} : { result };
}

/** A word of a task of which a snooze is not known to have arrived. */
function ofSnooze({ snooze }: Live, status: TaskStatus): Heard | undefined {
  if (snooze === undefined || snooze.heard === true) return undefined;
  const heard = isHeard(snooze, status);
  if (heard !== true) return { what: 'snooze unheard' };
  // One that is over is done with.
  return { what: 'snooze heard', ...(snooze.over === true ? {} : { snooze: { ...snooze, heard } }) };
}

/** Why an attempt ended, in our words. */
export function reasonOf(concluded: Conclusion): EndReason {
  const { kind, cause, detail: message } = concluded;
  switch (kind) {
    case 'finished':
      return { code: 'exited', exit_code: concluded.exit_code ?? 0 };
    case 'killed':
      return { code: 'killed', by: cause === 'drained' ? 'a drain of its agent' : 'mesos' };
    case 'invalid':
      return { code: 'invalid', message };
    case 'failed':
      if (cause === 'unhealthy' || cause === 'over-limit') return { code: cause, message };
      if (!concluded.result_known) return { code: 'result-unknown', message };
      if (concluded.signal !== undefined) return { code: 'signalled', signal: concluded.signal };
      if (concluded.exit_code !== undefined) return { code: 'exited', exit_code: concluded.exit_code };
      return { code: 'launch-failed', message };
    default:
      return { code: 'lost', message };
  }
}

/** How long it may take to its first TASK_RUNNING: with a health check, which ends by itself, all of its attempts on top. */
const startMs = (job: Job, times: InstanceSettings): number => times.start_timeout_ms + checksMs(job);
