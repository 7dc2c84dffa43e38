// agent-sessions.ts: which containers an agent has that somebody may run a command in, and in what way.
//
// A plain task is a container of its own name; tasks of a custom executor share the one of their executor; a task in Docker's
// hands is its engine's affair. What runs beside a task ends with it.

import { readFileSync } from 'node:fs';
import type { ContainerId, SessionWish } from '../sessions.ts';
import type { Remembered } from './checkpoint.ts';
import { hasVariables, withVariables } from './docker/behind.ts';
import type { Containers } from './docker/containers.ts';
import { type Address, openEngine } from './docker/engine.ts';
import { isContained, sandbox_inside } from './docker/request.ts';
import type { ExecutorHost } from './executor-host.ts';
import { rlimitsOf } from './limits/rlimits.ts';
import { type Confinement, confinementOf } from './limits/users.ts';
import { isAlive, isGone, readIfThere } from './processes.ts';
import { pathsOf } from './sandbox.ts';
import { secretsOf } from './secret-wishes.ts';
import { type Running, runInside } from './sessions/inside.ts';
import { openSessions, type Sessions, type SessionsOptions, type Tenant } from './sessions/server.ts';
import { parseIdentity } from './wrapper.ts';

type Plain = Pick<Remembered, 'framework_id' | 'launch'> & { readonly id: string; readonly phase: string };

export function sessionsOf(
  options: Pick<SessionsOptions, 'agent_id' | 'log' | 'admits'> & {
    readonly work_dir: string;
    readonly boot: string;
    readonly tasks: ReadonlyMap<string, Plain>;
    readonly executors: Pick<ExecutorHost, 'report' | 'sandboxOf'>;
    readonly containers: Containers;
    readonly docker: Address;
  },
): Sessions {
  const { work_dir, agent_id, boot, tasks, executors, containers } = options;
  const engine = openEngine(options.docker);

  const tenants = (): readonly Tenant[] => [
    ...[...tasks.values()]
      .filter(({ phase }) => phase === 'running')
      .map(({ id, framework_id, launch }) => ({
        framework_id,
        executor_id: launch.executor_id,
        task_id: id,
        container_id: { value: id },
      })),
    ...executors.report().tasks.flatMap(({ framework_id, task_id, executor_id }): readonly Tenant[] => {
      const container = executors.sandboxOf(framework_id, executor_id);
      return container === undefined
        ? []
        : [{ framework_id, executor_id, task_id, container_id: { value: container } }];
    }),
  ];

  /** Beside the first process of a container, should it live. */
  const inside = (name: string, confine: (pid: number) => Confinement, id: string, wish: SessionWish) => {
    const { sandbox, meta, pid } = pathsOf(work_dir, agent_id, name);
    const leader = parseIdentity(readIfThere(pid));
    if (leader === undefined || !isAlive(leader, boot)) return undefined;
    return runInside({ leader, boot, sandbox, meta, confinement: confine(leader.pid) }, id, wish);
  };

  const run = async ({ value }: ContainerId, id: string, wish: SessionWish): Promise<Running | undefined> => {
    const task = tasks.get(value);
    if (task === undefined) {
      if (!tenants().some(({ container_id }) => container_id.value === value)) return undefined;
      return inside(value, pid => ({ user: ownerOf(pid), rlimits: [] }), id, wish);
    }
    if (task.phase !== 'running') return undefined;
    const { command, container } = task.launch.task;
    if (!isContained(task.launch.task))
      return inside(value, () => confinementOf(command, rlimitsOf(container)), id, wish);
    const word = containers.word(value);
    if (word.started === undefined || word.container === undefined || word.end !== undefined) return undefined;
    // Loaded where there is a container at all.
    const { runContained } = await import('./sessions/contained.ts');
    const behind = hasVariables(secretsOf(task.launch.task)) ? withVariables(sandbox_inside) : [];
    return runContained(engine, word.container, { ...wish, command: [...behind, ...wish.command] });
  };
  return openSessions({ ...options, tenants, run });
}

/** Whose a process is, where that is not us; as it began, whatever it has done since with what it may do. */
function ownerOf(pid: number): Confinement['user'] {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const [uid, gid] = ['Uid', 'Gid'].map(name => Number(new RegExp(`^${name}:\\t(\\d+)`, 'm').exec(status)?.[1]));
    if (uid === undefined || gid === undefined || uid === process.getuid?.()) return undefined;
    return { name: String(uid), uid, gid };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
