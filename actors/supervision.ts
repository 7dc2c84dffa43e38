// supervision.ts: how many crashes are too many.
//
// OTP's restart intensity, in one function: keep the crashes inside the period, compare their number with the limit.

export type RestartLimit = { readonly crashes_max: number; readonly period_ms: number };

/** `crashes` are the instants of earlier crashes; the answer has those still inside the period, `now` included. */
export function addCrash(
  crashes: readonly number[],
  now: number,
  limit: RestartLimit,
): { crashes: readonly number[]; exceeded: boolean } {
  const recent = [...crashes.filter(at => now - at < limit.period_ms), now];
  return { crashes: recent, exceeded: recent.length > limit.crashes_max };
}
