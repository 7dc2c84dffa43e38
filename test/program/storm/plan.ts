// plan.ts: what a storm does, drawn from its seed: when the program is killed, and what is asked of it meanwhile.
//
// Pure. The machine decides how far the program gets before each blow, so a seed repeats the plan and not every detail.

import type { JobKey } from '../../../actors/model/ids.ts';
import { type Entry, keyOf, lasting, longRun, type Place, passing, passingService } from './jobs.ts';

/** When the program is killed in one of its lives. */
export type Blow =
  /** Counted from the start of the process, whether it listens by then or not. */
  | { readonly when: 'starting'; readonly after_ms: number }
  /** Counted from when it listens. */
  | { readonly when: 'running'; readonly after_ms: number }
  /** The moment the answer to the `nth` write has arrived: what was promised a moment ago must hold. */
  | { readonly when: 'answered'; readonly nth: number }
  /** So long after the `nth` write was sent: it may be decided and not written, or written and not answered. */
  | { readonly when: 'sent'; readonly nth: number; readonly after_ms: number }
  /** Asked to end in good order, and killed so long after that. It may have ended by then. */
  | { readonly when: 'stopping'; readonly after_ms: number }
  /** As `running`, and every task with its wrapper as well: how those ended nobody can know. */
  | { readonly when: 'everything'; readonly after_ms: number };

export type Operation =
  | { readonly type: 'create'; readonly entry: Entry }
  | { readonly type: 'replace'; readonly entry: Entry }
  | { readonly type: 'delete'; readonly key: JobKey }
  | { readonly type: 'run'; readonly key: JobKey; readonly wish: string }
  | { readonly type: 'kill-all'; readonly key: JobKey };

type Chance = () => number;
const below = (chance: Chance, limit: number) => Math.floor(chance() * limit);

export function* blows(chance: Chance): Generator<Blow, never> {
  for (;;) {
    const dice = chance();
    if (dice < 0.25) yield { when: 'starting', after_ms: below(chance, 1200) };
    else if (dice < 0.55) yield { when: 'running', after_ms: below(chance, 2500) };
    else if (dice < 0.72) yield { when: 'answered', nth: 1 + below(chance, 6) };
    else if (dice < 0.88) yield { when: 'sent', nth: 1 + below(chance, 6), after_ms: below(chance, 12) };
    else if (dice < 0.95) yield { when: 'stopping', after_ms: below(chance, 60) };
    else yield { when: 'everything', after_ms: below(chance, 2500) };
  }
}

/** Jobs that come and go at once. */
const guests_max = 3;

/** First the jobs that last, then a mix without end. Each is to be carried out before the next. */
export function* operations(chance: Chance, place: Place): Generator<Operation, never> {
  for (const entry of lasting(place)) yield { type: 'create', entry };
  /** Number of a guest that is there -> its generation. */
  const here = new Map<number, number>();
  for (let number = 0; ; number++) {
    const dice = chance();
    if (dice < 0.25)
      yield {
        type: 'create',
        entry: longRun(place, number, 1 + below(chance, 7), below(chance, 2) * below(chance, 256)),
      };
    else if (dice < 0.5) yield { type: 'run', key: 'storm/test/hand', wish: `wish-${number}` };
    else if (dice < 0.55) yield { type: 'kill-all', key: 'storm/test/hand' };
    else {
      const guest = below(chance, guests_max);
      const generation = here.get(guest);
      const entry = (guest === 0 ? passingService : passing)(place, guest, number);
      if (generation !== undefined && chance() < 0.5) {
        here.delete(guest);
        yield { type: 'delete', key: keyOf(entry.document) };
      } else {
        here.set(guest, number);
        yield { type: generation === undefined ? 'create' : 'replace', entry };
      }
    }
  }
}
