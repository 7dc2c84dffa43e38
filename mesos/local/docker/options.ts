// options.ts: options of `docker run`, as what the engine's API calls them.
//
// Mesos hands the parameters of a container to Docker's command line. Here no command line is in between, so each option is
// known by name or refused by name: one that is left out silently may be the one that kept something safe.

type Many = string[];
type Pairs = Record<string, string>;

/** The part of the engine's request that options write into. */
export type Draft = {
  readonly config: Record<string, unknown>;
  readonly host: Record<string, unknown>;
};

/** Writes an option into a draft. Returns what is wrong with it. */
export function applyOption(draft: Draft, key: string, value: string): string | undefined {
  const name = key.replace(/^--/, '');
  const why = Object.hasOwn(refused, name) ? refused[name] : undefined;
  if (why !== undefined) return `the option ${name} of docker run cannot be given: ${why}`;
  const write = Object.hasOwn(options, name) ? options[name] : undefined;
  if (write === undefined)
    return `the option ${name} of docker run is not known: expected one of ${Object.keys(options).sort().join(', ')}`;
  const wrong = write(draft, value);
  return wrong === undefined ? undefined : `the option ${name} of docker run is "${value}": expected ${wrong}`;
}

type Write = (draft: Draft, value: string) => string | undefined;
type Part = keyof Draft;

const text =
  (part: Part, field: string): Write =>
  (draft, value) => {
    draft[part][field] = value;
    return undefined;
  };
const one =
  (part: Part, field: string): Write =>
  (draft, value) => {
    draft[part][field] = [value];
    return undefined;
  };
const more =
  (part: Part, field: string): Write =>
  (draft, value) => {
    draft[part][field] = [...((draft[part][field] as Many | undefined) ?? []), value];
    return undefined;
  };
const pair =
  (part: Part, field: string): Write =>
  (draft, value) => {
    const cut = value.indexOf('=');
    const [key, rest] = cut < 0 ? [value, ''] : [value.slice(0, cut), value.slice(cut + 1)];
    draft[part][field] = { ...(draft[part][field] as Pairs | undefined), [key]: rest };
    return undefined;
  };
const flag =
  (part: Part, field: string): Write =>
  (draft, value) => {
    if (!['', 'true', 'false'].includes(value)) return 'true or false';
    draft[part][field] = value !== 'false';
    return undefined;
  };
const whole =
  (part: Part, field: string): Write =>
  (draft, value) => {
    if (!/^-?\d+$/.test(value)) return 'a whole number';
    draft[part][field] = Number(value);
    return undefined;
  };
const bytes =
  (part: Part, field: string): Write =>
  (draft, value) => {
    const match = /^(-1|\d+(?:\.\d+)?)\s*([bkmgt]?)b?$/i.exec(value);
    if (match === null) return 'a number of bytes such as 64m';
    const power = ['b', 'k', 'm', 'g', 't'].indexOf((match[2] || 'b').toLowerCase());
    draft[part][field] = match[1] === '-1' ? -1 : Math.round(Number(match[1]) * 1024 ** power);
    return undefined;
  };

const publish: Write = ({ config, host }, value) => {
  const match = /^(?:(?:([^:]+):)?(\d*):)?(\d+)(?:\/(tcp|udp|sctp))?$/.exec(value);
  if (match === null) return '[[IP:]HOST PORT:]CONTAINER PORT[/tcp|/udp]';
  const [, ip, number = '', port, protocol = 'tcp'] = match;
  addPort({ config, host }, `${port}/${protocol}`, number, ip);
  return undefined;
};

/** A port of the container that is reached through one of the host; the engine chooses where `number` is empty. */
export function addPort({ config, host }: Draft, port: string, number: string, ip?: string): void {
  config.ExposedPorts = { ...(config.ExposedPorts as object | undefined), [port]: {} };
  const bindings = (host.PortBindings ?? {}) as Record<string, object[]>;
  const binding = { HostPort: number, ...(ip === undefined ? {} : { HostIp: ip }) };
  host.PortBindings = { ...bindings, [port]: [...(bindings[port] ?? []), binding] };
}

const expose: Write = ({ config }, value) => {
  if (!/^\d+(\/(tcp|udp|sctp))?$/.test(value)) return 'a port such as 80 or 53/udp';
  const port = value.includes('/') ? value : `${value}/tcp`;
  config.ExposedPorts = { ...(config.ExposedPorts as object | undefined), [port]: {} };
  return undefined;
};
const tmpfs: Write = ({ host }, value) => {
  const cut = value.indexOf(':');
  const [path, rest] = cut < 0 ? [value, ''] : [value.slice(0, cut), value.slice(cut + 1)];
  host.Tmpfs = { ...(host.Tmpfs as Pairs | undefined), [path]: rest };
  return undefined;
};
const device: Write = ({ host }, value) => {
  const [from = '', to = from, how = 'rwm'] = value.split(':');
  const made = { PathOnHost: from, PathInContainer: to, CgroupPermissions: how };
  host.Devices = [...((host.Devices as object[] | undefined) ?? []), made];
  return undefined;
};
const ulimit: Write = ({ host }, value) => {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(value);
  if (match === null) return 'NAME=SOFT[:HARD]';
  const made = { Name: match[1], Soft: Number(match[2]), Hard: Number(match[3] ?? match[2]) };
  host.Ulimits = [...((host.Ulimits as object[] | undefined) ?? []), made];
  return undefined;
};
const cpus: Write = ({ host }, value) => {
  const number = Number(value);
  if (!(number > 0)) return 'a number above 0';
  host.NanoCpus = Math.round(number * 1e9);
  return undefined;
};
const log =
  (change: (config: { Type?: string; Config?: Pairs }, value: string) => object): Write =>
  ({ host }, value) => {
    host.LogConfig = change((host.LogConfig ?? {}) as { Type?: string; Config?: Pairs }, value);
    return undefined;
  };

const refused: Readonly<Record<string, string>> = {
  detach: 'the agent stands by',
  interactive: 'nobody types',
  name: 'the agent finds its containers again by their names',
  restart: 'the scheduler starts tasks again',
  tty: 'output would lose its kind',
  rm: 'the agent removes its containers',
  cidfile: 'the agent keeps its own book',
};

const options: Readonly<Record<string, Write>> = {
  'add-host': more('host', 'ExtraHosts'),
  'cap-add': more('host', 'CapAdd'),
  'cap-drop': more('host', 'CapDrop'),
  'cgroup-parent': text('host', 'CgroupParent'),
  'cpu-period': whole('host', 'CpuPeriod'),
  'cpu-quota': whole('host', 'CpuQuota'),
  'cpu-shares': whole('host', 'CpuShares'),
  cpus,
  'cpuset-cpus': text('host', 'CpusetCpus'),
  'cpuset-mems': text('host', 'CpusetMems'),
  device,
  dns: more('host', 'Dns'),
  'dns-opt': more('host', 'DnsOptions'),
  'dns-option': more('host', 'DnsOptions'),
  'dns-search': more('host', 'DnsSearch'),
  domainname: text('config', 'Domainname'),
  entrypoint: one('config', 'Entrypoint'),
  env: more('config', 'Env'),
  expose,
  'group-add': more('host', 'GroupAdd'),
  hostname: text('config', 'Hostname'),
  init: flag('host', 'Init'),
  ipc: text('host', 'IpcMode'),
  label: pair('config', 'Labels'),
  'log-driver': log((config, value) => ({ ...config, Type: value })),
  'log-opt': log((config, value) => {
    const [key = '', ...rest] = value.split('=');
    return { ...config, Config: { ...config.Config, [key]: rest.join('=') } };
  }),
  memory: bytes('host', 'Memory'),
  'memory-reservation': bytes('host', 'MemoryReservation'),
  'memory-swap': bytes('host', 'MemorySwap'),
  'memory-swappiness': whole('host', 'MemorySwappiness'),
  net: text('host', 'NetworkMode'),
  network: text('host', 'NetworkMode'),
  'oom-kill-disable': flag('host', 'OomKillDisable'),
  'oom-score-adj': whole('host', 'OomScoreAdj'),
  pid: text('host', 'PidMode'),
  'pids-limit': whole('host', 'PidsLimit'),
  privileged: flag('host', 'Privileged'),
  publish,
  'read-only': flag('host', 'ReadonlyRootfs'),
  runtime: text('host', 'Runtime'),
  'security-opt': more('host', 'SecurityOpt'),
  'shm-size': bytes('host', 'ShmSize'),
  'stop-signal': text('config', 'StopSignal'),
  'storage-opt': pair('host', 'StorageOpt'),
  sysctl: pair('host', 'Sysctls'),
  tmpfs,
  ulimit,
  user: text('config', 'User'),
  userns: text('host', 'UsernsMode'),
  uts: text('host', 'UTSMode'),
  volume: more('host', 'Binds'),
  'volumes-from': more('host', 'VolumesFrom'),
  workdir: text('config', 'WorkingDir'),
};
