// file-piece.ts: a piece of a file as an agent tells it: `{"data":"...","offset":0}`, whose string is the file's own bytes.
//
// The bytes are no text: read as UTF-8 they would be lost. They are taken out of the answer where they lie, without a string
// in between: a followed log makes a thousand such answers a second, and each would be garbage several times over.

import { jsonIn } from './json.ts';

export type FilePiece = {
  /** In the answer's own memory. */
  readonly bytes: Uint8Array;
  /** Where the piece begins; of a question for the size, the size. */
  readonly offset: number;
};

const begin = Buffer.from('{"data":"', 'latin1');
/** No string holds this: its quotes would be escaped. */
const end = Buffer.from('","offset":', 'latin1');
const backslash = 0x5c;
const escapes: Readonly<Record<string, number>> = {
  b: 8,
  t: 9,
  n: 10,
  f: 12,
  r: 13,
  '"': 0x22,
  '/': 0x2f,
  '\\': backslash,
};

/** undefined when the answer is no piece of a file. What it is read from is changed. */
export function readPiece(answer: Buffer): FilePiece | undefined {
  const last = answer.lastIndexOf(end);
  const offset = last < 0 ? undefined : /^(\d{1,15})\}\s*$/.exec(answer.toString('latin1', last + end.length))?.[1];
  if (offset === undefined || answer.compare(begin, 0, begin.length, 0, begin.length) !== 0) return readOther(answer);
  const length = unescaped(answer, begin.length, last);
  return length === undefined
    ? undefined
    : { bytes: answer.subarray(begin.length, begin.length + length), offset: Number(offset) };
}

/** The same in another order or with spaces: whoever else may write it so. Latin-1 gives every byte a character, and back. */
function readOther(answer: Buffer): FilePiece | undefined {
  const told = jsonIn(answer.toString('latin1')) as { data?: unknown; offset?: unknown } | null | undefined;
  if (typeof told?.data !== 'string' || typeof told.offset !== 'number') return undefined;
  return { bytes: Buffer.from(told.data, 'latin1'), offset: told.offset };
}

/** Moves the characters of a JSON string together, each where its escape began; how many there are, undefined if it is none. */
function unescaped(text: Buffer, from: number, to: number): number | undefined {
  let next = text.indexOf(backslash, from);
  if (next < 0 || next >= to) return to - from;
  let write = next;
  while (next >= 0 && next < to) {
    const letter = String.fromCharCode(text[next + 1] ?? 0);
    let after = next + 2;
    if (letter === 'u') {
      const digits = text.toString('latin1', after, after + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) return undefined;
      text[write++] = Number.parseInt(digits, 16);
      after += 4;
    } else {
      const meant = escapes[letter];
      if (meant === undefined) return undefined;
      text[write++] = meant;
    }
    if (after > to) return undefined;
    const found = text.indexOf(backslash, after);
    next = found < 0 || found > to ? to : found;
    text.copyWithin(write, after, next);
    write += next - after;
  }
  return write - from;
}
