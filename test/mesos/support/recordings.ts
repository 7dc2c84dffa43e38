// recordings.ts: what a real master once said, and what was said to it, byte by byte.
//
// Nothing here uses the driver's own code: bodies are unchunked and cut into records by other means than those under test.

import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { gunzipSync } from 'node:zlib';

const root = new URL('../../data/mesos/', import.meta.url);

export type HttpText = { readonly head: string; readonly headers: ReadonlyMap<string, string>; readonly body: string };
/** `response` is empty where the connection broke before there was one. */
export type RecordedCall = { readonly label: string; readonly request: HttpText; readonly response: string };
/** A SUBSCRIBE, and every byte of its answer. */
export type RecordedStream = {
  readonly name: string;
  readonly request: HttpText;
  readonly raw: Buffer;
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
};
export type Recording = {
  readonly name: string;
  /** `02`, `07b`. */
  readonly number: string;
  /** In order of time, as the calls. */
  readonly streams: readonly RecordedStream[];
  readonly calls: readonly RecordedCall[];
};

const files = readdirSync(root)
  .filter(file => file.endsWith('.jsonl.gz'))
  .sort();

/** All of them, by number. */
export const recordings: readonly Recording[] = files.map(file => readRecording(new URL(file, root)));

/** An agent of two tasks, asked for commands in them. */
export const sessions_recording = (): Recording =>
  readRecording(new URL('../sessions/ex-18-agent-operator-api.jsonl.gz', root));

function readRecording(file: URL): Recording {
  const name = basename(file.pathname, '.jsonl.gz');
  const streams: RecordedStream[] = [];
  const calls: RecordedCall[] = [];
  for (const line of gunzipSync(readFileSync(file))
    .toString('utf8')
    .split('\n')
    .filter(line => line !== '')) {
    const { stream, label, ...texts } = JSON.parse(line) as { stream?: string; label?: string } & {
      [part in 'request' | 'response']: string;
    };
    const request = httpText(texts.request);
    if (stream === undefined) calls.push({ label: label ?? '', request, response: texts.response });
    else {
      const { head, headers } = httpText(texts.response);
      const raw = Buffer.from(texts.response, 'latin1');
      streams.push({ name: stream, request, raw, status: Number(head.split(' ')[1]), headers });
    }
  }
  return { name, number: name.slice(0, name.indexOf('-')), streams, calls };
}

/** The streams that are subscriptions in JSON: what a parser of ours has to read. */
export const json_streams: readonly { readonly recording: Recording; readonly stream: RecordedStream }[] =
  recordings.flatMap(recording =>
    recording.streams
      .filter(({ status, headers }) => status === 200 && headers.get('content-type') === 'application/json')
      .map(stream => ({ recording, stream })),
  );

/** The recording of this number, such as '02'. */
export function recording(number: string): Recording {
  const found = recordings.find(one => one.number === number);
  if (found === undefined) throw new Error(`no recording ${number} under ${root.pathname}`);
  return found;
}

export function callOf({ name, calls }: Recording, label: string): RecordedCall {
  const call = calls.find(one => one.label === label);
  if (call === undefined) throw new Error(`no call ${label} in ${name}: there are ${calls.map(one => one.label)}`);
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
