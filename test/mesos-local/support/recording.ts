// recording.ts: a conversation with a real master, read from its bytes, by nobody's parser but its own.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Json } from './client.ts';

export type RecordedCall = {
  readonly label: string;
  readonly body: Json;
  readonly status: number;
  readonly text: string;
  /** Whole seconds: the precision of an HTTP Date. */
  readonly at_ms: number;
};
export type Recording = {
  readonly events: readonly Json[];
  readonly calls: readonly RecordedCall[];
  readonly at_ms: number;
};

const folder = join(import.meta.dirname, '..', '..', 'data', 'mesos');
const unzip = (...path: string[]) => gunzipSync(readFileSync(join(folder, ...path)));

export function readRecording(name: string): Recording {
  const raw = unzip(name, 'stream.response.raw.gz');
  const cut = raw.indexOf('\r\n\r\n');
  const calls = unzip(name, 'calls.jsonl.gz')
    .toString()
    .split('\n')
    .filter(line => line !== '')
    .map((line): RecordedCall => {
      const { label, request, response } = JSON.parse(line);
      const [head = '', text = ''] = split(response);
      return {
        label,
        body: JSON.parse(split(request)[1] ?? ''),
        status: Number(head.split(' ')[1]),
        text,
        at_ms: dateOf(head),
      };
    });
  return { events: recordsOf(unchunk(raw.subarray(cut + 4))), calls, at_ms: dateOf(raw.subarray(0, cut).toString()) };
}

const split = (message: string) => {
  const cut = message.indexOf('\r\n\r\n');
  return [message.slice(0, cut), message.slice(cut + 4)];
};
const dateOf = (head: string) => Date.parse(/^Date: (.*)$/m.exec(head)?.[1] ?? '');

function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let place = 0; place < bytes.length; ) {
    const line = bytes.indexOf('\r\n', place);
    const length = Number.parseInt(bytes.subarray(place, line).toString(), 16);
    if (line < 0 || !(length > 0)) break;
    parts.push(bytes.subarray(line + 2, line + 2 + length));
    place = line + 2 + length + 2;
  }
  return Buffer.concat(parts);
}

function recordsOf(bytes: Buffer): Json[] {
  const events: Json[] = [];
  for (let place = 0; place < bytes.length; ) {
    const line = bytes.indexOf('\n', place);
    const length = Number(bytes.subarray(place, line).toString());
    events.push(JSON.parse(bytes.subarray(line + 1, line + 1 + length).toString()));
    place = line + 1 + length;
  }
  return events;
}
