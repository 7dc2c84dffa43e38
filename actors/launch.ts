// launch.ts: from a job to what Mesos must be told: what one instance needs, and what one attempt runs.

import { lasting } from '../mesos/maintenance.ts';
import type { LaunchPlan } from '../mesos/match.ts';
import type { CommandInfo } from '../mesos/protocol.ts';
import type { InstanceState } from './instance.ts';
import type { JobKey, TaskId } from './model/ids.ts';
import type { Job } from './model/job.ts';
import type { Cause } from './model/reasons.ts';

/** What an instance needs of a host: one object for all instances of a version, so that a no for one is a no for all. */
export type Requirements = { readonly plan: LaunchPlan; readonly priority: number };
/** What the default executor takes beside the task: cpus, and MB of memory and disk. */
export type Overhead = LaunchPlan['executor'];

const shared = new WeakMap<Job, Requirements>();

export function requirements(key: JobKey, version: number, job: Job, executor: Overhead): Requirements {
  const known = shared.get(job);
  if (known !== undefined) return known;
  const made: Requirements = {
    plan: {
      task_id: '',
      name: key,
      group: `${key}@${version}`,
      resources: {
        cpus: job.cpus,
        mem: job.mem,
        disk: job.disk,
        ...(job.gpus === undefined ? {} : { gpus: job.gpus }),
      },
      ...(job.revocable === true ? { revocable: true } : {}),
      ports: job.ports,
      executor,
      constraints: job.constraints,
      lasts_ms: job.service ? lasting.service_ms : lasting.other_ms,
      command: {},
      kill_grace_ms: job.kill_grace_ms,
      labels: {},
    },
    priority: job.priority,
  };
  shared.set(job, made);
  return made;
}

/** Runs its arguments one after the other, each by a shell of its own, until one fails: no text is spliced into another. */
const in_order = 'for line in "$@"; do /bin/sh -c "$line" || exit $?; done';

/** The variables that all instances of a run share, made once for its cause, which is one object for all of them. */
function ofRun({ cause, job_key, run, run_created_at }: InstanceState): readonly Variable[] {
  const known = runs.get(cause);
  if (known !== undefined && known[1]?.value === run && known[0]?.value === job_key) return known;
  const scheduled_at = 'at' in cause ? cause.at : run_created_at;
  const made = [
    { name: 'HORAE_JOB', value: job_key },
    { name: 'HORAE_RUN_ID', value: run },
    { name: 'HORAE_SCHEDULED_AT', value: new Date(scheduled_at).toISOString() },
  ];
  runs.set(cause, made);
  return made;
}
type Variable = { readonly name: string; readonly value: string };
const runs = new WeakMap<Cause, readonly Variable[]>();

/** The attempt as the Mesos side takes it. Ports and overhead are added where the place is known. */
export function launchPlan(state: InstanceState, task_id: TaskId, attempt: number, executor: Overhead): LaunchPlan {
  const { job } = state;
  const own = [
    ...ofRun(state),
    { name: 'HORAE_ATTEMPT', value: String(attempt) },
    { name: 'HORAE_INSTANCE', value: String(state.index) },
  ];
  // Ours come last and are not the job's to set: the task must be able to trust them.
  const theirs = Object.keys(job.env).filter(name => !own.some(one => one.name === name));
  const variables = theirs.length === 0 ? own : [...theirs.map(name => ({ name, value: job.env[name]! })), ...own];
  const command: CommandInfo =
    job.processes === undefined
      ? { shell: true, value: job.command ?? '', environment: { variables } }
      : {
          shell: false,
          value: '/bin/sh',
          arguments: ['sh', '-c', in_order, 'sh', ...job.processes.map(one => one.command)],
          environment: { variables },
        };
  return {
    ...requirements(state.job_key, state.version, job, executor).plan,
    task_id,
    command,
    labels: { 'horae.job': state.job_key, 'horae.run': state.run },
  };
}
