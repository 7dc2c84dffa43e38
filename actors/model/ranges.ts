// ranges.ts: sets of instance indexes, written down as runs of neighbours: `[[0, 3], [5, 5]]` is 0-3 and 5.
//
// Four thousand instances of which half have been looked at are one pair, so a record that is written at every step of an
// update stays as small as the first.

export type Ranges = readonly (readonly [first: number, last: number])[];

export function rangesOf(indexes: Iterable<number>): Ranges {
  const made: [number, number][] = [];
  for (const index of [...new Set(indexes)].sort((a, b) => a - b)) {
    const last = made.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else made.push([index, index]);
  }
  return made;
}

export const listed = (ranges: Ranges): number[] =>
  ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, n) => first + n));
export const has = (ranges: Ranges | undefined, index: number): boolean =>
  ranges?.some(([first, last]) => first <= index && index <= last) ?? false;
export const sizeOf = (ranges: Ranges | undefined): number =>
  (ranges ?? []).reduce((sum, [first, last]) => sum + last - first + 1, 0);

/** As people write them: `0-3,5`. */
export const printed = (ranges: Ranges): string =>
  ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
/** undefined when the text is none. */
export function readRanges(text: string, index_max: number): Ranges | undefined {
  const parts = text.split(',').map(part => /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part.trim()));
  if (parts.includes(null)) return undefined;
  const pairs = parts.map(part => [Number(part![1]), Number(part![2] ?? part![1])] as const);
  if (pairs.some(([first, last]) => last < first || last > index_max)) return undefined;
  return rangesOf(listed(pairs));
}
