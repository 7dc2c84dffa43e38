// why-not.ts: what stood in the way, in numbers that a person can act on.
//
// "Pending" helps nobody. A group that found no host is told, per resource and per constraint, how many hosts that one thing
// excluded and which host came nearest, as matters stood when the matching was over.

import type { Instant } from '../schedules/clock.ts';
import { type Constraint, type ConstraintTest, valuesOf } from './constraints.ts';
import type { Host } from './hosts.ts';
import { staysFor } from './maintenance.ts';
import { type Quantities, scalar_names } from './resources.ts';

export const resource_names = [...scalar_names, 'ports'] as const;
export type ResourceName = (typeof resource_names)[number];

/**
 * `no-offers`: we hold no offer at all. `not-reached`: a limit ended the matching first; nothing is known. `no-fit`: no
 * single host has everything; one that is excluded for two things is counted at both.
 */
export type WhyNot =
  | { readonly code: 'no-offers' }
  | { readonly code: 'not-reached' }
  | {
      readonly code: 'no-fit';
      /** Hosts that were looked at. */
      readonly hosts: number;
      readonly short: { readonly [name in ResourceName]?: Shortage };
      readonly constraints: readonly Mismatch[];
      /** Hosts that go into maintenance before the work would be over; left out when there are none. */
      readonly leaving?: Leaving;
    };

/** A resource of which hosts have too little, in the units that people write (cpus, MB, a number of ports). */
export type Shortage = {
  readonly hosts_excluded: number;
  readonly needs: number;
  /** Of the hosts that have too little, the one that has most. */
  readonly nearest: { readonly agent_id: string; readonly hostname: string; readonly has: number };
};

export type Leaving = {
  readonly hosts_excluded: number;
  /** When the first of them goes. */
  readonly from: Instant;
};

/** A constraint that hosts do not satisfy. */
export type Mismatch = {
  readonly constraint: Constraint;
  readonly hosts_excluded: number;
  /** Of these, hosts that have no such attribute. */
  readonly hosts_without: number;
  /** Some of the values that the excluded hosts have instead. */
  readonly values: readonly string[];
};

/** Values shown per constraint: enough to see a misspelling. */
const values_max = 5;

type Row = { readonly host: Host; readonly free: Quantities };
type Unplaced = {
  readonly lasts_ms: number | undefined;
  readonly need: Quantities;
  readonly wanted: readonly Constraint[];
  readonly constraints: readonly ConstraintTest[];
};

/** The reason of each group. Sorts the hosts once per resource, then a group costs a few steps, not a walk over all hosts. */
export function explain(
  rows: readonly Row[],
  unplaced: ReadonlyMap<string, Unplaced | 'not-reached'>,
  now: Instant | undefined,
): ReadonlyMap<string, WhyNot> {
  const why = new Map<string, WhyNot>();
  const scales = new Map<ResourceName, readonly Row[]>();
  const reasons = new Map<Unplaced, WhyNot>();
  const mismatches = new Map<string, Mismatch>();
  const scaleOf = (name: ResourceName) => {
    let scale = scales.get(name);
    if (scale === undefined) {
      scale = rows.toSorted((a, b) => a.free[name] - b.free[name]);
      scales.set(name, scale);
    }
    return scale;
  };
  for (const [group, kind] of unplaced) {
    if (rows.length === 0) why.set(group, { code: 'no-offers' });
    else if (kind === 'not-reached') why.set(group, { code: 'not-reached' });
    else {
      let reason = reasons.get(kind);
      if (reason === undefined) {
        const short: { [name in ResourceName]?: Shortage } = {};
        for (const name of resource_names) {
          const shortage = shortageOf(name, kind.need[name], scaleOf(name));
          if (shortage !== undefined) short[name] = shortage;
        }
        const constraints = kind.wanted
          .map((constraint, n) => mismatchOf(constraint, kind.constraints[n]!, rows, mismatches))
          .filter(({ hosts_excluded }) => hosts_excluded > 0);
        const leaving = leavingOf(rows, kind.lasts_ms, now);
        reason = {
          code: 'no-fit',
          hosts: rows.length,
          short,
          constraints,
          ...(leaving === undefined ? {} : { leaving }),
        };
        reasons.set(kind, reason);
      }
      why.set(group, reason);
    }
  }
  return why;
}

/** What is short of `need` on a scale of hosts that is sorted by this resource, poorest first. */
function shortageOf(name: ResourceName, need: number, scale: readonly Row[]): Shortage | undefined {
  let low = 0;
  let high = scale.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scale[middle]!.free[name] < need) low = middle + 1;
    else high = middle;
  }
  const nearest = scale[low - 1];
  if (nearest === undefined) return undefined;
  const unit = name === 'ports' ? 1 : 1000;
  return {
    hosts_excluded: low,
    needs: need / unit,
    nearest: {
      agent_id: nearest.host.agent_id,
      hostname: nearest.host.hostname,
      has: nearest.free[name] / unit,
    },
  };
}

/** The hosts that would be gone before the work is over. */
function leavingOf(rows: readonly Row[], lasts_ms: number | undefined, now: Instant | undefined): Leaving | undefined {
  if (lasts_ms === undefined) return undefined;
  const excluded = rows.flatMap(({ host }) =>
    host.absence === undefined || staysFor({ now, lasts_ms }, host) ? [] : [host.absence.from],
  );
  return excluded.length === 0 ? undefined : { hosts_excluded: excluded.length, from: Math.min(...excluded) };
}

function mismatchOf(
  constraint: Constraint,
  test: ConstraintTest,
  rows: readonly Row[],
  known: Map<string, Mismatch>,
): Mismatch {
  const key = JSON.stringify(constraint);
  let mismatch = known.get(key);
  if (mismatch === undefined) {
    const excluded = rows.filter(({ host }) => !test(host.attributes));
    const values = new Set<string>();
    for (const { host } of excluded) {
      if (values.size >= values_max) break;
      for (const value of valuesOf(host.attributes, constraint[0])) values.add(value);
    }
    mismatch = {
      constraint,
      hosts_excluded: excluded.length,
      hosts_without: excluded.filter(({ host }) => !host.attributes.has(constraint[0])).length,
      values: [...values].slice(0, values_max),
    };
    known.set(key, mismatch);
  }
  return mismatch;
}
