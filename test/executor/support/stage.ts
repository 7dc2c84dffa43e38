// stage.ts: a task on a stage, with a clock that we move and processes that do as they are told.

import type { TaskDocument } from '../../../mesos/executor/document.ts';
import { readTask } from '../../../mesos/executor/document.ts';
import type { Ending } from '../../../mesos/executor/progress.ts';
import type { TaskEffect, TaskMessage, TaskRecord, TaskState, Verdict } from '../../../mesos/executor/task.ts';
import { taskOf, transition, wakeOf } from '../../../mesos/executor/task.ts';

export function task(input: object): TaskDocument {
  const read = readTask(input);
  if (!read.ok) throw new Error(read.problems.map(({ place, message }) => `${place}: ${message}`).join('; '));
  return read.value;
}

export const shell = (name: string, more: object = {}) => ({
  name,
  command: `run ${name}`,
  min_duration_ms: 0,
  ...more,
});
export const exit = (code: number): Ending => ({ type: 'exit', exit: { code } });
export const killed: Ending = { type: 'exit', exit: { signal: 9 } };

export type Stage = {
  readonly state: () => TaskState;
  readonly records: () => readonly TaskRecord[];
  /** What was done, in words: `start web 0`, `SIGTERM web 0`, `TASK_RUNNING`. Emptied by reading. */
  readonly done: () => readonly string[];
  readonly verdict: () => Verdict | undefined;
  readonly tell: (message: TaskMessage) => void;
  /** The present run of a process ends. */
  readonly end: (process: string, ending: Ending) => void;
  readonly now: () => number;
  /** Moves the clock, waking the task whenever it wants to be. */
  readonly pass: (ms: number) => void;
};

/** Processes that are started are seen to run at once. */
export function stage(document: TaskDocument, records: readonly TaskRecord[] = [], launched: object = {}): Stage {
  let now = 0;
  let state = taskOf({ document, at: 0, ...launched }, records, now);
  const kept: TaskRecord[] = [...records];
  let said: string[] = [];
  let verdict: Verdict | undefined;
  const tell = (message: TaskMessage) => {
    const step = transition(state, message, now);
    state = step.state;
    kept.push(...step.records);
    const begun: TaskMessage[] = [];
    for (const effect of step.effects) {
      const words = inWords(effect);
      if (words !== undefined) said.push(words);
      if (effect.type === 'say' && effect.verdict !== undefined) verdict = effect.verdict;
      if (effect.type === 'start')
        begun.push({ type: 'started', process: effect.process.name, run: effect.run, pid: 100 + kept.length });
    }
    for (const message of begun) tell(message);
  };
  tell({ type: 'begun' });
  return {
    state: () => state,
    records: () => kept,
    done: () => {
      const words = said;
      said = [];
      return words;
    },
    verdict: () => verdict,
    tell,
    end: (process, ending) => tell({ type: 'ended', process, run: state.processes[process]!.runs - 1, ending }),
    now: () => now,
    pass(ms) {
      const until = now + ms;
      for (let wake = wakeOf(state, now); wake !== undefined && wake <= until; wake = wakeOf(state, now)) {
        if (wake < now) throw new Error(`wants to be woken at ${wake}, and it is ${now}: it would never sleep`);
        now = wake;
        tell({ type: 'due' });
      }
      now = until;
    },
  };
}

function inWords(effect: TaskEffect): string | undefined {
  switch (effect.type) {
    case 'start':
      return `start ${effect.process.name} ${effect.run}`;
    case 'signal':
      return `${effect.signal} ${effect.process} ${effect.run}`;
    case 'abandon':
      return `abandon ${effect.process} ${effect.run}`;
    case 'say':
      return effect.state;
    case 'ask':
      return effect.stage;
    case 'check':
    case 'sweep':
    case 'withdraw':
      return effect.type;
    case 'show':
      return undefined;
  }
}
