// announcement.ts: under which names others find a job in ZooKeeper, as its author says it.
//
// The words are Aurora's: one port is the service itself, and every port can be found by its name, or by further ones.

import { z } from 'zod';
import type { Problem } from '../../schedules/problem.ts';

const port_name = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/, 'expected the name of a port: a letter, then letters, digits, "_" or "-"');

export const announce_field = z
  .strictObject({
    primary_port: port_name.optional().describe('The port that is the service itself; `http` when left out.'),
    portmap: z
      .record(port_name, z.union([port_name, z.int().min(1).max(65_535)]))
      .optional()
      .describe('Further names: each for the port of another name, or for a number.'),
  })
  .optional()
  .describe(
    'Instances that are well are found in ZooKeeper as members of a ServerSet, below `--serversets-zk`. Its primary port is added to `ports`.',
  );

export type Announcement = {
  readonly primary_port: string;
  readonly portmap: Readonly<Record<string, string | number>>;
};

type Given = z.infer<typeof announce_field>;

/** As the job keeps it, with the ports that it needs besides. */
export function readAnnouncement(
  given: Given,
  ports: readonly string[],
): {
  readonly announce: Announcement | undefined;
  readonly ports: readonly string[];
  readonly problems: readonly Problem[];
} {
  if (given === undefined) return { announce: undefined, ports, problems: [] };
  const { primary_port = 'http', portmap = {} } = given;
  const all = [...new Set([...ports, primary_port])];
  const problems = Object.entries(portmap).flatMap(([name, target]): Problem[] => {
    const place = `/announce/portmap/${name}`;
    if (all.includes(name) && target !== name)
      return [{ place, value: target, message: `"${name}" is a port already`, expected: 'a name that no port has' }];
    if (typeof target === 'string' && !all.includes(target))
      return [{ place, value: target, message: `there is no port "${target}"`, expected: `one of ${all.join(', ')}` }];
    return [];
  });
  // In order, so that two documents that say the same are the same text.
  const sorted = Object.fromEntries(Object.entries(portmap).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { announce: { primary_port, portmap: sorted }, ports: all, problems };
}
