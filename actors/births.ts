// births.ts: from the records to what each job is born with: the reading half of "every prefix is a valid state".

import type { JobBirth } from './effects.ts';
import { type JobKey, splitInstanceKey, splitRunKey } from './model/ids.ts';
import type { InstanceRecord, JobRecord, RunRecord, TallyRecord, TriggerRecord } from './model/records.ts';
import type { UpdateRecord } from './model/updates.ts';
import type { Outbox } from './outbox.ts';

type Records = Pick<Outbox, 'entries' | 'latest'>;

/** What every job, or the one named, is born with. Instances of runs that are gone are left aside: their run ended. */
export function restored(records: Records, only?: JobKey): readonly JobBirth[] {
  const instances = new Map<string, { index: number; record: InstanceRecord }[]>();
  for (const [key, body] of records.entries('instance')) {
    const { job, run, index } = splitInstanceKey(key);
    if (only !== undefined && job !== only) continue;
    const list = instances.get(`${job}/${run}`);
    if (list === undefined) instances.set(`${job}/${run}`, [{ index, record: body as InstanceRecord }]);
    else list.push({ index, record: body as InstanceRecord });
  }
  const runs = new Map<
    JobKey,
    { record: RunRecord; instances: readonly { index: number; record: InstanceRecord }[] }[]
  >();
  for (const [key, body] of records.entries('run')) {
    const { job } = splitRunKey(key);
    if (only !== undefined && job !== only) continue;
    const one = { record: body as RunRecord, instances: instances.get(key) ?? [] };
    const list = runs.get(job);
    if (list === undefined) runs.set(job, [one]);
    else list.push(one);
  }
  const births: JobBirth[] = [];
  const jobs = only === undefined ? records.entries('job') : ([[only, records.latest('job', only)]] as const);
  for (const [key, body] of jobs) {
    if (body === undefined) continue;
    births.push({
      key,
      record: body as JobRecord,
      tally: records.latest('tally', key) as TallyRecord | undefined,
      trigger: records.latest('trigger', key) as TriggerRecord | undefined,
      update: records.latest('update', key) as UpdateRecord | undefined,
      runs: runs.get(key) ?? [],
    });
  }
  return births;
}
