// recordings.ts: what a real master once said, and what was said to it, byte by byte.
//
// Nothing here uses the driver's own code: bodies are unchunked and cut into records by other means than those under test.

import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const root = new URL('../../data/mesos/', import.meta.url);

export type HttpText = { readonly head: string; readonly headers: ReadonlyMap<string, string>; readonly body: string };
export type RecordedCall = { readonly label: string; readonly request: HttpText; readonly response: string };
export type RecordedStream = { readonly name: string; readonly request: HttpText; readonly raw: Buffer };
export type Recording = {
  readonly folder: string;
  readonly streams: readonly RecordedStream[];
  readonly calls: readonly RecordedCall[];
};

/** The recording whose folder begins with `number`, such as '02'. */
export function recording(number: string): Recording {
  const folder = readdirSync(root).find(name => name.startsWith(`${number}-`));
  if (folder === undefined) throw new Error(`no recording ${number} under ${root.pathname}`);
  const files = readdirSync(new URL(folder, root));
  const read = (name: string) => gunzipSync(readFileSync(new URL(`${folder}/${name}`, root)));
  const streams = files
    .filter(name => name.endsWith('.response.raw.gz'))
    .map(name => name.slice(0, -'.response.raw.gz'.length))
    .sort()
    .map(name => ({
      name,
      request: httpText(read(`${name}.request.http.gz`).toString('latin1')),
      raw: read(`${name}.response.raw.gz`),
    }));
  const calls = read('calls.jsonl.gz')
    .toString('latin1')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as { label: string; request: string; response: string })
    .map(({ label, request, response }) => ({ label, request: httpText(request), response }));
  return { folder, streams, calls };
}

export const recording_numbers = ['02', '03', '04', '05', '07', '09', '10', '11', '12', '15'] as const;

export function callOf({ folder, calls }: Recording, label: string): RecordedCall {
  const call = calls.find(one => one.label === label);
  if (call === undefined) throw new Error(`no call ${label} in ${folder}: there are ${calls.map(one => one.label)}`);
  return call;
}

export function httpText(text: string): HttpText {
  const end = text.indexOf('\r\n\r\n');
  const [head = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Map(
    lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { head, headers, body: text.slice(end + 4) };
}

/** The body of a chunked answer, as far as it was recorded, and whether its last chunk was. */
export function unchunked(raw: Buffer): { readonly body: Buffer; readonly complete: boolean } {
  let rest = raw.subarray(raw.indexOf('\r\n\r\n') + 4);
  const pieces: Buffer[] = [];
  while (rest.length > 0) {
    const line_end = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.subarray(0, line_end).toString('latin1'), 16);
    if (size === 0) return { body: Buffer.concat(pieces), complete: true };
    pieces.push(rest.subarray(line_end + 2, line_end + 2 + size));
    rest = rest.subarray(line_end + 2 + size + 2);
  }
  return { body: Buffer.concat(pieces), complete: false };
}

/** The records of a RecordIO body, found by walking over it whole. */
export function recordsIn(body: Buffer): readonly string[] {
  const records: string[] = [];
  for (let at = 0; at < body.length; ) {
    const line_end = body.indexOf('\n', at);
    const length = Number(body.subarray(at, line_end).toString('latin1'));
    records.push(body.subarray(line_end + 1, line_end + 1 + length).toString('utf8'));
    at = line_end + 1 + length;
  }
  return records;
}
