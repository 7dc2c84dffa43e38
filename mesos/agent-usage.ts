// agent-usage.ts: what tasks use, heard from the agents on which they run.
//
// A Mesos agent tells at /monitor/statistics what each container uses at that moment, and forgets it. Horae's own agent adds
// what it was since the container began. Where only the moment is told, what somebody looks at is kept for as long as it is
// looked at: the series begins with the first look.

import type { Clock } from '../schedules/clock.ts';
import { AgentAway, type AgentFiles } from './agent-files.ts';
import { jsonIn } from './json.ts';
import { Series, type Usage } from './local/limits/series.ts';

export type TaskUsage = {
  /** `agent`: all its life. `watched`: only since somebody looks at it. */
  readonly since: 'agent' | 'watched';
  readonly limits: { readonly cpus?: number; readonly mem_bytes?: number; readonly disk_bytes?: number };
  /** Oldest first. CPU seconds count from the begin of the task. */
  readonly points: readonly Usage[];
};

const answer_bytes_max = 16 * 1024 * 1024;
const tasks_max = 1_000;
const points_max = 240;
/** An agent is not asked about a task more often than this. */
const ask_ms = 1_000;

export function agentUsage(files: Pick<AgentFiles, 'ask'>, clock: Clock) {
  /** Of those that were looked at, the longest ago first. */
  const watched = new Map<string, { asked_at: number; series: Series; told: TaskUsage | undefined }>();

  return {
    /** undefined when the agent does not know the task (any more). Rejects with AgentAway. */
    async of(agent_id: string, task_id: string): Promise<TaskUsage | undefined> {
      const known = watched.get(task_id) ?? {
        asked_at: Number.NEGATIVE_INFINITY,
        series: new Series(points_max),
        told: undefined,
      };
      watched.delete(task_id);
      watched.set(task_id, known);
      const [oldest] = watched.keys();
      if (watched.size > tasks_max && oldest !== undefined) watched.delete(oldest);
      if (clock.now() - known.asked_at < ask_ms) return known.told;
      known.asked_at = clock.now();
      const path = `/monitor/statistics?executor_id=${encodeURIComponent(task_id)}`;
      const { status, body } = await files.ask(agent_id, path, answer_bytes_max);
      if (status === 401 || status === 403)
        throw new AgentAway(
          `agent ${agent_id} tells what tasks use only to whom it knows (${status}): expected --mesos-agents-authenticate, and a principal that its --credentials and --acls allow`,
        );
      if (status !== 200) throw new AgentAway(`agent ${agent_id} tells nothing of what tasks use: ${status}`);
      known.told = usageIn(body.toString('utf8'), task_id, known.series);
      return known.told;
    },
  };
}

/** Reads an agent's answer, which may be anything; adds the moment to `series` where only the moment is told. */
export function usageIn(text: string, task_id: string, series: Series): TaskUsage | undefined {
  const told = jsonIn(text);
  if (!Array.isArray(told)) return undefined;
  const found = told.find(one => (one as { executor_id?: unknown } | null)?.executor_id === task_id);
  const statistics = (found as { statistics?: unknown } | undefined)?.statistics;
  if (typeof statistics !== 'object' || statistics === null) return undefined;
  const given = statistics as Readonly<Record<string, unknown>>;
  const number = (name: string): number | undefined => {
    const value = given[name];
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  };
  const cpus = number('cpus_limit') ?? number('cpus_soft_limit');
  const mem_bytes = number('mem_limit_bytes');
  const disk_bytes = number('disk_limit_bytes');
  const limits = {
    ...(cpus === undefined ? {} : { cpus }),
    ...(mem_bytes === undefined ? {} : { mem_bytes }),
    ...(disk_bytes === undefined ? {} : { disk_bytes }),
  };
  if (Array.isArray(given.series)) return { since: 'agent', limits, points: given.series.filter(isUsage) };
  const at = number('timestamp');
  if (at === undefined) return undefined;
  series.add({
    at: Math.round(at * 1_000),
    cpu_s: (number('cpus_user_time_secs') ?? 0) + (number('cpus_system_time_secs') ?? 0),
    rss_bytes: number('mem_rss_bytes') ?? 0,
    disk_bytes: number('disk_used_bytes') ?? 0,
  });
  return { since: 'watched', limits, points: series.all() };
}

const isUsage = (point: unknown): point is Usage =>
  typeof point === 'object' &&
  point !== null &&
  ['at', 'cpu_s', 'rss_bytes', 'disk_bytes'].every(
    name => typeof (point as Readonly<Record<string, unknown>>)[name] === 'number',
  );
