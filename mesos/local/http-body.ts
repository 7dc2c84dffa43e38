// http-body.ts: what comes in over HTTP, read whole and within bounds.

import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

const unpack = promisify(gunzip);

/** The body as text, unpacked when it was packed; or how to refuse it. */
export async function bodyOf(
  request: IncomingMessage,
  bytes_max: number,
): Promise<string | { status: number; text: string }> {
  const too_long = { status: 413, text: `Expecting a body of at most ${bytes_max} bytes` };
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    if (!(part instanceof Buffer)) throw new Error('a request body came as text: expected bytes');
    bytes += part.length;
    if (bytes > bytes_max) return too_long;
    parts.push(part);
  }
  const body = Buffer.concat(parts);
  if (request.headers['content-encoding'] !== 'gzip') return body.toString('utf8');
  try {
    return (await unpack(body, { maxOutputLength: bytes_max })).toString('utf8');
  } catch (error) {
    if (error instanceof RangeError) return too_long;
    return {
      status: 400,
      text: `Failed to decompress body: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

/** Whether an answer in JSON is welcome. */
export function acceptsJson(header: string | undefined): boolean {
  if (header === undefined) return true;
  return header
    .split(',')
    .some(part => ['*/*', 'application/*', 'application/json'].includes(part.split(';')[0]!.trim().toLowerCase()));
}
