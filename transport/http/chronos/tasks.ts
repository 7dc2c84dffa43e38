// tasks.ts: what Chronos's clients do to tasks: kill them, forget those that wait.
//
// A run that waits for its place, or for another run to end, was "queued" to Chronos, and one that has its place "running".

import type { JobView, RunView } from '../../../actors/model/views.ts';
import { refusedBy } from '../problems.ts';
import { command, type Exchange, noBody, type Reply, unexpected } from '../route.ts';
import { jobOf, named, pagesOf } from './answers.ts';

/** Runs of a job that have their place; those that are queued stay. */
export async function killRunning(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const view = jobOf(exchange);
  await kill(
    exchange,
    view,
    view.runs.filter(run => !isQueued(run)).map(run => run.record.run),
  );
  return { status: 204 };
}

/** Whatever is queued, of every job, is not to be. */
export async function forgetQueued(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  for (const page of pagesOf(exchange))
    for (const view of page) {
      const waiting = view.trigger?.waiting.map(one => one.run) ?? [];
      // Those behind an active run first, or they would move up.
      await kill(exchange, view, [...waiting, ...view.runs.filter(isQueued).map(run => run.record.run)]);
    }
  return { status: 204 };
}

async function kill(exchange: Exchange, { key }: JobView, runs: readonly string[]): Promise<void> {
  for (const run of runs) {
    const answer = await command(exchange, { type: 'kill-run', key, run });
    // It may have ended while we were at it, and its job with it.
    if (answer.type === 'refused' && answer.code === 'not-found') continue;
    if (answer.type === 'refused') throw named(refusedBy(answer));
    if (answer.type !== 'killing') throw unexpected(answer);
  }
}

const isQueued = ({ instances }: RunView): boolean => instances.every(one => one.record.status === 'pending');
