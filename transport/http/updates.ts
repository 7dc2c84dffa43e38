// updates.ts: the native API's routes for rolling updates: begin one, see how it goes, and have a word with it.

import { z } from 'zod';
import type { JobKey } from '../../actors/model/ids.ts';
import { keyOf } from '../../actors/model/job.ts';
import { printed, rangesOf, sizeOf } from '../../actors/model/ranges.ts';
import { readUpdateRequest } from '../../actors/model/update-request.ts';
import type { FinishedUpdate, UpdateEvent, UpdateRecord } from '../../actors/model/updates.ts';
import { json_types, yaml_types } from './body.ts';
import { expectedVersion } from './jobs.ts';
import { inShort, Refused, refusedBy } from './problems.ts';
import { iso, jobPath, present } from './resources.ts';
import {
  command,
  type Exchange,
  jsonBody,
  keyOfPath,
  limit_query,
  limitOf,
  noBody,
  noSuchJob,
  type Reply,
  type Route,
  requestOf,
  unexpected,
} from './route.ts';
import type { UpdateResource } from './schemas.ts';

const job_path = '/api/v1/jobs/:role/:environment/:name';
const types = [...json_types, ...yaml_types] as const;
const not_found = { 404: { description: 'There is no such job or update.', schema: 'Problem' } };
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
    headers: {
      'If-Match': 'The ETag of the version that is meant; `*` for whichever it is.',
      'Idempotency-Key': 'Any text up to 255 characters that names this wish.',
    },
    body: { schema: 'UpdateRequest', types },
    answers: {
      201: { description: 'Recorded, and under way; Location names it.', schema: 'UpdateTold' },
      200: { description: 'Nothing would change, or this Idempotency-Key began it before.', schema: 'UpdateTold' },
      409: { description: 'Another update is active, or the service is not at rest.', schema: 'Problem' },
      412: { description: 'The job has another version by now.', schema: 'Problem' },
      422: { description: 'The request is wrong: every problem in it.', schema: 'Problem' },
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
    query: z.strictObject({
      limit: limit_query.describe('Rows in this page; 100 when left out.'),
      before: z.string().max(1_000).optional().describe('From the `next` of the page before.'),
    }),
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
        409: { description: 'It is over, or stands where this cannot be asked of it.', schema: 'Problem' },
        404: { description: 'There is no such job.', schema: 'Problem' },
      },
      handle: exchange => steer(exchange, what),
    }),
  ),
];

async function start(exchange: Exchange): Promise<Reply> {
  const key = keyOfPath(exchange);
  const if_version = expectedVersion(exchange, key, false);
  const read = readUpdateRequest(await jsonBody(exchange, types));
  if (!read.ok) throw new Refused('invalid', inShort(read.problems), read.problems);
  const { job } = read.value;
  if (keyOf(job) !== key) {
    const message = `the document is of job ${keyOf(job)}, the path of job ${key}`;
    throw new Refused('invalid', message, [{ place: '/job/name', value: keyOf(job), message, expected: key }]);
  }
  const compiled = exchange.services.compile(job);
  if (!compiled.ok) throw new Refused('invalid', inShort(compiled.problems), compiled.problems);
  const request = requestOf(exchange);
  const answer = await command(exchange, { type: 'start-update', key, ...read.value, ...if_version, request });
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
  const given = exchange.query.before;
  const before = given === undefined ? undefined : Buffer.from(given, 'base64url').toString('utf8');
  if (before !== undefined && !before.startsWith(`${key}/`))
    throw new Refused(
      'malformed',
      `the cursor "${given!.slice(0, 40)}" is none of ours: follow "next" as it was given`,
    );
  const { rows, next } = exchange.services.views.update_events(key, update, limit, before);
  const path = `${updatePath(key, update.id)}/events`;
  const link =
    next === undefined ? {} : { next: `${path}?limit=${limit}&before=${Buffer.from(next).toString('base64url')}` };
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

export function updateResource(key: JobKey, update: UpdateRecord | FinishedUpdate): UpdateResource {
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
