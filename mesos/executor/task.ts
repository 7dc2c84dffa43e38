// task.ts: the life of one task on its agent, from the first process to the last word about it.
//
//   active --> (withdrawing -->) (asking --> insisting -->) cleaning --> finalizing --> over
//
// Active is the work. When it is done, has failed, or is no longer wanted, the verdict stands and the rest is tidying up:
// a task that others find by its name is taken off their list before it is touched; one with a lifecycle is first asked to
// go, then asked again; then SIGTERM, then the final processes, and SIGKILL when the time for both is over. Every change
// that must survive the executor is a record; the state is what the records add up to, so an executor that was killed reads
// them and goes on. Health is counted anew.

import type { Instant } from '../../schedules/clock.ts';
import type { ProcessDocument, TaskDocument } from './document.ts';
import { type Checked, diagnose, type Health, type Snooze, untested, upAlready } from './health.ts';
import { planOf, type States, standingOf, stateOf } from './plan.ts';
import { type Ending, ended, forked, isLive, runOf, started, whyFailed } from './progress.ts';

export type Stage = 'active' | 'withdrawing' | 'asking' | 'insisting' | 'cleaning' | 'finalizing' | 'over';

/** What is said of the task at the end. It stands from the moment when the task stops being active. */
export type Verdict = {
  readonly outcome: 'finished' | 'failed' | 'killed';
  readonly message?: string;
  readonly reason?: string;
  /** false: it is over because its health check said so. */
  readonly healthy?: false;
};
export type TaskState = {
  /** With its templates filled in. */
  readonly document: TaskDocument;
  /** Set when the task may only run for so long. */
  readonly limit_at?: Instant;
  readonly stage: Stage;
  /** When the stage ends, whatever happens. Nothing ends `active` but the work and its limit. */
  readonly until: Instant;
  /** From SIGTERM to SIGKILL. */
  readonly grace_ms: number;
  readonly verdict?: Verdict;
  /** TASK_RUNNING has been said. */
  readonly up: boolean;
  readonly processes: States;
  readonly check?: CheckState;
  /** When SIGKILL was sent last. */
  readonly killed_at?: Instant;
};
export type CheckState = {
  readonly health: Health;
  readonly next_at: Instant;
  readonly under_way: boolean;
  /** Present while the checks are paused, with when that was first seen. */
  readonly snoozed?: Snooze & { readonly since: Instant };
};

export type TaskMessage =
  /** First of all, and again after the records have been read. */
  | { readonly type: 'begun' }
  | { readonly type: 'started'; readonly process: string; readonly run: number; readonly pid: number }
  | { readonly type: 'ended'; readonly process: string; readonly run: number; readonly ending: Ending }
  | { readonly type: 'checked'; readonly checked: Checked }
  | { readonly type: 'snoozed'; readonly snooze: Snooze }
  /** The snooze is over before its time. */
  | { readonly type: 'woken' }
  /** Whether the request to go was answered at all. */
  | { readonly type: 'answered'; readonly stage: 'asking' | 'insisting'; readonly answered: boolean }
  /** Nobody is sent to the task any more. */
  | { readonly type: 'withdrawn' }
  /** The scheduler can be spoken to, again or for the first time. */
  | { readonly type: 'connected' }
  | { readonly type: 'kill'; readonly grace_ms?: number }
  /** The executor itself has only so long to live. */
  | { readonly type: 'hurry'; readonly within_ms: number; readonly why: string }
  /** A `wakeOf` has come. */
  | { readonly type: 'due' };

/** What survives. */
export type TaskRecord =
  | { readonly kind: 'forked'; readonly process: string; readonly at: Instant }
  | { readonly kind: 'started'; readonly process: string; readonly pid: number; readonly at: Instant }
  | { readonly kind: 'ended'; readonly process: string; readonly ending: Ending; readonly at: Instant }
  | { readonly kind: 'up' }
  | {
      readonly kind: 'stage';
      readonly stage: Stage;
      readonly until: Instant;
      readonly grace_ms: number;
      readonly verdict: Verdict;
    };

export type TaskEffect =
  | { readonly type: 'start'; readonly process: ProcessDocument; readonly run: number }
  | { readonly type: 'signal'; readonly process: string; readonly run: number; readonly signal: 'SIGTERM' | 'SIGKILL' }
  /** It was to start and nobody has seen it: make sure that it never does, and say that it ended. */
  | { readonly type: 'abandon'; readonly process: string; readonly run: number }
  | { readonly type: 'check' }
  /** Ask the scheduler to see to it that nobody is sent to the task any more. */
  | { readonly type: 'withdraw' }
  | { readonly type: 'ask'; readonly stage: 'asking' | 'insisting' }
  /** Kill whatever else the task has left behind. */
  | { readonly type: 'sweep' }
  | { readonly type: 'say'; readonly state: SaidState; readonly verdict?: Verdict }
  /** Something that a person would like to see has changed. */
  | { readonly type: 'show' };
export type SaidState =
  | 'TASK_STARTING'
  | 'TASK_RUNNING'
  | 'TASK_KILLING'
  | 'TASK_FINISHED'
  | 'TASK_FAILED'
  | 'TASK_KILLED';

export type TaskStep = {
  readonly state: TaskState;
  /** Durable before any effect is performed. */
  readonly records: readonly TaskRecord[];
  readonly effects: readonly TaskEffect[];
};

/** A process of which nothing is seen for so long after it was to start is lost. */
export const fork_ms_max = 60_000;
/** SIGKILL is repeated as long as somebody is left. */
export const kill_again_ms = 1_000;

export type Launched = {
  readonly document: TaskDocument;
  readonly at: Instant;
  readonly max_completion_ms?: number;
  /** In place of the document's finalization wait, where the launch has a kill policy. */
  readonly grace_ms?: number;
};

/** A task as it was launched, or as its records left it. */
export function taskOf(
  { document, at, max_completion_ms, grace_ms }: Launched,
  records: readonly TaskRecord[],
  now: Instant,
): TaskState {
  const launched: TaskState = {
    document,
    ...(max_completion_ms === undefined ? {} : { limit_at: at + max_completion_ms }),
    stage: 'active',
    until: Number.POSITIVE_INFINITY,
    grace_ms: grace_ms ?? document.finalization_wait_ms,
    up: false,
    processes: {},
  };
  const restored = records.reduce(apply, launched);
  if (document.health === undefined) return restored;
  const health = restored.up ? upAlready(document.health) : untested;
  return { ...restored, check: { health, next_at: now, under_way: false } };
}

export function transition(state: TaskState, message: TaskMessage, now: Instant): TaskStep {
  const turn = new Turn(state, now);
  take(turn, message);
  settle(turn);
  return { state: turn.state, records: turn.records, effects: turn.effects };
}

/** When `due` is wanted; undefined when only the world can change anything. */
export function wakeOf(state: TaskState, now: Instant): Instant | undefined {
  const wakes: number[] = [];
  if (state.stage === 'over') return undefined;
  for (const { name } of liveOf(state)) {
    const of = stateOf(state.processes, name);
    if (of.status === 'forked') wakes.push(of.since + fork_ms_max);
  }
  if (state.stage === 'active') {
    if (state.limit_at !== undefined) wakes.push(state.limit_at);
    if (state.check !== undefined && !state.check.under_way) wakes.push(state.check.next_at);
  } else wakes.push(state.killed_at === undefined ? state.until : state.killed_at + kill_again_ms);
  if (state.stage === 'active' || state.stage === 'finalizing') {
    const plan = planOf(state.document, state.stage === 'active' ? 'regular' : 'final');
    const { next_at } = standingOf(plan, state.processes, now);
    if (next_at !== undefined) wakes.push(next_at);
  }
  return wakes.length === 0 ? undefined : Math.min(...wakes);
}

export const liveOf = (state: TaskState): readonly ProcessDocument[] =>
  state.document.processes.filter(({ name }) => isLive(stateOf(state.processes, name)));

// --- one step -----------------------------------------------------------------------------------------------------

/** A step while it is being taken. */
class Turn {
  state: TaskState;
  readonly now: Instant;
  readonly records: TaskRecord[] = [];
  readonly effects: TaskEffect[] = [];

  constructor(state: TaskState, now: Instant) {
    this.state = state;
    this.now = now;
  }
  note(record: TaskRecord) {
    this.records.push(record);
    this.state = apply(this.state, record);
  }
  do(...effects: TaskEffect[]) {
    this.effects.push(...effects);
  }
}

function apply(state: TaskState, record: TaskRecord): TaskState {
  const change = (name: string, how: (process: ProcessDocument) => States[string]): TaskState => {
    const process = state.document.processes.find(one => one.name === name);
    if (process === undefined) throw new Error(`a record of the process "${name}", which the task does not have`);
    return { ...state, processes: { ...state.processes, [name]: how(process) } };
  };
  const of = (name: string) => stateOf(state.processes, name);
  switch (record.kind) {
    case 'forked':
      return change(record.process, () => forked(of(record.process), record.at));
    case 'started':
      return change(record.process, () => started(of(record.process), record.pid, record.at));
    case 'ended':
      return change(record.process, process =>
        ended(of(record.process), process, record.ending, record.at, isLeaving(state, process)),
      );
    case 'up':
      return { ...state, up: true };
    case 'stage': {
      const { stage, until, grace_ms, verdict } = record;
      return { ...state, stage, until, grace_ms, verdict };
    }
  }
}

/** Whether a process is not started again: only final ones are when the task is no longer active. */
const isLeaving = ({ stage }: TaskState, { final }: ProcessDocument) =>
  stage !== 'active' && !(final && stage === 'finalizing');

function take(turn: Turn, message: TaskMessage): void {
  const { state, now } = turn;
  switch (message.type) {
    case 'begun':
      // Said again after a restart: whoever listens may have missed it, and twice does no harm.
      if (!state.up && state.stage === 'active') turn.do({ type: 'say', state: 'TASK_STARTING' });
      if (state.stage === 'cleaning') for (const { name } of liveOf(state)) turn.do(signalTo(state, name, 'SIGTERM'));
      if (state.stage === 'asking' || state.stage === 'insisting') turn.do({ type: 'ask', stage: state.stage });
      if (state.up && state.stage === 'active') turn.do({ type: 'say', state: 'TASK_RUNNING' });
      if (state.stage === 'over') lastWord(turn);
      return;
    case 'started': {
      if (!isPresentRun(state, message) || stateOf(state.processes, message.process).status !== 'forked') return;
      turn.note({ kind: 'started', process: message.process, pid: message.pid, at: now });
      turn.do({ type: 'show' });
      if (state.stage === 'active' && !state.up && state.check === undefined) rise(turn);
      return;
    }
    case 'ended':
      if (!isPresentRun(state, message)) return;
      turn.note({ kind: 'ended', process: message.process, ending: message.ending, at: now });
      turn.do({ type: 'show' });
      return;
    case 'checked':
      takeChecked(turn, message.checked);
      return;
    case 'snoozed': {
      if (state.check === undefined || state.document.health === undefined) return;
      const { snoozed } = state.check;
      if (snoozed === undefined || snoozed.until !== message.snooze.until) turn.do({ type: 'show' });
      turn.state = {
        ...state,
        check: {
          ...state.check,
          under_way: false,
          next_at: now + state.document.health.interval_ms,
          snoozed: { since: snoozed?.since ?? now, ...message.snooze },
        },
      };
      return;
    }
    case 'woken': {
      if (state.check?.snoozed === undefined) return;
      const { snoozed: _, ...check } = state.check;
      turn.state = { ...state, check: { ...check, next_at: Math.min(check.next_at, now) } };
      turn.do({ type: 'show' });
      return;
    }
    case 'answered':
      // No answer, no use in waiting.
      if (state.stage === message.stage && !message.answered) turn.state = { ...state, until: now };
      return;
    case 'connected':
      if (state.stage === 'withdrawing') turn.do({ type: 'withdraw' });
      return;
    case 'withdrawn':
      if (state.stage === 'withdrawing') turn.state = { ...state, until: now };
      return;
    case 'kill':
      takeKill(turn, message.grace_ms);
      return;
    case 'hurry': {
      if (state.stage === 'over') return;
      const verdict: Verdict = state.verdict ?? { outcome: 'killed', message: message.why };
      if (state.stage === 'cleaning' || state.stage === 'finalizing') shorten(turn, message.within_ms);
      else clean(turn, verdict, Math.min(message.within_ms, state.grace_ms));
      return;
    }
    case 'due':
      return;
  }
}

const isPresentRun = (state: TaskState, { process, run }: { process: string; run: number }) => {
  const of = stateOf(state.processes, process);
  return isLive(of) && runOf(of) === run;
};

function rise(turn: Turn): void {
  turn.note({ kind: 'up' });
  turn.do({ type: 'say', state: 'TASK_RUNNING' });
}

function takeChecked(turn: Turn, checked: Checked): void {
  const { state, now } = turn;
  const { check, document } = state;
  if (check === undefined || document.health === undefined) return;
  const { health, verdict, why } = diagnose(check.health, document.health, checked, now);
  const { snoozed, ...rest } = check;
  // Started `interval` after the last one was, at once when that took longer.
  const next_at = Math.max(now, check.next_at + document.health.interval_ms);
  turn.state = { ...state, check: { ...rest, health, under_way: false, next_at } };
  const was_ok = check.health.history.at(-1)?.ok;
  if (snoozed !== undefined || was_ok !== checked.ok) turn.do({ type: 'show' });
  if (state.stage !== 'active') return;
  if (verdict === 'up') rise(turn);
  if (verdict === 'sick')
    leave(turn, { outcome: 'failed', ...(why === undefined ? {} : { message: why }), healthy: false });
}

function takeKill(turn: Turn, grace_ms: number | undefined): void {
  const { state } = turn;
  switch (state.stage) {
    case 'active':
      if (grace_ms !== undefined) turn.state = { ...state, grace_ms };
      turn.do({ type: 'say', state: 'TASK_KILLING' });
      leave(turn, { outcome: 'killed' });
      return;
    case 'withdrawing':
    case 'asking':
    case 'insisting':
      if (grace_ms !== undefined) turn.state = { ...state, grace_ms: Math.min(grace_ms, state.grace_ms) };
      return;
    case 'cleaning':
    case 'finalizing':
      if (grace_ms !== undefined) shorten(turn, grace_ms);
      return;
    case 'over':
      return; // Repeated: the last word is on its way.
  }
}

// --- from stage to stage --------------------------------------------------------------------------------------------

/** Whatever follows from how things stand now, until nothing does. */
function settle(turn: Turn): void {
  for (;;) {
    const { stage } = turn.state;
    settleStage(turn);
    if (turn.state.stage === stage) return;
  }
}

function settleStage(turn: Turn): void {
  abandonUnseen(turn);
  const { state, now } = turn;
  const live = liveOf(state).length > 0;
  switch (state.stage) {
    case 'active':
      settleActive(turn);
      return;
    case 'withdrawing':
      if (live && now < state.until) return;
      if (isToBeAsked(state)) ask(turn, 'asking', state.verdict!);
      else clean(turn, state.verdict!, state.grace_ms);
      return;
    case 'asking':
    case 'insisting':
      if (live && now < state.until) return;
      if (live && state.stage === 'asking') ask(turn, 'insisting', state.verdict!);
      else clean(turn, state.verdict!, state.grace_ms);
      return;
    case 'cleaning':
      if (live) killWhenDue(turn);
      else enter(turn, 'finalizing', state.until, state.verdict!);
      return;
    case 'finalizing':
      settleFinalizing(turn);
      return;
    case 'over':
      return;
  }
}

function settleFinalizing(turn: Turn): void {
  const { state, now } = turn;
  const standing = standingOf(planOf(state.document, 'final'), state.processes, now);
  // Only ephemeral ones are left: nobody waits for them.
  if (standing.complete && standing.live.length > 0) shorten(turn, 0);
  const late = now >= turn.state.until;
  if (!late) startAll(turn, standing.ready);
  if (liveOf(turn.state).length > 0) killWhenDue(turn);
  else if (late || standing.complete || standing.stuck) {
    enter(turn, 'over', now, state.verdict!);
    lastWord(turn);
  }
}

function lastWord(turn: Turn): void {
  const verdict = turn.state.verdict!;
  turn.do({ type: 'sweep' }, { type: 'say', state: last_words[verdict.outcome], verdict });
}

const last_words = { finished: 'TASK_FINISHED', failed: 'TASK_FAILED', killed: 'TASK_KILLED' } as const;

function settleActive(turn: Turn): void {
  const { state, now } = turn;
  const { document, check } = state;
  const standing = standingOf(planOf(document, 'regular'), state.processes, now);
  const verdict = verdictOf(state, now);
  if (verdict !== undefined) {
    leave(turn, verdict);
    return;
  }
  startAll(turn, standing.ready);
  if (check !== undefined && !check.under_way && now >= check.next_at) {
    turn.state = { ...turn.state, check: { ...check, under_way: true, next_at: now } };
    turn.do({ type: 'check' });
  }
}

/** What the work has come to; undefined as long as it goes on. */
function verdictOf({ document, processes, limit_at }: TaskState, now: Instant): Verdict | undefined {
  const { failed, complete, stuck } = standingOf(planOf(document, 'regular'), processes, now);
  const first = failed[0];
  const why = first === undefined ? undefined : whyFailed(first, stateOf(processes, first.name));
  if (document.max_failures > 0 && failed.length >= document.max_failures)
    return { outcome: 'failed', ...(why === undefined ? {} : { message: why }) };
  if (complete) return { outcome: 'finished' };
  if (stuck) return { outcome: 'failed', message: `${why}; what is left waits for it` };
  if (limit_at !== undefined && now >= limit_at)
    return {
      outcome: 'failed',
      message: 'the task ran for longer than its max_completion_time',
      reason: 'REASON_MAX_COMPLETION_TIME_REACHED',
    };
  return undefined;
}

function startAll(turn: Turn, processes: readonly ProcessDocument[]): void {
  for (const process of processes) {
    turn.note({ kind: 'forked', process: process.name, at: turn.now });
    turn.do({ type: 'start', process, run: runOf(stateOf(turn.state.processes, process.name)) });
  }
}

function abandonUnseen(turn: Turn): void {
  const { state, now } = turn;
  for (const { name } of liveOf(state)) {
    const of = stateOf(state.processes, name);
    if (of.status !== 'forked' || now < of.since + fork_ms_max) continue;
    turn.do({ type: 'abandon', process: name, run: runOf(of) });
    // Asked again after as long again, not at once: the answer is an end, and it is on its way.
    turn.state = { ...turn.state, processes: { ...turn.state.processes, [name]: { ...of, since: now } } };
  }
}

/** Ends an active task, by the long way if that is its way. */
function leave(turn: Turn, verdict: Verdict): void {
  const { document } = turn.state;
  if (liveOf(turn.state).length > 0 && document.withdraw_wait_ms > 0) {
    enter(turn, 'withdrawing', turn.now + document.withdraw_wait_ms, verdict);
    turn.do({ type: 'withdraw' });
  } else if (isToBeAsked({ ...turn.state, verdict })) ask(turn, 'asking', verdict);
  else clean(turn, verdict, turn.state.grace_ms);
}

/** What is over by itself need not be asked to go. */
function isToBeAsked(state: TaskState): boolean {
  const { document, verdict } = state;
  const is_driven = verdict?.outcome === 'killed' || verdict?.healthy === false || verdict?.reason !== undefined;
  return document.lifecycle !== undefined && liveOf(state).length > 0 && is_driven;
}

function ask(turn: Turn, stage: 'asking' | 'insisting', verdict: Verdict): void {
  const lifecycle = turn.state.document.lifecycle!;
  const wait_ms = stage === 'asking' ? lifecycle.graceful_wait_ms : lifecycle.abort_wait_ms;
  enter(turn, stage, turn.now + wait_ms, verdict);
  turn.do({ type: 'ask', stage });
}

function clean(turn: Turn, verdict: Verdict, grace_ms: number): void {
  enter(turn, 'cleaning', turn.now + grace_ms, verdict);
  for (const { name } of liveOf(turn.state)) turn.do(signalTo(turn.state, name, 'SIGTERM'));
}

function shorten(turn: Turn, grace_ms: number): void {
  const { stage, until, verdict } = turn.state;
  if (turn.now + grace_ms < until) enter(turn, stage, turn.now + grace_ms, verdict!);
}

function enter(turn: Turn, stage: Stage, until: Instant, verdict: Verdict): void {
  turn.note({ kind: 'stage', stage, until, grace_ms: turn.state.grace_ms, verdict });
  turn.do({ type: 'show' });
}

function killWhenDue(turn: Turn): void {
  const { state, now } = turn;
  if (now < (state.killed_at === undefined ? state.until : state.killed_at + kill_again_ms)) return;
  for (const { name } of liveOf(state)) turn.do(signalTo(state, name, 'SIGKILL'));
  turn.state = { ...state, killed_at: now };
}

const signalTo = (state: TaskState, process: string, signal: 'SIGTERM' | 'SIGKILL'): TaskEffect => ({
  type: 'signal',
  process,
  run: runOf(stateOf(state.processes, process)),
  signal,
});
