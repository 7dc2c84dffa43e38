// executor-environment.ts: what a custom executor finds in its environment: where its agent is, and who it is itself.

import type { ExecutorInfo, FrameworkInfo } from '../protocol.ts';

export type ExecutorSetting = {
  readonly agent_id: string;
  /** `host:port` of the agent's door. */
  readonly endpoint: string;
  readonly sandbox: string;
  readonly path: string;
  readonly shutdown_grace_ms: number;
  /** The longest pause between two tries to subscribe again. */
  readonly backoff_ms_max: number;
  readonly recovery_timeout_ms: number;
  /** Absent where executors are not asked who they are. */
  readonly token: string | undefined;
};

/** Exactly this, nothing of the agent's own; the command's own variables come last and win. */
export function environmentOfExecutor(
  framework_id: string,
  framework: FrameworkInfo,
  info: ExecutorInfo,
  setting: ExecutorSetting,
): Record<string, string> {
  const { agent_id, endpoint, sandbox, path, token } = setting;
  const grace_ns = info.shutdown_grace_period?.nanoseconds;
  const grace_ms = grace_ns === undefined ? setting.shutdown_grace_ms : grace_ns / 1e6;
  const environment: Record<string, string> = {
    LIBPROCESS_IP: endpoint.slice(0, endpoint.lastIndexOf(':')),
    LIBPROCESS_PORT: '0',
    MESOS_AGENT_ENDPOINT: endpoint,
    MESOS_CHECKPOINT: framework.checkpoint === true ? '1' : '0',
    MESOS_DIRECTORY: sandbox,
    MESOS_EXECUTOR_ID: info.executor_id.value,
    MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: durationText(grace_ms),
    MESOS_FRAMEWORK_ID: framework_id,
    MESOS_HTTP_COMMAND_EXECUTOR: '0',
    MESOS_SANDBOX: sandbox,
    MESOS_SLAVE_ID: agent_id,
    MESOS_SLAVE_PID: `slave(1)@${endpoint}`,
    PATH: path,
  };
  // Only who will be recovered need know for how long to try.
  if (framework.checkpoint === true) {
    environment.MESOS_RECOVERY_TIMEOUT = durationText(setting.recovery_timeout_ms);
    environment.MESOS_SUBSCRIPTION_BACKOFF_MAX = durationText(setting.backoff_ms_max);
  }
  if (token !== undefined) environment.MESOS_EXECUTOR_AUTHENTICATION_TOKEN = token;
  for (const { name, value } of info.command?.environment?.variables ?? [])
    if (value !== undefined) environment[name] = value;
  return environment;
}

const units: readonly (readonly [name: string, ms: number])[] = [
  ['weeks', 7 * 86_400_000],
  ['days', 86_400_000],
  ['hrs', 3_600_000],
  ['mins', 60_000],
  ['secs', 1_000],
  ['ms', 1],
];

/** A length of time as Mesos writes it: `15mins`, `1.5secs`. */
export function durationText(ms: number): string {
  const [name, unit_ms] = units.find(([, unit]) => ms >= unit) ?? ['ms', 1];
  return `${ms / unit_ms}${name}`;
}
