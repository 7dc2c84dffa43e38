// validation.ts: what can be wrong with a task or an executor, in Mesos's words.

import type { ExecutorInfo, HealthCheck, TaskInfo } from '../protocol.ts';
import type { Agent, Executor, Framework } from './master-state.ts';

function wrongId(id: string): string | undefined {
  if (id === '') return 'ID must not be empty';
  if (id === '.' || id === '..') return `'${id}' is disallowed`;
  if (id.length > 85 && new TextEncoder().encode(id).length > 255)
    return `'${id}' is too long: ID must not be greater than 255 bytes`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what must not be in an id.
  if (/[/\\\x00-\x1f\x7f]/.test(id)) return `'${id}' contains invalid characters`;
  return undefined;
}

export function wrongWith(framework: Framework, agent: Agent, task: TaskInfo): string | undefined {
  const id = task.task_id.value;
  const wrong = wrongId(id);
  if (wrong !== undefined) return wrong;
  if (framework.tasks.has(id)) return `Task has duplicate ID: ${id}`;
  if (task.agent_id.value !== agent.info.id)
    return `Task uses invalid agent ${task.agent_id.value} while agent ${agent.info.id} is expected`;
  if ((task.kill_policy?.grace_period?.nanoseconds ?? 0) < 0)
    return "Task uses invalid kill policy: Task's 'kill_policy.grace_period' must be non-negative";
  if ((task.max_completion_time?.nanoseconds ?? 0) < 0) return "Task's `max_completion_time` must be non-negative";
  const health = task.health_check === undefined ? undefined : wrongHealthCheck(task.health_check);
  if (health !== undefined) return `Task uses invalid health check: ${health}`;
  if (task.resources.length === 0) return 'Task uses no resources';
  return undefined;
}

function wrongHealthCheck(check: HealthCheck): string | undefined {
  for (const [type, field] of [
    ['COMMAND', 'command'],
    ['HTTP', 'http'],
    ['TCP', 'tcp'],
  ] as const)
    if (check.type === type && check[field] === undefined)
      return `Expecting '${field}' to be set for ${type} health check`;
  return undefined;
}

export function wrongCommand(task: TaskInfo): string | undefined {
  if ((task.command === undefined) === (task.executor === undefined))
    return 'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present';
  return wrongCommandInfo(task);
}

function wrongCommandInfo({ command, container }: TaskInfo): string | undefined {
  const has_image = container?.docker !== undefined || container?.mesos?.image !== undefined;
  // An image may bring what is run.
  if (command?.value === undefined && (!has_image || command === undefined || command.shell !== false))
    return 'Task uses a command without a value';
  const nul = [command.value ?? '', ...(command.arguments ?? [])].find(text => text.includes('\0'));
  if (nul !== undefined) return 'Task uses a command with a NUL character in it';
  for (const { name, value } of command.environment?.variables ?? [])
    if (name === '' || name.includes('=') || name.includes('\0') || value?.includes('\0') === true)
      return `Task uses an invalid environment variable '${name}'`;
  return undefined;
}

export function wrongInGroup(
  task: TaskInfo,
  ids: ReadonlySet<string>,
  executor_type: ExecutorInfo['type'],
): string | undefined {
  if (ids.has(task.task_id.value)) return `Task has duplicate ID: ${task.task_id.value}`;
  if (task.executor !== undefined) return "'TaskInfo.executor' must not be set";
  // What a task of a custom executor is, is between it and the framework.
  if (executor_type !== 'DEFAULT') return undefined;
  if (task.command === undefined) return 'Task should have CommandInfo present';
  if (task.container?.type === 'DOCKER') return 'Docker ContainerInfo is not supported on the task';
  return wrongCommandInfo(task);
}

/** `running`: the executor of that id which the agent has already, and which must be the same then. */
export function wrongExecutor(
  executor: ExecutorInfo,
  framework_id: string,
  running: Executor | undefined,
  of: 'task' | 'group',
): string | undefined {
  const stated = executor.framework_id?.value ?? framework_id;
  const id = wrongId(executor.executor_id.value);
  if (id !== undefined) return id;
  if (stated !== framework_id)
    return `ExecutorInfo has an invalid FrameworkID (Actual: ${stated} vs Expected: ${framework_id})`;
  if (executor.type === 'DEFAULT' && executor.command !== undefined)
    return "'ExecutorInfo.command' must not be set for 'DEFAULT' executor";
  if (executor.type === 'DEFAULT' && of === 'task') return "'ExecutorInfo.type' must be 'CUSTOM'";
  if (executor.type !== 'DEFAULT' && executor.command === undefined)
    return "'ExecutorInfo.command' must be set for 'CUSTOM' executor";
  if ((executor.shutdown_grace_period?.nanoseconds ?? 0) < 0)
    return "ExecutorInfo's 'shutdown_grace_period' must be non-negative";
  if (running !== undefined && told(running.info) !== told(executor))
    return 'ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.';
  return undefined;
}

/** What two executors of one id must have in common. The order of variables and resources is nothing, nor are labels. */
function told({ framework_id: _, ...info }: ExecutorInfo): string {
  const sorted = <T>(list: readonly T[] | undefined, name: (each: T) => string) =>
    list === undefined ? undefined : [...list].sort((one, other) => (name(one) < name(other) ? -1 : 1));
  const { command, resources } = info;
  return JSON.stringify(
    {
      ...info,
      labels: undefined,
      command: command && {
        ...command,
        environment: sorted(command.environment?.variables, ({ name }) => name),
      },
      resources: sorted(
        resources?.map(({ allocation_info: _role, role, ...rest }) => (role === '*' ? rest : { ...rest, role })),
        JSON.stringify,
      ),
    },
    (_key, value) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
        : value,
  );
}
