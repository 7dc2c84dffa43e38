// settings-reader.ts: a list of settings, read from flags, variables and a file.
//
// A flag goes before the variable, the variable before the file, the file before the default. The names follow from the
// key in the list: `offer_hold_ms` is the flag `--offer-hold-ms`, the variable `HORAE_OFFER_HOLD_MS` and the key
// `offer-hold-ms` of the file. Pure: texts in, settings or all problems at once out.

import { parseDocument } from 'yaml';
import { nearest } from '../../schedules/nearest.ts';
import { bad, good, type Problem, type Result } from '../../schedules/problem.ts';
import type { Setting, SettingsOf } from './setting.ts';

export type List = { readonly [name: string]: Setting<unknown> };
export type Environment = Readonly<Record<string, string | undefined>>;
/** Texts by setting, each with the place to name when it is wrong. */
export type Others = ReadonlyMap<string, { readonly place: string; readonly text: string }>;
/** The one setting that says where the file is, and so cannot stand in it. */
const file_setting = 'config';

/**
 * The settings that hold for these arguments (after the command), variables and file, or all that is wrong with them.
 * `others` are texts that were found elsewhere; they go before variables, and flags before them.
 */
export function readList<L extends List>(
  list: L,
  argv: readonly string[],
  env: Environment,
  fileText?: string,
  others: Others = new Map(),
): Result<SettingsOf<L>> {
  const problems: Problem[] = [];
  const given = new Map<string, Given>();
  for (const source of [
    fromFile(list, fileText, problems),
    fromEnvironment(list, env),
    fromOthers(list, others),
    fromFlags(list, argv, problems),
  ])
    for (const [name, entry] of source) given.set(name, entry);

  const read: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(list)) {
    const entry = given.get(name);
    if (entry === undefined) {
      read[name] = setting.default;
      continue;
    }
    read[name] = entry.texts === undefined ? undefined : setting.read(entry.texts);
    if (read[name] === undefined) problems.push(unfit(entry, setting));
  }
  return problems.length > 0 ? bad(...problems) : good(read as SettingsOf<L>);
}

/** The settings when nothing is set. */
export function defaultsOf<L extends List>(list: L): SettingsOf<L> {
  return Object.fromEntries(Object.entries(list).map(([name, setting]) => [name, setting.default])) as SettingsOf<L>;
}

/** The settings file that flags or variables name, if they do. */
export function namedFile(list: List, argv: readonly string[], env: Environment): string | undefined {
  return (fromFlags(list, argv, []).get(file_setting) ?? fromEnvironment(list, env).get(file_setting))?.texts?.[0];
}

/** Variables that look like settings and are none. Others may own the prefix too, so this is for a warning. */
export function unknownVariables(list: List, env: Environment): readonly Problem[] {
  const known = Object.keys(list).map(variableOf);
  // What tasks are given (Horae may itself run as one), and what the test runner tells tests.
  const others = /^HORAE_(JOB|RUN_ID|SCHEDULED_AT|ATTEMPT|INSTANCE|TEST_.*)$/;
  return Object.keys(env)
    .filter(variable => variable.startsWith('HORAE_') && !known.includes(variable) && !others.test(variable))
    .map(variable => stranger('variable', variable, env[variable], known));
}

/** The settings for `--help`, under the headings of their groups, `width` columns wide. */
export function helpOf(list: List, width: number): string {
  const lines = [
    'Each setting is a flag, a variable HORAE_..., or a key of horae.yaml; the first of these that is given holds.',
  ];
  for (const group of new Set(Object.values(list).map(setting => setting.group))) {
    lines.push('', `${group}:`);
    for (const [name, setting] of Object.entries(list)) {
      if (setting.group !== group) continue;
      lines.push(`  ${flagOf(name)}${setting.switch ? '' : ` ${setting.value}`}`);
      const facts = [variableOf(name), `default ${setting.default_text}`, ...(setting.range ? [setting.range] : [])];
      for (const line of wrap(`${setting.help} [${facts.join('; ')}]`, width - 8)) lines.push(`        ${line}`);
    }
  }
  return lines.join('\n');
}

/** The flag of a setting, for messages about it. */
export const flagOf = (name: string) => `--${keyOf(name)}`;

// --- where a value comes from -----------------------------------------------------------------------------------

/** A value as it was written: the texts of it (one, or several of a list), or undefined where it has a wrong shape. */
type Given = { readonly place: string; readonly texts: readonly string[] | undefined; readonly raw: unknown };

const keyOf = (name: string) => name.replaceAll('_', '-');
const variableOf = (name: string) => `HORAE_${name.toUpperCase()}`;
const commaSeparated = (text: string) =>
  text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '');

function fromFlags(list: List, argv: readonly string[], problems: Problem[]): Map<string, Given> {
  const given = new Map<string, Given>();
  const names = Object.keys(list);
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!;
    const [, flag, attached] = /^(--[^=]+)(?:=(.*))?$/s.exec(argument) ?? [];
    if (flag === undefined) {
      problems.push({
        place: argument,
        value: argument,
        message: `unexpected argument "${argument}"`,
        expected: 'flags only',
      });
      continue;
    }
    const name = names.find(candidate => flagOf(candidate) === flag);
    const next = argv[index + 1];
    if (name === undefined) {
      problems.push(stranger('flag', flag, argument, names.map(flagOf)));
      // Its value is not a second problem.
      if (attached === undefined && next !== undefined && !next.startsWith('-')) index++;
      continue;
    }
    let text = attached;
    if (text === undefined && list[name]!.switch) text = 'true';
    if (text === undefined && next !== undefined && !next.startsWith('--')) {
      text = next;
      index++;
    }
    const before = list[name]!.many ? (given.get(name)?.texts ?? []) : [];
    const texts = text === undefined ? undefined : list[name]!.many ? [...before, ...commaSeparated(text)] : [text];
    given.set(name, { place: flag, texts, raw: text });
  }
  return given;
}

/** An empty variable is one that is not set. */
function fromEnvironment(list: List, env: Environment): Map<string, Given> {
  const given = new Map<string, Given>();
  for (const [name, setting] of Object.entries(list)) {
    const text = env[variableOf(name)];
    if (text === undefined || text === '') continue;
    given.set(name, { place: variableOf(name), texts: setting.many ? commaSeparated(text) : [text], raw: text });
  }
  return given;
}

function fromOthers(list: List, others: Others): Map<string, Given> {
  const given = ([name, { place, text }]: [string, { place: string; text: string }]) =>
    [name, { place, texts: list[name]?.many ? commaSeparated(text) : [text], raw: text }] as const;
  return new Map([...others].map(given));
}

function fromFile(list: List, text: string | undefined, problems: Problem[]): Map<string, Given> {
  const given = new Map<string, Given>();
  if (text === undefined) return given;
  const expected = 'a YAML mapping from setting to value, such as "http: 127.0.0.1:8080"';
  const document = parseDocument(text);
  for (const error of document.errors)
    problems.push({ place: '', message: `the settings file is not YAML: ${error.message.trim()}`, expected });
  if (document.errors.length > 0) return given;
  const content: unknown = document.toJS();
  if (content === null) return given; // An empty file, or comments alone.
  if (typeof content !== 'object' || Array.isArray(content)) {
    problems.push({
      place: '',
      value: content,
      message: `the settings file holds ${shown(content)}: expected ${expected}`,
      expected,
    });
    return given;
  }
  const names = Object.keys(list).filter(name => name !== file_setting);
  const known = names.map(keyOf);
  for (const [key, raw] of Object.entries(content)) {
    const name = names.find(candidate => keyOf(candidate) === key);
    if (name === undefined) problems.push({ ...stranger('setting', key, raw, known), place: `/${key}` });
    else given.set(name, { place: `/${key}`, texts: textsOf(raw, list[name]!.many), raw });
  }
  return given;
}

/** YAML has types of its own; a setting is read from text wherever it stands. */
function textsOf(raw: unknown, many: boolean): readonly string[] | undefined {
  if (Array.isArray(raw)) return many && raw.every(scalar) ? raw.map(String) : undefined;
  if (!scalar(raw)) return undefined;
  return many ? commaSeparated(String(raw)) : [String(raw)];
}

const scalar = (raw: unknown): raw is string | number | boolean => ['string', 'number', 'boolean'].includes(typeof raw);

// --- what can be wrong --------------------------------------------------------------------------------------------

function unfit(entry: Given, { expected, secret }: Setting<unknown>): Problem {
  const subject = entry.place.startsWith('/') ? `${entry.place.slice(1)} in the settings file` : entry.place;
  if (entry.raw === undefined || entry.raw === null)
    return { place: entry.place, message: `${subject} has no value: expected ${expected}`, expected };
  // A secret with a slip in it is still most of a secret.
  if (secret)
    return {
      place: entry.place,
      message: `${subject} will not do (its value is secret): expected ${expected}`,
      expected,
    };
  return {
    place: entry.place,
    value: entry.raw,
    message: `${subject} is ${shown(entry.raw)}: expected ${expected}`,
    expected,
  };
}

function stranger(what: string, name: string, value: unknown, known: readonly string[]): Problem {
  const near = nearest(name, known);
  const expected = near === undefined ? 'a setting that --help lists' : near;
  const hint = near === undefined ? '--help lists them all' : `did you mean ${near}?`;
  return { place: name, value, message: `unknown ${what} "${name}": ${hint}`, expected };
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
