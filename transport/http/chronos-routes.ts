// chronos-routes.ts: the first routes of Chronos's API, under the prefixes of both its generations.
//
// Answers are Chronos's: 204 for what changes something, an array for the list, and errors as {status, message}, but with
// the status that says what is wrong and a message of one sentence instead of a stack trace.

import { createHash } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { JobView } from '../../actors/model/views.ts';
import { chronos_environment, chronos_role, chronosKey, chronosName, readChronos, writeChronos } from './chronos.ts';
import { graphs } from './chronos-graph.ts';
import { isGoing } from './jobs.ts';
import { mayFollow, mayOrphan } from './kinship.ts';
import { inShort, Refused, refusedBy } from './problems.ts';
import { command, type Exchange, jsonBody, noBody, type Reply, type Route, streaming, unexpected } from './route.ts';

const prefixes = ['/scheduler', '/v1/scheduler'] as const;
const failure = { description: 'Refused: {status, message}.', type: 'application/json' };

export const chronos_routes: readonly Route[] = prefixes.flatMap(prefix => {
  const generation = prefix === '/scheduler' ? '2' : '3';
  const common = { tag: 'chronos', scope: chronos_role, refuse } as const;
  return [
    ...(['iso8601', 'dependency'] as const).flatMap(kind =>
      (['POST', 'PUT'] as const).map(
        (method): Route => ({
          ...common,
          method,
          path: `${prefix}/${kind}`,
          id: `chronos${generation}${method === 'POST' ? 'Post' : 'Put'}${kind === 'iso8601' ? 'Iso8601' : 'Dependency'}`,
          summary: `Create or replace a ${kind === 'iso8601' ? 'scheduled' : 'dependent'} job`,
          permission: 'submit',
          answers: { 204: { description: 'Done, and durable.' }, 400: failure },
          handle: exchange => put(exchange, kind),
        }),
      ),
    ),
    {
      ...common,
      method: 'GET',
      path: `${prefix}/jobs`,
      id: `chronos${generation}ListJobs`,
      summary: 'Every job that came by this dialect',
      permission: 'read',
      answers: { 200: { description: 'An array of jobs.', type: 'application/json' } },
      handle: list,
    },
    {
      ...common,
      method: 'PUT',
      path: `${prefix}/job/:name`,
      id: `chronos${generation}StartJob`,
      summary: 'Start a job now',
      permission: 'operate',
      answers: { 204: { description: 'Started, or it will start when the active run ends.' }, 404: failure },
      handle: start,
    },
    {
      ...common,
      method: 'DELETE',
      path: `${prefix}/job/:name`,
      id: `chronos${generation}DeleteJob`,
      summary: 'Delete a job and kill its runs; those that follow it get its parents, or its schedule',
      permission: 'submit',
      answers: { 204: { description: 'Deleted, and durable.' }, 404: failure },
      handle: remove,
    },
    {
      ...common,
      method: 'PUT',
      path: `${prefix}/job/success/:name`,
      id: `chronos${generation}MarkSuccess`,
      summary: 'Take the last run of a job for a success: those that follow it go on',
      permission: 'operate',
      answers: { 200: { description: 'Whether there is such a job, in words.', type: 'text/plain' } },
      handle: markSuccess,
    },
    ...(['dot', 'csv'] as const).map(
      (form): Route => ({
        ...common,
        method: 'GET',
        path: `${prefix}/graph/${form}`,
        id: `chronos${generation}Graph${form === 'dot' ? 'Dot' : 'Csv'}`,
        summary: form === 'dot' ? 'Who follows whom, for Graphviz' : 'Jobs and who follows whom, a line each',
        permission: 'read',
        answers: { 200: { description: 'The graph.', type: 'text/plain' } },
        handle: exchange =>
          streamed(
            exchange,
            'text/plain',
            graphs[form](() => pagesOf(exchange)),
          ),
      }),
    ),
  ];
});

async function put(exchange: Exchange, kind: 'iso8601' | 'dependency'): Promise<Reply> {
  const body = await jsonBody(exchange, ['application/json']);
  const read = readChronos(body, exchange.services.chronos_generation, kind);
  if (!read.ok) throw new Refused('malformed', inShort(read.problems), read.problems);
  const { job, document } = read.value;
  mayFollow(exchange, job);
  const compiled = exchange.services.compile(job);
  if (!compiled.ok) {
    const problems = compiled.problems.map(each => ({
      ...each,
      place: each.place.startsWith('/constraints') ? each.place : '/schedule',
    }));
    const schedule = problems.some(each => each.place === '/schedule');
    const text = schedule ? `Cannot parse schedule '${job.schedules[0]?.iso8601}': ` : '';
    throw new Refused('malformed', `${text}${inShort(problems)}`, problems);
  }
  const origin = { dialect: 'chronos', document };
  const answer = await command(exchange, { type: 'submit', mode: 'upsert', job, origin });
  if (answer.type === 'refused') throw named(refusedBy(answer));
  if (answer.type !== 'created' && answer.type !== 'replaced' && answer.type !== 'unchanged') throw unexpected(answer);
  return { status: 204 };
}

/** Names as Chronos's clients know them, in what the core says of keys. */
function named(refused: Refused): Refused {
  const text = (words: string) => words.replaceAll(/chronos\/default\/[A-Za-z0-9_.%-]+/g, key => chronosName(key));
  const problems = refused.problems.map(each => ({ ...each, message: text(each.message) }));
  return new Refused(refused.kind, text(refused.message), problems, refused.headers);
}

/** Jobs written in one go: a few milliseconds' worth. Chronos's own list was slow from a thousand jobs on. */
const jobs_per_piece = 500;

/** The jobs of this dialect, as far as they are there when their page is asked for. */
function* pagesOf({ services: { views } }: Exchange): Generator<readonly JobView[]> {
  const prefix = `${chronos_role}/${chronos_environment}/`;
  for (let after = prefix; ; ) {
    const ours = views.jobs(jobs_per_piece, after).filter(view => view.key.startsWith(prefix));
    yield ours.filter(view => !isGoing(view));
    if (ours.length < jobs_per_piece) return;
    after = ours.at(-1)!.key;
  }
}

/** Leaves piece by piece, and between two pieces the scheduler gets its turn. */
async function streamed(
  { request, response }: Exchange,
  type: string,
  pieces: Iterable<string>,
): Promise<typeof streaming> {
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' });
  if (request.method !== 'HEAD')
    for (const piece of pieces) {
      if (response.destroyed) return streaming;
      response.write(piece);
      await taken(response);
    }
  response.end();
  return streaming;
}

function list(exchange: Exchange): Promise<typeof streaming> {
  return streamed(exchange, 'application/json', asArray(pagesOf(exchange)));
}

function* asArray(pages: Iterable<readonly JobView[]>): Generator<string> {
  let separator = '[';
  for (const page of pages) {
    if (page.length === 0) continue;
    yield separator + page.map(view => JSON.stringify(writeChronos(view))).join(',');
    separator = ',';
  }
  yield separator === '[' ? '[]' : ']';
}

/** Resolves in a later turn, when the client has taken what was written or is gone. */
function taken(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    if (!response.writableNeedDrain) return void setImmediate(resolve);
    const go = () => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });
}

async function start(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const answer = await command(exchange, { type: 'start-run', key: keyOf(exchange), request: requestIn(exchange) });
  if (answer.type === 'refused') throw answer.code === 'not-found' ? unknown(exchange) : refusedBy(answer);
  if (answer.type !== 'started' && answer.type !== 'waiting' && answer.type !== 'existing') throw unexpected(answer);
  return { status: 204 };
}

async function remove(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const key = keyOf(exchange);
  mayOrphan(exchange, key, 'reschedule');
  const answer = await command(exchange, { type: 'delete', key, orphans: 'reschedule' });
  if (answer.type === 'refused') throw answer.code === 'not-found' ? unknown(exchange) : refusedBy(answer);
  if (answer.type !== 'deleted') throw unexpected(answer);
  return { status: 204 };
}

/** An unknown job is no error here: Chronos answers `false`. */
async function markSuccess(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const name = exchange.params.name ?? '';
  const key = chronosKey(name);
  const said = (done: boolean): Reply => ({
    status: 200,
    text: { type: 'text/plain', text: `marked job ${name.slice(0, 200)} as successful: ${done}` },
  });
  if (key === undefined) return said(false);
  const answer = await command(exchange, { type: 'mark-success', key, request: requestIn(exchange) });
  if (answer.type === 'refused' && answer.code === 'not-found') return said(false);
  if (answer.type === 'refused') throw named(refusedBy(answer));
  if (answer.type !== 'changed') throw unexpected(answer);
  return said(true);
}

const requestIn = ({ request_id }: Exchange) =>
  createHash('sha256').update(request_id).digest('base64url').slice(0, 22);

function keyOf(exchange: Exchange): string {
  const key = chronosKey(exchange.params.name ?? '');
  const view = key === undefined ? undefined : exchange.services.views.job(key);
  if (key === undefined || view === undefined || isGoing(view)) throw unknown(exchange);
  return key;
}

const unknown = ({ params }: Exchange) =>
  new Refused('not-found', `Job '${(params.name ?? '').slice(0, 200)}' not found`);

function refuse(refused: Refused): Reply {
  return {
    status: refused.status,
    headers: refused.headers,
    body: { status: STATUS_CODES[refused.status] ?? 'Error', message: refused.message },
  };
}
