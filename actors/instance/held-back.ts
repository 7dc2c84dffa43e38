// held-back.ts: why an instance waits that has not asked for a place yet: its executor must be packed first.

import { type InstanceKey, runKey, splitInstanceKey } from '../model/ids.ts';
import { firstRecord, type InstanceRecord, type JobRecord, type RunRecord } from '../model/records.ts';
import type { PendingReason } from '../model/views.ts';
import { configOf } from '../update/update-plan.ts';
import { type Archive, waitsForArchive } from './launch.ts';

/** undefined: nothing of ours holds it back. `latest`: the newest record of a key. */
export function heldBack(
  key: InstanceKey,
  archive: Archive | undefined,
  latest: (kind: 'job' | 'run' | 'instance', key: string) => unknown,
): PendingReason | undefined {
  const { job: job_key, run: id, index } = splitInstanceKey(key);
  const jobs = latest('job', job_key) as JobRecord | undefined;
  const run = latest('run', runKey(job_key, id)) as RunRecord | undefined;
  if (jobs === undefined) return undefined;
  const waits = !jobs.job.service && run !== undefined && index < run.instances;
  const at =
    (latest('instance', key) as InstanceRecord | undefined) ?? (waits ? firstRecord(run.created_at) : undefined);
  if (at?.status !== 'pending' || !waitsForArchive(configOf(run, index, jobs).job, archive)) return undefined;
  const summary = 'its executor is being packed: expected within seconds, else the log of the scheduler says why not';
  return { instance: key, since: at.since, summary, why: { code: 'no-executor' } };
}
