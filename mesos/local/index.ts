// index.ts: the doors of the one-machine Mesos.

export type { LocalLink } from './link.ts';
export { resourcesFor, type SimulatedMesos, simulatedMesos } from './simulated.ts';
export { type Life, lifeOfCommand } from './simulated-agent.ts';
