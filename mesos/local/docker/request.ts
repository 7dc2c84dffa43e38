// request.ts: a task in a container, as the request that makes the engine make it.
//
// What runs: with a shell the line is the shell's, whatever the image's entrypoint; without, command and arguments are words
// for it; with neither the image knows. A container of Mesos's own kind replaces the entrypoint by its command. The sandbox is
// a folder in there, as Mesos has it, and memory is a wall, swap not being a way around it.

import type { ContainerInfo, PortMapping, TaskInfo, Volume } from '../../protocol.ts';
import { result_file } from '../../results.ts';
import { secretsOf } from '../secret-wishes.ts';
import { hasVariables, secretsInside, withVariables } from './behind.ts';
import { addPort, applyOption, type Draft } from './options.ts';

export const sandbox_inside = '/mnt/mesos/sandbox';

export type ContainerRequest = {
  readonly image: string;
  /** Pulled even where it is there. */
  readonly force_pull: boolean;
  /** For POST /containers/create. */
  readonly body: object;
  /** First of all when it is to end; left out, the image's own or SIGTERM. */
  readonly stop_signal?: string;
  /** As whom it runs, where that is not the image's to say. */
  readonly user?: string;
  /** To be given to whomever it runs as; left out where it has been given to somebody else. */
  readonly sandbox?: string;
  /** Words before whatever it runs, which give it the secrets of its environment. */
  readonly behind?: readonly string[];
};

/** Whether a task is for the engine. */
export const isContained = ({ container }: TaskInfo): boolean =>
  container?.docker !== undefined || container?.type === 'DOCKER' || container?.mesos?.image !== undefined;

export type RequestContext = {
  readonly sandbox: string;
  readonly agent_id: string;
  readonly framework_id: string;
  /** CPU is a wall too. */
  readonly cpu_hard: boolean;
  /** Where its secrets lie, should it have some. */
  readonly secrets: string;
};

/** Labels by which containers are found again. */
export const labels = { agent: 'horae.agent', task: 'horae.task', framework: 'horae.framework' } as const;

export function requestFor(task: TaskInfo, context: RequestContext): ContainerRequest | { readonly problem: string } {
  const container = task.container;
  if (container === undefined) return { problem: 'the task has no container' };
  const image = container.docker?.image ?? container.mesos?.image?.docker?.name;
  if (image === undefined || image === '')
    return { problem: 'the container names no Docker image, and this agent runs no other kind' };
  const wishes = secretsOf(task);
  const draft: Draft = { config: {}, host: {} };
  const problems: string[] = [];
  const note = (problem: string | undefined) => {
    if (problem !== undefined) problems.push(problem);
  };

  limits(draft, task, context.cpu_hard);
  note(network(draft, container));
  for (const volume of container.volumes ?? []) note(mount(draft, volume, context.sandbox));
  draft.config.Env = environment(task, context);
  draft.config.Labels = labelsOf(task, context);
  draft.host.LogConfig = { Type: 'none' };
  for (const { key, value } of container.docker?.parameters ?? []) note(applyOption(draft, key, value));
  run(draft, task);
  if (container.hostname !== undefined) draft.config.Hostname = container.hostname;
  if (container.docker?.privileged === true) draft.host.Privileged = true;
  const [problem] = problems;
  if (problem !== undefined) return { problem };

  const sandbox = { Type: 'bind', Source: context.sandbox, Target: sandbox_inside };
  const secrets = { Type: 'bind', Source: context.secrets, Target: secretsInside(sandbox_inside), ReadOnly: true };
  const ours = wishes === undefined ? [sandbox] : [sandbox, secrets];
  draft.host.Mounts = [...ours, ...((draft.host.Mounts as object[] | undefined) ?? [])];
  const { StopSignal, User } = draft.config;
  const cached = container.mesos?.image?.cached;
  return {
    image,
    force_pull: container.docker?.force_pull_image ?? cached === false,
    body: { ...draft.config, Image: image, AttachStdout: true, AttachStderr: true, HostConfig: draft.host },
    ...(typeof StopSignal === 'string' ? { stop_signal: StopSignal } : {}),
    ...(typeof User === 'string' ? { user: User } : {}),
    ...(task.command?.user === undefined ? { sandbox: context.sandbox } : {}),
    ...(hasVariables(wishes) ? { behind: withVariables(sandbox_inside) } : {}),
  };
}

/** CPU by share, as Mesos does, and by a wall where that is wanted. */
function limits({ host }: Draft, { resources }: TaskInfo, cpu_hard: boolean): void {
  const sum = (name: string) =>
    resources.reduce((all, one) => all + (one.name === name ? (one.scalar?.value ?? 0) : 0), 0);
  const cpus = sum('cpus');
  if (cpus > 0) host.CpuShares = Math.max(2, Math.round(cpus * 1024));
  if (cpus > 0 && cpu_hard) host.NanoCpus = Math.round(cpus * 1e9);
  const memory = Math.round(sum('mem') * 2 ** 20);
  if (memory > 0) Object.assign(host, { Memory: memory, MemorySwap: memory });
}

function network(draft: Draft, { type, docker, network_infos = [] }: ContainerInfo): string | undefined {
  const name = network_infos.find(info => info.name !== undefined)?.name;
  const kind = type === 'MESOS' ? (name === undefined ? 'HOST' : 'USER') : (docker?.network ?? 'HOST');
  if (kind === 'USER' && name === undefined) return 'the network is USER, and no network_infos names it';
  draft.host.NetworkMode = kind === 'USER' ? name : kind.toLowerCase();
  const mappings = [...(docker?.port_mappings ?? []), ...network_infos.flatMap(info => info.port_mappings ?? [])];
  if (mappings.length > 0 && (kind === 'HOST' || kind === 'NONE'))
    return `ports are mapped, and the network is ${kind}: expected BRIDGE or USER`;
  for (const mapping of mappings) addPort(draft, portText(mapping), String(mapping.host_port));
  return undefined;
}

const portText = ({ container_port, protocol = 'tcp' }: PortMapping) => `${container_port}/${protocol.toLowerCase()}`;

/** Relative paths are the sandbox's: the host's end outside, the container's inside. */
function mount({ host }: Draft, volume: Volume, sandbox: string): string | undefined {
  const { container_path, host_path, mode, source } = volume;
  const target = container_path.startsWith('/') ? container_path : `${sandbox_inside}/${container_path}`;
  const read_only = mode === 'RO';
  const add = (made: object) => {
    host.Mounts = [...((host.Mounts as object[] | undefined) ?? []), { ...made, Target: target, ReadOnly: read_only }];
  };
  if (source?.type === 'SECRET') return undefined; // All of them are in one folder.
  if (source !== undefined) {
    const volume = source.docker_volume;
    if (source.type !== 'DOCKER_VOLUME' || volume === undefined)
      return `a volume comes from ${source.type}: expected DOCKER_VOLUME, the only kind that this agent knows`;
    const options = (volume.driver_options?.parameter ?? []).map(({ key, value }) => [key, value]);
    const driver =
      volume.driver === undefined
        ? {}
        : { DriverConfig: { Name: volume.driver, Options: Object.fromEntries(options) } };
    add({ Type: 'volume', Source: volume.name, VolumeOptions: driver });
    return undefined;
  }
  if (host_path === undefined) {
    add({ Type: 'volume' });
    return undefined;
  }
  if (host_path.split('/').includes('..')) return `the volume ${host_path} climbs: expected a path without ".."`;
  const from = host_path.startsWith('/') ? host_path : `${sandbox}/${host_path}`;
  if (from.includes(':') || target.includes(':')) return `a volume has a ":" in ${from}:${target}: expected none`;
  // As a bind, since Docker then makes a folder that is not there.
  host.Binds = [...((host.Binds as string[] | undefined) ?? []), `${from}:${target}:${read_only ? 'ro' : 'rw'}`];
  return undefined;
}

/** Nothing of the agent's own: path and home are the image's. */
function environment({ command, task_id }: TaskInfo, { agent_id, framework_id }: RequestContext): string[] {
  const own = {
    MESOS_SANDBOX: sandbox_inside,
    MESOS_DIRECTORY: sandbox_inside,
    HORAE_RESULT: `${sandbox_inside}/${result_file}`,
    MESOS_TASK_ID: task_id.value,
    mesos_task_id: task_id.value,
    MESOS_FRAMEWORK_ID: framework_id,
    MESOS_SLAVE_ID: agent_id,
  };
  const theirs = (command?.environment?.variables ?? []).flatMap(({ name, value }) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return Object.entries({ ...own, ...Object.fromEntries(theirs) }).map(([name, value]) => `${name}=${value}`);
}

function labelsOf(task: TaskInfo, { agent_id, framework_id }: RequestContext): Record<string, string> {
  const theirs = (task.labels?.labels ?? []).map(({ key, value }) => [key, value ?? '']);
  return {
    ...Object.fromEntries(theirs),
    [labels.agent]: agent_id,
    [labels.task]: task.task_id.value,
    [labels.framework]: framework_id,
  };
}

function run({ config }: Draft, { command, container }: TaskInfo): void {
  const { shell = true, value, arguments: words = [] } = command ?? {};
  if (shell && value !== undefined) {
    config.Entrypoint = ['/bin/sh'];
    config.Cmd = ['-c', value];
    return;
  }
  if (container?.type === 'MESOS') {
    if (value !== undefined) config.Entrypoint = [value];
    const rest = value === undefined ? words : words.slice(1);
    if (rest.length > 0 || value !== undefined) config.Cmd = rest;
    return;
  }
  const all = value === undefined ? words : [value, ...words];
  if (all.length > 0) config.Cmd = all;
}
