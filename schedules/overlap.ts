// overlap.ts: what happens when a run is due while an earlier one is still going.
//
// Six answers, each a small table: leave it out, keep one waiting, keep several waiting, end the other one first (asking
// it, or not asking), or let them run side by side up to a number. A run counts as active until it is truly over: one
// whose agent cannot be reached may still be running, and its partition policy decides when we stop believing so.

export type Overlap =
  | { readonly policy: 'skip' }
  /** One waits; a newer one takes its place. */
  | { readonly policy: 'buffer_one' }
  /** As many wait as `buffer_max` allows, in order. */
  | { readonly policy: 'buffer_all'; readonly buffer_max: number }
  /** The active ones are asked to end and given their grace; then the new one starts. */
  | { readonly policy: 'cancel_other' }
  /** The active ones are killed without grace; then the new one starts. */
  | { readonly policy: 'kill_other' }
  /** Side by side, as many as `runs_max` (at least 1). */
  | { readonly policy: 'allow'; readonly runs_max: number };

export type Arrival =
  | { readonly action: 'start' }
  /** `overlap`: one is active; `limit`: as many as allowed are; `buffer_full`: no room to wait. */
  | { readonly action: 'skip'; readonly why: 'overlap' | 'limit' | 'buffer_full' }
  /** Wait behind those that wait already. */
  | { readonly action: 'buffer' }
  /** Wait in the place of the one that waits, which is superseded. */
  | { readonly action: 'replace_buffered' }
  /** End the active ones, and start when all of them are over; one that waits for the same is superseded. */
  | { readonly action: 'cancel_then_start' | 'kill_then_start'; readonly supersedes_buffered: boolean };

/** A run is due: `active` runs have not ended, `buffered` ones wait for that. */
export function arrive(overlap: Overlap, active: number, buffered: number): Arrival {
  switch (overlap.policy) {
    case 'skip':
      return active === 0 ? { action: 'start' } : { action: 'skip', why: 'overlap' };
    case 'buffer_one':
      if (active === 0 && buffered === 0) return { action: 'start' };
      return buffered === 0 ? { action: 'buffer' } : { action: 'replace_buffered' };
    case 'buffer_all':
      if (active === 0 && buffered === 0) return { action: 'start' };
      return buffered < overlap.buffer_max ? { action: 'buffer' } : { action: 'skip', why: 'buffer_full' };
    case 'cancel_other':
    case 'kill_other':
      if (active === 0 && buffered === 0) return { action: 'start' };
      return {
        action: overlap.policy === 'kill_other' ? 'kill_then_start' : 'cancel_then_start',
        supersedes_buffered: buffered > 0,
      };
    case 'allow':
      return active < overlap.runs_max ? { action: 'start' } : { action: 'skip', why: 'limit' };
  }
}

/** How many of the waiting runs may start, oldest first, now that one has ended and `active` are left. */
export function startable(overlap: Overlap, active: number, buffered: number): number {
  // A policy that never buffers may find waiting runs left over from the one before it: they follow one another.
  if (overlap.policy === 'allow') return Math.max(0, Math.min(buffered, overlap.runs_max - active));
  return active === 0 ? Math.min(buffered, 1) : 0;
}

/**
 * Aurora's collision policies. Its KILL_EXISTING asks before it kills, as every kill of Mesos does. RUN_OVERLAP was refused
 * when submitted and, where an old template still had it, acted as CANCEL_NEW.
 */
export function overlapOfAurora(policy: 'KILL_EXISTING' | 'CANCEL_NEW' | 'RUN_OVERLAP'): Overlap {
  return policy === 'KILL_EXISTING' ? { policy: 'cancel_other' } : { policy: 'skip' };
}

/**
 * Chronos's `concurrent`. Without it, generation 3 kept the run that came due for later (one, however many came due), and
 * generation 2 dropped it. With it there was no limit; `runs_max` is ours.
 */
export function overlapOfChronos(concurrent: boolean, generation: 2 | 3, runs_max: number): Overlap {
  if (concurrent) return { policy: 'allow', runs_max };
  return { policy: generation === 3 ? 'buffer_one' : 'skip' };
}
