// simulated.ts: a whole Mesos in a glass: one master, any number of agents on which nothing runs, links without wires.

import type { Clock } from '../../schedules/clock.ts';
import type { Resource } from '../protocol.ts';
import { hostMaster, type MasterHost } from './host.ts';
import { type Defer, type LocalLink, localLink } from './link.ts';
import type { MasterOptions } from './master-state.ts';
import { type Fleet, type FleetOptions, simulatedFleet } from './simulated-agent.ts';

export type SimulatedMesos = {
  /** A new link to the one master; each has its own subscriptions. */
  readonly link: () => LocalLink;
  readonly host: MasterHost;
  readonly agents: Fleet;
  readonly close: () => void;
};

export function simulatedMesos(options: {
  readonly agents: number;
  /** What every agent has, or each by its index. */
  readonly resources: readonly Resource[] | ((index: number) => readonly Resource[]);
  readonly clock: Clock;
  readonly defer: Defer;
  readonly ids_prefix: string;
  readonly life?: FleetOptions['life'];
  readonly starting?: boolean;
  readonly attributes?: FleetOptions['attributes'];
  readonly hostname?: FleetOptions['hostname'];
  readonly master?: Partial<MasterOptions>;
  /** Calls cross in bundles, a turn's worth at a time: for benchmarks. */
  readonly bundled?: boolean;
}): SimulatedMesos {
  const { clock, defer, ids_prefix, resources, life, starting, attributes, hostname } = options;
  const host = hostMaster(clock, { ...options.master, ids_prefix });
  const agents = simulatedFleet(host, clock, defer, {
    agents: options.agents,
    ids_prefix,
    resources: typeof resources === 'function' ? resources : () => resources,
    ...(life === undefined ? {} : { life }),
    ...(starting === undefined ? {} : { starting }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(hostname === undefined ? {} : { hostname }),
  });
  let streams = 0;
  return {
    link: () => localLink(host, defer, () => `${ids_prefix}-stream-${streams++}`, options.bundled),
    host,
    agents,
    close() {
      agents.close();
      host.close();
    },
  };
}

/** Resources as they stand in JSON: `resourcesFor({ cpus: 4, mem: 4096, ports: [31000, 32000] })`. */
export function resourcesFor(amounts: {
  readonly cpus?: number;
  readonly mem?: number;
  readonly disk?: number;
  readonly ports?: readonly [number, number];
}): readonly Resource[] {
  const resources: Resource[] = [];
  for (const name of ['cpus', 'mem', 'disk'] as const) {
    const value = amounts[name];
    if (value !== undefined && value > 0) resources.push({ name, type: 'SCALAR', scalar: { value } });
  }
  if (amounts.ports !== undefined) {
    const [begin, end] = amounts.ports;
    resources.push({ name: 'ports', type: 'RANGES', ranges: { range: [{ begin, end }] } });
  }
  return resources;
}
