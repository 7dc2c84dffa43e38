// task-info.ts: a placement, written as Mesos wants to read it.
//
// A task goes out in one of two ways. Normally alone in a group of its own under Mesos's default executor, whose id is the
// task's: it reports true exit codes and heeds the grace period of a kill. Or as a plain command task, for what a group may
// not hold (Docker containers) and where the overhead of an executor is unwelcome: its exit code can be lost when the agent
// restarts. Either way one ACCEPT carries all placements of one host.

import type { LaunchPlan, Placement } from './match.ts';
import type { Call, CommandInfo, Labels, Operation, TaskInfo } from './protocol.ts';

export type Accept = Extract<Call, { type: 'ACCEPT' }>;

/**
 * The one ACCEPT that launches these placements, all of one host. What they leave of its offers is declined for
 * `refuse_seconds`.
 */
export function acceptCall(
  placements: readonly [Placement, ...Placement[]],
  { framework_id, refuse_seconds }: { readonly framework_id: string; readonly refuse_seconds: number },
): Accept {
  const [first] = placements;
  for (const placement of placements)
    if (placement.agent_id !== first.agent_id || placement.offer_ids !== first.offer_ids)
      checkSameHost(placement, first);
  return {
    type: 'ACCEPT',
    accept: {
      offer_ids: first.offer_ids.map(value => ({ value })),
      operations: operationsOf(placements, framework_id),
      filters: { refuse_seconds },
    },
  };
}

/** Placements sorted by host, as `acceptCall` wants them, in order of first appearance. */
export function byHost(placements: readonly Placement[]): readonly (readonly [Placement, ...Placement[]])[] {
  const hosts = new Map<string, [Placement, ...Placement[]]>();
  let last: [Placement, ...Placement[]] | undefined;
  for (const placement of placements) {
    // Most often it is the host of the one before, which packing fills up.
    if (last?.[0].offer_ids === placement.offer_ids) {
      last.push(placement);
      continue;
    }
    // Two roles of one agent are two hosts with offers of their own.
    const key = `${placement.agent_id} ${placement.offer_ids[0] ?? ''}`;
    last = hosts.get(key);
    if (last === undefined) {
      last = [placement];
      hosts.set(key, last);
    } else last.push(placement);
  }
  return [...hosts.values()];
}

/** A LAUNCH_GROUP for each task that has an executor of its own, one LAUNCH for all the others. */
export function operationsOf(placements: readonly Placement[], framework_id: string): readonly Operation[] {
  const operations: Operation[] = [];
  const plain: TaskInfo[] = [];
  for (const placement of placements) {
    if (placement.plan.executor === undefined) plain.push(taskInfo(placement));
    else
      operations.push({
        type: 'LAUNCH_GROUP',
        launch_group: {
          executor: {
            type: 'DEFAULT',
            executor_id: { value: placement.plan.task_id },
            framework_id: { value: framework_id },
            resources: placement.executor_resources,
          },
          task_group: { tasks: [taskInfo(placement)] },
        },
      });
  }
  if (plain.length > 0) operations.push({ type: 'LAUNCH', launch: { task_infos: plain } });
  return operations;
}

/** What Mesos is told of the task itself. */
export function taskInfo({ plan, agent_id, ports, resources }: Placement): TaskInfo {
  const labels = labelsOf(plan.labels);
  return {
    name: plan.name,
    task_id: { value: plan.task_id },
    agent_id: { value: agent_id },
    resources,
    command: withPorts(plan, ports),
    kill_policy: { grace_period: { nanoseconds: plan.kill_grace_ms * 1_000_000 } },
    ...(labels === undefined ? {} : { labels }),
  };
}

/** The plan's command, whose environment also names the ports that the task was given. */
function withPorts(plan: LaunchPlan, ports: Placement['ports']): CommandInfo {
  if (plan.ports.length === 0) return plan.command;
  const variables = [
    ...(plan.command.environment?.variables ?? []),
    ...plan.ports.map(name => ({ name: `PORT_${name}`, value: String(ports[name]) })),
  ];
  return { ...plan.command, environment: { variables } };
}

function labelsOf(labels: LaunchPlan['labels']): Labels | undefined {
  const entries = Object.entries(labels);
  return entries.length === 0 ? undefined : { labels: entries.map(([key, value]) => ({ key, value })) };
}

function checkSameHost(placement: Placement, first: Placement): void {
  const same = placement.agent_id === first.agent_id && placement.offer_ids.join() === first.offer_ids.join();
  if (!same)
    throw new Error(
      `task ${placement.plan.task_id} on agent ${placement.agent_id} beside task ${first.plan.task_id} on agent ${first.agent_id}: expected placements of one host in one ACCEPT`,
    );
}
