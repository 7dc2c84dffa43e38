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

/** Why something of a job was put aside, by what is kept of such: the job itself, its trigger, or one of its instances. */
export function asideOf(aside: ReadonlyMap<string, string>, job: string): string | undefined {
  const whole = aside.get(`job ${job}`) ?? aside.get(`trigger ${job}`);
  if (whole !== undefined || aside.size === 0) return whole;
  for (const [who, reason] of aside)
    if (who.startsWith(`instance ${job}/`)) return `${who.slice(`instance ${job}/`.length)}: ${reason}`;
  return undefined;
}
