// timetable.ts: every due time in one heap, behind one timer.
//
// Whoever must do something later rests here: triggers, retries, kills that may have to be repeated. When the timer fires,
// all that is due is told at once, earliest first, and the timer is set for the next one. When more is due than the journal
// can take in, the rest is told as fast as it can: whoever has begun gets through, and nobody waits behind a hundred
// thousand others for his next record.
//
// The queue is the one state in the tree that is changed in place: a million entries cannot be copied for each message. It
// never leaves this actor, and `initial` makes a new one.

import { DueQueue } from '../schedules/due-queue.ts';
import { type Effect, tell } from './effects.ts';
import { type Step, step, stepWith } from './step.ts';

export type Resting = {
  readonly to: 'trigger' | 'job' | 'instance' | 'framework' | 'offers' | 'notices' | 'watch' | 'overdue';
  readonly key: string;
};
export type TimetableMessage =
  | { readonly type: 'armed'; readonly armed: readonly (Resting & { readonly at: number })[] }
  | { readonly type: 'disarmed'; readonly disarmed: readonly Resting[] }
  | { readonly type: 'woke' };

export type TimetableState = {
  readonly queue: DueQueue;
  /** When the timer will fire, as far as we asked. */
  readonly waking_at: number | undefined;
  /**
   * When the timer found what is still being handed out. Whoever is told late because thousands are due at once is not
   * late: the scheduler was there, and saw the instant pass.
   */
  readonly noticed_at: number | undefined;
};
export type TimetableLimits = {
  /** Told per turn; what is left comes the next turn. */
  readonly due_batch_max: number;
  /** While more records than this wait for the journal nobody is told: those who were go first. */
  readonly backlog_max: number;
  /** The timer never sleeps longer, so that a clock that was set forward is noticed. */
  readonly sleep_ms_max: number;
};

/** Until the journal is looked at again. */
const backlog_pause_ms = 1;

export const newTimetable = (): TimetableState => ({
  queue: new DueQueue(),
  waking_at: undefined,
  noticed_at: undefined,
});

const initials = {
  trigger: 't',
  job: 'j',
  instance: 'i',
  framework: 'f',
  offers: 'o',
  notices: 'n',
  watch: 'w',
  overdue: 'd',
} as const;
const names = {
  t: 'trigger',
  j: 'job',
  i: 'instance',
  f: 'framework',
  o: 'offers',
  n: 'notices',
  w: 'watch',
  d: 'overdue',
} as const;
const nameOf = (resting: Resting) => initials[resting.to] + resting.key;

/** `backlog`: records that have been decided and are not durable. */
export const timetable =
  (limits: TimetableLimits, backlog: () => number = () => 0) =>
  (state: TimetableState, message: TimetableMessage, now: number): Step<TimetableState, Effect> => {
    const { queue } = state;
    switch (message.type) {
      case 'armed':
        for (const one of message.armed) queue.arm(nameOf(one), one.at);
        return rest(state, now, [], limits);
      case 'disarmed':
        for (const one of message.disarmed) queue.cancel(nameOf(one));
        return step(state);
      case 'woke': {
        const noticed_at = state.noticed_at ?? now;
        if (backlog() > limits.backlog_max) {
          const at = now + backlog_pause_ms;
          return step({ ...state, waking_at: at, noticed_at }, { type: 'wake', at });
        }
        const due = queue.popDue(noticed_at, limits.due_batch_max);
        const told = due.map(({ key }) => tellDue(names[key[0] as keyof typeof names], key.slice(1), noticed_at));
        const left = (queue.earliest() ?? Number.POSITIVE_INFINITY) <= noticed_at;
        return rest({ ...state, waking_at: undefined, noticed_at: left ? noticed_at : undefined }, now, told, limits);
      }
    }
  };

function tellDue(to: Resting['to'], key: string, noticed_at: number): Effect {
  switch (to) {
    case 'trigger':
      return tell({ to, key, message: { type: 'due', noticed_at } });
    case 'job':
      return tell({ to, key, message: { type: 'due' } });
    case 'instance':
      return tell({ to, key, message: { type: 'due' } });
    case 'framework':
      return tell({ to, message: { type: 'due', what: key } });
    case 'offers':
      return tell({ to, message: { type: 'due' } });
    case 'watch':
      return tell({ to: 'job', key, message: { type: 'watch' } });
    case 'overdue':
      return tell({ to: 'trigger', key, message: { type: 'overdue' } });
    case 'notices':
      return tell({ to, message: { type: 'due', due: [key] } });
  }
}

/** Sets the timer when the earliest entry asks for an earlier one than is set. */
function rest(
  state: TimetableState,
  now: number,
  effects: readonly Effect[],
  limits: TimetableLimits,
): Step<TimetableState, Effect> {
  const earliest = state.queue.earliest();
  if (earliest === undefined) return stepWith(state, effects);
  const at = Math.min(Math.max(earliest, now), now + limits.sleep_ms_max);
  if (state.waking_at !== undefined && state.waking_at <= at) return stepWith(state, effects);
  return stepWith({ ...state, waking_at: at }, [...effects, { type: 'wake', at }]);
}
