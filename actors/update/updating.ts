// updating.ts: a job and its update: what update.ts decides becomes records, and mail to instances.
//
// The job owns its update, because an update changes what is the job's: its document, its run, its instances. So the step
// that takes an instance up writes down the update, and what that instance is to be from now on, as one; and a leader that
// takes over goes on from there.

import { audit } from '../audit.ts';
import { noRoom } from '../crowd.ts';
import { count, type Effect, type JobBirth, log, record, reply, tell } from '../effects.ts';
import type { JobState } from '../job/job.ts';
import { launched } from '../job/rollout.ts';
import { type ActiveRun, killInstance, lives, spawnInstance, with_ } from '../job/runs.ts';
import { revive } from '../job/service.ts';
import type { Answer, Command, CommandEnvelope } from '../model/commands.ts';
import { instanceKey, type RunId, runKey } from '../model/ids.ts';
import { has, printed, sizeOf } from '../model/ranges.ts';
import { type RefusalCode, refusal } from '../model/reasons.ts';
import { type JobRecord, type RunRecord, same, sortable } from '../model/records.ts';
import { type FinishedUpdate, isOver, type UpdateEvent, type UpdateRecord } from '../model/updates.ts';
import { type Step, step, stepWith } from '../step.ts';
import {
  begunUpdate,
  dueAt,
  type Heard,
  heardOf,
  lookedAt,
  steered,
  type There,
  type Updated,
  unreadable,
} from './update.ts';
import { configOf, planned, shapeOf, trimmed, versionOf, wants } from './update-plan.ts';

type Start = Extract<Command, { type: 'start-update' }>;
type Steer = Extract<Command, { type: 'steer-update' }>;

export function startUpdate(
  state: JobState,
  envelope: CommandEnvelope<Command>,
  wanted: Start,
  now: number,
  room: () => number,
): Step<JobState, Effect> {
  const { key, record: jobs } = state;
  const { principal } = envelope;
  const refuse = (code: RefusalCode, text: string) => answered(step(state), envelope, refusal(code, text), code, now);
  const active = state.update?.record;
  if (active !== undefined) {
    if (active.request !== wanted.request) return refuse('updating', updatingText(state));
    return answered(step(state), envelope, told(state, active, 'existing'), 'existing', now);
  }
  if (!jobs.job.service) return refuse('invalid', `job ${key} is no service: only a service has instances to update`);
  if (!wanted.job.service)
    return refuse('invalid', `job ${key} is a service: an update cannot make another kind of it`);
  if (!wanted.job.enabled) return refuse('invalid', `an update cannot disable ${key}: expected "enabled": true`);
  const [run, ...others] = state.runs.values();
  if (run === undefined) return refuse('invalid', `service ${key} does not run: start it, or replace it with PUT`);
  if (run.record.killing !== undefined || others.length > 0)
    return refuse('already-running', `service ${key} is still being stopped: try again when it is`);
  if (state.rollout !== undefined)
    return refuse(
      'already-running',
      `service ${key} is still being replaced, ${1 + state.rollout.waiting.length} instance(s) to go: wait for that, or replace it with PUT`,
    );
  const plan = planned(run.record, jobs.job, wanted.job, wanted.only);
  if ('irrelevant' in plan)
    return refuse(
      'invalid',
      `instances ${printed(plan.irrelevant)} of ${key} are not there, and would not be: expected some of 0-${Math.max(run.record.instances, wanted.job.instances) - 1}`,
    );
  const size = Object.values(plan.plan).reduce((sum, part) => sum + sizeOf(part), 0);
  if (size === 0 && same(jobs.job, wanted.job))
    return answered(step(state), envelope, { type: 'unchanged', key, version: jobs.version }, 'unchanged', now);
  const more = 1 + Math.max(-1, ...plan.plan.create.map(([, last]) => last)) - run.record.instances;
  if (more > 0 && more > room()) return refuse('too-many', noRoom(more, room()));

  const version = jobs.version + 1;
  const renewed = !same(launched(jobs.job), launched(wanted.job));
  const { origin, launch_version, ...bare } = jobs;
  const next: JobRecord = {
    ...bare,
    job: wanted.job,
    version,
    updated_at: now,
    ...(renewed ? { launch_version: version } : launch_version === undefined ? {} : { launch_version }),
  };
  const { instances, without, others: variants } = run.record;
  const made: UpdateRecord = {
    id: `${jobs.incarnation}.${version}`,
    status: wanted.how.pulse_interval_ms === undefined ? 'ROLLING_FORWARD' : 'ROLL_FORWARD_AWAITING_PULSE',
    by: principal.name,
    ...(wanted.message === undefined ? {} : { message: wanted.message }),
    created_at: now,
    changed_at: now,
    request: wanted.request,
    how: wanted.how,
    run: run.record.run,
    before: {
      job: jobs.job,
      version: jobs.version,
      ...(launch_version === undefined ? {} : { launch_version }),
      ...(origin === undefined ? {} : { origin }),
    },
    after: { job: wanted.job, version },
    found: {
      instances,
      ...(without === undefined ? {} : { without }),
      ...(variants === undefined ? {} : { others: variants }),
    },
    renewed,
    plan: plan.plan,
    taken: 0,
    flights: [],
    failed: [],
    events: 0,
  };
  const begun: JobState = { ...state, record: next, update: { record: made, running: new Map() } };
  const done = performed(begun, begunUpdate(begun.update!, thereOf(begun, made.run), now), now, true);
  return answered(
    stepWith(done.state, [record('job', key, next), ...done.effects]),
    envelope,
    told(done.state, done.last, 'started'),
    'started',
    now,
  );
}

export function steerUpdate(
  state: JobState,
  envelope: CommandEnvelope<Command>,
  wanted: Steer,
  now: number,
): Step<JobState, Effect> {
  const { update, key } = state;
  const { what } = wanted;
  if (update === undefined || (wanted.update !== undefined && wanted.update !== update.record.id)) {
    // Whoever sends pulses learns that it may stop.
    if (what === 'pulse' && wanted.update !== undefined)
      return answered(
        step(state),
        envelope,
        { type: 'update', key, update: wanted.update, result: 'finished' },
        'finished',
        now,
      );
    const which = wanted.update === undefined ? 'an active update' : `an active update ${wanted.update}`;
    const text = `job ${key} does not have ${which}: there is nothing to ${what}`;
    return answered(step(state), envelope, refusal('not-updating', text), 'not-updating', now);
  }
  const there = thereOf(state, update.record.run);
  const next = steered(update, what, envelope.principal.name, wanted.message, there, now);
  if (next.result === 'refused') {
    const text = `update ${update.record.id} of job ${key} is ${update.record.status}: it cannot be asked to ${what}`;
    return answered(step(state), envelope, refusal('not-updating', text), 'not-updating', now);
  }
  const done = performed(state, next, now, false);
  return answered(done, envelope, told(done.state, done.last, next.result), next.result, now);
}

/** Something was heard of instances, or time has passed. */
export function updateHears(state: JobState, run: RunId, heard: readonly Heard[], now: number): Step<JobState, Effect> {
  if (state.update === undefined || state.update.record.run !== run) return step(state);
  const there = thereOf(state, run);
  const next = heard.length === 0 ? lookedAt(state.update, there, now) : heardOf(state.update, heard, there, now);
  return performed(state, next, now, false);
}

/** After a restart: what became of those on their way is in their records, and whoever has not heard yet is told again. */
export function resumeUpdate(state: JobState, birth: JobBirth, now: number): Step<JobState, Effect> {
  const { update } = state;
  if (update === undefined) return step(state);
  const of = update.record.run;
  const run = state.runs.get(of);
  if (run === undefined || run.record.killing !== undefined) {
    const why = `its run ${of} ${run === undefined ? 'is not there' : 'is being killed'}`;
    return performed(state, unreadable(update, why, now), now, false);
  }
  const version = versionOf(update.record);
  const running = new Map<number, number>();
  const failures = new Map<number, number>();
  const again: Effect[] = [];
  const known = new Map(birth.runs.find(one => one.record.run === of)?.instances.map(one => [one.index, one.record]));
  for (const { index } of update.record.flights) {
    const at = known.get(index);
    if (at === undefined || at.status === 'over' || !wants(run.record, index)) continue;
    // One that waits for its next attempt was born with what that is to be.
    if (at.status === 'pending') continue;
    if (at.version < version) again.push(...bringing(state, run, index));
    else {
      failures.set(index, at.failures);
      if (at.status === 'running' && at.unhealthy !== true) running.set(index, at.started_at ?? now);
    }
  }
  const flights = update.record.flights.map(flight => ({
    ...flight,
    failures: Math.max(flight.failures, failures.get(flight.index) ?? 0),
  }));
  const sure_at = now + sure_after_ms;
  const restored: JobState = { ...state, update: { record: { ...update.record, flights }, running, sure_at } };
  const next = begunUpdate(restored.update!, thereOf(restored, of), now);
  const done = performed(restored, next, now, false);
  return stepWith(done.state, [...again, ...done.effects]);
}

/** How long Mesos is given to tell a new leader of tasks that have ended while nobody led. */
const sure_after_ms = 10_000;

export const updatingText = (state: JobState): string => {
  const { id, status } = state.update!.record;
  return `job ${state.key} is being updated by ${id} (${status}): wait until it is over, or abort it`;
};

/** The version that an instance must run to be what the update wants it to be. */
export const updateWants = (state: JobState, version: number): boolean =>
  state.update !== undefined && version >= versionOf(state.update.record);

// --- performing -------------------------------------------------------------------------------------------------------

type Performed = Step<JobState, Effect> & { readonly last: UpdateRecord };

function performed(state: JobState, next: Updated, now: number, first: boolean): Performed {
  const { key } = state;
  const before = state.update!.record;
  const effects: Effect[] = [];
  let { record: after } = next.state;
  let jobs = state.record;
  const turns = next.acts.some(act => act.type === 'turn');
  if (turns) {
    const { launch_version: _, origin: __, ...bare } = jobs;
    const { launch_version, origin, job } = after.before;
    jobs = {
      ...bare,
      job,
      version: versionOf(after),
      updated_at: now,
      ...(launch_version === undefined ? {} : { launch_version }),
      ...(origin === undefined ? {} : { origin }),
    };
    effects.push(record('job', key, jobs));
  }
  const events = next.acts.flatMap(act => (act.type === 'note' ? [act.event] : []));
  effects.push(...events.map((event, n) => eventRow(state, after, after.events + n, event)));
  after = { ...after, events: after.events + events.length };

  const over = isOver(after.status);
  const old = state.runs.get(after.run);
  let given: JobState = { ...state, record: jobs };
  if (old !== undefined) {
    const shape = shapeOf(after);
    const shaped = reshaped(old, over ? trimmed(shape) : shape);
    if (!same(old.record, shaped.record)) effects.push(record('run', runKey(key, after.run), shaped.record));
    given = { ...given, runs: with_(given.runs, after.run, shaped) };
  }
  if (over) {
    effects.push(record('update', key, undefined));
    effects.push(record('finished-update', finishedKey(state, after), finished(after, now)));
    effects.push(count('horae_job_updates_total', { status: after.status }));
  } else if (after !== before || first) effects.push(record('update', key, after));

  if (first || turns) effects.push(...softened(given, after));
  for (const act of next.acts) {
    if (act.type !== 'bring') continue;
    const brought = bring(given, after.run, act.index, now);
    given = brought.state;
    effects.push(...brought.effects);
  }
  for (const event of events)
    if ('status' in event)
      effects.push(
        log(
          ['FAILED', 'ERROR', 'ROLLING_BACK'].includes(event.status) ? 'warn' : 'info',
          { job: key, update: after.id, status: event.status, by: event.by, why: event.message },
          'update',
        ),
      );
  const due = over ? undefined : dueAt({ ...next.state, record: after });
  effects.push(
    due === undefined
      ? tell({ to: 'timetable', message: { type: 'disarmed', disarmed: [{ to: 'job', key }] } })
      : tell({ to: 'timetable', message: { type: 'armed', armed: [{ to: 'job', key, at: due }] } }),
  );
  const { update: _, ...rest } = given;
  const state_after: JobState = {
    ...rest,
    update: over ? undefined : { ...next.state, record: after },
  };
  return { ...stepWith(state_after, effects), last: after };
}

/** The run as the update wants it; whoever is not there yet is known as such. */
function reshaped(run: ActiveRun, shape: ReturnType<typeof shapeOf>): ActiveRun {
  const { without: _, others: __, ...bare } = run.record;
  const recorded: RunRecord = { ...bare, ...shape };
  const size = Math.max(run.size, shape.instances);
  const unborn = new Set(run.unborn);
  for (let index = run.size; index < size; index++) unborn.add(index);
  return { ...run, record: recorded, size, unborn };
}

/** An instance becomes what the run's record says of it by now. */
function bring(state: JobState, id: RunId, index: number, now: number): Step<JobState, Effect> {
  const run = state.runs.get(id)!;
  if (!wants(run.record, index)) {
    return lives(run, index) ? step(state, killInstance(state, id, index, by_update)) : step(state);
  }
  if (run.unborn?.has(index) === true) {
    const unborn = new Set(run.unborn);
    unborn.delete(index);
    const next = { ...state, runs: with_(state.runs, id, { ...run, unborn }) };
    return step(next, spawnInstance(next, run.record, index, undefined));
  }
  if (run.over.has(index)) return revive(state, id, index, now);
  return step(state, ...bringing(state, run, index));
}

const bringing = (state: JobState, run: ActiveRun, index: number): readonly Effect[] => {
  const key = instanceKey(state.key, run.record.run, index);
  return [
    tell({
      to: 'instance',
      key,
      message: { type: 'reconfigured', ...configOf(run.record, index, state.record), anew: true },
    }),
    tell({ to: 'instance', key, message: { type: 'kill', by: by_update, replace: true, grace: true } }),
  ];
};
const by_update = 'update';

/** What no process can notice holds for those who stay as they are, at once. */
function softened(state: JobState, { renewed, plan, run: id }: UpdateRecord): readonly Effect[] {
  const run = state.runs.get(id);
  if (renewed || run === undefined) return [];
  const { job, version } = state.record;
  return Array.from({ length: run.record.instances }, (_, index) => index).flatMap(index => {
    const stays = wants(run.record, index) && lives(run, index);
    const other = run.record.others?.some(one => has(one.indexes, index)) === true;
    if (!stays || other || has(plan.change, index)) return [];
    const key = instanceKey(state.key, id, index);
    return [tell({ to: 'instance', key, message: { type: 'reconfigured', job, version } })];
  });
}

const thereOf =
  (state: JobState, id: RunId): There =>
  index => {
    const run = state.runs.get(id);
    return run !== undefined && lives(run, index);
  };

const eventRow = ({ key }: JobState, update: UpdateRecord, number: number, event: UpdateEvent): Effect =>
  record('update-event', `${key}/${sortable(update.created_at)}.${update.id}/${sortable(number)}`, event);
const finishedKey = ({ key }: JobState, { created_at, id }: UpdateRecord): string =>
  `${key}/${sortable(created_at)}/${id}`;

function finished(update: UpdateRecord, now: number): FinishedUpdate {
  const { found: _, renewed: __, flights: ___, autopaused: ____, pulsed_at: _____, request: ______, ...kept } = update;
  return { ...kept, ended_at: now };
}

const told = (
  { key }: JobState,
  { id, status }: UpdateRecord,
  result: Extract<Answer, { type: 'update' }>['result'],
): Answer => ({
  type: 'update',
  key,
  update: id,
  status,
  result,
});

function answered(
  next: Step<JobState, Effect>,
  envelope: CommandEnvelope,
  answer: Answer,
  result: string,
  now: number,
): Step<JobState, Effect> {
  return stepWith(next.state, [...next.effects, audit(envelope, now, result), reply(envelope.request_id, answer)]);
}
