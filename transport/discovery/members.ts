// members.ts: who is there to be talked to: the live instances of a job that have ports, and where each is.
//
// An address book in which only those stand who are up. An instance with a health check counts as running when it is healthy, so
// it is entered then and not before; it is struck out while it is sick, and when its end is decided, which is written down before
// anybody is told. Who is out of the master's sight can perhaps still be reached by others: such an instance stays for as long as
// its job's partition policy waits for it, since nobody comes in its place.

import type { InstanceKey, JobKey } from '../../actors/model/ids.ts';
import type { Job } from '../../actors/model/job.ts';
import { givenUpAt } from '../../actors/model/partition.ts';
import type { Attempted, InstanceRecord } from '../../actors/model/records.ts';
import type { JobView } from '../../actors/model/views.ts';

export type Member = {
  readonly key: InstanceKey;
  readonly index: number;
  readonly task_id: string;
  readonly host: string;
  readonly ports: Readonly<Record<string, number>>;
  /** Of its job when it was launched. */
  readonly version: number;
};

/** Run by run, in the order of their numbers. */
export function membersOf({ record: { job }, runs }: JobView): readonly Member[] {
  return runs.flatMap(({ record: run, instances }) =>
    instances
      .flatMap(({ key, index, task_id, record }): Member[] => {
        if (!isUp(run.job ?? job, record) || record.ports === undefined || task_id === undefined) return [];
        return [{ key, index, task_id, host: record.hostname, ports: record.ports, version: record.version }];
      })
      .sort((a, b) => a.index - b.index),
  );
}

function isUp(job: Job, record: InstanceRecord): record is InstanceRecord & Attempted {
  if (record.status !== 'running' && record.status !== 'unreachable') return false;
  if (record.started_at === undefined || record.unhealthy === true) return false;
  return record.status === 'running' || givenUpAt(job, record.since) !== record.since;
}

/** What Prometheus reads from `http_sd_configs`: a group for each port of each member. */
export type TargetGroup = { readonly targets: readonly string[]; readonly labels: Readonly<Record<string, string>> };

/** `port`: of that name alone. */
export function targetGroups(key: JobKey, job: Job, members: readonly Member[], port?: string): readonly TargetGroup[] {
  const own = Object.fromEntries(
    Object.entries(job.labels).map(([name, value]) => [
      `__meta_horae_label_${name.replaceAll(/[^A-Za-z0-9_]/g, '_')}`,
      value,
    ]),
  );
  return members.flatMap(({ index, task_id, host, ports }) =>
    Object.entries(ports)
      .filter(([name]) => port === undefined || name === port)
      .map(([name, number]) => ({
        targets: [addressOf(host, number)],
        labels: {
          __meta_horae_job: key,
          __meta_horae_role: job.role,
          __meta_horae_environment: job.environment,
          __meta_horae_name: job.name,
          __meta_horae_instance: String(index),
          __meta_horae_port: name,
          __meta_horae_task_id: task_id,
          ...own,
        },
      })),
  );
}

const addressOf = (host: string, port: number) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
