// shell.ts: what stands around every transition: performs its effects, and knows what a crash means.
//
// An actor is a pure function; this is its body. A crash of a job, a trigger or an instance resets it to its last record, and
// when it crashes too often it is put aside, so that the others go on. A crash of a singleton is the end of its tree.

import { aboutActor } from './about.ts';
import type { Behaviour } from './actor.ts';
import type { Effect } from './effects.ts';
import type { Step } from './step.ts';
import { addCrash } from './supervision.ts';
import type { TreeSettings, World } from './tree.ts';

/** Stands in for the state of an entity that was put aside. */
export class Quarantined {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** One kind of actor: what is the same for all of them. */
export type Kind<S, M> = {
  readonly name: string;
  readonly initial: (key: string) => S;
  readonly transition: (state: S, message: M, now: number) => Step<S, Effect>;
  /** What it does at birth, before its first mail; undefined: it is told to begin, or has nothing to do. */
  readonly born?: (state: S, now: number) => Step<S, Effect> | undefined;
  /** What becomes of mail to one that was put aside; undefined: a singleton, whose crash ends the tree. */
  readonly aside?: (message: M, key: string, reason: string) => readonly Effect[];
  /** After a reset: sees to it that it goes on from its last record, and is told once more what it crashed on. */
  readonly again?: (key: string, message: M) => void;
};

/** The handler around every transition: performs its effects, and knows what a crash means. */
export class Shell<S, M> implements Behaviour<S | Quarantined, M> {
  readonly #host: Host;
  readonly #kind: Kind<S, M>;
  readonly #key: string;

  constructor(host: Host, kind: Kind<S, M>, key: string) {
    this.#host = host;
    this.#kind = kind;
    this.#key = key;
  }

  initial(): S | Quarantined {
    const { quarantined, perform, world } = this.#host;
    const reason = quarantined.size === 0 ? undefined : quarantined.get(this.#who());
    if (reason !== undefined) return new Quarantined(reason);
    const state = this.#kind.initial(this.#key);
    const born = this.#kind.born?.(state, world.clock.now());
    if (born === undefined) return state;
    perform(born.effects);
    return born.state;
  }

  receive(state: S | Quarantined, message: M): S | Quarantined {
    if (state instanceof Quarantined) {
      this.#host.perform(this.#kind.aside?.(message, this.#key, state.reason) ?? []);
      return state;
    }
    const next = this.#kind.transition(state, message, this.#host.world.clock.now());
    this.#host.perform(next.effects);
    return next.state;
  }

  crashed(error: unknown, message: M | undefined): 'reset' | 'stop' {
    const { world, crashes, quarantined } = this.#host;
    const who = this.#who();
    const what = (message as { type?: string } | undefined)?.type;
    world.count('horae_actor_crashes_total', { actor: this.#kind.name }, 1);
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.log('error', { actor: who, ...this.#about(), message: what, error: told }, 'an actor crashed');
    if (this.#kind.aside === undefined) {
      world.crashed(who, error);
      return 'stop';
    }
    const now = world.clock.now();
    const { crashes: recent, exceeded } = addCrash(crashes.get(who) ?? [], now, world.settings.entity_crashes);
    crashes.set(who, recent);
    // Without a message it was its records that it could not be born from: trying again would end the same way.
    if (exceeded || message === undefined) {
      const reason = error instanceof Error ? error.message : String(error);
      quarantined.set(who, reason);
      world.log('error', { actor: who, ...this.#about(), reason }, 'put aside: it crashed again; the others go on');
      if (message !== undefined) this.#host.perform(this.#kind.aside(message, this.#key, reason));
    } else this.#kind.again?.(this.#key, message);
    return 'reset';
  }

  #about(): Readonly<Record<string, unknown>> {
    return aboutActor(this.#kind.name, this.#key);
  }

  #who(): string {
    return this.#key === '' ? this.#kind.name : `${this.#kind.name} ${this.#key}`;
  }
}

/** What every shell of one tree shares. */
export type Host = {
  readonly world: Pick<World, 'clock' | 'count' | 'log' | 'crashed'> & {
    readonly settings: Pick<TreeSettings, 'entity_crashes'>;
  };
  readonly quarantined: Map<string, string>;
  readonly crashes: Map<string, readonly number[]>;
  readonly perform: (effects: readonly Effect[]) => void;
};
