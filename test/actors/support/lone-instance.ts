// lone-instance.ts: one instance by itself: the job it is of, what it stands in, and the times that its machine keeps.

import type { InstanceState } from '../../../actors/instance/instance.ts';
import { type Job, readJob } from '../../../actors/model/job.ts';
import type { InstanceRecord } from '../../../actors/model/records.ts';

export const now = Date.UTC(2026, 0, 1);
export const job_key = 'www/prod/hello';
export const times = {
  retry_delay_ms: 1_000,
  retry_delay_ms_max: 60_000,
  kill_retry_ms: 5_000,
  well_after_ms: 300_000,
  start_timeout_ms: 900_000,
  executor: { cpus: 0.01, mem: 32, disk: 1 },
};

export function jobOf(more: object = {}): Job {
  const read = readJob({ role: 'www', environment: 'prod', name: 'hello', command: 'true', ...more });
  if (!read.ok) throw new Error(read.problems[0]!.message);
  return read.value;
}

/** The first instance of a run that began a minute ago. */
export const stateOf = (
  run: string,
  cause: InstanceState['cause'],
  job: Job,
  record: InstanceRecord | undefined,
): InstanceState => ({
  key: `${job_key}/${run}/0`,
  job_key,
  run,
  index: 0,
  cause,
  job,
  version: 1,
  run_created_at: now - 60_000,
  record,
});
