// graph.ts: who follows whom, as Chronos drew it: for Graphviz, and as lines for programs.
//
// The jobs are walked twice, nodes first, then edges, a page at a time: what leaves is never whole in memory.

import type { JobView } from '../../../actors/model/views.ts';
import { runState } from '../resources.ts';
import { chronosName } from './document.ts';

type Pages = () => Iterable<readonly JobView[]>;

export const graphs: Readonly<Record<'dot' | 'csv', (pages: Pages) => Generator<string>>> = {
  *dot(pages) {
    /** Nodes by number, names as their labels: names may hold what Graphviz would read as its own. */
    const numbers = new Map<string, number>();
    yield 'digraph G {\n';
    for (const page of pages())
      yield page
        .map(({ key }) => {
          const number = numbers.size + 1;
          numbers.set(key, number);
          return `  ${number} [ label="${chronosName(key).replaceAll(/["\\]/g, '\\$&')}" ];\n`;
        })
        .join('');
    for (const page of pages())
      yield page
        .flatMap(({ key, record: { job } }) =>
          (job.parents ?? []).flatMap(parent => {
            const [from, to] = [numbers.get(parent), numbers.get(key)];
            return from === undefined || to === undefined ? [] : [`  ${from} -> ${to};\n`];
          }),
        )
        .join('');
    yield '}\n';
  },
  *csv(pages) {
    for (const page of pages())
      yield page.map(view => `node,${chronosName(view.key)},${statusOf(view)},${stateOf(view)}\n`).join('');
    for (const page of pages())
      yield page
        .flatMap(({ key, record: { job } }) =>
          (job.parents ?? []).map(parent => `link,${chronosName(parent)},${chronosName(key)}\n`),
        )
        .join('');
  },
};

/** How a job did last. */
export function statusOf({ tally }: JobView): 'fresh' | 'success' | 'failure' {
  const { last_success_at, last_failure_at } = tally ?? {};
  if (last_success_at === undefined && last_failure_at === undefined) return 'fresh';
  return (last_failure_at ?? 0) > (last_success_at ?? 0) ? 'failure' : 'success';
}

/** What a job is doing: what runs is said before what waits. To Chronos a task ran from its launch on, staged or not. */
export function stateOf({ runs, trigger }: JobView): string {
  const running = runs.filter(
    run => runState(run) !== 'pending' || run.instances.some(one => one.record.status !== 'pending'),
  ).length;
  if (running > 0) return `${running} running`;
  return runs.length + (trigger?.waiting.length ?? 0) > 0 ? 'queued' : 'idle';
}
