// offers.ts: offers and plans to match, with only what a test cares about spelled out.

import type { LaunchPlan } from '../../../mesos/match.ts';
import type { Offer } from '../../../mesos/protocol.ts';

export type OfferOf = {
  readonly id?: string;
  readonly agent?: string;
  readonly hostname?: string;
  readonly role?: string;
  readonly cpus?: number;
  readonly mem?: number;
  readonly disk?: number;
  readonly ports?: readonly (readonly [number, number])[];
  readonly rack?: string;
};

let count = 0;
export function offer({
  agent = 'S0',
  role = '*',
  cpus = 4,
  mem = 4096,
  disk = 10_000,
  ports = [[31_000, 31_999]],
  ...given
}: OfferOf = {}): Offer {
  const allocation_info = { role };
  const scalar = (name: string, value: number) => ({
    name,
    type: 'SCALAR' as const,
    scalar: { value },
    role: '*',
    allocation_info,
  });
  return {
    id: { value: given.id ?? `O${count++}` },
    framework_id: { value: 'framework-1' },
    agent_id: { value: agent },
    hostname: given.hostname ?? `host-${agent}`,
    resources: [
      ...(cpus > 0 ? [scalar('cpus', cpus)] : []),
      ...(mem > 0 ? [scalar('mem', mem)] : []),
      ...(disk > 0 ? [scalar('disk', disk)] : []),
      ...(ports.length > 0
        ? [
            {
              name: 'ports',
              type: 'RANGES' as const,
              ranges: { range: ports.map(([begin, end]) => ({ begin, end })) },
              role: '*',
              allocation_info,
            },
          ]
        : []),
    ],
    ...(given.rack === undefined
      ? {}
      : { attributes: [{ name: 'rack', type: 'TEXT' as const, text: { value: given.rack } }] }),
    allocation_info,
  };
}

export const plan = (task_id: string, given: Partial<LaunchPlan> = {}): LaunchPlan => ({
  task_id,
  name: task_id,
  group: task_id,
  resources: { cpus: 1, mem: 128, disk: 0 },
  ports: [],
  executor: undefined,
  constraints: [],
  command: { shell: true, value: 'true' },
  kill_grace_ms: 3000,
  labels: {},
  ...given,
});
