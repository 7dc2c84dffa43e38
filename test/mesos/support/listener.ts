// listener.ts: everything that a link told its listener, in order.

import type { Event, LinkEnd, LinkListener } from '../../../mesos/protocol.ts';
import { until } from '../../support/until.ts';

export type Heard = LinkListener & {
  readonly list: readonly Event[];
  readonly batches: readonly (readonly Event[])[];
  readonly ends: readonly LinkEnd[];
  /** The first end, when it has come. */
  readonly end: () => Promise<LinkEnd>;
  /** Resolves when so many events are there. */
  readonly count: (n: number) => Promise<void>;
};

export function listener(tell: (event: Event) => void = () => undefined): Heard {
  const list: Event[] = [];
  const batches: (readonly Event[])[] = [];
  const ends: LinkEnd[] = [];
  return {
    list,
    batches,
    ends,
    events(events) {
      if (ends.length > 0) throw new Error(`${events.length} events after the end`);
      batches.push(events);
      list.push(...events);
      events.forEach(tell);
    },
    ended: end => void ends.push(end),
    end: () => until('the end of the subscription', () => ends[0]),
    async count(n) {
      await until(`${n} events`, () => list.length >= n);
    },
  };
}
