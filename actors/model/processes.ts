// processes.ts: the part of a job that says how it runs on its agent: its processes, their order, their health, their end.
//
// A job with a plain command is handed to Mesos as it is. One of several processes, or one whose health is looked at, goes
// out with Horae's own executor; what it may say is decided by the very function that the executor reads it with
// (mesos/executor/document.ts), asked here at submission, with the job's own names for the places of what is wrong.

import { z } from 'zod';
import {
  type HealthDocument,
  type LifecycleDocument,
  type LoggerDocument,
  type ProcessDocument,
  portsOf,
  readTask,
  type TaskDocument,
} from '../../mesos/executor/document.ts';
import { windowMs } from '../../mesos/executor/health.ts';
import { portsIn, templateProblems } from '../../mesos/executor/template.ts';
import type { Problem } from '../../schedules/problem.ts';

const day_ms = 86_400_000;
const delay = (text: string) => z.int().min(0).max(day_ms).optional().describe(text);
const flag = (text: string) => z.boolean().optional().describe(text);
const path = z
  .string()
  .max(2048)
  .regex(/^\/[\x21-\x7e]*$/, 'expected a path that begins with "/"');
const port = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/, 'expected the name of a port: a letter, then letters, digits, "_" or "-"');

const process = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[^/.][^/]*$/, 'expected a name that does not begin with "." and has no "/"')
    .describe('Unique within the job; the folder of its output.'),
  command: z.string().min(1).max(65_536).describe('Shell line, run by `/bin/bash -c`.'),
  max_failures: z
    .int()
    .min(0)
    .max(100)
    .optional()
    .describe('Runs with an exit code other than 0 after which it has failed; 0: never. 1 when left out.'),
  daemon: flag('Starts again when it succeeds, too. Nothing can come after it.'),
  ephemeral: flag('The task does not wait for it; when the others are done it is ended.'),
  final: flag('Runs when the others are over, whatever came of them.'),
  min_duration_ms: delay('Rest between two of its runs; 5000 when left out.'),
  logger: z
    .strictObject({
      destination: z.enum(['file', 'console', 'both', 'none']).optional(),
      mode: z.enum(['rotate', 'standard']).optional(),
      size_bytes: z
        .int()
        .min(1024)
        .max(2 ** 40)
        .optional(),
      backups: z.int().min(0).max(1000).optional(),
    })
    .optional()
    .describe('Where its output goes. Left out: files of 100 MiB, and 5 older ones.'),
});

const checker = z.discriminatedUnion(
  'type',
  [
    z.strictObject({
      type: z.literal('http'),
      port: port.optional(),
      path: path.optional(),
      expected_response: z.string().max(1024).optional(),
      expected_code: z.int().min(0).max(599).optional(),
    }),
    z.strictObject({ type: z.literal('tcp'), port: port.optional() }),
    z.strictObject({ type: z.literal('shell'), command: z.string().min(1).max(65_536) }),
  ],
  { error: 'expected a checker of type "http", "tcp" or "shell"' },
);

/** Fields of a submission. */
export const task_fields = {
  processes: z
    .array(process)
    .min(1)
    .max(100)
    .optional()
    .describe("What the task runs, by Horae's own executor. Instead of `command`."),
  order: z
    .array(z.array(z.string().min(1).max(64)).max(100))
    .max(1000)
    .optional()
    .describe(
      'Each list: these processes one after the other. Left out: all of them as they stand, but for ephemeral and final ones; `[]`: all at once.',
    ),
  max_process_failures: z
    .int()
    .min(0)
    .max(100)
    .optional()
    .describe('Failed processes after which the task has failed; 0: it goes on whatever fails. 1 when left out.'),
  max_concurrency: z.int().min(0).max(100).optional().describe('Processes at a time; 0, or left out: all.'),
  finalization_wait_ms: delay(
    "Aurora's word for `kill_grace_ms`; 30000 when both are left out and there are processes.",
  ),
  health_check: z
    .strictObject({
      checker,
      initial_interval_ms: delay('Bad answers are forgiven for so long; 15000 when left out.'),
      interval_ms: z.int().min(100).max(day_ms).optional().describe('Between two checks; 10000 when left out.'),
      timeout_ms: z.int().min(1).max(day_ms).optional().describe('How long a check may take; 1000 when left out.'),
      max_consecutive_failures: z
        .int()
        .min(0)
        .max(100_000)
        .optional()
        .describe('Bad answers in a row that are put up with; 0 when left out.'),
      min_consecutive_successes: z
        .int()
        .min(1)
        .max(100_000)
        .optional()
        .describe('Good answers in a row before the task counts as running; 1 when left out.'),
    })
    .optional()
    .describe('The task counts as running when it is healthy, and is ended when it is not any more.'),
  lifecycle: z
    .strictObject({
      port: port.optional(),
      graceful_path: path.optional(),
      graceful_wait_ms: delay('5000 when left out.'),
      abort_path: path.optional(),
      abort_wait_ms: delay('5000 when left out.'),
    })
    .optional()
    .describe('The task is asked to go by POST before it is sent SIGTERM: /quitquitquit, then /abortabortabort.'),
};

type Given<T> = { readonly [name in keyof T]?: T[name] };
/** As the job keeps it: what was said, and nothing that was not. */
export type TaskFields = {
  readonly processes?: readonly (Pick<ProcessDocument, 'name' | 'command'> &
    Given<Omit<ProcessDocument, 'name' | 'command' | 'logger'>> & { readonly logger?: Given<LoggerDocument> })[];
  readonly order?: readonly (readonly string[])[];
  readonly max_process_failures?: number;
  readonly max_concurrency?: number;
  readonly health_check?: Given<Omit<HealthDocument, 'checker'>> & { readonly checker: Checker };
  readonly lifecycle?: Given<LifecycleDocument>;
};
type Checker = z.infer<typeof checker>;
type Runs = TaskFields & {
  readonly command?: string;
  readonly kill_grace_ms: number;
  readonly ports: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

/** Whether a job goes out with Horae's own executor. */
export const hasExecutor = ({ processes, health_check, lifecycle }: TaskFields): boolean =>
  processes !== undefined || health_check !== undefined || lifecycle !== undefined;

/** The job's task for the executor, not read yet. */
export function taskInput(job: Runs, env = job.env, withdraw_wait_ms = 0): unknown {
  const processes = job.processes ?? [{ name: 'main', command: job.command ?? '' }];
  const waited_for = new Set(processes.filter(one => !one.ephemeral && !one.final).map(({ name }) => name));
  return {
    processes,
    order: job.order ?? [[...waited_for]],
    ...(job.max_process_failures === undefined ? {} : { max_failures: job.max_process_failures }),
    ...(job.max_concurrency === undefined ? {} : { max_concurrency: job.max_concurrency }),
    finalization_wait_ms: job.kill_grace_ms,
    ...(withdraw_wait_ms === 0 ? {} : { withdraw_wait_ms }),
    ports: job.ports,
    env,
    ...(job.health_check === undefined ? {} : { health: job.health_check }),
    ...(job.lifecycle === undefined ? {} : { lifecycle: job.lifecycle }),
  };
}

const read = new WeakMap<Runs, TaskDocument>();

/** The task of a job that was accepted. Without what only an attempt knows. */
export function taskOf(job: Runs): TaskDocument {
  const known = read.get(job);
  if (known !== undefined) return known;
  const task = readTask(taskInput(job));
  if (!task.ok) {
    const [{ place, message } = { place: '', message: 'nothing is said' }] = task.problems;
    throw new Error(`the task of an accepted job cannot be read: ${place}: ${message}`);
  }
  read.set(job, task.value);
  return task.value;
}

/** How long this job's health checks may take until a healthy instance is called running; 0: it has none. */
export function checksMs(job: Runs): number {
  const health = hasExecutor(job) ? taskOf(job).health : undefined;
  return health === undefined ? 0 : windowMs(health);
}

/** Every port that a job needs, and whatever is wrong with how it runs. */
export function checkTask(job: Runs): { readonly ports: readonly string[]; readonly problems: readonly Problem[] } {
  if (!hasExecutor(job)) {
    const problems: Problem[] = [];
    for (const field of ['order', 'max_process_failures', 'max_concurrency'] as const)
      if (job[field] !== undefined)
        problems.push({
          place: `/${field}`,
          value: job[field],
          message: `"${field}" speaks of processes, and there is a plain command`,
          expected: '"processes" instead of "command"',
        });
    const texts = [
      { text: job.command ?? '', place: '/command' },
      ...Object.entries(job.env).map(([name, text]) => ({ text, place: `/env/${name}` })),
    ].flatMap(({ text, place }) => (text.match(own_blank) ?? []).map(one => ({ text: one, place })));
    problems.push(...texts.flatMap(({ text, place }) => templateProblems(text, place)));
    return {
      ports: together(
        job.ports,
        texts.flatMap(({ text }) => portsIn(text)),
      ),
      problems,
    };
  }
  const task = readTask(taskInput(job));
  if (!task.ok) return { ports: job.ports, problems: task.problems.map(one => ({ ...one, place: placeOf(job, one) })) };
  return { ports: together(job.ports, portsOf(task.value)), problems: [] };
}

/**
 * In a plain command only these mean something: others have braces of their own, and always had. They are filled in by the
 * scheduler.
 */
export const own_blank = /\{\{\s*(?:thermos|mesos)\.[^{}]*\}\}/g;

/** Asked for by name first, in that order. */
const together = (asked: readonly string[], used: readonly string[]): readonly string[] => [
  ...new Set([...asked, ...used]),
];

/** Where the job says what the executor calls by another name. */
function placeOf({ processes }: Runs, { place }: Problem): string {
  if (processes === undefined && place.startsWith('/processes/0/command')) return '/command';
  return place
    .replace(/^\/health(?=\/|$)/, '/health_check')
    .replace(/^\/max_failures(?=\/|$)/, '/max_process_failures')
    .replace(/^\/finalization_wait_ms$/, '/kill_grace_ms');
}
