// families.ts: jobs that follow each other in chains and diamonds, and as many that follow nobody, from a seed.

import type { JobSubmission } from '../../actors/model/job.ts';

export const place = { role: 'kin', environment: 'sim' } as const;
export const keyOf = (name: string): string => `${place.role}/${place.environment}/${name}`;

/** Parents before their children. Half of them belong to families. */
export function families(jobs: number, random: () => number): readonly JobSubmission[] {
  const below = (n: number) => Math.floor(random() * n);
  const pick = <T>(all: readonly T[]): T => all[below(all.length)]!;
  const made: JobSubmission[] = [];
  const common = () => ({
    ...place,
    name: `job-${made.length}`,
    // What the world reads: how long it runs. How it ends is for chance to say.
    command: `sleep ${pick([1, 2, 5, 20, 60, 150])}`,
    cpus: 0.01,
    mem: 1,
    retries: pick([0, 0, 1]),
    retry_delay_ms: 1_000,
    ...(below(8) === 0 ? { soft_error: true } : {}),
  });
  const add = (more: Partial<JobSubmission>): string => {
    const one = { ...common(), ...more };
    made.push(one);
    return one.name;
  };
  const top = () => add({ cron: `*/${pick([4, 6, 10, 15])} * * * *`, catch_up: { policy: 'none' } });
  const after = (...parents: string[]) =>
    add({
      parents,
      ...(below(5) === 0
        ? { join: 'latest' as const, overlap: { policy: 'buffer-one' as const } }
        : { trigger_rule: pick(['all_success', 'all_success', 'all_success', 'all_done', 'any_success'] as const) }),
    });
  const chain = (from: string, length: number): string => {
    let last = from;
    for (let n = 0; n < length; n++) last = after(last);
    return last;
  };
  const in_families = Math.floor(jobs / 2);
  while (made.length < in_families) {
    const first = top();
    if (below(2) === 0) {
      chain(first, 2 + below(7));
      continue;
    }
    const sides = Array.from({ length: 2 + below(3) }, () => chain(first, 1 + below(3)));
    const bottom = after(...sides);
    // A way past the middle, and a tail.
    if (below(2) === 0) after(bottom, pick(sides), first);
    chain(bottom, below(3));
  }
  while (made.length < jobs) add({ cron: `${below(20)}/${pick([10, 20, 30])} * * * *`.replace(/^0\//, '*/') });
  return made;
}
