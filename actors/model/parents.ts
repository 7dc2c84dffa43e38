// parents.ts: what a job says of the jobs that it follows, and how it stands to those that follow it.

import { z } from 'zod';
import { joins, trigger_rules } from '../../schedules/join.ts';
import type { Problem } from '../../schedules/problem.ts';
import { type JobKey, jobKey, parseJobKey } from './ids.ts';

/** A run names every parent in its record and in its environment. */
export const parents_max = 256;
const tokens_limit = 10_000;

export const parent_fields = {
  parents: z
    .array(z.string().min(1).max(200))
    .max(parents_max)
    .optional()
    .describe(
      'Keys of the jobs that it follows, `role/environment/name`, or names within its own role and environment: it runs when they have. In the place of a schedule.',
    ),
  join: z
    .enum(joins)
    .optional()
    .describe(
      "How the runs of several parents go together. `each`: the first of every parent, then the second of every parent, and so on. `latest`: every parent has run since this job last began, however often; Chronos's rule. `each` when left out.",
    ),
  trigger_rule: z
    .enum(trigger_rules)
    .optional()
    .describe(
      'How the runs of its parents must have ended. A set that is turned down comes to nothing. `all_success` when left out.',
    ),
  soft_error: z
    .boolean()
    .optional()
    .describe('true: a failed run of this job counts as a success for the jobs that follow it. false when left out.'),
  tokens_max: z
    .int()
    .min(1)
    .max(tokens_limit)
    .optional()
    .describe(
      "Runs of one parent that may wait for the other parents' runs; the oldest is forgotten for a further one. The scheduler's limit when left out.",
    ),
};

/** As everything inside Horae sees them: absent where nothing is said. */
export type ParentFields = {
  readonly parents?: readonly JobKey[];
  readonly join?: (typeof joins)[number];
  readonly trigger_rule?: (typeof trigger_rules)[number];
  readonly soft_error?: true;
  readonly tokens_max?: number;
};

type Given = {
  readonly [field in keyof typeof parent_fields]?: z.infer<(typeof parent_fields)[field]> | undefined;
} & {
  readonly role: string;
  readonly environment: string;
  readonly service?: boolean | undefined;
};

/** The fields of a submission in their canonical form, and what is wrong with them. `scheduled`: it has schedules. */
export function readParents(
  given: Given,
  scheduled: boolean,
): { readonly fields: ParentFields; readonly problems: readonly Problem[] } {
  const { role, environment, join, trigger_rule, soft_error, tokens_max } = given;
  const problems: Problem[] = [];
  const wrong = (place: string, value: unknown, message: string, expected: string) =>
    problems.push({ place, value, message, expected });
  const parents = (given.parents ?? []).map(text => (text.includes('/') ? text : jobKey(role, environment, text)));
  for (const [index, parent] of parents.entries()) {
    const read = parseJobKey(parent);
    if (!read.ok)
      wrong(`/parents/${index}`, parent, `parent "${parent}" is not a job key`, 'role/environment/name, or a name');
    if (parents.indexOf(parent) !== index)
      wrong(`/parents/${index}`, parent, `parent ${parent} is named twice`, 'each parent once');
  }
  if (parents.length === 0)
    for (const [field, value] of Object.entries({ join, trigger_rule, tokens_max }))
      if (value !== undefined)
        wrong(`/${field}`, value, `"${field}" is given, and there are no parents`, `no ${field}, or parents`);
  if (parents.length > 0 && scheduled)
    wrong(
      '/parents',
      given.parents,
      'both parents and a schedule are given',
      'one of them: a job runs after its parents, or when its schedule says',
    );
  if (given.service === true && parents.length > 0)
    wrong('/parents', given.parents, 'a service has no parents: it always runs', 'either "service": true or parents');
  if (given.service === true && soft_error !== undefined)
    wrong('/soft_error', soft_error, 'a service has no runs that end', 'no soft_error');
  const fields: ParentFields = {
    ...(parents.length === 0 ? {} : { parents }),
    ...(join === undefined ? {} : { join }),
    ...(trigger_rule === undefined ? {} : { trigger_rule }),
    ...(soft_error === true ? { soft_error } : {}),
    ...(tokens_max === undefined ? {} : { tokens_max }),
  };
  return { fields, problems };
}
