// job.ts: the one job document, its schema, and how a submission becomes it.
//
// People write jobs in the short way that suits them (`cron: "0 3 * * *"`, `retries: 2`). Everything inside Horae sees
// the canonical form only: `schedules` is a list with ids, overlap, catch-up and counting are spelled out. The same schema
// that reads submissions is published in the OpenAPI document, so what is documented is what is checked.

import { z } from 'zod';
import type { CalendarSpec } from '../../schedules/calendar.ts';
import { nearest } from '../../schedules/nearest.ts';
import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import { type Announcement, announce_field, readAnnouncement } from './announcement.ts';
import { calendar_spec } from './calendar.ts';
import { type CommandLineFields, command_line_fields, readCommandLine } from './command-line.ts';
import { type Container, container_field, containerProblems, portsOfContainer, readContainer } from './container.ts';
import { type FetchFields, fetch_field, readFetch } from './fetch.ts';
import { identifier, type JobKey, job_key_bytes_max, jobKey } from './ids.ts';
import { type LimitFields, limit_fields, readLimits } from './limits.ts';
import { type NotifyFields, notify_fields, readNotify } from './notify.ts';
import { type ParentFields, parent_fields, readParents } from './parents.ts';
import { checkTask, hasExecutor, type TaskFields, task_fields } from './processes.ts';
import { readSecrets, type SecretFields, secrets_field } from './secrets.ts';
import { readTries, type TryFields, try_fields } from './tries.ts';

const name_part = z
  .string()
  .min(1)
  .max(64)
  .regex(identifier, 'expected letters, digits, ".", "_", "-", "%", beginning with a letter, a digit or "_"');
const variable = /^[A-Za-z_][A-Za-z0-9_]*$/;
const port_name = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

export const overlap_policies = ['skip', 'buffer-one', 'buffer-all', 'cancel-other', 'kill-other', 'allow'] as const;
export const catch_up_policies = ['none', 'last', 'all', 'first'] as const;

const schedule = z.strictObject({
  id: z
    .string()
    .min(1)
    .max(16)
    .regex(/^[A-Za-z0-9_-]+$/, 'expected letters, digits, "_" or "-"')
    .optional()
    .describe('Names the schedule within its job; `s0`, `s1`, ... by position when left out.'),
  iso8601: z
    .string()
    .max(1024)
    .optional()
    .describe('ISO 8601 repeating interval: `R[n]/start/period` or `R[n]/start/end`.'),
  cron: z
    .string()
    .max(1024)
    .optional()
    .describe('Crontab expression: five fields, six with seconds, or a macro such as `@daily`.'),
  zone: z
    .string()
    .max(64)
    .optional()
    .describe("IANA time zone, such as `Europe/Vienna`; the scheduler's default zone when left out."),
  dst: z
    .strictObject({
      gap: z.enum(['skip', 'next_valid', 'shift']).optional(),
      fold: z.enum(['first', 'second', 'both']).optional(),
    })
    .optional()
    .describe('What becomes of wall-clock times that do not exist (gap) or exist twice (fold).'),
  not_before: z.string().max(64).optional().describe('ISO 8601 instant before which nothing is due.'),
  not_after: z.string().max(64).optional().describe('ISO 8601 instant after which nothing is due.'),
  day_rule: z
    .enum(['vixie', 'and'])
    .optional()
    .describe('How day-of-month and day-of-week combine when both are restricted.'),
  jitter_ms: z
    .int()
    .min(0)
    .max(86_400_000)
    .optional()
    .describe('Upper bound of a stable, per-target delay, in milliseconds.'),
  calendar: calendar_spec.optional().describe('Days that are left out or kept to, and what becomes of targets there.'),
  dialect: z
    .enum(['chronos', 'aurora'])
    .optional()
    .describe(
      'Whose rules the text is read by, where a job came from another scheduler; the native ones when left out.',
    ),
});

/** A job as people submit it: strict, every field described, unknown ones refused. */
export const job_submission = z
  .strictObject({
    role: name_part.describe(
      'Whose job it is: the account that owns it and, where the agent may switch users, runs it.',
    ),
    environment: name_part.describe('Stage within the role: `prod`, `devel`, `test`, ...'),
    name: name_part.describe("The job's name within role and environment."),
    description: z.string().max(4096).optional(),
    owner: z.string().max(1024).optional().describe('E-mail addresses, separated by commas.'),
    ...notify_fields,
    command: z
      .string()
      .min(1)
      .max(65_536)
      .optional()
      .describe('Shell line, run by `/bin/sh -c`; by `/bin/bash -c` where there is a health check or a lifecycle.'),
    ...command_line_fields,
    ...task_fields,
    container: container_field.optional(),
    ...limit_fields,
    fetch: fetch_field.optional(),
    secrets: secrets_field.optional(),
    service: z.boolean().optional().describe('true: kept running for ever. false: runs to its end.'),
    instances: z.int().min(1).max(4000).optional().describe('Copies of the task in each run; 1 when left out.'),
    cpus: z.number().gt(0).max(100_000).optional().describe('CPUs per instance; 0.1 when left out.'),
    mem: z.number().gt(0).max(1_000_000_000).optional().describe('Memory per instance in MB; 128 when left out.'),
    disk: z.number().min(0).max(1_000_000_000).optional().describe('Disk per instance in MB; 0 when left out.'),
    gpus: z.int().min(1).max(1000).optional().describe('Whole GPUs per instance; none when left out.'),
    revocable: z
      .boolean()
      .optional()
      .describe(
        'true: may be given resources that its agent takes back when their owner wants them. false when left out.',
      ),
    ports: z
      .array(z.string().regex(port_name, 'expected a letter, then letters, digits, "_" or "-"'))
      .max(100)
      .optional()
      .describe(
        'Names of ports; each task finds its numbers in `PORT_<name>`. Those that `{{thermos.ports[name]}}` names are added.',
      ),
    announce: announce_field,
    env: z
      .record(
        z.string().regex(variable, 'expected letters, digits and "_", not beginning with a digit'),
        z.string().max(65_536),
      )
      .optional()
      .describe('Environment variables of the task.'),
    schedule: z.string().max(1024).optional().describe('Short for one schedule with `iso8601`.'),
    cron: z.string().max(1024).optional().describe('Short for one schedule with `cron`.'),
    zone: z.string().max(64).optional().describe('Zone of every schedule that names none.'),
    schedules: z.array(schedule).max(32).optional(),
    ...parent_fields,
    enabled: z.boolean().optional().describe('false: nothing becomes due; manual runs still start.'),
    retries: z
      .int()
      .min(0)
      .max(10_000)
      .optional()
      .describe('Further attempts after a failure: short for `max_task_failures` = retries + 1.'),
    max_task_failures: z
      .int()
      .min(-1)
      .max(10_000)
      .refine(n => n !== 0, 'expected -1 (until success) or a number from 1 on')
      .optional()
      .describe(
        'Failures of one instance before it is given up; -1: never; 1 when left out. Services are always restarted.',
      ),
    retry_delay_ms: z
      .int()
      .min(0)
      .max(86_400_000)
      .optional()
      .describe("Delay before the first retry, doubled for each further one; the scheduler's default when left out."),
    ...try_fields,
    collision_policy: z
      .enum(['KILL_EXISTING', 'CANCEL_NEW'])
      .optional()
      .describe("Aurora's words for `overlap: {policy: cancel-other}` and `{policy: skip}`."),
    overlap: z
      .strictObject({ policy: z.enum(overlap_policies), max: z.int().min(1).max(10_000).optional() })
      .optional()
      .describe(
        'What happens when a run is due while another is active; `skip` when left out, `buffer-all` where there are parents. `max`: runs side by side (allow), or waiting (buffer-all).',
      ),
    catch_up: z
      .strictObject({
        policy: z.enum(catch_up_policies),
        first_n: z.int().min(1).max(10_000).optional(),
        window_ms: z.int().min(0).optional(),
        from: z.enum(['creation', 'start']).optional(),
        rate: z
          .strictObject({ runs: z.int().min(1).max(100_000), per_ms: z.int().min(1).max(2_678_400_000) })
          .optional()
          .describe('At most so many caught-up runs in so long a time.'),
      })
      .optional()
      .describe('What becomes of targets that passed while nobody could run them; `last` when left out.'),
    pause_on_failure: z
      .int()
      .min(1)
      .max(10_000)
      .optional()
      .describe('After so many failed runs in a row the job is paused until somebody resumes it; never when left out.'),
    count: z
      .enum(['targets', 'launches'])
      .optional()
      .describe('What a finite repetition count counts; `targets` when left out.'),
    priority: z
      .int()
      .min(-1_000_000)
      .max(1_000_000)
      .optional()
      .describe(
        'Higher goes first among waiting instances, unless another has waited for much longer; 0 when left out.',
      ),
    constraints: z
      .array(z.tuple([z.string().min(1).max(256), z.enum(['EQUALS', 'LIKE', 'UNLIKE']), z.string().max(1024)]))
      .max(100)
      .optional()
      .describe('Which agents will do: [attribute, operator, value], all of them together.'),
    kill_grace_ms: z
      .int()
      .min(0)
      .max(86_400_000)
      .optional()
      .describe('Between SIGTERM and SIGKILL, in milliseconds; 3000 when left out, 30000 where there are processes.'),
    partition_policy: z
      .strictObject({
        reschedule: z.boolean(),
        delay_ms: z.int().min(0).max(2_678_400_000).optional(),
      })
      .optional()
      .describe(
        'What becomes of a task whose agent cannot be reached. `reschedule`: after `delay_ms` (0 when left out) another is begun, though the first may still run there. False: it is waited for until Mesos knows. Left out: true for services, false for everything else.',
      ),
    labels: z.record(z.string().min(1).max(256), z.string().max(4096)).optional(),
  })
  .meta({ id: 'JobSubmission', title: 'A job as it is submitted' });
export type JobSubmission = z.infer<typeof job_submission>;

export type ScheduleDocument = {
  readonly id: string;
  readonly iso8601?: string;
  readonly cron?: string;
  readonly zone?: string;
  readonly dst?: { readonly gap?: 'skip' | 'next_valid' | 'shift'; readonly fold?: 'first' | 'second' | 'both' };
  readonly not_before?: string;
  readonly not_after?: string;
  readonly day_rule?: 'vixie' | 'and';
  readonly jitter_ms?: number;
  readonly calendar?: CalendarSpec;
  /** Whose rules the text is read by; the native ones when left out. */
  readonly dialect?: 'chronos' | 'aurora';
};
export type Overlap = { readonly policy: (typeof overlap_policies)[number]; readonly max?: number };
export type CatchUpDocument = {
  readonly policy: (typeof catch_up_policies)[number];
  readonly first_n?: number;
  readonly window_ms?: number;
  /** Where a schedule whose start lies before the job's creation begins; `creation` when left out. */
  readonly from?: 'creation' | 'start';
  readonly rate?: { readonly runs: number; readonly per_ms: number };
};

/** A job as everything inside Horae sees it. Optional fields are those whose absence means something. */
export type Job = {
  readonly role: string;
  readonly environment: string;
  readonly name: string;
  readonly description?: string;
  readonly owner?: string;
  readonly command?: string;
  readonly container?: Container;
  readonly service: boolean;
  readonly instances: number;
  readonly cpus: number;
  readonly mem: number;
  readonly disk: number;
  readonly gpus?: number;
  /** May be given what its agent can take back. */
  readonly revocable?: true;
  readonly ports: readonly string[];
  readonly announce?: Announcement;
  readonly env: Readonly<Record<string, string>>;
  readonly schedules: readonly ScheduleDocument[];
  readonly enabled: boolean;
  /** Failures of one instance before it is given up; -1 = never. */
  readonly max_task_failures: number;
  readonly retry_delay_ms?: number;
  readonly overlap: Overlap;
  readonly catch_up: CatchUpDocument;
  /** Failed runs in a row after which the job is paused; never when left out. */
  readonly pause_on_failure?: number;
  readonly count: 'targets' | 'launches';
  readonly priority: number;
  readonly constraints: readonly (readonly [string, 'EQUALS' | 'LIKE' | 'UNLIKE', string])[];
  readonly kill_grace_ms: number;
  /** Left out: whoever is behind a partition is waited for. */
  readonly partition_policy?: { readonly reschedule: boolean; readonly delay_ms?: number };
  readonly labels: Readonly<Record<string, string>>;
} & CommandLineFields &
  ParentFields &
  FetchFields &
  SecretFields &
  LimitFields &
  TryFields &
  NotifyFields &
  TaskFields;

export const keyOf = (job: Pick<Job, 'role' | 'environment' | 'name'>): JobKey =>
  jobKey(job.role, job.environment, job.name);

/** What a job is given where its submission says nothing. A dialect has defaults of its own. */
export const job_defaults = {
  cpus: 0.1,
  mem: 128,
  disk: 0,
  kill_grace_ms: 3000,
  finalization_wait_ms: 30_000,
} as const;

/** Reads a submission (a parsed JSON or YAML value) into a canonical job, or names everything that is wrong with it. */
export function readJob(input: unknown): Result<Job> {
  const parsed = job_submission.safeParse(input);
  if (!parsed.success) return bad(...parsed.error.issues.flatMap(issue => problemsOf(issue, input)));
  const given = parsed.data;
  const problems: Problem[] = [];
  const wrong = (place: string, value: unknown, message: string, expected: string) =>
    problems.push({ place, value, message, expected });

  const key = keyOf(given);
  if (Buffer.byteLength(key) > job_key_bytes_max)
    wrong(
      '/name',
      given.name,
      `job key "${key}" has ${Buffer.byteLength(key)} bytes`,
      `at most ${job_key_bytes_max} bytes for role/environment/name together`,
    );
  const container = given.container === undefined ? undefined : readContainer(given.container, given.command);
  // An image may bring its own command.
  const nothing_to_run = given.command === undefined && given.processes === undefined && container === undefined;
  if (nothing_to_run || (given.command !== undefined && given.processes !== undefined))
    wrong(
      '/command',
      given.command,
      given.command === undefined ? 'there is nothing to run' : 'both "command" and "processes" are given',
      'exactly one of "command" and "processes"',
    );
  const twice = given.ports?.find((port, index) => given.ports!.indexOf(port) !== index);
  if (twice !== undefined) wrong('/ports', twice, `port "${twice}" is asked for twice`, 'each port name once');
  const short = [given.schedule !== undefined, given.cron !== undefined, given.schedules !== undefined].filter(
    Boolean,
  ).length;
  if (short > 1)
    wrong(
      '/schedule',
      undefined,
      'several of "schedule", "cron" and "schedules" are given',
      'exactly one of them, or none for a job that runs once',
    );
  const schedules: ScheduleDocument[] = (
    given.schedules ??
    (given.schedule !== undefined
      ? [{ iso8601: given.schedule }]
      : given.cron !== undefined
        ? [{ cron: given.cron }]
        : [])
  ).map(({ id, iso8601, cron, zone = given.zone, ...rest }, index) =>
    defined({ id: id ?? `s${index}`, iso8601, cron, zone, ...rest }),
  );
  for (const [index, one] of schedules.entries()) {
    if ((one.iso8601 === undefined) === (one.cron === undefined))
      wrong(
        `/schedules/${index}`,
        undefined,
        `schedule "${one.id}" has ${one.iso8601 === undefined ? 'neither "iso8601" nor "cron"' : 'both "iso8601" and "cron"'}`,
        'exactly one of "iso8601" and "cron"',
      );
    if (schedules.findIndex(other => other.id === one.id) !== index)
      wrong(`/schedules/${index}/id`, one.id, `schedule id "${one.id}" is used twice`, 'each id once within a job');
  }
  if (given.service === true && schedules.length > 0)
    wrong('/service', true, 'a service has no schedule: it always runs', 'either "service": true or a schedule');
  if (given.service === true && given.pause_on_failure !== undefined)
    wrong('/pause_on_failure', given.pause_on_failure, 'a service has no runs to count', 'no pause_on_failure');
  if (given.service === true && (given.retries !== undefined || given.max_task_failures !== undefined))
    wrong(
      '/max_task_failures',
      given.max_task_failures ?? given.retries,
      'a service is always restarted',
      'no retries and no max_task_failures beside "service": true',
    );
  if (
    given.retries !== undefined &&
    given.max_task_failures !== undefined &&
    given.max_task_failures !== given.retries + 1
  )
    wrong(
      '/max_task_failures',
      given.max_task_failures,
      `max_task_failures ${given.max_task_failures} and retries ${given.retries} say different things`,
      'one of them, or max_task_failures = retries + 1',
    );
  if (given.collision_policy !== undefined && given.overlap !== undefined)
    wrong(
      '/collision_policy',
      given.collision_policy,
      'both "collision_policy" and "overlap" are given',
      'one of them',
    );
  if (
    given.kill_grace_ms !== undefined &&
    given.finalization_wait_ms !== undefined &&
    given.kill_grace_ms !== given.finalization_wait_ms
  )
    wrong(
      '/finalization_wait_ms',
      given.finalization_wait_ms,
      `kill_grace_ms ${given.kill_grace_ms} and finalization_wait_ms ${given.finalization_wait_ms} say different things`,
      'one of them',
    );
  const grace_ms = hasExecutor(given) ? job_defaults.finalization_wait_ms : job_defaults.kill_grace_ms;
  const kill_grace_ms = given.kill_grace_ms ?? given.finalization_wait_ms ?? grace_ms;
  const following = readParents(given, schedules.length > 0);
  problems.push(...following.problems);
  const asked = [...new Set([...(given.ports ?? []), ...(container === undefined ? [] : portsOfContainer(container))])];
  const task = checkTask({ ...given, ports: asked, env: given.env ?? {}, kill_grace_ms });
  const announced = readAnnouncement(given.announce, task.ports);
  problems.push(...task.problems, ...announced.problems);
  const line = readCommandLine(given, {
    plain: !hasExecutor(given),
    container,
  });
  problems.push(...line.problems);
  const limits = readLimits(given, container);
  const tries = readTries(given, given);
  const fetch = readFetch(given.fetch);
  const notify = readNotify(given, given);
  const secrets = readSecrets(given.secrets, { env: given.env ?? {} });
  problems.push(...limits.problems, ...tries.problems, ...fetch.problems, ...secrets.problems, ...notify.problems);
  if (container !== undefined)
    problems.push(...containerProblems(container, { command: given.command, has_executor: hasExecutor(given) }));
  if (problems.length > 0) return bad(...problems);

  return good(
    defined({
      role: given.role,
      environment: given.environment,
      name: given.name,
      description: given.description,
      owner: given.owner,
      ...notify.fields,
      command: given.command,
      ...line.fields,
      container,
      processes: given.processes,
      order: given.order,
      max_process_failures: given.max_process_failures,
      max_concurrency: given.max_concurrency,
      ...limits.fields,
      ...fetch.fields,
      ...secrets.fields,
      health_check: given.health_check,
      lifecycle: given.lifecycle,
      service: given.service ?? false,
      instances: given.instances ?? 1,
      cpus: given.cpus ?? job_defaults.cpus,
      mem: given.mem ?? job_defaults.mem,
      disk: given.disk ?? job_defaults.disk,
      gpus: given.gpus,
      revocable: given.revocable === true ? true : undefined,
      ports: announced.ports,
      announce: announced.announce,
      env: sorted(given.env),
      schedules,
      ...following.fields,
      enabled: given.enabled ?? true,
      max_task_failures: given.service === true ? -1 : (given.max_task_failures ?? (given.retries ?? 0) + 1),
      retry_delay_ms: given.retry_delay_ms,
      ...tries.fields,
      overlap: given.overlap ?? { policy: overlapOf(given.collision_policy, following.fields.parents !== undefined) },
      catch_up: given.catch_up ?? { policy: 'last' },
      pause_on_failure: given.pause_on_failure,
      count: given.count ?? 'targets',
      priority: given.priority ?? 0,
      constraints: given.constraints ?? [],
      kill_grace_ms,
      partition_policy: given.partition_policy,
      labels: sorted(given.labels),
    } as Job),
  );
}

/** A target that is skipped has been told; the runs of parents that have ended wait, so that none is forgotten. */
function overlapOf(collision: JobSubmission['collision_policy'], follows: boolean): Overlap['policy'] {
  if (collision === undefined) return follows ? 'buffer-all' : 'skip';
  return collision === 'KILL_EXISTING' ? 'cancel-other' : 'skip';
}

/** A new one begins at once: it waits neither for a schedule nor for parents. */
export const runsOnce = ({ service, schedules, parents }: Job): boolean =>
  !service && schedules.length === 0 && parents === undefined;

/** Names in order, so that two documents that say the same are the same text. */
const sorted = (given: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1)));

/** The same object without the keys whose value is undefined: an absent field and an undefined one must not differ. */
function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}

/** One of zod's findings in our form: place as a JSON pointer, the value that stood there, what would be right. */
function problemsOf(issue: z.core.$ZodIssue, input: unknown): readonly Problem[] {
  const place = pointer(issue.path);
  let value: unknown = input;
  for (const step of issue.path)
    value = value === null || typeof value !== 'object' ? undefined : (value as Record<PropertyKey, unknown>)[step];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(key => ({
      place: `${place}/${escaped(key)}`,
      value: brief((value as Record<string, unknown>)[key]),
      message: `unknown field "${key}"`,
      expected: place === '' ? fieldMeant(key) : `no such field in ${place}`,
    }));
  const message = value === undefined ? 'a required value is missing' : `${JSON.stringify(brief(value))} will not do`;
  return [{ place, value: brief(value), message: `${message}: ${issue.message}`, expected: expectedOf(issue) }];
}

function fieldMeant(key: string): string {
  const fields = Object.keys(job_submission.shape);
  const near = nearest(key, fields);
  return near === undefined ? `one of ${fields.join(', ')}` : `"${near}"`;
}

function expectedOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int' ? 'a whole number' : `a value of type ${issue.expected}`;
    case 'too_small':
      return `${issue.inclusive ? 'at least' : 'above'} ${issue.minimum}`;
    case 'too_big':
      return `${issue.inclusive ? 'at most' : 'below'} ${issue.maximum}`;
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`;
    default:
      return issue.message;
  }
}

const escaped = (step: PropertyKey) => String(step).replaceAll('~', '~0').replaceAll('/', '~1');
const pointer = (path: readonly PropertyKey[]) => path.map(step => `/${escaped(step)}`).join('');

/** A value short enough to stand in an error message. */
function brief(value: unknown): unknown {
  if (typeof value === 'string') return value.length > 200 ? `${value.slice(0, 200)}...` : value;
  if (value === null || typeof value !== 'object') return value;
  const text = JSON.stringify(value) ?? '';
  return text.length > 200 ? `${text.slice(0, 200)}...` : value;
}
