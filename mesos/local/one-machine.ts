// one-machine.ts: a Mesos for one machine: a master on a loopback port, and this machine as its only agent, or as several.

import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { availableParallelism, hostname as machineName, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import type { Clock } from '../../schedules/clock.ts';
import type { Attribute, Resource } from '../protocol.ts';
import { startAgent } from './agent.ts';
import type { AgentOptions, Log, RealAgent } from './agent-options.ts';
import { listenForExecutors } from './executor-server.ts';
import { hostMaster, type MasterHost } from './host.ts';
import type { MasterOptions } from './master-state.ts';
import type { Retention } from './sandbox-sweep.ts';
import { admitted, type BasicCredentials, type Door, listen, serveMaster } from './server.ts';
import { resourcesFor } from './simulated.ts';
import { type FleetOptions, simulatedFleet } from './simulated-agent.ts';

/** What is left out is measured. */
export type FixedResources = {
  readonly cpus?: number;
  readonly mem_mb?: number;
  readonly disk_mb?: number;
  readonly ports?: readonly { readonly begin: number; readonly end: number }[];
};

export type LocalMesosOptions = {
  /** Holds the agent's notebook, its tasks' sandboxes and its name. */
  readonly work_dir: string;
  /** Default: all cores, three quarters of the memory, the free disk, ports 31000 to 32000. */
  readonly resources?: readonly Resource[];
  readonly attributes?: readonly Attribute[];
  readonly hostname?: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly heartbeat_ms?: number;
  readonly master?: Partial<MasterOptions>;
  readonly retention?: Partial<Retention>;
  /** How custom executors are dealt with. */
  readonly executors?: AgentOptions['executors'];
  /** How what tasks use is looked at and limited. Default: not at all. */
  readonly limits?: AgentOptions['limits'];
  /** How much may be fetched, and kept of it. */
  readonly fetch?: AgentOptions['fetch'];
  /** Who keeps the secrets that tasks refer to. */
  readonly secrets?: AgentOptions['secrets'];
  /** The engine that runs containers. */
  readonly docker?: AgentOptions['docker'];
  /** Where the scheduler API listens. Default: a free port of 127.0.0.1. */
  readonly listen?: Door;
  /** `open`: no secret is asked for. Default: one made up at each start. */
  readonly credentials?: BasicCredentials | readonly BasicCredentials[] | 'open';
  /** Bytes that a subscriber may leave unread before it is cut off. */
  readonly unread_bytes_max?: number;
  readonly agents?: {
    /** Agents that run processes. Default: one, in `work_dir` itself; a number of them have a folder each in there. */
    readonly real?: boolean | number;
    /** Agents on which nothing runs, on top of the real ones. */
    readonly simulated?: number;
    /** What each simulated agent has. */
    readonly resources?: readonly Resource[];
    /** What each agent has, where the rest is its share of the machine. */
    readonly fixed?: FixedResources;
    readonly attributes?: ((index: number) => readonly Attribute[]) | undefined;
    readonly life?: FleetOptions['life'];
  };
};

export type LocalMesos = {
  readonly url: string;
  /** What a link may show; absent when it is open. */
  readonly credentials: BasicCredentials | undefined;
  readonly host: MasterHost;
  /** Where logs are: `sandboxFile(work_dir, agent.id, task, 'stdout')`. Absent when only simulated agents were asked for. */
  readonly agent: (RealAgent & { readonly work_dir: string }) | undefined;
  /** All real agents, the first of them `agent`. */
  readonly agents: readonly (RealAgent & { readonly work_dir: string })[];
  /** Ends master and agent. Tasks live on, and the next start on this work_dir adopts them. */
  readonly close: () => Promise<void>;
};

export const retention_defaults: Retention = {
  sandboxes_max: 1_000,
  age_ms_max: 7 * 86_400_000,
  free_part_min: 0,
  look_ms: 60_000,
  swept_max: 10_000,
};

export async function startLocalMesos(options: LocalMesosOptions): Promise<LocalMesos> {
  const { clock, log, heartbeat_ms } = options;
  const work_dir = resolve(options.work_dir);
  mkdirSync(work_dir, { recursive: true, mode: 0o700 });
  const credentials =
    options.credentials === 'open'
      ? []
      : [options.credentials ?? { type: 'basic' as const, principal: 'horae', secret: randomUUID() }].flat();
  const door = await listen(options.listen);
  const ids_prefix = randomUUID();
  const host = hostMaster(clock, {
    ...options.master,
    ...(heartbeat_ms === undefined ? {} : { heartbeat_ms }),
    hostname: calledBy(options.listen),
    port: door.port,
    ids_prefix,
  });
  const agents: (RealAgent & { work_dir: string })[] = [];
  const closeAgents = () => Promise.all(agents.map(agent => agent.close()));
  try {
    for (const each of await realAgents(work_dir, options)) {
      mkdirSync(each.work_dir, { recursive: true, mode: 0o700 });
      const retention = { ...retention_defaults, ...options.retention };
      const executors = options.executors === undefined ? {} : { executors: options.executors };
      const limits = options.limits === undefined ? {} : { limits: options.limits };
      const docker = options.docker === undefined ? {} : { docker: options.docker };
      const fetch = options.fetch === undefined ? {} : { fetch: options.fetch };
      const secrets = options.secrets === undefined ? {} : { secrets: options.secrets };
      const agent_door = await listenForExecutors(each.work_dir);
      try {
        const admits = (header: string | undefined) =>
          credentials.length === 0 || admitted(credentials, header) !== undefined;
        const common = { retention, clock, log, admits };
        const agent = startAgent(host, {
          ...each,
          ...executors,
          ...limits,
          ...docker,
          ...fetch,
          ...secrets,
          ...common,
          door: agent_door,
        });
        agents.push({ ...agent, work_dir: each.work_dir });
      } catch (error) {
        agent_door.server.close();
        throw error;
      }
    }
    const fleet = simulatedFleet(host, clock, work => setImmediate(work), simulatedAgents(ids_prefix, options));
    // Only now may anybody call: a framework that reconciles must find the agents there.
    const server = serveMaster(door, {
      host,
      log,
      credentials,
      ...(options.listen?.any_name === undefined ? {} : { any_name: options.listen.any_name }),
      ...(options.unread_bytes_max === undefined ? {} : { unread_bytes_max: options.unread_bytes_max }),
    });
    return {
      url: server.url,
      credentials: credentials[0],
      host,
      agent: agents[0],
      agents,
      async close() {
        await closeAgents();
        fleet.close();
        host.close();
        await server.close();
      },
    };
  } catch (error) {
    await closeAgents();
    host.close();
    door.server.close();
    throw error;
  }
}

/** What a master that listens there calls itself. */
const calledBy = (door: Door | undefined): string =>
  door === undefined ? '127.0.0.1' : ['0.0.0.0', '::'].includes(door.host) ? machineName() : door.host;

/** Where each real agent lives, what it is called and what it has. */
async function realAgents(work_dir: string, options: LocalMesosOptions) {
  const { agents = {}, attributes } = options;
  const { real = true, fixed = {} } = agents;
  const count = typeof real === 'number' ? real : real ? 1 : 0;
  const apart = typeof real === 'number';
  if (apart) {
    const left = readdirSync(work_dir).filter(name => Number(/^agent-(\d+)$/.exec(name)?.[1] ?? 0) > count);
    const message =
      'folders of agents that are not started: what was left running there runs on, and nobody looks after it';
    if (left.length > 0) options.log.warn({ left }, message);
  }
  const machine = count === 0 ? [] : (options.resources ?? (await wholeMachine(work_dir)));
  return Array.from({ length: count }, (_, index) => {
    const given = agents.attributes?.(index) ?? attributes;
    return {
      work_dir: apart ? join(work_dir, `agent-${index + 1}`) : work_dir,
      hostname: options.hostname ?? (apart ? `agent-${index + 1}` : '127.0.0.1'),
      resources: fixedResources(shareOf(machine, index, count), fixed),
      ...(given === undefined ? {} : { attributes: given }),
    };
  });
}

function simulatedAgents(ids_prefix: string, { agents = {} }: LocalMesosOptions): FleetOptions {
  const { simulated = 0, resources = simulated_machine, fixed = {}, attributes, life } = agents;
  const each = fixedResources(resources, fixed);
  return {
    agents: simulated,
    ids_prefix: `${ids_prefix}-simulated`,
    resources: () => each,
    ...(attributes === undefined ? {} : { attributes }),
    ...(life === undefined ? {} : { life }),
  };
}

/** What this machine has to lend: all cores, three quarters of the memory, the free disk under `work_dir`, a thousand ports. */
export async function wholeMachine(work_dir: string): Promise<readonly Resource[]> {
  const { bavail, bsize } = await statfs(work_dir);
  return resourcesFor({
    cpus: availableParallelism(),
    mem: Math.floor((totalmem() * 0.75) / 2 ** 20),
    disk: Math.floor((bavail * bsize) / 2 ** 20),
    ports: [31000, 32000],
  });
}

const simulated_machine = resourcesFor({ cpus: 16, mem: 65_536, disk: 100_000, ports: [31000, 31999] });

/** One of so many fair shares: scalars divided to a hundredth, port ranges cut into pieces that do not overlap. */
export function shareOf(machine: readonly Resource[], index: number, count: number): readonly Resource[] {
  if (count === 1) return machine;
  return machine.map(resource => {
    const { scalar, ranges } = resource;
    if (scalar !== undefined) return { ...resource, scalar: { value: Math.floor((scalar.value * 100) / count) / 100 } };
    if (ranges === undefined) return resource;
    const range = ranges.range.map(({ begin, end }) => {
      const length = Math.floor((end - begin + 1) / count);
      return { begin: begin + index * length, end: begin + (index + 1) * length - 1 };
    });
    return { ...resource, ranges: { range: range.filter(({ begin, end }) => begin <= end) } };
  });
}

/** What is said of an agent's resources, in the place of what would have been measured. */
export function fixedResources(measured: readonly Resource[], fixed: FixedResources): readonly Resource[] {
  const { cpus, mem_mb, disk_mb, ports } = fixed;
  const scalars = { cpus, mem: mem_mb, disk: disk_mb };
  const scalar = (name: string): number | undefined => Object.entries(scalars).find(([known]) => known === name)?.[1];
  return measured.map((resource): Resource => {
    const value = scalar(resource.name);
    if (value !== undefined) return { ...resource, scalar: { value } };
    return resource.name === 'ports' && ports !== undefined ? { ...resource, ranges: { range: ports } } : resource;
  });
}
