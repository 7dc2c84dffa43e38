// target.ts: the task that is meant, when somebody wants to run a command in one; or why there is none.

import { instanceKey, type JobKey, taskId } from '../../actors/model/ids.ts';
import type { InstanceRecord } from '../../actors/model/records.ts';
import type { Views } from '../../actors/model/views.ts';
import { Refused } from '../http/problems.ts';

export type Wanted = {
  readonly key: JobKey;
  /** The newest that has it when left out. */
  readonly run?: string | undefined;
  /** The first that runs when left out. */
  readonly index?: number | undefined;
};
export type Target = { readonly instance: string; readonly task_id: string; readonly agent_id: string };

export function targetOf(views: Views, { key, run, index }: Wanted): Target {
  const job = views.job(key);
  if (job === undefined) throw new Refused('not-found', `there is no job ${key.slice(0, 250)}`);
  if (job.quarantined !== undefined)
    throw new Refused('quarantined', `job ${key} has been put aside: ${job.quarantined}; nobody looks after its tasks`);
  const found = job.runs
    .filter(({ record }) => run === undefined || record.run === run)
    .toSorted((a, b) => b.record.created_at - a.record.created_at)
    .flatMap(({ record, instances }) =>
      instances
        .filter(each => index === undefined || each.index === index)
        .toSorted((a, b) => a.index - b.index)
        .map(each => ({ run: record.run, index: each.index, record: each.record })),
    );
  const running = found.find(({ record }) => record.status === 'running');
  const meant = running ?? found[0];
  if (meant === undefined) throw new Refused('not-running', nothing(key, run, index, job.runs.length > 0));
  const instance = instanceKey(key, meant.run, meant.index);
  const { record } = meant;
  if (record.status === 'unreachable')
    throw new Refused('agent-away', `instance ${instance} runs on agent ${record.agent_id}, which Mesos cannot reach`);
  if (record.status !== 'running')
    throw new Refused('not-running', `instance ${instance} does not run: ${standing[record.status]}`);
  return { instance, task_id: taskId(instance, record.attempt), agent_id: record.agent_id };
}

function nothing(key: JobKey, run: string | undefined, index: number | undefined, runs: boolean): string {
  const what = index === undefined ? `job ${key}` : `instance ${index} of job ${key}`;
  if (run !== undefined) return `no run ${run.slice(0, 100)} of ${what} is active: it is over, or never was`;
  return runs
    ? `${what} does not run: its active runs have no such instance`
    : `${what} does not run: no run of it is active`;
}

const standing: Readonly<Record<Exclude<InstanceRecord['status'], 'running' | 'unreachable'>, string>> = {
  pending: 'it waits for an offer, or for its next attempt',
  assigned: 'it has a place and is being launched',
  starting: 'it is being started',
  killing: 'it is being killed',
  awaiting: 'its command is over, and it waits to be called back',
  over: 'it is over',
};
