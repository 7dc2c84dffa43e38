// logs.ts: a run's output, read or followed.
//
// A log is a file that somebody else writes. Reading sends what is there, a piece at a time, the next piece when the
// client has taken the last: a gigabyte of output and a slow reader cost one piece of memory. Following does not stop at
// the end of the file but looks again, until the attempt is over and all it wrote has been sent.

import type { ServerResponse } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import { z } from 'zod';
import { type JobKey, type RunId, taskId } from '../../../actors/model/ids.ts';
import type { FinishedAttempt } from '../../../actors/model/records.ts';
import type { SandboxFile } from '../../../actors/model/views.ts';
import { Refused } from '../problems.ts';
import {
  type Exchange,
  job_path,
  keyOfPath,
  noSuchJob,
  noSuchRun,
  problem,
  type Route,
  type Services,
  streaming,
} from '../route.ts';

/** How long a follower rests when there was nothing new. */
const poll_ms = 150;
/** A silent stream says something this often, so that proxies and clients know that it lives. */
const heartbeat_ms = 15_000;
/** How far back the agent of an earlier attempt is looked for. */
export const attempts_scanned_max = 2_000;

/** Of routes that ask `attemptAsked`. */
export const attempt_query = z
  .string()
  .regex(/^[1-9]\d{0,8}$/, 'expected a number from 1')
  .optional()
  .describe('Which attempt; the latest when left out.');

export const log_routes: readonly Route[] = [
  {
    method: 'GET',
    path: `${job_path}/runs/:run/logs/:index/:stream`,
    id: 'readLog',
    tag: 'runs',
    summary: "Read or follow an instance's stdout or stderr",
    description:
      'Raw bytes. With `follow=true` the answer goes on until the attempt is over; with `Accept: text/event-stream` it is a stream of events whose data are `{offset, text}` and whose last is `end`.',
    permission: 'read',
    query: z.strictObject({
      follow: z.enum(['true', 'false']).optional().describe('true: go on as the file grows.'),
      offset: z
        .string()
        .regex(/^-?\d{1,15}$/, 'expected a whole number')
        .optional()
        .describe('Byte to begin at; negative: that many from the end.'),
      attempt: attempt_query,
      process: z
        .string()
        .max(64)
        .regex(/^[^/.][^/]*$/, 'expected the name of a process')
        .optional()
        .describe('Which process of a task of processes; what its executor says when left out.'),
      process_run: z
        .string()
        .regex(/^\d{1,4}$/, 'expected a number from 0')
        .optional()
        .describe('Which run of that process; the latest that is known of when left out.'),
    }),
    headers: { Range: 'bytes=FROM-TO, bytes=FROM- or bytes=-LAST.', 'Last-Event-ID': 'Offset to go on at.' },
    answers: {
      200: { description: 'The output.', type: 'text/plain' },
      206: { description: 'The part that Range asked for.', type: 'text/plain' },
      404: problem('There is no such job, run, instance or file.'),
      416: problem('There is nothing in that range.'),
      502: problem('The agent on which it ran does not answer.'),
      503: problem('Too many logs are being followed.'),
    },
    handle: log,
  },
];

async function log(exchange: Exchange): Promise<typeof streaming> {
  const { params, query, request, response, services } = exchange;
  const { stream = '' } = params;
  if (stream !== 'stdout' && stream !== 'stderr')
    throw new Refused('not-found', `there is no log "${stream.slice(0, 40)}": expected stdout or stderr`);
  const { wanted, found } = attemptAsked(exchange);
  const events = (request.headers.accept ?? '').includes('text/event-stream');
  const opener = (which: Attempt) => open(services, wanted, which, stream);
  if (query.follow === 'true' || events) await follow(exchange, wanted, opener, events);
  else {
    const file = await opener(found);
    if (file === undefined) throw new Refused('not-found', `there is no ${stream} of this attempt (any more)`);
    await sendFile(exchange, file, plain_headers);
  }
  response.end();
  return streaming;
}

// --- which file ---------------------------------------------------------------------------------------------------------

type Stream = 'stdout' | 'stderr';
export type Wanted = {
  readonly key: JobKey;
  readonly run: RunId;
  readonly index: number;
  readonly attempt: number | undefined;
  readonly process?: string | undefined;
  readonly process_run?: number | undefined;
};
const ofProcess = ({ process, process_run }: Exchange['query']) => ({
  process,
  process_run: process_run === undefined ? undefined : Number(process_run),
});
export type Attempt = { readonly number: number; readonly agent_id: string | undefined; readonly over: boolean };

/** The attempt that path and query name. Throws Refused when there is no such instance. */
export function attemptAsked(exchange: Exchange): { readonly wanted: Wanted; readonly found: Attempt } {
  const { params, query, services } = exchange;
  const key = keyOfPath(exchange);
  const { run = '', index: text = '' } = params;
  const index = /^\d{1,6}$/.test(text) ? Number(text) : -1;
  const attempt = query.attempt === undefined ? undefined : Number(query.attempt);
  const wanted = { key, run, index, attempt, ...ofProcess(query) };
  if (services.views.job(key) === undefined && services.views.finished_run(key, run) === undefined)
    throw noSuchJob(key);
  const found = attemptIn(services, wanted);
  if (found === undefined) throw noSuchRun(key, `${run} with instance ${text.slice(0, 20)}`);
  return { wanted, found };
}

/** The attempt that is meant, as things stand; `number` 0 = none has begun. */
function attemptIn(services: Services, { key, run, index, attempt }: Wanted): Attempt | undefined {
  const { views } = services;
  const live = views.run(key, run)?.instances.find(each => each.index === index)?.record;
  if (live !== undefined) {
    const begun = live.status === 'pending' ? live.attempt - 1 : live.attempt;
    const number = attempt ?? begun;
    if (number < 1 || number > begun) return { number, agent_id: undefined, over: false };
    const present = live.status !== 'pending' && number === live.attempt;
    if (!present) return { number, agent_id: agentOf(services, key, run, index, number), over: true };
    return { number, agent_id: live.agent_id, over: live.status === 'over' };
  }
  const waits = views.job(key)?.trigger?.waiting.some(each => each.run === run);
  if (waits || views.run(key, run) !== undefined) return { number: attempt ?? 0, agent_id: undefined, over: false };
  const result = views.finished_run(key, run)?.results.find(each => each.index === index);
  if (result === undefined) return undefined;
  const number = attempt ?? result.attempts;
  if (number > result.attempts) return undefined;
  const last = number === result.attempts;
  return {
    number,
    agent_id: (last ? result.agent_id : undefined) ?? agentOf(services, key, run, index, number),
    over: true,
  };
}

/** Where an attempt ran that is no longer the present one: its row in the history knows. */
function agentOf(services: Services, key: JobKey, run: RunId, index: number, number: number): string | undefined {
  const id = taskId(`${key}/${run}/${index}`, number);
  const { rows } = services.history.page('finished-attempt', `${key}/`, attempts_scanned_max);
  const row = rows.find(each => (each.body as FinishedAttempt).task_id === id)?.body as FinishedAttempt | undefined;
  return row?.agent_id;
}

async function open(
  services: Services,
  { key, run, index, process, process_run }: Wanted,
  { number, agent_id }: Attempt,
  stream: Stream,
): Promise<SandboxFile | undefined> {
  if (number < 1 || agent_id === undefined) return undefined;
  const task_id = taskId(`${key}/${run}/${index}`, number);
  if (process === undefined) return services.sandboxes.open(agent_id, task_id, stream);
  const reports = (await services.reports.told?.([task_id])) ?? services.reports;
  const runs = reports.of(task_id)?.processes.find(one => one.name === process)?.runs ?? 1;
  return services.sandboxes.open(
    agent_id,
    task_id,
    // Names of files are bytes, one character each.
    `.logs/${Buffer.from(process, 'utf8').toString('latin1')}/${process_run ?? Math.max(0, runs - 1)}/${stream}`,
  );
}

// --- reading ------------------------------------------------------------------------------------------------------------

const plain_headers = {
  'content-type': 'text/plain; charset=utf-8',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
};

/** A file as it is now, from `Range` or from `?offset` on, at most `length` bytes of it; then it is closed. */
export async function sendFile(
  { request, response, services, query }: Exchange,
  file: SandboxFile,
  headers: Readonly<Record<string, string>>,
  length = Number.POSITIVE_INFINITY,
): Promise<void> {
  try {
    const size = await file.size();
    const range = rangeOf(request.headers.range, size);
    const from = range?.from ?? offsetOf(query.offset, size);
    const end = range?.end ?? Math.min(size, from + length);
    const partial = range === undefined ? {} : { 'content-range': `bytes ${from}-${end - 1}/${size}` };
    response.writeHead(range === undefined ? 200 : 206, {
      ...headers,
      ...partial,
      'accept-ranges': 'bytes',
      'content-length': String(end - from),
    });
    if (request.method === 'HEAD') return;
    const piece_bytes = services.limits.log_follow_bytes_max;
    for (let at = from; at < end && !response.destroyed; ) {
      const piece = await file.read(at, Math.min(piece_bytes, end - at));
      // The task cut its file short: what was promised cannot be kept, and the client must see that.
      if (piece.length === 0) return void response.destroy();
      at += piece.length;
      await write(response, piece);
    }
  } finally {
    await file.close();
  }
}

/** The byte to begin at, within the file. */
function offsetOf(given: string | undefined, size: number): number {
  const offset = Number(given ?? 0);
  return Math.min(size, offset < 0 ? Math.max(0, size + offset) : offset);
}

/** One range of bytes; undefined for a header that asks for anything else, which may be ignored. */
function rangeOf(header: string | undefined, size: number): { from: number; end: number } | undefined {
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (from < end) return { from, end };
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  throw new Refused('bad-range', `the range ${header} lies outside of ${size} bytes`, [], {
    'content-range': `bytes */${size}`,
  });
}

/** Resolves when the piece has been handed on, so that its bytes may be others by then; or when the client is gone. */
function write(response: ServerResponse, piece: Uint8Array | string): Promise<void> | undefined {
  if (response.destroyed) return undefined;
  return new Promise(resolve => {
    const go = () => {
      response.off('close', go);
      resolve();
    };
    response.on('close', go);
    response.write(piece, go);
  });
}

// --- following ----------------------------------------------------------------------------------------------------------

/** The file that `open` finds, once there is one, as it grows until its attempt is over. */
export async function follow(
  exchange: Exchange,
  wanted: Wanted,
  open: (attempt: Attempt) => Promise<SandboxFile | undefined>,
  events: boolean,
): Promise<void> {
  const { request, response, services, query } = exchange;
  const { limits, closing, followers } = services;
  if (followers.count >= limits.log_followers_max)
    throw new Refused('too-many', `${followers.count} logs are being followed already`, [], { 'retry-after': '5' });
  const type = events ? 'text/event-stream; charset=utf-8' : plain_headers['content-type'];
  response.writeHead(200, { ...plain_headers, 'content-type': type });
  response.flushHeaders();
  if (request.method === 'HEAD') return;

  followers.count++;
  const decoder = new StringDecoder('utf8');
  const resumed = /^\d{1,15}$/.exec(String(request.headers['last-event-id'] ?? ''))?.[0];
  const gone = () => response.destroyed || closing.aborted;
  let file: SandboxFile | undefined;
  let at: number | undefined;
  /** The attempt that is followed, once there is one: a retry is another log. */
  let number = wanted.attempt;
  let silent_ms = 0;
  try {
    while (!gone()) {
      // Asked before reading: what an attempt wrote before it was over is then surely in what is read.
      const attempt = attemptIn(services, { ...wanted, attempt: number });
      if (attempt !== undefined && attempt.number > 0) number ??= attempt.number;
      if (attempt !== undefined) file ??= await open(attempt);
      let sent = false;
      if (file !== undefined) {
        const size = await file.size();
        at ??= offsetOf(resumed ?? query.offset, size);
        // Cut short by its writer: what comes now is new from the beginning.
        if (size < at) at = 0;
        while (at < size && !gone()) {
          const piece = await file.read(at, limits.log_follow_bytes_max);
          if (piece.length === 0) break;
          at += piece.length;
          sent = true;
          await write(response, events ? event(at, decoder.write(piece)) : piece);
        }
      }
      if (attempt === undefined || attempt.over) break;
      if (sent) silent_ms = 0;
      else {
        await rest(services, response);
        silent_ms += poll_ms;
        if (events && silent_ms >= heartbeat_ms) {
          silent_ms = 0;
          await write(response, ': still here\n\n');
        }
      }
    }
    if (events && !gone()) await write(response, `event: end\ndata: ${JSON.stringify({ offset: at ?? 0 })}\n\n`);
  } finally {
    followers.count--;
    await file?.close();
  }
}

/** `offset` is where the next piece begins: sent back as Last-Event-ID, nothing is repeated and nothing is left out. */
const event = (offset: number, text: string) => `id: ${offset}\ndata: ${JSON.stringify({ offset, text })}\n\n`;

/** A pause that a client's leaving or the server's closing cuts short. */
function rest({ closing }: Services, response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const over = () => {
      clearTimeout(timer);
      response.off('close', over);
      closing.removeEventListener('abort', over);
      resolve();
    };
    const timer = setTimeout(over, poll_ms);
    response.on('close', over);
    closing.addEventListener('abort', over);
  });
}
