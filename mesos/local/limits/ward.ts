// ward.ts: what a container may use, what it has used, and what is said of one that wanted more.
//
// A container is what Mesos calls so, whatever it is made of here: a plain task, or a custom executor with all of its tasks.
// Its limits are the sums of what they were given, so an executor's own needs are not taken out of its tasks' share.

import type { Resource } from '../../protocol.ts';

/** How much of what. A limit that is left out does not hold. */
export type Caps = { readonly cpus?: number; readonly mem_mb?: number; readonly disk_mb?: number };

export type Ward = {
  /** Of the task, or of the executor's container. */
  readonly id: string;
  readonly framework_id: string;
  readonly executor_id: string;
  readonly sandbox: string;
  /** The wrapper's folder, with the pid of the first process in `pid`. */
  readonly meta: string;
  readonly caps: Caps;
  /** First process of what an engine keeps for it in a group of the engine's own, once there is one. */
  readonly beside?: () => number | undefined;
};

/** Why the agent ended it: for TaskStatus. */
export type Limitation = {
  readonly reason: 'REASON_CONTAINER_LIMITATION_MEMORY' | 'REASON_CONTAINER_LIMITATION_DISK';
  readonly message: string;
  readonly resources: readonly Resource[];
};

/** Sums of scalars. Without disk among the tasks' resources there is no quota: an executor's own disk is no limit for them. */
export function capsOf(tasks: readonly (readonly Resource[])[], executor: readonly Resource[] = []): Caps {
  const sum = (name: string, lists: readonly (readonly Resource[])[]) => {
    let total = 0;
    for (const list of lists)
      for (const resource of list) if (resource.name === name) total += resource.scalar?.value ?? 0;
    return total;
  };
  const cap = (name: string) => {
    const wanted = sum(name, tasks);
    return wanted === 0 && name === 'disk' ? 0 : wanted + sum(name, [executor]);
  };
  const [cpus, mem_mb, disk_mb] = [cap('cpus'), cap('mem'), cap('disk')];
  return {
    ...(cpus > 0 ? { cpus } : {}),
    ...(mem_mb > 0 ? { mem_mb } : {}),
    ...(disk_mb > 0 ? { disk_mb } : {}),
  };
}

const scalar = (name: string, value: number): Resource => ({
  name,
  type: 'SCALAR',
  scalar: { value },
  allocation_info: { role: '*' },
});

/** In Mesos's words. */
export function overMemory(mem_mb: number, used_bytes: number): Limitation {
  const used_mb = Math.round(used_bytes / 2 ** 20);
  return {
    reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
    message: `Memory limit exceeded: Requested: ${mem_mb}MB Maximum Used: ${used_mb}MB`,
    resources: [scalar('mem', used_mb)],
  };
}

export function overDisk(disk_mb: number, used_bytes: number): Limitation {
  return {
    reason: 'REASON_CONTAINER_LIMITATION_DISK',
    message: `Disk usage (${Math.ceil(used_bytes / 1024)}KB) exceeds quota (${disk_mb}MB)`,
    resources: [scalar('disk', disk_mb)],
  };
}

/** What was written down before a kill, so that an agent that comes back knows why. */
export function parseLimitation(text: string | undefined): Limitation | undefined {
  if (text === undefined || !text.endsWith('}\n')) return undefined;
  return JSON.parse(text) as Limitation;
}
