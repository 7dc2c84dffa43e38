// limits.ts: as whom a job's tasks run, and the limits that each of their processes carries with it.
//
// What a task may use as a whole is said by cpus, mem and disk. These are the kernel's limits of single processes, under the
// names that ulimit and prlimit know; a number alone is both the soft and the hard one.

import { z } from 'zod';
import type { Problem } from '../../schedules/problem.ts';
import type { Container } from './container.ts';

export const rlimit_names = [
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
] as const;
export type RlimitName = (typeof rlimit_names)[number];

const amount = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

export const limit_fields = {
  user: z
    .string()
    .max(256)
    .regex(/^[^\s:/\0-][^\s:/\0]*$/, 'expected the name of a user of the agents, without spaces, ":" and "/"')
    .optional()
    .describe('User of the agents as whom the tasks run; whoever the framework is when left out.'),
  rlimits: z
    .partialRecord(
      z.enum(rlimit_names),
      z.union([amount, z.literal('unlimited'), z.strictObject({ soft: amount, hard: amount })]),
    )
    .optional()
    .describe(
      'Limits of each process: a number, `{soft, hard}`, or `unlimited`. Sizes in bytes, `cpu` in seconds, `rttime` in microseconds.',
    ),
};
export type LimitsSubmission = z.infer<z.ZodObject<typeof limit_fields>>;

export type Rlimit = 'unlimited' | { readonly soft: number; readonly hard: number };
export type LimitFields = {
  readonly user?: string;
  /** In the order of their names. */
  readonly rlimits?: Readonly<Partial<Record<RlimitName, Rlimit>>>;
};

export function readLimits(
  { user, rlimits }: LimitsSubmission,
  container: Container | undefined,
): { readonly fields: LimitFields; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const read: Partial<Record<RlimitName, Rlimit>> = {};
  for (const name of rlimit_names) {
    const given = rlimits?.[name];
    if (given === undefined) continue;
    read[name] = typeof given === 'number' ? { soft: given, hard: given } : given;
    if (typeof given === 'object' && given.soft > given.hard)
      problems.push({
        place: `/rlimits/${name}/soft`,
        value: given.soft,
        message: `the soft limit ${given.soft} of ${name} is above the hard one, which is ${given.hard}`,
        expected: `at most ${given.hard}`,
      });
  }
  const names = Object.keys(read);
  if (names.length > 0 && container?.type === 'docker')
    problems.push({
      place: '/rlimits',
      value: names.join(', '),
      message: "rlimits do not reach into a container of Docker's",
      expected: `parameters of the container, such as {"key": "ulimit", "value": "${names[0]}=1024"}`,
    });
  return {
    fields: { ...(user === undefined ? {} : { user }), ...(names.length === 0 ? {} : { rlimits: read }) },
    problems,
  };
}
