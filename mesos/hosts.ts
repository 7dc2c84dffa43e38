// hosts.ts: the agents whose offers we hold, each with everything that it has offered.
//
// One agent may lend us several offers at a time: a remainder here, a freed piece there, none of which alone would take the
// task. They may go into one ACCEPT as long as agent and allocation role are the same, so that is what a host is here: the
// sum of one agent's offers to one of our roles.

import { type Attributes, attributesOf } from './constraints.ts';
import { type Absence, absenceIn } from './maintenance.ts';
import type { Offer } from './protocol.ts';
import { type Quantities, quantitiesIn, type Stock, stockOf } from './resources.ts';
import { type Lent, lentIn } from './revocable.ts';

export type Host = {
  readonly agent_id: string;
  readonly hostname: string;
  /** The role of ours to which the offers were made; undefined where the master does not say. */
  readonly role: string | undefined;
  readonly attributes: Attributes;
  readonly offers: readonly Offer[];
  readonly stock: Stock;
  readonly free: Quantities;
  /** What the agent lends and may take back. */
  readonly lent: Lent | undefined;
  /** When the agent will be away for maintenance. */
  readonly absence: Absence | undefined;
};

/** The host that these offers make together. Throws unless all are of one agent and one role. */
export function hostOf(offers: readonly [Offer, ...Offer[]]): Host {
  const [first, ...others] = offers;
  for (const other of others)
    if (hostKeyOf(other) !== hostKeyOf(first))
      throw new Error(
        `offer ${other.id.value} of agent ${other.agent_id.value} beside offer ${first.id.value} of agent ${first.agent_id.value}: expected one agent and one role`,
      );
  // An agent's attributes may change between two offers: the newest has the last word.
  const newest = offers.at(-1)!;
  const resources = offers.flatMap(offer => offer.resources ?? []);
  const stock = stockOf(resources);
  return {
    agent_id: first.agent_id.value,
    hostname: newest.hostname,
    role: first.allocation_info?.role,
    attributes: attributesOf(newest.hostname, newest.attributes ?? []),
    offers,
    stock,
    free: quantitiesIn(stock),
    lent: lentIn(resources),
    absence: absenceIn(offers),
  };
}

/** Sorts offers into hosts, in order of first appearance. */
export function hostsOf(offers: Iterable<Offer>): readonly Host[] {
  const groups = new Map<string, [Offer, ...Offer[]]>();
  for (const offer of offers) {
    const group = groups.get(hostKeyOf(offer));
    if (group === undefined) groups.set(hostKeyOf(offer), [offer]);
    else group.push(offer);
  }
  return [...groups.values()].map(hostOf);
}

/** Offers with the same key may stand in one ACCEPT. */
export const hostKeyOf = (offer: Offer): string => `${offer.agent_id.value} ${offer.allocation_info?.role ?? ''}`;
