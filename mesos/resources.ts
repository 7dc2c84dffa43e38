// resources.ts: how much of a machine there is, counted the way Mesos counts it.
//
// Think of a grocer's shelf. Matching only asks how much lies on it (quantities, a few numbers that add and subtract);
// handing goods over must say from which box they come, because Mesos wants back exactly what it offered: so much of the
// cpus reserved for us, so much of those that are anybody's, these ports and no others (a stock, from which we take).
//
// Mesos keeps three decimal digits of a scalar. We count whole thousandths, so that 0.1 + 0.2 is 0.3 here too.

import type { Range, Resource } from './protocol.ts';

export const scalar_names = ['cpus', 'mem', 'disk', 'gpus'] as const;
export type ScalarName = (typeof scalar_names)[number];
/** A scalar in thousandths: 0.1 cpus = 100, 32 MB = 32,000. Always a whole number. */
export type Thousandths = number;
/** Scalars in thousandths, and how many ports. */
export type Quantities = { readonly [name in ScalarName]: Thousandths } & { readonly ports: number };

/** What a task asks for, in the units that people write. */
export type Wanted = { readonly cpus: number; readonly mem: number; readonly disk: number; readonly gpus?: number };

export const nothing: Quantities = { cpus: 0, mem: 0, disk: 0, gpus: 0, ports: 0 };

/** What `wanted` and so many ports come to. Rounded up: less than a thousandth would reach Mesos as 0 and be refused. */
export function quantitiesOf(wanted: Wanted, ports = 0): Quantities {
  return {
    cpus: roundUp(wanted.cpus),
    mem: roundUp(wanted.mem),
    disk: roundUp(wanted.disk),
    gpus: roundUp(wanted.gpus ?? 0),
    ports,
  };
}

export const add = (a: Quantities, b: Quantities): Quantities => ({
  cpus: a.cpus + b.cpus,
  mem: a.mem + b.mem,
  disk: a.disk + b.disk,
  gpus: a.gpus + b.gpus,
  ports: a.ports + b.ports,
});

export const subtract = (a: Quantities, b: Quantities): Quantities => ({
  cpus: a.cpus - b.cpus,
  mem: a.mem - b.mem,
  disk: a.disk - b.disk,
  gpus: a.gpus - b.gpus,
  ports: a.ports - b.ports,
});

/** Whether `b` can be taken out of `a`. */
export const contains = (a: Quantities, b: Quantities): boolean =>
  a.cpus >= b.cpus && a.mem >= b.mem && a.disk >= b.disk && a.gpus >= b.gpus && a.ports >= b.ports;

// --- stock: what is offered, box by box -----------------------------------------------------------------------------

/** A Resource without its amount: name, type, role, reservations, allocation. It goes back to Mesos as it came. */
export type Box = Omit<Resource, 'scalar' | 'ranges' | 'set'>;
export type ScalarBox = {
  readonly box: Box;
  readonly left: Thousandths;
  /** What was last taken out of it: tasks of one job all take the same, and need not each have an object for it. */
  readonly last?: Resource;
};
export type PortBox = { readonly box: Box; readonly left: readonly Range[] };
export type Stock = { readonly [name in ScalarName]: readonly ScalarBox[] } & { readonly ports: readonly PortBox[] };

/**
 * Sorts the resources of offers into a stock: those that are ours while we need them, or those that the agent may take back
 * (`revocable`), never both. Left aside is what a plain task must not be given: disks with a source or a volume on them, sets,
 * names that we do not know, and amounts that make no sense (negative, not a number, a port beyond 65535), whoever sent them.
 */
export function stockOf(resources: readonly Resource[], which: 'lasting' | 'revocable' = 'lasting'): Stock {
  const scalars: { [name in ScalarName]: ScalarBox[] } = { cpus: [], mem: [], disk: [], gpus: [] };
  const ports: PortBox[] = [];
  let ports_seen: readonly Range[] = [];
  for (const resource of resources) {
    if ((resource.revocable !== undefined) !== (which === 'revocable') || resource.disk !== undefined) continue;
    const { scalar, ranges, set, ...box } = resource;
    if (resource.name === 'ports' && ranges !== undefined) {
      // A port that two boxes claim is counted once: it can be given away only once.
      const left = subtractRanges(mergeRanges((ranges.range ?? []).map(clampToPorts)), ports_seen);
      if (left.length === 0) continue;
      ports_seen = mergeRanges([...ports_seen, ...left]);
      ports.push({ box, left });
    } else if (isScalarName(resource.name) && scalar !== undefined) {
      const left = Number.isFinite(scalar.value) ? Math.min(amount_max, Math.round(scalar.value * 1000)) : 0;
      if (left <= 0) continue;
      const boxes = scalars[resource.name];
      const same = boxes.findIndex(other => sameBox(other.box, box));
      if (same < 0) boxes.push({ box, left });
      else boxes[same] = { box, left: boxes[same]!.left + left };
    }
  }
  // What is reserved for us goes first: nobody else can use it, so it would lie idle.
  for (const name of scalar_names) scalars[name].sort((a, b) => Number(isReserved(b.box)) - Number(isReserved(a.box)));
  ports.sort((a, b) => Number(isReserved(b.box)) - Number(isReserved(a.box)));
  return { ...scalars, ports };
}

/** How much a stock holds in all. */
export function quantitiesIn(stock: Stock): Quantities {
  const sum = (boxes: readonly ScalarBox[]) => boxes.reduce((total, { left }) => total + left, 0);
  return {
    cpus: sum(stock.cpus),
    mem: sum(stock.mem),
    disk: sum(stock.disk),
    gpus: sum(stock.gpus),
    ports: stock.ports.reduce((total, { left }) => total + countRanges(left), 0),
  };
}

export type Taken = {
  /** What is left after the taking. */
  readonly stock: Stock;
  /** What was taken, as Mesos wants it written in a task or an executor. */
  readonly resources: readonly Resource[];
  /** The port numbers among it, lowest first. */
  readonly ports: readonly number[];
};

/** Takes `need` out of `stock`. Throws when it is not there: whoever takes has counted first. */
export function take(stock: Stock, need: Quantities): Taken {
  const resources: Resource[] = [];
  const next: { -readonly [name in keyof Stock]: Stock[name] } = { ...stock };
  for (const name of scalar_names)
    if (need[name] > 0) next[name] = takeScalar(name, stock[name], need[name], resources);
  const ports: number[] = [];
  if (need.ports > 0) next.ports = takePorts(stock.ports, need.ports, resources, ports);
  return { stock: next, resources, ports };
}

function takeScalar(
  name: ScalarName,
  boxes: readonly ScalarBox[],
  amount: Thousandths,
  into: Resource[],
): readonly ScalarBox[] {
  // One box is what there nearly always is.
  const [only] = boxes;
  if (boxes.length === 1 && only !== undefined && only.left > amount) {
    const value = amount / 1000;
    const last = only.last?.scalar?.value === value ? only.last : { ...only.box, scalar: { value } };
    into.push(last);
    return [{ box: only.box, left: only.left - amount, last }];
  }
  const rest: ScalarBox[] = [];
  let wanted = amount;
  for (const entry of boxes) {
    const taken = Math.min(entry.left, wanted);
    if (taken > 0) into.push({ ...entry.box, scalar: { value: taken / 1000 } });
    if (entry.left > taken) rest.push(taken > 0 ? { box: entry.box, left: entry.left - taken } : entry);
    wanted -= taken;
  }
  if (wanted > 0)
    throw new Error(
      `cannot take ${amount / 1000} ${name} from a stock of ${(amount - wanted) / 1000}: expected enough`,
    );
  return rest;
}

function takePorts(boxes: readonly PortBox[], count: number, into: Resource[], ports: number[]): readonly PortBox[] {
  const rest: PortBox[] = [];
  for (const entry of boxes) {
    const { taken, left } = takeLowest(entry.left, count - ports.length);
    if (taken.length > 0) into.push({ ...entry.box, ranges: { range: taken } });
    for (const { begin, end } of taken) for (let port = begin; port <= end; port++) ports.push(port);
    if (left.length > 0) rest.push({ box: entry.box, left });
  }
  if (ports.length < count)
    throw new Error(`cannot take ${count} ports from a stock of ${ports.length}: expected enough`);
  ports.sort((a, b) => a - b);
  return rest;
}

// --- ranges ---------------------------------------------------------------------------------------------------------

/** The same numbers as sorted ranges that neither overlap nor touch. Empty and senseless ranges fall out. */
export function mergeRanges(ranges: readonly Range[]): readonly Range[] {
  const sorted = ranges.filter(({ begin, end }) => begin <= end).sort((a, b) => a.begin - b.begin);
  const merged: Range[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && range.begin <= last.end + 1)
      merged[merged.length - 1] = { begin: last.begin, end: Math.max(last.end, range.end) };
    else merged.push({ begin: range.begin, end: range.end });
  }
  return merged;
}

/** The numbers of `a` that are not in `b`, both being merged. */
export function subtractRanges(a: readonly Range[], b: readonly Range[]): readonly Range[] {
  let left = a;
  for (const hole of b)
    left = left.flatMap(range => {
      if (hole.end < range.begin || hole.begin > range.end) return [range];
      const before = { begin: range.begin, end: hole.begin - 1 };
      const after = { begin: hole.end + 1, end: range.end };
      return [before, after].filter(({ begin, end }) => begin <= end);
    });
  return left;
}

export const countRanges = (ranges: readonly Range[]): number =>
  ranges.reduce((total, { begin, end }) => total + end - begin + 1, 0);

/** The lowest `count` numbers, or all when there are fewer, and what stays. */
function takeLowest(ranges: readonly Range[], count: number): { taken: readonly Range[]; left: readonly Range[] } {
  const taken: Range[] = [];
  let wanted = count;
  for (const [index, { begin, end }] of ranges.entries()) {
    if (wanted === 0) return { taken, left: ranges.slice(index) };
    const last = Math.min(end, begin + wanted - 1);
    taken.push({ begin, end: last });
    wanted -= last - begin + 1;
    if (last < end) return { taken, left: [{ begin: last + 1, end }, ...ranges.slice(index + 1)] };
  }
  return { taken, left: [] };
}

// --- helpers --------------------------------------------------------------------------------------------------------

const port_max = 65_535;
/** Beyond this thousandths are no whole numbers any more; no machine has as much of anything. */
const amount_max = 2 ** 50;
const clampToPorts = ({ begin, end }: Range): Range =>
  Number.isInteger(begin) && Number.isInteger(end)
    ? { begin: Math.max(1, begin), end: Math.min(port_max, end) }
    : { begin: 1, end: 0 };

/** 1.1 * 1000 is 1100.0000000000002: what lies within a millionth of a whole number is that number. */
const roundUp = (value: number): Thousandths => Math.max(0, Math.ceil(value * 1000 - 1e-6));

const isScalarName = (name: string): name is ScalarName => (scalar_names as readonly string[]).includes(name);

const isReserved = (box: Box): boolean =>
  (box.reservations?.length ?? 0) > 0 || (box.role !== undefined && box.role !== '*');

/** Boxes whose contents may lie together: everything that Mesos says of them is equal. */
function sameBox(a: Box, b: Box): boolean {
  if (a.role !== b.role || a.allocation_info?.role !== b.allocation_info?.role) return false;
  if (a.reservations === undefined && b.reservations === undefined) return true;
  return JSON.stringify(a.reservations ?? []) === JSON.stringify(b.reservations ?? []);
}
