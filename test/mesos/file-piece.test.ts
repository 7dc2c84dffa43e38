// file-piece.test.ts: pieces of files in agents' answers, beside what JSON's own reader makes of them.

import test from 'ava';
import fc from 'fast-check';
import { readPiece } from '../../mesos/file-piece.ts';

/** As agents write: the file's bytes as they are, with JSON's escapes. */
const answerOf = (bytes: Uint8Array, offset: number) =>
  Buffer.from(JSON.stringify({ data: Buffer.from(bytes).toString('latin1'), offset }), 'latin1');

test('whatever bytes a file has, they are what is read', t => {
  const likely = fc.constantFrom(0x5c, 0x22, 0x0a, 0x2c, 0x75, 0x30, 0x7d);
  const bytes = fc.array(fc.oneof(likely, fc.nat(255)), { maxLength: 200 }).map(list => Uint8Array.from(list));
  fc.assert(
    fc.property(bytes, fc.nat(), (file, offset) => {
      const read = readPiece(answerOf(file, offset));
      t.deepEqual(read && [...read.bytes], [...file]);
      t.is(read?.offset, offset);
    }),
    { numRuns: 2_000 },
  );
});

test('whatever escapes an agent writes, with spaces and in another order too, mean what they mean in JSON', t => {
  const character = fc.oneof(
    fc.constantFrom('\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t', 'a', ',', ':', '}', '\xff'),
    fc.nat(255).map(code => `\\u00${code.toString(16).padStart(2, '0')}`),
  );
  const text = fc.array(character, { maxLength: 60 }).map(list => list.join(''));
  const forms = fc.constantFrom(
    (data: string) => `{"data":"${data}","offset":7}`,
    (data: string) => `{"data":"${data}","offset":7}\n`,
    (data: string) => `{ "data": "${data}", "offset": 7 }`,
    (data: string) => `{"offset":7,"data":"${data}"}`,
  );
  fc.assert(
    fc.property(text, forms, (data, form) => {
      const answer = form(data);
      const expected = Buffer.from((JSON.parse(answer) as { data: string }).data, 'latin1');
      t.deepEqual([...readPiece(Buffer.from(answer, 'latin1'))!.bytes], [...expected]);
    }),
    { numRuns: 2_000 },
  );
});

test('what is no piece of a file is none', t => {
  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    '{"data":"x"}',
    '{"data":1,"offset":0}',
    '{"data":"x","offset":"0"}',
    '{"data":"\\x","offset":0}',
    '{"data":"\\u00g0","offset":0}',
    '{"data":"x\\","offset":0}',
    '{"data":"\\u00","offset":0}',
    '{"data":"x","offset":0',
  ])
    t.is(readPiece(Buffer.from(text)), undefined, text);
});
