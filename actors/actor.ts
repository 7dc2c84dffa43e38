// actor.ts: the port behind which actors run, whatever runs them.
//
// An actor is a mailbox and a handler: one message at a time, in order of arrival from each sender, synchronously. Two
// runtimes keep this promise under one suite of tests: nact in production (runtime/nact.ts), and a seeded, single-stepped
// queue for simulation (runtime/seeded.ts), because nact runs on setImmediate and can neither be reordered nor asked
// whether it is idle.

declare const message_brand: unique symbol;

/** Where an actor is reached. Branded by what it understands, so that protocols cannot be confused. */
export type Address<M> = { readonly [message_brand]?: (message: M) => void; readonly path: string };

export type Behaviour<S, M> = {
  /** The state at birth and after a reset. Must not hand out an object that a handler mutates in place elsewhere. */
  readonly initial: () => S;
  /** Handles one message and returns the next state. Synchronous. What it throws is a crash. */
  readonly receive: (state: S, message: M) => S;
  /**
   * Decides after a crash. `reset`: `initial` again, and the mailbox goes on; the message that crashed is not repeated.
   * `stop`: the actor and its children are gone. Must not throw.
   */
  readonly crashed: (error: unknown, message: M | undefined) => 'reset' | 'stop';
};

export interface Runtime {
  /** Starts an actor under `parent` (undefined: at the top). Names are unique among siblings. */
  spawn<S, M>(parent: Address<never> | undefined, name: string, behaviour: Behaviour<S, M>): Address<M>;
  /** Puts a message into a mailbox. To an actor that is gone: nothing happens, and `false` is the answer. */
  send<M>(to: Address<M>, message: M): boolean;
  /** Stops an actor and everything below it. Mail that waits is dropped. */
  stop(address: Address<never>): void;
  /** Runs `task` after the present handler, before the process may rest; in order of deferral. */
  defer(task: () => void): void;
  /** Living actors. */
  count(): number;
  /** Stops everything. */
  close(): void;
}
