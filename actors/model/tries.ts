// tries.ts: how often a job's instances are tried, after which pauses, and how long each thing may take.
//
// Two questions of one kind. After a failure: shall it be tried again, and when? And while nothing is heard: how long is it
// waited for? What a job does not say is said by the settings; a time-out that nobody says does not exist.

import { z } from 'zod';
import type { Problem } from '../../schedules/problem.ts';
import type { EndReason } from './reasons.ts';

const ms = z.int().min(0).max(2_678_400_000);
const limit_ms = z.int().min(1).max(31_622_400_000);

export const try_fields = {
  retry: z
    .strictObject({
      delay_ms: ms.optional().describe("Before the first retry; the scheduler's default when left out."),
      factor: z
        .number()
        .min(1)
        .max(100)
        .optional()
        .describe('Each delay is this many times the one before; 1: always the same; 2 when left out.'),
      delay_ms_max: ms.optional().describe("No delay is longer; the scheduler's own limit when left out."),
      jitter: z
        .number()
        .min(0)
        .max(1)
        .optional()
        .describe('The part of a delay that chance may take away, so that what failed together does not come back so.'),
      exit_codes: z
        .array(z.int().min(-2_147_483_648).max(2_147_483_647))
        .min(1)
        .max(256)
        .optional()
        .describe(
          "Only these are tried again. What is not the command's own doing (its image, its agent) is tried again as ever.",
        ),
    })
    .optional()
    .describe('What happens between a failed attempt and the next, where max_task_failures allows one.'),
  timeouts: z
    .strictObject({
      start_ms: limit_ms
        .optional()
        .describe('From when it is due until its first process runs; then it has failed and is not tried again.'),
      run_ms: limit_ms.optional().describe('Each attempt, from its first process; then it is killed and has failed.'),
      total_ms: limit_ms
        .optional()
        .describe('The run from its beginning, with all waits and retries; then it is killed and has failed.'),
      call_back_ms: limit_ms
        .optional()
        .describe('Async: from the end of its command until it is completed; then it has failed.'),
    })
    .optional()
    .describe('How long each thing may take; what is left out may take for ever.'),
  async: z
    .boolean()
    .optional()
    .describe(
      'true: the end of the command is not the end. The run lives until its task is completed by a call-back, or the deadline for that.',
    ),
};
type TriesSubmission = z.infer<z.ZodObject<typeof try_fields>>;

export type Retry = {
  readonly delay_ms?: number;
  readonly factor?: number;
  readonly delay_ms_max?: number;
  readonly jitter?: number;
  readonly exit_codes?: readonly number[];
};
export type Timeouts = {
  readonly start_ms?: number;
  readonly run_ms?: number;
  readonly total_ms?: number;
  readonly call_back_ms?: number;
};
export type TryFields = { readonly retry?: Retry; readonly timeouts?: Timeouts; readonly async?: true };

/** What a job says of its tries, and what is wrong with that. */
export function readTries(
  { retry, timeouts, async: called }: TriesSubmission,
  { service, retry_delay_ms }: { readonly service?: boolean | undefined; readonly retry_delay_ms?: number | undefined },
): { readonly fields: TryFields; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const wrong = (place: string, value: unknown, message: string, expected: string) =>
    problems.push({ place, value, message, expected });
  if (retry?.delay_ms !== undefined && retry_delay_ms !== undefined && retry.delay_ms !== retry_delay_ms)
    wrong(
      '/retry/delay_ms',
      retry.delay_ms,
      `retry.delay_ms ${retry.delay_ms} and retry_delay_ms ${retry_delay_ms} say different things`,
      'one of them',
    );
  if (retry?.delay_ms !== undefined && retry.delay_ms_max !== undefined && retry.delay_ms_max < retry.delay_ms)
    wrong(
      '/retry/delay_ms_max',
      retry.delay_ms_max,
      `the longest delay ${retry.delay_ms_max} is shorter than the first, ${retry.delay_ms}`,
      `at least ${retry.delay_ms}`,
    );
  if (service === true) {
    const nonsense = (field: string, value: unknown, why: string) => wrong(field, value, why, 'none beside a service');
    if (retry?.exit_codes !== undefined)
      nonsense('/retry/exit_codes', retry.exit_codes, 'a service is always restarted, however it ended');
    if (timeouts !== undefined) nonsense('/timeouts', timeouts, 'a service runs for ever');
    if (called === true) nonsense('/async', true, 'a service has no end that could be reported');
  }
  if (timeouts?.call_back_ms !== undefined && called !== true)
    wrong(
      '/timeouts/call_back_ms',
      timeouts.call_back_ms,
      'nobody waits for a call-back: the job is not async',
      '"async": true beside it',
    );
  const fields: TryFields = {
    ...(retry === undefined || Object.keys(retry).length === 0 ? {} : { retry: retry as Retry }),
    ...(timeouts === undefined || Object.keys(timeouts).length === 0 ? {} : { timeouts: timeouts as Timeouts }),
    ...(called === true ? { async: true } : {}),
  };
  return { fields, problems };
}

/** Whether a failure of this kind may be tried again at all; how often is another question. */
export function isTriedAgain({ retry }: TryFields, reason: EndReason): boolean {
  switch (reason.code) {
    // Mesos calls it invalid, and will the next time too.
    case 'invalid':
      return false;
    case 'timed-out':
      return reason.which === 'run' && retry?.exit_codes === undefined;
    case 'exited':
      return retry?.exit_codes?.includes(reason.exit_code) ?? true;
    case 'called-back':
      return retry?.exit_codes?.includes(reason.status_code) ?? true;
    case 'signalled':
    case 'over-limit':
    case 'unhealthy':
      return retry?.exit_codes === undefined;
    default:
      return true;
  }
}
