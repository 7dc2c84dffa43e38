// partition.ts: what a job wants when the agent of one of its tasks is out of reach.

import type { Job } from './job.ts';

/**
 * A job that says nothing: a service is to be there, as Aurora had it for all, so another copy is begun; anything else is to
 * run once, so it is waited for.
 */
export const policyOf = ({ partition_policy, service }: Pick<Job, 'partition_policy' | 'service'>) =>
  partition_policy ?? (service ? { reschedule: true } : undefined);

/** When an attempt that is out of reach since then is given up; undefined: Mesos must say what became of it. */
export function givenUpAt(job: Pick<Job, 'partition_policy' | 'service'>, since: number): number | undefined {
  const policy: Job['partition_policy'] = policyOf(job);
  return policy?.reschedule === true ? since + (policy.delay_ms ?? 0) : undefined;
}
