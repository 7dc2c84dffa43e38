// updates.ts: the native API's routes for rolling updates: begin one, see how it goes, and have a word with it.

import { z } from 'zod';
import type { JobKey } from '../../../actors/model/ids.ts';
import { printed, rangesOf, sizeOf } from '../../../actors/model/ranges.ts';
import { readUpdateRequest } from '../../../actors/model/update-request.ts';
import type { FinishedUpdate, UpdateEvent, UpdateRecord } from '../../../actors/model/updates.ts';
import { document_types } from '../body.ts';
import { nextPage, page_query, readCursor } from '../cursor.ts';
import { Refused, refusedBy, valid } from '../problems.ts';
import { iso, jobPath, present } from '../resources.ts';
import {
  command,
  type Exchange,
  idempotency,
  if_match,
  job_path,
  jsonBody,
  keyOfPath,
  limitOf,
  noBody,
  noSuchJob,
  problem,
  type Reply,
  type Route,
  requestOf,
  unexpected,
} from '../route.ts';
import type { UpdateResource } from '../schemas.ts';
import { expectedVersion, mustBeOf } from './jobs.ts';

const not_found = { 404: problem('There is no such job or update.') };
const words = {
  pause: 'Pause an update: whoever is on his way is left as he is',
  resume: 'Let a paused update go on',
  abort: 'End an update where it stands: everything stays as it is',
  rollback: 'Turn an update back',
  pulse: 'Tell an update that all is well',
} as const;
type Word = keyof typeof words;

export const update_routes: readonly Route[] = [
  {
    method: 'POST',
    path: `${job_path}/updates`,
    id: 'startUpdate',
    tag: 'updates',
    summary: 'Update a service, some instances at a time',
    description:
      'Each instance is watched; when too many fail it goes back. While it is active, nothing else may change the job.',
    permission: 'submit',
    headers: { 'If-Match': if_match, ...idempotency },
    body: { schema: 'UpdateRequest', types: document_types },
    answers: {
      201: { description: 'Recorded, and under way; Location names it.', schema: 'UpdateTold' },
      200: { description: 'Nothing would change, or this Idempotency-Key began it before.', schema: 'UpdateTold' },
      409: problem('Another update is active, or the service is not at rest.'),
      412: problem('The job has another version by now.'),
      422: problem('The request is wrong: every problem in it.'),
      ...not_found,
    },
    handle: start,
  },
  {
    method: 'GET',
    path: `${job_path}/updates`,
    id: 'listUpdates',
    tag: 'updates',
    summary: 'List the updates of a job, newest first',
    permission: 'read',
    answers: { 200: { description: 'As many as are kept.', schema: 'UpdatePage' }, ...not_found },
    handle: list,
  },
  {
    method: 'GET',
    path: `${job_path}/updates/:update`,
    id: 'getUpdate',
    tag: 'updates',
    summary: 'Read an update; `active` is the id of the one that is not over',
    permission: 'read',
    answers: { 200: { description: 'The update.', schema: 'Update' }, ...not_found },
    handle: exchange => ({ status: 200, body: updateResource(keyOfPath(exchange), updateOf(exchange)) }),
  },
  {
    method: 'GET',
    path: `${job_path}/updates/:update/events`,
    id: 'listUpdateEvents',
    tag: 'updates',
    summary: 'What happened in an update, newest first',
    permission: 'read',
    query: page_query,
    answers: { 200: { description: 'A page of events.', schema: 'UpdateEventPage' }, ...not_found },
    handle: events,
  },
  ...(Object.keys(words) as Word[]).map(
    (what): Route => ({
      method: 'POST',
      path: `${job_path}/updates/:update/${what}`,
      id: `${what}Update`,
      tag: 'updates',
      summary: words[what],
      permission: 'operate',
      query: z.strictObject({ message: z.string().min(1).max(1_024).optional().describe('Why, for its history.') }),
      answers: {
        200: { description: 'Where it stands now.', schema: 'UpdateTold' },
        409: problem('It is over, or stands where this cannot be asked of it.'),
        404: problem('There is no such job.'),
      },
      handle: exchange => steer(exchange, what),
    }),
  ),
];

async function start(exchange: Exchange): Promise<Reply> {
  const key = keyOfPath(exchange);
  const if_version = expectedVersion(exchange, key, false);
  const wish = valid(readUpdateRequest(await jsonBody(exchange, document_types)));
  mustBeOf(key, wish.job, '/job/name');
  valid(exchange.services.compile(wish.job));
  const request = requestOf(exchange);
  const answer = await command(exchange, { type: 'start-update', key, ...wish, ...if_version, request });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type === 'unchanged')
    return { status: 200, body: { job: key, result: 'unchanged', links: { job: jobPath(key) } } };
  if (answer.type !== 'update') throw unexpected(answer);
  const self = updatePath(key, answer.update);
  const { result, status } = answer;
  const body = { job: key, update: answer.update, result, status, links: { self, events: `${self}/events` } };
  return { status: result === 'started' ? 201 : 200, headers: { location: self }, body };
}

async function steer(exchange: Exchange, what: Word): Promise<Reply> {
  await noBody(exchange);
  const key = keyOfPath(exchange);
  const { update = '' } = exchange.params;
  const { message } = exchange.query;
  const answer = await command(exchange, {
    type: 'steer-update',
    key,
    what,
    ...(update === 'active' ? {} : { update }),
    ...(message === undefined ? {} : { message }),
  });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'update') throw unexpected(answer);
  const links = { job: jobPath(key), self: updatePath(key, answer.update) };
  return {
    status: 200,
    body: present({ job: key, update: answer.update, result: answer.result, status: answer.status, links }),
  };
}

function list(exchange: Exchange): Reply {
  const key = keyOfPath(exchange);
  const { views } = exchange.services;
  const job = views.job(key);
  const over = views.finished_updates(key);
  if (job === undefined && over.length === 0) throw noSuchJob(key);
  const all = job?.update === undefined ? over : [job.update, ...over];
  return { status: 200, body: { updates: all.map(one => updateResource(key, one)) } };
}

function events(exchange: Exchange): Reply {
  const key = keyOfPath(exchange);
  const update = updateOf(exchange);
  const limit = limitOf(exchange);
  const before = readCursor(exchange.query.before, text => text.startsWith(`${key}/`));
  const { rows, next } = exchange.services.views.update_events(key, update, limit, before);
  const link = nextPage(`${updatePath(key, update.id)}/events`, limit, next);
  return { status: 200, body: { events: rows.map(eventResource), ...link } };
}

const eventResource = (event: UpdateEvent) => ({ ...event, at: iso(event.at) });

/** The update that the path names. Throws Refused when there is none. */
function updateOf(exchange: Exchange): UpdateRecord | FinishedUpdate {
  const key = keyOfPath(exchange);
  const { update = '' } = exchange.params;
  const { views } = exchange.services;
  const active = views.job(key)?.update;
  if (active !== undefined && (update === 'active' || update === active.id)) return active;
  const found = views.finished_updates(key).find(one => one.id === update);
  if (found === undefined) throw new Refused('not-found', `job ${key} has no update ${update.slice(0, 100)}`);
  return found;
}

const updatePath = (key: JobKey, update: string) => `${jobPath(key)}/updates/${encodeURIComponent(update)}`;

function updateResource(key: JobKey, update: UpdateRecord | FinishedUpdate): UpdateResource {
  const { how, plan, before, after, taken, rolled, failed } = update;
  const total = rolled === undefined ? sizeOf(plan.create) + sizeOf(plan.change) + sizeOf(plan.remove) : taken;
  const flights = 'flights' in update ? update.flights : [];
  const self = updatePath(key, update.id);
  const pulsed_at = 'pulsed_at' in update ? update.pulsed_at : undefined;
  return present({
    id: update.id,
    job: key,
    status: update.status,
    by: update.by,
    message: update.message,
    created_at: iso(update.created_at),
    changed_at: iso(update.changed_at),
    ended_at: 'ended_at' in update ? iso(update.ended_at) : undefined,
    ...how,
    strategy: how.strategy as UpdateResource['strategy'],
    pulsed_at: pulsed_at === undefined ? undefined : iso(pulsed_at),
    from_version: before.version,
    to_version: after.version,
    before: before.job,
    after: after.job,
    plan: { create: printed(plan.create), change: printed(plan.change), remove: printed(plan.remove) },
    progress: {
      total,
      done: (rolled ?? taken) - flights.length,
      failed: printed(rangesOf(failed)),
      under_way: flights.map(flight => ({ ...flight, since: iso(flight.since) })),
    },
    links: { self, events: `${self}/events`, job: jobPath(key) },
  });
}
