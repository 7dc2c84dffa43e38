// container.ts: what a job may say of the container that its tasks are put into.
//
// The union of what Chronos and Mesos know, in one form: whatever may be left out is written down in the canonical job, so
// that nobody behind this file needs to know a default. A job with processes or a health check is run by an executor of our
// own, which is not in the image: those are refused together.

import { z } from 'zod';
import type { ContainerPlan } from '../../mesos/container-info.ts';
import type { Problem } from '../../schedules/problem.ts';

const port_number = z.int().min(1).max(65_535);
const absolute = z
  .string()
  .max(4096)
  .regex(/^\/[^\0:]*$/, 'expected a path that begins with "/", without ":"');
const pairs = z.record(z.string().min(1).max(256), z.string().max(4096));

export const container_field = z
  .strictObject({
    type: z
      .enum(['docker', 'mesos'])
      .optional()
      .describe("Who runs it: the agent's Docker engine, or Mesos itself from a Docker image. `docker` when left out."),
    image: z
      .string()
      .min(1)
      .max(1024)
      .regex(/^[^\s\0]+$/, 'expected an image such as "busybox:1.36"'),
    network: z
      .enum(['host', 'bridge', 'user', 'none'])
      .optional()
      .describe('`user`: the first of `networks`. `host` when left out; `bridge` where ports are mapped.'),
    networks: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(256),
          protocol: z.enum(['ipv4', 'ipv6']).optional(),
          labels: pairs.optional(),
        }),
      )
      .max(16)
      .optional()
      .describe('Networks by name, as Docker or a CNI plugin knows them.'),
    port_mappings: z
      .array(
        z.strictObject({
          container_port: port_number,
          port: z
            .string()
            .regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/, 'expected a letter, then letters, digits, "_" or "-"')
            .optional()
            .describe('Name of a port from the offer, as in `ports`; added there.'),
          host_port: port_number
            .optional()
            .describe('A fixed port of the host. A Mesos agent takes only those that it has offered to the task.'),
          protocol: z.enum(['tcp', 'udp']).optional().describe('`tcp` when left out.'),
        }),
      )
      .max(100)
      .optional()
      .describe('Which port of the host leads to which port of the container.'),
    volumes: z
      .array(
        z.strictObject({
          container_path: z
            .string()
            .min(1)
            .max(4096)
            .regex(/^[^\0:]+$/, 'expected a path without ":"'),
          host_path: absolute.optional(),
          mode: z.enum(['ro', 'rw']).optional().describe('`rw` when left out.'),
          external: z
            .strictObject({
              driver: z.string().min(1).max(256),
              name: z.string().min(1).max(256),
              options: pairs.optional(),
            })
            .optional()
            .describe('A volume that a Docker volume driver knows by name.'),
        }),
      )
      .max(100)
      .optional(),
    parameters: z
      .array(z.strictObject({ key: z.string().min(1).max(256), value: z.string().max(65_536) }))
      .max(200)
      .optional()
      .describe('Options of `docker run`, without the dashes. Docker only.'),
    force_pull: z.boolean().optional().describe('true: the image is pulled for every task, even where it is there.'),
    shell: z
      .boolean()
      .optional()
      .describe(
        "true: `command` is a line for the image's /bin/sh, whatever its entrypoint. false: a word for the entrypoint, before `arguments`. true where there is a command.",
      ),
    arguments: z.array(z.string().max(65_536)).max(1000).optional().describe('Further words, where `shell` is false.'),
    entrypoint: z.string().min(1).max(4096).optional().describe("In place of the image's own. Docker only."),
    user: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe("User, or user:group, within the image; the image's own when left out. Docker only."),
    stop_signal: z
      .string()
      .regex(/^(?:SIG[A-Z0-9+-]{2,12}|[1-9][0-9]?)$/, 'expected the name of a signal such as SIGINT, or its number')
      .optional()
      .describe('Sent first when the task is to end; what the image says when left out, else SIGTERM. Docker only.'),
  })
  .describe('What its tasks are put into.');
export type ContainerSubmission = z.infer<typeof container_field>;
export type Container = ContainerPlan;

/** The container as the job keeps it: everything said, in one order. */
export function readContainer(given: ContainerSubmission, command: string | undefined): Container {
  const { entrypoint, user, stop_signal } = given;
  const port_mappings = given.port_mappings ?? [];
  const own = { entrypoint, user, stop_signal };
  return {
    type: given.type ?? 'docker',
    image: given.image,
    network: given.network ?? (given.networks?.length ? 'user' : port_mappings.length > 0 ? 'bridge' : 'host'),
    networks: (given.networks ?? []).map(said),
    port_mappings: port_mappings.map(said),
    volumes: (given.volumes ?? []).map(({ mode = 'rw', external, ...one }) => said({ ...one, mode, external })),
    parameters: given.parameters ?? [],
    force_pull: given.force_pull ?? false,
    shell: given.shell ?? (command !== undefined && given.arguments === undefined && entrypoint === undefined),
    arguments: given.arguments ?? [],
    ...said(own),
  } as Container;
}

/** Without the fields that say nothing: an absent one and an undefined one must not differ. */
const said = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;

/** Names of ports that a job needs because its container's ports are mapped to them. */
export const portsOfContainer = ({ port_mappings }: Pick<Container, 'port_mappings'>): readonly string[] =>
  port_mappings.flatMap(({ port }) => (port === undefined ? [] : [port]));

/** What cannot be meant, with the places of a submission. */
export function containerProblems(
  container: Container,
  { command, has_executor }: { readonly command: string | undefined; readonly has_executor: boolean },
): readonly Problem[] {
  const problems: Problem[] = [];
  const wrong = (field: string, value: unknown, message: string, expected: string) =>
    problems.push({ place: `/container${field}`, value, message, expected });
  const { type, network, networks, port_mappings, volumes, shell } = container;
  if (has_executor)
    wrong(
      '',
      container.image,
      'a container beside processes, a health check or a lifecycle',
      'a plain command: the executor that would look after those is not in the image',
    );
  if (shell && command === undefined)
    wrong('/shell', true, 'a shell and no line for it', '"command", or "shell": false');
  if (shell && container.arguments.length > 0)
    wrong('/arguments', container.arguments, 'arguments beside a shell line', '"shell": false, or no arguments');
  if (shell && container.entrypoint !== undefined)
    wrong('/entrypoint', container.entrypoint, 'an entrypoint beside a shell line', '"shell": false');
  for (const [index, { port, host_port }] of port_mappings.entries())
    if ((port === undefined) === (host_port === undefined))
      wrong(
        `/port_mappings/${index}`,
        undefined,
        port === undefined ? 'neither "port" nor "host_port" is given' : 'both "port" and "host_port" are given',
        'exactly one of "port" and "host_port"',
      );
  if (type === 'docker' && port_mappings.length > 0 && (network === 'host' || network === 'none'))
    wrong('/network', network, `ports are mapped, and the network is "${network}"`, '"bridge" or "user"');
  if (type === 'docker' && network === 'user' && networks.length === 0)
    wrong('/networks', [], 'the network is "user", and nobody says which', '"networks": [{"name": ...}]');
  if (type === 'docker' && networks.length > 1)
    wrong('/networks', networks.length, 'Docker starts a container in one network', 'one network');
  if (type === 'mesos' && port_mappings.length > 0 && networks.length === 0)
    wrong('/port_mappings', port_mappings.length, 'ports are mapped, and there is no network', '"networks"');
  for (const [index, { host_path, external }] of volumes.entries())
    if (host_path !== undefined && external !== undefined)
      wrong(`/volumes/${index}`, host_path, 'both "host_path" and "external" are given', 'at most one of them');
  if (type === 'mesos')
    for (const [field, given] of [
      ['parameters', container.parameters.length > 0],
      ['entrypoint', container.entrypoint !== undefined],
      ['user', container.user !== undefined],
      ['stop_signal', container.stop_signal !== undefined],
    ] as const)
      if (given) wrong(`/${field}`, undefined, `"${field}" is for Docker, and the type is "mesos"`, `no "${field}"`);
  return problems;
}
