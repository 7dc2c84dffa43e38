// archive.ts: hands the executor's archive to agents, whose fetchers know nothing but an address.
//
// There is nothing secret in it, and a fetcher has neither a password nor a page behind it: so whoever asks for it by its
// full name gets it. The name changes with what is in it, so it may be kept for ever.

import { createReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Log } from './route.ts';

export type ServedArchive = {
  /** The one path that is served. */
  readonly path: string;
  /** Where it lies, once it is packed. */
  readonly file: () => Promise<{ readonly path: string; readonly bytes: number }>;
};

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
  if (request.url?.split('?')[0] !== archive?.path)
    return told(404, 'there is no such archive (any more): an agent is told its address with each task');
  try {
    const { path, bytes } = await archive!.file();
    response.writeHead(200, {
      'content-type': 'application/gzip',
      'content-length': bytes,
      'cache-control': 'public, max-age=31536000, immutable',
    });
    if (request.method === 'HEAD') response.end();
    else await pipeline(createReadStream(path), response);
  } catch (error) {
    if (response.destroyed && !response.writableFinished)
      return log.debug({ error: String(error) }, 'an agent went away while it fetched the executor');
    log.error({ error: String(error) }, 'the archive of the executor could not be given to an agent');
    if (response.headersSent) response.destroy();
    else told(500, 'the archive cannot be had: the log of the scheduler says why');
  }
}
