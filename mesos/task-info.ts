// task-info.ts: a placement, written as Mesos wants to read it.
//
// A task goes out in one of three ways. Normally alone in a group of its own under Mesos's default executor, whose id is the
// task's: it reports true exit codes and heeds the grace period of a kill. Or as a plain command task, for what a group may
// not hold (Docker containers) and where the overhead of an executor is unwelcome: its exit code can be lost when the agent
// restarts. Or, where it is one of several processes or its health is looked at, with Horae's own executor. One ACCEPT carries
// all placements of one host, whichever way they go.

import { containerInfo } from './container-info.ts';
import type { TaskDocument } from './executor/document.ts';
import { executorInfo, processesTask } from './executor/executor-info.ts';
import type { LaunchDocument } from './executor/launch.ts';
import type { CustomPlan, LaunchPlan, Placement } from './match.ts';
import type {
  Call,
  CommandInfo,
  ContainerInfo,
  DiscoveryInfo,
  Labels,
  Operation,
  RLimit,
  Secret,
  TaskInfo,
  Variable,
  Volume,
} from './protocol.ts';

export type Accept = Extract<Call, { type: 'ACCEPT' }>;

/** What Horae's executor is to be told, all but what only the place knows. */
export type ProcessesPlan = Omit<LaunchDocument, 'format' | 'ports'> & {
  /** The task as the executor will read it. */
  readonly document: TaskDocument;
  /** Where the agent's fetcher finds the executor. */
  readonly archive_url: string;
};

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

/** A LAUNCH_GROUP for each task under a default executor, one LAUNCH for all the others. */
export function operationsOf(placements: readonly Placement[], framework_id: string): readonly Operation[] {
  const operations: Operation[] = [];
  const plain: TaskInfo[] = [];
  for (const placement of placements) {
    if (placement.plan.processes !== undefined)
      plain.push(ofProcesses(placement, placement.plan.processes, framework_id));
    else if (placement.plan.custom !== undefined) plain.push(ofCustom(placement, placement.plan.custom, framework_id));
    else if (placement.plan.executor === undefined) plain.push(taskInfo(placement));
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

/** What Mesos is told of a task with a command. */
export function taskInfo(placement: Placement): TaskInfo {
  const { plan, ports } = placement;
  const container = plan.container === undefined ? undefined : containerInfo(plan.container, ports);
  return {
    ...known(placement),
    command: { ...withSecrets(plan, withPorts(plan, ports)), ...userOf(plan), ...urisOf(plan) },
    ...containerOf(plan, container),
  };
}

/** What it is put into, with the limits and the secret files that it is to have. */
function containerOf(
  { rlimits, secrets }: Pick<LaunchPlan, 'rlimits' | 'secrets'>,
  container?: ContainerInfo,
): { readonly container?: ContainerInfo } {
  const limited = rlimits === undefined ? container : limitedBy(rlimits, container);
  const furnished = secrets === undefined ? limited : withSecretFiles(secrets, limited);
  return furnished === undefined ? {} : { container: furnished };
}

/** What Mesos, and through it Horae's executor, is told of a task of processes. */
function ofProcesses(placement: Placement, processes: ProcessesPlan, framework_id: string): TaskInfo {
  const { task, instance, user, document, archive_url } = processes;
  const { ports, plan, executor_resources: resources } = placement;
  const executor = executorInfo(plan.task_id, framework_id, document, { archive_url, resources });
  // Its processes are the executor's children: what holds for it holds for them.
  const confined = {
    ...executor,
    command: {
      ...withSecrets(plan, executor.command ?? {}),
      ...userOf(plan),
      // The executor itself comes last: nothing that is fetched takes its place.
      uris: [...(plan.uris ?? []), ...(executor.command?.uris ?? [])],
    },
    ...containerOf(plan),
  };
  return processesTask(known(placement), { format: 1, task, instance, user, ports }, confined);
}

/** What Mesos is told of a task that another executor is to run. Equal in every task that names it, or Mesos refuses. */
function ofCustom(placement: Placement, custom: CustomPlan, framework_id: string): TaskInfo {
  const { plan, executor_resources: resources } = placement;
  const { id, command: value, data, environment } = custom;
  return {
    ...known(placement),
    executor: {
      type: 'CUSTOM',
      executor_id: { value: id },
      framework_id: { value: framework_id },
      name: id,
      resources,
      command: { ...withSecrets(plan, { shell: true, value, environment }), ...userOf(plan), ...urisOf(plan) },
      ...(plan.secrets === undefined ? {} : containerOf({ secrets: plan.secrets })),
    },
    ...(data === undefined ? {} : { data: Buffer.from(data, 'utf8').toString('base64') }),
  };
}

const userOf = ({ user }: LaunchPlan): Pick<CommandInfo, 'user'> => (user === undefined ? {} : { user });

const urisOf = ({ uris }: LaunchPlan): Pick<CommandInfo, 'uris'> => (uris === undefined ? {} : { uris });

type Secrets = NonNullable<LaunchPlan['secrets']>;
const reference = (name: string): Secret => ({ type: 'REFERENCE', reference: { name } });

function withSecrets({ secrets = [] }: LaunchPlan, command: CommandInfo): CommandInfo {
  const variables = secrets.flatMap(({ of, env }): Variable[] =>
    env === undefined ? [] : [{ name: env, type: 'SECRET', secret: reference(of) }],
  );
  if (variables.length === 0) return command;
  return { ...command, environment: { variables: [...(command.environment?.variables ?? []), ...variables] } };
}

function withSecretFiles(secrets: Secrets, container: ContainerInfo | undefined): ContainerInfo | undefined {
  const volumes = secrets.flatMap(({ of, file }): Volume[] =>
    file === undefined
      ? []
      : [{ mode: 'RO', container_path: `.secrets/${file}`, source: { type: 'SECRET', secret: reference(of) } }],
  );
  if (volumes.length === 0) return container;
  const { volumes: others = [], ...rest } = container ?? { type: 'MESOS' };
  return { ...rest, volumes: [...others, ...volumes] };
}

/** Without an image a container of Mesos's own is the files of the agent, and what limits there are. */
const limitedBy = (rlimits: readonly RLimit[], container: ContainerInfo = { type: 'MESOS' }): ContainerInfo => ({
  ...container,
  rlimit_info: { rlimits },
});

function known({ plan, agent_id, ports, resources }: Placement): Omit<TaskInfo, 'command' | 'data' | 'executor'> {
  const labels = labelsOf(plan.labels);
  return {
    name: plan.name,
    task_id: { value: plan.task_id },
    agent_id: { value: agent_id },
    resources,
    kill_policy: { grace_period: { nanoseconds: plan.kill_grace_ms * 1_000_000 } },
    ...(plan.discovery_name === undefined ? {} : { discovery: discoveryOf(plan.discovery_name, ports) }),
    ...(labels === undefined ? {} : { labels }),
  };
}

const discoveryOf = (name: string, ports: Placement['ports']): DiscoveryInfo => ({
  visibility: 'CLUSTER',
  name,
  ports: { ports: Object.entries(ports).map(([name, number]) => ({ number, name, protocol: 'tcp' })) },
});

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
