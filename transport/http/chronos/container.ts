// container.ts: the container of a Chronos job, as a container of ours.
//
// Chronos took it seriously only when it had an image, knew two names for the network (a word, and a list of names), and wrote
// ports as texts. A port without a number of its own gets one from the offer, which Chronos could not do.

import {
  type Container,
  type ContainerSubmission,
  container_field,
  containerProblems,
  readContainer,
} from '../../../actors/model/container.ts';

type Wrong = (place: string, value: unknown, message: string, expected: string) => void;
type Given = Readonly<Record<string, unknown>>;

/**
 * `undefined` for what Chronos would not have called a container. `shell`, `arguments`: as they stand beside it in the job;
 * without a command the image's own is run.
 */
export function readChronosContainer(
  value: unknown,
  job: { readonly command: string; readonly shell: boolean; readonly arguments: readonly string[] },
  wrong: Wrong,
): Container | undefined {
  if (value === undefined || value === null) return undefined;
  const say: Wrong = (place, ...rest) => wrong(`/container${place}`, ...rest);
  if (!isObject(value)) {
    say('', value, 'the container is not an object', '{"type": "DOCKER", "image": ...}');
    return undefined;
  }
  if (value.image === undefined) return undefined;
  const command = job.command === '' ? undefined : job.command;
  const shell = job.shell && command !== undefined;
  const networks = list(value, 'networkInfos', say);
  const legacy = value.networkName === undefined ? [] : [{ name: value.networkName }];
  const given = {
    type: word(value.type, 'DOCKER').toLowerCase(),
    image: value.image,
    network: networkOf(value.network, say),
    networks: [...legacy, ...networks].map(networkInfo),
    port_mappings: networks.flatMap((one, index) =>
      list(one, 'portMappings', (place, ...rest) => say(`/networkInfos/${index}${place}`, ...rest)).map(mappingOf),
    ),
    volumes: list(value, 'volumes', say).map(volumeOf),
    parameters: list(value, 'parameters', say).map(({ key, value }) => ({ key: word(key), value: word(value) })),
    force_pull: flag(value.forcePullImage, say),
    shell,
    ...(shell ? {} : { arguments: job.arguments }),
  };
  const read = container_field.safeParse(given);
  if (!read.success) {
    for (const { path, message } of read.error.issues)
      say(
        `/${path.map(step => chronos_words[String(step)] ?? String(step)).join('/')}`,
        at(given, path),
        message,
        message,
      );
    return undefined;
  }
  const { networks: named, ...others } = read.data;
  // A name-less network info held nothing but ports.
  const networks_named = named?.filter(({ name }) => name !== unnamed) ?? [];
  const submission: ContainerSubmission =
    networks_named.length === 0 ? others : { ...others, networks: networks_named };
  const container = readContainer(submission, command);
  for (const { place, value, message, expected } of containerProblems(container, { command, has_executor: false }))
    wrong(place, value, message, expected);
  return container;
}

/** Where a field of ours stands in the document that was posted. */
const chronos_words: Readonly<Record<string, string>> = {
  networks: 'networkInfos',
  port_mappings: 'portMappings',
  container_port: 'containerPort',
  host_port: 'hostPort',
  container_path: 'containerPath',
  host_path: 'hostPath',
  driver: 'provider',
  force_pull: 'forcePullImage',
};

const unnamed = '-';
const isObject = (value: unknown): value is Given =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const word = (value: unknown, fallback = '') => (value === undefined || value === null ? fallback : String(value));
const optional = (name: string, value: unknown) => (value === undefined || value === null ? {} : { [name]: value });

function list(of: Given, field: string, say: Wrong): readonly Given[] {
  const value = of[field];
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every(isObject)) return value;
  say(`/${field}`, value, `"${field}" is not a list of objects`, `"${field}": [{...}]`);
  return [];
}

/** Read as a word in capitals; left out, it was the host's. */
function networkOf(value: unknown, say: Wrong): string {
  if (value === undefined || value === null) return 'host';
  if (['HOST', 'BRIDGE', 'USER'].includes(String(value))) return String(value).toLowerCase();
  say('/network', value, `the network is ${JSON.stringify(value)}`, 'HOST, BRIDGE or USER');
  return 'host';
}

function flag(value: unknown, say: Wrong): boolean {
  if (value === undefined || value === false || value === 'false') return false;
  if (value === true || value === 'true') return true;
  say('/forcePullImage', value, `forcePullImage is ${JSON.stringify(value)}`, 'true or false');
  return false;
}

function networkInfo({ name, protocol, labels }: Given) {
  const pairs = Array.isArray(labels) ? labels.filter(isObject) : [];
  return {
    name: word(name, unnamed),
    ...(protocol === undefined || protocol === null ? {} : { protocol: word(protocol).toLowerCase() }),
    ...(pairs.length === 0
      ? {}
      : { labels: Object.fromEntries(pairs.map(({ key, value }) => [word(key), word(value)])) }),
  };
}

function mappingOf({ hostPort, containerPort, protocol }: Given) {
  const container_port = Number(containerPort);
  const host_port = Number(hostPort ?? 0);
  return {
    container_port,
    ...(host_port === 0 ? { port: `port_${container_port}` } : { host_port }),
    ...(protocol === undefined || protocol === null ? {} : { protocol: word(protocol).toLowerCase() }),
  };
}

function volumeOf({ containerPath, hostPath, mode, external }: Given) {
  return {
    container_path: containerPath,
    ...optional('host_path', hostPath),
    mode: word(mode, 'RW').toLowerCase(),
    ...(isObject(external) ? { external: externalOf(external) } : {}),
  };
}

function externalOf({ name, provider, options }: Given) {
  const pairs = Array.isArray(options) ? options.filter(isObject) : [];
  return {
    driver: provider,
    name,
    ...(pairs.length === 0
      ? {}
      : { options: Object.fromEntries(pairs.map(({ key, value }) => [word(key), word(value)])) }),
  };
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const step of path)
    found = isObject(found) || Array.isArray(found) ? (found as Record<PropertyKey, unknown>)[step] : undefined;
  return found;
}
