// rollout.ts: in which order the instances of a service are replaced by a new version, and when that is called for.

import type { JobBirth } from '../effects.ts';
import type { Job } from '../model/job.ts';
import { has } from '../model/ranges.ts';
import type { JobRecord, RunRecord } from '../model/records.ts';

/** A service whose instances are being replaced one at a time: those still to come, and the one under way. */
export type Rollout = { readonly waiting: readonly number[]; readonly current: number };

/** All instances in the order in which they are replaced: first the one that is down already, so that no second one is. */
export function everyone(rollout: Rollout | undefined, instances: number): readonly number[] {
  const all = Array.from({ length: instances }, (_, index) => index);
  const first = rollout?.current;
  return first === undefined || first >= instances ? all : [first, ...all.filter(index => index !== first)];
}

/** Instances of a service that run what it was before, as their records tell: one that is being replaced comes first. */
export function outdated(
  { launch_version = 0 }: JobRecord,
  run: RunRecord,
  instances: JobBirth['runs'][number]['instances'],
): readonly number[] {
  const old = instances.filter(
    ({ index, record: at }) =>
      index < run.instances &&
      'version' in at &&
      at.version < launch_version &&
      // What an update left behind as it was stays so until somebody decides.
      !(has(run.without, index) || run.others?.some(one => has(one.indexes, index)) === true),
  );
  const under_way = old.filter(one => one.record.status === 'killing');
  return [...under_way, ...old.filter(one => one.record.status !== 'killing')].map(one => one.index);
}

/** What of a job its processes can notice, or says where they may run: a change of anything else restarts none. */
const noticed: Readonly<Record<keyof Job, boolean>> = {
  role: false,
  environment: false,
  name: false,
  description: false,
  owner: false,
  notify: false,
  late_after_ms: false,
  long_running_after_ms: false,
  pending_after_ms: false,
  command: true,
  shell: true,
  arguments: true,
  variables: true,
  executor: true,
  container: true,
  processes: true,
  order: true,
  max_process_failures: true,
  max_concurrency: true,
  health_check: true,
  lifecycle: true,
  user: true,
  rlimits: true,
  fetch: true,
  secrets: true,
  service: false,
  instances: false,
  cpus: true,
  mem: true,
  disk: true,
  gpus: true,
  revocable: true,
  ports: true,
  // Whether, not how: the executor is told to wait for the withdrawal.
  announce: false,
  env: true,
  schedules: false,
  parents: false,
  join: false,
  trigger_rule: false,
  soft_error: false,
  tokens_max: false,
  enabled: false,
  max_task_failures: false,
  retry_delay_ms: false,
  retry: false,
  timeouts: false,
  async: false,
  overlap: false,
  catch_up: false,
  pause_on_failure: false,
  count: false,
  priority: false,
  constraints: true,
  kill_grace_ms: false,
  partition_policy: false,
  labels: false,
};
const fields = (Object.keys(noticed) as (keyof Job)[]).filter(field => noticed[field]);

/** What a job's processes are made of, and where they may run: always in the same order. */
export const launched = (job: Job): unknown => ({
  ...Object.fromEntries(fields.map(field => [field, job[field]])),
  announced: job.announce !== undefined,
});
