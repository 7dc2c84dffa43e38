// recordio.test.ts: the same records whatever the chunks, and a clear stop where no record can be.

import test from 'ava';
import { type RecordState, recordParser } from '../../mesos/recordio.ts';
import { json_streams, recordsIn, unchunked } from './support/recordings.ts';
import { mulberry32 } from './support/seeded.ts';

const record_bytes_max = 1024 * 1024;
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');
const bytes = (of: string) => Buffer.from(of, 'utf8');

/** Feeds the pieces one after the other; every piece is overwritten afterwards, as a reused buffer would be. */
function read(pieces: readonly Uint8Array[]): { records: string[]; state: RecordState } {
  const parser = recordParser(record_bytes_max);
  const records: string[] = [];
  for (const piece of pieces) {
    const copy = Uint8Array.from(piece);
    records.push(...parser.feed(copy).records.map(text));
    copy.fill(0xff);
  }
  return { records, state: parser.state() };
}

/** Where a parser stands after each byte, fed one at a time. */
function statesByByte(body: Uint8Array): readonly RecordState[] {
  const parser = recordParser(record_bytes_max);
  const states = [parser.state()];
  for (let at = 0; at < body.length; at++) {
    parser.feed(body.subarray(at, at + 1));
    states.push(parser.state());
  }
  return states;
}

for (const {
  recording: { name, number },
  stream,
} of json_streams) {
  const { body } = unchunked(stream.raw);
  const whole = recordsIn(body);

  test(`${name}, ${stream.name}: cut at each byte of the first 4 KiB, records and states are the same`, t => {
    const states = statesByByte(body);
    t.deepEqual(read([body]), { records: [...whole], state: states.at(-1)! });
    for (let cut = 0; cut <= Math.min(4096, body.length); cut++) {
      const before = read([body.subarray(0, cut)]);
      if (JSON.stringify(before.state) !== JSON.stringify(states[cut]))
        t.deepEqual(before.state, states[cut], `cut ${cut}`);
      const both = read([body.subarray(0, cut), body.subarray(cut)]);
      if (both.records.join('\n') !== whole.join('\n')) t.deepEqual(both.records, [...whole], `cut ${cut}`);
      if (JSON.stringify(both.state) !== JSON.stringify(states.at(-1)))
        t.deepEqual(both.state, states.at(-1), `cut ${cut}`);
    }
    t.pass();
  });

  test(`${name}, ${stream.name}: cut at 200 places by chance, records and states are the same`, t => {
    const random = mulberry32(Number.parseInt(number, 10));
    const cuts = Array.from({ length: 200 }, () => Math.floor(random() * body.length)).sort((a, b) => a - b);
    const pieces = [0, ...cuts].map((cut, n) => body.subarray(cut, [...cuts, body.length][n]));
    t.deepEqual(read(pieces), { records: [...whole], state: statesByByte(body).at(-1)! });
  });
}

test('a record within one chunk is a view of it, not a copy', t => {
  const chunk = bytes('5\nhello3\nyou');
  const { records } = recordParser(100).feed(chunk);
  t.deepEqual(records.map(text), ['hello', 'you']);
  t.true(records.every(record => record.buffer === chunk.buffer));
});

test('a record of no bytes is a record', t => {
  t.deepEqual(read([bytes('0\n0\n1\na0\n')]).records, ['', '', 'a', '']);
  t.deepEqual(read([bytes('0'), bytes('\n'), bytes('1\n'), bytes('a')]).records, ['', 'a']);
});

test('what is no length ends the reading, with its place and what was complete before it', t => {
  const parser = recordParser(100);
  const read = parser.feed(bytes('2\nab{"type":"HEARTBEAT"}'));
  t.deepEqual(read.records.map(text), ['ab']);
  t.deepEqual(read.garbled, { at: 4, message: 'byte 0x7b at 4 of the stream: expected the length of a record' });
  t.is(parser.feed(bytes('2\nab')).records.length, 0, 'nothing is read any more');
  t.is(parser.state().reading, 'nothing');
});

for (const [what, stream] of [
  ['an empty length', '\n'],
  ['a sign', '-5\nhello'],
  ['a space', ' 5\nhello'],
  ['a carriage return', '5\r\nhello'],
  ['hexadecimal', '0x5\nhello'],
  ['a row of zeros', '000000000005\nhello'],
] as const)
  test(`${what} is no length`, t => {
    const { records, garbled } = recordParser(100).feed(bytes(stream));
    t.is(records.length, 0);
    t.truthy(garbled);
  });

test('a record above the limit is refused at its length, before any of its bytes is kept', t => {
  const parser = recordParser(99);
  t.is(parser.feed(bytes('99\n')).garbled, undefined);
  const other = recordParser(99);
  t.regex(other.feed(bytes('100\n')).garbled?.message ?? '', /100 bytes or more .* expected at most 99/);
  t.regex(recordParser(99).feed(bytes('99999999999999999999')).garbled?.message ?? '', /expected at most 99/);
});

test('a record that ends in a chunk in which another begins is still whole when the chunk has been read', t => {
  const stream = bytes('5\nhello3\nyou6\nfriend');
  for (let size = 1; size <= 9; size++) {
    const parser = recordParser(100);
    const records: string[] = [];
    for (let at = 0; at < stream.length; at += size) {
      const views = parser.feed(stream.subarray(at, at + size)).records;
      // Read only now, when the parser has been through the whole chunk.
      records.push(...views.map(text));
    }
    t.deepEqual(records, ['hello', 'you', 'friend'], `pieces of ${size}`);
  }
});

test('a large record that comes in crumbs is put together', t => {
  const large = 'x'.repeat(300_000);
  const stream = bytes(`${large.length}\n${large}2\nok`);
  const pieces = Array.from({ length: Math.ceil(stream.length / 777) }, (_, n) =>
    stream.subarray(n * 777, n * 777 + 777),
  );
  t.deepEqual(read(pieces).records, [large, 'ok']);
});
