// truth.ts: what really runs on the agents, held against the records at the moment when it begins.

import { parseTaskId, splitInstanceKey } from '../../actors/model/ids.ts';
import type { InstanceRecord, JobRecord } from '../../actors/model/records.ts';
import type { TaskInfo } from '../../mesos/protocol.ts';
import type { Ledger } from './ledger.ts';
import { agent_cpus } from './mesos.ts';

type Begun = {
  readonly id: string;
  readonly instance: string;
  readonly job: string;
  readonly run: string;
  readonly agent: string;
  readonly cpus: number;
};
export type Truth = {
  readonly launched: (task: TaskInfo, agent: string, times: number) => void;
  readonly ended: (task_id: string) => void;
  readonly lost: (agent: string, rebooted: boolean) => void;
  readonly back: (agent: string) => void;
  /** Somebody was told that this run is being killed: of it nothing begins that was not on its way. */
  readonly killed: (job: string, run: string) => void;
  readonly launches: () => number;
  readonly running: () => readonly string[];
};

/** A machine that was away may bring back what was replaced meanwhile, until the kill of it arrives. */
const doubtful_ms = 600_000;
const least_cpus = 1e-6;

export function watchTruth(now: () => number, ledger: () => Ledger, wrong: (what: string) => void): Truth {
  const alive = new Map<string, Begun>();
  const away = new Map<string, number>();
  /** By run, the attempts that each instance had when its kill was promised. */
  const dead = new Map<string, ReadonlyMap<string, number>>();
  let launches = 0;

  const doubtful = (agent: string) => (away.get(agent) ?? Number.NEGATIVE_INFINITY) > now() - doubtful_ms;

  const begins = (task: TaskInfo, agent: string) => {
    const id = task.task_id.value;
    const parsed = parseTaskId(id);
    if (parsed === undefined) return wrong(`${id} is launched: expected a task of ours`);
    const { instance, attempt } = parsed;
    const { job, run } = splitInstanceKey(instance);
    const record = ledger().latest('instance', instance) as InstanceRecord | undefined;
    const on_its_way = ['assigned', 'killing', 'unreachable'];
    if (record === undefined || !on_its_way.includes(record.status) || record.attempt !== attempt)
      wrong(`${id} is launched, and the log says ${record?.status} of attempt ${record?.attempt}`);
    const promised = dead.get(`${job}/${run}`);
    if (promised !== undefined && (promised.get(instance) ?? 0) < attempt) wrong(`${id} is launched after its kill`);
    const { overlap } = (ledger().latest('job', job) as JobRecord | undefined)?.job ?? {};
    for (const other of alive.values()) {
      if (other.job !== job || doubtful(other.agent) || doubtful(agent)) continue;
      if (other.instance === instance) wrong(`${other.id} and ${id} live side by side`);
      else if (overlap !== undefined && overlap.policy !== 'allow' && other.run !== run)
        wrong(`${id} begins while ${other.id} lives, and ${job} wants ${overlap.policy}`);
    }
    const cpus = task.resources.find(resource => resource.name === 'cpus')?.scalar?.value ?? 0;
    alive.set(id, { id, instance, job, run, agent, cpus });
    let used = 0;
    for (const each of alive.values()) if (each.agent === agent) used += each.cpus;
    if (used > agent_cpus + least_cpus) wrong(`${agent} has ${agent_cpus} cpus, and its tasks use ${used}`);
  };

  return {
    launched(task, agent, times) {
      launches++;
      if (times > 1) wrong(`${task.task_id.value} is launched ${times} times`);
      begins(task, agent);
    },
    ended: id => void alive.delete(id),
    lost(agent, rebooted) {
      away.set(agent, Number.POSITIVE_INFINITY);
      if (rebooted) for (const [id, task] of alive) if (task.agent === agent) alive.delete(id);
    },
    back: agent => void away.set(agent, now()),
    killed(job, run) {
      const attempts = new Map<string, number>();
      for (const [key, body] of ledger().living('instance'))
        if (key.startsWith(`${job}/${run}/`)) attempts.set(key, (body as InstanceRecord).attempt);
      dead.set(`${job}/${run}`, attempts);
    },
    launches: () => launches,
    running: () => [...alive.keys()],
  };
}
