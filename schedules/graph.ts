// graph.ts: which jobs wait for which: a graph without cycles that is changed one job at a time.
//
// Think of a family tree that is kept at the registry: whoever is entered names their parents, and nobody can be their own
// ancestor. Only who has children already could become one, so a new job costs nothing to check, and a changed one a walk
// over its descendants. Kept in place: with twenty thousand jobs a copy for each change would be most of its cost.

export class Graph {
  readonly #parents = new Map<string, readonly string[]>();
  readonly #children = new Map<string, Set<string>>();

  /** How many follow anybody. */
  get size(): number {
    return this.#parents.size;
  }

  /** From now on `job` follows these; nobody when the list is empty. The caller has looked for cycles. */
  set(job: string, parents: readonly string[]): void {
    const before = this.#parents.get(job) ?? [];
    if (before.length === 0 && parents.length === 0) return;
    for (const parent of before) if (!parents.includes(parent)) this.#cut(parent, job);
    for (const parent of parents) {
      const children = this.#children.get(parent);
      if (children === undefined) this.#children.set(parent, new Set([job]));
      else children.add(job);
    }
    if (parents.length === 0) this.#parents.delete(job);
    else this.#parents.set(job, parents);
  }

  parents(job: string): readonly string[] {
    return this.#parents.get(job) ?? [];
  }

  /** In the order in which they came to follow it. Empty for most: then nothing is made. */
  children(job: string): Iterable<string> & { readonly size: number } {
    return this.#children.get(job) ?? nobody;
  }

  /** All that follow it, and all that follow those. */
  descendants(job: string): ReadonlySet<string> {
    const found = new Set<string>();
    const ahead = [...this.children(job)];
    for (let one = ahead.pop(); one !== undefined; one = ahead.pop()) {
      if (found.has(one)) continue;
      found.add(one);
      for (const child of this.children(one)) ahead.push(child);
    }
    return found;
  }

  /**
   * The cycle that would be, if `job` followed `parents`: from the job down to the parent in question and back to the job,
   * the shortest there is. Undefined when there would be none.
   */
  cycle(job: string, parents: readonly string[]): readonly string[] | undefined {
    if (parents.includes(job)) return [job, job];
    const wanted = new Set(parents);
    /** By whom each was reached. */
    const from = new Map<string, string>();
    let edge: string[] = [job];
    while (edge.length > 0) {
      const next: string[] = [];
      for (const one of edge)
        for (const child of this.children(one)) {
          if (child === job || from.has(child)) continue;
          from.set(child, one);
          if (wanted.has(child)) return [...this.#way(job, child, from), job];
          next.push(child);
        }
      edge = next;
    }
    return undefined;
  }

  #way(job: string, last: string, from: ReadonlyMap<string, string>): readonly string[] {
    const way = [last];
    for (let one = last; one !== job; ) {
      one = from.get(one)!;
      way.unshift(one);
    }
    return way;
  }

  #cut(parent: string, job: string): void {
    const children = this.#children.get(parent);
    children?.delete(job);
    if (children?.size === 0) this.#children.delete(parent);
  }
}

const nobody: ReadonlySet<string> = new Set();
