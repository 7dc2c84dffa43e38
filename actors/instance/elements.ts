// elements.ts: how much of its work a task has done, as it says itself.
//
// A task that processes data tells from time to time of how many further elements it has done with. They are counted with the
// attempt, and kept in the history when it ends. Word of an attempt that is behind us changes nothing.

import { audit } from '../audit.ts';
import { type Effect, reply, tell } from '../effects.ts';
import type { JobState } from '../job/job.ts';
import type { CommandEnvelope, ProgressCommand } from '../model/commands.ts';
import { attemptOf } from '../model/ids.ts';
import { refusal } from '../model/reasons.ts';
import { type Step, step } from '../step.ts';
import { taskIn } from './call-backs.ts';
import type { Heard } from './hearing.ts';
import type { InstanceState } from './instance.ts';

type Envelope = CommandEnvelope<ProgressCommand>;

/** For the instance whose task it is; the instance answers. */
export function progressed(state: JobState, envelope: Envelope, now: number): Step<JobState, Effect> {
  const { task_id } = envelope.command;
  const instance = taskIn(state, task_id);
  if (instance === undefined) return step(state, ...turnedAway(envelope, `task ${task_id} is over, or never was`, now));
  return step(state, tell({ to: 'instance', key: instance, message: { type: 'progress', envelope } }));
}

/** What it means to the instance. */
export function progressHeard({ record: at }: InstanceState, { command }: Envelope): Heard {
  const present = at !== undefined && at.status !== 'pending' && at.status !== 'over';
  if (!present || attemptOf(command.task_id) !== at.attempt) return { what: 'progress of another' };
  return { what: 'progressed', elements: Math.min((at.elements ?? 0) + command.elements, Number.MAX_SAFE_INTEGER) };
}

export function progressAnswered(
  { job_key: key, record: at }: InstanceState,
  envelope: Envelope,
  done: boolean,
  now: number,
): readonly Effect[] {
  const { task_id } = envelope.command;
  if (!done || at === undefined || !('elements' in at))
    return turnedAway(envelope, `task ${task_id} is not the present attempt, which is ${at?.attempt ?? 1}`, now);
  const { elements = 0 } = at;
  return [
    audit(envelope, now, 'progressed'),
    reply(envelope.request_id, { type: 'progressed', key, task_id, elements }),
  ];
}

const turnedAway = (envelope: Envelope, why: string, now: number): readonly Effect[] => [
  audit(envelope, now, 'not-found'),
  reply(envelope.request_id, refusal('not-found', `no progress is counted: ${why}`)),
];
