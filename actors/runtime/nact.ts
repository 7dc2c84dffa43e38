// nact.ts: the production runtime: actors on nact 7.6.2, used with its grain (ARCHITECTURE.md lists what was measured).
//
// Three habits of nact shape this file. A parent's children map is copied for every message that it handles, so parents of
// many receive none. A stopped actor swallows mail silently, so liveness is asked here. And a failure that escalates wedges
// or kills, so a crash is answered with `reset` or `stop` and nothing else.
//
// There may be a million actors, so each costs as little as it can: the functions that nact wants are the same for all, and
// find the actor that they are called for by a mark on its reference. And a million messages: nact gives each an immediate,
// a promise and a context of its own, which together cost more than most handlers. Since ours are synchronous and ask for
// no context, one immediate serves all who have mail, each with one message, as nact would have.

import { type Ref, spawn, start, stop } from 'nact';
import type { Address, Behaviour, Runtime } from '../actor.ts';

class Held {
  readonly name: string;
  readonly parent: Held | undefined;
  readonly behaviour: Behaviour<unknown, unknown>;
  readonly siblings: Set<Held>;
  ref: Marked | undefined;
  actor: Actor | undefined;
  /** Most actors have none. */
  children: Set<Held> | undefined;
  alive = true;

  constructor(name: string, parent: Held | undefined, behaviour: Behaviour<unknown, unknown>, siblings: Set<Held>) {
    this.name = name;
    this.parent = parent;
    this.behaviour = behaviour;
    this.siblings = siblings;
  }

  get path(): string {
    return this.parent === undefined ? this.name : `${this.parent.path}/${this.name}`;
  }
}
type Marked = Ref<unknown> & { held?: Held };
/** nact's own object behind a reference, which it hands to nobody but calls its functions on. */
type Actor = {
  dispatch(message: unknown, sender: unknown): void;
  /** Called by `dispatch` and `processNext`, of one who is not busy: it is, until `processNext` finds no more mail. */
  handleMessage(message: unknown): void;
  processNext(): void;
  handleFault(message: unknown, sender: unknown, error: unknown): void;
  state: unknown;
  busy: boolean;
  readonly stopped: boolean;
  children: Map<string, unknown>;
  childReferences: Map<string, unknown>;
  held: Held;
};
type Context = { readonly self: Marked; readonly reset: unknown; readonly stop: unknown; readonly stopChild: unknown };

/** Names allow letters, digits and `-$_.+!*'(),` only; everything else is written as `$hh`. */
export const actorName = (text: string): string =>
  nameable.test(text) ? text : text.replace(/[^A-Za-z0-9\-_.+!*'(),]/gu, inHex);
const nameable = /^[A-Za-z0-9\-_.+!*'(),]*$/;
const inHex = (character: string): string =>
  [...new TextEncoder().encode(character)].map(byte => `$${byte.toString(16).padStart(2, '0')}`).join('');

/** Mail has no sender here; left out, nact would make an object to say so for each. */
const no_sender = null;
/** nact wants a function for messages, which its own `handleMessage` would call. */
const unheard = () => {
  throw new Error('nact handled a message itself: expected the turn to serve it');
};

/** The children of all that have none, which is nearly everybody: two empty maps for each would be a fifth of its size. */
const nobody = new Map<string, unknown>();
nobody.set = name => {
  throw new Error(`child ${String(name)} in the map of those who have none: expected a map of its parent's own`);
};

export function nactRuntime(): Runtime {
  const system = start();
  const top = new Set<Held>();
  /** Who is being born: nact asks for the first state before we have the reference to mark. */
  let newborn: Held | undefined;
  let living = 0;
  let closed = false;

  const heldOf = ({ self }: Context): Held => {
    const held = self.held ?? newborn;
    if (held === undefined) throw new Error('invalid call of nact: expected an actor that this runtime has spawned');
    return held;
  };
  const buried = (held: Held): void => {
    if (!held.alive) return;
    held.alive = false;
    living -= 1;
    for (const child of held.children ?? []) buried(child);
    held.children = undefined;
  };
  /** Who has a message to handle in the next turn, each followed by it. */
  let turn: unknown[] = [];
  /** In the place of nact's own. */
  function handleMessage(this: Actor, message: unknown): void {
    this.busy = true;
    if (turn.length === 0) setImmediate(serve);
    turn.push(this, message);
  }
  const serve = (): void => {
    const served = turn;
    turn = [];
    for (let n = 0; n < served.length; n += 2) {
      const actor = served[n] as Actor;
      const message = served[n + 1];
      // nact stops the children of a stopped actor in name only: what is in their mailboxes would still be handled.
      if (actor.stopped || !actor.held.alive) continue;
      try {
        actor.state = actor.held.behaviour.receive(actor.state, message);
      } catch (error) {
        actor.handleFault(message, no_sender, error);
        continue;
      }
      actor.processNext();
    }
  };
  const properties = {
    initialStateFunc(this: Actor, context: Context) {
      const held = heldOf(context);
      held.actor = this;
      this.held = held;
      this.handleMessage = handleMessage;
      this.children = nobody;
      this.childReferences = nobody;
      return held.behaviour.initial();
    },
    afterStop() {},
    onCrash(message: unknown, error: unknown, context: Context, child: unknown) {
      if (child !== undefined) return context.stopChild;
      const held = heldOf(context);
      if (held.behaviour.crashed(error, message) === 'reset') {
        for (const below of held.children ?? []) buried(below);
        held.children = undefined;
        return context.reset;
      }
      buried(held);
      held.siblings.delete(held);
      return context.stop;
    },
  };

  return {
    spawn<S, M>(parent: Address<never> | undefined, name: string, behaviour: Behaviour<S, M>): Address<M> {
      const above = parent as Held | undefined;
      if (above !== undefined && !above.alive)
        throw new Error(`cannot spawn ${name}: its parent ${above.path} is gone`);
      if (above !== undefined) above.children ??= new Set();
      if (above?.actor?.children === nobody) {
        above.actor.children = new Map();
        above.actor.childReferences = new Map();
      }
      const siblings = above?.children ?? top;
      const held = new Held(actorName(name), above, behaviour as Behaviour<unknown, unknown>, siblings);
      const before = newborn;
      newborn = held;
      // Counted before its birth, in which it may crash.
      siblings.add(held);
      living += 1;
      try {
        held.ref = spawn((above?.ref ?? system) as never, unheard as never, held.name, properties as never);
        held.ref.held = held;
      } catch (error) {
        buried(held);
        siblings.delete(held);
        throw error;
      } finally {
        newborn = before;
      }
      return held as Address<M>;
    },
    send(to, message) {
      const held = to as unknown as Held;
      if (!held.alive || closed) return false;
      // Without nact's `dispatch`, which looks the actor up by its path, a name at a time, for every message.
      held.actor!.dispatch(message, no_sender);
      return true;
    },
    stop(address) {
      const held = address as unknown as Held;
      if (!held.alive) return;
      buried(held);
      held.siblings.delete(held);
      stop(held.ref as never);
    },
    defer: task =>
      void setImmediate(() => {
        if (!closed) task();
      }),
    count: () => living,
    close() {
      closed = true;
      for (const held of top) buried(held);
      top.clear();
      stop(system as never);
    },
  };
}
