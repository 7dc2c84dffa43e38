// join.ts: when a job that follows others is to run: the rule of tokens.
//
// Each run of a parent that ends puts a token on the edge to its child, and a run of the child takes tokens off. Under
// `each` a run takes the oldest token of every edge: the first runs of all parents belong together, then the second ones, so
// that diamonds come out exact, however unequal their sides. Under `latest` a run takes everything that lies there: "all
// parents have run at least once since the child last began", Chronos's rule of counters.
//
// A set of tokens is complete before anybody asks how those runs ended. A set that the trigger rule turns down under `each`
// is taken all the same, and comes to nothing: were it left lying, a parent's failure would pair its next run with another
// parent's last one, and go on doing so for ever.

/** `each`: one token of every parent, in order. `latest`: all tokens there are. */
export const joins = ['each', 'latest'] as const;
export const trigger_rules = ['all_success', 'all_done', 'any_success'] as const;
export type JoinRule = {
  readonly join: (typeof joins)[number];
  readonly rule: (typeof trigger_rules)[number];
};

/** Of a token nothing matters here but whether its run went well, or is to be taken for one that did. */
export type Counted = { readonly well: boolean };

/** The tokens of the next run, edge by edge. */
export type TokenSet<T> = { readonly runs: boolean; readonly taken: readonly (readonly T[])[] };

/**
 * The next set that is complete, on edges whose oldest tokens come first; undefined while there is none. `runs`: whether a
 * run starts for it. `from`: how many tokens of each edge have been taken already.
 */
export function nextSet<T extends Counted>(
  { join, rule }: JoinRule,
  edges: readonly (readonly T[])[],
  from = 0,
): TokenSet<T> | undefined {
  if (edges.length === 0) return undefined;
  if (join === 'each') {
    const taken: T[][] = [];
    let well = 0;
    for (const edge of edges) {
      const token = edge[from];
      if (token === undefined) return undefined;
      if (token.well) well++;
      taken.push([token]);
    }
    return { runs: starts(rule, well, edges.length), taken };
  }
  let well = 0;
  for (const edge of edges) {
    const any = edge.some(token => token.well);
    if (any) well++;
    // What Chronos counts are successes: a failure is as if the parent had not run.
    else if (rule === 'all_success' || edge.length === 0) return undefined;
  }
  return starts(rule, well, edges.length) ? { runs: true, taken: edges } : undefined;
}

function starts(rule: JoinRule['rule'], well: number, edges: number): boolean {
  switch (rule) {
    case 'all_success':
      return well === edges;
    case 'any_success':
      return well > 0;
    case 'all_done':
      return true;
  }
}
