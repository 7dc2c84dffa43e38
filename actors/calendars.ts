// calendars.ts: calendars with names: stored, changed and deleted at the directory's door.
//
// The directory hears of every submission before its job does, so it alone can promise that no job names a calendar that is
// not there, and that none disappears under a job that names it.

import { audit } from './audit.ts';
import type { DirectoryLimits, DirectoryState } from './directory.ts';
import { type Effect, log, record, reply, tell } from './effects.ts';
import type { CalendarCommand, CommandEnvelope } from './model/commands.ts';
import { refusal } from './model/reasons.ts';
import type { CalendarRecord } from './model/records.ts';
import { type Step, step } from './step.ts';

/** Jobs named when a calendar cannot be deleted because of them. */
const users_named_max = 10;

/** For so long, and so many of them, what a calendar was is kept: triggers hear of a change within moments. */
const earlier_ms_max = 600_000;
const earlier_max = 16;

function earlierOf({ version, rules, earlier = [] }: CalendarRecord, now: number): CalendarRecord['earlier'] & object {
  const all = [...earlier, { version, rules, until: now }];
  return all.filter(one => one.until > now - earlier_ms_max).slice(-earlier_max);
}

export function calendarCommand(
  state: DirectoryState,
  wanted: CalendarCommand,
  envelope: CommandEnvelope,
  now: number,
  limits: DirectoryLimits,
): Step<DirectoryState, Effect> {
  const { request_id } = envelope;
  const { name } = wanted;
  const refuse = (code: Parameters<typeof refusal>[0], text: string) =>
    step(state, audit(envelope, now, code), reply(request_id, refusal(code, text)));
  const before = state.calendars.get(name);
  const version = before?.version;
  const users = [...state.uses].filter(([, names]) => names.includes(name)).map(([key]) => key);
  if (wanted.type === 'delete-calendar') {
    if (version === undefined) return refuse('not-found', `there is no calendar ${name}`);
    if (users.length > 0) {
      const named = users.slice(0, users_named_max).join(', ');
      const more = users.length > users_named_max ? ` and ${users.length - users_named_max} more` : '';
      return refuse('in-use', `calendar ${name} is named by ${named}${more}: let them name another first`);
    }
    state.calendars.delete(name);
    return step(
      state,
      record('calendar', name, undefined),
      audit(envelope, now, 'deleted'),
      reply(request_id, { type: 'calendar-deleted', name, version }),
    );
  }
  if (wanted.if_version !== undefined && wanted.if_version !== (version ?? 0))
    return refuse('version-mismatch', `calendar ${name} is at version ${version ?? 0}, not ${wanted.if_version}`);
  if (version === undefined && state.calendars.size >= limits.jobs_max)
    return refuse('too-many', `there are ${state.calendars.size} calendars already: the limit is ${limits.jobs_max}`);
  const next = (version ?? 0) + 1;
  const stored: CalendarRecord = {
    ...wanted.calendar,
    version: next,
    updated_at: now,
    ...(before === undefined ? {} : { earlier: earlierOf(before, now) }),
  };
  state.calendars.set(name, stored);
  return step(
    state,
    record('calendar', name, stored),
    // What has passed under the old days stays decided; from now on the new ones hold.
    ...users.map(key => tell({ to: 'trigger', key, message: { type: 'calendars-changed' } })),
    audit(envelope, now, version === undefined ? 'created' : 'replaced'),
    reply(request_id, { type: 'calendar-stored', name, version: next }),
    log('info', { calendar: name, version: next, users: users.length }, 'calendar stored'),
  );
}
