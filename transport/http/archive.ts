// archive.ts: hands the executor's archive to agents, whose fetchers know nothing but an address.
//
// There is nothing secret in it, and a fetcher has neither a password nor a page behind it: so whoever asks for it by its
// full name gets it. The name changes with what is in it, so it may be kept for ever.

import { type FileHandle, open } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Log } from './route.ts';

/** The one that is given out; undefined as long as there is none. */
export type ServedArchive = () => { readonly at: string; readonly path: string; readonly bytes: number } | undefined;

/** Everything below this is agents' business. */
export const archive_prefix = '/executor/';
export const isForAgents = ({ url = '' }: IncomingMessage): boolean => url.startsWith(archive_prefix);

export async function sendArchive(
  request: IncomingMessage,
  response: ServerResponse,
  archive: ServedArchive | undefined,
  log: Log,
): Promise<void> {
  const told = (status: number, text: string, headers: Readonly<Record<string, string>> = {}) => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers });
    response.end(`${text}\n`);
  };
  request.resume();
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return told(405, `expected GET or HEAD, not ${request.method}`, { allow: 'GET, HEAD' });
  const there = archive?.();
  if (there === undefined || request.url?.split('?')[0] !== there.at)
    return told(404, 'there is no such archive (any more): an agent is told its address with each task');
  let file: FileHandle;
  try {
    file = await open(there.path);
  } catch (error) {
    log.error({ error: String(error) }, 'the archive of the executor cannot be read: tasks of processes cannot start');
    return told(500, 'the archive cannot be read: the log of the scheduler says why');
  }
  response.writeHead(200, {
    'content-type': 'application/gzip',
    'content-length': there.bytes,
    'cache-control': 'public, max-age=31536000, immutable',
  });
  try {
    if (request.method === 'HEAD') response.end();
    else await pipeline(file.createReadStream({ autoClose: false }), response);
  } catch (error) {
    log.info({ error: String(error) }, 'an agent has not got the whole archive of the executor');
  } finally {
    await file.close();
  }
}
