// executor-infos.ts: what a framework wrote of a task, as its executor reads it.
//
// A real agent passes on what it was told as a protobuf says it: what was left out and has a default stands there, what was
// left out and has none does not, and lists with nothing in them are not there at all. Nothing of it is carried out by the
// agent: checks, kill policies and limits of time are the executor's business.

import type { ExecutorInfo, TaskInfo } from '../protocol.ts';

const check_defaults = { delay_seconds: 15, interval_seconds: 10, timeout_seconds: 20 } as const;
const health_check_defaults = { ...check_defaults, consecutive_failures: 3, grace_period_seconds: 10 } as const;

/** For a LAUNCH: what is meant, and nothing that is not said. */
export function infoForExecutor<Info extends TaskInfo | ExecutorInfo>(info: Info): Info {
  const said = pruned(info);
  // Pruning takes away only what may be left out.
  const { command, executor, health_check, check } = said as Partial<TaskInfo>;
  return {
    ...(said as Info),
    ...(command === undefined ? {} : { command: withDefaults(command) }),
    ...(executor === undefined ? {} : { executor: infoForExecutor(executor) }),
    ...(health_check === undefined ? {} : { health_check: { ...health_check_defaults, ...health_check } }),
    ...(typeof check !== 'object' ? {} : { check: { ...check_defaults, ...check } }),
  };
}

function withDefaults(command: NonNullable<ExecutorInfo['command']>): NonNullable<ExecutorInfo['command']> {
  const { environment } = command;
  return {
    shell: true,
    ...command,
    ...(environment === undefined
      ? {}
      : { environment: { variables: environment.variables.map(variable => ({ type: 'VALUE', ...variable })) } }),
  };
}

/** Without lists of nothing, at any depth. */
function pruned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pruned);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => !(Array.isArray(each) && each.length === 0));
  return Object.fromEntries(entries.map(([name, each]) => [name, pruned(each)]));
}
