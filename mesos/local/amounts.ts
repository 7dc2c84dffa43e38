// amounts.ts: how much of everything an agent has, lends and takes back.
//
// A purse with one compartment per kind of coin. Scalars are counted in thousandths, as Mesos counts them, so that a
// thousand additions leave no dust behind; ranges are kept sorted, apart and never touching. What is reserved, or is a
// volume, is a coin of another kind (`kinds.ts`).

import type { Range, Resource } from '../protocol.ts';
import { isLentTo, isPlain, kindOf, nameOf, readKind, textOfKind } from './kinds.ts';

/** Thousandths of a scalar, or ranges in ascending order. */
type Quantity = number | readonly Range[];
/** By kind of resource, in the order in which they were told. No entry is empty. */
export type Amount = ReadonlyMap<string, Quantity>;

export const nothing: Amount = new Map();

/** Reads resources as they stand in JSON. Sets and what is malformed come back as a sentence. */
export function amountOf(resources: readonly Resource[]): Read {
  // Tasks come by the thousand and want the same: one amount will do for all of them.
  for (const { resources: before, read } of reads)
    if (before.length === resources.length && before.every((one, at) => isSame(one, resources[at]!))) return read;
  const read = readAmount(resources);
  reads[reading++ % reads_max] = { resources, read };
  return read;
}
/** Surely the same; no says nothing. */
function isSame(one: Resource, other: Resource): boolean {
  if (one === other) return true;
  if (one.name !== other.name || one.type !== 'SCALAR' || other.type !== 'SCALAR') return false;
  if (one.scalar === undefined || one.scalar.value !== other.scalar?.value) return false;
  return isBare(one) && isBare(other) && roleOf(one) === roleOf(other);
}
/** Neither reserved, nor a volume, nor lent. */
function isBare(resource: Resource): boolean {
  for (const field in resource) if (!bare_fields.has(field)) return false;
  return resource.role === undefined || resource.role === '*';
}
const bare_fields: ReadonlySet<string> = new Set(['name', 'type', 'scalar', 'role', 'allocation_info']);
type Read = { readonly ok: true; readonly amount: Amount } | { readonly ok: false; readonly message: string };
/** The last few: a task's, its executor's, and those of one before. */
const reads_max = 4;
const reads: { readonly resources: readonly Resource[]; readonly read: Read }[] = [];
let reading = 0;

function readAmount(resources: readonly Resource[]): Read {
  const amount = new Map<string, Quantity>();
  for (const resource of resources) {
    const { name } = resource;
    const kind = kindOf(resource);
    const before = amount.get(kind);
    if (resource.type === 'SCALAR' && resource.scalar !== undefined && typeof before !== 'object') {
      const thousandths = Math.round(resource.scalar.value * 1000);
      if (!(thousandths > 0))
        return {
          ok: false,
          message: `Resource '${name}(allocated: ${roleOf(resource)}):${thousandths / 1000}' is invalid: Invalid scalar resource: value <= 0`,
        };
      amount.set(kind, (before ?? 0) + thousandths);
    } else if (resource.type === 'RANGES' && resource.ranges !== undefined && typeof before !== 'number') {
      const range = resource.ranges.range;
      const wrong = range.find(({ begin, end }) => !(Number.isInteger(begin) && Number.isInteger(end) && begin <= end));
      if (wrong !== undefined || range.length === 0)
        return {
          ok: false,
          message: `Resource '${name}(allocated: ${roleOf(resource)}):${textOfRanges(range)}' is invalid: Invalid ranges resource: ${range.length === 0 ? 'no ranges' : 'begin > end'}`,
        };
      amount.set(kind, unionOf([...(before ?? []), ...range]));
    } else
      return {
        ok: false,
        message: `Resource '${name}' is invalid: expected a SCALAR or RANGES, and its value with it`,
      };
  }
  return { ok: true, amount };
}

const roleOf = (resource: Resource) => resource.allocation_info?.role ?? resource.role ?? '*';

export function add(one: Amount, other: Amount): Amount {
  if (one.size === 0) return other;
  const sum = new Map(one);
  addTo(sum, other);
  return sum;
}

/** Puts `other` into a purse. */
export function addTo(sum: Purse, other: Amount): void {
  for (const [name, quantity] of other) {
    const before = sum.get(name);
    if (before === undefined) sum.set(name, quantity);
    else if (typeof before === 'number' && typeof quantity === 'number') sum.set(name, before + quantity);
    else if (typeof before === 'object' && typeof quantity === 'object')
      sum.set(name, unionOf([...before, ...quantity]));
    else throw new Error(`resource ${name} is a scalar in one place and ranges in another`);
  }
}

/** What is left of `one` without `other`, which it must contain. */
export function subtract(one: Amount, other: Amount): Amount {
  const left = new Map(one);
  deduct(left, other);
  return left;
}

/** An amount that is counted down where it stands: nobody else may hold it. */
export type Purse = Map<string, Quantity>;
export const purseOf = (amount: Amount): Purse => new Map(amount);

/** Takes `other`, which must be in it, out of a purse. */
export function deduct(left: Purse, other: Amount): void {
  for (const [name, quantity] of other) {
    const before = left.get(name);
    if (typeof before === 'number' && typeof quantity === 'number' && before >= quantity) {
      if (before === quantity) left.delete(name);
      else left.set(name, before - quantity);
    } else if (typeof before === 'object' && typeof quantity === 'object' && covers(before, quantity)) {
      const ranges = without(before, quantity);
      if (ranges.length === 0) left.delete(name);
      else left.set(name, ranges);
    } else throw new Error(`cannot take ${textOf(other)} out of ${textOf(left)}: ${name} does not suffice`);
  }
}

/** What is left of `one` without as much of `other` as there is. */
export function leftOf(one: Amount, other: Amount): Amount {
  const left = new Map<string, Quantity>();
  for (const [name, quantity] of one) {
    const taken = other.get(name);
    if (typeof quantity === 'number') {
      if (quantity > (typeof taken === 'number' ? taken : 0))
        left.set(name, quantity - (typeof taken === 'number' ? taken : 0));
    } else {
      const ranges = without(quantity, typeof taken === 'object' ? taken : []);
      if (ranges.length > 0) left.set(name, ranges);
    }
  }
  return left;
}

export function contains(one: Amount, other: Amount): boolean {
  for (const [name, quantity] of other) {
    const before = one.get(name);
    if (typeof before === 'number' && typeof quantity === 'number') {
      if (before < quantity) return false;
    } else if (typeof before === 'object' && typeof quantity === 'object') {
      if (!covers(before, quantity)) return false;
    } else return false;
  }
  return true;
}

/** Whether there is so much of a scalar, of whatever kinds. Most of the time there is enough of the plain one. */
export function holdsScalar(amount: Amount, name: string, thousandths: number): boolean {
  const plain = amount.get(name);
  return (typeof plain === 'number' && plain >= thousandths) || thousandthsOf(amount, name) >= thousandths;
}

/** The thousandths of a scalar, of whatever kind; 0 when there are none. */
export function thousandthsOf(amount: Amount, name: string): number {
  let sum = 0;
  for (const [kind, quantity] of amount)
    if (typeof quantity === 'number' && (kind === name || nameOf(kind) === name)) sum += quantity;
  return sum;
}

/** What of it may be lent to a role. */
export function lendable(amount: Amount, role: string): Amount {
  let all = true;
  for (const kind of amount.keys()) if (!isPlain(kind) && !isLentTo(kind, role)) all = false;
  return all ? amount : new Map([...amount].filter(([kind]) => isLentTo(kind, role)));
}

/**
 * Resources as they stand in JSON, allocated to a role when one is named. `refined`: for a reader who knows reservations
 * refined; others are told of a role beside the resource.
 */
export function resourcesOf(amount: Amount, role: string | undefined, refined = false): Resource[] {
  const resources: Resource[] = [];
  const allocated = role === undefined ? {} : { allocation_info: { role } };
  const lent = refined ? allocated : { role: '*', ...allocated };
  for (const [kind, quantity] of amount) {
    const more = isPlain(kind) ? lent : { ...toldOf(kind, refined), ...allocated };
    const name = nameOf(kind);
    resources.push(
      typeof quantity === 'number'
        ? { name, type: 'SCALAR', scalar: { value: quantity / 1000 }, ...more }
        : { name, type: 'RANGES', ranges: { range: quantity }, ...more },
    );
  }
  return resources;
}

function toldOf(kind: string, refined: boolean) {
  const { name: _, reservations, ...told } = readKind(kind);
  if (refined) return reservations === undefined ? told : { ...told, reservations };
  return { ...told, role: reservations?.at(-1)?.role ?? '*' };
}

/** As Mesos prints it in its refusals: `cpus(allocated: *):0.1; ports(allocated: *):[80-80]`. */
export function textOf(amount: Amount, role = '*'): string {
  const parts = [...amount].map(([kind, quantity]) => {
    const told = typeof quantity === 'number' ? quantity / 1000 : textOfRanges(quantity);
    return `${nameOf(kind)}(allocated: ${role})${textOfKind(kind)}:${told}`;
  });
  return parts.length === 0 ? '{}' : parts.join('; ');
}

const textOfRanges = (ranges: readonly Range[]) => `[${ranges.map(({ begin, end }) => `${begin}-${end}`).join(', ')}]`;

function unionOf(ranges: readonly Range[]): readonly Range[] {
  const union: { begin: number; end: number }[] = [];
  for (const { begin, end } of [...ranges].sort((a, b) => a.begin - b.begin)) {
    const last = union.at(-1);
    if (last !== undefined && begin <= last.end + 1) last.end = Math.max(last.end, end);
    else union.push({ begin, end });
  }
  return union;
}

const covers = (ranges: readonly Range[], wanted: readonly Range[]) =>
  wanted.every(({ begin, end }) => ranges.some(range => range.begin <= begin && end <= range.end));

function without(ranges: readonly Range[], taken: readonly Range[]): readonly Range[] {
  let left = [...ranges];
  for (const { begin, end } of taken)
    left = left.flatMap(range => {
      if (range.end < begin || end < range.begin) return [range];
      const pieces: Range[] = [];
      if (range.begin < begin) pieces.push({ begin: range.begin, end: begin - 1 });
      if (end < range.end) pieces.push({ begin: end + 1, end: range.end });
      return pieces;
    });
  return left;
}
