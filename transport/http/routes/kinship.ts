// kinship.ts: who may follow whose jobs, and who may change those that follow.

import { z } from 'zod';
import { type JobKey, roleOf } from '../../../actors/model/ids.ts';
import type { Job } from '../../../actors/model/job.ts';
import { orphan_policies } from '../../../actors/model/records.ts';
import { permits } from '../../credentials.ts';
import { Refused } from '../problems.ts';
import type { Exchange } from '../route.ts';

/** What is to become of those that follow a job that is deleted. */
export const orphans_query = z.enum(orphan_policies).optional();

/** Whoever follows a job hears how its runs end: they may follow only those whose runs they may read. */
export function mayFollow({ who }: Exchange, { parents = [] }: Job): void {
  for (const parent of parents) {
    const role = roleOf(parent);
    if (!permits(who, 'read', role))
      throw new Refused('not-permitted', `${who.name} may not read jobs of role ${role}, so none can follow ${parent}`);
  }
}

/**
 * Whoever deletes a job may let go of those that follow it: else anybody could keep it alive by following it. To delete them
 * too, or to have them run otherwise, one must be allowed to change them.
 */
export function mayOrphan({ who, services: { views } }: Exchange, key: JobKey, policy: string | undefined): void {
  if (policy === undefined || policy === 'detach') return;
  const touched = policy === 'delete' ? views.descendants(key) : views.children(key);
  for (const child of touched) {
    const role = roleOf(child);
    if (!permits(who, 'submit', role))
      throw new Refused('not-permitted', `${who.name} may not change ${child}, which follows ${key}`);
  }
}
