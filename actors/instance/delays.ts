// delays.ts: how long an instance waits before it asks for a place again.
//
// What failed waits as its job says, and longer each time; chance is drawn from the name of the attempt, so that a wait that
// is worked out again after a failover is the same wait. What only lost its place did nothing wrong, and hardly waits.

import { delayBefore } from '../../schedules/backoff.ts';
import { stableHash } from '../../schedules/hash.ts';
import type { InstanceKey } from '../model/ids.ts';
import type { Job } from '../model/job.ts';

type Delays = { readonly retry_delay_ms: number; readonly retry_delay_ms_max: number };

/** Before retry n (from 1) of this instance. */
export function retryDelay({ retry, retry_delay_ms }: Job, key: InstanceKey, failures: number, times: Delays): number {
  const delay_ms = retry?.delay_ms ?? retry_delay_ms ?? times.retry_delay_ms;
  const backoff = {
    delay_ms,
    factor: retry?.factor ?? 2,
    // A job that asks for longer pauses than others get, and says no more, gets them.
    delay_ms_max: retry?.delay_ms_max ?? Math.max(retry?.delay_ms ?? 0, times.retry_delay_ms_max),
    jitter: retry?.jitter ?? 0,
  };
  return delayBefore(backoff, failures + 1, backoff.jitter === 0 ? 0 : stableHash(`${key}:${failures}`) / 2 ** 32);
}

/** A place that vanished is looked for again at once; only when that happens over and over do we slow down. */
export function lostDelay(attempt: number, times: Delays): number {
  return attempt < 3 ? 0 : Math.min(times.retry_delay_ms_max, times.retry_delay_ms * 2 ** Math.min(30, attempt - 3));
}
