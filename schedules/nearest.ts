// nearest.ts: the name that was probably meant.
//
// A refusal of an unknown name is kinder when it says which known one lies beside it. Near means few slips of the
// fingers: a letter more, a letter less, a wrong one, two swapped; or the beginning of a longer name.

/** The entry of `names` closest to `name`; undefined when none is close enough to be worth suggesting. */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  const slips_max = Math.max(1, Math.floor(name.length / 3));
  let best: string | undefined;
  let best_slips = slips_max + 1;
  for (const candidate of names) {
    const begins = name.length >= 3 && candidate.startsWith(name);
    const slips = begins ? Math.min(1, slipsBetween(name, candidate)) : slipsBetween(name, candidate);
    if (slips < best_slips) [best, best_slips] = [candidate, slips];
  }
  return best;
}

/** Edit distance in which swapping two neighbours counts once (optimal string alignment). */
function slipsBetween(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let slips = Math.min(above[column]! + 1, current[column - 1]! + 1, above[column - 1]! + (same ? 0 : 1));
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        slips = Math.min(slips, before[column - 2]! + 1);
      current.push(slips);
    }
    before = above;
    above = current;
  }
  return above[b.length]!;
}
