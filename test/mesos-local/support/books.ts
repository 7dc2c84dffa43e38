// books.ts: whether a master's books are straight, and dice to make them crooked with.

import { type Amount, contains, textOf } from '../../../mesos/local/amounts.ts';
import { freeOf, keyOf, type Master } from '../../../mesos/local/master-state.ts';

/** A small generator of numbers below 1, the same for the same seed. */
export function dice(seed: number) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const same = (one: Amount, other: Amount) => contains(one, other) && contains(other, one);

/** Everything that does not fit, in words. */
export function faultsOf(master: Master): string[] {
  const faults: string[] = [];
  let on_agents = 0;
  for (const agent of master.agents.values()) {
    const name = agent.info.id;
    on_agents += agent.offers.size;
    const free = freeOf(agent);
    if (agent.status === 'connected' && !same(free, agent.free))
      faults.push(`${name} has ${textOf(agent.free)} free and should have ${textOf(free)}`);
    if (agent.status !== 'connected' && agent.offers.size > 0) faults.push(`${name} is away and on offer`);
    if (agent.draining && agent.offers.size > 0) faults.push(`${name} is drained and on offer`);
    if (agent.status === 'connected' && agent.free.size > 0 && !master.spare.has(agent))
      faults.push(`${name} has something to spare that nobody knows of`);
    for (const offer of agent.offers) {
      if (master.offers.get(offer.id) !== offer) faults.push(`offer ${offer.id} is in one book and not in another`);
      if (!offer.framework.offers.has(offer)) faults.push(`offer ${offer.id} is not in its framework's book`);
      if (offer.framework.stream === undefined) faults.push(`offer ${offer.id} is held by nobody who is there`);
    }
    for (const executor of agent.executors.values())
      if (!executor.custom && executor.tasks.size === 0) faults.push(`${executor.id} holds its own and has no tasks`);
  }
  if (on_agents !== master.offers.size) faults.push(`${master.offers.size} offers, ${on_agents} of them on agents`);
  for (const framework of master.frameworks.values())
    for (const task of framework.tasks.values())
      if (task.agent.tasks.get(keyOf(framework.id, task.id)) !== task)
        faults.push(`task ${task.id} is known to its framework and not to its agent`);
  return faults;
}
