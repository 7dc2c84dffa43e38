// words.js: codes of the scheduler, as somebody would say them.

import { local, span } from './time.js';

export const states = {
  quarantined: 'Put aside',
  failed: 'Failed',
  waiting: 'Waiting',
  killing: 'Stopping',
  running: 'Running',
  scheduled: 'Scheduled',
  done: 'Done',
  stopped: 'Stopped',
  disabled: 'Disabled',
  paused: 'Paused',
  deleting: 'Deleting',
  succeeded: 'Succeeded',
  killed: 'Killed',
  pending: 'Waiting',
  assigned: 'Assigned',
  starting: 'Starting',
  unreachable: 'Unreachable',
  awaiting: 'Awaiting call-back',
};
/** The look of a state that has none of its own. */
export const looks = {
  succeeded: 'done',
  pending: 'waiting',
  assigned: 'scheduled',
  starting: 'scheduled',
  unreachable: 'quarantined',
  awaiting: 'running',
};
export const kinds = {
  service: 'Service',
  cron: 'Cron',
  interval: 'Interval',
  mixed: 'Schedules',
  dependent: 'After others',
  once: 'Once',
};
export const filters = {
  all: 'All',
  running: 'Running',
  waiting: 'Waiting',
  failing: 'Failing',
  service: 'Services',
  scheduled: 'Scheduled',
  disabled: 'Disabled',
};

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString()} ${n === 1 ? one : many}`;

export function cause(cause) {
  switch (cause.type) {
    case 'target':
      return `${cause.caught_up ? 'caught up' : 'due'} ${local(instant(cause.at))}`;
    case 'backfill':
      return `backfills ${local(instant(cause.at))}`;
    case 'manual':
      return `started by ${cause.by}`;
    case 'dependency':
      return after(cause.parents);
    case 'once':
      return 'on submission';
    default:
      return 'kept running';
  }
}

/**
 * The name in a job's key, as it was given. What Chronos calls "two words" lies under a key that has neither blanks nor a
 * percent sign at its beginning.
 */
export function nameOf(key) {
  const [role, environment, ...rest] = key.split('/');
  const name = rest.join('/');
  if (role !== 'chronos' || environment !== 'default') return name;
  try {
    return decodeURIComponent(name.replace(/^_(?=%)/, ''));
  } catch {
    return name;
  }
}

/** What Mesos says, without the names that its programs have for it: those are in the API. */
const plain = message => message.replace(/^TASK_[A-Z_]+ (?:REASON_[A-Z_]+ )?(?=\S)/, '');

/** Of one parent its run is named too. */
function after(parents) {
  const names = parents.map(one => nameOf(one.job));
  if (names.length === 1) return `after ${parents[0].run} of ${names[0]}`;
  if (names.length > 3) return `after ${names.slice(0, 2).join(', ')} and ${names.length - 2} others`;
  return `after ${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

export function reason(reason) {
  switch (reason.code) {
    case 'exited':
      return `exit code ${reason.exit_code}`;
    case 'signalled':
      return `ended by ${reason.signal}`;
    case 'killed':
      return `killed by ${reason.by}`;
    case 'timed-out':
      return `${too_slow[reason.which]} within ${span(reason.limit_ms)}`;
    case 'called-back':
      return `${reason.by} reported ${reason.status_code}`;
    case 'result-unknown':
      return `result unknown: ${plain(reason.message)}`;
    default:
      return `${reason.code.replaceAll('-', ' ')}: ${plain(reason.message)}`;
  }
}

const too_slow = {
  start: 'not begun',
  run: 'not ended',
  total: 'the run had not ended',
  'call-back': 'no call-back',
};

export const outcomes = {
  ran: 'ran',
  'caught-up': 'caught up',
  missed: 'missed',
  superseded: 'superseded',
  skipped: 'skipped',
  backfilled: 'backfilled',
};

/** Why a target was not run when it was due. */
export const whys = {
  overlap: 'another run was active',
  limit: 'too many runs were active',
  instances: 'there were too many instances',
  buffer_full: 'too many starts were waiting',
  window: 'too late to be caught up',
  not_caught_up: 'it is not caught up',
  beyond_first: 'only the first ones are caught up',
  later_target: 'a later one took its place',
  paused: 'it was paused',
  disabled: 'the job was disabled',
  quarantined: 'the job was put aside',
  killed: 'it was killed before it started',
  replaced: 'the schedule was replaced',
  calendar: 'its calendar has other days now',
  deleted: 'the job was deleted',
};

/** What became of targets: `12 missed, 09:00 to 10:00`. */
export function targets({ from, to, count }) {
  const last = local(instant(to));
  return count === 1 ? last : `${local(instant(from))} to ${last}`;
}

export const late = ms => (ms === undefined || ms < 1_000 ? undefined : `${span(ms)} late`);

/** The feed speaks in milliseconds, REST in ISO 8601. */
export const instant = at => (typeof at === 'string' ? Date.parse(at) : at);

export const overlaps = {
  skip: 'skip the new run',
  'buffer-one': 'keep one waiting',
  'buffer-all': 'keep all waiting',
  'cancel-other': 'stop the active run first',
  'kill-other': 'kill the active run at once',
  allow: 'run side by side',
};
export const catch_ups = {
  none: 'never',
  last: 'the last one',
  all: 'all of them',
  first: 'the first ones',
};

/** Bytes as somebody would say them. */
export function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let amount = bytes;
  let unit = 0;
  for (; amount >= 1024 && unit < units.length - 1; unit++) amount /= 1024;
  return `${amount >= 100 || unit === 0 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}
