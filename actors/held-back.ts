// held-back.ts: why an instance waits that has not asked for a place yet: its executor must be packed first.

import { type Archive, waitsForArchive } from './launch.ts';
import { type InstanceKey, runKey, splitInstanceKey } from './model/ids.ts';
import type { InstanceRecord, JobRecord, RunRecord } from './model/records.ts';
import type { PendingReason } from './model/views.ts';

/** undefined: nothing of ours holds it back. `latest`: the newest record of a key. */
export function heldBack(
  key: InstanceKey,
  archive: Archive | undefined,
  latest: (kind: 'job' | 'run' | 'instance', key: string) => unknown,
): PendingReason | undefined {
  const at = latest('instance', key) as InstanceRecord | undefined;
  if (at?.status !== 'pending') return undefined;
  const { job: job_key, run } = splitInstanceKey(key);
  const job = (latest('run', runKey(job_key, run)) as RunRecord | undefined)?.job ?? latestJob(latest('job', job_key));
  if (job === undefined || !waitsForArchive(job, archive)) return undefined;
  const summary = 'its executor is being packed: expected within seconds, else the log of the scheduler says why not';
  return { instance: key, since: at.since, summary, why: { code: 'no-executor' } };
}

const latestJob = (record: unknown) => (record as JobRecord | undefined)?.job;
