// routes.ts: Chronos's API, under the prefixes of both its generations.
//
// Answers are Chronos's: 204 for what changes something, an array for the list, and errors as {status, message}, but with
// the status that says what is wrong and a message of one sentence instead of a stack trace.

import { splitWords } from '../../../actors/model/command-line.ts';
import type { JobKey } from '../../../actors/model/ids.ts';
import { keyOf } from '../../../actors/model/job.ts';
import { inShort, Refused, refusedBy } from '../problems.ts';
import {
  command,
  type Exchange,
  if_match,
  jsonBody,
  noBody,
  type Reply,
  type Route,
  requestOf,
  unexpected,
} from '../route.ts';
import { expectedVersion } from '../routes/jobs.ts';
import { mayFollow, mayOrphan } from '../routes/kinship.ts';
import { streamed } from '../stream.ts';
import { jobNamed, jobOf, named, pagesOf, refuse, unknown } from './answers.ts';
import { chronos_role, readChronos } from './document.ts';
import { graphs } from './graph.ts';
import { list, one, search, summary } from './listing.ts';
import { ofJob, slowest } from './statistics.ts';
import { complete, forgetQueued, killRunning, progress } from './tasks.ts';

const prefixes = ['/scheduler', '/v1/scheduler'] as const;
const failure = { description: 'Refused: {status, message}.', type: 'application/json' };

const prefixed: readonly Route[] = prefixes.flatMap((prefix): readonly Route[] => {
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
          headers: {
            'If-Match': `${if_match} Chronos had no such condition; left out: whatever is there is replaced.`,
            'If-None-Match': '`*`: only where there is no such job yet.',
          },
          answers: { 204: { description: 'Done, and durable.' }, 400: failure, 409: failure, 412: failure },
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
      method: 'GET',
      path: `${prefix}/jobs/summary`,
      id: `chronos${generation}Summary`,
      summary: 'How every job did last, and what it is doing',
      permission: 'read',
      answers: { 200: { description: '{jobs: [...]}.', type: 'application/json' } },
      handle: summary,
    },
    {
      ...common,
      method: 'GET',
      path: `${prefix}/jobs/search`,
      id: `chronos${generation}Search`,
      summary: 'Jobs by parts of their names and commands: name, command, any, limit, offset',
      permission: 'read',
      answers: { 200: { description: 'An array of jobs.', type: 'application/json' }, 400: failure },
      handle: search,
    },
    {
      ...common,
      method: 'GET',
      path: `${prefix}/job/:name`,
      id: `chronos${generation}ReadJob`,
      summary: 'One job',
      permission: 'read',
      answers: { 200: { description: 'A job.', type: 'application/json' }, 404: failure },
      handle: one,
    },
    {
      ...common,
      method: 'GET',
      path: `${prefix}/leader`,
      id: `chronos${generation}Leader`,
      summary: 'Who leads, as host:port',
      permission: 'read',
      answers: { 200: { description: '{leader}.', type: 'application/json' }, 503: failure },
      handle: leader,
    },
    {
      ...common,
      method: 'DELETE',
      path: `${prefix}/task/kill/:name`,
      id: `chronos${generation}KillTasks`,
      summary: 'Kill the running tasks of a job',
      permission: 'operate',
      answers: { 204: { description: 'The kills are recorded and under way.' }, 404: failure },
      handle: killRunning,
    },
    {
      ...common,
      method: 'PUT',
      path: `${prefix}/task/:task`,
      id: `chronos${generation}CompleteTask`,
      summary: 'Report how the work of an async task ended: {"statusCode": 0}',
      permission: 'operate',
      answers: {
        204: { description: 'Recorded.' },
        400: failure,
        404: failure,
        409: { ...failure, description: 'Nobody waits for word of this task.' },
      },
      handle: complete,
    },
    {
      ...common,
      method: 'POST',
      path: `${prefix}/job/:name/task/:task/progress`,
      id: `chronos${generation}Progress`,
      summary: 'A task has processed further elements: {"numAdditionalElementsProcessed": 10}',
      permission: 'operate',
      answers: { 204: { description: 'Counted.' }, 400: failure, 404: failure },
      handle: progress,
    },
    {
      ...common,
      method: 'GET',
      path: `${prefix}/job/stat/:name`,
      id: `chronos${generation}Stat`,
      summary: 'How long the runs of a job take, in milliseconds, and its latest tasks',
      permission: 'read',
      answers: { 200: { description: '{histogram, taskStatHistory}.', type: 'application/json' }, 404: failure },
      handle: ofJob,
    },
    {
      ...common,
      method: 'GET',
      path: `${prefix}/stats/:percentile`,
      id: `chronos${generation}Slowest`,
      summary: 'Which jobs take longest, in seconds',
      permission: 'read',
      answers: { 200: { description: '[{jobNameLabel, time}].', type: 'application/json' } },
      handle: slowest,
    },
    {
      ...common,
      method: 'DELETE',
      path: `${prefix}/task/all`,
      id: `chronos${generation}ForgetQueued`,
      summary: 'Forget every run that waits, of all jobs',
      permission: 'operate',
      answers: { 204: { description: 'They are not to be.' } },
      handle: forgetQueued,
    },
    {
      ...common,
      method: 'PUT',
      path: `${prefix}/job/:name`,
      id: `chronos${generation}StartJob`,
      summary: 'Start a job now, with ?arguments= in place of its own',
      permission: 'operate',
      answers: {
        204: { description: 'Started, or it will start when the active run ends.' },
        404: failure,
        409: { ...failure, description: 'It is disabled, or runs already and may not run twice.' },
      },
      handle: start,
    },
    {
      ...common,
      method: 'DELETE',
      path: `${prefix}/job/:name`,
      id: `chronos${generation}DeleteJob`,
      summary: 'Delete a job and kill its runs; those that follow it get its parents, or its schedule',
      permission: 'submit',
      headers: { 'If-Match': if_match },
      answers: { 204: { description: 'Deleted, and durable.' }, 404: failure, 412: failure },
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
            { 'content-type': 'text/plain' },
            graphs[form](() => pagesOf(exchange)),
          ),
      }),
    ),
  ];
});

/** Of this node alone, for load balancers: it says nothing of who leads. */
const ping: Route = {
  method: 'GET',
  path: '/ping',
  id: 'chronosPing',
  tag: 'chronos',
  summary: 'Whether this node answers',
  permission: 'nothing',
  refuse,
  answers: { 200: { description: '"pong".', type: 'text/plain' } },
  handle: () => ({
    status: 200,
    headers: { 'cache-control': 'must-revalidate,no-cache,no-store' },
    text: { type: 'text/plain', text: 'pong\n' },
  }),
};

export const chronos_routes: readonly Route[] = [...prefixed, ping];

async function put(exchange: Exchange, kind: 'iso8601' | 'dependency'): Promise<Reply> {
  const body = await jsonBody(exchange, ['application/json']);
  const read = readChronos(body, exchange.services.chronos, kind);
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
  const condition = conditionOf(exchange, keyOf(job));
  const answer = await command(exchange, { type: 'submit', mode: 'upsert', job, origin, ...condition });
  if (answer.type === 'refused') throw named(refusedBy(answer));
  if (answer.type !== 'created' && answer.type !== 'replaced' && answer.type !== 'unchanged') throw unexpected(answer);
  // Whoever posts a job that had failed too often, and does not say that it is to stay disabled, wants it to go on.
  const paused = exchange.services.views.job(answer.key)?.trigger?.paused;
  if (job.enabled && paused?.by === 'horae') await resume(exchange, answer.key);
  return { status: 204 };
}

/** Chronos knew no conditions: whoever sends none overwrites whatever is there. */
function conditionOf(exchange: Exchange, key: JobKey): { if_version?: number; mode?: 'create' } {
  if (exchange.request.headers['if-none-match']?.trim() === '*') return { mode: 'create' };
  return versionOf(exchange, key);
}

function versionOf(exchange: Exchange, key: JobKey): { if_version?: number } {
  if (exchange.request.headers['if-match'] === undefined) return {};
  try {
    return expectedVersion(exchange, key, false);
  } catch (error) {
    throw error instanceof Refused ? named(error) : error;
  }
}

async function resume(exchange: Exchange, key: string): Promise<void> {
  const answer = await command(exchange, { type: 'resume', key });
  if (answer.type === 'refused') throw named(refusedBy(answer));
}

/** Chronos did nothing, and said nothing, where a job was disabled or already queued. */
async function start(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const { key, record, trigger } = jobOf(exchange);
  const name = (exchange.params.name ?? '').slice(0, 200);
  if (!record.job.enabled) throw new Refused('already-running', `Job '${name}' is disabled: nothing was started`);
  if (record.job.overlap.policy === 'buffer-one' && (trigger?.waiting.length ?? 0) > 0)
    throw new Refused('already-running', `Job '${name}' is queued already: nothing was started`);
  const words = splitWords(exchange.query.arguments ?? '');
  const more = words.length === 0 ? {} : { arguments: words };
  const answer = await command(exchange, { type: 'start-run', key, request: requestOf(exchange), ...more });
  if (answer.type === 'refused') throw answer.code === 'not-found' ? unknown(exchange) : named(refusedBy(answer));
  if (answer.type !== 'started' && answer.type !== 'waiting' && answer.type !== 'existing') throw unexpected(answer);
  return { status: 204 };
}

async function remove(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const { key } = jobOf(exchange);
  mayOrphan(exchange, key, 'reschedule');
  const version = versionOf(exchange, key);
  const answer = await command(exchange, { type: 'delete', key, orphans: 'reschedule', ...version });
  if (answer.type === 'refused') throw answer.code === 'not-found' ? unknown(exchange) : named(refusedBy(answer));
  if (answer.type !== 'deleted') throw unexpected(answer);
  return { status: 204 };
}

/** An unknown job is no error here: Chronos answers `false`. */
async function markSuccess(exchange: Exchange): Promise<Reply> {
  await noBody(exchange);
  const name = exchange.params.name ?? '';
  const key = jobNamed(exchange, name)?.key;
  const said = (done: boolean): Reply => ({
    status: 200,
    text: { type: 'text/plain', text: `marked job ${name.slice(0, 200)} as successful: ${done}` },
  });
  if (key === undefined) return said(false);
  const answer = await command(exchange, { type: 'mark-success', key, request: requestOf(exchange) });
  if (answer.type === 'refused' && answer.code === 'not-found') return said(false);
  if (answer.type === 'refused') throw named(refusedBy(answer));
  if (answer.type !== 'changed') throw unexpected(answer);
  return said(true);
}

function leader({ services: { cluster } }: Exchange): Reply {
  const found = cluster.leader();
  if (found === undefined) throw new Refused('no-leader', 'no node leads at present');
  return { status: 200, body: { leader: found.url.replace(/^https?:\/\//, '') } };
}
