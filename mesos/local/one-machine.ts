// one-machine.ts: a Mesos for one machine: a master on a loopback port, and this machine as its only agent.

import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { resolve } from 'node:path';
import type { Clock } from '../../schedules/clock.ts';
import type { Attribute, Resource } from '../protocol.ts';
import { type Log, type RealAgent, startAgent } from './agent.ts';
import { hostMaster, type MasterHost } from './host.ts';
import type { MasterOptions } from './master-state.ts';
import type { Retention } from './sandbox.ts';
import { type BasicCredentials, listen, serveMaster } from './server.ts';
import { resourcesFor } from './simulated.ts';
import { type FleetOptions, simulatedFleet } from './simulated-agent.ts';

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
  /** `open`: no secret is asked for. Default: one made up at each start. */
  readonly credentials?: BasicCredentials | 'open';
  /** Bytes that a subscriber may leave unread before it is cut off. */
  readonly unread_bytes_max?: number;
  /** Further agents on which nothing runs, for trials and benchmarks over HTTP. Without `real: false` they come on top. */
  readonly agents?: {
    readonly real?: boolean;
    readonly simulated?: number;
    readonly resources?: readonly Resource[];
    readonly life?: FleetOptions['life'];
  };
};

export type LocalMesos = {
  readonly url: string;
  /** What a link must show; absent when it is open. */
  readonly credentials: BasicCredentials | undefined;
  readonly host: MasterHost;
  /** Where logs are: `sandboxFile(work_dir, agent.id, task, 'stdout')`. Absent when only simulated agents were asked for. */
  readonly agent: (RealAgent & { readonly work_dir: string }) | undefined;
  /** Ends master and agent. Tasks live on, and the next start on this work_dir adopts them. */
  readonly close: () => Promise<void>;
};

export const retention_defaults: Retention = { sandboxes_max: 1_000, age_ms_max: 7 * 86_400_000 };

export async function startLocalMesos(options: LocalMesosOptions): Promise<LocalMesos> {
  const { clock, log, heartbeat_ms } = options;
  const work_dir = resolve(options.work_dir);
  mkdirSync(work_dir, { recursive: true, mode: 0o700 });
  const credentials =
    options.credentials === 'open'
      ? undefined
      : (options.credentials ?? { type: 'basic', principal: 'horae', secret: randomUUID() });
  const door = await listen();
  const ids_prefix = randomUUID();
  const host = hostMaster(clock, {
    ...options.master,
    ...(heartbeat_ms === undefined ? {} : { heartbeat_ms }),
    port: door.port,
    ids_prefix,
  });
  try {
    const hostname = options.hostname ?? '127.0.0.1';
    const agent =
      options.agents?.real === false
        ? undefined
        : startAgent(host, {
            work_dir,
            hostname,
            resources: options.resources ?? (await wholeMachine(work_dir)),
            ...(options.attributes === undefined ? {} : { attributes: options.attributes }),
            retention: { ...retention_defaults, ...options.retention },
            clock,
            log,
          });
    const { simulated = 0, resources = resourcesFor({ cpus: 16, mem: 65_536 }), life } = options.agents ?? {};
    const fleet = simulatedFleet(host, clock, work => setImmediate(work), {
      agents: simulated,
      ids_prefix: `${ids_prefix}-simulated`,
      resources: () => resources,
      ...(life === undefined ? {} : { life }),
    });
    // Only now may anybody call: a framework that reconciles must find the agents there.
    const server = serveMaster(door, {
      host,
      log,
      ...(credentials === undefined ? {} : { credentials }),
      ...(options.unread_bytes_max === undefined ? {} : { unread_bytes_max: options.unread_bytes_max }),
    });
    return {
      url: server.url,
      credentials,
      host,
      agent: agent === undefined ? undefined : { ...agent, work_dir },
      async close() {
        agent?.close();
        fleet.close();
        host.close();
        await server.close();
      },
    };
  } catch (error) {
    host.close();
    door.server.close();
    throw error;
  }
}

/** What this machine can lend. */
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
