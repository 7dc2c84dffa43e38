// condition.ts: whether a task that runs is well, as its health checks said last.
//
// A service may be sick for a while before its checks give it up. It runs all that time, and nobody should be sent to it: so
// it is written down, and everybody who reads the records leaves it out.

import type { TaskStatus } from '../../mesos/protocol.ts';
import type { Attempted } from '../model/records.ts';

/** The attempt as it is after this word; the same object when the word changes nothing. */
export function heardOf<T extends Attempted>(at: T, { healthy }: TaskStatus): T {
  if (healthy === undefined || healthy === (at.unhealthy !== true)) return at;
  const { unhealthy: _, ...rest } = at;
  return (healthy ? rest : { ...rest, unhealthy: true }) as T;
}
