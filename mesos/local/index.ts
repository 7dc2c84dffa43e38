// index.ts: the doors of the one-machine Mesos.

export type { RealAgent } from './agent-options.ts';
export { readAddress } from './docker/engine.ts';
export type { LocalLink } from './link.ts';
export { type LocalMesos, type LocalMesosOptions, startLocalMesos, wholeMachine } from './one-machine.ts';
export { sandboxFile, sandboxFolder, toldOf } from './sandbox.ts';
export { resourcesFor, type SimulatedMesos, simulatedMesos } from './simulated.ts';
export { type Life, lifeOfCommand } from './simulated-agent.ts';
