// order.ts: who comes after whom, from lists of names.

/** Two neighbours of a list, with the place of the second. */
export type Pair = { readonly before: string; readonly after: string; readonly place: string };

export function pairsOf(order: readonly (readonly string[])[]): readonly Pair[] {
  return order.flatMap((names, list) =>
    names.slice(1).map((after, index) => ({ before: names[index]!, after, place: `/order/${list}/${index + 1}` })),
  );
}

/** Whom each process has to wait for. */
export function predecessors(order: readonly (readonly string[])[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const { before, after } of pairsOf(order)) {
    const known = found.get(after);
    if (known === undefined) found.set(after, new Set([before]));
    else known.add(before);
  }
  return found;
}

/** One circle, its first name repeated at the end; undefined when there is none. */
export function cycleIn(order: readonly (readonly string[])[]): readonly string[] | undefined {
  const needs = predecessors(order);
  const sound = new Set<string>();
  const path: string[] = [];
  const search = (name: string): readonly string[] | undefined => {
    if (sound.has(name)) return undefined;
    const seen = path.indexOf(name);
    // Walked against the arrows, so told backwards.
    if (seen >= 0) return [...path.slice(seen), name].reverse();
    path.push(name);
    for (const earlier of needs.get(name) ?? []) {
      const found = search(earlier);
      if (found !== undefined) return found;
    }
    path.pop();
    sound.add(name);
    return undefined;
  };
  for (const name of needs.keys()) {
    const found = search(name);
    if (found !== undefined) return found;
  }
  return undefined;
}
