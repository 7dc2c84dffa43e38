// update-plan.ts: who takes part in an update, in which order and in which groups, and how the run looks at every moment.
//
// Forward it creates, then changes, then removes, each in ascending order; backward it walks the same path in reverse.
// So a plan and a count of those taken up tell everything: which instances there are to be, and what each is to run.

import { launched } from '../job/rollout.ts';
import type { Job } from '../model/job.ts';
import { has, listed, type Ranges, rangesOf } from '../model/ranges.ts';
import type { RunRecord } from '../model/records.ts';
import type { Shape, Strategy, UpdateRecord, Variant } from '../model/updates.ts';

/** What an instance is made of: the job's document and version, or those that the run keeps for it. */
export function configOf(
  run: Pick<RunRecord, 'others' | 'job' | 'version'> | undefined,
  index: number,
  present: { readonly job: Job; readonly version: number },
): { readonly job: Job; readonly version: number } {
  const other = run?.others?.find(one => has(one.indexes, index));
  if (other !== undefined) return { job: other.job, version: other.version };
  return { job: run?.job ?? present.job, version: run?.version ?? present.version };
}

/** Whether a run is to have this instance. */
export const wants = (run: Shape, index: number): boolean => index < run.instances && !has(run.without, index);

export type Planned = { readonly plan: UpdateRecord['plan'] } | { readonly irrelevant: Ranges };

/** `only`: the indexes that it may touch; all of them when left out. */
export function planned(found: Shape, before: Job, after: Job, only: Ranges | undefined): Planned {
  const create: number[] = [];
  const change: number[] = [];
  const remove: number[] = [];
  const irrelevant = listed(only ?? []).filter(index => !wants(found, index) && index >= after.instances);
  if (irrelevant.length > 0) return { irrelevant: rangesOf(irrelevant) };
  const wanted = JSON.stringify(launched(after));
  const is = new Map<Job, boolean>();
  const same = (job: Job): boolean => {
    const known = is.get(job) ?? JSON.stringify(launched(job)) === wanted;
    is.set(job, known);
    return known;
  };
  for (let index = 0; index < Math.max(found.instances, after.instances); index++) {
    if (only !== undefined && !has(only, index)) continue;
    const there = wants(found, index);
    if (!there && index < after.instances) create.push(index);
    else if (there && index >= after.instances) remove.push(index);
    else if (there && !same(configOf(found, index, { job: before, version: 0 }).job)) change.push(index);
  }
  return { plan: { create: rangesOf(create), change: rangesOf(change), remove: rangesOf(remove) } };
}

type Order = { readonly indexes: readonly number[]; readonly places: ReadonlyMap<number, number> };
/** A plan never changes, and everything that happens in an update asks for its order. */
const orders = new WeakMap<UpdateRecord['plan'], Order>();
function ordered(plan: UpdateRecord['plan']): Order {
  let order = orders.get(plan);
  if (order === undefined) {
    const indexes = [...listed(plan.create), ...listed(plan.change), ...listed(plan.remove)];
    order = { indexes, places: new Map(indexes.map((index, place) => [index, place])) };
    orders.set(plan, order);
  }
  return order;
}
export const orderOf = (plan: UpdateRecord['plan']): readonly number[] => ordered(plan).indexes;

/** How many groups of how many, until `total` are in one. */
function groups(strategy: Exclude<Strategy, { type: 'queue' }>, total: number): readonly number[] {
  const sizes: number[] = [];
  for (let left = total; left > 0; ) {
    const wanted =
      strategy.type === 'batch' ? strategy.size : (strategy.sizes[sizes.length] ?? strategy.sizes.at(-1) ?? 1);
    sizes.push(Math.min(left, wanted));
    left -= sizes.at(-1)!;
  }
  return sizes;
}

/** Those who are to be taken up now, given how many are on their way. */
export function nextUp(record: UpdateRecord): readonly number[] {
  const { strategy } = record.how;
  const flying = record.flights.length;
  const forward = orderOf(record.plan);
  const path = record.rolled === undefined ? forward : forward.slice(0, record.taken).reverse();
  const at = record.rolled ?? record.taken;
  if (strategy.type === 'queue') return path.slice(at, at + Math.max(0, strategy.size - flying));
  if (flying > 0) return [];
  // Backward the groups are those of the way forward, as far as it went.
  const sizes =
    record.rolled === undefined ? groups(strategy, path.length) : [...groups(strategy, path.length)].reverse();
  let begin = 0;
  for (const size of sizes) {
    if (begin === at) return path.slice(at, at + size);
    begin += size;
  }
  return [];
}

/** Every one has been taken up. */
export const isExhausted = ({ plan, taken, rolled }: UpdateRecord): boolean =>
  rolled === undefined ? taken === orderOf(plan).length : rolled === taken;

/** The version under which instances are begun in the present direction. */
export const versionOf = ({ after, rolled }: UpdateRecord): number => after.version + (rolled === undefined ? 0 : 1);

/**
 * The run as it is to be at this moment. Until the update is over it keeps room for the larger of before and after, so
 * that nobody else takes it meanwhile.
 */
export function shapeOf(record: UpdateRecord): Shape {
  const { found, before, after, plan, taken, rolled, renewed } = record;
  const { places } = ordered(plan);
  const instances = Math.max(found.instances, 1 + Math.max(-1, ...plan.create.map(([, last]) => last)));
  const without: number[] = [];
  const others: { job: Job; version: number; indexes: number[] }[] = [];
  const other = (job: Job, version: number, index: number) => {
    const same = others.find(one => one.job === job && one.version === version);
    if (same === undefined) others.push({ job, version, indexes: [index] });
    else same.indexes.push(index);
  };
  for (let index = 0; index < instances; index++) {
    const place = places.get(index) ?? Number.POSITIVE_INFINITY;
    const undone = rolled !== undefined && place < taken && taken - 1 - place < rolled;
    if (place < taken && !undone) {
      if (has(plan.remove, index)) without.push(index);
      else if (rolled !== undefined) other(after.job, after.version, index);
      continue;
    }
    if (!wants(found, index)) {
      without.push(index);
      continue;
    }
    const was = found.others?.find(one => has(one.indexes, index));
    // Begun anew in this direction, under its version; or never touched.
    if (was !== undefined) other(was.job, undone ? versionOf(record) : was.version, index);
    else if (rolled === undefined && renewed) other(before.job, before.version, index);
  }
  return {
    instances,
    ...(without.length === 0 ? {} : { without: rangesOf(without) }),
    ...(others.length === 0
      ? {}
      : { others: others.map((one): Variant => ({ ...one, indexes: rangesOf(one.indexes) })) }),
  };
}

/** The same without holes at its end: what is left of an update that is over. */
export function trimmed(shape: Shape): Shape {
  let instances = shape.instances;
  while (instances > 0 && has(shape.without, instances - 1)) instances--;
  const without = rangesOf(listed(shape.without ?? []).filter(index => index < instances));
  return {
    instances,
    ...(without.length === 0 ? {} : { without }),
    ...(shape.others === undefined ? {} : { others: shape.others }),
  };
}
