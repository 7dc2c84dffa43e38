// container-info.ts: what a task is put into, as its job says it, and as Mesos wants to read it.
//
// Two runtimes, two messages. DOCKER hands the image to the Docker engine of the agent: what its network is, which ports are
// published and what `docker run` would be told besides. MESOS unpacks the image itself, and knows networks by name only. What
// a job says in words of its own (user, entrypoint, stop signal) are options of `docker run`, so that is how they travel.

import type { CommandInfo, ContainerInfo, NetworkInfo, PortMapping, Volume } from './protocol.ts';

export type ContainerPlan = {
  readonly type: 'docker' | 'mesos';
  readonly image: string;
  readonly network: 'host' | 'bridge' | 'user' | 'none';
  readonly networks: readonly NetworkPlan[];
  readonly port_mappings: readonly PortPlan[];
  readonly volumes: readonly VolumePlan[];
  /** Options of `docker run`, as they are written there. */
  readonly parameters: readonly { readonly key: string; readonly value: string }[];
  readonly force_pull: boolean;
  /** The command is a line for the image's /bin/sh; otherwise a word for its entrypoint, before the arguments. */
  readonly shell: boolean;
  readonly arguments: readonly string[];
  readonly entrypoint?: string;
  readonly user?: string;
  readonly stop_signal?: string;
};
export type NetworkPlan = {
  readonly name: string;
  readonly protocol?: 'ipv4' | 'ipv6';
  readonly labels?: Readonly<Record<string, string>>;
};
/** Where the host's end comes from: a port of the offer, by its name, or a number that somebody keeps free. */
export type PortPlan = {
  readonly container_port: number;
  readonly port?: string;
  readonly host_port?: number;
  readonly protocol?: 'tcp' | 'udp';
};
export type VolumePlan = {
  readonly container_path: string;
  readonly host_path?: string;
  readonly mode: 'ro' | 'rw';
  readonly external?: {
    readonly driver: string;
    readonly name: string;
    readonly options?: Readonly<Record<string, string>>;
  };
};

export function containerInfo(plan: ContainerPlan, ports: Readonly<Record<string, number>>): ContainerInfo {
  const mappings = plan.port_mappings.map(one => mappingOf(one, ports));
  const volumes = plan.volumes.length === 0 ? {} : { volumes: plan.volumes.map(volumeOf) };
  if (plan.type === 'mesos') {
    const [first, ...others] = plan.networks.map(networkOf);
    const network_infos =
      first === undefined ? [] : [mappings.length === 0 ? first : { ...first, port_mappings: mappings }, ...others];
    return {
      type: 'MESOS',
      mesos: { image: { type: 'DOCKER', docker: { name: plan.image }, cached: !plan.force_pull } },
      ...volumes,
      ...(network_infos.length === 0 ? {} : { network_infos }),
    };
  }
  const parameters = [...plan.parameters, ...ownParameters(plan)];
  return {
    type: 'DOCKER',
    docker: {
      image: plan.image,
      network: network_words[plan.network],
      ...(mappings.length === 0 ? {} : { port_mappings: mappings }),
      ...(parameters.length === 0 ? {} : { parameters }),
      force_pull_image: plan.force_pull,
    },
    ...volumes,
    ...(plan.networks.length === 0 ? {} : { network_infos: plan.networks.map(networkOf) }),
  };
}

/** The command of a task in a container, before its environment. `value`: the job's command, its blanks filled in. */
export function containerCommand(plan: ContainerPlan, value: string | undefined): CommandInfo {
  if (plan.shell) return { shell: true, value: value ?? '' };
  const given = value === undefined ? {} : { value };
  // To Docker arguments are what follows the command; everywhere else in Mesos the first of them is the program's own name.
  const name = plan.type === 'mesos' && value !== undefined ? [value] : [];
  return { shell: false, ...given, arguments: [...name, ...plan.arguments] };
}

const network_words = { host: 'HOST', bridge: 'BRIDGE', user: 'USER', none: 'NONE' } as const;

function mappingOf(
  { container_port, port, host_port, protocol = 'tcp' }: PortPlan,
  ports: Readonly<Record<string, number>>,
): PortMapping {
  const number = port === undefined ? host_port : ports[port];
  if (number === undefined)
    throw new Error(`container port ${container_port} is mapped to port "${port}": expected one of the task's own`);
  return { host_port: number, container_port, protocol };
}

function volumeOf({ container_path, host_path, mode, external }: VolumePlan): Volume {
  const common = { mode: mode === 'ro' ? 'RO' : 'RW', container_path } as const;
  if (external === undefined) return host_path === undefined ? common : { ...common, host_path };
  const { driver, name, options } = external;
  return {
    ...common,
    source: {
      type: 'DOCKER_VOLUME',
      docker_volume: {
        driver,
        name,
        ...(options === undefined ? {} : { driver_options: { parameter: pairs(options) } }),
      },
    },
  };
}

const networkOf = ({ name, protocol, labels }: NetworkPlan): NetworkInfo => ({
  name,
  ...(protocol === undefined ? {} : { ip_addresses: [{ protocol: protocol === 'ipv4' ? 'IPv4' : 'IPv6' }] }),
  ...(labels === undefined ? {} : { labels: { labels: pairs(labels) } }),
});

const pairs = (record: Readonly<Record<string, string>>) =>
  Object.entries(record).map(([key, value]) => ({ key, value }));

function ownParameters({ entrypoint, user, stop_signal }: ContainerPlan) {
  const own = { entrypoint, user, 'stop-signal': stop_signal };
  return Object.entries(own).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value }]));
}
