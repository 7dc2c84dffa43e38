// http-answer.test.ts: many answers on one connection, cut anywhere.

import test from 'ava';
import { answerParser, type HttpAnswer } from '../../mesos/http-answer.ts';
import { callOf, recording } from './support/recordings.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const ok: HttpAnswer = { status: 202, body: '', closes: false };

test('three answers to three pipelined calls, as a real master sent them, are three answers wherever they are cut', t => {
  const { response } = callOf(recording('39'), '01-pipelined');
  for (let cut = 0; cut <= response.length; cut++) {
    const parser = answerParser();
    const answers = [response.slice(0, cut), response.slice(cut)].flatMap(piece => [
      ...parser.feed(bytes(piece)).answers,
    ]);
    t.deepEqual(
      answers.map(({ status, body }) => ({ status, body })),
      Array.from({ length: 3 }, () => ({ status: 202, body: '' })),
      `cut at ${cut}`,
    );
  }
});

test('bodies are counted, chunked or as long as the connection, wherever they are cut', t => {
  const stream = [
    'HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nwrong',
    'HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nnot\r\nA\r\n now, dear\r\n0\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.0 500 Oh\r\n\r\nto the end',
  ].join('');
  for (let cut = 0; cut <= stream.length; cut++) {
    const parser = answerParser();
    const answers = [stream.slice(0, cut), stream.slice(cut)].flatMap(piece => [...parser.feed(bytes(piece)).answers]);
    t.deepEqual(
      [...answers, parser.end()],
      [
        { status: 400, body: 'wrong', closes: false },
        { status: 503, body: 'not now, dear', closes: false },
        { status: 204, body: '', closes: false },
        { status: 500, body: 'to the end', closes: true },
      ],
    );
  }
});

test('an answer that says close is marked so', t => {
  const { answers } = answerParser().feed(
    bytes('HTTP/1.1 202 Accepted\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n'),
  );
  t.deepEqual(answers, [{ ...ok, closes: true }]);
});

for (const [what, text] of [
  ['no status line', 'hello\r\n\r\n'],
  ['a length that is none', 'HTTP/1.1 202 Accepted\r\nContent-Length: -1\r\n\r\n'],
  ['a length above all reason', 'HTTP/1.1 202 Accepted\r\nContent-Length: 999999999\r\n\r\n'],
  ['a chunk without a size', 'HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n'],
  ['a chunk above all reason', 'HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n'],
  ['a head without an end', `HTTP/1.1 202 Accepted\r\n${'x'.repeat(70_000)}`],
] as const)
  test(`${what} is garbled, after the answers before it`, t => {
    const { answers, garbled } = answerParser().feed(
      bytes(`HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n${text}`),
    );
    t.deepEqual(answers, [ok]);
    t.truthy(garbled);
  });
