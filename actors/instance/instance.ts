// instance.ts: the life of one instance: attempt after attempt, until it is over.
//
// Think of a seat that must be filled. It asks for a place (pending), is given one (assigned), hears that somebody sits
// (running) and that he left (finished, failed, lost); then it is either over or asks again. Each attempt is one Mesos
// task, and its id is never used twice. What is written down here is enough to go on after any crash: an attempt that was
// recorded and perhaps launched is settled by asking Mesos, never by launching it again.
//
// hearing.ts says which row of instance-table.ts a message is; the rule found there is carried out here: the record that
// follows is made, and the rule's deeds are done one after the other.

import type { TaskStatus } from '../../mesos/protocol.ts';
import { call, count, type Effect, log, record, tell } from '../effects.ts';
import type { Granted } from '../framework/placement.ts';
import type { CommandEnvelope, CompleteCommand, ProgressCommand, SnoozeCommand } from '../model/commands.ts';
import type { InstanceKey, JobKey, RunId, TaskId } from '../model/ids.ts';
import { taskId } from '../model/ids.ts';
import type { Job } from '../model/job.ts';
import { type Cause, type EndReason, inWords } from '../model/reasons.ts';
import { type Attempted, type FinishedAttempt, firstRecord, type InstanceRecord, sortable } from '../model/records.ts';
import { isTriedAgain } from '../model/tries.ts';
import { type Step, step, stepWith } from '../step.ts';
import { reportAnswered } from './call-backs.ts';
import { heardOf } from './condition.ts';
import { wakeAt } from './deadlines.ts';
import { lostDelay, retryDelay } from './delays.ts';
import { progressAnswered } from './elements.ts';
import { type Heard, hear } from './hearing.ts';
import { type Deed, type Rule, ruleOf, type Standing } from './instance-table.ts';
import { type Archive, launchPlan, type Overhead, requirements, waitsForArchive } from './launch.ts';
import { answered, toldExecutor } from './snooze.ts';
import { tellRunning, tellStumbled } from './tidings.ts';

/** What every instance is told by the settings; delays in milliseconds. */
export type InstanceSettings = {
  readonly retry_delay_ms: number;
  readonly retry_delay_ms_max: number;
  readonly kill_retry_ms: number;
  /** From its place to its first TASK_RUNNING, health checks apart; then it is killed and begun again elsewhere. */
  readonly start_timeout_ms: number;
  /** A service that ran at least this long was well: its next restart waits no longer than the first. */
  readonly well_after_ms: number;
  /** How long an async task is waited for when its job does not say; for ever when left out. */
  readonly call_back_ms?: number;
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
  /** First message after birth: a new instance asks for a place, a restored one goes on. */
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
  | {
      readonly type: 'reconfigured';
      readonly job: Job;
      readonly version: number;
      /** What it failed at before is not held against what it is now: it need not wait for its next attempt. */
      readonly anew?: boolean;
    }
  /** Its health checks are to pause, or to go on. */
  | { readonly type: 'snooze'; readonly envelope: CommandEnvelope<SnoozeCommand> }
  /** Whoever does the work of its async task says that it is done. */
  | { readonly type: 'complete'; readonly envelope: CommandEnvelope<CompleteCommand> }
  | { readonly type: 'progress'; readonly envelope: CommandEnvelope<ProgressCommand> }
  | { readonly type: 'due' };

/** A record of an attempt that Mesos has, or may have. */
export type Live = Exclude<InstanceRecord, { status: 'pending' } | { status: 'over' }>;
type Pending = Extract<InstanceRecord, { status: 'pending' }>;
type Killing = Extract<InstanceRecord, { status: 'killing' }>;
type Over = Extract<InstanceRecord, { status: 'over' }>;

export const instance =
  (times: InstanceSettings) =>
  (before: InstanceState, message: InstanceMessage, now: number): Step<InstanceState, Effect> => {
    const heard = hear(before, message, now, times);
    const rule = ruleOf(heard.what, standingOf(before.record));
    const known = heard.what === 'reconfigured' || heard.what === 'renewed' ? reconfigured(before, message) : before;
    const after =
      rule.to === undefined ? known : { ...known, record: recordAfter(rule, known, message, heard, now, times) };
    const asked = message.type === 'updated' && message.status.uuid !== undefined;
    if (rule.deeds.length === 0 && !asked) return step(after);
    const effects: Effect[] = [];
    const turn: Turn = { before, after, message, heard, rule, now, times, effects };
    for (let n = 0; n < rule.deeds.length; n++) perform(rule.deeds[n]!, turn);
    if (asked) perform('acknowledge', turn);
    if (heard.timed_out !== undefined) effects.push(count('horae_timeouts_total', { which: heard.timed_out.which }));
    return stepWith(after, effects);
  };

/** One message and what is made of it; deeds add what they ask for to `effects`. */
type Turn = {
  readonly before: InstanceState;
  readonly after: InstanceState;
  readonly message: InstanceMessage;
  readonly heard: Heard;
  readonly rule: Rule;
  readonly now: number;
  readonly times: InstanceSettings;
  readonly effects: Effect[];
};

export function standingOf(at: InstanceRecord | undefined): Standing {
  if (at === undefined) return 'new';
  return at.status === 'killing' && at.replace ? 'replacing' : at.status;
}

/** The job was replaced: the next attempt is made of this. */
function reconfigured(state: InstanceState, message: InstanceMessage): InstanceState {
  return message.type === 'reconfigured' ? { ...state, job: message.job, version: message.version } : state;
}

// --- where it stands then ---------------------------------------------------------------------------------------------

function recordAfter(
  rule: Rule,
  state: InstanceState,
  message: InstanceMessage,
  heard: Heard,
  now: number,
  times: InstanceSettings,
): InstanceRecord {
  const at = state.record;
  switch (rule.to!) {
    case 'pending': {
      if (at === undefined) return firstRecord(heard.what === 'begun' ? now : state.run_created_at);
      if (heard.what === 'renewed') return again(state.job, at, 0, now, now);
      return again(state.job, at, at.failures, now, now + lostDelay(at.attempt, times));
    }
    case 'assigned':
      return assigned(state, at as Pending, message, now);
    case 'starting':
      return { ...attempted(liveOf(state)), status: 'starting' };
    case 'running': {
      const live = message.type === 'updated' ? heardOf(liveOf(state), message.status) : liveOf(state);
      return { ...attempted(live), status: 'running', started_at: live.started_at ?? instantOf(message, now) };
    }
    case 'unreachable':
      return { ...attempted(liveOf(state)), assigned_at: assignedAt(liveOf(state)), status: 'unreachable', since: now };
    case 'killing':
    case 'replacing':
      return killing(liveOf(state), rule.to === 'replacing', heard, now);
    case 'over':
      return heard.reason === undefined
        ? over(at!, at!.failures, 'killed', { code: 'killed', by: heard.by! }, now)
        : over(at!, at!.failures, 'failed', heard.reason, now);
    case 'awaiting':
      return {
        ...attempted(liveOf(state)),
        ...{ assigned_at: assignedAt(liveOf(state)), status: 'awaiting', since: now },
        ...(heard.result === undefined ? {} : { result: heard.result }),
      };
    case 'here':
      return here(liveOf(state), message, heard);
    case 'next':
      return next(rule, state, liveOf(state), heard, now, times);
  }
}

/** What only an attempt can do, asked of something else, is a promise broken. */
function liveOf({ key, record: at }: InstanceState): Live {
  if (at === undefined || at.status === 'pending' || at.status === 'over')
    throw new Error(`instance ${key} is ${at?.status ?? 'new'}: expected one whose attempt Mesos may have`);
  return at;
}

function assigned(state: InstanceState, at: Pending, message: InstanceMessage, now: number): InstanceRecord {
  const { agent_id, hostname, ports } = (message as Extract<InstanceMessage, { type: 'granted' }>).granted;
  return {
    status: 'assigned',
    attempt: at.attempt,
    failures: at.failures,
    since: now,
    agent_id,
    hostname,
    version: state.version,
    waited_ms: Math.max(0, now - at.since),
    ...(state.job.ports.length > 0 ? { ports } : {}),
    ...(at.begun === true ? { begun: true } : {}),
  };
}

/** It stays where it is, and something is known of it that was not. */
function here(at: Live, message: InstanceMessage, { what, snooze, called_back, elements }: Heard): Live {
  if (elements !== undefined) return { ...at, elements };
  if (called_back !== undefined) return { ...at, called_back };
  if (what === 'health changed' && message.type === 'updated') return heardOf(at, message.status);
  const { snooze: _, ...rest } = at;
  return snooze === undefined ? rest : { ...rest, snooze };
}

/** A kill without replacement outweighs one with, and one without grace hurries the one before. */
function killing(at: Live, replace: boolean, { by, at_once, timed_out }: Heard, now: number): Killing {
  const more = { ...(at_once === undefined ? {} : { at_once }), ...(timed_out === undefined ? {} : { timed_out }) };
  if (at.status === 'killing') {
    const { timed_out: _, ...rest } = at;
    return at.replace && !replace ? { ...rest, by: by!, replace, ...more } : { ...at, ...more };
  }
  return { ...attempted(at), assigned_at: assignedAt(at), status: 'killing', since: now, by: by!, replace, ...more };
}

/** The attempt ended. Over, or another one? */
function next(
  rule: Rule,
  { key, job, version }: InstanceState,
  at: Live,
  heard: Heard,
  now: number,
  times: InstanceSettings,
): Pending | Over {
  const reason = reasonFor(at, heard);
  const outcome = outcomeFor(at, rule);
  const result = heard.result ?? (at.status === 'awaiting' ? at.result : undefined);
  if (outcome === 'killed')
    return at.status === 'killing' && at.replace
      ? // What it failed at before is not held against what it is now.
        again(job, at, at.version < version ? 0 : at.failures, now, now)
      : over(at, at.failures, 'killed', reason, now, result);
  const well = at.started_at !== undefined && now - at.started_at >= times.well_after_ms;
  if (outcome === 'lost') return again(job, at, at.failures, now, well ? now : now + lostDelay(at.attempt, times));
  if (job.service) {
    const failures = well ? 0 : at.failures + 1;
    return again(job, at, failures, now, failures === 0 ? now : now + retryDelay(job, key, failures, times));
  }
  if (outcome === 'finished') return over(at, at.failures, 'succeeded', reason, now, result);
  const failures = at.failures + 1;
  if (!isTriedAgain(job, reason) || (job.max_task_failures !== -1 && failures >= job.max_task_failures))
    return over(at, failures, 'failed', reason, now, result);
  return again(job, at, failures, now, now + retryDelay(job, key, failures, times));
}

/** One that was killed because it took too long has failed, however it went then. */
const outcomeFor = (at: Live, { outcome }: Rule): NonNullable<Rule['outcome']> =>
  at.status === 'killing' && at.timed_out !== undefined ? 'failed' : outcome!;

/** A kill of ours is why it ended, however that went. */
function reasonFor(at: Live, heard: Heard): EndReason {
  if (at.status === 'killing')
    return at.timed_out === undefined ? { code: 'killed', by: at.by } : { code: 'timed-out', ...at.timed_out };
  // Nobody but us ends one of which Mesos has no task any more.
  return heard.reason ?? { code: 'killed', by: heard.by! };
}

/** Another attempt, not before `not_before`. */
const again = (job: Job, at: InstanceRecord, failures: number, now: number, not_before: number): Pending => ({
  status: 'pending',
  attempt: at.attempt + 1,
  failures,
  since: now,
  ...(not_before > now ? { not_before } : {}),
  ...(hasBegun(job, at) ? { begun: true } : {}),
});
const hasBegun = ({ timeouts }: Job, at: InstanceRecord): boolean =>
  timeouts?.start_ms !== undefined &&
  (('started_at' in at && at.started_at !== undefined) || ('begun' in at && at.begun === true));

function over(
  at: InstanceRecord,
  failures: number,
  outcome: Over['outcome'],
  reason: EndReason,
  now: number,
  result?: string,
): Over {
  const place = 'hostname' in at && at.hostname !== undefined ? { agent_id: at.agent_id!, hostname: at.hostname } : {};
  const left = result === undefined ? {} : { result };
  return { status: 'over', attempt: at.attempt, failures, since: now, outcome, reason, ...place, ...left };
}

/** When it got its place: `since`, until that has to say something else. */
const assignedAt = (at: Live): number => at.assigned_at ?? at.since;

/** What an attempt carries from state to state, and nothing of the state it leaves. */
function attempted(at: Live): Attempted {
  const {
    attempt,
    failures,
    since,
    agent_id,
    hostname,
    ports,
    version,
    started_at,
    waited_ms,
    assigned_at,
    unhealthy,
    snooze,
    begun,
    called_back,
    elements,
  } = at;
  const away_at = at.status === 'unreachable' ? at.since : at.away_at;
  return {
    attempt,
    failures,
    since,
    agent_id,
    hostname,
    version,
    ...(ports === undefined ? {} : { ports }),
    ...(started_at === undefined ? {} : { started_at }),
    ...(waited_ms === undefined ? {} : { waited_ms }),
    ...(assigned_at === undefined ? {} : { assigned_at }),
    ...(away_at === undefined ? {} : { away_at }),
    ...(unhealthy === true ? { unhealthy } : {}),
    ...(snooze === undefined ? {} : { snooze }),
    ...(begun === undefined ? {} : { begun }),
    ...(called_back === undefined ? {} : { called_back }),
    ...(elements === undefined ? {} : { elements }),
  };
}

/** When Mesos says that it happened, or now. */
const instantOf = (message: InstanceMessage, now: number): number =>
  message.type === 'updated' && message.status.timestamp !== undefined
    ? Math.round(message.status.timestamp * 1000)
    : now;

// --- the deeds --------------------------------------------------------------------------------------------------------

function perform(deed: Deed, turn: Turn): void {
  const { before, after, message, now, times, effects } = turn;
  switch (deed) {
    case 'note':
      note(turn);
      return;
    case 'withdraw':
      effects.push(tell({ to: 'placement', message: { type: 'withdrawn', withdrawn: [before.key] } }));
      return;
    case 'disarm':
      if (hasTimer(before, times))
        effects.push(
          tell({ to: 'timetable', message: { type: 'disarmed', disarmed: [{ to: 'instance', key: before.key }] } }),
        );
      return;
    case 'save':
      effects.push(record('instance', after.key, after.record));
      return;
    case 'accept':
    case 'decline':
      answer(deed === 'accept', turn);
      return;
    case 'ask':
      ask(after, after.record as Pending, now, times, effects);
      return;
    case 'go-on':
      if (after.record!.status === 'over') effects.push(told(after, after.record as Over));
      else ask(after, after.record as Pending, now, times, effects);
      return;
    case 'tell':
      runs(turn);
      return;
    case 'report':
      report(turn);
      return;
    case 'instruct':
      effects.push(...toldExecutor(after, liveOf(after)));
      return;
    case 'reply':
      if (message.type === 'snooze') effects.push(...answered(after, message.envelope, after !== before, now));
      if (message.type === 'complete') effects.push(...reportAnswered(after, message.envelope, after !== before, now));
      if (message.type === 'progress')
        effects.push(...progressAnswered(after, message.envelope, after !== before, now));
      return;
    case 'revoke':
      effects.push(
        tell({
          to: 'offers',
          message: { type: 'revoked', revoked: [taskId(after.key, after.record!.attempt)] },
        }),
        killed(turn),
      );
      return;
    case 'kill':
      effects.push(kill(after, after.record as Killing));
      if (before.record!.status !== 'killing') effects.push(killed(turn));
      return;
    case 'banish':
      banish(turn);
      return;
    case 'watch':
      watch(turn);
      return;
    case 'acknowledge':
      if (message.type === 'updated') acknowledge(message.status, effects);
      return;
  }
}

/** Acknowledged only after whatever we record about it is durable. */
function acknowledge({ agent_id, task_id, uuid }: TaskStatus, effects: Effect[]): void {
  if (uuid !== undefined && agent_id !== undefined)
    effects.push(call({ type: 'ACKNOWLEDGE', acknowledge: { agent_id, task_id, uuid } }));
}

function note({ before, rule, message, heard, now, effects }: Turn): void {
  const at = liveOf(before);
  const task = taskId(before.key, at.attempt);
  const outcome = outcomeFor(at, rule);
  const reason = reasonFor(at, heard);
  const row: FinishedAttempt = {
    task_id: task,
    index: before.index,
    attempt: at.attempt,
    agent_id: at.agent_id,
    hostname: at.hostname,
    ...momentsOf(at),
    ...(at.started_at === undefined ? {} : { started_at: at.started_at }),
    ended_at: instantOf(message, now),
    outcome,
    reason,
    ...(at.elements === undefined ? {} : { elements: at.elements }),
  };
  effects.push(
    record('finished-attempt', `${before.job_key}/${sortable(now)}/${task}`, row),
    count('horae_attempts_total', { outcome }),
    log(
      outcome === 'failed' || outcome === 'lost' ? 'warn' : 'info',
      { ...who(before), task, agent: at.agent_id, reason },
      `task ${outcome}`,
    ),
  );
}

/** When it waited, had its place, was cut off and was to go, for the history. */
function momentsOf(at: Live): Pick<FinishedAttempt, 'waiting_at' | 'assigned_at' | 'away_at' | 'killed_at'> {
  const assigned_at = assignedAt(at);
  const away_at = at.status === 'unreachable' ? at.since : at.away_at;
  return {
    assigned_at,
    ...(at.waited_ms === undefined ? {} : { waiting_at: assigned_at - at.waited_ms }),
    ...(away_at === undefined ? {} : { away_at }),
    ...(at.status === 'killing' ? { killed_at: at.since } : {}),
  };
}

/** Whether anything may be armed for it. */
function hasTimer(state: InstanceState, times: InstanceSettings): boolean {
  const at = state.record;
  if (at?.status === 'killing' || (at?.status === 'pending' && at.not_before !== undefined)) return true;
  return wakeAt(state, times) !== undefined;
}

/** To offers: yes, with what to launch there; or no. */
function answer(yes: boolean, { after, message, times, effects }: Turn): void {
  const { granted } = message as Extract<InstanceMessage, { type: 'granted' }>;
  const { group, place, task_id } = granted;
  const plan = yes ? launchPlan(after, granted, after.record!.attempt, times) : undefined;
  effects.push(tell({ to: 'offers', message: { type: 'answered', answered: [{ group, place, task_id, plan }] } }));
  if (yes)
    effects.push(log('debug', { ...who(after), task: task_id, agent: granted.agent_id }, 'task is being launched'));
}

/** For a place now, or to be woken when its delay is over or its executor may have been packed; or its time is. */
function ask(state: InstanceState, at: Pending, now: number, times: InstanceSettings, effects: Effect[]): void {
  const until = wakeAt(state, times);
  const asks_at =
    at.not_before !== undefined && at.not_before > now
      ? at.not_before
      : waitsForArchive(state.job, times.archive)
        ? now + archive_wait_ms
        : undefined;
  if (asks_at === undefined) {
    const wanted = {
      key: state.key,
      task_id: taskId(state.key, at.attempt),
      since: at.since,
      requirements: requirements(state.job_key, state.version, state.job, times.executor),
    };
    effects.push(tell({ to: 'placement', message: { type: 'wanted', wanted: [wanted] } }));
  }
  if (asks_at !== undefined || until !== undefined)
    effects.push(arm(state, Math.min(asks_at ?? Number.POSITIVE_INFINITY, until ?? Number.POSITIVE_INFINITY)));
}
const archive_wait_ms = 250;

const told = ({ job_key, run, index }: InstanceState, last: Over): Effect =>
  tell({ to: 'job', key: job_key, message: { type: 'instance-over', run, index, record: last } });

/** It runs, for the first time or again after its agent was away. */
function runs({ before, after, effects }: Turn): void {
  const at = liveOf(before);
  effects.push(...tellRunning(after, at, at.started_at !== undefined));
  if (liveOf(after).unhealthy === true) effects.push(...tellStumbled(after, at, false, 'not well'));
  if (at.started_at !== undefined) return;
  const { job_key, run, index, cause } = after;
  if (at.attempt === 1 && cause.type === 'target' && cause.caught_up !== true)
    effects.push(count('horae_start_lag_seconds', undefined, (liveOf(after).started_at! - cause.at) / 1000));
  const task = taskId(after.key, at.attempt);
  effects.push(log('info', { job: job_key, run, instance: index, task, agent: at.agent_id }, 'task runs'));
}

/** It has lost what it had reached, and is to have it again. */
function report({ before, after, rule, heard, effects }: Turn): void {
  if (after.record?.status === 'over') return;
  const at = liveOf(before);
  if (heard.what === 'health changed') {
    const sick = liveOf(after).unhealthy === true;
    effects.push(...(sick ? tellStumbled(after, at, false, 'not well') : tellRunning(after, at, true)));
    return;
  }
  const failed = rule.outcome === 'failed' || rule.outcome === 'finished';
  effects.push(
    ...tellStumbled(after, at, failed, rule.outcome === undefined ? 'cut off' : inWords(reasonFor(at, heard))),
  );
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
const killed = ({ after, heard }: Turn): Effect =>
  log('info', { ...who(after), task: taskId(after.key, after.record!.attempt), by: heard.by }, 'task is being killed');

/**
 * The task that this message is about, or the attempt that is given up here: should its agent come back, the master passes the
 * kill on; if it does not, the first word of the task brings another.
 */
function banish({ before, message, effects }: Turn): void {
  if (message.type === 'updated') {
    const { task_id, agent_id } = message.status;
    effects.push(
      call({ type: 'KILL', kill: { task_id, ...(agent_id === undefined ? {} : { agent_id }) } }),
      log('warn', { ...who(before), task: task_id.value }, 'a task that was given up is alive: killing it'),
    );
    return;
  }
  const { attempt, agent_id } = liveOf(before);
  effects.push(
    call({ type: 'KILL', kill: { task_id: { value: taskId(before.key, attempt) }, agent_id: { value: agent_id } } }),
  );
}

/** Killed: when to kill again. Else: when its time is over, or whoever is out of reach is given up, if ever. */
function watch({ before, after, heard, now, times, effects }: Turn): void {
  const at = liveOf(after);
  if (at.status === 'killing') {
    effects.push(arm(after, heard.what === 'due' ? killAgainAt(at, now, times) : now + times.kill_retry_ms));
    return;
  }
  const instant = wakeAt(after, times);
  if (instant !== undefined) effects.push(arm(after, instant));
  if (before.record !== after.record && at.status === 'unreachable')
    effects.push(
      log(
        'warn',
        { ...who(after), task: taskId(after.key, at.attempt), agent: at.agent_id },
        'the agent of a task is unreachable',
      ),
    );
}

/** A kill that nobody confirms is repeated, each time after twice as long: nobody is launched again before it is sure. */
const killAgainAt = (at: Killing, now: number, times: InstanceSettings): number =>
  now + Math.min(now - at.since + times.kill_retry_ms, Math.max(times.kill_retry_ms, kill_retry_ms_max));
const kill_retry_ms_max = 300_000;

const arm = (state: InstanceState, at: number): Effect =>
  tell({ to: 'timetable', message: { type: 'armed', armed: [{ to: 'instance', key: state.key, at }] } });
const who = (state: InstanceState) => ({ job: state.job_key, run: state.run, instance: state.index });
