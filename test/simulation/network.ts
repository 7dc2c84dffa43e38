// network.ts: cables between the places of a simulated world, each with two directions that can be cut apart.
//
// A stream is one direction of one connection: what is sent arrives late, in order, or not at all. A cut direction holds
// what is under way, as TCP holds it and sends it again: it arrives when the cable is whole, if the connection still
// stands then. So a call may reach its server long after whoever made it has died.

import type { Agenda } from './agenda.ts';

export type Stream = {
  readonly send: (deliver: () => void) => void;
  /** Nothing more arrives, but for the first `keep` of what is under way. */
  readonly end: (keep?: number) => void;
  readonly under_way: () => number;
};
export type Network = {
  readonly stream: (from: string, to: string) => Stream;
  readonly cut: (from: string, to: string) => void;
  readonly mend: (from: string, to: string) => void;
  readonly isCut: (from: string, to: string) => boolean;
  readonly mendAll: () => void;
  /** From now on everything takes so much longer. */
  readonly slow: (more_ms: number) => void;
};

const latency_ms_min = 0.2;
const latency_ms_usual = 2;
/** Now and then a packet is lost and sent again. */
const resent_share = 0.01;
const resent_ms = 220;

export function createNetwork(agenda: Agenda, random: () => number): Network {
  const cuts = new Set<string>();
  const held = new Map<string, Set<() => void>>();
  let slower_ms = 0;

  const latency = () =>
    latency_ms_min +
    random() * latency_ms_usual +
    random() * slower_ms +
    (random() < resent_share ? resent_ms * (1 + random()) : 0);

  const stream = (from: string, to: string): Stream => {
    const cable = `${from}>${to}`;
    let queue: { readonly deliver: () => void; readonly due: number }[] = [];
    let ended = false;
    let planned = false;
    let last = Number.NEGATIVE_INFINITY;
    const flow = () => {
      const first = queue[0];
      if (planned || first === undefined) return;
      if (cuts.has(cable)) {
        const waiting = held.get(cable) ?? new Set();
        held.set(cable, waiting);
        waiting.add(flow);
        return;
      }
      planned = true;
      agenda.at(first.due, () => {
        planned = false;
        if (cuts.has(cable)) return flow();
        const arrived = queue.shift();
        flow();
        arrived?.deliver();
      });
    };
    return {
      send(deliver) {
        if (ended) return;
        last = Math.max(last, agenda.now() + latency());
        queue.push({ deliver, due: last });
        flow();
      },
      end(keep = 0) {
        ended = true;
        queue = queue.slice(0, keep);
      },
      under_way: () => queue.length,
    };
  };
  const mend = (cable: string) => {
    cuts.delete(cable);
    const waiting = [...(held.get(cable) ?? [])];
    held.delete(cable);
    for (const flow of waiting) flow();
  };
  return {
    stream,
    cut: (from, to) => void cuts.add(`${from}>${to}`),
    mend: (from, to) => mend(`${from}>${to}`),
    isCut: (from, to) => cuts.has(`${from}>${to}`),
    mendAll() {
      for (const cable of [...cuts]) mend(cable);
      slower_ms = 0;
    },
    slow(more_ms) {
      slower_ms = more_ms;
    },
  };
}
