// directory.ts: which jobs there are. Every write comes to this door first.
//
// The directory knows keys and nothing more: it refuses what is there twice or not at all, gives each new job its
// incarnation number, and hands everything else to the job itself. A key whose job is on its way out is kept until it is
// gone; whoever wants to create it anew waits for that moment.

import { audit } from './audit.ts';
import { calendarCommand } from './calendars.ts';
import { noRoom } from './crowd.ts';
import { type Effect, log, record, reply, tell } from './effects.ts';
import { type Kin, no_kin, unfit } from './job/kin.ts';
import type { Command, CommandEnvelope } from './model/commands.ts';
import { type JobKey, runKey } from './model/ids.ts';
import type { Job } from './model/job.ts';
import { keyOf, runsOnce } from './model/job.ts';
import { refusal } from './model/reasons.ts';
import type { CalendarRecord, JobRecord, RunRecord } from './model/records.ts';
import { calendarNames } from './model/schedules.ts';
import { type Step, step, stepWith } from './step.ts';

export type DirectoryMessage =
  | { readonly type: 'command'; readonly envelope: CommandEnvelope }
  /** A job is being deleted: its key is not to be had, and not to be used, until it is gone. */
  | { readonly type: 'leaving'; readonly key: JobKey }
  /** A job has been given what it was handed: these are the calendars that it names now. */
  | { readonly type: 'uses'; readonly key: JobKey; readonly calendars: readonly string[] }
  /** A deleted job has taken its leave. */
  | { readonly type: 'gone'; readonly key: JobKey };

export type DirectoryState = {
  readonly incarnation: number;
  /** Changed in place: with a hundred thousand jobs a copy for each command would be most of its cost. */
  readonly keys: Map<JobKey, 'live' | 'deleting'>;
  /** Submissions for keys that are still being deleted. */
  readonly held: Map<JobKey, readonly CommandEnvelope[]>;
  /** The calendars that have names. */
  readonly calendars: Map<string, CalendarRecord>;
  /** The calendars that jobs name: all that they may name while a change is on its way to them. */
  readonly uses: Map<JobKey, readonly string[]>;
};
export type DirectoryLimits = {
  readonly jobs_max: number;
  /** Submissions held per key while its old job is being deleted. */
  readonly held_max: number;
  /** Whether agents hand secrets to containers of type docker; true when left out. */
  readonly docker_secrets?: boolean;
};

/** How many further instances there may be. */
type Room = () => number;

export const newDirectory = (
  incarnation: number,
  keys: Iterable<readonly [JobKey, 'live' | 'deleting']>,
  calendars: Iterable<readonly [string, CalendarRecord]> = [],
  uses: Iterable<readonly [JobKey, readonly string[]]> = [],
): DirectoryState => ({
  incarnation,
  keys: new Map(keys),
  held: new Map(),
  calendars: new Map(calendars),
  uses: new Map(uses),
});

export const directory =
  (limits: DirectoryLimits, room: Room = () => Number.POSITIVE_INFINITY, kin: Kin = no_kin) =>
  (state: DirectoryState, message: DirectoryMessage, now: number): Step<DirectoryState, Effect> => {
    switch (message.type) {
      case 'gone': {
        state.keys.delete(message.key);
        state.uses.delete(message.key);
        const held = state.held.get(message.key) ?? [];
        state.held.delete(message.key);
        let next = state;
        const effects: Effect[] = [];
        for (const envelope of held) {
          const one = command(next, envelope, now, limits, room, kin);
          next = one.state;
          effects.push(...one.effects);
        }
        return stepWith(next, effects);
      }
      case 'leaving':
        state.keys.set(message.key, 'deleting');
        // Behind everything that was handed to it: the job may go when it has read this, and leaves nobody without an answer.
        return step(state, tell({ to: 'job', key: message.key, message: { type: 'dismissed' } }));
      case 'uses':
        if (message.calendars.length === 0) state.uses.delete(message.key);
        else state.uses.set(message.key, message.calendars);
        return step(state);
      case 'command':
        return command(state, message.envelope, now, limits, room, kin);
    }
  };

const wantsUnheard = ({ container, secrets }: Job): boolean => container?.type === 'docker' && secrets !== undefined;

function command(
  state: DirectoryState,
  envelope: CommandEnvelope,
  now: number,
  limits: DirectoryLimits,
  room: Room,
  kin: Kin,
): Step<DirectoryState, Effect> {
  const wanted = envelope.command;
  const refuse = (code: Parameters<typeof refusal>[0], text: string) =>
    step(state, audit(envelope, now, code), reply(envelope.request_id, refusal(code, text)));
  if (wanted.type === 'put-calendar' || wanted.type === 'delete-calendar')
    return calendarCommand(state, wanted, envelope, now, limits);
  if ('node' in wanted) return step(state, audit(envelope, now, 'done'), reply(envelope.request_id, { type: 'noted' }));
  if ('letter' in wanted)
    return step(
      state,
      tell({ to: 'notices', message: { type: 'command', envelope: { ...envelope, command: wanted } } }),
    );
  const key = wanted.type === 'submit' ? keyOf(wanted.job) : wanted.key;
  // Whatever has become of the job meanwhile, and whoever else changes it.
  if ('instance' in wanted)
    return step(
      state,
      audit(envelope, now, sessions_noted[wanted.type]),
      reply(envelope.request_id, { type: 'noted', key }),
    );
  const known = state.keys.get(key);
  const names = wanted.type === 'submit' ? calendarNames(wanted.job) : [];
  const unknown = names.find(name => !state.calendars.has(name));
  if (unknown !== undefined)
    return refuse('invalid', `there is no calendar ${unknown}: make it first, or name another`);
  if (limits.docker_secrets === false && 'job' in wanted && wantsUnheard(wanted.job))
    return refuse(
      'invalid',
      `agents of this cluster hand no secrets to a container of type "docker", and would not say so: expected type "mesos" (or --docker-secrets where they are of Horae's own)`,
    );
  if (wanted.type !== 'submit' || wanted.mode === 'replace') {
    if (known !== 'live') return refuse('not-found', `there is no job ${key}`);
    return forward(state, key, { ...envelope, command: wanted }, names);
  }
  if (known === 'deleting') {
    const held = state.held.get(key) ?? [];
    if (held.length >= limits.held_max)
      return refuse('too-many', `job ${key} is being deleted, and ${held.length} submissions wait for that already`);
    state.held.set(key, [...held, envelope]);
    return step(state);
  }
  if (known === 'live') {
    if (wanted.mode === 'create')
      return refuse('exists', `job ${key} exists: replace it with PUT, or choose another name`);
    return forward(state, key, { ...envelope, command: wanted }, names);
  }
  if (wanted.if_version !== undefined)
    return refuse('version-mismatch', `there is no job ${key}, so it is not at version ${wanted.if_version} either`);
  if (state.keys.size >= limits.jobs_max)
    return refuse('too-many', `there are ${state.keys.size} jobs already: the limit is ${limits.jobs_max}`);
  const no = unfit(kin, key, wanted.job);
  if (no !== undefined) return step(state, audit(envelope, now, no.code), reply(envelope.request_id, no));
  const { enabled, service, instances } = wanted.job;
  if (enabled && (service || runsOnce(wanted.job)) && instances > room())
    return refuse('too-many', noRoom(instances, room()));
  return create(state, key, wanted, envelope, now);
}

function forward(
  state: DirectoryState,
  key: JobKey,
  envelope: CommandEnvelope<Command>,
  calendars: readonly string[],
): Step<DirectoryState, Effect> {
  // Until the job has told which it names now, it may name those of before and those that it is handed.
  if (calendars.length > 0) state.uses.set(key, [...new Set([...(state.uses.get(key) ?? []), ...calendars])]);
  return step(state, tell({ to: 'job', key, message: { type: 'command', envelope } }));
}

const sessions_noted = { 'begin-session': 'began', 'end-session': 'ended', 'refuse-session': 'not-permitted' } as const;

/** A new job: its record, its first run if it has no schedule to wait for, the audit row and the answer, in one step. */
function create(
  state: DirectoryState,
  key: JobKey,
  wanted: Extract<Command, { type: 'submit' }>,
  envelope: CommandEnvelope,
  now: number,
): Step<DirectoryState, Effect> {
  const incarnation = state.incarnation + 1;
  const jobs: JobRecord = {
    job: wanted.job,
    incarnation,
    version: 1,
    created_at: now,
    updated_at: now,
    ...(wanted.origin === undefined ? {} : { origin: wanted.origin }),
  };
  const { service, enabled } = wanted.job;
  const first: RunRecord | undefined = !enabled
    ? undefined
    : service
      ? { run: `${incarnation}.service`, cause: { type: 'service' }, instances: wanted.job.instances, created_at: now }
      : runsOnce(wanted.job)
        ? { run: `${incarnation}.once`, cause: { type: 'once' }, instances: wanted.job.instances, created_at: now }
        : undefined;
  state.keys.set(key, 'live');
  const calendars = calendarNames(wanted.job);
  if (calendars.length > 0) state.uses.set(key, calendars);
  return step(
    { ...state, incarnation },
    record('meta', 'incarnations', { last: incarnation }),
    record('job', key, jobs),
    ...(first === undefined ? [] : [record('run', runKey(key, first.run), first)]),
    audit(envelope, now, 'created'),
    {
      type: 'spawn-job',
      birth: {
        key,
        record: jobs,
        tally: undefined,
        trigger: undefined,
        runs: first === undefined ? [] : [{ record: first, instances: [] }],
      },
    },
    reply(envelope.request_id, { type: 'created', key, version: 1 }),
    log('info', { job: key, by: envelope.principal.name }, 'job created'),
    ...(first === undefined ? [] : [log('debug', { job: key, run: first.run, cause: first.cause.type }, 'run begins')]),
  );
}
