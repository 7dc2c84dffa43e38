// revocable.ts: resources that an agent lends from what others have reserved and do not use.
//
// A seat of which the owner may come back any moment: good for those who said that they do not mind. Mesos lets a task hold a
// resource of one name either wholly so or not at all, and counts its executor with it; so each name is borrowed for both
// together, or for neither.

import type { Resource } from './protocol.ts';
import {
  contains,
  nothing,
  type Quantities,
  quantitiesIn,
  type ScalarName,
  type Stock,
  scalar_names,
  stockOf,
  subtract,
  type Taken,
  take,
} from './resources.ts';

export type Lent = { readonly stock: Stock; readonly free: Quantities };

/** What of these resources is lent; undefined when nothing is, which is nearly always. */
export function lentIn(resources: readonly Resource[]): Lent | undefined {
  if (!resources.some(isLent)) return undefined;
  const lent = resources.filter(isLent);
  const stock = stockOf(lent, 'revocable');
  return { stock, free: quantitiesIn(stock) };
}

const isLent = ({ revocable, name }: Resource) => revocable !== undefined && name !== 'ports';

/** Whether a host can give a need so: some of it lent, the rest its own. */
export function canLend(need: Quantities, lent: Quantities, free: Quantities): boolean {
  const names = borrowable(need, lent);
  return names.length > 0 && contains(free, without(need, names));
}

export type Borrowed = {
  /** What is left of the host's own, and of what it lends. */
  readonly stock: Stock;
  readonly free: Quantities;
  readonly lent: Lent;
  readonly task: Taken;
  readonly executor: Taken | undefined;
};

/** Takes what a task and its executor need, as much of it lent as can be; undefined when the host cannot lend. */
export function borrow(
  host: { readonly stock: Stock; readonly free: Quantities },
  lent: Lent,
  want: { readonly need: Quantities; readonly task: Quantities; readonly executor: Quantities | undefined },
): Borrowed | undefined {
  if (!canLend(want.need, lent.free, host.free)) return undefined;
  const names = borrowable(want.need, lent.free);
  let [own, others] = [host.stock, lent.stock];
  const takeBoth = (part: Quantities): Taken => {
    const mine = take(own, without(part, names));
    const theirs = take(others, only(part, names));
    [own, others] = [mine.stock, theirs.stock];
    return { ...mine, resources: [...theirs.resources, ...mine.resources] };
  };
  const executor = want.executor === undefined ? undefined : takeBoth(want.executor);
  const task = takeBoth(want.task);
  return {
    stock: own,
    free: subtract(host.free, without(want.need, names)),
    lent: { stock: others, free: subtract(lent.free, only(want.need, names)) },
    task,
    executor,
  };
}

/** The names of which all that is needed is lent. */
const borrowable = (need: Quantities, lent: Quantities): readonly ScalarName[] =>
  scalar_names.filter(name => need[name] > 0 && lent[name] >= need[name]);
const without = (need: Quantities, names: readonly ScalarName[]): Quantities => ({
  ...need,
  ...Object.fromEntries(names.map(name => [name, 0])),
});
const only = (need: Quantities, names: readonly ScalarName[]): Quantities => ({
  ...nothing,
  ...Object.fromEntries(names.map(name => [name, need[name]])),
});
