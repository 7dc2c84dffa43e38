// json.ts: JSON from strangers, read strictly and told exactly.
//
// JSON.parse accepts a key given twice (the last wins), any depth, and says of a mistake hardly more than that there is
// one. Somebody who mistyped a comma deserves the line and the column, so the text is walked once by a small reader of
// the grammar, which knows where it stands; only what passed is handed to JSON.parse.

import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';

/** Nesting beyond this is an attack or an accident: a job is four levels deep. */
export const depth_max = 64;

/** Carries the finding out of the recursion; never leaves this file. */
class Mistake extends Error {
  readonly at: number;
  readonly expected: string;
  constructor(at: number, message: string, expected: string) {
    super(message);
    this.at = at;
    this.expected = expected;
  }
}

export function readJson(text: string): Result<unknown> {
  try {
    const end = skipBlank(text, value(text, skipBlank(text, 0), 0));
    if (end < text.length) throw new Mistake(end, `unexpected ${shown(text, end)} after the end`, 'nothing more');
  } catch (error) {
    if (error instanceof Mistake) return bad(problemAt(text, error));
    throw error;
  }
  return good(JSON.parse(text));
}

/** Line and column (from 1) of an offset. */
export function placeIn(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return `line ${line}, column ${offset - before.lastIndexOf('\n')}`;
}

function problemAt(text: string, mistake: Mistake): Problem {
  return {
    place: placeIn(text, mistake.at),
    value: text.slice(mistake.at, mistake.at + 20),
    message: `malformed JSON at ${placeIn(text, mistake.at)}: ${mistake.message}`,
    expected: mistake.expected,
  };
}

const blank = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the grammar of JSON forbids exactly these in a string
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

function match(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : -1;
}
const skipBlank = (text: string, from: number) => match(blank, text, from);
const shown = (text: string, at: number) => (at >= text.length ? 'end' : JSON.stringify(text[at]));

/** Walks the value that begins at `from`; returns where it ends. */
function value(text: string, from: number, depth: number): number {
  if (depth > depth_max)
    throw new Mistake(from, `nested more than ${depth_max} levels deep`, `at most ${depth_max} levels`);
  switch (text[from]) {
    case '{':
      return object(text, from, depth);
    case '[':
      return array(text, from, depth);
    case '"':
      return quoted(text, from);
  }
  for (const word of ['true', 'false', 'null']) if (text.startsWith(word, from)) return from + word.length;
  const end = match(number, text, from);
  if (end > from) return end;
  throw new Mistake(
    from,
    `unexpected ${shown(text, from)}`,
    'a value: an object, a list, a string, a number, true, false or null',
  );
}

function quoted(text: string, from: number): number {
  const end = match(string, text, from);
  if (end < 0)
    throw new Mistake(
      from,
      'a string that does not end, or has a bad escape or a raw control character in it',
      'a string',
    );
  return end;
}

function array(text: string, from: number, depth: number): number {
  let at = skipBlank(text, from + 1);
  if (text[at] === ']') return at + 1;
  for (;;) {
    at = skipBlank(text, value(text, at, depth + 1));
    if (text[at] === ']') return at + 1;
    if (text[at] !== ',') throw new Mistake(at, `unexpected ${shown(text, at)} in a list`, '"," or "]"');
    at = skipBlank(text, at + 1);
  }
}

function object(text: string, from: number, depth: number): number {
  const keys = new Set<string>();
  let at = skipBlank(text, from + 1);
  if (text[at] === '}') return at + 1;
  for (;;) {
    if (text[at] !== '"') throw new Mistake(at, `unexpected ${shown(text, at)} in an object`, 'a key in double quotes');
    const end = quoted(text, at);
    const key = JSON.parse(text.slice(at, end)) as string;
    if (keys.has(key)) throw new Mistake(at, `the key ${JSON.stringify(key)} is given twice`, 'each key once');
    // Reading it makes an ordinary field; copying the object later would make a prototype of it.
    if (key === '__proto__') throw new Mistake(at, 'the key "__proto__" is not accepted', 'another key');
    keys.add(key);
    at = skipBlank(text, end);
    if (text[at] !== ':') throw new Mistake(at, `unexpected ${shown(text, at)} after a key`, '":"');
    at = skipBlank(text, value(text, skipBlank(text, at + 1), depth + 1));
    if (text[at] === '}') return at + 1;
    if (text[at] !== ',') throw new Mistake(at, `unexpected ${shown(text, at)} in an object`, '"," or "}"');
    at = skipBlank(text, at + 1);
  }
}
