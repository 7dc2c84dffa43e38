// snooze.ts: the health checks of one instance paused for a while, at a person's wish.
//
// The wish is written down with the attempt before its executor is told, since words to executors may get lost on the way:
// whatever is heard of the task shows whether this one has arrived, and as long as it has not it is said again. It ends with
// the attempt. What a snooze means is the executor's: it keeps the wish as a file in the sandbox, and a sick task stays sick.

import { messageCall } from '../../mesos/calls.ts';
import type { TaskStatus } from '../../mesos/protocol.ts';
import { readReport } from '../../mesos/task-reports.ts';
import { audit } from '../audit.ts';
import { call, type Effect, reply, tell } from '../effects.ts';
import type { JobState } from '../job/job.ts';
import { lives } from '../job/runs.ts';
import type { CommandEnvelope, SnoozeCommand } from '../model/commands.ts';
import { instanceKey, taskId } from '../model/ids.ts';
import { refusal } from '../model/reasons.ts';
import type { Snooze } from '../model/records.ts';
import { type Step, step } from '../step.ts';
import type { InstanceState, Live } from './instance.ts';

/** The wish as it is written down. */
export function snoozeOf({ command, principal }: CommandEnvelope<SnoozeCommand>, now: number): Snooze {
  const by = principal.name;
  if (command.type === 'wake') return { by, since: now, over: true };
  return { by, since: now, ...(command.until === undefined ? {} : { until: command.until }) };
}

/** Whether the executor has done as it was told, by what it reports; undefined when it reports nothing. */
export function isHeard({ until, over }: Snooze, { data }: TaskStatus): boolean | undefined {
  const health = data === undefined ? undefined : readReport(data)?.health;
  if (health === undefined) return undefined;
  return over === true
    ? health.snoozed_since === undefined
    : health.snoozed_since !== undefined && health.snoozed_until === until;
}

/** What the executor is told. */
export function toldExecutor({ key }: InstanceState, { attempt, agent_id, snooze }: Live): readonly Effect[] {
  if (snooze === undefined) return [];
  const task_id = taskId(key, attempt);
  const { until, over } = snooze;
  const message = over === true ? { type: 'wake', task_id } : { type: 'snooze', task_id, until };
  // Horae's executors have the id of their one task.
  return [call(messageCall(task_id, agent_id, new TextEncoder().encode(JSON.stringify(message))))];
}

/** For an instance of the newest run that has it; the instance answers. */
export function snoozed(
  state: JobState,
  envelope: CommandEnvelope<SnoozeCommand>,
  now: number,
): Step<JobState, Effect> {
  const { command, request_id } = envelope;
  const refuse = (code: 'invalid' | 'not-found', text: string) =>
    step(state, audit(envelope, now, code), reply(request_id, refusal(code, text)));
  const { key, index } = command;
  if (state.record.job.health_check === undefined)
    return refuse(
      'invalid',
      `job ${key} has no health check that could be snoozed: expected a job with "health_check"`,
    );
  const run = [...state.runs.values()].findLast(one => lives(one, index));
  if (run === undefined) return refuse('not-found', `job ${key} has no instance ${index} that lives`);
  return step(
    state,
    tell({
      to: 'instance',
      key: instanceKey(key, run.record.run, index),
      message: { type: 'snooze', envelope },
    }),
  );
}

/** To whoever asked: it is written down, or why it cannot be. */
export function answered(
  { job_key, index, record: at }: InstanceState,
  envelope: CommandEnvelope<SnoozeCommand>,
  done: boolean,
  now: number,
): readonly Effect[] {
  const { command, request_id } = envelope;
  if (done) {
    const until = command.type === 'snooze' && command.until !== undefined ? { until: command.until } : {};
    const result = command.type === 'snooze' ? 'snoozing' : 'waking';
    return [audit(envelope, now, result), reply(request_id, { type: result, key: job_key, index, ...until })];
  }
  const text = `instance ${index} of ${job_key} is ${at?.status ?? 'not there yet'}: expected one that runs, or is about to`;
  return [audit(envelope, now, 'invalid'), reply(request_id, refusal('invalid', text))];
}
