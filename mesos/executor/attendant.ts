// attendant.ts: stands beside one task and does what its state machine asks for, in order, after the records are safe.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Wake } from '../../schedules/clock.ts';
import type { TaskInfo } from '../protocol.ts';
import { askToGo, performCheck, readSnooze, writeSnooze } from './checks.ts';
import { processEnvironment, taskMark } from './environment.ts';
import type { Snooze } from './health.ts';
import type { Launch } from './launch.ts';
import { stateOf } from './plan.ts';
import { isLive, runOf } from './progress.ts';
import { healthyOf, reportOf, type TaskReport } from './report.ts';
import { type Runner, runnerOf } from './runner.ts';
import {
  type SaidState,
  type TaskEffect,
  type TaskMessage,
  type TaskRecord,
  type TaskState,
  taskOf,
  transition,
  type Verdict,
  wakeOf,
} from './task.ts';

export type AttendantOptions = {
  readonly launch: Launch;
  readonly task_info: TaskInfo;
  readonly launched_at: number;
  readonly records: readonly TaskRecord[];
  readonly sandbox: string;
  readonly porter: string;
  readonly boot: string;
  readonly own_environment: Readonly<Record<string, string | undefined>>;
  readonly show_ms: number;
  readonly clock: Clock;
  readonly wall: () => number;
  readonly append: (records: readonly TaskRecord[]) => void;
  readonly say: (said: Said) => void;
  /** Tells the scheduler that the task is about to end; it answers with a message. */
  readonly withdraw: () => void;
  readonly noted: (message: string, about: object) => void;
};
export type Said = {
  readonly state: SaidState;
  readonly verdict?: Verdict;
  readonly healthy?: boolean;
  readonly report: TaskReport;
};
export type Attendant = {
  readonly tell: (message: TaskMessage) => void;
  /** Pauses its health checks until then, or for as long as nobody says otherwise; undefined: lets them go on. */
  readonly snooze: (snooze: Snooze | undefined) => void;
  readonly report: () => TaskReport;
  readonly isOver: () => boolean;
  readonly close: () => void;
};

/** Between two words about health: a task that wavers would keep the whole cluster busy. */
const health_news_ms = 1_000;

export function attend(options: AttendantOptions): Attendant {
  const { launch, task_info, launched_at, records, sandbox, clock, noted } = options;
  const { document, bindings } = launch;
  const task_id = task_info.task_id.value;
  // Horae's executors have one task each, which lives in the sandbox itself.
  const home = options.own_environment.MESOS_EXECUTOR_ID === task_id ? sandbox : join(sandbox, 'tasks', task_id);
  mkdirSync(home, { recursive: true });

  const grace_ms = msOf(task_info.kill_policy?.grace_period);
  const max_completion_ms = msOf(task_info.max_completion_time);
  let state: TaskState = taskOf(
    {
      document,
      at: launched_at,
      ...(grace_ms === undefined ? {} : { grace_ms }),
      ...(max_completion_ms === undefined ? {} : { max_completion_ms }),
    },
    records,
    clock.now(),
  );
  let wake: Wake | undefined;
  let show: Wake | undefined;
  let shown_at = Number.NEGATIVE_INFINITY;
  let shown_healthy: boolean | undefined;
  let closed = false;
  const waiting: TaskMessage[] = [];
  let busy = false;

  const environment = (mark: string) => processEnvironment(options.own_environment, home, bindings, document.env, mark);
  const runner: Runner = runnerOf({
    sandbox,
    home,
    task_id,
    porter: options.porter,
    boot: options.boot,
    clock,
    environment,
    console: { stdout: join(sandbox, 'stdout'), stderr: join(sandbox, 'stderr') },
    listener: {
      started: (process, run, pid) => tell({ type: 'started', process, run, pid }),
      ended: (process, run, ending) => tell({ type: 'ended', process, run, ending }),
      noted,
    },
  });

  const tell = (message: TaskMessage) => {
    if (closed) return;
    waiting.push(message);
    if (busy) return; // An effect led to it: it waits its turn.
    busy = true;
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const step = transition(state, next, clock.now());
        options.append(step.records);
        state = step.state;
        for (const effect of step.effects) perform(effect);
      }
    } finally {
      busy = false;
    }
    arm();
  };
  const arm = () => {
    wake?.cancel();
    const at = wakeOf(state, clock.now());
    wake =
      at === undefined || at === Number.POSITIVE_INFINITY ? undefined : clock.wakeAt(at, () => tell({ type: 'due' }));
  };

  const say = (said: SaidState, verdict?: Verdict) => {
    shown_at = clock.monotonic();
    shown_healthy = healthyOf(state);
    // The last word is about the end: an exit code is not ill health.
    const healthy = verdict === undefined ? shown_healthy : verdict.healthy;
    options.say({
      state: said,
      ...(verdict === undefined ? {} : { verdict }),
      ...(healthy === undefined ? {} : { healthy }),
      report: reportOf(state, bindings),
    });
  };
  const showSoon = () => {
    if (state.stage !== 'active') return;
    // Others are sent to it while it is well, so that it is not any more is news of another sort.
    const is_news = healthyOf(state) !== shown_healthy;
    if (show !== undefined && !is_news) return;
    show?.cancel();
    const every_ms = is_news ? Math.min(health_news_ms, options.show_ms) : options.show_ms;
    const rest_ms = Math.max(0, shown_at + every_ms - clock.monotonic());
    show = clock.wakeAt(clock.now() + rest_ms, () => {
      show = undefined;
      if (!closed && state.stage === 'active') say(state.up ? 'TASK_RUNNING' : 'TASK_STARTING');
    });
  };

  const perform = (effect: TaskEffect) => {
    switch (effect.type) {
      case 'start':
        return runner.start(effect.process, effect.run);
      case 'signal':
        return runner.signal(effect.process, effect.run, effect.signal);
      case 'abandon':
        return runner.abandon(effect.process, effect.run);
      case 'sweep':
        return runner.sweep();
      case 'check':
        return void check();
      case 'withdraw':
        return options.withdraw();
      case 'ask':
        return void ask(effect.stage);
      case 'say':
        return say(effect.state, effect.verdict);
      case 'show':
        return showSoon();
    }
  };
  const check = async () => {
    const snooze = readSnooze(home, options.wall());
    if (snooze !== undefined) {
      tell({ type: 'snoozed', snooze });
      return;
    }
    const { checker, timeout_ms } = document.health!;
    const about = {
      ports: bindings.ports,
      timeout_ms,
      home,
      environment: environment(`${taskMark(sandbox, task_id)}/:check`),
      clock,
    };
    tell({ type: 'checked', checked: await performCheck(checker, about) });
  };
  const ask = async (stage: 'asking' | 'insisting') => {
    const { port, graceful_path, graceful_wait_ms, abort_path, abort_wait_ms } = document.lifecycle!;
    const path = stage === 'asking' ? graceful_path : abort_path;
    const wait_ms = stage === 'asking' ? graceful_wait_ms : abort_wait_ms;
    tell({ type: 'answered', stage, answered: await askToGo(bindings.ports[port]!, path, wait_ms, clock) });
  };

  for (const process of document.processes) {
    const of = stateOf(state.processes, process.name);
    if (isLive(of)) runner.adopt(process, runOf(of));
  }
  tell({ type: 'begun' });

  return {
    tell,
    snooze(snooze) {
      try {
        writeSnooze(home, snooze);
      } catch (error) {
        return noted('the snooze could not be written', { why: String(error) });
      }
      // A check under way looks for the file again when its turn comes.
      if (snooze === undefined) tell({ type: 'woken' });
      else if (state.check?.under_way === false) tell({ type: 'snoozed', snooze });
      // Said in any case and at once: whoever asked waits to hear that it has arrived.
      if (state.stage === 'active') say(state.up ? 'TASK_RUNNING' : 'TASK_STARTING');
    },
    report: () => reportOf(state, bindings),
    isOver: () => state.stage === 'over',
    close() {
      closed = true;
      wake?.cancel();
      show?.cancel();
      runner.close();
    },
  };
}

const msOf = (duration: unknown): number | undefined => {
  const nanoseconds = (duration as { nanoseconds?: unknown } | undefined)?.nanoseconds;
  return typeof nanoseconds === 'number' ? nanoseconds / 1e6 : undefined;
};
