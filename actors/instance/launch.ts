// launch.ts: from a job to what Mesos must be told: what one instance needs, and what one attempt runs.

import { containerCommand } from '../../mesos/container-info.ts';
import { executor_needs } from '../../mesos/executor/executor-info.ts';
import { bind, verbatim } from '../../mesos/executor/template.ts';
import { lasting } from '../../mesos/maintenance.ts';
import type { CustomPlan, LaunchPlan } from '../../mesos/match.ts';
import type { RLimit } from '../../mesos/protocol.ts';
import type { Granted } from '../framework/placement.ts';
import { type CustomExecutor, ownWords, withWords, wordsOf } from '../model/command-line.ts';
import { urisOf } from '../model/fetch.ts';
import { chronosTaskId, type JobKey } from '../model/ids.ts';
import type { Job } from '../model/job.ts';
import { hasExecutor, own_blank, taskInput, taskOf } from '../model/processes.ts';
import type { Cause } from '../model/reasons.ts';
import type { InstanceState } from './instance.ts';

/** What an instance needs of a host: the same for all instances of a version, so that a no for one is a no for all. */
export type Requirements = { readonly plan: LaunchPlan; readonly priority: number };
/** What the default executor takes beside the task: cpus, and MB of memory and disk. */
export type Overhead = LaunchPlan['executor'];

/** Instances of one group want the same. */
export const groupOf = (key: JobKey, version: number): string => `${key}@${version}`;

/** The last one made: instances of a job come one after the other. A map of all would be more to collect than it spares. */
let latest: { job: Job; version: number; executor: Overhead; made: Requirements } | undefined;

export function requirements(key: JobKey, version: number, job: Job, executor: Overhead): Requirements {
  if (latest?.job === job && latest.version === version && latest.executor === executor) return latest.made;
  const made: Requirements = {
    plan: {
      task_id: '',
      name: key,
      group: groupOf(key, version),
      resources: {
        cpus: job.cpus,
        mem: job.mem,
        disk: job.disk,
        ...(job.gpus === undefined ? {} : { gpus: job.gpus }),
      },
      ...(job.revocable === true ? { revocable: true } : {}),
      ports: job.ports,
      // A group may not hold what Docker is to run.
      executor: hasExecutor(job) ? executor_needs : job.container?.type === 'docker' ? undefined : executor,
      constraints: job.constraints,
      lasts_ms: job.service ? lasting.service_ms : lasting.other_ms,
      command: {},
      ...(job.container === undefined ? {} : { container: job.container }),
      kill_grace_ms: job.kill_grace_ms,
      // Aurora's form, which names of hosts are made of.
      ...(job.ports.length === 0 ? {} : { discovery_name: `${job.name}.${job.environment}.${job.role}` }),
      labels: {},
    },
    priority: job.priority,
  };
  latest = { job, version, executor, made };
  return made;
}

/** The variables that all instances of a run share, made once for instances that come one after the other. */
function ofRun({ cause, job_key, run, run_created_at }: InstanceState): readonly Variable[] {
  if (shared[1]?.value === run && shared[0]?.value === job_key) return shared;
  const scheduled_at = 'at' in cause ? cause.at : run_created_at;
  const made = [
    { name: 'HORAE_JOB', value: job_key },
    { name: 'HORAE_RUN_ID', value: run },
    { name: 'HORAE_SCHEDULED_AT', value: inWriting(scheduled_at) },
    ...parentVariables(cause),
  ];
  shared = made;
  return made;
}
/** Whoever is due is due with others: the instant that was written last is the one that is asked for. */
function inWriting(at: number): string {
  if (written?.at !== at) written = { at, text: new Date(at).toISOString() };
  return written.text;
}
let written: { readonly at: number; readonly text: string } | undefined;
type Variable = { readonly name: string; readonly value: string };
let shared: readonly Variable[] = [];

/** What a run's environment says of its parents, in the order in which the job names them. */
function parentVariables(cause: Cause): readonly Variable[] {
  if (cause.type !== 'dependency') return [];
  return [
    { name: 'HORAE_PARENTS', value: String(cause.parents.length) },
    ...cause.parents.flatMap(({ job, run, outcome, exit_code, result }, index) => {
      const of = (what: string, value: string | number | undefined) =>
        value === undefined ? [] : [{ name: `HORAE_PARENT_${index + 1}_${what}`, value: String(value) }];
      return [
        ...of('JOB', job),
        ...of('RUN', run),
        ...of('OUTCOME', outcome),
        ...of('EXIT_CODE', exit_code),
        ...of('RESULT', result),
      ];
    }),
  ];
}

/** An executor outlives its task and may run the next one, so it is told nothing that only one of them knows. */
const customOf = (job: Job, executor: CustomExecutor): CustomPlan => ({
  ...executor,
  environment: { variables: Object.entries(job.env).map(([name, value]) => ({ name, value })) },
});

/** What Chronos told its tasks of themselves. The id is the one by which its API knows them; Mesos's own is beside it. */
function chronosVariables(
  { cause, run_created_at, job }: InstanceState,
  attempt: number,
  { task_id, hostname }: Pick<Granted, 'task_id' | 'hostname'>,
): readonly Variable[] {
  const due = 'at' in cause ? cause.at : run_created_at;
  const words = wordsOf(cause, ownWords(job));
  const known = chronosTaskId({ due, attempt, name: job.env.CHRONOS_JOB_NAME ?? job.name, words });
  return [
    { name: 'mesos_task_id', value: known },
    { name: 'MESOS_TASK_ID', value: task_id },
    { name: 'HOST', value: hostname },
    { name: 'CHRONOS_JOB_RUN_TIME', value: String(due) },
    { name: 'CHRONOS_JOB_RUN_ATTEMPT', value: String(attempt - 1) },
  ];
}

/** Where agents fetch Horae's executor; undefined as long as there is none. Asking makes that it will be. */
export type Archive = () => string | undefined;

/** Whether a job must wait until the executor has been packed. */
export const waitsForArchive = (job: Job, archive: Archive | undefined): boolean =>
  archive !== undefined && hasExecutor(job) && archive() === undefined;

/** The attempt as the Mesos side takes it. What is reserved for it is added where the place is known. */
export function launchPlan(
  state: InstanceState,
  { task_id, hostname, ports, matched }: Pick<Granted, 'task_id' | 'hostname' | 'ports' | 'matched'>,
  attempt: number,
  { archive, withdraw_wait_ms = 0 }: { readonly archive?: Archive; readonly withdraw_wait_ms?: number },
): LaunchPlan {
  const { job } = state;
  const own = [
    ...ofRun(state),
    { name: 'HORAE_ATTEMPT', value: String(attempt) },
    { name: 'HORAE_INSTANCE', value: String(state.index) },
    ...(job.variables === undefined ? [] : chronosVariables(state, attempt, { task_id, hostname })),
    // Whoever does the work of an async task has to name it.
    ...(job.async === true ? [{ name: 'HORAE_TASK_ID', value: task_id }] : []),
  ];
  // Ours come last and are not the job's to set: the task must be able to trust them.
  const theirs = Object.keys(job.env).filter(name => !own.some(one => one.name === name));
  const plan = {
    ...matched,
    task_id,
    labels: { 'horae.job': state.job_key, 'horae.run': state.run },
    ...(job.user === undefined ? {} : { user: job.user }),
    ...(job.fetch === undefined ? {} : { uris: urisOf(job.fetch) }),
    ...(job.secrets === undefined ? {} : { secrets: secretsFor(job, job.secrets) }),
    ...(job.rlimits === undefined ? {} : { rlimits: rlimitsFor(job.rlimits) }),
  };
  if (!hasExecutor(job)) {
    const fill = (text: string) => filled(text, { task_id, hostname, ports, instance: state.index, user: job.role });
    const variables =
      theirs.length === 0 ? own : [...theirs.map(name => ({ name, value: fill(job.env[name]!) })), ...own];
    const environment = { variables };
    const line = job.command === undefined ? undefined : fill(job.command);
    if (job.executor !== undefined) return { ...plan, command: {}, custom: customOf(job, job.executor) };
    const words = wordsOf(state.cause, ownWords(job).map(fill));
    if (job.container === undefined) {
      if (job.shell === false)
        return {
          ...plan,
          command: { shell: false, value: line ?? '', arguments: [line ?? '', ...words], environment },
        };
      return { ...plan, command: { shell: true, value: withWords(line ?? '', words), environment } };
    }
    const in_shell = job.container.shell;
    const container = { ...job.container, arguments: in_shell ? [] : words };
    const value = line === undefined || !in_shell ? line : withWords(line, words);
    return { ...plan, command: { ...containerCommand(container, value), environment } };
  }
  const archive_url = archive?.();
  if (archive_url === undefined)
    throw new Error(
      `${task_id} wants an executor, and nobody has said where it is: expected TreeSettings with an archive`,
    );
  const env = Object.fromEntries([
    ...theirs.map(name => [name, job.env[name]!]),
    // What a parent left is a text of its own: braces in it are braces.
    ...own.map(one => [one.name, verbatim(one.value)]),
  ]);
  return {
    ...plan,
    processes: {
      task: taskInput(job, env, job.announce === undefined ? 0 : withdraw_wait_ms),
      document: taskOf(job),
      instance: state.index,
      user: job.role,
      archive_url,
    },
  };
}

/** Under the job's role: nobody reaches another role's. */
const secretsFor = ({ role }: Job, secrets: NonNullable<Job['secrets']>): NonNullable<LaunchPlan['secrets']> =>
  secrets.map(({ name, ...target }) => ({ of: `${role}/${name}`, ...target }));

/** In Mesos's words, where neither soft nor hard is without limit. */
const rlimitsFor = (rlimits: NonNullable<Job['rlimits']>): readonly RLimit[] =>
  Object.entries(rlimits).map(([name, limit]) => ({
    type: `RLMT_${name.toUpperCase()}`,
    ...(limit === 'unlimited' ? {} : limit),
  }));

/** A text of a plain command with its ports and names. All else that stands in braces is left as it is. */
function filled(text: string, bindings: Parameters<typeof bind>[1]): string {
  if (!text.includes('{{')) return text;
  return text.replace(own_blank, blank => {
    const bound = bind(blank, bindings, '');
    return bound.ok ? bound.value : blank;
  });
}
