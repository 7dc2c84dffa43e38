// trigger.ts: when a job starts: the cursors of its schedules, and what happens when a start finds another run active.
//
// One trigger stands before each job's runs like a gatekeeper: targets, manual starts and whatever else wants a run pass
// here, one at a time. That is why overlap is exact even when two schedules of one job are due in the same instant, and why
// cursor, outcome and run can be written down together, in one step of one owner: no crash can come between them.

import type { Schedule } from '../../schedules/schedule.ts';
import { audit } from '../audit.ts';
import { noRoom } from '../crowd.ts';
import { type Effect, record, reply, tell } from '../effects.ts';
import { advanceJoin } from '../job/following.ts';
import { type Kin, no_kin } from '../job/kin.ts';
import { type WatchRules, watchedStarts } from '../job/watch.ts';
import type { Command, CommandEnvelope } from '../model/commands.ts';
import type { JobKey, RunId } from '../model/ids.ts';
import type { ScheduleDocument } from '../model/job.ts';
import { type Cause, refusal } from '../model/reasons.ts';
import type { CalendarRecord, JobRecord, TriggerRecord } from '../model/records.ts';
import { calendarNames, textOf } from '../model/schedules.ts';
import { type Step, step, stepWith } from '../step.ts';
import { advanceBackfills, backfill } from './backfill.ts';
import { recalendared, type Stage, stagesOf, unheard } from './days.ts';
import { leftBehind, withSchedules } from './definitions.ts';
import { tellingExhausted } from './exhausted.ts';
import { admit, admitWaiting, dropped, remembering } from './gate.ts';
import { answered, counted, paused, resumed } from './pause.ts';
import { look, looksOf, passing } from './verdicts.ts';
import { withdrawn } from './withdrawal.ts';

export type TriggerSettings = {
  readonly default_zone: string;
  /** A target decided this late or less is on time. */
  readonly late_grace_ms: number;
  /** Verdicts per turn; what is left is decided the next turn, so that nobody waits behind a long absence. */
  readonly verdicts_max: number;
  /** Starts that wait for an active run, where the job does not say. */
  readonly waiting_max: number;
  /** Runs side by side under `allow`, where the job does not say. */
  readonly runs_max: number;
  /** What is told of while it takes too long; left out: nothing. */
  readonly watch?: WatchRules;
};
/** What is the same for every trigger of a tree, and changes with it. */
export type Reign = {
  /** When this process began to reign: what `@reboot` means. Trees planted again within it do not count. */
  readonly reign_at: number | undefined;
  /** The calendars that have names, as the records have them at this moment. */
  readonly calendars: (names: readonly string[]) => Readonly<Record<string, CalendarRecord>>;
  /** How many further instances there may be, all jobs together. */
  readonly room: () => number;
  /** Who follows whom, and the tokens that lie between them. */
  readonly kin: Kin;
};
const no_reign: Reign = {
  reign_at: undefined,
  calendars: () => ({}),
  room: () => Number.POSITIVE_INFINITY,
  kin: no_kin,
};

export type Armed = { readonly id: string; readonly document: ScheduleDocument; readonly schedule: Schedule };
export type TriggerState = {
  readonly key: JobKey;
  readonly jobs: JobRecord;
  readonly schedules: readonly Armed[];
  readonly record: TriggerRecord;
  /** Runs of this job that are not over. */
  readonly active: readonly RunId[];
  readonly closed: boolean;
  /** Its record has been written before. */
  readonly noted: boolean;
  /** Failed runs since the last success, as far as the job has told. */
  readonly failures: number;
  /** The record as it was found, where it tells of definitions that the job no longer has. */
  readonly found?: TriggerRecord;
  /** Days of calendars that have changed without the trigger having heard of it before the process died, oldest first. */
  readonly stages?: readonly Stage[];
  readonly reign: Reign;
  /** When starts that wait are looked at again for being late. */
  readonly overdue_at?: number;
  /** Instances of the runs that this step has begun: the reign has not heard of them. */
  readonly begun: number;
};
export type TriggerMessage =
  | { readonly type: 'begin' }
  /** Targets have come due; `noticed_at` is when the timetable saw it, which may be a while ago when many were. */
  | { readonly type: 'due'; readonly noticed_at: number }
  /** A start by hand. Answered here, where it is decided. */
  | {
      readonly type: 'start';
      readonly envelope: CommandEnvelope & { readonly command: { readonly type: 'start-run' } };
    }
  /** Anything else that is asked of what starts by itself. Answered here too. */
  | { readonly type: 'steer'; readonly envelope: CommandEnvelope }
  /** `failures`: failed runs since the last success. */
  | { readonly type: 'run-ended'; readonly run: RunId; readonly failures?: number }
  | { readonly type: 'changed'; readonly record: JobRecord }
  /** A run that waits, or all of them, is not to be. `killed`: active runs that the job has killed for the same reason. */
  | { readonly type: 'withdraw'; readonly envelope: CommandEnvelope; readonly killed: number }
  /** A run of a parent has ended, and its token lies there. */
  | { readonly type: 'token-left' }
  /** Starts that wait may be late by now: see watch.ts. */
  | { readonly type: 'overdue' }
  /** A calendar that the job names has other days now. */
  | { readonly type: 'calendars-changed' }
  /** The job is being deleted: nothing starts any more. */
  | { readonly type: 'close' };

const none: TriggerRecord = { cursors: {}, waiting: [] };

/** The trigger of a job as its records leave it. Throws when a schedule that was accepted cannot be read any more. */
export function newTrigger(
  key: JobKey,
  jobs: JobRecord,
  kept: TriggerRecord | undefined,
  active: readonly RunId[],
  settings: TriggerSettings,
  reign: Reign = no_reign,
  failures = 0,
): TriggerState {
  const texts = new Map(jobs.job.schedules.map(one => [one.id, textOf(one)]));
  const stages = stagesOf(kept?.calendars ?? {}, reign.calendars(calendarNames(jobs.job)));
  const left = Object.entries(kept?.cursors ?? {}).some(([id, cursor]) => texts.get(id) !== cursor.text);
  return withSchedules(
    {
      key,
      jobs,
      schedules: [],
      ...(left ? { found: kept } : {}),
      ...(stages.length > 0 ? { stages } : {}),
      record: kept ?? none,
      active,
      closed: jobs.deleting === true,
      noted: kept !== undefined,
      failures,
      reign,
      begun: 0,
    },
    // A definition without a cursor is as old as the job, or as the change that brought it.
    jobs.version === 1 ? jobs.created_at : jobs.updated_at,
    settings,
  );
}

export { specOf } from '../model/schedules.ts';

export const trigger = (settings: TriggerSettings) => {
  const decided = deciding(settings);
  const { watch: rules } = settings;
  const watch = (after: Step<TriggerState, Effect>, now: number) =>
    rules === undefined ? after : watchedStarts(after, now, rules);
  return (state: TriggerState, message: TriggerMessage, now: number): Step<TriggerState, Effect> =>
    tellingExhausted(watch(decided(state, message, now), now), now);
};

const deciding =
  (settings: TriggerSettings) =>
  (before: TriggerState, message: TriggerMessage, now: number): Step<TriggerState, Effect> => {
    const state = before.begun === 0 ? before : { ...before, begun: 0 };
    switch (message.type) {
      case 'begin': {
        if (state.closed) return close(state, now);
        // Runs may have ended while we were away; whoever waited for them goes first.
        const { found: _, stages: __, ...begun } = state;
        const heard = unheard(begun, state.stages ?? [], now, settings);
        const told = counted(heard.state, state.failures, now);
        const { state: next, effects } = goOn(told.state, now, settings);
        const untold = leftBehind(state, now, settings);
        // What a definition's targets are and how far they were told must be known if the job's next change is written
        // and the process dies before ours is: so every trigger with schedules is written once at its beginning.
        const known = state.noted && state.found === undefined && state.stages === undefined;
        const noted = known || state.schedules.length === 0;
        const moved = next.record === state.record && noted ? [] : [record('trigger', state.key, next.record)];
        return stepWith({ ...next, noted: true }, [
          ...moved,
          ...untold,
          ...heard.effects,
          ...told.effects,
          ...effects,
          ...rest(next, looksOf(next)),
        ]);
      }
      case 'due':
        return due(state, message.noticed_at, now, settings);
      case 'start':
        return start(state, message.envelope, now, settings);
      case 'steer':
        return steer(state, message.envelope, now, settings);
      case 'withdraw':
        return withdraw(state, message.envelope, message.killed, now, settings);
      case 'run-ended': {
        const by_hand = message.run.startsWith(`${state.jobs.incarnation}.m.`);
        const kept = by_hand ? remembering(state.record, message.run) : state.record;
        const gone = { ...state, record: kept, active: state.active.filter(run => run !== message.run) };
        const told = counted(gone, message.failures ?? state.failures, now);
        const { state: next, effects } = goOn(told.state, now, settings);
        if (next.record === state.record) return stepWith(next, effects);
        return stepWith(next, [record('trigger', state.key, next.record), ...told.effects, ...effects]);
      }
      case 'token-left': {
        const { state: next, effects } = advanceJoin(state, now, settings);
        return stepWith(next, next.record === state.record ? effects : [kept(next), ...effects]);
      }
      case 'changed':
        return changed(state, message.record, now, settings);
      case 'overdue':
        return step(state);
      case 'calendars-changed':
        return calendarsChanged(state, now, settings);
      case 'close':
        return close(state, now);
    }
  };

/** Room may have been made: whoever waits goes first, then sets of tokens, then backfills. */
function goOn(state: TriggerState, now: number, settings: TriggerSettings) {
  const waited = admitWaiting(state, now, settings);
  const joined = advanceJoin(waited.state, now, settings);
  const filled = advanceBackfills(joined.state, now, settings);
  return { state: filled.state, effects: [...waited.effects, ...joined.effects, ...filled.effects] };
}

const kept = ({ key, record: body }: TriggerState): Effect => record('trigger', key, body);

/** Runs that wait are taken back. Where launches are counted, a count that had run out may go on. */
function withdraw(
  state: TriggerState,
  envelope: CommandEnvelope,
  killed: number,
  now: number,
  settings: TriggerSettings,
): Step<TriggerState, Effect> {
  // Whoever kills all wants the job to be still: sets of tokens that wait for an active run come to nothing too.
  const sets =
    envelope.command.type === 'kill-all' ? advanceJoin(state, now, settings, 'killed') : { state, effects: [] };
  const moved = sets.state === state ? [] : [kept(sets.state), ...sets.effects];
  const { state: next, effects } = withdrawn(sets.state, envelope, killed, now);
  const looks = next.record.cursors === state.record.cursors ? [] : rest(next, looksOf(next));
  return stepWith(next, [...moved, ...effects, ...looks]);
}

/** Pause, resume, backfill. */
function steer(
  state: TriggerState,
  envelope: CommandEnvelope,
  now: number,
  settings: TriggerSettings,
): Step<TriggerState, Effect> {
  const { command, principal } = envelope;
  if (state.closed)
    return step(
      state,
      audit(envelope, now, 'not-found'),
      reply(envelope.request_id, refusal('not-found', `job ${state.key} is being deleted`)),
    );
  // What has come due belongs to what held until now.
  const looked = state.jobs.job.enabled ? look(state, now, now, settings) : { state, effects: [] };
  switch (command.type) {
    case 'pause': {
      const { state: next, effects } = paused(
        looked.state,
        { since: now, note: command.note, by: principal.name },
        now,
      );
      return answered(next, [...looked.effects, ...effects, ...rest(next, looksOf(next))], envelope, 'changed', now);
    }
    case 'resume': {
      if (state.record.paused === undefined) return answered(state, [], envelope, 'unchanged', now);
      const { state: next, effects } = advanceJoin(resumed(looked.state), now, settings);
      return answered(next, [...looked.effects, ...effects, ...rest(next, looksOf(next))], envelope, 'changed', now);
    }
    case 'backfill':
      return backfill(state, envelope, command, now, settings);
    default:
      throw new Error(
        `the trigger of ${state.key} was asked for "${command.type}": expected pause, resume or backfill`,
      );
  }
}

/** Nothing starts any more, and whatever waited or came due is told as what it is. The job may go when it hears of it. */
function close(state: TriggerState, now: number): Step<TriggerState, Effect> {
  const emptied = dropped(state, state.record.waiting, 'skipped', 'deleted', now);
  const passed = passing(emptied.state, state.schedules, state.jobs.job.enabled ? 'deleted' : 'disabled', now);
  const moved = state.record.waiting.length > 0 || passed.effects.length > 0;
  const last = moved ? passed.record : state.record;
  return stepWith({ ...state, closed: true, record: last }, [
    ...(moved ? [record('trigger', state.key, last)] : []),
    ...emptied.effects,
    ...passed.effects,
    disarm(state),
    tell({ to: 'job', key: state.key, message: { type: 'closed' } }),
  ]);
}

/** Decides every target that has come due, in one step: outcomes, runs and cursors leave together. */
function due(
  state: TriggerState,
  noticed_at: number,
  now: number,
  settings: TriggerSettings,
): Step<TriggerState, Effect> {
  if (state.closed || !state.jobs.job.enabled) return step(state);
  const { state: next, effects, looks, more } = look(state, noticed_at, now, settings);
  // Woken too early (a clock was set back): nothing was decided, so nothing is written.
  if (next === state) return stepWith(state, rest(state, looks));
  return stepWith(next, [record('trigger', state.key, next.record), ...effects, ...rest(next, more ? [now] : looks)]);
}

function start(
  state: TriggerState,
  envelope: Extract<TriggerMessage, { type: 'start' }>['envelope'],
  now: number,
  settings: TriggerSettings,
): Step<TriggerState, Effect> {
  const { command, principal, request_id } = envelope;
  const { waiting, ended = [] } = state.record;
  const name = `${state.jobs.incarnation}.m.${command.request}`;
  // With the instant it is unique even when a request comes again after everybody has forgotten it.
  const run = `${name}.${now.toString(36)}`;
  const answered = (type: 'started' | 'waiting' | 'existing', of = run) => [
    audit(envelope, now, type),
    reply(request_id, { type, key: state.key, run: of }),
  ];
  const before = [...state.active, ...ended, ...waiting.map(one => one.run)].find(
    one => one.slice(0, one.lastIndexOf('.')) === name,
  );
  if (before !== undefined) return stepWith(state, answered('existing', before));
  if (state.closed)
    return step(
      state,
      audit(envelope, now, 'not-found'),
      reply(request_id, refusal('not-found', `job ${state.key} is being deleted`)),
    );
  const admitted = admit(state, { run, cause: byHand(command, principal.name), since: now }, now, settings);
  if (admitted.fate === 'full') {
    const text = noRoom(state.jobs.job.instances, state.reign.room());
    return step(state, audit(envelope, now, 'too-many'), reply(request_id, refusal('too-many', text)));
  }
  if (admitted.fate === 'skipped')
    return step(
      state,
      audit(envelope, now, 'already-running'),
      reply(
        request_id,
        refusal(
          'already-running',
          `job ${state.key} has ${state.active.length} active run(s) (${state.active.join(', ')}) and its overlap policy is ${state.jobs.job.overlap.policy}`,
        ),
      ),
    );
  const moved = admitted.state.record === state.record ? [] : [record('trigger', state.key, admitted.state.record)];
  // A count that had run out goes on when it is given something back.
  const given_back = admitted.state.record.cursors !== state.record.cursors;
  const looks = given_back ? rest(admitted.state, looksOf(admitted.state)) : [];
  return stepWith(admitted.state, [...moved, ...admitted.effects, ...looks, ...answered(admitted.fate)]);
}

const byHand = ({ request, arguments: words }: Extract<Command, { type: 'start-run' }>, by: string): Cause => ({
  type: 'manual',
  by,
  request,
  ...(words === undefined ? {} : { arguments: words }),
});

function changed(
  state: TriggerState,
  jobs: JobRecord,
  now: number,
  settings: TriggerSettings,
): Step<TriggerState, Effect> {
  // Told again after a crash, when a later change has been heard already.
  if (jobs.version < state.jobs.version) return step(state);
  // What has come due belongs to the definition under which it did, however late we are in noticing.
  const looked = state.closed || !state.jobs.job.enabled ? { state, effects: [] } : look(state, now, now, settings);
  const { enabled, count: counted } = state.jobs.job;
  const stays = new Map(jobs.job.schedules.map(one => [one.id, textOf(one)]));
  // Targets that passed while nothing could become due are not run after the fact, except where launches are counted.
  const again = !enabled && jobs.job.enabled && counted === 'targets';
  const ending = state.schedules.filter(({ id }) => again || stays.get(id) !== state.record.cursors[id]?.text);
  const passed = passing(looked.state, ending, enabled ? 'replaced' : 'disabled', now);
  const after = withSchedules({ ...looked.state, jobs, record: passed.record }, now, settings);
  const { state: next, effects } = advanceJoin(after, now, settings);
  return stepWith(next, [
    kept(next),
    ...looked.effects,
    ...passed.effects,
    ...effects,
    disarm(state),
    ...rest(next, looksOf(next)),
  ]);
}

/** The same definitions over other days. */
function calendarsChanged(state: TriggerState, now: number, settings: TriggerSettings): Step<TriggerState, Effect> {
  if (state.closed) return step(state);
  const { state: next, effects } = recalendared(state, now, settings);
  if (next === state) return stepWith(state, effects);
  return stepWith(next, [
    record('trigger', state.key, next.record),
    ...effects,
    disarm(state),
    ...rest(next, looksOf(next)),
  ]);
}

/** Rests in the timetable until the earliest of these. */
function rest(state: TriggerState, looks: readonly (number | undefined)[]): readonly Effect[] {
  if (state.closed || !state.jobs.job.enabled) return [];
  const earliest = looks.reduce(
    (first, at) => (at !== undefined && (first === undefined || at < first) ? at : first),
    undefined,
  );
  if (earliest === undefined) return [];
  return [
    tell({ to: 'timetable', message: { type: 'armed', armed: [{ to: 'trigger', key: state.key, at: earliest }] } }),
  ];
}

const disarm = (state: TriggerState): Effect =>
  tell({ to: 'timetable', message: { type: 'disarmed', disarmed: [{ to: 'trigger', key: state.key }] } });
