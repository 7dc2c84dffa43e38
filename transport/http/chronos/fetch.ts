// fetch.ts: what a Chronos job fetches: `fetch`, the older `uris`, and a command that is itself an address.

import { type Fetched, fetchProblems } from '../../../actors/model/fetch.ts';

type Wrong = (place: string, value: unknown, message: string, expected: string) => void;

/**
 * As Chronos 3 has it. Where the command is an address, it is fetched as a program and run by its name; then nothing else is
 * fetched and there are no arguments, and `command` is what is run.
 */
export function fetchOfChronos(
  document: Readonly<Record<string, unknown>>,
  wrong: Wrong,
): { readonly fetch: readonly Fetched[]; readonly command: string | undefined } {
  const { command, executor = '' } = document;
  // To an executor of its own a command is a word like any other.
  if (executor === '' && typeof command === 'string' && /^(?:https?|ftp):/.test(command)) {
    const program = { uri: command, extract: false, executable: true, cache: false };
    const name =
      fetchProblems(program, '').length > 0 ? '' : decodeURIComponent(new URL(command).pathname.split('/').at(-1)!);
    if (name === '') {
      wrong(
        '/command',
        command,
        'the command is an address that names no program',
        'http://HOST/PROGRAM, or a command',
      );
      return { fetch: [], command: undefined };
    }
    return { fetch: [program], command: `./${quoted(name)}` };
  }
  const entries = listOf(document, 'fetch', wrong);
  // A listed job says both, each made from the other; posted again it is to fetch everything once.
  const named = new Set(entries.map(([each]) => (each as { uri?: unknown } | null)?.uri));
  const others = listOf(document, 'uris', wrong).filter(([each]) => !named.has(each));
  const fetch = [...entries, ...others].flatMap(([each, place]): Fetched[] => {
    const read = typeof each === 'string' ? plain(each) : entryOf(each, place, wrong);
    if (read === undefined) return [];
    const problems = fetchProblems(read, place);
    for (const { place, value, message, expected } of problems) wrong(place, value, message, expected);
    return problems.length === 0 ? [read] : [];
  });
  return { fetch, command: undefined };
}

const plain = (uri: string): Fetched => ({ uri, extract: true, executable: false, cache: false });

function listOf(
  document: Readonly<Record<string, unknown>>,
  field: 'fetch' | 'uris',
  wrong: Wrong,
): readonly (readonly [unknown, string])[] {
  const value = document[field];
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map((each, index) => [each, `/${field}/${index}`]);
  wrong(
    `/${field}`,
    value,
    `"${field}" is not a list`,
    field === 'fetch' ? 'a list of {uri, ...}' : 'a list of addresses',
  );
  return [];
}

function entryOf(value: unknown, place: string, wrong: Wrong): Fetched | undefined {
  const entry = (value ?? {}) as Record<string, unknown>;
  if (typeof value !== 'object' || typeof entry.uri !== 'string') {
    wrong(`${place}/uri`, entry.uri, 'there is nothing to fetch', '{"uri": "http://HOST/FILE"}');
    return undefined;
  }
  const flag = (name: string, fallback: boolean): boolean => {
    const given = entry[name];
    if (given === undefined || given === null) return fallback;
    if (given === true || given === 'true') return true;
    if (given === false || given === 'false') return false;
    wrong(`${place}/${name}`, given, `"${name}" is ${JSON.stringify(given)}`, 'true or false');
    return fallback;
  };
  const output = entry.output_file;
  if (output !== undefined && output !== null && typeof output !== 'string')
    wrong(`${place}/output_file`, output, '"output_file" is not a text', 'a path in the sandbox');
  return {
    uri: entry.uri,
    extract: flag('extract', true),
    executable: flag('executable', false),
    cache: flag('cache', false),
    // Chronos wrote an empty text for none.
    ...(typeof output === 'string' && output !== '' ? { output_file: output } : {}),
  };
}

const quoted = (word: string) => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
