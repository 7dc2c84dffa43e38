// chronos-routes.ts: the first routes of Chronos's API, under the prefixes of both its generations.
//
// Answers are Chronos's: 204 for what changes something, an array for the list, and errors as {status, message}, but with
// the status that says what is wrong and a message of one sentence instead of a stack trace.

import { createHash } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import { chronos_environment, chronos_role, chronosKey, readChronos, writeChronos } from './chronos.ts';
import { isGoing } from './jobs.ts';
import { inShort, Refused, refusedBy } from './problems.ts';
import { command, type Exchange, jsonBody, noBody, type Reply, type Route, streaming, unexpected } from './route.ts';

const prefixes = ['/scheduler', '/v1/scheduler'] as const;
const failure = { description: 'Refused: {status, message}.', type: 'application/json' };

export const chronos_routes: readonly Route[] = prefixes.flatMap(prefix => {
  const generation = prefix === '/scheduler' ? '2' : '3';
  const common = { tag: 'chronos', scope: chronos_role, refuse } as const;
  return [
    ...(['POST', 'PUT'] as const).map(
      (method): Route => ({
        ...common,
        method,
        path: `${prefix}/iso8601`,
        id: `chronos${generation}${method === 'POST' ? 'Post' : 'Put'}Iso8601`,
        summary: 'Create or replace a scheduled job',
        permission: 'submit',
        answers: { 204: { description: 'Done, and durable.' }, 400: failure },
        handle: put,
      }),
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
      summary: 'Delete a job and kill its runs',
      permission: 'submit',
      answers: { 204: { description: 'Deleted, and durable.' }, 404: failure },
      handle: remove,
    },
  ];
});

async function put(exchange: Exchange): Promise<Reply> {
  const read = readChronos(await jsonBody(exchange, ['application/json']), exchange.services.chronos_generation);
  if (!read.ok) throw new Refused('malformed', inShort(read.problems), read.problems);
  const { job, document } = read.value;
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
  if (answer.type === 'refused') throw refusedBy(answer);
  if (answer.type !== 'created' && answer.type !== 'replaced' && answer.type !== 'unchanged') throw unexpected(answer);
  return { status: 204 };
}

/** Jobs written in one go: a few milliseconds' worth. Chronos's own list was slow from a thousand jobs on. */
const jobs_per_piece = 500;

/** The array leaves piece by piece, and between two pieces the scheduler gets its turn. */
async function list({ request, response, services: { views } }: Exchange): Promise<typeof streaming> {
  const prefix = `${chronos_role}/${chronos_environment}/`;
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  if (request.method === 'HEAD') {
    response.end();
    return streaming;
  }
  let separator = '[';
  for (let after = prefix; !response.destroyed; ) {
    const page = views.jobs(jobs_per_piece, after);
    const ours = page.filter(view => view.key.startsWith(prefix));
    for (const view of ours) {
      if (isGoing(view)) continue;
      response.write(separator + JSON.stringify(writeChronos(view)));
      separator = ',';
    }
    if (ours.length < jobs_per_piece) break;
    after = ours.at(-1)!.key;
    await taken(response);
  }
  response.end(separator === '[' ? '[]' : ']');
  return streaming;
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
  const request = createHash('sha256').update(exchange.request_id).digest('base64url').slice(0, 22);
  const answer = await command(exchange, { type: 'start-run', key: keyOf(exchange), request });
  if (answer.type === 'refused') throw answer.code === 'not-found' ? unknown(exchange) : refusedBy(answer);
  if (answer.type !== 'started' && answer.type !== 'waiting' && answer.type !== 'existing') throw unexpected(answer);
  return { status: 204 };
}

async function remove(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const answer = await command(exchange, { type: 'delete', key: keyOf(exchange) });
  if (answer.type === 'refused') throw answer.code === 'not-found' ? unknown(exchange) : refusedBy(answer);
  if (answer.type !== 'deleted') throw unexpected(answer);
  return { status: 204 };
}

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
