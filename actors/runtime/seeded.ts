// seeded.ts: the simulation runtime: the same actors on a queue that is stepped by hand, in an order drawn from a seed.
//
// Every mailbox keeps its own order, as mail between two actors does in production; *which* mailbox is served next is
// chance, and the chance is a number that can be printed and given again.

import type { Address, Behaviour, Runtime } from '../actor.ts';

export interface SeededRuntime extends Runtime {
  /** Handles one message or deferred task. False when there is nothing to do: everything is idle. */
  step(): boolean;
  /** Steps until idle, at most `steps_max` times; throws beyond, because then something is going round in circles. */
  settle(steps_max?: number): number;
}

type Held = {
  readonly path: string;
  readonly name: string;
  readonly behaviour: Behaviour<unknown, unknown>;
  readonly mailbox: unknown[];
  readonly children: Map<string, Held>;
  readonly parent: Held | undefined;
  state: unknown;
  alive: boolean;
};

/** A small generator (mulberry32) in [0, 1): good enough to shuffle mail, and the same on every machine. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function seededRuntime(seed: number): SeededRuntime {
  const random = seededRandom(seed);
  const top = new Map<string, Held>();
  const ready: Held[] = [];
  const deferred: (() => void)[] = [];
  let living = 0;

  const bury = (held: Held): void => {
    if (!held.alive) return;
    held.alive = false;
    living -= 1;
    held.mailbox.length = 0;
    for (const child of held.children.values()) bury(child);
    held.children.clear();
    (held.parent?.children ?? top).delete(held.name);
  };
  const born = (held: Held): void => {
    try {
      held.state = held.behaviour.initial();
    } catch (error) {
      if (held.behaviour.crashed(error, undefined) === 'reset') born(held);
      else bury(held);
    }
  };

  const runtime: SeededRuntime = {
    spawn<S, M>(parent: Address<never> | undefined, name: string, behaviour: Behaviour<S, M>): Address<M> {
      const above = parent as Held | undefined;
      if (above !== undefined && !above.alive)
        throw new Error(`cannot spawn ${name}: its parent ${above.path} is gone`);
      const siblings = above?.children ?? top;
      if (siblings.has(name)) throw new Error(`child actor of name ${name} already exists`);
      const held: Held = {
        path: above === undefined ? name : `${above.path}/${name}`,
        name,
        behaviour: behaviour as Behaviour<unknown, unknown>,
        mailbox: [],
        children: new Map(),
        parent: above,
        state: undefined,
        alive: true,
      };
      siblings.set(name, held);
      living += 1;
      born(held);
      return held as Address<M>;
    },
    send(to, message) {
      const held = to as unknown as Held;
      if (!held.alive) return false;
      if (held.mailbox.length === 0) ready.push(held);
      held.mailbox.push(message);
      return true;
    },
    stop: address => bury(address as unknown as Held),
    defer: task => void deferred.push(task),
    count: () => living,
    close() {
      for (const held of [...top.values()]) bury(held);
      deferred.length = 0;
    },
    step() {
      const choices = ready.length + (deferred.length > 0 ? 1 : 0);
      if (choices === 0) return false;
      const choice = Math.floor(random() * choices);
      if (choice === ready.length) {
        deferred.shift()!();
        return true;
      }
      const held = ready[choice]!;
      const message = held.mailbox.shift();
      if (held.mailbox.length === 0) {
        ready[choice] = ready.at(-1)!;
        ready.pop();
      }
      if (!held.alive) return true;
      try {
        held.state = held.behaviour.receive(held.state, message);
      } catch (error) {
        if (held.behaviour.crashed(error, message) === 'reset') {
          for (const child of [...held.children.values()]) bury(child);
          born(held);
        } else bury(held);
      }
      return true;
    },
    settle(steps_max = 1_000_000) {
      for (let steps = 0; steps < steps_max; steps++) if (!runtime.step()) return steps;
      throw new Error(`still busy after ${steps_max} steps: expected the actors to come to rest`);
    },
  };
  return runtime;
}
