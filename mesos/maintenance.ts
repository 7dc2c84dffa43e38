// maintenance.ts: agents that are about to go, and what should not be there when they do.
//
// An operator announces when a machine will be taken out of service, and perhaps for how long. From then on its offers carry
// that time, and whoever has tasks there is asked to give the machine back (an inverse offer). It is a notice, not an order:
// the machine goes at its time, whoever is still in it. So we move in nobody who would not be out again by then.

import type { Instant } from '../schedules/clock.ts';
import { millisecondsOf } from './nanoseconds.ts';
import type { Offer, Unavailability } from './protocol.ts';

/** From when an agent is away, and until when; undefined: for good. */
export type Absence = { readonly from: Instant; readonly until: Instant | undefined };

export function absenceOf({ start, duration }: Unavailability): Absence {
  const from = millisecondsOf(start);
  return { from, until: duration === undefined ? undefined : from + millisecondsOf(duration) };
}

/** The absence that an agent's offers announce; the newest has the last word. */
export function absenceIn(offers: readonly Offer[]): Absence | undefined {
  const announced = offers.at(-1)?.unavailability;
  return announced === undefined ? undefined : absenceOf(announced);
}

/** Whether work that begins now and lasts so long would still be there when the agent goes. */
export const wouldMeet = ({ from, until }: Absence, now: Instant, lasts_ms: number): boolean =>
  now + lasts_ms > from && (until === undefined || now < until);
