// job.ts: one job: its runs, the instances that make them up, and what becomes of them when the job changes.
//
// The job is the parent in the plain sense: it brings instances into the world, hears how each of them ended, and closes
// the run when the last one has. Whether and when a run starts is the trigger's business; how an instance fares is its own.

import { audit } from './audit.ts';
import { count, type Effect, type JobBirth, log, record, reply, tell } from './effects.ts';
import type { CommandEnvelope } from './model/commands.ts';
import { instanceKey, type JobKey, type RunId, runKey } from './model/ids.ts';
import type { Job } from './model/job.ts';
import { refusal } from './model/reasons.ts';
import {
  type FinishedRun,
  type InstanceRecord,
  type JobRecord,
  type RunOutcome,
  type RunRecord,
  sortable,
  type TallyRecord,
} from './model/records.ts';
import { type Step, step, stepWith } from './step.ts';

export type OverRecord = Extract<InstanceRecord, { status: 'over' }>;
type ActiveRun = {
  readonly record: RunRecord;
  readonly over: ReadonlyMap<number, OverRecord>;
  readonly started_at?: number;
};
export type JobState = {
  readonly key: JobKey;
  readonly record: JobRecord;
  readonly tally: TallyRecord | undefined;
  readonly runs: ReadonlyMap<RunId, ActiveRun>;
  /** A service whose instances are being replaced one at a time: those still to come, and the one under way. */
  readonly rollout: { readonly waiting: readonly number[]; readonly current: number } | undefined;
};
export type JobMessage =
  | { readonly type: 'begin'; readonly birth: JobBirth }
  /** The trigger recorded a run. */
  | { readonly type: 'started'; readonly run: RunRecord }
  | { readonly type: 'instance-running'; readonly run: RunId; readonly index: number; readonly version: number }
  | { readonly type: 'instance-over'; readonly run: RunId; readonly index: number; readonly record: OverRecord }
  /** The trigger wants these runs gone so that another can start. */
  | {
      readonly type: 'make-way';
      readonly runs: readonly RunId[];
      readonly by: string /** false: killed without their grace. */;
      readonly grace: boolean;
    }
  | { readonly type: 'command'; readonly envelope: CommandEnvelope };

export const newJob = (birth: JobBirth): JobState => ({
  key: birth.key,
  record: birth.record,
  tally: birth.tally,
  runs: new Map(birth.runs.map(({ record: run, instances }) => [run.run, { record: run, over: overOf(instances) }])),
  rollout: undefined,
});

const overOf = (instances: JobBirth['runs'][number]['instances']): ReadonlyMap<number, OverRecord> =>
  new Map(instances.flatMap(({ index, record: at }) => (at.status === 'over' ? [[index, at] as const] : [])));

export const job = (state: JobState, message: JobMessage, now: number): Step<JobState, Effect> => {
  switch (message.type) {
    case 'begin': {
      const effects: Effect[] = [];
      const { record: jobs } = state;
      if (!jobs.job.service)
        effects.push({
          type: 'spawn-trigger',
          key: state.key,
          record: jobs,
          trigger: message.birth.trigger,
          active: [...state.runs.keys()],
        });
      let next = state;
      for (const { record: run, instances } of message.birth.runs) {
        const known = new Map(instances.map(one => [one.index, one.record]));
        for (let index = 0; index < run.instances; index++) {
          const at = known.get(index);
          // A run without instances gets them: it was recorded, and then the world ended for a moment.
          if (at?.status !== 'over') effects.push(spawnInstance(state, run, index, at));
          if (run.killing !== undefined && at?.status !== 'over' && at?.status !== 'killing')
            effects.push(killInstance(state, run.run, index, run.killing.by));
        }
        const closed = closeIfOver(next, run.run, now);
        next = closed.state;
        effects.push(...closed.effects);
      }
      const left = leaveIfDone(next);
      return stepWith(left.state, [...effects, ...left.effects]);
    }

    case 'started': {
      if (state.runs.has(message.run.run)) return step(state);
      const effects = Array.from({ length: message.run.instances }, (_, index) =>
        spawnInstance(state, message.run, index, undefined),
      );
      return stepWith(
        { ...state, runs: with_(state.runs, message.run.run, { record: message.run, over: new Map() }) },
        effects,
      );
    }

    case 'instance-running': {
      const run = state.runs.get(message.run);
      if (run === undefined) return step(state);
      const next =
        run.started_at === undefined
          ? { ...state, runs: with_(state.runs, message.run, { ...run, started_at: now }) }
          : state;
      if (state.rollout?.current !== message.index || message.version !== state.record.version) return step(next);
      return replaceNext(next, message.run, state.rollout.waiting);
    }

    case 'instance-over': {
      const run = state.runs.get(message.run);
      if (run === undefined) return step(state);
      const over = new Map(run.over).set(message.index, message.record);
      const heard = { ...state, runs: with_(state.runs, message.run, { ...run, over }) };
      const closed = closeIfOver(heard, message.run, now);
      const gone: Effect = { type: 'stop-instance', key: instanceKey(state.key, message.run, message.index) };
      const left = leaveIfDone(closed.state);
      return stepWith(left.state, [gone, ...closed.effects, ...left.effects]);
    }

    case 'make-way':
      return killRuns(state, message.runs, message.by, now, message.grace);

    case 'command':
      return command(state, message.envelope, now);
  }
};

function command(state: JobState, envelope: CommandEnvelope, now: number): Step<JobState, Effect> {
  const { command: wanted, principal, request_id } = envelope;
  const refuse = (code: Parameters<typeof refusal>[0], text: string) =>
    step(state, audit(envelope, now, code), reply(request_id, refusal(code, text)));
  if (state.record.deleting === true) return refuse('not-found', `job ${state.key} is being deleted`);
  if ('if_version' in wanted && wanted.if_version !== undefined && wanted.if_version !== state.record.version)
    return refuse(
      'version-mismatch',
      `job ${state.key} is at version ${state.record.version}, not ${wanted.if_version}: read it again and decide anew`,
    );
  switch (wanted.type) {
    case 'submit': {
      const before = state.record.job;
      if (before.service !== wanted.job.service)
        return refuse(
          'invalid',
          `job ${state.key} is ${before.service ? '' : 'not '}a service: delete it and create it anew to change that`,
        );
      if (same(before, wanted.job) && same(state.record.origin, wanted.origin))
        return step(
          state,
          audit(envelope, now, 'unchanged'),
          reply(request_id, { type: 'unchanged', key: state.key, version: state.record.version }),
        );
      const next = replaced(state, wanted.job, now, wanted.origin);
      return stepWith(next.state, [
        ...next.effects,
        audit(envelope, now, 'replaced'),
        reply(request_id, { type: 'replaced', key: state.key, version: next.state.record.version }),
      ]);
    }
    case 'set-enabled': {
      if (state.record.job.enabled === wanted.enabled)
        return step(
          state,
          audit(envelope, now, 'unchanged'),
          reply(request_id, { type: 'unchanged', key: state.key, version: state.record.version }),
        );
      const next = replaced(state, { ...state.record.job, enabled: wanted.enabled }, now, state.record.origin);
      return stepWith(next.state, [
        ...next.effects,
        audit(envelope, now, 'changed'),
        reply(request_id, { type: 'changed', key: state.key, version: next.state.record.version }),
      ]);
    }
    case 'delete': {
      const deleting: JobRecord = { ...state.record, deleting: true, updated_at: now };
      const killed = killRuns({ ...state, record: deleting }, [...state.runs.keys()], principal.name, now);
      const left = leaveIfDone(killed.state);
      return stepWith(left.state, [
        record('job', state.key, deleting),
        tell({ to: 'directory', message: { type: 'leaving', key: state.key } }),
        ...(state.record.job.service ? [] : [tell({ to: 'trigger', key: state.key, message: { type: 'close' } })]),
        ...killed.effects,
        ...left.effects,
        audit(envelope, now, 'deleted'),
        reply(request_id, { type: 'deleted', key: state.key }),
      ]);
    }
    case 'start-run':
      if (state.record.job.service) return refuse('invalid', `job ${state.key} is a service: it always runs`);
      return step(
        state,
        tell({ to: 'trigger', key: state.key, message: { type: 'start', envelope: { ...envelope, command: wanted } } }),
      );
    case 'kill-run':
    case 'kill-all': {
      const runs = wanted.type === 'kill-all' ? [...state.runs.keys()] : [wanted.run];
      if (wanted.type === 'kill-run' && !state.runs.has(wanted.run))
        return refuse('not-found', `job ${state.key} has no active run ${wanted.run}`);
      const killed = killRuns(state, runs, principal.name, now);
      return stepWith(killed.state, [
        ...killed.effects,
        audit(envelope, now, 'killing'),
        reply(request_id, { type: 'killing', key: state.key, count: runs.length }),
      ]);
    }
  }
}

/** The job as it is from now on; what is under way goes on as it was begun, a service follows one instance at a time. */
function replaced(state: JobState, after: Job, now: number, origin: JobRecord['origin']): Step<JobState, Effect> {
  const jobs: JobRecord = { ...state.record, job: after, version: state.record.version + 1, updated_at: now };
  const { origin: _, ...bare } = jobs;
  const kept: JobRecord = origin === undefined ? bare : { ...bare, origin };
  const effects: Effect[] = [record('job', state.key, kept)];
  let next: JobState = { ...state, record: kept };
  if (!after.service) {
    // An active run keeps the job that it was started with, for its retries.
    for (const [id, run] of state.runs)
      if (run.record.job === undefined) {
        const pinned: RunRecord = { ...run.record, job: state.record.job };
        next = { ...next, runs: with_(next.runs, id, { ...run, record: pinned }) };
        effects.push(record('run', runKey(state.key, id), pinned));
      }
    return stepWith(next, [
      ...effects,
      tell({ to: 'trigger', key: state.key, message: { type: 'changed', record: kept } }),
    ]);
  }
  for (const [id, run] of state.runs) {
    const before = run.record.instances;
    const resized: RunRecord = { ...run.record, instances: Math.max(before, after.instances) };
    if (after.instances !== before) {
      const recorded: RunRecord = { ...run.record, instances: after.instances };
      effects.push(record('run', runKey(state.key, id), recorded));
      next = { ...next, runs: with_(next.runs, id, { ...run, record: recorded }) };
    }
    for (let index = 0; index < resized.instances; index++) {
      if (index >= before) effects.push(spawnInstance(next, resized, index, undefined));
      else if (index >= after.instances) effects.push(killInstance(state, id, index, 'resized'));
      else
        effects.push(
          tell({
            to: 'instance',
            key: instanceKey(state.key, id, index),
            message: { type: 'reconfigured', job: after, version: kept.version },
          }),
        );
    }
    const { instances: _b, description: _c, owner: _d, ...was } = state.record.job;
    const { instances: _e, description: _f, owner: _g, ...is } = after;
    // Only what the processes can notice is a reason to restart them.
    if (!same(was, is)) {
      const rolled = replaceNext(
        next,
        id,
        Array.from({ length: Math.min(before, after.instances) }, (_, index) => index),
      );
      next = rolled.state;
      effects.push(...rolled.effects);
    }
  }
  return stepWith(next, effects);
}

/** Replaces the next instance of a service; the one after it follows when this one runs. */
function replaceNext(state: JobState, run: RunId, waiting: readonly number[]): Step<JobState, Effect> {
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

function killRuns(
  state: JobState,
  runs: readonly RunId[],
  by: string,
  now: number,
  grace = true,
): Step<JobState, Effect> {
  let next = state;
  const effects: Effect[] = [];
  for (const id of runs) {
    const run = next.runs.get(id);
    if (run === undefined || run.record.killing !== undefined) continue;
    const killing: RunRecord = { ...run.record, killing: { by, at: now } };
    next = { ...next, runs: with_(next.runs, id, { ...run, record: killing }) };
    effects.push(record('run', runKey(state.key, id), killing));
    for (let index = 0; index < killing.instances; index++)
      if (!run.over.has(index)) effects.push(killInstance(state, id, index, by, grace));
  }
  return stepWith(next, effects);
}

/** The last instance has ended: the run becomes history, and its records go in the same step. */
function closeIfOver(state: JobState, id: RunId, now: number): Step<JobState, Effect> {
  const run = state.runs.get(id);
  if (run === undefined) return step(state);
  const { instances, cause, created_at, killing } = run.record;
  const inside = [...run.over].filter(([index]) => index < instances);
  if (inside.length < instances) return step(state);
  const outcomes = inside.map(([, one]) => one.outcome);
  const outcome: RunOutcome = outcomes.includes('failed')
    ? 'failed'
    : killing !== undefined || outcomes.includes('killed')
      ? 'killed'
      : 'succeeded';
  const finished: FinishedRun = {
    run: id,
    cause,
    instances,
    created_at,
    ended_at: now,
    ...(run.started_at === undefined ? {} : { started_at: run.started_at }),
    outcome,
    ...(killing === undefined ? {} : { by: killing.by }),
    results: inside.slice(0, results_max).map(([index, one]) => ({
      index,
      attempts: one.attempt,
      failures: one.failures,
      outcome: one.outcome,
      reason: one.reason,
      ...(one.agent_id === undefined ? {} : { agent_id: one.agent_id }),
    })),
  };
  const tally = tallied(state.tally, outcome, now);
  const runs = new Map(state.runs);
  runs.delete(id);
  return step(
    { ...state, runs, tally },
    record('finished-run', `${state.key}/${sortable(created_at)}/${id}`, finished),
    ...[...run.over.keys()].map(index => record('instance', instanceKey(state.key, id, index), undefined)),
    record('run', runKey(state.key, id), undefined),
    record('tally', state.key, tally),
    ...(state.record.job.service
      ? []
      : [tell({ to: 'trigger', key: state.key, message: { type: 'run-ended', run: id } })]),
    count('horae_runs_total', { outcome }),
    log(outcome === 'failed' ? 'warn' : 'info', { job: state.key, run: id }, `run ${outcome}`),
  );
}

/** Results of this many instances stay with a finished run. */
const results_max = 100;

/** A job that is being deleted and has no run left takes its leave. */
function leaveIfDone(state: JobState): Step<JobState, Effect> {
  if (state.record.deleting !== true || state.runs.size > 0) return step(state);
  return step(
    state,
    record('trigger', state.key, undefined),
    record('tally', state.key, undefined),
    record('job', state.key, undefined),
    { type: 'stop-job', key: state.key },
    tell({ to: 'directory', message: { type: 'gone', key: state.key } }),
    log('info', { job: state.key }, 'job deleted'),
  );
}

function tallied(before: TallyRecord | undefined, outcome: RunOutcome, now: number): TallyRecord {
  const was = before ?? { successes: 0, failures: 0, failures_since_success: 0 };
  switch (outcome) {
    case 'succeeded':
      return { ...was, successes: was.successes + 1, failures_since_success: 0, last_success_at: now };
    case 'failed':
      return {
        ...was,
        failures: was.failures + 1,
        failures_since_success: was.failures_since_success + 1,
        last_failure_at: now,
      };
    case 'killed':
      return was;
  }
}

function spawnInstance(state: JobState, run: RunRecord, index: number, at: InstanceRecord | undefined): Effect {
  return {
    type: 'spawn-instance',
    state: {
      key: instanceKey(state.key, run.run, index),
      job_key: state.key,
      run: run.run,
      index,
      cause: run.cause,
      job: run.job ?? state.record.job,
      version: state.record.version,
      run_created_at: run.created_at,
      record: at,
    },
  };
}

const killInstance = (state: JobState, run: RunId, index: number, by: string, grace = true): Effect =>
  tell({
    to: 'instance',
    key: instanceKey(state.key, run, index),
    message: { type: 'kill', by, replace: false, grace },
  });
const with_ = <K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> => new Map(map).set(key, value);
/** Records are plain JSON with keys in one order: equal text is equal meaning. */
const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
