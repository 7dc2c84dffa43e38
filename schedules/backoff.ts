// backoff.ts: how long to wait before trying again.
//
// The first retry waits `delay_ms`; later ones the same, or longer and longer up to a limit. Jitter takes away a random
// part of the wait, so that what failed together does not come back together. The die is thrown by the caller.

export type Backoff = {
  /** Before the first retry. */
  readonly delay_ms: number;
  /** Each wait is this many times the one before: 1 is a fixed delay. */
  readonly factor: number;
  /** No wait is longer. */
  readonly delay_ms_max: number;
  /** The part of a wait that chance may take away, from 0 (none) to 1 (all of it). */
  readonly jitter: number;
};

export const fixedBackoff = (delay_ms: number): Backoff => ({ delay_ms, factor: 1, delay_ms_max: delay_ms, jitter: 0 });

/** Whole milliseconds to wait before attempt `attempt` (2 is the first retry); `chance` is in [0, 1). */
export function delayBefore(backoff: Backoff, attempt: number, chance: number): number {
  if (attempt <= 1) return 0;
  // The power of a large attempt is Infinity, which the limit brings back to earth; 0 * Infinity must not come up.
  const grown_ms = backoff.delay_ms === 0 ? 0 : backoff.delay_ms * backoff.factor ** (attempt - 2);
  const delay_ms = Math.min(grown_ms, backoff.delay_ms_max);
  return Math.round(delay_ms * (1 - backoff.jitter * chance));
}
