// jobs.ts: the native API's routes for jobs: create, list, read, replace, delete, switch on and off.

import { z } from 'zod';
import { type JobKey, roleOf } from '../../../actors/model/ids.ts';
import { type Job, keyOf, readJob } from '../../../actors/model/job.ts';
import type { JobView } from '../../../actors/model/views.ts';
import { permits } from '../../credentials.ts';
import { document_types } from '../body.ts';
import { authorize } from '../guard.ts';
import { Refused, refusedBy, valid } from '../problems.ts';
import { etagOf, jobPath, jobResource } from '../resources.ts';
import {
  command,
  type Exchange,
  if_match,
  job_path,
  jsonBody,
  keyOfPath,
  limit_query,
  limitOf,
  noBody,
  noSuchJob,
  not_found,
  problem,
  type Reply,
  type Route,
  type streaming,
  unexpected,
} from '../route.ts';
import { json_headers, streamed } from '../stream.ts';
import { calendarsOf } from './calendars.ts';
import { mayFollow, mayOrphan, orphans_query } from './kinship.ts';
import { remainingOf } from './remaining.ts';

const document = { schema: 'JobSubmission', types: document_types } as const;
const mismatch = { 412: problem('The job has another version by now.') };
const unreadable = {
  400: problem('The body cannot be read.'),
  413: problem('The body is too large.'),
  415: problem('The body is of another type than JSON or YAML.'),
  422: problem('The document is wrong: every problem in it.'),
};

export const job_routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/jobs',
    id: 'listJobs',
    tag: 'jobs',
    summary: 'List jobs in key order',
    description: 'Only those whose role the sender may read. Follow `next` until it is absent.',
    permission: 'read',
    query: z.strictObject({
      limit: limit_query.describe('Jobs in this page; 100 when left out.'),
      after: z.string().max(200).optional().describe('Key of the last job of the page before.'),
    }),
    answers: { 200: { description: 'A page of jobs.', schema: 'JobPage' } },
    handle: list,
  },
  {
    method: 'POST',
    path: '/api/v1/jobs',
    id: 'createJob',
    tag: 'jobs',
    summary: 'Create a job',
    permission: 'submit',
    body: document,
    answers: {
      201: { description: 'Created, and durable.', schema: 'Job' },
      409: problem('There is a job under this key, or it would follow itself.'),
      ...unreadable,
    },
    handle: create,
  },
  {
    method: 'GET',
    path: job_path,
    id: 'getJob',
    tag: 'jobs',
    summary: 'Read a job',
    permission: 'read',
    answers: { 200: { description: 'The job; its ETag names this version.', schema: 'Job' }, ...not_found },
    handle: exchange => found(exchange, 200),
  },
  {
    method: 'PUT',
    path: job_path,
    id: 'replaceJob',
    tag: 'jobs',
    summary: 'Replace a job',
    description: 'The document replaces the one before; what it leaves out returns to its default.',
    permission: 'submit',
    headers: { 'If-Match': `${if_match} Required.` },
    body: document,
    answers: {
      200: { description: 'Replaced, or the same as before.', schema: 'Job' },
      409: problem('It would follow itself.'),
      428: problem('If-Match is missing.'),
      ...not_found,
      ...mismatch,
      ...unreadable,
    },
    handle: replace,
  },
  {
    method: 'DELETE',
    path: job_path,
    id: 'deleteJob',
    tag: 'jobs',
    summary: 'Delete a job and kill its runs',
    permission: 'submit',
    headers: { 'If-Match': if_match },
    query: z.strictObject({
      children: orphans_query.describe(
        'What becomes of jobs that follow it; required where there are some. `detach`: they do not follow it any more. `delete`: they are deleted too, and those that follow them. `reschedule`: they run when it would have, by its schedules or after its parents.',
      ),
    }),
    answers: {
      204: { description: 'Deleted, and durable; none follows it any more.' },
      409: problem('Jobs follow it, and nothing is said of them.'),
      ...not_found,
      ...mismatch,
    },
    handle: remove,
  },
  ...[true, false].map(
    (enabled): Route => ({
      method: 'POST',
      path: `${job_path}/${enabled ? 'enable' : 'disable'}`,
      id: enabled ? 'enableJob' : 'disableJob',
      tag: 'jobs',
      summary: enabled ? "Let a job's targets become due" : "Keep a job's targets from becoming due",
      permission: 'operate',
      answers: { 200: { description: 'As it is now.', schema: 'Job' }, ...not_found },
      handle: exchange => enable(exchange, enabled),
    }),
  ),
];

function list(exchange: Exchange): Promise<typeof streaming> {
  const { views } = exchange.services;
  const limit = limitOf(exchange);
  const { jobs, more } = readableJobs(exchange, limit, exchange.query.after);
  const last = jobs.at(-1) ?? more;
  const next =
    more === undefined || last === undefined
      ? {}
      : { next: `/api/v1/jobs?limit=${limit}&after=${encodeURIComponent(last)}` };
  const page = { total: views.job_count(), ...next };
  return streamed(exchange, json_headers, listed(exchange, jobs, page));
}

/** A job a part: one whose repetitions must be counted is dear. What is no longer there when its turn comes is left out. */
function* listed(exchange: Exchange, keys: readonly JobKey[], page: object): Generator<string> {
  yield '{"jobs":[';
  let before = '';
  for (const key of keys) {
    const view = exchange.services.views.job(key);
    if (view === undefined || isGoing(view)) continue;
    yield before + JSON.stringify(shown(view, exchange));
    before = ',';
  }
  yield `],${JSON.stringify(page).slice(1)}`;
}

/** Jobs looked at for one page: somebody who may see one role of a thousand must not make us walk through all. */
const jobs_scanned_max = 10_000;

function readableJobs(exchange: Exchange, limit: number, after: JobKey | undefined) {
  const { views } = exchange.services;
  const jobs: JobKey[] = [];
  let cursor = after;
  for (let scanned = 0; scanned < jobs_scanned_max; ) {
    const page = views.jobs(limit + 1, cursor);
    for (const view of page) {
      if (jobs.length === limit) return { jobs, more: cursor };
      if (isGoing(view)) {
        cursor = view.key;
        continue;
      }
      if (permits(exchange.who, 'read', view.record.job.role)) jobs.push(view.key);
      cursor = view.key;
    }
    if (page.length <= limit) return { jobs, more: undefined };
    scanned += page.length;
  }
  return { jobs, more: cursor };
}

async function create(exchange: Exchange): Promise<Reply> {
  const job = await submitted(exchange);
  authorize(exchange.who, 'submit', job.role);
  mayFollow(exchange, job);
  const answer = await command(exchange, { type: 'submit', mode: 'create', job });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'created') throw unexpected(answer);
  const view = exchange.services.views.job(answer.key);
  const headers = { location: jobPath(answer.key) };
  // Somebody may have deleted it since; it was created all the same.
  if (view === undefined) return { status: 201, headers, body: { key: answer.key, version: answer.version } };
  return { status: 201, headers: { ...headers, etag: etagOf(view.record) }, body: shown(view, exchange) };
}

async function replace(exchange: Exchange): Promise<Reply> {
  const key = keyOfPath(exchange);
  const if_version = expectedVersion(exchange, key, true);
  const job = await submitted(exchange);
  mustBeOf(key, job, '/name');
  mayFollow(exchange, job);
  const answer = await command(exchange, { type: 'submit', mode: 'replace', job, ...if_version });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'replaced' && answer.type !== 'unchanged') throw unexpected(answer);
  return found(exchange, 200);
}

async function remove(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const key = keyOfPath(exchange);
  const orphans = orphans_query.parse(exchange.query.children);
  mayOrphan(exchange, key, orphans);
  const answer = await command(exchange, {
    type: 'delete',
    key,
    ...expectedVersion(exchange, key, false),
    ...(orphans === undefined ? {} : { orphans }),
  });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'deleted') throw unexpected(answer);
  return { status: 204 };
}

async function enable(exchange: Exchange, enabled: boolean): Promise<Reply> {
  await noBody(exchange);
  const answer = await command(exchange, { type: 'set-enabled', key: keyOfPath(exchange), enabled });
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'changed' && answer.type !== 'unchanged') throw unexpected(answer);
  return found(exchange, 200);
}

export function found(exchange: Exchange, status: number): Reply {
  const key = keyOfPath(exchange);
  const view = exchange.services.views.job(key);
  if (view === undefined || isGoing(view)) throw noSuchJob(key);
  const etag = etagOf(view.record);
  return { status, headers: { etag }, body: shown(view, exchange) };
}

/** A job that was deleted is gone for whoever asks next, although its tasks are still being ended: the console shows that. */
export const isGoing = (view: JobView): boolean => view.record.deleting === true;

const shown = (view: JobView, { who, services: { default_zone, views } }: Exchange) =>
  jobResource(
    view,
    remainingOf(view, () => ({ default_zone, calendars: calendarsOf(views) })),
    [...views.children(view.key)].filter(child => permits(who, 'read', roleOf(child))),
  );

/** The job in the body, its schedules read as well. Throws Refused with every problem there is. */
async function submitted(exchange: Exchange): Promise<Job> {
  const job = valid(readJob(await jsonBody(exchange, document.types)));
  valid(exchange.services.compile(job));
  return job;
}

/** A document that is sent to a job's path has that job in it. */
export function mustBeOf(key: JobKey, job: Job, place: string): void {
  if (keyOf(job) === key) return;
  const message = `the document is of job ${keyOf(job)}, the path of job ${key}`;
  throw new Refused('invalid', message, [{ place, value: keyOf(job), message, expected: key }]);
}

/** The version that If-Match names, when it is the present one. */
export function expectedVersion(exchange: Exchange, key: JobKey, required: boolean): { if_version?: number } {
  const given = exchange.request.headers['if-match'];
  const view = exchange.services.views.job(key);
  if (view === undefined || isGoing(view)) throw noSuchJob(key);
  const tag = etagOf(view.record);
  if (given === undefined) {
    if (!required) return {};
    const message = `If-Match is missing: send "If-Match: ${tag}" to replace the present version, or "*" for any`;
    throw new Refused('version-required', message, [{ place: 'If-Match', message, expected: `${tag} or *` }], {
      etag: tag,
    });
  }
  if (given.trim() === '*') return {};
  const tags = given.split(',').map(each => each.trim().replace(/^W\//, ''));
  if (tags.includes(tag)) return { if_version: view.record.version };
  throw new Refused(
    'version-mismatch',
    `If-Match is ${given.slice(0, 100)} but job ${key} is at ${tag}: read it again and decide anew`,
    [{ place: 'If-Match', value: given.slice(0, 100), message: 'another version than the present one', expected: tag }],
    { etag: tag },
  );
}
