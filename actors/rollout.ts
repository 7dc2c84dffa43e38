// rollout.ts: in which order the instances of a service are replaced by a new version, and when that is called for.

import type { JobBirth } from './effects.ts';
import type { Job } from './model/job.ts';
import { has } from './model/ranges.ts';
import type { JobRecord, RunRecord } from './model/records.ts';

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

/** What a job's processes are made of, and where they may run. */
export const launched = (job: Job) => ({
  command: job.command,
  processes: job.processes,
  order: job.order,
  max_process_failures: job.max_process_failures,
  max_concurrency: job.max_concurrency,
  health_check: job.health_check,
  lifecycle: job.lifecycle,
  cpus: job.cpus,
  mem: job.mem,
  disk: job.disk,
  gpus: job.gpus,
  revocable: job.revocable,
  ports: job.ports,
  announced: job.announce !== undefined,
  env: job.env,
  constraints: job.constraints,
});
