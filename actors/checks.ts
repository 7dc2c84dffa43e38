// checks.ts: whether a job that can be read also means something: its schedules, and the patterns of its constraints.

import { compileConstraint } from '../mesos/constraints.ts';
import type { Instant } from '../schedules/clock.ts';
import { bad, good, type Problem, type Result } from '../schedules/problem.ts';
import type { Job } from './model/job.ts';
import type { ChannelName } from './model/notices.ts';
import { unreachable } from './model/notify.ts';
import { checkSchedules, type ScheduleContext } from './model/schedules.ts';

/**
 * What the schema cannot see: everything that is wrong, each with its place. `standing`: channels for which the settings
 * name a place.
 */
export function checkJob(
  job: Job,
  now: Instant,
  context: ScheduleContext,
  standing: readonly ChannelName[] = [],
): Result<void> {
  const schedules = checkSchedules(job, now, context);
  const problems: Problem[] = schedules.ok ? [] : [...schedules.problems];
  for (const [index, constraint] of job.constraints.entries()) {
    const compiled = compileConstraint(constraint);
    if (!compiled.ok) problems.push(...compiled.problems.map(one => ({ ...one, place: `/constraints/${index}/2` })));
  }
  problems.push(...unreachable(job, standing));
  return problems.length === 0 ? good(undefined) : bad(...problems);
}
