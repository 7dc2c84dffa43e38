// agent-options.ts: what an agent is told when it starts, and what it is to others.

import type { Clock } from '../../schedules/clock.ts';
import type { TaskUsage } from '../agent-usage.ts';
import type { DockerOptions } from './docker/containers.ts';
import type { AgentDoor } from './executor-server.ts';
import { house_defaults } from './executor-state.ts';
import type { FetchTerms } from './fetch/fetcher.ts';
import type { WardenSettings } from './limits/warden.ts';
import type { AgentInfo } from './messages.ts';
import type { Retention, SandboxKeeper } from './sandbox-sweep.ts';
import type { SecretSource } from './secrets.ts';

/** What an operator would like to hear. */
export type Log = {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
};

export type AgentOptions = {
  readonly work_dir: string;
  readonly hostname: string;
  readonly resources: AgentInfo['resources'];
  readonly attributes?: AgentInfo['attributes'];
  readonly retention: Retention;
  readonly clock: Clock;
  readonly log: Log;
  /** Where custom executors call, opened before. */
  readonly door: AgentDoor;
  readonly executors?: Partial<ExecutorSettings>;
  /** How what tasks use is looked at and limited. Default: not at all. */
  readonly limits?: Partial<WardenSettings>;
  /** How much may be fetched, and kept of it. */
  readonly fetch?: Partial<FetchTerms>;
  /** Who keeps the secrets that tasks refer to. Default: nobody does. */
  readonly secrets?: SecretSource;
  /** The engine that runs containers. */
  readonly docker?: Partial<DockerOptions>;
  /** Whether a header names somebody who may read sandboxes. Default: everybody on this machine may. */
  readonly admits?: (authorization: string | undefined) => boolean;
};

/** How custom executors are dealt with. */
export type ExecutorSettings = {
  /** Whether an executor must show the pass that it was given. */
  readonly authentication: boolean;
  /** From its launch, fetching included, to its first SUBSCRIBE. */
  readonly registration_timeout_ms: number;
  /** How long a returning agent takes nothing but subscriptions. */
  readonly recovery_ms: number;
  /** From the agent's return to the executor's. */
  readonly reregistration_timeout_ms: number;
  /** From SHUTDOWN to SIGKILL, where the executor asks for nothing else. */
  readonly shutdown_grace_ms: number;
  /** How long an executor is told to wait for its agent. */
  readonly recovery_timeout_ms: number;
};
export const executor_settings: ExecutorSettings = {
  ...house_defaults,
  authentication: true,
  recovery_timeout_ms: 15 * 60_000,
};

export interface RealAgent {
  readonly id: string;
  /** Where it is asked for files and sessions. */
  readonly origin: string;
  /** Tasks that have a process, or are about to. */
  running(): number;
  /** Which sandboxes went, and the disk under them. */
  readonly sandboxes: Pick<SandboxKeeper, 'swept' | 'disk'>;
  /** What a task uses and has used, by the name of its executor; undefined when that is not known (any more). */
  usage(executor_id: string): TaskUsage | undefined;
  /** Says goodbye to the master; the tasks live on and are adopted by the next agent on this work_dir. */
  close(): Promise<void>;
  /** Kills every task at once and comes back when all have ended: for tests. */
  killAll(): Promise<void>;
}

/** An agent, as its master and the frameworks know it. */
export const infoOf = (id: string, { hostname, door, resources, attributes }: AgentOptions): AgentInfo => ({
  id,
  hostname,
  url: { scheme: 'http', address: { hostname, ip: '127.0.0.1', port: door.port }, path: '/slave(1)' },
  resources,
  ...(attributes === undefined ? {} : { attributes }),
});
