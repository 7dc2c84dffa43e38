// update-request.ts: how people ask for a rolling update, and what an update is told where they say nothing.

import { z } from 'zod';
import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { type Job, job_submission, readJob } from './job.ts';
import { type Ranges, readRanges } from './ranges.ts';
import type { Instructions } from './updates.ts';

const instances_max = 4_000;
const group = z.int().min(1).max(instances_max);
const strategy = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('queue'), size: group.optional() }).describe('So many at a time; 1 when left out.'),
  z
    .strictObject({ type: z.literal('batch'), size: group, autopause: z.boolean().optional() })
    .describe('Groups of one size, each begun when the one before is done.'),
  z
    .strictObject({
      type: z.literal('variable-batch'),
      sizes: z.array(group).min(1).max(100),
      autopause: z.boolean().optional(),
    })
    .describe('Groups of these sizes; the last one repeats.'),
]);

export const update_request = z
  .strictObject({
    job: job_submission.describe('What the service is to be, as a whole: instances included.'),
    instances: z.string().max(10_000).optional().describe('Instances that may be touched, as in `0-3,5`.'),
    message: z.string().min(1).max(1_024).optional().describe('Why, for whoever reads its history.'),
    strategy: strategy
      .optional()
      .describe('`autopause`: pauses before each further group. One instance at a time when left out.'),
    watch_ms: z
      .int()
      .min(0)
      .max(86_400_000)
      .optional()
      .describe('An instance is done when it has run, and been healthy, for so long; 45000 when left out.'),
    max_per_shard_failures: z
      .int()
      .min(0)
      .max(20_000)
      .optional()
      .describe('Failures of one instance that are borne; 0 when left out. One more, and it has failed.'),
    max_total_failures: z
      .int()
      .min(0)
      .max(instances_max)
      .optional()
      .describe('Instances that may fail; 0 when left out. One more, and the update fails.'),
    rollback_on_failure: z.boolean().optional().describe('Whether an update that fails goes back; true when left out.'),
    pulse_interval_ms: z
      .int()
      .min(1_000)
      .max(86_400_000)
      .optional()
      .describe('Nothing further is done unless a pulse comes at least this often. None is needed when left out.'),
    progress_deadline_ms: z
      .int()
      .min(1_000)
      .max(604_800_000)
      .optional()
      .describe(
        'An instance that does not come to run for so long has failed; 600000 when left out. The grace of whom it replaces and the time of its health checks are added.',
      ),
  })
  .meta({ id: 'UpdateRequest', title: 'A rolling update as it is asked for' });
export type UpdateRequest = z.infer<typeof update_request>;

export const update_defaults: Instructions = {
  strategy: { type: 'queue', size: 1 },
  watch_ms: 45_000,
  max_per_shard_failures: 0,
  max_total_failures: 0,
  rollback_on_failure: true,
  progress_deadline_ms: 600_000,
};
/** Failures that one update would have to remember at most. */
const failures_max = 20_000;

export type WantedUpdate = {
  readonly job: Job;
  readonly how: Instructions;
  readonly only?: Ranges;
  readonly message?: string;
};

/** The request, or everything that is wrong with it. `job` is read by the rules for jobs. */
export function readUpdateRequest(input: unknown): Result<WantedUpdate> {
  const document = (input as { readonly job?: unknown } | null)?.job;
  const job = readJob(document ?? {});
  const problems: Problem[] = job.ok ? [] : job.problems.map(one => ({ ...one, place: `/job${one.place}` }));
  const parsed = update_request.extend({ job: z.unknown() }).safeParse(input);
  if (!parsed.success)
    for (const issue of parsed.error.issues)
      problems.push({
        place: issue.path.map(part => `/${String(part)}`).join(''),
        message: issue.message,
        expected: issue.message.replace(/^Invalid.*: /, ''),
      });
  if (!job.ok || !parsed.success) return bad(...problems);
  const given = parsed.data;
  const wrong = (place: string, value: unknown, message: string, expected: string) =>
    problems.push({ place, value, message, expected });
  const { instances } = job.value;
  const total = given.max_total_failures ?? 0;
  if (total >= instances)
    wrong(
      '/max_total_failures',
      total,
      `max_total_failures is ${total} of ${instances} instances`,
      `less than ${instances}`,
    );
  const each = given.max_per_shard_failures ?? 0;
  if (each * instances > failures_max)
    wrong(
      '/max_per_shard_failures',
      each,
      `max_per_shard_failures ${each} times ${instances} instances is more than ${failures_max}`,
      `at most ${Math.floor(failures_max / instances)}`,
    );
  const only = given.instances === undefined ? undefined : readRanges(given.instances, instances_max - 1);
  if (given.instances !== undefined && only === undefined)
    wrong('/instances', given.instances, `"${given.instances.slice(0, 100)}" names no instances`, 'such as 0-3,5');
  if (problems.length > 0) return bad(...problems);
  const { strategy: asked } = given;
  return good({
    job: job.value,
    how: {
      ...update_defaults,
      ...(asked === undefined ? {} : { strategy: strategyOf(asked) }),
      ...(given.watch_ms === undefined ? {} : { watch_ms: given.watch_ms }),
      max_per_shard_failures: each,
      max_total_failures: total,
      ...(given.rollback_on_failure === undefined ? {} : { rollback_on_failure: given.rollback_on_failure }),
      ...(given.pulse_interval_ms === undefined ? {} : { pulse_interval_ms: given.pulse_interval_ms }),
      ...(given.progress_deadline_ms === undefined ? {} : { progress_deadline_ms: given.progress_deadline_ms }),
    },
    ...(only === undefined ? {} : { only }),
    ...(given.message === undefined ? {} : { message: given.message }),
  });
}

function strategyOf(asked: z.infer<typeof strategy>): Instructions['strategy'] {
  if (asked.type === 'queue') return { type: 'queue', size: asked.size ?? 1 };
  const autopause = asked.autopause === true ? { autopause: true } : {};
  if (asked.type === 'batch') return { type: 'batch', size: asked.size, ...autopause };
  return { type: 'variable-batch', sizes: asked.sizes, ...autopause };
}
