// maintenance.ts: agents that are about to go, and what should not be there when they do.
//
// An operator announces when a machine will be taken out of service, and perhaps for how long. From then on its offers carry
// that time, and whoever has tasks there is asked to give the machine back (an inverse offer). It is a notice, not an order:
// the machine goes at its time, whoever is still in it. So we move in nobody who would not be out again by then.

import type { Instant } from '../schedules/clock.ts';
import { millisecondsOf } from './nanoseconds.ts';
import type { Offer, Unavailability } from './protocol.ts';

/**
 * How long work is taken to last where nobody knows: what runs for ever a day, so that it does not move in where it would be
 * asked to leave tomorrow; other work ten minutes.
 */
export const lasting = { service_ms: 86_400_000, other_ms: 600_000 } as const;

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

/** Whether a host will be there for as long as the work lasts, as far as both are known. */
export const staysFor = (
  work: { readonly now: Instant | undefined; readonly lasts_ms: number | undefined },
  host: { readonly absence: Absence | undefined },
): boolean =>
  host.absence === undefined ||
  work.now === undefined ||
  work.lasts_ms === undefined ||
  !wouldMeet(host.absence, work.now, work.lasts_ms);

/** Whether work that begins now and lasts so long would still be there when the agent goes. */
export const wouldMeet = ({ from, until }: Absence, now: Instant, lasts_ms: number): boolean =>
  now + lasts_ms > from && (until === undefined || now < until);
