// notices.ts: the queue of those who are to be told: what waits, what is in a letter, and when that is sent.
//
// Think of a post office with one clerk for each address. The first word after a silence goes out almost at once, whatever
// comes while that letter is on its way or was sent a moment ago goes together into the next. There is one letter to an
// address at a time: while it cannot be delivered, what is new waits for it, in a queue that has an end. When it was tried a
// few times a second one is tried beside it, since it may be the letter and not the address that is at fault. Nobody who
// decides about jobs ever waits here.
//
// A notice is taken out of the queue in the step in which its letter is written down; so it is in one letter to each of its
// addresses, and in no other. Like placement, this actor keeps its maps in place.

import { type Backoff, delayBefore } from '../../schedules/backoff.ts';
import { Book } from '../../schedules/book.ts';
import { stableHash } from '../../schedules/hash.ts';
import { count, type Effect, log, record, tell } from '../effects.ts';
import type { CommandEnvelope, LetterCommand } from '../model/commands.ts';
import { type JobKey, roleOf } from '../model/ids.ts';
import {
  type ChannelName,
  channel_names,
  type Delivery,
  type LetterRecord,
  type NoticeEvent,
  type NoticeRecord,
  type Place,
  type PlaceRecord,
  placeKey,
  type Words,
} from '../model/notices.ts';
import { sortable } from '../model/records.ts';
import { type Step, step, stepWith } from '../step.ts';
import { compose } from './letter.ts';
import { letterCommand } from './letter-command.ts';

export type NoticesLimits = {
  /** What this scheduler is called; '' when it has no name. */
  readonly cluster: string;
  /** Address of the console, for links in letters; undefined where only this machine reaches it. */
  readonly console_url?: string | undefined;
  /** How long the first notice after a silence waits for others. */
  readonly gather_ms: number;
  /** Between two letters to one place. */
  readonly interval_ms: number;
  readonly backoff: Backoff;
  /** How long a letter is tried. */
  readonly give_up_ms: number;
  /** Notices that wait for one channel; the oldest goes for a further one. */
  readonly notices_max: number;
  /** Letters of one channel that are under way; further notices wait to be put into one. */
  readonly letters_max: number;
  /** Letters of one channel that are being sent at once. */
  readonly sending_max: number;
  /** Notices that a letter lists; it says how many there are beyond those. */
  readonly listed_max: number;
  /** Letters that were given up and are kept; the oldest goes for a further one. */
  readonly dead_max: number;
  /** Longest text of a letter. */
  readonly text_max: number;
  /** Where a job has none of its own. */
  readonly words?: Words;
};

export type NoticesMessage =
  | { readonly type: 'begin' }
  | { readonly type: 'noted'; readonly noted: readonly NoticeRecord[] }
  /** Places, by key, that wanted to be woken now. */
  | { readonly type: 'due'; readonly due: readonly string[] }
  /** The last lines of what the tasks of these notices wrote, where there were any to be had. */
  | { readonly type: 'read'; readonly read: readonly LogsRead[] }
  | { readonly type: 'carried'; readonly carried: readonly Carried[] }
  | { readonly type: 'command'; readonly envelope: CommandEnvelope<LetterCommand> };
export type LogsRead = { readonly place: string; readonly logs: Readonly<Record<string, string>> };
export type Carried = { readonly id: string; readonly delivery: Delivery };

export type PlaceState = {
  readonly place: Place;
  readonly key: string;
  /** Ids of notices that wait, in the order in which they came. */
  readonly waiting: Set<string>;
  /** Letters that are under way: two, or more where people asked for old ones. The first is the one that is being tried. */
  letters: readonly string[];
  doing: 'resting' | 'gathering' | 'reading' | 'held' | 'sending';
  last_at: number | undefined;
  /** When what waits is to be put into a letter, once somebody has begun to wait. */
  form_at: number | undefined;
  left_out: number;
};
type ChannelState = {
  /** Whoever waits here, oldest first, by place and notice; and those among them that are mere successes. */
  readonly waiting: Map<string, { readonly place: string; readonly notice: string }>;
  readonly successes: Set<string>;
  letters: number;
  sending: number;
  /** Places whose notices are due, while there are too many letters already. */
  readonly crowd: Set<string>;
  /** Places whose letters are due, while too many are being sent already. */
  readonly line: Set<string>;
};
export type NoticesState = {
  readonly notices: Book<string, NoticeRecord>;
  readonly letters: Book<string, LetterRecord>;
  /** Of those, the ones that were given up, oldest first. */
  readonly dead: Set<string>;
  readonly places: Book<string, PlaceState>;
  readonly channels: Readonly<Record<ChannelName, ChannelState>>;
};

/** The queue as its records leave it. */
export function newNotices(
  notices: Iterable<readonly [string, NoticeRecord]> = [],
  letters: Iterable<readonly [string, LetterRecord]> = [],
  places: Iterable<readonly [string, PlaceRecord]> = [],
): NoticesState {
  const channel = (): ChannelState => ({
    waiting: new Map(),
    successes: new Set(),
    letters: 0,
    sending: 0,
    crowd: new Set(),
    line: new Set(),
  });
  const state: NoticesState = {
    notices: new Book(),
    letters: new Book(),
    dead: new Set(),
    places: new Book(),
    channels: Object.fromEntries(channel_names.map(name => [name, channel()])) as NoticesState['channels'],
  };
  for (const [key, { last_at, left_out }] of places) {
    const cut = key.indexOf(' ');
    const channel = key.slice(0, cut) as ChannelName;
    const kept = placeAt(state, key, { channel, to: isLane.test(key) ? '' : key.slice(cut + 1) });
    kept.last_at = last_at;
    kept.left_out = left_out;
  }
  const by_age = [...letters].sort(
    ([, one], [, other]) => (one.dead_at ?? 0) - (other.dead_at ?? 0) || one.formed_at - other.formed_at,
  );
  for (const [id, letter] of by_age) {
    state.letters.set(id, letter);
    if (letter.dead_at !== undefined) {
      state.dead.add(id);
      continue;
    }
    const place = placeOf(state, letter.letter, jobOf(letter));
    place.letters = [...place.letters, id];
    state.channels[place.place.channel].letters += 1;
  }
  const in_order = [...notices].sort(([a, one], [b, other]) => one.notice.at - other.notice.at || (a < b ? -1 : 1));
  for (const [, notice] of in_order) enter(state, notice);
  return state;
}

export const notices =
  (limits: NoticesLimits) =>
  (state: NoticesState, message: NoticesMessage, now: number): Step<NoticesState, Effect> => {
    const effects: Effect[] = [];
    const desk: Desk = { state, limits, now, effects };
    switch (message.type) {
      case 'begin':
        for (const place of state.places.values()) onwards(desk, place);
        return stepWith(state, effects);
      case 'noted':
        for (const notice of message.noted) note(desk, notice);
        return stepWith(state, effects);
      case 'due':
        for (const key of message.due) wake(desk, key);
        return stepWith(state, effects);
      case 'read':
        for (const { place, logs } of message.read) {
          const at = state.places.get(place);
          if (at?.doing === 'reading') form(desk, at, logs);
        }
        return stepWith(state, effects);
      case 'carried':
        for (const one of message.carried) hear(desk, one);
        return stepWith(state, effects);
      case 'command':
        return step(state, ...letterCommand(desk, message.envelope, { again, forget: (id: string) => bury(desk, id) }));
    }
  };

/** One turn of the actor: what it knows, and what it has decided so far. */
export type Desk = {
  readonly state: NoticesState;
  readonly limits: NoticesLimits;
  readonly now: number;
  readonly effects: Effect[];
};

// --- what waits -----------------------------------------------------------------------------------------------------------

/**
 * A receiver that takes one job per message is written to on several lanes, so that a letter that cannot be delivered for now
 * does not hold up those of all other jobs. Letters of one job stay in their order.
 */
const lanes = 4;
const isLane = /^\S+ #\d+$/;
const laneOf = (place: Place, job: JobKey): string =>
  isAlone(place) ? `${place.channel} #${stableHash(job) % lanes}` : placeKey(place);
const jobOf = ({ letter }: LetterRecord): JobKey => letter.notices[0]!.job;

const placeOf = (state: NoticesState, place: Place, job: JobKey): PlaceState =>
  placeAt(state, laneOf(place, job), place);

function placeAt(state: NoticesState, key: string, place: Place): PlaceState {
  let known = state.places.get(key);
  if (known === undefined) {
    const { channel, to } = place;
    known = {
      place: { channel, to },
      key,
      waiting: new Set(),
      letters: [],
      doing: 'resting',
      last_at: undefined,
      form_at: undefined,
      left_out: 0,
    };
    state.places.set(key, known);
  }
  return known;
}

/** Enters a notice with every place that it is for. */
function enter(state: NoticesState, entered: NoticeRecord): void {
  const { id, event, job } = entered.notice;
  state.notices.set(id, entered);
  for (const to of entered.to) {
    const place = placeOf(state, to, job);
    place.waiting.add(id);
    const channel = state.channels[to.channel];
    const pair = `${place.key}\n${id}`;
    channel.waiting.set(pair, { place: place.key, notice: id });
    if (event === 'succeeded') channel.successes.add(pair);
  }
}

/** A notice waits for this place no more. */
function leave({ state, effects }: Desk, place: PlaceState, id: string): void {
  const channel = state.channels[place.place.channel];
  const pair = `${place.key}\n${id}`;
  place.waiting.delete(id);
  channel.waiting.delete(pair);
  channel.successes.delete(pair);
  const before = state.notices.get(id);
  if (before === undefined) return;
  const to = before.to.filter(one => laneOf(one, before.notice.job) !== place.key);
  const rest = to.length === 0 ? undefined : { ...before, to };
  if (rest === undefined) state.notices.delete(id);
  else state.notices.set(id, rest);
  effects.push(record('notice', id, rest));
}

function note(desk: Desk, noted: NoticeRecord): void {
  const { state, limits, effects } = desk;
  // The same step was taken twice: it is the same notice.
  if (state.notices.has(noted.notice.id)) return;
  enter(state, noted);
  for (const to of noted.to) {
    const channel = state.channels[to.channel];
    effects.push(count('horae_notices_total', { channel: to.channel, event: noted.notice.event }));
    if (channel.waiting.size > limits.notices_max) leaveOut(desk, to.channel);
    const place = placeOf(state, to, noted.notice.job);
    if (place.doing === 'resting' && place.waiting.size > 0) gather(desk, place);
    // It rests between two attempts, and is in no line.
    else if (place.doing === 'held' && !channel.line.has(place.key) && isBesideWanted(desk, place))
      onwards(desk, place);
  }
}

/** One too many waits: the oldest success goes, or else the oldest of all. The next letter to its place says so. */
function leaveOut(desk: Desk, name: ChannelName): void {
  const { state, effects } = desk;
  const channel = state.channels[name];
  const [success] = channel.successes;
  const [oldest] = channel.waiting.keys();
  const { place: key, notice } = channel.waiting.get(success ?? oldest!)!;
  const place = state.places.get(key)!;
  leave(desk, place, notice);
  place.left_out += 1;
  effects.push(keep(place), count('horae_notices_left_out_total', { channel: name }));
}

const keep = ({ key, last_at, left_out }: PlaceState): Effect =>
  record('place', key, { last_at: last_at ?? 0, left_out });

/** A channel whose receiver takes one job per message, and does its own grouping. */
const isAlone = ({ channel, to }: Place): boolean => channel === 'sentry' || (channel === 'webhook' && to === '');

// --- from notices to a letter -----------------------------------------------------------------------------------------------

/** Whether what waits is to be tried beside letters that could not be delivered so far. */
function isBesideWanted({ state }: Desk, place: PlaceState): boolean {
  if (place.waiting.size === 0 || place.letters.length >= letters_at_once) return false;
  return place.letters.every(id => state.letters.get(id)!.attempts >= stubborn_attempts);
}
const letters_at_once = 2;
const stubborn_attempts = 3;

/**
 * The first after a silence waits a moment for others; one that follows a letter, until the place may be written to again.
 * `until`: a letter of the place is due then.
 */
function gather({ limits, now, effects }: Desk, place: PlaceState, until = Number.POSITIVE_INFINITY): void {
  place.doing = 'gathering';
  const last_at = place.last_at ?? Number.NEGATIVE_INFINITY;
  place.form_at ??= isAlone(place.place) ? now : Math.max(now + limits.gather_ms, last_at + limits.interval_ms);
  effects.push(arm(place, Math.min(place.form_at, until)));
}

const arm = ({ key }: PlaceState, at: number): Effect =>
  tell({ to: 'timetable', message: { type: 'armed', armed: [{ to: 'notices', key, at }] } });

/** What a place does when nothing holds it: its letter, or what waits, or nothing. */
function onwards(desk: Desk, place: PlaceState): void {
  const { state, limits, now, effects } = desk;
  if (place.letters.length > 0) {
    const dueOf = (id: string) => state.letters.get(id)!.not_before ?? 0;
    // Whoever is due first; a letter that was never tried is due at once.
    place.letters = place.letters.toSorted((one, other) => dueOf(one) - dueOf(other));
    const not_before = dueOf(place.letters[0]!);
    if (not_before <= now) {
      place.doing = 'held';
      send(desk, place);
    } else if (isBesideWanted(desk, place)) gather(desk, place, not_before);
    else {
      place.doing = 'held';
      effects.push(arm(place, not_before));
    }
    return;
  }
  if (place.waiting.size > 0) {
    gather(desk, place);
    return;
  }
  place.doing = 'resting';
  const quiet_at = (place.last_at ?? 0) + limits.interval_ms;
  if (quiet_at > now) effects.push(arm(place, quiet_at));
  // What was left out has nobody to tell of it until there is a letter again.
  else if (place.left_out === 0) {
    state.places.delete(place.key);
    if (place.last_at !== undefined) effects.push(record('place', place.key, undefined));
  }
}

function wake(desk: Desk, key: string): void {
  const place = desk.state.places.get(key);
  if (place === undefined) return;
  if (place.doing === 'held' || place.doing === 'resting') onwards(desk, place);
  else if (place.doing === 'gathering') {
    if ((place.form_at ?? 0) <= desk.now) begin(desk, place);
    else onwards(desk, place);
  }
}

/** Its notices are due: what their tasks wrote is read first, since a letter is never changed once it is written down. */
function begin(desk: Desk, place: PlaceState): void {
  const { state, limits, now, effects } = desk;
  const channel = state.channels[place.place.channel];
  if (place.waiting.size === 0) {
    onwards(desk, place);
    return;
  }
  if (channel.letters >= limits.letters_max) {
    const [first] = place.letters;
    if (first === undefined) channel.crowd.add(place.key);
    else {
      place.doing = 'held';
      effects.push(arm(place, state.letters.get(first)!.not_before ?? now));
    }
    return;
  }
  const wanted = chosen(desk, place).flatMap(({ notice, agent_id }) =>
    agent_id === undefined || notice.task === undefined ? [] : [{ notice: notice.id, agent_id, task: notice.task }],
  );
  place.doing = 'reading';
  if (wanted.length === 0) form(desk, place, {});
  else effects.push({ type: 'read-logs', place: place.key, wanted });
}

/** Those that its next letter lists: the oldest, successes last. */
function chosen({ state, limits }: Desk, place: PlaceState): readonly NoticeRecord[] {
  const max = isAlone(place.place) ? 1 : limits.listed_max;
  const listed: NoticeRecord[] = [];
  for (const successes of [false, true])
    for (const id of place.waiting) {
      if (listed.length === max) return listed;
      const one = state.notices.get(id)!;
      if ((one.notice.event === 'succeeded') === successes) listed.push(one);
    }
  return listed;
}

/** Writes the letter down, takes its notices out of the queue in the same step, and sends it. */
function form(desk: Desk, place: PlaceState, logs: Readonly<Record<string, string>>): void {
  const { state, limits, now, effects } = desk;
  const listed = chosen(desk, place);
  if (listed.length === 0) {
    onwards(desk, place);
    return;
  }
  const taken = isAlone(place.place) ? listed.map(one => one.notice.id) : [...place.waiting];
  const counts = new Map<NoticeEvent, number>();
  const roles = new Set<string>();
  for (const id of taken) {
    const { event, job } = state.notices.get(id)!.notice;
    counts.set(event, (counts.get(event) ?? 0) + 1);
    roles.add(roleOf(job));
  }
  const letter = compose({
    place: place.place,
    at: now,
    listed: listed.map(({ notice, to }) => {
      const log = logs[notice.id];
      return {
        notice: log === undefined || log === '' ? notice : { ...notice, log },
        words: { ...limits.words, ...to.find(one => laneOf(one, notice.job) === place.key)?.words },
      };
    }),
    counts,
    left_out: place.left_out,
    cluster: limits.cluster,
    console_url: limits.console_url,
    text_max: limits.text_max,
  });
  const kept: LetterRecord = { letter, roles: [...roles].sort(), formed_at: now, since: now, attempts: 0 };
  state.letters.set(letter.id, kept);
  state.channels[place.place.channel].letters += 1;
  effects.push(record('letter', letter.id, kept));
  for (const id of taken) leave(desk, place, id);
  place.letters = [...place.letters, letter.id];
  place.left_out = 0;
  place.form_at = undefined;
  if (!isAlone(place.place)) {
    place.last_at = now;
    effects.push(keep(place));
  }
  onwards(desk, place);
}

// --- from a letter to its receiver ------------------------------------------------------------------------------------------

function send({ state, limits, effects }: Desk, place: PlaceState): void {
  const channel = state.channels[place.place.channel];
  const [id] = place.letters;
  if (channel.sending >= limits.sending_max) {
    place.doing = 'held';
    channel.line.add(place.key);
    return;
  }
  channel.line.delete(place.key);
  channel.sending += 1;
  place.doing = 'sending';
  effects.push({ type: 'deliver', letter: state.letters.get(id!)!.letter });
}

/** What a channel says of a letter that it was handed. */
function hear(desk: Desk, { id, delivery }: Carried): void {
  const { state, limits, now, effects } = desk;
  const before = state.letters.get(id);
  const place = before === undefined ? undefined : state.places.get(laneOf(before.letter, jobOf(before)));
  if (before === undefined || place === undefined || place.doing !== 'sending' || place.letters[0] !== id) return;
  const { channel: name } = place.place;
  const channel = state.channels[name];
  channel.sending -= 1;
  const attempts = before.attempts + 1;
  effects.push(count('horae_letters_total', { channel: name, result: delivery.type }));
  if (delivery.type === 'delivered') {
    const { letter, roles, formed_at } = before;
    state.letters.delete(id);
    effects.push(
      record('letter', id, undefined),
      record('sent-letter', `${sortable(now)}/${id}`, { letter, roles, formed_at, attempts, sent_at: now }),
    );
    over(desk, place);
  } else if (delivery.type === 'refused' || now - before.since >= limits.give_up_ms) {
    const dead: LetterRecord = { ...before, attempts, message: delivery.message, dead_at: now };
    state.letters.set(id, dead);
    state.dead.add(id);
    effects.push(
      record('letter', id, dead),
      log('warn', { letter: id, channel: name, attempts, message: delivery.message }, 'a letter is given up'),
      count('horae_letters_total', { channel: name, result: 'dead' }),
    );
    for (const oldest of state.dead) {
      if (state.dead.size <= limits.dead_max) break;
      bury(desk, oldest);
    }
    over(desk, place);
  } else {
    const grown_ms = delayBefore(limits.backoff, attempts + 1, stableHash(`${id} ${attempts}`) / 2 ** 32);
    const delay_ms = Math.min(Math.max(grown_ms, delivery.retry_after_ms ?? 0), limits.backoff.delay_ms_max);
    // The last attempt is made when the time is up, not before it.
    const not_before = Math.min(now + delay_ms, Math.max(before.since + limits.give_up_ms, now + 1));
    const kept: LetterRecord = { ...before, attempts, message: delivery.message, not_before };
    state.letters.set(id, kept);
    effects.push(record('letter', id, kept));
    onwards(desk, place);
  }
  for (const key of channel.line) {
    if (channel.sending >= limits.sending_max) break;
    send(desk, state.places.get(key)!);
  }
}

/** The first letter of a place is under way no more: the place goes on, and so does whoever waited for room. */
function over(desk: Desk, place: PlaceState): void {
  const { state, limits } = desk;
  const channel = state.channels[place.place.channel];
  channel.letters -= 1;
  place.letters = place.letters.slice(1);
  onwards(desk, place);
  for (const key of channel.crowd) {
    if (channel.letters >= limits.letters_max) break;
    channel.crowd.delete(key);
    const waiting = state.places.get(key);
    if (waiting?.doing === 'gathering') begin(desk, waiting);
  }
}

/** A letter that was given up is tried once more; one that waits for its next attempt waits no longer. */
function again(desk: Desk, id: string): void {
  const { state, now, effects } = desk;
  const { dead_at, not_before: _, ...rest } = state.letters.get(id)!;
  const kept: LetterRecord = { ...rest, since: now };
  state.letters.set(id, kept);
  effects.push(record('letter', id, kept));
  const place = placeOf(state, kept.letter, jobOf(kept));
  if (dead_at !== undefined) {
    state.dead.delete(id);
    state.channels[place.place.channel].letters += 1;
    place.letters = [...place.letters, id];
  }
  if (place.doing !== 'sending' && place.doing !== 'reading') onwards(desk, place);
}

/** A letter that was given up is forgotten. */
function bury({ state, effects }: Desk, id: string): void {
  state.dead.delete(id);
  state.letters.delete(id);
  effects.push(record('letter', id, undefined));
}
