// service.ts: what services do that other jobs do not: grow and shrink, be replaced one instance at a time, be switched off.

import { type Effect, record, tell } from '../effects.ts';
import { instanceKey, type RunId, runKey } from '../model/ids.ts';
import type { InstanceRecord, RunRecord } from '../model/records.ts';
import { type Step, step, stepWith } from '../step.ts';
import type { JobState } from './job.ts';
import { killInstance, killRuns, spawnInstance, with_ } from './runs.ts';

/** A service that is disabled is stopped, and one that is enabled again runs again. */
export function switchService(state: JobState, was_enabled: boolean, now: number): Step<JobState, Effect> {
  const { job, incarnation, version } = state.record;
  if (!job.enabled) return killRuns(state, [...state.runs.keys()], disabled, now);
  if (was_enabled || state.runs.size > 0) return step(state);
  return beginService(state, `${incarnation}.service.v${version}.${now.toString(36)}`, now);
}
/** By whom a run is killed whose service was disabled: enabled again, it begins anew when the old run is over. */
export const disabled = 'service disabled';

export function beginService(state: JobState, run: RunId, now: number): Step<JobState, Effect> {
  const { instances } = state.record.job;
  const body: RunRecord = { run, cause: { type: 'service' }, instances, created_at: now };
  const runs = with_(state.runs, run, { record: body, over: new Map(), size: instances });
  return step(
    { ...state, runs },
    record('run', runKey(state.key, run), body),
    ...Array.from({ length: instances }, (_, index) => spawnInstance(state, body, index, undefined)),
  );
}

/** A service has more instances now, or fewer; those that stay hear what they are to be from now on. */
export function resize(state: JobState, id: RunId, instances: number, now: number): Step<JobState, Effect> {
  const run = state.runs.get(id)!;
  const after = state.record.job;
  const before = run.record.instances;
  // Whatever an update left as it was ends here: all of them are to be what the job says.
  const { without, others, ...bare } = run.record;
  const recorded: RunRecord = { ...bare, instances };
  const size = Math.max(run.size, instances);
  const unborn = new Set([...(run.unborn ?? [])].filter(index => index >= instances));
  let next: JobState = { ...state, runs: with_(state.runs, id, { ...run, record: recorded, size, unborn }) };
  const kept = instances === before && without === undefined && others === undefined;
  const effects: Effect[] = kept ? [] : [record('run', runKey(state.key, id), recorded)];
  for (let index = 0; index < Math.max(before, instances); index++) {
    if (index >= instances) effects.push(killInstance(state, id, index, 'resized'));
    else if (index >= run.size || run.unborn?.has(index) === true)
      effects.push(spawnInstance(next, recorded, index, undefined));
    else if (run.over.has(index)) {
      const revived = revive(next, id, index, now);
      next = revived.state;
      effects.push(...revived.effects);
    } else
      effects.push(
        tell({
          to: 'instance',
          key: instanceKey(state.key, id, index),
          message: { type: 'reconfigured', job: after, version: state.record.version },
        }),
      );
  }
  return stepWith(next, effects);
}

/** An instance of a service that ended when the service shrank lives again; its attempts go on counting. */
export function revive(state: JobState, id: RunId, index: number, now: number): Step<JobState, Effect> {
  const run = state.runs.get(id)!;
  const over = new Map(run.over);
  const attempt = over.get(index)!.attempt + 1;
  over.delete(index);
  const at: InstanceRecord = { status: 'pending', attempt, failures: 0, since: now };
  return step(
    { ...state, runs: with_(state.runs, id, { ...run, over }) },
    record('instance', instanceKey(state.key, id, index), at),
    spawnInstance(state, run.record, index, at),
  );
}

/** A rollout goes on without the instances that are no longer wanted. */
export function stillRolling(state: JobState, id: RunId, instances: number): Step<JobState, Effect> {
  if (state.rollout === undefined) return step(state);
  const waiting = state.rollout.waiting.filter(index => index < instances);
  if (state.rollout.current >= instances) return replaceNext(state, id, waiting);
  return step({ ...state, rollout: { ...state.rollout, waiting } });
}

/** Replaces the next instance of a service; the one after it follows when this one runs. */
export function replaceNext(state: JobState, run: RunId, waiting: readonly number[]): Step<JobState, Effect> {
  const [current, ...others] = waiting;
  if (current === undefined) return step({ ...state, rollout: undefined });
  return step(
    { ...state, rollout: { current, waiting: others } },
    tell({
      to: 'instance',
      key: instanceKey(state.key, run, current),
      message: { type: 'kill', by: 'replaced', replace: true, grace: true },
    }),
  );
}

/** The service was disabled and enabled again before its run had ended: now it can begin anew. */
export function resumeIfEnabled(closed: Step<JobState, Effect>, run: RunRecord, now: number): Step<JobState, Effect> {
  const { job, deleting, incarnation, version } = closed.state.record;
  if (!job.service || !job.enabled || deleting === true || run.killing?.by !== disabled) return closed;
  if (closed.state.runs.size > 0) return closed;
  const begun = beginService(closed.state, `${incarnation}.service.v${version}.${now.toString(36)}`, now);
  return stepWith(begun.state, [...closed.effects, ...begun.effects]);
}
