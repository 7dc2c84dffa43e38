// rlimits.ts: the limits that a process carries with it, by the names that Mesos gives them.

import type { ContainerInfo, RLimit } from '../../protocol.ts';

/** Mesos's names, and those of prlimit(1). */
const options: Readonly<Record<string, string>> = {
  RLMT_AS: 'as',
  RLMT_CORE: 'core',
  RLMT_CPU: 'cpu',
  RLMT_DATA: 'data',
  RLMT_FSIZE: 'fsize',
  RLMT_LOCKS: 'locks',
  RLMT_MEMLOCK: 'memlock',
  RLMT_MSGQUEUE: 'msgqueue',
  RLMT_NICE: 'nice',
  RLMT_NOFILE: 'nofile',
  RLMT_NPROC: 'nproc',
  RLMT_RSS: 'rss',
  RLMT_RTPRIO: 'rtprio',
  RLMT_RTTIME: 'rttime',
  RLMT_SIGPENDING: 'sigpending',
  RLMT_STACK: 'stack',
};

/** Why these cannot be; undefined when they can. Both or neither of soft and hard, as in Mesos: neither is without limit. */
export function whyNotRlimits(rlimits: readonly RLimit[]): string | undefined {
  const met = new Set<string>();
  for (const { type, soft, hard } of rlimits) {
    if (options[type] === undefined)
      return `there is no limit "${type}": expected one of ${Object.keys(options).join(', ')}`;
    if (met.has(type)) return `${type} is given twice`;
    met.add(type);
    if ((soft === undefined) !== (hard === undefined))
      return `${type} has ${soft === undefined ? 'hard without soft' : 'soft without hard'}: expected both, or neither`;
    for (const value of [soft, hard])
      if (value !== undefined && (!Number.isSafeInteger(value) || value < 0))
        return `${type} is ${value}: expected a whole number from 0`;
    if (soft !== undefined && hard !== undefined && soft > hard)
      return `${type} has soft ${soft} above hard ${hard}: expected at most that`;
  }
  return undefined;
}

/** For prlimit(1), before the command. */
export const rlimitArguments = (rlimits: readonly RLimit[]): readonly string[] =>
  rlimits.map(({ type, soft, hard }) => `--${options[type]}=${soft ?? 'unlimited'}:${hard ?? 'unlimited'}`);

/** Those of a task's or an executor's container. */
export const rlimitsOf = (container: ContainerInfo | undefined): readonly RLimit[] =>
  container?.rlimit_info?.rlimits ?? [];
