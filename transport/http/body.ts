// body.ts: reading what a client sends, without letting it send whatever it likes.
//
// A body has a greatest length, a type, and a time in which it must arrive (the server's request timeout). One that is
// too long is refused by its Content-Length before a byte of it is kept, or at the byte that goes too far.

import type { IncomingMessage } from 'node:http';
import type { Result } from '../../schedules/problem.ts';
import { readJson } from './json.ts';
import { inShort, Refused } from './problems.ts';
import { readYaml } from './yaml.ts';

export const json_types = ['application/json'] as const;
export const yaml_types = ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'] as const;
/** What documents are written in. */
export const document_types = [...json_types, ...yaml_types] as const;
/** Read as it stands: its reader is the handler. */
export const calendar_types = ['text/calendar'] as const;
export type BodyType = (typeof json_types)[number] | (typeof yaml_types)[number] | (typeof calendar_types)[number];

/** The value that the body spells, by its content type. Throws Refused. */
export async function readBody(
  request: IncomingMessage,
  types: readonly BodyType[],
  bytes_max: number,
): Promise<unknown> {
  const type = bodyType(request, types);
  const text = decode(await collect(request, bytes_max));
  if (type === 'text/calendar') return text;
  const read: Result<unknown> = type === 'application/json' ? readJson(text) : readYaml(text);
  if (!read.ok) throw new Refused('malformed', inShort(read.problems), read.problems);
  return read.value;
}

/** For requests that need no body: an empty one, or `{}`, whatever its type. A form is refused all the same. */
export async function readNoBody(request: IncomingMessage, bytes_max: number): Promise<void> {
  const bytes = await collect(request, bytes_max);
  if (request.headers['content-type'] !== undefined) bodyType(request, document_types);
  const text = decode(bytes).trim();
  if (text === '' || text === '{}') return;
  throw new Refused('malformed', 'this request takes no body', [
    { place: '', value: text.slice(0, 40), message: 'there is a body', expected: 'no body, or {}' },
  ]);
}

function bodyType(request: IncomingMessage, types: readonly BodyType[]): BodyType {
  const given = request.headers['content-type'];
  const [name = '', ...parameters] = (given ?? '').split(';').map(part => part.trim().toLowerCase());
  const type = types.find(each => each === name);
  const charset = parameters.find(each => each.startsWith('charset='))?.slice(8);
  const refuse = (message: string, expected: string) =>
    new Refused('wrong-type', `${message}: expected ${expected}`, [{ place: '', value: given, message, expected }], {
      'accept-post': types.join(', '),
    });
  if (type === undefined)
    throw refuse(
      given === undefined ? 'there is no Content-Type' : `Content-Type "${given.slice(0, 100)}" is not read here`,
      types.length > 1 ? 'application/json or application/yaml' : 'application/json',
    );
  if (charset !== undefined && charset.replaceAll('"', '') !== 'utf-8')
    throw refuse(`the charset ${charset.slice(0, 40)} is not read here`, 'UTF-8');
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw refuse(`Content-Encoding "${encoding.slice(0, 40)}" is not read here`, 'an unencoded body');
  return type;
}

const tooLarge = (bytes_max: number) =>
  new Refused('too-large', `the body has more than ${bytes_max} bytes`, [
    { place: '', message: 'the body is too large', expected: `at most ${bytes_max} bytes` },
  ]);

function collect(request: IncomingMessage, bytes_max: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > bytes_max) return Promise.reject(tooLarge(bytes_max));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = () => {
      request.off('data', take).off('end', end).off('error', gone).off('close', gone);
    };
    const take = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytes_max) return void chunks.push(chunk);
      settle();
      reject(tooLarge(bytes_max));
    };
    const end = () => {
      settle();
      resolve(Buffer.concat(chunks));
    };
    const gone = () => {
      settle();
      reject(new Refused('malformed', 'the body ended before it was complete'));
    };
    request.on('data', take).on('end', end).on('error', gone).on('close', gone);
  });
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw new Refused('malformed', 'the body is not UTF-8: expected UTF-8');
    throw error;
  }
}
