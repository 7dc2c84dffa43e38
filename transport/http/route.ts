// route.ts: what a route is: everything that the server and the OpenAPI document need to know of it.
//
// A route is data with one function in it. The dispatcher reads the data to find, check and authorize; the document is
// printed from the same data, so a route that is not described does not exist.

import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { CommandEnvelope, Submit } from '../../actors/model/commands.ts';
import { identifier, type JobKey, jobKey } from '../../actors/model/ids.ts';
import type { Job } from '../../actors/model/job.ts';
import type { Sandboxes, Sweeping, TaskReports, Usages, Views } from '../../actors/model/views.ts';
import type { Clock } from '../../schedules/clock.ts';
import type { Result } from '../../schedules/problem.ts';
import type { Authenticated, Role } from '../credentials.ts';
import type { AnnouncerState } from '../discovery/announcer.ts';
import type { History } from '../journal/journal.ts';
import type { Logs } from '../logs.ts';
import type { Metrics } from '../metrics.ts';
import { type BodyType, readBody, readNoBody } from './body.ts';
import type { ChronosRules } from './chronos/rules.ts';
import type { Cluster } from './leader.ts';
import { Refused } from './problems.ts';
import type { Turnstile } from './stream.ts';

/** The limits on clients, named as the settings are. */
export type HttpLimits = {
  readonly body_bytes_max: number;
  readonly http_connections_max: number;
  readonly request_timeout_ms: number;
  readonly page_rows_max: number;
  readonly sockets_max: number;
  readonly socket_frames_max: number;
  readonly log_follow_bytes_max: number;
  readonly log_followers_max: number;
  readonly sessions_max: number;
  readonly session_idle_ms: number;
  readonly reader_stall_ms: number;
};

export type Log = {
  readonly debug: (fields: object, message: string) => void;
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
};

/** The live objects that handlers work with. */
export type Services = {
  readonly submit: Submit;
  readonly views: Views;
  readonly cluster: Cluster;
  readonly history: History;
  readonly sandboxes: Sandboxes;
  readonly reports: TaskReports;
  readonly usages: Usages;
  readonly sweeping: Sweeping | undefined;
  readonly serversets?: () => AnnouncerState | undefined;
  /** Left out: its levels cannot be changed from here. */
  readonly logs?: Pick<Logs, 'levels' | 'change'>;
  /** What a bug report wants, as a .tar.gz; left out: there is none. */
  readonly debug?: () => Promise<Uint8Array>;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: HttpLimits;
  readonly version: string;
  /** Of schedules that name none. */
  readonly default_zone: string;
  /** How jobs that come by Chronos's API are read. */
  readonly chronos: ChronosRules;
  /** Whether the schedules of a job mean something: what the schema cannot see. */
  readonly compile: (job: Job) => Result<void>;
  readonly ids: () => string;
  /** What long answers go out by. */
  readonly turnstile: Turnstile;
  /** How many logs are being followed now. Mutable: it is this server's turnstile. */
  readonly followers: { count: number };
  /** Aborted when the server closes: streams end. */
  readonly closing: AbortSignal;
};

/** One request on its way to its answer. */
export type Exchange = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly who: Authenticated;
  readonly request_id: string;
  readonly services: Services;
};

export type Reply = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; undefined = no body. */
  readonly body?: unknown;
  /** Sent as it stands, instead of `body`. */
  readonly text?: { readonly type: string; readonly text: string | Uint8Array };
};
/** A handler that answers by itself, piece by piece. */
export const streaming = Symbol('streaming');

export type Answered = { readonly description: string; readonly schema?: string; readonly type?: string };
export type Route = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** As find-my-way writes it: `/api/v1/jobs/:role`. */
  readonly path: string;
  readonly id: string;
  readonly tag: 'jobs' | 'runs' | 'updates' | 'calendars' | 'notifications' | 'discovery' | 'system' | 'chronos';
  readonly summary: string;
  readonly description?: string;
  /** What the sender must be allowed, for the jobs of `params.role`, or of any role where the path has none. */
  readonly permission: Role | 'nothing';
  /** The job role that the permission is for, where the path does not name it; `*` for every one. */
  readonly scope?: string;
  readonly query?: z.ZodObject;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly schema: string; readonly types: readonly BodyType[] };
  /** Of a WebSocket: the shapes of what is said there in JSON. */
  readonly messages?: { readonly client: string; readonly server: string };
  readonly answers: Readonly<Record<number, Answered>>;
  /** How a refusal is written where it is not `application/problem+json`. */
  readonly refuse?: (refused: Refused, services: Services) => Reply;
  readonly handle: (exchange: Exchange) => Promise<Reply | typeof streaming> | Reply | typeof streaming;
};

// --- what routes share --------------------------------------------------------------------------------------------------

/** Where a job is, and an instance of one of its runs; more hangs on both. */
export const job_path = '/api/v1/jobs/:role/:environment/:name';
export const run_instance_path = `${job_path}/runs/:run/instances/:index`;

export const problem = (description: string): Answered => ({ description, schema: 'Problem' });
export const not_found = { 404: problem('There is no such job.') };
export const if_match = 'The ETag of the version that is meant; `*` for whichever it is.';
/** Of routes that ask `requestOf`. */
export const idempotency = { 'Idempotency-Key': 'Any text up to 255 characters that names this wish.' };

// --- what handlers share ------------------------------------------------------------------------------------------------

/** A page size: `limit`, as a number within bounds. */
export const limit_query = z
  .string()
  .regex(/^\d{1,6}$/, 'expected a whole number')
  .optional();

export function limitOf({ query, services }: Exchange, limit_default = 100): number {
  const limit = query.limit === undefined ? limit_default : Number(query.limit);
  return Math.max(1, Math.min(limit, services.limits.page_rows_max));
}

/** The job key that the path names. A key that breaks the grammar can have no job. */
export function keyOfPath({ params }: Exchange): JobKey {
  const { role = '', environment = '', name = '' } = params;
  if (![role, environment, name].every(part => identifier.test(part)))
    throw noSuchJob(`${role}/${environment}/${name}`);
  return jobKey(role, environment, name);
}

/** Part of the run id, so its length and letters are bounded whatever the client sends. */
export function requestOf({ request, request_id }: Exchange): string {
  const given = request.headers['idempotency-key'];
  const wish = typeof given === 'string' ? given.trim() : undefined;
  if (wish !== undefined && (wish === '' || wish.length > 255))
    throw new Refused('malformed', `Idempotency-Key has ${wish.length} characters: expected 1 to 255`);
  // Two namespaces in one: a key that a client chose can never name a run that was started without one.
  const text = wish === undefined ? `request ${request_id}` : `key ${wish}`;
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

export const noSuchJob = (key: JobKey) => new Refused('not-found', `there is no job ${key.slice(0, 250)}`);
export const noSuchRun = (key: JobKey, run: string) =>
  new Refused('not-found', `job ${key} has no run ${run.slice(0, 100)}`);

export const jsonBody = ({ request, services }: Exchange, types: readonly BodyType[]) =>
  readBody(request, types, services.limits.body_bytes_max);
export const noBody = ({ request, services }: Exchange) => readNoBody(request, services.limits.body_bytes_max);

/** Hands a command to the core under the sender's name. Resolves when its answer is durable. */
export const command = (exchange: Exchange, what: CommandEnvelope['command']) =>
  exchange.services.submit({
    command: what,
    principal: { name: exchange.who.name },
    request_id: exchange.request_id,
  });

/** The answers that a command of this sort can have; any other is a broken promise of the core. */
export function unexpected(answer: { readonly type: string }): Error {
  return new Error(`unexpected answer "${answer.type}" to a command`);
}
