// clock.ts: what time it is, and who to wake when it is later.
//
// Nobody below the composition root asks the machine for the time: whoever needs it is handed a Clock. In production
// that is the system's; in a simulation it is a hand that we move ourselves, so that any afternoon can be replayed.

/** Milliseconds since 1970-01-01T00:00:00Z, the one form in which an instant travels through Horae. */
export type Instant = number;

/** The name that a pending `wakeAt` answers to. */
export type Wake = { readonly cancel: () => void };

export interface Clock {
  /** The present instant, in milliseconds since the epoch. May step in either direction when an operator sets it. */
  now(): Instant;
  /** A reading that never goes back, in milliseconds from an arbitrary origin: for lengths of time, never for dates. */
  monotonic(): number;
  /** Calls `callback` once, at `at` or as soon after it as the machine can. An `at` in the past fires on the next turn. */
  wakeAt(at: Instant, callback: () => void): Wake;
}

/** setTimeout counts in a signed 32-bit integer; what lies further off is reached in hops. */
const timeout_ms_max = 2 ** 31 - 1;

/** The machine's own clock. Timers do not keep the process alive. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    wakeAt(at, callback) {
      let timer: NodeJS.Timeout;
      const hop = () => {
        const left_ms = at - Date.now();
        timer = setTimeout(left_ms > timeout_ms_max ? hop : callback, Math.max(0, Math.min(left_ms, timeout_ms_max)));
        timer.unref();
      };
      hop();
      return { cancel: () => clearTimeout(timer) };
    },
  };
}

export interface SimulatedClock extends Clock {
  /** The earliest instant at which somebody wants to be woken; undefined when nobody does. */
  nextWake(): Instant | undefined;
  /** Moves the hand forward to `at` and calls every callback due on the way, in order of instant, then of arming. */
  advanceTo(at: Instant): void;
  /** Sets the wall clock without time passing, as an operator or NTP does: pending wakes keep their instants. */
  step(to: Instant): void;
}

/** A clock that stands still until it is moved. Throws when asked to travel back (use `step` for that). */
export function simulatedClock(start: Instant): SimulatedClock {
  let wall = start;
  let elapsed = 0;
  let order = 0;
  const wakes = new Map<number, { at: Instant; callback: () => void }>();
  const earliest = () => {
    let best: [number, { at: Instant; callback: () => void }] | undefined;
    for (const entry of wakes) if (best === undefined || entry[1].at < best[1].at) best = entry;
    return best;
  };
  return {
    now: () => wall,
    monotonic: () => elapsed,
    wakeAt(at, callback) {
      const id = order++;
      wakes.set(id, { at, callback });
      return { cancel: () => wakes.delete(id) };
    },
    nextWake: () => earliest()?.[1].at,
    advanceTo(at) {
      if (at < wall)
        throw new Error(`cannot travel back from ${wall} to ${at}: expected an instant at or after the present`);
      for (let next = earliest(); next !== undefined && next[1].at <= at; next = earliest()) {
        wakes.delete(next[0]);
        if (next[1].at > wall) {
          elapsed += next[1].at - wall;
          wall = next[1].at;
        }
        next[1].callback();
      }
      elapsed += Math.max(0, at - wall);
      wall = Math.max(wall, at);
    },
    step(to) {
      wall = to;
    },
  };
}
