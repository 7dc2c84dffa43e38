// nact.ts: the production runtime: actors on nact 7.6.2, used with its grain (ARCHITECTURE.md lists what was measured).
//
// Three habits of nact shape this file. A parent's children map is copied for every message that it handles, so parents of
// many receive none. A stopped actor swallows mail silently, so liveness is asked here. And a failure that escalates wedges
// or kills, so a crash is answered with `reset` or `stop` and nothing else.

import { dispatch, type Ref, spawn, start, stop } from 'nact';
import type { Address, Behaviour, Runtime } from '../actor.ts';

type Held = {
  readonly path: string;
  readonly ref: Ref<unknown>;
  children: Set<Held> | undefined;
  readonly parent: Held | undefined;
  alive: boolean;
};

/** Names allow letters, digits and `-$_.+!*'(),` only; everything else is written as `$hh`. */
export const actorName = (text: string): string =>
  nameable.test(text) ? text : text.replace(/[^A-Za-z0-9\-_.+!*'(),]/gu, inHex);
const nameable = /^[A-Za-z0-9\-_.+!*'(),]*$/;
const inHex = (character: string): string =>
  [...new TextEncoder().encode(character)].map(byte => `$${byte.toString(16).padStart(2, '0')}`).join('');

export function nactRuntime(): Runtime {
  const system: Ref<unknown> = start();
  const top = new Set<Held>();
  let living = 0;
  let closed = false;

  const buried = (held: Held): void => {
    if (!held.alive) return;
    held.alive = false;
    living -= 1;
    for (const child of held.children ?? []) buried(child);
    held.children = undefined;
  };

  return {
    spawn<S, M>(parent: Address<never> | undefined, name: string, behaviour: Behaviour<S, M>): Address<M> {
      const above = parent as Held | undefined;
      if (above !== undefined && !above.alive)
        throw new Error(`cannot spawn ${name}: its parent ${above.path} is gone`);
      // Most actors have no children; a set for each of a million triggers would be dear.
      if (above !== undefined) above.children ??= new Set();
      const siblings = above?.children ?? top;
      const ref = spawn(
        (above?.ref ?? system) as never,
        ((state: S, message: M) => behaviour.receive(state, message)) as never,
        actorName(name),
        {
          initialStateFunc: () => behaviour.initial(),
          onCrash: ((
            message: M | undefined,
            error: unknown,
            ctx: Record<'reset' | 'stop' | 'stopChild', unknown>,
            child: unknown,
          ) => {
            if (child !== undefined) return ctx.stopChild;
            if (behaviour.crashed(error, message) === 'reset') return ctx.reset;
            buried(held);
            siblings.delete(held);
            return ctx.stop;
          }) as never,
        } as never,
      ) as Ref<unknown>;
      const held: Held = {
        path: above === undefined ? name : `${above.path}/${name}`,
        ref,
        children: undefined,
        parent: above,
        alive: true,
      };
      siblings.add(held);
      living += 1;
      return held as Address<M>;
    },
    send(to, message) {
      const held = to as unknown as Held;
      if (!held.alive || closed) return false;
      dispatch(held.ref as never, message as never);
      return true;
    },
    stop(address) {
      const held = address as unknown as Held;
      if (!held.alive) return;
      buried(held);
      (held.parent?.children ?? top).delete(held);
      stop(held.ref as never);
    },
    defer: task => void setImmediate(task),
    count: () => living,
    close() {
      closed = true;
      for (const held of top) buried(held);
      top.clear();
      stop(system as never);
    },
  };
}
