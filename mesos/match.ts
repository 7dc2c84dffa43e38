// match.ts: who goes where.
//
// Seat guests in the order in which they came, at tables of which we know the free chairs. Guests of one party (a group:
// one job's configuration) want the same; when one of them finds no table in the house, the others of that party need not
// look either, and the next party is not kept waiting by them. Every party that is left standing is told why.
//
// Packing is the default: the fullest host that will do, so that whole hosts stay free for large tasks and few ACCEPTs carry
// many launches. Spreading goes round the hosts instead, emptiest first, one task each, for those who fear a host's death
// more than fragments.

import type { Instant } from '../schedules/clock.ts';
import { type Constraint, type ConstraintTest, compileConstraint } from './constraints.ts';
import type { ContainerPlan } from './container-info.ts';
import { fitIndex } from './fit-index.ts';
import type { Host } from './hosts.ts';
import { staysFor } from './maintenance.ts';
import type { CommandInfo, Environment, Resource, RLimit, Uri } from './protocol.ts';
import {
  add,
  contains,
  nothing,
  type Quantities,
  quantitiesOf,
  type Stock,
  subtract,
  type Taken,
  take,
  type Wanted,
} from './resources.ts';
import { borrow, canLend } from './revocable.ts';
import type { ProcessesPlan } from './task-info.ts';
import { explain, type WhyNot } from './why-not.ts';

/** One task that waits for a host: what Mesos must be told of it, and nothing about jobs. */
export type LaunchPlan = {
  readonly task_id: string;
  readonly name: string;
  /** Plans of one group have equal requirements: a no for one is a no for all. */
  readonly group: string;
  readonly resources: Wanted;
  /** Names of ports; each gets a number, told to the task as PORT_<name>. */
  readonly ports: readonly string[];
  /** What its executor needs beside the task; undefined: launch without one, as a command task. */
  readonly executor: Wanted | undefined;
  readonly constraints: readonly Constraint[];
  /** About how long it will be there: it does not go where the agent leaves before. Left out: it goes anywhere. */
  readonly lasts_ms?: number;
  /** It does not mind being ended when the agent wants its resources back, and takes such first. */
  readonly revocable?: boolean;
  readonly command: CommandInfo;
  /** What it is put into; left out: the agent's own file system. */
  readonly container?: ContainerPlan;
  /** As whom it runs; left out: as the framework's user. */
  readonly user?: string;
  /** What the agent brings into its sandbox. */
  readonly uris?: readonly Uri[];
  /** What it is handed by whoever keeps it: by a name there, as a variable or a file. */
  readonly secrets?: readonly { readonly of: string; readonly env?: string; readonly file?: string }[];
  /** Limits of each of its processes. */
  readonly rlimits?: readonly RLimit[];
  /** Processes for Horae's own executor, whose needs are those in `executor`; then there is no command. */
  readonly processes?: ProcessesPlan;
  /** An executor of the job's own, whose needs are those in `executor`; then there is no command. */
  readonly custom?: CustomPlan;
  readonly kill_grace_ms: number;
  /** Under which name others of the cluster find its ports; left out: nobody does. */
  readonly discovery_name?: string;
  readonly labels: Readonly<Record<string, string>>;
};

/** Started on an agent by the first task that names it. `data`: what each task carries for it. */
export type CustomPlan = {
  readonly id: string;
  readonly command: string;
  readonly data?: string;
  readonly environment: Environment;
};

/** A plan that has found its host, with the very resources it gets. */
export type Placement = {
  readonly plan: LaunchPlan;
  readonly agent_id: string;
  readonly hostname: string;
  /** Every offer of the host: they are accepted together, and what is left over goes back with the ACCEPT's filter. */
  readonly offer_ids: readonly string[];
  readonly ports: Readonly<Record<string, number>>;
  readonly resources: readonly Resource[];
  readonly executor_resources: readonly Resource[];
  /** Where its plan stands among those that waited. */
  readonly index: number;
};

export type MatchOptions = {
  /** For agents that will be away. Left out: nobody looks at that. */
  readonly now?: Instant;
  readonly strategy?: 'pack' | 'spread';
  /** Placements after which a call ends. */
  readonly placements_max?: number;
  /** Looks at hosts and at nodes of the fit index after which a call ends: about 20 ns each. */
  readonly visits_max?: number;
};

export type Matched = {
  /** In the order of `waiting`. */
  readonly placements: readonly Placement[];
  /** Why groups have plans that were not placed, by group. */
  readonly why: ReadonlyMap<string, WhyNot>;
  /** How many of `waiting` were looked at before a limit ended the call; let the rest go first next time. */
  readonly reached: number;
};

const no_ports: Placement['ports'] = {};
/** More than any other score. */
const gpu_score = 10;
export const match_defaults = { placements_max: 100_000, visits_max: 5_000_000 } as const;

/** Groups with the same needs and constraints: they share what has been found out. */
export type Kind = {
  readonly need: Quantities;
  readonly task: Quantities;
  readonly executor: Quantities | undefined;
  readonly constraints: readonly ConstraintTest[];
  readonly wanted: readonly Constraint[];
  readonly lasts_ms: number | undefined;
  readonly now: Instant | undefined;
  readonly revocable: boolean;
  /** Per position: 0 not asked yet, 1 satisfies the constraints, 2 does not. */
  readonly satisfied: Int8Array | undefined;
  /** Where an EQUALS narrows the choice: the positions that have this value, in order. */
  readonly candidates: readonly number[] | undefined;
  /** Packing: no host before this position has room, and free space only shrinks. */
  from: number;
  /** No host before this position lends what is needed, and what is lent only shrinks. */
  lend_from: number;
  /** No host at all will do. */
  exhausted: boolean;
};

/** Gives hosts to as many of the waiting plans as fit, in their order. Commits no host beyond what it has. */
export function match(
  hosts: readonly Host[],
  waiting: readonly LaunchPlan[],
  {
    now,
    strategy = 'pack',
    placements_max = match_defaults.placements_max,
    visits_max = match_defaults.visits_max,
  }: MatchOptions = {},
): Matched {
  const rows = inOrder(hosts, strategy).map(host => ({
    host,
    free: host.free,
    stock: host.stock,
    lent: host.lent,
    offer_ids: host.offers.map(offer => offer.id.value),
  }));
  const index = fitIndex(rows);
  const kinds = kindsOf(
    rows.map(row => row.host),
    now,
  );
  const placements: Placement[] = [];
  const unplaced = new Map<string, Kind | 'not-reached'>();
  let round = 0; // Spreading: where the next plan begins to look.
  let reached = 0;
  let looks = 0; // At candidates, beside the index.

  /** The first position in [from, to) with room whose host satisfies the constraints. */
  const seek = (kind: Kind, from: number, to: number): number => {
    if (kind.candidates !== undefined) {
      for (let n = lowerBound(kind.candidates, from); n < kind.candidates.length && kind.candidates[n]! < to; n++) {
        looks++;
        const at = kind.candidates[n]!;
        if (contains(rows[at]!.free, kind.need) && satisfies(kind, at, rows[at]!.host)) return at;
      }
      return -1;
    }
    for (let at = index.next(kind.need, from, to); at >= 0; at = index.next(kind.need, at + 1, to))
      if (satisfies(kind, at, rows[at]!.host)) return at;
    return -1;
  };
  /** The first host that lends some of what this kind needs and has the rest. */
  const seekLender = (kind: Kind): number => {
    for (; kind.lend_from < rows.length; kind.lend_from++) {
      looks++;
      const { lent, free, host } = rows[kind.lend_from]!;
      const can = lent !== undefined && canLend(kind.need, lent.free, free);
      if (can && satisfies(kind, kind.lend_from, host)) return kind.lend_from;
    }
    return -1;
  };
  const find = (kind: Kind): number => {
    const lender = kind.revocable ? seekLender(kind) : -1;
    if (lender >= 0) return lender;
    if (strategy === 'pack') {
      const at = seek(kind, kind.from, rows.length);
      if (at >= 0) kind.from = at;
      return at;
    }
    const ahead = seek(kind, round, rows.length);
    const at = ahead >= 0 ? ahead : seek(kind, 0, round);
    if (at >= 0) round = (at + 1) % rows.length;
    return at;
  };

  for (const plan of waiting) {
    if (placements.length >= placements_max || index.visits() + looks >= visits_max) break;
    const place = reached++;
    const kind = kinds.of(plan);
    const at = kind.exhausted ? -1 : find(kind);
    if (at < 0) {
      kind.exhausted = true;
      if (!unplaced.has(plan.group)) unplaced.set(plan.group, kind);
      continue;
    }
    const row = rows[at]!;
    const borrowing = kind.revocable && row.lent !== undefined ? borrow(row, row.lent, kind) : undefined;
    const { executor, task } = borrowing ?? own(row.stock, kind);
    if (borrowing === undefined) {
      row.stock = task.stock;
      row.free = subtract(row.free, kind.need);
    } else {
      row.stock = borrowing.stock;
      row.free = borrowing.free;
      row.lent = borrowing.lent;
    }
    index.set(at, row.free);
    placements.push({
      plan,
      agent_id: row.host.agent_id,
      hostname: row.host.hostname,
      offer_ids: row.offer_ids,
      ports:
        plan.ports.length === 0 ? no_ports : Object.fromEntries(plan.ports.map((name, n) => [name, task.ports[n]!])),
      resources: task.resources,
      executor_resources: executor?.resources ?? [],
      index: place,
    });
  }
  for (let n = reached; n < waiting.length; n++) {
    const { group } = waiting[n]!;
    if (!unplaced.has(group)) unplaced.set(group, 'not-reached');
  }
  return { placements, why: explain(rows, unplaced, now), reached };
}

/** What a kind takes, all of it the host's own. */
function own(stock: Stock, { executor, task }: Kind): { executor: Taken | undefined; task: Taken } {
  const first = executor === undefined ? undefined : take(stock, executor);
  return { executor: first, task: take(first?.stock ?? stock, task) };
}

/** Packing: fullest first. Spreading: emptiest first. Equals keep their order; hosts with GPUs come last, for who needs them. */
function inOrder(hosts: readonly Host[], strategy: 'pack' | 'spread'): readonly Host[] {
  let cpus_max = 1;
  let mem_max = 1;
  for (const { free } of hosts) {
    cpus_max = Math.max(cpus_max, free.cpus);
    mem_max = Math.max(mem_max, free.mem);
  }
  const sign = strategy === 'pack' ? 1 : -1;
  const scored = hosts.map(host => ({
    host,
    score: sign * (host.free.cpus / cpus_max + host.free.mem / mem_max) + (host.free.gpus > 0 ? gpu_score : 0),
  }));
  return scored.sort((a, b) => a.score - b.score).map(({ host }) => host);
}

/** The kind of a plan, made once per group and shared by groups that want the same. */
function kindsOf(hosts: readonly Host[], now: Instant | undefined): { of(plan: LaunchPlan): Kind } {
  const equals = equalsIndex(hosts);
  const leaving = now !== undefined && hosts.some(({ absence }) => absence !== undefined);
  const by_group = new Map<string, Kind>();
  const by_signature = new Map<string, Kind>();
  let last: { readonly plan: LaunchPlan; readonly kind: Kind } | undefined;
  return {
    of(plan) {
      const known = by_group.get(plan.group);
      if (known !== undefined) return known;
      // Thousands of jobs want the same, one after the other: to see that is quicker than to write it down.
      if (last !== undefined && wantSame(last.plan, plan)) {
        by_group.set(plan.group, last.kind);
        return last.kind;
      }
      const task = quantitiesOf(plan.resources, plan.ports.length);
      const executor = plan.executor === undefined ? undefined : quantitiesOf(plan.executor);
      const signature = JSON.stringify([task, executor, plan.constraints, plan.lasts_ms, plan.revocable]);
      let kind = by_signature.get(signature);
      if (kind === undefined) {
        kind = {
          need: add(task, executor ?? nothing),
          task,
          executor,
          constraints: plan.constraints.map(testOf),
          wanted: plan.constraints,
          lasts_ms: leaving ? plan.lasts_ms : undefined,
          revocable: plan.revocable === true,
          now,
          satisfied:
            plan.constraints.length > 0 || (leaving && plan.lasts_ms !== undefined)
              ? new Int8Array(hosts.length)
              : undefined,
          candidates: plan.constraints
            .filter(([, operator]) => operator === 'EQUALS')
            .map(([attribute, , value]) => equals(attribute, value))
            .sort((a, b) => a.length - b.length)[0],
          from: 0,
          lend_from: 0,
          exhausted: false,
        };
        by_signature.set(signature, kind);
      }
      by_group.set(plan.group, kind);
      last = { plan, kind };
      return kind;
    },
  };
}

/** Surely the same needs and no constraints; no says nothing. */
const wantSame = (one: LaunchPlan, other: LaunchPlan): boolean =>
  one.resources.cpus === other.resources.cpus &&
  one.resources.mem === other.resources.mem &&
  one.resources.disk === other.resources.disk &&
  one.resources.gpus === other.resources.gpus &&
  one.ports.length === other.ports.length &&
  one.executor === other.executor &&
  one.constraints.length === 0 &&
  other.constraints.length === 0 &&
  one.lasts_ms === other.lasts_ms &&
  one.revocable === other.revocable;

/** The positions of the hosts that have this text for that attribute, looked up once per attribute. */
function equalsIndex(hosts: readonly Host[]): (attribute: string, value: string) => readonly number[] {
  const by_attribute = new Map<string, Map<string, number[]>>();
  return (attribute, value) => {
    let by_value = by_attribute.get(attribute);
    if (by_value === undefined) {
      by_value = new Map();
      for (const [position, host] of hosts.entries())
        for (const { text } of host.attributes.get(attribute) ?? []) {
          if (text === undefined) continue;
          const positions = by_value.get(text.value);
          if (positions === undefined) by_value.set(text.value, [position]);
          else if (positions.at(-1) !== position) positions.push(position);
        }
      by_attribute.set(attribute, by_value);
    }
    return by_value.get(value) ?? [];
  };
}

/** Where in an ascending list the first number not below `from` stands. */
function lowerBound(list: readonly number[], from: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]! < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A constraint that cannot be read should have been refused with its job; here it is one that no host satisfies. */
function testOf(constraint: Constraint): ConstraintTest {
  const compiled = compileConstraint(constraint);
  return compiled.ok ? compiled.value : () => false;
}

function satisfies(kind: Kind, position: number, host: Host): boolean {
  if (kind.satisfied === undefined) return true;
  if (kind.satisfied[position] === 0)
    kind.satisfied[position] = kind.constraints.every(test => test(host.attributes)) && staysFor(kind, host) ? 1 : 2;
  return kind.satisfied[position] === 1;
}
