// call-backs.ts: the end of an async task as somebody reports it.
//
// The command of such a task only sets something going. When it has ended well the run waits, without a task in Mesos, until
// whoever does the work says how it went, or the deadline for that passes. A task id is one attempt: word of an attempt that
// is behind us, or of another job's, is turned away and changes nothing.

import { audit } from '../audit.ts';
import { type Effect, reply, tell } from '../effects.ts';
import type { JobState } from '../job/job.ts';
import { lives } from '../job/runs.ts';
import type { CommandEnvelope, CompleteCommand } from '../model/commands.ts';
import { attemptOf, type InstanceKey, parseTaskId, splitInstanceKey } from '../model/ids.ts';
import { refusal } from '../model/reasons.ts';
import { type Step, step } from '../step.ts';
import type { Heard } from './hearing.ts';
import type { InstanceState } from './instance.ts';

type Envelope = CommandEnvelope<CompleteCommand>;

/** For the instance whose task it is; the instance answers. */
export function reported(state: JobState, envelope: Envelope, now: number): Step<JobState, Effect> {
  const { command, request_id } = envelope;
  const refuse = (code: 'not-found' | 'not-awaited', text: string) =>
    step(state, audit(envelope, now, code), reply(request_id, refusal(code, text)));
  const named = parseTaskId(command.task_id)?.instance;
  if (named === undefined || splitInstanceKey(named).job !== state.key)
    return refuse(
      'not-found',
      `"${command.task_id}" is no task of ${state.key}: expected the id that its command was given`,
    );
  const instance = taskIn(state, command.task_id);
  if (instance === undefined)
    return refuse('not-awaited', `nobody waits for word of task ${command.task_id}: it is over, or never was`);
  return step(state, tell({ to: 'instance', key: instance, message: { type: 'complete', envelope } }));
}

/** The instance of the job whose task this is, or was, unless it is over. */
export function taskIn({ key, runs }: JobState, task_id: string): InstanceKey | undefined {
  const instance = parseTaskId(task_id)?.instance;
  if (instance === undefined) return undefined;
  const { job, run, index } = splitInstanceKey(instance);
  const active = runs.get(run);
  return job === key && active !== undefined && lives(active, index) ? instance : undefined;
}

/** What the report means to the instance. */
export function reportHeard({ job, record: at }: InstanceState, { command, principal }: Envelope): Heard {
  const { task_id, status_code } = command;
  if (job.async !== true || at === undefined || attemptOf(task_id) !== at.attempt) return unawaited;
  const called_back = { status_code, by: principal.name };
  switch (at.status) {
    case 'awaiting':
      return {
        what: status_code === 0 ? 'called back' : 'called back badly',
        reason: { code: 'called-back', ...called_back },
      };
    case 'assigned':
    case 'starting':
    case 'running':
    case 'unreachable':
      return at.called_back === undefined ? { what: 'called back ahead', called_back } : unawaited;
    default:
      return unawaited;
  }
}
const unawaited: Heard = { what: 'call-back unawaited' };

/** To whoever reported it: it is written down, or nobody waits for it. Saying the same again is no mistake. */
export function reportAnswered(
  { job_key: key, job, record: at }: InstanceState,
  envelope: Envelope,
  done: boolean,
  now: number,
): readonly Effect[] {
  const { command, request_id } = envelope;
  const { task_id, status_code } = command;
  const present = at !== undefined && attemptOf(task_id) === at.attempt;
  const said = present && 'called_back' in at ? at.called_back?.status_code : undefined;
  if (done || said === status_code)
    return [
      audit(envelope, now, done ? 'completed' : 'unchanged'),
      reply(request_id, { type: 'completed', key, task_id }),
    ];
  const why =
    job.async !== true
      ? 'its job is not async: the end of its command is the end'
      : !present
        ? `the present attempt is ${at?.attempt ?? 1}`
        : said !== undefined
          ? `${said} was reported of it before`
          : `it is ${at.status}`;
  const text = `nobody waits for word of task ${task_id}: ${why}`;
  return [audit(envelope, now, 'not-awaited'), reply(request_id, refusal('not-awaited', text))];
}
