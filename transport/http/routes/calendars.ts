// calendars.ts: the routes for calendars with names: list, read, store, delete.
//
// A calendar is a JSON or YAML document of rules, or a file that a calendar program exported. One that would leave a job
// without any target is refused with that job's name: a schedule that never runs is nobody's wish.

import { z } from 'zod';
import { type CalendarSubmission, calendar_name, calendar_submission } from '../../../actors/model/calendar.ts';
import type { CalendarRecord } from '../../../actors/model/records.ts';
import { calendarNames, readSchedule } from '../../../actors/model/schedules.ts';
import type { JobView, Views } from '../../../actors/model/views.ts';
import { type Calendars, compileCalendar } from '../../../schedules/calendar.ts';
import type { Problem } from '../../../schedules/problem.ts';
import { permits } from '../../credentials.ts';
import { calendar_types, document_types } from '../body.ts';
import { invalid, Refused, refusedBy, valid } from '../problems.ts';
import { iso } from '../resources.ts';
import { command, type Exchange, jsonBody, noBody, problem, type Reply, type Route, unexpected } from '../route.ts';
import { readIcalendar } from './icalendar.ts';
import { read } from './steering.ts';

const path = '/api/v1/calendars/:calendar';
const types = [...document_types, ...calendar_types] as const;
const not_found = { 404: problem('There is no such calendar.') };

export const calendar_routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/calendars',
    id: 'listCalendars',
    tag: 'calendars',
    summary: 'List calendars by name',
    permission: 'read',
    query: z.strictObject({}),
    answers: { 200: { description: 'All of them.', schema: 'CalendarPage' } },
    handle(exchange) {
      const users = usersOf(exchange.services.views);
      const all = exchange.services.views.calendars();
      return {
        status: 200,
        body: { calendars: all.map(({ name, record }) => resource(name, record, users, exchange)) },
      };
    },
  },
  {
    method: 'GET',
    path,
    id: 'getCalendar',
    tag: 'calendars',
    summary: 'Read a calendar',
    permission: 'read',
    answers: { 200: { description: 'The calendar; its ETag names this version.', schema: 'Calendar' }, ...not_found },
    handle: exchange => found(exchange, 200),
  },
  {
    method: 'PUT',
    path,
    id: 'putCalendar',
    tag: 'calendars',
    summary: 'Create or replace a calendar',
    description: 'Jobs that name it follow from now on; what has passed stays decided.',
    permission: 'submit',
    scope: '*',
    headers: { 'If-Match': 'The ETag of the version that is meant.' },
    body: { schema: 'CalendarSubmission', types },
    answers: {
      200: { description: 'Replaced, and durable.', schema: 'Calendar' },
      201: { description: 'Created, and durable.', schema: 'Calendar' },
      412: problem('It has another version by now.'),
      422: problem('The document is wrong, or a job could never run: every problem.'),
    },
    handle: put,
  },
  {
    method: 'DELETE',
    path,
    id: 'deleteCalendar',
    tag: 'calendars',
    summary: 'Delete a calendar that no job names',
    permission: 'submit',
    scope: '*',
    answers: {
      204: { description: 'Deleted, and durable.' },
      409: problem('Jobs name it: which they are.'),
      ...not_found,
    },
    handle: remove,
  },
];

/** Every calendar's rules, as schedules may name them. */
export const calendarsOf = (views: Views): Calendars =>
  Object.fromEntries(views.calendars().map(({ name, record }) => [name, record.rules]));

const users_shown_max = 100;

/** Jobs are shown to those who may read them. */
function resource(name: string, record: CalendarRecord, users: Users, { who }: Exchange) {
  return {
    name,
    version: record.version,
    updated_at: iso(record.updated_at),
    ...(record.description === undefined ? {} : { description: record.description }),
    rules: record.rules,
    used_by: (users.get(name) ?? [])
      .filter(view => permits(who, 'read', view.record.job.role))
      .slice(0, users_shown_max)
      .map(view => view.key),
  };
}

type Users = ReadonlyMap<string, readonly JobView[]>;
function usersOf(views: Views): Users {
  const users = new Map<string, JobView[]>();
  for (const view of views.jobs(Number.MAX_SAFE_INTEGER))
    for (const name of calendarNames(view.record.job)) {
      const list = users.get(name);
      if (list === undefined) users.set(name, [view]);
      else list.push(view);
    }
  return users;
}

const tagOf = (record: CalendarRecord) => `"${record.version}"`;

function nameOf({ params }: Exchange): string {
  const { calendar = '' } = params;
  const parsed = calendar_name.safeParse(calendar);
  if (parsed.success) return parsed.data;
  const message = `"${calendar.slice(0, 80)}" cannot name a calendar`;
  const expected = 'letters, digits, ".", "_" or "-", beginning with a letter or a digit, at most 64';
  throw new Refused('invalid', `${message}: expected ${expected}`, [{ place: 'name', message, expected }]);
}

function found(exchange: Exchange, status: number): Reply {
  const name = nameOf(exchange);
  const { views } = exchange.services;
  const record = views.calendar(name);
  if (record === undefined) throw new Refused('not-found', `there is no calendar ${name}`);
  return { status, headers: { etag: tagOf(record) }, body: resource(name, record, usersOf(views), exchange) };
}

async function put(exchange: Exchange): Promise<Reply> {
  const name = nameOf(exchange);
  const body = await jsonBody(exchange, types);
  const calendar = typeof body === 'string' ? imported(body) : (read(calendar_submission, body) as CalendarSubmission);
  const problems = [...wrongRules(calendar), ...stranded(exchange, name, calendar)];
  if (problems.length > 0) throw invalid(problems);
  const { views } = exchange.services;
  const given = exchange.request.headers['if-match']?.trim();
  const now = views.calendar(name);
  if (given !== undefined && given !== '*' && (now === undefined || given !== tagOf(now)))
    throw new Refused(
      'version-mismatch',
      `If-Match is ${given.slice(0, 40)} but calendar ${name} is ${now === undefined ? 'not there' : `at ${tagOf(now)}`}`,
    );
  const if_version = given === undefined || given === '*' || now === undefined ? {} : { if_version: now.version };
  const answer = await command(exchange, { type: 'put-calendar', name, calendar, ...if_version });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'calendar-stored') throw unexpected(answer);
  return found(exchange, answer.version === 1 ? 201 : 200);
}

function imported(text: string): CalendarSubmission {
  return { rules: valid(readIcalendar(text)) };
}

function wrongRules({ rules }: CalendarSubmission): readonly Problem[] {
  const compiled = compileCalendar({ exclude: rules }, {}, '');
  if (compiled.ok) return [];
  return compiled.problems.map(each => ({ ...each, place: each.place.replace(/^\/exclude/, '/rules') }));
}

/** Jobs whose schedules could not be read, or would never run, over these days. */
function stranded(exchange: Exchange, name: string, { rules }: CalendarSubmission): readonly Problem[] {
  const { views, default_zone, clock } = exchange.services;
  const calendars = { ...calendarsOf(views), [name]: rules };
  return (usersOf(views).get(name) ?? []).flatMap(view =>
    view.record.job.schedules.flatMap(one => {
      const compiled = readSchedule(one, view.key, clock.now(), { default_zone, calendars });
      if (compiled.ok) return [];
      return compiled.problems.map(each => ({ ...each, message: `job ${view.key}: ${each.message}` }));
    }),
  );
}

async function remove(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const answer = await command(exchange, { type: 'delete-calendar', name: nameOf(exchange) });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'calendar-deleted') throw unexpected(answer);
  return { status: 204 };
}
