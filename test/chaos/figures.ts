// figures.ts: how long it took from each blow until something was launched again. Pure.

import type { Reign } from './field.ts';
import type { Mark } from './targets.ts';
import type { Event } from './weather.ts';

/** Time in which this program itself did not run: the machine stood still, and what was measured then says nothing. */
export type Stall = { readonly from_ms: number; readonly to_ms: number };
export type Failover = {
  readonly epoch: number;
  readonly node: string;
  /** What it is measured from; undefined when nothing that we did explains it. */
  readonly since_ms?: number;
  readonly after?: string;
  readonly began_ms: number;
  /** From the blow to the first launch. */
  readonly first_launch_ms?: number;
  /** The machine stood still meanwhile. */
  readonly stalled: boolean;
  /** Another fault fell before anything was launched: then it took what both of them take. */
  readonly struck_again: boolean;
};

export function failovers(
  reigns: readonly Reign[],
  events: readonly Event[],
  marks: readonly Mark[],
  stalls: readonly Stall[],
): readonly Failover[] {
  const starts = startsIn(marks);
  return reigns.slice(1).map((reign, n) => {
    const before_ms = reigns[n]!.at_ms;
    const within = (at_ms: number | undefined): at_ms is number =>
      at_ms !== undefined && at_ms > before_ms && at_ms <= reign.at_ms;
    const hit = events.find(event => within(event.leader_hit_ms));
    const back = events.findLast(event => within(event.back_ms));
    // A fault that was not meant to change the leader may do so all the same: then from where it began.
    const any = events.findLast(event => event.from_ms <= reign.at_ms && event.to_ms >= before_ms);
    const since_ms = later(hit?.leader_hit_ms, back?.back_ms) ?? any?.from_ms;
    const after = [hit, back].filter(each => each !== undefined).map(({ fault }) => fault.kind);
    const first = starts.find(at_ms => at_ms >= reign.at_ms);
    return {
      epoch: reign.epoch,
      node: reign.node,
      began_ms: reign.at_ms,
      ...(since_ms === undefined ? {} : { since_ms, after: after.join(' and ') || any!.fault.kind }),
      ...(since_ms === undefined || first === undefined ? {} : { first_launch_ms: first - since_ms }),
      struck_again: events.some(
        event => event.from_ms > (since_ms ?? before_ms) && event.from_ms < (first ?? reign.at_ms),
      ),
      stalled: stalls.some(
        ({ from_ms, to_ms }) => from_ms <= (first ?? reign.at_ms) && to_ms >= (since_ms ?? before_ms),
      ),
    };
  });
}

/** From each of these moments until something was launched again, where the machine ran all the while. */
export function resumptions(
  moments: readonly (number | undefined)[],
  marks: readonly Mark[],
  stalls: readonly Stall[],
): readonly number[] {
  const starts = startsIn(marks);
  return moments.flatMap(moment => {
    const first = moment === undefined ? undefined : starts.find(at_ms => at_ms >= moment);
    if (moment === undefined || first === undefined) return [];
    return stalls.some(({ from_ms, to_ms }) => from_ms <= first && to_ms >= moment) ? [] : [first - moment];
  });
}

const startsIn = (marks: readonly Mark[]) =>
  marks
    .filter(({ verb }) => verb === 'start')
    .map(({ at_ms }) => at_ms)
    .sort((one, other) => one - other);

const later = (one: number | undefined, other: number | undefined) =>
  one === undefined ? other : other === undefined ? one : Math.max(one, other);

export type Spread = {
  readonly measured: number;
  readonly p50_ms?: number;
  readonly p99_ms?: number;
  readonly max_ms?: number;
};
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) return { measured: 0 };
  return {
    measured: values.length,
    p50_ms: percentile(values, 0.5)!,
    p99_ms: percentile(values, 0.99)!,
    max_ms: Math.max(...values),
  };
}

/** The value below which that share of all lies, as one of them. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}
