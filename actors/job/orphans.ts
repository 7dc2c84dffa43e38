// orphans.ts: what becomes of the jobs that follow one that is being deleted.
//
// Each child owns its record, so each is told, changes itself, and says that it has let go; the parent stays until the last
// has. What was decided stands in the parent's own record from the step in which it was deleted, so that a crash on the way
// tells the rest again.

import { type Effect, log, tell } from '../effects.ts';
import type { CommandEnvelope } from '../model/commands.ts';
import type { JobKey } from '../model/ids.ts';
import type { Job } from '../model/job.ts';
import { refusal } from '../model/reasons.ts';
import type { Orphans } from '../model/records.ts';
import type { JobState } from './job.ts';
import type { Kin } from './kin.ts';

export type Orphaned = {
  readonly type: 'orphaned';
  readonly parent: JobKey;
  readonly policy: Orphans;
  /** The parent as it was last. */
  readonly of: Job;
};
/** Whoever still follows a job that is being deleted, and the request that waits for them to let go. */
export type Wake = { readonly children: ReadonlySet<JobKey>; readonly owed?: CommandEnvelope };
export const no_wake: Wake = { children: new Set() };

/** A job with children is not deleted unless somebody says what becomes of them. */
export function undecided(kin: Kin, key: JobKey, policy: Orphans | undefined): ReturnType<typeof refusal> | undefined {
  const children = kin.children(key);
  if (children.size === 0 || policy !== undefined) return undefined;
  const some = [...children].slice(0, 5).join(', ');
  return refusal(
    'in-use',
    `${children.size} job(s) follow ${key} (${some}${children.size > 5 ? ', ...' : ''}): say what becomes of them with children=detach, children=delete or children=reschedule`,
  );
}

/** Every child is told; again, where the process died before all of them had let go. */
export function tellChildren(kin: Kin, { key, record }: JobState): readonly Effect[] {
  const { orphans: policy, job: of } = record;
  if (policy === undefined) return [];
  return [...kin.children(key)].map(child =>
    tell({ to: 'job', key: child, message: { type: 'orphaned', parent: key, policy, of } }),
  );
}

export const letGo = (parent: JobKey, child: JobKey): Effect =>
  tell({ to: 'job', key: parent, message: { type: 'let-go', child } });

/** The child without that parent; the same when it does not follow it. */
export function orphan(kin: Kin, child: JobKey, job: Job, { parent, policy, of }: Orphaned): Job {
  if (job.parents?.includes(parent) !== true) return job;
  const left = job.parents.filter(one => one !== parent);
  if (policy !== 'reschedule') return withParents(job, left);
  // Whoever went at the same time cannot be followed any more.
  const inherited = (of.parents ?? []).filter(one => one !== child && isThere(kin, one) && !left.includes(one));
  const parents = [...left, ...inherited];
  if (parents.length > 0 || of.schedules.length === 0) return withParents(job, parents);
  // What it counts, and what it makes of what it missed, belongs to a schedule; what has passed was the parent's to run.
  const catch_up = { ...of.catch_up, from: 'creation' as const };
  return { ...withParents(job, []), schedules: of.schedules, count: of.count, catch_up };
}

/** The job without parents that nobody knows: what is left when one went while this job had been put aside. */
export function bereft(kin: Kin, job: Job): Job {
  const { parents } = job;
  if (parents?.every(one => kin.job(one) !== undefined) !== false) return job;
  return withParents(
    job,
    parents!.filter(one => kin.job(one) !== undefined),
  );
}

function withParents(job: Job, parents: readonly JobKey[]): Job {
  if (parents.length > 0) return { ...job, parents };
  const { parents: _, join: __, trigger_rule: ___, tokens_max: ____, ...rest } = job;
  return rest;
}

const isThere = (kin: Kin, key: JobKey): boolean => {
  const found = kin.job(key);
  return found !== undefined && found.deleting !== true;
};

export const orphanedLog = (child: JobKey, parent: JobKey, policy: Orphans): Effect =>
  log('info', { job: child, parent, policy }, 'a parent of the job was deleted');
