// launch.ts: what a scheduler puts into TaskInfo.data for this executor, and how the executor reads it.
//
// An envelope with the task as it was submitted, and a slip with what was decided when its place was chosen: the instance,
// the ports, the user. The executor adds what it alone knows, host and task id, and fills in the blanks.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import type { TaskInfo } from '../protocol.ts';
import { readTask, type TaskDocument, templatesOf } from './document.ts';
import { fieldsOf, wrong } from './fields.ts';
import { type Bindings, bind } from './template.ts';

/** The envelope. `format` 1 is the only one there is. */
export type LaunchDocument = {
  readonly format: 1;
  readonly task: unknown;
  readonly instance: number;
  readonly user: string;
  readonly ports: Readonly<Record<string, number>>;
};
export type Launch = { readonly document: TaskDocument; readonly bindings: Bindings };

/** For TaskInfo.data: base64 of JSON. */
export const launchData = (launch: LaunchDocument): string =>
  Buffer.from(JSON.stringify(launch), 'utf8').toString('base64');

/** Reads a task that was launched, its blanks filled in. */
export function readLaunch(task_info: TaskInfo, hostname: string): Result<Launch> {
  let input: unknown;
  try {
    input = JSON.parse(Buffer.from(task_info.data ?? '', 'base64').toString('utf8'));
  } catch (error) {
    const message = `TaskInfo.data is no JSON: ${error instanceof Error ? error.message : String(error)}`;
    return bad({ place: '/data', message, expected: 'base64 of {"format": 1, "task": {...}, ...}' });
  }
  const problems: Problem[] = [];
  const fields = fieldsOf(input, '/data', problems);
  if (fields.whole('format', { otherwise: 0, least: 0, most: 1_000_000 }) !== 1)
    wrong(problems, '/data/format', undefined, '1, the only format that this executor knows');
  const bindings: Bindings = {
    task_id: task_info.task_id.value,
    hostname,
    instance: fields.whole('instance', { otherwise: 0, least: 0, most: 1_000_000 }),
    user: fields.text('user', { needed: true, bytes_max: 256, expected: 'the name of a user' })!,
    ports: fields.map('ports', (item, at) => {
      if (typeof item === 'number' && Number.isInteger(item) && item > 0 && item < 65_536) return item;
      wrong(problems, at, item, 'a port from 1 to 65535');
      return 0;
    }),
  };
  const task = readTask(fields.any('task'), '/data/task');
  fields.close();
  if (!task.ok) problems.push(...task.problems);
  if (problems.length > 0 || !task.ok) return bad(...problems);
  const document = bound(task.value, bindings, problems);
  return problems.length > 0 ? bad(...problems) : good({ document, bindings });
}

/** The task with every blank filled in. */
function bound(task: TaskDocument, bindings: Bindings, problems: Problem[]): TaskDocument {
  const filled = new Map<string, string>();
  for (const { text, place } of templatesOf(task, '')) {
    const result = bind(text, bindings, `/data/task${place}`);
    if (result.ok) filled.set(place, result.value);
    else problems.push(...result.problems);
  }
  for (const name of neededPorts(task))
    if (!Object.hasOwn(bindings.ports, name))
      wrong(problems, `/data/ports/${name}`, undefined, `a number for the port "${name}"`);
  const checker = task.health?.checker;
  return {
    ...task,
    processes: task.processes.map((process, index) => ({
      ...process,
      command: filled.get(`/processes/${index}/command`) ?? process.command,
    })),
    env: Object.fromEntries(
      Object.entries(task.env).map(([name, value]) => [name, filled.get(`/env/${name}`) ?? value]),
    ),
    ...(task.health === undefined || checker?.type !== 'shell'
      ? {}
      : {
          health: {
            ...task.health,
            checker: { ...checker, command: filled.get('/health/checker/command') ?? checker.command },
          },
        }),
  };
}

function neededPorts({ ports, health, lifecycle }: TaskDocument): readonly string[] {
  const names = new Set(ports);
  if (health !== undefined && health.checker.type !== 'shell') names.add(health.checker.port);
  if (lifecycle !== undefined) names.add(lifecycle.port);
  return [...names];
}
