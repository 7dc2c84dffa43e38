// update.ts: a rolling update: some instances at a time, watched until they are well, and all the way back when they are not.
//
// Think of a relay in which everybody who sets out is watched until he has stood firmly for a while; only then does the
// next one go. What is decided here is who sets out, who has arrived, who has failed, and in which of the statuses the
// whole thing is. The job, whose update it is, brings the instances and writes everything down (updating.ts).

import { checksMs } from '../model/processes.ts';
import { has, printed, rangesOf } from '../model/ranges.ts';
import {
  type Flight,
  type UpdateEvent,
  type UpdateRecord,
  type UpdateStatus,
  update_transitions,
} from '../model/updates.ts';
import { isExhausted, nextUp } from './update-plan.ts';

export type UpdateState = {
  readonly record: UpdateRecord;
  /** Since when those on their way run, and are well, as what they shall be. Known from the instances after a restart. */
  readonly running: ReadonlyMap<number, number>;
  /** After a restart: until then what is said to run may have ended while nobody looked, so nobody has arrived yet. */
  readonly sure_at?: number;
};
export type UpdateAct =
  /** From now on this instance is to be what the plan says of it. */
  | { readonly type: 'bring'; readonly index: number }
  /** It goes back: the job's document is the one of before again. */
  | { readonly type: 'turn' }
  | { readonly type: 'note'; readonly event: UpdateEvent };
export type Updated = { readonly state: UpdateState; readonly acts: readonly UpdateAct[] };

/** What an instance on its way is heard to do. */
export type Heard =
  | { readonly type: 'ran'; readonly index: number; readonly at: number; readonly failures: number }
  /** It lost what it had reached; `failed`: by its own fault. */
  | { readonly type: 'stumbled'; readonly index: number; readonly failed: boolean; readonly why: string };
/** Whether an instance is there: not gone, and not still to be made. */
export type There = (index: number) => boolean;

export const steerings = ['pause', 'resume', 'abort', 'rollback', 'pulse'] as const;
export type Steering = (typeof steerings)[number];
export type Steered = Updated & { readonly result: 'changed' | 'unchanged' | 'refused' };

/** The statuses that a person may leave by a word, and where that leads; a word that is not here is refused. */
const ways: Readonly<Record<Exclude<Steering, 'pulse'>, Partial<Record<UpdateStatus, UpdateStatus>>>> = {
  pause: {
    ROLLING_FORWARD: 'ROLL_FORWARD_PAUSED',
    ROLL_FORWARD_AWAITING_PULSE: 'ROLL_FORWARD_PAUSED',
    ROLL_FORWARD_PAUSED: 'ROLL_FORWARD_PAUSED',
    ROLLING_BACK: 'ROLL_BACK_PAUSED',
    ROLL_BACK_AWAITING_PULSE: 'ROLL_BACK_PAUSED',
    ROLL_BACK_PAUSED: 'ROLL_BACK_PAUSED',
  },
  resume: { ROLL_FORWARD_PAUSED: 'ROLLING_FORWARD', ROLL_BACK_PAUSED: 'ROLLING_BACK' },
  abort: {
    ROLLING_FORWARD: 'ABORTED',
    ROLLING_BACK: 'ABORTED',
    ROLL_FORWARD_PAUSED: 'ABORTED',
    ROLL_BACK_PAUSED: 'ABORTED',
    ROLL_FORWARD_AWAITING_PULSE: 'ABORTED',
    ROLL_BACK_AWAITING_PULSE: 'ABORTED',
  },
  rollback: {
    ROLLING_FORWARD: 'ROLLING_BACK',
    ROLL_FORWARD_PAUSED: 'ROLLING_BACK',
    ROLL_FORWARD_AWAITING_PULSE: 'ROLLING_BACK',
  },
};

/** The first step of a new one, or the first after a restart. */
export function begunUpdate(state: UpdateState, there: There, now: number): Updated {
  const { status, by, message, events } = state.record;
  const first: UpdateAct[] =
    events > 0 ? [] : [{ type: 'note', event: { at: now, status, by, ...(message === undefined ? {} : { message }) } }];
  const next = advanced(state, there, now);
  return { state: next.state, acts: [...first, ...next.acts] };
}

/** An instance was heard of. It counts in every status; what follows from it waits while the update does. */
export function heardOf(state: UpdateState, heard: readonly Heard[], there: There, now: number): Updated {
  let { record, running } = state;
  for (const one of heard) {
    const flight = record.flights.find(each => each.index === one.index);
    if (flight === undefined) continue;
    const next = new Map(running);
    let changed: Flight;
    if (one.type === 'ran') {
      next.set(one.index, one.at);
      changed = { ...flight, failures: Math.max(flight.failures, one.failures) };
    } else {
      next.delete(one.index);
      const failures = flight.failures + (one.failed ? 1 : 0);
      changed = { ...flight, since: now, failures, ...(one.failed ? { why: one.why } : {}) };
    }
    running = next;
    record = { ...record, flights: record.flights.map(each => (each === flight ? changed : each)) };
  }
  return advanced({ ...state, record, running }, there, now);
}

/** Time has passed. */
export const lookedAt = (state: UpdateState, there: There, now: number): Updated => advanced(state, there, now);

/** A person, or a service that watches over it, has said something. */
export function steered(
  state: UpdateState,
  what: Steering,
  by: string,
  message: string | undefined,
  there: There,
  now: number,
): Steered {
  const { record } = state;
  if (what === 'pulse') {
    if (record.how.pulse_interval_ms === undefined) return { state, acts: [], result: 'unchanged' };
    const pulsed: UpdateState = { ...state, record: { ...record, pulsed_at: now } };
    const waits = record.status === 'ROLL_FORWARD_AWAITING_PULSE' || record.status === 'ROLL_BACK_AWAITING_PULSE';
    if (!waits) return { state: pulsed, acts: [], result: 'changed' };
    const to = record.rolled === undefined ? 'ROLLING_FORWARD' : 'ROLLING_BACK';
    const going = moved(rebased(pulsed, now), to, now, by, 'a pulse was received');
    return { ...andOn(going, there, now), result: 'changed' };
  }
  const to = ways[what][record.status];
  if (to === undefined) return { state, acts: [], result: 'refused' };
  if (to === record.status) return { state, acts: [], result: 'unchanged' };
  switch (what) {
    case 'pause':
    case 'abort':
      return { ...moved(state, to, now, by, message), result: 'changed' };
    case 'resume':
      return { ...andOn(moved(rebased(state, now), to, now, by, message), there, now), result: 'changed' };
    case 'rollback':
      // Whoever asks for it is there: that is worth a pulse.
      return {
        ...andOn(turned({ ...state, record: pulsedNow(record, now) }, now, by, message), there, now),
        result: 'changed',
      };
  }
}

/** The records say something that no update can go on from. */
export const unreadable = (state: UpdateState, why: string, now: number): Updated =>
  moved(state, 'ERROR', now, undefined, why);

/** When it has to be looked at again, if nothing is heard before. */
export function dueAt({ record, running, sure_at = 0 }: UpdateState): number | undefined {
  if (!rolls(record.status)) return undefined;
  const instants = record.flights.flatMap(flight => {
    if (!isToRun(record, flight.index)) return [];
    const since = running.get(flight.index);
    return [since === undefined ? flight.since + patienceMs(record) : Math.max(since + record.how.watch_ms, sure_at)];
  });
  const silent = silentAt(record);
  if (silent !== undefined) instants.push(silent);
  return instants.length === 0 ? undefined : Math.min(...instants);
}

// --- one look ---------------------------------------------------------------------------------------------------------

const rolls = (status: UpdateStatus): boolean => status === 'ROLLING_FORWARD' || status === 'ROLLING_BACK';

/** Everything that follows from what is known: until nothing more does. */
function advanced(state: UpdateState, there: There, now: number): Updated {
  let next: Updated = { state, acts: [] };
  while (rolls(next.state.record.status)) {
    const one = look(next.state, there, now);
    if (one === undefined) return next;
    next = { state: one.state, acts: [...next.acts, ...one.acts] };
  }
  return next;
}
const andOn = (before: Updated, there: There, now: number): Updated => {
  const next = advanced(before.state, there, now);
  return { state: next.state, acts: [...before.acts, ...next.acts] };
};

/** One step on; undefined when there is none to take. */
function look(state: UpdateState, there: There, now: number): Updated | undefined {
  const { record } = state;
  const back = record.rolled !== undefined;
  const silent = silentAt(record);
  if (silent !== undefined && now >= silent)
    return moved(
      state,
      back ? 'ROLL_BACK_AWAITING_PULSE' : 'ROLL_FORWARD_AWAITING_PULSE',
      now,
      undefined,
      record.pulsed_at === undefined ? 'no pulse has been received yet' : 'no pulse was received in time',
    );
  for (const flight of record.flights) {
    const verdict = judged(state, flight, there, now);
    if (verdict !== undefined) return landed(state, flight, verdict, now);
  }
  const { max_total_failures, rollback_on_failure, strategy } = record.how;
  if (record.failed.length > max_total_failures) {
    const who = record.failed.length === 1 ? 'instance' : 'instances';
    const why = `${who} ${printed(rangesOf(record.failed))} failed: ${max_total_failures} may`;
    if (back || !rollback_on_failure) return moved(state, 'FAILED', now, undefined, why);
    return turned(state, now, undefined, why);
  }
  if (isExhausted(record)) {
    if (record.flights.length > 0) return undefined;
    return moved(state, back ? 'ROLLED_BACK' : 'ROLLED_FORWARD', now);
  }
  const group = nextUp(record);
  if (group.length === 0) return undefined;
  const pauses = strategy.type !== 'queue' && strategy.autopause === true && !back && record.taken > 0;
  if (pauses && record.autopaused !== record.taken)
    return moved(
      { ...state, record: { ...record, autopaused: record.taken } },
      'ROLL_FORWARD_PAUSED',
      now,
      undefined,
      'paused before the next group, as it was told to',
    );
  return takenUp(state, group, now);
}

function takenUp(state: UpdateState, group: readonly number[], now: number): Updated {
  const { record } = state;
  const running = new Map(state.running);
  for (const index of group) running.delete(index);
  const flights = [...record.flights, ...group.map((index): Flight => ({ index, since: now, failures: 0 }))];
  const count =
    record.rolled === undefined ? { taken: record.taken + group.length } : { rolled: record.rolled + group.length };
  const action = record.rolled === undefined ? 'INSTANCE_UPDATING' : 'INSTANCE_ROLLING_BACK';
  return {
    state: { ...state, record: { ...record, ...count, flights }, running },
    acts: group.flatMap((index): UpdateAct[] => [
      { type: 'note', event: { at: now, index, action } },
      { type: 'bring', index },
    ]),
  };
}

type Verdict = { readonly failed: false } | { readonly failed: true; readonly why: string };

/** undefined: nobody can tell yet. */
function judged(
  { record, running, sure_at = 0 }: UpdateState,
  flight: Flight,
  there: There,
  now: number,
): Verdict | undefined {
  if (!isToRun(record, flight.index)) return there(flight.index) ? undefined : { failed: false };
  const { max_per_shard_failures, watch_ms, progress_deadline_ms } = record.how;
  if (flight.failures > max_per_shard_failures) return { failed: true, why: flight.why ?? 'it failed' };
  const since = running.get(flight.index);
  if (since !== undefined) return now >= Math.max(since + watch_ms, sure_at) ? { failed: false } : undefined;
  if (now < flight.since + patienceMs(record)) return undefined;
  return { failed: true, why: `it did not come to run within ${progress_deadline_ms} ms` };
}

function landed(state: UpdateState, flight: Flight, verdict: Verdict, now: number): Updated {
  const { record } = state;
  const { index } = flight;
  const running = new Map(state.running);
  running.delete(index);
  const flights = record.flights.filter(each => each !== flight);
  const failed = verdict.failed ? [...record.failed, index] : record.failed;
  const words =
    record.rolled === undefined
      ? (['INSTANCE_UPDATED', 'INSTANCE_UPDATE_FAILED'] as const)
      : (['INSTANCE_ROLLED_BACK', 'INSTANCE_ROLLBACK_FAILED'] as const);
  const action = words[verdict.failed ? 1 : 0];
  const event = { at: now, index, action, ...(verdict.failed ? { message: verdict.why } : {}) };
  return { state: { ...state, record: { ...record, flights, failed }, running }, acts: [{ type: 'note', event }] };
}

/** Back by the way that it came, beginning with whoever was taken up last. */
function turned(state: UpdateState, now: number, by?: string, message?: string): Updated {
  const next = moved(state, 'ROLLING_BACK', now, by, message);
  const record: UpdateRecord = { ...next.state.record, rolled: 0, flights: [], failed: [] };
  return { state: { ...state, record, running: new Map() }, acts: [{ type: 'turn' }, ...next.acts] };
}

function moved(state: UpdateState, to: UpdateStatus, now: number, by?: string, message?: string): Updated {
  const { record } = state;
  if (!update_transitions[record.status].includes(to))
    throw new Error(`invalid transition [${record.status} -> ${to}] of update ${record.id}`);
  const event = {
    at: now,
    status: to,
    ...(by === undefined ? {} : { by }),
    ...(message === undefined ? {} : { message }),
  };
  return { state: { ...state, record: { ...record, status: to, changed_at: now } }, acts: [{ type: 'note', event }] };
}

/** While it waited nobody had to hurry. */
const rebased = (state: UpdateState, now: number): UpdateState => ({
  ...state,
  record: { ...state.record, flights: state.record.flights.map(flight => ({ ...flight, since: now })) },
});

const pulsedNow = (record: UpdateRecord, now: number): UpdateRecord =>
  record.how.pulse_interval_ms === undefined ? record : { ...record, pulsed_at: now };

/** From when on it must wait for a pulse; undefined: it needs none. */
function silentAt({ how, pulsed_at }: UpdateRecord): number | undefined {
  if (how.pulse_interval_ms === undefined) return undefined;
  return pulsed_at === undefined ? Number.NEGATIVE_INFINITY : pulsed_at + how.pulse_interval_ms;
}

/** Forward a removed one is to go, backward a created one. */
const isToRun = ({ plan, rolled }: UpdateRecord, index: number): boolean =>
  !has(rolled === undefined ? plan.remove : plan.create, index);

/** The deadline, and what is granted in any case: the grace of whom it replaces, and the time of its health checks. */
function patienceMs({ how, before, after }: UpdateRecord): number {
  const grace_ms = Math.max(before.job.kill_grace_ms, after.job.kill_grace_ms);
  return how.progress_deadline_ms + grace_ms + Math.max(checksMs(before.job), checksMs(after.job));
}
