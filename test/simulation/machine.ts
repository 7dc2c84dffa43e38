// machine.ts: a computer on which one process runs: with a clock of its own, which is wrong, and a process that can be
// stopped for a while, or die at any moment.
//
// Whatever reaches a process comes as a turn: a timer, a packet, work that it put off. A process that stands still takes
// none; when it goes on it finds all of them at once. Of a process that has died, no turn is ever played again.

import type { Clock } from '../../schedules/clock.ts';
import type { Agenda } from './agenda.ts';

export type Process = {
  readonly clock: Clock;
  readonly alive: () => boolean;
  /** A turn of this process, now or when it goes on. */
  readonly post: (work: () => void) => void;
  readonly later: (delay_ms: number, work: () => void) => void;
  /** As `post`, for whoever calls in from outside. */
  readonly entering: <A extends readonly unknown[]>(work: (...args: A) => void) => (...args: A) => void;
  /** A promise that is kept in a turn of this process, and never once it is dead. */
  readonly within: <T>(promise: Promise<T>) => Promise<T>;
  readonly die: () => void;
  readonly onDeath: (bury: () => void) => void;
};
export type Machine = {
  readonly name: string;
  readonly start: () => Process;
  readonly process: () => Process | undefined;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly paused: () => boolean;
  /** By how much its wall clock is ahead. */
  readonly skew: () => number;
  readonly setSkew: (skew_ms: number) => void;
};

export function createMachine(agenda: Agenda, name: string, drift: number): Machine {
  const origin = agenda.now();
  let skew_ms = 0;
  let paused = false;
  let present: Process | undefined;
  let held: (() => void)[] = [];
  /** Its quartz is a little too fast or too slow; what measures lengths of time on it is wrong by as much. */
  const monotonic = () => (agenda.now() - origin) * (1 + drift);
  const now = () => Math.floor(agenda.now() + skew_ms);

  const start = (): Process => {
    let alive = true;
    const burials: (() => void)[] = [];
    const turn = (work: () => void) => {
      if (!alive) return;
      if (paused) held.push(() => turn(work));
      else work();
    };
    const post = (work: () => void) => void agenda.after(0, () => turn(work));
    const process: Process = {
      clock: {
        now,
        monotonic,
        // As the machine's own timers: the length is measured when it is armed, and setting the clock changes nothing.
        wakeAt(at, callback) {
          let cancelled = false;
          // Node counts in whole milliseconds, one at least.
          const entry = agenda.after(Math.max(1, Math.trunc(at - now())) / (1 + drift), () =>
            turn(() => {
              if (!cancelled) callback();
            }),
          );
          return {
            cancel() {
              cancelled = true;
              entry.cancel();
            },
          };
        },
      },
      alive: () => alive,
      post,
      later: (delay_ms, work) => void agenda.after(delay_ms, () => turn(work)),
      entering:
        work =>
        (...args) =>
          turn(() => work(...args)),
      within: promise =>
        new Promise((resolve, reject) => {
          promise.then(
            value => post(() => resolve(value)),
            error => post(() => reject(error)),
          );
        }),
      die() {
        if (!alive) return;
        alive = false;
        if (present === process) present = undefined;
        for (const bury of burials) bury();
      },
      onDeath: bury => void burials.push(bury),
    };
    present = process;
    return process;
  };
  return {
    name,
    start,
    process: () => present,
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      const waiting = held;
      held = [];
      for (const work of waiting) agenda.after(0, work);
    },
    paused: () => paused,
    skew: () => skew_ms,
    setSkew(next) {
      skew_ms = next;
    },
  };
}
