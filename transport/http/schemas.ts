// schemas.ts: the shapes that leave the server, as schemas: what the OpenAPI document publishes and tests check.
//
// Instants leave as ISO 8601 in UTC, for people and for every language's parser. Inside they are milliseconds.

import { z } from 'zod';
import { calendar_rule, calendar_submission } from '../../actors/model/calendar.ts';
import { job_submission } from '../../actors/model/job.ts';
import { update_request } from '../../actors/model/update-request.ts';
import { instance_actions, update_statuses } from '../../actors/model/updates.ts';
import { joins, trigger_rules } from '../../schedules/join.ts';
import { file_page } from './routes/files.ts';
import { snooze_request } from './routes/instances.ts';
import { notification, notification_page } from './routes/notifications.ts';
import { log_level_request, log_levels_told } from './routes/operations.ts';
import { swept_sandboxes } from './routes/sandboxes.ts';
import { attempt_page, slowest_jobs, statistics } from './routes/statistics.ts';
import { backfill_request, pause_request } from './routes/steering.ts';
import { completed, completion } from './routes/tasks.ts';
import { session_client_word, session_server_word } from './session-words.ts';
import { count, end_reason, instant, links } from './shapes.ts';

/** A run of a parent that has ended. */
const parent_run = z.object({
  job: z.string(),
  run: z.string(),
  outcome: z
    .enum(['succeeded', 'failed', 'killed', 'skipped'])
    .describe('`skipped`: it was turned down, because of its own parents or as a run too many, and never began.'),
  at: instant.describe('When it ended.'),
  exit_code: z.int().optional(),
  result: z.string().optional().describe('What its task left for those that follow.'),
});

const cause = z.discriminatedUnion('type', [
  z.object({ type: z.literal('target'), schedule: z.string(), at: instant, caught_up: z.boolean().optional() }),
  z.object({
    type: z.literal('manual'),
    by: z.string(),
    request: z.string(),
    arguments: z.array(z.string()).readonly().optional(),
  }),
  z.object({
    type: z.literal('backfill'),
    schedule: z.string(),
    at: instant,
    backfill: z.string(),
    by: z.string(),
  }),
  z.object({
    type: z.literal('dependency'),
    at: instant.describe('When the last of its parents ended.'),
    parents: z.array(parent_run).describe('In the order in which the job names them; the newest run of each.'),
    taken: z.int().optional().describe('Runs of parents that it took, where those were more.'),
  }),
  z.object({ type: z.literal('once') }),
  z.object({ type: z.literal('service') }),
]);
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  problems: z
    .array(z.object({ place: z.string(), value: z.unknown().optional(), message: z.string(), expected: z.string() }))
    .describe('Everything that is wrong, at once.'),
});

export const job_states = ['idle', 'running', 'waiting', 'disabled', 'paused', 'deleting', 'quarantined'] as const;
export const job_resource = z.object({
  key: z.string().describe('role/environment/name'),
  version: z.int().min(1),
  etag: z.string().describe('What If-Match wants.'),
  created_at: instant,
  updated_at: instant,
  kind: z.enum(['service', 'recurring', 'dependent', 'once']),
  state: z.enum(job_states),
  next_at: instant.optional().describe('The next target.'),
  active_runs: count,
  children: z.array(z.string()).optional().describe('Keys of jobs that follow it; the first hundred.'),
  waiting_starts: count.describe('Starts that wait for an active run to end.'),
  tally: z.object({
    successes: count,
    failures: count,
    failures_since_success: count,
    last_success_at: instant.optional(),
    last_failure_at: instant.optional(),
  }),
  remaining: z
    .record(z.string(), count)
    .optional()
    .describe('Runs that finite schedules have left, by schedule id. Retries and runs by hand use up none.'),
  paused: z
    .object({ since: instant, note: z.string(), by: z.string().describe('`horae`: it failed too often.') })
    .optional()
    .describe('Why nothing starts by itself.'),
  backfills: z
    .array(
      z.object({
        id: z.string(),
        from: instant,
        to: instant,
        by: z.string(),
        since: instant,
        overlap: z.object({ policy: z.string(), max: z.int().optional() }),
        targets: count,
        told: count.describe('Targets that have had their turn.'),
        over_at: instant.optional(),
        ended_by: z.string().optional().describe('Who ended it before all of its targets had had their turn.'),
      }),
    )
    .optional()
    .describe('Those under way, and the latest of those that are over.'),
  update: z
    .object({ id: z.string(), status: z.enum(update_statuses) })
    .optional()
    .describe('The update that is active.'),
  quarantined: z.string().optional().describe('Why the job was put aside.'),
  origin: z.string().optional().describe('The dialect in which it was submitted.'),
  job: z.looseObject({}).describe('The canonical document; it can be sent back as it is.'),
  links,
});
export const job_page = z.object({
  jobs: z.array(job_resource),
  total: count.describe('Jobs there are, seen or not.'),
  next: z.string().optional().describe('Path of the next page; absent at the end.'),
});

export const run_states = ['waiting', 'pending', 'running', 'killing', 'succeeded', 'failed', 'killed'] as const;
const process_status = z.enum(['waiting', 'forked', 'running', 'succeeded', 'failed', 'stopped']);
/** What its executor last said of a task of processes. */
const task_report = z.object({
  heard_at: instant,
  stage: z.string().describe('Where the task is on its way from its first process to its last word.'),
  processes: z.array(
    z.object({
      name: z.string(),
      status: process_status,
      runs: count,
      failures: count,
      losses: count.describe('Runs that nobody saw end, or that a signal ended: no fault of theirs.'),
      pid: count.optional(),
      since: instant.optional(),
      last: z.string().optional().describe('How its last run ended.'),
    }),
  ),
  health: z
    .object({
      up: z.boolean(),
      attempts: count,
      failures_in_a_row: count,
      successes_in_a_row: count,
      snoozed_since: instant.optional().describe('Nobody looks at its health since.'),
      snoozed_until: instant.optional(),
      history: z
        .array(z.object({ at: instant, ok: z.boolean(), why: z.string().optional() }))
        .describe('The last few.'),
    })
    .optional(),
});
const instance = z.object({
  index: count,
  state: z.enum([
    'pending',
    'assigned',
    'starting',
    'running',
    'unreachable',
    'awaiting',
    'killing',
    'succeeded',
    'failed',
    'killed',
  ]),
  attempt: count,
  failures: count,
  since: instant.optional(),
  not_before: instant.optional(),
  started_at: instant.optional(),
  task_id: z.string().optional(),
  agent_id: z.string().optional(),
  hostname: z.string().optional(),
  ports: z.record(z.string(), z.int()).optional(),
  task: task_report
    .optional()
    .describe('As its executor last said; absent for a plain command, and until it is heard.'),
  snooze: z
    .object({
      by: z.string(),
      since: instant,
      until: instant.optional(),
      over: z.literal(true).optional().describe('They were to go on again.'),
      heard: z.boolean().describe('Whether its executor has said that it does so.'),
    })
    .optional()
    .describe('Somebody wanted its health checks to pause. What they do in truth is in `task`.'),
  reason: end_reason.optional(),
  result: z.string().optional().describe('What its task left for those that follow.'),
  pending_reason: z.string().optional().describe('Why it waits, in words.'),
  links,
});
export const run_resource = z.object({
  run: z.string(),
  job: z.string(),
  state: z.enum(run_states),
  cause,
  created_at: instant,
  started_at: instant.optional(),
  ended_at: instant.optional(),
  killed_by: z.string().optional(),
  instance_count: count,
  instances: z.array(instance).describe('At most the first hundred, of a run that is over.'),
  links,
});
export const run_page = z.object({ runs: z.array(run_resource), next: z.string().optional() });
export const run_started = z.object({
  job: z.string(),
  run: z.string(),
  result: z
    .enum(['started', 'waiting', 'existing'])
    .describe('`waiting`: it starts when the active run ends. `existing`: this Idempotency-Key was answered before.'),
  links,
});
export const killing = z.object({
  job: z.string(),
  killing: count.describe('Runs that are being killed, and those that waited and will not start.'),
});

export const instance_detail = z.object({
  job: z.string(),
  run: z.string(),
  instance,
  events: z
    .array(
      z.object({
        at: instant,
        attempt: count,
        state: z.enum([
          'pending',
          'assigned',
          'running',
          'unreachable',
          'awaiting',
          'killing',
          'finished',
          'failed',
          'killed',
          'lost',
        ]),
        hostname: z.string().optional(),
        by: z.string().optional().describe('Who wanted it killed.'),
        reason: end_reason.optional(),
        ran_ms: z.number().optional().describe('How long the attempt that ended here had run.'),
      }),
    )
    .describe('Of its latest attempts, oldest first.'),
  links,
});
export const snoozed = z.object({
  job: z.string(),
  instance: count,
  snooze: z.enum(['snoozing', 'waking']),
  until: instant.optional(),
  links,
});

export const outcome = z.object({
  schedule: z.string(),
  from: instant,
  to: instant,
  count: z.int().min(1).describe('Targets in a row that had this outcome.'),
  outcome: z.enum(['ran', 'caught-up', 'missed', 'superseded', 'skipped', 'backfilled']),
  at_least: z.literal(true).optional().describe('There were too many to count: at least so many.'),
  backfill: z.string().optional().describe('The backfill whose row this is, beside that of the target itself.'),
  why: z.string().optional(),
  run: z.string().optional(),
  decided_at: instant,
  late_ms: z.number().optional(),
});
export const outcome_page = z.object({ outcomes: z.array(outcome), next: z.string().optional() });
export const missed_page = z.object({
  missed: z.array(outcome.extend({ job: z.string() })),
  next: z.string().optional(),
});
export const explanation = z.object({
  spec: z.string(),
  from: instant,
  zone: z.string(),
  words: z.string(),
  next: z.array(z.string()).describe('The next targets in ISO 8601, with the offset that holds there.'),
  starts: z.array(z.string()).optional().describe('When those runs start, where jitter moves them.'),
  dst: z
    .array(
      z.object({
        date: z.string(),
        kind: z.enum(['gap', 'fold']),
        at: z.string(),
        wall: z.string(),
        walls: count,
        runs_at: z.array(z.string()),
        words: z.string(),
      }),
    )
    .describe('Clock changes of the coming five years that touch it.'),
  notes: z.array(z.string()),
});
export const calendar_resource = z.object({
  name: z.string(),
  version: z.int().min(1),
  updated_at: instant,
  description: z.string().optional(),
  rules: z.array(calendar_rule),
  used_by: z.array(z.string()).describe('Keys of jobs that name it; the first hundred.'),
});
export const calendar_page = z.object({ calendars: z.array(calendar_resource) });
export const members = z.object({
  job: z.string(),
  members: z.array(
    z.object({
      index: count,
      task_id: z.string(),
      host: z.string(),
      ports: z.record(z.string(), z.int()),
      version: z.int().min(1).describe('Of the job when it was launched.'),
    }),
  ),
});
export const target_groups = z.array(
  z.object({ targets: z.array(z.string()), labels: z.record(z.string(), z.string()) }),
);
export const pending_page = z.object({
  pending: z.array(
    z.object({
      instance: z.string(),
      since: instant,
      summary: z.string(),
      why: z.unknown().describe('A code with its data: what each host lacks.'),
    }),
  ),
  total: count.describe('All that wait, on whichever page.'),
  next: z.string().optional().describe('Path of the next page; absent at the end.'),
});
export const audit_page = z.object({
  audit: z.array(
    z.object({
      at: instant,
      principal: z.string(),
      command: z.string(),
      target: z.string(),
      request_id: z.string(),
      result: z.string(),
      detail: z.string().optional().describe('Of sessions: the command that was run in the task, and how it went.'),
    }),
  ),
  next: z.string().optional(),
});
export const health = z.object({
  status: z.literal('ok'),
  version: z.string(),
  position: count.describe('Of the last committed record.'),
  jobs: count,
  serversets: z
    .object({
      status: z
        .enum(['ok', 'away', 'refused', 'foreign', 'deposed'])
        .describe(
          '`away`: ZooKeeper does not answer; `refused`: it says no; `foreign`, `deposed`: somebody else writes there.',
        ),
      since: instant,
      why: z.string().optional(),
      members: count.describe('In all ServerSets.'),
      waiting: count.describe('ServerSets that wait to be written.'),
    })
    .optional()
    .describe('How it stands with `--serversets-zk`, told by the node that keeps them.'),
});

export const backfill_started = z.object({
  job: z.string(),
  backfill: z.string(),
  targets: count.describe('Targets that it is for.'),
  links,
});

export const tokens = z.object({
  job: z.string(),
  join: z.enum(joins),
  trigger_rule: z.enum(trigger_rules),
  edges: z
    .array(
      z.object({
        parent: z.string(),
        waiting: count.describe('Runs of this parent that wait to be taken.'),
        tokens: z
          .array(parent_run.extend({ well: z.boolean().describe('It counts as a success.') }))
          .describe('Those that go first; at most a hundred.'),
      }),
    )
    .describe('In the order in which the job names its parents.'),
  links,
});
export const tokens_cleared = z.object({ job: z.string(), cleared: count.describe('Tokens that were there.') });

const leader_node = z.object({
  id: z.string(),
  url: z.string().describe('Of its API.'),
  version: z.string().optional(),
});
export const leader = z.object({
  leader: leader_node.nullable().describe('null while nobody leads, as far as this node knows.'),
  node: z
    .object({
      id: z.string(),
      version: z.string(),
      mode: z.string().describe('`leading`, or what it waits for.'),
      position: count.describe('Of the last committed record that it has.'),
    })
    .describe('The node that answers.'),
  epoch: count.optional().describe('The reign, counted from 1; absent where there is no cluster.'),
});
export const leader_transfer = z.object({
  from: z.string(),
  to: z.string().optional().describe('Absent where the election decides.'),
});

const indexes = z.string().describe('Instances, as in `0-3,5`; empty for none.');
const update_strategy = z.object({
  type: z.enum(['queue', 'batch', 'variable-batch']),
  size: count.optional(),
  sizes: z.array(count).optional(),
  autopause: z.boolean().optional(),
});
export const update_resource = z.object({
  id: z.string(),
  job: z.string(),
  status: z.enum(update_statuses),
  by: z.string(),
  message: z.string().optional(),
  created_at: instant,
  changed_at: instant,
  ended_at: instant.optional(),
  strategy: update_strategy,
  watch_ms: count,
  max_per_shard_failures: count,
  max_total_failures: count,
  rollback_on_failure: z.boolean(),
  pulse_interval_ms: count.optional(),
  pulsed_at: instant.optional().describe('When the last pulse came.'),
  progress_deadline_ms: count,
  from_version: z.int().describe('Of the job.'),
  to_version: z.int().describe('Of the job.'),
  before: z.looseObject({}).describe('The document that it comes from.'),
  after: z.looseObject({}).describe('The document that it goes to.'),
  plan: z.object({ create: indexes, change: indexes, remove: indexes }),
  progress: z
    .object({
      total: count.describe('Instances that take part; on the way back, those that had been taken up.'),
      done: count,
      failed: indexes,
      under_way: z.array(z.object({ index: count, since: instant, failures: count, why: z.string().optional() })),
    })
    .describe('In the present direction.'),
  links,
});
export const update_page = z.object({
  updates: z
    .array(update_resource)
    .describe('The active one, if there is one, then those that are over, newest first.'),
});
export const update_event_page = z.object({
  events: z.array(
    z.object({
      at: instant,
      status: z.enum(update_statuses).optional(),
      by: z.string().optional(),
      index: count.optional(),
      action: z.enum(instance_actions).optional(),
      message: z.string().optional(),
    }),
  ),
  next: z.string().optional(),
});
export const update_told = z.object({
  job: z.string(),
  update: z.string().optional().describe('Absent where there was nothing to update.'),
  result: z
    .enum(['started', 'existing', 'changed', 'unchanged', 'finished'])
    .describe('`existing`: this Idempotency-Key began it before. `finished`: it is over, or unknown.'),
  status: z.enum(update_statuses).optional(),
  links,
});

export const usage = z.object({
  job: z.string(),
  run: z.string(),
  index: z.int(),
  attempt: z.int(),
  since: z.enum(['agent', 'watched']),
  limits: z.object({ cpus: z.number().optional(), mem_bytes: z.int().optional(), disk_bytes: z.int().optional() }),
  points: z.array(z.object({ at: instant, cpu_s: z.number(), rss_bytes: z.number(), disk_bytes: z.number() })),
  links: z.object({ run: z.string(), job: z.string() }),
});

/** Everything that is published under `#/components/schemas/`. */
export const components = {
  JobSubmission: job_submission,
  Job: job_resource,
  JobPage: job_page,
  Run: run_resource,
  RunPage: run_page,
  RunStarted: run_started,
  Killing: killing,
  OutcomePage: outcome_page,
  MissedPage: missed_page,
  Explanation: explanation,
  CalendarSubmission: calendar_submission,
  Calendar: calendar_resource,
  CalendarPage: calendar_page,
  PauseRequest: pause_request,
  SnoozeRequest: snooze_request,
  Snoozed: snoozed,
  Statistics: statistics,
  AttemptPage: attempt_page,
  SlowestJobs: slowest_jobs,
  Completion: completion,
  Completed: completed,
  InstanceDetail: instance_detail,
  Usage: usage,
  SweptSandboxes: swept_sandboxes,
  Notification: notification,
  NotificationPage: notification_page,
  FilePage: file_page,
  SessionClientWord: session_client_word,
  SessionServerWord: session_server_word,
  BackfillRequest: backfill_request,
  BackfillStarted: backfill_started,
  Tokens: tokens,
  TokensCleared: tokens_cleared,
  UpdateRequest: update_request,
  Update: update_resource,
  UpdatePage: update_page,
  UpdateEventPage: update_event_page,
  UpdateTold: update_told,
  Members: members,
  TargetGroups: target_groups,
  PendingPage: pending_page,
  AuditPage: audit_page,
  Health: health,
  Leader: leader,
  LeaderTransfer: leader_transfer,
  LogLevelRequest: log_level_request,
  LogLevels: log_levels_told,
  Problem: problem,
} as const;
export type Component = keyof typeof components;

export type JobResource = z.infer<typeof job_resource>;
export type RunResource = z.infer<typeof run_resource>;
export type UpdateResource = z.infer<typeof update_resource>;
export type OutcomeResource = z.infer<typeof outcome>;
