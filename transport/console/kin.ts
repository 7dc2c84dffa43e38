// kin.ts: whom a job follows and who follows it, as its page shows them: how each stands, and what lies on the way between.

import { type JobKey, roleOf } from '../../actors/model/ids.ts';
import type { JobView, Views } from '../../actors/model/views.ts';
import type { Sees } from './board.ts';
import type { Kin, Relative } from './messages.ts';
import { rowOf } from './rows.ts';

const relatives_shown_max = 50;

/** null where nobody follows anybody. `sees`: of jobs of other roles no more is told than their names. */
export function kinOf(views: Views, { key, record: { job } }: JobView, sees?: Sees): Kin | null {
  const { parents = [] } = job;
  const children = views.children(key);
  if (parents.length === 0 && children.size === 0) return null;
  const lying = views.tokens(key);
  const relative = (other: JobKey, waiting: number): Relative => {
    const view = sees === undefined || sees(roleOf(other)) ? views.job(other) : undefined;
    if (view === undefined) return { key: other, waiting };
    const { state, last_outcome, last_at } = rowOf(view);
    return {
      key: other,
      waiting,
      state,
      ...(last_outcome === undefined ? {} : { last_outcome, last_at }),
    };
  };
  return {
    join: job.join ?? 'each',
    trigger_rule: job.trigger_rule ?? 'all_success',
    parents: parents.slice(0, relatives_shown_max).map(parent => relative(parent, lying.get(parent)?.length ?? 0)),
    parents_count: parents.length,
    children: firstOf(children, relatives_shown_max).map(child =>
      relative(child, views.tokens(child).get(key)?.length ?? 0),
    ),
    children_count: children.size,
  };
}

/** A job may have ten thousand children: no more of them are walked than are shown. */
function firstOf<T>(all: Iterable<T>, max: number): readonly T[] {
  const some: T[] = [];
  for (const one of all) {
    if (some.length === max) break;
    some.push(one);
  }
  return some;
}
