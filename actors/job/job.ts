// job.ts: one job: its runs, the instances that make them up, and what becomes of them when the job changes.
//
// The job is the parent in the plain sense: it brings instances into the world, hears how each of them ended, and closes
// the run when the last one has. Whether and when a run starts is the trigger's business; how an instance fares is its own.

import { audit } from '../audit.ts';
import { noRoom } from '../crowd.ts';
import { type Effect, type JobBirth, log, record, reply, tell } from '../effects.ts';
import { reported } from '../instance/call-backs.ts';
import { progressed } from '../instance/elements.ts';
import { snoozed } from '../instance/snooze.ts';
import type { Command, CommandEnvelope } from '../model/commands.ts';
import { instanceKey, type JobKey, type RunId, runKey } from '../model/ids.ts';
import type { Job } from '../model/job.ts';
import { refusal } from '../model/reasons.ts';
import { type JobRecord, type RunRecord, same, type TallyRecord } from '../model/records.ts';
import { calendarNames } from '../model/schedules.ts';
import { type Step, step, stepWith } from '../step.ts';
import type { UpdateState } from '../update/update.ts';
import { wants } from '../update/update-plan.ts';
import { resumeUpdate, startUpdate, steerUpdate, updateHears, updateWants, updatingText } from '../update/updating.ts';
import { closeIfOver } from './closing.ts';
import { decreed } from './decree.ts';
import { type Kin, no_kin, unfit } from './kin.ts';
import {
  bereft,
  letGo,
  no_wake,
  type Orphaned,
  orphan,
  orphanedLog,
  tellChildren,
  undecided,
  type Wake,
} from './orphans.ts';
import { everyone, launched, outdated, type Rollout } from './rollout.ts';
import { type ActiveRun, killInstance, killRuns, type OverRecord, restoredRun, spawnInstance, with_ } from './runs.ts';
import { beginService, replaceNext, resize, resumeIfEnabled, revive, stillRolling, switchService } from './service.ts';
import { deleted, disabled } from './tellings.ts';
import { clearTokens } from './tokens.ts';

export type JobState = {
  readonly key: JobKey;
  readonly record: JobRecord;
  readonly tally: TallyRecord | undefined;
  readonly runs: ReadonlyMap<RunId, ActiveRun>;
  readonly rollout: Rollout | undefined;
  /** The update that is not over. While there is one, nobody else may change the job. */
  readonly update: UpdateState | undefined;
  /** Who has sent its last letter to a job that is being deleted. It must not go before it has read them all. */
  readonly parted: { readonly trigger: boolean; readonly directory: boolean };
  /** Who still follows it while it is being deleted. */
  readonly wake: Wake;
  /** When its watch is to look again. */
  readonly watch_at?: number | undefined;
};
export type JobMessage =
  | { readonly type: 'begin'; readonly birth: JobBirth }
  /** The trigger recorded a run. */
  | { readonly type: 'started'; readonly run: RunRecord }
  | {
      readonly type: 'instance-running';
      readonly run: RunId;
      readonly index: number;
      readonly version: number;
      readonly failures: number;
    }
  /** An instance of a service lost what it had reached, and begins again. `failed`: by its own fault. */
  | {
      readonly type: 'instance-stumbled';
      readonly run: RunId;
      readonly index: number;
      readonly version: number;
      readonly failed: boolean;
      readonly why: string;
    }
  /** The update wanted to be woken now. */
  | { readonly type: 'due' }
  | { readonly type: 'watch' }
  | { readonly type: 'instance-over'; readonly run: RunId; readonly index: number; readonly record: OverRecord }
  /** The trigger wants these runs gone so that another can start. */
  | {
      readonly type: 'make-way';
      readonly runs: readonly RunId[];
      readonly by: string /** false: killed without their grace. */;
      readonly grace: boolean;
    }
  | { readonly type: 'command'; readonly envelope: CommandEnvelope<Command> }
  /** The trigger found the run that is to be killed among those that have started. */
  | { readonly type: 'kill-started'; readonly envelope: CommandEnvelope }
  /** A parent is being deleted. */
  | Orphaned
  /** A child of a job that is being deleted does not follow it any more. */
  | { readonly type: 'let-go'; readonly child: JobKey }
  /** The trigger of a job that is being deleted starts nothing any more. */
  | { readonly type: 'closed' }
  /** The directory hands nothing more to a job that is being deleted. */
  | { readonly type: 'dismissed' };

export const newJob = (birth: JobBirth): JobState => ({
  key: birth.key,
  record: birth.record,
  tally: birth.tally,
  runs: new Map(birth.runs.map(({ record: run, instances }) => [run.run, restoredRun(run, instances)])),
  rollout: undefined,
  update: birth.update === undefined ? undefined : { record: birth.update, running: new Map() },
  parted: { trigger: birth.record.job.service, directory: false },
  wake: no_wake,
});

/** `room`: how many further instances there may be, all jobs together. `kin`: who follows whom. */
export const job = (
  state: JobState,
  message: JobMessage,
  now: number,
  room: () => number = () => Number.POSITIVE_INFINITY,
  kin: Kin = no_kin,
): Step<JobState, Effect> => {
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
          failures: state.tally?.failures_since_success ?? 0,
        });
      let next = state;
      if (jobs.deleting === true) {
        effects.push(...farewells(state), ...tellChildren(kin, state));
        next = { ...state, wake: { ...state.wake, children: new Set(kin.children(state.key)) } };
      } else if (jobs.job.parents !== undefined) {
        const alone = bereft(kin, jobs.job);
        if (alone !== jobs.job) {
          const changed = replaced(state, alone, now, jobs.origin, kin);
          next = changed.state;
          effects.push(...changed.effects);
        }
      }
      for (const { record: run, instances } of message.birth.runs) {
        // Ended since this was read: a job that crashed begins again behind the mail that was waiting.
        const active = next.runs.get(run.run);
        if (active === undefined) continue;
        const known = new Map(instances.map(one => [one.index, one.record]));
        for (let index = 0; index < active.size; index++) {
          const at = known.get(index);
          if (active.over.has(index)) {
            // It ended because it was not wanted, is wanted again, and the world ended before the job had heard of its end.
            if (jobs.job.service && run.killing === undefined && wants(run, index)) {
              const gone: Effect = { type: 'stop-instance', key: instanceKey(state.key, run.run, index) };
              const revived = revive(next, run.run, index, now);
              const back = new Map(revived.state.runs.get(run.run)!.revived).set(
                index,
                active.over.get(index)!.attempt,
              );
              next = {
                ...revived.state,
                runs: with_(revived.state.runs, run.run, { ...revived.state.runs.get(run.run)!, revived: back }),
              };
              effects.push(gone, ...revived.effects);
            }
            continue;
          }
          if (active.unborn?.has(index) === true) continue;
          // A run without instances gets them: it was recorded, and then the world ended for a moment.
          effects.push(spawnInstance(state, run, index, at));
          if (run.killing !== undefined)
            effects.push(killInstance(state, run.run, index, run.killing.by, run.killing.at_once !== true));
          else if (!wants(run, index)) effects.push(killInstance(state, run.run, index, 'resized'));
        }
        if (jobs.job.service && run.killing === undefined && next.update === undefined) {
          const rolled = replaceNext(next, run.run, outdated(jobs, run, instances));
          next = rolled.state;
          effects.push(...rolled.effects);
        }
        const closed = closeIfOver(next, run.run, now, kin);
        next = closed.state;
        effects.push(...closed.effects);
      }
      const resumed = resumeUpdate(next, message.birth, now);
      const left = leaveIfDone(resumed.state, kin);
      return stepWith(left.state, [...effects, ...resumed.effects, ...left.effects]);
    }

    case 'started': {
      if (state.runs.has(message.run.run)) return step(state);
      const effects = Array.from({ length: message.run.instances }, (_, index) =>
        spawnInstance(state, message.run, index, undefined),
      );
      effects.push(log('debug', { job: state.key, run: message.run.run, cause: message.run.cause.type }, 'run begins'));
      return stepWith(
        {
          ...state,
          runs: with_(state.runs, message.run.run, {
            record: message.run,
            over: new Map(),
            size: message.run.instances,
          }),
        },
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
      if (updateWants(state, message.version))
        return updateHears(
          next,
          message.run,
          [{ type: 'ran', index: message.index, at: now, failures: message.failures }],
          now,
        );
      if (state.rollout?.current !== message.index || message.version < (state.record.launch_version ?? 0))
        return step(next);
      return replaceNext(next, message.run, state.rollout.waiting);
    }

    case 'instance-stumbled': {
      const { run, index, failed, why } = message;
      // The end of what it was before is no failure of what it shall be.
      const own = failed && updateWants(state, message.version);
      return updateHears(state, run, [{ type: 'stumbled', index, failed: own, why }], now);
    }

    case 'due':
      return state.update === undefined ? step(state) : updateHears(state, state.update.record.run, [], now);

    case 'watch':
      return step(state);
    case 'instance-over': {
      const run = state.runs.get(message.run);
      if (run === undefined) return step(state);
      // It was found over, and lives again: this is the letter about the life before.
      if ((run.revived?.get(message.index) ?? 0) >= message.record.attempt) return step(state);
      const over = new Map(run.over).set(message.index, message.record);
      const heard = { ...state, runs: with_(state.runs, message.run, { ...run, over }) };
      const gone: Effect = { type: 'stop-instance', key: instanceKey(state.key, message.run, message.index) };
      // The service shrank and grew again before this one had ended: it is wanted after all.
      if (state.record.job.service && run.record.killing === undefined && wants(run.record, message.index)) {
        const revived = revive(heard, message.run, message.index, now);
        return stepWith(revived.state, [gone, ...revived.effects]);
      }
      if (heard.update !== undefined) {
        const next = updateHears(heard, message.run, [], now);
        return stepWith(next.state, [gone, ...next.effects]);
      }
      const closed = resumeIfEnabled(closeIfOver(heard, message.run, now, kin), run.record, now);
      const left = leaveIfDone(closed.state, kin);
      return stepWith(left.state, [gone, ...closed.effects, ...left.effects]);
    }

    case 'make-way':
      return killRuns(state, message.runs, message.by, now, message.grace);

    case 'command':
      return withUses(state, message.envelope.command, command(state, message.envelope, now, room, kin));

    case 'kill-started':
      return killStarted(state, message.envelope, now);
    case 'orphaned':
      return orphaned(state, message, now, kin);
    case 'let-go': {
      const children = new Set(state.wake.children);
      children.delete(message.child);
      const { owed } = state.wake;
      if (children.size > 0) return step({ ...state, wake: { ...state.wake, children } });
      const left = leaveIfDone({ ...state, wake: no_wake }, kin);
      const answer = owed === undefined ? [] : [reply(owed.request_id, { type: 'deleted', key: state.key })];
      return stepWith(left.state, [...left.effects, ...answer]);
    }
    case 'closed':
      return leaveIfDone({ ...state, parted: { ...state.parted, trigger: true } }, kin);
    case 'dismissed':
      return leaveIfDone({ ...state, parted: { ...state.parted, directory: true } }, kin);
  }
};

/** Whatever became of a submission, the directory hears which calendars are named now. */
function withUses(before: JobState, wanted: Command, after: Step<JobState, Effect>): Step<JobState, Effect> {
  if (wanted.type !== 'submit') return after;
  const calendars = calendarNames(after.state.record.job);
  if (calendars.length + calendarNames(before.record.job).length + calendarNames(wanted.job).length === 0) return after;
  const told = tell({ to: 'directory', message: { type: 'uses', key: before.key, calendars } });
  return stepWith(after.state, [...after.effects, told]);
}

function command(
  state: JobState,
  envelope: CommandEnvelope<Command>,
  now: number,
  room: () => number,
  kin: Kin,
): Step<JobState, Effect> {
  const { command: wanted, principal, request_id } = envelope;
  const refuseWith = (no: ReturnType<typeof refusal>) =>
    step(state, audit(envelope, now, no.code), reply(request_id, no));
  const refuse = (code: Parameters<typeof refusal>[0], text: string) =>
    step(state, audit(envelope, now, code), reply(request_id, refusal(code, text)));
  if (state.record.deleting === true) return refuse('not-found', `job ${state.key} is being deleted`);
  if ('if_version' in wanted && wanted.if_version !== undefined && wanted.if_version !== state.record.version)
    return refuse(
      'version-mismatch',
      `job ${state.key} is at version ${state.record.version}, not ${wanted.if_version}: read it again and decide anew`,
    );
  if (state.update !== undefined && !beside_updates.has(wanted.type)) return refuse('updating', updatingText(state));
  const more = furtherInstances(state, wanted);
  if (more > 0 && more > room()) return refuse('too-many', noRoom(more, room()));
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
      const no = unfit(kin, state.key, wanted.job);
      if (no !== undefined) return refuseWith(no);
      const next = replaced(state, wanted.job, now, wanted.origin, kin);
      return stepWith(next.state, [
        ...next.effects,
        ...disabled(state, next.state, principal.name, now),
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
      const next = replaced(state, { ...state.record.job, enabled: wanted.enabled }, now, state.record.origin, kin);
      return stepWith(next.state, [
        ...next.effects,
        ...disabled(state, next.state, principal.name, now),
        audit(envelope, now, 'changed'),
        reply(request_id, { type: 'changed', key: state.key, version: next.state.record.version }),
      ]);
    }
    case 'delete': {
      const no = undecided(kin, state.key, wanted.orphans);
      if (no !== undefined) return refuseWith(no);
      const gone = goes(state, wanted.orphans, principal.name, now, kin);
      const told = audit(envelope, now, 'deleted');
      // Whoever asks next must not find a job that follows one that is not there.
      if (gone.state.wake.children.size > 0)
        return stepWith({ ...gone.state, wake: { ...gone.state.wake, owed: envelope } }, [...gone.effects, told]);
      return stepWith(gone.state, [...gone.effects, told, reply(request_id, { type: 'deleted', key: state.key })]);
    }
    case 'mark-success':
    case 'clear-tokens':
      return decreed(state, envelope, wanted, now, kin);
    case 'start-run':
      if (!request_name.test(wanted.request))
        return refuse(
          'invalid',
          `"${wanted.request}" cannot name a run: expected 1 to 32 letters, digits, ".", "_" or "-"`,
        );
      if (state.record.job.service) {
        const [running] = state.runs.values();
        const name = `${state.record.incarnation}.service.${wanted.request}`;
        if (running?.record.run.startsWith(`${name}.`) && running.record.run.lastIndexOf('.') === name.length)
          return step(
            state,
            audit(envelope, now, 'existing'),
            reply(request_id, { type: 'existing', key: state.key, run: running.record.run }),
          );
        if (running?.record.killing !== undefined)
          return refuse('already-running', `service ${state.key} is still being stopped: start it when it is`);
        if (running !== undefined) return refuse('invalid', `job ${state.key} is a service: it always runs`);
        // With the instant it is unique, also when the service is stopped and the same request comes again.
        const run = `${name}.${now.toString(36)}`;
        const begun = beginService(state, run, now);
        return stepWith(begun.state, [
          ...begun.effects,
          audit(envelope, now, 'started'),
          reply(request_id, { type: 'started', key: state.key, run }),
        ]);
      }
      return step(
        state,
        tell({ to: 'trigger', key: state.key, message: { type: 'start', envelope: { ...envelope, command: wanted } } }),
      );
    case 'start-update':
      return startUpdate(state, envelope, wanted, now, room);
    case 'steer-update':
      return steerUpdate(state, envelope, wanted, now);
    case 'pause':
    case 'resume':
    case 'backfill':
      if (state.record.job.service)
        return refuse('invalid', `job ${state.key} is a service: it has no targets that could be ${wanted.type}d`);
      if (wanted.type === 'backfill' && !request_name.test(wanted.request))
        return refuse('invalid', `"${wanted.request}" cannot name a backfill: expected 1 to 32 letters, digits or "_"`);
      return step(state, tell({ to: 'trigger', key: state.key, message: { type: 'steer', envelope } }));
    case 'snooze':
    case 'wake':
      return snoozed(state, { ...envelope, command: wanted }, now);
    case 'progress':
      return progressed(state, { ...envelope, command: wanted }, now);
    case 'complete-task':
      return reported(state, { ...envelope, command: wanted }, now);
    case 'kill-run':
    case 'kill-all': {
      const all = wanted.type === 'kill-all';
      const known = all ? [...state.runs.keys()] : [wanted.run].filter(run => state.runs.has(run));
      const killed = killRuns(state, known, principal.name, now);
      // Runs that wait are the trigger's; it hears of this before it can hear that one of these has ended.
      if (!state.record.job.service && (all || known.length === 0))
        return stepWith(killed.state, [
          ...killed.effects,
          tell({
            to: 'trigger',
            key: state.key,
            message: { type: 'withdraw', envelope, killed: known.length },
          }),
        ]);
      if (!all && known.length === 0) return noSuchRun(state, envelope, wanted.run, now);
      return stepWith(killed.state, [
        ...killed.effects,
        audit(envelope, now, 'killing'),
        reply(request_id, { type: 'killing', key: state.key, count: known.length }),
      ]);
    }
  }
}

/** What may be said to a job while it is updated: about the update, and about tasks as they are. */
const beside_updates: ReadonlySet<Command['type']> = new Set([
  ...(['start-update', 'steer-update'] as const),
  ...(['snooze', 'wake', 'progress', 'complete-task'] as const),
]);

/** How many instances a service would have more than it has. */
function furtherInstances({ record: { job }, runs }: JobState, wanted: Command): number {
  if (!job.service) return 0;
  const there = [...runs.values()].reduce((sum, run) => sum + run.record.instances, 0);
  if (wanted.type === 'submit' && wanted.job.enabled && (there > 0 || !job.enabled))
    return wanted.job.instances - there;
  const begins = (wanted.type === 'set-enabled' && wanted.enabled) || wanted.type === 'start-run';
  return begins ? job.instances - there : 0;
}

/** A run that waited when it was to be killed, and had started by the time its trigger was asked. */
function killStarted(state: JobState, envelope: CommandEnvelope, now: number): Step<JobState, Effect> {
  const { command: wanted, principal, request_id } = envelope;
  if (wanted.type !== 'kill-run')
    throw new Error(`job ${state.key} was handed "${wanted.type}" by its trigger: expected kill-run`);
  if (!state.runs.has(wanted.run)) return noSuchRun(state, envelope, wanted.run, now);
  const killed = killRuns(state, [wanted.run], principal.name, now);
  return stepWith(killed.state, [
    ...killed.effects,
    audit(envelope, now, 'killing'),
    reply(request_id, { type: 'killing', key: state.key, count: 1 }),
  ]);
}

const noSuchRun = (state: JobState, envelope: CommandEnvelope, run: RunId, now: number): Step<JobState, Effect> =>
  step(
    state,
    audit(envelope, now, 'not-found'),
    reply(envelope.request_id, refusal('not-found', `job ${state.key} has no active run ${run}`)),
  );

/** A request becomes part of a run id, and of task ids. */
const request_name = /^[A-Za-z0-9._-]{1,32}$/;

/** Whoever writes to a job that is being deleted is asked for its last letter. */
const farewells = ({ key, record: { job } }: JobState): readonly Effect[] => [
  tell({ to: 'directory', message: { type: 'leaving', key } }),
  ...(job.service ? [] : [tell({ to: 'trigger', key, message: { type: 'close' } })]),
];

/** From now on the job is being deleted: its runs are killed, and whoever follows it is told. */
function goes(
  state: JobState,
  orphans: JobRecord['orphans'],
  by: string,
  now: number,
  kin: Kin,
): Step<JobState, Effect> {
  const children = new Set(kin.children(state.key));
  const deleting: JobRecord = {
    ...state.record,
    deleting: true,
    updated_at: now,
    ...(children.size === 0 || orphans === undefined ? {} : { orphans }),
  };
  const killed = killRuns({ ...state, record: deleting, wake: { children } }, [...state.runs.keys()], by, now);
  const left = leaveIfDone(killed.state, kin);
  return stepWith(left.state, [
    record('job', state.key, deleting),
    deleted(state, by, now),
    ...farewells(state),
    ...tellChildren(kin, killed.state),
    ...killed.effects,
    ...left.effects,
  ]);
}

/** A parent goes. What becomes of this job was said when it was deleted. */
function orphaned(state: JobState, message: Orphaned, now: number, kin: Kin): Step<JobState, Effect> {
  const { parent, policy } = message;
  const { record: jobs } = state;
  const released = letGo(parent, state.key);
  const job = jobs.deleting === true ? jobs.job : orphan(kin, state.key, jobs.job, message);
  if (job === jobs.job) return step(state, released);
  const next =
    policy === 'delete' ? goes(state, 'delete', parent, now, kin) : replaced(state, job, now, jobs.origin, kin);
  return stepWith(next.state, [...next.effects, orphanedLog(state.key, parent, policy), released]);
}

/** The job as it is from now on; what is under way goes on as it was begun, a service follows one instance at a time. */
function replaced(
  state: JobState,
  after: Job,
  now: number,
  origin: JobRecord['origin'],
  kin: Kin,
): Step<JobState, Effect> {
  const version = state.record.version + 1;
  // Only what the processes can notice is a reason to restart them.
  const mixed = [...state.runs.values()].some(
    run => run.record.others !== undefined || run.record.without !== undefined,
  );
  const renewed = mixed || !same(launched(state.record.job), launched(after));
  const jobs: JobRecord = {
    ...state.record,
    job: after,
    version,
    updated_at: now,
    ...(renewed ? { launch_version: version } : {}),
  };
  const { origin: _, ...bare } = jobs;
  const kept: JobRecord = origin === undefined ? bare : { ...bare, origin };
  const effects: Effect[] = [record('job', state.key, kept)];
  let next: JobState = { ...state, record: kept };
  // Edges that stay keep what lies on them.
  const parted = state.record.job.parents?.filter(one => after.parents?.includes(one) !== true) ?? [];
  if (parted.length > 0) effects.push(...clearTokens(kin, state.key, parted));
  if (!after.service) {
    // An active run keeps the job that it was started with, for its retries.
    for (const [id, run] of state.runs)
      if (run.record.job === undefined) {
        const pinned: RunRecord = { ...run.record, job: state.record.job, version: state.record.version };
        next = { ...next, runs: with_(next.runs, id, { ...run, record: pinned }) };
        effects.push(record('run', runKey(state.key, id), pinned));
      }
    return stepWith(next, [
      ...effects,
      tell({ to: 'trigger', key: state.key, message: { type: 'changed', record: kept } }),
    ]);
  }
  for (const [id, run] of state.runs) {
    // One that is being killed ends as it is: nobody is born into it, and so nobody more must end.
    if (run.record.killing !== undefined) continue;
    const resized = resize(next, id, after.instances, now);
    effects.push(...resized.effects);
    const rolled = renewed
      ? replaceNext(resized.state, id, everyone(resized.state.rollout, after.instances))
      : stillRolling(resized.state, id, after.instances);
    next = rolled.state;
    effects.push(...rolled.effects);
  }
  const switched = switchService(next, state.record.job.enabled, now);
  return stepWith(switched.state, [...effects, ...switched.effects]);
}

/** A job that is being deleted takes its leave when no run is left, and nobody will write to it any more. */
function leaveIfDone(state: JobState, kin: Kin): Step<JobState, Effect> {
  const { trigger, directory } = state.parted;
  if (state.record.deleting !== true || state.runs.size > 0 || !trigger || !directory) return step(state);
  if (state.wake.children.size > 0) return step(state);
  return step(
    state,
    ...clearTokens(kin, state.key),
    record('trigger', state.key, undefined),
    record('tally', state.key, undefined),
    record('job', state.key, undefined),
    { type: 'stop-job', key: state.key },
    tell({ to: 'directory', message: { type: 'gone', key: state.key } }),
    log('info', { job: state.key }, 'job deleted'),
  );
}
