// instance.ts: the life of one instance: attempt after attempt, until it is over.
//
// Think of a seat that must be filled. It asks for a place (pending), is given one (assigned), hears that somebody sits
// (running) and that he left (finished, failed, lost); then it is either over or asks again. Each attempt is one Mesos
// task, and its id is never used twice. What is written down here is enough to go on after any crash: an attempt that was
// recorded and perhaps launched is settled by asking Mesos, never by launching it again.

import { windowMs } from '../mesos/executor/health.ts';
import type { TaskStatus } from '../mesos/protocol.ts';
import { type Conclusion, conclude } from '../mesos/statuses.ts';
import { heardOf } from './condition.ts';
import { call, count, type Effect, log, record, tell } from './effects.ts';
import { type Archive, launchPlan, type Overhead, requirements, waitsForArchive } from './launch.ts';
import type { InstanceKey, JobKey, RunId, TaskId } from './model/ids.ts';
import { attemptOf, taskId } from './model/ids.ts';
import type { Job } from './model/job.ts';
import { givenUpAt, policyOf } from './model/partition.ts';
import { hasExecutor, taskOf } from './model/processes.ts';
import type { Cause, EndReason } from './model/reasons.ts';
import {
  type Attempted,
  type FinishedAttempt,
  type InstanceRecord,
  type RunOutcome,
  sortable,
} from './model/records.ts';
import type { Granted } from './placement.ts';
import { type Step, step, stepWith } from './step.ts';

/** What every instance is told by the settings; delays in milliseconds. */
export type InstanceSettings = {
  readonly retry_delay_ms: number;
  readonly retry_delay_ms_max: number;
  readonly kill_retry_ms: number;
  /** From its place to its first TASK_RUNNING, health checks apart; then it is killed and begun again elsewhere. */
  readonly start_timeout_ms: number;
  /** A service that ran at least this long was well: its next restart waits no longer than the first. */
  readonly well_after_ms: number;
  /** What the default executor takes beside each task. */
  readonly executor: Overhead;
  /** How long an executor waits for a task that is announced to be off the list; 0, or left out: there is no list. */
  readonly withdraw_wait_ms?: number;
  /** Where agents find Horae's own executor. Only simulations do without. */
  readonly archive?: Archive;
};

export type InstanceState = {
  readonly key: InstanceKey;
  readonly job_key: JobKey;
  readonly run: RunId;
  readonly index: number;
  readonly cause: Cause;
  readonly job: Job;
  readonly version: number;
  readonly run_created_at: number;
  /** undefined before its first record. */
  readonly record: InstanceRecord | undefined;
};

export type InstanceMessage =
  /** First message after birth: a new instance records itself and asks for a place, a restored one goes on. */
  | { readonly type: 'begin' }
  /** Placement chose a place. It is ours only when we say so. */
  | { readonly type: 'granted'; readonly granted: Granted }
  /** The launch surely did not happen: the offer went away, or the call was refused or never sent. */
  | { readonly type: 'dropped'; readonly task_id: TaskId; readonly why: string }
  | { readonly type: 'updated'; readonly status: TaskStatus }
  /** Ends this attempt; `replace`: and begins another one. */
  | {
      readonly type: 'kill';
      readonly by: string;
      readonly replace: boolean /** false: SIGKILL at once. */;
      readonly grace: boolean;
    }
  /** Its agent goes into maintenance: a service moves on. `all`: so does whoever else is there. */
  | { readonly type: 'vacate'; readonly agent_id: string; readonly all: boolean }
  /** The job was replaced: the next attempt is made of this. */
  | { readonly type: 'reconfigured'; readonly job: Job; readonly version: number }
  | { readonly type: 'due' };

export const instance =
  (times: InstanceSettings) =>
  (state: InstanceState, message: InstanceMessage, now: number): Step<InstanceState, Effect> => {
    const at = state.record;
    switch (message.type) {
      case 'begin':
        if (at === undefined) return ask(state, { status: 'pending', attempt: 1, failures: 0, since: now }, now, times);
        if (at.status === 'pending') return ask(state, at, now, times);
        // After a restart the kill is repeated at once: the first may have died with us.
        if (at.status === 'killing') return step(state, kill(state, at), arm(state, now + times.kill_retry_ms));
        if (at.status === 'unreachable') return step(state, ...givesUpOn(state, at));
        return step(state); // The framework asks Mesos about it.

      case 'granted': {
        const { granted } = message;
        // Stale when this instance was killed, or asked for something else, while placement was choosing.
        const stale =
          at?.status !== 'pending' ||
          attemptOf(granted.task_id) !== at.attempt ||
          granted.requirements !== needs(state, times).plan.group ||
          (at.not_before ?? now) > now;
        if (stale)
          return step(
            state,
            tell({
              to: 'offers',
              message: {
                type: 'answered',
                answered: [{ group: granted.group, place: granted.place, task_id: granted.task_id, plan: undefined }],
              },
            }),
          );
        const { group, place, task_id, agent_id, hostname, ports } = granted;
        const next: InstanceRecord = {
          status: 'assigned',
          attempt: at.attempt,
          failures: at.failures,
          since: now,
          agent_id,
          hostname,
          version: state.version,
          ...(state.job.ports.length > 0 ? { ports } : {}),
        };
        const plan = launchPlan(state, granted, at.attempt, times);
        return step(
          { ...state, record: next },
          record('instance', state.key, next),
          tell({
            to: 'offers',
            message: { type: 'answered', answered: [{ group, place, task_id, plan }] },
          }),
        );
      }

      case 'dropped':
        if (at === undefined || attemptOf(message.task_id) !== at.attempt) return step(state);
        // Nothing of this attempt can have started, so nothing is counted; its id is spent all the same.
        if (at.status === 'assigned')
          return again(state, at, at.failures, now, now + lostDelay(at.attempt, times), times);
        if (at.status === 'killing')
          return ended(state, at, { code: 'killed', by: at.by }, 'killed', undefined, now, times);
        return step(state);

      case 'updated':
        return updated(state, message.status, now, times);

      case 'kill':
        if (at === undefined || at.status === 'over') return step(state);
        if (at.status === 'pending') {
          if (message.replace) return step(state);
          return over(state, at.attempt, at.failures, 'killed', { code: 'killed', by: message.by }, now, [
            withdrawn(state),
            ...(at.not_before === undefined ? [] : [disarm(state)]),
          ]);
        }
        if (at.status === 'killing') return firmer(state, at, message, now, times);
        {
          const next: Killing = {
            ...attempted(at),
            status: 'killing',
            since: now,
            by: message.by,
            replace: message.replace,
            ...(message.grace ? {} : { at_once: true }),
          };
          return step(
            { ...state, record: next },
            record('instance', state.key, next),
            // The ACCEPT of an assigned task may not have left, and a KILL must not overtake it: the offers actor, which
            // knows, either keeps the task back or says `due`, and then the KILL follows.
            at.status === 'assigned' ? revoked(state, at) : kill(state, next),
            arm(state, now + times.kill_retry_ms),
            log('info', { ...who(state), task: taskId(state.key, at.attempt), by: message.by }, 'task is being killed'),
          );
        }

      case 'vacate': {
        if (at === undefined || at.status === 'over' || at.status === 'pending' || at.status === 'killing')
          return step(state);
        if (at.agent_id !== message.agent_id || !(message.all || state.job.service)) return step(state);
        return instance(times)(state, { type: 'kill', by: 'maintenance', replace: true, grace: true }, now);
      }

      case 'reconfigured': {
        if (message.version < state.version) return step(state);
        const next = { ...state, job: message.job, version: message.version };
        if (at?.status !== 'pending') return step(next);
        // What it asks for may be other than before.
        return stepWith(next, [withdrawn(next), ...ask(next, at, now, times).effects]);
      }

      case 'due':
        if (at?.status === 'pending') return ask(state, at, now, times);
        if (at?.status === 'killing') return step(state, kill(state, at), arm(state, killAgainAt(at, now, times)));
        if (at?.status === 'unreachable' && now >= (givenUpAt(state.job, at.since) ?? Number.POSITIVE_INFINITY))
          return givenUp(state, at, now, times);
        return step(state);
    }
  };

/** A kill that nobody confirms is repeated, each time after twice as long: nobody is launched again before it is sure. */
const killAgainAt = (at: Killing, now: number, times: InstanceSettings): number =>
  now + Math.min(now - at.since + times.kill_retry_ms, Math.max(times.kill_retry_ms, kill_retry_ms_max));
const kill_retry_ms_max = 300_000;

function givesUpOn(state: InstanceState, at: Live): readonly Effect[] {
  const instant = givenUpAt(state.job, at.since);
  return instant === undefined ? [] : [arm(state, instant)];
}

/** Whether the job wants two copies rather than none: the other may still run where nobody can see it. */
function givenUp(state: InstanceState, at: Live, now: number, times: InstanceSettings): Step<InstanceState, Effect> {
  const message = `its agent was unreachable for ${now - at.since} ms`;
  const next = ended(state, at, { code: 'lost', message }, 'lost', undefined, now, times);
  // Should its agent come back, the master passes this on; if it does not, the first word of the task brings another.
  const { attempt, agent_id } = at;
  const killed = call({
    type: 'KILL',
    kill: { task_id: { value: taskId(state.key, attempt) }, agent_id: { value: agent_id } },
  });
  return stepWith(next.state, [...next.effects, killed]);
}

/** Killed again: a kill without replacement outweighs one with, and one without grace hurries the one before. */
function firmer(
  state: InstanceState,
  at: Killing,
  message: Extract<InstanceMessage, { type: 'kill' }>,
  now: number,
  times: InstanceSettings,
): Step<InstanceState, Effect> {
  const final = at.replace && !message.replace;
  const hurried = !message.grace && at.at_once !== true;
  if (!final && !hurried) return step(state);
  const next: Killing = {
    ...at,
    ...(final ? { by: message.by, replace: false } : {}),
    ...(hurried ? { at_once: true } : {}),
  };
  const again = hurried ? [kill(state, next), arm(state, now + times.kill_retry_ms)] : [];
  return step({ ...state, record: next }, record('instance', state.key, next), ...again);
}

type Killing = Extract<InstanceRecord, { status: 'killing' }>;
type Live = Exclude<InstanceRecord, { status: 'pending' } | { status: 'over' }>;

function updated(
  state: InstanceState,
  status: TaskStatus,
  now: number,
  times: InstanceSettings,
): Step<InstanceState, Effect> {
  const at = state.record;
  const concluded = conclude(status);
  // Acknowledged only after whatever we record about it is durable: Mesos forgets an update once it is acknowledged.
  const acknowledge: Effect[] =
    status.uuid !== undefined && status.agent_id !== undefined
      ? [
          call({
            type: 'ACKNOWLEDGE',
            acknowledge: { agent_id: status.agent_id, task_id: status.task_id, uuid: status.uuid },
          }),
        ]
      : [];
  const live = at !== undefined && at.status !== 'pending' && at.status !== 'over' ? at : undefined;
  if (live === undefined || attemptOf(status.task_id.value) !== live.attempt) {
    // An attempt that is behind us. If Mesos says that it lives, it must not.
    const lives = concluded.kind === 'starting' || concluded.kind === 'running';
    const zombie: Effect[] = lives
      ? [
          call({
            type: 'KILL',
            kill: { task_id: status.task_id, ...(status.agent_id === undefined ? {} : { agent_id: status.agent_id }) },
          }),
          log('warn', { ...who(state), task: status.task_id.value }, 'a task that was given up is alive: killing it'),
        ]
      : [];
    return step(state, ...acknowledge, ...zombie);
  }
  const next = follow(state, live, concluded, status, now, times);
  return acknowledge.length === 0 ? next : stepWith(next.state, [...next.effects, ...acknowledge]);
}

/** One conclusion about the present attempt, read as a table. */
function follow(
  state: InstanceState,
  at: Live,
  concluded: Conclusion,
  status: TaskStatus,
  now: number,
  times: InstanceSettings,
): Step<InstanceState, Effect> {
  switch (concluded.kind) {
    case 'starting':
      // Nobody else ever gives up on a task of which nothing comes: an executor may hang, an image never arrive.
      if ((at.status === 'assigned' || at.status === 'starting') && now - at.since >= startMs(state.job, times))
        return instance(times)(state, { type: 'kill', by: 'start-timeout', replace: true, grace: true }, now);
      if (at.status !== 'assigned' && at.status !== 'unreachable') return step(state);
      return became(state, { ...attempted(at), status: 'starting' }, seenAgain(state, at));
    case 'running': {
      if (at.status === 'killing') return step(state, kill(state, at)); // The kill may have been forgotten (unreachable agents).
      const heard = heardOf(at, status);
      if (heard.status === 'running') return heard === at ? step(state) : became(state, heard, []);
      return runs(state, heard, at.started_at ?? Math.round((status.timestamp ?? now / 1000) * 1000));
    }
    case 'killing':
      return step(state);
    case 'finished':
      if (at.status === 'killing') return ended(state, at, { code: 'killed', by: at.by }, 'killed', status, now, times);
      return ended(state, at, { code: 'exited', exit_code: concluded.exit_code ?? 0 }, 'finished', status, now, times);
    case 'failed': {
      if (at.status === 'killing') return ended(state, at, { code: 'killed', by: at.by }, 'killed', status, now, times);
      const reason: EndReason =
        concluded.cause === 'unhealthy'
          ? { code: 'unhealthy', message: concluded.detail }
          : !concluded.result_known
            ? { code: 'result-unknown', message: concluded.detail }
            : concluded.signal !== undefined
              ? { code: 'signalled', signal: concluded.signal }
              : concluded.exit_code !== undefined
                ? { code: 'exited', exit_code: concluded.exit_code }
                : { code: 'launch-failed', message: concluded.detail };
      return ended(state, at, reason, 'failed', status, now, times);
    }
    case 'killed':
      if (at.status === 'killing') return ended(state, at, { code: 'killed', by: at.by }, 'killed', status, now, times);
      // Somebody else killed it (an operator, a drain). It is not the task's failure, and it must run.
      return ended(state, at, { code: 'killed', by: 'mesos' }, 'lost', status, now, times);
    case 'invalid':
      if (at.status === 'killing') return ended(state, at, { code: 'killed', by: at.by }, 'killed', status, now, times);
      return ended(state, at, { code: 'invalid', message: concluded.detail }, 'failed', status, now, times);
    case 'lost':
      if (at.status === 'killing') return ended(state, at, { code: 'killed', by: at.by }, 'killed', status, now, times);
      if (at.status === 'assigned')
        return again(state, at, at.failures, now, now + lostDelay(at.attempt, times), times);
      return ended(state, at, { code: 'lost', message: concluded.detail }, 'lost', status, now, times);
    case 'unknown':
      // Only Mesos's own TASK_UNKNOWN says that nobody has it; a state that we have never heard of says nothing.
      if (status.state !== 'TASK_UNKNOWN') return step(state);
      return vanished(state, at, concluded, status, now, times);
    case 'gone':
      return vanished(state, at, concluded, status, now, times);
    case 'unreachable': {
      if (at.status === 'unreachable') return step(state);
      if (at.status === 'killing') {
        // The kill is repeated until it is confirmed, unless the job cares more for going on than for being sure.
        if (policyOf(state.job) === undefined) return step(state);
        return ended(state, at, { code: 'killed', by: at.by }, 'killed', status, now, times);
      }
      const away: Live = { ...attempted(at), status: 'unreachable', since: now };
      return became(state, away, [
        ...givesUpOn(state, away),
        log(
          'warn',
          { ...who(state), task: status.task_id.value, agent: at.agent_id },
          'the agent of a task is unreachable',
        ),
      ]);
    }
  }
}

/** How long it may take to its first TASK_RUNNING: with a health check, which ends by itself, all of its attempts on top. */
const startMs = (job: Job, times: InstanceSettings): number => {
  const health = hasExecutor(job) ? taskOf(job).health : undefined;
  return times.start_timeout_ms + (health === undefined ? 0 : windowMs(health));
};

/** Mesos does not have the task (any more), and nobody saw it end. */
function vanished(
  state: InstanceState,
  at: Live,
  concluded: Conclusion,
  status: TaskStatus,
  now: number,
  times: InstanceSettings,
): Step<InstanceState, Effect> {
  if (at.status === 'killing') return ended(state, at, { code: 'killed', by: at.by }, 'killed', status, now, times);
  // Unheard of since its launch was recorded: the ACCEPT never arrived, or was dropped. Safe to launch another.
  if (at.status === 'assigned') return again(state, at, at.failures, now, now + lostDelay(at.attempt, times), times);
  // A partition is not the service's doing: it is begun again as if it had never been away.
  if (at.status === 'unreachable' && state.job.service)
    return ended(state, at, { code: 'lost', message: concluded.detail }, 'lost', status, now, times);
  // It ran, perhaps to its end. Whether it may run again is for max_task_failures to say.
  return ended(state, at, { code: 'lost', message: concluded.detail }, 'failed', status, now, times);
}

/** Its agent can be reached again, or it is over: nobody need give it up any more. */
const seenAgain = (state: InstanceState, at: Live): readonly Effect[] =>
  at.status === 'unreachable' && givenUpAt(state.job, at.since) !== undefined ? [disarm(state)] : [];

/** It runs, for the first time or again after its agent was away. */
function runs(state: InstanceState, at: Live, started_at: number): Step<InstanceState, Effect> {
  const running: InstanceRecord = { ...attempted(at), status: 'running', started_at };
  const effects: Effect[] = [record('instance', state.key, running), ...seenAgain(state, at)];
  if (at.started_at === undefined) {
    const { job_key, run, index, cause } = state;
    // The job wants to know when its run began, and when a replaced instance is back; not of every copy.
    if (index === 0 || at.attempt > 1)
      effects.push(
        tell({ to: 'job', key: job_key, message: { type: 'instance-running', run, index, version: at.version } }),
      );
    if (at.attempt === 1 && cause.type === 'target' && cause.caught_up !== true)
      effects.push(count('horae_start_lag_seconds', undefined, (started_at - cause.at) / 1000));
    const where = { job: job_key, run, instance: index, attempt: at.attempt, agent: at.agent_id };
    effects.push(log('info', where, 'task runs'));
  }
  return stepWith({ ...state, record: running }, effects);
}

/** The attempt ended. Over, or another one? */
function ended(
  state: InstanceState,
  at: Live,
  reason: EndReason,
  outcome: FinishedAttempt['outcome'],
  status: TaskStatus | undefined,
  now: number,
  times: InstanceSettings,
): Step<InstanceState, Effect> {
  const task = taskId(state.key, at.attempt);
  const row: FinishedAttempt = {
    task_id: task,
    index: state.index,
    attempt: at.attempt,
    agent_id: at.agent_id,
    hostname: at.hostname,
    ...(at.started_at === undefined ? {} : { started_at: at.started_at }),
    ended_at: status?.timestamp === undefined ? now : Math.round(status.timestamp * 1000),
    outcome,
    reason,
  };
  const said: Effect[] = [
    record('finished-attempt', `${state.job_key}/${sortable(now)}/${task}`, row),
    count('horae_attempts_total', { outcome }),
    log(
      outcome === 'failed' || outcome === 'lost' ? 'warn' : 'info',
      { ...who(state), task, agent: at.agent_id, reason },
      `task ${outcome}`,
    ),
    ...(at.status === 'killing' ? [disarm(state)] : seenAgain(state, at)),
  ];
  const { service, max_task_failures } = state.job;
  if (outcome === 'killed') {
    if (at.status === 'killing' && at.replace) return prepend(said, again(state, at, at.failures, now, now, times));
    return over(state, at.attempt, at.failures, 'killed', reason, now, said, at.agent_id);
  }
  const well = at.started_at !== undefined && now - at.started_at >= times.well_after_ms;
  if (outcome === 'lost')
    return prepend(said, again(state, at, at.failures, now, well ? now : now + lostDelay(at.attempt, times), times));
  if (service) {
    const failures = well ? 0 : at.failures + 1;
    return prepend(
      said,
      again(state, at, failures, now, failures === 0 ? now : now + retryDelay(state.job, failures, times), times),
    );
  }
  if (outcome === 'finished') return over(state, at.attempt, at.failures, 'succeeded', reason, now, said, at.agent_id);
  const failures = at.failures + 1;
  // An attempt that Mesos calls invalid will be invalid the next time too.
  if (reason.code === 'invalid' || (max_task_failures !== -1 && failures >= max_task_failures))
    return over(state, at.attempt, failures, 'failed', reason, now, said, at.agent_id);
  return prepend(said, again(state, at, failures, now, now + retryDelay(state.job, failures, times), times));
}

/** Its executor is being packed; looked at again after this. */
const archive_wait_ms = 250;

/** Another attempt, not before `not_before`. */
function again(
  state: InstanceState,
  at: { readonly attempt: number },
  failures: number,
  now: number,
  not_before: number,
  times: InstanceSettings,
): Step<InstanceState, Effect> {
  return ask(
    state,
    { status: 'pending', attempt: at.attempt + 1, failures, since: now, ...(not_before > now ? { not_before } : {}) },
    now,
    times,
  );
}

/** Records that it waits, and asks for a place now or when its delay is over. */
function ask(
  state: InstanceState,
  at: Extract<InstanceRecord, { status: 'pending' }>,
  now: number,
  times: InstanceSettings,
): Step<InstanceState, Effect> {
  const kept = at === state.record ? [] : [record('instance', state.key, at)];
  const next = { ...state, record: at };
  if (at.not_before !== undefined && at.not_before > now) return stepWith(next, [...kept, arm(state, at.not_before)]);
  if (waitsForArchive(state.job, times.archive)) return stepWith(next, [...kept, arm(state, now + archive_wait_ms)]);
  const wanted = {
    key: state.key,
    task_id: taskId(state.key, at.attempt),
    since: at.since,
    requirements: needs(state, times),
  };
  return stepWith(next, [...kept, tell({ to: 'placement', message: { type: 'wanted', wanted: [wanted] } })]);
}

function over(
  state: InstanceState,
  attempt: number,
  failures: number,
  outcome: RunOutcome,
  reason: EndReason,
  now: number,
  before: readonly Effect[],
  agent_id?: string,
): Step<InstanceState, Effect> {
  const last: InstanceRecord = {
    status: 'over',
    attempt,
    failures,
    since: now,
    outcome,
    reason,
    ...(agent_id === undefined ? {} : { agent_id }),
  };
  return stepWith({ ...state, record: last }, [
    ...before,
    record('instance', state.key, last),
    tell({
      to: 'job',
      key: state.job_key,
      message: { type: 'instance-over', run: state.run, index: state.index, record: last },
    }),
  ]);
}

/** Into starting, running or unreachable. */
function became(state: InstanceState, next: Live, effects: readonly Effect[]): Step<InstanceState, Effect> {
  return stepWith({ ...state, record: next }, [record('instance', state.key, next), ...effects]);
}

/** What an attempt carries from state to state, and nothing of the state it leaves. */
function attempted(at: Live): Attempted {
  const { attempt, failures, since, agent_id, hostname, ports, version, started_at, unhealthy } = at;
  return {
    attempt,
    failures,
    since,
    agent_id,
    hostname,
    version,
    ...(ports === undefined ? {} : { ports }),
    ...(started_at === undefined ? {} : { started_at }),
    ...(unhealthy === true ? { unhealthy } : {}),
  };
}

/** Before retry n (from 1): the job's delay or the default, doubled each time, up to a limit. */
function retryDelay(job: Job, failures: number, times: InstanceSettings): number {
  return Math.min(
    times.retry_delay_ms_max,
    (job.retry_delay_ms ?? times.retry_delay_ms) * 2 ** Math.min(30, failures - 1),
  );
}

/** A place that vanished is looked for again at once; only when that happens over and over do we slow down. */
function lostDelay(attempt: number, times: InstanceSettings): number {
  return attempt < 3 ? 0 : Math.min(times.retry_delay_ms_max, times.retry_delay_ms * 2 ** Math.min(30, attempt - 3));
}

const kill = (state: InstanceState, at: Killing): Effect =>
  call({
    type: 'KILL',
    kill: {
      task_id: { value: taskId(state.key, at.attempt) },
      agent_id: { value: at.agent_id },
      kill_policy: { grace_period: { nanoseconds: at.at_once === true ? 0 : state.job.kill_grace_ms * 1e6 } },
    },
  });
const needs = (state: InstanceState, times: InstanceSettings) =>
  requirements(state.job_key, state.version, state.job, times.executor);
const revoked = (state: InstanceState, at: Live): Effect =>
  tell({ to: 'offers', message: { type: 'revoked', revoked: [taskId(state.key, at.attempt)] } });
const arm = (state: InstanceState, at: number): Effect =>
  tell({ to: 'timetable', message: { type: 'armed', armed: [{ to: 'instance', key: state.key, at }] } });
const disarm = (state: InstanceState): Effect =>
  tell({ to: 'timetable', message: { type: 'disarmed', disarmed: [{ to: 'instance', key: state.key }] } });
const withdrawn = (state: InstanceState): Effect =>
  tell({ to: 'placement', message: { type: 'withdrawn', withdrawn: [state.key] } });
const who = (state: InstanceState) => ({ job: state.job_key, run: state.run, instance: state.index });
const prepend = (effects: readonly Effect[], next: Step<InstanceState, Effect>): Step<InstanceState, Effect> =>
  stepWith(next.state, [...effects, ...next.effects]);
