// aside.ts: what becomes of mail to those that were put aside because they crashed and crashed again.
//
// Nobody may be kept waiting for them: commands are answered, offers go back, a job that is being deleted goes. And nothing
// that Mesos says may be lost, since Mesos forgets an update once it is acknowledged: how the task of such an instance fares
// is written down in the simplest way there is, without the decisions that it crashed on. It is not tried again; when its
// task ended as a run may end it is over, and otherwise it waits in the records for the next life of the scheduler.

import type { TaskStatus } from '../mesos/protocol.ts';
import { type Conclusion, conclude } from '../mesos/statuses.ts';
import { call, type Effect, log, record, reply, tell } from './effects.ts';
import { left, reasonOf } from './instance/hearing.ts';
import type { InstanceMessage, InstanceState, Live } from './instance/instance.ts';
import type { JobMessage } from './job/job.ts';
import { letGo } from './job/orphans.ts';
import { attemptOf, type JobKey, taskId } from './model/ids.ts';
import { type EndReason, refusal } from './model/reasons.ts';
import { type FinishedAttempt, type InstanceRecord, sortable } from './model/records.ts';
import { isTriedAgain } from './model/tries.ts';
import type { TriggerMessage } from './trigger/trigger.ts';

export function jobAside(message: JobMessage, key: JobKey, reason: string): readonly Effect[] {
  // Nobody waits for it to change itself; when it is there again it finds that its parent is not.
  if (message.type === 'orphaned') return [letGo(message.parent, key)];
  if (message.type !== 'command' && message.type !== 'kill-started') return [];
  const text = `job ${key} was put aside after it crashed: ${reason}`;
  return [reply(message.envelope.request_id, refusal('quarantined', text))];
}

export function triggerAside(message: TriggerMessage, key: JobKey, reason: string): readonly Effect[] {
  switch (message.type) {
    case 'start':
    case 'steer':
    case 'withdraw': {
      const { command, request_id } = message.envelope;
      // It starts nothing any more, so whoever wanted the job to be still has got it.
      if (message.type === 'withdraw' && command.type === 'kill-all')
        return [reply(request_id, { type: 'killing', key, count: message.killed })];
      const text = `the trigger of ${key} was put aside after it crashed: ${reason}`;
      return [reply(request_id, refusal('quarantined', text))];
    }
    // A job that is being deleted need not wait for it.
    case 'begin':
    case 'close':
      return [tell({ to: 'job', key, message: { type: 'closed' } })];
    default:
      return [];
  }
}

/** `state`: the instance as its records leave it. */
export function instanceAside(
  state: InstanceState,
  message: InstanceMessage,
  now: number,
  kill_retry_ms: number,
): readonly Effect[] {
  const at = state.record;
  switch (message.type) {
    case 'granted': {
      const { group, place, task_id } = message.granted;
      const answered = [{ group, place, task_id, plan: undefined }];
      return [tell({ to: 'offers', message: { type: 'answered', answered } })];
    }
    case 'updated':
      return updated(state, message.status, now);
    case 'dropped':
      if (at?.status !== 'assigned' && at?.status !== 'killing') return [];
      if (attemptOf(message.task_id) !== at.attempt) return [];
      if (at.status === 'killing') return ended(state, at, 'killed', { code: 'killed', by: at.by }, now, now);
      return [record('instance', state.key, again(at, at.failures, now))];
    case 'kill': {
      const { by, replace, grace } = message;
      if (at === undefined || at.status === 'over') return [];
      if (at.status === 'pending')
        return replace
          ? []
          : [
              tell({ to: 'placement', message: { type: 'withdrawn', withdrawn: [state.key] } }),
              ...over(state, at, 'killed', { code: 'killed', by }, now),
            ];
      if (at.status === 'awaiting') return replace ? [] : over(state, at, 'killed', { code: 'killed', by }, now);
      const { timed_out, ...rest } = at.status === 'killing' ? at : { ...at, timed_out: undefined };
      const for_good = at.status === 'killing' && at.replace && !replace;
      const next: Killing = {
        ...rest,
        // Whoever kills it for good outweighs the time that it took.
        ...(timed_out === undefined || for_good ? {} : { timed_out }),
        status: 'killing',
        by,
        replace: replace && (at.status !== 'killing' || at.replace),
        ...(grace ? {} : { at_once: true }),
      };
      return [record('instance', state.key, next), ...kill(state, next, now + kill_retry_ms)];
    }
    case 'complete':
    case 'progress':
    case 'snooze': {
      const text = `instance ${state.key} was put aside after it crashed`;
      return [reply(message.envelope.request_id, refusal('quarantined', text))];
    }
    case 'due':
      return at?.status === 'killing' ? kill(state, at, now + kill_retry_ms) : [];
    default:
      return [];
  }
}

/** What its task left for those that follow. */
type Left = { readonly result?: string };
type Killing = Extract<InstanceRecord, { status: 'killing' }>;

/** Killed now, and again as long as nobody says that it is over. */
function kill(state: InstanceState, at: Killing, again_at: number): readonly Effect[] {
  const nanoseconds = at.at_once === true ? 0 : state.job.kill_grace_ms * 1e6;
  return [
    call({
      type: 'KILL',
      kill: {
        task_id: { value: taskId(state.key, at.attempt) },
        agent_id: { value: at.agent_id },
        kill_policy: { grace_period: { nanoseconds } },
      },
    }),
    tell({
      to: 'timetable',
      message: { type: 'armed', armed: [{ to: 'instance', key: state.key, at: again_at }] },
    }),
  ];
}

/** What Mesos says is recorded, then acknowledged. */
function updated(state: InstanceState, status: TaskStatus, now: number): readonly Effect[] {
  const { task_id, agent_id, uuid } = status;
  const at = state.record;
  const present =
    at !== undefined &&
    at.status !== 'pending' &&
    at.status !== 'over' &&
    at.status !== 'awaiting' &&
    attemptOf(task_id.value) === at.attempt;
  return [
    log('warn', { task: task_id.value, state: status.state }, 'an update for an instance that was put aside'),
    ...(present ? followed(state, at, conclude(status), status, now) : []),
    ...(uuid === undefined || agent_id === undefined
      ? []
      : [call({ type: 'ACKNOWLEDGE', acknowledge: { agent_id, task_id, uuid } })]),
  ];
}

function followed(
  state: InstanceState,
  at: Live,
  concluded: Conclusion,
  status: TaskStatus,
  now: number,
): readonly Effect[] {
  const said = status.timestamp === undefined ? now : Math.round(status.timestamp * 1000);
  const { called_back } = at;
  switch (concluded.kind) {
    case 'starting':
    case 'killing':
      return [];
    case 'running': {
      if (at.status === 'running' || at.status === 'killing') return [];
      const next: InstanceRecord = { ...at, status: 'running', started_at: at.started_at ?? said };
      return [record('instance', state.key, next)];
    }
    case 'unreachable':
      if (at.status === 'unreachable' || at.status === 'killing') return [];
      return [record('instance', state.key, { ...at, status: 'unreachable', since: now })];
    case 'unknown':
      if (status.state !== 'TASK_UNKNOWN') return [];
      return ended(state, at, 'lost', reasonOf(concluded), said, now);
    case 'lost':
    case 'gone':
    case 'killed':
      return ended(state, at, 'lost', reasonOf(concluded), said, now);
    case 'finished':
      if (state.job.async === true && at.status !== 'killing' && called_back === undefined)
        return [record('instance', state.key, { ...at, status: 'awaiting', since: now, ...left(state, status) })];
      return ended(
        state,
        { ...at, ...left(state, status) },
        called_back === undefined || called_back.status_code === 0 ? 'finished' : 'failed',
        called_back === undefined ? reasonOf(concluded) : { code: 'called-back', ...called_back },
        said,
        now,
      );
    case 'invalid':
    case 'failed':
      return ended(state, at, 'failed', reasonOf(concluded), said, now);
  }
}

function ended(
  state: InstanceState,
  at: Live & Left,
  how: FinishedAttempt['outcome'],
  why: EndReason,
  ended_at: number,
  now: number,
): readonly Effect[] {
  // One that was killed because it took too long has failed, however it went then.
  const late = at.status === 'killing' ? at.timed_out : undefined;
  const killed = at.status === 'killing' && late === undefined;
  const outcome = late !== undefined ? 'failed' : killed ? 'killed' : how;
  const reason: EndReason =
    late !== undefined ? { code: 'timed-out', ...late } : killed ? { code: 'killed', by: at.by } : why;
  const task_id = taskId(state.key, at.attempt);
  const row: FinishedAttempt = {
    task_id,
    index: state.index,
    attempt: at.attempt,
    agent_id: at.agent_id,
    hostname: at.hostname,
    ...(at.started_at === undefined ? {} : { started_at: at.started_at }),
    ended_at,
    outcome,
    reason,
    ...(at.elements === undefined ? {} : { elements: at.elements }),
  };
  const told = record('finished-attempt', `${state.job_key}/${sortable(now)}/${task_id}`, row);
  if (killed && !at.replace) return [told, ...over(state, at, 'killed', reason, now)];
  const { service, max_task_failures } = state.job;
  const failures = at.failures + (outcome === 'failed' ? 1 : 0);
  if (!service && outcome === 'finished') return [told, ...over(state, at, 'succeeded', reason, now)];
  const last = !isTriedAgain(state.job, reason) || (max_task_failures !== -1 && failures >= max_task_failures);
  if (!service && outcome === 'failed' && last)
    return [told, ...over(state, { ...at, failures }, 'failed', reason, now)];
  return [told, record('instance', state.key, again(at, failures, now))];
}

const again = ({ attempt }: Live, failures: number, now: number): InstanceRecord => ({
  status: 'pending',
  attempt: attempt + 1,
  failures,
  since: now,
});

function over(
  { key, job_key, run, index }: InstanceState,
  at: Pick<Live, 'attempt' | 'failures'> & Partial<Pick<Live, 'agent_id' | 'hostname'>> & Left,
  outcome: 'succeeded' | 'failed' | 'killed',
  reason: EndReason,
  now: number,
): readonly Effect[] {
  const { attempt, failures, agent_id, hostname, result } = at;
  const last = {
    status: 'over',
    attempt,
    failures,
    since: now,
    outcome,
    reason,
    ...(agent_id === undefined ? {} : { agent_id }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(result === undefined ? {} : { result }),
  } as const;
  return [
    record('instance', key, last),
    tell({ to: 'job', key: job_key, message: { type: 'instance-over', run, index, record: last } }),
  ];
}
