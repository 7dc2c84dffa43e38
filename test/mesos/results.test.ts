// results.test.ts: the note that a task leaves: what is one, what is none, and how it travels.

import { execFileSync } from 'node:child_process';
import { linkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { bind, verbatim } from '../../mesos/executor/template.ts';
import { readResult } from '../../mesos/result-file.ts';
import { result_bytes_max, resultOf, textOfResult } from '../../mesos/results.ts';
import { tempDir } from '../support/temp.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const data = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');

test('a note is what was written, without the line ends after it', t => {
  t.is(textOfResult(bytes('42\n')), '42');
  t.is(textOfResult(bytes('two\nlines\r\n\n')), 'two\nlines');
  t.is(textOfResult(bytes('{"grüße": 1}')), '{"grüße": 1}');
  t.is(textOfResult(bytes('x'.repeat(result_bytes_max)))?.length, result_bytes_max);
});

test('what is too long, empty, or could not stand in an environment is none', t => {
  t.is(textOfResult(bytes('x'.repeat(result_bytes_max + 1))), undefined);
  t.is(textOfResult(bytes('\n')), undefined);
  t.is(textOfResult(bytes('a\0b')), undefined);
  t.is(textOfResult(Uint8Array.of(0xff, 0xfe)), undefined);
});

test('a note is found where it is said first, and nothing else is taken for one', t => {
  t.is(resultOf(data({ result: 'seven', exit_code: 0 })), 'seven');
  t.is(resultOf(data({ exit_code: 0 })), undefined);
  t.is(resultOf(data({ result: 7 })), undefined);
  t.is(resultOf(data({ result: 'x'.repeat(result_bytes_max + 1) })), undefined);
  t.is(resultOf(data({ result: 'a\0b' })), undefined);
  t.is(resultOf(undefined), undefined);
  t.is(resultOf(Buffer.from('{"result" is no JSON').toString('base64')), undefined);
});

test('a file in the sandbox is read; links, second names and what is no file are not', async t => {
  const at = async (make: (sandbox: string, path: string) => void) => {
    const sandbox = await tempDir(t);
    make(sandbox, join(sandbox, 'horae.result'));
    return readResult(sandbox);
  };
  t.is(await at((_, path) => writeFileSync(path, 'note\n')), 'note');
  t.is(await at(() => undefined), undefined);
  const secret = join(await tempDir(t), 'secret');
  writeFileSync(secret, 'secret');
  t.is(await at((_, path) => symlinkSync(secret, path)), undefined);
  t.is(await at((_, path) => linkSync(secret, path)), undefined);
  t.is(await at((_, path) => void execFileSync('mkfifo', [path])), undefined, 'nobody waits for a pipe');
  t.is(await at((_, path) => writeFileSync(path, 'x'.repeat(5_000))), undefined);
});

test('braces in a note are nobody’s blanks', t => {
  const bindings = { task_id: 'T', instance: 0, hostname: 'h', user: 'u', ports: {} };
  for (const text of ['{{thermos.ports[http]}}', '{{&x}}', 'a {{b}} {{{c}}} }} {{', '{{mesos.instance}}', 'plain'])
    t.deepEqual(bind(verbatim(text), bindings, ''), { ok: true, value: text });
});
